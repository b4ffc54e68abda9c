/*
 * The enclave's mappings in this process: effective protection of a page = VMA protection AND EPCM.
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_*.c and the leaves'
 * wrappers. A writable page is mapped MAP_SHARED, any other MAP_PRIVATE: ptrace cannot plant
 * breakpoints in a shared mapping that is read-only. Both locks are held in every function here but
 * those of soft.h.
 */
#include "soft/enclu.h"
#include "soft/vma.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MAP_COUNT_DEFAULT 65530 /* vm.max_map_count */

/* What the EPCM lets software do with a page through its mapping. */
static uint32_t epcm_prot(uint32_t flags)
{
    uint32_t blockers =
        SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED | SOFT_EPCM_BLOCKED | SOFT_EPCM_VALID;
    if ((flags & blockers) != SOFT_EPCM_VALID ||
        (flags & SGX_SECINFO_TYPE_MASK) != SGX_SECINFO_REG) {
        return 0;
    }
    return flags & SGX_SECINFO_RWX; /* the same bits as PROT_READ, PROT_WRITE, PROT_EXEC */
}

/* The pages of one chunk stop being alike: each gets the byte that stood for all. */
static void chunk_spread(struct driver_enclave *e, uint64_t chunk)
{
    const uint16_t state = e->vma_chunks[chunk];
    if (!(state & VMA_SPREAD)) {
        const uint64_t first = chunk * SOFT_CHUNK_PAGES;
        const uint64_t left = driver_page_count(e) - first;
        const uint64_t count = left < SOFT_CHUNK_PAGES ? left : SOFT_CHUNK_PAGES;
        for (uint64_t i = 0; i < count; i++) {
            e->vma[first + i] = (uint8_t)state;
        }
        __atomic_store_n(&e->vma_chunks[chunk], VMA_SPREAD, __ATOMIC_RELEASE);
    }
}

static void chunk_change(struct driver_enclave *e, uint64_t first, uint64_t count, uint8_t kept,
                         uint8_t set)
{
    const uint64_t chunk = first / SOFT_CHUNK_PAGES;
    const uint16_t state = e->vma_chunks[chunk];
    const bool whole = first % SOFT_CHUNK_PAGES == 0 &&
                       (count == SOFT_CHUNK_PAGES || first + count == driver_page_count(e));
    if (whole && (!(state & VMA_SPREAD) || !kept)) {
        const uint16_t changed = (uint16_t)((state & kept) | set);
        __atomic_store_n(&e->vma_chunks[chunk], changed, __ATOMIC_RELEASE);
        return;
    }
    chunk_spread(e, chunk);
    for (uint64_t i = first; i < first + count; i++) {
        e->vma[i] = (uint8_t)((e->vma[i] & kept) | set);
    }
}

void vma_change(struct driver_enclave *e, uint64_t first, uint64_t count, uint8_t kept, uint8_t set)
{
    const uint64_t end = first + count;
    while (first < end) {
        const uint64_t next = (first | (SOFT_CHUNK_PAGES - 1)) + 1;
        const uint64_t until = next < end ? next : end;
        chunk_change(e, first, until - first, kept, set);
        first = until;
    }
}

/* The state that page should have: what is applied follows from what was asked and the EPCM. */
static uint8_t wanted_state(const struct driver_enclave *e, uint64_t page, uint8_t now)
{
    if (!(now & VMA_MAPPED)) {
        return now;
    }
    uint32_t prot = 0;
    if (e->chunks[page / SOFT_CHUNK_PAGES]) {
        prot = now & VMA_PROT & epcm_prot(e->pub.epcm[page].flags);
    }
    uint32_t kind = prot & PROT_WRITE ? 0 : prot ? VMA_PRIVATE : now & VMA_PRIVATE;
    return (uint8_t)((now & (VMA_PROT | VMA_MAPPED)) | prot << VMA_APPLIED_SHIFT | kind);
}

