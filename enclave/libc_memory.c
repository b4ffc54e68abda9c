/*
 * brk, mmap and their kin over the pages of the heap.
 * Side: enclave. Called for the libc's system calls.
 * Never changes the rights of a page: SGX1 cannot, so PROT_NONE only means that a page is not filled yet.
 */
#include "enclave/libc.h"

#define LINUX_PROT_NONE 0u
#define LINUX_PROT_EXEC 4u
#define LINUX_MAP_FIXED 0x10u
#define LINUX_MAP_ANONYMOUS 0x20u
#define LINUX_MAP_FIXED_NOREPLACE 0x100000u
#define LINUX_MREMAP_MAYMOVE 1u
#define LINUX_MREMAP_FIXED 2u
#define LINUX_MADV_DONTNEED 4u
#define STACK_MARGIN 0x4000u

static uint64_t pages_of(uint64_t size)
{
    return size / SGX_PAGE_SIZE + (size % SGX_PAGE_SIZE != 0);
}

static long memory_map(struct cella_regs *regs)
{
    const uint64_t address = ARG0(regs);
    const uint64_t count = pages_of(ARG1(regs));
    const uint64_t prot = ARG2(regs);
    const uint64_t flags = ARG3(regs);
    const bool commit = prot != LINUX_PROT_NONE;
    if (count == 0 || (flags & LINUX_MAP_ANONYMOUS) == 0) {
        return count == 0 ? -EINVAL : -ENODEV;
    }
    if ((prot & LINUX_PROT_EXEC) != 0) {
        return -EACCES; /* heap pages have no X, and nobody inside can give it to them */
    }
    if ((flags & (LINUX_MAP_FIXED | LINUX_MAP_FIXED_NOREPLACE)) != 0) {
        const bool replace = (flags & LINUX_MAP_FIXED_NOREPLACE) == 0;
        if (!cella_pages_map_at(address, count, commit, replace)) {
            return replace ? -ENOMEM : -EEXIST;
        }
        return (long)address;
    }
    const uint64_t got = cella_pages_map(count, commit);
    return got != 0 ? (long)got : -ENOMEM;
}

/* A thread that unmaps the stack it stands on (musl does) is on it for some instructions more. */
static bool is_own_stack(const struct cella_regs *regs, uint64_t address, uint64_t size)
{
    return regs->rsp - address <= size;
}

static long memory_unmap(struct cella_regs *regs)
{
    const uint64_t address = ARG0(regs);
    const uint64_t count = pages_of(ARG1(regs));
    if (address % SGX_PAGE_SIZE != 0 || count == 0) {
        return -EINVAL;
    }
    if (is_own_stack(regs, address, count * SGX_PAGE_SIZE)) {
        struct cella_td *td = cella_td_self();
        td->unmap_at = address;
        td->unmap_size = count;
        return 0;
    }
    cella_pages_unmap(address, count); /* elsewhere there is nothing to unmap, which is no error */
    return 0;
}

static long memory_remap(struct cella_regs *regs)
{
    const uint64_t address = ARG0(regs);
    const uint64_t old_count = pages_of(ARG1(regs));
    const uint64_t new_count = pages_of(ARG2(regs));
    if (new_count == 0 || (ARG3(regs) & LINUX_MREMAP_FIXED) != 0 ||
        !cella_pages_in_heap(address, old_count)) {
        return -EINVAL;
    }
    if (new_count <= old_count) {
        if (new_count < old_count) {
            cella_pages_unmap(address + new_count * SGX_PAGE_SIZE, old_count - new_count);
        }
        return (long)address;
    }
    const uint64_t end = address + old_count * SGX_PAGE_SIZE;
    if (cella_pages_map_at(end, new_count - old_count, true, false)) {
        return (long)address;
    }
    if ((ARG3(regs) & LINUX_MREMAP_MAYMOVE) == 0) {
        return -ENOMEM;
    }
    const uint64_t moved = cella_pages_map(new_count, true);
    if (moved == 0) {
        return -ENOMEM;
    }
    __builtin_memcpy((void *)moved, (const void *)address, old_count * SGX_PAGE_SIZE);
    cella_pages_unmap(address, old_count);
    return (long)moved;
}

static long memory_protect(struct cella_regs *regs)
{
    const uint64_t address = ARG0(regs);
    const uint64_t count = pages_of(ARG1(regs));
    if (address % SGX_PAGE_SIZE != 0) {
        return -EINVAL;
    }
    if (!cella_user_range(address, count * SGX_PAGE_SIZE)) {
        return -ENOMEM;
    }
    if (ARG2(regs) != LINUX_PROT_NONE && cella_pages_in_heap(address, count) &&
        !cella_pages_commit(address, count)) {
        return -ENOMEM;
    }
    return 0;
}

/* glibc gives back the unused part of a stack while it stands on it: what the kernel stands on is kept. */
static long memory_advise(struct cella_regs *regs)
{
    const uint64_t address = ARG0(regs);
    uint64_t end = address + pages_of(ARG1(regs)) * SGX_PAGE_SIZE;
    if (ARG2(regs) != LINUX_MADV_DONTNEED) {
        return 0;
    }
    if (regs->rsp - address < end - address + STACK_MARGIN) {
        const uint64_t keep = (regs->rsp - STACK_MARGIN) & ~(uint64_t)(SGX_PAGE_SIZE - 1);
        end = keep < end ? keep : end;
    }
    if (end > address) {
        cella_pages_clear(address, (end - address) / SGX_PAGE_SIZE);
    }
    return 0;
}

bool cella_libc_memory(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_brk:
        *ret_result = (long)cella_pages_break(ARG0(regs));
        return true;
    case __NR_mmap:
        if ((ARG3(regs) & LINUX_MAP_ANONYMOUS) == 0) {
            return false; /* of a file: the files module's */
        }
        *ret_result = memory_map(regs);
        return true;
    case __NR_munmap:
        *ret_result = memory_unmap(regs);
        return true;
    case __NR_mremap:
        *ret_result = memory_remap(regs);
        return true;
    case __NR_mprotect:
        *ret_result = memory_protect(regs);
        return true;
    case __NR_madvise:
        *ret_result = memory_advise(regs);
        return true;
    case __NR_mlock:
    case __NR_munlock:
    case __NR_msync:
        *ret_result = 0;
        return true;
    default:
        return false;
    }
}
