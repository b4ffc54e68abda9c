/*
 * From a path to an entry: parts, links, mounts.
 * Side: enclave. Called by linux/fs_*.c.
 * Never lets the host resolve anything: each part is looked up by itself, and the text of a link is walked in this tree.
 */
#include "linux/fs_tree.h"

/* What a walk knows. The current entry is a reference. */
struct walk {
    struct fs_entry *current;
    struct fs_path *path;
    uint32_t at;
    uint32_t flags;
    uint32_t links;
    struct fs_place *place;
    bool is_over;
};

const char *fs_text_find(const char *text, uint64_t size, char what)
{
    for (uint64_t i = 0; i < size; i++) {
        if (text[i] == what) {
            return text + i;
        }
    }
    return NULL;
}

void fs_path_done(struct fs_path *path)
{
    fs_free(path->text, path->capacity);
    path->text = NULL;
}

/* Page by page, so that the text may end right before memory that is not there. */
long fs_path_take(uint64_t user, struct fs_path *ret_path)
{
    struct fs_path path = {.text = fs_new(FS_PATH_SIZE), .capacity = FS_PATH_SIZE};
    long result = path.text ? -ENAMETOOLONG : -ENOMEM;
    while (path.text && path.size < FS_PATH_SIZE) {
        const uint64_t left = SGX_PAGE_SIZE - (user + path.size) % SGX_PAGE_SIZE;
        uint64_t part = FS_PATH_SIZE - path.size < left ? FS_PATH_SIZE - path.size : left;
        part = part < 256 ? part : 256;
        if (!linux_user_read(path.text + path.size, user + path.size, part)) {
            result = -EFAULT;
            break;
        }
        const char *end = fs_text_find(path.text + path.size, part, 0);
        path.size += (uint32_t)part;
        if (end) {
            path.size = (uint32_t)(end - path.text);
            *ret_path = path;
            return 0;
        }
    }
    fs_path_done(&path);
    return result;
}

long fs_path_of(const char *text, struct fs_path *ret_path)
{
    const uint64_t size = cella_strlen(text);
    if (size >= FS_PATH_SIZE) {
        return -ENAMETOOLONG;
    }
    ret_path->capacity = FS_PATH_SIZE;
    ret_path->text = fs_new(FS_PATH_SIZE);
    if (!ret_path->text) {
        return -ENOMEM;
    }
    __builtin_memcpy(ret_path->text, text, size + 1);
    ret_path->size = (uint32_t)size;
    return 0;
}

void fs_place_done(struct fs_place *place)
{
    if (place->parent) {
        fs_entry_put(place->parent);
    }
    if (place->target) {
        fs_entry_put(place->target);
    }
    if (place->open) {
        cella_open_put(place->open);
    }
    place->parent = place->target = NULL;
    place->open = NULL;
}

/* Takes over the reference. */
static void walk_to(struct walk *walk, struct fs_entry *entry)
{
    struct fs_entry *before = walk->current;
    walk->current = entry;
    if (before) {
        fs_entry_put(before);
    }
}

/* The tree that covers an entry, if any; takes over the reference. */
static struct fs_entry *mount_enter(struct fs_entry *entry, bool *ret_is_mount)
{
    for (;;) {
        fs_take();
        struct fs_entry *root = entry->mounted ? entry->mounted->root : NULL;
        if (root) {
            root->references++;
        }
        fs_give();
        if (!root) {
            return entry;
        }
        *ret_is_mount = true;
        fs_entry_put(entry);
        entry = root;
    }
}

static void walk_up(struct walk *walk)
{
    bool ignored = false;
    fs_take();
    struct fs_entry *up = walk->current;
    while (!up->parent && up->node->tree->covers) {
        up = up->node->tree->covers;
    }
    up = up->parent ? up->parent : up;
    up->references++;
    fs_give();
    walk_to(walk, mount_enter(up, &ignored));
}

static bool path_grow(struct fs_path *path, uint64_t size)
{
    uint32_t capacity = path->capacity;
    while (capacity < size && capacity < FS_WALK_MAX) {
        capacity *= 2;
    }
    if (capacity < size) {
        return false;
    }
    char *text = capacity > path->capacity ? fs_new(capacity) : path->text;
    if (text && text != path->text) {
        __builtin_memcpy(text, path->text, path->size + 1);
        fs_path_done(path);
        path->text = text;
        path->capacity = capacity;
    }
    return text != NULL;
}

