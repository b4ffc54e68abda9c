/*
 * The JSON of images: descriptors, and which image of an index is meant.
 * Side: tools. Called inside oci/ and by its fuzz target. Allocates only what jansson does.
 */
#include <stdio.h>
#include <string.h>

#include "oci/image.h"
#include "oci/read.h"

#define REF_NAME "org.opencontainers.image.ref.name"

cella_result oci_json_parse(struct cella_bytes text, const char *name, json_t **ret_json,
                            struct cella_error *error)
{
    json_error_t where;
    json_t *json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &where);
    if (!json) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s:%d:%d: %s", name, where.line,
                               where.column, where.text);
    }
    *ret_json = json;
    return CELLA_OK;
}

cella_result oci_descriptor_parse(const json_t *json, struct oci_descriptor *ret_descriptor)
{
    const char *digest = json_string_value(json_object_get(json, "digest"));
    const char *type = json_string_value(json_object_get(json, "mediaType"));
    const json_t *size = json_object_get(json, "size");
    CELLA_ENSURE(digest && type && json_is_integer(size) && json_integer_value(size) >= 0,
                 BAD_FIELD);
    CELLA_ENSURE(strncmp(digest, "sha256:", 7) == 0 && strlen(digest) == 7 + 64 &&
                     strspn(digest + 7, "0123456789abcdef") == 64,
                 BAD_FIELD);
    CELLA_ENSURE(strlen(type) < sizeof(ret_descriptor->type), BAD_FIELD);
    *ret_descriptor = (struct oci_descriptor){.size = (uint64_t)json_integer_value(size)};
    strcpy(ret_descriptor->digest, digest + 7);
    strcpy(ret_descriptor->type, type);
    return CELLA_OK;
}

/* Attestations and lists of contents are stored as further manifests; an image for another machine is none of ours. */
static bool is_ours(const json_t *row)
{
    const json_t *platform = json_object_get(row, "platform");
    const char *architecture = json_string_value(json_object_get(platform, "architecture"));
    const char *system = json_string_value(json_object_get(platform, "os"));
    return !json_object_get(row, "artifactType") &&
           (!architecture || strcmp(architecture, "amd64") == 0) &&
           (!system || strcmp(system, "linux") == 0);
}

static bool has_tag(const json_t *row, const char *tag)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(row, "annotations"), REF_NAME));
    const size_t length = strlen(tag);
    if (!name) {
        return false;
    }
    /* Some tools write NAME:TAG there. */
    const size_t of_name = strlen(name);
    return strcmp(name, tag) == 0 || (of_name > length && name[of_name - length - 1] == ':' &&
                                      strcmp(name + of_name - length, tag) == 0);
}

cella_result oci_index_choose(const json_t *index, const char *tag,
                              struct oci_descriptor *ret_descriptor, struct cella_error *error)
{
    const json_t *rows = json_object_get(index, "manifests");
    const json_t *chosen = NULL;
    size_t count = 0;
    if (!json_is_array(rows)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "the index has no manifests");
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (is_ours(row) && (!tag || has_tag(row, tag))) {
            chosen = row;
            count++;
        }
    }
    if (count != 1) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "%zu images for linux/amd64%s%s in the index; say which one: "
                               "IMAGE:TAG",
                               count, tag ? " are named " : "", tag ? tag : "");
    }
    if (!cella_is_ok(oci_descriptor_parse(chosen, ret_descriptor))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the index: a descriptor needs mediaType, size and digest "
                               "(sha256: and 64 digits)");
    }
    return CELLA_OK;
}