static int apply_run(struct driver_enclave *e, uint64_t first, uint64_t count, uint8_t old,
                     uint8_t want)
{
    uint64_t at = e->pub.base + (first << SGX_PAGE_SHIFT);
    uint64_t size = count << SGX_PAGE_SHIFT;
    int prot = (want & VMA_APPLIED) >> VMA_APPLIED_SHIFT;
    long result;
    if ((old ^ want) & VMA_PRIVATE) {
        int kind = want & VMA_PRIVATE ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
        uint64_t offset = e->control->pages_offset + (first << SGX_PAGE_SHIFT);
        result = soft_syscall(SYS_mmap, at, size, prot, kind | MAP_FIXED, e->pub.fd, offset);
        if (result < 0 && result > -4096) {
            return (int)result;
        }
    } else {
        result = soft_syscall(SYS_mprotect, at, size, prot, 0, 0, 0);
        if (result) {
            return (int)result;
        }
    }
    vma_change(e, first, count, VMA_PROT | VMA_MAPPED, want & (VMA_APPLIED | VMA_PRIVATE));
    return 0;
}

/*
 * There are too many mappings: none of the enclave's pages can be touched natively from here on,
 * which joins them, and each comes back when it is used. Never needs a mapping more: the runs end
 * where mappings end.
 */
static int drop_all(struct driver_enclave *e)
{
    const uint64_t end = driver_page_count(e);
    int result = 0;
    uint64_t next;
    for (uint64_t first = 0; first < end && !result; first = next) {
        const bool mapped = vma_at(e, first) & VMA_MAPPED;
        next = first;
        while (next < end && (bool)(vma_at(e, next) & VMA_MAPPED) == mapped) {
            next += vma_alike(e, next, end);
        }
        if (mapped) {
            result = (int)soft_syscall(SYS_mprotect, e->pub.base + (first << SGX_PAGE_SHIFT),
                                       (next - first) << SGX_PAGE_SHIFT, PROT_NONE, 0, 0, 0);
            vma_change(e, first, next - first, (uint8_t)~VMA_APPLIED, 0);
        }
    }
    e->extra_mappings = 0;
    return result;
}

static int apply(struct driver_enclave *e, uint64_t first, uint64_t count);

/*
 * Makes the mappings of pages [first, first + count) what they should be, or lets them come when
 * they are used; one system call for each run.
 */
int driver_apply(struct driver_enclave *e, uint64_t first, uint64_t count)
{
    int result = apply(e, first, count);
    return result == -ENOMEM ? drop_all(e) : result;
}

static int apply(struct driver_enclave *e, uint64_t first, uint64_t count)
{
    const uint8_t native = VMA_APPLIED | VMA_PRIVATE;
    const uint64_t end = first + count;
    uint64_t run = first;
    uint8_t run_old = 0;
    uint8_t run_want = 0;
    uint64_t alike;
    for (uint64_t i = first; i < end; i += alike) {
        uint8_t old = vma_at(e, i);
        uint8_t want = wanted_state(e, i, old);
        alike = e->chunks[i / SOFT_CHUNK_PAGES] ? 1 : vma_alike(e, i, end);
        bool extends = ((want ^ run_want) & native) == 0 && ((old ^ run_old) & VMA_PRIVATE) == 0;
        if (run < i && (old == want || !extends)) {
            int result = apply_run(e, run, i - run, run_old, run_want);
            if (result) {
                return result;
            }
            run = i;
        }
        if (old == want) {
            run = i + alike;
        } else if (run == i) {
            run_old = old;
            run_want = want;
        }
    }
    return run < end ? apply_run(e, run, end - run, run_old, run_want) : 0;
}

/* Whether the mapping of `page` waits for the change from `old` to `want`, or for one of the same kind. */
static bool waits_alike(const struct driver_enclave *e, uint64_t page, uint8_t old, uint8_t want)
{
    const uint8_t native = VMA_APPLIED | VMA_PRIVATE;
    const uint8_t now = vma_at(e, page);
    const uint8_t then = e->chunks[page / SOFT_CHUNK_PAGES] ? wanted_state(e, page, now) : now;
    return now != then && ((then ^ want) & native) == 0 && ((now ^ old) & VMA_PRIVATE) == 0;
}

