/*
 * sgx_rsrv_mem_mngr.h, sgx_mm.h, sgx_secure_align_api.h and the heap.
 * Side: enclave, tests. Each function gives 0 or the line that failed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api_t.h"
#include "check.h"
#include "sgx_mm.h"
#include "sgx_rsrv_mem_mngr.h"
#include "sgx_secure_align_api.h"
#include "sgx_trts.h"
#include "sgx_trts_exception.h"

#define PAGE 4096u
#define RESERVED (16 * PAGE) /* ReservedMemMaxSize of api.config.xml */

static int all_zero(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] != 0) {
            return 0;
        }
    }
    return 1;
}

/* A write that faults is skipped: movb $1, (%rax) has three bytes. */
static volatile unsigned skipped;
static volatile uint64_t skipped_at;
static int skip_write(sgx_exception_info_t *info)
{
    if (info->exception_vector != SGX_EXCEPTION_VECTOR_PF) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    skipped++;
    skipped_at = info->exinfo.faulting_address;
    info->cpu_context.rip += 3;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static void write_byte(volatile uint8_t *at)
{
    __asm__ volatile("movb $1, (%%rax)" : : "a"(at) : "memory");
}

int test_reserved(void)
{
    void *start = NULL;
    size_t size = 0;
    BAD_PARAMETER(sgx_get_rsrv_mem_info(NULL, NULL));
    GOOD(sgx_get_rsrv_mem_info(&start, &size));
    CHECK(size == RESERVED && sgx_is_within_enclave(start, size));
    uint8_t *a = sgx_alloc_rsrv_mem(2 * PAGE);
    CHECK(a && a >= (uint8_t *)start && a + 2 * PAGE <= (uint8_t *)start + size);
    CHECK(all_zero(a, 2 * PAGE));
    memset(a, 0xEE, 2 * PAGE);
    errno = 0;
    CHECK(sgx_alloc_rsrv_mem_ex(a, PAGE) == NULL && errno == ENOMEM);
    uint8_t *b = sgx_alloc_rsrv_mem_ex((uint8_t *)start + 8 * PAGE, PAGE);
    CHECK(b == (uint8_t *)start + 8 * PAGE);
    errno = 0;
    CHECK(sgx_alloc_rsrv_mem(PAGE + 1) == NULL && errno == EINVAL);
    CHECK(sgx_alloc_rsrv_mem(0) == NULL && sgx_alloc_rsrv_mem(RESERVED) == NULL);
    CHECK(sgx_alloc_rsrv_mem_ex(b + 1, PAGE) == NULL);
    /* Rights: a page that may not be written faults, one that may be run runs. */
    void *handler = sgx_register_exception_handler(1, skip_write);
    CHECK(handler != NULL);
    GOOD(sgx_tprotect_rsrv_mem(b, PAGE, SGX_PROT_READ));
    write_byte(b);
    CHECK(skipped == 1 && b[0] == 0);
    GOOD(sgx_tprotect_rsrv_mem(b, PAGE, SGX_PROT_READ | SGX_PROT_WRITE));
    static const uint8_t code[] = {0xB8, 0x2A, 0, 0, 0, 0xC3}; /* mov $42, %eax; ret */
    memcpy(b, code, sizeof(code));
    GOOD(sgx_tprotect_rsrv_mem(b, PAGE, SGX_PROT_READ | SGX_PROT_EXEC));
    int (*function)(void);
    memcpy(&function, &b, sizeof(b));
    CHECK(function() == 42);
    write_byte(b);
    CHECK(skipped == 2);
    skipped = 0;
    CHECK(sgx_unregister_exception_handler(handler) == 1);
    BAD_PARAMETER(sgx_tprotect_rsrv_mem(b, PAGE, 0x80));
    BAD_PARAMETER(sgx_tprotect_rsrv_mem(b, PAGE - 1, SGX_PROT_READ));
    BAD_PARAMETER(sgx_tprotect_rsrv_mem(b + PAGE, PAGE, SGX_PROT_READ)); /* nobody's */
    BAD_PARAMETER(sgx_tprotect_rsrv_mem(&size, PAGE, SGX_PROT_READ));
    /* Freed pages come back empty. */
    CHECK(sgx_free_rsrv_mem(a, 2 * PAGE) == 0 && sgx_free_rsrv_mem(b, PAGE) == 0);
    CHECK(sgx_free_rsrv_mem(b, PAGE) == -1 && sgx_free_rsrv_mem(NULL, PAGE) == -1);
    a = sgx_alloc_rsrv_mem(RESERVED);
    CHECK(a == start && all_zero(a, RESERVED));
    CHECK(sgx_alloc_rsrv_mem(PAGE) == NULL);
    memset(a, 1, RESERVED);
    CHECK(sgx_free_rsrv_mem(a, RESERVED) == 0);
    return 0;
}

/* ------------------------------------------------------------------- sgx_mm */

static volatile unsigned faults;
static int on_fault(const sgx_pfinfo *info, void *data)
{
    faults++;
    return info->pfec.rw && (uint8_t *)info->maddr >= (uint8_t *)data &&
                   sgx_mm_commit((void *)(info->maddr & ~(uint64_t)(PAGE - 1)), PAGE) == 0
               ? SGX_MM_EXCEPTION_CONTINUE_EXECUTION
               : SGX_MM_EXCEPTION_CONTINUE_SEARCH;
}

static int mm_pages(void)
{
    void *at = NULL;
    CHECK(sgx_mm_alloc(NULL, 4 * PAGE, SGX_EMA_COMMIT_NOW, NULL, NULL, &at) == 0);
    uint8_t *bytes = at;
    CHECK(sgx_is_within_enclave(at, 4 * PAGE) && all_zero(bytes, 4 * PAGE));
    memset(bytes, 5, 4 * PAGE);
    CHECK(sgx_mm_uncommit(bytes + PAGE, PAGE) == 0 && sgx_mm_uncommit(bytes + PAGE, PAGE) == 0);
    CHECK(sgx_mm_commit(bytes + PAGE, PAGE) == 0);
    CHECK(all_zero(bytes + PAGE, PAGE) && bytes[0] == 5 && bytes[2 * PAGE] == 5);
    CHECK(sgx_mm_modify_permissions(bytes, PAGE, SGX_EMA_PROT_READ) == 0);
    void *handler = sgx_register_exception_handler(1, skip_write);
    write_byte(bytes + 8);
    CHECK(skipped == 1 && bytes[8] == 5);
    CHECK(skipped_at == (uint64_t)bytes); /* the page: the processor does not tell the host more */
    CHECK(sgx_mm_modify_permissions(bytes, PAGE, SGX_EMA_PROT_READ_WRITE) == 0);
    write_byte(bytes + 8);
    CHECK(skipped == 1 && bytes[8] == 1);
    /* Part of a region goes; its pages fault, the others stay. */
    CHECK(sgx_mm_dealloc(bytes + PAGE, PAGE) == 0);
    write_byte(bytes + PAGE);
    CHECK(skipped == 2 && bytes[2 * PAGE] == 5);
    skipped = 0;
    CHECK(sgx_unregister_exception_handler(handler) == 1);
    CHECK(sgx_mm_dealloc(bytes, 4 * PAGE) == 0 && sgx_mm_dealloc(bytes, PAGE) == EINVAL);
    return 0;
}

static int mm_demand(void)
{
    static uint8_t data[PAGE] __attribute__((aligned(4096)));
    void *at = NULL;
    memset(data, 0x3C, sizeof(data));
    CHECK(sgx_mm_alloc(NULL, 64 * PAGE, SGX_EMA_COMMIT_ON_DEMAND | SGX_EMA_GROWSUP, NULL, NULL,
                       &at) == 0);
    volatile uint8_t *bytes = at;
    bytes[63 * PAGE] = 9;
    CHECK(bytes[63 * PAGE] == 9 && bytes[5] == 0);
    CHECK(sgx_mm_commit_data((uint8_t *)at + 7 * PAGE, PAGE, data, SGX_EMA_PROT_READ) == 0);
    CHECK(bytes[7 * PAGE + 100] == 0x3C);
    CHECK(sgx_mm_commit_data((uint8_t *)at + 7 * PAGE, PAGE, data, SGX_EMA_PROT_READ) == EACCES);
    CHECK(sgx_mm_commit_data((uint8_t *)at + 8 * PAGE, PAGE, data + 1, SGX_EMA_PROT_READ) ==
          EINVAL);
    CHECK(sgx_mm_dealloc(at, 64 * PAGE) == 0);
    /* A handler of its own. */
    CHECK(sgx_mm_alloc(NULL, 4 * PAGE, SGX_EMA_COMMIT_ON_DEMAND, on_fault, (void *)data, &at) == 0);
    CHECK(sgx_mm_dealloc(at, 4 * PAGE) == 0);
    CHECK(sgx_mm_alloc(NULL, 4 * PAGE, SGX_EMA_COMMIT_ON_DEMAND, on_fault, NULL, &at) == 0);
    faults = 0;
    ((volatile uint8_t *)at)[PAGE] = 1;
    ((volatile uint8_t *)at)[PAGE + 1] = 1;
    CHECK(faults == 1);
    CHECK(sgx_mm_dealloc(at, 4 * PAGE) == 0);
    /* Where the heap has been, and left its pages. */
    uint8_t *big = malloc(256 * PAGE);
    CHECK(big != NULL);
    memset(big, 1, 256 * PAGE);
    free(big);
    CHECK(sgx_mm_alloc(NULL, 128 * PAGE, SGX_EMA_COMMIT_ON_DEMAND, on_fault, NULL, &at) == 0);
    ((volatile uint8_t *)at)[64 * PAGE] = 1;
    CHECK(faults == 2);
    CHECK(sgx_mm_dealloc(at, 128 * PAGE) == 0);
    return 0;
}

static int mm_places(void)
{
    void *at = NULL, *fixed = NULL;
    CHECK(sgx_mm_alloc(NULL, 16 * PAGE, SGX_EMA_RESERVE | SGX_EMA_ALIGNMENT_64KB, NULL, NULL,
                       &at) == 0);
    CHECK((uintptr_t)at % 65536 == 0);
    CHECK(sgx_mm_commit(at, PAGE) == EACCES); /* only reserved */
    CHECK(sgx_mm_alloc((uint8_t *)at + PAGE, PAGE, SGX_EMA_COMMIT_NOW | SGX_EMA_FIXED, NULL, NULL,
                       &fixed) == 0);
    CHECK(fixed == (uint8_t *)at + PAGE);
    CHECK(sgx_mm_alloc(fixed, PAGE, SGX_EMA_COMMIT_NOW | SGX_EMA_FIXED, NULL, NULL, &at) == EEXIST);
    CHECK(sgx_mm_dealloc((uint8_t *)fixed - PAGE, 16 * PAGE) == 0);
    return 0;
}

int test_mm(void)
{
    void *at = NULL;
    int line = mm_pages();
    if (line != 0) {
        return line;
    }
    line = mm_demand();
    if (line != 0) {
        return line;
    }
    line = mm_places();
    if (line != 0) {
        return line;
    }
    CHECK(sgx_mm_alloc(NULL, PAGE + 1, SGX_EMA_COMMIT_NOW, NULL, NULL, &at) == EINVAL);
    CHECK(sgx_mm_alloc(NULL, 0, SGX_EMA_COMMIT_NOW, NULL, NULL, &at) == EINVAL);
    CHECK(sgx_mm_alloc(NULL, PAGE, 0, NULL, NULL, &at) == EINVAL);
    CHECK(sgx_mm_alloc(NULL, PAGE, SGX_EMA_COMMIT_NOW | SGX_EMA_RESERVE, NULL, NULL, &at) ==
          EINVAL);
    CHECK(sgx_mm_alloc((void *)0x10000, PAGE, SGX_EMA_COMMIT_NOW, NULL, NULL, &at) == EACCES);
    CHECK(sgx_mm_alloc(NULL, 1ul << 40, SGX_EMA_COMMIT_NOW, NULL, NULL, &at) == ENOMEM);
    CHECK(sgx_mm_commit((void *)0x10000, PAGE) == EINVAL);
    CHECK(sgx_mm_modify_permissions(NULL, PAGE, SGX_EMA_PROT_READ) == EINVAL);
    CHECK(sgx_mm_modify_type((void *)0x10000, PAGE, SGX_EMA_PAGE_TYPE_REG) == EPERM);
    CHECK(sgx_mm_dealloc(NULL, PAGE) == EINVAL);
    return 0;
}

/* ------------------------------------------------------------------- */

/* No secret byte at 0 or 4 to 7 of a cache line. */
static int is_hidden(const void *object, size_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const size_t at = ((uintptr_t)object + offset + i) % 64;
        if (at == 0 || (at >= 4 && at <= 7)) {
            return 0;
        }
    }
    return 1;
}

