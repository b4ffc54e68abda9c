/*
 * The program's address space: areas in ascending order, none overlapping.
 * Side: enclave. Called by memory.c with its lock held.
 * Never touches the program's memory.
 */
#include "enclave/descriptors.h"
#include "linux/linux.h"

#define AREAS_MAX 65536u

static struct linux_area *areas;
static uint32_t area_count, area_capacity;
static struct cella_open *dead[LINUX_DEAD_MAX];
static uint32_t dead_count;
static _Atomic uint64_t changes = 1;

cella_result linux_space_init(void)
{
    area_capacity = SGX_PAGE_SIZE / sizeof(struct linux_area);
    areas = (struct linux_area *)cella_pages_map(1, true);
    CELLA_ENSURE(areas != NULL, OUT_OF_MEMORY);
    return CELLA_OK;
}

/* Room for two more: one cut makes at most one, an insertion another. */
static bool space_grow(void)
{
    if (area_count + 2 <= area_capacity) {
        return true;
    }
    if (area_capacity >= AREAS_MAX) {
        return false;
    }
    const uint64_t pages = area_capacity * sizeof(struct linux_area) / SGX_PAGE_SIZE + 1;
    struct linux_area *bigger = (struct linux_area *)cella_pages_map(2 * pages, true);
    if (!bigger) {
        return false;
    }
    __builtin_memcpy(bigger, areas, area_count * sizeof(*areas));
    cella_pages_free(areas, area_capacity * sizeof(*areas));
    areas = bigger;
    area_capacity = (uint32_t)(2 * pages * SGX_PAGE_SIZE / sizeof(struct linux_area));
    return true;
}

/* The first area that ends above `address`. */
static uint32_t index_of(uint64_t address)
{
    uint32_t low = 0, high = area_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (areas[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct linux_area *linux_space_find(uint64_t address)
{
    const uint32_t at = index_of(address);
    return at < area_count ? &areas[at] : NULL;
}

bool linux_space_is_free(uint64_t start, uint64_t end)
{
    const uint32_t at = index_of(start);
    return at == area_count || areas[at].start >= end;
}

static void areas_shift(uint32_t at, int by)
{
    if (by > 0) {
        for (uint32_t i = area_count; i > at; i--) {
            areas[i] = areas[i - 1];
        }
    } else {
        for (uint32_t i = at; i + 1 < area_count; i++) {
            areas[i] = areas[i + 1];
        }
    }
    area_count = (uint32_t)((int)area_count + by);
}

static bool is_alike(const struct linux_area *a, const struct linux_area *b)
{
    if (a->end != b->start || a->rights != b->rights || a->flags != b->flags ||
        a->file != b->file || (a->flags & LINUX_AREA_IMAGE) != 0) {
        return false;
    }
    return !a->file || a->offset + (a->end - a->start) == b->offset;
}

/*
 * Under the memory lock no file is closed: that may wait for others who touch the program's memory. The last reference is
 * put by, for linux_memory_give.
 */
static void file_release(const struct linux_area *area)
{
    struct cella_open *open = area->file;
    if (!open) {
        return;
    }
    uint32_t count = atomic_load(&open->references);
    while (count > 1) {
        if (atomic_compare_exchange_weak(&open->references, &count, count - 1)) {
            return;
        }
    }
    if (dead_count == LINUX_DEAD_MAX) { /* more files than anybody has mapped at once */
        cella_open_put(open);
        return;
    }
    dead[dead_count++] = open;
}

uint32_t linux_space_take_dead(struct cella_open **ret_dead)
{
    const uint32_t count = dead_count;
    for (uint32_t i = 0; i < count; i++) {
        ret_dead[i] = dead[i];
    }
    dead_count = 0;
    return count;
}

/* Joins areas[at] and the next one where they are alike. */
static void join(uint32_t at)
{
    if (at + 1 < area_count && is_alike(&areas[at], &areas[at + 1])) {
        areas[at].end = areas[at + 1].end;
        file_release(&areas[at + 1]);
        areas_shift(at + 1, -1);
    }
}

bool linux_space_insert(const struct linux_area *area)
{
    if (!space_grow()) {
        return false;
    }
    const uint32_t at = index_of(area->start);
    areas_shift(at, 1);
    areas[at] = *area;
    join(at);
    if (at > 0) {
        join(at - 1);
    }
    return true;
}

/* Makes `address` a border between areas. */
static bool cut(uint64_t address)
{
    const uint32_t at = index_of(address);
    if (at == area_count || areas[at].start >= address) {
        return true;
    }
    if (!space_grow()) {
        return false;
    }
    areas_shift(at, 1);
    areas[at] = areas[at + 1];
    areas[at].end = address;
    areas[at + 1].offset += address - areas[at + 1].start;
    areas[at + 1].start = address;
    if (areas[at].file) {
        atomic_fetch_add(&areas[at].file->references, 1);
    }
    return true;
}

bool linux_space_remove(uint64_t start, uint64_t end)
{
    if (!cut(start) || !cut(end)) {
        return false;
    }
    atomic_fetch_add(&changes, 1);
    const uint32_t at = index_of(start);
    uint32_t last = at;
    while (last < area_count && areas[last].start < end) {
        file_release(&areas[last]);
        last++;
    }
    if (last > at) {
        for (uint32_t i = last; i < area_count; i++) {
            areas[at + i - last] = areas[i];
        }
        area_count -= last - at;
    }
    return true;
}

bool linux_space_protect(uint64_t start, uint64_t end, uint32_t rights)
{
    if (!cut(start) || !cut(end)) {
        return false;
    }
    atomic_fetch_add(&changes, 1);
    uint32_t at = index_of(start);
    const uint32_t first = at;
    for (; at < area_count && areas[at].start < end; at++) {
        areas[at].rights = rights;
    }
    while (at > first) {
        join(--at);
    }
    if (first > 0) {
        join(first - 1);
    }
    return true;
}

uint64_t linux_space_changes(void)
{
    return atomic_load_explicit(&changes, memory_order_acquire);
}

bool linux_space_covers(uint64_t start, uint64_t end, uint32_t rights,
                        struct linux_range *ret_range)
{
    const uint32_t first = index_of(start);
    for (uint32_t at = first; at < area_count; at++) {
        if (areas[at].start > start || (areas[at].rights & rights) != rights) {
            return false;
        }
        start = areas[at].end;
        if (start >= end) {
            if (ret_range) {
                *ret_range = (struct linux_range){.start = areas[first].start,
                                                  .end = start,
                                                  .changes = linux_space_changes(),
                                                  .rights = rights};
            }
            return true;
        }
    }
    return false;
}

uint64_t linux_space_place(uint64_t size, uint64_t limit)
{
    uint64_t high = limit;
    for (uint32_t i = index_of(limit - 1) + 1; i-- > 0;) {
        if (i >= area_count || areas[i].start >= limit) {
            continue;
        }
        if (areas[i].end <= high && high - areas[i].end >= size) {
            return high - size;
        }
        high = areas[i].start;
    }
    return high >= CELLA_PROGRAM_LOW && high - CELLA_PROGRAM_LOW >= size ? high - size : 0;
}

uint32_t linux_space_count(void)
{
    return area_count;
}

const struct linux_area *linux_space_at(uint32_t index)
{
    return index < area_count ? &areas[index] : NULL;
}
