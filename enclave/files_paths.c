/*
 * Paths of the files module: the current directory, which is the enclave's own, and looking at files by name.
 * Side: enclave. Called by files.c for the libc's system calls.
 * Never sends a relative path: the host has no current directory of ours.
 */
#include "enclave/files.h"

#define AT_SYMLINK_NOFOLLOW 0x100u
#define MODE_TYPE 0170000u
#define MODE_DIRECTORY 0040000u
#define MODE_LINK 0120000u

static char current[CELLA_PATH_SIZE] = "/";
static struct cella_lock current_lock;

/* Appends the libc's string; 0, or an errno. It is read once: another thread may be changing it. */
static long path_append(struct cella_path *path, uint64_t from, uint64_t at)
{
    for (uint64_t i = 0; at + i < CELLA_PATH_SIZE; i++) {
        if (!cella_user_range(from + i, 1)) {
            return -EFAULT;
        }
        const char c = ((const volatile char *)from)[i];
        path->text[at + i] = c;
        if (c == 0) {
            path->size = at + i + 1;
            return i == 0 ? -ENOENT : 0;
        }
    }
    return -ENAMETOOLONG;
}

static uint64_t directory_copy(char *to, const char *from)
{
    uint64_t size = cella_strlen(from);
    __builtin_memcpy(to, from, size);
    if (size == 0 || to[size - 1] != '/') {
        to[size++] = '/';
    }
    return size;
}

/* The start of a relative path; its size, or an errno. */
static long path_start(struct cella_path *path, uint64_t directory)
{
    if ((int32_t)directory == LINUX_AT_FDCWD) {
        cella_lock_take(&current_lock);
        const uint64_t size = directory_copy(path->text, current);
        cella_lock_give(&current_lock);
        return (long)size;
    }
    CELLA_OPEN_GET(open, (uint32_t)directory);
    if (!open) {
        return -EBADF;
    }
    const char *from = cella_open_directory(open);
    return from ? (long)directory_copy(path->text, from) : -ENOTDIR;
}

long cella_path_take(struct cella_path *ret_path, uint64_t directory, uint64_t at)
{
    if (!cella_user_range(at, 1)) {
        return -EFAULT;
    }
    ret_path->text = cella_pages_new(CELLA_PATH_SIZE);
    if (!ret_path->text) {
        return -ENOMEM;
    }
    const bool absolute = *(const volatile char *)at == '/';
    const long start = absolute ? 0 : path_start(ret_path, directory);
    const long joined = start < 0 ? start : path_append(ret_path, at, (uint64_t)start);
    return joined == 0 && cella_path_translate ? cella_path_translate(ret_path, absolute) : joined;
}

long cella_path_ask(const struct cella_call_request *request, const struct cella_path *first,
                    const struct cella_path *second, int64_t max)
{
    const struct cella_part parts[2] = {
        {.at = (uint64_t)first->text, .size = first->size},
        {.at = second ? (uint64_t)second->text : 0, .size = second ? second->size : 0}};
    const struct cella_gather bytes = {
        .parts = parts, .count = second ? 2 : 1, .size = parts[0].size + parts[1].size};
    return cella_ask(CELLA_OCALL_FILE, request, &bytes, max);
}

long cella_path_stat(const struct cella_path *path, bool of_link, struct cella_call_stat *ret_stat)
{
    struct {
        int64_t value;
        struct cella_call_stat stat;
    } answer = {0};
    const struct cella_call_request request = {
        .operation = CELLA_FILE_STAT, .handle = -1, .a = of_link};
    const struct cella_gather bytes = CELLA_GATHER_ONE(path->text, path->size);
    const long result =
        cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &answer, sizeof(answer), NULL, 0);
    if (result == 0 && !cella_stat_is_sane(&answer.stat)) {
        return -EIO;
    }
    *ret_stat = answer.stat;
    return result;
}

static long path_stat(uint64_t directory, uint64_t at, uint64_t flags, uint64_t to, bool extended)
{
    struct cella_call_stat stat;
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    long result = cella_path_take(&path, directory, at);
    if (result == 0) {
        result = cella_path_stat(&path, (flags & AT_SYMLINK_NOFOLLOW) != 0, &stat);
    }
    if (result != 0) {
        return result;
    }
    return extended ? cella_statx_write(&stat, to) : cella_stat_write(&stat, to);
}

static long path_access(uint64_t directory, uint64_t at, uint64_t mode)
{
    const struct cella_call_request request = {
        .operation = CELLA_FILE_ACCESS, .handle = -1, .a = (int64_t)mode};
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    if (mode > 7) {
        return -EINVAL;
    }
    const long result = cella_path_take(&path, directory, at);
    return result == 0 ? cella_path_ask(&request, &path, NULL, 0) : result;
}

/* "/a/./b/../c/" as "/a/c", in place: what getcwd says. */
static void path_normalise(struct cella_path *path)
{
    char *text = path->text;
    uint64_t to = 0;
    for (uint64_t at = 0; text[at] != 0;) {
        while (text[at] == '/') {
            at++;
        }
        uint64_t size = 0;
        while (text[at + size] != 0 && text[at + size] != '/') {
            size++;
        }
        if (size == 2 && text[at] == '.' && text[at + 1] == '.') {
            while (to > 0 && text[--to] != '/') {
            }
        } else if (size > 0 && !(size == 1 && text[at] == '.')) {
            text[to++] = '/';
            __builtin_memmove(text + to, text + at, size);
            to += size;
        }
        at += size;
    }
    if (to == 0) {
        text[to++] = '/';
    }
    text[to] = 0;
    path->size = to + 1;
}

