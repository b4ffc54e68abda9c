/*
 * `sgx_edger8r`: the EDL compiler with the command line of the Intel SGX SDK's tool.
 * Side: tools. A program of its own. The options and their order rules are those of that tool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/edl_job.h"

#ifndef CELLA_VERSION
#define CELLA_VERSION "unknown"
#endif
#ifndef CELLA_SOURCE_ROOT
#define CELLA_SOURCE_ROOT ""
#endif

static const char g_usage[] =
    "usage: sgx_edger8r [options] FILE...\n"
    "\n"
    "Makes the C code of calls into and out of an enclave, from an EDL file.\n"
    "\n"
    "  --search-path DIR[:DIR...]  look for EDL files there first; a later option goes before\n"
    "  --trusted                   only the enclave's side\n"
    "  --untrusted                 only the host's side\n"
    "  --trusted-dir DIR           where the enclave's side goes\n"
    "  --untrusted-dir DIR         where the host's side goes\n"
    "  --header-only               only headers\n"
    "  --use-prefix                put the enclave's name before the host's functions\n"
    "  --version, --help\n";

static int usage(void)
{
    fputs(g_usage, stderr);
    return 1;
}

/* Puts the folders of `list` before those that are there already. */
static bool add_search_paths(struct edl_job *job, const char *list)
{
    char *copy = strdup(list); /* kept: the job borrows its parts */
    size_t before = job->options.search_path_count;
    size_t added = 0;
    char *state = NULL;
    if (!copy) {
        return false;
    }
    for (char *part = strtok_r(copy, ":", &state); part; part = strtok_r(NULL, ":", &state)) {
        if (!edl_job_add_search_path(job, part)) {
            free(copy);
            return false;
        }
        added++;
    }
    const char *moved[EDL_JOB_LIST_MAX];
    memcpy(moved, job->search_paths + before, added * sizeof *moved);
    memmove(job->search_paths + added, job->search_paths, before * sizeof *moved);
    memcpy(job->search_paths, moved, added * sizeof *moved);
    return true;
}

/* False: the usage is to be shown. */
static bool take_argument(struct edl_job *job, int argc, char **argv, int *index)
{
    const char *argument = argv[*index];
    const char *search_path = NULL;
    switch (edl_job_take_option(job, argc, argv, index, strcasecmp, &search_path)) {
    case EDL_JOB_TAKEN:
        return !search_path || add_search_paths(job, search_path);
    case EDL_JOB_NO_VALUE:
        return false;
    default:
        return strcasecmp(argument, "--help") != 0 && edl_job_add_file(job, argument);
    }
}

int main(int argc, char **argv)
{
    static struct edl_job job;
    edl_job_init(&job, "sgx_edger8r", CELLA_EDL_INTEL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0) {
            puts("sgx_edger8r (cella) " CELLA_VERSION);
            return 0;
        }
        if (!take_argument(&job, argc, argv, &i)) {
            return usage();
        }
    }
    if (!job.file_count) {
        return usage();
    }
    edl_job_find_system_folder(&job, "../../include", CELLA_SOURCE_ROOT "/include/intel");
    return edl_job_run(&job);
}
