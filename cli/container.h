/*
 * cella run --container: a project's or a whole program's image, started by an OCI runtime or a container engine of the machine.
 * Side: tools. Called by cella run. Never talks to a registry or a daemon of its own.
 */
#ifndef CELLA_CLI_CONTAINER_H
#define CELLA_CLI_CONTAINER_H

#include "cli/image_job.h"

#define CONTAINER_EXTRA_MAX 32u

struct container_options {
    const char *signed_program; /* PROGRAM.cella, in place of a project */
    const char *runtime;        /* a name or a path; NULL: the first that is there */
    const char
        *platform; /* the software platform's folder on this machine; NULL: the project's own */
    const char *seccomp; /* a profile; NULL: the one that comes with Cella; "none": none */
    const char *network; /* "none" (NULL) or "host" */
    const char *extra[CONTAINER_EXTRA_MAX]; /* further options for the runtime's `run` */
    unsigned extra_count;
    const char *volumes[CONTAINER_EXTRA_MAX]; /* FOLDER:PATH or FOLDER:PATH:rw */
    unsigned volume_count;
    bool bundle_only; /* leave the bundle there and print its folder */
    char **arguments; /* for the host program */
    int argument_count;
};

/* `project` and `built` are NULL for a signed program. Replaces this process with the runtime's; returns only when that cannot be. */
CELLA_MUST_USE cella_result container_run(const struct project *project,
                                          const struct compile_result *built,
                                          const struct container_options *options,
                                          struct cella_error *error);

#endif
