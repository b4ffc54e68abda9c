/*
 * Where an image's parts are: a folder or a tar archive.
 * Side: tools. Called inside oci/. Never follows a link out of the folder or the archive; never writes.
 */
#include "oci/blobs.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "oci/tar_check.h"

struct member {
    char *name;   /* normal form: no leading "./", no "//" */
    char *target; /* of a link, from the archive's root; NULL: a file */
};

struct oci_blobs {
    char *path;
    int folder; /* -1: an archive */
    struct member *members;
    size_t count, capacity;
};

void oci_blobs_close(struct oci_blobs *blobs)
{
    if (!blobs) {
        return;
    }
    for (size_t i = 0; i < blobs->count; i++) {
        free(blobs->members[i].name);
        free(blobs->members[i].target);
    }
    if (blobs->folder >= 0) {
        close(blobs->folder);
    }
    free(blobs->members);
    free(blobs->path);
    free(blobs);
}

bool oci_blobs_is_folder(const struct oci_blobs *blobs)
{
    return blobs->folder >= 0;
}

/* `name` seen from folder `base` ("" or "a/b"), in normal form. False: it leads above the root, or is too long. */
static bool normal(const char *base, const char *name, char ret_name[OCI_BLOBS_NAME_MAX])
{
    char joined[2 * OCI_BLOBS_NAME_MAX];
    size_t used = 0;
    if (name[0] == '/' ||
        snprintf(joined, sizeof(joined), "%s/%s", base, name) >= (int)sizeof(joined)) {
        return false;
    }
    ret_name[0] = '\0';
    for (const char *at = joined; *at;) {
        const size_t length = strcspn(at, "/");
        if (length == 2 && strncmp(at, "..", 2) == 0) {
            char *slash = strrchr(ret_name, '/');
            if (used == 0) {
                return false;
            }
            used = slash ? (size_t)(slash - ret_name) : 0;
            ret_name[used] = '\0';
        } else if (length > 0 && !(length == 1 && *at == '.')) {
            if (used + length + 2 > OCI_BLOBS_NAME_MAX) {
                return false;
            }
            ret_name[used] = '/';
            used += used > 0;
            memcpy(ret_name + used, at, length);
            used += length;
            ret_name[used] = '\0';
        }
        at += length;
        at += *at == '/';
    }
    return used > 0;
}

static int compare_members(const void *left, const void *right)
{
    return strcmp(((const struct member *)left)->name, ((const struct member *)right)->name);
}

static const struct member *member_find(const struct oci_blobs *blobs, const char *name)
{
    const struct member wanted = {.name = (char *)(uintptr_t)name};
    return blobs->count
               ? bsearch(&wanted, blobs->members, blobs->count, sizeof(wanted), compare_members)
               : NULL;
}

/* For member_find. A name that is there twice could be read as either. */
static cella_result sort_members(struct oci_blobs *blobs, struct cella_error *error)
{
    if (blobs->count > 1) {
        qsort(blobs->members, blobs->count, sizeof(blobs->members[0]), compare_members);
    }
    for (size_t i = 1; i < blobs->count; i++) {
        if (compare_members(&blobs->members[i - 1], &blobs->members[i]) == 0) {
            return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS), "%s: %s is there twice",
                                   blobs->path, blobs->members[i].name);
        }
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- the archive's names */

static struct archive *outer_open(const struct oci_blobs *blobs)
{
    struct archive *outer = archive_read_new();
    if (outer) {
        archive_read_support_format_tar(outer);
        archive_read_support_filter_gzip(outer);
        archive_read_support_filter_zstd(outer);
        if (archive_read_open_filename(outer, blobs->path, 65536) != ARCHIVE_OK) {
            archive_read_free(outer);
            outer = NULL;
        }
    }
    return outer;
}

static cella_result member_add(struct oci_blobs *blobs, struct archive_entry *entry,
                               struct cella_error *error)
{
    char name[OCI_BLOBS_NAME_MAX], folder[OCI_BLOBS_NAME_MAX], target[OCI_BLOBS_NAME_MAX] = "";
    const char *raw = archive_entry_pathname(entry);
    const char *hard = archive_entry_hardlink(entry);
    const char *soft = archive_entry_symlink(entry);
    const bool is_file = archive_entry_filetype(entry) == AE_IFREG;
    if (archive_entry_filetype(entry) == AE_IFDIR) {
        return CELLA_OK;
    }
    if (!raw || !normal("", raw, name)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: a part named '%.200s', which leads out of the archive",
                               blobs->path, raw ? raw : "");
    }
    snprintf(folder, sizeof(folder), "%s", name);
    char *slash = strrchr(folder, '/');
    *(slash ? slash : folder) = '\0';
    if ((hard && !normal("", hard, target)) || (!hard && soft && !normal(folder, soft, target)) ||
        (!hard && !soft && !is_file)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: %s: a link out of the archive, or neither file nor link",
                               blobs->path, name);
    }
    if (blobs->count == blobs->capacity) {
        size_t capacity = blobs->capacity ? 2 * blobs->capacity : 64;
        CELLA_ENSURE(capacity <= OCI_BLOBS_MEMBERS_MAX, LIMIT_EXCEEDED);
        struct member *members = realloc(blobs->members, capacity * sizeof(*members));
        CELLA_ENSURE(members != NULL, OUT_OF_MEMORY);
        blobs->members = members;
        blobs->capacity = capacity;
    }
    struct member *member = &blobs->members[blobs->count];
    member->name = strdup(name);
    member->target = target[0] ? strdup(target) : NULL;
    if (!member->name || !member->target != !target[0]) {
        free(member->name);
        free(member->target);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    blobs->count++;
    return CELLA_OK;
}

