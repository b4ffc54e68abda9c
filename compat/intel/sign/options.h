/*
 * The options of sgx_sign, as the Intel SGX SDK's takes and refuses them.
 * Side: tools. Called by main.c. Never looks at a file.
 */
#ifndef COMPAT_INTEL_SIGN_OPTIONS_H
#define COMPAT_INTEL_SIGN_OPTIONS_H

#include <stdbool.h>

enum sign_mode { SIGN_MODE_SIGN, SIGN_MODE_GENDATA, SIGN_MODE_CATSIG, SIGN_MODE_DUMP };

enum sign_path {
    SIGN_ENCLAVE,
    SIGN_CONFIG,
    SIGN_KEY,
    SIGN_OUT,
    SIGN_SIG,
    SIGN_UNSIGNED,
    SIGN_DUMPFILE,
    SIGN_CSSFILE,
    SIGN_PATH_COUNT
};

struct sign_options {
    enum sign_mode mode;
    const char *command;
    const char *path[SIGN_PATH_COUNT]; /* NULL: not given */
    bool resign;
};

/* -1: go on; else the exit status, everything having been said. */
int sign_options_parse(int argc, char **argv, struct sign_options *ret_options);

#endif
