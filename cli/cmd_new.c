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
    "usage: cella new NAME [--template TEMPLATE] [--libc none|musl|glibc]\n"
    "\n"
    "Makes the folder NAME with a project that builds and runs at once:\n"
    "  cd NAME && cella run\n"
    "\n"
    "  --template c            host and enclave in C (the default)\n"
    "             cpp          the enclave in C++17, on glibc\n"
    "             tls          an attested TLS server and its clients\n"
    "             openenclave  sources and Makefile as for the Open Enclave SDK\n"
    "             intel        sources and Makefile as for the Intel SGX SDK\n"
    "  --libc LIBC             for c: the enclave's libc; none is smallest, musl small, glibc\n"
    "                          (default) the most\n"
    "  --language c|c++        the same as --template c or cpp\n";

#define DECLARE(name) extern const char template_##name[], template_##name##_end[]
DECLARE(calls);
DECLARE(enclave_c);
DECLARE(enclave_bare);
DECLARE(enclave_cpp);
DECLARE(main_c);
DECLARE(project);
DECLARE(conf);
DECLARE(gitignore);
DECLARE(containerfile);
DECLARE(tls_project);
DECLARE(tls_edl);
DECLARE(tls_enclave);
DECLARE(tls_enclave_talk);
DECLARE(tls_host);
DECLARE(tls_host_talk);
DECLARE(tls_shared);
DECLARE(tls_talk);
DECLARE(tls_talk_h);
DECLARE(oe_containerfile);
DECLARE(intel_containerfile);
DECLARE(oe_edl);
DECLARE(oe_enclave);
DECLARE(oe_conf);
DECLARE(oe_host);
DECLARE(oe_makefile);
DECLARE(oe_project);
DECLARE(oe_gitignore);
DECLARE(intel_edl);
DECLARE(intel_enclave);
DECLARE(intel_config);
DECLARE(intel_script);
DECLARE(intel_app);
DECLARE(intel_makefile);
DECLARE(intel_project);
DECLARE(intel_gitignore);
#define TEMPLATE(name) template_##name, template_##name##_end

/* One file of a template. */
struct output {
    const char *file;
    const char *text, *end;
};

#define FILES_MAX 10u
#define FOLDERS_MAX 3u

struct template
{
    const char *name;
    const char *folders[FOLDERS_MAX];
    struct output files[FILES_MAX];
};

#define OWN_FILES                                                                                  \
    {"host/main.c", TEMPLATE(main_c)}, {"calls.edl", TEMPLATE(calls)},                             \
        {"enclave/enclave.conf", TEMPLATE(conf)}, {PROJECT_FILE, TEMPLATE(project)},               \
        {"Containerfile", TEMPLATE(containerfile)},                                                \
    {                                                                                              \
        ".gitignore", TEMPLATE(gitignore)                                                          \
    }

static const struct template g_templates[] = {
    {"c", {"host", "enclave"}, {{"enclave/enclave.c", TEMPLATE(enclave_c)}, OWN_FILES}},
    {"cpp", {"host", "enclave"}, {{"enclave/enclave.cpp", TEMPLATE(enclave_cpp)}, OWN_FILES}},
    {"tls",
     {"host", "enclave", "shared"},
     {{"channel.edl", TEMPLATE(tls_edl)},
      {"enclave/channel.c", TEMPLATE(tls_enclave)},
      {"enclave/talk.c", TEMPLATE(tls_enclave_talk)},
      {"host/main.c", TEMPLATE(tls_host)},
      {"host/talk.c", TEMPLATE(tls_host_talk)},
      {"shared/channel.h", TEMPLATE(tls_shared)},
      {"shared/talk.c", TEMPLATE(tls_talk)},
      {"shared/talk.h", TEMPLATE(tls_talk_h)},
      {PROJECT_FILE, TEMPLATE(tls_project)},
      {".gitignore", TEMPLATE(gitignore)}}},
    {"openenclave",
     {"host", "enclave"},
     {{"hello.edl", TEMPLATE(oe_edl)},
      {"enclave/enclave.c", TEMPLATE(oe_enclave)},
      {"enclave/hello.conf", TEMPLATE(oe_conf)},
      {"host/host.c", TEMPLATE(oe_host)},
      {"Makefile", TEMPLATE(oe_makefile)},
      {PROJECT_FILE, TEMPLATE(oe_project)},
      {"Containerfile", TEMPLATE(oe_containerfile)},
      {".gitignore", TEMPLATE(oe_gitignore)}}},
    {"intel",
     {"App", "Enclave"},
     {{"Enclave/Enclave.edl", TEMPLATE(intel_edl)},
      {"Enclave/Enclave.c", TEMPLATE(intel_enclave)},
      {"Enclave/Enclave.config.xml", TEMPLATE(intel_config)},
      {"Enclave/Enclave.lds", TEMPLATE(intel_script)},
      {"App/App.c", TEMPLATE(intel_app)},
      {"Makefile", TEMPLATE(intel_makefile)},
      {PROJECT_FILE, TEMPLATE(intel_project)},
      {"Containerfile", TEMPLATE(intel_containerfile)},
      {".gitignore", TEMPLATE(intel_gitignore)}}},
};
/* In the place of C's enclave source when there is no libc. */
static const struct template g_bare = {
    "c", {"host", "enclave"}, {{"enclave/enclave.c", TEMPLATE(enclave_bare)}, OWN_FILES}};

