/*
 * sgx_mm.h: regions of the heap's address space with pages that come, go and change rights, and handlers of their faults.
 * Side: enclave. Called by applications; faults come from enclave/exception.c.
 * Never keeps its lock while a handler runs.
 */
#include "sgx_mm.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "cella/pages.h"

#define PAGE 4096ul
#define ALIGNMENT_LEAST 12u
#define BASIC (SGX_EMA_PROT_READ | SGX_EMA_PROT_WRITE)
#define PAGE_THERE 0x80u

struct region {
    struct region *next;
    uint8_t *start;
    size_t count;
    uint32_t flags;
    sgx_enclave_fault_handler_t handler;
    void *handler_private;
    uint8_t pages[]; /* rights, PAGE_THERE */
};

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *g_regions;

/* The region that holds all of the pages; offsets in pages. */
static struct region *region_of(const void *at, size_t size, size_t *ret_first)
{
    for (struct region *region = g_regions; region; region = region->next) {
        const size_t offset = (size_t)at - (size_t)region->start;
        if (offset < region->count * PAGE && size <= region->count * PAGE - offset) {
            *ret_first = offset / PAGE;
            return region;
        }
    }
    return NULL;
}

static bool is_page_range(const void *at, size_t size)
{
    return at && (size_t)at % PAGE == 0 && size != 0 && size % PAGE == 0;
}

static int pages_fill(struct region *region, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if ((region->pages[i] & PAGE_THERE) != 0) {
            continue;
        }
        if (!cella_is_ok(cella_pages_fill(region->start + i * PAGE, PAGE))) {
            return ENOMEM;
        }
        region->pages[i] = PAGE_THERE | BASIC;
    }
    return 0;
}

static int pages_drop(struct region *region, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if ((region->pages[i] & PAGE_THERE) == 0) {
            continue;
        }
        const cella_result result = cella_pages_drop(region->start + i * PAGE, PAGE);
        if (!cella_is_ok(result)) {
            if (result.code != CELLA_CODE_UNSUPPORTED || (region->pages[i] & BASIC) != BASIC) {
                return EFAULT;
            }
            memset(region->start + i * PAGE, 0, PAGE);
        }
        region->pages[i] = 0;
    }
    return 0;
}

static int pages_protect(struct region *region, size_t first, size_t count, uint32_t prot)
{
    for (size_t i = first; i < first + count; i++) {
        const uint32_t from = region->pages[i] & SGX_EMA_PROT_MASK;
        if (from == prot) {
            continue;
        }
        const cella_result result = cella_pages_protect(region->start + i * PAGE, PAGE, from, prot);
        if (!cella_is_ok(result)) {
            return result.code == CELLA_CODE_UNSUPPORTED ? ENOSYS : EFAULT;
        }
        region->pages[i] = (uint8_t)(PAGE_THERE | prot);
    }
    return 0;
}

