/*
 * Directories of the host in the program's tree. What they hold is the host's word: content, names, sizes, times.
 * Side: enclave. Called through the nodes' operations.
 * Never sends a path that the enclave has not walked itself, part by part, nor follows a link that the host follows:
 * links are read, and walked in this tree. Files belong to the program's user, whoever owns them outside.
 */
#include "linux/fs_tree.h"

#define O_CREAT_EXCL 0300u
#define O_TRUNC_FLAG 01000u
#define O_NOFOLLOW_FLAG 0400000u
/* What the host is told of an open's flags: access, APPEND, SYNC, DSYNC, DIRECTORY. */
#define OPEN_FLAGS                                                                                 \
    (LINUX_O_PATH | LINUX_O_ACCMODE | O_TRUNC_FLAG | LINUX_O_APPEND | 04010000u | LINUX_O_DIRECTORY)
#define UTIME_OMIT 0x3FFFFFFE
#define FRESH_NANOSECONDS 50000000ll /* between a walk and the question about its end */

struct host_path {
    char *text; /* FS_PATH_SIZE of the pool */
    uint64_t size;
};

static void host_path_done(struct host_path *path)
{
    fs_free(path->text, FS_PATH_SIZE);
}

/* The host's path of an entry, or of a name in it: from the end to the tree's root. */
static long host_path_take(struct host_path *ret_path, struct fs_entry *entry, struct fs_name name)
{
    const struct fs_tree *tree = entry->node->tree;
    uint32_t at = FS_PATH_SIZE - 1;
    bool fits = true;
    ret_path->text = fs_new(FS_PATH_SIZE);
    if (!ret_path->text) {
        return -ENOMEM;
    }
    fs_take();
    for (const struct fs_entry *up = entry; fits && (up->parent || name.size > 0);) {
        fits = at > name.size;
        if (name.size > 0 && fits) {
            at -= name.size;
            __builtin_memcpy(ret_path->text + at, name.text, name.size);
            ret_path->text[--at] = '/';
        }
        name = (struct fs_name){0};
        if (fits && up->parent) {
            name = (struct fs_name){.text = up->name, .size = up->name_size};
            up = up->parent;
        }
    }
    fits = fits && at > tree->source_size;
    if (fits) {
        at -= tree->source_size;
        __builtin_memcpy(ret_path->text + at, tree->source, tree->source_size);
        if (ret_path->text[at] != '/') {
            ret_path->text[--at] = '/';
        }
    }
    fs_give();
    if (!fits) {
        return -ENAMETOOLONG;
    }
    ret_path->size = FS_PATH_SIZE - at;
    __builtin_memmove(ret_path->text, ret_path->text + at, ret_path->size);
    return 0;
}

static const struct fs_name no_name;

long fs_host_path(struct fs_entry *entry, char **ret_text)
{
    struct host_path path = {0};
    const long result = host_path_take(&path, entry, no_name);
    if (result == 0) {
        *ret_text = path.text;
    } else {
        host_path_done(&path);
    }
    return result;
}

static long path_ask(const struct cella_call_request *request, const struct host_path *first,
                     const struct host_path *second, int64_t max)
{
    const struct cella_part parts[2] = {
        {.at = (uint64_t)first->text, .size = first->size},
        {.at = second ? (uint64_t)second->text : 0, .size = second ? second->size : 0}};
    const struct cella_gather bytes = {
        .parts = parts, .count = second ? 2 : 1, .size = parts[0].size + parts[1].size};
    return cella_ask(CELLA_OCALL_FILE, request, &bytes, max);
}

/* An answer of 0 with a struct behind it. By path, or by handle when `path` is NULL. */
static long struct_ask(uint32_t operation, const struct host_path *path, int32_t handle, int64_t a,
                       void *ret_struct, uint64_t size)
{
    uint64_t answer[1 + sizeof(struct cella_call_stat) / 8] = {0};
    const struct cella_call_request request = {.operation = operation, .handle = handle, .a = a};
    const struct cella_gather bytes =
        CELLA_GATHER_ONE(path ? path->text : NULL, path ? path->size : 0);
    const long result = cella_ask_answer(CELLA_OCALL_FILE, &request, path ? &bytes : NULL, answer,
                                         8 + size, NULL, 0);
    if (result == 0) {
        __builtin_memcpy(ret_struct, answer + 1, size);
    }
    return result;
}

