/*
 * One enclave in several processes and threads: fork, exec, and races of the SGX2 leaves.
 * Side: tests (host). Expectations are those of arch/x86/kernel/cpu/sgx in Linux 6.1.
 */
#include "tests/soft/driver_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/soft/signer.h"

static const struct sdm_options plain;

/* ------------------------------------------------------------------ fork */

static int reap(pid_t child)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + status;
}

static pid_t soft_fork(void)
{
    soft_fork_prepare();
    pid_t pid = fork();
    if (pid) {
        soft_fork_parent();
    } else {
        soft_fork_child();
    }
    return pid;
}

#define CHILD_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            _exit(__LINE__ % 200 + 1);                                                             \
        }                                                                                          \
    } while (0)

/* Parent and child have one enclave: what one adds or accepts is there for the other. */
static void test_fork_shares(void **state)
{
    struct sdm sdm;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    pid_t child = soft_fork();
    if (!child) {
        struct sgx_secinfo *secinfo = sdm_page(&sdm, SDM_DATA);
        *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_REG | DRV_RW | SGX_SECINFO_PENDING};
        struct soft_outcome outcome =
            soft_enclu(&sdm.e->pub, SGX_EACCEPT, SDM_BASE + SDM_DATA, SDM_BASE + SDM_HOLE, 0);
        uint32_t error;
        CHILD_CHECK(outcome.kind == SOFT_DONE);
        CHILD_CHECK(drv_resolve(&sdm, SDM_HOLE, SGX_PF_WRITE, &error));
        *(volatile uint8_t *)(SDM_BASE + SDM_HOLE) = 0x99;
        *(volatile uint8_t *)(SDM_BASE + SDM_MORE) = 0x98;
        CHILD_CHECK(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_INIT, NULL) == -EINVAL);
        _exit(0);
    }
    assert_int_equal(reap(child), 0);
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + SDM_MORE), 0x98);
    uint32_t error;
    assert_true(drv_resolve(&sdm, SDM_HOLE, 0, &error)); /* the fault on the old mapping mends it */
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + SDM_HOLE), 0x99);
    soft_refresh(&sdm.e->pub);
    assert_false(soft_is_stale(&sdm.e->pub));
    sdm_close(&sdm);
}

/* A right that the child took away is gone in the parent after a refresh. */
static void test_fork_refresh_revokes(void **state)
{
    struct sdm sdm;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    pid_t child = soft_fork();
    if (!child) {
        struct sgx_linux_restrict_permissions r;
        _exit(drv_do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r) != 0);
    }
    assert_int_equal(reap(child), 0);
    drv_expect_native(SDM_MORE, "rw-s");
    soft_refresh(&sdm.e->pub);
    drv_expect_native(SDM_MORE, "r--p");
    sdm_close(&sdm);
}

/* CREATE in the child of an opener; the parent goes on building. */
static void test_fork_builds_together(void **state)
{
    struct sdm sdm;
    struct sgx_sigstruct sig;
    (void)state;
    sdm_open(&sdm);
    sdm_default_secs(&sdm.secs, &plain);
    pid_t child = soft_fork();
    if (!child) {
        CHILD_CHECK(drv_do_create(&sdm, &sdm.secs) == 0);
        CHILD_CHECK(drv_add_one(&sdm, 0x1000, SGX_SECINFO_REG | DRV_RW) == 0);
        _exit(0);
    }
    assert_int_equal(reap(child), 0);
    assert_int_equal(drv_add_one(&sdm, 0x1000, SGX_SECINFO_REG | DRV_RW), -EBUSY);
    assert_int_equal(drv_add_one(&sdm, 0x2000, SGX_SECINFO_REG | SGX_SECINFO_R), 0);
    sdm_sigstruct(&sdm, &plain, &sig);
    assert_int_equal(drv_do_init(&sdm, &sig), 0);
    sdm_close(&sdm);
}

