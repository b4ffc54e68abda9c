/*
 * mmap, mprotect and munmap of enclave memory, by the kernel driver's rules.
 * Side: soft (untrusted; it plays the kernel driver). Called by the interposers.
 * The file offset is ignored: the address selects the page. What lies outside ELRANGE, or was
 * mapped before ECREATE, is kept as a span whose accesses give SIGBUS.
 */
#include "soft/vma.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#define SPAN_MAX 1024u
#define BEYOND_END (1ull << 46) /* file offset far behind the last page: SIGBUS on access */
#define MAP_TYPE_BITS 0x0f

static struct driver_span g_spans[SPAN_MAX];
static uint32_t g_span_high;

static uint64_t page_down(uint64_t value)
{
    return value & ~(uint64_t)(SGX_PAGE_SIZE - 1);
}

static bool span_add(struct driver_enclave *e, uint64_t start, uint64_t end, uint32_t prot)
{
    for (uint32_t i = 0; i < g_span_high; i++) { /* grow the last one of the same kind */
        struct driver_span *span = &g_spans[i];
        if (span->end == start && span->index == e->pub.index && span->prot == prot) {
            span->end = end;
            return true;
        }
    }
    for (uint32_t i = 0; i < SPAN_MAX; i++) {
        if (!g_spans[i].end) {
            g_spans[i] = (struct driver_span){
                .start = start, .end = end, .index = e->pub.index, .prot = prot};
            g_span_high = i >= g_span_high ? i + 1 : g_span_high;
            e->spans++;
            return true;
        }
    }
    return false;
}

/* Cuts [start, end) out of all spans. */
static void spans_cut(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < g_span_high; i++) {
        struct driver_span span = g_spans[i];
        if (!span.end || span.end <= start || span.start >= end) {
            continue;
        }
        struct driver_enclave *e = &g_enclaves[span.index];
        g_spans[i].end = 0;
        e->spans--;
        if (span.start < start) {
            span_add(e, span.start, start, span.prot);
        }
        if (span.end > end) {
            span_add(e, end, span.end, span.prot);
        }
    }
}

static bool clip(const struct driver_enclave *e, uint64_t *start, uint64_t *end)
{
    if (e->pub.used != 2) {
        return false;
    }
    uint64_t last = e->pub.base + e->pub.size;
    *start = *start > e->pub.base ? *start : e->pub.base;
    *end = *end < last ? *end : last;
    return *start < *end;
}

static uint64_t page_of(const struct driver_enclave *e, uint64_t address)
{
    return (address - e->pub.base) >> SGX_PAGE_SHIFT;
}

static uint64_t mapped_pages(const struct driver_enclave *e, uint64_t first, uint64_t count)
{
    uint64_t mapped = 0;
    uint64_t alike;
    for (uint64_t page = first; page < first + count; page += alike) {
        alike = vma_alike(e, page, first + count);
        mapped += vma_at(e, page) & VMA_MAPPED ? alike : 0;
    }
    return mapped;
}

/* Forgets what is mapped in [start, end), in all enclaves. */
static void forget_range(uint64_t start, uint64_t end)
{
    spans_cut(start, end);
    for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
        struct driver_enclave *e = &g_enclaves[i];
        uint64_t from = start;
        uint64_t to = end;
        if (!e->pub.used) {
            continue;
        }
        if (clip(e, &from, &to) && e->mapped_pages) {
            const uint64_t first = page_of(e, from);
            const uint64_t count = page_of(e, to) - first;
            e->mapped_pages -= mapped_pages(e, first, count);
            vma_change(e, first, count, 0, 0);
        }
        driver_release_idle(e);
    }
}

static bool touches_enclave(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < g_span_high; i++) {
        if (g_spans[i].end && g_spans[i].start < end && g_spans[i].end > start) {
            return true;
        }
    }
    for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
        uint64_t from = start;
        uint64_t to = end;
        if (g_enclaves[i].pub.used == 2 && g_enclaves[i].mapped_pages &&
            clip(&g_enclaves[i], &from, &to)) {
            return true;
        }
    }
    return false;
}

/* The driver's answer to a mapping of [start, end) with `prot`; shared->lock held. */
static int may_map(struct driver_enclave *e, uint64_t start, uint64_t end, uint32_t prot)
{
    bool outside = start < e->pub.base || end > e->pub.base + e->pub.size;
    if (e->pub.shared->state == SOFT_STATE_INITIALIZED && outside) {
        return -EACCES;
    }
    if (soft_syscall(SYS_personality, 0xffffffffu, 0, 0, 0, 0, 0) & READ_IMPLIES_EXEC) {
        return -EACCES;
    }
    if (!clip(e, &start, &end)) {
        return 0;
    }
    uint64_t last = page_of(e, end);
    uint64_t page = driver_next_used(e, page_of(e, start), last);
    for (; page < last; page = driver_next_used(e, page + 1, last)) {
        const struct soft_epcm *entry = &e->pub.epcm[page];
        if ((entry->flags & SOFT_EPCM_VALID) && (prot & ~entry->max_prot & SOFT_MAX_PROT_MASK)) {
            return -EACCES;
        }
    }
    return 0;
}

