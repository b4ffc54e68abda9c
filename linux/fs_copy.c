/*
 * Bytes from one open file to another, without the program's memory: sendfile and copy_file_range.
 * Side: enclave. Called by fs_calls.c.
 * Never more than was read: what the other end does not take is left where it was.
 */
#include "linux/fs_tree.h"

#define CHUNK 65536u
#define COUNT_MAX 0x7FFFF000ull

/* Where a copy reads or writes: at an offset of the program's, or where the file stands. */
struct end {
    struct cella_open *open;
    struct fs_file *file; /* NULL: none of the tree's */
    uint64_t user;        /* where the offset is; 0: the position */
    uint64_t offset;
};

static long end_take(struct end *end, uint64_t user)
{
    end->user = user;
    if (user != 0) {
        int64_t offset;
        if (!linux_user_read(&offset, user, sizeof(offset))) {
            return -EFAULT;
        }
        end->offset = (uint64_t)offset;
        return offset < 0 ? -EINVAL : 0;
    }
    end->offset = end->file ? end->file->position : 0;
    return 0;
}

static long end_give(const struct end *end)
{
    if (end->user != 0) {
        return linux_user_write(end->user, &end->offset, sizeof(end->offset)) ? 0 : -EFAULT;
    }
    if (end->file) {
        end->file->position = end->offset;
    }
    return 0;
}

static bool is_regular(const struct end *end)
{
    return end->file && fs_type(end->file->entry->node) == MODE_REGULAR;
}

static long chunk_write(struct end *to, const uint8_t *bytes, uint64_t size)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(bytes, size),
                                            .offset = to->user != 0 ? (int64_t)to->offset : -1,
                                            .writing = true};
    if (!is_regular(to)) {
        return to->open->class->transfer ? to->open->class->transfer(to->open, &transfer) : -EINVAL;
    }
    const long count = fs_content_store(to->file, bytes, size, to->offset);
    if (count > 0) {
        fs_touch(to->file->entry->node, FS_TOUCH_CONTENT);
        to->offset += (uint64_t)count;
    }
    return count;
}

static long copy(struct end *from, struct end *to, uint64_t size, uint8_t *bytes)
{
    uint64_t done = 0;
    while (done < size) {
        const uint64_t part = size - done < CHUNK ? size - done : CHUNK;
        const long count = cella_linux_file_read(from->open, from->offset, part, bytes);
        const long written = count > 0 ? chunk_write(to, bytes, (uint64_t)count) : count;
        if (written <= 0) {
            return done > 0 ? (long)done : written;
        }
        done += (uint64_t)written;
        from->offset += (uint64_t)written;
        if (written < count) {
            break;
        }
    }
    return (long)done;
}

/* With the positions that move locked, the lower address first. */
static long copy_locked(struct end *from, struct end *to, uint64_t from_user, uint64_t to_user,
                        uint64_t size)
{
    struct fs_file *files[2] = {from_user == 0 ? from->file : NULL,
                                to_user == 0 && is_regular(to) ? to->file : NULL};
    if (files[0] == files[1]) {
        files[1] = NULL;
    }
    if (files[0] && files[1] && files[0] > files[1]) {
        struct fs_file *swap = files[0];
        files[0] = files[1];
        files[1] = swap;
    }
    uint8_t *bytes = cella_pages_new(CHUNK);
    for (uint32_t i = 0; i < 2; i++) {
        if (files[i]) {
            linux_mutex_take(&files[i]->mutex);
        }
    }
    long result = bytes ? end_take(from, from_user) : -ENOMEM;
    result = result == 0 ? end_take(to, to_user) : result;
    if (result == 0) {
        result = copy(from, to, size, bytes);
    }
    if (result > 0) {
        const long given = end_give(from);
        const long taken = is_regular(to) ? end_give(to) : 0;
        result = given != 0 ? given : taken != 0 ? taken : result;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (files[i]) {
            linux_mutex_give(&files[i]->mutex);
        }
    }
    cella_pages_free(bytes, CHUNK);
    return result;
}

