/*
 * `cella go`: Go programs for enclaves with the Go toolchain of this machine: built, signed in place, run.
 * Side: tools. Called by cli/main.c. What it does not know itself is a command of go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/ego.h"
#include "cli/ego_enter.h"
#include "cli/go_newer.h"
#include "cli/program_sign.h"
#include "common/cleanup.h"

static const char g_usage[] =
    "usage: cella go build|test|vet|… [ARGUMENTS]     the Go toolchain, with arguments of its own\n"
    "       cella go sign PROGRAM [--manifest FILE] [--key PEM]\n"
    "       cella go run PROGRAM|PACKAGE|FILE.go… [ARGUMENTS]\n"
    "\n"
    "Go programs in enclaves: any Go from 1.18 on, nothing patched. build makes programs that need "
    "no C\n"
    "library where they have no C of their own; sign puts the signed image behind the program's "
    "end, so\n"
    "that the same file runs outside and inside; run runs it inside, and builds and signs for "
    "debugging\n"
    "what is not built yet.\n"
    "\n"
    "  --manifest FILE  what the program is and may see (docs/program-manifest.md); else "
    "cella.toml or\n"
    "                   enclave.json of this folder when it names the program; else: arguments "
    "from\n"
    "                   outside, a file system in memory\n"
    "  --key PEM        RSA-3072 with exponent 3; else the manifest's; else the machine's debug "
    "key\n";

/* ------------------------------------------------------------------ the toolchain */

