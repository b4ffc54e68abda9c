/*
 * The tree as it is when the program starts: measured files, mounts, /proc, /sys, /dev, and what every program expects.
 * Side: enclave. Called once by fs_system.c (tests: by themselves).
 * Never lets a mount that was asked for be missing silently: the program does not start then.
 */
#include "linux/fs_tree.h"

struct default_file {
    const char *path;
    const char *text;
};

/* Where the image has none. The user and group of the program get names in them as they are needed: see below. */
static const struct default_file defaults[] = {
    {"etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n"
                          "protocols: files\n"},
    {"etc/host.conf", "multi on\n"},
};

struct fs_tree *fs_memory_tree;

/* Linked in where protected files are; without, a program that needs them does not start. */
__attribute__((weak)) struct fs_tree *fs_encrypted_tree(const struct cella_program_mount *mount,
                                                        long *ret_error)
{
    (void)mount;
    *ret_error = -EOPNOTSUPP;
    return NULL;
}

__attribute__((weak)) void fs_encrypted_end(void)
{
}

static cella_result result_of(long error)
{
    switch (error) {
    case 0:
        return CELLA_OK;
    case -ENOMEM:
    case -ENOSPC:
        return CELLA_RESULT(OUT_OF_MEMORY);
    case -EEXIST:
        return CELLA_RESULT(ALREADY_EXISTS);
    case -ENOENT:
        return CELLA_RESULT(NOT_FOUND);
    case -EOPNOTSUPP:
        return CELLA_RESULT(UNSUPPORTED);
    case -EIO:
        return CELLA_RESULT(HOST_VALUE);
    default:
        return CELLA_RESULT(BAD_FIELD);
    }
}

/* A directory that only this tree has, in one whose own names are the host's. */
static long overlay_make(struct fs_entry *parent, struct fs_name name, uint32_t mode,
                         struct fs_entry **ret_entry)
{
    struct fs_node *node = fs_node_new(fs_memory_tree, &fs_memory_ops, MODE_DIRECTORY | mode);
    *ret_entry = node ? fs_entry_new(parent, name, node) : NULL;
    if (!*ret_entry) {
        return -ENOMEM;
    }
    fs_entry_hash(*ret_entry, true);
    return 0;
}

static long directory_step(struct fs_entry **entry, const char *part)
{
    CELLA_CLEANUP(fs_path_done) struct fs_path text = {0};
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    long result = fs_path_of(part, &text);
    result = result == 0 ? fs_walk(*entry, &text, FS_FOLLOW, &place) : result;
    if (result == 0 && !place.target && place.parent) {
        const struct fs_make make = {.mode = MODE_DIRECTORY | 0755};
        result = place.parent->node->ops->make == fs_memory_ops.make
                     ? fs_memory_ops.make(place.parent, fs_place_name(&place), &make, &place.target)
                     : overlay_make(place.parent, fs_place_name(&place), 0755, &place.target);
    }
    if (result == 0 && !place.target) {
        result = -ENOTDIR;
    }
    if (result == 0) {
        fs_entry_put(*entry);
        *entry = CELLA_TAKE(place.target);
    }
    return result;
}

/* Part by part, through what is mounted already. */
long fs_directory_make(const char *path, uint32_t size, struct fs_entry **ret_entry)
{
    char part[FS_NAME_MAX + 1];
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *entry = fs_root_get();
    long result = 0;
    for (uint32_t at = 0; at < size && result == 0;) {
        uint32_t used = 0;
        while (at < size && path[at] == '/') {
            at++;
        }
        while (at < size && path[at] != '/' && used < FS_NAME_MAX) {
            part[used++] = path[at++];
        }
        part[used] = 0;
        if (at < size && path[at] != '/') {
            result = -ENAMETOOLONG;
        } else if (used > 0) {
            result = directory_step(&entry, part);
        }
    }
    if (result == 0) {
        *ret_entry = CELLA_TAKE(entry);
    }
    return result;
}

/* `is_hidden`: not in its directory's list, as EGo's users see the root. */
static long tree_mount(struct fs_tree *tree, const char *target, bool is_hidden)
{
    struct fs_entry *covers = NULL;
    if (!tree) {
        return -ENOMEM;
    }
    const long result = fs_directory_make(target, (uint32_t)cella_strlen(target), &covers);
    if (result != 0) {
        return result;
    }
    if (is_hidden) {
        fs_entry_hide(covers);
    }
    fs_tree_mount(tree, covers, target);
    return 0;
}

