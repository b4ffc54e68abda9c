/*
 * Which enclave a container image is about. image_find.h is the manual.
 * Side: tools. Called by cella image verify and cella k8s manifest. Never starts or unpacks the image.
 */
#include "cli/image_find.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "image/elf64.h"
#include "image/image.h"

bool image_is_enclave(struct cella_bytes file)
{
    static const char *const names[] = {".cella.info", ".note.cella", ".oeinfo", ".note.sgxmeta"};
    struct cella_elf elf;
    struct cella_image image;
    Elf64_Shdr section;
    if (!cella_is_ok(cella_elf_parse(file, &elf, NULL))) {
        return false;
    }
    for (size_t i = 0; i < CELLA_COUNT(names); i++) {
        if (cella_is_ok(cella_elf_section_find(&elf, names[i], &section))) {
            return true;
        }
    }
    return cella_is_ok(cella_image_parse(file, &image, NULL));
}

const char *image_said(const struct oci_reading *reading, const char *key)
{
    const json_t *labels = json_object_get(json_object_get(reading->config, "config"), "Labels");
    const json_t *annotations = json_object_get(reading->manifest, "annotations");
    const char *value = json_string_value(json_object_get(annotations, key));
    return value ? value : json_string_value(json_object_get(labels, key));
}

static bool find_at(const struct oci_reading *reading, const char *path,
                    struct oci_found *ret_found)
{
    for (size_t i = 0; oci_rootfs_found(reading->rootfs, i, ret_found); i++) {
        if (strcmp(ret_found->path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the command that the image runs names `path`. */
static bool is_started_with(const struct oci_reading *reading, const char *path)
{
    const json_t *config = json_object_get(reading->config, "config");
    static const char *const keys[] = {"Entrypoint", "Cmd"};
    for (size_t i = 0; i < CELLA_COUNT(keys); i++) {
        const json_t *words = json_object_get(config, keys[i]);
        for (size_t j = 0; j < json_array_size(words); j++) {
            const char *word = json_string_value(json_array_get(words, j));
            if (word && strcmp(word, path) == 0) {
                return true;
            }
        }
    }
    return false;
}

cella_result image_find(const struct oci_reading *reading, const char *path,
                        struct oci_found *ret_found, struct cella_error *error)
{
    const char *named = path ? path : image_said(reading, "cella.dev/enclave");
    struct oci_found found;
    size_t count = 0, started = 0;
    if (named) {
        return find_at(reading, named, ret_found)
                   ? CELLA_OK
                   : cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                     "%.200s: %s, but there is no enclave in the image's files",
                                     named,
                                     path ? "asked for" : "the annotations say it is the enclave");
    }
    for (size_t i = 0; oci_rootfs_found(reading->rootfs, i, &found); i++) {
        const bool is_main = is_started_with(reading, found.path);
        started += is_main;
        count++;
        if (is_main || (count == 1 && !started)) {
            *ret_found = found;
        }
    }
    if (started == 1 || count == 1) {
        return CELLA_OK;
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           count ? "%zu enclaves, and nothing says which is meant: --enclave PATH"
                                 : "no enclave in the image (%zu)",
                           count);
}

const char *image_split_tag(const char *image, char *ret_path, size_t size)
{
    const char *colon = strrchr(image, ':');
    snprintf(ret_path, size, "%s", image);
    if (!colon || strchr(colon, '/') || access(image, F_OK) == 0 ||
        (size_t)(colon - image) >= size) {
        return NULL;
    }
    ret_path[colon - image] = '\0';
    return colon + 1;
}
