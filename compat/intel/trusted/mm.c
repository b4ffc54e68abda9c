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
#include "compat/intel/settings.h"

#define PAGE 4096ul
#define ALIGNMENT_LEAST 12u
#define BASIC (SGX_EMA_PROT_READ | SGX_EMA_PROT_WRITE)
#define PAGE_THERE 0x80u
#define FAULT_WRITE 0x2u /* of a page fault's error code */

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
static size_t g_taken; /* bytes of all regions */

extern const volatile struct intel_settings_object intel_settings;

/* Where the configuration says how much there may be. */
static bool user_region_holds(size_t size)
{
    const size_t limit = intel_settings.user_region;
    return limit == 0 || (size <= limit && g_taken <= limit - size);
}

/* The region that holds a page; the offset in pages. */
static struct region *region_of(const void *at, size_t *ret_first)
{
    for (struct region *region = g_regions; region; region = region->next) {
        const size_t offset = (size_t)at - (size_t)region->start;
        if (offset < region->count * PAGE) {
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

/* ------------------------------------------------------------------- faults */

/*
 * What a fault in a region is: for its handler when there is one, else a page that comes at its first use, or one that has
 * got its rights meanwhile.
 */
static bool fault_take(const struct cella_exception *exception,
                       sgx_enclave_fault_handler_t *ret_handler, void **ret_private)
{
    const uint32_t wanted =
        (exception->error & FAULT_WRITE) != 0 ? SGX_EMA_PROT_WRITE : SGX_EMA_PROT_READ;
    bool done = false;
    size_t first = 0;
    *ret_handler = NULL;
    pthread_mutex_lock(&g_lock);
    struct region *region = region_of((const void *)(exception->address & ~(PAGE - 1)), &first);
    if (region && region->handler) {
        *ret_handler = region->handler;
        *ret_private = region->handler_private;
    } else if (region && (region->pages[first] & PAGE_THERE) != 0) {
        done = (region->pages[first] & wanted) != 0;
    } else if (region && (region->flags & SGX_EMA_COMMIT_ON_DEMAND) != 0) {
        done = pages_fill(region, first, 1) == 0;
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
    if (fault_take(exception, &handler, &handler_private)) {
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

/* ------------------------------------------------------------------- ranges */

typedef int (*part_fn)(struct region *region, size_t first, size_t count, uint32_t argument);

/* Does something with each region's part of a range, from low to high; EINVAL where there is no region. Under the lock. */
static int parts_each(uint8_t *at, size_t count, uint32_t argument, part_fn act)
{
    while (count > 0) {
        size_t first = 0;
        struct region *region = region_of(at, &first);
        if (!region) {
            return EINVAL;
        }
        const size_t left = region->count - first;
        const size_t part = count < left ? count : left;
        const int error = act(region, first, part, argument);
        if (error != 0) {
            return error;
        }
        at += part * PAGE;
        count -= part;
    }
    return 0;
}

/* All parts are looked at before the first one is changed. */
static int with_parts(void *addr, size_t length, uint32_t argument, part_fn check, part_fn act)
{
    if (!is_page_range(addr, length)) {
        return EINVAL;
    }
    pthread_mutex_lock(&g_lock);
    int error = parts_each(addr, length / PAGE, argument, check);
    if (error == 0) {
        error = parts_each(addr, length / PAGE, argument, act);
    }
    pthread_mutex_unlock(&g_lock);
    return error;
}

static int check_any(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)region;
    (void)first;
    (void)count;
    (void)argument;
    return 0;
}

static int check_usable(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)first;
    (void)count;
    (void)argument;
    return (region->flags & SGX_EMA_RESERVE) != 0 ? EACCES : 0;
}

/* ------------------------------------------------------------------- taking and giving back */

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

static void region_add(struct region *region)
{
    region->next = g_regions;
    g_regions = region;
    g_taken += region->count * PAGE;
}

static void region_remove(struct region *region)
{
    struct region **at = &g_regions;
    while (*at != region) {
        at = &(*at)->next;
    }
    *at = region->next;
    g_taken -= region->count * PAGE;
    free(region);
}

/* Drops the pages of a part and forgets it; their addresses stay taken. */
static int act_cut(struct region *region, size_t first, size_t count, uint32_t argument)
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
    region_remove(region);
    if (head) {
        region_add(head);
    }
    if (tail) {
        region_add(tail);
    }
    return 0;
}

static int act_dealloc(struct region *region, size_t first, size_t count, uint32_t argument)
{
    uint8_t *start = region->start + first * PAGE;
    const int error = act_cut(region, first, count, argument);
    if (error == 0) {
        cella_pages_release(start, count * PAGE);
    }
    return error;
}

static int check_reserved(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)first;
    (void)count;
    (void)argument;
    return (region->flags & SGX_EMA_RESERVE) != 0 ? 0 : EEXIST;
}

static bool flags_are_good(uint32_t flags)
{
    const uint32_t kind = flags & (SGX_EMA_RESERVE | SGX_EMA_COMMIT_NOW | SGX_EMA_COMMIT_ON_DEMAND);
    const uint32_t type = flags & SGX_EMA_PAGE_TYPE_MASK;
    return kind != 0 && (kind & (kind - 1)) == 0 &&
           (flags & (SGX_EMA_GROWSDOWN | SGX_EMA_GROWSUP)) !=
               (SGX_EMA_GROWSDOWN | SGX_EMA_GROWSUP) &&
           (type == 0 || type == SGX_EMA_PAGE_TYPE_REG);
}

/* At an address: where nothing is, or what is only reserved. */
static int space_take_at(void *addr, size_t size)
{
    if (parts_each(addr, size / PAGE, 0, check_reserved) == 0) {
        return parts_each(addr, size / PAGE, 0, act_cut);
    }
    const cella_result result = cella_pages_reserve_at(addr, size);
    if (cella_is_ok(result)) {
        return 0;
    }
    return result.code == CELLA_CODE_ALREADY_EXISTS ? EEXIST : EPERM;
}

static int space_take(void *addr, size_t size, uint32_t flags, void **ret_at)
{
    const uint32_t shift = (flags & SGX_EMA_ALIGNMENT_MASK) >> SGX_EMA_ALIGNMENT_SHIFT;
    const size_t alignment = 1ul << (shift > ALIGNMENT_LEAST ? shift : ALIGNMENT_LEAST);
    if (addr) {
        const int error = (size_t)addr % alignment == 0 ? space_take_at(addr, size) : EINVAL;
        if (error == 0) {
            *ret_at = addr;
        }
        if (error == 0 || (flags & SGX_EMA_FIXED) != 0) {
            return error;
        }
    }
    return cella_is_ok(cella_pages_reserve(size, alignment, ret_at)) ? 0 : ENOMEM;
}

/* Under the lock. */
static int region_fill(struct region *region, void *addr)
{
    void *at = NULL;
    const size_t size = region->count * PAGE;
    if (!faults_watched() || !user_region_holds(size)) {
        return ENOMEM;
    }
    int error = space_take(addr, size, region->flags, &at);
    if (error != 0) {
        return error;
    }
    region->start = at;
    if ((region->flags & SGX_EMA_COMMIT_NOW) != 0) {
        error = pages_fill(region, 0, region->count);
    } else { /* the first touch of a page is a fault, where the processor can take pages away */
        const cella_result result = cella_pages_vacate(at, size);
        error = cella_is_ok(result) || result.code == CELLA_CODE_UNSUPPORTED ? 0 : ENOMEM;
    }
    if (error != 0) {
        cella_pages_release(at, size);
        return error;
    }
    region_add(region);
    return 0;
}

int sgx_mm_alloc(void *addr, size_t length, int flags, sgx_enclave_fault_handler_t handler,
                 void *handler_private, void **out_addr)
{
    const uint32_t shift = ((uint32_t)flags & SGX_EMA_ALIGNMENT_MASK) >> SGX_EMA_ALIGNMENT_SHIFT;
    if (length == 0 || length % PAGE != 0 || !flags_are_good((uint32_t)flags) ||
        (size_t)addr % PAGE != 0 || (shift != 0 && shift < ALIGNMENT_LEAST) || shift >= 48) {
        return EINVAL;
    }
    if (addr && !cella_enclave_inside(addr, length)) {
        return EACCES;
    }
    struct region *region = calloc(1, sizeof(*region) + length / PAGE);
    if (!region) {
        return ENOMEM;
    }
    region->count = length / PAGE;
    region->flags = (uint32_t)flags;
    region->handler = handler;
    region->handler_private = handler_private;
    pthread_mutex_lock(&g_lock);
    const int error = region_fill(region, addr);
    if (error == 0 && out_addr) {
        *out_addr = region->start;
    }
    pthread_mutex_unlock(&g_lock);
    if (error != 0) {
        free(region);
    }
    return error;
}

/* Unlike the other calls this one takes ranges with holes; EINVAL when there is nothing in them at all. */
int sgx_mm_dealloc(void *addr, size_t length)
{
    int error = EINVAL;
    if (!is_page_range(addr, length) || !cella_enclave_inside(addr, length)) {
        return EINVAL;
    }
    pthread_mutex_lock(&g_lock);
    for (uint8_t *at = addr, *end = at + length; at < end;) {
        size_t first = 0;
        struct region *region = region_of(at, &first);
        if (!region) {
            at += PAGE;
            continue;
        }
        const size_t left = region->count - first;
        const size_t wanted = (size_t)(end - at) / PAGE;
        const size_t part = wanted < left ? wanted : left;
        error = act_dealloc(region, first, part, 0);
        if (error != 0) {
            break;
        }
        at += part * PAGE;
    }
    pthread_mutex_unlock(&g_lock);
    return error;
}

/* ------------------------------------------------------------------- pages */

static int act_commit(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)argument;
    return pages_fill(region, first, count);
}

int sgx_mm_commit(void *addr, size_t length)
{
    return with_parts(addr, length, 0, check_usable, act_commit);
}

static int act_uncommit(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)argument;
    return pages_drop(region, first, count);
}

