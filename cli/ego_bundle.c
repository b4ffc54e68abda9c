/*
 * `ego bundle`: a signed executable behind a program that runs it: one file. The same footer as signing has
 * (docs/formats/attached-image.md): the program is the loader, what is attached is the signed executable.
 * Side: tools. Called by ego.c.
 */
#include <string.h>
#include <unistd.h>

#include "cli/ego.h"
#include "cli/sdk.h"
#include "common/cleanup.h"

#define LOADER "ego-bundle-loader"

/* In the folder of this program, or in libexec. */
static cella_result find_loader(char *ret_path, size_t size, struct cella_error *error)
{
    char folder[SDK_PATH_MAX];
    CELLA_TRY(sdk_program_folder(folder, sizeof(folder), error));
    const char *const places[] = {"", "/../libexec/cella"};
    for (size_t i = 0; i < CELLA_COUNT(places); i++) {
        if ((size_t)snprintf(ret_path, size, "%s%s/" LOADER, folder, places[i]) < size &&
            access(ret_path, R_OK) == 0) {
            return CELLA_OK;
        }
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: no " LOADER " beside this program",
                           folder);
}

static cella_result check(const struct ego_executable *executable, struct cella_error *error)
{
    struct cella_attach_parts inner;
    struct go_binary go = {0};
    const struct cella_bytes attached = executable->parts.image;
    if (attached.size != 0 && cella_is_ok(cella_attach_parse(attached, &inner, NULL)) &&
        inner.image.size != 0) {
        return cella_error_set(error, CELLA_RESULT(WRONG_STATE), "file is already bundled");
    }
    if (!cella_is_ok(go_binary_parse(executable->parts.program, &go, NULL))) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "file is not an EGo Binary");
    }
    if (attached.size == 0) {
        return cella_error_set(error, CELLA_RESULT(WRONG_STATE),
                               "enclave has not been signed yet with 'ego sign'");
    }
    return CELLA_OK;
}

static cella_result bundle(const char *path, const char *output_path, struct cella_error *error)
{
    CELLA_CLEANUP(ego_executable_done) struct ego_executable executable = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file loader = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    char loader_path[EGO_PATH_MAX];
    CELLA_TRY(ego_executable_read(path, "", &executable, error));
    CELLA_TRY(check(&executable, error));
    CELLA_TRY(find_loader(loader_path, sizeof(loader_path), error));
    CELLA_TRY(cella_file_read(loader_path, EGO_FILE_MAX, &loader, error));
    CELLA_TRY(
        cella_attach_write(cella_file_bytes(&loader), cella_file_bytes(&executable.file), &output));
    return cella_file_write(output_path, output.data, output.size, 0775, error);
}

int ego_bundle(int argc, char **argv)
{
    struct cella_error error = {0};
    char name[EGO_PATH_MAX];
    const char *slash = strrchr(argv[1], '/');
    snprintf(name, sizeof(name), "%s-bundle", slash ? slash + 1 : argv[1]);
    const char *output = argc > 2 ? argv[2] : name;
    const cella_result result = bundle(argv[1], output, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "Error: %s\n", error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    printf("Saved bundle as: %s\n", output);
    return 0;
}
