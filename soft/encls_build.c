/*
 * ECREATE, EADD, EEXTEND and the measurement (SDM Vol. 3D, SGX instruction references).
 * Side: soft (untrusted; it plays the processor). Called by the driver and by tests.
 * The checks stand in the manual's order; the records are hashed with libcrypto's SHA-256, whose
 * state lives in the control page because an enclave may be built by more than one process.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: a state without pointers; EVP has none */
#include "common/no_compression.h"
#include "soft/encls.h"

#include <openssl/sha.h>
#include <string.h>

CELLA_NO_COMPRESSION;

CELLA_ABI_ASSERT(sizeof(SHA256_CTX) == sizeof(struct soft_sha256));
CELLA_ABI_ASSERT(_Alignof(SHA256_CTX) == _Alignof(struct soft_sha256));

#define PF_READ (SGX_PF_PRESENT)
#define PF_WRITE (SGX_PF_PRESENT | SGX_PF_WRITE)

static void measure(struct soft_control *control, const void *data, size_t size)
{
    SHA256_Update((SHA256_CTX *)&control->measurement, data, size);
}

void soft_measurement_digest(const struct soft_control *control, uint8_t digest[32])
{
    SHA256_CTX copy;
    memcpy(&copy, &control->measurement, sizeof(copy));
    SHA256_Final(digest, &copy);
}

static struct soft_outcome check_secs_source(const struct sgx_secs *secs)
{
    uint64_t frame = (uint64_t)soft_cpu_xsave_size(secs->attributes.xfrm) +
                     sizeof(struct sgx_gprsgx) +
                     (secs->misc_select & SGX_MISC_EXINFO ? sizeof(struct sgx_exinfo) : 0);
    bool mode64 = (secs->attributes.flags & SGX_FLAGS_MODE64BIT) != 0;
    SOFT_CHECK(ECREATE_09, (secs->attributes.xfrm & SGX_XFRM_LEGACY) == SGX_XFRM_LEGACY, soft_gp());
    SOFT_CHECK(ECREATE_10, !(secs->attributes.xfrm & ~soft_supported_xfrm()), soft_gp());
    SOFT_CHECK(ECREATE_11, !secs->cet_attributes && soft_all_zero(secs->cet_leg_bitmap, 8),
               soft_gp());
    SOFT_CHECK(ECREATE_12, !(secs->misc_select & ~SOFT_SUPPORTED_MISC), soft_gp());
    SOFT_CHECK(ECREATE_13, (uint64_t)secs->ssa_frame_size * SGX_PAGE_SIZE >= frame, soft_gp());
    SOFT_CHECK(ECREATE_14, !mode64 || soft_canonical(secs->base), soft_gp());
    SOFT_CHECK(ECREATE_15, mode64 || !(secs->base >> 32), soft_gp());
    SOFT_CHECK(ECREATE_16, mode64 || secs->size < 1ull << 31, soft_gp());
    SOFT_CHECK(ECREATE_17, !mode64 || secs->size < 1ull << SOFT_MAX_SIZE_LOG2, soft_gp());
    SOFT_CHECK(ECREATE_18, secs->size >= 8192 && __builtin_popcountll(secs->size) == 1, soft_gp());
    SOFT_CHECK(ECREATE_19, !(secs->base & (secs->size - 1)), soft_gp());
    SOFT_CHECK(ECREATE_20, !(secs->attributes.flags & ~soft_supported_attributes()), soft_gp());
    SOFT_CHECK(ECREATE_21,
               soft_all_zero(secs->reserved1, sizeof(secs->reserved1)) &&
                   soft_all_zero(secs->reserved2, sizeof(secs->reserved2)) &&
                   soft_all_zero(secs->reserved3, sizeof(secs->reserved3)) &&
                   soft_all_zero(secs->reserved4, sizeof(secs->reserved4)),
               soft_gp());
    SOFT_CHECK(ECREATE_22,
               (secs->attributes.flags & SGX_FLAGS_KSS) ||
                   (soft_all_zero(secs->config_id, sizeof(secs->config_id)) && !secs->config_svn),
               soft_gp());
    return soft_done();
}

static void create_secs(struct soft_control *control, const struct sgx_secs *source)
{
    struct sgx_secs *secs = &control->shared.secs;
    *secs = *source;
    secs->isv_svn = 0;
    secs->isv_prod_id = 0;
    memset(secs->mr_enclave, 0, sizeof(secs->mr_enclave));
    memset(secs->mr_signer, 0, sizeof(secs->mr_signer));
    uint8_t record[SOFT_RECORD_SIZE] = "ECREATE";
    memcpy(record + 8, &secs->ssa_frame_size, 4);
    memcpy(record + 12, &secs->size, 8);
    SHA256_Init((SHA256_CTX *)&control->measurement);
    measure(control, record, sizeof(record));
    atomic_store(&control->shared.state, SOFT_STATE_CREATED);
}

