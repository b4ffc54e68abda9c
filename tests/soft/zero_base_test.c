/*
 * Enclaves whose range starts at address 0, with a space of many pages that do not exist yet.
 * Side: tests (host). Run by meson. Needs a position-independent executable without sanitizers, as such enclaves do.
 */
#include "tests/soft/probe_bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/driver.h"

#define SPACE_START PROBE_ZERO_LOW
#define SPACE_SIZE (PROBE_ZERO_FIRST - PROBE_ZERO_LOW)
#define RW (PROT_READ | PROT_WRITE)

static int setup(void **state)
{
    static struct probe p;
    probe_build(&p, &(struct probe_options){.base_zero = true});
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    probe_close(*state);
    return 0;
}

static void space_map(struct probe *p)
{
    assert_int_equal(
        p->processor->mmap((void *)SPACE_START, SPACE_SIZE, RW, MAP_SHARED | MAP_FIXED, p->fd, 0),
        SPACE_START);
}

/* Pages that this process has in memory. */
static uint64_t resident(void)
{
    unsigned long long all, now;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &all, &now), 2);
    fclose(file);
    return now;
}

static void accept(struct probe *p, uint64_t address, uint64_t expected)
{
    /* The SECINFO lies behind the TCS's frames: in the page that is read only. */
    const uint64_t at = p->base + PROBE_PAGE_READ_ONLY * SGX_PAGE_SIZE;
    struct sgx_secinfo *secinfo = soft_alias(p->enclave, at);
    *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_REG |
                                             SGX_SECINFO_PENDING};
    struct probe_call call = {.in = {0, at, address, SGX_EACCEPT}};
    assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_ENCLU, &call), 0);
    assert_int_equal(p->run.function, SGX_EEXIT);
    assert_int_equal(call.out[1], expected);
}

static void test_enters(void **state)
{
    struct probe *p = *state;
    probe_init(p);
    for (int i = 0; i < 100; i++) {
        struct probe_call call = {.in = {0, 1, 2, 3, 4, p->tcs}};
        assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        assert_int_equal(p->run.function, SGX_EEXIT);
        assert_int_equal(call.out[5], p->tcs);
    }
    assert_true(atomic_load(&p->enclave->shared->exit_slot) != 0);
}

/* A null pointer is an address of the enclave, and one without a page. */
static void test_null_is_inside(void **state)
{
    struct probe *p = *state;
    probe_init(p);
    space_map(p);
    assert_ptr_equal(soft_enclave_at(0), p->enclave);
    struct probe_call call = {.in = {0, 0}};
    probe_expect_fault(p, p->tcs, PROBE_READ, &call, SGX_VECTOR_PF);
    assert_int_equal(p->run.exception_addr, 0);
    assert_int_equal(p->run.exception_error_code & SGX_PF_PRESENT, 0);
}

/* Memory of the tables for the space is not touched when it is mapped, changed, or unmapped. */
static void test_space_costs_no_memory(void **state)
{
    struct probe *p = *state;
    probe_init(p);
    const uint64_t before = resident();
    space_map(p);
    assert_int_equal(
        p->processor->mprotect((void *)SPACE_START, SPACE_SIZE / 2 & ~4095ull, PROT_READ), 0);
    assert_int_equal(p->processor->mprotect((void *)SPACE_START, SPACE_SIZE, RW), 0);
    assert_int_equal(p->processor->munmap((void *)SPACE_START, SPACE_SIZE), 0);
    assert_true(resident() < before + 512);
}

static uint64_t peek(struct probe *p, uint64_t address)
{
    struct probe_call call = {.in = {0, address}};
    assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_READ, &call), 0);
    assert_int_equal(p->run.function, SGX_EEXIT);
    return call.out[2];
}

