/*
 * EGo's system call 1007: the kernel's side. The verifier is ordinary code of the kernel's libc (ego_verify.c).
 * Side: enclave. Called by ego.c; in the full program kernel only.
 */
#include "cella/attest.h"
#include "linux/ego.h"
#include "linux/ego_verify.h"
#include "linux/libc_context.h"
#include "linux/linux.h"

#define EVIDENCE_MAX (CELLA_QUOTE_MAX + SGX_PAGE_SIZE)
#define ATTRIBUTE_DEBUG 1u
#define ATTRIBUTE_REMOTE 2u
#define NANOSECONDS 1000000000ull

/* oe_claim_t */
struct claim {
    uint64_t name, value, size;
};

/* What the claims' bytes are; all of it is copied to the program's pages. */
struct claim_source {
    const char *name;
    const void *value;
    uint64_t size;
};

static uint64_t claims_size(const struct claim_source *sources, uint32_t count)
{
    uint64_t size = count * sizeof(struct claim);
    for (uint32_t i = 0; i < count; i++) {
        size += cella_strlen(sources[i].name) + 1 + ((sources[i].size + 7) & ~7ull) + 8;
    }
    return size;
}

/* Records first, then values (8-byte aligned, as they are read as numbers), then names. */
static void claims_lay(uint64_t at, const struct claim_source *sources, uint32_t count)
{
    struct claim *claims = (struct claim *)at;
    at += count * sizeof(struct claim);
    for (uint32_t i = 0; i < count; i++) {
        claims[i] = (struct claim){.value = at, .size = sources[i].size};
        __builtin_memcpy((void *)at, sources[i].value, sources[i].size);
        at += (sources[i].size + 7) & ~7ull;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t size = cella_strlen(sources[i].name) + 1;
        claims[i].name = at;
        __builtin_memcpy((void *)at, sources[i].name, size);
        at += size;
    }
}

static long claims_give(const struct ego_verify *verify, uint64_t ret_claims, uint64_t ret_count)
{
    const uint64_t attributes = ATTRIBUTE_REMOTE | (verify->of_debug ? ATTRIBUTE_DEBUG : 0);
    const uint32_t index = 0;
    uint8_t product[16] = {(uint8_t)verify->product_id, (uint8_t)(verify->product_id >> 8)};
    const struct claim_source sources[] = {
        {"security_version", &verify->security_version, sizeof(verify->security_version)},
        {"attributes", &attributes, sizeof(attributes)},
        {"unique_id", verify->unique_id, sizeof(verify->unique_id)},
        {"signer_id", verify->signer_id, sizeof(verify->signer_id)},
        {"product_id", product, sizeof(product)},
        {"tcb_status", &verify->tcb_status, sizeof(verify->tcb_status)},
        {"sgx_report_data", verify->report_data, sizeof(verify->report_data)},
        {"sgx_tcb_info", verify->advisories, cella_strlen(verify->advisories) + 1},
        {"sgx_tcb_info_index", &index, sizeof(index)},
    };
    const uint64_t at = linux_ego_result_new(claims_size(sources, CELLA_COUNT(sources)));
    if (at == 0) {
        return OE_OUT_OF_MEMORY;
    }
    claims_lay(at, sources, CELLA_COUNT(sources));
    *(uint64_t *)ret_claims = at;
    *(uint64_t *)ret_count = CELLA_COUNT(sources);
    return (long)verify->result;
}

static long verify_copy(struct ego_verify *verify, const struct cella_regs *regs)
{
    verify->time = (int64_t)(linux_clock_now(true) / NANOSECONDS);
    verify->debug = cella_is_debug();
    if (verify->time == 0) {
        return OE_UNEXPECTED;
    }
    (void)cella_linux_libc(cella_linux_ego_verify, verify);
    if (verify->result != OE_OK && verify->result != OE_TCB_LEVEL_INVALID) {
        cella_trace(verify->reason, verify->result);
        return (long)verify->result;
    }
    if (verify->advisories[0] == 0) { /* below every level: there are no claims to give */
        cella_trace(verify->reason, verify->result);
        return OE_VERIFY_FAILED;
    }
    return claims_give(verify, ARG2(regs), ARG3(regs));
}

/* evidence, its size, address of the claims' address, of their count */
long linux_ego_evidence(const struct cella_regs *regs)
{
    if (ARG1(regs) == 0 || ARG1(regs) > EVIDENCE_MAX) {
        return OE_INVALID_PARAMETER;
    }
    if (!cella_user_range(ARG0(regs), ARG1(regs)) || !cella_user_range(ARG2(regs), 8) ||
        !cella_user_range(ARG3(regs), 8)) {
        return -EFAULT;
    }
    const uint64_t size = sizeof(struct ego_verify) + ARG1(regs);
    struct ego_verify *verify = (struct ego_verify *)cella_pages_new(size);
    if (!verify) {
        return OE_OUT_OF_MEMORY;
    }
    __builtin_memcpy(verify + 1, (const void *)ARG0(regs), ARG1(regs));
    verify->evidence = (const uint8_t *)(verify + 1);
    verify->size = ARG1(regs);
    const long result = verify_copy(verify, regs);
    cella_pages_free(verify, size);
    return result;
}
