/*
 * Where Cella's headers and libraries are.
 * Side: tools. Called by the commands that build projects.
 * Never guesses: what is not there is an error that names the place.
 */
#include "cli/sdk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Both are set by bin/meson.build. */
#ifndef CELLA_LIBDIR
#define CELLA_LIBDIR "lib"
#endif
#ifndef CELLA_SOURCE_ROOT
#define CELLA_SOURCE_ROOT ""
#endif

static bool join(char *ret_path, const char *folder, const char *name)
{
    int written = snprintf(ret_path, SDK_PATH_MAX, "%s/%s", folder, name);
    return written > 0 && written < SDK_PATH_MAX;
}

static bool holds(const char *folder, const char *name)
{
    char path[SDK_PATH_MAX];
    return join(path, folder, name) && access(path, R_OK) == 0;
}

cella_result sdk_program_folder(char *ret_folder, size_t size, struct cella_error *error)
{
    ssize_t length = readlink("/proc/self/exe", ret_folder, size - 1);
    if (length <= 0 || (size_t)length >= size - 1) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "/proc/self/exe");
    }
    ret_folder[length] = '\0';
    *strrchr(ret_folder, '/') = '\0';
    return CELLA_OK;
}

/* An installed prefix: include/cella-sdk and LIBDIR. */
static bool from_prefix(struct sdk *sdk, const char *prefix)
{
    sdk->include[1][0] = '\0';
    return join(sdk->include[0], prefix, "include/cella-sdk") &&
           holds(sdk->include[0], "cella/enclave.h") &&
           join(sdk->enclave_libraries, prefix, CELLA_LIBDIR) &&
           holds(sdk->enclave_libraries, "libcella_enclave.a") &&
           join(sdk->host_libraries, prefix, CELLA_LIBDIR);
}

/* A build folder: the libraries lie beside bin/, the headers in the source tree. */
static bool from_build(struct sdk *sdk, const char *build)
{
    return holds(CELLA_SOURCE_ROOT, "include/cella/enclave.h") &&
           join(sdk->include[0], CELLA_SOURCE_ROOT, "include") &&
           join(sdk->include[1], CELLA_SOURCE_ROOT, ".") &&
           join(sdk->enclave_libraries, build, "enclave") &&
           holds(sdk->enclave_libraries, "libcella_enclave.a") &&
           join(sdk->host_libraries, build, "host");
}

cella_result sdk_find(struct sdk *ret_sdk, struct cella_error *error)
{
    char folder[SDK_PATH_MAX], parent[SDK_PATH_MAX];
    const char *told = getenv("CELLA_SDK");
    if (told && *told) {
        if (from_prefix(ret_sdk, told)) {
            return CELLA_OK;
        }
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "CELLA_SDK=%s: no include/cella-sdk/cella/enclave.h or no "
                               "%s/libcella_enclave.a there",
                               told, CELLA_LIBDIR);
    }
    CELLA_TRY(sdk_program_folder(folder, sizeof(folder), error));
    if (join(parent, folder, "..") &&
        (from_build(ret_sdk, parent) || from_prefix(ret_sdk, parent))) {
        return CELLA_OK;
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           "%s: Cella's headers and libraries are not beside this program; set "
                           "CELLA_SDK to the prefix where they are installed",
                           folder);
}
