/*
 * Verifying evidence for a program (EGo's system call 1007), over the evidence library.
 * Side: enclave, ordinary code of the kernel's libc. Called by ego_evidence.c through cella_linux_libc.
 * Never trusts a root that the host names in an enclave that hides anything from it (ADR 0130); collateral is signed.
 */
#include "linux/ego_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/program.h"
#include "cella/collateral.h"
#include "cella/roots.h"
#include "common/cleanup.h"
#include "linux/ego.h"

#define EVIDENCE_HEADER_SIZE 32u /* oe_attestation_header_t: version 2 or 3 */

static void free_memory(void **memory)
{
    free(*memory);
}

/* The number by which Open Enclave and EGo know a status. */
static uint32_t status_number(enum cella_tcb_status status)
{
    static const enum cella_tcb_status numbers[] = {
        CELLA_TCB_UP_TO_DATE,
        CELLA_TCB_OUT_OF_DATE,
        CELLA_TCB_REVOKED,
        CELLA_TCB_CONFIGURATION_NEEDED,
        CELLA_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
        CELLA_TCB_SW_HARDENING_NEEDED,
        CELLA_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
    };
    for (uint32_t i = 0; i < CELLA_COUNT(numbers); i++) {
        if (numbers[i] == status) {
            return i;
        }
    }
    return CELLA_COUNT(numbers); /* unknown */
}

static uint32_t result_of(const struct cella_evidence_result *evidence)
{
    if (evidence->failure_count == 0) {
        return OE_UNEXPECTED;
    }
    switch (evidence->failures[0].step) {
    case CELLA_STEP_EVIDENCE_FORMAT:
    case CELLA_STEP_EVIDENCE_PARSE:
        return OE_REPORT_PARSE_ERROR;
    case CELLA_STEP_COLLATERAL:
        return OE_INVALID_ENDORSEMENT;
    case CELLA_STEP_PCK_CERTIFICATE:
        return OE_INVALID_SGX_CERTIFICATE_EXTENSIONS;
    case CELLA_STEP_ROOT_CRL:
    case CELLA_STEP_PCK_CRL:
        return evidence->failures[0].result.code == CELLA_CODE_NOT_FOUND
                   ? OE_VERIFY_CRL_MISSING
                   : OE_INVALID_REVOCATION_INFO;
    case CELLA_STEP_REVOCATION:
        return OE_VERIFY_REVOKED;
    case CELLA_STEP_TCB_SIGNING_CHAIN:
    case CELLA_STEP_TCB_INFO_SIGNATURE:
    case CELLA_STEP_TCB_INFO_MATCH:
        return OE_INVALID_REVOCATION_INFO;
    case CELLA_STEP_QE_IDENTITY_SIGNATURE:
        return OE_INVALID_QE_IDENTITY_INFO;
    case CELLA_STEP_QE_IDENTITY:
        return OE_QUOTE_ENCLAVE_IDENTITY_VERIFICATION_FAILED;
    case CELLA_STEP_TCB_LEVEL:
        return OE_TCB_LEVEL_INVALID;
    case CELLA_STEP_VALIDITY:
        return OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD;
    case CELLA_STEP_CUSTOM_CLAIMS:
        return OE_QUOTE_HASH_MISMATCH;
    case CELLA_STEP_QUOTE_SIGNATURE:
    case CELLA_STEP_QE_REPORT_SIGNATURE:
        return OE_VERIFY_FAILED;
    default:
        return OE_QUOTE_VERIFICATION_ERROR;
    }
}

/* The quote in Open Enclave's wrappings: what collateral is asked for. Whether it is one, the verifier says. */
static struct cella_span quote_in(const struct ego_verify *verify)
{
    size_t skip = 0;
    uint32_t version = 0;
    if (verify->size >= sizeof(version)) {
        memcpy(&version, verify->evidence, sizeof(version));
    }
    skip = version == LINUX_EGO_VERSION   ? sizeof(struct linux_ego_header)
           : version == 2 || version == 3 ? EVIDENCE_HEADER_SIZE
                                          : 0;
    skip = skip < verify->size ? skip : 0;
    return (struct cella_span){.data = verify->evidence + skip, .size = verify->size - skip};
}

/* As the claim `sgx_tcb_info` is read: the advisories of the levels that were found, in a document of one level. */
static void advisories_write(struct ego_verify *verify,
                             const struct cella_evidence_result *evidence)
{
    static const char end[] = "]}]}}";
    const size_t room = sizeof(verify->advisories) - sizeof(end);
    size_t used = (size_t)snprintf(verify->advisories, room,
                                   "{\"tcbInfo\":{\"tcbLevels\":[{\"advisoryIDs\":[");
    for (size_t i = 0; i < evidence->advisory_count; i++) {
        const struct cella_span name = evidence->advisories[i];
        if (name.size + 3 >= room - used) {
            break;
        }
        used += (size_t)snprintf(verify->advisories + used, room - used, "%s\"%.*s\"", i ? "," : "",
                                 (int)name.size, (const char *)name.data);
    }
    memcpy(verify->advisories + used, end, sizeof(end));
}

