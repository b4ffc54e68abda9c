/*
 * EACCEPT, EACCEPTCOPY, EMODPE, EREPORT, EGETKEY: every check alone and in its order, and what they
 * change.
 * Side: tests (host). The leaves are called as the transitions call them; nothing runs inside.
 */
#include "tests/soft/sdm.h"

#include <string.h>
#include <sys/mman.h>

#include "soft/keys.h"

static const struct sdm_options plain;

#define SPOIL(name, statement)                                                                     \
    static void name(struct sdm_call *call)                                                        \
    {                                                                                              \
        statement;                                                                                 \
    }
#define AT(offset) (SDM_BASE + (offset))
#define EPCM(call, offset) (sdm_epcm(&(call)->sdm, (offset))->flags)
#define LEAF_OF(leaf, prepare, rows)                                                               \
    {                                                                                              \
        (leaf), true, (prepare), (rows), sizeof(rows) / sizeof((rows)[0])                          \
    }
/* #PF from the page tables: not present at all, or no right to write. */
#define PF_ABSENT SDM_PF(SGX_PF_USER)
#define PF_ABSENT_WRITE SDM_PF(SGX_PF_USER | SGX_PF_WRITE)

static struct sgx_secinfo *secinfo_of(struct sdm_call *call)
{
    return sdm_page(&call->sdm, SDM_DATA);
}

static void unmap(struct sdm_call *call, uint64_t offset)
{
    int result;
    (void)call;
    assert_true(soft_munmap((void *)AT(offset), SGX_PAGE_SIZE, &result));
    assert_int_equal(result, 0);
}

SPOIL(rbx_odd, call->rbx += 8)
SPOIL(rbx_outside, call->rbx = SDM_BASE - 4096)
SPOIL(rbx_beyond, call->rbx = SDM_BASE + SDM_SIZE)
SPOIL(rbx_unmapped, unmap(call, SDM_DATA))
SPOIL(rbx_tcs, call->rbx = AT(SDM_TCS))
SPOIL(rbx_unreadable, call->rbx = AT(SDM_XONLY))
SPOIL(rbx_pending, call->rbx = AT(SDM_HOLE2)) /* filled by EAUG, not accepted */
SPOIL(rbx_modified, EPCM(call, SDM_DATA) |= SGX_SECINFO_MODIFIED)
SPOIL(rbx_blocked, EPCM(call, (call->rbx - SDM_BASE) & ~4095ull) |= SOFT_EPCM_BLOCKED)
SPOIL(rcx_odd, call->rcx += 8)
SPOIL(rcx_outside, call->rcx = SDM_BASE + SDM_SIZE)
SPOIL(secinfo_reserved, secinfo_of(call)->reserved[55] = 1)
SPOIL(secinfo_flags, secinfo_of(call)->flags |= 1ull << 6)

/* ------------------------------------------------------------------ EACCEPT */

static void eaccept_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    sdm_map(&call->sdm);
    secinfo_of(call)->flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_PENDING;
    call->rbx = AT(SDM_DATA);
    call->rcx = AT(SDM_HOLE);
}

/* A fresh TCS in the hole, by EAUG, EACCEPT and EMODT. */
static struct sgx_tcs *new_tcs(struct sdm_call *call)
{
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_TCS};
    call->rbx = AT(SDM_DATA);
    call->rcx = AT(SDM_HOLE);
    eaccept_prepare(call);
    soft_enclu(&call->sdm.e->pub, SGX_EACCEPT, call->rbx, call->rcx, 0);
    uint64_t epc = sdm_epc(&call->sdm, SDM_HOLE);
    assert_int_equal(soft_encls(SGX_EMODT, (uint64_t)(uintptr_t)&secinfo, epc, 0).kind, SOFT_DONE);
    soft_encls(SGX_ETRACK, 0, sdm_secs_at(&call->sdm), 0);
    secinfo_of(call)->flags = SGX_SECINFO_TCS | SGX_SECINFO_MODIFIED;
    struct sgx_tcs *tcs = sdm_page(&call->sdm, SDM_HOLE);
    tcs->nssa = 1;
    return tcs;
}

static struct sgx_tcs *remade_tcs(struct sdm_call *call)
{
    sdm_close(&call->sdm);
    return new_tcs(call);
}

