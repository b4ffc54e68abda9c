/*
 * A container image of one tree: configuration, manifest, index, as a folder (OCI image layout) or as one archive that is
 * an OCI archive and one for `docker load` at once.
 * Side: tools (hosted; jansson, libarchive). Called by cli/. No daemon, no network, no root.
 * Sources: OCI image-spec 1.1 (image-layout.md, manifest.md, config.md, annotations.md).
 */
#ifndef CELLA_OCI_IMAGE_H
#define CELLA_OCI_IMAGE_H

#include <jansson.h>

#include "oci/layer.h"

#define OCI_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

/* What the configuration says; strings are the caller's. */
struct oci_config {
    const char *title;   /* the project's name */
    const char *tag;     /* latest, … */
    int64_t epoch;       /* `created`, and every file's time */
    uint32_t user;       /* user and group */
    const char *folder;  /* working directory, with the slash at the start */
    json_t *entrypoint;  /* array of strings, borrowed */
    json_t *environment; /* array of "NAME=value", borrowed */
    json_t *
        annotations; /* object of strings, borrowed: of the manifest, and labels of the configuration */
};

/* Zero-initialise. */
struct oci_image {
    struct oci_blob layers[OCI_LAYERS];
    unsigned layer_count; /* empty layers are left out */
    enum oci_layer kinds[OCI_LAYERS];
    struct oci_blob config, manifest, index, docker;
};

void oci_image_done(struct oci_image *image);

/* Sorts the tree. `cache`: a folder for layers, emptied of others than this image's; NULL: none. */
CELLA_MUST_USE cella_result oci_image_make(struct oci_tree *tree, const struct oci_config *config,
                                           const char *cache, struct oci_image *ret_image,
                                           struct cella_error *error);

/*
 * Writes the layout into `folder`, which is made, or has a layout with one image at most, which is replaced: the index
 * last, so that a reader never sees half of an image. Blobs that are there are left alone.
 */
CELLA_MUST_USE cella_result oci_image_write_layout(const struct oci_image *image,
                                                   const char *folder, struct cella_error *error);
/* One tar file, through a temporary one beside it. */
CELLA_MUST_USE cella_result oci_image_write_archive(const struct oci_image *image, int64_t epoch,
                                                    const char *path, struct cella_error *error);

/* RFC 3339 in UTC, as "1970-01-01T00:00:00Z". */
void oci_time_text(int64_t seconds, char ret_text[32]);

#endif
