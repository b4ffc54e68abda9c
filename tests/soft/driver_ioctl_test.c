/*
 * The kernel driver's ioctls and their errnos.
 * Side: tests (host). Expectations are those of arch/x86/kernel/cpu/sgx in Linux 6.1.
 */
#include "tests/soft/driver_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/soft/signer.h"

static const struct sdm_options plain;

/* ------------------------------------------------------------------ ioctl errnos */

static void test_create(void **state)
{
    struct sdm sdm;
    struct sgx_secs good;
    (void)state;
    sdm_default_secs(&good, &plain);
    sdm_open(&sdm);
    struct sgx_secs secs = good;
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_CREATE, (void *)8), -EFAULT);
    assert_int_equal(drv_do_create(&sdm, (void *)8), -EFAULT);
    secs.size = 0x11000;
    assert_int_equal(drv_do_create(&sdm, &secs), -EINVAL);
    secs.size = 0;
    assert_int_equal(drv_do_create(&sdm, &secs), -EINVAL);
    secs.size = 4096; /* a power of two: ECREATE itself refuses it */
    assert_int_equal(drv_do_create(&sdm, &secs), -EIO);
    secs = good;
    secs.base += 4096;
    assert_int_equal(drv_do_create(&sdm, &secs), -EIO);
    assert_int_equal(drv_do_create(&sdm, &good), 0);
    assert_int_equal(drv_do_create(&sdm, &good), -EINVAL);
    assert_int_equal(soft_ioctl(sdm.fd, 0xA4FF, NULL), -ENOTTY);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_VEPC_REMOVE_ALL, NULL), -ENOTTY);
    sdm_close(&sdm);
    assert_int_equal(soft_ioctl(STDIN_FILENO, SGX_LINUX_IOC_ENCLAVE_CREATE, &secs), -ENOTTY);
}

static void test_add_pages_errnos(void **state)
{
    static const struct {
        size_t field;
        uint64_t value;
        int result;
    } rows[] = {
        {offsetof(struct sgx_linux_add_pages, src), 0x123, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, offset), 0x1001, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, offset), SDM_SIZE, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, offset), SDM_SIZE - 0x1000, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, offset), ~0xfffull, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, length), 0, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, length), 0x1800, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, length), ~0xfffull, -EINVAL},
        {offsetof(struct sgx_linux_add_pages, secinfo), 8, -EFAULT},
    };
    static const uint64_t bad_flags[] = {0,
                                         SGX_SECINFO_TRIM,
                                         0x300,
                                         SGX_SECINFO_REG | SGX_SECINFO_W,
                                         SGX_SECINFO_REG | SGX_SECINFO_W | SGX_SECINFO_X,
                                         SGX_SECINFO_TCS | SGX_SECINFO_R,
                                         SGX_SECINFO_REG | SGX_SECINFO_PENDING,
                                         SGX_SECINFO_REG | 1ull << 63};
    struct sdm sdm;
    struct sgx_linux_add_pages add = drv_good_add();
    (void)state;
    sdm_open(&sdm);
    assert_int_equal(drv_do_add(&sdm, &add), -EINVAL); /* not created */
    sdm_default_secs(&sdm.secs, &plain);
    assert_int_equal(drv_do_create(&sdm, &sdm.secs), 0);
    assert_int_equal(drv_do_add(&sdm, (void *)8), -EFAULT);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        add = drv_good_add();
        memcpy((uint8_t *)&add + rows[i].field, &rows[i].value, 8);
        assert_int_equal(drv_do_add(&sdm, &add), rows[i].result);
        assert_int_equal(add.count, 77); /* not written */
    }
    for (size_t i = 0; i < sizeof(bad_flags) / sizeof(bad_flags[0]); i++) {
        assert_int_equal(drv_add_one(&sdm, 0x1000, bad_flags[i]), -EINVAL);
    }
    struct sgx_secinfo reserved = {.flags = SGX_SECINFO_REG | DRV_RW, .reserved = {[55] = 1}};
    add = drv_good_add();
    add.secinfo = (uint64_t)(uintptr_t)&reserved;
    assert_int_equal(drv_do_add(&sdm, &add), -EINVAL);
    add = drv_good_add();
    assert_int_equal(drv_do_add(&sdm, &add), 0);
    assert_int_equal(add.count, 0x2000);
    sdm_close(&sdm);
}

