/*
 * The files that an image's layers make together: a tree of names, with the contents of the files that somebody wants.
 * Side: tools (hosted; libarchive). Called inside oci/ and by its fuzz target. Writes nothing to any file system: a
 * link leads to another name of the tree and never out of it.
 * Source: OCI image-spec 1.1, layer.md (change sets, whiteouts, opaque whiteouts).
 */
#ifndef CELLA_OCI_ROOTFS_H
#define CELLA_OCI_ROOTFS_H

#include <archive.h>

#include "common/bytes.h"
#include "common/error.h"
#include <stdbool.h>

#define OCI_ROOTFS_ENTRIES_MAX (1u << 20)
#define OCI_ROOTFS_DEPTH_MAX 128u
#define OCI_ROOTFS_PATH_MAX 4096u
#define OCI_ROOTFS_LINKS_MAX 40u         /* followed for one name, as in the kernel */
#define OCI_ROOTFS_WANTED_MAX (1u << 29) /* bytes of one file that is looked into */
#define OCI_ROOTFS_KEPT_MAX (1ull << 31) /* bytes of all files that are kept */

/* Whether a whole file is one to keep; `file` starts as an ELF file does. */
typedef bool (*oci_wanted_fn)(struct cella_bytes file);

struct oci_rootfs;

struct oci_rootfs *oci_rootfs_new(oci_wanted_fn wanted);
void oci_rootfs_free(struct oci_rootfs *rootfs);

/*
 * Applies the next layer: a tar archive that libarchive has opened. `layer` is for the error text. MALFORMED codes for what
 * the specification forbids (names with "..", names twice, links to nothing), LIMIT_EXCEEDED for too much of anything.
 */
CELLA_MUST_USE cella_result oci_rootfs_apply(struct oci_rootfs *rootfs, struct archive *archive,
                                             unsigned layer, struct cella_error *error);

/* A kept file of the finished tree. */
struct oci_found {
    char path[OCI_ROOTFS_PATH_MAX]; /* with the slash at the start */
    struct cella_bytes file;
    unsigned layer;
};

/* In no order; `index` from 0. False: no more. */
bool oci_rootfs_found(const struct oci_rootfs *rootfs, size_t index, struct oci_found *ret_found);
/* How many names the tree has. */
size_t oci_rootfs_count(const struct oci_rootfs *rootfs);

#endif
