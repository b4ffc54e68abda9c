/*
 * Encrypted mounts: directories of the host whose regular files are protected files (docs/formats/protected-file.md).
 * Side: enclave. Called through the nodes' operations; only in the full program kernel, which has libcrypto.
 * Never lets the host choose a byte or a size of a file: what was altered is EIO. Names, kinds, modes, times and which files
 * there are stay the host's word, and so is which of its own older states a file has.
 */
#include "linux/fs_encrypted.h"

#include "linux/fs_tree.h"
#include "linux/libc_context.h"

#define CHUNK 65536u
#define O_TRUNC_FLAG 01000u
#define RENAME_EXCHANGE 2u
#define FALLOC_KEEP_SIZE 1u
#define BLOCK 512u

static struct fs_ops ops; /* the host's, with others for regular files */

static bool is_regular(const struct fs_entry *entry)
{
    return fs_type(entry->node) == MODE_REGULAR;
}

static struct fs_encrypted_file *state_of(struct fs_node *node)
{
    struct fs_encrypted_file *made = node->context ? NULL : fs_new(sizeof(*made));
    fs_take();
    if (!node->context) {
        node->context = CELLA_TAKE(made);
    }
    fs_give();
    fs_free(made, sizeof(*made));
    return (struct fs_encrypted_file *)(uintptr_t)node->context;
}

static long run(struct fs_node *node, struct fs_encrypted_call call)
{
    call.file = state_of(node);
    return call.file ? cella_linux_libc(fs_encrypted_run, &call) : -ENOMEM;
}

static long run_open(struct fs_entry *entry, enum fs_encrypted_operation operation, bool is_writing)
{
    char *path = NULL;
    long result = fs_host_path(entry, &path);
    if (result != 0) {
        return result;
    }
    result = run(entry->node, (struct fs_encrypted_call){
                                  .operation = operation,
                                  .path = path,
                                  .is_writing = is_writing,
                                  .is_read_only = entry->node->tree->is_read_only,
                                  .by_signer = entry->node->tree->is_of_signer,
                              });
    if (result == -EIO || result == -EINVAL) {
        fs_complain("a file of an encrypted mount is refused: it was altered, or never finished:",
                    cella_bytes_of(path, cella_strlen(path)), 0);
        result = -EIO;
    }
    fs_free(path, FS_PATH_SIZE);
    return result;
}

static long run_plain(struct fs_node *node, enum fs_encrypted_operation operation, uint64_t size)
{
    return run(node, (struct fs_encrypted_call){.operation = operation, .size = size});
}

/* For one call on a file that may not be open. */
static long with_file(struct fs_entry *entry, enum fs_encrypted_operation operation, uint64_t size,
                      const char *name)
{
    const bool is_writing = operation != FS_ENCRYPTED_SIZE;
    long result = run_open(entry, FS_ENCRYPTED_OPEN, is_writing);
    if (result != 0) {
        return result;
    }
    result = run(entry->node,
                 (struct fs_encrypted_call){.operation = operation, .size = size, .name = name});
    const long closed = run_plain(entry->node, FS_ENCRYPTED_CLOSE, 0);
    return result >= 0 && closed != 0 ? closed : result;
}

static long encrypted_open(struct fs_file *file, uint32_t flags, uint32_t mode)
{
    struct fs_entry *entry = file->entry;
    const bool creates = (flags & LINUX_O_CREAT) != 0;
    if (!is_regular(entry) || (flags & LINUX_O_PATH) != 0) {
        return fs_host_ops.open(file, flags, mode);
    }
    long result = run_open(entry, creates ? FS_ENCRYPTED_CREATE : FS_ENCRYPTED_OPEN,
                           (flags & LINUX_O_ACCMODE) != 0 || (flags & O_TRUNC_FLAG) != 0);
    if (result != 0) {
        return result;
    }
    if (creates) {
        const struct fs_change change = {.what = FS_CHANGE_MODE, .mode = mode & MODE_BITS};
        result = fs_host_ops.change(entry, NULL, &change);
        result = result == 0 ? fs_host_look(entry) : result;
        if (result == 0) {
            fs_entry_hash(entry, false);
        }
    } else if ((flags & O_TRUNC_FLAG) != 0) {
        result = run_plain(entry->node, FS_ENCRYPTED_RESIZE, 0);
    }
    if (result != 0) {
        (void)run_plain(entry->node, FS_ENCRYPTED_CLOSE, 0);
    }
    return result;
}

/* The host's file is written when that comes; what the program sees and keeps is when it wrote. */
static void written(struct fs_node *node)
{
    fs_touch(node, FS_TOUCH_CONTENT);
    state_of(node)->is_written = true; /* it is open: there is one */
}