/* Whether a neighbour is mapped already as a run will be. */
static int is_applied(const struct driver_enclave *e, uint64_t page, bool exists, uint8_t want)
{
    return exists && ((vma_at(e, page) ^ want) & (VMA_APPLIED | VMA_PRIVATE)) == 0;
}

/* Half of the mappings that a process may have; the rest is for what else is in it. */
static int64_t map_limit(void)
{
    static _Atomic int64_t limit;
    char text[16] = {0};
    if (limit != 0) {
        return limit;
    }
    const int fd = (int)soft_syscall(SYS_openat, AT_FDCWD, "/proc/sys/vm/max_map_count",
                                     O_RDONLY | O_CLOEXEC, 0, 0, 0);
    int64_t value = 0;
    if (fd >= 0) {
        soft_syscall(SYS_read, fd, text, sizeof(text) - 1, 0, 0, 0);
        soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    }
    for (const char *at = text; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
    }
    limit = (value ? value : MAP_COUNT_DEFAULT) / 2;
    return limit;
}

#define AROUND_PAGES 4096u

/*
 * Pages are accepted in runs, and what the enclave may do with them only grows: the run is mapped in one piece when the
 * first of them is used.
 */
int driver_apply_around(struct driver_enclave *e, uint64_t page)
{
    const uint8_t old = vma_at(e, page);
    const uint8_t want = wanted_state(e, page, old);
    const uint64_t count = driver_page_count(e);
    const uint64_t low = page > AROUND_PAGES ? page - AROUND_PAGES : 0;
    const uint64_t high = count - page > AROUND_PAGES ? page + AROUND_PAGES : count;
    uint64_t first = page;
    uint64_t end = page + 1;
    if (old == want) {
        return 0;
    }
    while (first > low && waits_alike(e, first - 1, old, want)) {
        first--;
    }
    while (end < high && waits_alike(e, end, old, want)) {
        end++;
    }
    /* An island takes two mappings more; a run that closes a gap gives two back. */
    const int64_t more = 2 * (2 - is_applied(e, first - 1, first > 0, want) -
                              is_applied(e, end, end < count, want)) -
                         2;
    int result = 0;
    if (e->extra_mappings + more > map_limit()) {
        result = drop_all(e);
    }
    result = result ? result : apply_run(e, first, end - first, vma_at(e, page), want);
    if (result == -ENOMEM) {
        result = drop_all(e);
        result = result ? result : apply_run(e, first, end - first, vma_at(e, page), want);
    }
    e->extra_mappings += result ? 0 : more;
    return result;
}

void driver_bump(struct driver_enclave *e)
{
    uint32_t before = atomic_fetch_add(&e->pub.shared->generation, 1);
    if (e->seen_generation == before) {
        e->seen_generation = before + 1;
    }
}

void driver_page_added(struct driver_enclave *e, uint64_t page)
{
    e->chunks[page / SOFT_CHUNK_PAGES]++;
    e->control->child_pages++;
}

void driver_page_removed(struct driver_enclave *e, uint64_t page)
{
    e->chunks[page / SOFT_CHUNK_PAGES]--;
    e->control->child_pages--;
}

bool soft_is_stale(const struct soft_enclave *enclave)
{
    const struct driver_enclave *e = (const struct driver_enclave *)enclave;
    return enclave->shared->generation != e->seen_generation;
}

void soft_refresh(struct soft_enclave *enclave)
{
    struct driver_enclave *e = driver_of(enclave);
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    if (enclave->used == 2) {
        soft_lock(&enclave->shared->lock);
        uint32_t generation = enclave->shared->generation;
        if (!driver_apply(e, 0, driver_page_count(e))) {
            e->seen_generation = generation;
        }
        soft_unlock(&enclave->shared->lock);
    }
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
}

