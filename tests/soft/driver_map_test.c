/*
 * mmap, mprotect and faults of enclave memory, by the kernel driver's rules.
 * Side: tests (host). Expectations are those of arch/x86/kernel/cpu/sgx in Linux 6.1.
 */
#include "tests/soft/driver_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

static const struct sdm_options plain;

/* ------------------------------------------------------------------ mappings */

static void test_mmap_arguments(void **state)
{
    struct sdm sdm;
    int read_only = soft_open_node(SGX_LINUX_ENCLAVE_NODE, O_RDONLY | O_CLOEXEC);
    (void)state;
    sdm_open(&sdm);
    assert_int_equal(soft_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, sdm.fd, 0), -EINVAL);
    assert_int_equal(soft_mmap(NULL, 4096, PROT_READ, 0, sdm.fd, 0), -EINVAL);
    assert_int_equal(soft_mmap(NULL, 0, PROT_READ, MAP_SHARED, sdm.fd, 0), -EINVAL);
    assert_int_equal(soft_mmap(NULL, 4096, PROT_READ, MAP_SHARED, sdm.fd, 12), -EINVAL);
    assert_int_equal(soft_mmap((void *)(SDM_BASE + 1), 4096, 0, MAP_SHARED | MAP_FIXED, sdm.fd, 0),
                     -EINVAL);
    assert_int_equal(soft_mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, read_only, 0), -EACCES);
    assert_int_equal(fcntl(read_only, F_GETFD), FD_CLOEXEC);
    long at = soft_mmap(NULL, 4096, PROT_READ, MAP_SHARED, read_only, 0);
    assert_true(at > 0);
    int result;
    assert_true(soft_munmap((void *)at, 4096, &result));
    soft_close_fd(read_only);
    close(read_only);
    /* any offset: the address selects the page. Before CREATE everything may be mapped. */
    at = soft_mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, sdm.fd, 1 << 20);
    assert_true(at > 0);
    assert_true(soft_munmap((void *)at, 8192, &result));
    assert_int_equal(result, 0);
    sdm_close(&sdm);
}

static void test_max_prot(void **state)
{
    static const struct {
        uint64_t offset;
        int allowed;
    } rows[] = {
        {SDM_DATA, PROT_READ | PROT_WRITE},
        {SDM_TCS, PROT_READ | PROT_WRITE},
        {SDM_CODE, PROT_READ | PROT_EXEC},
        {SDM_RODATA, PROT_READ},
        {SDM_HOLE, PROT_READ | PROT_WRITE | PROT_EXEC},
    };
    struct sdm sdm;
    (void)state;
    sdm_init(&sdm, &plain);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int prot = 0; prot < 8; prot++) {
            bool may = !(prot & ~rows[i].allowed);
            long at = (long)(SDM_BASE + rows[i].offset);
            assert_int_equal(drv_map_at(&sdm, rows[i].offset, 4096, prot), may ? at : -EACCES);
            assert_int_equal(drv_map_at(&sdm, rows[i].offset, 4096, PROT_NONE), at);
            assert_int_equal(drv_protect(rows[i].offset, 4096, prot), may ? 0 : -EACCES);
        }
    }
    /* over several pages: what all of them allow */
    assert_int_equal(drv_map_at(&sdm, 0, SDM_SIZE, PROT_NONE), (long)SDM_BASE);
    assert_int_equal(drv_protect(SDM_CODE, 0x2000, PROT_READ), 0);
    assert_int_equal(drv_protect(SDM_CODE, 0x2000, PROT_READ | PROT_EXEC), -EACCES);
    /* outside ELRANGE after INIT */
    assert_int_equal(drv_map_at(&sdm, SDM_SIZE, 4096, PROT_NONE), -EACCES);
    assert_int_equal(drv_map_at(&sdm, SDM_SIZE - 4096, 8192, PROT_NONE), -EACCES);
    assert_int_equal(
        soft_mmap((void *)(SDM_BASE - 4096), 8192, PROT_NONE, MAP_SHARED | MAP_FIXED, sdm.fd, 0),
        -EACCES);
    sdm_close(&sdm);
}