/* The rest of the path with the text of a link in front of it. */
static long link_splice(struct walk *walk, struct fs_entry *link)
{
    struct fs_path *path = walk->path;
    char *text = fs_new(FS_PATH_SIZE);
    if (!text) {
        return -ENOMEM;
    }
    long size =
        link->node->ops->text ? link->node->ops->text(link, text, FS_PATH_SIZE - 1) : -EINVAL;
    const uint32_t rest = path->size - walk->at;
    if (size == 0) {
        size = -ENOENT;
    } else if (size > 0 && !path_grow(path, (uint64_t)size + rest + 1)) {
        size = -ENAMETOOLONG;
    }
    if (size > 0) {
        __builtin_memmove(path->text + size, path->text + walk->at, rest + 1);
        __builtin_memcpy(path->text, text, (uint64_t)size);
        path->size = (uint32_t)size + rest;
        walk->at = 0;
    }
    fs_free(text, FS_PATH_SIZE);
    return size > 0 ? 0 : size;
}

static long link_follow(struct walk *walk, struct fs_entry *link, bool is_last)
{
    if (++walk->links > FS_LINKS_MAX) {
        return -ELOOP;
    }
    if (link->node->ops->follow) {
        struct fs_place jump = {0};
        const long result = link->node->ops->follow(link, &jump);
        if (result != 0) {
            return result;
        }
        if (jump.open) {
            walk->place->open = jump.open;
            walk->place->kind = FS_PLACE_JUMP;
            walk->is_over = true;
            return is_last ? 0 : -ENOTDIR;
        }
        walk_to(walk, jump.target);
        if (is_last) {
            walk->place->kind = FS_PLACE_JUMP;
            walk->place->target = fs_entry_get(jump.target);
            walk->is_over = true;
        }
        return 0;
    }
    const long result = link_splice(walk, link);
    if (result == 0 && walk->path->text[0] == '/') {
        walk_to(walk, fs_root_get());
    }
    return result;
}

static long child_find(struct walk *walk, struct fs_name name, struct fs_entry **ret_child)
{
    struct fs_entry *directory = walk->current;
    struct fs_entry *child = fs_entry_find(directory, name);
    if (child && (child->mounted || !directory->node->ops->lookup || child->is_linked)) {
        *ret_child = child;
        return 0;
    }
    if (child) {
        fs_entry_put(child); /* the class looks for itself whether it still is that one */
    }
    if (!directory->node->ops->lookup) {
        return -ENOENT;
    }
    return directory->node->ops->lookup(directory, name, ret_child);
}

/* The last part: what is there is the target. */
static void walk_end(struct walk *walk, struct fs_name name, struct fs_entry *child)
{
    struct fs_place *place = walk->place;
    place->kind = FS_PLACE_NAME;
    place->name_size = name.size;
    __builtin_memcpy(place->name, name.text, name.size);
    place->parent = fs_entry_get(walk->current);
    place->target = child ? mount_enter(child, &place->is_mount) : NULL;
    walk->is_over = true;
}

/* What a class can open without a look at it, because it was looked at not long ago. */
static bool part_open(struct walk *walk, struct fs_name name)
{
    CELLA_CLEANUP(fs_entry_done)
    struct fs_entry *child = fs_entry_find(walk->current, name);
    if (!child || child->mounted || child->is_linked || !child->node->ops->open_known) {
        return false;
    }
    walk->place->open = child->node->ops->open_known(child);
    walk->is_over = walk->place->open != NULL;
    return walk->is_over;
}

static long part_take(struct walk *walk, struct fs_name name, bool is_last)
{
    struct fs_entry *child = NULL;
    const bool has_slash = walk->path->text[walk->at] == '/';
    if (is_last && !has_slash && (walk->flags & FS_OPEN) != 0 && part_open(walk, name)) {
        return 0;
    }
    long result = child_find(walk, name, &child);
    if (result == -ENOENT && is_last) {
        walk->place->has_slash = has_slash;
        walk_end(walk, name, NULL);
        return 0;
    }
    if (result != 0) {
        return result;
    }
    const bool follows =
        !is_last || (walk->flags & FS_FOLLOW) != 0 || (has_slash && (walk->flags & FS_NAMES) == 0);
    if (fs_type(child->node) == MODE_LINK && !child->mounted && follows) {
        result = link_follow(walk, child, is_last);
        fs_entry_put(child);
        return result;
    }
    if (is_last) {
        walk->place->has_slash = has_slash;
        walk_end(walk, name, child);
        return 0;
    }
    bool ignored = false;
    walk_to(walk, mount_enter(child, &ignored));
    return 0;
}

