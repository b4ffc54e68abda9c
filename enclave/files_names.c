/*
 * What changes names, modes, sizes and times of files by their paths.
 * Side: enclave. Called by files.c for the libc's system calls.
 * Never says that something was done when the host's answer makes no sense: it is EIO then.
 */
#include "enclave/files.h"

#define AT_REMOVEDIR 0x200u
#define AT_SYMLINK_NOFOLLOW 0x100u
#define MODE_MASK 07777u
#define UTIME_NOW 0x3FFFFFFF
#define UTIME_OMIT 0x3FFFFFFE

static long name_one(uint32_t operation, uint64_t directory, uint64_t at, int64_t a, int64_t b)
{
    const struct cella_call_request request = {
        .operation = operation, .handle = -1, .a = a, .b = b};
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    const long result = cella_path_take(&path, directory, at);
    return result == 0 ? cella_path_ask(&request, &path, NULL, 0) : result;
}

static long name_two(uint32_t operation, uint64_t from, uint64_t at, uint64_t to_directory,
                     uint64_t to, uint64_t flags)
{
    const struct cella_call_request request = {
        .operation = operation, .handle = -1, .a = (int64_t)flags};
    CELLA_CLEANUP(cella_path_done) struct cella_path first = {0};
    CELLA_CLEANUP(cella_path_done) struct cella_path second = {0};
    long result = cella_path_take(&first, from, at);
    if (result == 0) {
        result = cella_path_take(&second, to_directory, to);
    }
    return result == 0 ? cella_path_ask(&request, &first, &second, 0) : result;
}

/* The text of a link is a text, not a path: it goes as it is. */
static long name_symlink(uint64_t text, uint64_t directory, uint64_t at)
{
    const struct cella_call_request request = {.operation = CELLA_FILE_SYMLINK, .handle = -1};
    CELLA_CLEANUP(cella_path_done)
    struct cella_path first = {.text = cella_pages_new(CELLA_PATH_SIZE)};
    CELLA_CLEANUP(cella_path_done) struct cella_path second = {0};
    if (!first.text) {
        return -ENOMEM;
    }
    for (; first.size < CELLA_PATH_SIZE; first.size++) {
        if (!cella_user_range(text + first.size, 1)) {
            return -EFAULT;
        }
        first.text[first.size] = ((const volatile char *)text)[first.size];
        if (first.text[first.size] == 0) {
            break;
        }
    }
    if (first.size == 0 || first.size == CELLA_PATH_SIZE) {
        return first.size == 0 ? -ENOENT : -ENAMETOOLONG;
    }
    first.size++;
    const long result = cella_path_take(&second, directory, at);
    return result == 0 ? cella_path_ask(&request, &first, &second, 0) : result;
}

static bool names_one(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_unlink:
        *ret_result = name_one(CELLA_FILE_UNLINK, here, ARG0(regs), 0, 0);
        return true;
    case __NR_rmdir:
        *ret_result = name_one(CELLA_FILE_RMDIR, here, ARG0(regs), 0, 0);
        return true;
    case __NR_unlinkat:
        *ret_result =
            name_one((ARG2(regs) & AT_REMOVEDIR) != 0 ? CELLA_FILE_RMDIR : CELLA_FILE_UNLINK,
                     ARG0(regs), ARG1(regs), 0, 0);
        return true;
    case __NR_mkdir:
        *ret_result = name_one(CELLA_FILE_MKDIR, here, ARG0(regs), 0,
                               (int64_t)(ARG1(regs) & MODE_MASK & ~cella_umask));
        return true;
    case __NR_mkdirat:
        *ret_result = name_one(CELLA_FILE_MKDIR, ARG0(regs), ARG1(regs), 0,
                               (int64_t)(ARG2(regs) & MODE_MASK & ~cella_umask));
        return true;
    case __NR_chmod:
        *ret_result =
            name_one(CELLA_FILE_CHMOD, here, ARG0(regs), 0, (int64_t)(ARG1(regs) & MODE_MASK));
        return true;
    case __NR_fchmodat:
        *ret_result = name_one(CELLA_FILE_CHMOD, ARG0(regs), ARG1(regs), 0,
                               (int64_t)(ARG2(regs) & MODE_MASK));
        return true;
    case __NR_truncate:
        *ret_result = (int64_t)ARG1(regs) < 0
                          ? -EINVAL
                          : name_one(CELLA_FILE_TRUNCATE, here, ARG0(regs), (int64_t)ARG1(regs), 0);
        return true;
    default:
        return false;
    }
}

