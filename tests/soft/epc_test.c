/*
 * The EPC as a bounded resource: size, overcommit, what gives pages back.
 * Side: tests (host). Every test runs in a child, because the size is read at the first open.
 */
#include "tests/soft/sdm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RW (SGX_SECINFO_R | SGX_SECINFO_W)
#define MIB (1ull << 20)

static const struct sdm_options plain;
static uint8_t *g_source;

static void in_child(void (*body)(void), const char *size, const char *overcommit)
{
    int status;
    pid_t child = fork();
    if (!child) {
        if (size) {
            setenv("CELLA_SOFT_EPC", size, 1);
        }
        if (overcommit) {
            setenv("CELLA_SOFT_EPC_OVERCOMMIT", overcommit, 1);
        }
        const struct CMUnitTest tests[] = {
            {.name = "in the child", .test_func = (CMUnitTestFunction)(void *)body}};
        _exit(cmocka_run_group_tests_name("child", tests, NULL, NULL));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void create(struct sdm *sdm, uint64_t size)
{
    sdm_open(sdm);
    sdm_default_secs(&sdm->secs, &plain);
    sdm->secs.size = size;
    struct sgx_linux_create request = {.src = (uint64_t)(uintptr_t)&sdm->secs};
    assert_int_equal(soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &request), 0);
}

static int add(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t *ret_count)
{
    struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_REG | RW};
    struct sgx_linux_add_pages request = {.src = (uint64_t)(uintptr_t)g_source,
                                          .offset = offset,
                                          .length = length,
                                          .secinfo = (uint64_t)(uintptr_t)&secinfo};
    int result = soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &request);
    *ret_count = request.count;
    return result;
}

static void sizes(void)
{
    assert_int_equal(soft_epc_stats().total, (strtoull(getenv("EXPECT"), NULL, 10)));
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        const char *pages;
    } rows[] = {
        {"1M", "256"},    {"64k", "16"},    {"8192", "2"}, {"2G", "524288"}, {"0", "32768"},
        {"12Q", "32768"}, {"1MB", "32768"}, {"", "32768"}, {"-1", "32768"},  {"99999999G", "32768"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setenv("EXPECT", rows[i].pages, 1);
        in_child(sizes, rows[i].text, NULL);
    }
}

/*
 * 256 pages: SECS and its VA page, then enclave pages, with a VA page for every 512 (SECS
 * included).
 */
static void exhausted(void)
{
    struct sdm sdm;
    uint64_t count;
    create(&sdm, 4 * MIB);
    assert_int_equal(soft_epc_stats().used, 2);
    assert_int_equal(add(&sdm, 0, 2 * MIB, &count), -ENOMEM);
    assert_int_equal(count, 254 * 4096);
    assert_int_equal(soft_epc_stats().used, 256);
    assert_int_equal(add(&sdm, count, 4096, &count), -ENOMEM);
    assert_int_equal(count, 0);
    struct sdm second;
    sdm_open(&second);
    sdm_default_secs(&second.secs, &plain);
    struct sgx_linux_create request = {.src = (uint64_t)(uintptr_t)&second.secs};
    assert_int_equal(soft_ioctl(second.fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &request), -ENOMEM);
    sdm_close(&sdm);
    assert_int_equal(soft_epc_stats().used, 0);
    assert_int_equal(soft_ioctl(second.fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &request), 0);
    sdm_close(&second);
}

static void test_exhausted(void **state)
{
    (void)state;
    in_child(exhausted, "1M", "0");
}

static void overcommitted(void)
{
    struct sdm sdm;
    uint64_t count;
    create(&sdm, 4 * MIB);
    assert_int_equal(add(&sdm, 0, 4 * MIB, &count), 0);
    assert_int_equal(count, 4 * MIB);
    assert_true(soft_epc_stats().overcommit);
    assert_int_equal(soft_epc_stats().used, 1 + 1024 + 3);
    sdm_close(&sdm);
}

static void test_overcommitted(void **state)
{
    (void)state;
    in_child(overcommitted, "1M", NULL);
    in_child(overcommitted, "1M", "1");
}

