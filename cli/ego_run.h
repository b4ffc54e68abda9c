/*
 * Running a program's image with EGo's lines. Shared by `ego run` and bundles.
 * Side: tools.
 */
#ifndef CELLA_CLI_EGO_RUN_H
#define CELLA_CLI_EGO_RUN_H

#include "cli/ego.h"

/* *ret_status: the program's own. `name` is for errors. */
CELLA_MUST_USE cella_result ego_run_image(struct cella_bytes image, const struct go_binary *go,
                                          const char *name, char **arguments, int *ret_status,
                                          struct cella_error *error);

#endif
