/*
 * Whole files for the commands: read, and written so that a reader never sees half of one.
 * Side: tools. Called inside cli/. Never follows a partial write with a rename.
 */
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

static void close_cleanup(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static void free_cleanup(char **text)
{
    free(*text);
}

void cella_file_done(struct cella_file *file)
{
    free(file->data);
    *file = (struct cella_file){0};
}

cella_result cella_file_read(const char *path, size_t limit, struct cella_file *ret_file,
                             struct cella_error *error)
{
    CELLA_CLEANUP(close_cleanup) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct stat status;

    /* O_NONBLOCK: a pipe of that name, which is refused below, must not keep anybody waiting. */
    if (fd < 0 || fstat(fd, &status) != 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    if (!S_ISREG(status.st_mode)) {
        return cella_error_set(error, CELLA_RESULT(IO), "%s: not a regular file", path);
    }
    if ((uint64_t)status.st_size > limit) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s: %lld bytes; at most %zu are read", path,
                               (long long)status.st_size, limit);
    }
    file.data = malloc((size_t)status.st_size + 1);
    CELLA_ENSURE(file.data != NULL, OUT_OF_MEMORY);
    while (file.size < (size_t)status.st_size) {
        ssize_t got = read(fd, file.data + file.size, (size_t)status.st_size - file.size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
        }
        if (got == 0) {
            break; /* shrunk under our hands: what was read is what there is */
        }
        file.size += (size_t)got;
    }
    ret_file->size = file.size;
    ret_file->data = CELLA_TAKE(file.data);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        CELLA_ENSURE(put > 0, IO);
        data += put;
        size -= (size_t)put;
    }
    return CELLA_OK;
}

cella_result cella_file_write(const char *path, const void *data, size_t size, mode_t mode,
                              struct cella_error *error)
{
    CELLA_CLEANUP(free_cleanup) char *temporary = NULL;

    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    CELLA_CLEANUP(close_cleanup) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    if (!cella_is_ok(write_all(fd, data, size)) || fchmod(fd, mode) != 0 ||
        rename(temporary, path) != 0) {
        int saved_errno = errno;
        unlink(temporary);
        return cella_error_errno(error, CELLA_RESULT(IO), saved_errno, "%s", path);
    }
    return CELLA_OK;
}