static bool reads(const struct cella_open *open)
{
    const uint32_t access = open->flags & LINUX_O_ACCMODE;
    return (open->flags & LINUX_O_PATH) == 0 && (access == 0 || access == LINUX_O_RDWR);
}

static bool writes(const struct cella_open *open)
{
    const uint32_t access = open->flags & LINUX_O_ACCMODE;
    return (open->flags & LINUX_O_PATH) == 0 &&
           (access == LINUX_O_WRONLY || access == LINUX_O_RDWR);
}

static long call_send(uint64_t out, uint64_t in, uint64_t offset, uint64_t size)
{
    CELLA_OPEN_GET(source, in);
    CELLA_OPEN_GET(target, out);
    if (!source || !target || !reads(source) ||
        (!writes(target) && (target->mode & MODE_TYPE) != MODE_SOCKET)) {
        return -EBADF;
    }
    struct end from = {.open = source, .file = fs_file_of(source)};
    struct end to = {.open = target, .file = fs_file_of(target)};
    if (!from.file || !from.file->entry->node->ops->fill ||
        fs_type(from.file->entry->node) == MODE_DIRECTORY ||
        (target->flags & LINUX_O_APPEND) != 0) {
        return -EINVAL;
    }
    return copy_locked(&from, &to, offset, 0, size < COUNT_MAX ? size : COUNT_MAX);
}

static long range_check(const struct end *from, const struct end *to, uint64_t flags)
{
    if (!from->open || !to->open || ((from->open->flags | to->open->flags) & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    if (flags != 0) {
        return -EINVAL;
    }
    const uint32_t types[] = {from->open->mode & MODE_TYPE, to->open->mode & MODE_TYPE};
    if (types[0] == MODE_DIRECTORY || types[1] == MODE_DIRECTORY) {
        return -EISDIR;
    }
    if (!is_regular(from) || !is_regular(to)) {
        return -EINVAL;
    }
    if (!reads(from->open) || !writes(to->open) || (to->open->flags & LINUX_O_APPEND) != 0) {
        return -EBADF;
    }
    return from->file->entry->node->tree == to->file->entry->node->tree ? 0 : -EXDEV;
}

static long call_copy_range(const struct cella_regs *regs)
{
    CELLA_OPEN_GET(source, (uint32_t)ARG0(regs));
    CELLA_OPEN_GET(target, (uint32_t)ARG2(regs));
    struct end from = {.open = source, .file = fs_file_of(source)};
    struct end to = {.open = target, .file = fs_file_of(target)};
    const long result = range_check(&from, &to, (uint32_t)ARG5(regs));
    if (result != 0) {
        return result;
    }
    const long first = end_take(&from, ARG1(regs)), second = end_take(&to, ARG3(regs));
    if (first != 0 || second != 0) {
        return first != 0 ? first : second;
    }
    struct cella_call_stat stat = {0};
    (void)fs_stat(from.file->entry, from.file, &stat);
    const uint64_t left = stat.size > from.offset ? stat.size - from.offset : 0;
    uint64_t size = ARG4(regs) < COUNT_MAX ? ARG4(regs) : COUNT_MAX;
    size = size < left ? size : left;
    if (fs_is_same(from.file->entry->node, to.file->entry->node) &&
        from.offset < to.offset + size && to.offset < from.offset + size) {
        return -EINVAL;
    }
    return copy_locked(&from, &to, ARG1(regs), ARG3(regs), size);
}

bool fs_copy_calls(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_sendfile:
        *ret_result = call_send((uint32_t)ARG0(regs), (uint32_t)ARG1(regs), ARG2(regs), ARG3(regs));
        return true;
    case __NR_copy_file_range:
        *ret_result = call_copy_range(regs);
        return true;
    case __NR_splice:
    case __NR_tee:
    case __NR_vmsplice:
        *ret_result = -EINVAL; /* no pages can be moved: callers then copy */
        return true;
    default:
        return false;
    }
}
