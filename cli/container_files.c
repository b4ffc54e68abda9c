/*
 * Files and bundles of containers. container_files.h is the manual.
 * Side: tools. Called by cli/container.c. Never follows a link in a folder that a container may write.
 */
#include "cli/container_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "common/cleanup.h"

#define RUN_PREFIX "run-"
#define ID_PREFIX "cella-"
#define GIVE_DEPTH_MAX 8u /* folders in folders; the platform has three */

/* The mode is what it says, whatever the umask: others must be able to read what is in a container. */
cella_result container_make_folder(const char *path, mode_t mode, struct cella_error *error)
{
    if (mkdir(path, mode) < 0) {
        return errno == EEXIST ? CELLA_OK
                               : cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return chmod(path, mode) == 0 ? CELLA_OK
                                  : cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static cella_result remove_tree(const char *path, struct cella_error *error)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

cella_result container_lock(const char *folder, int *ret_fd, struct cella_error *error)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        const int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return cella_error_errno(error, CELLA_RESULT(IO), saved, "%s", folder);
    }
    *ret_fd = fd;
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- an image's files */

/* The folders above `path`, which is below `rootfs`. */
static cella_result make_above(const char *rootfs, const char *path, struct cella_error *error)
{
    char folder[CONTAINER_PLACE_MAX + OCI_PATH_MAX];
    const size_t start = strlen(rootfs) + 1;
    snprintf(folder, sizeof(folder), "%s/%s", rootfs, path);
    for (char *slash = strchr(folder + start, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        CELLA_TRY(container_make_folder(folder, 0755, error));
        *slash = '/';
    }
    return CELLA_OK;
}

static cella_result put_entry(const char *rootfs, const struct oci_entry *entry,
                              struct cella_error *error)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", rootfs, entry->path) >= (int)sizeof(path)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: path too long",
                               entry->path);
    }
    CELLA_TRY(make_above(rootfs, entry->path, error));
    if (entry->kind == OCI_FILE) {
        return cella_file_write(path, entry->data, entry->size, entry->mode, error);
    }
    if (entry->kind == OCI_LINK) {
        if (symlink(entry->target, path) < 0) {
            return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
        }
        return CELLA_OK;
    }
    CELLA_TRY(container_make_folder(path, 0755, error));
    if ((geteuid() == 0 && chown(path, entry->owner, entry->owner) < 0) ||
        chmod(path, entry->mode) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

static cella_result fill(const struct image_job *job, const char *rootfs, struct cella_error *error)
{
    static const char *const mounted[] = {"proc", "dev", "sys"};
    CELLA_TRY(container_make_folder(rootfs, 0755, error));
    for (size_t i = 0; i < CELLA_COUNT(mounted); i++) {
        char path[CONTAINER_PLACE_MAX + 8];
        snprintf(path, sizeof(path), "%s/%s", rootfs, mounted[i]);
        CELLA_TRY(container_make_folder(path, 0755, error));
    }
    for (size_t i = 0; i < job->tree.count; i++) {
        CELLA_TRY(put_entry(rootfs, &job->tree.entries[i], error));
    }
    return CELLA_OK;
}

/* Calls `visit` for what is in a folder and starts with `prefix`, until it fails. */
static cella_result each(const char *folder, const char *prefix,
                         cella_result (*visit)(const char *folder, const char *name, void *context,
                                               struct cella_error *error),
                         void *context, struct cella_error *error)
{
    DIR *handle = opendir(folder);
    cella_result result = CELLA_OK;
    for (struct dirent *entry;
         handle && cella_is_ok(result) && (entry = readdir(handle)) != NULL;) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            result = visit(folder, entry->d_name, context, error);
        }
    }
    if (handle) {
        closedir(handle);
    }
    return result;
}

/* A run is over when nobody holds its lock, and the runtime has no container of that name left. */
static bool is_over(const char *folder, const char *name)
{
    char path[CONTAINER_PLACE_MAX + 256];
    snprintf(path, sizeof(path), "%s/state/" ID_PREFIX "%s", folder, name + strlen(RUN_PREFIX));
    if (access(path, F_OK) == 0) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/%s/lock", folder, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const bool over = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return over;
}

/* `context`: a counter of the runs that are not over. */
static cella_result remove_run(const char *folder, const char *name, void *context,
                               struct cella_error *error)
{
    char path[CONTAINER_PLACE_MAX + 256];
    if (!is_over(folder, name)) {
        ++*(unsigned *)context;
        return CELLA_OK;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return remove_tree(path, error);
}

/* `context`: the name of the files that stay. */
static cella_result remove_files(const char *folder, const char *name, void *context,
                                 struct cella_error *error)
{
    char path[CONTAINER_PLACE_MAX + 256];
    if (strcmp(name, context) == 0) {
        return CELLA_OK;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return remove_tree(path, error);
}

cella_result container_lay_out(const struct image_job *job, const char *folder, const char *name,
                               struct cella_error *error)
{
    char rootfs[CONTAINER_PLACE_MAX], made[CONTAINER_PLACE_MAX];
    unsigned alive = 0;
    CELLA_TRY(each(folder, RUN_PREFIX, remove_run, &alive, error));
    snprintf(rootfs, sizeof(rootfs), "%s/%s", folder, name);
    if (access(rootfs, F_OK) == 0) {
        return CELLA_OK;
    }
    if (alive == 0) {
        CELLA_TRY(
            each(folder, CONTAINER_ROOTFS_PREFIX, remove_files, (void *)(uintptr_t)name, error));
    }
    snprintf(made, sizeof(made), "%s/" CONTAINER_ROOTFS_PREFIX "new", folder);
    CELLA_TRY(remove_tree(made, error)); /* somebody was interrupted */
    CELLA_TRY(fill(job, made, error));
    if (rename(made, rootfs) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", rootfs);
    }
    return CELLA_OK;
}

cella_result container_run_folder(const char *folder, char ret_path[CONTAINER_PLACE_MAX],
                                  char ret_id[CONTAINER_ID_MAX], struct cella_error *error)
{
    char path[CONTAINER_PLACE_MAX + 8];
    snprintf(ret_path, CONTAINER_PLACE_MAX, "%s/" RUN_PREFIX "XXXXXX", folder);
    if (!mkdtemp(ret_path)) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", folder);
    }
    snprintf(ret_id, CONTAINER_ID_MAX, ID_PREFIX "%s", strrchr(ret_path, '-') + 1);
    snprintf(path, sizeof(path), "%s/lock", ret_path);
    /* Inherited on purpose: an empty file is all that a runtime could leak by it. */
    const int fd = open(path, O_RDONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || flock(fd, LOCK_SH) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- owners */

/* Everything in the folder `fd`, which is closed. */
static int give_content(int fd, uint32_t user, unsigned depth)
{
    DIR *handle = fdopendir(fd);
    int status = handle ? 0 : -1;
    if (!handle) {
        close(fd);
    }
    for (struct dirent *entry; handle && status == 0 && (entry = readdir(handle)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        const int below =
            openat(dirfd(handle), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            status = fchown(below, user, user);
            if (status < 0 || depth == 0) {
                close(below);
            } else {
                status = give_content(below, user, depth - 1);
            }
        } else if (fchownat(dirfd(handle), entry->d_name, user, user, AT_SYMLINK_NOFOLLOW) < 0 &&
                   errno != ENOENT) {
            status = -1;
        }
    }
    if (handle) {
        closedir(handle);
    }
    return status;
}

cella_result container_give(const char *path, uint32_t user, struct cella_error *error)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, user, user) < 0 || give_content(fd, user, GIVE_DEPTH_MAX) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    return CELLA_OK;
}
