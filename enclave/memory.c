/*
 * The pages of the heap: who has which, what is filled, what exists.
 * Side: enclave. Called by mmap and its kin, by large ecalls and by cella_pages_new.
 * Three bits a page: used (address space is taken), ready (zeroed when it was taken, may be touched), present (added
 * to the enclave; beyond the initial part only where the processor can grow). Host-filled pages are cleared first.
 * Never hands out a page that holds another owner's bytes.
 */
#include "enclave/kernel.h"

static struct cella_lock memory_lock;
static uint64_t *bits_used, *bits_ready, *bits_present;
static uint64_t page_count; /* of the whole heap */
static uint64_t page_first; /* behind the bit maps */
static uint64_t used_count, peak_count;
static uint64_t break_start, break_end; /* pages [start, end) belong to brk */
static uint64_t break_bytes;

static bool bit_get(const uint64_t *bits, uint64_t page)
{
    return (bits[page / 64] >> (page % 64) & 1) != 0;
}

static void bit_set(uint64_t *bits, uint64_t page, bool value)
{
    if (value) {
        bits[page / 64] |= 1ull << (page % 64);
    } else {
        bits[page / 64] &= ~(1ull << (page % 64));
    }
}

static uint64_t page_address(uint64_t page)
{
    return cella_kernel.heap + page * SGX_PAGE_SIZE;
}

/* EACCEPT of a page that does not exist makes the kernel add it; then it is ours, and zero. */
static bool page_accept(uint64_t address)
{
    _Alignas(SGX_ALIGN_SECINFO) const struct sgx_secinfo secinfo = {
        .flags = SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_REG | SGX_SECINFO_PENDING};
    return (uint32_t)cella_enclu(SGX_EACCEPT, (uint64_t)&secinfo, address, 0) == SGX_SUCCESS;
}

cella_result cella_memory_init(void)
{
    const bool grows = (cella_kernel.features & CELLA_INIT_SGX2) != 0;
    cella_kernel.heap = cella_kernel.base + cella_image_info.heap_offset;
    cella_kernel.heap_initial = cella_image_info.heap_initial;
    cella_kernel.heap_size = grows ? cella_image_info.heap_size : cella_image_info.heap_initial;
    page_count = cella_kernel.heap_size / SGX_PAGE_SIZE;
    const uint64_t words = (page_count + 63) / 64;
    const uint64_t bytes = words * 8 * 3;
    const uint64_t pages = (bytes + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
    if (pages >= page_count) {
        page_count = 0;
        return CELLA_OK; /* too small for a heap: every request will fail */
    }
    const uint64_t initial = cella_kernel.heap_initial / SGX_PAGE_SIZE;
    for (uint64_t i = initial; i < pages; i++) {
        CELLA_ENSURE(page_accept(page_address(i)), OUT_OF_EPC);
    }
    cella_zero((void *)cella_kernel.heap, pages * SGX_PAGE_SIZE);
    bits_used = (uint64_t *)cella_kernel.heap;
    bits_ready = bits_used + words;
    bits_present = bits_ready + words;
    page_first = pages;
    for (uint64_t i = 0; i < page_count; i++) {
        bit_set(bits_used, i, i < pages);
        bit_set(bits_present, i, i < initial || i < pages);
    }
    used_count = pages;
    break_start = break_end = pages;
    return CELLA_OK;
}

/* Makes one used page ready: it exists and is zero. */
static bool page_prepare(uint64_t page)
{
    if (bit_get(bits_ready, page)) {
        return true;
    }
    if (bit_get(bits_present, page)) {
        cella_zero((void *)page_address(page), SGX_PAGE_SIZE);
    } else {
        if (!page_accept(page_address(page))) {
            return false;
        }
        bit_set(bits_present, page, true);
    }
    bit_set(bits_ready, page, true);
    return true;
}

static bool range_prepare(uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!page_prepare(first + i)) {
            return false;
        }
    }
    return true;
}

static void range_take(uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!bit_get(bits_used, first + i)) {
            bit_set(bits_used, first + i, true);
            used_count++;
            peak_count = used_count > peak_count ? used_count : peak_count;
        }
        bit_set(bits_ready, first + i, false);
    }
}

static void range_release(uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (bit_get(bits_used, first + i)) {
            bit_set(bits_used, first + i, false);
            bit_set(bits_ready, first + i, false);
            used_count--;
        }
    }
}

/* The highest free run: brk grows from the other end. 0 when there is none (page 0 is never free). */
static uint64_t run_find(uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t page = page_count; page > page_first; page--) {
        if ((page % 64) == 0 && bits_used[page / 64 - 1] == ~0ull) {
            run = 0;
            page -= 63; /* a whole word of used pages */
            continue;
        }
        run = bit_get(bits_used, page - 1) ? 0 : run + 1;
        if (run == count) {
            return page - 1;
        }
    }
    return 0;
}

uint64_t cella_pages_map(uint64_t count, bool commit)
{
    uint64_t address = 0;
    if (count == 0 || count > page_count) {
        return 0;
    }
    cella_lock_take(&memory_lock);
    const uint64_t first = run_find(count);
    if (first != 0) {
        range_take(first, count);
        if (!commit || range_prepare(first, count)) {
            address = page_address(first);
        } else {
            range_release(first, count);
        }
    }
    cella_lock_give(&memory_lock);
    return address;
}

