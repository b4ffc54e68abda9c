/*
 * mmap and its kin: what the program does with its address space.
 * Side: enclave. Called for the program's system calls. Source: mmap(2), madvise(2), brk(2), mremap(2).
 * Never maps memory of the host, never touches the program's memory with the lock held.
 */
#include "enclave/descriptors.h"
#include "linux/memory.h"

#define MREMAP_MAYMOVE 1u
#define MREMAP_FIXED 2u
#define MADV_DONTNEED 4u
#define MADV_FREE 8u
#define RIGHTS_ALL 7u
#define RANGE_SHIFT 20 /* addresses that far apart are remembered apart */
#define STACK_GAP (1u << 20)
#define BREAK_MAX (1ull << 34)

static struct linux_mutex memory_lock;
uint64_t linux_place_limit;
static uint64_t break_now;

void linux_memory_take(void)
{
    linux_mutex_take(&memory_lock);
}

void linux_memory_give(void)
{
    struct cella_open *dead[LINUX_DEAD_MAX];
    const uint32_t count = linux_space_take_dead(dead);
    linux_mutex_give(&memory_lock);
    for (uint32_t i = 0; i < count; i++) {
        cella_open_put(dead[i]);
    }
}

bool linux_in_space(uint64_t start, uint64_t size)
{
    return start >= CELLA_PROGRAM_LOW && start <= CELLA_PROGRAM_KERNEL &&
           size <= CELLA_PROGRAM_KERNEL - start;
}

/* The processor has no pages that can be written and not read. */
uint32_t linux_page_rights(uint32_t rights)
{
    return rights != 0 ? rights | LINUX_PROT_READ : 0;
}

static bool rights_are_allowed(uint64_t rights)
{
    return (rights & (LINUX_PROT_WRITE | LINUX_PROT_EXEC)) !=
               (LINUX_PROT_WRITE | LINUX_PROT_EXEC) ||
           (cella_linux_program->flags & CELLA_PROGRAM_EXEC_MEMORY) != 0;
}

static struct cella_program_load load_at(uint32_t index)
{
    return ((const struct cella_program_load *)((const uint8_t *)cella_linux_program +
                                                cella_linux_program->loads.offset))[index];
}

cella_result linux_memory_init(uint64_t *ret_stack_top)
{
    CELLA_TRY(linux_space_init());
    CELLA_TRY(linux_pages_init());
    for (uint32_t i = 0; i < cella_linux_program->loads.count; i++) {
        const struct cella_program_load load = load_at(i);
        const struct linux_area area = {
            .start = load.address,
            .end = load.address + load.size,
            .rights = load.rights,
            .flags = load.kind != CELLA_PROGRAM_LOAD_ZERO ? LINUX_AREA_IMAGE : LINUX_AREA_BREAK};
        CELLA_ENSURE(linux_in_space(load.address, load.size) && linux_space_insert(&area),
                     BAD_FIELD);
        if (load.kind != CELLA_PROGRAM_LOAD_ZERO) {
            linux_pages_are_loaded(area.start, area.end, load.rights);
        }
    }
    const uint64_t top = CELLA_PROGRAM_KERNEL - STACK_GAP;
    const struct linux_area stack = {.start = top - LINUX_PAGE_UP(cella_linux_program->stack_size),
                                     .end = top,
                                     .rights = LINUX_PROT_READ | LINUX_PROT_WRITE,
                                     .flags = LINUX_AREA_STACK};
    CELLA_ENSURE(linux_space_insert(&stack), OUT_OF_MEMORY);
    linux_place_limit = stack.start - STACK_GAP;
    break_now = cella_linux_program->break_start;
    *ret_stack_top = top;
    return CELLA_OK;
}

bool cella_program_is_in(uint64_t address)
{
    return address - cella_kernel.base < CELLA_PROGRAM_KERNEL;
}

/* A thread asks for the same areas again and again: those it remembers, as long as nothing is taken from the space. */
static bool range_covered(uint64_t address, uint64_t size, uint32_t rights)
{
    if (!linux_in_space(address, size)) {
        return false;
    }
    struct linux_thread *thread = linux_thread_self();
    struct linux_range *known =
        thread ? &thread->ranges[(address >> RANGE_SHIFT ^ rights) % LINUX_RANGES] : NULL;
    if (known && known->changes == linux_space_changes() && known->rights == rights &&
        known->start <= address && known->end >= address + size) {
        return true;
    }
    linux_memory_take();
    const bool covered = linux_space_covers(address, address + size, rights, known);
    linux_memory_give();
    return covered;
}

