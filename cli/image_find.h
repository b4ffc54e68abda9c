/*
 * Which enclave a container image is about: by what it says of itself, by what it runs, or because there is one only.
 * Side: tools. Called by cella image verify and cella k8s manifest. Never starts or unpacks the image.
 */
#ifndef CELLA_CLI_IMAGE_FIND_H
#define CELLA_CLI_IMAGE_FIND_H

#include "oci/read.h"

/* An enclave of one of the three kinds, as far as a glance tells; inspect says whether it is a good one. For oci_read. */
bool image_is_enclave(struct cella_bytes file);

/* What the image says of itself under `key`: in the manifest, or in the configuration's labels. NULL: nothing. */
const char *image_said(const struct oci_reading *reading, const char *key);

/* The enclave at `path`, or without one (NULL) the one that the image is about. NOT_FOUND says why there is none. */
CELLA_MUST_USE cella_result image_find(const struct oci_reading *reading, const char *path,
                                       struct oci_found *ret_found, struct cella_error *error);

/* "PATH:TAG" where PATH:TAG itself is no file: puts PATH into ret_path, gives the tag. NULL: there is none. */
const char *image_split_tag(const char *image, char *ret_path, size_t size);

#endif
