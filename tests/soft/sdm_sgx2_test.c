/*
 * EAUG, EMODPR, EMODT, ETRACK, EBLOCK, EREMOVE, EDBGRD, EDBGWR: every check alone and in its order,
 * and what they do to the EPCM.
 * Side: tests (host).
 */
#include "tests/soft/sdm.h"

#include <string.h>

static const struct sdm_options plain;
static const struct sdm_options debug = {.flags = SGX_FLAGS_DEBUG};

#define SPOIL(name, statement)                                                                     \
    static void name(struct sdm_call *call)                                                        \
    {                                                                                              \
        statement;                                                                                 \
    }
#define EPCM(call, offset) (sdm_epcm(&(call)->sdm, (offset))->flags)
#define LEAF_OF(leaf, prepare, rows)                                                               \
    {                                                                                              \
        (leaf), false, (prepare), (rows), sizeof(rows) / sizeof((rows)[0])                         \
    }

SPOIL(rbx_odd, call->rbx += 8)
SPOIL(rcx_odd, call->rcx += 4)
SPOIL(rcx_outside, call->rcx = (uint64_t)(uintptr_t)call->page)
SPOIL(rcx_hole, call->rcx = sdm_epc(&call->sdm, SDM_HOLE2))
SPOIL(not_initialized, call->sdm.e->control->shared.state = SOFT_STATE_CREATED)

/* ------------------------------------------------------------------ EAUG */

static void eaug_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    call->info.linaddr = SDM_BASE + SDM_HOLE;
    call->info.secs = sdm_secs_at(&call->sdm);
    call->rbx = (uint64_t)(uintptr_t)&call->info;
    call->rcx = sdm_epc(&call->sdm, SDM_HOLE);
}

SPOIL(au_secinfo_odd, call->info.secinfo = (uint64_t)(uintptr_t)&call->secinfo + 8)
SPOIL(au_secs_odd, call->info.secs += 8)
SPOIL(au_linaddr, call->info.linaddr += 8)
SPOIL(au_srcpge, call->info.srcpge = (uint64_t)(uintptr_t)call->page)
SPOIL(au_secs_outside, call->info.secs = (uint64_t)(uintptr_t)call->page)
SPOIL(au_valid, EPCM(call, SDM_HOLE) = SOFT_EPCM_VALID | SGX_SECINFO_REG)
SPOIL(au_secinfo, call->info.secinfo = (uint64_t)(uintptr_t)&call->secinfo)
SPOIL(au_not_secs, call->info.secs = sdm_epc(&call->sdm, SDM_DATA))
SPOIL(au_range, call->info.linaddr = SDM_BASE + SDM_SIZE)
SPOIL(au_elsewhere, call->info.linaddr = SDM_BASE + SDM_HOLE2)

static void test_eaug(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EAUG_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_02"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_03"), rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EAUG_04"), au_secinfo_odd, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_05"), au_secs_odd, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_06"), au_linaddr, SDM_GP, 0, true},
        {SDM_COVERS("EAUG_07"), au_srcpge, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_08"), au_secs_outside, SDM_PF_READ, SDM_INFO_SECS, false},
        {SDM_COVERS("EAUG_09"), au_valid, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EAUG_10"), au_secinfo, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_11"), au_not_secs, SDM_PF_READ, SDM_INFO_SECS, true},
        {SDM_COVERS("EAUG_12"), not_initialized, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_13"), au_range, SDM_GP, 0, false},
        {SDM_COVERS("EAUG_14"), au_elsewhere, SDM_PF_WRITE, SDM_RCX, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EAUG, eaug_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    memset(&call, 0, sizeof(call));
    eaug_prepare(&call);
    assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_HOLE), SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_R |
                                                SGX_SECINFO_W | SGX_SECINFO_PENDING);
    assert_true(soft_all_zero(sdm_page(&call.sdm, SDM_HOLE), 4096));
    sdm_close(&call.sdm);
}

/* ------------------------------------------------------------------ EMODPR */

static void emodpr_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    call->secinfo.flags = SGX_SECINFO_R;
    call->rbx = (uint64_t)(uintptr_t)&call->secinfo;
    call->rcx = sdm_epc(&call->sdm, SDM_DATA);
}