int test_align(void)
{
    align_req_t secret = {.offset = 16, .len = 32}, two[2] = {{0, 8}, {40, 16}}, wrong = {30, 40};
    uint8_t raw[256];
    for (size_t alignment = 1; alignment <= 256; alignment *= 8) {
        uint8_t *at = sgx_aligned_malloc(64, alignment, &secret, 1);
        CHECK(at == NULL || ((uintptr_t)at % alignment == 0 && is_hidden(at, 16, 32)));
        CHECK(at != NULL || alignment > 8);
        sgx_aligned_free(at);
    }
    uint8_t *at = sgx_aligned_malloc(64, 8, two, 2);
    CHECK(at && is_hidden(at, 0, 8) && is_hidden(at, 40, 16) && all_zero(at, 64));
    sgx_aligned_free(at);
    at = sgx_aligned_malloc(40, 8, NULL, 0);
    CHECK(at && is_hidden(at, 0, 40));
    sgx_aligned_free(at);
    CHECK(sgx_aligned_malloc(64, 8, NULL, 0) == NULL);
    CHECK(sgx_aligned_malloc(64, 8, &wrong, 1) == NULL &&
          sgx_aligned_malloc(0, 8, NULL, 0) == NULL);
    CHECK(sgx_aligned_malloc(64, 24, &secret, 1) == NULL);
    at = sgx_get_aligned_ptr(raw, sizeof(raw), 64, 8, &secret, 1);
    CHECK(at >= raw && at + 64 <= raw + sizeof(raw) && is_hidden(at, 16, 32));
    CHECK(sgx_get_aligned_ptr(raw, 32, 64, 8, &secret, 1) == NULL);
    return 0;
}

int test_heap(void)
{
    void *volatile too_much = malloc(1ull << 40); /* volatile: compilers know malloc */
    CHECK(too_much == NULL);
    uint8_t *big = malloc(4u << 20);
    CHECK(big != NULL);
    memset(big, 1, 4u << 20);
    CHECK(sgx_is_within_enclave(big, 4u << 20));
    big = realloc(big, 100);
    CHECK(big && big[99] == 1);
    free(big);
    uint8_t *zero = calloc(1000, 100);
    CHECK(zero && all_zero(zero, 100000));
    free(zero);
    void *at = NULL;
    CHECK(posix_memalign(&at, 4096, 10) == 0 && (uintptr_t)at % 4096 == 0);
    free(at);
    return 0;
}
