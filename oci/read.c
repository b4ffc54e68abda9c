/*
 * Reading a container image, every digest checked.
 * Side: tools. Called by cli/. Never writes, never asks a network.
 */
#include "oci/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "oci/blobs.h"
#include "oci/image.h"
#include "oci/tar_check.h"

#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

struct reader {
    const char *path;
    const char *tag;
    struct oci_blobs *blobs;
    struct oci_reading *reading;
    char layers[OCI_READ_LAYERS_MAX][OCI_BLOBS_NAME_MAX]; /* names of parts */
    char digests[OCI_READ_LAYERS_MAX][65];                /* "": only the diff id is known */
    uint64_t sizes[OCI_READ_LAYERS_MAX];
    unsigned count;
};

static void reader_done(struct reader **reader)
{
    if (*reader) {
        oci_blobs_close((*reader)->blobs);
    }
    free(*reader);
}

static void json_done(json_t **json)
{
    json_decref(*json);
}
#define JSON_OWNED CELLA_CLEANUP(json_done) json_t *

static void free_data(uint8_t **data)
{
    free(*data);
}

void oci_reading_done(struct oci_reading *reading)
{
    json_decref(reading->manifest);
    json_decref(reading->config);
    oci_rootfs_free(reading->rootfs);
    *reading = (struct oci_reading){0};
}

static cella_result json_part(const struct reader *reader, const char *name, json_t **ret_json,
                              char ret_digest[65], struct cella_error *error)
{
    CELLA_CLEANUP(free_data) uint8_t *data = NULL;
    uint8_t digest[32];
    char where[OCI_BLOBS_NAME_MAX + 4096];
    size_t size = 0;
    CELLA_TRY(oci_blobs_read(reader->blobs, name, OCI_READ_JSON_MAX, &data, &size, digest, error));
    snprintf(where, sizeof(where), "%s: %s", reader->path, name);
    oci_hex(digest, 32, ret_digest);
    return oci_json_parse(cella_bytes_of(data, size), where, ret_json, error);
}

/* A blob that is JSON; its digest and size are what the descriptor says. */
static cella_result json_blob(const struct reader *reader, const struct oci_descriptor *descriptor,
                              json_t **ret_json, struct cella_error *error)
{
    CELLA_CLEANUP(free_data) uint8_t *data = NULL;
    uint8_t digest[32];
    char name[128], found[65];
    size_t size = 0;
    snprintf(name, sizeof(name), "blobs/sha256/%s", descriptor->digest);
    CELLA_TRY(oci_blobs_read(reader->blobs, name, OCI_READ_JSON_MAX, &data, &size, digest, error));
    oci_hex(digest, 32, found);
    if (strcmp(found, descriptor->digest) != 0 || size != descriptor->size) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: %s: has %zu bytes with digest %s, where %llu bytes are named",
                               reader->path, name, size, found,
                               (unsigned long long)descriptor->size);
    }
    return oci_json_parse(cella_bytes_of(data, size), name, ret_json, error);
}

/* ------------------------------------------------------------------------- OCI */

static bool is_index(const char *type)
{
    return strcmp(type, OCI_TYPE_INDEX) == 0 || strcmp(type, DOCKER_LIST) == 0;
}