static struct fs_tree *tree_of(const struct cella_program_mount *mount, long *ret_error)
{
    struct fs_tree *tree = NULL;
    *ret_error = -ENOMEM;
    switch (mount->kind) {
    case CELLA_PROGRAM_MOUNT_MEMORY:
        tree = fs_tree_new(FS_MEMORY, 0755, &fs_memory_ops);
        break;
    case CELLA_PROGRAM_MOUNT_HOST:
        tree = fs_host_tree(cella_program_text(&fs_description, mount->source), FS_HOST,
                            &fs_host_ops, ret_error);
        break;
    default:
        tree = fs_encrypted_tree(mount, ret_error);
        break;
    }
    if (tree) {
        tree->is_read_only = (mount->flags & CELLA_PROGRAM_MOUNT_READ_ONLY) != 0;
    }
    return tree;
}

static long mount_add(uint32_t index, bool is_ego)
{
    const struct cella_program_mount mount = cella_program_mount_at(&fs_description, index);
    const struct cella_bytes target = cella_program_text(&fs_description, mount.target);
    if (target.size == 1) {
        return 0; /* the root: it is there */
    }
    if (is_ego && mount.kind == CELLA_PROGRAM_MOUNT_MEMORY) {
        return fs_ego_memory(target);
    }
    char *path = fs_text_copy((const char *)target.data, (uint32_t)target.size);
    long error = -ENOMEM;
    struct fs_tree *tree = path ? tree_of(&mount, &error) : NULL;
    if (tree) {
        error = tree_mount(tree, path, is_ego);
    }
    if (error != 0) {
        fs_complain("cannot mount", target, error);
    }
    fs_free(path, target.size + 1);
    return error;
}

static bool is_there(const char *path)
{
    CELLA_CLEANUP(fs_path_done) struct fs_path text = {0};
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *root = fs_root_get();
    return fs_path_of(path, &text) == 0 && fs_walk(root, &text, 0, &place) == 0 && place.target;
}

/* A file of /etc with this text, where there is nothing yet. */
static long file_add(const char *path, const char *text, uint64_t size)
{
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *directory = NULL;
    if (is_there(path)) {
        return 0;
    }
    const long result = fs_directory_make("/etc", 4, &directory);
    if (result != 0) {
        return result;
    }
    struct fs_node *node = fs_node_new(fs_memory_tree, &fs_memory_ops, MODE_REGULAR | 0644);
    if (node) {
        node->data.base = (const uint8_t *)text;
        node->data.base_size = size;
        atomic_store(&node->size, size);
    }
    return fs_attach(directory,
                     (struct fs_name){.text = path + 4, .size = (uint32_t)cella_strlen(path) - 4},
                     node);
}

/* root, nobody, and the program's own user where it is neither. */
static long names_add(void)
{
    static struct fs_text users, groups;
    struct fs_ids ids;
    fs_system_ids(&ids);
    fs_say(&users, "root:x:0:0:root:/root:/bin/sh\n");
    fs_say(&groups, "root:x:0:\n");
    if (ids.user != 0 && ids.user != 65534) {
        fs_say(&users, "enclave:x:");
        fs_say_number(&users, ids.user);
        fs_say(&users, ":");
        fs_say_number(&users, ids.group);
        fs_say(&users, "::/:/sbin/nologin\n");
    }
    if (ids.group != 0 && ids.group != 65534) {
        fs_say(&groups, "enclave:x:");
        fs_say_number(&groups, ids.group);
        fs_say(&groups, ":\n");
    }
    fs_say(&users, "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n");
    fs_say(&groups, "nogroup:x:65534:\n");
    if (users.failed || groups.failed) {
        return -ENOMEM;
    }
    const long result = file_add("etc/passwd", users.at, users.size);
    return result != 0 ? result : file_add("etc/group", groups.at, groups.size);
}