static bool type_is_known(uint32_t mode)
{
    switch (mode & MODE_TYPE) {
    case MODE_FIFO:
    case MODE_CHARACTER:
    case MODE_DIRECTORY:
    case 0060000: /* block device */
    case MODE_REGULAR:
    case MODE_LINK:
    case MODE_SOCKET:
        return true;
    default:
        return false;
    }
}

static long stat_ask(const struct host_path *path, int32_t handle, bool of_link,
                     struct cella_call_stat *ret_stat)
{
    const long result =
        struct_ask(CELLA_FILE_STAT, path, handle, of_link, ret_stat, sizeof(*ret_stat));
    if (result != 0) {
        return result;
    }
    return cella_stat_is_sane(ret_stat) && type_is_known(ret_stat->mode) ? 0 : -EIO;
}

static int64_t now(void)
{
    int64_t time[2];
    fs_system_now(time);
    return time[0] * 1000000000ll + time[1];
}

/* What is known of a node from the latest look at it. */
static void node_update(struct fs_node *node, const struct cella_call_stat *stat)
{
    const int64_t time = now();
    fs_take();
    node->mode = stat->mode;
    node->inode = stat->inode;
    node->special = stat->special;
    if (node->host) {
        *node->host = *stat;
        node->argument = 1; /* fresh: good for one question, if it comes soon */
    }
    node->looked_at = time;
    node->looked_changes = atomic_load(&node->tree->changes);
    fs_give();
}

/* A file may have other names, and nodes: so no look at any file of the tree is good any more. */
void fs_host_forget(struct fs_node *node)
{
    atomic_fetch_add(&node->tree->changes, 1);
}

/* Names in it have changed: what is known of it is not any more. */
static void directory_changed(struct fs_entry *directory)
{
    fs_host_forget(directory->node);
}

static struct fs_entry *entry_new(struct fs_entry *directory, struct fs_name name,
                                  const struct cella_call_stat *stat)
{
    struct fs_tree *tree = directory->node->tree;
    struct fs_node *node = fs_node_new(tree, tree->root->node->ops, stat->mode);
    if (!node) {
        return NULL;
    }
    node->host = fs_new(sizeof(*node->host));
    node_update(node, stat);
    return fs_entry_new(directory, name, node);
}

/* An entry that is in use is the same file as long as the host says the same number and type. */
static long entry_of(struct fs_entry *directory, struct fs_name name,
                     const struct cella_call_stat *stat, struct fs_entry **ret_entry)
{
    struct fs_entry *entry = fs_entry_find(directory, name);
    if (entry &&
        (entry->node->inode != stat->inode || fs_type(entry->node) != (stat->mode & MODE_TYPE))) {
        fs_entry_unhash(entry);
        fs_entry_put(entry);
        entry = NULL;
    }
    if (entry) {
        node_update(entry->node, stat);
    } else {
        entry = entry_new(directory, name, stat);
        if (!entry) {
            return -ENOMEM;
        }
        fs_entry_hash(entry, false);
    }
    *ret_entry = entry;
    return 0;
}

/*
 * Directories on the way to a file are not asked for again for a while, as network file systems do it: a deep path is then
 * one question. The file at its end always is; and what the program itself changes is known at once.
 */
#define KEPT_COUNT 64u
#define KEPT_NANOSECONDS 500000000ll

/* Regular files are kept so that the next open of one needs no look before: host_open_known. */
static bool may_open_known(const struct fs_entry *entry)
{
    return entry->node->ops->open_known && fs_type(entry->node) == MODE_REGULAR;
}

static void entry_keep(struct fs_entry *entry)
{
    static struct fs_entry *kept[KEPT_COUNT];
    static uint32_t next;
    fs_take();
    struct fs_entry **place = &kept[next++ % KEPT_COUNT];
    struct fs_entry *before = *place;
    *place = entry;
    entry->references++;
    fs_give();
    if (before) {
        fs_entry_put(before);
    }
}

static struct fs_entry *directory_known(struct fs_entry *directory, struct fs_name name)
{
    struct fs_entry *entry = fs_entry_find(directory, name);
    if (!entry) {
        return NULL;
    }
    const int64_t age = fs_is_directory(entry) ? now() - entry->node->looked_at : -1;
    if (age >= 0 && age < KEPT_NANOSECONDS) {
        return entry;
    }
    fs_entry_put(entry);
    return NULL;
}