/* Pages that exist, source pages that do not: what was done before counts. */
static void test_add_pages_partly(void **state)
{
    struct sdm sdm;
    struct sgx_linux_add_pages add = drv_good_add();
    uint8_t *hole =
        mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_int_equal(mprotect(hole + 2 * 4096, 2 * 4096, PROT_NONE), 0);
    sdm_create(&sdm, &plain);
    assert_int_equal(drv_do_add(&sdm, &add), 0);
    add.offset = 0;
    assert_int_equal(drv_do_add(&sdm, &add), -EBUSY);
    assert_int_equal(add.count, 0x1000);
    assert_int_equal(drv_do_add(&sdm, &add), -EBUSY);
    assert_int_equal(add.count, 0);
    add.src = (uint64_t)(uintptr_t)hole;
    add.offset = 0x4000;
    add.length = 0x4000;
    assert_int_equal(drv_do_add(&sdm, &add), -EFAULT);
    assert_int_equal(add.count, 0x2000);
    assert_int_equal(sdm.e->control->child_pages, 5);
    /* a TCS that EADD refuses */
    struct sgx_secinfo tcs = {.flags = SGX_SECINFO_TCS};
    drv_pages[0][4095] = 1;
    add = drv_good_add();
    add.offset = 0x8000;
    add.secinfo = (uint64_t)(uintptr_t)&tcs;
    assert_int_equal(drv_do_add(&sdm, &add), -EIO);
    assert_int_equal(add.count, 0);
    drv_pages[0][4095] = 0;
    munmap(hole, 4 * 4096);
    sdm_close(&sdm);
}

static void test_init(void **state)
{
    struct sdm sdm;
    struct sgx_sigstruct good;
    (void)state;
    sdm_open(&sdm);
    assert_int_equal(drv_do_init(&sdm, &good), -EINVAL);
    sdm_close(&sdm);
    sdm_build(&sdm, &plain);
    sdm_sigstruct(&sdm, &plain, &good);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_INIT, (void *)8), -EFAULT);
    assert_int_equal(drv_do_init(&sdm, (void *)8), -EFAULT);
    struct sgx_sigstruct sig = good;
    sig.vendor = 1;
    assert_int_equal(drv_do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.attributes.flags = sig.attribute_mask.flags = 1ull << 40;
    assert_int_equal(drv_do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.misc_select = sig.misc_mask = 0x80;
    assert_int_equal(drv_do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.attributes.xfrm = sig.attribute_mask.xfrm = 1ull << 62;
    assert_int_equal(drv_do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.enclave_hash[0] ^= 1;
    assert_int_equal(drv_do_init(&sdm, &sig), -EPERM);
    signer_sign(&sig, 0);
    assert_int_equal(drv_do_init(&sdm, &sig), -EPERM);
    assert_int_equal(drv_do_init(&sdm, &good), 0);
    assert_int_equal(drv_do_init(&sdm, &good), -EINVAL);
    struct sgx_linux_add_pages add = drv_good_add();
    assert_int_equal(drv_do_add(&sdm, &add), -EINVAL);
    sdm_close(&sdm);
}

/* Unsupported bits that no mask enforces are no reason to refuse. */
static void test_init_attributes(void **state)
{
    static const struct {
        uint64_t secs_flags;
        bool provisioned;
        int result;
    } rows[] = {
        {0, false, 0},
        {SGX_FLAGS_DEBUG, false, 0},
        {SGX_FLAGS_KSS, false, 0},
        {SGX_FLAGS_AEXNOTIFY, false, 0},
        {SGX_FLAGS_PROVISIONKEY, false, -EACCES},
        {SGX_FLAGS_PROVISIONKEY, true, 0},
        {SGX_FLAGS_EINITTOKENKEY, false, -EACCES},
        {SGX_FLAGS_EINITTOKENKEY, true, -EACCES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sdm_options options = {.flags = rows[i].secs_flags};
        struct sgx_sigstruct sig;
        struct sdm sdm;
        sdm_open(&sdm);
        sdm_default_secs(&sdm.secs, &options);
        int provision = soft_open_node(SGX_LINUX_PROVISION_NODE, O_RDONLY);
        struct sgx_linux_provision request = {.fd = (uint64_t)provision};
        assert_true(provision >= 0);
        if (rows[i].provisioned) { /* before CREATE is as good as after it */
            assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, &request), 0);
        }
        close(provision);
        assert_int_equal(drv_do_create(&sdm, &sdm.secs), 0);
        assert_int_equal(drv_add_one(&sdm, 0, SGX_SECINFO_REG | SGX_SECINFO_R), 0);
        sdm_sigstruct(&sdm, &options, &sig);
        sig.attributes.flags = 1ull << 40;
        sig.misc_select = 0x80;
        signer_sign(&sig, 0);
        assert_int_equal(drv_do_init(&sdm, &sig), rows[i].result);
        sdm_close(&sdm);
    }
}

static void test_provision(void **state)
{
    struct sdm sdm;
    (void)state;
    sdm_open(&sdm);
    struct sgx_linux_provision request = {.fd = STDIN_FILENO};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, &request), -EINVAL);
    request.fd = 12345;
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, &request), -EINVAL);
    request.fd = (uint64_t)sdm.fd;
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, &request), -EINVAL);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, (void *)8), -EFAULT);
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ SGX2 ioctls */