SPOIL(ac_unmapped, unmap(call, SDM_HOLE))
SPOIL(ac_request, secinfo_of(call)->flags &= ~SGX_SECINFO_PENDING)
SPOIL(ac_request_modified, secinfo_of(call)->flags |= SGX_SECINFO_MODIFIED)
SPOIL(ac_request_tcs, secinfo_of(call)->flags = SGX_SECINFO_TCS | SGX_SECINFO_PENDING)
SPOIL(ac_request_trim_pr,
      secinfo_of(call)->flags = SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED | SGX_SECINFO_PR)
SPOIL(ac_request_type, secinfo_of(call)->flags = 0x300 | SGX_SECINFO_PENDING)
SPOIL(ac_blocked, EPCM(call, SDM_MORE) |= SOFT_EPCM_BLOCKED; call->rcx = AT(SDM_MORE))
SPOIL(ac_mismatch, secinfo_of(call)->flags |= SGX_SECINFO_X)
SPOIL(ac_mismatch_r, secinfo_of(call)->flags &= ~SGX_SECINFO_W)
SPOIL(ac_settled, call->rcx = AT(SDM_MORE))
SPOIL(ac_mismatch_type, secinfo_of(call)->flags = SGX_SECINFO_TRIM | SGX_SECINFO_MODIFIED)
SPOIL(ac_tcs_reserved, remade_tcs(call)->reserved[100] = 1)
SPOIL(ac_tcs_flags, remade_tcs(call)->flags = 1ull << 63)
SPOIL(ac_tcs_debug, remade_tcs(call)->flags = SGX_TCS_DBGOPTIN)
SPOIL(ac_tcs_cssa, remade_tcs(call)->cssa = 1)
SPOIL(ac_tcs_aep, remade_tcs(call)->aep = 1)
SPOIL(ac_tcs_state, remade_tcs(call)->state = 1)
SPOIL(ac_tcs_limits, remade_tcs(call)->fs_limit = 1;
      call->sdm.e->control->shared.secs.attributes.flags &= ~SGX_FLAGS_MODE64BIT)

/* EMODPR without the ETRACK that has to follow. */
static void ac_untracked(struct sdm_call *call)
{
    _Alignas(64) struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_R};
    uint64_t epc = sdm_epc(&call->sdm, SDM_MORE);
    soft_encls(SGX_EMODPR, (uint64_t)(uintptr_t)&secinfo, epc, 0);
    secinfo_of(call)->flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR;
    call->rcx = AT(SDM_MORE);
}

static void test_eaccept(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EACCEPT_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_02"), rbx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_02"), rbx_beyond, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_03"), rbx_unmapped, PF_ABSENT, SDM_RBX, true},
        {SDM_COVERS("EACCEPT_04"), rbx_tcs, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPT_04"), rbx_unreadable, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPT_04"), rbx_pending, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPT_04"), rbx_modified, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPT_04"), rbx_blocked, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPT_05"), secinfo_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_05"), secinfo_flags, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_06"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_07"), rcx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_08"), ac_unmapped, PF_ABSENT, SDM_RCX, true},
        {SDM_COVERS("EACCEPT_09"), ac_request, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_09"), ac_request_modified, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_09"), ac_request_tcs, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_09"), ac_request_trim_pr, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_09"), ac_request_type, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPT_10"), ac_blocked, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EACCEPT_11"), ac_mismatch, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH), 0,
         false},
        {SDM_COVERS("EACCEPT_11"), ac_mismatch_r, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH), 0,
         true},
        {SDM_COVERS("EACCEPT_11"), ac_settled, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH), 0, true},
        {SDM_COVERS("EACCEPT_11"), ac_mismatch_type, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH), 0,
         true},
        {SDM_COVERS("EACCEPT_12"), ac_untracked, SDM_CODE_OF(SGX_NOT_TRACKED), 0, true},
        {SDM_COVERS("EACCEPT_13"), ac_tcs_reserved, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_13"), ac_tcs_flags, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_14"), ac_tcs_debug, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_15"), ac_tcs_cssa, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_16"), ac_tcs_aep, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_16"), ac_tcs_state, SDM_GP, 0, true},
        {SDM_COVERS("EACCEPT_17"), ac_tcs_limits, SDM_GP, 0, true},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EACCEPT, eaccept_prepare, rows);
    (void)state;
    sdm_test_leaf(&leaf);
}

