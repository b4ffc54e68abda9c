/*
 * Documents of collateral in files. documents.h is the manual.
 * Side: host. Called by quoteprov.c.
 * Never looks anywhere else when CELLA_COLLATERAL_DIR is set.
 */
#include "compat/intel/untrusted/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/state.h"

#define PATH_SIZE 1024u
#define FILE_MAX (1u << 20)

static const uint8_t g_software[INTEL_DOCUMENT_FMSPC_SIZE] = PLATFORM_FMSPC;

/* The software platform's provisioning, by the rule of docs/formats/platform-directory.md. */
static bool platform_folder(const char *below, char ret_path[PATH_SIZE])
{
    const char *chosen = getenv("CELLA_PLATFORM_DIR");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int size = -1;
    if (chosen && *chosen) {
        size = snprintf(ret_path, PATH_SIZE, "%s/" PLATFORM_FOLDER "/%s", chosen, below);
    } else if (state && state[0] == '/') {
        size =
            snprintf(ret_path, PATH_SIZE, "%s/cella/platform/" PLATFORM_FOLDER "/%s", state, below);
    } else if (home && home[0] == '/') {
        size = snprintf(ret_path, PATH_SIZE,
                        "%s/.local/state/cella/platform/" PLATFORM_FOLDER "/%s", home, below);
    }
    return size > 0 && size < (int)PATH_SIZE;
}

/* A file of the first folder that has it: $CELLA_COLLATERAL_DIR/FMSPC, $CELLA_COLLATERAL_DIR, the software platform's. */
static bool document_find(const uint8_t *fmspc, const char *name, struct platform_blob *ret_blob)
{
    const char *directory = getenv("CELLA_COLLATERAL_DIR");
    char path[PATH_SIZE], hex[2 * INTEL_DOCUMENT_FMSPC_SIZE + 1] = "", below[128];
    for (size_t i = 0; fmspc && i < INTEL_DOCUMENT_FMSPC_SIZE; i++) {
        snprintf(hex + 2 * i, 3, "%02x", fmspc[i]);
    }
    if (directory && *directory) {
        snprintf(path, sizeof(path), "%s/%s/%s", directory, hex, name);
        if (cella_is_ok(platform_file_read(path, FILE_MAX, ret_blob, NULL))) {
            return true;
        }
        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return cella_is_ok(platform_file_read(path, FILE_MAX, ret_blob, NULL));
    }
    snprintf(below, sizeof(below), PLATFORM_COLLATERAL "/%s", name);
    return (!fmspc || memcmp(fmspc, g_software, INTEL_DOCUMENT_FMSPC_SIZE) == 0) &&
           platform_folder(below, path) &&
           cella_is_ok(platform_file_read(path, FILE_MAX, ret_blob, NULL));
}

bool intel_document_read(const uint8_t *fmspc, const char *name, uint8_t **ret_data,
                         size_t *ret_size)
{
    struct platform_blob blob = {0};
    if (!document_find(fmspc, name, &blob)) {
        return false;
    }
    *ret_data = blob.data;
    *ret_size = blob.size;
    return true;
}