bool cella_program_range(uint64_t address, uint64_t size)
{
    /* The kernel's own buffers come by here, too. */
    return address >= CELLA_PROGRAM_KERNEL || size == 0 ||
           range_covered(address, size, LINUX_PROT_READ);
}

bool cella_program_writable(uint64_t address, uint64_t size)
{
    return size == 0 || range_covered(address, size, LINUX_PROT_WRITE);
}

/* Under the lock: [start, end) is free afterwards. */
static bool vacate(uint64_t start, uint64_t end)
{
    if (!linux_space_remove(start, end)) {
        return false;
    }
    linux_pages_drop(start, end);
    return true;
}

/* Where a mapping of `size` goes, which becomes free; 0 or an errno. Under the lock. */
static long place_find(uint64_t hint, uint64_t size, uint64_t flags, uint64_t *ret_at)
{
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
        if (hint % SGX_PAGE_SIZE != 0) {
            return -EINVAL;
        }
        if (!linux_in_space(hint, size)) {
            return hint < CELLA_PROGRAM_LOW ? -EPERM : -ENOMEM;
        }
        *ret_at = hint;
        if ((flags & MAP_FIXED_NOREPLACE) != 0) {
            return linux_space_is_free(hint, hint + size) ? 0 : -EEXIST;
        }
        return vacate(hint, hint + size) ? 0 : -ENOMEM;
    }
    hint = LINUX_PAGE_UP(hint);
    if (hint != 0 && linux_in_space(hint, size) && hint + size <= linux_place_limit &&
        linux_space_is_free(hint, hint + size)) {
        *ret_at = hint;
        return 0;
    }
    *ret_at = linux_space_place(size, linux_place_limit);
    return *ret_at != 0 ? 0 : -ENOMEM;
}

long linux_map_zeros(uint64_t hint, uint64_t size, uint64_t flags, struct linux_area area)
{
    if ((flags & MAP_FIXED) != 0 && linux_in_space(hint, size)) {
        linux_shared_release(hint, hint + size);
    }
    return linux_map_released(hint, size, flags, area);
}

long linux_map_released(uint64_t hint, uint64_t size, uint64_t flags, struct linux_area area)
{
    uint64_t at = 0;
    linux_memory_take();
    long result = place_find(hint, size, flags, &at);
    if (result == 0) {
        area.start = at;
        area.end = at + size;
        result = !linux_space_insert(&area) ? -ENOMEM : 0;
        if (result == 0 && (flags & MAP_POPULATE) != 0 && area.rights != 0 &&
            !linux_pages_commit(area.start, area.end, linux_page_rights(area.rights))) {
            (void)vacate(area.start, area.end);
            result = -ENOMEM;
        }
    }
    linux_memory_give();
    return result != 0 ? result : (long)at;
}

bool linux_protect(uint64_t start, uint64_t end, uint32_t rights)
{
    linux_memory_take();
    const bool done = linux_space_protect(start, end, rights) &&
                      linux_pages_rights(start, end, linux_page_rights(rights));
    linux_memory_give();
    return done;
}

void linux_unmap(uint64_t start, uint64_t end)
{
    linux_shared_release(start, end);
    linux_memory_take();
    (void)vacate(start, end);
    linux_memory_give();
}

/* ------------------------------------------------------------------ calls */

static long call_mmap(struct cella_regs *regs)
{
    const uint64_t flags = ARG3(regs);
    const uint32_t rights = (uint32_t)ARG2(regs) & RIGHTS_ALL;
    const uint64_t type = flags & MAP_TYPE;
    if (ARG1(regs) == 0 || type == 0 || type > MAP_SHARED_VALIDATE) {
        return -EINVAL;
    }
    if (ARG1(regs) > CELLA_PROGRAM_KERNEL) {
        return -ENOMEM;
    }
    if (!rights_are_allowed(rights)) {
        return -EACCES;
    }
    const uint64_t size = LINUX_PAGE_UP(ARG1(regs));
    if ((flags & MAP_ANONYMOUS) == 0) {
        return ARG5(regs) % SGX_PAGE_SIZE != 0 || (int64_t)ARG5(regs) < 0
                   ? -EINVAL
                   : linux_file_map(regs, size, rights);
    }
    const struct linux_area area = {.rights = rights, .flags = type != 2 ? LINUX_AREA_SHARED : 0};
    return linux_map_zeros(ARG0(regs), size, flags, area);
}

