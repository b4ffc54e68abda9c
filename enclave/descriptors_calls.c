/*
 * System calls on descriptors, whatever is behind them: read and write, close, dup, fcntl, ioctl, fstat.
 * Side: enclave. A module of the kernel that is linked with the first module that opens something.
 * Never answers for a number that is not open: that is EBADF.
 */
#include "enclave/descriptors.h"

#define F_DUPFD 0u
#define F_GETFD 1u
#define F_SETFD 2u
#define F_GETFL 3u
#define F_SETFL 4u
#define F_GETLK 5u
#define F_SETLKW 7u
#define F_OFD_GETLK 36u
#define F_OFD_SETLKW 38u
#define F_DUPFD_CLOEXEC 1030u
#define FIONCLEX 0x5450u
#define FIOCLEX 0x5451u
#define FIONBIO 0x5421u
#define SETTABLE (LINUX_O_APPEND | LINUX_O_NONBLOCK | 0x4000u | 01000000u) /* DIRECT, NOATIME */
#define CLOSE_RANGE_CLOEXEC 4u

static long do_transfer(uint64_t fd, const struct cella_transfer *transfer)
{
    CELLA_OPEN_GET(open, fd);
    const uint32_t access = open ? open->flags & LINUX_O_ACCMODE : 0;
    if (!open || (open->flags & LINUX_O_PATH) != 0 ||
        access == (transfer->writing ? 0 : LINUX_O_WRONLY)) {
        return -EBADF;
    }
    if (!open->class->transfer) {
        return -EINVAL;
    }
    if (transfer->offset >= 0 && !open->class->seek) {
        return -ESPIPE;
    }
    return open->class->transfer(open, transfer);
}

static long transfer_one(uint64_t fd, uint64_t at, uint64_t size, int64_t offset, bool writing)
{
    if (size > INT64_MAX) {
        return -EINVAL;
    }
    if (!cella_user_may(at, size, !writing)) {
        return -EFAULT;
    }
    const struct cella_transfer transfer = {
        .bytes = CELLA_GATHER_ONE(at, size), .offset = offset, .writing = writing};
    return do_transfer(fd, &transfer);
}

static long transfer_vector(const struct cella_regs *regs, bool at_offset, bool writing)
{
    struct cella_transfer transfer = {.offset = -1, .writing = writing};
    const long result = cella_vector_take(ARG1(regs), ARG2(regs), !writing, &transfer.bytes);
    if (result != 0) {
        return result;
    }
    if (at_offset) {
        transfer.offset = (int64_t)ARG3(regs);
        if (transfer.offset < 0) {
            return -EINVAL;
        }
    }
    return do_transfer((uint32_t)ARG0(regs), &transfer);
}

/* preadv2 and pwritev2: without flags they are the others; offset -1 is where the file stands. */
static long transfer_vector2(const struct cella_regs *regs, bool writing)
{
    if (ARG5(regs) != 0) {
        return -EOPNOTSUPP;
    }
    return transfer_vector(regs, (int64_t)ARG3(regs) != -1, writing);
}

static bool calls_transfer(const struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    switch (regs->rax) {
    case __NR_read:
    case __NR_write:
        *ret_result = transfer_one(fd, ARG1(regs), ARG2(regs), -1, regs->rax == __NR_write);
        return true;
    case __NR_pread64:
    case __NR_pwrite64:
        *ret_result = (int64_t)ARG3(regs) < 0
                          ? -EINVAL
                          : transfer_one(fd, ARG1(regs), ARG2(regs), (int64_t)ARG3(regs),
                                         regs->rax == __NR_pwrite64);
        return true;
    case __NR_readv:
    case __NR_writev:
        *ret_result = transfer_vector(regs, false, regs->rax == __NR_writev);
        return true;
    case __NR_preadv:
    case __NR_pwritev:
        *ret_result = transfer_vector(regs, true, regs->rax == __NR_pwritev);
        return true;
    case __NR_preadv2:
    case __NR_pwritev2:
        *ret_result = transfer_vector2(regs, regs->rax == __NR_pwritev2);
        return true;
    default:
        return false;
    }
}

static long call_close(uint64_t fd)
{
    struct cella_open *open =
        fd < CELLA_DESCRIPTOR_COUNT ? cella_descriptor_swap(fd, NULL, false) : NULL;
    return open ? cella_open_close(open) : -EBADF;
}