/* `is_hidden`: a folder /etc that has nothing else is not in the root's list, as EGo's users see it. */
long fs_defaults_add(bool is_hidden)
{
    const bool is_made = !is_there("/etc");
    uint64_t size;
    const char *resolver = fs_resolver_text(&size);
    long result = names_add();
    for (uint32_t i = 0; i < CELLA_COUNT(defaults) && result == 0; i++) {
        result = file_add(defaults[i].path, defaults[i].text, cella_strlen(defaults[i].text));
    }
    if (result == 0 && size != 0) {
        result = file_add("etc/resolv.conf", resolver, size);
    }
    if (result == 0 && is_hidden && is_made) {
        CELLA_CLEANUP(fs_entry_done) struct fs_entry *folder = NULL;
        result = fs_directory_make("/etc", 4, &folder);
        if (result == 0) {
            fs_entry_hide(folder);
        }
    }
    return result;
}

/* /dev, /dev/shm, /dev/pts, /proc, /sys, /tmp: but where a mount of the program's own has taken the place. */
static long system_add(bool is_hidden)
{
    struct fs_tree *devices = fs_devices_tree();
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *ignored = NULL;
    long result = devices ? fs_attestation_add(devices) : -ENOMEM;
    if (result == 0) {
        result = tree_mount(devices, "/dev", is_hidden);
    }
    if (result == 0) {
        result = tree_mount(fs_tree_new(FS_MEMORY, 01777, &fs_memory_ops), "/dev/shm", false);
    }
    if (result == 0) {
        result = fs_directory_make("/dev/pts", 8, &ignored);
    }
    if (result == 0) {
        result = tree_mount(fs_proc_tree(), "/proc", is_hidden);
    }
    if (result == 0) {
        result = tree_mount(fs_sys_tree(), "/sys", is_hidden);
    }
    if (result == 0 && !is_hidden && !is_there("/tmp")) {
        result = tree_mount(fs_tree_new(FS_MEMORY, 01777, &fs_memory_ops), "/tmp", false);
    }
    return result;
}

static long start_directory(void)
{
    const struct cella_bytes text =
        cella_program_text(&fs_description, fs_description.head.directory);
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *directory = NULL;
    char *path = fs_text_copy((const char *)text.data, (uint32_t)text.size);
    long result = path ? fs_directory_make(path, (uint32_t)text.size, &directory) : -ENOMEM;
    if (result == 0 && !fs_is_directory(directory)) {
        result = -ENOTDIR;
    }
    if (result == 0) {
        fs_current_set(directory);
    } else {
        fs_complain("cannot start in", text, result);
    }
    fs_free(path, text.size + 1);
    return result;
}

/* What is mounted at "/", or memory. Names that the host's root does not have are memory's in any case. */
static long root_build(void)
{
    struct fs_tree *memory = fs_tree_new(FS_MEMORY, 0755, &fs_memory_ops);
    struct fs_tree *root = memory;
    long error = memory ? 0 : -ENOMEM;
    fs_memory_tree = memory;
    for (uint32_t i = 0; i < fs_description.head.mounts.count && error == 0; i++) {
        const struct cella_program_mount mount = cella_program_mount_at(&fs_description, i);
        if (mount.target.size == 1) {
            root = tree_of(&mount, &error);
            error = root ? 0 : error;
        }
    }
    if (error == 0) {
        fs_tree_mount(root, NULL, "/");
    }
    return error;
}

/* Measured files come last: they are there whatever a host has in their place. */
static long tree_build(void)
{
    const bool is_ego = (fs_description.head.flags & CELLA_PROGRAM_EGO) != 0;
    long result = root_build();
    if (result == 0) {
        result = system_add(is_ego);
    }
    if (result == 0 && is_ego) {
        result = fs_ego_start();
    }
    for (uint32_t i = 0; i < fs_description.head.mounts.count && result == 0; i++) {
        result = mount_add(i, is_ego);
    }
    for (uint32_t i = 0; i < fs_description.head.files.count && result == 0; i++) {
        result = fs_image_add(i);
        if (result != 0) {
            const struct cella_program_file file = cella_program_file_at(&fs_description, i);
            fs_complain("cannot make", cella_program_text(&fs_description, file.path), result);
        }
    }
    if (result == 0) {
        result = fs_defaults_add(is_ego);
    }
    return result == 0 ? start_directory() : result;
}

cella_result fs_start(const struct cella_program_description *description,
                      struct cella_bytes directory)
{
    fs_description = *description;
    fs_directory = directory;
    return result_of(tree_build());
}
