/*
 * Writing an image: a folder in the OCI image layout, or one archive.
 * Side: tools. Called by cli/ through oci/image.h. Never removes what is not a blob of an image that it replaces.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "oci/image.h"

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX_SIZE_MAX (1u << 20)
#define BLOBS_MAX (OCI_LAYERS + 2u)

/* Layers, configuration and manifest, in that order. */
static unsigned blobs_of(const struct oci_image *image, const struct oci_blob *ret_blobs[BLOBS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < image->layer_count; i++) {
        ret_blobs[count++] = &image->layers[i];
    }
    ret_blobs[count++] = &image->config;
    ret_blobs[count++] = &image->manifest;
    return count;
}

static void close_folder(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* A folder of ours below `at`, made when it is not there. A link in its place could lead to another layout's blobs. */
static cella_result open_folder(int at, const char *name, int *ret_fd, const char *folder,
                                struct cella_error *error)
{
    if (mkdirat(at, name, 0777) < 0 && errno != EEXIST) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s/%s", folder, name);
    }
    *ret_fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s/%s", folder, name);
    }
    return CELLA_OK;
}

/* The layout's folder itself may be behind a link: its name is the user's own. One writer at a time. */
static cella_result open_layout(const char *folder, int *ret_fd, struct cella_error *error)
{
    if (mkdir(folder, 0777) < 0 && errno != EEXIST) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", folder);
    }
    *ret_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || flock(*ret_fd, LOCK_EX) < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", folder);
    }
    return CELLA_OK;
}

/* Whole or not at all, and never through a link of that name. */
static cella_result write_file(int at, const char *name, const void *data, size_t size,
                               const char *folder, struct cella_error *error)
{
    static const char temporary[] = ".new"; /* under the lock there is one writer */
    unlinkat(at, temporary, 0);
    CELLA_CLEANUP(close_folder)
    int fd = openat(at, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    const uint8_t *from = data;
    size_t left = size;
    while (fd >= 0 && left > 0) {
        const ssize_t put = write(fd, from, left);
        if (put < 0 && errno != EINTR) {
            break;
        }
        from += put > 0 ? put : 0;
        left -= put > 0 ? (size_t)put : 0;
    }
    if (fd < 0 || left > 0 || fchmod(fd, 0644) < 0 || renameat(at, temporary, at, name) < 0) {
        const int saved = errno;
        unlinkat(at, temporary, 0);
        return cella_error_errno(error, CELLA_RESULT(IO), saved, "%s/%s", folder, name);
    }
    return CELLA_OK;
}

/* A folder that is new, empty, or a layout with at most one image may be written to. */
static cella_result check_folder(const char *folder, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error ignored = {0};
    char path[OCI_PATH_MAX];
    size_t entries = 0;
    DIR *handle = opendir(folder);
    if (!handle) {
        return errno == ENOENT ? CELLA_OK
                               : cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", folder);
    }
    while (readdir(handle)) {
        entries++;
    }
    closedir(handle);
    if (entries <= 2) {
        return CELLA_OK; /* "." and ".." */
    }
    snprintf(path, sizeof(path), "%s/index.json", folder);
    if (!cella_is_ok(cella_file_read(path, INDEX_SIZE_MAX, &file, &ignored))) {
        return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS),
                               "%s: is there, and is no image: choose another name", folder);
    }
    json_t *json = json_loadb((const char *)file.data, file.size, 0, NULL);
    const json_t *list = json_object_get(json, "manifests");
    const bool is_index = json_is_array(list);
    const size_t count = json_array_size(list);
    json_decref(json);
    if (!is_index) {
        return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS),
                               "%s: its index.json is of no image: choose another name", folder);
    }
    if (count > 1) {
        return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS),
                               "%s: has %zu images, which would be lost: choose another name",
                               folder, count);
    }
    return CELLA_OK;
}

/* Blobs of the image that was there before. Takes `fd`. */
static void prune(int fd, const struct oci_image *image)
{
    const struct oci_blob *blobs[BLOBS_MAX];
    const unsigned count = blobs_of(image, blobs);
    DIR *handle = fdopendir(fd);
    if (!handle) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        bool kept = strspn(entry->d_name, "0123456789abcdef") != OCI_HEX_SIZE - 1 ||
                    entry->d_name[OCI_HEX_SIZE - 1];
        for (unsigned i = 0; i < count && !kept; i++) {
            kept = strcmp(entry->d_name, blobs[i]->digest) == 0;
        }
        if (!kept) {
            unlinkat(dirfd(handle), entry->d_name, 0);
        }
    }
    closedir(handle);
}

static bool is_there(const char *path, const struct oci_blob *blob)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error ignored = {0};
    struct stat status;
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           cella_is_ok(cella_file_read(path, blob->size, &file, &ignored)) &&
           file.size == blob->size && memcmp(file.data, blob->data, blob->size) == 0;
}

