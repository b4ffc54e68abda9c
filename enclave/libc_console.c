/*
 * File descriptors 0, 1 and 2: the host's console, which is no secret and no truth.
 * Side: enclave. Called for the libc's system calls.
 * Never believes that more was written or read than was asked for.
 */
#include "enclave/libc.h"

#define CHUNK 16384u
#define IOV_MAX_COUNT 1024u
#define MODE_CHARACTER_DEVICE 0020620u
#define AT_EMPTY_PATH_FLAG 0x1000u

static bool is_console(uint64_t fd)
{
    return fd <= 2;
}

/* One piece, over the stack: the header and the bytes leave together. */
static long write_piece(uint64_t fd, const uint8_t *from, uint64_t size)
{
    struct {
        uint64_t fd;
        uint8_t bytes[1024];
    } request;
    int64_t written = 0;
    size_t got = 0;
    const uint64_t part = size < sizeof(request.bytes) ? size : sizeof(request.bytes);
    request.fd = fd;
    __builtin_memcpy(request.bytes, from, part);
    cella_result result =
        cella_system_ocall(CELLA_OCALL_WRITE, &request, 8 + part, &written, sizeof(written), &got);
    if (!cella_is_ok(result) || got != sizeof(written)) {
        return -EIO;
    }
    if (written < 0) {
        return written >= -4095 ? (long)written : -EIO;
    }
    return (uint64_t)written <= part ? (long)written : -EIO;
}

static long console_write(uint64_t fd, uint64_t from, uint64_t size)
{
    uint64_t done = 0;
    if (fd == 0) {
        return -EBADF;
    }
    if (!cella_user_range(from, size)) {
        return -EFAULT;
    }
    while (done < size) {
        const long part = write_piece(fd, (const uint8_t *)from + done, size - done);
        if (part <= 0) {
            return done > 0 ? (long)done : part;
        }
        done += (uint64_t)part;
    }
    return (long)done;
}

static long console_writev(uint64_t fd, uint64_t vector, uint64_t count)
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
        const long part = console_write(fd, iov[i].base, iov[i].size);
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

static long console_read(uint64_t fd, uint64_t to, uint64_t size)
{
    struct {
        int64_t count;
        uint8_t bytes[1024];
    } answer;
    size_t got = 0;
    if (fd != 0) {
        return -EBADF;
    }
    if (!cella_user_range(to, size)) {
        return -EFAULT;
    }
    const uint64_t part = size < sizeof(answer.bytes) ? size : sizeof(answer.bytes);
    cella_result result =
        cella_system_ocall(CELLA_OCALL_READ, &fd, sizeof(fd), &answer, 8 + part, &got);
    if (!cella_is_ok(result) || got < 8 || answer.count > (int64_t)(got - 8)) {
        return -EIO;
    }
    if (answer.count < 0) {
        return answer.count >= -4095 ? (long)answer.count : -EIO;
    }
    __builtin_memcpy((void *)to, answer.bytes, (uint64_t)answer.count);
    return (long)answer.count;
}

/* struct stat of a character device; the libc only wants to know how to buffer. */
static long console_stat(uint64_t at)
{
    if (!cella_user_range(at, 144)) {
        return -EFAULT;
    }
    cella_zero((void *)at, 144);
    *(uint64_t *)(at + 16) = 1; /* st_nlink */
    *(uint32_t *)(at + 24) = MODE_CHARACTER_DEVICE;
    *(uint64_t *)(at + 56) = 1024; /* st_blksize */
    return 0;
}

bool cella_libc_console(struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    if (!is_console(fd)) {
        return false;
    }
    switch (regs->rax) {
    case __NR_write:
        *ret_result = console_write(fd, ARG1(regs), ARG2(regs));
        return true;
    case __NR_writev:
        *ret_result = console_writev(fd, ARG1(regs), ARG2(regs));
        return true;
    case __NR_read:
        *ret_result = console_read(fd, ARG1(regs), ARG2(regs));
        return true;
    case __NR_close:
        *ret_result = 0;
        return true;
    case __NR_fstat:
        *ret_result = console_stat(ARG1(regs));
        return true;
    case __NR_newfstatat:
        if ((ARG3(regs) & AT_EMPTY_PATH_FLAG) == 0) {
            return false;
        }
        *ret_result = console_stat(ARG2(regs));
        return true;
    case __NR_lseek:
        *ret_result = -ESPIPE;
        return true;
    case __NR_ioctl:
        *ret_result = -ENOTTY;
        return true;
    case __NR_fcntl:
        *ret_result = ARG1(regs) == 3 /* F_GETFL */ ? 2 /* O_RDWR */ : 0;
        return true;
    default:
        return false;
    }
}