static bool is_layer(const char *type)
{
    static const char *const types[] = {"application/vnd.oci.image.layer.v1.tar",
                                        "application/vnd.oci.image.layer.v1.tar+gzip",
                                        "application/vnd.oci.image.layer.v1.tar+zstd",
                                        "application/vnd.docker.image.rootfs.diff.tar",
                                        "application/vnd.docker.image.rootfs.diff.tar.gzip",
                                        "application/vnd.docker.image.rootfs.diff.tar.zstd"};
    for (size_t i = 0; i < CELLA_COUNT(types); i++) {
        if (strcmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

static cella_result read_manifest(struct reader *reader, const struct oci_descriptor *descriptor,
                                  struct cella_error *error)
{
    struct oci_reading *reading = reader->reading;
    struct oci_descriptor config;
    if (strcmp(descriptor->type, OCI_TYPE_MANIFEST) != 0 &&
        strcmp(descriptor->type, DOCKER_MANIFEST) != 0) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED), "%s: a manifest of type '%s'",
                               reader->path, descriptor->type);
    }
    CELLA_TRY(json_blob(reader, descriptor, &reading->manifest, error));
    strcpy(reading->digest, descriptor->digest);
    const json_t *layers = json_object_get(reading->manifest, "layers");
    if (!cella_is_ok(oci_descriptor_parse(json_object_get(reading->manifest, "config"), &config)) ||
        !json_is_array(layers) || json_array_size(layers) > OCI_READ_LAYERS_MAX) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: the manifest has no descriptor 'config', or no 'layers', or "
                               "more than %u of them",
                               reader->path, OCI_READ_LAYERS_MAX);
    }
    for (size_t i = 0; i < json_array_size(layers); i++) {
        struct oci_descriptor layer;
        if (!cella_is_ok(oci_descriptor_parse(json_array_get(layers, i), &layer)) ||
            !is_layer(layer.type)) {
            return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                                   "%s: layer %zu: not a descriptor of a tar archive, plain or "
                                   "with gzip or zstd",
                                   reader->path, i);
        }
        snprintf(reader->layers[reader->count], OCI_BLOBS_NAME_MAX, "blobs/sha256/%s",
                 layer.digest);
        strcpy(reader->digests[reader->count], layer.digest);
        reader->sizes[reader->count++] = layer.size;
    }
    return json_blob(reader, &config, &reading->config, error);
}

static cella_result read_layout(struct reader *reader, struct cella_error *error)
{
    JSON_OWNED layout = NULL;
    JSON_OWNED index = NULL;
    struct oci_descriptor descriptor;
    char digest[65];
    CELLA_TRY(json_part(reader, "oci-layout", &layout, digest, error));
    const char *version = json_string_value(json_object_get(layout, "imageLayoutVersion"));
    if (!version || strcmp(version, "1.0.0") != 0) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED_VERSION),
                               "%s: oci-layout: imageLayoutVersion is not 1.0.0", reader->path);
    }
    CELLA_TRY(json_part(reader, "index.json", &index, digest, error));
    CELLA_TRY(oci_index_choose(index, reader->tag, &descriptor, error));
    for (unsigned depth = 0; is_index(descriptor.type); depth++) {
        JSON_OWNED inner = NULL;
        if (depth == OCI_READ_NESTING_MAX) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                   "%s: indexes in indexes, more than %u deep", reader->path,
                                   OCI_READ_NESTING_MAX);
        }
        CELLA_TRY(json_blob(reader, &descriptor, &inner, error));
        CELLA_TRY(oci_index_choose(inner, NULL, &descriptor, error));
    }
    return read_manifest(reader, &descriptor, error);
}

/* ------------------------------------------------------------------------- docker */

static bool docker_has_tag(const json_t *row, const char *tag)
{
    const json_t *tags = json_object_get(row, "RepoTags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *name = json_string_value(json_array_get(tags, i));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (name && (strcmp(name, tag) == 0 || (colon && strcmp(colon + 1, tag) == 0))) {
            return true;
        }
    }
    return false;
}

static cella_result docker_choose(const struct reader *reader, const json_t *list,
                                  const json_t **ret_row, struct cella_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        if (!reader->tag || docker_has_tag(row, reader->tag)) {
            *ret_row = row;
            count++;
        }
    }
    if (count != 1) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "%s: manifest.json: %zu images; say which one: IMAGE:TAG",
                               reader->path, count);
    }
    const json_t *layers = json_object_get(*ret_row, "Layers");
    if (!json_is_string(json_object_get(*ret_row, "Config")) || !json_is_array(layers) ||
        json_array_size(layers) > OCI_READ_LAYERS_MAX) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: manifest.json: no 'Config', or no 'Layers', or more than %u",
                               reader->path, OCI_READ_LAYERS_MAX);
    }
    return CELLA_OK;
}

