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
#include "cli/container.h"
#include "cli/program_run.h"
#include "common/cleanup.h"

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
    "usage: cella run [FOLDER] [--verbose] [--container [OPTION...]] [-- ARGUMENT...]\n"
    "       cella run --container [OPTION...] PROGRAM.cella [-- ARGUMENT...]\n"
    "       cella run [--trace=syscalls] [--stats] PROGRAM.cella [ARGUMENT...]\n"
    "\n"
    "Builds the project in FOLDER (default: here) if needed and runs its host program with the\n"
    "image as first argument and the ARGUMENTs behind it.\n"
    "\n"
    "  --container        in a container, made of the project's image: read-only files, no\n"
    "                     capabilities, no new privileges, few system calls\n"
    "  --runtime RUNTIME  runc, crun, podman or docker (default: the first that is there)\n"
    "  --network NETWORK  none (default) or host\n"
    "  --platform DIR     the software platform's keys (default: build/container/platform,\n"
    "                     PROGRAM.container/platform)\n"
    "  --volume DIR:PATH  DIR at PATH in the container, to be read (DIR:PATH:rw: written, too)\n"
    "  --seccomp FILE     another profile than Cella's; none: no profile\n"
    "  --option WORD      one more option for the runtime's own `run`\n"
    "  --bundle           only write the OCI bundle, and print its folder\n"
    "\n"
    "A whole program's image (cella sign --program) runs in an enclave as the program would: with\n"
    "the ARGUMENTs, signals and exit status of its own.\n"
    "\n"
    "  --trace=syscalls   each system call, and what the kernel has to say, on standard error; "
    "images\n"
    "                     signed for debugging only\n"
    "  --stats            at the end, what it cost\n";

struct build_line {
    const char *folder;
    struct compile_options options;
    struct container_options container;
    bool in_container;
    char **rest; /* behind "--" */
    int rest_count;
    int status; /* -1: go on */
};

/* Options of cella run alone; how many words were taken, 0: none of them. */
static int parse_container(int left, char **argv, struct build_line *line)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--runtime", &line->container.runtime},
        {"--network", &line->container.network},
        {"--platform", &line->container.platform},
        {"--seccomp", &line->container.seccomp},
    };
    if (strcmp(argv[0], "--container") == 0) {
        line->in_container = true;
        return 1;
    }
    if (strcmp(argv[0], "--bundle") == 0) {
        line->container.bundle_only = true;
        return 1;
    }
    if (strcmp(argv[0], "--option") == 0 && left > 1 &&
        line->container.extra_count < CONTAINER_EXTRA_MAX) {
        line->container.extra[line->container.extra_count++] = argv[1];
        return 2;
    }
    if (strcmp(argv[0], "--volume") == 0 && left > 1 &&
        line->container.volume_count < CONTAINER_EXTRA_MAX) {
        line->container.volumes[line->container.volume_count++] = argv[1];
        return 2;
    }
    for (size_t i = 0; i < CELLA_COUNT(options); i++) {
        if (strcmp(argv[0], options[i].name) == 0 && left > 1) {
            *options[i].value = argv[1];
            return 2;
        }
    }
    return 0;
}

static bool asks_for_container(const struct build_line *line)
{
    const struct container_options *c = &line->container;
    return c->runtime || c->extra_count || c->volume_count || c->network || c->platform ||
           c->seccomp || c->bundle_only;
}

static void parse(int argc, char **argv, const char *help, struct build_line *ret_line)
{
    *ret_line = (struct build_line){.folder = ".", .status = -1};
    bool folder_seen = false;
    for (int i = 1; i < argc && ret_line->status < 0; i++) {
        const int taken = help == g_run_help ? parse_container(argc - i, argv + i, ret_line) : 0;
        if (taken > 0) {
            i += taken - 1;
            continue;
        }
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

/* Returns only when the container could not be started, or was not to be. */
static int run_in_container(struct build_line *line)
{
    static struct project project;
    static struct compile_result result;
    struct cella_error error = {0};
    line->container.arguments = line->rest;
    line->container.argument_count = line->rest_count;
    cella_result outcome;
    if (program_run_is_image(line->folder)) {
        line->container.signed_program = line->folder;
        outcome = container_run(NULL, NULL, &line->container, &error);
    } else {
        outcome = project_read(line->folder, &project, &error);
        if (cella_is_ok(outcome)) {
            outcome = compile_any(&project, &line->options, &result, &error);
        }
        if (cella_is_ok(outcome)) {
            outcome = container_run(&project, &result, &line->container, &error);
        }
    }
    if (!cella_is_ok(outcome)) {
        fprintf(stderr, "cella run: %s\n", error.text[0] ? error.text : cella_result_text(outcome));
        return 1;
    }
    return 0;
}

int cella_cmd_run(int argc, char **argv)
{
    struct build_line line;
    static struct compile_result result;
    char *words[256];
    const int program = program_run_line(argc, argv);
    if (program >= 0) {
        return program;
    }
    parse(argc, argv, g_run_help, &line);
    if (line.status >= 0) {
        return line.status;
    }
    if (line.rest_count > 250) {
        fputs("cella run: more than 250 arguments\n", stderr);
        return 2;
    }
    if (asks_for_container(&line) && !line.in_container) {
        fputs("cella run: --runtime, --network, --platform, --seccomp, --volume, --option and "
              "--bundle go with "
              "--container\n",
              stderr);
        return 2;
    }
    if (line.in_container) {
        return run_in_container(&line);
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
