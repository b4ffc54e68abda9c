/*
 * The kernel driver's behaviour: ioctls and their errnos, mmap and mprotect, faults, fork, threads.
 * Side: tests (host). Expectations are those of arch/x86/kernel/cpu/sgx in Linux 6.1.
 */
#include "tests/soft/sdm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/soft/signer.h"

static const struct sdm_options plain;
static _Alignas(4096) uint8_t g_pages[64][4096];

#define RW (SGX_SECINFO_R | SGX_SECINFO_W)

static long map_at(struct sdm *sdm, uint64_t offset, uint64_t size, int prot)
{
    return soft_mmap((void *)(SDM_BASE + offset), size, prot, MAP_SHARED | MAP_FIXED, sdm->fd, 0);
}

static int protect(uint64_t offset, uint64_t size, int prot)
{
    int result;
    assert_true(soft_mprotect((void *)(SDM_BASE + offset), size, prot, &result));
    return result;
}

/* ------------------------------------------------------------------ ioctl errnos */

static int do_create(struct sdm *sdm, const struct sgx_secs *secs)
{
    struct sgx_linux_create request = {.src = (uint64_t)(uintptr_t)secs};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &request);
}

static void test_create(void **state)
{
    struct sdm sdm;
    struct sgx_secs good;
    (void)state;
    sdm_default_secs(&good, &plain);
    sdm_open(&sdm);
    struct sgx_secs secs = good;
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_CREATE, (void *)8), -EFAULT);
    assert_int_equal(do_create(&sdm, (void *)8), -EFAULT);
    secs.size = 0x11000;
    assert_int_equal(do_create(&sdm, &secs), -EINVAL);
    secs.size = 0;
    assert_int_equal(do_create(&sdm, &secs), -EINVAL);
    secs.size = 4096; /* a power of two: ECREATE itself refuses it */
    assert_int_equal(do_create(&sdm, &secs), -EIO);
    secs = good;
    secs.base += 4096;
    assert_int_equal(do_create(&sdm, &secs), -EIO);
    assert_int_equal(do_create(&sdm, &good), 0);
    assert_int_equal(do_create(&sdm, &good), -EINVAL);
    assert_int_equal(soft_ioctl(sdm.fd, 0xA4FF, NULL), -ENOTTY);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_VEPC_REMOVE_ALL, NULL), -ENOTTY);
    sdm_close(&sdm);
    assert_int_equal(soft_ioctl(STDIN_FILENO, SGX_LINUX_IOC_ENCLAVE_CREATE, &secs), -ENOTTY);
}

static const struct sgx_secinfo reg_rw = {.flags = SGX_SECINFO_REG | RW};

static struct sgx_linux_add_pages good_add(void)
{
    return (struct sgx_linux_add_pages){.src = (uint64_t)(uintptr_t)g_pages,
                                        .offset = 0x1000,
                                        .length = 0x2000,
                                        .secinfo = (uint64_t)(uintptr_t)&reg_rw,
                                        .flags = SGX_LINUX_PAGE_MEASURE,
                                        .count = 77};
}

static int do_add(struct sdm *sdm, struct sgx_linux_add_pages *add)
{
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, add);
}

