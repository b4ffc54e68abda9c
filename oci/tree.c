/*
 * The list of what goes into a container image.
 * Side: tools. Called by cli/ and inside oci/. Never changes a file that it reads.
 */
#include "oci/tree.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "oci/trim.h"

static void entry_done(struct oci_entry *entry)
{
    free(entry->path);
    free(entry->source);
    free(entry->target);
    free(entry->data);
    *entry = (struct oci_entry){0};
}

void oci_tree_done(struct oci_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        entry_done(&tree->entries[i]);
    }
    free(tree->entries);
    *tree = (struct oci_tree){0};
}

bool oci_path_is_good(const char *path)
{
    size_t length = strlen(path);
    if (length == 0 || length >= OCI_PATH_MAX) {
        return false;
    }
    for (const char *at = path;; at++) {
        size_t part = strcspn(at, "/");
        if (part == 0 || (part == 1 && at[0] == '.') || (part == 2 && !strncmp(at, "..", 2))) {
            return false;
        }
        for (size_t i = 0; i < part; i++) {
            if ((unsigned char)at[i] < ' ' || at[i] == 0x7f) {
                return false;
            }
        }
        at += part;
        if (!*at) {
            return true;
        }
    }
}

cella_result oci_sha256(const void *data, size_t size, uint8_t ret_digest[32])
{
    unsigned length = 32;
    CELLA_ENSURE(EVP_Digest(data, size, ret_digest, &length, EVP_sha256(), NULL) == 1, CRYPTO);
    return CELLA_OK;
}

static bool same_text(const char *left, const char *right)
{
    return left == right || (left && right && strcmp(left, right) == 0);
}

static bool same(const struct oci_entry *left, const struct oci_entry *right)
{
    return left->kind == right->kind && left->mode == right->mode && left->size == right->size &&
           same_text(left->target, right->target) &&
           (left->size == 0 || memcmp(left->data, right->data, left->size) == 0);
}

static struct oci_entry *find(const struct oci_tree *tree, const char *path)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (strcmp(tree->entries[i].path, path) == 0) {
            return &tree->entries[i];
        }
    }
    return NULL;
}

static cella_result make_room(struct oci_tree *tree, struct cella_error *error)
{
    if (tree->count == OCI_ENTRY_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "more than %u files",
                               OCI_ENTRY_MAX);
    }
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity ? 2 * tree->capacity : 32;
        struct oci_entry *entries = realloc(tree->entries, capacity * sizeof(*entries));
        CELLA_ENSURE(entries != NULL, OUT_OF_MEMORY);
        tree->entries = entries;
        tree->capacity = capacity;
    }
    return CELLA_OK;
}

static char *copy_of(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* Takes entry->data, which is malloc'ed or NULL, in any case. */
static cella_result add_owned(struct oci_tree *tree, const struct oci_entry *entry,
                              struct cella_error *error)
{
    uint8_t *owned __attribute__((cleanup(oci_free_data))) = entry->data;
    if (!oci_path_is_good(entry->path)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "'%s': not a path below the image's root", entry->path);
    }
    const struct oci_entry *other = find(tree, entry->path);
    if (other && same(other, entry)) {
        return CELLA_OK;
    }
    if (other) {
        return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS),
                               "/%s would be two things in the image: %s and %s", entry->path,
                               other->source ? other->source : "(made)",
                               entry->source ? entry->source : "(made)");
    }
    CELLA_TRY(make_room(tree, error));
    struct oci_entry made = *entry;
    CELLA_TRY(oci_sha256(made.data, made.size, made.digest));
    made.path = strdup(entry->path);
    made.source = copy_of(entry->source);
    made.target = copy_of(entry->target);
    made.data = CELLA_TAKE(owned);
    tree->entries[tree->count++] = made; /* freed with the tree, whole or not */
    CELLA_ENSURE(made.path && !made.source == !entry->source && !made.target == !entry->target,
                 OUT_OF_MEMORY);
    return CELLA_OK;
}

cella_result oci_tree_add(struct oci_tree *tree, const struct oci_entry *entry,
                          struct cella_error *error)
{
    struct oci_entry copy = *entry;
    copy.data = NULL;
    if (entry->size) {
        copy.data = malloc(entry->size);
        CELLA_ENSURE(copy.data != NULL, OUT_OF_MEMORY);
        memcpy(copy.data, entry->data, entry->size);
    }
    return add_owned(tree, &copy, error);
}

cella_result oci_tree_add_file(struct oci_tree *tree, enum oci_layer layer, const char *path,
                               const char *source, unsigned mode, enum oci_trim trim,
                               struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    CELLA_TRY(cella_file_read(source, OCI_FILE_MAX, &file, error));
    const size_t before = file.size;
    size_t blanked = 0;
    if (trim == OCI_TRIM_PROGRAM) {
        oci_trim_program(file.data, &file.size);
    } else if (trim == OCI_TRIM_ENCLAVE) {
        blanked = oci_trim_enclave(file.data, file.size);
    }
    struct oci_entry entry = {.kind = OCI_FILE,
                              .layer = layer,
                              .mode = mode,
                              .path = (char *)path,
                              .source = (char *)source,
                              .data = CELLA_TAKE(file.data),
                              .size = file.size,
                              .trimmed = before - file.size + blanked};
    return add_owned(tree, &entry, error);
}

/* A folder comes directly before what is in it: '/' is below every other character of a path. */
static int compare(const void *left, const void *right)
{
    const char *a = ((const struct oci_entry *)left)->path;
    const char *b = ((const struct oci_entry *)right)->path;
    while (*a && *a == *b) {
        a++;
        b++;
    }
    const int of_a = *a == '/' ? 1 : (unsigned char)*a;
    const int of_b = *b == '/' ? 1 : (unsigned char)*b;
    return of_a - of_b;
}

cella_result oci_tree_sort(struct oci_tree *tree, struct cella_error *error)
{
    if (tree->count > 1) {
        qsort(tree->entries, tree->count, sizeof(tree->entries[0]), compare);
    }
    for (size_t i = 1; i < tree->count; i++) {
        const struct oci_entry *above = &tree->entries[i - 1], *entry = &tree->entries[i];
        const size_t length = strlen(above->path);
        if (above->kind != OCI_FOLDER && strncmp(entry->path, above->path, length) == 0 &&
            entry->path[length] == '/') {
            return cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS),
                                   "/%s: /%s is no folder in the image", entry->path, above->path);
        }
    }
    return CELLA_OK;
}
