/*
 * What goes into a container image: a list of files, links and folders, and the libraries that a program needs.
 * Side: tools (hosted). Called by cli/ and inside oci/. Never runs a program, never changes a file that it reads.
 */
#ifndef CELLA_OCI_TREE_H
#define CELLA_OCI_TREE_H

#include <stdbool.h>

#include "common/bytes.h"
#include "common/error.h"

#define OCI_PATH_MAX 4096u
#define OCI_ENTRY_MAX 4096u
#define OCI_FILE_MAX (1ull << 32)
#define OCI_NOBODY 65534u

enum oci_kind {
    OCI_FILE,
    OCI_LINK,
    OCI_FOLDER,
};

/* From what changes seldom to what changes often. */
enum oci_layer {
    OCI_LAYER_BASE,
    OCI_LAYER_HOST,
    OCI_LAYER_ENCLAVE,
    OCI_LAYERS,
};

struct oci_entry {
    enum oci_kind kind;
    enum oci_layer layer;
    unsigned mode;
    uint32_t owner; /* user and group */
    char *path;     /* in the image, without a slash at the start */
    char *source;   /* where it was read from; NULL: made */
    char *target;   /* of a link */
    uint8_t *data;
    size_t size;
    uint8_t digest[32]; /* SHA-256 of the data */
    size_t trimmed;     /* bytes of debugging information that were blanked or cut off */
};

/* Zero-initialise. */
struct oci_tree {
    struct oci_entry *entries;
    size_t count, capacity;
};

void oci_tree_done(struct oci_tree *tree);

/* Relative, no empty parts, no "." and "..", no bytes below blank; shorter than OCI_PATH_MAX. */
bool oci_path_is_good(const char *path);

/*
 * Adds a copy of `data` (of a file), of a folder or of a link. The same path with the same content is kept once;
 * ALREADY_EXISTS when it differs.
 */
CELLA_MUST_USE cella_result oci_tree_add(struct oci_tree *tree, const struct oci_entry *entry,
                                         struct cella_error *error);

enum oci_trim {
    OCI_TRIM_NOT,
    OCI_TRIM_PROGRAM, /* sections that are not loaded go: oci/trim.h */
    OCI_TRIM_ENCLAVE, /* debugging sections are blanked; not a byte that is loaded, nor any place, changes */
};

/* Reads `source` and adds it at `path`. */
CELLA_MUST_USE cella_result oci_tree_add_file(struct oci_tree *tree, enum oci_layer layer,
                                              const char *path, const char *source, unsigned mode,
                                              enum oci_trim trim, struct cella_error *error);

/*
 * Adds the loader and all libraries that the program at `program` needs, as the loader of glibc or musl would find them
 * here, in folders where the loader of the image finds them. What lies below `project` goes to the host's layer.
 * NOT_FOUND names the library and who needs it. Programs that are linked statically need nothing.
 */
CELLA_MUST_USE cella_result oci_tree_add_needs(struct oci_tree *tree, const char *program,
                                               const char *project, struct cella_error *error);

/* Sorts by path, so that the same content gives the same image. ALREADY_EXISTS: something would be in what is no folder. */
CELLA_MUST_USE cella_result oci_tree_sort(struct oci_tree *tree, struct cella_error *error);

CELLA_MUST_USE cella_result oci_sha256(const void *data, size_t size, uint8_t ret_digest[32]);

#endif