/* A process that is killed gives its pages back when they are needed. */
static void killed(void)
{
    uint64_t count;
    struct sdm sdm;
    int channel[2];
    char byte = 0;
    create(&sdm, 64 << 10); /* the table is made before the fork */
    assert_int_equal(pipe(channel), 0);
    pid_t child = fork();
    if (!child) {
        struct sdm own;
        soft_fork_prepare();
        soft_fork_child();
        create(&own, 4 * MIB);
        add(&own, 0, MIB, &count);
        if (write(channel[1], &byte, 1) == 1) {
            pause();
        }
        _exit(1);
    }
    assert_int_equal(read(channel[0], &byte, 1), 1);
    assert_int_equal(soft_epc_stats().used, 256);
    assert_int_equal(soft_epc_stats().enclaves, 2);
    assert_int_equal(add(&sdm, 0, 4096, &count), -ENOMEM);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(add(&sdm, 0, 4096, &count), 0);
    assert_int_equal(soft_epc_stats().used, 3);
    assert_int_equal(soft_epc_stats().enclaves, 1);
    sdm_close(&sdm);
}

static void test_killed(void **state)
{
    (void)state;
    in_child(killed, "1M", "0");
}

/* An enclave that outlives its builder in a forked child stays counted. */
static void inherited(void)
{
    struct sdm sdm;
    uint64_t count;
    int channel[2];
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(channel), 0);
    assert_int_equal(pipe(ready), 0);
    create(&sdm, 64 << 10);
    assert_int_equal(add(&sdm, 0, 8192, &count), 0);
    soft_fork_prepare();
    pid_t child = fork();
    if (!child) {
        soft_fork_child();
        close(channel[1]);
        if (write(ready[1], &byte, 1) != 1) {
            _exit(2);
        }
        _exit(read(channel[0], &byte, 1) != 0); /* until the parent closes its end */
    }
    soft_fork_parent();
    sdm_close(&sdm);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(soft_epc_stats().used, 4);
    close(channel[1]);
    waitpid(child, NULL, 0);
    assert_int_equal(soft_epc_stats().used, 0);
}

static void test_inherited(void **state)
{
    (void)state;
    in_child(inherited, "1M", "0");
}

/* No page left for EAUG: the access faults as on a page that is not there. Removing makes room. */
static void no_page_for_eaug(void)
{
    struct sdm sdm;
    uint32_t error = 0;
    sdm_init(&sdm, &plain); /* built past the driver: uncounted */
    sdm_map(&sdm);
    uint64_t mask = soft_signals_block();
    assert_int_equal(soft_epc_stats().total, 2);
    assert_int_equal(driver_epc_take(sdm.e, 5), 1); /* and its VA page */
    assert_false(soft_fault_resolve(&sdm.e->pub, SDM_BASE + SDM_HOLE, SGX_PF_WRITE, &error));
    assert_int_equal(error, SGX_PF_USER | SGX_PF_WRITE);
    struct sgx_secinfo *secinfo = sdm_page(&sdm, SDM_DATA);
    *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING};
    struct soft_outcome outcome =
        soft_enclu(&sdm.e->pub, SGX_EACCEPT, SDM_BASE + SDM_DATA, SDM_BASE + SDM_HOLE, 0);
    assert_int_equal(outcome.vector, SGX_VECTOR_PF);
    assert_int_equal(outcome.error, SGX_PF_USER);
    driver_epc_give(sdm.e, 1);
    outcome = soft_enclu(&sdm.e->pub, SGX_EACCEPT, SDM_BASE + SDM_DATA, SDM_BASE + SDM_HOLE, 0);
    assert_int_equal(outcome.kind,
                     SOFT_FAULT); /* the VA page is still there, and a new one is due */
    soft_signals_restore(mask);
    sdm_close(&sdm);
}

static void test_no_page_for_eaug(void **state)
{
    (void)state;
    in_child(no_page_for_eaug, "8K", "0");
}

int main(void)
{
    g_source = mmap(NULL, 4 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_overcommitted), cmocka_unit_test(test_killed),
        cmocka_unit_test(test_inherited),     cmocka_unit_test(test_no_page_for_eaug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
