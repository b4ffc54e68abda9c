/*
 * The files module: files of the host, below the directory that the host chose. Opt-in: -u cella_module_files.
 * Side: enclave. Called for the libc's system calls. What a file holds is the host's word: seal what matters.
 * Never uses a host's descriptor as its own: the table here says which numbers are open, and for what.
 */
#include "enclave/libc.h"

#define FILE_FIRST 3u
#define FILE_COUNT 256u
#define CHUNK 32768u
#define PATH_SIZE 4096u
#define IOV_MAX_COUNT 1024u
#define CURRENT_DIRECTORY (-100)
#define EMPTY_PATH 0x1000u
#define ERRNO_MAX 4095

extern const char cella_module_files;
const char cella_module_files = 1;

/* `handle` is the host's name for the file, plus 1; 0: not open. */
static struct {
    int32_t handle;
    uint32_t flags;
} files[FILE_COUNT];
static struct cella_lock files_lock;

/* One request: the head, then a path or data; the answer: a number, then data. */
struct request {
    struct cella_call_file head;
    uint8_t bytes[];
};

/* Buffers are pages: a libc's thread may have a small stack. */
static struct request *request_new(uint64_t size)
{
    return (struct request *)cella_pages_new(sizeof(struct request) + size);
}

static void request_free(struct request *request, uint64_t size)
{
    cella_pages_free(request, sizeof(struct request) + size);
}

/* An errno or a count; anything else a host may say is EIO. */
static long answer_filter(int64_t value, int64_t max)
{
    return value >= -ERRNO_MAX && value <= max ? (long)value : -EIO;
}

/* A call whose answer is only a number. */
static long ask(const struct request *request, uint64_t size, int64_t max)
{
    int64_t value = 0;
    size_t got = 0;
    cella_result result = cella_system_ocall(CELLA_OCALL_FILE, request, sizeof(*request) + size,
                                             &value, sizeof(value), &got);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    return got == sizeof(value) ? answer_filter(value, max) : -EIO;
}

static long ask_plain(uint32_t operation, int32_t handle, int64_t a, int64_t b, int64_t max)
{
    const struct request request = {
        .head = {.operation = operation, .handle = handle, .a = a, .b = b}};
    return ask(&request, 0, max);
}

/* Size of the path with its zero, 0 when it does not end in time or is not the libc's. */
static uint64_t path_size(uint64_t path)
{
    for (uint64_t size = 0; size < PATH_SIZE && cella_user_range(path + size, 1); size++) {
        if (((const char *)path)[size] == 0) {
            return size + 1;
        }
    }
    return 0;
}

static long ask_paths(uint32_t operation, uint64_t first, uint64_t second, int64_t a, int64_t b,
                      int64_t max)
{
    const uint64_t first_size = path_size(first);
    const uint64_t second_size = second != 0 ? path_size(second) : 0;
    if (first_size == 0 || (second != 0 && second_size == 0)) {
        return -EFAULT;
    }
    struct request *request = request_new(first_size + second_size);
    if (!request) {
        return -ENOMEM;
    }
    request->head = (struct cella_call_file){.operation = operation, .handle = -1, .a = a, .b = b};
    __builtin_memcpy(request->bytes, (const void *)first, first_size);
    if (second != 0) {
        __builtin_memcpy(request->bytes + first_size, (const void *)second, second_size);
    }
    const long result = ask(request, first_size + second_size, max);
    request_free(request, first_size + second_size);
    return result;
}

/* The host's handle of an open descriptor; false: not open here. */
static bool handle_of(uint64_t fd, int32_t *ret_handle)
{
    if (fd < FILE_FIRST || fd - FILE_FIRST >= FILE_COUNT) {
        return false;
    }
    const uint64_t index = cella_index_clamp(fd - FILE_FIRST, FILE_COUNT);
    cella_lock_take(&files_lock);
    const int32_t handle = files[index].handle;
    cella_lock_give(&files_lock);
    *ret_handle = handle - 1;
    return handle != 0;
}

/* A handle that is open already would make two files of ours one: such a host is not served. */
static long file_insert(int32_t handle, uint32_t flags)
{
    long fd = -EMFILE;
    cella_lock_take(&files_lock);
    for (uint32_t i = 0; i < FILE_COUNT; i++) {
        if (files[i].handle == handle + 1) {
            fd = -EIO;
            break;
        }
        if (files[i].handle == 0 && fd < 0) {
            fd = (long)(i + FILE_FIRST);
        }
    }
    if (fd >= 0) {
        files[fd - (long)FILE_FIRST].handle = handle + 1;
        files[fd - (long)FILE_FIRST].flags = flags;
    }
    cella_lock_give(&files_lock);
    return fd;
}

static long file_open(uint64_t path, uint64_t flags, uint64_t mode)
{
    const long handle =
        ask_paths(CELLA_FILE_OPEN, path, 0, (int64_t)flags, (int64_t)(mode & 0777), INT32_MAX - 1);
    if (handle < 0) {
        return handle;
    }
    const long fd = file_insert((int32_t)handle, (uint32_t)flags);
    if (fd == -EMFILE) {
        ask_plain(CELLA_FILE_CLOSE, (int32_t)handle, 0, 0, 0);
    }
    return fd;
}