/* Every byte of it, before any is believed: what follows is for all readers the same archive. */
static cella_result check_outer(const struct oci_blobs *blobs, struct cella_error *error)
{
    CELLA_CLEANUP(oci_tar_check_done) struct oci_tar_check check = {.wrong = NULL};
    struct archive *plain = archive_read_new();
    struct archive_entry *entry;
    static uint8_t buffer[65536]; /* tools have one thread */
    cella_result result = CELLA_OK;
    uint64_t size = 0;
    la_ssize_t got = -1;
    CELLA_ENSURE(plain != NULL, OUT_OF_MEMORY);
    archive_read_support_format_raw(plain);
    archive_read_support_filter_gzip(plain);
    archive_read_support_filter_zstd(plain);
    if (archive_read_open_filename(plain, blobs->path, sizeof(buffer)) == ARCHIVE_OK &&
        archive_read_next_header(plain, &entry) == ARCHIVE_OK) {
        while (cella_is_ok(result) &&
               (got = archive_read_data(plain, buffer, sizeof(buffer))) > 0) {
            size += (uint64_t)got;
            result = size > OCI_BLOBS_SIZE_MAX
                         ? CELLA_RESULT(LIMIT_EXCEEDED)
                         : oci_tar_check_feed(&check, cella_bytes_of(buffer, (size_t)got));
        }
    }
    archive_read_free(plain);
    if (cella_is_ok(result)) {
        result = got < 0 ? CELLA_RESULT(TRUNCATED) : oci_tar_check_end(&check);
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s: not a tar archive: %s", blobs->path,
                               check.wrong                 ? check.wrong
                               : size > OCI_BLOBS_SIZE_MAX ? "too many bytes when unpacked"
                                                           : "cannot be read");
    }
    return CELLA_OK;
}

static cella_result list_members(struct oci_blobs *blobs, struct cella_error *error)
{
    CELLA_TRY(check_outer(blobs, error));
    struct archive *outer = outer_open(blobs);
    struct archive_entry *entry;
    cella_result result = CELLA_OK;
    int status = ARCHIVE_FATAL;
    while (outer && cella_is_ok(result) &&
           (status = archive_read_next_header(outer, &entry)) == ARCHIVE_OK) {
        result = member_add(blobs, entry, error);
    }
    if (cella_is_ok(result) && status != ARCHIVE_EOF) {
        const char *text = outer ? archive_error_string(outer) : NULL;
        result = cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "%s: not a tar archive: %s",
                                 blobs->path, text ? text : "cannot be read");
    }
    if (outer) {
        archive_read_free(outer);
    }
    return cella_is_ok(result) ? sort_members(blobs, error) : result;
}

cella_result oci_blobs_open(const char *path, struct oci_blobs **ret_blobs,
                            struct cella_error *error)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "%s", path);
    }
    struct oci_blobs *blobs = calloc(1, sizeof(*blobs));
    CELLA_ENSURE(blobs != NULL, OUT_OF_MEMORY);
    blobs->folder = -1;
    blobs->path = strdup(path);
    cella_result result = blobs->path ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
    if (cella_is_ok(result) && S_ISDIR(status.st_mode)) {
        blobs->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (blobs->folder < 0) {
            result = cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
        }
    } else if (cella_is_ok(result) && S_ISREG(status.st_mode)) {
        result = list_members(blobs, error);
    } else if (cella_is_ok(result)) {
        result =
            cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "%s: neither folder nor file", path);
    }
    if (!cella_is_ok(result)) {
        oci_blobs_close(blobs);
        return result;
    }
    *ret_blobs = blobs;
    return CELLA_OK;
}

/* The file's name behind links. */
static const char *settle(const struct oci_blobs *blobs, const char *name)
{
    for (unsigned i = 0; i <= OCI_BLOBS_LINKS_MAX; i++) {
        const struct member *member = member_find(blobs, name);
        if (!member || !member->target) {
            return member ? member->name : NULL;
        }
        name = member->target;
    }
    return NULL;
}