static void test_read_implies_exec(void **state)
{
    struct sdm sdm;
    (void)state;
    sdm_init(&sdm, &plain);
    assert_int_equal(drv_map_at(&sdm, 0, SDM_SIZE, PROT_NONE), (long)SDM_BASE);
    int persona = personality(0xffffffff);
    assert_true(personality((unsigned)persona | READ_IMPLIES_EXEC) >= 0);
    assert_int_equal(drv_map_at(&sdm, SDM_DATA, 4096, PROT_READ), -EACCES);
    assert_int_equal(drv_protect(SDM_DATA, 4096, PROT_READ), -EACCES);
    personality((unsigned)persona);
    sdm_close(&sdm);
}

/* Writable pages are shared, others private (a debugger writes breakpoints there); VMA AND EPCM. */
static void test_native_protection(void **state)
{
    struct sdm sdm;
    struct sgx_linux_restrict_permissions r;
    struct sgx_linux_modify_types m;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    drv_expect_native(SDM_DATA, "rw-s");
    drv_expect_native(SDM_TCS, "---s"); /* a TCS is nobody's to touch */
    drv_expect_native(SDM_CODE, "r-xp");
    drv_expect_native(SDM_RODATA, "r--p");
    drv_expect_native(SDM_MORE, "rw-s");
    drv_expect_native(SDM_XONLY, "--xp");
    drv_expect_native(SDM_HOLE, "---s");
    assert_int_equal(drv_protect(SDM_DATA, 4096, PROT_READ), 0);
    drv_expect_native(SDM_DATA, "r--p");
    assert_int_equal(drv_protect(SDM_DATA, 4096, PROT_READ | PROT_WRITE), 0);
    drv_expect_native(SDM_DATA, "rw-s");
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r), 0);
    drv_expect_native(SDM_MORE, "r--p");
    drv_accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR, soft_done());
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), 0);
    drv_expect_native(SDM_MORE, "---p");
    sdm_close(&sdm);
    drv_expect_native(SDM_DATA, "none");
}

/* ADD_PAGES after mmap, as most hosts do: the mapping made before CREATE comes to life. */
static void test_map_first(void **state)
{
    struct sdm sdm;
    (void)state;
    sdm_open(&sdm);
    sdm_default_secs(&sdm.secs, &plain);
    uint64_t start = SDM_BASE - 0x2000;
    assert_int_equal(soft_mmap((void *)start, SDM_SIZE + 0x4000, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_FIXED, sdm.fd, 0),
                     (long)start);
    assert_int_equal(drv_do_create(&sdm, &sdm.secs), 0);
    drv_expect_native(0x1000, "---s");
    memset(drv_pages[1], 0x42, 4096);
    struct sgx_linux_add_pages add = drv_good_add();
    assert_int_equal(drv_do_add(&sdm, &add), 0);
    drv_expect_native(0x1000, "rw-s");
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + 0x2000), 0x42);
    assert_int_equal(drv_add_one(&sdm, 0x5000, SGX_SECINFO_REG | SGX_SECINFO_R), 0);
    drv_expect_native(0x5000, "r--p");
    int result;
    assert_true(soft_munmap((void *)start, SDM_SIZE + 0x4000, &result));
    assert_int_equal(result, 0);
    assert_int_equal(sdm.e->spans, 0);
    assert_int_equal(sdm.e->mapped_pages, 0);
    sdm_close(&sdm);
}

