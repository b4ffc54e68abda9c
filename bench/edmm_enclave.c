/*
 * The enclave whose pages come and go: no libc, so that nothing but the pages costs time.
 * Side: enclave (bench).
 */
#include "bench/edmm.h"
#include "cella/enclave.h"
#include "cella/pages.h"

#define PAGE 4096u
#define SIZE (EDMM_PAGES * PAGE)
#define RW (CELLA_PAGES_READ | CELLA_PAGES_WRITE)
#define VECTOR_PF 14u

static unsigned char *g_range;

static enum cella_exception_verdict add_page(struct cella_exception *exception)
{
    const uint64_t page = exception->address & ~(uint64_t)(PAGE - 1);
    if (exception->vector != VECTOR_PF || page - (uint64_t)g_range >= SIZE ||
        !cella_is_ok(cella_pages_fill((void *)page, PAGE))) {
        return CELLA_EXCEPTION_NOT_MINE;
    }
    return CELLA_EXCEPTION_CONTINUE;
}

static void touch(void)
{
    for (uint32_t i = 0; i < EDMM_PAGES; i++) {
        *(volatile unsigned char *)(g_range + i * PAGE) = 1;
    }
}

static cella_result run(uint32_t what)
{
    if (!g_range) {
        CELLA_TRY(cella_pages_reserve(SIZE, PAGE, (void **)&g_range));
        CELLA_TRY(cella_exception_add(add_page, 1));
    }
    switch (what) {
    case EDMM_ACCEPT:
        CELLA_TRY(cella_pages_fill(g_range, SIZE));
        *(volatile unsigned char *)g_range = 1;
        return CELLA_OK;
    case EDMM_DROP:
        return cella_pages_drop(g_range, SIZE);
    case EDMM_PROTECT:
        return cella_pages_protect(g_range, SIZE, RW, CELLA_PAGES_READ);
    case EDMM_WIDEN:
        return cella_pages_protect(g_range, SIZE, CELLA_PAGES_READ, RW);
    default:
        touch();
        return CELLA_OK;
    }
}

#define ECALL(name, number)                                                                        \
    static cella_result name(const void *in, size_t in_size, void *out, size_t out_capacity,       \
                             size_t *ret_size)                                                     \
    {                                                                                              \
        (void)in;                                                                                  \
        (void)in_size;                                                                             \
        (void)out;                                                                                 \
        (void)out_capacity;                                                                        \
        (void)ret_size;                                                                            \
        return run(number);                                                                        \
    }
ECALL(accept_pages, EDMM_ACCEPT)
ECALL(drop, EDMM_DROP)
ECALL(protect, EDMM_PROTECT)
ECALL(widen, EDMM_WIDEN)
ECALL(fault, EDMM_FAULT)

static cella_result nothing(const void *in, size_t in_size, void *out, size_t out_capacity,
                            size_t *ret_size)
{
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return CELLA_OK;
}

CELLA_ECALLS([EDMM_NOTHING] = {nothing, 0, 0}, [EDMM_ACCEPT] = {accept_pages, 0, 0},
             [EDMM_DROP] = {drop, 0, 0}, [EDMM_PROTECT] = {protect, 0, 0},
             [EDMM_WIDEN] = {widen, 0, 0}, [EDMM_FAULT] = {fault, 0, 0},
             [EDMM_TOUCH] = {fault, 0, 0});
