/*
 * The SDM suite's bench: enclaves built leaf by leaf, and tables of single violations.
 * Side: tests (host). Called by tests/soft/sdm_*_test.c and keys_test.c.
 * It goes past the driver where the kernel would not let a test reach the leaf's own check.
 */
#include "tests/soft/sdm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/soft/signer.h"

/* The transitions are not linked here. */
void soft_patch_exit_sites(struct soft_enclave *enclave)
{
    (void)enclave;
}

void soft_forget_enclave(struct soft_enclave *enclave)
{
    (void)enclave;
}

void sdm_default_secs(struct sgx_secs *secs, const struct sdm_options *options)
{
    memset(secs, 0, sizeof(*secs));
    secs->size = SDM_SIZE;
    secs->base = SDM_BASE;
    secs->ssa_frame_size = 1;
    secs->misc_select = options->misc_select;
    secs->attributes.flags = SGX_FLAGS_MODE64BIT | options->flags;
    secs->attributes.xfrm = SGX_XFRM_LEGACY;
    memcpy(secs->config_id, options->config_id, sizeof(secs->config_id));
    secs->config_svn = options->config_svn;
}

void sdm_open(struct sdm *sdm)
{
    memset(sdm, 0, sizeof(*sdm));
    sdm->fd = soft_open_node(SGX_LINUX_ENCLAVE_NODE, O_RDWR);
    assert_true(sdm->fd >= 0);
    sdm->e = driver_get(sdm->fd);
    assert_non_null(sdm->e);
}

void sdm_close(struct sdm *sdm)
{
    soft_munmap((void *)SDM_BASE, SDM_SIZE, &(int){0});
    driver_put(sdm->e);
    soft_close_fd(sdm->fd);
    close(sdm->fd);
}

uint64_t sdm_secs_at(const struct sdm *sdm)
{
    return (uint64_t)(uintptr_t)&sdm->e->control->shared.secs;
}

void *sdm_page(const struct sdm *sdm, uint64_t offset)
{
    return sdm->e->pub.alias + offset;
}

uint64_t sdm_epc(const struct sdm *sdm, uint64_t offset)
{
    return (uint64_t)(uintptr_t)sdm_page(sdm, offset);
}

struct soft_epcm *sdm_epcm(const struct sdm *sdm, uint64_t offset)
{
    return &sdm->e->pub.epcm[offset >> SGX_PAGE_SHIFT];
}

struct soft_outcome sdm_ecreate(struct sdm *sdm, const struct sgx_secs *secs)
{
    _Alignas(4096) struct sgx_secs source = *secs;
    _Alignas(64) struct sgx_secinfo secinfo = {0};
    _Alignas(32) struct sgx_pageinfo info = {.srcpge = (uint64_t)(uintptr_t)&source,
                                             .secinfo = (uint64_t)(uintptr_t)&secinfo};
    struct soft_outcome outcome =
        soft_encls(SGX_ECREATE, (uint64_t)(uintptr_t)&info, sdm_secs_at(sdm), 0);
    if (outcome.kind == SOFT_DONE) {
        sdm->e->control->attributes_allowed |=
            SGX_FLAGS_DEBUG | SGX_FLAGS_MODE64BIT | SGX_FLAGS_KSS | SGX_FLAGS_AEXNOTIFY;
        assert_int_equal(driver_lay_out(sdm->e, secs->size), 0);
        assert_int_equal(driver_sync(sdm->e), 0);
    }
    return outcome;
}

struct soft_outcome sdm_eadd(struct sdm *sdm, uint64_t offset, const void *page, uint64_t flags)
{
    _Alignas(4096) uint8_t source[4096];
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = flags};
    _Alignas(32) struct sgx_pageinfo info = {.linaddr = sdm->secs.base + offset,
                                             .srcpge = (uint64_t)(uintptr_t)source,
                                             .secinfo = (uint64_t)(uintptr_t)&secinfo,
                                             .secs = sdm_secs_at(sdm)};
    memcpy(source, page, sizeof(source));
    return soft_encls(SGX_EADD, (uint64_t)(uintptr_t)&info, sdm_epc(sdm, offset), 0);
}

