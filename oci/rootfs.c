/*
 * The files that an image's layers make together.
 * Side: tools. Called inside oci/ and by its fuzz target. Writes nothing to any file system.
 */
#include "oci/rootfs.h"

#include <archive_entry.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define BUCKETS (1u << 16)
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

enum node_kind {
    NODE_FOLDER,
    NODE_FILE,
    NODE_LINK,
    NODE_OTHER, /* devices and pipes */
};

/* A kept content; hard links share it. */
struct content {
    uint8_t *data;
    size_t size;
    unsigned users;
};

struct node {
    char *name;
    enum node_kind kind;
    unsigned layer;
    unsigned depth;
    bool implied; /* a folder that no layer has named */
    struct node *parent, *child, *previous, *next;
    struct node *bucket_next;
    char *target;
    struct content *content;
};

struct oci_rootfs {
    oci_wanted_fn wanted;
    struct node root;
    struct node *buckets[BUCKETS];
    size_t count;
    uint64_t kept;
};

static unsigned bucket_of(const struct node *parent, const char *name, size_t length)
{
    uint64_t hash = 14695981039346656037ull ^ (uintptr_t)parent;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 1099511628211ull;
    }
    return (unsigned)((hash ^ hash >> 32) % BUCKETS);
}

static struct node *child_find(const struct oci_rootfs *rootfs, const struct node *parent,
                               const char *name, size_t length)
{
    struct node *node = rootfs->buckets[bucket_of(parent, name, length)];
    while (node && !(node->parent == parent && strncmp(node->name, name, length) == 0 &&
                     node->name[length] == '\0')) {
        node = node->bucket_next;
    }
    return node;
}

