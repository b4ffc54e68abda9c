/*
 * Entries, nodes and mounted trees: who is where under which name, and who still uses it.
 * Side: enclave. Called by linux/fs_*.c.
 * Never asks the host, never touches the program's memory: everything here is under one spin lock, for a few steps.
 */
#include "linux/fs_tree.h"

#define BUCKETS_FIRST 512u
#define BUCKETS_MAX (1u << 22)

struct fs_tree *fs_root_tree, *fs_trees;
static struct cella_lock tree_lock;
static struct linux_mutex names_mutex;
static struct fs_entry *first_buckets[BUCKETS_FIRST];
static struct fs_entry **buckets = first_buckets;
static uint32_t bucket_count = BUCKETS_FIRST, hashed_count;
static struct fs_entry *current;
static uint32_t next_device = 40;

void fs_take(void)
{
    cella_lock_take(&tree_lock);
}

void fs_give(void)
{
    cella_lock_give(&tree_lock);
}

void fs_names_take(void)
{
    linux_mutex_take(&names_mutex);
}

void fs_names_give(void)
{
    linux_mutex_give(&names_mutex);
}

/* FNV-1a over the name, started with the directory. */
static uint32_t hash_of(const struct fs_entry *parent, struct fs_name name)
{
    uint64_t hash = 0xCBF29CE484222325ull ^ (uint64_t)parent;
    for (uint32_t i = 0; i < name.size; i++) {
        hash = (hash ^ (uint8_t)name.text[i]) * 0x100000001B3ull;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static struct fs_entry **bucket_of(const struct fs_entry *parent, struct fs_name name)
{
    return &buckets[hash_of(parent, name) & (bucket_count - 1)];
}

static struct fs_name name_of(const struct fs_entry *entry)
{
    return (struct fs_name){.text = entry->name, .size = entry->name_size};
}

/* Under the lock. A larger table where there is memory for it; a full one only is slower. */
static void buckets_grow(void)
{
    const uint32_t count = bucket_count * 4;
    struct fs_entry **before = buckets;
    const uint32_t before_count = bucket_count;
    struct fs_entry **more = count <= BUCKETS_MAX ? cella_pages_new(count * sizeof(*more)) : NULL;
    if (!more) {
        return;
    }
    buckets = more;
    bucket_count = count;
    for (uint32_t i = 0; i < before_count; i++) {
        for (struct fs_entry *at = before[i], *next; at; at = next) {
            next = at->hash_next;
            struct fs_entry **bucket = bucket_of(at->parent, name_of(at));
            at->hash_next = *bucket;
            *bucket = at;
        }
    }
    if (before != first_buckets) {
        cella_pages_free(before, before_count * sizeof(*before));
    }
}

struct fs_node *fs_node_new(struct fs_tree *tree, const struct fs_ops *ops, uint32_t mode)
{
    struct fs_node *node = fs_new(sizeof(*node));
    if (!node) {
        return NULL;
    }
    struct fs_ids ids;
    fs_system_ids(&ids);
    node->ops = ops;
    node->tree = tree;
    node->references = 1;
    node->mode = mode;
    node->user = ids.user_effective;
    node->group = ids.group_effective;
    node->inode = atomic_fetch_add(&tree->next_inode, 1) + 1;
    node->links = (mode & MODE_TYPE) == MODE_DIRECTORY ? 2 : 1;
    fs_system_now(node->modified);
    __builtin_memcpy(node->accessed, node->modified, sizeof(node->modified));
    __builtin_memcpy(node->changed, node->modified, sizeof(node->modified));
    return node;
}

static void node_free(struct fs_node *node)
{
    if (node->ops->release) {
        node->ops->release(node);
    }
    if (node->fifo) {
        fs_fifo_release(node);
    }
    fs_data_free(node);
    fs_free(node->text, (uint64_t)node->text_size + 1);
    fs_free(node->host, sizeof(*node->host));
    fs_free(node, sizeof(*node));
}

void fs_node_put(struct fs_node *node)
{
    fs_take();
    const bool last = --node->references == 0;
    fs_give();
    if (last) {
        node_free(node);
    }
}

struct fs_entry *fs_entry_new(struct fs_entry *parent, struct fs_name name, struct fs_node *node)
{
    struct fs_entry *entry = fs_new(sizeof(*entry));
    char *text = entry ? fs_text_copy(name.text, name.size) : NULL;
    if (!text) {
        fs_free(entry, sizeof(*entry));
        fs_node_put(node);
        return NULL;
    }
    entry->name = text;
    entry->name_size = name.size;
    entry->node = node;
    entry->references = 1;
    entry->parent = parent ? fs_entry_get(parent) : NULL;
    return entry;
}

struct fs_entry *fs_entry_get(struct fs_entry *entry)
{
    fs_take();
    entry->references++;
    fs_give();
    return entry;
}

/* Under the lock. */
static void unhash(struct fs_entry *entry)
{
    if (!entry->is_hashed) {
        return;
    }
    for (struct fs_entry **at = bucket_of(entry->parent, name_of(entry)); *at;
         at = &(*at)->hash_next) {
        if (*at == entry) {
            *at = entry->hash_next;
            break;
        }
    }
    entry->is_hashed = false;
    hashed_count--;
}

/* Under the lock. */
static void hash(struct fs_entry *entry)
{
    if (hashed_count > bucket_count * 2) {
        buckets_grow();
    }
    struct fs_entry **bucket = bucket_of(entry->parent, name_of(entry));
    entry->hash_next = *bucket;
    *bucket = entry;
    entry->is_hashed = true;
    hashed_count++;
}

/* An entry that nobody has any more takes its parent's reference with it; nodes are freed without the lock. */
void fs_entry_put(struct fs_entry *entry)
{
    struct fs_node *dead = NULL;
    fs_take();
    while (entry && --entry->references == 0) {
        struct fs_entry *parent = entry->parent;
        unhash(entry);
        if (--entry->node->references == 0) {
            entry->node->next_dead = dead;
            dead = entry->node;
        }
        fs_free(entry->name, (uint64_t)entry->name_size + 1);
        fs_free(entry, sizeof(*entry));
        entry = parent;
    }
    fs_give();
    while (dead) {
        struct fs_node *next = dead->next_dead;
        node_free(dead);
        dead = next;
    }
}

struct fs_entry *fs_entry_find(struct fs_entry *directory, struct fs_name name)
{
    struct fs_entry *found = NULL;
    fs_take();
    for (struct fs_entry *at = *bucket_of(directory, name); at; at = at->hash_next) {
        if (at->parent == directory && at->name_size == name.size &&
            cella_equal(at->name, name.text, name.size)) {
            found = at;
            at->references++;
            break;
        }
    }
    fs_give();
    return found;
}

/* Under the lock: at the end of its parent's list. */
static void list_append(struct fs_entry *entry)
{
    struct fs_node *directory = entry->parent->node;
    entry->serial = ++directory->next_serial;
    entry->next = NULL;
    entry->previous = directory->last;
    if (directory->last) {
        directory->last->next = entry;
    } else {
        directory->first = entry;
    }
    directory->last = entry;
    entry->is_linked = true;
    directory->links += fs_is_directory(entry);
}

static void list_remove(struct fs_entry *entry)
{
    struct fs_node *directory = entry->parent->node;
    if (entry->previous) {
        entry->previous->next = entry->next;
    } else {
        directory->first = entry->next;
    }
    if (entry->next) {
        entry->next->previous = entry->previous;
    } else {
        directory->last = entry->previous;
    }
    entry->is_linked = false;
    directory->links -= fs_is_directory(entry);
}

void fs_entry_hash(struct fs_entry *entry, bool is_linked)
{
    fs_take();
    hash(entry);
    if (is_linked) {
        entry->references++;
        list_append(entry);
    }
    fs_give();
}

void fs_entry_unhash(struct fs_entry *entry)
{
    fs_take();
    unhash(entry);
    entry->is_deleted = true;
    const bool was_linked = entry->is_linked;
    if (was_linked) {
        list_remove(entry);
    }
    fs_give();
    if (was_linked) {
        fs_entry_put(entry);
    }
}

void fs_entry_hide(struct fs_entry *entry)
{
    fs_take();
    if (entry->is_linked) {
        list_remove(entry); /* its reference stays: it never goes */
    }
    fs_give();
}

long fs_entry_move(struct fs_entry *entry, struct fs_entry *directory, struct fs_name name)
{
    char *text = fs_text_copy(name.text, name.size);
    if (!text) {
        return -ENOMEM;
    }
    fs_take();
    const bool was_linked = entry->is_linked;
    struct fs_entry *before = entry->parent;
    char *text_before = entry->name;
    const uint32_t size_before = entry->name_size;
    unhash(entry);
    if (was_linked) {
        list_remove(entry);
    }
    directory->references++;
    entry->parent = directory;
    entry->name = text;
    entry->name_size = name.size;
    hash(entry);
    if (was_linked) {
        list_append(entry);
    }
    fs_give();
    fs_free(text_before, (uint64_t)size_before + 1);
    fs_entry_put(before);
    return 0;
}

/* Both stay in the lists; their places and names change. */
void fs_entry_exchange(struct fs_entry *a, struct fs_entry *b)
{
    fs_take();
    const bool lists = a->is_linked && b->is_linked;
    unhash(a);
    unhash(b);
    if (lists) {
        list_remove(a);
        list_remove(b);
    }
    struct fs_entry *parent = a->parent;
    char *name = a->name;
    const uint32_t size = a->name_size;
    a->parent = b->parent;
    a->name = b->name;
    a->name_size = b->name_size;
    b->parent = parent;
    b->name = name;
    b->name_size = size;
    hash(a);
    hash(b);
    if (lists) {
        list_append(a);
        list_append(b);
    }
    fs_give();
}

bool fs_entry_is_below(struct fs_entry *entry, struct fs_entry *directory)
{
    bool is_below = false;
    fs_take();
    for (const struct fs_entry *at = entry; at && !is_below; at = at->parent) {
        is_below = at == directory;
    }
    fs_give();
    return is_below;
}

struct fs_tree *fs_tree_new(enum fs_kind kind, uint32_t mode, const struct fs_ops *ops)
{
    struct fs_tree *tree = fs_new(sizeof(*tree));
    if (!tree) {
        return NULL;
    }
    tree->kind = kind;
    tree->device = next_device++;
    struct fs_node *node = fs_node_new(tree, ops, MODE_DIRECTORY | mode);
    tree->root = node ? fs_entry_new(NULL, (struct fs_name){.text = "", .size = 0}, node) : NULL;
    if (!tree->root) {
        fs_free(tree, sizeof(*tree));
        return NULL;
    }
    return tree;
}

void fs_tree_mount(struct fs_tree *tree, struct fs_entry *covers, const char *target)
{
    const uint64_t size = cella_strlen(target);
    __builtin_memcpy(tree->target, target, size < FS_NAME_MAX ? size : FS_NAME_MAX);
    fs_take();
    tree->covers = covers;
    if (covers) {
        covers->mounted = tree;
    } else {
        fs_root_tree = tree;
    }
    struct fs_tree **last = &fs_trees;
    while (*last) {
        last = &(*last)->next;
    }
    *last = tree;
    fs_give();
}

/* Under the lock: the name in front of what is there; false: no room. */
static bool path_prepend(char *to, uint32_t *at, const char *text, uint32_t size)
{
    if (*at < size) {
        return false;
    }
    *at -= size;
    __builtin_memcpy(to + *at, text, size);
    return true;
}

long fs_entry_path(struct fs_entry *entry, char *to, uint32_t capacity, bool marks_deleted)
{
    static const char deleted[] = " (deleted)";
    uint32_t at = capacity;
    bool fits = true;
    fs_take();
    if (entry->is_deleted) {
        if (!marks_deleted) {
            fs_give();
            return -ENOENT;
        }
        fits = path_prepend(to, &at, deleted, sizeof(deleted) - 1);
    }
    const struct fs_entry *up = entry;
    while (fits) {
        if (up->parent) {
            fits = path_prepend(to, &at, up->name, up->name_size) && path_prepend(to, &at, "/", 1);
            up = up->parent;
        } else if (up->node->tree->covers) {
            up = up->node->tree->covers;
        } else {
            break;
        }
    }
    if (fits && (at == capacity || to[at] != '/')) {
        fits = path_prepend(to, &at, "/", 1);
    }
    fs_give();
    if (!fits) {
        return -ENAMETOOLONG;
    }
    __builtin_memmove(to, to + at, capacity - at);
    return (long)(capacity - at);
}

struct fs_entry *fs_root_get(void)
{
    return fs_entry_get(fs_root_tree->root);
}

struct fs_entry *fs_current_get(void)
{
    fs_take();
    struct fs_entry *entry = current ? current : fs_root_tree->root;
    entry->references++;
    fs_give();
    return entry;
}

void fs_current_set(struct fs_entry *entry)
{
    fs_take();
    entry->references++;
    struct fs_entry *before = current;
    current = entry;
    fs_give();
    if (before) {
        fs_entry_put(before);
    }
}

void fs_touch(struct fs_node *node, uint32_t what)
{
    int64_t now[2];
    fs_system_now(now);
    fs_take();
    if ((what & FS_TOUCH_ACCESS) != 0) {
        __builtin_memcpy(node->accessed, now, sizeof(now));
    }
    if ((what & FS_TOUCH_CONTENT) != 0) {
        __builtin_memcpy(node->modified, now, sizeof(now));
    }
    if ((what & (FS_TOUCH_CONTENT | FS_TOUCH_CHANGE)) != 0) {
        __builtin_memcpy(node->changed, now, sizeof(now));
    }
    fs_give();
}

bool fs_is_owner(const struct fs_node *node)
{
    struct fs_ids ids;
    fs_system_ids(&ids);
    return ids.user_effective == 0 || ids.user_effective == node->user;
}

/* The superuser may do all but execute what nobody may. */
long fs_permits(const struct fs_node *node, uint32_t mask)
{
    struct fs_ids ids;
    fs_system_ids(&ids);
    if (ids.user_effective == 0) {
        return (mask & FS_EXEC) == 0 || (node->mode & MODE_TYPE) == MODE_DIRECTORY ||
                       (node->mode & 0111) != 0
                   ? 0
                   : -EACCES;
    }
    const uint32_t shift = ids.user_effective == node->user     ? 6
                           : ids.group_effective == node->group ? 3
                                                                : 0;
    return (node->mode >> shift & mask) == mask ? 0 : -EACCES;
}