int sgx_mm_uncommit(void *addr, size_t length)
{
    return with_parts(addr, length, 0, check_usable, act_uncommit);
}

static int check_there(struct region *region, size_t first, size_t count, uint32_t argument)
{
    for (size_t i = first; i < first + count; i++) {
        if ((region->pages[i] & PAGE_THERE) == 0) {
            return EINVAL;
        }
    }
    return check_usable(region, first, count, argument);
}

int sgx_mm_modify_permissions(void *addr, size_t length, int prot)
{
    if ((prot & ~SGX_EMA_PROT_MASK) != 0 ||
        ((prot & SGX_EMA_PROT_READ) == 0 && (prot & SGX_EMA_PROT_MASK) != 0)) {
        return EINVAL;
    }
    return with_parts(addr, length, (uint32_t)prot, check_there, pages_protect);
}

/* A page that becomes a TCS would be a door that the kernel knows nothing of: only what is wrong anyway has its own code. */
static int refuse_type(struct region *region, size_t first, size_t count, uint32_t argument)
{
    (void)count;
    (void)argument;
    return region->pages[first] == (PAGE_THERE | BASIC) ? ENOSYS : EACCES;
}

int sgx_mm_modify_type(void *addr, size_t length, int type)
{
    if (type != SGX_EMA_PAGE_TYPE_TCS) {
        return EPERM;
    }
    return length == PAGE ? with_parts(addr, length, 0, refuse_type, check_any) : EINVAL;
}

static int check_empty(struct region *region, size_t first, size_t count, uint32_t argument)
{
    if (check_usable(region, first, count, argument) != 0) {
        return EACCES;
    }
    if ((region->flags & SGX_EMA_COMMIT_ON_DEMAND) == 0) {
        return EINVAL;
    }
    for (size_t i = first; i < first + count; i++) {
        if ((region->pages[i] & PAGE_THERE) != 0) {
            return EACCES;
        }
    }
    return 0;
}

int sgx_mm_commit_data(void *addr, size_t length, uint8_t *data, int prot)
{
    if (!data || (size_t)data % PAGE != 0 || (prot & ~SGX_EMA_PROT_MASK) != 0 ||
        !cella_enclave_inside(data, length)) {
        return EINVAL;
    }
    int error = with_parts(addr, length, 0, check_empty, act_commit);
    if (error == 0) {
        memcpy(addr, data, length);
        error = sgx_mm_modify_permissions(addr, length, prot);
    }
    return error;
}