/* The checks that stand at the end of EACCEPT, each with the one before it. */
static void test_eaccept_tcs_order(void **state)
{
    static struct sdm_call call;
    (void)state;
    memset(&call, 0, sizeof(call));
    struct sgx_tcs *tcs = new_tcs(&call);
    call.sdm.e->control->shared.secs.attributes.flags &= ~SGX_FLAGS_MODE64BIT;
    tcs->aep = 1;
    tcs->cssa = 9;
    tcs->flags = SGX_TCS_DBGOPTIN;
    tcs->reserved[0] = 1;
    static const char *const order[] = {"EACCEPT_13", "EACCEPT_14", "EACCEPT_15", "EACCEPT_16",
                                        "EACCEPT_17"};
    for (size_t i = 0; i < 5; i++) {
        struct soft_outcome outcome =
            soft_enclu(&call.sdm.e->pub, SGX_EACCEPT, call.rbx, call.rcx, 0);
        assert_int_equal(outcome.vector, SGX_VECTOR_GP);
        assert_string_equal(soft_last_check, order[i]);
        switch (i) { /* mend what was reported */
        case 0:
            tcs->reserved[0] = 0;
            break;
        case 1:
            tcs->flags = 0;
            break;
        case 2:
            tcs->cssa = 0;
            break;
        default:
            tcs->aep = 0;
            break;
        }
    }
    call.sdm.e->control->shared.secs.attributes.flags |= SGX_FLAGS_MODE64BIT;
    assert_int_equal(soft_enclu(&call.sdm.e->pub, SGX_EACCEPT, call.rbx, call.rcx, 0).kind,
                     SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_HOLE), SOFT_EPCM_VALID | SGX_SECINFO_TCS);
    sdm_close(&call.sdm);
}

/* What may be asked for: every combination of type and flags. */
static void test_eaccept_requests(void **state)
{
    static struct sdm_call call;
    static const uint64_t types[] = {
        SGX_SECINFO_REG, SGX_SECINFO_TCS, SGX_SECINFO_TRIM, 0, 0x300, 0x500, 0x600};
    (void)state;
    memset(&call, 0, sizeof(call));
    eaccept_prepare(&call);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        for (uint64_t bits = 0; bits < 8; bits++) {
            bool pending = bits & 1;
            bool modified = bits & 2;
            bool pr = bits & 4;
            bool legal = types[i] == SGX_SECINFO_REG ? (pr || pending) && !modified
                         : types[i] == SGX_SECINFO_TCS || types[i] == SGX_SECINFO_TRIM
                             ? !pr && !pending && modified
                             : false;
            secinfo_of(&call)->flags = types[i] | SGX_SECINFO_RWX | bits << 3;
            struct soft_outcome outcome =
                soft_enclu(&call.sdm.e->pub, SGX_EACCEPT, call.rbx, call.rcx, 0);
            /* RWX never matches the pending page: a legal request comes as far as the comparison */
            assert_int_equal(outcome.kind, legal ? SOFT_CODE : SOFT_FAULT);
            assert_string_equal(soft_last_check, legal ? "EACCEPT_11" : "EACCEPT_09");
        }
    }
    sdm_close(&call.sdm);
}

/* The native access that follows: it faults on a mapping that has yet to change, as in an enclave. */
static bool access_faults_in(struct sdm_call *call, uint64_t address, uint32_t access)
{
    uint32_t error;
    uint64_t mask = soft_signals_block();
    bool mended = soft_fault_resolve(&call->sdm.e->pub, address, access, &error);
    soft_signals_restore(mask);
    return mended;
}

/* After EACCEPT the page is there natively, with the rights that VMA and EPCM share. */
static void test_eaccept_effect(void **state)
{
    static struct sdm_call call;
    (void)state;
    memset(&call, 0, sizeof(call));
    eaccept_prepare(&call);
    assert_int_equal(soft_enclu(&call.sdm.e->pub, SGX_EACCEPT, call.rbx, call.rcx, 0).kind,
                     SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_HOLE),
                     SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W);
    volatile uint32_t *native = (volatile uint32_t *)AT(SDM_HOLE);
    assert_false(access_faults_in(&call, AT(SDM_HOLE), SGX_PF_FETCH));
    assert_true(access_faults_in(&call, AT(SDM_HOLE), SGX_PF_WRITE));
    *native = 77;
    assert_int_equal(*(uint32_t *)sdm_page(&call.sdm, SDM_HOLE), 77);
    /* restrict to R, track, accept: PR is not compared */
    _Alignas(64) struct sgx_secinfo read_only = {.flags = SGX_SECINFO_R};
    soft_encls(SGX_EMODPR, (uint64_t)(uintptr_t)&read_only, sdm_epc(&call.sdm, SDM_HOLE), 0);
    soft_encls(SGX_ETRACK, 0, sdm_secs_at(&call.sdm), 0);
    secinfo_of(&call)->flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_PR;
    assert_int_equal(soft_enclu(&call.sdm.e->pub, SGX_EACCEPT, call.rbx, call.rcx, 0).kind,
                     SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_HOLE), SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_R);
    assert_int_equal(*native, 77);
    sdm_close(&call.sdm);
}