SPOIL(mp_reserved, call->secinfo.reserved[7] = 1)
SPOIL(mp_write_only, call->secinfo.flags = SGX_SECINFO_W)
SPOIL(mp_pending, EPCM(call, SDM_DATA) |= SGX_SECINFO_PENDING)
SPOIL(mp_modified, EPCM(call, SDM_DATA) |= SGX_SECINFO_MODIFIED)
SPOIL(mp_type, EPCM(call, SDM_DATA) = SOFT_EPCM_VALID | SGX_SECINFO_TCS)

static void test_emodpr(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EMODPR_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EMODPR_02"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EMODPR_03"), rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EMODPR_04"), mp_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EMODPR_05"), mp_write_only, SDM_GP, 0, false},
        {SDM_COVERS("EMODPR_06"), rcx_hole, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EMODPR_07"), mp_pending, SDM_CODE_OF(SGX_PAGE_NOT_MODIFIABLE), 0, true},
        {SDM_COVERS("EMODPR_07"), mp_modified, SDM_CODE_OF(SGX_PAGE_NOT_MODIFIABLE), 0, true},
        {SDM_COVERS("EMODPR_08"), mp_type, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EMODPR_09"), not_initialized, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EMODPR, emodpr_prepare, rows);
    (void)state;
    sdm_test_leaf(&leaf);
}

/* It only takes away: all eight requests against all pages, and PR is set each time. */
static void test_emodpr_effect(void **state)
{
    static struct sdm_call call;
    static const uint64_t pages[] = {SDM_DATA, SDM_CODE, SDM_RODATA, SDM_XONLY};
    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        for (uint64_t rights = 0; rights < 8; rights++) {
            memset(&call, 0, sizeof(call));
            emodpr_prepare(&call);
            call.secinfo.flags = rights;
            call.rcx = sdm_epc(&call.sdm, pages[i]);
            uint32_t before = EPCM(&call, pages[i]);
            struct soft_outcome outcome = soft_encls(SGX_EMODPR, call.rbx, call.rcx, 0);
            bool legal = !(rights & SGX_SECINFO_W) || (rights & SGX_SECINFO_R);
            assert_int_equal(outcome.kind, legal ? SOFT_DONE : SOFT_FAULT);
            uint32_t now = EPCM(&call, pages[i]);
            uint32_t rwx = (uint32_t)(before & rights & SGX_SECINFO_RWX);
            assert_int_equal(now & SGX_SECINFO_RWX, legal ? rwx : before & SGX_SECINFO_RWX);
            assert_int_equal((now & SGX_SECINFO_PR) != 0, legal);
            sdm_close(&call.sdm);
        }
    }
}

/* ------------------------------------------------------------------ EMODT */

static void emodt_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    call->secinfo.flags = SGX_SECINFO_TCS;
    call->rbx = (uint64_t)(uintptr_t)&call->secinfo;
    call->rcx = sdm_epc(&call->sdm, SDM_DATA);
}

SPOIL(mt_reserved, call->secinfo.reserved[0] = 1)
SPOIL(mt_reg, call->secinfo.flags = SGX_SECINFO_REG)
SPOIL(mt_tcs_again, EPCM(call, SDM_DATA) = SOFT_EPCM_VALID | SGX_SECINFO_TCS)
SPOIL(mt_trim, EPCM(call, SDM_DATA) = SOFT_EPCM_VALID | SGX_SECINFO_TRIM)
SPOIL(mt_secs, call->rcx = sdm_secs_at(&call->sdm))

