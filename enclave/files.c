/*
 * The files module: files of the host, below the directory that the host chose. Opt-in: -u cella_module_files.
 * Side: enclave. Called for the libc's system calls. What a file holds is the host's word: seal what matters.
 * Never uses a host's descriptor as its own: descriptors.c says which numbers are open, and for what.
 */
#include "enclave/files.h"

#define MODE_TYPE 0170000u
#define MODE_DIRECTORY 0040000u
#define MODE_REGULAR 0100000u
#define MODE_MASK 07777u

const char cella_module_files = 1;

_Atomic uint32_t cella_umask = 022;

static long file_seek(struct cella_open *open, int64_t offset, uint64_t whence)
{
    return cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_SEEK, open->handle, offset, (int64_t)whence,
                           INT64_MAX);
}

static long file_stat(struct cella_open *open, struct cella_call_stat *ret_stat)
{
    struct {
        int64_t value;
        struct cella_call_stat stat;
    } answer = {0};
    const struct cella_call_request request = {.operation = CELLA_FILE_STAT,
                                               .handle = open->handle};
    const long result =
        cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &answer, sizeof(answer), NULL, 0);
    if (result == 0 && !cella_stat_is_sane(&answer.stat)) {
        return -EIO;
    }
    *ret_stat = answer.stat;
    return result;
}

static long file_flags(struct cella_open *open, uint32_t flags)
{
    return cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_FLAGS, open->handle, flags, 0, 0);
}

static long file_lock(struct cella_open *open, uint64_t command, uint64_t at)
{
    struct {
        int64_t value;
        struct cella_call_lock lock;
    } answer = {0};
    const bool asks = command == 5 || command == 36; /* F_GETLK, F_OFD_GETLK */
    const struct cella_call_request request = {
        .operation = CELLA_FILE_LOCK, .handle = open->handle, .a = (int64_t)command};
    if (!cella_user_range(at, sizeof(answer.lock))) {
        return -EFAULT;
    }
    const struct cella_gather bytes = CELLA_GATHER_ONE(at, sizeof(answer.lock));
    const long result =
        cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &answer, sizeof(answer), NULL, 0);
    if (result != 0 || !asks) {
        return result;
    }
    if (answer.lock.type < 0 || answer.lock.type > 2 || answer.lock.whence < 0 ||
        answer.lock.whence > 2 || answer.lock.process < -1) {
        return -EIO;
    }
    *(struct cella_call_lock *)at = answer.lock;
    return 0;
}

const struct cella_open_class cella_file_class = {
    .transfer = cella_handle_transfer,
    .seek = file_seek,
    .stat = file_stat,
    .control = cella_handle_control,
    .flags_changed = file_flags,
    .lock = file_lock,
};

/* A directory keeps the path it was opened under: the *at calls and fchdir start from there. */
static long file_insert(int32_t handle, uint32_t flags, uint64_t mode, struct cella_path *path)
{
    long error;
    struct cella_open *open = cella_open_new(&cella_file_class, handle, flags, &error);
    if (!open) {
        if (error != -EIO) {
            cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, handle, 0, 0, 0);
        }
        return error;
    }
    open->mode = (uint32_t)mode & MODE_TYPE;
    if (open->mode == MODE_DIRECTORY) {
        open->data = path->text;
        open->data_size = CELLA_PATH_SIZE;
        path->text = NULL;
    }
    return cella_descriptor_add(open, (flags & LINUX_O_CLOEXEC) != 0, 0);
}

static long file_open(uint64_t directory, uint64_t at, uint64_t flags, uint64_t mode)
{
    struct {
        int64_t value;
        uint64_t mode;
    } answer = {0};
    CELLA_CLEANUP(cella_path_done) struct cella_path path = {0};
    const long taken = cella_path_take(&path, directory, at);
    if (taken != 0) {
        return taken;
    }
    const struct cella_call_request request = {.operation = CELLA_FILE_OPEN,
                                               .handle = -1,
                                               .a = (int64_t)(uint32_t)flags,
                                               .b = (int64_t)(mode & MODE_MASK & ~cella_umask)};
    const struct cella_gather bytes = CELLA_GATHER_ONE(path.text, path.size);
    const long handle = cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, &answer,
                                         sizeof(answer), NULL, INT32_MAX);
    return handle < 0 ? handle : file_insert((int32_t)handle, (uint32_t)flags, answer.mode, &path);
}

/* A call on a file by its number. */
static long on_file(uint64_t fd, uint32_t operation, int64_t a, int64_t b)
{
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    return open->class == &cella_file_class
               ? cella_ask_plain(CELLA_OCALL_FILE, operation, open->handle, a, b, 0)
               : -EINVAL;
}

static bool files_open(const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_open:
        *ret_result = file_open((uint64_t)LINUX_AT_FDCWD, ARG0(regs), ARG1(regs), ARG2(regs));
        return true;
    case __NR_openat:
        *ret_result = file_open(ARG0(regs), ARG1(regs), ARG2(regs), ARG3(regs));
        return true;
    case __NR_creat:
        *ret_result = file_open((uint64_t)LINUX_AT_FDCWD, ARG0(regs), 01101, ARG1(regs));
        return true;
    default:
        return false;
    }
}

static bool files_by_number(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    switch (regs->rax) {
    case __NR_ftruncate:
        *ret_result = (int64_t)ARG1(regs) < 0
                          ? -EINVAL
                          : on_file(fd, CELLA_FILE_TRUNCATE, (int64_t)ARG1(regs), 0);
        return true;
    case __NR_fsync:
    case __NR_fdatasync:
        *ret_result = on_file(fd, CELLA_FILE_SYNC, regs->rax == __NR_fdatasync, 0);
        return true;
    case __NR_fchmod:
        *ret_result = on_file(fd, CELLA_FILE_CHMOD, 0, (int64_t)(ARG1(regs) & MODE_MASK));
        return true;
    case __NR_flock:
        *ret_result = on_file(fd, CELLA_FILE_FLOCK, (int64_t)(uint32_t)ARG1(regs), 0);
        return true;
    case __NR_fallocate:
        *ret_result = ARG1(regs) != 0 ? -EOPNOTSUPP
                                      : on_file(fd, CELLA_FILE_RESERVE, (int64_t)ARG2(regs),
                                                (int64_t)ARG3(regs));
        return true;
    case __NR_fadvise64:
        *ret_result = 0;
        return true;
    case __NR_umask:
        *ret_result = (long)atomic_exchange(&cella_umask, (uint32_t)ARG0(regs) & 0777);
        return true;
    default:
        return false;
    }
}

static bool files_syscall(struct cella_regs *regs, long *ret_result)
{
    return files_open(regs, ret_result) || files_by_number(regs, ret_result) ||
           cella_files_paths(regs, ret_result) || cella_files_names(regs, ret_result) ||
           cella_files_map(regs, ret_result);
}

static const struct cella_module files_module = {.name = "files", .syscall = files_syscall};
CELLA_MODULE(files_module);