static cella_result write_blobs(const struct oci_image *image, const char *folder, int below,
                                struct cella_error *error)
{
    char path[OCI_PATH_MAX];
    const struct oci_blob *blobs[BLOBS_MAX];
    const unsigned count = blobs_of(image, blobs);
    for (unsigned i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/blobs/sha256/%s", folder, blobs[i]->digest);
        if (!is_there(path, blobs[i])) {
            CELLA_TRY(
                write_file(below, blobs[i]->digest, blobs[i]->data, blobs[i]->size, folder, error));
        }
    }
    return CELLA_OK;
}

cella_result oci_image_write_layout(const struct oci_image *image, const char *folder,
                                    struct cella_error *error)
{
    CELLA_CLEANUP(close_folder) int layout = -1;
    CELLA_CLEANUP(close_folder) int blobs = -1;
    CELLA_CLEANUP(close_folder) int below = -1;
    if (strlen(folder) > OCI_PATH_MAX - 128) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: path too long", folder);
    }
    CELLA_TRY(open_layout(folder, &layout, error));
    CELLA_TRY(check_folder(folder, error));
    CELLA_TRY(open_folder(layout, "blobs", &blobs, folder, error));
    CELLA_TRY(open_folder(blobs, "sha256", &below, folder, error));
    CELLA_TRY(write_blobs(image, folder, below, error));
    CELLA_TRY(write_file(layout, "oci-layout", LAYOUT_TEXT, strlen(LAYOUT_TEXT), folder, error));
    CELLA_TRY(
        write_file(layout, "index.json", image->index.data, image->index.size, folder, error));
    prune(below, image);
    below = -1;
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- archives */

struct output {
    struct archive *archive;
    struct archive_entry *entry;
    int64_t epoch;
};

static void output_done(struct output *output)
{
    if (output->archive) {
        archive_write_free(output->archive);
    }
    archive_entry_free(output->entry);
}

static cella_result put(struct output *output, const char *path, const void *data, size_t size,
                        struct cella_error *error)
{
    struct archive_entry *header = archive_entry_clear(output->entry);
    const bool is_folder = path[strlen(path) - 1] == '/';
    archive_entry_set_pathname(header, path);
    archive_entry_set_mtime(header, output->epoch, 0);
    archive_entry_set_filetype(header, is_folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(header, is_folder ? 0755 : 0644);
    archive_entry_set_size(header, (la_int64_t)size);
    if (archive_write_header(output->archive, header) != ARCHIVE_OK ||
        (size && archive_write_data(output->archive, data, size) != (la_ssize_t)size)) {
        return cella_error_set(error, CELLA_RESULT(IO), "%s: %s", path,
                               archive_error_string(output->archive));
    }
    return CELLA_OK;
}

static cella_result put_all(struct output *output, const struct oci_image *image,
                            struct cella_error *error)
{
    char path[128];
    const struct oci_blob *blobs[BLOBS_MAX];
    const unsigned count = blobs_of(image, blobs);
    CELLA_TRY(put(output, "blobs/", NULL, 0, error));
    CELLA_TRY(put(output, "blobs/sha256/", NULL, 0, error));
    for (unsigned i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "blobs/sha256/%s", blobs[i]->digest);
        CELLA_TRY(put(output, path, blobs[i]->data, blobs[i]->size, error));
    }
    CELLA_TRY(put(output, "index.json", image->index.data, image->index.size, error));
    CELLA_TRY(put(output, "manifest.json", image->docker.data, image->docker.size, error));
    return put(output, "oci-layout", LAYOUT_TEXT, strlen(LAYOUT_TEXT), error);
}

static cella_result write_to(const struct oci_image *image, int64_t epoch, int fd, const char *path,
                             struct cella_error *error)
{
    CELLA_CLEANUP(output_done)
    struct output output = {
        .archive = archive_write_new(), .entry = archive_entry_new(), .epoch = epoch};
    CELLA_ENSURE(output.archive && output.entry, OUT_OF_MEMORY);
    if (archive_write_set_format_ustar(output.archive) != ARCHIVE_OK ||
        archive_write_open_fd(output.archive, fd) != ARCHIVE_OK) {
        return cella_error_set(error, CELLA_RESULT(IO), "%s: %s", path,
                               archive_error_string(output.archive));
    }
    CELLA_TRY(put_all(&output, image, error));
    if (archive_write_close(output.archive) != ARCHIVE_OK) {
        return cella_error_set(error, CELLA_RESULT(IO), "%s: %s", path,
                               archive_error_string(output.archive));
    }
    return CELLA_OK;
}

cella_result oci_image_write_archive(const struct oci_image *image, int64_t epoch, const char *path,
                                     struct cella_error *error)
{
    char temporary[OCI_PATH_MAX];
    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: path too long", path);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    cella_result result = write_to(image, epoch, fd, path, error);
    if (cella_is_ok(result) && (fchmod(fd, 0644) < 0 || rename(temporary, path) < 0)) {
        result = cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    close(fd);
    if (!cella_is_ok(result)) {
        unlink(temporary);
    }
    return result;
}