void sdm_create(struct sdm *sdm, const struct sdm_options *options)
{
    sdm_open(sdm);
    sdm_default_secs(&sdm->secs, options);
    assert_int_equal(sdm_ecreate(sdm, &sdm->secs).kind, SOFT_DONE);
}

static void add(struct sdm *sdm, uint64_t offset, const void *page, uint64_t flags, uint32_t prot)
{
    assert_int_equal(sdm_eadd(sdm, offset, page, flags).kind, SOFT_DONE);
    sdm_epcm(sdm, offset)->max_prot = prot;
    for (uint64_t at = 0; at < SGX_PAGE_SIZE; at += SOFT_EXTEND_SIZE) {
        assert_int_equal(
            soft_encls(SGX_EEXTEND, sdm_secs_at(sdm), sdm_epc(sdm, offset) + at, 0).kind,
            SOFT_DONE);
    }
}

void sdm_build(struct sdm *sdm, const struct sdm_options *options)
{
    static const uint8_t data[4096] = "data";
    static const uint8_t code[4096] = {0x0F, 0x0B};
    struct sgx_tcs tcs = {.ossa = SDM_MORE, .nssa = 1, .oentry = SDM_CODE};
    const uint64_t rw = SGX_SECINFO_R | SGX_SECINFO_W;
    sdm_create(sdm, options);
    add(sdm, SDM_DATA, data, SGX_SECINFO_REG | rw, PROT_READ | PROT_WRITE);
    add(sdm, SDM_TCS, &tcs, SGX_SECINFO_TCS, PROT_READ | PROT_WRITE);
    add(sdm, SDM_CODE, code, SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X,
        PROT_READ | PROT_EXEC);
    add(sdm, SDM_RODATA, data, SGX_SECINFO_REG | SGX_SECINFO_R, PROT_READ);
    add(sdm, SDM_MORE, data, SGX_SECINFO_REG | rw, PROT_READ | PROT_WRITE);
    add(sdm, SDM_XONLY, data, SGX_SECINFO_REG | SGX_SECINFO_X, PROT_EXEC);
}

void sdm_sigstruct(struct sdm *sdm, const struct sdm_options *options, struct sgx_sigstruct *sig)
{
    uint8_t digest[32];
    soft_measurement_digest(sdm->e->control, digest);
    signer_prepare(sig, digest);
    sig->isv_prod_id = options->isv_prod_id;
    sig->isv_svn = options->isv_svn;
    memcpy(sig->isv_family_id, options->isv_family_id, 16);
    memcpy(sig->isv_ext_prod_id, options->isv_ext_prod_id, 16);
    signer_sign(sig, options->signer);
}

/* Signing is slow: the last few SIGSTRUCTs are kept for enclaves that are the same. */
static void cached_sigstruct(struct sdm *sdm, const struct sdm_options *options,
                             struct sgx_sigstruct *sig)
{
    static struct {
        struct sdm_options options;
        uint8_t digest[32];
        struct sgx_sigstruct sig;
    } cache[16];
    static unsigned next;
    uint8_t digest[32];
    soft_measurement_digest(sdm->e->control, digest);
    for (unsigned i = 0; i < 16; i++) {
        if (!memcmp(&cache[i].options, options, sizeof(*options)) &&
            !memcmp(cache[i].digest, digest, 32) && cache[i].sig.exponent == 3) {
            *sig = cache[i].sig;
            return;
        }
    }
    sdm_sigstruct(sdm, options, sig);
    cache[next].options = *options;
    memcpy(cache[next].digest, digest, 32);
    cache[next].sig = *sig;
    next = (next + 1) % 16;
}