static long file_close(uint64_t fd)
{
    int32_t handle;
    if (!handle_of(fd, &handle)) {
        return -EBADF;
    }
    cella_lock_take(&files_lock);
    files[fd - FILE_FIRST].handle = 0;
    cella_lock_give(&files_lock);
    return ask_plain(CELLA_FILE_CLOSE, handle, 0, 0, 0);
}

static long read_piece(int32_t handle, uint64_t to, uint64_t size, int64_t offset)
{
    const struct request request = {
        .head = {.operation = CELLA_FILE_READ, .handle = handle, .a = offset, .b = (int64_t)size}};
    struct {
        int64_t value;
        uint8_t bytes[];
    } *answer = cella_pages_new(8 + size);
    size_t got = 0;
    if (!answer) {
        return -ENOMEM;
    }
    cella_result result =
        cella_system_ocall(CELLA_OCALL_FILE, &request, sizeof(request), answer, 8 + size, &got);
    long count = cella_is_ok(result) ? -EIO : cella_errno_of(result);
    if (cella_is_ok(result) && got >= 8) {
        count = answer_filter(answer->value, (int64_t)(got - 8));
    }
    if (count > 0) {
        __builtin_memcpy((void *)to, answer->bytes, (uint64_t)count);
    }
    cella_pages_free(answer, 8 + size);
    return count;
}

static long write_piece(int32_t handle, uint64_t from, uint64_t size, int64_t offset)
{
    struct request *request = request_new(size);
    if (!request) {
        return -ENOMEM;
    }
    request->head = (struct cella_call_file){
        .operation = CELLA_FILE_WRITE, .handle = handle, .a = offset, .b = (int64_t)size};
    __builtin_memcpy(request->bytes, (const void *)from, size);
    const long count = ask(request, size, (int64_t)size);
    request_free(request, size);
    return count;
}

/* Reads or writes in pieces; offset -1: where the file stands. A short piece ends it. */
static long transfer(uint64_t fd, uint64_t at, uint64_t size, int64_t offset, bool writing)
{
    int32_t handle;
    uint64_t done = 0;
    if (!handle_of(fd, &handle)) {
        return -EBADF;
    }
    if (!cella_user_range(at, size)) {
        return -EFAULT;
    }
    while (done < size) {
        const uint64_t part = size - done < CHUNK ? size - done : CHUNK;
        const int64_t place = offset < 0 ? -1 : offset + (int64_t)done;
        const long count = writing ? write_piece(handle, at + done, part, place)
                                   : read_piece(handle, at + done, part, place);
        if (count < 0) {
            return done > 0 ? (long)done : count;
        }
        done += (uint64_t)count;
        if ((uint64_t)count < part) {
            break;
        }
    }
    return (long)done;
}

static long transfer_vector(uint64_t fd, uint64_t vector, uint64_t count, bool writing)
{
    long total = 0;
    if (count > IOV_MAX_COUNT) {
        return -EINVAL;
    }
    if (!cella_user_range(vector, count * sizeof(struct libc_iovec))) {
        return -EFAULT;
    }
    const struct libc_iovec *iov = (const struct libc_iovec *)vector;
    for (uint64_t i = 0; i < count; i++) {
        const long part = transfer(fd, iov[i].base, iov[i].size, -1, writing);
        if (part < 0) {
            return total > 0 ? total : part;
        }
        total += part;
        if ((uint64_t)part < iov[i].size) {
            break;
        }
    }
    return total;
}

/* struct stat of x86-64, out of the few fields that the host is asked for. */
static long stat_fill(const struct cella_call_stat *from, uint64_t to)
{
    uint64_t *out = (uint64_t *)to;
    cella_zero(out, 144);
    out[0] = from->device;
    out[1] = from->inode;
    out[2] = from->links;
    ((uint32_t *)to)[6] = from->mode;
    out[6] = from->size;
    out[7] = from->block_size != 0 ? from->block_size : 4096;
    out[8] = from->blocks;
    out[11] = (uint64_t)from->modified_seconds;
    out[12] = (uint64_t)from->modified_nanoseconds;
    return 0;
}

static long file_stat(int32_t handle, uint64_t path, uint64_t to)
{
    const uint64_t size = path != 0 ? path_size(path) : 0;
    struct {
        int64_t value;
        struct cella_call_stat stat;
    } answer;
    size_t got = 0;
    if ((path != 0 && size == 0) || !cella_user_range(to, 144)) {
        return -EFAULT;
    }
    struct request *request = request_new(size);
    if (!request) {
        return -ENOMEM;
    }
    request->head = (struct cella_call_file){.operation = CELLA_FILE_STAT, .handle = handle};
    __builtin_memcpy(request->bytes, (const void *)path, size);
    cella_result result = cella_system_ocall(CELLA_OCALL_FILE, request, sizeof(*request) + size,
                                             &answer, sizeof(answer), &got);
    request_free(request, size);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    if (got < 8) {
        return -EIO;
    }
    const long value = answer_filter(answer.value, 0);
    if (value != 0) {
        return value;
    }
    if (got != sizeof(answer) || answer.stat.size > INT64_MAX) {
        return -EIO;
    }
    return stat_fill(&answer.stat, to);
}