static int add_one(struct sdm *sdm, uint64_t offset, uint64_t flags)
{
    struct sgx_secinfo secinfo = {.flags = flags};
    struct sgx_linux_add_pages add = good_add();
    add.offset = offset;
    add.length = 4096;
    add.secinfo = (uint64_t)(uintptr_t)&secinfo;
    int result = do_add(sdm, &add);
    assert_int_equal(add.count, result == -EBUSY ? 0 : result ? 77 : 4096);
    return result;
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
    struct sgx_linux_add_pages add = good_add();
    (void)state;
    sdm_open(&sdm);
    assert_int_equal(do_add(&sdm, &add), -EINVAL); /* not created */
    sdm_default_secs(&sdm.secs, &plain);
    assert_int_equal(do_create(&sdm, &sdm.secs), 0);
    assert_int_equal(do_add(&sdm, (void *)8), -EFAULT);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        add = good_add();
        memcpy((uint8_t *)&add + rows[i].field, &rows[i].value, 8);
        assert_int_equal(do_add(&sdm, &add), rows[i].result);
        assert_int_equal(add.count, 77); /* not written */
    }
    for (size_t i = 0; i < sizeof(bad_flags) / sizeof(bad_flags[0]); i++) {
        assert_int_equal(add_one(&sdm, 0x1000, bad_flags[i]), -EINVAL);
    }
    struct sgx_secinfo reserved = {.flags = reg_rw.flags, .reserved = {[55] = 1}};
    add = good_add();
    add.secinfo = (uint64_t)(uintptr_t)&reserved;
    assert_int_equal(do_add(&sdm, &add), -EINVAL);
    add = good_add();
    assert_int_equal(do_add(&sdm, &add), 0);
    assert_int_equal(add.count, 0x2000);
    sdm_close(&sdm);
}

/* Pages that exist, source pages that do not: what was done before counts. */
static void test_add_pages_partly(void **state)
{
    struct sdm sdm;
    struct sgx_linux_add_pages add = good_add();
    uint8_t *hole =
        mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_int_equal(mprotect(hole + 2 * 4096, 2 * 4096, PROT_NONE), 0);
    sdm_create(&sdm, &plain);
    assert_int_equal(do_add(&sdm, &add), 0);
    add.offset = 0;
    assert_int_equal(do_add(&sdm, &add), -EBUSY);
    assert_int_equal(add.count, 0x1000);
    assert_int_equal(do_add(&sdm, &add), -EBUSY);
    assert_int_equal(add.count, 0);
    add.src = (uint64_t)(uintptr_t)hole;
    add.offset = 0x4000;
    add.length = 0x4000;
    assert_int_equal(do_add(&sdm, &add), -EFAULT);
    assert_int_equal(add.count, 0x2000);
    assert_int_equal(sdm.e->control->child_pages, 5);
    /* a TCS that EADD refuses */
    struct sgx_secinfo tcs = {.flags = SGX_SECINFO_TCS};
    g_pages[0][4095] = 1;
    add = good_add();
    add.offset = 0x8000;
    add.secinfo = (uint64_t)(uintptr_t)&tcs;
    assert_int_equal(do_add(&sdm, &add), -EIO);
    assert_int_equal(add.count, 0);
    g_pages[0][4095] = 0;
    munmap(hole, 4 * 4096);
    sdm_close(&sdm);
}

static int do_init(struct sdm *sdm, const struct sgx_sigstruct *sig)
{
    struct sgx_linux_init request = {.sigstruct = (uint64_t)(uintptr_t)sig};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_INIT, &request);
}

