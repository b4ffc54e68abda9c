/*
 * `cella edl`: makes the C code of calls into and out of an enclave, from an EDL file.
 * Side: tools. Called by cli/main.c. The work is edl_job.c's.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/edl_job.h"
#include "common/cleanup.h"

#ifndef CELLA_SOURCE_ROOT
#define CELLA_SOURCE_ROOT ""
#endif

static const char g_usage[] =
    "usage: cella edl [OPTIONS] FILE...\n"
    "\n"
    "Makes the C code of calls into and out of an enclave, from an EDL file: NAME_t.h and "
    "NAME_t.c\n"
    "for the enclave, NAME_u.h and NAME_u.c for the host.\n"
    "\n"
    "  --dialect D          the language accepted: cella (the default, both others together),\n"
    "                       openenclave or intel; the functions generated are of the same kind\n"
    "  --emit D             functions of another kind than the language\n"
    "  --trusted            only the enclave's side\n"
    "  --untrusted          only the host's side\n"
    "  --trusted-dir DIR    where the enclave's side goes\n"
    "  --untrusted-dir DIR  where the host's side goes\n"
    "  --search-path DIR    look for imported files there too\n"
    "  --header-only        only headers\n"
    "  --use-prefix         put the enclave's name before the host's functions\n"
    "  --depfile FILE       write what the outputs depend on, for make\n"
    "  --check              report only, write nothing\n"
    "  --dump-ast           print what was understood, write nothing\n"
    "  --json               report as JSON on standard output\n"
    "  -DNAME[=VALUE]       define NAME for the preprocessor\n"
    "  -WKIND, -Wno-KIND    a kind of warning on or off; -Wall for all\n"
    "  -Werror[=KIND]       warnings, or one kind, are errors\n"
    "  --help               this text\n"
    "\n"
    "kinds of warnings:\n";

enum edl_option {
    OPTION_DIALECT = 256,
    OPTION_EMIT,
    OPTION_TRUSTED,
    OPTION_UNTRUSTED,
    OPTION_TRUSTED_DIR,
    OPTION_UNTRUSTED_DIR,
    OPTION_SEARCH_PATH,
    OPTION_HEADER_ONLY,
    OPTION_USE_PREFIX,
    OPTION_DEPFILE,
    OPTION_CHECK,
    OPTION_DUMP,
    OPTION_JSON,
    OPTION_HELP,
};

static void usage(FILE *stream)
{
    fputs(g_usage, stream);
    for (int i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        fprintf(stream, "  %-21s%s\n", cella_edl_warning_name((enum cella_edl_warning)i),
                cella_edl_warning_text((enum cella_edl_warning)i));
    }
    fputs("\nexit status: 0 done, 1 the input is wrong, 2 wrong use\n", stream);
}

static bool read_dialect(const char *name, enum cella_edl_dialect *ret_dialect)
{
    static const char *const names[] = {"cella", "openenclave", "intel"};
    for (size_t i = 0; i < CELLA_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_dialect = (enum cella_edl_dialect)i;
            return true;
        }
    }
    fprintf(stderr, "cella edl: no dialect '%s'; there are cella, openenclave and intel\n", name);
    return false;
}

static json_t *to_json(const struct cella_edl *edl, const struct cella_edl_diagnostic *diagnostic)
{
    static const char *const words[] = {"note", "warning", "error"};
    json_t *item = json_object();
    if (diagnostic->has_position) {
        const struct cella_edl_position *at = &diagnostic->position;
        json_object_set_new(item, "file", json_string(cella_edl_file(edl, at->file)));
        json_object_set_new(item, "line", json_integer(at->line));
        json_object_set_new(item, "column", json_integer(at->column));
        json_object_set_new(item, "length", json_integer(at->length));
    }
    json_object_set_new(item, "severity", json_string(words[diagnostic->severity]));
    if (diagnostic->warning >= 0) {
        const char *kind = cella_edl_warning_name((enum cella_edl_warning)diagnostic->warning);
        json_object_set_new(item, "kind", json_string(kind));
    }
    json_object_set_new(item, "text", json_string(diagnostic->text));
    if (diagnostic->fix) {
        json_object_set_new(item, "fix", json_string(diagnostic->fix));
    }
    return item;
}

static void print_json(const struct edl_job *job, const struct cella_edl *edl)
{
    json_t *list = json_array();
    (void)job;
    for (size_t i = 0; i < cella_edl_diagnostic_count(edl); i++) {
        json_array_append_new(list, to_json(edl, cella_edl_diagnostic(edl, i)));
    }
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

static void dump(const struct edl_job *job, const struct cella_edl *edl)
{
    edl_job_print(job, edl);
    if (cella_edl_unit(edl)) {
        edl_job_dump(stdout, cella_edl_unit(edl));
    }
}

/* 0: go on. Else the exit status plus one. */
static int take_option(struct edl_job *job, int option)
{
    enum cella_edl_dialect dialect;
    switch (option) {
    case OPTION_DIALECT:
        return 0; /* taken before the others */
    case OPTION_EMIT:
        if (!read_dialect(optarg, &dialect)) {
            return 3;
        }
        job->emit.dialect = dialect;
        job->emit.args_header = dialect == CELLA_EDL_OPENENCLAVE;
        return 0;
    case OPTION_TRUSTED:
        job->emit.trusted = true;
        return 0;
    case OPTION_UNTRUSTED:
        job->emit.untrusted = true;
        return 0;
    case OPTION_TRUSTED_DIR:
        job->trusted_dir = optarg;
        return 0;
    case OPTION_UNTRUSTED_DIR:
        job->untrusted_dir = optarg;
        return 0;
    case OPTION_SEARCH_PATH:
        return edl_job_add_search_path(job, optarg) ? 0 : 3;
    case OPTION_HEADER_ONLY:
        job->emit.header_only = true;
        return 0;
    case OPTION_USE_PREFIX:
        job->emit.use_prefix = true;
        return 0;
    case OPTION_DEPFILE:
        job->depfile = optarg;
        return 0;
    case OPTION_CHECK:
        job->is_check = true;
        return 0;
    case OPTION_DUMP:
        job->is_check = true;
        job->report = dump;
        return 0;
    case OPTION_JSON:
        job->report = print_json;
        return 0;
    case 'D':
        return edl_job_add_define(job, optarg) ? 0 : 3;
    case OPTION_HELP:
        usage(stdout);
        return 1;
    default:
        return 3;
    }
}

