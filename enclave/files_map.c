/*
 * mmap of a file: enclave memory filled with a copy. The host cannot change it afterwards, nor see what is written.
 * Side: enclave. Called by files.c for the libc's system calls.
 * Never shares memory with the host: MAP_SHARED for writing is refused.
 */
#include "enclave/files.h"

#define PROT_WRITE 2u
#define PROT_EXEC 4u
#define MAP_SHARED 1u
#define MAP_TYPE 0xFu
#define MAP_FIXED 0x10u
#define MAP_ANONYMOUS 0x20u

/* The libc's own anonymous mapping first: addresses and room are the layer's below. */
static long map_memory(const struct cella_regs *regs)
{
    struct cella_regs anonymous = *regs;
    long address = -ENOMEM;
    anonymous.rdx = 3; /* to be filled */
    anonymous.r10 = (ARG3(regs) & ~(uint64_t)MAP_TYPE) | MAP_ANONYMOUS | 2;
    anonymous.r8 = UINT64_MAX;
    anonymous.r9 = 0;
    cella_libc_memory(&anonymous, &address);
    return address;
}

static long map_file(const struct cella_regs *regs)
{
    const bool shared = (ARG3(regs) & MAP_TYPE) != 2;
    CELLA_OPEN_GET(open, (uint32_t)ARG4(regs));
    if (!open) {
        return -EBADF;
    }
    if (open->class != &cella_file_class || (shared && (ARG2(regs) & PROT_WRITE) != 0)) {
        return -ENODEV;
    }
    if ((ARG2(regs) & PROT_EXEC) != 0 || (open->flags & LINUX_O_ACCMODE) == LINUX_O_WRONLY) {
        return -EACCES;
    }
    if (ARG5(regs) % SGX_PAGE_SIZE != 0 || ARG1(regs) == 0 || (int64_t)ARG5(regs) < 0) {
        return -EINVAL;
    }
    const long address = map_memory(regs);
    if (address < 0 && address >= -4095) {
        return address;
    }
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(address, ARG1(regs)),
                                            .offset = (int64_t)ARG5(regs)};
    const long count = cella_handle_transfer(open, &transfer);
    if (count < 0) {
        const uint64_t pages = (ARG1(regs) + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
        cella_pages_unmap((uint64_t)address, pages);
        return count == -EINVAL ? -ENODEV : count;
    }
    return address;
}

bool cella_files_map(struct cella_regs *regs, long *ret_result)
{
    if (regs->rax != __NR_mmap || (ARG3(regs) & MAP_ANONYMOUS) != 0) {
        return false;
    }
    *ret_result = map_file(regs);
    return true;
}
