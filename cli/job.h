/*
 * Running compilers: argument lists that grow, and a few processes at a time.
 * Side: tools. Called by cella build and run.
 * Never goes through a shell.
 */
#ifndef CELLA_CLI_JOB_H
#define CELLA_CLI_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define JOB_WORDS_MAX 512

/* Owned words, NULL-terminated. Zero-initialise. */
struct job {
    char *words[JOB_WORDS_MAX + 1];
    size_t count;
    bool overflow;
};

void job_add(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
void job_done(struct job *job);

/* Processes at work; zero-initialise. */
struct job_pool {
    int running;
    int limit; /* 0: one a processor */
    bool failed;
};

/* Starts `job` when a place is free. `show`: print the command on stderr first. */
CELLA_MUST_USE cella_result job_start(struct job_pool *pool, const struct job *job, bool show,
                                      struct cella_error *error);
/*
 * Runs `job` to its end; of what it writes to stderr, lines with `dropped` in them are left out, and so is the line before
 * each that only says where. INVALID_ARGUMENT when it failed.
 */
CELLA_MUST_USE cella_result job_run_without(const struct job *job, bool show, const char *dropped,
                                            struct cella_error *error);
/* Waits for all. INVALID_ARGUMENT when one of them failed (it has said why itself). */
CELLA_MUST_USE cella_result job_wait(struct job_pool *pool, struct cella_error *error);

#endif