static void test_restrict(void **state)
{
    struct sdm sdm;
    struct sgx_linux_restrict_permissions r;
    (void)state;
    sdm_build(&sdm, &plain);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, 1, &r), -EINVAL); /* not initialised */
    sdm_close(&sdm);
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 0, 1, &r), -EINVAL);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE + 1, 4096, 1, &r), -EINVAL);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, 8, &r), -EINVAL);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_W, &r), -EINVAL);
    r = (struct sgx_linux_restrict_permissions){
        .offset = SDM_MORE, .length = 4096, .permissions = 1, .count = 1};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &r), -EINVAL);
    r.count = 0;
    r.result = 1;
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &r), -EINVAL);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, (void *)8),
                     -EFAULT);
    assert_int_equal(drv_do_restrict(&sdm, SDM_TCS, 4096, 1, &r), -EINVAL);
    assert_int_equal(r.count, 0);
    assert_int_equal(drv_do_restrict(&sdm, SDM_HOLE, 4096, 1, &r), -EFAULT);
    /* MORE and XONLY go, the hole behind them does not */
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 0x3000, 1, &r), -EFAULT);
    assert_int_equal(r.count, 0x2000);
    assert_int_equal(r.result, 0);
    assert_int_equal(sdm_epcm(&sdm, SDM_MORE)->flags & SGX_SECINFO_RWX, SGX_SECINFO_R);
    assert_int_equal(sdm_epcm(&sdm, SDM_XONLY)->flags & SGX_SECINFO_RWX, 0);
    drv_accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR, soft_done());
    /* a page that waits for EACCEPT: the leaf's code is passed on */
    struct sgx_linux_modify_types m;
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), 0);
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, 1, &r), -EINVAL);
    uint32_t error;
    uint64_t mask = soft_signals_block();
    assert_false(soft_fault_resolve(&sdm.e->pub, SDM_BASE + SDM_HOLE, 0, &error));
    soft_signals_restore(mask);
    assert_int_equal(drv_do_restrict(&sdm, SDM_HOLE, 4096, 1, &r), -EFAULT);
    assert_int_equal(r.result, SGX_PAGE_NOT_MODIFIABLE);
    sdm_close(&sdm);
}