static long file_seek(uint64_t fd, int64_t offset, uint64_t whence)
{
    int32_t handle;
    if (!handle_of(fd, &handle)) {
        return -EBADF;
    }
    return whence <= 2 ? ask_plain(CELLA_FILE_SEEK, handle, offset, (int64_t)whence, INT64_MAX)
                       : -EINVAL;
}

static long file_control(uint64_t fd, uint64_t command)
{
    int32_t handle;
    if (!handle_of(fd, &handle)) {
        return -EBADF;
    }
    switch (command) {
    case 1: /* F_GETFD */
    case 2: /* F_SETFD */
    case 4: /* F_SETFL */
        return 0;
    case 3: /* F_GETFL */
        return files[fd - FILE_FIRST].flags & 3;
    default:
        return -EINVAL;
    }
}

static long on_handle(uint32_t operation, uint64_t fd, int64_t a)
{
    int32_t handle;
    return handle_of(fd, &handle) ? ask_plain(operation, handle, a, 0, 0) : -EBADF;
}

static bool files_by_path(const struct cella_regs *regs, long *ret_result)
{
    const bool here = (int32_t)ARG0(regs) == CURRENT_DIRECTORY;
    switch (regs->rax) {
    case __NR_open:
        *ret_result = file_open(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_openat:
        *ret_result = here ? file_open(ARG1(regs), ARG2(regs), ARG3(regs)) : -ENOTDIR;
        return true;
    case __NR_stat:
    case __NR_lstat:
        *ret_result = file_stat(-1, ARG0(regs), ARG1(regs));
        return true;
    case __NR_access:
        *ret_result = ask_paths(CELLA_FILE_ACCESS, ARG0(regs), 0, (int64_t)ARG1(regs), 0, 0);
        return true;
    case __NR_unlink:
        *ret_result = ask_paths(CELLA_FILE_UNLINK, ARG0(regs), 0, 0, 0, 0);
        return true;
    case __NR_rmdir:
        *ret_result = ask_paths(CELLA_FILE_RMDIR, ARG0(regs), 0, 0, 0, 0);
        return true;
    case __NR_mkdir:
        *ret_result =
            ask_paths(CELLA_FILE_MKDIR, ARG0(regs), 0, 0, (int64_t)(ARG1(regs) & 0777), 0);
        return true;
    case __NR_rename:
        *ret_result = ask_paths(CELLA_FILE_RENAME, ARG0(regs), ARG1(regs), 0, 0, 0);
        return true;
    default:
        return false;
    }
}

static long stat_at(const struct cella_regs *regs)
{
    int32_t handle;
    if ((ARG3(regs) & EMPTY_PATH) != 0 && handle_of((uint32_t)ARG0(regs), &handle)) {
        return file_stat(handle, 0, ARG2(regs));
    }
    return (int32_t)ARG0(regs) == CURRENT_DIRECTORY ? file_stat(-1, ARG1(regs), ARG2(regs))
                                                    : -ENOTDIR;
}

static bool files_syscall(struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    int32_t handle;
    if (files_by_path(regs, ret_result)) {
        return true;
    }
    switch (regs->rax) {
    case __NR_close:
        *ret_result = file_close(fd);
        return true;
    case __NR_read:
    case __NR_write:
        *ret_result = transfer(fd, ARG1(regs), ARG2(regs), -1, regs->rax == __NR_write);
        return true;
    case __NR_pread64:
    case __NR_pwrite64:
        *ret_result = (int64_t)ARG3(regs) < 0
                          ? -EINVAL
                          : transfer(fd, ARG1(regs), ARG2(regs), (int64_t)ARG3(regs),
                                     regs->rax == __NR_pwrite64);
        return true;
    case __NR_readv:
    case __NR_writev:
        *ret_result = transfer_vector(fd, ARG1(regs), ARG2(regs), regs->rax == __NR_writev);
        return true;
    case __NR_lseek:
        *ret_result = file_seek(fd, (int64_t)ARG1(regs), ARG2(regs));
        return true;
    case __NR_fstat:
        *ret_result = handle_of(fd, &handle) ? file_stat(handle, 0, ARG1(regs)) : -EBADF;
        return true;
    case __NR_newfstatat:
        *ret_result = stat_at(regs);
        return true;
    case __NR_ftruncate:
        *ret_result = on_handle(CELLA_FILE_TRUNCATE, fd, (int64_t)ARG1(regs));
        return true;
    case __NR_fsync:
    case __NR_fdatasync:
        *ret_result = on_handle(CELLA_FILE_SYNC, fd, 0);
        return true;
    case __NR_fcntl:
        *ret_result = file_control(fd, ARG1(regs));
        return true;
    case __NR_ioctl:
        *ret_result = handle_of(fd, &handle) ? -ENOTTY : -EBADF;
        return true;
    default:
        return false;
    }
}

static const struct cella_module files_module = {.name = "files", .syscall = files_syscall};
CELLA_MODULE(files_module);
