/*
 * `oeedger8r`: the EDL compiler with the command line of Open Enclave's tool.
 * Side: tools. A program of its own. The options, their order rules and the exit statuses are those of that tool.
 */
#include <stdio.h>
#include <string.h>

#include "cli/edl_job.h"

#ifndef CELLA_VERSION
#define CELLA_VERSION "unknown"
#endif
#ifndef CELLA_SOURCE_ROOT
#define CELLA_SOURCE_ROOT ""
#endif

/* What that tool gives for a wrong command line; 1 is for wrong input, and for --help. */
#define STATUS_USAGE 255

static const char g_usage[] =
    "usage: oeedger8r [options] FILE...\n"
    "\n"
    "Makes the C code of calls into and out of an enclave, from an EDL file.\n"
    "\n"
    "  --search-path DIR    look for EDL files there too\n"
    "  --trusted            only the enclave's side\n"
    "  --untrusted          only the host's side\n"
    "  --trusted-dir DIR    where the enclave's side goes\n"
    "  --untrusted-dir DIR  where the host's side goes\n"
    "  --header-only        only headers\n"
    "  --use-prefix         put the enclave's name before the host's functions\n"
    "  -DNAME               define NAME for #ifdef\n"
    "  -WKIND, -Wno-KIND    a kind of warning on or off\n"
    "  -Wall                all of them on\n"
    "  -Werror[=KIND]       warnings, or one kind, are errors\n"
    "  --experimental       accepted; nothing is experimental here\n"
    "  --version, --help\n"
    "\n"
    "kinds of warnings:\n";

static void usage(FILE *stream)
{
    fputs(g_usage, stream);
    for (int i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        fprintf(stream, "  %-21s%s\n", cella_edl_warning_name((enum cella_edl_warning)i),
                cella_edl_warning_text((enum cella_edl_warning)i));
    }
}

static int wrong(const char *format, const char *argument)
{
    fputs("oeedger8r: ", stderr);
    fprintf(stderr, format, argument);
    fputs("\n`oeedger8r --help` lists the options\n", stderr);
    return STATUS_USAGE;
}

/* `*status` is 0 as long as all is well. */
static void take_argument(struct edl_job *job, int argc, char **argv, int *index, int *status)
{
    const char *argument = argv[*index];
    const char *search_path = NULL;
    const enum edl_job_taken taken =
        edl_job_take_option(job, argc, argv, index, strcmp, &search_path);
    if (taken == EDL_JOB_NO_VALUE) {
        *status = 1;
    } else if (taken == EDL_JOB_TAKEN) {
        *status = !search_path || edl_job_add_search_path(job, search_path) ? 0 : STATUS_USAGE;
    } else if (strcmp(argument, "--experimental") == 0) {
        return;
    } else if (strcmp(argument, "-D") == 0) {
        *status = wrong("%s without the symbol's name", argument);
    } else if (strncmp(argument, "-D", 2) == 0) {
        *status = edl_job_add_define(job, argument + 2) ? 0 : STATUS_USAGE;
    } else if (strncmp(argument, "-W", 2) == 0) {
        *status =
            edl_job_add_warning(job, argument) ? 0 : wrong("%s: no such kind of warning", argument);
    } else {
        *status = edl_job_add_file(job, argument) ? 0 : STATUS_USAGE;
    }
}

int main(int argc, char **argv)
{
    static struct edl_job job;
    int status = 0;
    edl_job_init(&job, "oeedger8r", CELLA_EDL_OPENENCLAVE);
    if (argc == 1) {
        usage(stdout);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("oeedger8r (cella) " CELLA_VERSION);
            return 0;
        }
        take_argument(&job, argc, argv, &i, &status);
        if (status) {
            return status;
        }
    }
    if (!job.file_count) {
        return wrong("%s", "no EDL file given");
    }
    edl_job_find_system_folder(&job, "../include/openenclave/edl",
                               CELLA_SOURCE_ROOT "/include/openenclave/edl");
    return edl_job_run(&job);
}
