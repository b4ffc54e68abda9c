/*
 * sgx_rsrv_mem_mngr.h: reserved memory is a region of the heap's address space, taken at the first use, whose pages are
 * added and given rights as they are asked for.
 * Side: enclave. Called by applications.
 */
#include "sgx_rsrv_mem_mngr.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cella/pages.h"
#include "compat/intel/settings.h"

#define PAGE 4096u
#define BASIC (SGX_PROT_READ | SGX_PROT_WRITE)

extern const volatile struct intel_settings_object intel_settings;

/* For each page: rights, and whether it is somebody's. */
#define PAGE_TAKEN 0x80u

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *g_start;
static uint8_t *g_pages;
static size_t g_count;

/* Under the lock. 0 when the image has no reserved memory, or there is no room for it. */
static int region_ready(void)
{
    const size_t size = intel_settings.reserved_max;
    void *at;
    if (g_start) {
        return 1;
    }
    if (size == 0 || !cella_is_ok(cella_pages_reserve(size, PAGE, &at))) {
        return 0;
    }
    g_pages = calloc(size / PAGE, 1);
    if (!g_pages) {
        cella_pages_release(at, size);
        return 0;
    }
    g_start = at;
    g_count = size / PAGE;
    return 1;
}

/* Pages [first, first + count) when `at` and `size` name some of the region. */
static int range_of(const void *at, size_t size, size_t *ret_first, size_t *ret_count)
{
    const size_t offset = (size_t)at - (size_t)g_start;
    if (!at || size == 0 || size % PAGE != 0 || (size_t)at % PAGE != 0 || !g_start ||
        offset > g_count * PAGE || size > g_count * PAGE - offset) {
        return 0;
    }
    *ret_first = offset / PAGE;
    *ret_count = size / PAGE;
    return 1;
}

static int all_are(size_t first, size_t count, uint8_t taken)
{
    for (size_t i = 0; i < count; i++) {
        if ((g_pages[first + i] & PAGE_TAKEN) != taken) {
            return 0;
        }
    }
    return 1;
}

static size_t run_find(size_t count)
{
    for (size_t first = 0; count <= g_count && first <= g_count - count; first++) {
        if (all_are(first, count, 0)) {
            return first;
        }
    }
    return g_count;
}

sgx_status_t sgx_get_rsrv_mem_info(void **start_addr, size_t *max_size)
{
    if (!start_addr && !max_size) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    pthread_mutex_lock(&g_lock);
    const int ready = region_ready();
    pthread_mutex_unlock(&g_lock);
    if (start_addr) {
        *start_addr = ready ? g_start : NULL;
    }
    if (max_size) {
        *max_size = ready ? g_count * PAGE : 0;
    }
    return SGX_SUCCESS;
}

/* Pages come with the rights of the image's configuration, zeroed. */
static int pages_take(size_t first, size_t count)
{
    uint8_t *at = g_start + first * PAGE;
    const size_t size = count * PAGE;
    uint32_t rights = BASIC;
    if (!cella_is_ok(cella_pages_fill(at, size))) {
        return 0;
    }
    if ((intel_settings.flags & INTEL_SETTINGS_RESERVED_EXECUTABLE) != 0 &&
        cella_is_ok(cella_pages_protect(at, size, rights, rights | SGX_PROT_EXEC))) {
        rights |= SGX_PROT_EXEC;
    }
    memset(g_pages + first, (int)(PAGE_TAKEN | rights), count);
    return 1;
}

static void *allocate(void *desired, size_t length)
{
    size_t first = 0, count = length / PAGE;
    if (!region_ready()) {
        return NULL;
    }
    if (desired) {
        if (!range_of(desired, length, &first, &count) || !all_are(first, count, 0)) {
            return NULL;
        }
    } else {
        first = run_find(count);
        if (first == g_count) {
            return NULL;
        }
    }
    return pages_take(first, count) ? g_start + first * PAGE : NULL;
}

void *sgx_alloc_rsrv_mem_ex(void *desired_addr, size_t length)
{
    if (length == 0 || length % PAGE != 0 || (size_t)desired_addr % PAGE != 0) {
        errno = EINVAL;
        return NULL;
    }
    pthread_mutex_lock(&g_lock);
    void *at = allocate(desired_addr, length);
    pthread_mutex_unlock(&g_lock);
    if (!at) {
        errno = ENOMEM;
    }
    return at;
}

void *sgx_alloc_rsrv_mem(size_t length)
{
    return sgx_alloc_rsrv_mem_ex(NULL, length);
}

/* Without SGX2 the pages stay, and the next owner finds them zeroed. */
static int pages_give(size_t first, size_t count)
{
    uint8_t *at = g_start + first * PAGE;
    if (!cella_is_ok(cella_pages_drop(at, count * PAGE))) {
        for (size_t i = 0; i < count; i++) {
            if ((g_pages[first + i] & BASIC) != BASIC) {
                return 0;
            }
        }
        memset(at, 0, count * PAGE);
    }
    memset(g_pages + first, 0, count);
    return 1;
}

int sgx_free_rsrv_mem(void *addr, size_t length)
{
    size_t first, count;
    pthread_mutex_lock(&g_lock);
    const int good = range_of(addr, length, &first, &count) && all_are(first, count, PAGE_TAKEN) &&
                     pages_give(first, count);
    pthread_mutex_unlock(&g_lock);
    if (!good) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

static sgx_status_t protect(size_t first, size_t count, uint32_t prot)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t from = g_pages[first + i] & 7u;
        if (from == prot) {
            continue;
        }
        const cella_result result =
            cella_pages_protect(g_start + (first + i) * PAGE, PAGE, from, prot);
        if (!cella_is_ok(result)) {
            return result.code == CELLA_CODE_UNSUPPORTED ? SGX_ERROR_UNSUPPORTED_FUNCTION
                                                         : SGX_ERROR_UNEXPECTED;
        }
        g_pages[first + i] = (uint8_t)(PAGE_TAKEN | prot);
    }
    return SGX_SUCCESS;
}

sgx_status_t sgx_tprotect_rsrv_mem(void *addr, size_t length, int prot)
{
    size_t first, count;
    if ((prot & ~(SGX_PROT_READ | SGX_PROT_WRITE | SGX_PROT_EXEC)) != 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    pthread_mutex_lock(&g_lock);
    const sgx_status_t status =
        range_of(addr, length, &first, &count) && all_are(first, count, PAGE_TAKEN)
            ? protect(first, count, (uint32_t)prot)
            : SGX_ERROR_INVALID_PARAMETER;
    pthread_mutex_unlock(&g_lock);
    return status;
}