/* Pages of the space come where they are accepted; its ends and what lies between chunks included. */
static void test_pages_come(void **state)
{
    struct probe *p = *state;
    static const uint64_t where[] = {SPACE_START, 0x400000, 0x600000 - 4096, 0x600000,
                                     PROBE_ZERO_FIRST - 4096};
    probe_init(p);
    space_map(p);
    for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        accept(p, where[i], SGX_SUCCESS);
        struct probe_call call = {.in = {0, where[i], 0x1234 + i}};
        assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_WRITE, &call), 0);
        assert_int_equal(p->run.function, SGX_EEXIT);
    }
    for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        assert_int_equal(peek(p, where[i]), 0x1234 + i);
    }
    assert_int_equal(p->processor->mprotect((void *)SPACE_START, SPACE_SIZE, PROT_READ), 0);
    struct probe_call call = {.in = {0, 0x400000, 1}};
    probe_expect_fault(p, p->tcs, PROBE_WRITE, &call, SGX_VECTOR_PF);
    assert_int_equal(p->run.exception_addr, 0x400000);
}

/* A page between two of one kind, and the same after the pages around it were unmapped and mapped again. */
static void test_parts(void **state)
{
    struct probe *p = *state;
    probe_init(p);
    space_map(p);
    accept(p, 0x200000, SGX_SUCCESS);
    assert_int_equal(p->processor->munmap((void *)0x10000, 0x200000 - 0x10000), 0);
    assert_int_equal(p->processor->munmap((void *)0x201000, 0x1000), 0);
    assert_int_equal(peek(p, 0x200000), 0);
    struct probe_call call = {.in = {0, 0x201000}};
    probe_expect_fault(p, p->tcs, PROBE_READ, &call, SGX_VECTOR_PF);
    assert_int_equal(p->run.exception_error_code & SGX_PF_PRESENT, 0);
}

static uint64_t mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    uint64_t lines = 0;
    int byte;
    assert_non_null(file);
    while ((byte = fgetc(file)) != EOF) {
        lines += byte == '\n';
    }
    fclose(file);
    return lines;
}

/* Pages by themselves take half of the mappings that the kernel has, at most. */
static void test_many_islands(void **state)
{
    struct probe *p = *state;
    const uint64_t count = 20000;
    const uint64_t step = 16 * 4096;
    const uint64_t secinfo = p->base + PROBE_PAGE_READ_ONLY * SGX_PAGE_SIZE;
    probe_init(p);
    space_map(p);
    ((struct sgx_secinfo *)soft_alias(p->enclave, secinfo))->flags =
        SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_REG | SGX_SECINFO_PENDING;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = SPACE_START + i * step;
        struct probe_call call = {.in = {0, secinfo, at, SGX_EACCEPT, 0, p->tcs}};
        assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_LEAF, &call), 0);
        assert_int_equal(call.out[1], SGX_SUCCESS);
        call = (struct probe_call){.in = {0, at, i}};
        assert_int_equal(probe_run(p, p->tcs, SGX_EENTER, PROBE_WRITE, &call), 0);
        assert_int_equal(p->run.function, SGX_EEXIT);
    }
    assert_true(mappings() < 36000);
    for (uint64_t i = 0; i < count; i += 7) {
        assert_int_equal(peek(p, SPACE_START + i * step), i);
    }
}

/* Nothing is left of one when the next is built. */
static void test_twice(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct probe p;
        probe_open(&p, &(struct probe_options){.base_zero = true});
        space_map(&p);
        accept(&p, 0x10000, SGX_SUCCESS);
        assert_int_equal(peek(&p, 0x10000), 0);
        probe_close(&p);
    }
}

int main(void)
{
#ifdef __SANITIZE_ADDRESS__
    return 77; /* its shadow is where the enclave has to be */
#endif
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_enters),
        TEST(test_null_is_inside),
        TEST(test_pages_come),
        TEST(test_space_costs_no_memory),
        TEST(test_parts),
        TEST(test_many_islands),
        cmocka_unit_test(test_twice),
    };
    return cmocka_run_group_tests_name("soft_zero_base", tests, NULL, NULL);
}
