/*
 * ECREATE, EADD, EEXTEND: every check alone and in its order, and the measurement.
 * Side: tests (host).
 */
#include "tests/soft/sdm.h"

#include <openssl/evp.h>
#include <string.h>

static const struct sdm_options plain;

/* ------------------------------------------------------------------ ECREATE */

static struct sgx_secs *source(struct sdm_call *call)
{
    return (struct sgx_secs *)call->page;
}

static void ecreate_prepare(struct sdm_call *call)
{
    sdm_open(&call->sdm);
    sdm_default_secs(source(call), &plain);
    call->info.srcpge = (uint64_t)(uintptr_t)call->page;
    call->info.secinfo = (uint64_t)(uintptr_t)&call->secinfo;
    call->rbx = (uint64_t)(uintptr_t)&call->info;
    call->rcx = sdm_secs_at(&call->sdm);
}

#define SPOIL(name, statement)                                                                     \
    static void name(struct sdm_call *call)                                                        \
    {                                                                                              \
        statement;                                                                                 \
    }

SPOIL(ec_rbx, call->rbx += 8)
SPOIL(ec_rcx, call->rcx += 8)
SPOIL(ec_rcx_outside, call->rcx = (uint64_t)(uintptr_t)call->page)
SPOIL(ec_srcpge, call->info.srcpge += 64)
SPOIL(ec_secinfo, call->info.secinfo += 8)
SPOIL(ec_linaddr, call->info.linaddr = 0x1000)
SPOIL(ec_secs, call->info.secs = sdm_secs_at(&call->sdm))
SPOIL(ec_flags, call->secinfo.flags = SGX_SECINFO_REG)
SPOIL(ec_flags_reserved, call->secinfo.reserved[55] = 1)
SPOIL(ec_again, call->sdm.e->control->shared.state = SOFT_STATE_CREATED)
SPOIL(ec_xfrm_legacy, source(call)->attributes.xfrm &= ~1ull)
SPOIL(ec_xfrm, source(call)->attributes.xfrm |= 1ull << 62)
SPOIL(ec_cet, source(call)->cet_attributes = 1)
SPOIL(ec_cet_bitmap, source(call)->cet_leg_bitmap[3] = 1)
SPOIL(ec_misc, source(call)->misc_select |= 1u << 31)
SPOIL(ec_misc_cp, source(call)->misc_select |= SGX_MISC_CPINFO)
SPOIL(ec_frame, source(call)->ssa_frame_size = 0)
SPOIL(ec_canonical, source(call)->base = 0x800000000000ull)
SPOIL(ec_base32, source(call)->attributes.flags &= ~SGX_FLAGS_MODE64BIT)
SPOIL(ec_size32, source(call)->attributes.flags &= ~SGX_FLAGS_MODE64BIT; source(call)->base = 0;
      source(call)->size = 1ull << 31)
SPOIL(ec_size64, source(call)->base = 0; source(call)->size = 1ull << SOFT_MAX_SIZE_LOG2)
SPOIL(ec_size_small, source(call)->size = 4096)
SPOIL(ec_size_odd, source(call)->size = 3 << 16)
SPOIL(ec_base, source(call)->base += 0x1000)
SPOIL(ec_attributes, source(call)->attributes.flags |= SGX_FLAGS_CET)
SPOIL(ec_attributes_init, source(call)->attributes.flags |= SGX_FLAGS_INIT)
SPOIL(ec_reserved, source(call)->reserved4[3833] = 1)
SPOIL(ec_reserved1, source(call)->reserved1[0] = 1)
SPOIL(ec_config_id, source(call)->config_id[63] = 1)
SPOIL(ec_config_svn, source(call)->config_svn = 1)

