/*
 * Reading a container image: which image, its configuration, and the files in its layers, every digest checked.
 * Side: tools (hosted; jansson, libarchive). Called by cli/. Never writes, never asks a network.
 * Sources: OCI image-spec 1.1; the tar archives of `docker save` (moby, image/tarexport).
 */
#ifndef CELLA_OCI_READ_H
#define CELLA_OCI_READ_H

#include <jansson.h>

#include "oci/rootfs.h"

#define OCI_READ_JSON_MAX (4u << 20)
#define OCI_READ_LAYERS_MAX 256u
#define OCI_READ_NESTING_MAX 3u            /* indexes in indexes */
#define OCI_READ_UNPACKED_MAX (1ull << 36) /* bytes of all layers together */

/* A reference to a blob. */
struct oci_descriptor {
    char type[128];
    char digest[65]; /* hexadecimal; SHA-256 is the only algorithm that is read */
    uint64_t size;
};

/* Zero-initialise. */
struct oci_reading {
    const char *format; /* "OCI layout", "OCI archive" or "docker archive" */
    char digest[65];    /* of the manifest; of the configuration where there is no manifest */
    json_t *manifest;   /* NULL: none, in a docker archive */
    json_t *config;
    struct oci_rootfs *rootfs;
    unsigned layer_count;
    uint64_t packed, unpacked;
};

/* A JSON object with the three members; BAD_FIELD names none. Exported for its fuzz target. */
CELLA_MUST_USE cella_result oci_descriptor_parse(const json_t *json,
                                                 struct oci_descriptor *ret_descriptor);
/* Bytes to JSON: no name twice, nothing behind. */
CELLA_MUST_USE cella_result oci_json_parse(struct cella_bytes text, const char *name,
                                           json_t **ret_json, struct cella_error *error);
/* The one image of an index, or the one with that tag (NULL: any): its descriptor. */
CELLA_MUST_USE cella_result oci_index_choose(const json_t *index, const char *tag,
                                             struct oci_descriptor *ret_descriptor,
                                             struct cella_error *error);

/* Reads image `path`; `tag` may be NULL when it holds one image. */
CELLA_MUST_USE cella_result oci_read(const char *path, const char *tag, oci_wanted_fn wanted,
                                     struct oci_reading *ret_reading, struct cella_error *error);
void oci_reading_done(struct oci_reading *reading);

#endif