static void times_keep(struct fs_entry *entry)
{
    struct fs_change change = {.what = FS_CHANGE_MODIFIED};
    struct fs_encrypted_file *state = state_of(entry->node);
    if (!state || !state->is_written || entry->is_deleted) {
        return;
    }
    state->is_written = false;
    fs_take();
    __builtin_memcpy(change.modified, entry->node->modified, sizeof(change.modified));
    fs_give();
    if (run_plain(entry->node, FS_ENCRYPTED_FLUSH, 0) == 0) {
        (void)fs_host_ops.change(entry, NULL, &change);
    }
}

static void encrypted_close(struct fs_file *file)
{
    struct fs_node *node = file->entry->node;
    if (!is_regular(file->entry)) {
        return;
    }
    times_keep(file->entry);
    if (file->entry->is_deleted) {
        const long size = run_plain(node, FS_ENCRYPTED_SIZE, 0);
        atomic_store(&node->size, size > 0 ? (uint64_t)size : 0);
    }
    (void)run_plain(node, FS_ENCRYPTED_CLOSE, 0);
}

static long encrypted_stat(struct fs_entry *entry, struct fs_file *file,
                           struct cella_call_stat *ret_stat)
{
    struct fs_node *node = entry->node;
    struct fs_file *by_handle = file && file->open->handle != CELLA_NO_HANDLE ? file : NULL;
    const bool is_gone = entry->is_deleted && is_regular(entry);
    const long result = fs_host_ops.stat(entry, is_gone ? NULL : by_handle, ret_stat);
    if (result != 0 || !is_regular(entry)) {
        return result;
    }
    long size = file && !by_handle ? run_plain(node, FS_ENCRYPTED_SIZE, 0)
                                   : with_file(entry, FS_ENCRYPTED_SIZE, 0, NULL);
    if (size == -ENOENT && is_gone) {
        size = (long)atomic_load(&node->size); /* as it was known last */
    }
    if (size < 0) {
        return size;
    }
    atomic_store(&node->size, (uint64_t)size);
    ret_stat->size = (uint64_t)size;
    ret_stat->blocks = ((uint64_t)size + BLOCK - 1) / BLOCK;
    const struct fs_encrypted_file *state = node->context;
    if (state && state->is_written) {
        fs_take();
        __builtin_memcpy(ret_stat->modified, node->modified, sizeof(node->modified));
        __builtin_memcpy(ret_stat->changed, node->changed, sizeof(node->changed));
        fs_give();
    }
    return 0;
}

static long encrypted_change(struct fs_entry *entry, struct fs_file *file,
                             const struct fs_change *change)
{
    struct fs_change rest = *change;
    if (is_regular(entry) && (rest.what & FS_CHANGE_SIZE) != 0) {
        const long result = file ? run_plain(entry->node, FS_ENCRYPTED_RESIZE, change->size)
                                 : with_file(entry, FS_ENCRYPTED_RESIZE, change->size, NULL);
        if (result != 0) {
            return result == -EINVAL ? -EFBIG : result;
        }
        rest.what &= ~FS_CHANGE_SIZE;
    }
    if (is_regular(entry) && (rest.what & (FS_CHANGE_ACCESSED | FS_CHANGE_MODIFIED)) != 0) {
        times_keep(entry); /* nothing is written to the host's file after them */
    }
    struct fs_file *by_handle = file && file->open->handle != CELLA_NO_HANDLE ? file : NULL;
    return rest.what != 0 ? fs_host_ops.change(entry, by_handle, &rest) : 0;
}

/* Kernel memory. */
static long move(struct fs_file *file, bool writing, void *buffer, uint64_t size, uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    const long result = run(node, (struct fs_encrypted_call){
                                      .operation = writing ? FS_ENCRYPTED_WRITE : FS_ENCRYPTED_READ,
                                      .buffer = buffer,
                                      .size = size,
                                      .offset = offset,
                                  });
    if (result > 0 && writing) {
        written(node);
    }
    return result == -EINVAL && writing ? -EFBIG : result;
}

static long encrypted_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    uint8_t *bytes = fs_new(size < CHUNK ? size : CHUNK); /* `to` may be a page of the program */
    uint64_t done = 0;
    long count = bytes ? 0 : -ENOMEM;
    while (bytes && done < size) {
        const uint64_t part = size - done < CHUNK ? size - done : CHUNK;
        count = move(file, false, bytes, part, offset + done);
        if (count <= 0) {
            break;
        }
        __builtin_memcpy((uint8_t *)to + done, bytes, (uint64_t)count);
        done += (uint64_t)count;
        if ((uint64_t)count < part) {
            break;
        }
    }
    fs_free(bytes, size < CHUNK ? size : CHUNK);
    return done > 0 ? (long)done : count;
}

static long encrypted_store(struct fs_file *file, const void *from, uint64_t size, uint64_t offset)
{
    return move(file, true, (void *)(uintptr_t)from, size, offset);
}

/* By way of a buffer: the program's memory may not be there. */
static long encrypted_transfer(struct fs_file *file, const struct cella_transfer *transfer,
                               uint64_t offset)
{
    return fs_pieces_by_buffer(file, transfer, offset, CHUNK, move);
}