static long call_dup(uint64_t fd, bool close_on_exec, uint64_t minimum)
{
    if (minimum >= atomic_load(&cella_descriptor_limit)) {
        return -EINVAL;
    }
    struct cella_open *open = cella_descriptor_get(fd);
    return open ? cella_descriptor_add(open, close_on_exec, minimum) : -EBADF;
}

static long call_dup_to(uint64_t fd, uint64_t to, bool close_on_exec)
{
    struct cella_open *open = cella_descriptor_get(fd);
    if (!open) {
        return -EBADF;
    }
    if (to >= atomic_load(&cella_descriptor_limit)) {
        cella_open_put(open);
        return -EBADF;
    }
    if (!cella_descriptor_room(to)) {
        cella_open_put(open);
        return -ENOMEM;
    }
    struct cella_open *before = cella_descriptor_swap(to, open, close_on_exec);
    if (before) {
        cella_open_put(before);
    }
    return (long)to;
}

static long call_dup2(uint64_t fd, uint64_t to)
{
    if (fd == to) {
        CELLA_OPEN_GET(open, fd);
        return open ? (long)fd : -EBADF;
    }
    return call_dup_to(fd, to, false);
}

static long call_dup3(uint64_t fd, uint64_t to, uint64_t flags)
{
    if (fd == to || (flags & ~(uint64_t)LINUX_O_CLOEXEC) != 0) {
        return -EINVAL;
    }
    return call_dup_to(fd, to, flags != 0);
}

static long call_close_range(uint64_t first, uint64_t last, uint64_t flags)
{
    if (first > last || (flags & ~7ull) != 0) {
        return -EINVAL;
    }
    for (uint64_t fd = cella_descriptor_next(first); fd <= last && fd < CELLA_DESCRIPTOR_COUNT;
         fd = cella_descriptor_next(fd + 1)) {
        if ((flags & CLOSE_RANGE_CLOEXEC) != 0) {
            cella_descriptor_close_on_exec(fd, 1);
        } else {
            call_close(fd);
        }
    }
    return 0;
}

static long flags_set(struct cella_open *open, uint32_t wanted)
{
    const uint32_t flags = (open->flags & ~SETTABLE) | (wanted & SETTABLE);
    const long result = open->class->flags_changed ? open->class->flags_changed(open, flags) : 0;
    if (result == 0) {
        atomic_store(&open->flags, flags);
    }
    return result;
}

static long call_fcntl(uint64_t fd, uint64_t command, uint64_t argument)
{
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return call_dup(fd, command == F_DUPFD_CLOEXEC, argument);
    case F_GETFD:
        return cella_descriptor_close_on_exec(fd, -1);
    case F_SETFD:
        return cella_descriptor_close_on_exec(fd, argument & 1) < 0 ? -EBADF : 0;
    case F_GETFL:
        return (open->flags & LINUX_O_PATH) != 0
                   ? open->flags
                   : open->flags | 0100000u; /* O_LARGEFILE, as the kernel shows it */
    default:
        break;
    }
    if ((open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    if (command == F_SETFL) {
        return flags_set(open, (uint32_t)argument);
    }
    const bool is_lock = (command >= F_GETLK && command <= F_SETLKW) ||
                         (command >= F_OFD_GETLK && command <= F_OFD_SETLKW);
    return is_lock && open->class->lock ? open->class->lock(open, command, argument) : -EINVAL;
}

static long call_ioctl(uint64_t fd, uint64_t request, uint64_t argument)
{
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    switch (request) {
    case FIOCLEX:
    case FIONCLEX:
        cella_descriptor_close_on_exec(fd, request == FIOCLEX);
        return 0;
    case FIONBIO:
        if (!cella_user_range(argument, 4)) {
            return -EFAULT;
        }
        return flags_set(open, *(const int32_t *)argument != 0 ? open->flags | LINUX_O_NONBLOCK
                                                               : open->flags & ~LINUX_O_NONBLOCK);
    default:
        return open->class->control ? open->class->control(open, request, argument) : -ENOTTY;
    }
}

static long call_seek(uint64_t fd, int64_t offset, uint64_t whence)
{
    CELLA_OPEN_GET(open, fd);
    if (!open || (open->flags & LINUX_O_PATH) != 0) {
        return -EBADF;
    }
    if (!open->class->seek) {
        return -ESPIPE;
    }
    return whence <= 4 ? open->class->seek(open, offset, whence) : -EINVAL;
}

static long call_stat(uint64_t fd, uint64_t to, bool extended)
{
    struct cella_call_stat stat;
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    const long result = cella_open_stat(open, &stat);
    if (result != 0) {
        return result;
    }
    if (!cella_user_writable(to, extended ? 256 : 144)) {
        return -EFAULT;
    }
    return extended ? cella_statx_write(&stat, to) : cella_stat_write(&stat, to);
}

/* The *at calls with AT_EMPTY_PATH and an empty path mean the descriptor; with a path they are the files module's. */
bool cella_is_descriptor(uint64_t fd, uint64_t path, uint64_t flags)
{
    return (flags & LINUX_AT_EMPTY_PATH) != 0 && (int32_t)fd != LINUX_AT_FDCWD &&
           (path == 0 || (cella_user_range(path, 1) && *(const char *)path == 0));
}

static bool calls_stat(const struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_fstat:
        *ret_result = call_stat((uint32_t)ARG0(regs), ARG1(regs), false);
        return true;
    case __NR_newfstatat:
        if (!cella_is_descriptor(ARG0(regs), ARG1(regs), ARG3(regs))) {
            return false;
        }
        *ret_result = call_stat((uint32_t)ARG0(regs), ARG2(regs), false);
        return true;
    case __NR_statx:
        if (!cella_is_descriptor(ARG0(regs), ARG1(regs), ARG2(regs))) {
            return false;
        }
        *ret_result = call_stat((uint32_t)ARG0(regs), ARG4(regs), true);
        return true;
    default:
        return false;
    }
}