static void test_ecreate(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("ECREATE_01"), ec_rbx, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_02"), ec_rcx, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_03"), ec_rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("ECREATE_04"), ec_srcpge, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_05"), ec_secinfo, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_06"), ec_linaddr, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_06"), ec_secs, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_07"), ec_flags, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_07"), ec_flags_reserved, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_08"), ec_again, SDM_PF_WRITE, SDM_RCX, true},
        {SDM_COVERS("ECREATE_09"), ec_xfrm_legacy, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_10"), ec_xfrm, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_11"), ec_cet, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_11"), ec_cet_bitmap, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_12"), ec_misc, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_12"), ec_misc_cp, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_13"), ec_frame, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_14"), ec_canonical, SDM_GP, 0, true},
        {SDM_COVERS("ECREATE_15"), ec_base32, SDM_GP, 0, true},
        {SDM_COVERS("ECREATE_16"), ec_size32, SDM_GP, 0, true},
        {SDM_COVERS("ECREATE_17"), ec_size64, SDM_GP, 0, true},
        {SDM_COVERS("ECREATE_18"), ec_size_small, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_18"), ec_size_odd, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_19"), ec_base, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_20"), ec_attributes, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_20"), ec_attributes_init, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_21"), ec_reserved, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_21"), ec_reserved1, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_22"), ec_config_id, SDM_GP, 0, false},
        {SDM_COVERS("ECREATE_22"), ec_config_svn, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = {SGX_ECREATE, false, ecreate_prepare, rows,
                                         sizeof(rows) / sizeof(rows[0])};
    (void)state;
    sdm_test_leaf(&leaf);
}

/*
 * The SSA frame must hold XSAVE(XFRM), MISC and GPRSGX: AVX-512 needs a page, more does not fit in
 * one.
 */
static void test_ecreate_frame_size(void **state)
{
    (void)state;
    uint64_t xfrm = soft_supported_xfrm();
    uint32_t need = soft_cpu_xsave_size(xfrm) + sizeof(struct sgx_gprsgx);
    for (uint32_t pages = 1; pages <= 4; pages++) {
        struct sdm sdm;
        struct sgx_secs secs;
        sdm_open(&sdm);
        sdm_default_secs(&secs, &plain);
        secs.attributes.xfrm = xfrm;
        secs.ssa_frame_size = pages;
        bool fits = pages * SGX_PAGE_SIZE >= need;
        assert_int_equal(sdm_ecreate(&sdm, &secs).kind, fits ? SOFT_DONE : SOFT_FAULT);
        sdm_close(&sdm);
    }
}

