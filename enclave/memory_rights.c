/*
 * Rights and removal of heap pages: EMODPE and EACCEPT here, the rest asked of the kernel and accepted page by page.
 * Side: enclave. Called by applications (cella/pages.h). Never believes the host: EACCEPT fails unless the processor did
 * what was asked for.
 */
#include "enclave/trap.h"

#include "cella/pages.h"

#define RIGHTS (CELLA_PAGES_READ | CELLA_PAGES_WRITE | CELLA_PAGES_EXECUTE)

static uint32_t enclu(uint32_t leaf, uint64_t flags, uint64_t address)
{
    _Alignas(SGX_ALIGN_SECINFO) const struct sgx_secinfo secinfo = {.flags = flags};
    return (uint32_t)cella_enclu(leaf, (uint64_t)&secinfo, address, 0);
}

static bool grows(void)
{
    return (cella_kernel.features & CELLA_INIT_SGX2) != 0;
}

static cella_result range_check(const void *at, size_t size, uint64_t *ret_count)
{
    CELLA_ENSURE(size != 0 && size % SGX_PAGE_SIZE == 0, INVALID_ARGUMENT);
    CELLA_ENSURE(cella_pages_in_heap((uint64_t)at, size / SGX_PAGE_SIZE), INVALID_ARGUMENT);
    *ret_count = size / SGX_PAGE_SIZE;
    return CELLA_OK;
}

cella_result cella_pages_reserve(size_t size, size_t alignment, void **ret_at)
{
    CELLA_ENSURE(size != 0 && size <= cella_kernel.heap_size && alignment >= SGX_PAGE_SIZE &&
                     (alignment & (alignment - 1)) == 0,
                 INVALID_ARGUMENT);
    const uint64_t count = (size + SGX_PAGE_SIZE - 1) / SGX_PAGE_SIZE;
    const uint64_t slack = (alignment - SGX_PAGE_SIZE) / SGX_PAGE_SIZE;
    const uint64_t start = cella_pages_map(count + slack, false);
    CELLA_ENSURE(start != 0, OUT_OF_MEMORY);
    const uint64_t at = (start + alignment - 1) & ~(uint64_t)(alignment - 1);
    const uint64_t before = (at - start) / SGX_PAGE_SIZE;
    if (before > 0) {
        cella_pages_unmap(start, before);
    }
    if (slack > before) {
        cella_pages_unmap(at + count * SGX_PAGE_SIZE, slack - before);
    }
    *ret_at = (void *)at;
    return CELLA_OK;
}

cella_result cella_pages_reserve_at(void *at, size_t size)
{
    uint64_t count;
    CELLA_TRY(range_check(at, size, &count));
    CELLA_ENSURE(cella_pages_map_at((uint64_t)at, count, false, false), ALREADY_EXISTS);
    return CELLA_OK;
}

cella_result cella_pages_fill(void *at, size_t size)
{
    uint64_t count;
    CELLA_TRY(range_check(at, size, &count));
    CELLA_ENSURE(cella_pages_commit((uint64_t)at, count), OUT_OF_EPC);
    return CELLA_OK;
}

static cella_result ask(uint32_t number, uint64_t at, uint64_t size, uint64_t rights)
{
    const uint64_t words[3] = {at - cella_kernel.base, size, rights};
    return cella_system_ocall(number, words, sizeof(words), NULL, 0, NULL);
}

cella_result cella_pages_protect(void *at, size_t size, uint32_t from, uint32_t to)
{
    uint64_t count;
    const uint64_t start = (uint64_t)at;
    CELLA_ENSURE(((from | to) & ~RIGHTS) == 0, INVALID_ARGUMENT);
    CELLA_TRY(range_check(at, size, &count));
    CELLA_ENSURE(grows(), UNSUPPORTED);
    if ((from & CELLA_PAGES_READ) == 0) { /* the leaves below must be able to reach the page */
        CELLA_TRY(ask(CELLA_OCALL_PROTECT, start, size, from | to | CELLA_PAGES_READ));
    }
    if ((to & ~from) != 0) {
        for (uint64_t i = 0; i < count; i++) {
            CELLA_ENSURE(enclu(SGX_EMODPE, (from | to) | SGX_SECINFO_REG,
                               start + i * SGX_PAGE_SIZE) != CELLA_ENCLU_FAULTED,
                         HOST_REFUSED);
        }
    }
    if ((from & ~to) != 0) {
        CELLA_TRY(ask(CELLA_OCALL_RESTRICT, start, size, to));
        for (uint64_t i = 0; i < count; i++) {
            CELLA_ENSURE(enclu(SGX_EACCEPT, to | SGX_SECINFO_REG | SGX_SECINFO_PR,
                               start + i * SGX_PAGE_SIZE) == SGX_SUCCESS,
                         HOST_REFUSED);
        }
    }
    return ask(CELLA_OCALL_PROTECT, start, size, to);
}

cella_result cella_pages_drop(void *at, size_t size)
{
    uint64_t count;
    const uint64_t start = (uint64_t)at;
    CELLA_TRY(range_check(at, size, &count));
    CELLA_ENSURE(grows(), UNSUPPORTED);
    CELLA_TRY(ask(CELLA_OCALL_PROTECT, start, size, CELLA_PAGES_READ | CELLA_PAGES_WRITE));
    CELLA_TRY(ask(CELLA_OCALL_TRIM, start, size, 0));
    for (uint64_t i = 0; i < count; i++) {
        CELLA_ENSURE(enclu(SGX_EACCEPT, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED,
                           start + i * SGX_PAGE_SIZE) == SGX_SUCCESS,
                     HOST_REFUSED);
    }
    cella_pages_forget(start, count);
    return ask(CELLA_OCALL_REMOVE, start, size, 0);
}

cella_result cella_pages_vacate(void *at, size_t size)
{
    uint64_t count;
    CELLA_TRY(range_check(at, size, &count));
    CELLA_ENSURE(grows(), UNSUPPORTED);
    for (uint8_t *start = at; count > 0;) {
        bool present = false;
        const uint64_t alike = cella_pages_alike((uint64_t)start, count, &present);
        if (present) {
            CELLA_TRY(cella_pages_drop(start, alike * SGX_PAGE_SIZE));
        }
        start += alike * SGX_PAGE_SIZE;
        count -= alike;
    }
    return CELLA_OK;
}

void cella_pages_release(void *at, size_t size)
{
    cella_pages_unmap((uint64_t)at, size / SGX_PAGE_SIZE);
}
