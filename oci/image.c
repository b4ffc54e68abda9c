/*
 * A container image of one tree: configuration, manifest and index.
 * Side: tools. Called by cli/. No daemon, no network, no root.
 */
#include "oci/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

static void json_done(json_t **json)
{
    json_decref(*json);
}
#define JSON_OWNED CELLA_CLEANUP(json_done) json_t *

void oci_image_done(struct oci_image *image)
{
    for (size_t i = 0; i < OCI_LAYERS; i++) {
        oci_blob_done(&image->layers[i]);
    }
    oci_blob_done(&image->config);
    oci_blob_done(&image->manifest);
    oci_blob_done(&image->index);
    oci_blob_done(&image->docker);
}

void oci_time_text(int64_t seconds, char ret_text[32])
{
    struct tm parts;
    time_t moment = (time_t)seconds;
    if (!gmtime_r(&moment, &parts) || !strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts)) {
        strcpy(ret_text, "1970-01-01T00:00:00Z");
    }
}

/* Keys in alphabetical order: the same content, the same bytes. */
static cella_result blob_of(const json_t *json, struct oci_blob *ret_blob)
{
    uint8_t digest[32];
    CELLA_ENSURE(json != NULL, OUT_OF_MEMORY);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    CELLA_ENSURE(text != NULL, OUT_OF_MEMORY);
    ret_blob->data = (uint8_t *)text;
    ret_blob->size = strlen(text);
    CELLA_TRY(oci_sha256(ret_blob->data, ret_blob->size, digest));
    oci_hex(digest, sizeof(digest), ret_blob->digest);
    return CELLA_OK;
}

static json_t *digest_text(const char *digest)
{
    return json_sprintf("sha256:%s", digest);
}

static json_t *descriptor(const char *type, const struct oci_blob *blob)
{
    return json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest", digest_text(blob->digest),
                     "size", (json_int_t)blob->size);
}

static const char *const g_layer_names[] = {"libraries", "host", "enclave"};

static cella_result make_config(const struct oci_config *config, struct oci_image *image)
{
    char created[32];
    oci_time_text(config->epoch, created);
    JSON_OWNED diff_ids = json_array();
    JSON_OWNED history = json_array();
    for (unsigned i = 0; i < image->layer_count; i++) {
        json_array_append_new(diff_ids, digest_text(image->layers[i].diff_id));
        json_array_append_new(history, json_pack("{s:s, s:s+}", "created", created, "created_by",
                                                 "cella image: ", g_layer_names[image->kinds[i]]));
    }
    JSON_OWNED json = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:O}, s:O, s:{s:o, s:O, s:O, s:s, s:O}}", "architecture", "amd64",
        "os", "linux", "created", created, "rootfs", "type", "layers", "diff_ids", diff_ids,
        "history", history, "config", "User", json_sprintf("%u:%u", config->user, config->user),
        "Env", config->environment, "Entrypoint", config->entrypoint, "WorkingDir", config->folder,
        "Labels", config->annotations);
    return blob_of(json, &image->config);
}

static cella_result make_manifest(const struct oci_config *config, struct oci_image *image)
{
    JSON_OWNED layers = json_array();
    for (unsigned i = 0; i < image->layer_count; i++) {
        json_array_append_new(layers, descriptor(OCI_TYPE_LAYER, &image->layers[i]));
    }
    JSON_OWNED json =
        json_pack("{s:i, s:s, s:o, s:O, s:O}", "schemaVersion", 2, "mediaType", OCI_TYPE_MANIFEST,
                  "config", descriptor(OCI_TYPE_CONFIG, &image->config), "layers", layers,
                  "annotations", config->annotations);
    return blob_of(json, &image->manifest);
}

static cella_result make_index(const struct oci_config *config, struct oci_image *image)
{
    JSON_OWNED row = descriptor(OCI_TYPE_MANIFEST, &image->manifest);
    json_object_set_new(row, "platform",
                        json_pack("{s:s, s:s}", "architecture", "amd64", "os", "linux"));
    json_object_set_new(
        row, "annotations",
        json_pack("{s:s, s:o}", "org.opencontainers.image.ref.name", config->tag,
                  "io.containerd.image.name",
                  json_sprintf("docker.io/library/%s:%s", config->title, config->tag)));
    JSON_OWNED json = json_pack("{s:i, s:s, s:[O]}", "schemaVersion", 2, "mediaType",
                                OCI_TYPE_INDEX, "manifests", row);
    return blob_of(json, &image->index);
}