static void test_init(void **state)
{
    struct sdm sdm;
    struct sgx_sigstruct good;
    (void)state;
    sdm_open(&sdm);
    assert_int_equal(do_init(&sdm, &good), -EINVAL);
    sdm_close(&sdm);
    sdm_build(&sdm, &plain);
    sdm_sigstruct(&sdm, &plain, &good);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_INIT, (void *)8), -EFAULT);
    assert_int_equal(do_init(&sdm, (void *)8), -EFAULT);
    struct sgx_sigstruct sig = good;
    sig.vendor = 1;
    assert_int_equal(do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.attributes.flags = sig.attribute_mask.flags = 1ull << 40;
    assert_int_equal(do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.misc_select = sig.misc_mask = 0x80;
    assert_int_equal(do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.attributes.xfrm = sig.attribute_mask.xfrm = 1ull << 62;
    assert_int_equal(do_init(&sdm, &sig), -EINVAL);
    sig = good;
    sig.enclave_hash[0] ^= 1;
    assert_int_equal(do_init(&sdm, &sig), -EPERM);
    signer_sign(&sig, 0);
    assert_int_equal(do_init(&sdm, &sig), -EPERM);
    assert_int_equal(do_init(&sdm, &good), 0);
    assert_int_equal(do_init(&sdm, &good), -EINVAL);
    struct sgx_linux_add_pages add = good_add();
    assert_int_equal(do_add(&sdm, &add), -EINVAL);
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
        assert_int_equal(do_create(&sdm, &sdm.secs), 0);
        assert_int_equal(add_one(&sdm, 0, SGX_SECINFO_REG | SGX_SECINFO_R), 0);
        sdm_sigstruct(&sdm, &options, &sig);
        sig.attributes.flags = 1ull << 40;
        sig.misc_select = 0x80;
        signer_sign(&sig, 0);
        assert_int_equal(do_init(&sdm, &sig), rows[i].result);
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

static int do_restrict(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t permissions,
                       struct sgx_linux_restrict_permissions *ret)
{
    *ret = (struct sgx_linux_restrict_permissions){
        .offset = offset, .length = length, .permissions = permissions};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, ret);
}

static int do_modify(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t type,
                     struct sgx_linux_modify_types *ret)
{
    *ret = (struct sgx_linux_modify_types){.offset = offset, .length = length, .page_type = type};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_MODIFY_TYPES, ret);
}

static int do_remove(struct sdm *sdm, uint64_t offset, uint64_t length,
                     struct sgx_linux_remove_pages *ret)
{
    *ret = (struct sgx_linux_remove_pages){.offset = offset, .length = length};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES, ret);
}

static void accept_as(struct sdm *sdm, uint64_t offset, uint64_t flags,
                      struct soft_outcome expected)
{
    struct sgx_secinfo *secinfo = sdm_page(sdm, SDM_DATA);
    *secinfo = (struct sgx_secinfo){.flags = flags};
    struct soft_outcome outcome =
        soft_enclu(&sdm->e->pub, SGX_EACCEPT, SDM_BASE + SDM_DATA, SDM_BASE + offset, 0);
    assert_int_equal(outcome.kind, expected.kind);
    assert_int_equal(outcome.code, expected.code);
}

