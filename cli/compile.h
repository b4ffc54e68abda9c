/*
 * From a project's sources to its host program and its signed image.
 * Side: tools. Called by cella build and run.
 * Never writes outside the project's build folder.
 */
#ifndef CELLA_CLI_COMPILE_H
#define CELLA_CLI_COMPILE_H

#include "cli/project.h"
#include "cli/sdk.h"

struct compile_options {
    bool verbose;    /* print each command */
    bool rebuild;    /* even what is up to date */
    const char *key; /* PEM, over the project's; may be NULL */
};

/* What came out; paths are relative to the working directory if the project's folder was. */
struct compile_result {
    char host[4608];
    char image[4608];
    bool up_to_date;
    char folder[4608]; /* where the other two start, and the program has to be run; may be empty */
};

CELLA_MUST_USE cella_result compile_project(const struct project *project, const struct sdk *sdk,
                                            const struct compile_options *options,
                                            struct compile_result *ret_result,
                                            struct cella_error *error);

/* The same for a project with a build of its own: runs its command in its folder, and finds what it has made. */
CELLA_MUST_USE cella_result compile_by_itself(const struct project *project,
                                              const struct compile_options *options,
                                              struct compile_result *ret_result,
                                              struct cella_error *error);

/* Whichever of the two it is. */
CELLA_MUST_USE cella_result compile_any(const struct project *project,
                                        const struct compile_options *options,
                                        struct compile_result *ret_result,
                                        struct cella_error *error);

#endif