/* -W is taken out first: getopt would eat -Wno-x as -W with the option's argument. The dialect comes before all. */
static bool take_early(struct edl_job *job, int *argc, char **argv)
{
    enum cella_edl_dialect dialect = CELLA_EDL_CELLA;
    for (int i = 1; i < *argc; i++) {
        const char *value = NULL;
        if (strncmp(argv[i], "--dialect=", 10) == 0) {
            value = argv[i] + 10;
        } else if (strcmp(argv[i], "--dialect") == 0) {
            value = argv[i + 1];
        }
        if (value && !read_dialect(value, &dialect)) {
            return false;
        }
    }
    edl_job_init(job, "cella edl", dialect);
    job->own_warnings_fail = dialect == CELLA_EDL_CELLA;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], "-W", 2) != 0) {
            argv[kept++] = argv[i];
        } else if (!edl_job_add_warning(job, argv[i])) {
            fprintf(stderr, "cella edl: %s: no such kind of warning\n", argv[i]);
            return false;
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return true;
}

int cella_cmd_edl(int argc, char **argv)
{
    static const struct option longs[] = {
        {"dialect", required_argument, NULL, OPTION_DIALECT},
        {"emit", required_argument, NULL, OPTION_EMIT},
        {"trusted", no_argument, NULL, OPTION_TRUSTED},
        {"untrusted", no_argument, NULL, OPTION_UNTRUSTED},
        {"trusted-dir", required_argument, NULL, OPTION_TRUSTED_DIR},
        {"untrusted-dir", required_argument, NULL, OPTION_UNTRUSTED_DIR},
        {"search-path", required_argument, NULL, OPTION_SEARCH_PATH},
        {"header-only", no_argument, NULL, OPTION_HEADER_ONLY},
        {"use-prefix", no_argument, NULL, OPTION_USE_PREFIX},
        {"depfile", required_argument, NULL, OPTION_DEPFILE},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"dump-ast", no_argument, NULL, OPTION_DUMP},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    static struct edl_job job;
    int option;

    if (!take_early(&job, &argc, argv)) {
        return 2;
    }
    optind = 1;
    while ((option = getopt_long(argc, argv, "D:", longs, NULL)) != -1) {
        int status = take_option(&job, option);
        if (status) {
            return status - 1;
        }
    }
    for (; optind < argc; optind++) {
        if (!edl_job_add_file(&job, argv[optind])) {
            return 2;
        }
    }
    if (!job.file_count) {
        usage(stderr);
        return 2;
    }
    if (job.options.dialect == CELLA_EDL_INTEL) {
        edl_job_find_system_folder(&job, "../sgxsdk/include", CELLA_SOURCE_ROOT "/include/intel");
    } else {
        edl_job_find_system_folder(&job, "../include/openenclave/edl",
                                   CELLA_SOURCE_ROOT "/include/openenclave/edl");
    }
    return edl_job_run(&job);
}
