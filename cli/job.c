/*
 * Running compilers: argument lists that grow, and a few processes at a time.
 * Side: tools. Called by cella build and run.
 * Never goes through a shell.
 */
#include "cli/job.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void job_add(struct job *job, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *word = NULL;
    if (job->count == JOB_WORDS_MAX || vasprintf(&word, format, arguments) < 0) {
        job->overflow = true;
    } else {
        job->words[job->count++] = word;
    }
    va_end(arguments);
}

void job_done(struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        free(job->words[i]);
    }
    memset(job, 0, sizeof(*job));
}

static void wait_for_one(struct job_pool *pool)
{
    int status;
    pid_t child;
    do {
        child = wait(&status);
    } while (child < 0 && errno == EINTR);
    pool->running--;
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        pool->failed = true;
    }
}

cella_result job_start(struct job_pool *pool, const struct job *job, bool show,
                       struct cella_error *error)
{
    if (job->overflow) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: more than %d arguments",
                               job->words[0], JOB_WORDS_MAX);
    }
    if (pool->limit == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        pool->limit = processors > 0 ? (int)processors : 1;
    }
    while (pool->running >= pool->limit) {
        wait_for_one(pool);
    }
    for (size_t i = 0; show && i < job->count; i++) {
        fprintf(stderr, "%s%c", job->words[i], i + 1 == job->count ? '\n' : ' ');
    }
    pid_t child;
    int failure = posix_spawnp(&child, job->words[0], NULL, NULL, job->words, environ);
    if (failure) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), failure,
                                 "%s: cannot be run (cella doctor says how to install it)",
                                 job->words[0]);
    }
    pool->running++;
    return CELLA_OK;
}

cella_result job_wait(struct job_pool *pool, struct cella_error *error)
{
    while (pool->running > 0) {
        wait_for_one(pool);
    }
    if (pool->failed) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT), "a step failed; see above");
    }
    return CELLA_OK;
}