/* RLIMIT_NOFILE of this process; the other limits are the layer's below. */
static bool calls_limit(const struct cella_regs *regs, long *ret_result)
{
    const bool by_process = regs->rax == __NR_prlimit64;
    if ((regs->rax != __NR_getrlimit && regs->rax != __NR_setrlimit && !by_process) ||
        (by_process ? ARG1(regs) : ARG0(regs)) != LINUX_RLIMIT_NOFILE) {
        return false;
    }
    const uint64_t set = by_process ? ARG2(regs) : regs->rax == __NR_setrlimit ? ARG1(regs) : 0;
    const uint64_t get = by_process ? ARG3(regs) : regs->rax == __NR_getrlimit ? ARG1(regs) : 0;
    if ((set != 0 && !cella_user_range(set, 16)) || (get != 0 && !cella_user_writable(get, 16))) {
        *ret_result = -EFAULT;
        return true;
    }
    const uint64_t wanted = set != 0 ? *(const uint64_t *)set : 0;
    if (get != 0) {
        ((uint64_t *)get)[0] = atomic_load(&cella_descriptor_limit);
        ((uint64_t *)get)[1] = CELLA_DESCRIPTOR_COUNT;
    }
    *ret_result = wanted > CELLA_DESCRIPTOR_COUNT ? -EPERM : 0;
    if (set != 0 && *ret_result == 0) {
        atomic_store(&cella_descriptor_limit, (uint32_t)wanted);
    }
    return true;
}

static bool calls_syscall(struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    if (calls_transfer(regs, ret_result) || calls_stat(regs, ret_result) ||
        calls_limit(regs, ret_result)) {
        return true;
    }
    switch (regs->rax) {
    case __NR_close:
        *ret_result = call_close(fd);
        return true;
    case __NR_close_range:
        *ret_result = call_close_range(fd, (uint32_t)ARG1(regs), ARG2(regs));
        return true;
    case __NR_dup:
        *ret_result = call_dup(fd, false, 0);
        return true;
    case __NR_dup2:
        *ret_result = call_dup2(fd, (uint32_t)ARG1(regs));
        return true;
    case __NR_dup3:
        *ret_result = call_dup3(fd, (uint32_t)ARG1(regs), ARG2(regs));
        return true;
    case __NR_fcntl:
        *ret_result = call_fcntl(fd, (uint32_t)ARG1(regs), ARG2(regs));
        return true;
    case __NR_ioctl:
        *ret_result = call_ioctl(fd, (uint32_t)ARG1(regs), ARG2(regs));
        return true;
    case __NR_lseek:
        *ret_result = call_seek(fd, (int64_t)ARG1(regs), (uint32_t)ARG2(regs));
        return true;
    default:
        return false;
    }
}

const struct cella_module cella_descriptor_module = {.name = "descriptors",
                                                     .syscall = calls_syscall};
