/*
 * Open files: reading and writing where the file stands, and what else a descriptor of the tree can be asked.
 * Side: enclave. Called by enclave/descriptors_calls.c through the class, and by linux/fs_*.c.
 * Never keeps a position with the host: it is the file's own.
 */
#include "linux/fs_tree.h"

#define SEEK_SET 0u
#define SEEK_CUR 1u
#define SEEK_END 2u
#define SEEK_HOLE 4u
#define LINUX_O_TRUNC 01000u
#define BLOCK 512u
#define FALLOC_KEEP_SIZE 1u
#define FALLOC_PUNCH_HOLE 2u
#define FALLOC_KNOWN 0x7Bu

static bool has_position(const struct fs_node *node)
{
    return fs_type(node) == MODE_REGULAR;
}

/* With the position's lock where there is a position. */
static long transfer_at(struct fs_file *file, const struct cella_transfer *transfer,
                        uint64_t offset)
{
    struct fs_node *node = file->entry->node;
    if (!(transfer->writing ? node->ops->write : node->ops->read)) {
        return -EINVAL;
    }
    long count;
    if (fs_plain_begin(node)) {
        count = transfer->writing ? node->ops->write(file, transfer, offset)
                                  : node->ops->read(file, transfer, offset);
        fs_plain_end(node);
    } else {
        count = fs_content_transfer(file, transfer, offset);
    }
    if (count > 0 && transfer->writing && !node->ops->stat && fs_type(node) == MODE_REGULAR) {
        fs_touch(node, FS_TOUCH_CONTENT); /* others have times of their own */
    }
    return count;
}

static bool appends(const struct fs_file *file, const struct cella_transfer *transfer)
{
    return transfer->writing && (file->open->flags & LINUX_O_APPEND) != 0;
}

static long transfer_append(struct fs_file *file, const struct cella_transfer *transfer,
                            uint64_t *ret_end)
{
    struct fs_node *node = file->entry->node;
    struct cella_call_stat stat;
    linux_mutex_take(&node->append);
    fs_host_forget(node);
    long result = fs_stat(file->entry, file, &stat);
    if (result == 0) {
        result = transfer_at(file, transfer, stat.size);
        *ret_end = stat.size + (result > 0 ? (uint64_t)result : 0);
    }
    linux_mutex_give(&node->append);
    return result;
}

static long file_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    struct fs_file *file = open->data;
    struct fs_node *node = file->entry->node;
    uint64_t end = 0;
    long result;
    if ((open->flags & LINUX_O_ACCMODE) == LINUX_O_ACCMODE) {
        return -EBADF;
    }
    if (fs_type(node) == MODE_DIRECTORY) {
        return transfer->writing ? -EBADF : -EISDIR;
    }
    if (!has_position(node)) {
        return transfer->offset >= 0 && fs_type(node) == MODE_FIFO ? -ESPIPE
                                                                   : transfer_at(file, transfer, 0);
    }
    if (transfer->offset >= 0) {
        return appends(file, transfer) ? transfer_append(file, transfer, &end)
                                       : transfer_at(file, transfer, (uint64_t)transfer->offset);
    }
    linux_mutex_take(&file->mutex);
    if (appends(file, transfer)) {
        result = transfer_append(file, transfer, &end);
        file->position = result > 0 ? end : file->position;
    } else {
        result = transfer_at(file, transfer, file->position);
        file->position += result > 0 ? (uint64_t)result : 0;
    }
    linux_mutex_give(&file->mutex);
    return result;
}

/* Under the position's lock: where `offset` is, or an errno. */
static long seek_to(struct fs_file *file, int64_t offset, uint64_t whence)
{
    struct fs_node *node = file->entry->node;
    struct cella_call_stat stat;
    int64_t base = 0;
    if (whence > SEEK_END) {
        if (fs_type(node) != MODE_REGULAR) {
            return -EINVAL;
        }
        if (node->ops->seek) {
            return node->ops->seek(file, offset, whence);
        }
    }
    if (whence == SEEK_CUR) {
        base = (int64_t)file->position;
    } else if (whence != SEEK_SET) {
        fs_host_forget(node);
        const long result = fs_stat(file->entry, file, &stat);
        if (result != 0) {
            return result;
        }
        base = (int64_t)stat.size;
    }
    if (whence > SEEK_END) {
        return offset < 0 || offset >= base ? -ENXIO : whence == SEEK_HOLE ? base : offset;
    }
    int64_t position;
    if (__builtin_add_overflow(base, offset, &position)) {
        return whence == SEEK_SET ? -EINVAL : -EOVERFLOW;
    }
    return position < 0 ? -EINVAL : position;
}

