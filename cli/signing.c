/*
 * What every command that signs does: keys, dates, the measurement of what was built.
 * Side: tools. Called inside cli/. Never prints a private key.
 */
#include "cli/signing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/file.h"
#include "common/cleanup.h"

#define PATH_SIZE 4096u

cella_result signing_date(uint32_t *ret_date, struct cella_error *error)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    long long seconds = (long long)time(NULL);

    if (text) {
        char *end;
        errno = 0;
        seconds = strtoll(text, &end, 10);
        if (errno || end == text || *end || cella_sigstruct_date(seconds) == 0) {
            return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                                   "SOURCE_DATE_EPOCH is '%s'; expected seconds since 1970", text);
        }
    }
    *ret_date = cella_sigstruct_date(seconds);
    return CELLA_OK;
}

/* $XDG_STATE_HOME/cella/debug-key.pem, its folder made. */
static CELLA_MUST_USE cella_result debug_key_path(char *path, size_t size,
                                                  struct cella_error *error)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    bool own = state && state[0] == '/';
    int used;

    if (!own && (!home || home[0] != '/')) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "no place for a debug key: HOME is not set; give --key");
    }
    used = snprintf(path, size, "%s%s/cella/debug-key.pem", own ? state : home,
                    own ? "" : "/.local/state");
    if (used < 0 || (size_t)used >= size) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "the path of the debug key is too long; give --key");
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
        if (failed) {
            return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
        }
        *slash = '/';
    }
    return CELLA_OK;
}

cella_result signing_key_read(const char *path, bool is_private, struct cella_key *ret_key,
                              struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    CELLA_TRY(cella_file_read(path, SIGNING_KEY_FILE_MAX, &file, error));
    cella_result result = cella_key_read(cella_file_bytes(&file), is_private, path, ret_key, error);
    explicit_bzero(file.data, file.size);
    return result;
}

cella_result signing_debug_key(const char *command, struct cella_key *ret_key,
                               struct cella_error *error)
{
    char path[PATH_SIZE];
    char *pem;
    size_t size;
    const char *made = "";

    CELLA_TRY(debug_key_path(path, sizeof(path), error));
    if (access(path, F_OK) == 0) {
        CELLA_TRY(signing_key_read(path, true, ret_key, error));
    } else {
        CELLA_TRY(cella_key_generate(ret_key, error));
        CELLA_TRY(cella_key_write(ret_key, &pem, &size));
        cella_result result = cella_file_write(path, pem, size, 0600, error);
        explicit_bzero(pem, size);
        free(pem);
        CELLA_TRY(result);
        made = ", made now";
    }
    fprintf(stderr, "%s: no --key: signed for debugging only, with %s%s\n", command, path, made);
    return CELLA_OK;
}

cella_result signing_measure(const struct cella_buffer *output, uint8_t *ret_hash,
                             struct cella_image *ret_image, struct cella_error *error)
{
    CELLA_TRY(cella_image_parse(cella_buffer_bytes(output), ret_image, error));
    return cella_image_measure(ret_image, ret_hash);
}