static bool names_two(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_rename:
        *ret_result = name_two(CELLA_FILE_RENAME, here, ARG0(regs), here, ARG1(regs), 0);
        return true;
    case __NR_renameat:
    case __NR_renameat2:
        *ret_result = name_two(CELLA_FILE_RENAME, ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs),
                               regs->rax == __NR_renameat2 ? ARG4(regs) & 7 : 0);
        return true;
    case __NR_link:
        *ret_result = name_two(CELLA_FILE_LINK, here, ARG0(regs), here, ARG1(regs), 0);
        return true;
    case __NR_linkat:
        *ret_result = name_two(CELLA_FILE_LINK, ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs), 0);
        return true;
    case __NR_symlink:
        *ret_result = name_symlink(ARG0(regs), here, ARG1(regs));
        return true;
    case __NR_symlinkat:
        *ret_result = name_symlink(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    default:
        return false;
    }
}

static bool time_is_sane(const int64_t time[2])
{
    return time[1] == UTIME_NOW || time[1] == UTIME_OMIT || (time[1] >= 0 && time[1] <= 999999999);
}

static long name_times(uint64_t directory, uint64_t at, uint64_t times, uint64_t flags)
{
    int64_t values[4] = {0, UTIME_NOW, 0, UTIME_NOW};
    struct cella_call_request request = {
        .operation = CELLA_FILE_TIMES, .handle = -1, .a = (flags & AT_SYMLINK_NOFOLLOW) != 0};
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    if (times != 0) {
        if (!cella_user_range(times, sizeof(values))) {
            return -EFAULT;
        }
        __builtin_memcpy(values, (const void *)times, sizeof(values));
    }
    if (!time_is_sane(values) || !time_is_sane(values + 2)) {
        return -EINVAL;
    }
    CELLA_OPEN_GET(open, at == 0 ? (uint32_t)directory : UINT32_MAX);
    if (at == 0) { /* futimens */
        if (!open || open->class != &cella_file_class) {
            return -EBADF;
        }
        request.handle = open->handle;
    } else {
        const long result = cella_path_take(&path, directory, at);
        if (result != 0) {
            return result;
        }
    }
    const struct cella_part parts[2] = {{.at = (uint64_t)values, .size = sizeof(values)},
                                        {.at = (uint64_t)path.text, .size = path.size}};
    const struct cella_gather bytes = {
        .parts = parts, .count = 2, .size = sizeof(values) + path.size};
    return cella_ask(CELLA_OCALL_FILE, &request, &bytes, 0);
}

/* struct statfs of x86-64. */
struct linux_statfs {
    int64_t type, block_size;
    uint64_t blocks, free, available, files, files_free;
    int32_t id[2];
    int64_t name_max, fragment_size, flags, spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

static long name_space(int32_t handle, uint64_t at, uint64_t to)
{
    struct {
        int64_t value;
        struct cella_call_space space;
    } answer = {0};
    const struct cella_call_request request = {.operation = CELLA_FILE_SPACE, .handle = handle};
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    if (!cella_user_range(to, sizeof(struct linux_statfs))) {
        return -EFAULT;
    }
    long result = handle < 0 ? cella_path_take(&path, (uint64_t)LINUX_AT_FDCWD, at) : 0;
    if (result != 0) {
        return result;
    }
    const struct cella_gather bytes = CELLA_GATHER_ONE(path.text, path.size);
    result = cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &answer, sizeof(answer), NULL, 0);
    if (result != 0) {
        return result;
    }
    const struct cella_call_space *space = &answer.space;
    if (space->block_size == 0 || space->block_size > 1u << 30 || space->name_max > 65536 ||
        space->free > space->blocks || space->available > space->blocks) {
        return -EIO;
    }
    *(struct linux_statfs *)to = (struct linux_statfs){
        .type = (int64_t)space->type,
        .block_size = (int64_t)space->block_size,
        .blocks = space->blocks,
        .free = space->free,
        .available = space->available,
        .files = space->files,
        .files_free = space->files_free,
        .name_max = (int64_t)space->name_max,
        .fragment_size = (int64_t)space->block_size,
    };
    return 0;
}

static long name_space_of(uint64_t fd, uint64_t to)
{
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    return open->class == &cella_file_class ? name_space(open->handle, 0, to) : -ENOSYS;
}

bool cella_files_names(struct cella_regs *regs, long *ret_result)
{
    if (names_one(regs, ret_result) || names_two(regs, ret_result)) {
        return true;
    }
    switch (regs->rax) {
    case __NR_utimensat:
        *ret_result = name_times(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs));
        return true;
    case __NR_statfs:
        *ret_result = name_space(-1, ARG0(regs), ARG1(regs));
        return true;
    case __NR_fstatfs:
        *ret_result = name_space_of((uint32_t)ARG0(regs), ARG1(regs));
        return true;
    default:
        return false;
    }
}