static cella_result child_add(struct oci_rootfs *rootfs, struct node *parent, const char *name,
                              size_t length, struct node **ret_node)
{
    CELLA_ENSURE(rootfs->count < OCI_ROOTFS_ENTRIES_MAX, LIMIT_EXCEEDED);
    CELLA_ENSURE(parent->depth < OCI_ROOTFS_DEPTH_MAX, LIMIT_EXCEEDED);
    struct node *node = calloc(1, sizeof(*node));
    CELLA_ENSURE(node != NULL, OUT_OF_MEMORY);
    node->name = strndup(name, length);
    if (!node->name) {
        free(node);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    const unsigned bucket = bucket_of(parent, name, length);
    node->depth = parent->depth + 1;
    node->parent = parent;
    node->next = parent->child;
    if (node->next) {
        node->next->previous = node;
    }
    parent->child = node;
    node->bucket_next = rootfs->buckets[bucket];
    rootfs->buckets[bucket] = node;
    rootfs->count++;
    *ret_node = node;
    return CELLA_OK;
}

static void content_drop(struct oci_rootfs *rootfs, struct node *node)
{
    struct content *content = node->content;
    node->content = NULL;
    if (content && --content->users == 0) {
        rootfs->kept -= content->size;
        free(content->data);
        free(content);
    }
    free(node->target);
    node->target = NULL;
}

/* A node without children. */
static void leaf_free(struct oci_rootfs *rootfs, struct node *node)
{
    struct node **place = &rootfs->buckets[bucket_of(node->parent, node->name, strlen(node->name))];
    while (*place != node) {
        place = &(*place)->bucket_next;
    }
    *place = node->bucket_next;
    if (node->previous) {
        node->previous->next = node->next;
    } else {
        node->parent->child = node->next;
    }
    if (node->next) {
        node->next->previous = node->previous;
    }
    content_drop(rootfs, node);
    rootfs->count--;
    free(node->name);
    free(node);
}

/*
 * Removes what layers below `layer` put under `top`, and folders that are empty then; `top` itself stays. From the leaves up,
 * without recursion.
 */
static void clear_lower(struct oci_rootfs *rootfs, struct node *top, unsigned layer)
{
    struct node *node = top->child;
    while (node) {
        if (node->child) {
            node = node->child;
            continue;
        }
        for (;;) { /* a leaf, or a folder whose children have been seen */
            struct node *next = node->next, *parent = node->parent;
            if (node->layer < layer && !node->child) {
                leaf_free(rootfs, node);
            }
            if (next) {
                node = next;
                break;
            }
            if (parent == top) {
                return;
            }
            node = parent;
        }
    }
}

/* Removes a name with all below it. */
static void remove_all(struct oci_rootfs *rootfs, struct node *node)
{
    clear_lower(rootfs, node, UINT32_MAX);
    leaf_free(rootfs, node);
}

struct oci_rootfs *oci_rootfs_new(oci_wanted_fn wanted)
{
    struct oci_rootfs *rootfs = calloc(1, sizeof(*rootfs));
    if (rootfs) {
        rootfs->wanted = wanted;
    }
    return rootfs;
}

void oci_rootfs_free(struct oci_rootfs *rootfs)
{
    if (rootfs) {
        clear_lower(rootfs, &rootfs->root, UINT32_MAX);
        free(rootfs);
    }
}

size_t oci_rootfs_count(const struct oci_rootfs *rootfs)
{
    return rootfs->count;
}

/* ------------------------------------------------------------------------- names */

struct walk {
    char pending[2 * OCI_ROOTFS_PATH_MAX]; /* what is left of the name */
    unsigned links;
};

/* Puts a link's target before the rest of the name. */
static cella_result follow(struct walk *walk, const char *target)
{
    const size_t length = strlen(target), rest = strlen(walk->pending);
    CELLA_ENSURE(++walk->links <= OCI_ROOTFS_LINKS_MAX, LIMIT_EXCEEDED);
    CELLA_ENSURE(length + 1 + rest < sizeof(walk->pending), LIMIT_EXCEEDED);
    memmove(walk->pending + length + 1, walk->pending, rest + 1);
    memcpy(walk->pending, target, length);
    walk->pending[length] = '/';
    return CELLA_OK;
}

/*
 * The folder that `path` names, through links, as a container's own root would be walked: ".." at the top stays there.
 * `make`: folders that are not there are made, of layer `layer`.
 */
static cella_result folder_find(struct oci_rootfs *rootfs, const char *path, bool make,
                                unsigned layer, struct node **ret_folder)
{
    struct walk walk = {.links = 0};
    struct node *at = &rootfs->root;
    CELLA_ENSURE(strlen(path) < OCI_ROOTFS_PATH_MAX, LIMIT_EXCEEDED);
    strcpy(walk.pending, path);
    for (;;) {
        char part[OCI_ROOTFS_PATH_MAX];
        const size_t skip = strspn(walk.pending, "/");
        const size_t length = strcspn(walk.pending + skip, "/");
        if (length == 0) {
            break;
        }
        CELLA_ENSURE(length < sizeof(part), LIMIT_EXCEEDED);
        memcpy(part, walk.pending + skip, length);
        part[length] = '\0';
        memmove(walk.pending, walk.pending + skip + length,
                strlen(walk.pending + skip + length) + 1);
        if (strcmp(part, ".") == 0) {
            continue;
        }
        if (strcmp(part, "..") == 0) {
            at = at->parent ? at->parent : at;
            continue;
        }
        struct node *node = child_find(rootfs, at, part, length);
        if (!node) {
            CELLA_ENSURE(make, NOT_FOUND);
            CELLA_TRY(child_add(rootfs, at, part, length, &node));
            node->layer = layer;
            node->implied = true;
        }
        if (node->kind == NODE_LINK) {
            at = node->target[0] == '/' ? &rootfs->root : at;
            CELLA_TRY(follow(&walk, node->target));
            continue;
        }
        CELLA_ENSURE(node->kind == NODE_FOLDER, BAD_FIELD);
        at = node;
    }
    *ret_folder = at;
    return CELLA_OK;
}

/* Splits "a/b/c" into "a/b" and "c". Leading "./" and "/" are nothing; "..", and control characters, are refused. */
static cella_result name_split(const char *path, char ret_folder[OCI_ROOTFS_PATH_MAX],
                               char ret_name[OCI_ROOTFS_PATH_MAX])
{
    size_t used = 0;
    ret_folder[0] = '\0';
    ret_name[0] = '\0';
    CELLA_ENSURE(path && strlen(path) < OCI_ROOTFS_PATH_MAX - 1, LIMIT_EXCEEDED);
    for (const char *at = path; *at;) {
        const size_t length = strcspn(at, "/");
        CELLA_ENSURE(!(length == 2 && strncmp(at, "..", 2) == 0), BAD_FIELD);
        if (length > 0 && !(length == 1 && *at == '.')) {
            const size_t before = strlen(ret_name);
            if (before) {
                memcpy(ret_folder + used, ret_name, before);
                used += before;
                ret_folder[used++] = '/';
                ret_folder[used] = '\0';
            }
            memcpy(ret_name, at, length);
            ret_name[length] = '\0';
        }
        at += length;
        at += *at == '/';
    }
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- entries */

struct step {
    struct oci_rootfs *rootfs;
    struct archive *archive;
    struct archive_entry *entry;
    unsigned layer;
    struct node *parent;
    char folder[OCI_ROOTFS_PATH_MAX];
    char name[OCI_ROOTFS_PATH_MAX];
};

static cella_result whiteout(struct step *step)
{
    struct oci_rootfs *rootfs = step->rootfs;
    if (strcmp(step->name, OPAQUE) == 0) {
        clear_lower(rootfs, step->parent, step->layer);
        return CELLA_OK;
    }
    const char *name = step->name + strlen(WHITEOUT);
    if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0) {
        return CELLA_OK; /* other marks of union file systems */
    }
    CELLA_ENSURE(*name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0, BAD_FIELD);
    struct node *node = child_find(rootfs, step->parent, name, strlen(name));
    if (node) {
        clear_lower(rootfs, node, step->layer);
        if (node->layer < step->layer && !node->child) {
            leaf_free(rootfs, node);
        }
    }
    return CELLA_OK;
}

/* Reads up to `size` bytes; fewer only at the end. */
static cella_result read_some(struct archive *archive, uint8_t *data, size_t size, size_t *ret_got)
{
    *ret_got = 0;
    while (*ret_got < size) {
        la_ssize_t got = archive_read_data(archive, data + *ret_got, size - *ret_got);
        CELLA_ENSURE(got >= 0, TRUNCATED);
        if (got == 0) {
            break;
        }
        *ret_got += (size_t)got;
    }
    return CELLA_OK;
}

static cella_result keep(struct step *step, struct node *node, uint8_t **data, size_t size)
{
    CELLA_ENSURE(size <= OCI_ROOTFS_KEPT_MAX - step->rootfs->kept, LIMIT_EXCEEDED);
    node->content = calloc(1, sizeof(*node->content));
    CELLA_ENSURE(node->content != NULL, OUT_OF_MEMORY);
    *node->content = (struct content){.data = CELLA_TAKE(*data), .size = size, .users = 1};
    step->rootfs->kept += size;
    return CELLA_OK;
}

static void free_data(uint8_t **data)
{
    free(*data);
}

/* Looks into files that start as ELF does; all others are passed over. */
static cella_result file_content(struct step *step, struct node *node)
{
    CELLA_CLEANUP(free_data) uint8_t *data = NULL;
    uint8_t start[SELFMAG];
    size_t got;
    const la_int64_t size = archive_entry_size(step->entry);
    CELLA_ENSURE(size >= 0, BAD_FIELD);
    CELLA_TRY(read_some(step->archive, start, sizeof(start), &got));
    if (got < sizeof(start) || memcmp(start, ELFMAG, SELFMAG) != 0) {
        return CELLA_OK;
    }
    CELLA_ENSURE((uint64_t)size <= OCI_ROOTFS_WANTED_MAX, LIMIT_EXCEEDED);
    data = malloc((size_t)size);
    CELLA_ENSURE(data != NULL, OUT_OF_MEMORY);
    memcpy(data, start, sizeof(start));
    CELLA_TRY(read_some(step->archive, data + sizeof(start), (size_t)size - sizeof(start), &got));
    CELLA_ENSURE(got == (size_t)size - sizeof(start), TRUNCATED);
    if (step->rootfs->wanted(cella_bytes_of(data, (size_t)size))) {
        return keep(step, node, &data, (size_t)size);
    }
    return CELLA_OK;
}

static cella_result hard_link(struct step *step, struct node *node, const char *target)
{
    char folder[OCI_ROOTFS_PATH_MAX], name[OCI_ROOTFS_PATH_MAX];
    struct node *parent, *other;
    CELLA_TRY(name_split(target, folder, name));
    CELLA_TRY(folder_find(step->rootfs, folder, false, step->layer, &parent));
    other = child_find(step->rootfs, parent, name, strlen(name));
    CELLA_ENSURE(other && other != node && other->kind != NODE_FOLDER, NOT_FOUND);
    node->kind = other->kind;
    if (other->target) {
        node->target = strdup(other->target);
        CELLA_ENSURE(node->target != NULL, OUT_OF_MEMORY);
    }
    if (other->content) {
        node->content = other->content;
        node->content->users++;
    }
    return CELLA_OK;
}

static cella_result fill(struct step *step, struct node *node)
{
    const char *hard = archive_entry_hardlink(step->entry);
    if (hard) {
        return hard_link(step, node, hard);
    }
    switch (archive_entry_filetype(step->entry)) {
    case AE_IFREG:
        node->kind = NODE_FILE;
        return file_content(step, node);
    case AE_IFLNK: {
        const char *target = archive_entry_symlink(step->entry);
        CELLA_ENSURE(target && *target && strlen(target) < OCI_ROOTFS_PATH_MAX, BAD_FIELD);
        node->target = strdup(target);
        CELLA_ENSURE(node->target != NULL, OUT_OF_MEMORY);
        node->kind = NODE_LINK;
        return CELLA_OK;
    }
    case AE_IFDIR:
        node->kind = NODE_FOLDER;
        return CELLA_OK;
    default:
        node->kind = NODE_OTHER;
        return CELLA_OK;
    }
}

static cella_result apply_one(struct step *step)
{
    struct oci_rootfs *rootfs = step->rootfs;
    CELLA_TRY(name_split(archive_entry_pathname(step->entry), step->folder, step->name));
    if (step->name[0] == '\0') {
        return CELLA_OK; /* the root itself */
    }
    CELLA_TRY(folder_find(rootfs, step->folder, true, step->layer, &step->parent));
    if (strncmp(step->name, WHITEOUT, strlen(WHITEOUT)) == 0) {
        return whiteout(step);
    }
    const bool is_folder =
        archive_entry_filetype(step->entry) == AE_IFDIR && !archive_entry_hardlink(step->entry);
    struct node *node = child_find(rootfs, step->parent, step->name, strlen(step->name));
    if (node && node->layer == step->layer && !node->implied &&
        !(is_folder && node->kind == NODE_FOLDER)) {
        return CELLA_RESULT(ALREADY_EXISTS);
    }
    if (node && !(is_folder && node->kind == NODE_FOLDER)) {
        remove_all(rootfs, node);
        node = NULL;
    }
    if (!node) {
        CELLA_TRY(child_add(rootfs, step->parent, step->name, strlen(step->name), &node));
    }
    node->layer = step->layer;
    node->implied = false;
    cella_result result = fill(step, node);
    if (!cella_is_ok(result)) {
        node->kind = node->target || node->content ? node->kind : NODE_OTHER;
    }
    return result;
}

static const char *reason(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_BAD_FIELD:
        return "a name with '..', or through something that is no folder, or without a target";
    case CELLA_CODE_ALREADY_EXISTS:
        return "the layer has this name twice";
    case CELLA_CODE_NOT_FOUND:
        return "a hard link to a file that is not there";
    case CELLA_CODE_LIMIT_EXCEEDED:
        return "too deep, too long, too large, too many names or a loop of links";
    default:
        return cella_result_text(result);
    }
}

