/*
 * EACCEPT, EACCEPTCOPY, EMODPE (SDM Vol. 3D, SGX instruction references).
 * Side: soft (untrusted; it plays the processor). Called by enclu.c with both locks held.
 * The checks stand in the manual's order. "Does not resolve within an EPC" is what the page tables
 * say: the kernel has filled holes by then. ENCLAVEADDRESS and ENCLAVESECS always match here: a
 * page has one place.
 */
#include "soft/enclu.h"

#include <string.h>

#define UNSETTLED (SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED)

static bool in_elrange(const struct driver_enclave *e, uint64_t address)
{
    return soft_in_elrange(&e->pub, address, 1);
}

static struct soft_epcm *entry_of(const struct driver_enclave *e, uint64_t address)
{
    return &e->pub.epcm[(address - e->pub.base) >> SGX_PAGE_SHIFT];
}

static bool secinfo_is_readable(const struct soft_operand *operand)
{
    return soft_operand_is_valid(operand) && !soft_operand_is_blocked(operand) &&
           soft_operand_is_reg(operand, SGX_SECINFO_R);
}

/*
 * The EPCM entry has changed, and lets the enclave do more: the mapping follows when it does (soft_fault_resolve), here as
 * in other processes. A page that it has faulted on is used next.
 */
static struct soft_outcome settle(struct driver_enclave *e, uint64_t address,
                                  struct soft_outcome outcome)
{
    const uint64_t page = (address - e->pub.base) >> SGX_PAGE_SHIFT;
    uint64_t *faulted = &e->faulted[page % DRIVER_FAULTED];
    if ((e->pub.epcm[page].flags & SGX_SECINFO_TYPE_MASK) != SGX_SECINFO_REG) {
        driver_bump(e); /* a TCS: what is known of entries by it has changed */
    } else if (*faulted == page + 1) {
        *faulted = 0;
        (void)driver_apply_around(e, page); /* out of VMAs: the access will find that out */
    }
    return outcome;
}

static bool accept_request_is_legal(uint64_t flags)
{
    bool pending = (flags & SGX_SECINFO_PENDING) != 0;
    bool modified = (flags & SGX_SECINFO_MODIFIED) != 0;
    bool restricted = (flags & SGX_SECINFO_PR) != 0;
    switch (flags & SGX_SECINFO_TYPE_MASK) {
    case SGX_SECINFO_REG:
        return (restricted || pending) && !modified;
    case SGX_SECINFO_TCS:
    case SGX_SECINFO_TRIM:
        return !restricted && !pending && modified;
    default:
        return false;
    }
}

static bool attributes_match(uint32_t flags, uint64_t asked)
{
    uint64_t compared = SGX_SECINFO_RWX | SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED |
                        SGX_SECINFO_TYPE_MASK; /* not PR */
    return ((flags ^ asked) & compared) == 0;
}

static bool is_tracked(const struct driver_enclave *e, const struct soft_epcm *entry)
{
    return !(entry->flags & SOFT_EPCM_TRACKING) ||
           entry->max_prot >> SOFT_EPOCH_SHIFT !=
               (e->control->epoch << SOFT_EPOCH_SHIFT) >> SOFT_EPOCH_SHIFT;
}

static struct soft_outcome check_new_tcs(const struct driver_enclave *e, const struct sgx_tcs *tcs)
{
    bool mode64 = (e->control->shared.secs.attributes.flags & SGX_FLAGS_MODE64BIT) != 0;
    uint64_t known = SGX_TCS_DBGOPTIN | SGX_TCS_AEXNOTIFY;
    SOFT_CHECK(EACCEPT_13,
               soft_all_zero(tcs->reserved, sizeof(tcs->reserved)) && !(tcs->flags & ~known),
               soft_gp());
    SOFT_CHECK(EACCEPT_14, !(tcs->flags & SGX_TCS_DBGOPTIN), soft_gp());
    SOFT_CHECK(EACCEPT_15, tcs->cssa < tcs->nssa, soft_gp());
    SOFT_CHECK(EACCEPT_16, !tcs->aep && !tcs->state, soft_gp());
    SOFT_CHECK(EACCEPT_17, mode64 || (tcs->fs_limit & tcs->gs_limit & 0xfff) == 0xfff, soft_gp());
    return soft_done();
}

