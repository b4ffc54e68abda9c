/*
 * Running compilers: argument lists that grow, and a few processes at a time.
 * Side: tools. Called by cella build and run.
 * Never goes through a shell.
 */
#include "cli/job.h"

#include <errno.h>
#include <fcntl.h>
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

static void print_words(const struct job *job, bool show)
{
    for (size_t i = 0; show && i < job->count; i++) {
        fprintf(stderr, "%s%c", job->words[i], i + 1 == job->count ? '\n' : ' ');
    }
}

static cella_result spawn(const struct job *job, const posix_spawn_file_actions_t *actions,
                          pid_t *ret_child, struct cella_error *error)
{
    if (job->overflow) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: more than %d arguments",
                               job->words[0], JOB_WORDS_MAX);
    }
    int failure = posix_spawnp(ret_child, job->words[0], actions, NULL, job->words, environ);
    if (failure) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), failure,
                                 "%s: cannot be run (cella doctor says how to install it)",
                                 job->words[0]);
    }
    return CELLA_OK;
}

/* "FILE: in function `NAME':" only says where; it is printed with what follows, or not at all. */
static void copy_without(FILE *from, const char *dropped)
{
    char line[4096], held[4096] = "";
    while (fgets(line, sizeof(line), from)) {
        if (strstr(line, dropped)) {
            held[0] = '\0';
            continue;
        }
        fputs(held, stderr);
        held[0] = '\0';
        if (strstr(line, ": in function `")) {
            strcpy(held, line);
        } else {
            fputs(line, stderr);
        }
    }
    fputs(held, stderr);
}

cella_result job_run_without(const struct job *job, bool show, const char *dropped,
                             struct cella_error *error)
{
    int ends[2], status = 0;
    pid_t child = -1;
    posix_spawn_file_actions_t actions;
    print_words(job, show);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "pipe");
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    cella_result result = spawn(job, &actions, &child, error);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    if (cella_is_ok(result) && from) {
        copy_without(from, dropped);
    }
    if (from) {
        fclose(from);
    }
    if (cella_is_ok(result)) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            result =
                cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT), "a step failed; see above");
        }
    }
    return result;
}

cella_result job_start(struct job_pool *pool, const struct job *job, bool show,
                       struct cella_error *error)
{
    if (pool->limit == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        pool->limit = processors > 0 ? (int)processors : 1;
    }
    while (pool->running >= pool->limit) {
        wait_for_one(pool);
    }
    print_words(job, show);
    pid_t child;
    CELLA_TRY(spawn(job, NULL, &child, error));
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