static long host_lookup(struct fs_entry *directory, struct fs_name name,
                        struct fs_entry **ret_entry)
{
    struct cella_call_stat stat;
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    if (directory->is_deleted) {
        return -ENOENT; /* its path may be another's by now */
    }
    struct fs_entry *known = directory_known(directory, name);
    if (known) {
        *ret_entry = known;
        return 0;
    }
    long result = host_path_take(&path, directory, name);
    if (result == 0) {
        result = stat_ask(&path, -1, true, &stat);
    }
    result = result == 0 ? entry_of(directory, name, &stat, ret_entry) : result;
    if (result == 0 && (fs_is_directory(*ret_entry) || may_open_known(*ret_entry))) {
        entry_keep(*ret_entry);
    }
    return result;
}

long fs_host_look(struct fs_entry *entry)
{
    struct cella_call_stat stat;
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    long result = host_path_take(&path, entry, no_name);
    if (result == 0) {
        result = stat_ask(&path, -1, true, &stat);
    }
    if (result == 0) {
        node_update(entry->node, &stat);
    }
    return result;
}

static long make_link(const struct fs_make *make, const struct host_path *path)
{
    const struct cella_call_request request = {.operation = CELLA_FILE_SYMLINK, .handle = -1};
    struct host_path text = {.text = fs_new(FS_PATH_SIZE), .size = (uint64_t)make->text_size + 1};
    if (!text.text) {
        return -ENOMEM;
    }
    __builtin_memcpy(text.text, make->text, make->text_size);
    const long result = path_ask(&request, &text, path, 0);
    host_path_done(&text);
    return result;
}

/* Regular files are made when they are opened (opens_to_make): host_open. */
static long host_make(struct fs_entry *directory, struct fs_name name, const struct fs_make *make,
                      struct fs_entry **ret_entry)
{
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    const struct cella_call_request request = {
        .operation = CELLA_FILE_MKDIR, .handle = -1, .b = (int64_t)(make->mode & MODE_BITS)};
    const struct cella_call_stat stat = {.mode = make->mode};
    long result = host_path_take(&path, directory, name);
    if (result != 0) {
        return result;
    }
    directory_changed(directory);
    switch (make->mode & MODE_TYPE) {
    case MODE_REGULAR:
        *ret_entry = entry_new(directory, name, &stat);
        return *ret_entry ? 0 : -ENOMEM;
    case MODE_DIRECTORY:
        result = path_ask(&request, &path, NULL, 0);
        break;
    case MODE_LINK:
        result = make_link(make, &path);
        break;
    default:
        return -EPERM;
    }
    return result == 0 ? host_lookup(directory, name, ret_entry) : result;
}

static long host_remove(struct fs_entry *entry)
{
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    const struct cella_call_request request = {
        .operation = fs_is_directory(entry) ? CELLA_FILE_RMDIR : CELLA_FILE_UNLINK, .handle = -1};
    long result = host_path_take(&path, entry, no_name);
    if (result == 0) {
        result = path_ask(&request, &path, NULL, 0);
    }
    if (result == 0) {
        directory_changed(entry->parent);
        fs_entry_unhash(entry);
    }
    return result;
}

static long host_link(struct fs_entry *from, struct fs_entry *directory, struct fs_name name)
{
    CELLA_CLEANUP(host_path_done) struct host_path first = {0};
    CELLA_CLEANUP(host_path_done) struct host_path second = {0};
    const struct cella_call_request request = {.operation = CELLA_FILE_LINK, .handle = -1};
    long result = host_path_take(&first, from, no_name);
    if (result == 0) {
        result = host_path_take(&second, directory, name);
    }
    directory_changed(directory);
    fs_take();
    from->node->argument = 0; /* what is known of it is old */
    fs_give();
    return result == 0 ? path_ask(&request, &first, &second, 0) : result;
}

static long host_rename(struct fs_entry *from, struct fs_entry *directory, struct fs_name name,
                        struct fs_entry *target, uint32_t flags)
{
    CELLA_CLEANUP(host_path_done) struct host_path first = {0};
    CELLA_CLEANUP(host_path_done) struct host_path second = {0};
    const struct cella_call_request request = {
        .operation = CELLA_FILE_RENAME, .handle = -1, .a = flags};
    long result = host_path_take(&first, from, no_name);
    if (result == 0) {
        result = host_path_take(&second, directory, name);
    }
    if (result == 0) {
        result = path_ask(&request, &first, &second, 0);
    }
    if (result != 0) {
        return result;
    }
    directory_changed(directory);
    directory_changed(from->parent);
    if ((flags & 2) != 0) {
        fs_entry_exchange(from, target);
        return 0;
    }
    if (target) {
        fs_entry_unhash(target);
    }
    return fs_entry_move(from, directory, name);
}

