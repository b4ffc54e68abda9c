/*
 * Files: reading them whole, and where imports are looked for.
 * Side: tools. Called inside edl/. Never reads more than EDL_FILE_SIZE_MAX.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edl/internal.h"

const struct edl_source *edl_source_add(struct cella_edl *edl, const char *path, const char *data,
                                        size_t size)
{
    if (edl->sources.count >= EDL_FILE_COUNT_MAX) {
        edl_error_nowhere(edl, "%s: more than %u files are read", path, EDL_FILE_COUNT_MAX);
        return NULL;
    }
    uint32_t index = (uint32_t)edl->sources.count;
    struct edl_source *source = cella_edl_push(&edl->arena, &edl->sources, sizeof *source);
    *source = (struct edl_source){.path = path, .data = data, .size = size, .index = index};
    /* The list moves when it grows; callers keep a copy that does not. */
    struct edl_source *copy = cella_edl_alloc(&edl->arena, sizeof *copy);
    *copy = *source;
    return copy;
}

/* Reads up to `limit` bytes into the arena; -1 with errno. */
static ssize_t read_all(int descriptor, char *data, size_t limit)
{
    size_t size = 0;
    while (size < limit) {
        ssize_t got = read(descriptor, data + size, limit - size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        size += (size_t)got;
    }
    return (ssize_t)size;
}

const struct edl_source *edl_source_read(struct cella_edl *edl, const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        edl_error_nowhere(edl, "%s: %s", path, strerror(errno));
        if (descriptor >= 0) {
            close(descriptor);
        }
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > EDL_FILE_SIZE_MAX) {
        close(descriptor);
        edl_error_nowhere(edl,
                          S_ISREG(status.st_mode) ? "%s: larger than %zu bytes"
                                                  : "%s: not a regular file (limit %zu bytes)",
                          path, EDL_FILE_SIZE_MAX);
        return NULL;
    }
    char *data = malloc((size_t)status.st_size + 1);
    ssize_t size = data ? read_all(descriptor, data, (size_t)status.st_size) : -1;
    int saved_errno = data ? errno : ENOMEM;
    close(descriptor);
    if (size < 0) {
        free(data);
        edl_error_nowhere(edl, "%s: %s", path, strerror(saved_errno));
        return NULL;
    }
    char *kept = cella_edl_copy(&edl->arena, data, (size_t)size);
    free(data);
    return edl_source_add(edl, path, kept, (size_t)size);
}

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static const char *in_folder(struct cella_edl *edl, const char *folder, const char *name)
{
    const char *path = cella_edl_format(&edl->arena, "%s/%s", folder, name);
    return is_file(path) ? path : NULL;
}

static const char *in_search_paths(struct cella_edl *edl, const char *name)
{
    for (size_t i = 0; i < edl->options.search_path_count; i++) {
        const char *path = in_folder(edl, edl->options.search_paths[i], name);
        if (path) {
            return path;
        }
    }
    return NULL;
}

/*
 * Open Enclave: the name as it is, then the search paths. Intel: the search paths, then the working folder. Cella: the
 * importing file's folder, the working folder, the search paths.
 */
const char *edl_find(struct cella_edl *edl, const char *name, const char *from)
{
    const char *found = NULL;
    if (name[0] == '\0') {
        return NULL;
    }
    if (name[0] == '/') {
        return is_file(name) ? name : NULL;
    }
    if (edl_is_intel(edl)) {
        found = in_search_paths(edl, name);
        found = found ? found : in_folder(edl, ".", name);
    } else {
        const char *slash = from && edl_is_cella(edl) ? strrchr(from, '/') : NULL;
        if (slash) {
            const char *folder = cella_edl_copy(&edl->arena, from, (size_t)(slash - from));
            found = in_folder(edl, folder, name);
        }
        found = found ? found : is_file(name) ? name : NULL;
        found = found ? found : in_search_paths(edl, name);
    }
    return found && found[0] == '.' && found[1] == '/' ? found + 2 : found;
}