/* `docker load` reads this list; the files are the layout's own. */
static cella_result make_docker(const struct oci_config *config, struct oci_image *image)
{
    JSON_OWNED layers = json_array();
    for (unsigned i = 0; i < image->layer_count; i++) {
        json_array_append_new(layers, json_sprintf("blobs/sha256/%s", image->layers[i].digest));
    }
    JSON_OWNED json = json_pack(
        "[{s:o, s:[o], s:O}]", "Config", json_sprintf("blobs/sha256/%s", image->config.digest),
        "RepoTags", json_sprintf("%s:%s", config->title, config->tag), "Layers", layers);
    return blob_of(json, &image->docker);
}

/* Removes layers of earlier builds. */
static void cache_prune(const char *cache, char keys[OCI_LAYERS][OCI_HEX_SIZE])
{
    DIR *folder = opendir(cache);
    if (!folder) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const size_t length = strspn(entry->d_name, "0123456789abcdef");
        bool kept = length != OCI_HEX_SIZE - 1;
        for (unsigned i = 0; i < OCI_LAYERS && !kept; i++) {
            kept = strncmp(entry->d_name, keys[i], OCI_HEX_SIZE - 1) == 0;
        }
        if (!kept) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
}

static bool has_layer(const struct oci_tree *tree, enum oci_layer layer)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->entries[i].layer == layer) {
            return true;
        }
    }
    return false;
}

/* One layer's compression; the threads share the sorted tree and only read it. */
struct work {
    pthread_t thread;
    bool started;
    const struct oci_tree *tree;
    enum oci_layer layer;
    int64_t epoch;
    const char *cache;
    struct oci_blob *blob;
    char *key;
    cella_result result;
    struct cella_error error;
};

static void *work_run(void *context)
{
    struct work *work = context;
    work->result = oci_layer_make(work->tree, work->layer, work->epoch, work->cache, work->blob,
                                  work->key, &work->error);
    return NULL;
}

static cella_result make_layers(const struct oci_tree *tree, int64_t epoch, const char *cache,
                                struct oci_image *image, char keys[OCI_LAYERS][OCI_HEX_SIZE],
                                struct cella_error *error)
{
    struct work works[OCI_LAYERS] = {0};
    cella_result result = CELLA_OK;
    for (unsigned i = 0; i < OCI_LAYERS; i++) {
        const unsigned at = image->layer_count;
        if (!has_layer(tree, (enum oci_layer)i)) {
            continue;
        }
        works[at] = (struct work){.tree = tree,
                                  .layer = (enum oci_layer)i,
                                  .epoch = epoch,
                                  .cache = cache,
                                  .blob = &image->layers[at],
                                  .key = keys[at]};
        image->kinds[at] = (enum oci_layer)i;
        image->layer_count++;
        works[at].started = pthread_create(&works[at].thread, NULL, work_run, &works[at]) == 0;
        if (!works[at].started) {
            work_run(&works[at]);
        }
    }
    for (unsigned i = 0; i < image->layer_count; i++) {
        if (works[i].started) {
            pthread_join(works[i].thread, NULL);
        }
        if (!cella_is_ok(works[i].result) && cella_is_ok(result)) {
            result = cella_error_set(error, works[i].result, "%s",
                                     works[i].error.text[0] ? works[i].error.text
                                                            : cella_result_text(works[i].result));
        }
    }
    return result;
}

/* One image at a time uses a cache: another would remove what this one is about to use. */
static int cache_lock(const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        flock(fd, LOCK_EX);
    }
    return fd; /* where there are no locks, a layer that is gone is made anew */
}

static void cache_unlock(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

cella_result oci_image_make(struct oci_tree *tree, const struct oci_config *config,
                            const char *cache, struct oci_image *ret_image,
                            struct cella_error *error)
{
    char keys[OCI_LAYERS][OCI_HEX_SIZE] = {{0}};
    *ret_image = (struct oci_image){0};
    CELLA_CLEANUP(cache_unlock) int lock = cache ? cache_lock(cache) : -1;
    CELLA_TRY(oci_tree_sort(tree, error));
    CELLA_TRY(make_layers(tree, config->epoch, cache, ret_image, keys, error));
    if (cache) {
        cache_prune(cache, keys);
    }
    CELLA_TRY(make_config(config, ret_image));
    CELLA_TRY(make_manifest(config, ret_image));
    CELLA_TRY(make_index(config, ret_image));
    return make_docker(config, ret_image);
}
