/*
 * Small files of the host. files.h is the manual.
 * Side: host. Called inside evidence/. Never writes, never waits for a FIFO.
 */
#include "evidence/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

static void close_file(int *file)
{
    if (*file >= 0) {
        close(*file);
    }
}

cella_result files_read(const char *path, struct files_blob *ret_blob)
{
    CELLA_CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    CELLA_ENSURE(file >= 0 || errno != ENOENT, NOT_FOUND);
    CELLA_ENSURE(file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode), IO);
    CELLA_ENSURE((size_t)status.st_size <= FILES_SIZE_MAX, LIMIT_EXCEEDED);
    const size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size + 1);
    CELLA_ENSURE(data, OUT_OF_MEMORY);
    size_t used = 0;
    for (ssize_t got = 1; used < size && got != 0;) {
        got = read(file, data + used, size - used);
        if (got < 0 && errno != EINTR) {
            break;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    if (used != size) {
        free(data);
        return CELLA_RESULT(IO);
    }
    *ret_blob = (struct files_blob){.data = data, .size = size};
    return CELLA_OK;
}

bool files_platform(const char *name, char ret_path[FILES_PATH_SIZE])
{
    const char *chosen = secure_getenv("CELLA_PLATFORM_DIR");
    const char *state = secure_getenv("XDG_STATE_HOME");
    const char *home = secure_getenv("HOME");
    int size = -1;
    if (chosen && *chosen) {
        size = snprintf(ret_path, FILES_PATH_SIZE, "%s/%s", chosen, name);
    } else if (state && *state == '/') {
        size = snprintf(ret_path, FILES_PATH_SIZE, "%s/cella/platform/%s", state, name);
    } else if (home && *home) {
        size = snprintf(ret_path, FILES_PATH_SIZE, "%s/.local/state/cella/platform/%s", home, name);
    }
    return size > 0 && (size_t)size < FILES_PATH_SIZE;
}