static void test_modify(void **state)
{
    struct sdm sdm;
    struct sgx_linux_modify_types m;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, 0x100, &m), -EINVAL);
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_REG, &m), -EINVAL);
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_SECS, &m), -EINVAL);
    assert_int_equal(drv_do_modify(&sdm, SDM_TCS, 4096, SGX_PT_TCS, &m), -EINVAL);
    assert_int_equal(drv_do_modify(&sdm, SDM_HOLE, 4096, SGX_PT_TRIM, &m), -EFAULT);
    /* only a page that may be mapped DRV_RW can become a TCS */
    assert_int_equal(drv_do_modify(&sdm, SDM_RODATA, 4096, SGX_PT_TCS, &m), -EPERM);
    assert_int_equal(drv_do_modify(&sdm, SDM_CODE, 4096, SGX_PT_TCS, &m), -EPERM);
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TCS, &m), 0);
    assert_int_equal(m.count, 4096);
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), -EFAULT);
    assert_int_equal(m.result, SGX_PAGE_NOT_MODIFIABLE);
    assert_int_equal(drv_protect(SDM_MORE, 4096, PROT_READ | PROT_EXEC), -EACCES);
    assert_int_equal(drv_do_modify(&sdm, SDM_TCS, 4096, SGX_PT_TRIM, &m), 0);
    sdm_close(&sdm);
}

static void test_remove(void **state)
{
    struct sdm sdm;
    struct sgx_linux_modify_types m;
    struct sgx_linux_remove_pages r;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    assert_int_equal(drv_do_remove(&sdm, SDM_MORE, 0, &r), -EINVAL);
    r = (struct sgx_linux_remove_pages){.offset = SDM_MORE, .length = 4096, .count = 1};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES, &r), -EINVAL);
    assert_int_equal(drv_do_remove(&sdm, SDM_HOLE, 4096, &r), -EFAULT);
    assert_int_equal(drv_do_remove(&sdm, SDM_MORE, 4096, &r), -EPERM);
    assert_int_equal(drv_do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), 0);
    assert_int_equal(drv_do_remove(&sdm, SDM_MORE, 4096, &r), -EPERM); /* not accepted */
    assert_int_equal(r.count, 0);
    drv_accept_as(&sdm, SDM_MORE, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED, soft_done());
    memset(sdm_page(&sdm, SDM_MORE), 0x77, 4096);
    assert_int_equal(drv_do_remove(&sdm, SDM_MORE, 4096, &r), 0);
    assert_int_equal(r.count, 4096);
    assert_int_equal(drv_do_remove(&sdm, SDM_MORE, 4096, &r), -EFAULT);
    /* augmented again it is zero, REG, DRV_RW and may be mapped RWX */
    uint32_t error;
    drv_accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | DRV_RW | SGX_SECINFO_PENDING, soft_done());
    assert_true(drv_resolve(&sdm, SDM_MORE, 0, &error)); /* mapped when it is used */
    assert_true(soft_all_zero((void *)(SDM_BASE + SDM_MORE), 4096));
    assert_int_equal(drv_protect(SDM_MORE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    sdm_close(&sdm);
}

static void test_etrack_is_needed(void **state)
{
    struct sdm sdm;
    struct sgx_linux_restrict_permissions r;
    (void)state;
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    sdm.e->control->hooks = SOFT_HOOK_NO_ETRACK;
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, 1, &r), 0);
    drv_accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR,
                  soft_code(SGX_NOT_TRACKED));
    sdm.e->control->hooks = SOFT_HOOK_TRACK_BUSY;
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, 1, &r), -EFAULT);
    sdm.e->control->hooks = 0;
    assert_int_equal(drv_do_restrict(&sdm, SDM_MORE, 4096, 1, &r), 0);
    drv_accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR, soft_done());
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ life and death */

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 2048; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void test_release(void **state)
{
    size_t before = open_descriptors();
    (void)state;
    assert_false(soft_any_enclave());
    for (int i = 0; i < 600; i++) { /* more than the table holds */
        struct sdm sdm;
        sdm_build(&sdm, &plain);
        sdm_map(&sdm);
        assert_true(soft_owns_fd(sdm.e->pub.fd));
        assert_false(soft_owns_fd(sdm.fd));
        if (i % 2) { /* closed first: the mapping keeps the enclave alive */
            driver_put(sdm.e);
            soft_close_fd(sdm.fd);
            close(sdm.fd);
            assert_ptr_equal(soft_enclave_at(SDM_BASE + 5), &sdm.e->pub);
            assert_int_equal(drv_protect(SDM_DATA, 4096, PROT_READ), 0);
            assert_true(soft_munmap((void *)SDM_BASE, SDM_SIZE, &(int){0}));
        } else {
            sdm_close(&sdm);
        }
        assert_null(soft_enclave_at(SDM_BASE + 5));
    }
    assert_false(soft_any_enclave());
    assert_int_equal(open_descriptors(), before);
}