static cella_result read_docker(struct reader *reader, struct cella_error *error)
{
    JSON_OWNED list = NULL;
    const json_t *row = NULL;
    char digest[65];
    CELLA_TRY(json_part(reader, "manifest.json", &list, digest, error));
    CELLA_TRY(docker_choose(reader, list, &row, error));
    const json_t *layers = json_object_get(row, "Layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *name = json_string_value(json_array_get(layers, i));
        if (!name || strlen(name) >= OCI_BLOBS_NAME_MAX) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "%s: manifest.json: a layer without a name", reader->path);
        }
        strcpy(reader->layers[reader->count++], name);
    }
    return json_part(reader, json_string_value(json_object_get(row, "Config")),
                     &reader->reading->config, reader->reading->digest, error);
}

/*
 * An archive with both lists: `docker load` reads one and other tools the other. They must say the same, or somebody runs
 * another image than the one that was looked at.
 */
static cella_result compare_lists(const struct reader *reader, struct cella_error *error)
{
    JSON_OWNED list = NULL;
    JSON_OWNED config = NULL;
    const json_t *row = NULL;
    char digest[65];
    struct oci_descriptor expected;
    if (oci_blobs_is_folder(reader->blobs) || !oci_blobs_has(reader->blobs, "manifest.json")) {
        return CELLA_OK;
    }
    CELLA_TRY(json_part(reader, "manifest.json", &list, digest, error));
    CELLA_TRY(docker_choose(reader, list, &row, error));
    CELLA_TRY(json_part(reader, json_string_value(json_object_get(row, "Config")), &config, digest,
                        error));
    CELLA_TRY(
        oci_descriptor_parse(json_object_get(reader->reading->manifest, "config"), &expected));
    const json_t *layers = json_object_get(row, "Layers");
    bool same = strcmp(digest, expected.digest) == 0 && json_array_size(layers) == reader->count;
    for (unsigned i = 0; same && i < reader->count; i++) {
        const char *name = json_string_value(json_array_get(layers, i));
        same = name && strcmp(name, reader->layers[i]) == 0;
    }
    if (!same) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: manifest.json names other parts than index.json: what runs "
                               "would depend on the tool",
                               reader->path);
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- layers */

/* A layer on its way: the part, its decompressed bytes with their digest, the tar archive in them. */
struct stream {
    struct oci_part part;
    struct archive *plain; /* filters only */
    struct archive *tar;
    EVP_MD_CTX *digest;
    struct oci_tar_check check;
    uint64_t size, limit;
    bool is_empty, too_large;
    uint8_t buffer[65536];
};

static void stream_done(struct stream **stream)
{
    if (*stream) {
        if ((*stream)->tar) {
            archive_read_free((*stream)->tar);
        }
        if ((*stream)->plain) {
            archive_read_free((*stream)->plain);
        }
        EVP_MD_CTX_free((*stream)->digest);
        oci_tar_check_done(&(*stream)->check);
        oci_part_done(&(*stream)->part);
    }
    free(*stream);
}

static la_ssize_t give_packed(struct archive *archive, void *context, const void **ret_data)
{
    struct stream *stream = context;
    long got = oci_part_read(&stream->part);
    *ret_data = stream->part.buffer;
    if (got < 0) {
        archive_set_error(archive, EILSEQ, "cannot be read");
    }
    return got;
}

