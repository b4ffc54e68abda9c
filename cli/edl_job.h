/*
 * What the three command lines of the EDL compiler have in common: compile, report, generate, write.
 * Side: tools. Called by cmd_edl.c, oeedger8r.c and sgx_edger8r.c. Writes nothing when anything is wrong.
 */
#ifndef CELLA_CLI_EDL_JOB_H
#define CELLA_CLI_EDL_JOB_H

#include <stdio.h>

#include "edl/edl.h"

#define EDL_JOB_LIST_MAX 1024

struct edl_job;
/* Says what is to be said of one compiled file. */
typedef void (*edl_job_report_fn)(const struct edl_job *job, const struct cella_edl *edl);

/* A level asked for by name; the strongest wins, whatever the order: off, error, warning. */
enum edl_job_wish { EDL_JOB_UNSAID, EDL_JOB_WARN, EDL_JOB_ERROR, EDL_JOB_OFF };

struct edl_job {
    const char *program; /* for messages */
    struct cella_edl_options options;
    struct cella_edl_emit_options emit;
    const char *trusted_dir;
    const char *untrusted_dir;
    const char *files[EDL_JOB_LIST_MAX];
    size_t file_count;
    const char *search_paths[EDL_JOB_LIST_MAX];
    const char *defines[EDL_JOB_LIST_MAX];
    enum edl_job_wish wishes[CELLA_EDL_WARNING_COUNT];
    bool warn_all;
    bool no_all;            /* -Wno-all, which wins */
    bool all_fail;          /* -Werror */
    bool no_error;          /* -Wno-error, which wins */
    bool own_warnings_fail; /* -Werror is for the kinds that only Cella has too */
    bool is_check;          /* generate nothing */
    const char *depfile;
    edl_job_report_fn report;
};

/* The defaults of a dialect. */
void edl_job_init(struct edl_job *job, const char *program, enum cella_edl_dialect dialect);

/* Each false when the list is full, reported. */
bool edl_job_add_file(struct edl_job *job, const char *path);
bool edl_job_add_search_path(struct edl_job *job, const char *path);
bool edl_job_add_define(struct edl_job *job, const char *name);

/*
 * The options that both SDKs' tools have, names compared by `compare`: --trusted, --untrusted, --trusted-dir,
 * --untrusted-dir, --header-only, --use-prefix; and --search-path, whose value goes to *ret_search_path.
 */
enum edl_job_taken {
    EDL_JOB_NOT_MINE, /* another option, or a file */
    EDL_JOB_TAKEN,    /* *index is at its last word */
    EDL_JOB_NO_VALUE, /* it ends the command line; reported */
};
enum edl_job_taken edl_job_take_option(struct edl_job *job, int argc, char **argv, int *index,
                                       int (*compare)(const char *, const char *),
                                       const char **ret_search_path);

/* -Wkind, -Wno-kind, -Werror, -Werror=kind, -Wall. False when there is no such kind. */
bool edl_job_add_warning(struct edl_job *job, const char *argument);

/* Only files below it may use [cella_service=]: `installed` beside the program, or `source` in the source tree. */
void edl_job_find_system_folder(struct edl_job *job, const char *installed, const char *source);

/* The exit status: 0, or 1 when anything was wrong. */
int edl_job_run(struct edl_job *job);

/* Reports as clang would, on stderr, in colour on a terminal. */
void edl_job_print(const struct edl_job *job, const struct cella_edl *edl);

/* Prints the tree. */
void edl_job_dump(FILE *stream, const struct cella_edl_unit *unit);

#endif