static void test_restrict(void **state)
{
    struct sdm sdm;
    struct sgx_linux_restrict_permissions r;
    (void)state;
    sdm_build(&sdm, &plain);
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, 1, &r), -EINVAL); /* not initialised */
    sdm_close(&sdm);
    sdm_init(&sdm, &plain);
    sdm_map(&sdm);
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 0, 1, &r), -EINVAL);
    assert_int_equal(do_restrict(&sdm, SDM_MORE + 1, 4096, 1, &r), -EINVAL);
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, 8, &r), -EINVAL);
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_W, &r), -EINVAL);
    r = (struct sgx_linux_restrict_permissions){
        .offset = SDM_MORE, .length = 4096, .permissions = 1, .count = 1};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &r), -EINVAL);
    r.count = 0;
    r.result = 1;
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, &r), -EINVAL);
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, (void *)8),
                     -EFAULT);
    assert_int_equal(do_restrict(&sdm, SDM_TCS, 4096, 1, &r), -EINVAL);
    assert_int_equal(r.count, 0);
    assert_int_equal(do_restrict(&sdm, SDM_HOLE, 4096, 1, &r), -EFAULT);
    /* MORE and XONLY go, the hole behind them does not */
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 0x3000, 1, &r), -EFAULT);
    assert_int_equal(r.count, 0x2000);
    assert_int_equal(r.result, 0);
    assert_int_equal(sdm_epcm(&sdm, SDM_MORE)->flags & SGX_SECINFO_RWX, SGX_SECINFO_R);
    assert_int_equal(sdm_epcm(&sdm, SDM_XONLY)->flags & SGX_SECINFO_RWX, 0);
    accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR, soft_done());
    /* a page that waits for EACCEPT: the leaf's code is passed on */
    struct sgx_linux_modify_types m;
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), 0);
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, 1, &r), -EINVAL);
    uint32_t error;
    uint64_t mask = soft_signals_block();
    assert_false(soft_fault_resolve(&sdm.e->pub, SDM_BASE + SDM_HOLE, 0, &error));
    soft_signals_restore(mask);
    assert_int_equal(do_restrict(&sdm, SDM_HOLE, 4096, 1, &r), -EFAULT);
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
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, 0x100, &m), -EINVAL);
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_REG, &m), -EINVAL);
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_SECS, &m), -EINVAL);
    assert_int_equal(do_modify(&sdm, SDM_TCS, 4096, SGX_PT_TCS, &m), -EINVAL);
    assert_int_equal(do_modify(&sdm, SDM_HOLE, 4096, SGX_PT_TRIM, &m), -EFAULT);
    /* only a page that may be mapped RW can become a TCS */
    assert_int_equal(do_modify(&sdm, SDM_RODATA, 4096, SGX_PT_TCS, &m), -EPERM);
    assert_int_equal(do_modify(&sdm, SDM_CODE, 4096, SGX_PT_TCS, &m), -EPERM);
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TCS, &m), 0);
    assert_int_equal(m.count, 4096);
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), -EFAULT);
    assert_int_equal(m.result, SGX_PAGE_NOT_MODIFIABLE);
    assert_int_equal(protect(SDM_MORE, 4096, PROT_READ | PROT_EXEC), -EACCES);
    assert_int_equal(do_modify(&sdm, SDM_TCS, 4096, SGX_PT_TRIM, &m), 0);
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
    assert_int_equal(do_remove(&sdm, SDM_MORE, 0, &r), -EINVAL);
    r = (struct sgx_linux_remove_pages){.offset = SDM_MORE, .length = 4096, .count = 1};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES, &r), -EINVAL);
    assert_int_equal(do_remove(&sdm, SDM_HOLE, 4096, &r), -EFAULT);
    assert_int_equal(do_remove(&sdm, SDM_MORE, 4096, &r), -EPERM);
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), 0);
    assert_int_equal(do_remove(&sdm, SDM_MORE, 4096, &r), -EPERM); /* not accepted */
    assert_int_equal(r.count, 0);
    accept_as(&sdm, SDM_MORE, SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED, soft_done());
    memset(sdm_page(&sdm, SDM_MORE), 0x77, 4096);
    assert_int_equal(do_remove(&sdm, SDM_MORE, 4096, &r), 0);
    assert_int_equal(r.count, 4096);
    assert_int_equal(do_remove(&sdm, SDM_MORE, 4096, &r), -EFAULT);
    /* augmented again it is zero, REG, RW and may be mapped RWX */
    accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING, soft_done());
    assert_true(soft_all_zero((void *)(SDM_BASE + SDM_MORE), 4096));
    assert_int_equal(protect(SDM_MORE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
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
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, 1, &r), 0);
    accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR,
              soft_code(SGX_NOT_TRACKED));
    sdm.e->control->hooks = SOFT_HOOK_TRACK_BUSY;
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, 1, &r), -EFAULT);
    sdm.e->control->hooks = 0;
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, 1, &r), 0);
    accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR, soft_done());
    sdm_close(&sdm);
}

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
            assert_int_equal(map_at(&sdm, rows[i].offset, 4096, prot), may ? at : -EACCES);
            assert_int_equal(map_at(&sdm, rows[i].offset, 4096, PROT_NONE), at);
            assert_int_equal(protect(rows[i].offset, 4096, prot), may ? 0 : -EACCES);
        }
    }
    /* over several pages: what all of them allow */
    assert_int_equal(map_at(&sdm, 0, SDM_SIZE, PROT_NONE), (long)SDM_BASE);
    assert_int_equal(protect(SDM_CODE, 0x2000, PROT_READ), 0);
    assert_int_equal(protect(SDM_CODE, 0x2000, PROT_READ | PROT_EXEC), -EACCES);
    /* outside ELRANGE after INIT */
    assert_int_equal(map_at(&sdm, SDM_SIZE, 4096, PROT_NONE), -EACCES);
    assert_int_equal(map_at(&sdm, SDM_SIZE - 4096, 8192, PROT_NONE), -EACCES);
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
    assert_int_equal(map_at(&sdm, 0, SDM_SIZE, PROT_NONE), (long)SDM_BASE);
    int persona = personality(0xffffffff);
    assert_true(personality((unsigned)persona | READ_IMPLIES_EXEC) >= 0);
    assert_int_equal(map_at(&sdm, SDM_DATA, 4096, PROT_READ), -EACCES);
    assert_int_equal(protect(SDM_DATA, 4096, PROT_READ), -EACCES);
    personality((unsigned)persona);
    sdm_close(&sdm);
}