static bool range_of(uint64_t address, uint64_t count, uint64_t *ret_first)
{
    const uint64_t offset = address - cella_kernel.heap;
    if (address < cella_kernel.heap || address % SGX_PAGE_SIZE != 0) {
        return false;
    }
    const uint64_t first = offset / SGX_PAGE_SIZE;
    if (first < page_first || first > page_count || count > page_count - first) {
        return false;
    }
    *ret_first = first;
    return true;
}

bool cella_pages_in_heap(uint64_t address, uint64_t count)
{
    uint64_t first;
    return range_of(address, count, &first);
}

bool cella_pages_map_at(uint64_t address, uint64_t count, bool commit, bool replace)
{
    uint64_t first;
    if (count == 0 || !range_of(address, count, &first)) {
        return false;
    }
    cella_lock_take(&memory_lock);
    bool done = true;
    for (uint64_t i = 0; i < count && !replace; i++) {
        done = done && !bit_get(bits_used, first + i);
    }
    if (done) {
        range_take(first, count);
        done = !commit || range_prepare(first, count);
    }
    cella_lock_give(&memory_lock);
    return done;
}

bool cella_pages_commit(uint64_t address, uint64_t count)
{
    uint64_t first;
    if (!range_of(address, count, &first)) {
        return false;
    }
    bool done = true;
    cella_lock_take(&memory_lock);
    for (uint64_t i = 0; i < count && done; i++) {
        done = bit_get(bits_used, first + i);
    }
    done = done && range_prepare(first, count);
    cella_lock_give(&memory_lock);
    return done;
}

bool cella_pages_unmap(uint64_t address, uint64_t count)
{
    uint64_t first;
    if (!range_of(address, count, &first)) {
        return false;
    }
    cella_lock_take(&memory_lock);
    range_release(first, count);
    cella_lock_give(&memory_lock);
    return true;
}

/* The pages are gone: the next use adds them anew. */
void cella_pages_forget(uint64_t address, uint64_t count)
{
    uint64_t first;
    if (!range_of(address, count, &first)) {
        return;
    }
    cella_lock_take(&memory_lock);
    for (uint64_t i = 0; i < count; i++) {
        bit_set(bits_ready, first + i, false);
        bit_set(bits_present, first + i, false);
    }
    cella_lock_give(&memory_lock);
}

/* How many pages from `address` on, of `count`, exist as the first one does, or not. 0: no pages of the heap. */
uint64_t cella_pages_alike(uint64_t address, uint64_t count, bool *ret_present)
{
    uint64_t first, alike = 0;
    if (!range_of(address, count, &first)) {
        return 0;
    }
    cella_lock_take(&memory_lock);
    const bool present = bit_get(bits_present, first);
    while (alike < count && bit_get(bits_present, first + alike) == present) {
        alike++;
    }
    cella_lock_give(&memory_lock);
    *ret_present = present;
    return alike;
}

/* MADV_DONTNEED: the pages stay taken and read as zeros. */
bool cella_pages_clear(uint64_t address, uint64_t count)
{
    uint64_t first;
    if (!range_of(address, count, &first)) {
        return false;
    }
    cella_lock_take(&memory_lock);
    for (uint64_t i = 0; i < count; i++) {
        if (bit_get(bits_used, first + i) && bit_get(bits_ready, first + i)) {
            cella_zero((void *)page_address(first + i), SGX_PAGE_SIZE);
        }
    }
    cella_lock_give(&memory_lock);
    return true;
}

/* brk: the new break when it could be moved to `wanted` (0: where is it), else the old one. */
uint64_t cella_pages_break(uint64_t wanted)
{
    cella_lock_take(&memory_lock);
    const uint64_t start = page_address(break_start);
    if (page_count > 0 && wanted >= start && wanted - start <= page_count * SGX_PAGE_SIZE) {
        const uint64_t end = break_start + (wanted - start + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
        bool done = end <= page_count;
        for (uint64_t page = break_end; page < end && done; page++) {
            done = !bit_get(bits_used, page);
        }
        if (done && end > break_end) {
            range_take(break_end, end - break_end);
            done = range_prepare(break_end, end - break_end);
            if (!done) {
                range_release(break_end, end - break_end);
            }
        } else if (done && end < break_end) {
            range_release(end, break_end - end);
        }
        if (done) {
            break_end = end;
            break_bytes = wanted - start;
        }
    }
    const uint64_t now = start + break_bytes;
    cella_lock_give(&memory_lock);
    return now;
}

void cella_pages_count(uint64_t *ret_total, uint64_t *ret_used)
{
    cella_lock_take(&memory_lock);
    *ret_total = page_count;
    *ret_used = used_count;
    cella_lock_give(&memory_lock);
}

uint64_t cella_pages_peak(void)
{
    cella_lock_take(&memory_lock);
    const uint64_t peak = peak_count;
    cella_lock_give(&memory_lock);
    return peak;
}

void *cella_pages_new(size_t size)
{
    if (size == 0 || size > (1ull << 46)) {
        return NULL;
    }
    return (void *)cella_pages_map((size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE, true);
}

void cella_pages_free(void *at, size_t size)
{
    if (at) {
        cella_pages_unmap((uint64_t)at, (size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE);
    }
}

int cella_enclave_is_debug(void)
{
    return cella_is_debug();
}

int cella_enclave_inside(const void *at, size_t size)
{
    return cella_inside((uint64_t)at, size);
}

int cella_enclave_outside(const void *at, size_t size)
{
    return cella_is_ok(cella_span_check((uint64_t)at, size));
}