static bool all_there(const struct region *region, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if ((region->pages[i] & PAGE_THERE) == 0) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------- faults */

/* What a fault in a region is: a page that comes at its first use, or something for its handler. */
static bool fault_take(uint64_t address, sgx_enclave_fault_handler_t *ret_handler,
                       void **ret_private)
{
    bool done = false;
    size_t first = 0;
    *ret_handler = NULL;
    pthread_mutex_lock(&g_lock);
    struct region *region = region_of((const void *)(address & ~(PAGE - 1)), PAGE, &first);
    if (region) {
        const bool there = (region->pages[first] & PAGE_THERE) != 0;
        if (!there && (region->flags & SGX_EMA_COMMIT_ON_DEMAND) != 0) {
            done = pages_fill(region, first, 1) == 0;
        } else if (region->handler) {
            *ret_handler = region->handler;
            *ret_private = region->handler_private;
        }
    }
    pthread_mutex_unlock(&g_lock);
    return done;
}

static enum cella_exception_verdict on_fault(struct cella_exception *exception)
{
    sgx_enclave_fault_handler_t handler;
    void *handler_private;
    if (exception->vector != 14 || exception->address == 0) {
        return CELLA_EXCEPTION_NOT_MINE;
    }
    if (fault_take(exception->address, &handler, &handler_private)) {
        return CELLA_EXCEPTION_CONTINUE;
    }
    if (!handler) {
        return CELLA_EXCEPTION_NOT_MINE;
    }
    sgx_pfinfo info = {.maddr = exception->address};
    info.pfec.errcd = exception->error;
    return handler(&info, handler_private) == SGX_MM_EXCEPTION_CONTINUE_EXECUTION
               ? CELLA_EXCEPTION_CONTINUE
               : CELLA_EXCEPTION_NOT_MINE;
}

/* Under the lock. */
static bool faults_watched(void)
{
    static bool watched;
    watched = watched || cella_is_ok(cella_exception_add(on_fault, 1));
    return watched;
}

/* ------------------------------------------------------------------- regions */

static bool flags_are_good(uint32_t flags)
{
    const uint32_t kind = flags & (SGX_EMA_RESERVE | SGX_EMA_COMMIT_NOW | SGX_EMA_COMMIT_ON_DEMAND);
    const uint32_t type = flags & SGX_EMA_PAGE_TYPE_MASK;
    return kind != 0 && (kind & (kind - 1)) == 0 &&
           (flags & (SGX_EMA_GROWSDOWN | SGX_EMA_GROWSUP)) !=
               (SGX_EMA_GROWSDOWN | SGX_EMA_GROWSUP) &&
           (type == 0 || type == SGX_EMA_PAGE_TYPE_REG);
}

static int space_take(void *addr, size_t size, uint32_t flags, void **ret_at)
{
    const uint32_t shift = (flags & SGX_EMA_ALIGNMENT_MASK) >> SGX_EMA_ALIGNMENT_SHIFT;
    const size_t alignment = 1ul << (shift > ALIGNMENT_LEAST ? shift : ALIGNMENT_LEAST);
    if (shift >= 48 || (size_t)addr % alignment != 0) {
        return EINVAL;
    }
    if (addr) {
        const cella_result at = cella_pages_reserve_at(addr, size);
        if (cella_is_ok(at)) {
            *ret_at = addr;
            return 0;
        }
        if ((flags & SGX_EMA_FIXED) != 0) {
            return at.code == CELLA_CODE_ALREADY_EXISTS ? EEXIST : EPERM;
        }
    }
    return cella_is_ok(cella_pages_reserve(size, alignment, ret_at)) ? 0 : ENOMEM;
}

static int region_add(struct region *region)
{
    int error = 0;
    pthread_mutex_lock(&g_lock);
    if (!faults_watched()) {
        error = ENOMEM;
    } else if ((region->flags & SGX_EMA_COMMIT_NOW) != 0) {
        error = pages_fill(region, 0, region->count);
    }
    if (error == 0) {
        region->next = g_regions;
        g_regions = region;
    }
    pthread_mutex_unlock(&g_lock);
    return error;
}

int sgx_mm_alloc(void *addr, size_t length, int flags, sgx_enclave_fault_handler_t handler,
                 void *handler_private, void **out_addr)
{
    void *at = NULL;
    const size_t size = (length + PAGE - 1) & ~(PAGE - 1);
    if (length == 0 || size < length || !flags_are_good((uint32_t)flags) ||
        (size_t)addr % PAGE != 0) {
        return EINVAL;
    }
    struct region *region = calloc(1, sizeof(*region) + size / PAGE);
    if (!region) {
        return ENOMEM;
    }
    int error = space_take(addr, size, (uint32_t)flags, &at);
    if (error == 0) {
        region->start = at;
        region->count = size / PAGE;
        region->flags = (uint32_t)flags;
        region->handler = handler;
        region->handler_private = handler_private;
        error = region_add(region);
        if (error != 0) {
            cella_pages_release(at, size);
        }
    }
    if (error != 0) {
        free(region);
        return error;
    }
    if (out_addr) {
        *out_addr = at;
    }
    return 0;
}

typedef int (*pages_fn)(struct region *region, size_t first, size_t count, uint32_t argument);

static int with_pages(void *addr, size_t length, uint32_t argument, pages_fn act)
{
    size_t first = 0;
    if (!is_page_range(addr, length)) {
        return EINVAL;
    }
    pthread_mutex_lock(&g_lock);
    struct region *region = region_of(addr, length, &first);
    const int error = region ? act(region, first, length / PAGE, argument) : EINVAL;
    pthread_mutex_unlock(&g_lock);
    return error;
}

static int act_commit(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)argument;
    return (region->flags & SGX_EMA_RESERVE) != 0 ? EACCES : pages_fill(region, first, count);
}

