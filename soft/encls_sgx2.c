/*
 * EAUG, EMODPR, EMODT, ETRACK, EBLOCK, EREMOVE (SDM Vol. 3D, SGX instruction references).
 * Side: soft (untrusted; it plays the processor). Called by the driver and by tests.
 * Only the EPCM changes here; the driver brings the mappings in line.
 */
#include "soft/encls.h"

#include <string.h>

#define PF_READ (SGX_PF_PRESENT)
#define PF_WRITE (SGX_PF_PRESENT | SGX_PF_WRITE)
#define UNSETTLED (SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED)

/* Notes that processors may still use the old EPCM entry: EACCEPT wants an ETRACK after this. */
static void start_tracking(struct soft_epc *epc)
{
    uint32_t kept = epc->entry->max_prot & SOFT_MAX_PROT_MASK;
    epc->entry->max_prot = kept | epc->e->control->epoch << SOFT_EPOCH_SHIFT;
}

struct soft_outcome soft_eaug(uint64_t rbx, uint64_t rcx)
{
    struct soft_epc epc;
    struct soft_epc secs;
    const struct sgx_pageinfo *info = (const struct sgx_pageinfo *)(uintptr_t)rbx;
    SOFT_CHECK(EAUG_01, soft_aligned(rbx, SGX_ALIGN_PAGEINFO), soft_gp());
    SOFT_CHECK(EAUG_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EAUG_03, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(EAUG_04, soft_aligned(info->secinfo, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EAUG_05, soft_aligned(info->secs, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EAUG_06, soft_aligned(info->linaddr, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EAUG_07, !info->srcpge, soft_gp());
    SOFT_CHECK(EAUG_08, soft_epc_at(info->secs, &secs), soft_pf(info->secs, PF_READ));
    SOFT_CHECK(EAUG_09, !soft_epc_valid(&epc), soft_pf(rcx, PF_WRITE));
    /* A SECINFO may only ask for shadow stack pages, and this processor has no CET. */
    SOFT_CHECK(EAUG_10, !info->secinfo, soft_gp());
    SOFT_CHECK(EAUG_11, soft_is_valid_secs(&secs), soft_pf(info->secs, PF_READ));
    const struct sgx_secs *owner = &secs.e->control->shared.secs;
    SOFT_CHECK(EAUG_12, secs.e->control->shared.state == SOFT_STATE_INITIALIZED, soft_gp());
    SOFT_CHECK(EAUG_13, info->linaddr - owner->base < owner->size, soft_gp());
    /*
     * This processor's EPC page is bound to its place: any other is not one that EAUG could take.
     */
    SOFT_CHECK(EAUG_14,
               epc.e == secs.e && epc.page == (info->linaddr - owner->base) >> SGX_PAGE_SHIFT,
               soft_pf(rcx, PF_WRITE));
    /*
     * The content is zero already: pages are zero when the file grows, and EREMOVE's caller punches
     * them.
     */
    epc.entry->max_prot &= SOFT_MAX_PROT_MASK;
    epc.entry->flags =
        SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_PENDING;
    driver_page_added(epc.e, epc.page);
    return soft_done();
}

struct soft_outcome soft_emodpr(uint64_t rbx, uint64_t rcx)
{
    struct soft_epc epc;
    SOFT_CHECK(EMODPR_01, soft_aligned(rbx, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EMODPR_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EMODPR_03, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    struct sgx_secinfo secinfo = *(const struct sgx_secinfo *)(uintptr_t)rbx;
    SOFT_CHECK(EMODPR_04, soft_secinfo_reserved_zero(&secinfo), soft_gp());
    SOFT_CHECK(EMODPR_05, (secinfo.flags & SGX_SECINFO_R) || !(secinfo.flags & SGX_SECINFO_W),
               soft_gp());
    SOFT_CHECK(EMODPR_06, soft_epc_valid(&epc), soft_pf(rcx, PF_WRITE));
    uint32_t flags = epc.is_secs ? 0 : epc.entry->flags;
    SOFT_CHECK(EMODPR_07, !(flags & UNSETTLED), soft_code(SGX_PAGE_NOT_MODIFIABLE));
    SOFT_CHECK(EMODPR_08, soft_epc_type(&epc) == SGX_PT_REG, soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(EMODPR_09, epc.e->control->shared.state == SOFT_STATE_INITIALIZED, soft_gp());
    uint32_t rwx = flags & (uint32_t)secinfo.flags & SGX_SECINFO_RWX;
    start_tracking(&epc);
    epc.entry->flags =
        (flags & ~(uint32_t)SGX_SECINFO_RWX) | rwx | SGX_SECINFO_PR | SOFT_EPCM_TRACKING;
    return soft_code(SGX_SUCCESS);
}

struct soft_outcome soft_emodt(uint64_t rbx, uint64_t rcx)
{
    struct soft_epc epc;
    SOFT_CHECK(EMODT_01, soft_aligned(rbx, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EMODT_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EMODT_03, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    struct sgx_secinfo secinfo = *(const struct sgx_secinfo *)(uintptr_t)rbx;
    uint64_t type = secinfo.flags & SGX_SECINFO_TYPE_MASK;
    SOFT_CHECK(EMODT_04,
               soft_secinfo_reserved_zero(&secinfo) &&
                   (type == SGX_SECINFO_TCS || type == SGX_SECINFO_TRIM),
               soft_gp());
    SOFT_CHECK(EMODT_05, soft_epc_valid(&epc), soft_pf(rcx, PF_WRITE));
    uint32_t now = soft_epc_type(&epc);
    SOFT_CHECK(EMODT_06, now == SGX_PT_REG || (now == SGX_PT_TCS && type == SGX_SECINFO_TRIM),
               soft_pf(rcx, PF_WRITE));
    uint32_t flags = epc.entry->flags;
    SOFT_CHECK(EMODT_07, !(flags & UNSETTLED), soft_code(SGX_PAGE_NOT_MODIFIABLE));
    SOFT_CHECK(EMODT_08, epc.e->control->shared.state == SOFT_STATE_INITIALIZED, soft_gp());
    uint32_t cleared = SGX_SECINFO_PR | SGX_SECINFO_RWX | SGX_SECINFO_TYPE_MASK;
    start_tracking(&epc);
    epc.entry->flags =
        (flags & ~cleared) | (uint32_t)type | SGX_SECINFO_MODIFIED | SOFT_EPCM_TRACKING;
    return soft_code(SGX_SUCCESS);
}

/*
 * Ends an epoch. The driver's mprotect has shot the TLBs down by then, so there is nothing to wait
 * for; only the test hook makes a processor of the previous epoch be still inside.
 */
struct soft_outcome soft_etrack(uint64_t rcx)
{
    struct soft_epc epc;
    SOFT_CHECK(ETRACK_01, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(ETRACK_02, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_READ));
    SOFT_CHECK(ETRACK_03, soft_epc_valid(&epc), soft_pf(rcx, PF_READ));
    SOFT_CHECK(ETRACK_04, epc.is_secs, soft_pf(rcx, PF_READ));
    SOFT_CHECK(ETRACK_05, !(epc.e->control->hooks & SOFT_HOOK_TRACK_BUSY),
               soft_code(SGX_PREV_TRK_INCMPL));
    epc.e->control->epoch++;
    return soft_code(SGX_SUCCESS);
}

/* The manual reports the last three with CF, not ZF: the caller tells them apart by the code. */
struct soft_outcome soft_eblock(uint64_t rcx)
{
    struct soft_epc epc;
    SOFT_CHECK(EBLOCK_01, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EBLOCK_02, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_READ));
    SOFT_CHECK(EBLOCK_03, soft_epc_valid(&epc), soft_code(SGX_PG_INVLD));
    SOFT_CHECK(EBLOCK_04, !epc.is_secs, soft_code(SGX_PG_IS_SECS));
    SOFT_CHECK(EBLOCK_05, !(epc.entry->flags & SOFT_EPCM_BLOCKED), soft_code(SGX_BLSTATE));
    start_tracking(&epc);
    epc.entry->flags |= SOFT_EPCM_BLOCKED | SOFT_EPCM_TRACKING;
    return soft_code(SGX_SUCCESS);
}

/* A thread is inside while its TCS is marked active. */
static bool threads_inside(const struct driver_enclave *e)
{
    const uint64_t end = driver_page_count(e);
    uint64_t page = driver_next_used(e, 0, end);
    for (; page < end; page = driver_next_used(e, page + 1, end)) {
        uint32_t flags = e->pub.epcm[page].flags;
        if ((flags & (SOFT_EPCM_VALID | SGX_SECINFO_TYPE_MASK)) ==
            (SOFT_EPCM_VALID | SGX_SECINFO_TCS)) {
            const struct sgx_tcs *tcs =
                (const struct sgx_tcs *)(e->pub.alias + (page << SGX_PAGE_SHIFT));
            if (__atomic_load_n(&tcs->state, __ATOMIC_ACQUIRE)) {
                return true;
            }
        }
    }
    return false;
}

static void remove_page(struct soft_epc *epc)
{
    epc->entry->flags = 0;
    epc->entry->max_prot = 0;
    driver_page_removed(epc->e, epc->page);
}

struct soft_outcome soft_eremove(uint64_t rcx)
{
    struct soft_epc epc;
    SOFT_CHECK(EREMOVE_01, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EREMOVE_02, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    if (!soft_epc_valid(&epc)) {
        return soft_code(SGX_SUCCESS); /* unused already */
    }
    if (epc.is_secs) {
        SOFT_CHECK(EREMOVE_03, !epc.e->control->child_pages, soft_code(SGX_CHILD_PRESENT));
        memset(&epc.e->control->shared.secs, 0, sizeof(struct sgx_secs));
        atomic_store(&epc.e->control->shared.state, SOFT_STATE_NEW);
        return soft_code(SGX_SUCCESS);
    }
    uint32_t flags = epc.entry->flags;
    bool trimmed = (flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TRIM;
    if (!trimmed || (flags & SGX_SECINFO_MODIFIED)) {
        SOFT_CHECK(EREMOVE_04, !threads_inside(epc.e), soft_code(SGX_ENCLAVE_ACT));
    }
    remove_page(&epc);
    return soft_code(SGX_SUCCESS);
}
