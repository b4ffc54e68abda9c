/*
 * Between the parts of the memory manager: memory.c has the address space, memory_fault.c what happens when it is touched,
 * memory_file.c what is behind it in files.
 * Side: enclave. Included by these, memory_code.c and signal_frame.c.
 */
#ifndef CELLA_LINUX_MEMORY_H
#define CELLA_LINUX_MEMORY_H

#include "linux/linux.h"

#define MAP_TYPE 0xFu
#define MAP_SHARED 1u
#define MAP_SHARED_VALIDATE 3u
#define MAP_FIXED 0x10u
#define MAP_ANONYMOUS 0x20u
#define MAP_POPULATE 0x8000u
#define MAP_FIXED_NOREPLACE 0x100000u
#define LINUX_SEGV_MAPERR 1
#define LINUX_SEGV_ACCERR 2
#define LINUX_FAULT_WINDOW (16u * SGX_PAGE_SIZE) /* pages made at one fault: so many around it, … */
#define LINUX_FAULT_WINDOW_MAX                                                                     \
    (128u * SGX_PAGE_SIZE) /* … and up to so many for threads that go through their memory */

/* memory.c */
/* The lock of areas and pages. No file is closed with it: giving it does that for what was unmapped meanwhile. */
CELLA_KERNEL void linux_memory_take(void);
CELLA_KERNEL void linux_memory_give(void);
/*
 * memory_fault.c. With the lock, around the only accesses to the program's memory that are made with it: a fault there ends
 * the enclave.
 */
CELLA_KERNEL void linux_memory_touches(bool now);
extern CELLA_KERNEL uint64_t linux_place_limit; /* mmap finds places below it */
CELLA_KERNEL bool linux_in_space(uint64_t start, uint64_t size);
/* The processor has no pages that can be written and not read. */
CELLA_KERNEL uint32_t linux_page_rights(uint32_t rights);
/* Maps `size` bytes as `area` says, whose file (if any) is taken over when it succeeds. The address, or an errno. */
CELLA_KERNEL long linux_map_zeros(uint64_t hint, uint64_t size, uint64_t flags,
                                  struct linux_area area);
/* The same, where linux_shared_release of a fixed place has been called. */
CELLA_KERNEL long linux_map_released(uint64_t hint, uint64_t size, uint64_t flags,
                                     struct linux_area area);
CELLA_KERNEL bool linux_protect(uint64_t start, uint64_t end, uint32_t rights);
CELLA_KERNEL void linux_unmap(uint64_t start, uint64_t end);
/* Whether a call's address and size (its first two arguments) are mapped: 0, or an errno. */
CELLA_KERNEL long linux_range_check(const struct cella_regs *regs);

/* memory_file.c; all without the lock */
CELLA_KERNEL long linux_file_map(struct cella_regs *regs, uint64_t size, uint32_t rights);
/* Maps `size` bytes of the file of `area`, whose reference stays the caller's. The address, or an errno. */
CELLA_KERNEL long linux_file_place(uint64_t hint, uint64_t size, uint64_t flags,
                                   struct linux_area area);
/* The page at `address`, and those around it, from the file of `area` (a copy). 0, a si_code, or an errno. */
CELLA_KERNEL int linux_file_fault(const struct linux_area *area, uint64_t address);
CELLA_KERNEL long linux_file_sync(const struct cella_regs *regs);
/* What was stored in shared mappings of [start, end) comes back into their files. */
CELLA_KERNEL void linux_shared_sync(uint64_t start, uint64_t end);
/* Before it can be stored in: from now on stores are looked for. */
CELLA_KERNEL void linux_shared_write(uint64_t start, uint64_t end);
/* What was stored comes back, before the range goes. */
CELLA_KERNEL void linux_shared_release(uint64_t start, uint64_t end);

/* memory_code.c: an address in a trampoline of a mapped file, as the program knows it; and the way back. Else itself. */
CELLA_KERNEL uint64_t linux_code_outward(uint64_t rip);
CELLA_KERNEL uint64_t linux_code_inward(uint64_t rip);

#endif