static void test_emodt(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EMODT_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EMODT_02"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EMODT_03"), rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EMODT_04"), mt_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EMODT_04"), mt_reg, SDM_GP, 0, false},
        {SDM_COVERS("EMODT_05"), rcx_hole, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EMODT_06"), mt_tcs_again, SDM_PF_WRITE, SDM_RCX, true},
        {SDM_COVERS("EMODT_06"), mt_trim, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EMODT_06"), mt_secs, SDM_PF_WRITE, SDM_RCX, true},
        {SDM_COVERS("EMODT_07"), mp_pending, SDM_CODE_OF(SGX_PAGE_NOT_MODIFIABLE), 0, true},
        {SDM_COVERS("EMODT_07"), mp_modified, SDM_CODE_OF(SGX_PAGE_NOT_MODIFIABLE), 0, false},
        {SDM_COVERS("EMODT_08"), not_initialized, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EMODT, emodt_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    for (unsigned from_tcs = 0; from_tcs < 2; from_tcs++) {
        memset(&call, 0, sizeof(call));
        emodt_prepare(&call);
        uint64_t offset = from_tcs ? SDM_TCS : SDM_DATA;
        call.secinfo.flags = SGX_SECINFO_TRIM;
        call.rcx = sdm_epc(&call.sdm, offset);
        assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
        uint32_t kept = SOFT_EPCM_VALID | SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED;
        assert_int_equal(EPCM(&call, offset) & ~SOFT_EPCM_TRACKING, kept);
        sdm_close(&call.sdm);
    }
}

/* ------------------------------------------------------------------ ETRACK, EBLOCK */

static void etrack_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    call->rcx = sdm_secs_at(&call->sdm);
}

SPOIL(tr_invalid, call->sdm.e->control->shared.state = SOFT_STATE_NEW)
SPOIL(tr_not_secs, call->rcx = sdm_epc(&call->sdm, SDM_DATA))
SPOIL(tr_busy, call->sdm.e->control->hooks = SOFT_HOOK_TRACK_BUSY)

static void test_etrack(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("ETRACK_01"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("ETRACK_02"), rcx_outside, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("ETRACK_03"), tr_invalid, SDM_PF_READ, SDM_RCX, true},
        {SDM_COVERS("ETRACK_04"), tr_not_secs, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("ETRACK_05"), tr_busy, SDM_CODE_OF(SGX_PREV_TRK_INCMPL), 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_ETRACK, etrack_prepare, rows);
    (void)state;
    sdm_test_leaf(&leaf);
}

static void eblock_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    call->rcx = sdm_epc(&call->sdm, SDM_DATA);
}

SPOIL(bl_secs, call->rcx = sdm_secs_at(&call->sdm))
SPOIL(bl_blocked, EPCM(call, SDM_DATA) |= SOFT_EPCM_BLOCKED)

static void test_eblock(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EBLOCK_01"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EBLOCK_02"), rcx_outside, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EBLOCK_03"), rcx_hole, SDM_CODE_OF(SGX_PG_INVLD), 0, false},
        {SDM_COVERS("EBLOCK_04"), bl_secs, SDM_CODE_OF(SGX_PG_IS_SECS), 0, false},
        {SDM_COVERS("EBLOCK_05"), bl_blocked, SDM_CODE_OF(SGX_BLSTATE), 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EBLOCK, eblock_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    memset(&call, 0, sizeof(call));
    eblock_prepare(&call);
    assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
    assert_true(EPCM(&call, SDM_DATA) & SOFT_EPCM_BLOCKED);
    sdm_close(&call.sdm);
}

/* ------------------------------------------------------------------ EREMOVE */

static void eremove_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    call->rcx = sdm_epc(&call->sdm, SDM_DATA);
}

static void thread_inside(struct sdm_call *call)
{
    struct sgx_tcs *tcs = sdm_page(&call->sdm, SDM_TCS);
    tcs->state = 1;
}

SPOIL(rm_secs, call->rcx = sdm_secs_at(&call->sdm))

static void test_eremove(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EREMOVE_01"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EREMOVE_02"), rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EREMOVE_03"), rm_secs, SDM_CODE_OF(SGX_CHILD_PRESENT), 0, false},
        {SDM_COVERS("EREMOVE_04"), thread_inside, SDM_CODE_OF(SGX_ENCLAVE_ACT), 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EREMOVE, eremove_prepare, rows);
    (void)state;
    sdm_test_leaf(&leaf);
}

/* Unused pages and accepted trimmed ones go even while threads are inside; the SECS goes last. */
static void test_eremove_effect(void **state)
{
    static struct sdm_call call;
    (void)state;
    memset(&call, 0, sizeof(call));
    eremove_prepare(&call);
    thread_inside(&call);
    assert_int_equal(soft_encls(SGX_EREMOVE, 0, sdm_epc(&call.sdm, SDM_HOLE), 0).kind, SOFT_DONE);
    EPCM(&call, SDM_DATA) = SOFT_EPCM_VALID | SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED;
    assert_int_equal(soft_encls(SGX_EREMOVE, 0, call.rcx, 0).code, SGX_ENCLAVE_ACT);
    EPCM(&call, SDM_DATA) = SOFT_EPCM_VALID | SGX_SECINFO_TRIM;
    assert_int_equal(soft_encls(SGX_EREMOVE, 0, call.rcx, 0).kind, SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_DATA), 0);
    ((struct sgx_tcs *)sdm_page(&call.sdm, SDM_TCS))->state = 0;
    for (uint64_t at = 0; at < SDM_SIZE; at += 4096) {
        assert_int_equal(soft_encls(SGX_EREMOVE, 0, sdm_epc(&call.sdm, at), 0).kind, SOFT_DONE);
    }
    assert_int_equal(soft_encls(SGX_EREMOVE, 0, sdm_secs_at(&call.sdm), 0).kind, SOFT_DONE);
    assert_int_equal(soft_encls(SGX_ETRACK, 0, sdm_secs_at(&call.sdm), 0).vector, SGX_VECTOR_PF);
    sdm_close(&call.sdm);
}

