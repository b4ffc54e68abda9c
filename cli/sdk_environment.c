/*
 * The environment in which builds written for the Open Enclave SDK or the Intel SGX SDK find Cella instead.
 * Side: tools. Called by cella env, and by cella build and run for projects with a build of their own.
 * Never sets a variable itself.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/job.h"
#include "cli/sdk.h"
#include "common/cleanup.h"

/* Set by bin/meson.build. */
#ifndef CELLA_PREFIX
#define CELLA_PREFIX "/usr/local"
#endif

static bool holds(const char *prefix, const char *name)
{
    char path[SDK_PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", prefix, name);
    return access(path, R_OK) == 0;
}

static bool is_prefix(const char *prefix)
{
    return holds(prefix, "sgxsdk/environment") && holds(prefix, "share/openenclave/openenclaverc");
}

/* BUILD/stage/PREFIX, brought up to date. */
static cella_result stage(const char *build, char *ret_prefix, size_t size,
                          struct cella_error *error)
{
    CELLA_CLEANUP(job_done) struct job job = {0};
    job_add(&job, "meson");
    job_add(&job, "install");
    job_add(&job, "-C");
    job_add(&job, "%s", build);
    job_add(&job, "--no-rebuild");
    job_add(&job, "--only-changed");
    job_add(&job, "--quiet");
    job_add(&job, "--destdir");
    job_add(&job, "%s/stage", build);
    struct job_pool pool = {0};
    CELLA_TRY(job_start(&pool, &job, false, error));
    CELLA_TRY(job_wait(&pool, error));
    snprintf(ret_prefix, size, "%s/stage%s", build, CELLA_PREFIX);
    return CELLA_OK;
}

cella_result sdk_prefix(char *ret_prefix, size_t size, struct cella_error *error)
{
    char folder[SDK_PATH_MAX], parent[SDK_PATH_MAX + 4];
    const char *told = getenv("CELLA_SDK");
    if (told && *told) {
        snprintf(ret_prefix, size, "%s", told);
    } else {
        CELLA_TRY(sdk_program_folder(folder, sizeof(folder), error));
        snprintf(parent, sizeof(parent), "%s/..", folder);
        char real[PATH_MAX];
        if (!realpath(parent, real)) {
            return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "%s", parent);
        }
        if (holds(real, "build.ninja")) {
            CELLA_TRY(stage(real, ret_prefix, size, error));
        } else {
            snprintf(ret_prefix, size, "%s", real);
        }
    }
    if (!is_prefix(ret_prefix)) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "%s: no sgxsdk/environment or no "
                               "share/openenclave/openenclaverc there: install Cella into a prefix "
                               "(make install PREFIX=...) and set CELLA_SDK to it",
                               ret_prefix);
    }
    return CELLA_OK;
}

static void add(struct sdk_environment *environment, const char *name, const char *prefix,
                const char *place)
{
    struct sdk_variable *variable = &environment->variables[environment->count++];
    variable->name = name;
    snprintf(variable->value, sizeof(variable->value), "%s%s", prefix, place);
}

/* `places` is NULL-terminated. What the variable holds already stays behind them. */
static void add_search(struct sdk_environment *environment, const char *name, const char *prefix,
                       const char *const *places)
{
    add(environment, name, prefix, places[0]);
    struct sdk_variable *variable = &environment->variables[environment->count - 1];
    size_t length = strlen(variable->value);
    for (places++; *places; places++) {
        length += (size_t)snprintf(variable->value + length, sizeof(variable->value) - length,
                                   ":%s%s", prefix, *places);
    }
    const char *old = getenv(name);
    if (old && *old && strncmp(old, variable->value, length) != 0) {
        snprintf(variable->value + length, sizeof(variable->value) - length, ":%s", old);
    }
}

cella_result sdk_environment(struct sdk_environment *ret_environment, struct cella_error *error)
{
    char prefix[SDK_PATH_MAX / 8];
    *ret_environment = (struct sdk_environment){0};
    CELLA_TRY(sdk_prefix(prefix, sizeof(prefix), error));
    static const char *const programs[] = {"/bin", "/sgxsdk/bin", "/sgxsdk/bin/x64", NULL};
    static const char *const packages[] = {"/share/pkgconfig", "/sgxsdk/pkgconfig", NULL};
    static const char *const cmake[] = {"/lib/openenclave/cmake", NULL};
    static const char *const libraries[] = {"/sgxsdk/sdk_libs", NULL};
    add_search(ret_environment, "PATH", prefix, programs);
    add_search(ret_environment, "PKG_CONFIG_PATH", prefix, packages);
    add_search(ret_environment, "CMAKE_PREFIX_PATH", prefix, cmake);
    add_search(ret_environment, "LIBRARY_PATH", prefix, libraries);
    add_search(ret_environment, "LD_LIBRARY_PATH", prefix, libraries);
    add(ret_environment, "SGX_SDK", prefix, "/sgxsdk");
    return CELLA_OK;
}
