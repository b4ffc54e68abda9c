/*
 * Layers: a tar archive of a part of the tree, compressed, and the same bytes each time.
 * Side: tools (hosted; libarchive, zlib). Called inside oci/. Never looks at the clock or at owners of files.
 */
#ifndef CELLA_OCI_LAYER_H
#define CELLA_OCI_LAYER_H

#include "oci/tree.h"

#define OCI_HEX_SIZE 65u

/* Zero-initialise. */
struct oci_blob {
    uint8_t *data;
    size_t size;
    char digest[OCI_HEX_SIZE];  /* of the data: SHA-256 in hexadecimal digits */
    char diff_id[OCI_HEX_SIZE]; /* of a layer before it was compressed */
    uint64_t unpacked;          /* the size of that */
    bool cached;
};

void oci_blob_done(struct oci_blob *blob);
void oci_hex(const uint8_t *bytes, size_t size, char *ret_text);

/*
 * The layer of a sorted tree. `epoch` is every file's time. The result is kept in folder `cache` under the digest of
 * what it was made of, and taken from there when it is whole; NULL: no cache. `ret_key` names the file there.
 */
CELLA_MUST_USE cella_result oci_layer_make(const struct oci_tree *tree, enum oci_layer layer,
                                           int64_t epoch, const char *cache,
                                           struct oci_blob *ret_blob, char ret_key[OCI_HEX_SIZE],
                                           struct cella_error *error);

#endif