static int wait_for(pid_t child)
{
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child < 0 ? 1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* `go ARGUMENTS` with the environment for enclaves; argv[0] is replaced. */
static int run_go(char **argv)
{
    char path[EGO_PATH_MAX];
    struct cella_error error = {0};
    struct go_newer newer = {0};
    if (!go_tool_find(path, sizeof(path), &error) || !go_tool_environment(&error) ||
        !go_tool_tags(argv) || !cella_is_ok(go_newer_prepare(path, &newer, &error))) {
        fprintf(stderr, "cella go: %s\n", error.text[0] ? error.text : "no memory");
        return 1;
    }
    argv[0] = path;
    const pid_t child = fork();
    if (child == 0) {
        execv(path, argv);
        fprintf(stderr, "cella go: %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    const int status = wait_for(child);
    go_newer_done(&newer);
    return status;
}

/* ------------------------------------------------------------------ sign */

struct sign_options {
    const char *program, *manifest, *key;
};

static bool names_program(const char *path, const char *program)
{
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest;
    struct stat a, b;
    program_manifest_init(&manifest);
    return access(path, R_OK) == 0 &&
           cella_is_ok(program_manifest_read(path, &manifest, NULL, NULL)) &&
           stat(manifest.executable, &a) == 0 && stat(program, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static cella_result manifest_get(const struct sign_options *options,
                                 struct program_manifest *manifest, struct cella_error *error)
{
    static const char *const usual[] = {PROGRAM_MANIFEST_FILE, PROGRAM_MANIFEST_EGO_FILE};
    const char *path = options->manifest;
    for (size_t i = 0; i < CELLA_COUNT(usual) && !path; i++) {
        path = names_program(usual[i], options->program) ? usual[i] : NULL;
    }
    if (!path) {
        return program_sign_default(options->program, manifest, error);
    }
    program_manifest_init(manifest);
    return program_manifest_read(path, manifest, stderr, error);
}

static cella_result sign(const struct sign_options *options, struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    CELLA_CLEANUP(program_manifest_done) struct program_manifest manifest = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer image = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    struct program_sign job = {
        .command = "cella go sign", .manifest = &manifest, .key = options->key};
    struct stat status;
    CELLA_TRY(ego_executable_read(options->program, "", &executable, error));
    CELLA_TRY(manifest_get(options, &manifest, error));
    CELLA_TRY(program_manifest_load(&manifest, error));
    CELLA_TRY(program_sign(&job, &image, error));
    if (stat(options->program, &status) != 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", options->program);
    }
    CELLA_TRY(cella_attach_write(executable.parts.program, cella_buffer_bytes(&image), &output));
    return cella_file_write(options->program, output.data, output.size, status.st_mode & 07777,
                            error);
}

static int command_sign(int argc, char **argv)
{
    struct sign_options options = {0};
    struct cella_error error = {0};
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--manifest") == 0 && has_value) {
            options.manifest = argv[++i];
        } else if (strcmp(argv[i], "--key") == 0 && has_value) {
            options.key = argv[++i];
        } else if (argv[i][0] == '-' || options.program) {
            fprintf(stderr, "cella go sign: %s: one program, --manifest FILE and --key PEM\n",
                    argv[i]);
            return 2;
        } else {
            options.program = argv[i];
        }
    }
    if (!options.program) {
        fputs("cella go sign: expected a program\n", stderr);
        return 2;
    }
    const cella_result result = sign(&options, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella go sign: %s: %s\n", options.program,
                error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    return 0;
}

/* ------------------------------------------------------------------ run */

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Builds what `go run` would, into `program`; *ret_used: how many arguments were packages or files. */
static int build(int argc, char **argv, char *program, int *ret_used)
{
    char **arguments = (char **)calloc((size_t)argc + 5, sizeof(*arguments));
    int used = 1, count = 0;
    if (!arguments) {
        return 1;
    }
    while (used < argc && strlen(argv[used]) > 3 &&
           strcmp(argv[used] + strlen(argv[used]) - 3, ".go") == 0) {
        used++;
    }
    used += used == 1 ? 1 : 0; /* no files: a package */
    arguments[count++] = argv[0];
    arguments[count++] = "build";
    arguments[count++] = "-o";
    arguments[count++] = program;
    for (int i = 1; i < used; i++) {
        arguments[count++] = argv[i];
    }
    const int status = run_go(arguments);
    free(arguments);
    *ret_used = used;
    return status;
}

static cella_result enter(const char *path, char **arguments, int *ret_status,
                          struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    cella_enclave *enclave = NULL;
    CELLA_TRY(ego_executable_read(path, "", &executable, error));
    if (executable.parts.image.size == 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE),
                               "not signed; `cella go sign %s` does it", path);
    }
    CELLA_TRY(ego_load(executable.parts.image, path, &enclave, error));
    const cella_result result = ego_enter(enclave, arguments, ret_status, error);
    cella_enclave_destroy(enclave);
    return result;
}

static int command_run(int argc, char **argv)
{
    char folder[] = "/tmp/cella-go-XXXXXX", program[64] = "";
    struct cella_error error = {0};
    int used = 2, status = 1;
    if (argc < 2) {
        fputs("cella go run: expected a program, a package or Go files\n", stderr);
        return 2;
    }
    const char *path = argv[1];
    cella_result result = CELLA_OK;
    if (!is_program(path)) {
        if (!mkdtemp(folder)) {
            perror("cella go run: /tmp");
            return 1;
        }
        snprintf(program, sizeof(program), "%s/program", folder);
        status = build(argc, argv, program, &used);
        path = program;
        const struct sign_options options = {.program = program};
        if (status == 0) {
            result = sign(&options, &error);
        }
    } else {
        status = 0;
    }
    if (status == 0 && cella_is_ok(result)) {
        status = 1;
        result = enter(path, argv + used, &status, &error);
    }
    if (program[0]) {
        unlink(program);
        rmdir(folder);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella go run: %s: %s\n", argv[1],
                error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    return status;
}

int cella_cmd_go(int argc, char **argv)
{
    if (argc < 2) {
        fputs(g_usage, stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(g_usage, stdout);
        return 0;
    }
    if (strcmp(argv[1], "sign") == 0) {
        return command_sign(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "run") == 0) {
        return command_run(argc - 1, argv + 1);
    }
    return run_go(argv);
}