static la_ssize_t give_plain(struct archive *archive, void *context, const void **ret_data)
{
    struct stream *stream = context;
    la_ssize_t got = stream->is_empty
                         ? 0
                         : archive_read_data(stream->plain, stream->buffer, sizeof(stream->buffer));
    *ret_data = stream->buffer;
    if (got < 0) {
        archive_set_error(archive, EILSEQ, "%s", archive_error_string(stream->plain));
        return -1;
    }
    if ((uint64_t)got > stream->limit - stream->size) {
        archive_set_error(archive, EILSEQ, "too many bytes when unpacked");
        stream->too_large = true;
        return -1;
    }
    stream->size += (uint64_t)got;
    if (!cella_is_ok(
            oci_tar_check_feed(&stream->check, cella_bytes_of(stream->buffer, (size_t)got)))) {
        archive_set_error(archive, EILSEQ, "%s", stream->check.wrong);
        return -1;
    }
    return EVP_DigestUpdate(stream->digest, stream->buffer, (size_t)got) == 1 ? got : -1;
}

static cella_result stream_open(const struct reader *reader, unsigned index, uint64_t limit,
                                struct stream *stream, struct cella_error *error)
{
    struct archive_entry *entry;
    stream->limit = limit;
    CELLA_TRY(oci_part_open(reader->blobs, reader->layers[index], &stream->part, error));
    stream->digest = EVP_MD_CTX_new();
    stream->plain = archive_read_new();
    stream->tar = archive_read_new();
    CELLA_ENSURE(stream->digest && stream->plain && stream->tar, OUT_OF_MEMORY);
    CELLA_ENSURE(EVP_DigestInit_ex(stream->digest, EVP_sha256(), NULL) == 1, CRYPTO);
    archive_read_support_filter_gzip(stream->plain);
    archive_read_support_filter_zstd(stream->plain);
    archive_read_support_format_raw(stream->plain);
    archive_read_support_format_empty(stream->plain);
    archive_read_support_format_tar(stream->tar);
    archive_read_support_format_empty(stream->tar);
    int status = archive_read_open(stream->plain, stream, NULL, give_packed, NULL);
    if (status == ARCHIVE_OK) {
        status = archive_read_next_header(stream->plain, &entry);
    }
    stream->is_empty = status == ARCHIVE_EOF;
    if ((status == ARCHIVE_OK || status == ARCHIVE_EOF) &&
        archive_read_open(stream->tar, stream, NULL, give_plain, NULL) == ARCHIVE_OK) {
        return CELLA_OK;
    }
    const char *text = archive_error_string(stream->plain);
    text = text ? text : archive_error_string(stream->tar);
    return cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "%s: layer %u: %s", reader->path, index,
                           text ? text : "not a tar archive");
}

/* The rest behind the tar archive's end counts for both digests. */
static cella_result stream_finish(struct stream *stream, char ret_diff_id[65], char ret_digest[65],
                                  uint64_t *ret_size)
{
    const void *data;
    uint8_t digest[32];
    la_ssize_t got;
    while ((got = give_plain(stream->tar, stream, &data)) > 0) {
    }
    CELLA_ENSURE(got == 0, TRUNCATED);
    CELLA_TRY(oci_tar_check_end(&stream->check));
    CELLA_ENSURE(EVP_DigestFinal_ex(stream->digest, digest, NULL) == 1, CRYPTO);
    oci_hex(digest, 32, ret_diff_id);
    CELLA_ENSURE(oci_part_finish(&stream->part, ret_size, digest), TRUNCATED);
    oci_hex(digest, 32, ret_digest);
    return CELLA_OK;
}