static void test_ecreate_kss(void **state)
{
    (void)state;
    struct sdm_options options = {.flags = SGX_FLAGS_KSS, .config_svn = 7};
    options.config_id[0] = 1;
    struct sdm sdm;
    sdm_create(&sdm, &options);
    assert_int_equal(sdm.e->control->shared.secs.config_svn, 7);
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ EADD */

static void eadd_prepare(struct sdm_call *call)
{
    sdm_create(&call->sdm, &plain);
    struct sgx_tcs *tcs = (struct sgx_tcs *)call->page;
    tcs->nssa = 1;
    call->secinfo.flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
    call->info.linaddr = SDM_BASE + SDM_HOLE;
    call->info.srcpge = (uint64_t)(uintptr_t)call->page;
    call->info.secinfo = (uint64_t)(uintptr_t)&call->secinfo;
    call->info.secs = sdm_secs_at(&call->sdm);
    call->rbx = (uint64_t)(uintptr_t)&call->info;
    call->rcx = sdm_epc(&call->sdm, SDM_HOLE);
}

static struct sgx_tcs *tcs_source(struct sdm_call *call)
{
    call->secinfo.flags = SGX_SECINFO_TCS;
    return (struct sgx_tcs *)call->page;
}

SPOIL(ea_rbx, call->rbx += 8)
SPOIL(ea_rcx, call->rcx += 8)
SPOIL(ea_rcx_outside, call->rcx = (uint64_t)(uintptr_t)call->page)
SPOIL(ea_srcpge, call->info.srcpge += 64)
SPOIL(ea_secs, call->info.secs += 8)
SPOIL(ea_secinfo, call->info.secinfo += 8)
SPOIL(ea_linaddr, call->info.linaddr += 8)
SPOIL(ea_secs_outside, call->info.secs = (uint64_t)(uintptr_t)call->page)
SPOIL(ea_type, call->secinfo.flags = SGX_SECINFO_TRIM)
SPOIL(ea_type_secs, call->secinfo.flags = 0)
SPOIL(ea_reserved, call->secinfo.flags |= 1ull << 40)
SPOIL(ea_reserved2, call->secinfo.reserved[0] = 1)
SPOIL(ea_valid, sdm_epcm(&call->sdm, SDM_HOLE)->flags = SOFT_EPCM_VALID | SGX_SECINFO_REG)
SPOIL(ea_secs_not_secs, call->info.secs = sdm_epc(&call->sdm, SDM_HOLE2))
SPOIL(ea_tcs_reserved, tcs_source(call)->reserved[4007] = 1)
SPOIL(ea_tcs_flags, tcs_source(call)->flags = 4)
SPOIL(ea_tcs_limits, tcs_source(call)->fs_limit = 0xffff;
      call->sdm.e->control->shared.secs.attributes.flags &= ~SGX_FLAGS_MODE64BIT)
SPOIL(ea_write_only, call->secinfo.flags &= ~SGX_SECINFO_R)
SPOIL(ea_below, call->info.linaddr = SDM_BASE - 0x1000)
SPOIL(ea_above, call->info.linaddr = SDM_BASE + SDM_SIZE)
SPOIL(ea_initialized, call->sdm.e->control->shared.state = SOFT_STATE_INITIALIZED)
SPOIL(ea_elsewhere, call->info.linaddr = SDM_BASE + SDM_HOLE2)

static void test_eadd(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EADD_01"), ea_rbx, SDM_GP, 0, false},
        {SDM_COVERS("EADD_02"), ea_rcx, SDM_GP, 0, false},
        {SDM_COVERS("EADD_03"), ea_rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EADD_04"), ea_srcpge, SDM_GP, 0, false},
        {SDM_COVERS("EADD_05"), ea_secs, SDM_GP, 0, false},
        {SDM_COVERS("EADD_06"), ea_secinfo, SDM_GP, 0, false},
        {SDM_COVERS("EADD_07"), ea_linaddr, SDM_GP, 0, true},
        {SDM_COVERS("EADD_08"), ea_secs_outside, SDM_PF_READ, SDM_INFO_SECS, false},
        {SDM_COVERS("EADD_09"), ea_type, SDM_GP, 0, false},
        {SDM_COVERS("EADD_09"), ea_type_secs, SDM_GP, 0, false},
        {SDM_COVERS("EADD_09"), ea_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EADD_09"), ea_reserved2, SDM_GP, 0, false},
        {SDM_COVERS("EADD_10"), ea_valid, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EADD_11"), ea_secs_not_secs, SDM_PF_READ, SDM_INFO_SECS, true},
        {SDM_COVERS("EADD_12"), ea_tcs_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EADD_12"), ea_tcs_flags, SDM_GP, 0, false},
        {SDM_COVERS("EADD_13"), ea_tcs_limits, SDM_GP, 0, true},
        {SDM_COVERS("EADD_14"), ea_write_only, SDM_GP, 0, true},
        {SDM_COVERS("EADD_15"), ea_below, SDM_GP, 0, false},
        {SDM_COVERS("EADD_15"), ea_above, SDM_GP, 0, false},
        {SDM_COVERS("EADD_16"), ea_initialized, SDM_GP, 0, false},
        {SDM_COVERS("EADD_17"), ea_elsewhere, SDM_PF_WRITE, SDM_RCX, false},
    };
    static const struct sdm_leaf leaf = {SGX_EADD, false, eadd_prepare, rows,
                                         sizeof(rows) / sizeof(rows[0])};
    (void)state;
    sdm_test_leaf(&leaf);
}

/* A TCS loses its debug opt-in, CSSA, AEP and STATE on the way in, and its permissions are none. */
static void test_eadd_tcs_is_cleaned(void **state)
{
    (void)state;
    struct sdm sdm;
    struct sgx_tcs tcs = {.state = 9,
                          .flags = SGX_TCS_DBGOPTIN | SGX_TCS_AEXNOTIFY,
                          .cssa = 3,
                          .nssa = 2,
                          .aep = 0x1234,
                          .oentry = 0x2000};
    sdm_create(&sdm, &plain);
    assert_int_equal(sdm_eadd(&sdm, SDM_TCS, &tcs, SGX_SECINFO_TCS | SGX_SECINFO_RWX).kind,
                     SOFT_DONE);
    const struct sgx_tcs *added = sdm_page(&sdm, SDM_TCS);
    assert_int_equal(added->state, 0);
    assert_int_equal(added->flags, SGX_TCS_AEXNOTIFY);
    assert_int_equal(added->cssa, 0);
    assert_int_equal(added->aep, 0);
    assert_int_equal(added->nssa, 2);
    assert_int_equal(added->oentry, 0x2000);
    assert_int_equal(sdm_epcm(&sdm, SDM_TCS)->flags, SOFT_EPCM_VALID | SGX_SECINFO_TCS);
    sdm_close(&sdm);
}

/* ------------------------------------------------------------------ EEXTEND */

static void eextend_prepare(struct sdm_call *call)
{
    sdm_build(&call->sdm, &plain);
    call->rbx = sdm_secs_at(&call->sdm);
    call->rcx = sdm_epc(&call->sdm, SDM_CODE) + 256;
}

SPOIL(ee_rbx, call->rbx += 8)
SPOIL(ee_rbx_outside, call->rbx = (uint64_t)(uintptr_t)call->page)
SPOIL(ee_rcx, call->rcx += 8)
SPOIL(ee_rcx_outside, call->rcx = (uint64_t)(uintptr_t)call->page)
SPOIL(ee_invalid, call->rcx = sdm_epc(&call->sdm, SDM_HOLE))
SPOIL(ee_type, sdm_epcm(&call->sdm, SDM_CODE)->flags = SOFT_EPCM_VALID | SGX_SECINFO_TRIM)
SPOIL(ee_not_secs, call->rbx = sdm_epc(&call->sdm, SDM_DATA))
SPOIL(ee_initialized, call->sdm.e->control->shared.state = SOFT_STATE_INITIALIZED)

static void test_eextend(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EEXTEND_01"), ee_rbx, SDM_GP, 0, false},
        {SDM_COVERS("EEXTEND_02"), ee_rbx_outside, SDM_PF_READ, SDM_RBX, false},
        {SDM_COVERS("EEXTEND_03"), ee_rcx, SDM_GP, 0, false},
        {SDM_COVERS("EEXTEND_04"), ee_rcx_outside, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EEXTEND_05"), ee_invalid, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EEXTEND_06"), ee_type, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EEXTEND_07"), ee_not_secs, SDM_GP, 0, false},
        {SDM_COVERS("EEXTEND_08"), ee_initialized, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = {SGX_EEXTEND, false, eextend_prepare, rows,
                                         sizeof(rows) / sizeof(rows[0])};
    (void)state;
    sdm_test_leaf(&leaf);
}

/* ------------------------------------------------------------------ measurement */

static void put(EVP_MD_CTX *hash, const char *name, uint64_t offset, const void *rest, size_t size)
{
    uint8_t record[64] = {0};
    memcpy(record, name, strlen(name));
    memcpy(record + 8, &offset, 8);
    memcpy(record + 16, rest, size);
    assert_int_equal(EVP_DigestUpdate(hash, record, 64), 1);
}

static void put_page(EVP_MD_CTX *hash, uint64_t offset, uint64_t flags, const uint8_t *page)
{
    uint8_t secinfo[48] = {0};
    memcpy(secinfo, &flags, 8);
    put(hash, "EADD", offset, secinfo, sizeof(secinfo));
    for (uint64_t at = 0; page && at < 4096; at += 256) {
        put(hash, "EEXTEND", offset + at, secinfo, 0);
        assert_int_equal(EVP_DigestUpdate(hash, page + at, 256), 1);
    }
}

static EVP_MD_CTX *start(const struct sgx_secs *secs)
{
    uint8_t record[64] = "ECREATE";
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    assert_non_null(hash);
    assert_int_equal(EVP_DigestInit_ex(hash, EVP_sha256(), NULL), 1);
    memcpy(record + 8, &secs->ssa_frame_size, 4);
    memcpy(record + 12, &secs->size, 8);
    assert_int_equal(EVP_DigestUpdate(hash, record, 64), 1);
    return hash;
}

static void check_digest(const struct sdm *sdm, EVP_MD_CTX *hash)
{
    uint8_t expected[32];
    uint8_t found[32];
    assert_int_equal(EVP_DigestFinal_ex(hash, expected, NULL), 1);
    EVP_MD_CTX_free(hash);
    soft_measurement_digest(sdm->e->control, found);
    assert_memory_equal(found, expected, 32);
}

/* The leaves against records that are put together here from the manual's text. */
static void test_measurement_by_leaves(void **state)
{
    (void)state;
    struct sdm sdm;
    uint8_t data[4096];
    struct sgx_tcs tcs = {.flags = SGX_TCS_DBGOPTIN, .nssa = 2, .cssa = 1, .oentry = 0x77};
    struct sgx_tcs cleaned = {.nssa = 2, .oentry = 0x77};
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31 + i / 256);
    }
    sdm_create(&sdm, &plain);
    EVP_MD_CTX *hash = start(&sdm.secs);
    assert_int_equal(sdm_eadd(&sdm, 0x1000, data, SGX_SECINFO_REG | SGX_SECINFO_R).kind, SOFT_DONE);
    put_page(hash, 0x1000, SGX_SECINFO_REG | SGX_SECINFO_R, NULL);
    assert_int_equal(sdm_eadd(&sdm, 0x3000, &tcs, SGX_SECINFO_TCS | SGX_SECINFO_RWX).kind,
                     SOFT_DONE);
    for (uint64_t at = 0; at < 4096; at += 256) {
        soft_encls(SGX_EEXTEND, sdm_secs_at(&sdm), sdm_epc(&sdm, 0x3000) + at, 0);
    }
    put_page(hash, 0x3000, SGX_SECINFO_TCS, (const uint8_t *)&cleaned);
    /* one chunk measured out of turn */
    soft_encls(SGX_EEXTEND, sdm_secs_at(&sdm), sdm_epc(&sdm, 0x1000) + 0x300, 0);
    put(hash, "EEXTEND", 0x1300, data, 0);
    assert_int_equal(EVP_DigestUpdate(hash, data + 0x300, 256), 1);
    check_digest(&sdm, hash);
    sdm_close(&sdm);
}

/* ADD_PAGES hashes whole pages at once: the same records. */
static void test_measurement_by_driver(void **state)
{
    (void)state;
    struct sdm sdm;
    static _Alignas(4096) uint8_t data[130][4096]; /* more than two batches */
    _Alignas(4096) struct sgx_tcs tcs = {.flags = SGX_TCS_DBGOPTIN, .nssa = 1, .state = 5};
    struct sgx_tcs cleaned = {.nssa = 1};
    sdm_open(&sdm);
    sdm_default_secs(&sdm.secs, &plain);
    sdm.secs.size = 1ull << 20;
    struct sgx_linux_create create = {.src = (uint64_t)(uintptr_t)&sdm.secs};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create), 0);
    EVP_MD_CTX *hash = start(&sdm.secs);
    for (size_t i = 0; i < 130; i++) {
        memset(data[i], i % 3 ? (int)i : 0, 4096); /* a third of the pages is zero */
    }
    for (unsigned measured = 0; measured < 2; measured++) {
        struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X};
        struct sgx_linux_add_pages add = {.src = (uint64_t)(uintptr_t)data,
                                          .offset = measured ? 130 * 4096 : 0,
                                          .length = measured ? 100 * 4096 : sizeof(data),
                                          .secinfo = (uint64_t)(uintptr_t)&secinfo,
                                          .flags = measured};
        assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &add), 0);
        assert_int_equal(add.count, add.length);
        for (uint64_t at = 0; at < add.length; at += 4096) {
            put_page(hash, add.offset + at, secinfo.flags, measured ? data[at / 4096] : NULL);
            assert_memory_equal(sdm.e->pub.alias + add.offset + at, data[at / 4096], 4096);
        }
    }
    struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_TCS};
    struct sgx_linux_add_pages add = {.src = (uint64_t)(uintptr_t)&tcs,
                                      .offset = 240 * 4096,
                                      .length = 4096,
                                      .secinfo = (uint64_t)(uintptr_t)&secinfo,
                                      .flags = SGX_LINUX_PAGE_MEASURE};
    assert_int_equal(soft_ioctl(sdm.fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &add), 0);
    put_page(hash, 240 * 4096, SGX_SECINFO_TCS, (const uint8_t *)&cleaned);
    check_digest(&sdm, hash);
    sdm_close(&sdm);
}

static void test_unknown_leaf(void **state)
{
    (void)state;
    assert_int_equal(soft_encls(0x7f, 0, 0, 0).vector, SGX_VECTOR_GP);
    assert_string_equal(soft_last_check, SDM_COVERS("ENCLS_01"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecreate),
        cmocka_unit_test(test_ecreate_frame_size),
        cmocka_unit_test(test_ecreate_kss),
        cmocka_unit_test(test_eadd),
        cmocka_unit_test(test_eadd_tcs_is_cleaned),
        cmocka_unit_test(test_eextend),
        cmocka_unit_test(test_measurement_by_leaves),
        cmocka_unit_test(test_measurement_by_driver),
        cmocka_unit_test(test_unknown_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