/* ------------------------------------------------------------------ EDBGRD, EDBGWR */

static void edbgrd_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &debug);
    call->rbx = (uint64_t)(uintptr_t)call->page;
    call->rcx = sdm_epc(&call->sdm, SDM_DATA) + 64;
}

SPOIL(db_secs, call->rcx = sdm_secs_at(&call->sdm))
SPOIL(db_trim, EPCM(call, SDM_DATA) = SOFT_EPCM_VALID | SGX_SECINFO_TRIM)
SPOIL(db_tcs_end, call->rcx = sdm_epc(&call->sdm, SDM_TCS) + 72)
SPOIL(db_tcs_aep, call->rcx = sdm_epc(&call->sdm, SDM_TCS) + 40)
SPOIL(db_production, call->sdm.e->control->shared.secs.attributes.flags &= ~SGX_FLAGS_DEBUG)

static void test_edbgrd(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EDBGRD_01"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EDBGRD_02"), rcx_outside, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EDBGRD_03"), rcx_hole, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EDBGRD_04"), db_secs, SDM_PF_READ, SDM_RCX, false},
        {SDM_COVERS("EDBGRD_04"), db_trim, SDM_PF_READ, SDM_RCX, true},
        {SDM_COVERS("EDBGRD_05"), mp_pending, SDM_CODE_OF(SGX_PAGE_NOT_DEBUGGABLE), 0, true},
        {SDM_COVERS("EDBGRD_05"), mp_modified, SDM_CODE_OF(SGX_PAGE_NOT_DEBUGGABLE), 0, true},
        {SDM_COVERS("EDBGRD_06"), db_tcs_end, SDM_GP, 0, false},
        {SDM_COVERS("EDBGRD_07"), db_production, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EDBGRD, edbgrd_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    memset(&call, 0, sizeof(call));
    edbgrd_prepare(&call);
    uint64_t value = 0;
    memcpy(sdm_page(&call.sdm, SDM_DATA) + 64, "secretly", 8);
    assert_int_equal(soft_encls(SGX_EDBGRD, (uint64_t)(uintptr_t)&value, call.rcx, 0).kind,
                     SOFT_DONE);
    assert_memory_equal(&value, "secretly", 8);
    sdm_close(&call.sdm);
}

static void edbgwr_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &debug);
    call->rbx = 0x1122334455667788ull;
    call->rcx = sdm_epc(&call->sdm, SDM_DATA) + 64;
}

static void test_edbgwr(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EDBGWR_01"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EDBGWR_02"), rcx_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EDBGWR_03"), rcx_hole, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EDBGWR_04"), db_secs, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EDBGWR_05"), mp_pending, SDM_CODE_OF(SGX_PAGE_NOT_DEBUGGABLE), 0, true},
        {SDM_COVERS("EDBGWR_06"), db_tcs_aep, SDM_GP, 0, false},
        {SDM_COVERS("EDBGWR_07"), db_production, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EDBGWR, edbgwr_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    memset(&call, 0, sizeof(call));
    edbgwr_prepare(&call);
    assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
    assert_memory_equal(sdm_page(&call.sdm, SDM_DATA) + 64, &call.rbx, 8);
    /* of a TCS only FLAGS: that is how a debugger opts in */
    call.rcx = sdm_epc(&call.sdm, SDM_TCS) + offsetof(struct sgx_tcs, flags);
    call.rbx = SGX_TCS_DBGOPTIN;
    assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
    assert_int_equal(((struct sgx_tcs *)sdm_page(&call.sdm, SDM_TCS))->flags, SGX_TCS_DBGOPTIN);
    sdm_close(&call.sdm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eaug),          cmocka_unit_test(test_emodpr),
        cmocka_unit_test(test_emodpr_effect), cmocka_unit_test(test_emodt),
        cmocka_unit_test(test_etrack),        cmocka_unit_test(test_eblock),
        cmocka_unit_test(test_eremove),       cmocka_unit_test(test_eremove_effect),
        cmocka_unit_test(test_edbgrd),        cmocka_unit_test(test_edbgwr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