static long host_text(struct fs_entry *entry, char *to, uint32_t capacity)
{
    int64_t value = 0;
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    const struct cella_call_request request = {
        .operation = CELLA_FILE_READLINK, .handle = -1, .b = capacity};
    long result = host_path_take(&path, entry, no_name);
    if (result != 0) {
        return result;
    }
    const struct cella_gather bytes = CELLA_GATHER_ONE(path.text, path.size);
    const struct cella_gather scatter = CELLA_GATHER_ONE(to, capacity);
    result = cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &value, sizeof(value), &scatter,
                              capacity);
    return result > 0 && fs_text_find(to, (uint64_t)result, 0) ? -EIO : result;
}

static long host_stat(struct fs_entry *entry, struct fs_file *file,
                      struct cella_call_stat *ret_stat)
{
    struct fs_node *node = entry->node;
    struct fs_ids ids;
    long result = 0;
    bool is_known = false;
    if (node->host) {
        const int64_t time = now();
        fs_take();
        is_known =
            (node->argument == 1 && node->looked_changes == atomic_load(&node->tree->changes) &&
             time - node->looked_at >= 0 && time - node->looked_at < FRESH_NANOSECONDS) ||
            (!file && entry->is_deleted);
        node->argument = 0;
        *ret_stat = *node->host;
        ret_stat->links = entry->is_deleted ? 0 : ret_stat->links;
        fs_give();
    }
    if (!is_known && file && file->open->handle != CELLA_NO_HANDLE) {
        result = stat_ask(NULL, file->open->handle, false, ret_stat);
    } else if (!is_known) {
        CELLA_CLEANUP(host_path_done) struct host_path path = {0};
        result = host_path_take(&path, entry, no_name);
        if (result == 0) {
            result = stat_ask(&path, -1, entry->parent != NULL, ret_stat);
        }
    }
    if (result != 0) {
        return result;
    }
    fs_system_ids(&ids);
    ret_stat->device = node->tree->device;
    ret_stat->user = ids.user_effective;
    ret_stat->group = ids.group_effective;
    return (ret_stat->mode & MODE_TYPE) == fs_type(node) ? 0 : -ESTALE;
}

static long change_ask(const struct host_path *path, int32_t handle, uint32_t operation, int64_t a,
                       int64_t b)
{
    const struct cella_call_request request = {
        .operation = operation, .handle = handle, .a = a, .b = b};
    return handle >= 0 ? cella_ask(CELLA_OCALL_FILE, &request, NULL, 0)
                       : path_ask(&request, path, NULL, 0);
}

static long times_ask(const struct host_path *path, int32_t handle, const struct fs_change *change)
{
    int64_t times[4] = {0, UTIME_OMIT, 0, UTIME_OMIT};
    const struct cella_call_request request = {
        .operation = CELLA_FILE_TIMES, .handle = handle, .a = 1};
    if ((change->what & FS_CHANGE_ACCESSED) != 0) {
        __builtin_memcpy(times, change->accessed, sizeof(change->accessed));
    }
    if ((change->what & FS_CHANGE_MODIFIED) != 0) {
        __builtin_memcpy(times + 2, change->modified, sizeof(change->modified));
    }
    const struct cella_part parts[2] = {
        {.at = (uint64_t)times, .size = sizeof(times)},
        {.at = (uint64_t)path->text, .size = handle >= 0 ? 0 : path->size}};
    const struct cella_gather bytes = {
        .parts = parts, .count = 2, .size = sizeof(times) + parts[1].size};
    return cella_ask(CELLA_OCALL_FILE, &request, &bytes, 0);
}

/* A file that has no name any more, and no handle: what is known of it is all there is. */
static long deleted_change(struct fs_node *node, const struct fs_change *change)
{
    if (!node->host || (change->what & FS_CHANGE_SIZE) != 0) {
        return -ENOENT;
    }
    fs_take();
    if ((change->what & FS_CHANGE_MODE) != 0) {
        node->mode = fs_type(node) | change->mode;
        node->host->mode = node->mode;
    }
    if ((change->what & FS_CHANGE_ACCESSED) != 0) {
        __builtin_memcpy(node->host->accessed, change->accessed, sizeof(change->accessed));
    }
    if ((change->what & FS_CHANGE_MODIFIED) != 0) {
        __builtin_memcpy(node->host->modified, change->modified, sizeof(change->modified));
    }
    fs_give();
    return 0;
}