static long call_munmap(const struct cella_regs *regs)
{
    const uint64_t size = LINUX_PAGE_UP(ARG1(regs));
    if (ARG0(regs) % SGX_PAGE_SIZE != 0 || size == 0 || !linux_in_space(ARG0(regs), size)) {
        return -EINVAL;
    }
    linux_unmap(ARG0(regs), ARG0(regs) + size);
    return 0;
}

static bool is_of_writer(const struct cella_open *open)
{
    return (open->flags & LINUX_O_ACCMODE) == LINUX_O_RDWR;
}

/* Under the lock: whether a shared mapping in [start, end) is of a file that was opened for reading only. */
static bool only_reads(uint64_t start, uint64_t end)
{
    for (const struct linux_area *area; start < end; start = area->end) {
        area = linux_space_find(start);
        if (!area) {
            break;
        }
        if (area->start < end && area->file && (area->flags & LINUX_AREA_SHARED) != 0 &&
            !is_of_writer(area->file)) {
            return true;
        }
    }
    return false;
}

static long call_mprotect(const struct cella_regs *regs)
{
    const uint64_t start = ARG0(regs);
    const uint64_t size = LINUX_PAGE_UP(ARG1(regs));
    const uint32_t rights = (uint32_t)ARG2(regs) & RIGHTS_ALL;
    if (start % SGX_PAGE_SIZE != 0) {
        return -EINVAL;
    }
    if (size == 0) {
        return 0;
    }
    if (!linux_in_space(start, size)) {
        return -ENOMEM;
    }
    if (!rights_are_allowed(rights)) {
        return -EACCES;
    }
    if ((rights & LINUX_PROT_WRITE) != 0) {
        linux_shared_write(start, start + size);
    }
    linux_memory_take();
    long result = -ENOMEM;
    if ((rights & LINUX_PROT_WRITE) != 0 && only_reads(start, start + size)) {
        result = -EACCES;
    } else if (linux_space_covers(start, start + size, 0, NULL)) {
        result =
            linux_space_protect(start, start + size, rights) &&
                    ((rights & LINUX_PROT_EXEC) == 0 || linux_pages_open(start, start + size)) &&
                    linux_pages_rights(start, start + size, linux_page_rights(rights))
                ? 0
                : -ENOMEM;
    }
    linux_memory_give();
    return result;
}

/*
 * What another thread may be storing, and nothing else has, stays: shared memory of nobody's, and a shared mapping that can
 * be stored in, whose content is kept on Linux, too.
 */
static bool can_be_dropped(const struct linux_area *area)
{
    if ((area->flags & LINUX_AREA_SHARED) != 0) {
        return area->file && !is_of_writer(area->file);
    }
    return (area->flags & LINUX_AREA_IMAGE) == 0;
}

/* Memory of nobody's becomes zeros, private mappings what the file says; pages come back when they are touched. */
static long advise_drop(uint64_t start, uint64_t end, bool frees)
{
    long result = 0;
    linux_memory_take();
    for (uint64_t at = start; at < end;) {
        const struct linux_area *area = linux_space_find(at);
        if (!area || area->start >= end) {
            result = -ENOMEM;
            break;
        }
        if (area->start > at) {
            result = -ENOMEM; /* the rest is done all the same */
            at = area->start;
        }
        if (frees && (area->file || (area->flags & (LINUX_AREA_SHARED | LINUX_AREA_IMAGE)) != 0)) {
            result = -EINVAL;
            break;
        }
        const uint64_t until = area->end < end ? area->end : end;
        if (can_be_dropped(area)) {
            linux_pages_drop(at, until);
        }
        at = until;
    }
    linux_memory_give();
    return result;
}

static long call_madvise(const struct cella_regs *regs)
{
    const uint64_t start = ARG0(regs);
    const uint64_t size = LINUX_PAGE_UP(ARG1(regs));
    if (start % SGX_PAGE_SIZE != 0 || (size != 0 && !linux_in_space(start, size))) {
        return -EINVAL;
    }
    switch (ARG2(regs)) {
    case MADV_DONTNEED:
    case MADV_FREE:
        return advise_drop(start, start + size, ARG2(regs) == MADV_FREE);
    case 0: /* NORMAL, RANDOM, SEQUENTIAL, WILLNEED */
    case 1:
    case 2:
    case 3:
    case 10: /* DONTFORK, DOFORK */
    case 11:
    case 12: /* MERGEABLE and its opposite */
    case 13:
    case 14: /* HUGEPAGE and its opposite */
    case 15:
    case 16: /* DONTDUMP, DODUMP */
    case 17:
    case 20: /* COLD, PAGEOUT */
    case 21:
        return 0;
    default:
        return -EINVAL;
    }
}