/* The line of /proc/self/maps for an address: "rwxp" and the like. */
static void maps_flags(uint64_t address, char flags[5])
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    strcpy(flags, "none");
    while (fgets(line, sizeof(line), maps)) {
        unsigned long start, end;
        char found[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, found) == 3 && address >= start &&
            address < end) {
            strcpy(flags, found);
        }
    }
    fclose(maps);
}

static void expect_native(uint64_t offset, const char *expected)
{
    char flags[5];
    maps_flags(SDM_BASE + offset, flags);
    assert_string_equal(flags, expected);
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
    expect_native(SDM_DATA, "rw-s");
    expect_native(SDM_TCS, "---s"); /* a TCS is nobody's to touch */
    expect_native(SDM_CODE, "r-xp");
    expect_native(SDM_RODATA, "r--p");
    expect_native(SDM_MORE, "rw-s");
    expect_native(SDM_XONLY, "--xp");
    expect_native(SDM_HOLE, "---s");
    assert_int_equal(protect(SDM_DATA, 4096, PROT_READ), 0);
    expect_native(SDM_DATA, "r--p");
    assert_int_equal(protect(SDM_DATA, 4096, PROT_READ | PROT_WRITE), 0);
    expect_native(SDM_DATA, "rw-s");
    assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r), 0);
    expect_native(SDM_MORE, "r--p");
    accept_as(&sdm, SDM_MORE, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR, soft_done());
    assert_int_equal(do_modify(&sdm, SDM_MORE, 4096, SGX_PT_TRIM, &m), 0);
    expect_native(SDM_MORE, "---p");
    sdm_close(&sdm);
    expect_native(SDM_DATA, "none");
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
    assert_int_equal(do_create(&sdm, &sdm.secs), 0);
    expect_native(0x1000, "---s");
    memset(g_pages[1], 0x42, 4096);
    struct sgx_linux_add_pages add = good_add();
    assert_int_equal(do_add(&sdm, &add), 0);
    expect_native(0x1000, "rw-s");
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + 0x2000), 0x42);
    assert_int_equal(add_one(&sdm, 0x5000, SGX_SECINFO_REG | SGX_SECINFO_R), 0);
    expect_native(0x5000, "r--p");
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
    assert_false(soft_munmap(g_pages, 4096, &result));
    assert_false(soft_mprotect(g_pages, 4096, PROT_READ, &result));
    void *beside = mmap((void *)(SDM_BASE + SDM_SIZE), 8192, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    assert_int_equal((uint64_t)beside, SDM_BASE + SDM_SIZE);
    assert_int_equal(protect(SDM_SIZE - 0x1000, 0x3000, PROT_READ), 0);
    expect_native(SDM_SIZE + 0x1000, "r--p");
    assert_int_equal(protect(SDM_SIZE - 0x1000, 0x4000, PROT_READ), -ENOMEM); /* unmapped end */
    /* an anonymous mapping over one page of the enclave */
    mmap((void *)(SDM_BASE + SDM_RODATA), 4096, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    soft_overlay((void *)(SDM_BASE + SDM_RODATA), 4096);
    *(volatile uint8_t *)(SDM_BASE + SDM_RODATA) = 5;
    assert_string_equal((char *)sdm_page(&sdm, SDM_RODATA), "data");
    munmap((void *)(SDM_BASE + SDM_RODATA), 4096);
    assert_true(soft_munmap((void *)(SDM_BASE + SDM_CODE), 4096, &result));
    expect_native(SDM_CODE, "none");
    expect_native(SDM_TCS, "---s");
    assert_int_equal(map_at(&sdm, SDM_CODE, 4096, PROT_READ), (long)(SDM_BASE + SDM_CODE));
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + SDM_CODE), 0x0f); /* contents stay */
    munmap(beside, 8192);
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ faults */