static cella_result check_layer(const struct reader *reader, unsigned index, const char *diff_id,
                                const char *digest, uint64_t size, struct cella_error *error)
{
    const json_t *ids =
        json_object_get(json_object_get(reader->reading->config, "rootfs"), "diff_ids");
    const char *expected = json_string_value(json_array_get(ids, index));
    const bool named = reader->digests[index][0] != '\0';
    if (named && (strcmp(digest, reader->digests[index]) != 0 || size != reader->sizes[index])) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: layer %u: has %llu bytes with digest %s, where the manifest "
                               "says %llu and %s",
                               reader->path, index, (unsigned long long)size, digest,
                               (unsigned long long)reader->sizes[index], reader->digests[index]);
    }
    if (!expected || strncmp(expected, "sha256:", 7) != 0 || strcmp(expected + 7, diff_id) != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: layer %u: unpacked it has digest %s, the configuration says "
                               "%.80s",
                               reader->path, index, diff_id, expected ? expected : "nothing");
    }
    return CELLA_OK;
}

static cella_result read_layer(struct reader *reader, unsigned index, struct cella_error *error)
{
    CELLA_CLEANUP(stream_done) struct stream *stream = calloc(1, sizeof(*stream));
    struct oci_reading *reading = reader->reading;
    char diff_id[65], digest[65];
    uint64_t size = 0;
    CELLA_ENSURE(stream != NULL, OUT_OF_MEMORY);
    CELLA_TRY(stream_open(reader, index, OCI_READ_UNPACKED_MAX - reading->unpacked, stream, error));
    cella_result result = oci_rootfs_apply(reading->rootfs, stream->tar, index, error);
    if (cella_is_ok(result)) {
        result = stream_finish(stream, diff_id, digest, &size);
    } else if (!stream->check.wrong) {
        return result;
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s: layer %u: %s", reader->path, index,
                               stream->check.wrong ? stream->check.wrong
                               : stream->too_large ? "too many bytes when unpacked"
                                                   : "ends too early or is damaged");
    }
    reading->unpacked += stream->size;
    reading->packed += size;
    return check_layer(reader, index, diff_id, digest, size, error);
}

static cella_result read_layers(struct reader *reader, struct cella_error *error)
{
    const json_t *ids =
        json_object_get(json_object_get(reader->reading->config, "rootfs"), "diff_ids");
    if (!json_is_array(ids) || json_array_size(ids) != reader->count) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: %u layers, but the configuration names %zu (rootfs.diff_ids)",
                               reader->path, reader->count, json_array_size(ids));
    }
    for (unsigned i = 0; i < reader->count; i++) {
        CELLA_TRY(read_layer(reader, i, error));
    }
    return CELLA_OK;
}

static cella_result read_all(struct reader *reader, struct cella_error *error)
{
    struct oci_reading *reading = reader->reading;
    CELLA_TRY(oci_blobs_open(reader->path, &reader->blobs, error));
    if (oci_blobs_has(reader->blobs, "oci-layout") || oci_blobs_has(reader->blobs, "index.json")) {
        reading->format = oci_blobs_is_folder(reader->blobs) ? "OCI layout" : "OCI archive";
        CELLA_TRY(read_layout(reader, error));
        CELLA_TRY(compare_lists(reader, error));
    } else if (!oci_blobs_is_folder(reader->blobs) &&
               oci_blobs_has(reader->blobs, "manifest.json")) {
        reading->format = "docker archive";
        CELLA_TRY(read_docker(reader, error));
    } else {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC),
                               "%s: no container image: there is neither oci-layout nor "
                               "manifest.json in it",
                               reader->path);
    }
    reading->layer_count = reader->count;
    return read_layers(reader, error);
}

cella_result oci_read(const char *path, const char *tag, oci_wanted_fn wanted,
                      struct oci_reading *ret_reading, struct cella_error *error)
{
    CELLA_CLEANUP(reader_done) struct reader *reader = calloc(1, sizeof(*reader));
    struct oci_reading reading = {.rootfs = oci_rootfs_new(wanted)};
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    if (reader && reading.rootfs) {
        *reader = (struct reader){.path = path, .tag = tag, .reading = &reading};
        result = read_all(reader, error);
    }
    if (!cella_is_ok(result)) {
        oci_reading_done(&reading);
        return result;
    }
    *ret_reading = reading;
    return CELLA_OK;
}