/* munmap and overlays of parts, and mprotect over what is not the enclave's. */
static void test_partial_ranges(void **state)
{
    struct sdm sdm;
    int result;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    assert_false(soft_munmap(drv_pages, 4096, &result));
    assert_false(soft_mprotect(drv_pages, 4096, PROT_READ, &result));
    void *beside = mmap((void *)(SDM_BASE + SDM_SIZE), 8192, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    assert_int_equal((uint64_t)beside, SDM_BASE + SDM_SIZE);
    assert_int_equal(drv_protect(SDM_SIZE - 0x1000, 0x3000, PROT_READ), 0);
    drv_expect_native(SDM_SIZE + 0x1000, "r--p");
    assert_int_equal(drv_protect(SDM_SIZE - 0x1000, 0x4000, PROT_READ), -ENOMEM); /* unmapped end */
    /* an anonymous mapping over one page of the enclave */
    mmap((void *)(SDM_BASE + SDM_RODATA), 4096, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    soft_overlay((void *)(SDM_BASE + SDM_RODATA), 4096);
    *(volatile uint8_t *)(SDM_BASE + SDM_RODATA) = 5;
    assert_string_equal((char *)sdm_page(&sdm, SDM_RODATA), "data");
    munmap((void *)(SDM_BASE + SDM_RODATA), 4096);
    assert_true(soft_munmap((void *)(SDM_BASE + SDM_CODE), 4096, &result));
    drv_expect_native(SDM_CODE, "none");
    drv_expect_native(SDM_TCS, "---s");
    assert_int_equal(drv_map_at(&sdm, SDM_CODE, 4096, PROT_READ), (long)(SDM_BASE + SDM_CODE));
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + SDM_CODE), 0x0f); /* contents stay */
    munmap(beside, 8192);
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ faults */

static void test_fault_codes(void **state)
{
    static const struct {
        uint64_t offset;
        int prot;
        uint32_t access;
        uint32_t error; /* 0: mended */
    } rows[] = {
        {SDM_DATA, PROT_READ | PROT_WRITE, 0, 0},
        {SDM_DATA, PROT_READ | PROT_WRITE, SGX_PF_WRITE, 0},
        {SDM_DATA, PROT_READ | PROT_WRITE, SGX_PF_FETCH, 0x15},
        {SDM_DATA, PROT_READ, SGX_PF_WRITE, 0x7},
        {SDM_DATA, PROT_NONE, SGX_PF_WRITE, 0x6},
        {SDM_DATA, PROT_NONE, 0, 0x4},
        {SDM_CODE, PROT_READ | PROT_EXEC, SGX_PF_FETCH, 0},
        {SDM_CODE, PROT_READ, SGX_PF_FETCH, 0x15},
        {SDM_TCS, PROT_READ | PROT_WRITE, 0, 0x8005},
        {SDM_TCS, PROT_READ | PROT_WRITE, SGX_PF_WRITE, 0x8007},
        {SDM_XONLY, PROT_EXEC, 0, 0x8005},
        {SDM_HOLE, PROT_READ | PROT_WRITE, SGX_PF_WRITE, 0x8007}, /* augmented, pending */
        {SDM_HOLE2, PROT_READ | PROT_WRITE | PROT_EXEC, SGX_PF_FETCH, 0x8015},
        {SDM_HOLE2 + 0x1000, PROT_READ, SGX_PF_WRITE, 0x6},
        {SDM_HOLE2 + 0x2000, PROT_NONE, 0, 0x4},
    };
    struct sdm sdm;
    (void)state;
    sdm_init(&sdm, &plain);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t error = 0;
        drv_map_at(&sdm, rows[i].offset, 4096, rows[i].prot);
        bool mended = drv_resolve(&sdm, rows[i].offset + 8, rows[i].access, &error);
        if (mended != !rows[i].error || (!mended && error != rows[i].error)) {
            fail_msg("row %zu: %s %#x", i, mended ? "mended" : "refused", error);
        }
    }
    assert_int_equal(sdm_epcm(&sdm, SDM_HOLE)->flags,
                     SOFT_EPCM_VALID | SGX_SECINFO_REG | DRV_RW | SGX_SECINFO_PENDING);
    assert_int_equal(sdm_epcm(&sdm, SDM_HOLE2 + 0x1000)->flags, 0); /* the VMA refused it first */
    uint32_t error = 0;
    assert_false(drv_resolve(&sdm, 0xf000, 0, &error)); /* not mapped at all */
    assert_int_equal(error, 4);
    sdm_close(&sdm);
    /* before INIT a hole is not filled */
    sdm_build(&sdm, &plain);
    drv_map_at(&sdm, SDM_HOLE, 4096, PROT_READ);
    assert_false(drv_resolve(&sdm, SDM_HOLE, 0, &error));
    assert_int_equal(error, 4);
    assert_int_equal(sdm_epcm(&sdm, SDM_HOLE)->flags, 0);
    sdm_close(&sdm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mmap_arguments),    cmocka_unit_test(test_max_prot),
        cmocka_unit_test(test_read_implies_exec), cmocka_unit_test(test_native_protection),
        cmocka_unit_test(test_map_first),         cmocka_unit_test(test_partial_ranges),
        cmocka_unit_test(test_fault_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