/* ------------------------------------------------------------------ EACCEPTCOPY */

static void copy_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    sdm_map(&call->sdm);
    memset(sdm_page(&call->sdm, SDM_MORE), 0x6d, 4096);
    secinfo_of(call)->flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X;
    call->rbx = AT(SDM_DATA);
    call->rcx = AT(SDM_HOLE);
    call->rdx = AT(SDM_MORE);
}

static void read_only_vma(struct sdm_call *call, uint64_t offset)
{
    int result;
    (void)call;
    assert_true(soft_mprotect((void *)AT(offset), SGX_PAGE_SIZE, PROT_READ, &result));
    assert_int_equal(result, 0);
}

SPOIL(cp_rdx_odd, call->rdx += 8)
SPOIL(cp_rdx_outside, call->rdx = SDM_BASE + SDM_SIZE)
SPOIL(cp_rcx_read_only, read_only_vma(call, SDM_HOLE))
SPOIL(cp_rdx_unmapped, unmap(call, SDM_MORE))
SPOIL(cp_write_only, secinfo_of(call)->flags = SGX_SECINFO_REG | SGX_SECINFO_W)
SPOIL(cp_type, secinfo_of(call)->flags = SGX_SECINFO_TCS)
SPOIL(cp_source_pending, call->rdx = AT(SDM_HOLE2))
SPOIL(cp_source_tcs, call->rdx = AT(SDM_TCS))
SPOIL(cp_source_unreadable, EPCM(call, SDM_MORE) &= ~(uint32_t)SGX_SECINFO_R)
SPOIL(cp_settled, call->rcx = AT(SDM_MORE))

/* The hole is there and pending, with something changed. */
static void augmented(struct sdm_call *call, uint32_t flags)
{
    uint32_t error;
    soft_signals_block();
    assert_false(soft_fault_resolve(&call->sdm.e->pub, AT(SDM_HOLE), 0, &error));
    soft_signals_restore(0);
    EPCM(call, SDM_HOLE) |= flags;
}
SPOIL(cp_dest_modified, augmented(call, SGX_SECINFO_MODIFIED))
SPOIL(cp_dest_blocked, augmented(call, SOFT_EPCM_BLOCKED))
SPOIL(cp_dest_executable, augmented(call, SGX_SECINFO_X))

static void test_eacceptcopy(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EACCEPTCOPY_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_02"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_02"), cp_rdx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_03"), rbx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_03"), rcx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_03"), cp_rdx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_04"), rbx_unmapped, PF_ABSENT, SDM_RBX, true},
        {SDM_COVERS("EACCEPTCOPY_05"), cp_rcx_read_only, PF_ABSENT_WRITE, SDM_RCX, false},
        {SDM_COVERS("EACCEPTCOPY_06"), cp_rdx_unmapped, PF_ABSENT, SDM_RDX, true},
        {SDM_COVERS("EACCEPTCOPY_07"), rbx_tcs, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPTCOPY_07"), rbx_modified, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPTCOPY_07"), rbx_blocked, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EACCEPTCOPY_08"), secinfo_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_08"), cp_write_only, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_08"), cp_type, SDM_GP, 0, false},
        {SDM_COVERS("EACCEPTCOPY_09"), cp_source_pending, SDM_PF_EPCM_READ, SDM_RDX, false},
        {SDM_COVERS("EACCEPTCOPY_09"), cp_source_tcs, SDM_PF_EPCM_READ, SDM_RDX, false},
        {SDM_COVERS("EACCEPTCOPY_09"), cp_source_unreadable, SDM_PF_EPCM_READ, SDM_RDX, true},
        {SDM_COVERS("EACCEPTCOPY_10"), cp_settled, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH), 0,
         true},
        {SDM_COVERS("EACCEPTCOPY_10"), cp_dest_modified, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH),
         0, true},
        {SDM_COVERS("EACCEPTCOPY_10"), cp_dest_blocked, SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH),
         0, true},
        {SDM_COVERS("EACCEPTCOPY_11"), cp_dest_executable,
         SDM_CODE_OF(SGX_PAGE_ATTRIBUTES_MISMATCH), 0, true},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EACCEPTCOPY, copy_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    memset(&call, 0, sizeof(call));
    copy_prepare(&call);
    assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_HOLE),
                     SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_X);
    assert_true(access_faults_in(&call, AT(SDM_HOLE), 0));
    assert_int_equal(*(volatile uint8_t *)AT(SDM_HOLE), 0x6d);
    sdm_close(&call.sdm);
}