static void test_busy(void **state)
{
    struct sdm sdm;
    struct sgx_linux_add_pages add = drv_good_add();
    (void)state;
    sdm_create(&sdm, &plain);
    sdm.e->control->ioctl_owner = (uint32_t)getppid(); /* somebody who is alive */
    assert_int_equal(drv_do_add(&sdm, &add), -EBUSY);
    sdm.e->control->ioctl_owner = 0x3fffffff; /* somebody who died inside */
    assert_int_equal(drv_do_add(&sdm, &add), 0);
    assert_int_equal(sdm.e->control->ioctl_owner, 0);
    sdm_close(&sdm);
}

static volatile sig_atomic_t g_alarms;
static void on_alarm(int number)
{
    (void)number;
    g_alarms = g_alarms + 1;
}

/*
 * A signal ends a long ADD_PAGES early, with success and the count so far; going on from there
 * works.
 */
static void test_signal_stops_adding(void **state)
{
    const uint64_t length = 48ull << 20;
    struct sdm sdm;
    struct sigaction action = {.sa_handler = on_alarm};
    uint8_t *source =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    sdm_open(&sdm);
    sdm_default_secs(&sdm.secs, &plain);
    sdm.secs.size = 64ull << 20;
    assert_int_equal(drv_do_create(&sdm, &sdm.secs), 0);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_value = {.tv_usec = 3000}};
    struct sgx_linux_add_pages add = drv_good_add();
    add.src = (uint64_t)(uintptr_t)source;
    add.offset = 0;
    add.length = length;
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(drv_do_add(&sdm, &add), 0);
    assert_int_equal(g_alarms, 1);
    assert_true(add.count > 0 && add.count < length);
    uint64_t done = add.count;
    add.offset = done;
    add.length -= done;
    assert_int_equal(drv_do_add(&sdm, &add), 0);
    assert_int_equal(add.count, length - done);
    munmap(source, length);
    sdm_close(&sdm);
}

/* A source on a noexec mount is refused, where the test may make such a mount. */
static int noexec_child(const char *directory)
{
    char path[64];
    struct sdm sdm;
    struct sgx_linux_add_pages add = drv_good_add();
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", directory, "tmpfs", MS_NOEXEC, NULL)) {
        return 77;
    }
    snprintf(path, sizeof(path), "%s/source", directory);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 0x2000)) {
        return 1;
    }
    /* the first page is anonymous, the second the file's */
    uint8_t *source =
        mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mmap(source + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    sdm_create(&sdm, &plain);
    add.src = (uint64_t)(uintptr_t)source;
    if (drv_do_add(&sdm, &add) != -EACCES || add.count != 4096) {
        return 2;
    }
    add.src += 4096;
    add.offset += 0x2000;
    return drv_do_add(&sdm, &add) == -EACCES && add.count == 0 ? 0 : 3;
}

static void test_noexec_source(void **state)
{
    char directory[] = "/tmp/cella-noexec-XXXXXX";
    int status;
    (void)state;
    assert_non_null(mkdtemp(directory));
    pid_t child = fork();
    if (!child) {
        _exit(noexec_child(directory));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rmdir(directory), 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_add_pages_errnos),
        cmocka_unit_test(test_add_pages_partly),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_init_attributes),
        cmocka_unit_test(test_provision),
        cmocka_unit_test(test_restrict),
        cmocka_unit_test(test_modify),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_etrack_is_needed),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_signal_stops_adding),
        cmocka_unit_test(test_noexec_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
