/*
 * What a manifest needs to know of an image: the enclave in it, measured; names; who runs it.
 * Side: tools. Called by cli/cmd_k8s.c. Never starts or unpacks the image.
 */
#ifndef CELLA_CLI_MANIFEST_IMAGE_H
#define CELLA_CLI_MANIFEST_IMAGE_H

#include "cli/manifest.h"

struct manifest_source {
    const char *what;    /* a project's folder, or an image */
    const char *image;   /* reference, of the command line; NULL: the image's own name */
    const char *name;    /* of the objects; NULL: the project's or the image's */
    const char *enclave; /* which one; NULL: the one that the image is about */
    bool quotes_told;    /* manifest->quotes is of the command line */
};

/* Fills name, image, user (unless it is told) and what stands below "Of the image"; manifest_done frees. */
CELLA_MUST_USE cella_result manifest_of_image(const struct manifest_source *source,
                                              struct manifest *manifest, struct cella_error *error);

#endif