/* Owners are accepted and forgotten: files are the program's user's in any case. */
static long host_change(struct fs_entry *entry, struct fs_file *file,
                        const struct fs_change *change)
{
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    const int32_t handle = file ? file->open->handle : CELLA_NO_HANDLE;
    fs_host_forget(entry->node);
    if (handle < 0 && entry->is_deleted) {
        return deleted_change(entry->node, change);
    }
    long result = host_path_take(&path, entry, no_name);
    if (result == 0 && (change->what & FS_CHANGE_SIZE) != 0) {
        result = change_ask(&path, handle, CELLA_FILE_TRUNCATE, (int64_t)change->size, 0);
    }
    if (result == 0 && (change->what & FS_CHANGE_MODE) != 0) {
        result = change_ask(&path, handle, CELLA_FILE_CHMOD, 0, change->mode);
        if (result == 0) {
            fs_take();
            entry->node->mode = fs_type(entry->node) | change->mode;
            fs_give();
        }
    }
    if (result == 0 && (change->what & (FS_CHANGE_ACCESSED | FS_CHANGE_MODIFIED)) != 0) {
        result = times_ask(&path, handle, change);
    }
    fs_host_forget(entry->node);
    return result;
}

static long host_open(struct fs_file *file, uint32_t flags, uint32_t mode)
{
    struct {
        int64_t value;
        uint64_t mode;
        struct cella_call_stat stat;
    } answer = {0};
    struct fs_entry *entry = file->entry;
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    const bool makes = (flags & LINUX_O_CREAT) != 0;
    long result = host_path_take(&path, entry, no_name);
    if (result != 0) {
        return result;
    }
    const struct cella_call_request request = {
        .operation = CELLA_FILE_OPEN,
        .handle = -1,
        .a = (int64_t)((flags & OPEN_FLAGS) | (makes ? O_CREAT_EXCL : 0) |
                       (entry->parent ? O_NOFOLLOW_FLAG : 0)),
        .b = (int64_t)(mode & MODE_BITS)};
    const struct cella_gather bytes = CELLA_GATHER_ONE(path.text, path.size);
    result = cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &answer, sizeof(answer), NULL,
                              INT32_MAX);
    if (result < 0) {
        return result;
    }
    if (!cella_open_handle_set(file->open, (int32_t)result)) {
        return -EIO; /* a handle that is somebody else's: left alone */
    }
    if ((answer.mode & MODE_TYPE) != fs_type(entry->node) || answer.mode != answer.stat.mode) {
        return -ESTALE; /* it was exchanged since it was looked at */
    }
    if (!cella_stat_is_sane(&answer.stat)) {
        return -EIO;
    }
    if ((flags & O_TRUNC_FLAG) != 0) {
        fs_host_forget(entry->node);
    }
    file->is_exchanged = !makes && answer.stat.inode != entry->node->inode;
    if (!file->is_exchanged) {
        node_update(entry->node, &answer.stat);
    }
    if (makes) {
        fs_entry_hash(entry, false);
    }
    return 0;
}

/* For reading. What the name stands for now must be the file that the entry was made for, and one that may be read. */
static struct cella_open *host_open_known(struct fs_entry *entry)
{
    long error = 0;
    if (!may_open_known(entry) || entry->is_deleted || fs_permits(entry->node, FS_READ) != 0) {
        return NULL;
    }
    struct cella_open *open = fs_open_entry(entry, 0, 0, &error);
    const struct fs_file *file = open ? open->data : NULL;
    if (file && (file->is_exchanged || fs_permits(entry->node, FS_READ) != 0)) {
        cella_open_put(CELLA_TAKE(open));
    }
    return open;
}

static long host_read(struct fs_file *file, const struct cella_transfer *transfer, uint64_t offset)
{
    const struct cella_transfer there = {
        .bytes = transfer->bytes, .offset = (int64_t)offset, .writing = transfer->writing};
    const long count = cella_handle_transfer(file->open, &there);
    if (transfer->writing) {
        fs_host_forget(file->entry->node);
    }
    return count;
}

