/*
 * Where an image's parts are: a folder, or a tar archive (plain or compressed), opened part by part.
 * Side: tools (hosted; libarchive). Called inside oci/. Never follows a link out of the folder or the archive; never
 * writes.
 */
#ifndef CELLA_OCI_BLOBS_H
#define CELLA_OCI_BLOBS_H

#include <archive.h>
#include <openssl/evp.h>
#include <stdbool.h>

#include "common/bytes.h"
#include "common/error.h"

#define OCI_BLOBS_MEMBERS_MAX 65536u
#define OCI_BLOBS_NAME_MAX 512u
#define OCI_BLOBS_SIZE_MAX (1ull << 36) /* bytes of an archive, unpacked */
#define OCI_BLOBS_LINKS_MAX 8u

struct oci_blobs;

/* `path`: a folder or an archive. */
CELLA_MUST_USE cella_result oci_blobs_open(const char *path, struct oci_blobs **ret_blobs,
                                           struct cella_error *error);
void oci_blobs_close(struct oci_blobs *blobs);
bool oci_blobs_is_folder(const struct oci_blobs *blobs);
/* Whether a part of that name is there. */
bool oci_blobs_has(const struct oci_blobs *blobs, const char *name);

/* A part that is being read, with the digest of what was read. Zero-initialise. */
struct oci_part {
    struct archive *outer;
    int fd; /* of a folder's file */
    bool is_open;
    uint64_t read;
    EVP_MD_CTX *digest;
    uint8_t buffer[65536];
};

CELLA_MUST_USE cella_result oci_part_open(const struct oci_blobs *blobs, const char *name,
                                          struct oci_part *part, struct cella_error *error);
void oci_part_done(struct oci_part *part);
/* The next bytes, in part->buffer; 0 at the end, -1 when they cannot be read. */
long oci_part_read(struct oci_part *part);
/* Reads what is left, and gives size and SHA-256 of all; false: it cannot be read. */
bool oci_part_finish(struct oci_part *part, uint64_t *ret_size, uint8_t ret_digest[32]);

/* A whole part of at most `limit` bytes, with a zero byte behind; the caller frees. */
CELLA_MUST_USE cella_result oci_blobs_read(const struct oci_blobs *blobs, const char *name,
                                           size_t limit, uint8_t **ret_data, size_t *ret_size,
                                           uint8_t ret_digest[32], struct cella_error *error);

#endif