/* ------------------------------------------------------------------ EMODPE */

static void emodpe_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    sdm_map(&call->sdm);
    secinfo_of(call)->flags = SGX_SECINFO_R | SGX_SECINFO_W;
    call->rbx = AT(SDM_DATA);
    call->rcx = AT(SDM_RODATA);
}

SPOIL(pe_unmapped, unmap(call, SDM_RODATA))
SPOIL(pe_tcs, call->rcx = AT(SDM_TCS))
SPOIL(pe_pending, call->rcx = AT(SDM_HOLE2))
SPOIL(pe_modified, EPCM(call, SDM_RODATA) |= SGX_SECINFO_MODIFIED)
SPOIL(pe_blocked, EPCM(call, SDM_RODATA) |= SOFT_EPCM_BLOCKED)
SPOIL(pe_write_only, secinfo_of(call)->flags = SGX_SECINFO_W;
      EPCM(call, SDM_RODATA) &= ~(uint32_t)SGX_SECINFO_R)

static void test_emodpe(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EMODPE_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EMODPE_02"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EMODPE_03"), rbx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EMODPE_03"), rcx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EMODPE_04"), rbx_unmapped, PF_ABSENT, SDM_RBX, true},
        {SDM_COVERS("EMODPE_05"), pe_unmapped, PF_ABSENT, SDM_RCX, true},
        {SDM_COVERS("EMODPE_06"), rbx_tcs, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EMODPE_06"), rbx_modified, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EMODPE_06"), rbx_blocked, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EMODPE_07"), secinfo_reserved, SDM_GP, 0, false},
        {SDM_COVERS("EMODPE_08"), pe_tcs, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EMODPE_08"), pe_pending, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EMODPE_08"), pe_modified, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EMODPE_08"), pe_blocked, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EMODPE_09"), pe_write_only, SDM_GP, 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EMODPE, emodpe_prepare, rows);
    static struct sdm_call call;
    (void)state;
    sdm_test_leaf(&leaf);
    /* it only adds: the page keeps what it had */
    memset(&call, 0, sizeof(call));
    emodpe_prepare(&call);
    secinfo_of(&call)->flags = SGX_SECINFO_X;
    assert_int_equal(sdm_run(&leaf, &call).kind, SOFT_DONE);
    assert_int_equal(EPCM(&call, SDM_RODATA) & SGX_SECINFO_RWX, SGX_SECINFO_R | SGX_SECINFO_X);
    sdm_close(&call.sdm);
}

/* ------------------------------------------------------------------ EREPORT */

#define REPORT_AT (SDM_MORE + 512)

static void ereport_prepare(struct sdm_call *call)
{
    sdm_init(&call->sdm, &plain);
    sdm_map(&call->sdm);
    call->rbx = AT(SDM_DATA);
    call->rcx = AT(SDM_RODATA) + 128;
    call->rdx = AT(REPORT_AT);
}

SPOIL(er_rbx_hole, call->rbx = AT(SDM_HOLE))
SPOIL(er_rcx_odd, call->rcx += 64)
SPOIL(er_rcx_unmapped, unmap(call, SDM_RODATA))
SPOIL(er_rcx_blocked, EPCM(call, (call->rcx - SDM_BASE) & ~4095ull) |= SOFT_EPCM_BLOCKED)
SPOIL(er_rcx_tcs, call->rcx = AT(SDM_TCS))
SPOIL(er_rcx_unreadable, call->rcx = AT(SDM_XONLY))
SPOIL(er_rdx_odd, call->rdx += 128)
SPOIL(er_rdx_outside, call->rdx = SDM_BASE + SDM_SIZE)
SPOIL(er_rdx_read_only, read_only_vma(call, (call->rdx - SDM_BASE) & ~4095ull))
SPOIL(er_rdx_blocked, EPCM(call, (call->rdx - SDM_BASE) & ~4095ull) |= SOFT_EPCM_BLOCKED)
SPOIL(er_rdx_tcs, call->rdx = AT(SDM_TCS))
SPOIL(er_rdx_pending, call->rdx = AT(SDM_HOLE2))
SPOIL(er_rdx_restricted, EPCM(call, SDM_MORE) &= ~(uint32_t)SGX_SECINFO_W)

