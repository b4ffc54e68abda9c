/*
 * What a manifest needs to know of an image: the enclave in it, measured; names; who runs it.
 * Side: tools. Called by cli/cmd_k8s.c. Never starts or unpacks the image.
 */
#include "cli/manifest_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/image_find.h"
#include "cli/image_job.h"
#include "common/cleanup.h"

/* The image of a project, or the image itself; a project says, too, whether it makes quotes and what it is called. */
static cella_result find_image(const struct manifest_source *source, struct manifest *manifest,
                               char *ret_image, size_t size, struct project *ret_project,
                               struct cella_error *error)
{
    char path[4096];
    ret_project->name[0] = '\0';
    snprintf(path, sizeof(path), "%s/" PROJECT_FILE, source->what);
    if (access(path, F_OK) != 0) {
        snprintf(ret_image, size, "%s", source->what);
        if (access(source->what, F_OK) != 0 && !strchr(source->what, ':')) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: not there", source->what);
        }
        snprintf(path, sizeof(path), "%s/index.json", source->what);
        if (strcmp(source->what, ".") == 0 && access(path, F_OK) != 0) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   "no project here (no " PROJECT_FILE
                                   ") and no image: name the folder of one");
        }
        return CELLA_OK;
    }
    CELLA_TRY(project_read(source->what, ret_project, error));
    if (!source->quotes_told) {
        manifest->quotes =
            project_has_module(ret_project, "attest") || project_has_module(ret_project, "tls")
                ? MANIFEST_QUOTES_SOCKET
                : MANIFEST_QUOTES_NONE;
    }
    snprintf(ret_image, size, "%s/build/image", source->what);
    if (access(ret_image, F_OK) != 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "%s: not there; make it: cella image %s", ret_image, source->what);
    }
    return CELLA_OK;
}

/* Pages added at the start, and where the processor can add more later, the heap or a program's memory at its largest. */
static uint64_t enclave_bytes(const struct inspect *inspect)
{
    const struct cella_image_info *info = inspect->cella ? &inspect->cella->info : NULL;
    uint64_t later =
        info && info->heap_size > info->heap_initial ? info->heap_size - info->heap_initial : 0;
    if (inspect->has_program) { /* the kernel's own heap is address space, seldom used */
        later = inspect->program.head.memory_max;
    }
    return inspect->added_pages * SGX_PAGE_SIZE + later;
}

/* A program without a limit takes what it touches: nobody but the user knows how much that is. */
static cella_result check_limit(const struct inspect *inspect, const struct manifest *manifest,
                                struct cella_error *error)
{
    if (inspect->has_program && inspect->program.head.memory_max == 0 &&
        !(manifest->epc && manifest->memory)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the program's manifest sets no limit to its memory ([memory] max): "
                               "--epc and --memory say what the pod gets");
    }
    return CELLA_OK;
}

/* Enclaves beside the one that is meant: the platform's quoting enclaves, which a program has loaded when it makes quotes. */
static uint64_t others_bytes(const struct oci_reading *reading, const struct oci_found *main)
{
    struct oci_found *found = calloc(1, sizeof(*found));
    uint64_t sum = 0;
    for (size_t i = 0; found && oci_rootfs_found(reading->rootfs, i, found); i++) {
        struct inspect *inspect = calloc(1, sizeof(*inspect));
        if (inspect && strcmp(found->path, main->path) != 0 &&
            cella_is_ok(inspect_read(inspect, found->path, found->file, NULL))) {
            sum += manifest_epc(enclave_bytes(inspect));
        }
        if (inspect) {
            inspect_done(inspect);
        }
        free(inspect);
    }
    free(found);
    return sum;
}

/* The image's user, where it is a number and not root. */
static uint32_t image_user(const struct oci_reading *reading)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(reading->config, "config"), "User"));
    const size_t size = text ? strspn(text, "0123456789") : 0;
    const unsigned long value = size > 0 && size < 11 ? strtoul(text, NULL, 10) : 0;
    const bool good = value > 0 && value <= INT32_MAX && (text[size] == 0 || text[size] == ':');
    return good ? (uint32_t)value : MANIFEST_USER;
}