static void fill(struct ego_verify *verify, const struct cella_evidence_result *evidence)
{
    const struct cella_evidence_claims *claims = &evidence->claims;
    verify->security_version = claims->sgx.svn;
    verify->product_id = claims->sgx.prod_id;
    verify->of_debug = claims->debug;
    verify->tcb_status = status_number(evidence->status);
    memcpy(verify->unique_id, claims->sgx.mr_enclave.data, sizeof(verify->unique_id));
    memcpy(verify->signer_id, claims->sgx.mr_signer.data, sizeof(verify->signer_id));
    memcpy(verify->report_data, claims->report_data.data, sizeof(verify->report_data));
    advisories_write(verify, evidence);
    verify->result = evidence->status == CELLA_TCB_UP_TO_DATE ||
                             evidence->status == CELLA_TCB_SW_HARDENING_NEEDED
                         ? OE_OK
                         : OE_TCB_LEVEL_INVALID;
}

static cella_result collateral_ask(struct cella_span quote, uint8_t *answer, size_t *ret_size)
{
    return cella_system_ocall(CELLA_OCALL_PROGRAM_COLLATERAL, quote.data, quote.size, answer,
                              CELLA_COLLATERAL_ANSWER_MAX, ret_size);
}

static uint32_t verify_with(struct ego_verify *verify, uint8_t *answer, uint8_t *memory)
{
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_roots roots = {.count = 0}, named = {.count = 0};
    struct cella_prepared *prepared = NULL;
    struct cella_evidence_policy policy;
    struct cella_span quote = quote_in(verify);
    size_t size = 0;
    /* Without collateral what can be said is what is wrong with the evidence itself. */
    const bool answered =
        cella_is_ok(collateral_ask(quote, answer, &size)) &&
        cella_is_ok(cella_collateral_answer_read((struct cella_span){answer, size}, items, &named));
    if (!cella_is_ok(cella_roots_add_linked(&roots))) {
        return OE_UNEXPECTED;
    }
    for (size_t i = 0; verify->debug && i < named.count && roots.count < CELLA_ROOT_MAX; i++) {
        roots.keys[roots.count++] = named.keys[i];
    }
    if (!cella_is_ok(cella_evidence_prepare(items, answered ? CELLA_DOCUMENT_COUNT : 0, &quote,
                                            &roots, memory, CELLA_EVIDENCE_PREPARED_SIZE,
                                            &prepared))) {
        return OE_INVALID_ENDORSEMENT;
    }
    struct cella_evidence_result *evidence =
        (struct cella_evidence_result *)calloc(1, sizeof(*evidence));
    uint32_t result = OE_OUT_OF_MEMORY;
    if (evidence) {
        cella_evidence_policy_init(&policy);
        policy.statuses = UINT32_MAX; /* status and debug are claims: the program looks at them */
        policy.allow_debug = true;
        policy.tees = UINT32_C(1) << CELLA_TEE_SGX;
        cella_ignore(cella_evidence_verify(
            (struct cella_span){verify->evidence, verify->size}, prepared, verify->time, &policy,
            memory + CELLA_EVIDENCE_PREPARED_SIZE, CELLA_EVIDENCE_SCRATCH_SIZE, evidence));
        if (evidence->accepted) {
            fill(verify, evidence);
            result = verify->result;
        } else {
            result = result_of(evidence);
            result =
                answered || result == OE_REPORT_PARSE_ERROR ? result : OE_QUOTE_PROVIDER_CALL_ERROR;
            if (evidence->failure_count) {
                snprintf(verify->reason, sizeof(verify->reason), "%s: %s",
                         cella_evidence_step_name(evidence->failures[0].step),
                         evidence->failures[0].text);
            }
        }
        free(evidence);
    }
    cella_evidence_prepared_done(prepared);
    return result;
}

long cella_linux_ego_verify(void *argument)
{
    struct ego_verify *verify = (struct ego_verify *)argument;
    CELLA_CLEANUP(free_memory) void *answer = malloc(CELLA_COLLATERAL_ANSWER_MAX);
    CELLA_CLEANUP(free_memory)
    void *memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE + CELLA_EVIDENCE_SCRATCH_SIZE);
    verify->result = answer && memory ? verify_with(verify, (uint8_t *)answer, (uint8_t *)memory)
                                      : (uint32_t)OE_OUT_OF_MEMORY;
    return 0;
}