int sgx_mm_commit(void *addr, size_t length)
{
    return with_pages(addr, length, 0, act_commit);
}

static int act_uncommit(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)argument;
    return (region->flags & SGX_EMA_RESERVE) != 0 ? EINVAL : pages_drop(region, first, count);
}

int sgx_mm_uncommit(void *addr, size_t length)
{
    return with_pages(addr, length, 0, act_uncommit);
}

static int act_protect(struct region *region, size_t first, size_t count, uint32_t prot)
{
    if (!all_there(region, first, count)) {
        return EINVAL;
    }
    return pages_protect(region, first, count, prot);
}

int sgx_mm_modify_permissions(void *addr, size_t length, int prot)
{
    if ((prot & ~SGX_EMA_PROT_MASK) != 0 ||
        ((prot & SGX_EMA_PROT_READ) == 0 && (prot & SGX_EMA_PROT_MASK) != 0)) {
        return EINVAL;
    }
    return with_pages(addr, length, (uint32_t)prot, act_protect);
}

/* A page that becomes a TCS would be a door that the kernel knows nothing of. */
int sgx_mm_modify_type(void *addr, size_t length, int type)
{
    if (!is_page_range(addr, length) || type != SGX_EMA_PAGE_TYPE_TCS) {
        return EINVAL;
    }
    return ENOSYS;
}

int sgx_mm_commit_data(void *addr, size_t length, uint8_t *data, int prot)
{
    if (!data || (prot & ~SGX_EMA_PROT_MASK) != 0 || !cella_enclave_inside(data, length)) {
        return EINVAL;
    }
    int error = sgx_mm_commit(addr, length);
    if (error == 0) {
        memcpy(addr, data, length);
        error = sgx_mm_modify_permissions(addr, length, prot);
    }
    return error;
}

/* Part of a region may go: what is left on its sides becomes regions of their own. */
static struct region *region_part(const struct region *from, size_t first, size_t count)
{
    struct region *part = calloc(1, sizeof(*part) + count);
    if (part) {
        *part = *from;
        part->start = from->start + first * PAGE;
        part->count = count;
        memcpy(part->pages, from->pages + first, count);
    }
    return part;
}

static void region_remove(struct region *region)
{
    struct region **at = &g_regions;
    while (*at != region) {
        at = &(*at)->next;
    }
    *at = region->next;
    free(region);
}

static int act_dealloc(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)argument;
    const size_t after = region->count - first - count;
    struct region *head = first > 0 ? region_part(region, 0, first) : NULL;
    struct region *tail = after > 0 ? region_part(region, first + count, after) : NULL;
    int error = (first > 0 && !head) || (after > 0 && !tail) ? ENOMEM : 0;
    error = error == 0 ? pages_drop(region, first, count) : error;
    if (error != 0) {
        free(head);
        free(tail);
        return error;
    }
    cella_pages_release(region->start + first * PAGE, count * PAGE);
    region_remove(region);
    if (head) {
        head->next = g_regions;
        g_regions = head;
    }
    if (tail) {
        tail->next = g_regions;
        g_regions = tail;
    }
    return 0;
}

int sgx_mm_dealloc(void *addr, size_t length)
{
    return with_pages(addr, length, 0, act_dealloc);
}
