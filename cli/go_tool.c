/*
 * The Go toolchain of this machine, and the environment of builds for enclaves. ego.h is the manual.
 * Side: tools. Called by ego, ego-go and cella go. Any Go will do: no toolchain of our own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ego.h"
#include "common/cleanup.h"

/* Go's own resolver and user database instead of the libc's: a program without C of its own is then static. */
#define STATIC_TAGS "netgo,osusergo"

static bool executable_at(char *ret_path, size_t size, const char *folder, size_t folder_size)
{
    const int used = snprintf(ret_path, size, "%.*s/go", (int)folder_size, folder);
    return folder_size > 0 && used > 0 && (size_t)used < size && access(ret_path, X_OK) == 0;
}

bool go_tool_find(char *ret_path, size_t size, struct cella_error *error)
{
    static const char *const usual[] = {"/usr/local/go/bin", "/usr/lib/go/bin", "/snap/bin"};
    const char *named = getenv("CELLA_GO");
    const char *root = getenv("GOROOT");
    const char *path = getenv("PATH");
    char folder[EGO_PATH_MAX];
    if (named && *named) {
        return (size_t)snprintf(ret_path, size, "%s", named) < size;
    }
    if (root && *root &&
        (size_t)snprintf(folder, sizeof(folder), "%s/bin", root) < sizeof(folder) &&
        executable_at(ret_path, size, folder, strlen(folder))) {
        return true;
    }
    for (const char *at = path ? path : ""; *at;) {
        const size_t length = strcspn(at, ":");
        if (executable_at(ret_path, size, at, length)) {
            return true;
        }
        at += length + (at[length] == ':' ? 1 : 0);
    }
    for (size_t i = 0; i < CELLA_COUNT(usual); i++) {
        if (executable_at(ret_path, size, usual[i], strlen(usual[i]))) {
            return true;
        }
    }
    cella_ignore(cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                 "no Go toolchain: no `go` in PATH, GOROOT or /usr/local/go; "
                                 "install golang-go, or set CELLA_GO to the program"));
    return false;
}

/* The tags in GOFLAGS, where it has none of its own; those of a command line take their place. */
bool go_tool_environment(struct cella_error *error)
{
    const char *flags = getenv("GOFLAGS");
    char *joined = NULL;
    bool good = setenv("CGO_ENABLED", "1", 1) == 0;
    if (!flags || !strstr(flags, "-tags")) {
        good = good && asprintf(&joined, "%s%s-tags=" STATIC_TAGS, flags ? flags : "",
                                flags && *flags ? " " : "") > 0;
        good = good && setenv("GOFLAGS", joined, 1) == 0;
        free(joined);
    }
    if (!good) {
        cella_ignore(cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "no memory"));
    }
    return good;
}
