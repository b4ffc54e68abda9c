/*
 * cella new: a project of two folders that builds and runs at once.
 * Side: tools. Called by cli/main.c.
 * Never writes into a folder that exists.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/project.h"
#include "common/cleanup.h"

static const char g_help[] =
    "usage: cella new NAME [--libc none|musl|glibc] [--language c|c++]\n"
    "\n"
    "Makes the folder NAME with a project: host/ (the untrusted program), enclave/ (the trusted\n"
    "one), shared/ (what both include), cella.project and enclave/enclave.conf.\n"
    "Then: cd NAME && cella run\n"
    "\n"
    "  --libc LIBC      the enclave's libc: none is smallest, musl small, glibc (default) the "
    "most\n"
    "  --language LANG  c (default) or c++ (glibc only)\n";

#define DECLARE(name) extern const char template_##name[], template_##name##_end[]
DECLARE(calls);
DECLARE(enclave_c);
DECLARE(enclave_bare);
DECLARE(enclave_cpp);
DECLARE(main_c);
DECLARE(project);
DECLARE(conf);
DECLARE(gitignore);
#define TEMPLATE(name) template_##name, template_##name##_end

struct output {
    const char *file;
    const char *text, *end;
};

struct choice {
    const char *name;
    const char *libc;
    bool cxx;
};

/* The template with @NAME@ and @LIBC@ replaced, in memory to be freed. */
static char *fill_in(const struct output *output, const struct choice *choice, size_t *ret_size)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, ret_size);
    if (!stream) {
        return NULL;
    }
    for (const char *at = output->text; at < output->end;) {
        if (strncmp(at, "@NAME@", 6) == 0) {
            fputs(choice->name, stream);
            at += 6;
        } else if (strncmp(at, "@LIBC@", 6) == 0) {
            fputs(choice->libc, stream);
            at += 6;
        } else {
            fputc(*at++, stream);
        }
    }
    return fclose(stream) == 0 ? text : NULL;
}

static cella_result write_one(const struct output *output, const struct choice *choice,
                              struct cella_error *error)
{
    char path[PROJECT_NAME_MAX + 64];
    size_t size = 0;
    char *text = fill_in(output, choice, &size);
    if (!text) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: out of memory",
                               output->file);
    }
    snprintf(path, sizeof(path), "%s/%s", choice->name, output->file);
    cella_result result = cella_file_write(path, text, size, 0666, error);
    free(text);
    return result;
}

static cella_result write_all(const struct choice *choice, struct cella_error *error)
{
    const bool bare = strcmp(choice->libc, "none") == 0;
    const struct output enclave =
        choice->cxx ? (struct output){"enclave/enclave.cpp", TEMPLATE(enclave_cpp)}
        : bare      ? (struct output){"enclave/enclave.c", TEMPLATE(enclave_bare)}
                    : (struct output){"enclave/enclave.c", TEMPLATE(enclave_c)};
    const struct output outputs[] = {
        enclave,
        {"host/main.c", TEMPLATE(main_c)},
        {"shared/calls.h", TEMPLATE(calls)},
        {"enclave/enclave.conf", TEMPLATE(conf)},
        {PROJECT_FILE, TEMPLATE(project)},
        {".gitignore", TEMPLATE(gitignore)},
    };
    static const char *const folders[] = {"", "/host", "/enclave", "/shared"};
    for (size_t i = 0; i < CELLA_COUNT(folders); i++) {
        char path[PROJECT_NAME_MAX + 16];
        snprintf(path, sizeof(path), "%s%s", choice->name, folders[i]);
        if (mkdir(path, 0777) < 0) {
            return cella_error_errno(error, CELLA_RESULT(ALREADY_EXISTS), errno, "%s", path);
        }
    }
    for (size_t i = 0; i < CELLA_COUNT(outputs); i++) {
        CELLA_TRY(write_one(&outputs[i], choice, error));
    }
    return CELLA_OK;
}

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The exit status, or -1 to go on. */
static int parse(int argc, char **argv, struct choice *ret_choice)
{
    static const char *const libcs[] = {"none", "musl", "glibc"};
    static const char *const languages[] = {"c", "c++"};
    *ret_choice = (struct choice){.libc = "glibc"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(g_help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--libc") == 0 && i + 1 < argc &&
            is_one_of(argv[i + 1], libcs, CELLA_COUNT(libcs))) {
            ret_choice->libc = argv[++i];
        } else if (strcmp(argv[i], "--language") == 0 && i + 1 < argc &&
                   is_one_of(argv[i + 1], languages, CELLA_COUNT(languages))) {
            ret_choice->cxx = strcmp(argv[++i], "c++") == 0;
        } else if (argv[i][0] != '-' && !ret_choice->name) {
            ret_choice->name = argv[i];
        } else {
            fprintf(
                stderr,
                "cella new: %s: unexpected, or its value is none of those in cella new --help\n",
                argv[i]);
            return 2;
        }
    }
    if (!ret_choice->name) {
        fputs(g_help, stderr);
        return 2;
    }
    if (!project_name_is_good(ret_choice->name)) {
        fprintf(stderr, "cella new: %s: a name is letters, digits, '-' and '_', at most %d\n",
                ret_choice->name, PROJECT_NAME_MAX - 1);
        return 2;
    }
    if (ret_choice->cxx && strcmp(ret_choice->libc, "glibc") != 0) {
        fputs("cella new: --language c++ needs --libc glibc\n", stderr);
        return 2;
    }
    return -1;
}

int cella_cmd_new(int argc, char **argv)
{
    struct choice choice;
    struct cella_error error = {0};
    int status = parse(argc, argv, &choice);
    if (status >= 0) {
        return status;
    }
    if (!cella_is_ok(write_all(&choice, &error))) {
        fprintf(stderr, "cella new: %s\n", error.text);
        return 1;
    }
    printf("%s: made. Next: cd %s && cella run\n", choice.name, choice.name);
    return 0;
}
