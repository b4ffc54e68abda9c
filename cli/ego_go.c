/*
 * `ego-go`: the Go toolchain of this machine, for programs that run in enclaves. Arguments are those of go.
 * Side: tools. A program of its own. Nothing is patched: what it builds any Go would build.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ego.h"
#include "cli/go_newer.h"

/* Runs it and waits, where something is to be taken away afterwards; signals of the terminal are for go. */
static int run_and_wait(const char *path, char **argv)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        execv(path, argv);
        _exit(127);
    }
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    char path[EGO_PATH_MAX];
    struct cella_error error = {0};
    struct go_newer newer = {0};
    (void)argc;
    if (!go_tool_find(path, sizeof(path), &error) || !go_tool_environment(&error) ||
        !go_tool_tags(argv) || !cella_is_ok(go_newer_prepare(path, &newer, &error))) {
        fprintf(stderr, "ego-go: %s\n", error.text[0] ? error.text : "no memory");
        return 1;
    }
    argv[0] = path;
    if (newer.folder[0]) {
        const int status = run_and_wait(path, argv);
        go_newer_done(&newer);
        return status;
    }
    execv(path, argv);
    fprintf(stderr, "ego-go: %s: %s\n", path, strerror(errno));
    return 1;
}