struct soft_outcome soft_eaccept(struct driver_enclave *e, uint64_t rbx, uint64_t rcx)
{
    uint32_t error = 0;
    SOFT_CHECK(EACCEPT_01, soft_aligned(rbx, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EACCEPT_02, in_elrange(e, rbx), soft_gp());
    SOFT_CHECK(EACCEPT_03, driver_translate(e, rbx, 0, &error), soft_pf(rbx, error));
    struct soft_operand source = soft_operand_at(e, rbx);
    SOFT_CHECK(EACCEPT_04, secinfo_is_readable(&source), soft_pf(rbx, SOFT_PF_EPCM_READ));
    struct sgx_secinfo secinfo = *(const struct sgx_secinfo *)soft_alias(&e->pub, rbx);
    SOFT_CHECK(EACCEPT_05, soft_secinfo_reserved_zero(&secinfo), soft_gp());
    SOFT_CHECK(EACCEPT_06, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EACCEPT_07, in_elrange(e, rcx), soft_gp());
    SOFT_CHECK(EACCEPT_08, driver_translate(e, rcx, 0, &error), soft_pf(rcx, error));
    SOFT_CHECK(EACCEPT_09, accept_request_is_legal(secinfo.flags), soft_gp());
    struct soft_operand page = soft_operand_at(e, rcx);
    SOFT_CHECK(EACCEPT_10, soft_operand_is_valid(&page) && !soft_operand_is_blocked(&page),
               soft_pf(rcx, SOFT_PF_EPCM_READ));
    struct soft_epcm *entry = entry_of(e, rcx);
    SOFT_CHECK(EACCEPT_11, attributes_match(entry->flags, secinfo.flags),
               soft_code(SGX_PAGE_ATTRIBUTES_MISMATCH));
    SOFT_CHECK(EACCEPT_12, is_tracked(e, entry), soft_code(SGX_NOT_TRACKED));
    if ((secinfo.flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS) {
        struct soft_outcome outcome =
            check_new_tcs(e, (const struct sgx_tcs *)soft_alias(&e->pub, rcx));
        if (outcome.kind != SOFT_DONE) {
            return outcome;
        }
    }
    entry->flags &= ~(uint32_t)(UNSETTLED | SGX_SECINFO_PR | SOFT_EPCM_TRACKING);
    return settle(e, rcx, soft_code(SGX_SUCCESS));
}

struct soft_outcome soft_eacceptcopy(struct driver_enclave *e, uint64_t rbx, uint64_t rcx,
                                     uint64_t rdx)
{
    uint32_t error = 0;
    SOFT_CHECK(EACCEPTCOPY_01, soft_aligned(rbx, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EACCEPTCOPY_02, soft_aligned(rcx, SGX_PAGE_SIZE) && soft_aligned(rdx, SGX_PAGE_SIZE),
               soft_gp());
    SOFT_CHECK(EACCEPTCOPY_03, in_elrange(e, rbx) && in_elrange(e, rcx) && in_elrange(e, rdx),
               soft_gp());
    SOFT_CHECK(EACCEPTCOPY_04, driver_translate(e, rbx, 0, &error), soft_pf(rbx, error));
    SOFT_CHECK(EACCEPTCOPY_05, driver_translate(e, rcx, SGX_PF_WRITE, &error), soft_pf(rcx, error));
    SOFT_CHECK(EACCEPTCOPY_06, driver_translate(e, rdx, 0, &error), soft_pf(rdx, error));
    struct soft_operand request = soft_operand_at(e, rbx);
    SOFT_CHECK(EACCEPTCOPY_07, secinfo_is_readable(&request), soft_pf(rbx, SOFT_PF_EPCM_READ));
    struct sgx_secinfo secinfo = *(const struct sgx_secinfo *)soft_alias(&e->pub, rbx);
    bool write_only = (secinfo.flags & SGX_SECINFO_W) && !(secinfo.flags & SGX_SECINFO_R);
    SOFT_CHECK(EACCEPTCOPY_08,
               soft_secinfo_reserved_zero(&secinfo) && !write_only &&
                   (secinfo.flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_REG,
               soft_gp());
    struct soft_operand source = soft_operand_at(e, rdx);
    SOFT_CHECK(EACCEPTCOPY_09, secinfo_is_readable(&source), soft_pf(rdx, SOFT_PF_EPCM_READ));
    struct soft_epcm *entry = entry_of(e, rcx);
    uint32_t state = SOFT_EPCM_VALID | SOFT_EPCM_BLOCKED | UNSETTLED | SGX_SECINFO_TYPE_MASK;
    uint32_t wanted = SOFT_EPCM_VALID | SGX_SECINFO_PENDING | SGX_SECINFO_REG;
    SOFT_CHECK(EACCEPTCOPY_10, (entry->flags & state) == wanted,
               soft_code(SGX_PAGE_ATTRIBUTES_MISMATCH));
    SOFT_CHECK(EACCEPTCOPY_11, (entry->flags & SGX_SECINFO_RWX) == (SGX_SECINFO_R | SGX_SECINFO_W),
               soft_code(SGX_PAGE_ATTRIBUTES_MISMATCH));
    memcpy(soft_alias(&e->pub, rcx), soft_alias(&e->pub, rdx), SGX_PAGE_SIZE);
    uint32_t kept = entry->flags & ~(uint32_t)(SGX_SECINFO_RWX | SGX_SECINFO_PENDING);
    entry->flags = kept | ((uint32_t)secinfo.flags & SGX_SECINFO_RWX);
    return settle(e, rcx, soft_code(SGX_SUCCESS));
}

struct soft_outcome soft_emodpe(struct driver_enclave *e, uint64_t rbx, uint64_t rcx)
{
    uint32_t error = 0;
    SOFT_CHECK(EMODPE_01, soft_aligned(rbx, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EMODPE_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EMODPE_03, in_elrange(e, rbx) && in_elrange(e, rcx), soft_gp());
    SOFT_CHECK(EMODPE_04, driver_translate(e, rbx, 0, &error), soft_pf(rbx, error));
    SOFT_CHECK(EMODPE_05, driver_translate(e, rcx, 0, &error), soft_pf(rcx, error));
    struct soft_operand request = soft_operand_at(e, rbx);
    SOFT_CHECK(EMODPE_06, secinfo_is_readable(&request), soft_pf(rbx, SOFT_PF_EPCM_READ));
    struct sgx_secinfo secinfo = *(const struct sgx_secinfo *)soft_alias(&e->pub, rbx);
    SOFT_CHECK(EMODPE_07, soft_secinfo_reserved_zero(&secinfo), soft_gp());
    struct soft_operand page = soft_operand_at(e, rcx);
    SOFT_CHECK(EMODPE_08,
               soft_operand_is_valid(&page) && !soft_operand_is_blocked(&page) &&
                   soft_operand_is_reg(&page, 0),
               soft_pf(rcx, SOFT_PF_EPCM_READ));
    uint64_t rights = (page.flags | secinfo.flags) & SGX_SECINFO_RWX;
    bool asks_write = (secinfo.flags & SGX_SECINFO_W) != 0;
    SOFT_CHECK(EMODPE_09, !asks_write || (rights & SGX_SECINFO_R), soft_gp());
    entry_of(e, rcx)->flags |= (uint32_t)secinfo.flags & SGX_SECINFO_RWX;
    return settle(e, rcx, soft_done());
}