/* exec: nothing is left but the descriptor, and that is enough. */
static void test_exec_attaches(void **state)
{
    struct sdm sdm;
    char number[16];
    (void)state;
    sdm_init(&sdm, &plain);
    snprintf(number, sizeof(number), "%d", sdm.fd);
    pid_t child = fork();
    if (!child) {
        execl("/proc/self/exe", "driver_test", "--attach", number, NULL);
        _exit(255);
    }
    assert_int_equal(reap(child), 0);
    assert_int_equal(((uint8_t *)sdm_page(&sdm, SDM_MORE))[9], 0x5e);
    sdm_close(&sdm);
}

static int attach_main(int fd)
{
    if (!soft_probe_fd(fd) || soft_probe_fd(STDIN_FILENO)) {
        return 1;
    }
    if (soft_mmap((void *)(SDM_BASE + SDM_MORE), 4096, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED, fd, 0) != (long)(SDM_BASE + SDM_MORE)) {
        return 2;
    }
    ((volatile uint8_t *)(SDM_BASE + SDM_MORE))[9] = 0x5e;
    struct sgx_linux_remove_pages r;
    struct sdm sdm = {.fd = fd};
    return drv_do_remove(&sdm, SDM_MORE, 4096, &r) == -EPERM ? 0 : 3;
}

/* A process that never opened anything gets the descriptor over a socket. */
static void test_passed_descriptor_attaches(void **state)
{
    int sockets[2];
    char control[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 0;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    pid_t child = fork();
    if (!child) {
        CHILD_CHECK(!soft_any_enclave());
        CHILD_CHECK(recvmsg(sockets[1], &message, 0) == 1);
        int fd;
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
        CHILD_CHECK(!soft_is_enclave_fd(fd));
        _exit(attach_main(fd));
    }
    struct sdm sdm;
    sdm_init(&sdm, &plain);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(head), &sdm.fd, sizeof(sdm.fd));
    assert_int_equal(sendmsg(sockets[0], &message, 0), 1);
    assert_int_equal(reap(child), 0);
    assert_int_equal(((uint8_t *)sdm_page(&sdm, SDM_MORE))[9], 0x5e);
    close(sockets[0]);
    close(sockets[1]);
    sdm_close(&sdm);
}

static atomic_bool g_stop;
static void *keep_busy(void *argument)
{
    struct sdm *sdm = argument;
    unsigned turn = 0;
    while (!g_stop) {
        struct sgx_linux_restrict_permissions r;
        drv_protect(SDM_DATA, 4096, turn++ % 2 ? PROT_READ : PROT_READ | PROT_WRITE);
        int result = drv_do_restrict(sdm, SDM_RODATA, 4096, SGX_SECINFO_R, &r);
        assert_true(result == 0 || result == -EBUSY);
    }
    return NULL;
}

/* Forks while other threads hold the locks: the children work. */
static void test_fork_under_load(void **state)
{
    struct sdm sdm;
    pthread_t threads[3];
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    g_stop = false;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, keep_busy, &sdm), 0);
    }
    for (int i = 0; i < 100; i++) {
        pid_t child = soft_fork();
        if (!child) {
            struct sgx_linux_restrict_permissions r;
            int result;
            alarm(20);
            do {
                result = drv_do_restrict(&sdm, SDM_CODE, 4096, SGX_SECINFO_R | SGX_SECINFO_X, &r);
            } while (result == -EBUSY);
            CHILD_CHECK(result == 0);
            CHILD_CHECK(drv_protect(SDM_MORE, 4096, PROT_READ) == 0);
            _exit(0);
        }
        assert_int_equal(reap(child), 0);
    }
    g_stop = true;
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    sdm_close(&sdm);
}

/* Locks whose holder is dead are taken over: of a killed process, of a fork past the handlers. */
static void test_dead_holders(void **state)
{
    struct sdm sdm;
    struct sgx_linux_restrict_permissions r;
    int status;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    pid_t child = soft_fork();
    if (!child) {
        soft_signals_block();
        soft_lock(&sdm.e->control->shared.lock);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r), 0);
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    child = fork(); /* unprepared: the child's copy is locked by a thread that it does not have */
    if (!child) {
        alarm(20);
        soft_signals_restore(mask);
        CHILD_CHECK(drv_protect(SDM_MORE, 4096, PROT_READ) == 0);
        _exit(0);
    }
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
    assert_int_equal(reap(child), 0);
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ two-thread EDMM races */

