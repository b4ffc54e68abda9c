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

/*
 * The prefix that holds the two skins as an installation has them: bin/, share/pkgconfig/, sgxsdk/. A program in a build
 * tree installs its own tree into the build folder for that, each time, as far as something has changed.
 */
CELLA_MUST_USE cella_result sdk_prefix(char *ret_prefix, size_t size, struct cella_error *error);

/* What a build for the Open Enclave SDK or the Intel SGX SDK looks for. */
#define SDK_VARIABLES_MAX 8
struct sdk_variable {
    const char *name;
    char value[8 * SDK_PATH_MAX];
};
struct sdk_environment {
    struct sdk_variable variables[SDK_VARIABLES_MAX];
    unsigned count;
};

/* Search paths keep what they hold already, behind the prefix's own place. */
CELLA_MUST_USE cella_result sdk_environment(struct sdk_environment *ret_environment,
                                            struct cella_error *error);

/* The folder of this program, without a slash at the end. */
CELLA_MUST_USE cella_result sdk_program_folder(char *ret_folder, size_t size,
                                               struct cella_error *error);

#endif
