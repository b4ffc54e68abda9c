/*
 * Evidence with a quote in it: the four formats, taken apart, verified, and made into claims.
 * Side: both. Called by common/verifier.c; the bytes may come from anybody.
 * Never gives claims of a quote that was not verified, or custom claims that it does not name.
 */
#include <string.h>

#include <openssl/sha.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>

#include "compat/openenclave/common/evidence.h"
#include "compat/openenclave/common/quote.h"
#include "compat/openenclave/common/report.h"

struct quote_parts {
    struct cella_span quote, custom;
    bool has_custom; /* the format binds custom claims, even none */
};

static bool is_format(const oe_uuid_t *format, const oe_uuid_t *other)
{
    return memcmp(format, other, sizeof(*format)) == 0;
}

/* Version 3, ECDSA with P-256, of an enclave; *ret_size: how long the quote says it is. */
static oe_result_t quote_size(const uint8_t *bytes, size_t size, size_t *ret_size)
{
    sgx_quote_t head;
    OE_ENSURE(size >= sizeof(head), OE_INVALID_PARAMETER);
    memcpy(&head, bytes, sizeof(head));
    OE_ENSURE(head.version == 3 && head.sign_type == 2 && head.tee_type == 0 &&
                  head.signature_len <= size - sizeof(head),
              OE_INVALID_PARAMETER);
    *ret_size = sizeof(head) + head.signature_len;
    return OE_OK;
}

static oe_result_t ecdsa_split(const uint8_t *evidence, size_t size, struct quote_parts *parts)
{
    size_t used;
    OE_TRY(quote_size(evidence, size, &used));
    parts->quote = (struct cella_span){evidence, used};
    parts->custom = (struct cella_span){evidence + used, size - used};
    parts->has_custom = true;
    return OE_OK;
}

static oe_result_t raw_split(const uint8_t *evidence, size_t size, struct quote_parts *parts)
{
    size_t used;
    OE_TRY(quote_size(evidence, size, &used));
    parts->quote = (struct cella_span){evidence, size};
    return OE_OK;
}

static oe_result_t report_split(const uint8_t *evidence, size_t size, struct quote_parts *parts)
{
    const sgx_report_body_t *body;
    uint32_t kind;
    OE_TRY(oe_report_open(evidence, size, &kind, &body));
    OE_ENSURE(kind == OE_REPORT_KIND_REMOTE, OE_INVALID_PARAMETER);
    return raw_split(evidence + sizeof(struct oe_report_head), size - sizeof(struct oe_report_head),
                     parts);
}

static oe_result_t td_split(const uint8_t *evidence, size_t size, struct quote_parts *parts)
{
    uint32_t tee;
    OE_ENSURE(size >= 8, OE_INVALID_PARAMETER);
    memcpy(&tee, evidence + 4, sizeof(tee));
    OE_ENSURE(tee == 0x81 && (evidence[0] == 4 || evidence[0] == 5) && evidence[1] == 0,
              OE_INVALID_PARAMETER);
    parts->quote = (struct cella_span){evidence, size};
    return OE_OK;
}

static oe_result_t custom_check(const struct quote_parts *parts,
                                const struct oe_quote_verdict *verdict)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    OE_ENSURE(SHA256(parts->custom.data, parts->custom.size, hash) != NULL, OE_CRYPTO_ERROR);
    return memcmp(hash, verdict->evidence.claims.report_data.data, sizeof(hash)) == 0
               ? OE_OK
               : OE_QUOTE_HASH_MISMATCH;
}

static oe_result_t sgx_finish(const oe_uuid_t *format, const struct quote_parts *parts,
                              const struct oe_quote_verdict *verdict, oe_claim_t **ret_claims,
                              size_t *ret_count)
{
    OE_ENSURE(verdict->evidence.claims.tee == CELLA_TEE_SGX, OE_INVALID_PARAMETER);
    if (parts->has_custom) {
        OE_TRY(custom_check(parts, verdict));
    }
    if (!ret_claims) {
        return OE_OK;
    }
    return oe_claims_of_quote(format, verdict, parts->custom.data, parts->custom.size,
                              !parts->has_custom, ret_claims, ret_count);
}

static oe_result_t td_verify(const oe_uuid_t *format, const struct quote_parts *parts,
                             const uint8_t *endorsements, size_t endorsements_size,
                             const oe_policy_t *policies, size_t policy_count,
                             oe_claim_t **ret_claims, size_t *ret_count)
{
    struct oe_quote_verdict *verdict;
    oe_result_t result = oe_quote_verify(parts->quote, endorsements, endorsements_size, policies,
                                         policy_count, &verdict);
    if (!verdict) {
        return result;
    }
    /* the status is among the claims, and theirs alone, but for the one that ends the matter: Intel's library's too */
    result = verdict->evidence.claims.tee != CELLA_TEE_TDX   ? OE_INVALID_PARAMETER
             : verdict->evidence.status == CELLA_TCB_REVOKED ? OE_VERIFY_REVOKED
                                                             : OE_OK;
    if (result == OE_OK && ret_claims) {
        result = oe_claims_of_td(format, verdict, policies, policy_count, ret_claims, ret_count);
    }
    oe_quote_verdict_free(verdict);
    return result;
}

static oe_result_t sgx_verify(const oe_uuid_t *format, const struct quote_parts *parts,
                              const uint8_t *endorsements, size_t endorsements_size,
                              const oe_policy_t *policies, size_t policy_count,
                              oe_claim_t **ret_claims, size_t *ret_count)
{
    struct oe_quote_verdict *verdict;
    const oe_result_t verified = oe_quote_verify(parts->quote, endorsements, endorsements_size,
                                                 policies, policy_count, &verdict);
    if (!verdict) {
        return verified;
    }
    const oe_result_t finished = sgx_finish(format, parts, verdict, ret_claims, ret_count);
    oe_quote_verdict_free(verdict);
    return finished == OE_OK ? verified : finished;
}

oe_result_t oe_quote_formats_verify(const oe_uuid_t *format, const uint8_t *evidence, size_t size,
                                    const uint8_t *endorsements, size_t endorsements_size,
                                    const oe_policy_t *policies, size_t policy_count,
                                    oe_claim_t **ret_claims, size_t *ret_count)
{
    static const oe_uuid_t ecdsa = {OE_FORMAT_UUID_SGX_ECDSA};
    static const oe_uuid_t report = {OE_FORMAT_UUID_LEGACY_REPORT_REMOTE};
    static const oe_uuid_t tdx = {OE_FORMAT_UUID_TDX_QUOTE_ECDSA};
    struct quote_parts parts = {.has_custom = false};
    for (size_t i = 0; i < policy_count; i++) {
        /* what a baseline means only the quote provider knows, and it is not asked with one */
        OE_ENSURE(policies[i].type != OE_POLICY_ENDORSEMENTS_BASELINE, OE_UNSUPPORTED);
    }
    if (is_format(format, &tdx)) {
        OE_TRY(td_split(evidence, size, &parts));
        return td_verify(format, &parts, endorsements, endorsements_size, policies, policy_count,
                         ret_claims, ret_count);
    }
    OE_TRY((is_format(format, &ecdsa)    ? ecdsa_split
            : is_format(format, &report) ? report_split
                                         : raw_split)(evidence, size, &parts));
    return sgx_verify(format, &parts, endorsements, endorsements_size, policies, policy_count,
                      ret_claims, ret_count);
}