static bool resolve(struct sdm *sdm, uint64_t offset, uint32_t access, uint32_t *error)
{
    uint64_t mask = soft_signals_block();
    bool mended = soft_fault_resolve(&sdm->e->pub, SDM_BASE + offset, access, error);
    soft_signals_restore(mask);
    return mended;
}

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
        map_at(&sdm, rows[i].offset, 4096, rows[i].prot);
        bool mended = resolve(&sdm, rows[i].offset + 8, rows[i].access, &error);
        if (mended != !rows[i].error || (!mended && error != rows[i].error)) {
            fail_msg("row %zu: %s %#x", i, mended ? "mended" : "refused", error);
        }
    }
    assert_int_equal(sdm_epcm(&sdm, SDM_HOLE)->flags,
                     SOFT_EPCM_VALID | SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING);
    assert_int_equal(sdm_epcm(&sdm, SDM_HOLE2 + 0x1000)->flags, 0); /* the VMA refused it first */
    uint32_t error = 0;
    assert_false(resolve(&sdm, 0xf000, 0, &error)); /* not mapped at all */
    assert_int_equal(error, 4);
    sdm_close(&sdm);
    /* before INIT a hole is not filled */
    sdm_build(&sdm, &plain);
    map_at(&sdm, SDM_HOLE, 4096, PROT_READ);
    assert_false(resolve(&sdm, SDM_HOLE, 0, &error));
    assert_int_equal(error, 4);
    assert_int_equal(sdm_epcm(&sdm, SDM_HOLE)->flags, 0);
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
            assert_int_equal(protect(SDM_DATA, 4096, PROT_READ), 0);
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
    struct sgx_linux_add_pages add = good_add();
    (void)state;
    sdm_create(&sdm, &plain);
    sdm.e->control->ioctl_owner = (uint32_t)getppid(); /* somebody who is alive */
    assert_int_equal(do_add(&sdm, &add), -EBUSY);
    sdm.e->control->ioctl_owner = 0x3fffffff; /* somebody who died inside */
    assert_int_equal(do_add(&sdm, &add), 0);
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
    assert_int_equal(do_create(&sdm, &sdm.secs), 0);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_value = {.tv_usec = 3000}};
    struct sgx_linux_add_pages add = good_add();
    add.src = (uint64_t)(uintptr_t)source;
    add.offset = 0;
    add.length = length;
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(do_add(&sdm, &add), 0);
    assert_int_equal(g_alarms, 1);
    assert_true(add.count > 0 && add.count < length);
    uint64_t done = add.count;
    add.offset = done;
    add.length -= done;
    assert_int_equal(do_add(&sdm, &add), 0);
    assert_int_equal(add.count, length - done);
    munmap(source, length);
    sdm_close(&sdm);
}

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
        *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING};
        struct soft_outcome outcome =
            soft_enclu(&sdm.e->pub, SGX_EACCEPT, SDM_BASE + SDM_DATA, SDM_BASE + SDM_HOLE, 0);
        CHILD_CHECK(outcome.kind == SOFT_DONE);
        *(volatile uint8_t *)(SDM_BASE + SDM_HOLE) = 0x99;
        *(volatile uint8_t *)(SDM_BASE + SDM_MORE) = 0x98;
        CHILD_CHECK(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_INIT, NULL) == -EINVAL);
        _exit(0);
    }
    assert_int_equal(reap(child), 0);
    assert_int_equal(*(volatile uint8_t *)(SDM_BASE + SDM_MORE), 0x98);
    assert_true(soft_is_stale(&sdm.e->pub));
    uint32_t error;
    assert_true(resolve(&sdm, SDM_HOLE, 0, &error)); /* the fault on the stale mapping mends it */
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
        _exit(do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r) != 0);
    }
    assert_int_equal(reap(child), 0);
    expect_native(SDM_MORE, "rw-s");
    soft_refresh(&sdm.e->pub);
    expect_native(SDM_MORE, "r--p");
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
        CHILD_CHECK(do_create(&sdm, &sdm.secs) == 0);
        CHILD_CHECK(add_one(&sdm, 0x1000, SGX_SECINFO_REG | RW) == 0);
        _exit(0);
    }
    assert_int_equal(reap(child), 0);
    assert_int_equal(add_one(&sdm, 0x1000, SGX_SECINFO_REG | RW), -EBUSY);
    assert_int_equal(add_one(&sdm, 0x2000, SGX_SECINFO_REG | SGX_SECINFO_R), 0);
    sdm_sigstruct(&sdm, &plain, &sig);
    assert_int_equal(do_init(&sdm, &sig), 0);
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
    return do_remove(&sdm, SDM_MORE, 4096, &r) == -EPERM ? 0 : 3;
}