int driver_augment(struct driver_enclave *e, uint64_t page)
{
    if (!driver_epc_take(e, 1)) {
        return -ENOMEM;
    }
    struct sgx_pageinfo info = {.linaddr = e->pub.base + (page << SGX_PAGE_SHIFT),
                                .secs = (uint64_t)(uintptr_t)&e->pub.shared->secs};
    _Alignas(SGX_ALIGN_PAGEINFO) struct sgx_pageinfo aligned = info;
    struct soft_outcome outcome =
        soft_encls(SGX_EAUG, (uint64_t)(uintptr_t)&aligned,
                   (uint64_t)(uintptr_t)soft_alias(&e->pub, info.linaddr), 0);
    if (outcome.kind != SOFT_DONE) {
        driver_epc_give(e, 1);
        return -EIO;
    }
    e->pub.epcm[page].max_prot |= SOFT_MAX_PROT_MASK;
    return 0;
}

/* #PF error code of an access that the page tables or the EPCM refuse. */
static uint32_t fault_code(uint8_t vma, uint32_t flags, uint32_t access)
{
    uint32_t error = SGX_PF_USER | access;
    if (!(vma & VMA_MAPPED) || !(flags & SOFT_EPCM_VALID) || !(vma & VMA_PROT)) {
        return error; /* nothing in the page table */
    }
    error |= SGX_PF_PRESENT;
    uint32_t need = access & SGX_PF_WRITE ? PROT_WRITE : access & SGX_PF_FETCH ? PROT_EXEC : 0;
    return (vma & need) == need ? error | SGX_PF_SGX : error;
}

static uint32_t access_prot(uint32_t access)
{
    return access & SGX_PF_WRITE ? PROT_WRITE : access & SGX_PF_FETCH ? PROT_EXEC : PROT_READ;
}

/* The page tables' part of an access: the VMA lets it, and there is a page (EAUG fills a hole). */
static bool translate(struct driver_enclave *e, uint64_t page, uint32_t access)
{
    uint8_t vma = vma_at(e, page);
    uint32_t need = access_prot(access);
    /* x86 has no mapping that can be written or executed but not read. */
    bool lets = (vma & need) || (need == PROT_READ && (vma & VMA_PROT));
    if (!(vma & VMA_MAPPED) || !lets) {
        return false;
    }
    if (!(e->pub.epcm[page].flags & SOFT_EPCM_VALID) &&
        e->pub.shared->state == SOFT_STATE_INITIALIZED) {
        (void)driver_augment(e, page); /* pending: nobody's mappings change */
    }
    return (e->pub.epcm[page].flags & SOFT_EPCM_VALID) != 0;
}

bool driver_translate(struct driver_enclave *e, uint64_t address, uint32_t access,
                      uint32_t *ret_error)
{
    uint64_t page = (address - e->pub.base) >> SGX_PAGE_SHIFT;
    if (translate(e, page, access)) {
        return true;
    }
    *ret_error = fault_code(vma_at(e, page), e->pub.epcm[page].flags, access);
    return false;
}

static bool fault_resolve(struct driver_enclave *e, uint64_t page, uint32_t access,
                          uint32_t *ret_error)
{
    if (translate(e, page, access) && (epcm_prot(e->pub.epcm[page].flags) & access_prot(access))) {
        return driver_apply_around(e, page) == 0;
    }
    e->faulted[page % DRIVER_FAULTED] = page + 1;
    *ret_error = fault_code(vma_at(e, page), e->pub.epcm[page].flags, access);
    return false;
}

bool soft_fault_resolve(struct soft_enclave *enclave, uint64_t address, uint32_t access,
                        uint32_t *ret_error)
{
    return soft_fault_resolve_as(soft_thread_id(), enclave, address, access, ret_error);
}

bool soft_fault_resolve_as(uint32_t self, struct soft_enclave *enclave, uint64_t address,
                           uint32_t access, uint32_t *ret_error)
{
    bool mended = false;
    soft_lock_as(&g_process_lock, self);
    *ret_error = SGX_PF_USER | access;
    if (enclave->used == 2 && soft_in_elrange(enclave, address, 1)) {
        uint64_t page = (address - enclave->base) >> SGX_PAGE_SHIFT;
        soft_lock_as(&enclave->shared->lock, self);
        driver_of(enclave)->locker = self;
        mended = fault_resolve(driver_of(enclave), page, access, ret_error);
        driver_of(enclave)->locker = 0;
        soft_unlock(&enclave->shared->lock);
    }
    soft_unlock(&g_process_lock);
    return mended;
}
