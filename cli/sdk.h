/*
 * Where Cella's headers and libraries are: the build tree this program lies in, or the prefix it is installed in.
 * Side: tools. Called by the commands that build projects. CELLA_SDK overrides.
 * Never guesses: what is not there is an error that names the place.
 */
#ifndef CELLA_CLI_SDK_H
#define CELLA_CLI_SDK_H

#include <stddef.h>

#include "common/error.h"

#define SDK_PATH_MAX 4096

struct sdk {
    char include[2][SDK_PATH_MAX]; /* include roots; the second may be empty */
    char enclave_libraries[SDK_PATH_MAX];
    char host_libraries[SDK_PATH_MAX];
};

CELLA_MUST_USE cella_result sdk_find(struct sdk *ret_sdk, struct cella_error *error);

/* The folder of this program, without a slash at the end. */
CELLA_MUST_USE cella_result sdk_program_folder(char *ret_folder, size_t size,
                                               struct cella_error *error);

#endif
