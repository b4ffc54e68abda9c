/*
 * The program in front of a bundle: runs the signed executable that is attached to it.
 * Side: tools. A program of its own, which `ego bundle` copies.
 */
#include <string.h>
#include <unistd.h>

#include "cli/ego_run.h"
#include "common/cleanup.h"

static cella_result run(char **arguments, int *ret_status, struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable bundle = {0};
    struct cella_attach_parts inner;
    struct go_binary go = {0};
    char path[EGO_PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (size < 0) {
        return cella_error_set(error, CELLA_RESULT(IO), "/proc/self/exe cannot be read");
    }
    path[size] = 0;
    CELLA_TRY(ego_executable_read(path, "", &bundle, error));
    if (bundle.parts.image.size == 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "executable does not contain an enclave bundle");
    }
    CELLA_TRY(cella_attach_parse(bundle.parts.image, &inner, error));
    if (inner.image.size == 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE), EGO_ERROR_UNSIGNED);
    }
    CELLA_TRY(go_binary_parse(inner.program, &go, error));
    return ego_run_image(inner.image, &go, path, arguments, ret_status, error);
}

int main(int argc, char **argv)
{
    struct cella_error error = {0};
    int status = 1;
    (void)argc;
    fprintf(stderr, "EGo (bundled) v" EGO_VERSION "\n");
    const cella_result result = run(argv + 1, &status, &error);
    if (!cella_is_ok(result)) {
        error.result = result;
        ego_explain(&error);
        return 1;
    }
    return status;
}