struct choice {
    const char *name;
    const char *libc; /* NULL: not said */
    const struct template *template;
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

static cella_result make_folder(const char *name, const char *slash, const char *folder,
                                struct cella_error *error)
{
    char path[PROJECT_NAME_MAX + 16];
    snprintf(path, sizeof(path), "%s%s%s", name, slash, folder);
    if (mkdir(path, 0777) < 0) {
        return cella_error_errno(error, CELLA_RESULT(ALREADY_EXISTS), errno, "%s", path);
    }
    return CELLA_OK;
}

static cella_result write_all(const struct choice *choice, struct cella_error *error)
{
    CELLA_TRY(make_folder(choice->name, "", "", error));
    for (size_t i = 0; i < FOLDERS_MAX && choice->template->folders[i]; i++) {
        CELLA_TRY(make_folder(choice->name, "/", choice->template->folders[i], error));
    }
    for (size_t i = 0; i < FILES_MAX && choice->template->files[i].file; i++) {
        CELLA_TRY(write_one(&choice->template->files[i], choice, error));
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

static const struct template *template_find(const char *name)
{
    if (strcmp(name, "c++") == 0) {
        name = "cpp";
    }
    for (size_t i = 0; i < CELLA_COUNT(g_templates); i++) {
        if (strcmp(g_templates[i].name, name) == 0) {
            return &g_templates[i];
        }
    }
    return NULL;
}

/* Whether the words went together; the exit status if not. */
static int settle(struct choice *choice)
{
    const bool is_c = strcmp(choice->template->name, "c") == 0;
    if (!choice->name) {
        fputs(g_help, stderr);
        return 2;
    }
    if (!project_name_is_good(choice->name)) {
        fprintf(stderr, "cella new: %s: a name is letters, digits, '-' and '_', at most %d\n",
                choice->name, PROJECT_NAME_MAX - 1);
        return 2;
    }
    if (!is_c && choice->libc && strcmp(choice->libc, "glibc") != 0) {
        fprintf(stderr,
                "cella new: --libc %s: only --template c has a choice; cpp needs --libc "
                "glibc\n",
                choice->libc);
        return 2;
    }
    if (!choice->libc) {
        choice->libc = "glibc";
    }
    if (is_c && strcmp(choice->libc, "none") == 0) {
        choice->template = &g_bare;
    }
    return -1;
}

/* The exit status, or -1 to go on. */
static int parse(int argc, char **argv, struct choice *ret_choice)
{
    static const char *const libcs[] = {"none", "musl", "glibc"};
    static const char *const languages[] = {"c", "c++"};
    *ret_choice = (struct choice){.template = &g_templates[0]};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--help") == 0) {
            fputs(g_help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--libc") == 0 && is_one_of(value, libcs, CELLA_COUNT(libcs))) {
            ret_choice->libc = value;
            i++;
        } else if ((strcmp(argv[i], "--template") == 0 && template_find(value)) ||
                   (strcmp(argv[i], "--language") == 0 &&
                    is_one_of(value, languages, CELLA_COUNT(languages)))) {
            ret_choice->template = template_find(value);
            i++;
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
    return settle(ret_choice);
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