/* One part of the path. */
static long walk_step(struct walk *walk)
{
    const char *text = walk->path->text;
    while (text[walk->at] == '/') {
        walk->at++;
    }
    if (text[walk->at] == 0) {
        walk->place->kind = FS_PLACE_DOT;
        walk->place->target = fs_entry_get(walk->current);
        walk->is_over = true;
        return fs_is_directory(walk->current) ? 0 : -ENOTDIR;
    }
    const char *from = text + walk->at;
    const uint32_t left = walk->path->size - walk->at;
    const char *slash = fs_text_find(from, left, '/');
    const struct fs_name name = {.text = from, .size = slash ? (uint32_t)(slash - from) : left};
    if (!fs_is_directory(walk->current)) {
        return -ENOTDIR;
    }
    const long permitted = fs_permits(walk->current->node, FS_EXEC);
    if (permitted != 0) {
        return permitted;
    }
    uint32_t rest = walk->at + name.size;
    while (text[rest] == '/') {
        rest++;
    }
    const bool is_dots = name.size <= 2 && name.text[0] == '.' && name.text[name.size - 1] == '.';
    if ((walk->flags & FS_FILE) != 0 && !is_dots && text[rest] == 0 &&
        rest > walk->at + name.size) {
        return -EISDIR;
    }
    if (name.size > FS_NAME_MAX && (text[rest] != 0 || (walk->flags & FS_NAMES) == 0)) {
        return -ENAMETOOLONG;
    }
    walk->at += name.size;
    if (name.size > FS_NAME_MAX) {
        walk->place->is_long = true;
        walk->place->has_slash = text[walk->at] == '/';
        walk_end(walk, (struct fs_name){.text = "", .size = 0}, NULL);
        return 0;
    }
    if (!is_dots) {
        return part_take(walk, name, text[rest] == 0);
    }
    walk->place->name_size = name.size;
    if (name.size == 2) {
        walk_up(walk);
    }
    return 0;
}

long fs_walk(struct fs_entry *start, struct fs_path *path, uint32_t flags,
             struct fs_place *ret_place)
{
    struct fs_place place = {0};
    struct walk walk = {.path = path, .flags = flags, .place = &place};
    long result = 0;
    if (path->size == 0 && (flags & FS_EMPTY) == 0) {
        return -ENOENT;
    }
    if (path->size == 0) {
        ret_place->target = fs_entry_get(start);
        ret_place->kind = FS_PLACE_JUMP;
        return 0;
    }
    walk.current = path->text[0] == '/' ? fs_root_get() : fs_entry_get(start);
    while (result == 0 && !walk.is_over) {
        result = walk_step(&walk);
    }
    if (result == 0 && place.has_slash && place.target && !fs_is_directory(place.target) &&
        (flags & FS_NAMES) == 0) {
        result = -ENOTDIR;
    }
    fs_entry_put(walk.current);
    if (result != 0) {
        fs_place_done(&place);
        return result;
    }
    *ret_place = place;
    return 0;
}

struct fs_entry *fs_start_of(uint64_t fd, long *ret_error)
{
    *ret_error = 0;
    if ((int32_t)fd == LINUX_AT_FDCWD) {
        return fs_current_get();
    }
    CELLA_OPEN_GET(open, (uint32_t)fd);
    const struct fs_file *file = fs_file_of(open);
    if (!file) {
        *ret_error = open ? -ENOTDIR : -EBADF;
        return NULL;
    }
    return fs_entry_get(file->entry);
}

/* An absolute path asks for no directory, so that any number will do. */
long fs_place_take(uint64_t fd, uint64_t user, uint32_t flags, struct fs_place *ret_place)
{
    CELLA_CLEANUP(fs_path_done) struct fs_path path = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *start = NULL;
    long result = fs_path_take(user, &path);
    if (result != 0) {
        return result;
    }
    if (path.size == 0 && (flags & FS_EMPTY) == 0) {
        return -ENOENT;
    }
    start = path.text[0] == '/' ? fs_root_get() : fs_start_of(fd, &result);
    if (!start) {
        return result;
    }
    return fs_walk(start, &path, flags, ret_place);
}

long fs_target_take(uint64_t fd, uint64_t user, uint32_t flags, struct fs_place *ret_place)
{
    const long result = fs_place_take(fd, user, flags, ret_place);
    if (result == 0 && !ret_place->target && !ret_place->open) {
        fs_place_done(ret_place);
        return -ENOENT;
    }
    return result;
}
