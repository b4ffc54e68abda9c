/*
 * Roots that the environment names: how a program that knows of no software platform is told to trust one.
 * Side: host. Called by the skins, which say so to whoever reads their output. Never called for an enclave that is not
 * open to debuggers.
 */
#include <stdlib.h>
#include <string.h>

#include "cella/collateral.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "evidence/files.h"

#define VARIABLE "CELLA_INSECURE_ROOTS"

static void blob_done(struct files_blob *blob)
{
    free(blob->data);
}

static cella_result root_add(struct cella_roots *roots, const char *path, struct cella_error *error)
{
    CELLA_CLEANUP(blob_done) struct files_blob blob = {0};
    cella_result result = files_read(path, &blob);
    if (cella_is_ok(result)) {
        result = cella_roots_add(roots, (struct cella_span){.data = blob.data, .size = blob.size});
    }
    return cella_is_ok(result) ? CELLA_OK
                               : cella_error_set(error, result, VARIABLE ": %s: %s", path,
                                                 cella_result_text(result));
}

cella_result cella_roots_add_environment(struct cella_roots *roots, size_t *ret_count,
                                         struct cella_error *error)
{
    char path[FILES_PATH_SIZE];
    const char *at = secure_getenv(VARIABLE);
    size_t count = 0;
    while (at && *at) {
        const size_t size = strcspn(at, ":");
        CELLA_ENSURE(size < sizeof(path), LIMIT_EXCEEDED);
        memcpy(path, at, size);
        path[size] = 0;
        if (strcmp(path, "platform") == 0 &&
            !files_platform("provisioning/collateral/root_ca.pem", path)) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   VARIABLE ": this user has no platform directory");
        }
        if (path[0]) {
            CELLA_TRY(root_add(roots, path, error));
            count++;
        }
        at += size + (at[size] == ':');
    }
    *ret_count = count;
    return CELLA_OK;
}
