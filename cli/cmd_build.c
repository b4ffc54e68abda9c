/*
 * cella build and cella run: a project's host program and signed image; and running them.
 * Side: tools. Called by cli/main.c.
 * Never installs anything.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/compile.h"

static const char g_build_help[] =
    "usage: cella build [FOLDER] [--key PEM] [--rebuild] [--verbose]\n"
    "\n"
    "Compiles and links the project in FOLDER (default: here), and signs its enclave:\n"
    "  host/*      -> build/NAME           the untrusted program\n"
    "  enclave/*   -> build/NAME.signed    the enclave image\n"
    "The project is described by cella.project and enclave/enclave.conf; `cella new` makes one.\n"
    "A project with `build = COMMAND` there runs that, in an environment where it finds Cella in\n"
    "place of the Open Enclave SDK and the Intel SGX SDK (see cella env).\n"
    "\n"
    "  --key PEM    sign with this key instead of the project's or the machine's debug key\n"
    "  --rebuild    compile everything anew\n"
    "  --verbose    print each command\n";

static const char g_run_help[] =
    "usage: cella run [FOLDER] [--verbose] [-- ARGUMENT...]\n"
    "\n"
    "Builds the project in FOLDER (default: here) if needed and runs its host program with the\n"
    "image as first argument and the ARGUMENTs behind it.\n";

struct build_line {
    const char *folder;
    struct compile_options options;
    char **rest; /* behind "--" */
    int rest_count;
    int status; /* -1: go on */
};

static void parse(int argc, char **argv, const char *help, struct build_line *ret_line)
{
    *ret_line = (struct build_line){.folder = ".", .status = -1};
    bool folder_seen = false;
    for (int i = 1; i < argc && ret_line->status < 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            ret_line->status = 0;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            ret_line->options.verbose = true;
        } else if (strcmp(argv[i], "--rebuild") == 0) {
            ret_line->options.rebuild = true;
        } else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc) {
            ret_line->options.key = argv[++i];
        } else if (strcmp(argv[i], "--") == 0) {
            ret_line->rest = argv + i + 1;
            ret_line->rest_count = argc - i - 1;
            return;
        } else if (argv[i][0] != '-' && !folder_seen) {
            ret_line->folder = argv[i];
            folder_seen = true;
        } else {
            fprintf(stderr, "cella %s: %s: unexpected; see cella %s --help\n", argv[0], argv[i],
                    argv[0]);
            ret_line->status = 2;
        }
    }
}

static int build(const char *command, const struct build_line *line,
                 struct compile_result *ret_result)
{
    static struct project project;
    struct cella_error error = {0};
    cella_result result = project_read(line->folder, &project, &error);
    if (cella_is_ok(result)) {
        result = compile_any(&project, &line->options, ret_result, &error);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella %s: %s\n", command, error.text);
        return 1;
    }
    return 0;
}

int cella_cmd_build(int argc, char **argv)
{
    struct build_line line;
    static struct compile_result result;
    parse(argc, argv, g_build_help, &line);
    if (line.status >= 0) {
        return line.status;
    }
    if (line.rest_count) {
        fputs("cella build: nothing may stand behind --; did you mean cella run?\n", stderr);
        return 2;
    }
    int status = build("build", &line, &result);
    if (status == 0) {
        const char *slash = result.folder[0] ? "/" : "";
        printf("%s%s%s\n%s%s%s%s\n", result.folder, slash, result.host, result.folder, slash,
               result.image, result.up_to_date ? " (up to date)" : "");
    }
    return status;
}

int cella_cmd_run(int argc, char **argv)
{
    struct build_line line;
    static struct compile_result result;
    char *words[256];
    parse(argc, argv, g_run_help, &line);
    if (line.status >= 0) {
        return line.status;
    }
    if (line.rest_count > 250) {
        fputs("cella run: more than 250 arguments\n", stderr);
        return 2;
    }
    int status = build("run", &line, &result);
    if (status) {
        return status;
    }
    if (result.folder[0] && chdir(result.folder) < 0) {
        fprintf(stderr, "cella run: %s: %s\n", result.folder, strerror(errno));
        return 1;
    }
    int count = 0;
    words[count++] = result.host;
    words[count++] = result.image;
    for (int i = 0; i < line.rest_count; i++) {
        words[count++] = line.rest[i];
    }
    words[count] = NULL;
    fflush(stdout);
    execv(result.host, words);
    fprintf(stderr, "cella run: %s: %s\n", result.host, strerror(errno));
    return 1;
}