static long host_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(to, size),
                                            .offset = (int64_t)offset};
    return cella_handle_transfer(file->open, &transfer);
}

static long host_store(struct fs_file *file, const void *from, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {
        .bytes = CELLA_GATHER_ONE(from, size), .offset = (int64_t)offset, .writing = true};
    const long count = cella_handle_transfer(file->open, &transfer);
    fs_host_forget(file->entry->node);
    return count;
}

static long host_sync(struct fs_file *file, bool data_only)
{
    return cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_SYNC, file->open->handle, data_only, 0, 0);
}

static long host_reserve(struct fs_file *file, uint32_t mode, uint64_t offset, uint64_t size)
{
    fs_host_forget(file->entry->node);
    return mode != 0 ? -EOPNOTSUPP
                     : cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_RESERVE, file->open->handle,
                                       (int64_t)offset, (int64_t)size, 0);
}

const struct fs_ops fs_host_ops = {
    .opens_to_make = true,
    .opens_paths = true,
    .lists_dots = true,
    .open_known = host_open_known,
    .lookup = host_lookup,
    .make = host_make,
    .remove = host_remove,
    .link = host_link,
    .rename = host_rename,
    .list = fs_host_list,
    .text = host_text,
    .stat = host_stat,
    .change = host_change,
    .open = host_open,
    .read = host_read,
    .write = host_read,
    .fill = host_fill,
    .store = host_store,
    .sync = host_sync,
    .reserve = host_reserve,
};

/* ------------------------------------------------------------------- the tree */

char *fs_host_source(struct cella_bytes source, uint32_t *ret_size)
{
    const bool is_absolute = source.size > 0 && source.data[0] == '/';
    const struct cella_bytes before =
        is_absolute || fs_directory.size == 0 ? cella_bytes_of("", 0) : fs_directory;
    const uint64_t size = before.size + 1 + source.size;
    char *text = size < FS_PATH_SIZE ? fs_new(size + 1) : NULL;
    uint64_t used = before.size;
    if (!text) {
        return NULL;
    }
    __builtin_memcpy(text, before.data, before.size);
    if (used == 0 || text[used - 1] != '/') {
        text[used++] = '/';
    }
    const uint64_t skip = is_absolute ? 1 : 0;
    __builtin_memcpy(text + used, source.data + skip, source.size - skip);
    used += source.size - skip;
    while (used > 0 && text[used - 1] == '/') {
        used--;
    }
    text[used] = 0;
    *ret_size = (uint32_t)used;
    return text;
}

struct fs_tree *fs_host_tree(struct cella_bytes source, enum fs_kind kind, const struct fs_ops *ops,
                             long *ret_error)
{
    struct cella_call_stat stat;
    struct fs_tree *tree = fs_tree_new(kind, 0755, ops);
    *ret_error = -ENOMEM;
    if (!tree) {
        return NULL;
    }
    tree->source = fs_host_source(source, &tree->source_size);
    struct fs_node *node = tree->root->node;
    node->host = fs_new(sizeof(*node->host));
    if (!tree->source || !node->host) {
        return NULL;
    }
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    *ret_error = host_path_take(&path, tree->root, no_name);
    if (*ret_error == 0) {
        *ret_error = stat_ask(&path, -1, false, &stat);
    }
    if (*ret_error == 0 && (stat.mode & MODE_TYPE) != MODE_DIRECTORY &&
        (stat.mode & MODE_TYPE) != MODE_REGULAR) {
        *ret_error = -ENOTDIR;
    }
    if (*ret_error != 0) {
        return NULL;
    }
    node_update(node, &stat);
    return tree;
}

long fs_host_space(const struct fs_tree *tree, uint64_t *ret_words)
{
    struct cella_call_space space;
    CELLA_CLEANUP(host_path_done) struct host_path path = {0};
    long result = host_path_take(&path, tree->root, no_name);
    if (result == 0) {
        result = struct_ask(CELLA_FILE_SPACE, &path, -1, 0, &space, sizeof(space));
    }
    if (result != 0) {
        return result;
    }
    if (space.block_size == 0 || space.block_size > 1u << 30 || space.free > space.blocks ||
        space.available > space.blocks) {
        return -EIO;
    }
    const uint64_t words[] = {space.type,      space.block_size, space.blocks,    space.free,
                              space.available, space.files,      space.files_free};
    __builtin_memcpy(ret_words, words, sizeof(words));
    return 0;
}
