/*
 * A program's image in an enclave. ego_enter.h is the manual.
 * Side: tools. Called by ego_run.c.
 */
#include "cli/ego_enter.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/program_run.h"
#include "cli/program_service.h"
#include "image/image.h"

#define PATH_SIZE 4096

cella_result ego_load(struct cella_bytes image, const char *name, cella_enclave **ret_enclave,
                      struct cella_error *error)
{
    struct cella_image parsed;
    CELLA_TRY(cella_image_parse(image, &parsed, error));
    /* Signed with debug is run with debug, as EGo does it. */
    const bool debug = (parsed.sigstruct.attributes.flags & SGX_FLAGS_DEBUG) != 0;
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_NETWORK | (debug ? CELLA_ENCLAVE_DEBUG : 0),
        .file_root = "/",
        .service = program_service,
    };
    return cella_enclave_create_bytes(image.data, image.size, name, &options, ret_enclave, error);
}

cella_result ego_enter(cella_enclave *enclave, char **arguments, int *ret_status,
                       struct cella_error *error)
{
    char directory[PATH_SIZE];
    if (!getcwd(directory, sizeof(directory))) {
        strcpy(directory, "/");
    }
    setenv("EDG_CWD", directory, 1); /* as EGo tells its programs */
    return program_enter(enclave, arguments, 0, ret_status, error);
}