static void test_ereport(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EREPORT_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EREPORT_02"), rbx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EREPORT_03"), rbx_unmapped, PF_ABSENT, SDM_RBX, true},
        {SDM_COVERS("EREPORT_05"), rbx_blocked, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EREPORT_06"), rbx_tcs, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EREPORT_06"), rbx_unreadable, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EREPORT_06"), er_rbx_hole, SDM_PF_EPCM_READ, SDM_RBX, true},
        {SDM_COVERS("EREPORT_06"), rbx_modified, SDM_PF_EPCM_READ, SDM_RBX, true},
        {SDM_COVERS("EREPORT_07"), er_rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EREPORT_08"), rcx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EREPORT_09"), er_rcx_unmapped, PF_ABSENT, SDM_RCX, true},
        {SDM_COVERS("EREPORT_11"), er_rcx_blocked, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EREPORT_12"), er_rcx_tcs, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EREPORT_12"), er_rcx_unreadable, SDM_PF_EPCM_READ, SDM_RCX, false},
        {SDM_COVERS("EREPORT_13"), er_rdx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EREPORT_14"), er_rdx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EREPORT_15"), er_rdx_read_only,
         SDM_PF(SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_WRITE), SDM_RDX, false},
        {SDM_COVERS("EREPORT_17"), er_rdx_blocked, SDM_PF_EPCM_WRITE, SDM_RDX, false},
        {SDM_COVERS("EREPORT_18"), er_rdx_tcs, SDM_PF_EPCM_WRITE, SDM_RDX, false},
        {SDM_COVERS("EREPORT_18"), er_rdx_pending, SDM_PF_EPCM_WRITE, SDM_RDX, true},
        {SDM_COVERS("EREPORT_18"), er_rdx_restricted, SDM_PF_EPCM_WRITE, SDM_RDX, true},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EREPORT, ereport_prepare, rows);
    (void)state;
    sdm_test_leaf(&leaf);
}

/* ------------------------------------------------------------------ EGETKEY */

static struct sgx_keyrequest *request_of(struct sdm_call *call)
{
    return sdm_page(&call->sdm, SDM_DATA);
}

static void egetkey_prepare(struct sdm_call *call)
{
    static const struct sdm_options options = {.isv_svn = 5};
    sdm_init(&call->sdm, &options);
    sdm_map(&call->sdm);
    memset(request_of(call), 0, sizeof(struct sgx_keyrequest));
    request_of(call)->key_name = SGX_KEY_SEAL;
    request_of(call)->key_policy = SGX_KEYPOLICY_MRSIGNER;
    request_of(call)->isv_svn = 5;
    call->rbx = AT(SDM_DATA);
    call->rcx = AT(SDM_MORE) + 16;
}

static void without_kss(struct sdm_call *call)
{
    call->sdm.e->control->shared.secs.attributes.flags &= ~SGX_FLAGS_KSS;
}

SPOIL(gk_rcx_unwritable, read_only_vma(call, (call->rcx - SDM_BASE) & ~4095ull))
SPOIL(gk_rcx_blocked, EPCM(call, (call->rcx - SDM_BASE) & ~4095ull) |= SOFT_EPCM_BLOCKED)
SPOIL(gk_rcx_tcs, call->rcx = AT(SDM_TCS))
SPOIL(gk_rcx_pending, call->rcx = AT(SDM_HOLE))
SPOIL(gk_reserved1, request_of(call)->reserved1[1] = 1)
SPOIL(gk_reserved2, request_of(call)->reserved2[433] = 1)
SPOIL(gk_policy, request_of(call)->key_policy |= 0x40)
SPOIL(gk_policy_kss, without_kss(call); request_of(call)->key_policy |= SGX_KEYPOLICY_NOISVPRODID)
SPOIL(gk_policy_kss2, without_kss(call); request_of(call)->key_policy |= SGX_KEYPOLICY_ISVEXTPRODID)
SPOIL(gk_config_svn_kss, without_kss(call); request_of(call)->config_svn = 1)
SPOIL(gk_name, request_of(call)->key_name = 5)
SPOIL(gk_einittoken, request_of(call)->key_name = SGX_KEY_EINITTOKEN)
SPOIL(gk_provision, request_of(call)->key_name = SGX_KEY_PROVISION)
SPOIL(gk_provision_seal, request_of(call)->key_name = SGX_KEY_PROVISION_SEAL)
SPOIL(gk_cpu_svn, memset(request_of(call)->cpu_svn, 0xff, 16))
SPOIL(gk_isv_svn, request_of(call)->isv_svn = 6)
SPOIL(gk_config_svn, call->sdm.e->control->shared.secs.attributes.flags |= SGX_FLAGS_KSS;
      request_of(call)->config_svn = 1)