/* The break, or where it was when it can't be moved. */
static long call_brk(uint64_t wanted)
{
    const uint64_t start = cella_linux_program->break_start;
    linux_memory_take();
    if (wanted >= start && wanted - start <= BREAK_MAX) {
        const uint64_t old_end = LINUX_PAGE_UP(break_now), end = LINUX_PAGE_UP(wanted);
        const struct linux_area more = {.start = old_end,
                                        .end = end,
                                        .rights = LINUX_PROT_READ | LINUX_PROT_WRITE,
                                        .flags = LINUX_AREA_BREAK};
        if (end <= old_end) {
            if (end == old_end || vacate(end, old_end)) {
                break_now = wanted;
            }
        } else if (linux_space_is_free(old_end, end) && linux_space_insert(&more)) {
            break_now = wanted;
        }
    }
    const uint64_t now = break_now;
    linux_memory_give();
    return (long)now;
}

/* An area that holds all of [start, end), cut to it, with a reference of its file for the caller. */
static bool area_of(uint64_t start, uint64_t end, struct linux_area *ret_area)
{
    linux_memory_take();
    const struct linux_area *area = linux_space_find(start);
    const bool whole = area && area->start <= start && area->end >= end;
    if (whole) {
        *ret_area = *area;
        ret_area->offset += start - area->start;
        ret_area->start = start;
        ret_area->end = end;
        if (area->file) {
            atomic_fetch_add(&area->file->references, 1);
        }
    }
    linux_memory_give();
    return whole;
}

/* What is in the pages of [from, from + size) that are there: a page of zeros, or of a file, comes by itself. */
static void pages_copy(uint64_t from, uint64_t size, uint64_t to)
{
    for (uint64_t done = 0; done < size; done += SGX_PAGE_SIZE) {
        linux_memory_take();
        const bool exists = linux_page_exists(from + done);
        linux_memory_give();
        if (exists) {
            __builtin_memcpy((void *)(to + done), (const void *)(from + done), SGX_PAGE_SIZE);
        }
    }
}

/* A mapping of a file is one at its new place; what a shared one holds goes by the file. */
static long remap_move(const struct linux_area *area, uint64_t size, uint64_t to, bool fixed)
{
    const uint64_t from = area->start, old_size = area->end - area->start;
    const uint64_t flags = fixed ? MAP_FIXED : 0;
    const bool shares_file = area->file && (area->flags & LINUX_AREA_SHARED) != 0;
    struct linux_area fresh = *area;
    fresh.flags &= ~LINUX_AREA_BREAK;
    fresh.rights = shares_file ? area->rights : LINUX_PROT_READ | LINUX_PROT_WRITE;
    if (shares_file) {
        linux_shared_sync(from, area->end);
    }
    const long at = area->file ? linux_file_place(to, size, flags, fresh)
                               : linux_map_zeros(to, size, flags, fresh);
    if (at < 0 && at >= -4095) {
        return at;
    }
    /* Code of a file comes anew: what of it was changed to jump would not reach from there. */
    if (!shares_file && !(area->file && (area->rights & LINUX_PROT_EXEC) != 0)) {
        if (area->rights == 0) { /* it goes anyway */
            (void)linux_protect(from, area->end, LINUX_PROT_READ);
        }
        pages_copy(from, old_size < size ? old_size : size, (uint64_t)at);
    }
    linux_unmap(from, area->end);
    if (area->rights != fresh.rights) {
        (void)linux_protect((uint64_t)at, (uint64_t)at + size, area->rights);
    }
    return at;
}

/* More of the same behind it, where nothing is. */
static bool remap_extend(const struct linux_area *area, uint64_t size)
{
    const uint64_t more = size - (area->end - area->start);
    struct linux_area behind = *area;
    behind.offset += area->end - area->start;
    return (area->file
                ? linux_file_place(area->end, more, MAP_FIXED_NOREPLACE, behind)
                : linux_map_zeros(area->end, more, MAP_FIXED_NOREPLACE, behind)) == (long)area->end;
}

static long remap(const struct linux_area *area, uint64_t size, uint64_t flags, uint64_t to)
{
    const uint64_t from = area->start, old_size = area->end - area->start;
    if ((flags & MREMAP_FIXED) != 0) {
        if ((flags & MREMAP_MAYMOVE) == 0 || to % SGX_PAGE_SIZE != 0 || !linux_in_space(to, size) ||
            (to < area->end && from < to + size)) {
            return -EINVAL;
        }
        return remap_move(area, size, to, true);
    }
    if (size <= old_size) {
        if (size < old_size) {
            linux_unmap(from + size, area->end);
        }
        return (long)from;
    }
    if (remap_extend(area, size)) {
        return (long)from;
    }
    return (flags & MREMAP_MAYMOVE) == 0 ? -ENOMEM : remap_move(area, size, 0, false);
}