static long map_native(struct driver_enclave *e, uint64_t start, uint64_t end, uint32_t prot,
                       uint64_t offset)
{
    return soft_syscall(SYS_mmap, start, end - start, prot, MAP_SHARED | MAP_FIXED, e->pub.fd,
                        offset);
}

/* Puts the part inside ELRANGE in place; it must have been forgotten before. Both locks held. */
static int map_inside(struct driver_enclave *e, uint64_t start, uint64_t end, uint32_t prot)
{
    long at =
        map_native(e, start, end, PROT_NONE, e->control->pages_offset + (start - e->pub.base));
    if (at < 0 && at > -4096) {
        return (int)at;
    }
    uint64_t first = page_of(e, start);
    uint64_t count = page_of(e, end) - first;
    vma_change(e, first, count, 0, (uint8_t)(VMA_MAPPED | prot));
    e->mapped_pages += count;
    return driver_apply(e, first, count);
}

static int map_outside(struct driver_enclave *e, uint64_t start, uint64_t end, uint32_t prot)
{
    if (start >= end) {
        return 0;
    }
    long at = map_native(e, start, end, prot, BEYOND_END);
    if (at < 0 && at > -4096) {
        return (int)at;
    }
    return span_add(e, start, end, prot) ? 0 : -ENOMEM;
}

static int map_all(struct driver_enclave *e, uint64_t start, uint64_t end, uint32_t prot)
{
    uint64_t from = start;
    uint64_t to = end;
    if (!clip(e, &from, &to)) {
        return map_outside(e, start, end, prot);
    }
    int result = map_outside(e, start, from, prot);
    result = result ? result : map_inside(e, from, to, prot);
    return result ? result : map_outside(e, to, end, prot);
}

/* ECREATE has given the enclave its range: what was mapped there before belongs to it now. */
void driver_adopt_spans(struct driver_enclave *e)
{
    soft_lock(&e->pub.shared->lock);
    for (uint32_t i = 0; i < g_span_high; i++) {
        struct driver_span span = g_spans[i];
        uint64_t from = span.start;
        uint64_t to = span.end;
        if (span.end && span.index == e->pub.index && clip(e, &from, &to)) {
            spans_cut(from, to);
            if (map_inside(e, from, to, span.prot)) {
                /* The range stays mapped without access: no worse than an unmapped page. */
                continue;
            }
        }
    }
    soft_unlock(&e->pub.shared->lock);
}

static int check_arguments(uint64_t address, size_t length, int prot, int flags, int fd,
                           off_t offset)
{
    int type = flags & MAP_TYPE_BITS;
    uint64_t size = page_down(length + SGX_PAGE_SIZE - 1);
    if (offset & (SGX_PAGE_SIZE - 1) || !length) {
        return -EINVAL;
    }
    if (!size) {
        return -ENOMEM;
    }
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && (address & (SGX_PAGE_SIZE - 1))) {
        return -EINVAL;
    }
    if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE) {
        return -EINVAL; /* MAP_PRIVATE, or no type at all */
    }
    long mode = soft_syscall(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    if (mode < 0) {
        return -EBADF;
    }
    bool readable = (mode & O_ACCMODE) != O_WRONLY;
    bool writable = (mode & O_ACCMODE) != O_RDONLY;
    return !readable || ((prot & PROT_WRITE) && !writable) ? -EACCES : 0;
}

static long mmap_locked(struct driver_enclave *e, uint64_t address, uint64_t size, uint32_t prot,
                        int flags)
{
    const int wanted = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_32BIT;
    bool fixed = flags & MAP_FIXED;
    long at = (long)address;
    if (!fixed) { /* let the kernel choose and reserve */
        at = soft_syscall(SYS_mmap, address, size, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (flags & wanted), -1, 0);
        if (at < 0 && at > -4096) {
            return at;
        }
    }
    uint64_t start = (uint64_t)at;
    soft_lock(&e->pub.shared->lock);
    int result = may_map(e, start, start + size, prot);
    if (!result) {
        e->pins++; /* forgetting must not release the entry that is being mapped */
        forget_range(start, start + size);
        e->pins--;
        result = map_all(e, start, start + size, prot);
    }
    soft_unlock(&e->pub.shared->lock);
    if (result && !fixed) {
        soft_syscall(SYS_munmap, start, size, 0, 0, 0, 0);
    }
    return result ? result : at;
}