static long current_set(struct cella_path *path)
{
    struct cella_call_stat stat;
    const long result = cella_path_stat(path, false, &stat);
    if (result != 0 || (stat.mode & MODE_TYPE) != MODE_DIRECTORY) {
        return result != 0 ? result : -ENOTDIR;
    }
    path_normalise(path);
    cella_lock_take(&current_lock);
    __builtin_memcpy(current, path->text, path->size);
    cella_lock_give(&current_lock);
    return 0;
}

static long path_chdir(uint64_t at)
{
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    const long result = cella_path_take(&path, (uint64_t)LINUX_AT_FDCWD, at);
    return result == 0 ? current_set(&path) : result;
}

static long path_fchdir(uint64_t fd)
{
    CELLA_CLEANUP(cella_path_done)
    struct cella_path path = {.text = cella_pages_new(CELLA_PATH_SIZE)};
    if (!path.text) {
        return -ENOMEM;
    }
    const long size = path_start(&path, fd);
    path.size = size > 0 ? (uint64_t)size + 1 : 0;
    return size < 0 ? size : current_set(&path);
}

static long path_getcwd(uint64_t to, uint64_t capacity)
{
    long result = -ERANGE;
    cella_lock_take(&current_lock);
    const uint64_t size = cella_strlen(current) + 1;
    if (size <= capacity) {
        result = cella_user_range(to, size) ? (long)size : -EFAULT;
    }
    if (result > 0) {
        __builtin_memcpy((void *)to, current, size);
    }
    cella_lock_give(&current_lock);
    return result;
}

static bool is_own_executable(const struct cella_path *path)
{
    static const char name[] = "/proc/self/exe";
    return path->size == sizeof(name) && cella_equal(path->text, name, sizeof(name));
}

/* The text has no zero in it and is no longer than was asked for. */
static long path_readlink(uint64_t directory, uint64_t at, uint64_t to, uint64_t capacity)
{
    static const char executable[] = "/enclave";
    char text[CELLA_PATH_SIZE / 4];
    int64_t value = 0;
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    if (capacity == 0 || !cella_user_range(to, capacity)) {
        return capacity == 0 ? -EINVAL : -EFAULT;
    }
    long result = cella_path_take(&path, directory, at);
    if (result != 0) {
        return result;
    }
    const struct cella_call_request request = {
        .operation = CELLA_FILE_READLINK, .handle = -1, .b = sizeof(text)};
    const struct cella_gather bytes = CELLA_GATHER_ONE(path.text, path.size);
    const struct cella_gather scatter = CELLA_GATHER_ONE(text, sizeof(text));
    if (is_own_executable(&path)) {
        result = sizeof(executable) - 1;
        __builtin_memcpy(text, executable, sizeof(executable) - 1);
    } else {
        result = cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &value, sizeof(value),
                                  &scatter, sizeof(text));
    }
    for (long i = 0; i < result; i++) {
        if (text[i] == 0) {
            return -EIO;
        }
    }
    if (result > 0) {
        result = (uint64_t)result < capacity ? result : (long)capacity;
        __builtin_memcpy((void *)to, text, (uint64_t)result);
    }
    return result;
}

static bool paths_look(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t here = (uint64_t)LINUX_AT_FDCWD;
    switch (regs->rax) {
    case __NR_stat:
    case __NR_lstat:
        *ret_result = path_stat(here, ARG0(regs), regs->rax == __NR_lstat ? AT_SYMLINK_NOFOLLOW : 0,
                                ARG1(regs), false);
        return true;
    case __NR_newfstatat:
        if (cella_is_descriptor(ARG0(regs), ARG1(regs), ARG3(regs))) {
            return false;
        }
        *ret_result = path_stat(ARG0(regs), ARG1(regs), ARG3(regs), ARG2(regs), false);
        return true;
    case __NR_statx:
        if (cella_is_descriptor(ARG0(regs), ARG1(regs), ARG2(regs))) {
            return false;
        }
        *ret_result = path_stat(ARG0(regs), ARG1(regs), ARG2(regs), ARG4(regs), true);
        return true;
    case __NR_access:
        *ret_result = path_access(here, ARG0(regs), ARG1(regs));
        return true;
    case __NR_faccessat:
    case 439: /* faccessat2, newer than some headers */
        *ret_result = path_access(ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_readlink:
        *ret_result = path_readlink(here, ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_readlinkat:
        *ret_result = path_readlink(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs));
        return true;
    default:
        return false;
    }
}

bool cella_files_paths(struct cella_regs *regs, long *ret_result)
{
    if (paths_look(regs, ret_result)) {
        return true;
    }
    switch (regs->rax) {
    case __NR_chdir:
        *ret_result = path_chdir(ARG0(regs));
        return true;
    case __NR_fchdir:
        *ret_result = path_fchdir((uint32_t)ARG0(regs));
        return true;
    case __NR_getcwd:
        *ret_result = path_getcwd(ARG0(regs), ARG1(regs));
        return true;
    default:
        return false;
    }
}
