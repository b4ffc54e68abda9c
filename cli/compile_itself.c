/*
 * Projects with a build of their own (make, cmake ...), written for the Open Enclave SDK or the Intel SGX SDK.
 * Side: tools. Called by cella build and run.
 * Never knows what the command does; only what must be there when it is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/compile.h"
#include "cli/job.h"
#include "common/cleanup.h"

static cella_result take_environment(struct cella_error *error)
{
    static struct sdk_environment environment; /* large; one project at a time */
    CELLA_TRY(sdk_environment(&environment, error));
    for (unsigned i = 0; i < environment.count; i++) {
        if (setenv(environment.variables[i].name, environment.variables[i].value, 1) < 0) {
            return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: no memory to set it",
                                   environment.variables[i].name);
        }
    }
    return CELLA_OK;
}

static cella_result run_command(const struct project *project, bool show, struct cella_error *error)
{
    CELLA_CLEANUP(job_done) struct job job = {0};
    struct job_pool pool = {0};
    for (unsigned i = 0; i < project->build.count; i++) {
        job_add(&job, "%s", project->build.words[i]);
    }
    CELLA_TRY(job_start(&pool, &job, show, error));
    return job_wait(&pool, error);
}

static cella_result run_in_folder(const struct project *project, bool show,
                                  struct cella_error *error)
{
    char back[4096];
    if (!getcwd(back, sizeof(back)) || chdir(project->folder) < 0) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "%s", project->folder);
    }
    cella_result result = run_command(project, show, error);
    const char *const made[] = {project->host, project->image};
    for (size_t i = 0; cella_is_ok(result) && i < CELLA_COUNT(made); i++) {
        if (access(made[i], R_OK) < 0) {
            result = cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                     "%s/%s: '%s ...' ended well but has not made it",
                                     project->folder, made[i], project->build.words[0]);
        }
    }
    if (chdir(back) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", back);
    }
    return result;
}

cella_result compile_by_itself(const struct project *project, const struct compile_options *options,
                               struct compile_result *ret_result, struct cella_error *error)
{
    if (options->key || options->rebuild) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s/%s: --key and --rebuild are for the project's own build ('%s') "
                               "to do",
                               project->folder, PROJECT_FILE, project->build.words[0]);
    }
    CELLA_TRY(take_environment(error));
    CELLA_TRY(run_in_folder(project, options->verbose, error));
    snprintf(ret_result->folder, sizeof(ret_result->folder), "%s", project->folder);
    snprintf(ret_result->host, sizeof(ret_result->host), "%s%s",
             strchr(project->host, '/') ? "" : "./", project->host);
    snprintf(ret_result->image, sizeof(ret_result->image), "%s", project->image);
    return CELLA_OK;
}

cella_result compile_any(const struct project *project, const struct compile_options *options,
                         struct compile_result *ret_result, struct cella_error *error)
{
    static struct sdk sdk;
    if (project_builds_itself(project)) {
        return compile_by_itself(project, options, ret_result, error);
    }
    CELLA_TRY(sdk_find(&sdk, error));
    return compile_project(project, &sdk, options, ret_result, error);
}