static atomic_bool g_stop;
static void *keep_busy(void *argument)
{
    struct sdm *sdm = argument;
    unsigned turn = 0;
    while (!g_stop) {
        struct sgx_linux_restrict_permissions r;
        protect(SDM_DATA, 4096, turn++ % 2 ? PROT_READ : PROT_READ | PROT_WRITE);
        int result = do_restrict(sdm, SDM_RODATA, 4096, SGX_SECINFO_R, &r);
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
                result = do_restrict(&sdm, SDM_CODE, 4096, SGX_SECINFO_R | SGX_SECINFO_X, &r);
            } while (result == -EBUSY);
            CHILD_CHECK(result == 0);
            CHILD_CHECK(protect(SDM_MORE, 4096, PROT_READ) == 0);
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
            *secinfo = (struct sgx_secinfo){.flags = SGX_SECINFO_REG | RW | SGX_SECINFO_PENDING};
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
    *(struct sgx_secinfo *)sdm_page(&sdm, SDM_DATA) = (struct sgx_secinfo){.flags = RW};
    g_stop = false;
    assert_int_equal(pthread_create(&thread, NULL, extend_all, &racer), 0);
    for (int i = 0; i < 2000; i++) {
        struct sgx_linux_restrict_permissions r;
        assert_int_equal(do_restrict(&sdm, SDM_MORE, 4096, SGX_SECINFO_R, &r), 0);
    }
    g_stop = true;
    pthread_join(thread, NULL);
    bool writable = sdm_epcm(&sdm, SDM_MORE)->flags & SGX_SECINFO_W;
    expect_native(SDM_MORE, writable ? "rw-s" : "r--p");
    sdm_close(&sdm);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--attach")) {
        return attach_main(atoi(argv[2]));
    }
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
        cmocka_unit_test(test_mmap_arguments),
        cmocka_unit_test(test_max_prot),
        cmocka_unit_test(test_read_implies_exec),
        cmocka_unit_test(test_native_protection),
        cmocka_unit_test(test_map_first),
        cmocka_unit_test(test_partial_ranges),
        cmocka_unit_test(test_fault_codes),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_signal_stops_adding),
        cmocka_unit_test(test_fork_shares),
        cmocka_unit_test(test_fork_refresh_revokes),
        cmocka_unit_test(test_fork_builds_together),
        cmocka_unit_test(test_exec_attaches),
        cmocka_unit_test(test_fork_under_load),
        cmocka_unit_test(test_race_accept),
        cmocka_unit_test(test_race_permissions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