void sdm_init(struct sdm *sdm, const struct sdm_options *options)
{
    _Alignas(4096) struct sgx_sigstruct sig;
    _Alignas(512) struct sgx_einittoken token = {0};
    sdm_build(sdm, options);
    cached_sigstruct(sdm, options, &sig);
    soft_sha256(sig.modulus, SGX_RSA_SIZE, (uint8_t *)sdm->e->control->einit_msr);
    struct soft_outcome outcome = soft_encls(SGX_EINIT, (uint64_t)(uintptr_t)&sig, sdm_secs_at(sdm),
                                             (uint64_t)(uintptr_t)&token);
    assert_int_equal(outcome.kind, SOFT_DONE);
}

void sdm_map(struct sdm *sdm)
{
    static const struct {
        uint64_t offset;
        uint64_t size;
        int prot;
    } maps[] = {
        {SDM_DATA, 0x2000, PROT_READ | PROT_WRITE},
        {SDM_CODE, 0x1000, PROT_READ | PROT_EXEC},
        {SDM_RODATA, 0x1000, PROT_READ},
        {SDM_MORE, 0x1000, PROT_READ | PROT_WRITE},
        {SDM_XONLY, 0x1000, PROT_EXEC},
        {SDM_HOLE, SDM_SIZE - SDM_HOLE, PROT_READ | PROT_WRITE | PROT_EXEC},
    };
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        uint64_t at = SDM_BASE + maps[i].offset;
        assert_int_equal(
            soft_mmap((void *)at, maps[i].size, maps[i].prot, MAP_SHARED | MAP_FIXED, sdm->fd, 0),
            (long)at);
    }
}

struct soft_outcome sdm_run(const struct sdm_leaf *leaf, struct sdm_call *call)
{
    soft_last_check = NULL;
    return leaf->inside ? soft_enclu(&call->sdm.e->pub, leaf->leaf, call->rbx, call->rcx, call->rdx)
                        : soft_encls(leaf->leaf, call->rbx, call->rcx, call->rdx);
}

static uint64_t address_of(const struct sdm_call *call, enum sdm_where where)
{
    switch (where) {
    case SDM_RBX:
        return call->rbx;
    case SDM_RCX:
        return call->rcx;
    case SDM_RDX:
        return call->rdx;
    case SDM_INFO_SECS:
        return call->info.secs;
    default:
        return 0;
    }
}

static void expect(const struct sdm_row *row, const struct sdm_call *call,
                   struct soft_outcome outcome, const struct sdm_row *second)
{
    const char *tripped = soft_last_check ? soft_last_check : "none";
    if (strcmp(tripped, row->check) != 0) {
        fail_msg("%s%s%s: tripped %s", row->check, second ? " with " : "",
                 second ? second->check : "", tripped);
    }
    if (outcome.kind != row->expected.kind || outcome.code != row->expected.code ||
        outcome.vector != row->expected.vector || outcome.error != row->expected.error ||
        outcome.address != address_of(call, row->where)) {
        fail_msg("%s: kind %d code %u vector %u error %#x address %#llx", row->check, outcome.kind,
                 outcome.code, outcome.vector, outcome.error, (unsigned long long)outcome.address);
    }
}

void sdm_test_leaf(const struct sdm_leaf *leaf)
{
    static struct sdm_call call;
    memset(&call, 0, sizeof(call));
    leaf->prepare(&call);
    struct soft_outcome outcome = sdm_run(leaf, &call);
    if (outcome.kind != SOFT_DONE || outcome.code) {
        fail_msg("leaf %u unspoiled tripped %s", leaf->leaf,
                 soft_last_check ? soft_last_check : "?");
    }
    sdm_close(&call.sdm);
    for (size_t i = 0; i < leaf->count; i++) {
        for (size_t j = i; j < leaf->count; j++) {
            if (j > i && (leaf->rows[i].alone || leaf->rows[j].alone)) {
                continue;
            }
            memset(&call, 0, sizeof(call));
            leaf->prepare(&call);
            if (j > i) {
                leaf->rows[j].spoil(&call);
            }
            leaf->rows[i].spoil(&call);
            outcome = sdm_run(leaf, &call);
            expect(&leaf->rows[i], &call, outcome, j > i ? &leaf->rows[j] : NULL);
            sdm_close(&call.sdm);
        }
    }
}