static long encrypted_sync(struct fs_file *file, bool data_only)
{
    return is_regular(file->entry) ? run_plain(file->entry->node, FS_ENCRYPTED_SYNC, 0)
                                   : fs_host_ops.sync(file, data_only);
}

/* Blocks are found when they are written: only the size can be had in advance. */
static long encrypted_reserve(struct fs_file *file, uint32_t mode, uint64_t offset, uint64_t size)
{
    struct fs_node *node = file->entry->node;
    if ((mode & ~FALLOC_KEEP_SIZE) != 0) {
        return -EOPNOTSUPP;
    }
    const long known = run_plain(node, FS_ENCRYPTED_SIZE, 0);
    if (known < 0) {
        return known;
    }
    return mode == 0 && (uint64_t)known < offset + size
               ? run_plain(node, FS_ENCRYPTED_RESIZE, offset + size)
               : 0;
}

/* What is known of a file's size stays known to whoever only has its path open. */
static void size_keep(struct fs_entry *entry)
{
    const long size = entry->references > 1 && is_regular(entry)
                          ? with_file(entry, FS_ENCRYPTED_SIZE, 0, NULL)
                          : -ENOENT;
    if (size >= 0) {
        atomic_store(&entry->node->size, (uint64_t)size);
    }
}

static long bind(struct fs_entry *entry, struct fs_name name)
{
    char *text = fs_text_copy(name.text, name.size);
    if (!text) {
        return -ENOMEM;
    }
    const long result = with_file(entry, FS_ENCRYPTED_NAME, 0, text);
    fs_free(text, (uint64_t)name.size + 1);
    return result;
}

/*
 * A protected file is bound to its name: the new one is in it before the host renames it. A machine that stops between
 * the two leaves a file that is refused under its old name, and whole under the new one.
 */
static long encrypted_rename(struct fs_entry *from, struct fs_entry *directory, struct fs_name name,
                             struct fs_entry *target, uint32_t flags)
{
    const bool binds = is_regular(from) && (from->name_size != name.size ||
                                            !cella_equal(from->name, name.text, name.size));
    if ((flags & RENAME_EXCHANGE) != 0) {
        return -EINVAL;
    }
    long result = binds ? bind(from, name) : 0;
    if (result != 0) {
        return result;
    }
    if (target) {
        size_keep(target);
    }
    const struct fs_name before = {.text = from->name, .size = from->name_size};
    result = fs_host_ops.rename(from, directory, name, target, flags);
    if (result != 0 && binds) {
        (void)bind(from, before);
    }
    return result;
}

static long encrypted_remove(struct fs_entry *entry)
{
    size_keep(entry);
    return fs_host_ops.remove(entry);
}

/* Two names for one content that is bound to one of them. */
static long encrypted_link(struct fs_entry *from, struct fs_entry *directory, struct fs_name name)
{
    (void)from;
    (void)directory;
    (void)name;
    return -EPERM;
}

/* What a program keeps elsewhere, to know an older state when the host puts one back. */
static void encrypted_info(struct fs_file *file, struct fs_text *text)
{
    struct fs_encrypted_version version;
    if (!is_regular(file->entry) ||
        run(file->entry->node, (struct fs_encrypted_call){.operation = FS_ENCRYPTED_VERSION,
                                                          .buffer = &version}) != 0) {
        return;
    }
    fs_say(text, "protected_generation:\t");
    fs_say_number(text, version.generation);
    fs_say(text, "\nprotected_digest:\t");
    for (uint32_t i = 0; i < sizeof(version.digest); i++) {
        fs_say_hex(text, version.digest[i], 2);
    }
    fs_say(text, "\n");
}

static void encrypted_release(struct fs_node *node)
{
    fs_free((void *)(uintptr_t)node->context, sizeof(struct fs_encrypted_file));
}

void fs_encrypted_end(void)
{
    struct fs_encrypted_call call = {.operation = FS_ENCRYPTED_END};
    (void)cella_linux_libc(fs_encrypted_run, &call);
}

struct fs_tree *fs_encrypted_tree(const struct cella_program_mount *mount, long *ret_error)
{
    ops = fs_host_ops;
    ops.open_known = NULL;
    ops.open = encrypted_open;
    ops.close = encrypted_close;
    ops.stat = encrypted_stat;
    ops.change = encrypted_change;
    ops.read = encrypted_transfer;
    ops.write = encrypted_transfer;
    ops.fill = encrypted_fill;
    ops.store = encrypted_store;
    ops.sync = encrypted_sync;
    ops.reserve = encrypted_reserve;
    ops.remove = encrypted_remove;
    ops.rename = encrypted_rename;
    ops.link = encrypted_link;
    ops.info = encrypted_info;
    ops.release = encrypted_release;
    struct fs_tree *tree = fs_host_tree(cella_program_text(&fs_description, mount->source),
                                        FS_ENCRYPTED, &ops, ret_error);
    if (tree) {
        tree->is_of_signer = (mount->flags & CELLA_PROGRAM_MOUNT_SEAL_SIGNER) != 0;
    }
    return tree;
}