static long call_mremap(const struct cella_regs *regs)
{
    const uint64_t from = ARG0(regs), flags = ARG3(regs);
    const uint64_t old_size = LINUX_PAGE_UP(ARG1(regs)), size = LINUX_PAGE_UP(ARG2(regs));
    struct linux_area area;
    if (from % SGX_PAGE_SIZE != 0 || size == 0 || old_size == 0 ||
        (flags & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED)) != 0 ||
        !linux_in_space(from, old_size)) {
        return -EINVAL;
    }
    if (!area_of(from, from + old_size, &area)) {
        return -EFAULT;
    }
    const long result = remap(&area, size, flags, ARG4(regs));
    if (area.file) {
        cella_open_put(area.file);
    }
    return result;
}

static long call_mincore(const struct cella_regs *regs)
{
    const uint64_t start = ARG0(regs);
    const uint64_t count = LINUX_PAGE_UP(ARG1(regs)) / SGX_PAGE_SIZE;
    if (start % SGX_PAGE_SIZE != 0) {
        return -EINVAL;
    }
    if (!cella_user_writable(ARG2(regs), count)) {
        return -EFAULT;
    }
    linux_memory_take();
    const bool covered = linux_in_space(start, count * SGX_PAGE_SIZE) &&
                         linux_space_covers(start, start + count * SGX_PAGE_SIZE, 0, NULL);
    linux_memory_give();
    if (!covered) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < count; i++) {
        ((uint8_t *)ARG2(regs))[i] = 1; /* nothing is ever swapped as far as a program can see */
    }
    return 0;
}

long linux_range_check(const struct cella_regs *regs)
{
    const uint64_t size = LINUX_PAGE_UP(ARG1(regs));
    if (ARG0(regs) % SGX_PAGE_SIZE != 0) {
        return -EINVAL;
    }
    linux_memory_take();
    const bool covered = size == 0 || (linux_in_space(ARG0(regs), size) &&
                                       linux_space_covers(ARG0(regs), ARG0(regs) + size, 0, NULL));
    linux_memory_give();
    return covered ? 0 : -ENOMEM;
}

bool linux_memory_syscall(struct cella_regs *regs, long *ret_result)
{
    switch (regs->rax) {
    case __NR_brk:
        *ret_result = call_brk(ARG0(regs));
        return true;
    case __NR_mmap:
        *ret_result = call_mmap(regs);
        return true;
    case __NR_munmap:
        *ret_result = call_munmap(regs);
        return true;
    case __NR_mremap:
        *ret_result = call_mremap(regs);
        return true;
    case __NR_mprotect:
        *ret_result = call_mprotect(regs);
        return true;
    case __NR_madvise:
        *ret_result = call_madvise(regs);
        return true;
    case __NR_mincore:
        *ret_result = call_mincore(regs);
        return true;
    case __NR_msync:
        *ret_result = linux_file_sync(regs);
        return true;
    case __NR_mlock:
    case __NR_mlock2:
    case __NR_munlock:
    case __NR_mlockall:
    case __NR_munlockall:
        *ret_result = 0; /* enclave pages are the driver's to swap, and encrypted where they go */
        return true;
    case __NR_pkey_alloc:
    case __NR_pkey_free:
        *ret_result = -ENOSPC;
        return true;
    case __NR_get_mempolicy:
    case __NR_set_mempolicy:
    case __NR_mbind:
    case __NR_remap_file_pages:
        *ret_result = -ENOSYS;
        return true;
    default:
        return false;
    }
}

uint64_t cella_linux_user_pages(uint64_t size)
{
    const struct linux_area area = {.rights = LINUX_PROT_READ | LINUX_PROT_WRITE};
    const long at = linux_map_zeros(0, LINUX_PAGE_UP(size), 0, area);
    return at < 0 && at >= -4095 ? 0 : (uint64_t)at;
}

void cella_linux_user_pages_free(uint64_t at, uint64_t size)
{
    linux_unmap(at, at + LINUX_PAGE_UP(size));
}

bool cella_linux_area_get(uint32_t index, struct linux_area *ret_area)
{
    linux_memory_take();
    const struct linux_area *area = linux_space_at(index);
    if (area) {
        *ret_area = *area;
        if (area->file) {
            atomic_fetch_add(&area->file->references, 1);
        }
    }
    linux_memory_give();
    return area != NULL;
}
