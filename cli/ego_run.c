/*
 * `ego run` and `ego marblerun`: a signed executable in an enclave, with EGo's lines, checks and exit statuses.
 * Side: tools. Called by ego.c and by bundles (ego_bundle_main.c).
 */
#include "cli/ego_run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ego_enter.h"
#include "common/cleanup.h"

#define DEVICE "/dev/sgx_enclave"
/* OE_SIMULATION=1 is the software processor; without it only hardware will do, unless Cella's own variable says otherwise. */
static cella_result choose_processor(struct cella_error *error)
{
    const char *simulation = getenv("OE_SIMULATION");
    if (simulation && strcmp(simulation, "1") == 0) {
        ego_say("[erthost] running in simulation mode");
        setenv("CELLA_PROCESSOR", "software", 1);
        setenv("CELLA_INSECURE_ROOTS", "platform", 0); /* believed by debug enclaves only */
    } else if (!getenv("CELLA_PROCESSOR") && access(DEVICE, F_OK) != 0) {
        return cella_error_set(error, CELLA_RESULT(NO_DEVICE), EGO_ERROR_NO_SGX);
    }
    return CELLA_OK;
}

/* What went wrong, in the words that EGo looks for. */
static void translate(cella_result result, struct cella_error *error)
{
    switch (result.code) {
    case CELLA_CODE_MEASUREMENT_MISMATCH:
    case CELLA_CODE_BAD_SIGNATURE:
        cella_ignore(cella_error_set(error, result, EGO_ERROR_MEASUREMENT));
        break;
    case CELLA_CODE_NO_DEVICE:
        cella_ignore(cella_error_set(error, result, EGO_ERROR_NO_SGX));
        break;
    default:
        error->result = result;
    }
}

cella_result ego_run_image(struct cella_bytes image, const struct go_binary *go, const char *name,
                           char **arguments, int *ret_status, struct cella_error *error)
{
    char value[32];
    cella_enclave *enclave = NULL;
    CELLA_TRY(choose_processor(error));
    ego_say("[erthost] loading enclave ...");
    cella_result result = ego_load(image, name, &enclave, error);
    if (!cella_is_ok(result)) {
        translate(result, error);
        return result;
    }
    ego_say("[erthost] entering enclave ...");
    if (go_binary_setting(go, "GOFIPS140", value, sizeof(value)) && strcmp(value, "off") != 0) {
        ego_say("[ego] FIPS 140 enabled"); /* Go's own module, as the build asked for it */
    }
    ego_say("[ego] starting application ...");
    result = ego_enter(enclave, arguments, ret_status, error);
    cella_enclave_destroy(enclave);
    return result;
}

static cella_result run(const char *path, char **arguments, int *ret_status,
                        struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    CELLA_TRY(ego_executable_read(path, "opening file: ", &executable, error));
    CELLA_TRY(ego_executable_check(&executable, error));
    if (executable.parts.image.size == 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE), EGO_ERROR_UNSIGNED);
    }
    return ego_run_image(executable.parts.image, &executable.go, path, arguments, ret_status,
                         error);
}

int ego_run(int argc, char **argv)
{
    struct cella_error error = {0};
    int status = 1;
    (void)argc;
    const cella_result result = run(argv[1], argv + 2, &status, &error);
    if (!cella_is_ok(result)) {
        error.result = result;
        ego_explain(&error);
        return 1;
    }
    return status;
}

/* The kernel in the image activates the Marble before the program's first instruction; arguments are the manifest's. */
int ego_marblerun(int argc, char **argv)
{
    char *arguments[] = {argv[0], argv[1], NULL};
    (void)argc;
    setenv("EDG_EGO_PREMAIN", "1", 1);
    return ego_run(2, arguments);
}