struct soft_outcome soft_ecreate(uint64_t rbx, uint64_t rcx)
{
    struct soft_epc epc;
    const struct sgx_pageinfo *info = (const struct sgx_pageinfo *)(uintptr_t)rbx;
    SOFT_CHECK(ECREATE_01, soft_aligned(rbx, SGX_ALIGN_PAGEINFO), soft_gp());
    SOFT_CHECK(ECREATE_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(ECREATE_03, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(ECREATE_04, soft_aligned(info->srcpge, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(ECREATE_05, soft_aligned(info->secinfo, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(ECREATE_06, !info->linaddr && !info->secs, soft_gp());
    const struct sgx_secinfo *secinfo = (const struct sgx_secinfo *)(uintptr_t)info->secinfo;
    SOFT_CHECK(ECREATE_07,
               soft_secinfo_reserved_zero(secinfo) && (secinfo->flags & SGX_SECINFO_TYPE_MASK) ==
                                                          SGX_PT_SECS << SGX_SECINFO_TYPE_SHIFT,
               soft_gp());
    SOFT_CHECK(ECREATE_08, epc.is_secs && !soft_epc_valid(&epc), soft_pf(rcx, PF_WRITE));
    const struct sgx_secs *source = (const struct sgx_secs *)(uintptr_t)info->srcpge;
    struct soft_outcome outcome = check_secs_source(source);
    if (outcome.kind == SOFT_DONE) {
        create_secs(epc.e->control, source);
    }
    return outcome;
}

/* Operands of one EADD after its checks. */
struct eadd {
    struct soft_epc epc;
    struct sgx_secinfo secinfo;
    uint64_t offset;
};

static bool tcs_is_good(const struct sgx_tcs *tcs)
{
    return soft_all_zero(tcs->reserved, sizeof(tcs->reserved)) &&
           !(tcs->flags & ~(SGX_TCS_DBGOPTIN | SGX_TCS_AEXNOTIFY));
}

static struct soft_outcome eadd_check(uint64_t rbx, uint64_t rcx, struct eadd *ret_eadd)
{
    struct soft_epc epc;
    struct soft_epc secs;
    const struct sgx_pageinfo *info = (const struct sgx_pageinfo *)(uintptr_t)rbx;
    SOFT_CHECK(EADD_01, soft_aligned(rbx, SGX_ALIGN_PAGEINFO), soft_gp());
    SOFT_CHECK(EADD_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EADD_03, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(EADD_04, soft_aligned(info->srcpge, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EADD_05, soft_aligned(info->secs, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EADD_06, soft_aligned(info->secinfo, SGX_ALIGN_SECINFO), soft_gp());
    SOFT_CHECK(EADD_07, soft_aligned(info->linaddr, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EADD_08, soft_epc_at(info->secs, &secs), soft_pf(info->secs, PF_READ));
    struct sgx_secinfo secinfo = *(const struct sgx_secinfo *)(uintptr_t)info->secinfo;
    uint64_t type = secinfo.flags & SGX_SECINFO_TYPE_MASK;
    SOFT_CHECK(EADD_09,
               soft_secinfo_reserved_zero(&secinfo) &&
                   (type == SGX_SECINFO_REG || type == SGX_SECINFO_TCS),
               soft_gp());
    SOFT_CHECK(EADD_10, !soft_epc_valid(&epc), soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(EADD_11, soft_is_valid_secs(&secs), soft_pf(info->secs, PF_READ));
    const struct sgx_tcs *tcs = (const struct sgx_tcs *)(uintptr_t)info->srcpge;
    struct sgx_secs *owner = &secs.e->control->shared.secs;
    bool mode64 = (owner->attributes.flags & SGX_FLAGS_MODE64BIT) != 0;
    bool is_tcs = type == SGX_SECINFO_TCS;
    SOFT_CHECK(EADD_12, !is_tcs || tcs_is_good(tcs), soft_gp());
    SOFT_CHECK(EADD_13, !is_tcs || mode64 || (tcs->fs_limit & tcs->gs_limit & 0xfff) == 0xfff,
               soft_gp());
    SOFT_CHECK(EADD_14,
               is_tcs || (secinfo.flags & SGX_SECINFO_R) || !(secinfo.flags & SGX_SECINFO_W),
               soft_gp());
    SOFT_CHECK(EADD_15, info->linaddr - owner->base < owner->size, soft_gp());
    SOFT_CHECK(EADD_16, secs.e->control->shared.state == SOFT_STATE_CREATED, soft_gp());
    /*
     * This processor's EPC page is bound to its place: any other is not one that EADD could take.
     */
    SOFT_CHECK(EADD_17,
               epc.e == secs.e && epc.page == (info->linaddr - owner->base) >> SGX_PAGE_SHIFT,
               soft_pf(rcx, PF_WRITE));
    if (is_tcs) {
        secinfo.flags &= ~SGX_SECINFO_RWX;
    }
    *ret_eadd =
        (struct eadd){.epc = epc, .secinfo = secinfo, .offset = info->linaddr - owner->base};
    return soft_done();
}

static void eadd_record(const struct eadd *eadd, uint8_t record[SOFT_RECORD_SIZE])
{
    memcpy(record, "EADD\0\0\0", 8);
    memcpy(record + 8, &eadd->offset, 8);
    memcpy(record + 16, &eadd->secinfo, 48);
}

static void extend_record(uint64_t offset, uint8_t record[SOFT_RECORD_SIZE])
{
    memset(record, 0, SOFT_RECORD_SIZE);
    memcpy(record, "EEXTEND", 8);
    memcpy(record + 8, &offset, 8);
}

static void eadd_enter(const struct eadd *eadd)
{
    uint32_t kept = SGX_SECINFO_RWX | SGX_SECINFO_TYPE_MASK;
    uint32_t flags = (uint32_t)eadd->secinfo.flags & kept;
    eadd->epc.entry->max_prot = 0;
    eadd->epc.entry->flags = flags | SOFT_EPCM_VALID;
    driver_page_added(eadd->epc.e, eadd->epc.page);
}

static void clean_tcs(struct sgx_tcs *tcs)
{
    tcs->flags &= ~SGX_TCS_DBGOPTIN;
    tcs->cssa = 0;
    tcs->aep = 0;
    tcs->state = 0;
}

struct soft_outcome soft_eadd(uint64_t rbx, uint64_t rcx)
{
    struct eadd eadd;
    struct soft_outcome outcome = eadd_check(rbx, rcx, &eadd);
    if (outcome.kind != SOFT_DONE) {
        return outcome;
    }
    const struct sgx_pageinfo *info = (const struct sgx_pageinfo *)(uintptr_t)rbx;
    uint8_t *page = (uint8_t *)(uintptr_t)rcx;
    memcpy(page, (const void *)(uintptr_t)info->srcpge, SGX_PAGE_SIZE);
    if ((eadd.secinfo.flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS) {
        clean_tcs((struct sgx_tcs *)page);
    }
    uint8_t record[SOFT_RECORD_SIZE];
    eadd_record(&eadd, record);
    measure(eadd.epc.e->control, record, sizeof(record));
    eadd_enter(&eadd);
    return outcome;
}

struct soft_outcome soft_eadd_deferred(uint64_t rbx, uint64_t rcx, bool measured)
{
    struct eadd eadd;
    struct soft_outcome outcome = eadd_check(rbx, rcx, &eadd);
    if (outcome.kind != SOFT_DONE) {
        return outcome;
    }
    uint8_t *source = (uint8_t *)(uintptr_t)((const struct sgx_pageinfo *)(uintptr_t)rbx)->srcpge;
    if ((eadd.secinfo.flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS) {
        clean_tcs((struct sgx_tcs *)source);
    }
    uint8_t block[SOFT_PAGE_BLOCK_SIZE];
    uint8_t *at = block;
    eadd_record(&eadd, at);
    at += SOFT_RECORD_SIZE;
    for (uint32_t i = 0; measured && i < SOFT_EXTENDS; i++) {
        extend_record(eadd.offset + i * SOFT_EXTEND_SIZE, at);
        memcpy(at + SOFT_RECORD_SIZE, source + i * SOFT_EXTEND_SIZE, SOFT_EXTEND_SIZE);
        at += SOFT_RECORD_SIZE + SOFT_EXTEND_SIZE;
    }
    measure(eadd.epc.e->control, block, (size_t)(at - block));
    eadd_enter(&eadd);
    return outcome;
}

struct soft_outcome soft_eextend(uint64_t rbx, uint64_t rcx)
{
    struct soft_epc epc;
    struct soft_epc secs;
    SOFT_CHECK(EEXTEND_01, soft_aligned(rbx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EEXTEND_02, soft_epc_at(rbx, &secs), soft_pf(rbx, PF_READ));
    SOFT_CHECK(EEXTEND_03, soft_aligned(rcx, SOFT_EXTEND_SIZE), soft_gp());
    SOFT_CHECK(EEXTEND_04, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_READ));
    SOFT_CHECK(EEXTEND_05, soft_epc_valid(&epc), soft_pf(rcx, PF_READ));
    uint32_t type = soft_epc_type(&epc);
    SOFT_CHECK(EEXTEND_06, type == SGX_PT_REG || type == SGX_PT_TCS, soft_pf(rcx, PF_READ));
    SOFT_CHECK(EEXTEND_07, secs.is_secs && secs.e == epc.e, soft_gp());
    SOFT_CHECK(EEXTEND_08, epc.e->control->shared.state == SOFT_STATE_CREATED, soft_gp());
    uint8_t record[SOFT_RECORD_SIZE];
    extend_record(rcx - (uint64_t)(uintptr_t)epc.e->pub.alias, record);
    measure(epc.e->control, record, sizeof(record));
    measure(epc.e->control, (const void *)(uintptr_t)rcx, SOFT_EXTEND_SIZE);
    return soft_done();
}