struct racer {
    struct sdm *sdm;
    uint64_t secinfo; /* offset of its own SECINFO */
    unsigned won;
};

static void *accept_all(void *argument)
{
    struct racer *racer = argument;
    for (uint64_t at = SDM_HOLE2; at < SDM_SIZE; at += 4096) {
        struct soft_outcome outcome;
        uint64_t mask = soft_signals_block();
        outcome = soft_enclu(&racer->sdm->e->pub, SGX_EACCEPT, SDM_BASE + racer->secinfo,
                             SDM_BASE + at, 0);
        soft_signals_restore(mask);
        racer->won += outcome.kind == SOFT_DONE;
        assert_true(outcome.kind == SOFT_DONE || outcome.code == SGX_PAGE_ATTRIBUTES_MISMATCH);
    }
    return NULL;
}

/* EACCEPT of one page by several threads: exactly one succeeds. */
static void test_race_accept(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct sdm sdm;
        struct racer racers[4];
        pthread_t threads[4];
        unsigned won = 0;
        sdm_init(&sdm, &plain);
        sdm_map(&sdm);
        for (size_t i = 0; i < 4; i++) {
            racers[i] = (struct racer){.sdm = &sdm, .secinfo = SDM_DATA + i * 64};
            struct sgx_secinfo *secinfo = sdm_page(&sdm, racers[i].secinfo);
            *secinfo =
                (struct sgx_secinfo){.flags = SGX_SECINFO_REG | DRV_RW | SGX_SECINFO_PENDING};
        }
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, accept_all, &racers[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            won += racers[i].won;
        }
        assert_int_equal(won, (SDM_SIZE - SDM_HOLE2) / 4096);
        sdm_close(&sdm);
    }
}

static void *extend_all(void *argument)
{
    struct racer *racer = argument;
    while (!g_stop) {
        uint64_t mask = soft_signals_block();
        soft_enclu(&racer->sdm->e->pub, SGX_EMODPE, SDM_BASE + racer->secinfo, SDM_BASE + SDM_MORE,
                   0);
        soft_signals_restore(mask);
    }
    return NULL;
}

/* EMODPE inside against EMODPR outside: rights and native protection agree at every end. */
static void test_race_permissions(void **state)
{
    struct sdm sdm;
    struct racer racer = {.sdm = &sdm, .secinfo = SDM_DATA};
    pthread_t thread;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    *(struct sgx_secinfo *)sdm_page(&sdm, SDM_DATA) = (struct sgx_secinfo){.flags = DRV_RW};
    g_stop = false;
    assert_int_equal(pthread_create(&thread, NULL, extend_all, &racer), 0);
    for (int i = 0; i < 2000; i++) {
        struct sgx_linux_restrict_permissions r;
        assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r), 0);
    }
    g_stop = true;
    pthread_join(thread, NULL);
    bool writable = sdm_epcm(&sdm, SDM_MORE)->flags & SGX_SECINFO_W;
    uint32_t error;
    assert_int_equal(drv_resolve(&sdm, SDM_MORE, SGX_PF_WRITE, &error), writable);
    drv_expect_native(SDM_MORE, writable ? "rw-s" : "r--p");
    sdm_close(&sdm);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--attach")) {
        return attach_main(atoi(argv[2]));
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_shares),
        cmocka_unit_test(test_fork_refresh_revokes),
        cmocka_unit_test(test_fork_builds_together),
        cmocka_unit_test(test_exec_attaches),
        cmocka_unit_test(test_passed_descriptor_attaches),
        cmocka_unit_test(test_dead_holders),
        cmocka_unit_test(test_fork_under_load),
        cmocka_unit_test(test_race_accept),
        cmocka_unit_test(test_race_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
