/*
 * Layers: a tar archive of a part of the tree, compressed, and the same bytes each time.
 * Side: tools. Called inside oci/. Never looks at the clock or at owners of files.
 */
#include "oci/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cli/file.h"
#include "common/cleanup.h"

#define LAYER_VERSION "cella layer 1" /* another one when the bytes for the same tree change */
#define COMPRESSION_LEVEL 7 /* 9 takes more than twice the time for a third of a percent */
#define BLOB_MAX (1ull << 32)

void oci_blob_done(struct oci_blob *blob)
{
    free(blob->data);
    *blob = (struct oci_blob){0};
}

void oci_hex(const uint8_t *bytes, size_t size, char *ret_text)
{
    for (size_t i = 0; i < size; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* ------------------------------------------------------------------------- the key */

static void digest_done(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static bool add_text(EVP_MD_CTX *context, const char *text)
{
    return EVP_DigestUpdate(context, text ? text : "", strlen(text ? text : "") + 1) == 1;
}

/* What the layer's bytes depend on. */
static cella_result layer_key(const struct oci_tree *tree, enum oci_layer layer, int64_t epoch,
                              char ret_key[OCI_HEX_SIZE])
{
    CELLA_CLEANUP(digest_done) EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[32];
    char line[128];
    snprintf(line, sizeof(line), LAYER_VERSION " %lld %s %s", (long long)epoch, zlibVersion(),
             archive_version_string());
    CELLA_ENSURE(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1, CRYPTO);
    CELLA_ENSURE(add_text(context, line), CRYPTO);
    for (size_t i = 0; i < tree->count; i++) {
        const struct oci_entry *entry = &tree->entries[i];
        if (entry->layer != layer) {
            continue;
        }
        snprintf(line, sizeof(line), "%d %o %u %zu", (int)entry->kind, entry->mode, entry->owner,
                 entry->size);
        CELLA_ENSURE(add_text(context, line) && add_text(context, entry->path) &&
                         add_text(context, entry->target) &&
                         EVP_DigestUpdate(context, entry->digest, sizeof(entry->digest)) == 1,
                     CRYPTO);
    }
    CELLA_ENSURE(EVP_DigestFinal_ex(context, digest, NULL) == 1, CRYPTO);
    oci_hex(digest, sizeof(digest), ret_key);
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- writing */

struct writer {
    z_stream stream;
    gz_header header; /* deflate keeps a pointer to it */
    bool stream_ready;
    EVP_MD_CTX *plain;
    struct archive *archive;
    struct archive_entry *entry;
    struct oci_blob *blob;
    size_t capacity;
    cella_result result;
};

static void writer_done(struct writer *writer)
{
    if (writer->archive) {
        archive_write_free(writer->archive);
    }
    archive_entry_free(writer->entry);
    if (writer->stream_ready) {
        deflateEnd(&writer->stream);
    }
    EVP_MD_CTX_free(writer->plain);
}

static cella_result grow(struct writer *writer)
{
    struct oci_blob *blob = writer->blob;
    if (writer->capacity - blob->size < 65536) {
        size_t capacity = writer->capacity ? writer->capacity * 2 : 1u << 20;
        uint8_t *data = realloc(blob->data, capacity);
        CELLA_ENSURE(data != NULL, OUT_OF_MEMORY);
        blob->data = data;
        writer->capacity = capacity;
    }
    return CELLA_OK;
}

static cella_result compress_some(struct writer *writer, const void *data, size_t size, int flush)
{
    int status;
    CELLA_ENSURE(size <= UINT32_MAX, SIZE_OVERFLOW);
    writer->stream.next_in = (Bytef *)(uintptr_t)data;
    writer->stream.avail_in = (uInt)size;
    do {
        CELLA_TRY(grow(writer));
        struct oci_blob *blob = writer->blob;
        size_t room = writer->capacity - blob->size;
        room = room > 1u << 30 ? 1u << 30 : room;
        writer->stream.next_out = blob->data + blob->size;
        writer->stream.avail_out = (uInt)room;
        status = deflate(&writer->stream, flush);
        CELLA_ENSURE(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR, INTERNAL);
        blob->size += room - writer->stream.avail_out;
    } while (writer->stream.avail_out == 0 || (flush == Z_FINISH && status != Z_STREAM_END));
    return CELLA_OK;
}

static la_ssize_t take_tar(struct archive *archive, void *context, const void *data, size_t size)
{
    struct writer *writer = context;
    (void)archive;
    writer->blob->unpacked += size;
    if (EVP_DigestUpdate(writer->plain, data, size) != 1) {
        writer->result = CELLA_RESULT(CRYPTO);
        return -1;
    }
    writer->result = compress_some(writer, data, size, Z_NO_FLUSH);
    return cella_is_ok(writer->result) ? (la_ssize_t)size : -1;
}

static cella_result writer_open(struct writer *writer, struct cella_error *error)
{
    writer->header = (gz_header){.os = 255}; /* no name, no time, unknown system */
    writer->plain = EVP_MD_CTX_new();
    writer->archive = archive_write_new();
    writer->entry = archive_entry_new();
    CELLA_ENSURE(writer->plain && writer->archive && writer->entry, OUT_OF_MEMORY);
    CELLA_ENSURE(EVP_DigestInit_ex(writer->plain, EVP_sha256(), NULL) == 1, CRYPTO);
    CELLA_ENSURE(deflateInit2(&writer->stream, COMPRESSION_LEVEL, Z_DEFLATED, 15 + 16, 9,
                              Z_DEFAULT_STRATEGY) == Z_OK,
                 OUT_OF_MEMORY);
    writer->stream_ready = true;
    CELLA_ENSURE(deflateSetHeader(&writer->stream, &writer->header) == Z_OK, INTERNAL);
    if (archive_write_set_format_pax_restricted(writer->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(writer->archive, 1) != ARCHIVE_OK ||
        archive_write_open2(writer->archive, writer, NULL, take_tar, NULL, NULL) != ARCHIVE_OK) {
        return cella_error_set(error, CELLA_RESULT(INTERNAL), "libarchive: %s",
                               archive_error_string(writer->archive));
    }
    return CELLA_OK;
}

static cella_result put(struct writer *writer, const struct oci_entry *entry, int64_t epoch,
                        struct cella_error *error)
{
    struct archive_entry *header = archive_entry_clear(writer->entry);
    archive_entry_set_pathname(header, entry->path);
    archive_entry_set_mtime(header, epoch, 0);
    archive_entry_set_uid(header, entry->owner);
    archive_entry_set_gid(header, entry->owner);
    archive_entry_set_filetype(header, entry->kind == OCI_FILE   ? AE_IFREG
                                       : entry->kind == OCI_LINK ? AE_IFLNK
                                                                 : AE_IFDIR);
    archive_entry_set_perm(header, (__LA_MODE_T)entry->mode);
    archive_entry_set_size(header, (la_int64_t)entry->size);
    if (entry->kind == OCI_LINK) {
        archive_entry_set_symlink(header, entry->target);
    }
    if (archive_write_header(writer->archive, header) != ARCHIVE_OK ||
        (entry->size && archive_write_data(writer->archive, entry->data, entry->size) !=
                            (la_ssize_t)entry->size)) {
        return cella_error_set(
            error, cella_is_ok(writer->result) ? CELLA_RESULT(INTERNAL) : writer->result, "/%s: %s",
            entry->path, archive_error_string(writer->archive));
    }
    return CELLA_OK;
}

/* The folders of `path` that no entry before had. Entries are sorted: what the one before has was written with it. */
static cella_result put_folders(struct writer *writer, const char *path, const char *before,
                                int64_t epoch, struct cella_error *error)
{
    char folder[OCI_PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        const size_t length = (size_t)(slash - path);
        if (strncmp(before, path, length) == 0 &&
            (before[length] == '/' || before[length] == '\0')) {
            continue;
        }
        memcpy(folder, path, length);
        folder[length] = '\0';
        CELLA_TRY(put(writer, &(struct oci_entry){.kind = OCI_FOLDER, .mode = 0755, .path = folder},
                      epoch, error));
    }
    return CELLA_OK;
}

static cella_result write_layer(const struct oci_tree *tree, enum oci_layer layer, int64_t epoch,
                                struct oci_blob *blob, struct cella_error *error)
{
    CELLA_CLEANUP(writer_done) struct writer writer = {.blob = blob};
    const char *before = "";
    uint8_t digest[32];
    CELLA_TRY(writer_open(&writer, error));
    for (size_t i = 0; i < tree->count; i++) {
        const struct oci_entry *entry = &tree->entries[i];
        if (entry->layer != layer) {
            continue;
        }
        CELLA_TRY(put_folders(&writer, entry->path, before, epoch, error));
        CELLA_TRY(put(&writer, entry, epoch, error));
        before = entry->path;
    }
    CELLA_ENSURE(archive_write_close(writer.archive) == ARCHIVE_OK, INTERNAL);
    CELLA_TRY(compress_some(&writer, NULL, 0, Z_FINISH));
    CELLA_ENSURE(EVP_DigestFinal_ex(writer.plain, digest, NULL) == 1, CRYPTO);
    oci_hex(digest, sizeof(digest), blob->diff_id);
    CELLA_TRY(oci_sha256(blob->data, blob->size, digest));
    oci_hex(digest, sizeof(digest), blob->digest);
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- the cache */

/* A cached layer is a line of text (digests and size) and the blob in a file beside. */
static bool cache_get(const char *folder, const char *key, struct oci_blob *ret_blob)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file note = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error ignored = {0};
    char path[OCI_PATH_MAX], line[256], found[OCI_HEX_SIZE];
    uint8_t digest[32];
    unsigned long long unpacked;
    snprintf(path, sizeof(path), "%s/%s.layer", folder, key);
    if (!cella_is_ok(cella_file_read(path, sizeof(line) - 1, &note, &ignored))) {
        return false;
    }
    memcpy(line, note.data, note.size);
    line[note.size] = '\0';
    if (sscanf(line, "%64[0-9a-f] %64[0-9a-f] %llu", ret_blob->digest, ret_blob->diff_id,
               &unpacked) != 3) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/%s.gz", folder, key);
    if (!cella_is_ok(cella_file_read(path, BLOB_MAX, &file, &ignored)) ||
        !cella_is_ok(oci_sha256(file.data, file.size, digest))) {
        return false;
    }
    oci_hex(digest, sizeof(digest), found);
    if (strcmp(found, ret_blob->digest) != 0) {
        return false;
    }
    ret_blob->size = file.size;
    ret_blob->data = CELLA_TAKE(file.data);
    ret_blob->unpacked = unpacked;
    ret_blob->cached = true;
    return true;
}

/* The line comes last: without it the blob is not taken. */
static cella_result cache_put(const char *folder, const char *key, const struct oci_blob *blob,
                              struct cella_error *error)
{
    char path[OCI_PATH_MAX], line[256];
    snprintf(path, sizeof(path), "%s/%s.gz", folder, key);
    CELLA_TRY(cella_file_write(path, blob->data, blob->size, 0644, error));
    snprintf(path, sizeof(path), "%s/%s.layer", folder, key);
    snprintf(line, sizeof(line), "%s %s %llu\n", blob->digest, blob->diff_id,
             (unsigned long long)blob->unpacked);
    return cella_file_write(path, line, strlen(line), 0644, error);
}

cella_result oci_layer_make(const struct oci_tree *tree, enum oci_layer layer, int64_t epoch,
                            const char *cache, struct oci_blob *ret_blob,
                            char ret_key[OCI_HEX_SIZE], struct cella_error *error)
{
    CELLA_TRY(layer_key(tree, layer, epoch, ret_key));
    if (cache && cache_get(cache, ret_key, ret_blob)) {
        return CELLA_OK;
    }
    *ret_blob = (struct oci_blob){0};
    CELLA_TRY(write_layer(tree, layer, epoch, ret_blob, error));
    return cache ? cache_put(cache, ret_key, ret_blob, error) : CELLA_OK;
}
