/*
 * The file tree as EGo's users know it: memory mounts are folders below /edg/mnt, seen under both names, and the root lists
 * none of the mounts.
 * Side: enclave. Called by fs_start.c for images that were signed from enclave.json.
 */
#include "linux/fs_tree.h"

#define EGO_FOLDER "/edg/mnt"
#define EGO_HOST "/edg/hostfs"

/* `target`, which nothing lists, leads to `path`. */
static long link_add(const char *target, uint32_t target_size, const char *path, uint32_t path_size)
{
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *directory = NULL;
    uint32_t name_at = 0;
    for (uint32_t i = 0; i < target_size; i++) {
        name_at = target[i] == '/' ? i + 1 : name_at;
    }
    const struct fs_name name = {.text = target + name_at, .size = target_size - name_at};
    long result = fs_directory_make(target, name_at, &directory);
    if (result != 0) {
        return result;
    }
    struct fs_node *node = fs_node_new(fs_memory_tree, &fs_memory_ops, MODE_LINK | 0777u);
    if (node) {
        node->text = fs_text_copy(path, path_size);
        node->text_size = path_size;
        atomic_store(&node->size, path_size);
    }
    result = fs_attach(directory, name, node);
    struct fs_entry *entry = result == 0 ? fs_entry_find(directory, name) : NULL;
    if (entry) {
        fs_entry_hide(entry);
        fs_entry_put(entry);
    }
    return result;
}

long fs_ego_start(void)
{
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *ignored = NULL;
    return fs_directory_make(EGO_FOLDER, sizeof(EGO_FOLDER) - 1, &ignored);
}

long fs_ego_memory(struct cella_bytes target)
{
    static const char folder[] = EGO_FOLDER;
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *ignored = NULL;
    const uint32_t size = (uint32_t)(sizeof(folder) - 1 + target.size);
    char *path = (char *)fs_new(size + 1);
    if (!path) {
        return -ENOMEM;
    }
    __builtin_memcpy(path, folder, sizeof(folder) - 1);
    __builtin_memcpy(path + sizeof(folder) - 1, target.data, target.size);
    path[size] = 0;
    long result = fs_directory_make(path, size, &ignored);
    if (result == 0) {
        result = link_add(path + sizeof(folder) - 1, (uint32_t)target.size, path, size);
    }
    fs_free(path, size + 1);
    return result;
}

long fs_ego_host(void)
{
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *covers = NULL;
    long result = fs_directory_make(EGO_HOST, sizeof(EGO_HOST) - 1, &covers);
    if (result == 0) {
        struct fs_tree *tree = fs_host_tree(cella_bytes_of("/", 1), FS_HOST, &fs_host_ops, &result);
        if (tree) {
            fs_tree_mount(tree, CELLA_TAKE(covers), EGO_HOST);
            result = 0;
        }
    }
    return result;
}