long soft_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
    int result = check_arguments((uint64_t)(uintptr_t)address, length, prot, flags, fd, offset);
    if (result) {
        return result;
    }
    uint64_t mask = soft_signals_block();
    long at = -EBADF;
    struct driver_enclave *e = driver_get(fd);
    if (e) {
        soft_lock(&g_process_lock);
        at = mmap_locked(e, (uint64_t)(uintptr_t)address, page_down(length + SGX_PAGE_SIZE - 1),
                         (uint32_t)prot & VMA_PROT, flags);
        soft_unlock(&g_process_lock);
        driver_put(e);
    }
    soft_signals_restore(mask);
    return at;
}

bool soft_munmap(void *address, size_t length, int *ret_result)
{
    uint64_t start = (uint64_t)(uintptr_t)address;
    uint64_t end = start + page_down(length + SGX_PAGE_SIZE - 1);
    if (!soft_any_enclave() || start & (SGX_PAGE_SIZE - 1) || end <= start) {
        return false; /* the real call has the right errno */
    }
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    bool ours = touches_enclave(start, end);
    if (ours) {
        *ret_result = (int)soft_syscall(SYS_munmap, start, end - start, 0, 0, 0, 0);
        if (!*ret_result) {
            forget_range(start, end);
        }
    }
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
    return ours;
}

void soft_overlay(void *address, size_t length)
{
    uint64_t start = (uint64_t)(uintptr_t)address;
    if (!soft_any_enclave()) {
        return;
    }
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    forget_range(start, start + page_down(length + SGX_PAGE_SIZE - 1));
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
}

/*
 * One piece of an mprotect range that is of one kind: inside one enclave's ELRANGE, a span, or
 * neither.
 */
struct piece {
    struct driver_enclave *e;
    struct driver_span *span;
    uint64_t end;
};

static struct piece piece_at(uint64_t address, uint64_t end)
{
    for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
        struct driver_enclave *e = &g_enclaves[i];
        if (e->pub.used != 2 || !e->mapped_pages) {
            continue;
        }
        if (soft_in_elrange(&e->pub, address, 1)) {
            uint64_t page = page_of(e, address);
            uint64_t last =
                page_of(e, end < e->pub.base + e->pub.size ? end : e->pub.base + e->pub.size);
            uint8_t kind = vma_at(e, page) & (VMA_MAPPED | VMA_PROT);
            while (page < last && (vma_at(e, page) & (VMA_MAPPED | VMA_PROT)) == kind) {
                page += vma_alike(e, page, last);
            }
            return (struct piece){.e = kind & VMA_MAPPED ? e : NULL,
                                  .end = e->pub.base + (page << SGX_PAGE_SHIFT)};
        }
        if (e->pub.base > address && e->pub.base < end) {
            end = e->pub.base;
        }
    }
    for (uint32_t i = 0; i < g_span_high; i++) {
        struct driver_span *span = &g_spans[i];
        if (span->end && address >= span->start && address < span->end) {
            return (struct piece){.e = &g_enclaves[span->index],
                                  .span = span,
                                  .end = end < span->end ? end : span->end};
        }
        if (span->end && span->start > address && span->start < end) {
            end = span->start;
        }
    }
    return (struct piece){.end = end};
}

static int mprotect_piece(const struct piece *piece, uint64_t start, int prot)
{
    uint64_t size = piece->end - start;
    struct driver_enclave *e = piece->e;
    if (!e) {
        return (int)soft_syscall(SYS_mprotect, start, size, prot, 0, 0, 0);
    }
    uint32_t bits = (uint32_t)prot & VMA_PROT;
    soft_lock(&e->pub.shared->lock);
    int result = may_map(e, start, piece->end, bits);
    if (!result && piece->span) {
        result = (int)soft_syscall(SYS_mprotect, start, size, prot, 0, 0, 0);
        if (!result) {
            spans_cut(start, piece->end);
            result = span_add(e, start, piece->end, bits) ? 0 : -ENOMEM;
        }
    } else if (!result) {
        uint64_t first = page_of(e, start);
        uint64_t count = size >> SGX_PAGE_SHIFT;
        vma_change(e, first, count, (uint8_t)~VMA_PROT, (uint8_t)bits);
        result = driver_apply(e, first, count);
    }
    soft_unlock(&e->pub.shared->lock);
    return result;
}

bool soft_mprotect(void *address, size_t length, int prot, int *ret_result)
{
    uint64_t start = (uint64_t)(uintptr_t)address;
    uint64_t end = start + page_down(length + SGX_PAGE_SIZE - 1);
    const int known = PROT_READ | PROT_WRITE | PROT_EXEC;
    if (!soft_any_enclave() || start & (SGX_PAGE_SIZE - 1) || end <= start || prot & ~known) {
        return false;
    }
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    bool ours = touches_enclave(start, end);
    int result = 0;
    while (ours && !result && start < end) {
        struct piece piece = piece_at(start, end);
        result = mprotect_piece(&piece, start, prot);
        start = piece.end;
    }
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
    if (ours) {
        *ret_result = result;
    }
    return ours;
}
