/*
 * Modules whose go.mod asks for a newer Go than the one that is here.
 * Side: tools. Called by ego-go. EGo's toolchain only warns of them; a stock one refuses, and is shown go.mod files that
 * ask for what it is (-overlay). The files themselves are not touched.
 */
#ifndef CELLA_CLI_GO_NEWER_H
#define CELLA_CLI_GO_NEWER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct go_newer {
    char folder[64]; /* temporary; empty: nothing was needed */
};

/*
 * For the module of the working directory, and those in folders that it names in place of others. Adds -overlay to GOFLAGS
 * and says so on stderr. What comes from elsewhere and is too new stays refused by go.
 */
CELLA_MUST_USE cella_result go_newer_prepare(const char *go, struct go_newer *newer,
                                             struct cella_error *error);
void go_newer_done(struct go_newer *newer);

#endif