static void test_egetkey(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EGETKEY_01"), rbx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_02"), rbx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_03"), rbx_unmapped, PF_ABSENT, SDM_RBX, true},
        {SDM_COVERS("EGETKEY_05"), rbx_blocked, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EGETKEY_06"), rbx_tcs, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EGETKEY_06"), rbx_pending, SDM_PF_EPCM_READ, SDM_RBX, true},
        {SDM_COVERS("EGETKEY_06"), rbx_unreadable, SDM_PF_EPCM_READ, SDM_RBX, false},
        {SDM_COVERS("EGETKEY_07"), rcx_odd, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_08"), rcx_outside, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_09"), gk_rcx_unwritable,
         SDM_PF(SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_WRITE), SDM_RCX, false},
        {SDM_COVERS("EGETKEY_11"), gk_rcx_blocked, SDM_PF_EPCM_WRITE, SDM_RCX, false},
        {SDM_COVERS("EGETKEY_12"), gk_rcx_tcs, SDM_PF_EPCM_WRITE, SDM_RCX, false},
        {SDM_COVERS("EGETKEY_12"), gk_rcx_pending, SDM_PF_EPCM_WRITE, SDM_RCX, true},
        {SDM_COVERS("EGETKEY_13"), gk_reserved1, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_13"), gk_reserved2, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_14"), gk_policy, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_15"), gk_policy_kss, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_15"), gk_policy_kss2, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_15"), gk_config_svn_kss, SDM_GP, 0, false},
        {SDM_COVERS("EGETKEY_16"), gk_name, SDM_CODE_OF(SGX_INVALID_KEYNAME), 0, false},
        {SDM_COVERS("EGETKEY_17"), gk_einittoken, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EGETKEY_18"), gk_provision, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EGETKEY_18"), gk_provision_seal, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EGETKEY_19"), gk_cpu_svn, SDM_CODE_OF(SGX_INVALID_CPUSVN), 0, false},
        {SDM_COVERS("EGETKEY_20"), gk_isv_svn, SDM_CODE_OF(SGX_INVALID_ISVSVN), 0, false},
        {SDM_COVERS("EGETKEY_21"), gk_config_svn, SDM_CODE_OF(SGX_INVALID_ISVSVN), 0, false},
    };
    static const struct sdm_leaf leaf = LEAF_OF(SGX_EGETKEY, egetkey_prepare, rows);
    (void)state;
    sdm_test_leaf(&leaf);
}

static void test_unknown_leaf(void **state)
{
    static const uint32_t leaves[] = {SGX_EENTER, SGX_EVERIFYREPORT2, 10, 0x7fffffff};
    static struct sdm_call call;
    (void)state;
    memset(&call, 0, sizeof(call));
    egetkey_prepare(&call);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        struct soft_outcome outcome = soft_enclu(&call.sdm.e->pub, leaves[i], 0, 0, 0);
        assert_int_equal(outcome.vector, SGX_VECTOR_GP);
        assert_string_equal(soft_last_check, SDM_COVERS("ENCLU_01"));
    }
    sdm_close(&call.sdm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eaccept),          cmocka_unit_test(test_eaccept_tcs_order),
        cmocka_unit_test(test_eaccept_requests), cmocka_unit_test(test_eaccept_effect),
        cmocka_unit_test(test_eacceptcopy),      cmocka_unit_test(test_emodpe),
        cmocka_unit_test(test_ereport),          cmocka_unit_test(test_egetkey),
        cmocka_unit_test(test_unknown_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