/* Of what `cella image` says of an enclave, what tells which one it is. */
static json_t *identity_of(const struct inspect *inspect, const char *path)
{
    static const char *const kept[] = {"enclave",    "mrenclave", "mrsigner",
                                       "product-id", "svn",       "debug"};
    json_t *all = image_annotations(inspect, path + 1), *identity = json_object();
    for (size_t i = 0; i < CELLA_COUNT(kept); i++) {
        char key[64];
        snprintf(key, sizeof(key), "cella.dev/%s", kept[i]);
        json_object_set(identity, key, json_object_get(all, key));
    }
    json_decref(all);
    return identity;
}

static cella_result take_enclave(const struct manifest_source *source, struct manifest *manifest,
                                 const struct oci_reading *reading, struct cella_error *error)
{
    CELLA_CLEANUP(inspect_done) struct inspect inspect = {0};
    struct oci_found found;
    CELLA_TRY(image_find(reading, source->enclave, &found, error));
    CELLA_TRY(inspect_read(&inspect, found.path, found.file, error));
    if (!inspect_is_good(&inspect)) {
        return cella_error_set(error, CELLA_RESULT(BAD_SIGNATURE), "%.200s: %.200s", found.path,
                               inspect.identity_count ? inspect.identities[0].trouble
                                                      : "no signed identity");
    }
    CELLA_TRY(check_limit(&inspect, manifest, error));
    manifest->epc_bytes = enclave_bytes(&inspect);
    if (manifest->quotes == MANIFEST_QUOTES_PROCESS) {
        manifest->epc_bytes += others_bytes(reading, &found);
    }
    manifest->threads = inspect.thread_count;
    manifest->image_bytes = reading->unpacked;
    manifest->user = manifest->user ? manifest->user : image_user(reading);
    manifest->identity = identity_of(&inspect, found.path);
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- names */

/* Lower case, with '-' for what a name cannot have; the last part of a path. */
static cella_result settle_name(const struct manifest_source *source, struct manifest *manifest,
                                const char *title, struct cella_error *error)
{
    const char *slash = title ? strrchr(title, '/') : NULL;
    const char *given = source->name ? source->name : slash ? slash + 1 : title ? title : "";
    char name[MANIFEST_LABEL_SIZE + 1];
    snprintf(name, sizeof(name), "%s", given);
    for (char *at = name; !source->name && *at; at++) {
        *at = *at >= 'A' && *at <= 'Z'   ? (char)(*at - 'A' + 'a')
              : *at == '_' || *at == '.' ? '-'
                                         : *at;
    }
    if (!manifest_name_parse(name, manifest->name)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "'%.80s' is no name for an object of Kubernetes': --name NAME, at "
                               "most 63 lower case letters, digits and '-', a letter first",
                               given);
    }
    return CELLA_OK;
}

/* What the cluster pulls. A docker archive has no manifest and so no digest that a registry would know. */
static cella_result settle_image(const struct manifest_source *source, struct manifest *manifest,
                                 const struct oci_reading *reading, const char *title,
                                 struct cella_error *error)
{
    const char *name = source->image ? source->image : title;
    const char *digest = name ? strchr(name, '@') : NULL;
    char *out = manifest->image;
    if (!name || !manifest_image_is_good(name)) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "%s: the image does not say what it is called: --image "
                               "REGISTRY/NAME",
                               source->what);
    }
    if (digest && reading->manifest && strcmp(digest + 8, reading->digest) != 0) {
        return cella_error_set(error, CELLA_RESULT(NAME_MISMATCH),
                               "--image %.300s: the image that was read is sha256:%s", name,
                               reading->digest);
    }
    snprintf(out, sizeof(manifest->image), "%s", name);
    if (!digest && reading->manifest) {
        snprintf(out + strlen(out), sizeof(manifest->image) - strlen(out), "@sha256:%s",
                 reading->digest);
    }
    return CELLA_OK;
}

cella_result manifest_of_image(const struct manifest_source *source, struct manifest *manifest,
                               struct cella_error *error)
{
    CELLA_CLEANUP(oci_reading_done) struct oci_reading reading = {0};
    static struct project project;
    char image[4352], path[4352];
    CELLA_TRY(find_image(source, manifest, image, sizeof(image), &project, error));
    const char *tag = image_split_tag(image, path, sizeof(path));
    CELLA_TRY(oci_read(path, tag, image_is_enclave, &reading, error));
    const char *title = image_said(&reading, "org.opencontainers.image.title");
    CELLA_TRY(take_enclave(source, manifest, &reading, error));
    CELLA_TRY(settle_image(source, manifest, &reading, title, error));
    return settle_name(source, manifest, project.name[0] ? project.name : title, error);
}