static long file_seek(struct cella_open *open, int64_t offset, uint64_t whence)
{
    struct fs_file *file = open->data;
    const uint32_t type = fs_type(file->entry->node);
    if ((open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    if (type == MODE_CHARACTER) {
        return file->entry->node->ops->seek ? file->entry->node->ops->seek(file, offset, whence)
                                            : 0;
    }
    if (type != MODE_REGULAR && type != MODE_DIRECTORY) {
        return -ESPIPE;
    }
    linux_mutex_take(&file->mutex);
    const long result = seek_to(file, offset, whence);
    file->position = result >= 0 ? (uint64_t)result : file->position;
    linux_mutex_give(&file->mutex);
    return result;
}

long fs_stat(struct fs_entry *entry, struct fs_file *file, struct cella_call_stat *ret_stat)
{
    struct fs_node *node = entry->node;
    if (node->ops->stat) {
        return node->ops->stat(entry, file, ret_stat);
    }
    fs_take();
    *ret_stat = (struct cella_call_stat){
        .device = node->tree->device,
        .inode = node->inode,
        .links = node->links,
        .size = atomic_load(&node->size),
        .special = node->special,
        .mode = node->mode,
        .block_size = SGX_PAGE_SIZE,
        .user = node->user,
        .group = node->group,
        .accessed = {node->accessed[0], node->accessed[1]},
        .modified = {node->modified[0], node->modified[1]},
        .changed = {node->changed[0], node->changed[1]},
    };
    fs_give();
    ret_stat->blocks = atomic_load(&node->data.pages) * (SGX_PAGE_SIZE / BLOCK);
    if (node->data.base_size > 0) {
        ret_stat->blocks = (ret_stat->size + BLOCK - 1) / BLOCK;
    }
    return 0;
}

/* What is mapped of it gets as long as the file. */
static long size_change(struct fs_entry *entry, struct fs_file *file,
                        const struct fs_change *change)
{
    struct fs_node *node = entry->node;
    struct cella_call_stat stat = {0};
    if (fs_type(node) != MODE_REGULAR) {
        return node->ops->change(entry, file, change);
    }
    fs_content_take(node);
    long result = node->maps ? fs_stat(entry, file, &stat) : 0;
    result = result == 0 ? node->ops->change(entry, file, change) : result;
    if (result == 0) {
        fs_content_cut(node, stat.size, change->size);
    }
    fs_content_give(node);
    return result;
}

long fs_change(struct fs_entry *entry, struct fs_file *file, const struct fs_change *change)
{
    struct fs_node *node = entry->node;
    if (node->tree->is_read_only) {
        return -EROFS;
    }
    if ((change->what & FS_CHANGE_SIZE) != 0 && node->file != 0) {
        const long result = fs_image_load(node);
        if (result != 0) {
            return result;
        }
    }
    if (!node->ops->change) {
        return -EPERM;
    }
    return (change->what & FS_CHANGE_SIZE) != 0 ? size_change(entry, file, change)
                                                : node->ops->change(entry, file, change);
}

static long file_stat(struct cella_open *open, struct cella_call_stat *ret_stat)
{
    struct fs_file *file = open->data;
    return fs_stat(file->entry, file, ret_stat);
}

static long file_control(struct cella_open *open, uint64_t request, uint64_t argument)
{
    struct fs_file *file = open->data;
    struct fs_node *node = file->entry->node;
    struct cella_call_stat stat;
    if ((open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    if (node->ops->control) {
        return node->ops->control(file, request, argument);
    }
    if (request != LINUX_FIONREAD || fs_type(node) != MODE_REGULAR) {
        return -ENOTTY;
    }
    const long result = fs_stat(file->entry, file, &stat);
    const uint64_t left = stat.size > file->position ? stat.size - file->position : 0;
    const int32_t shown = left < INT32_MAX ? (int32_t)left : INT32_MAX;
    if (result != 0) {
        return result;
    }
    return linux_user_write(argument, &shown, sizeof(shown)) ? 0 : -EFAULT;
}

/* The host appends by itself where it is told so at the start: it has to know. */
static long file_flags(struct cella_open *open, uint32_t flags)
{
    return open->handle == CELLA_NO_HANDLE
               ? 0
               : cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_FLAGS, open->handle, flags, 0, 0);
}

static long file_lock(struct cella_open *open, uint64_t command, uint64_t lock)
{
    return (open->flags & LINUX_O_PATH) != 0 ? -EBADF : fs_lock_call(open->data, command, lock);
}

static uint32_t file_ready(struct cella_open *open)
{
    struct fs_file *file = open->data;
    return file->entry->node->ops->ready ? file->entry->node->ops->ready(file)
                                         : LINUX_POLLIN | LINUX_POLLOUT;
}

static void file_free(struct fs_file *file)
{
    fs_entry_put(file->entry);
    if (file->text) {
        cella_zero(file->text, file->text_capacity); /* a key, perhaps */
    }
    fs_free(file->text, file->text_capacity);
    fs_free(file, sizeof(*file));
}

static void file_release(struct cella_open *open)
{
    struct fs_file *file = open->data;
    open->data = NULL;
    if (!file) {
        return;
    }
    fs_locks_release(file);
    if (file->entry->node->ops->close && (open->flags & LINUX_O_PATH) == 0) {
        file->entry->node->ops->close(file);
    }
    file_free(file);
}

const struct cella_open_class fs_file_class = {
    .transfer = file_transfer,
    .seek = file_seek,
    .stat = file_stat,
    .control = file_control,
    .flags_changed = file_flags,
    .lock = file_lock,
    .ready = file_ready,
    .release = file_release,
};

/* It may cut the file off by itself: what is mapped of it goes, too. */
static long open_by_class(struct fs_file *file, uint32_t flags, uint32_t mode)
{
    struct fs_node *node = file->entry->node;
    if ((flags & LINUX_O_TRUNC) == 0 || fs_type(node) != MODE_REGULAR) {
        return node->ops->open(file, flags, mode);
    }
    fs_content_take(node);
    const long result = node->ops->open(file, flags, mode);
    if (result == 0) {
        fs_content_cut(node, UINT64_MAX, 0);
    }
    fs_content_give(node);
    return result;
}

struct cella_open *fs_open_entry(struct fs_entry *entry, uint32_t flags, uint32_t mode,
                                 long *ret_error)
{
    struct fs_node *node = entry->node;
    struct cella_open *open = cella_open_new(&fs_file_class, CELLA_NO_HANDLE, flags, ret_error);
    struct fs_file *file = open ? fs_new(sizeof(*file)) : NULL;
    if (!open) {
        return NULL;
    }
    if (!file) {
        cella_open_put(open);
        *ret_error = -ENOMEM;
        return NULL;
    }
    file->entry = fs_entry_get(entry);
    file->open = open;
    open->mode = fs_type(node);
    if ((flags & LINUX_O_PATH) != 0 && !node->ops->opens_paths) {
        open->data = file;
        return open;
    }
    *ret_error = node->file != 0 ? fs_image_load(node) : 0;
    if (*ret_error == 0 && node->ops->open) {
        *ret_error = open_by_class(file, flags, mode);
    }
    if (*ret_error != 0) {
        file_free(file);
        cella_open_put(open);
        return NULL;
    }
    open->data = file;
    if ((flags & LINUX_O_TRUNC) != 0 && fs_type(node) == MODE_REGULAR && !node->ops->open) {
        const struct fs_change change = {.what = FS_CHANGE_SIZE};
        *ret_error = fs_change(entry, file, &change);
        if (*ret_error != 0) {
            cella_open_put(open);
            return NULL;
        }
    }
    return open;
}

/* ------------------------------------------------------------------- calls by number */

static long on_file(uint64_t fd, long (*call)(struct fs_file *file, const uint64_t *words),
                    const uint64_t *words)
{
    CELLA_OPEN_GET(open, fd);
    if (!open || (open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    struct fs_file *file = fs_file_of(open);
    return file ? call(file, words) : -EINVAL;
}

static bool is_writable(const struct fs_file *file)
{
    const uint32_t access = file->open->flags & LINUX_O_ACCMODE;
    return access == LINUX_O_WRONLY || access == LINUX_O_RDWR;
}

static long call_truncate(struct fs_file *file, const uint64_t *words)
{
    const struct fs_change change = {.what = FS_CHANGE_SIZE, .size = words[0]};
    if ((int64_t)words[0] < 0 || fs_type(file->entry->node) != MODE_REGULAR || !is_writable(file)) {
        return -EINVAL;
    }
    return fs_change(file->entry, file, &change);
}

static long call_sync(struct fs_file *file, const uint64_t *words)
{
    const struct fs_node *node = file->entry->node;
    if (fs_type(node) == MODE_FIFO || fs_type(node) == MODE_CHARACTER) {
        return -EINVAL;
    }
    return node->ops->sync ? node->ops->sync(file, words[0] != 0) : 0;
}

static long call_reserve(struct fs_file *file, const uint64_t *words)
{
    struct fs_node *node = file->entry->node;
    const int64_t offset = (int64_t)words[1], size = (int64_t)words[2];
    if (offset < 0 || size <= 0) {
        return -EINVAL;
    }
    const uint32_t mode = (uint32_t)words[0];
    if ((mode & ~FALLOC_KNOWN) != 0 ||
        (mode & (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE)) == FALLOC_PUNCH_HOLE) {
        return -EOPNOTSUPP;
    }
    if (!is_writable(file)) {
        return -EBADF;
    }
    if (fs_type(node) != MODE_REGULAR) {
        return fs_type(node) == MODE_FIFO        ? -ESPIPE
               : fs_type(node) == MODE_DIRECTORY ? -EISDIR
                                                 : -ENODEV;
    }
    if (offset > (int64_t)FS_SIZE_MAX - size) {
        return -EFBIG;
    }
    if (!node->ops->reserve) {
        return -EOPNOTSUPP;
    }
    fs_content_take(node);
    const long result = node->ops->reserve(file, mode, words[1], words[2]);
    if (result == 0 && mode != 0) {
        fs_content_changed(file, words[1], words[2]);
    }
    fs_content_give(node);
    return result;
}

static long call_flock(struct fs_file *file, const uint64_t *words)
{
    return fs_flock(file, words[0]);
}

static long call_advise(struct fs_file *file, const uint64_t *words)
{
    if (fs_type(file->entry->node) == MODE_FIFO) {
        return -ESPIPE;
    }
    return (int64_t)words[1] < 0 || (uint32_t)words[2] > 5 ? -EINVAL : 0;
}

bool fs_file_calls(struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    const uint64_t words[3] = {ARG1(regs), ARG2(regs), ARG3(regs)};
    const uint64_t data_only[1] = {regs->rax == __NR_fdatasync};
    switch (regs->rax) {
    case __NR_ftruncate:
        *ret_result = on_file(fd, call_truncate, words);
        return true;
    case __NR_fsync:
    case __NR_fdatasync:
        *ret_result = on_file(fd, call_sync, data_only);
        return true;
    case __NR_fallocate:
        *ret_result = on_file(fd, call_reserve, words);
        return true;
    case __NR_flock:
        *ret_result = on_file(fd, call_flock, words);
        return true;
    case __NR_fadvise64:
        *ret_result = on_file(fd, call_advise, words);
        return true;
    case __NR_sync_file_range:
    case __NR_readahead:
    case __NR_syncfs: {
        const uint64_t none[1] = {0};
        *ret_result = on_file(fd, call_sync, none);
        return true;
    }
    case __NR_sync:
        *ret_result = 0;
        return true;
    default:
        return false;
    }
}
