/*
 * A whole program's image in an enclave: loaded, entered, signals passed on, and what it ended with.
 * Side: tools. Called by cmd_build.c (cella run) and ego_enter.c.
 */
#ifndef CELLA_CLI_PROGRAM_RUN_H
#define CELLA_CLI_PROGRAM_RUN_H

#include <stdbool.h>

#include "cella/host.h"
#include "common/bytes.h"

struct program_run_options {
    bool trace; /* each system call on standard error; images signed for debugging only */
    bool stats; /* on standard error, at the end */
};

/* Whether `path` is a file that starts as an image of a program. */
bool program_run_is_image(const char *path);

/* Runs it with these arguments (NULL-terminated) behind its own. *ret_status: the exit status, as a shell has it. */
CELLA_MUST_USE cella_result program_run(const char *path, char **arguments,
                                        const struct program_run_options *options, int *ret_status,
                                        struct cella_error *error);

/*
 * Enters a loaded program. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH go to it from now on, unless this
 * process ignores them. `flags`: CELLA_CALL_PROGRAM_*.
 */
CELLA_MUST_USE cella_result program_enter(cella_enclave *enclave, char **arguments, uint32_t flags,
                                          int *ret_status, struct cella_error *error);

/* `cella run [--trace=syscalls] [--stats] PROGRAM.cella [ARGUMENT...]`: -1 where the line is none of these. */
int program_run_line(int argc, char **argv);

#endif