/* A folder's file: no part of the name is a link (the kernel looks at each folder on its own). */
static int folder_open(int folder, const char *name)
{
    char part[OCI_BLOBS_NAME_MAX];
    int at = dup(folder);
    for (const char *rest = name; at >= 0;) {
        const size_t length = strcspn(rest, "/");
        const bool last = rest[length] == '\0';
        if (length == 0 || length >= sizeof(part)) {
            close(at);
            errno = EINVAL;
            return -1;
        }
        memcpy(part, rest, length);
        part[length] = '\0';
        int next = openat(
            at, part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY));
        int saved = errno;
        close(at);
        errno = saved;
        if (next < 0 || last) {
            return next;
        }
        at = next;
        rest += length + 1;
    }
    return -1;
}

bool oci_blobs_has(const struct oci_blobs *blobs, const char *name)
{
    if (blobs->folder < 0) {
        return settle(blobs, name) != NULL;
    }
    int fd = folder_open(blobs->folder, name);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* ------------------------------------------------------------------------- parts */

static cella_result outer_seek(const struct oci_blobs *blobs, const char *name,
                               struct oci_part *part)
{
    char found[OCI_BLOBS_NAME_MAX];
    struct archive_entry *entry;
    const char *real = settle(blobs, name);
    CELLA_ENSURE(real != NULL, NOT_FOUND);
    part->outer = outer_open(blobs);
    CELLA_ENSURE(part->outer != NULL, IO);
    while (archive_read_next_header(part->outer, &entry) == ARCHIVE_OK) {
        const char *raw = archive_entry_pathname(entry);
        if (raw && archive_entry_filetype(entry) == AE_IFREG && normal("", raw, found) &&
            strcmp(found, real) == 0) {
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

cella_result oci_part_open(const struct oci_blobs *blobs, const char *name, struct oci_part *part,
                           struct cella_error *error)
{
    struct stat status;
    *part = (struct oci_part){.fd = -1, .is_open = true};
    part->digest = EVP_MD_CTX_new();
    CELLA_ENSURE(part->digest && EVP_DigestInit_ex(part->digest, EVP_sha256(), NULL) == 1, CRYPTO);
    if (blobs->folder < 0) {
        cella_result result = outer_seek(blobs, name, part);
        return cella_is_ok(result)
                   ? result
                   : cella_error_set(error, result, "%s: no part %s in it", blobs->path, name);
    }
    part->fd = folder_open(blobs->folder, name);
    if (part->fd < 0) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "%s/%s", blobs->path, name);
    }
    if (fstat(part->fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s/%s: not a file", blobs->path,
                               name);
    }
    return CELLA_OK;
}

void oci_part_done(struct oci_part *part)
{
    if (part->outer) {
        archive_read_free(part->outer);
    }
    if (part->is_open && part->fd >= 0) {
        close(part->fd);
    }
    EVP_MD_CTX_free(part->digest);
    part->outer = NULL;
    part->digest = NULL;
    part->is_open = false;
}

long oci_part_read(struct oci_part *part)
{
    long got;
    do {
        got = part->outer ? (long)archive_read_data(part->outer, part->buffer, sizeof(part->buffer))
                          : (long)read(part->fd, part->buffer, sizeof(part->buffer));
    } while (got < 0 && !part->outer && errno == EINTR);
    if (got > 0) {
        part->read += (uint64_t)got;
        if (EVP_DigestUpdate(part->digest, part->buffer, (size_t)got) != 1) {
            return -1;
        }
    }
    return got < 0 ? -1 : got;
}

bool oci_part_finish(struct oci_part *part, uint64_t *ret_size, uint8_t ret_digest[32])
{
    long got;
    while ((got = oci_part_read(part)) > 0) {
    }
    *ret_size = part->read;
    return got == 0 && EVP_DigestFinal_ex(part->digest, ret_digest, NULL) == 1;
}

static void free_data(uint8_t **data)
{
    free(*data);
}

cella_result oci_blobs_read(const struct oci_blobs *blobs, const char *name, size_t limit,
                            uint8_t **ret_data, size_t *ret_size, uint8_t ret_digest[32],
                            struct cella_error *error)
{
    CELLA_CLEANUP(oci_part_done) struct oci_part part = {.fd = -1};
    CELLA_CLEANUP(free_data) uint8_t *data = NULL;
    size_t size = 0;
    uint64_t total;
    long got;
    CELLA_TRY(oci_part_open(blobs, name, &part, error));
    while ((got = oci_part_read(&part)) > 0) {
        if ((size_t)got > limit - size) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                   "%s: %s: more than %zu bytes", blobs->path, name, limit);
        }
        uint8_t *larger = realloc(data, size + (size_t)got + 1);
        CELLA_ENSURE(larger != NULL, OUT_OF_MEMORY);
        data = larger;
        memcpy(data + size, part.buffer, (size_t)got);
        size += (size_t)got;
        data[size] = 0;
    }
    if (got < 0 || !data || !oci_part_finish(&part, &total, ret_digest)) {
        return cella_error_set(error, CELLA_RESULT(TRUNCATED), "%s: %s: empty or cannot be read",
                               blobs->path, name);
    }
    *ret_data = CELLA_TAKE(data);
    *ret_size = size;
    return CELLA_OK;
}