cella_result oci_rootfs_apply(struct oci_rootfs *rootfs, struct archive *archive, unsigned layer,
                              struct cella_error *error)
{
    struct step *step = calloc(1, sizeof(*step));
    cella_result result = CELLA_OK;
    CELLA_ENSURE(step != NULL, OUT_OF_MEMORY);
    *step = (struct step){.rootfs = rootfs, .archive = archive, .layer = layer};
    int status;
    while ((status = archive_read_next_header(archive, &step->entry)) == ARCHIVE_OK ||
           status == ARCHIVE_WARN) {
        result = apply_one(step);
        if (!cella_is_ok(result)) {
            const char *name = archive_entry_pathname(step->entry);
            result = cella_error_set(error, result, "layer %u: '%.200s': %s", layer,
                                     name ? name : "", reason(result));
            break;
        }
    }
    free(step);
    if (cella_is_ok(result) && status != ARCHIVE_EOF) {
        const char *text = archive_error_string(archive);
        return cella_error_set(error, CELLA_RESULT(TRUNCATED), "layer %u: %s", layer,
                               text ? text : "not a tar archive");
    }
    return result;
}

/* ------------------------------------------------------------------------- results */

static void path_of(const struct node *node, char ret_path[OCI_ROOTFS_PATH_MAX])
{
    size_t at = OCI_ROOTFS_PATH_MAX - 1;
    ret_path[at] = '\0';
    for (; node->parent; node = node->parent) {
        const size_t length = strlen(node->name);
        if (length + 1 > at) {
            break; /* longer than any name that was let in; the end of it tells enough */
        }
        at -= length;
        memcpy(ret_path + at, node->name, length);
        ret_path[--at] = '/';
    }
    memmove(ret_path, ret_path + at, OCI_ROOTFS_PATH_MAX - at);
}

/* The next node in the order of the tree, or NULL. */
static const struct node *next_of(const struct node *node)
{
    if (node->child) {
        return node->child;
    }
    while (node && !node->next) {
        node = node->parent;
    }
    return node ? node->next : NULL;
}

bool oci_rootfs_found(const struct oci_rootfs *rootfs, size_t index, struct oci_found *ret_found)
{
    for (const struct node *node = rootfs->root.child; node; node = next_of(node)) {
        if (node->content && index-- == 0) {
            path_of(node, ret_found->path);
            ret_found->file = cella_bytes_of(node->content->data, node->content->size);
            ret_found->layer = node->layer;
            return true;
        }
    }
    return false;
}
