/*
 * Collateral from files and directories; names do not matter, contents do.
 * Side: host. Called by cli/ and services. Never follows a directory more than two levels down.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "evidence/collateral.h"

#define DIRECTORY_DEPTH_MAX 2

static void free_pointer(uint8_t **pointer)
{
    free(*pointer);
}

static void close_file(int *file)
{
    if (*file >= 0) {
        close(*file);
    }
}

static void free_entries(struct dirent ***entries)
{
    free(*entries);
}

static cella_result all_read(int file, uint8_t *data, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(file, data + used, size - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        CELLA_ENSURE(got > 0, IO);
        used += (size_t)got;
    }
    return CELLA_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

cella_result cella_collateral_set_add_file(struct cella_collateral_set *set, const char *path,
                                           size_t *ret_count)
{
    CELLA_CLEANUP(free_pointer) uint8_t *data = NULL;
    CELLA_CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    CELLA_ENSURE(file >= 0, NOT_FOUND);
    CELLA_ENSURE(fstat(file, &status) == 0 && S_ISREG(status.st_mode), IO);
    CELLA_ENSURE((size_t)status.st_size <= COLLATERAL_FILE_MAX, LIMIT_EXCEEDED);
    data = malloc((size_t)status.st_size + 1);
    CELLA_ENSURE(data, OUT_OF_MEMORY);
    CELLA_TRY(all_read(file, data, (size_t)status.st_size));
    return cella_collateral_set_add(
        set, base_name(path), (struct cella_span){.data = data, .size = (size_t)status.st_size},
        ret_count);
}

static cella_result directory_add(struct cella_collateral_set *set, const char *path, int depth);

/* Files that cannot be read or are too big are no collateral; only memory is a reason to stop. */
static cella_result entry_add(struct cella_collateral_set *set, const char *directory,
                              const char *name, int depth)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (name[0] == '.' || length < 0 || (size_t)length >= sizeof(path) ||
        stat(path, &status) != 0) {
        return CELLA_OK;
    }
    if (S_ISDIR(status.st_mode)) {
        return depth < DIRECTORY_DEPTH_MAX ? directory_add(set, path, depth + 1) : CELLA_OK;
    }
    if (!S_ISREG(status.st_mode)) {
        return CELLA_OK;
    }
    cella_result result = cella_collateral_set_add_file(set, path, NULL);
    bool is_fatal = result.code == CELLA_CODE_OUT_OF_MEMORY;
    return is_fatal ? result : CELLA_OK;
}

static cella_result directory_add(struct cella_collateral_set *set, const char *path, int depth)
{
    CELLA_CLEANUP(free_entries) struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    cella_result result = CELLA_OK;
    CELLA_ENSURE(count >= 0, NOT_FOUND);
    for (int i = 0; i < count; i++) {
        if (cella_is_ok(result)) {
            result = entry_add(set, path, entries[i]->d_name, depth);
        }
        free(entries[i]);
    }
    return result;
}

cella_result cella_collateral_set_add_directory(struct cella_collateral_set *set, const char *path)
{
    return directory_add(set, path, 0);
}
