/*
 * Making evidence: of local reports and of quotes.
 * Side: enclave. Called by applications.
 * Never binds custom claims but by their hash in the report.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/attester.h>
#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/bits/attestation.h>

#include "compat/openenclave/common/evidence.h"
#include "compat/openenclave/enclave/report.h"
#include "compat/openenclave/enclave/sha256.h"
#include "compat/openenclave/enclave/skin.h"

static const oe_uuid_t local_format = {OE_FORMAT_UUID_SGX_LOCAL_ATTESTATION};
static const oe_uuid_t ecdsa_format = {OE_FORMAT_UUID_SGX_ECDSA};
static _Atomic bool is_initialized;

oe_result_t oe_attester_initialize(void)
{
    atomic_store(&is_initialized, true);
    return OE_OK;
}

oe_result_t oe_attester_shutdown(void)
{
    atomic_store(&is_initialized, false);
    return OE_OK;
}

static bool is_known(const oe_uuid_t *format)
{
    return atomic_load(&is_initialized) && (memcmp(format, &local_format, sizeof(*format)) == 0 ||
                                            memcmp(format, &ecdsa_format, sizeof(*format)) == 0);
}

/* The host may get a quoting service at any time, so it is asked each time. */
static bool is_possible(const oe_uuid_t *format)
{
    return is_known(format) &&
           (memcmp(format, &ecdsa_format, sizeof(*format)) != 0 || oe_report_quote_possible());
}

oe_result_t oe_attester_select_format(const oe_uuid_t *format_ids, size_t format_ids_length,
                                      oe_uuid_t *selected_format_id)
{
    OE_ENSURE(format_ids != NULL && format_ids_length > 0 && selected_format_id != NULL,
              OE_INVALID_PARAMETER);
    for (size_t i = 0; i < format_ids_length; i++) {
        if (is_possible(&format_ids[i])) {
            *selected_format_id = format_ids[i];
            return OE_OK;
        }
    }
    return OE_NOT_FOUND;
}

/* The report, then the custom claims, behind `head_size` bytes for a header. */
static oe_result_t local_evidence(const void *custom, size_t custom_size, const void *target,
                                  size_t target_size, size_t head_size, uint8_t **ret_evidence,
                                  size_t *ret_size)
{
    uint8_t hash[32];
    sgx_report_t report;
    size_t size;
    OE_ENSURE(custom != NULL || custom_size == 0, OE_INVALID_PARAMETER);
    OE_ENSURE(!__builtin_add_overflow(head_size + sizeof(report), custom_size, &size),
              OE_INTEGER_OVERFLOW);
    oe_sha256(custom, custom_size, hash);
    OE_TRY(oe_report_local(hash, sizeof(hash), target, target_size, &report));
    uint8_t *evidence = calloc(1, size);
    OE_ENSURE(evidence != NULL, OE_OUT_OF_MEMORY);
    memcpy(evidence + head_size, &report, sizeof(report));
    if (custom_size > 0) {
        memcpy(evidence + head_size + sizeof(report), custom, custom_size);
    }
    *ret_evidence = evidence;
    *ret_size = size;
    return OE_OK;
}

/* The same with a quote; it takes no parameters. */
static oe_result_t quote_evidence(const void *custom, size_t custom_size, const void *parameters,
                                  size_t parameters_size, size_t head_size, uint8_t **ret_evidence,
                                  size_t *ret_size)
{
    uint8_t hash[32];
    size_t quote_size;
    OE_ENSURE(custom != NULL || custom_size == 0, OE_INVALID_PARAMETER);
    OE_ENSURE(parameters == NULL && parameters_size == 0, OE_INVALID_PARAMETER);
    oe_sha256(custom, custom_size, hash);
    OE_TRY(oe_report_quote(hash, sizeof(hash), head_size, custom_size, ret_evidence, &quote_size));
    if (custom_size > 0) {
        memcpy(*ret_evidence + head_size + quote_size, custom, custom_size);
    }
    *ret_size = head_size + quote_size + custom_size;
    return OE_OK;
}

/* What the host has for that quote, with a header where the evidence has one. Nothing here believes any of it. */
static oe_result_t quote_endorsements(const uint8_t *quote, size_t quote_size,
                                      const struct oe_evidence_head *head, uint8_t **ret_buffer,
                                      size_t *ret_size)
{
    const size_t head_size = head ? sizeof(*head) : 0;
    size_t size = 0;
    uint8_t *buffer = malloc(head_size + OE_ATTESTATION_ENDORSEMENT_MAX_SIZE);
    OE_ENSURE(buffer != NULL, OE_OUT_OF_MEMORY);
    const oe_result_t result = oe_endorsements_ask(quote, quote_size, buffer + head_size,
                                                   OE_ATTESTATION_ENDORSEMENT_MAX_SIZE, &size);
    if (result != OE_OK) {
        free(buffer);
        return result;
    }
    if (head) {
        struct oe_evidence_head own = *head;
        own.size = size;
        memcpy(buffer, &own, sizeof(own));
    }
    *ret_buffer = buffer;
    *ret_size = head_size + size;
    return OE_OK;
}

static oe_result_t endorsements_get(bool remote, const uint8_t *quote, size_t quote_size,
                                    const struct oe_evidence_head *head, uint8_t **ret_buffer,
                                    size_t *ret_size)
{
    if (remote) {
        return quote_endorsements(quote, quote_size, head, ret_buffer, ret_size);
    }
    uint8_t *buffer = NULL;
    if (head) { /* a report needs none: a header with nothing behind */
        buffer = malloc(sizeof(*head));
        OE_ENSURE(buffer != NULL, OE_OUT_OF_MEMORY);
        memcpy(buffer, head, sizeof(*head));
    }
    *ret_buffer = buffer;
    *ret_size = head ? sizeof(*head) : 0;
    return OE_OK;
}

oe_result_t oe_get_evidence(const oe_uuid_t *format_id, uint32_t flags,
                            const void *custom_claims_buffer, size_t custom_claims_buffer_size,
                            const void *optional_parameters, size_t optional_parameters_size,
                            uint8_t **evidence_buffer, size_t *evidence_buffer_size,
                            uint8_t **endorsements_buffer, size_t *endorsements_buffer_size)
{
    struct oe_evidence_head head = {.version = OE_EVIDENCE_VERSION};
    const bool has_head = (flags & OE_EVIDENCE_FLAGS_EMBED_FORMAT_ID) != 0;
    OE_ENSURE(format_id != NULL && evidence_buffer != NULL && evidence_buffer_size != NULL &&
                  (endorsements_buffer == NULL) == (endorsements_buffer_size == NULL),
              OE_INVALID_PARAMETER);
    OE_ENSURE(is_known(format_id), OE_NOT_FOUND);
    head.format = *format_id;
    const bool remote = memcmp(format_id, &ecdsa_format, sizeof(*format_id)) == 0;
    const size_t head_size = has_head ? sizeof(head) : 0;
    OE_TRY((remote ? quote_evidence : local_evidence)(
        custom_claims_buffer, custom_claims_buffer_size, optional_parameters,
        optional_parameters_size, head_size, evidence_buffer, evidence_buffer_size));
    if (endorsements_buffer) {
        const oe_result_t result = endorsements_get(
            remote, *evidence_buffer + head_size,
            *evidence_buffer_size - head_size - custom_claims_buffer_size, has_head ? &head : NULL,
            endorsements_buffer, endorsements_buffer_size);
        if (result != OE_OK) {
            free(*evidence_buffer);
            *evidence_buffer = NULL;
            return result;
        }
    }
    if (has_head) {
        head.size = *evidence_buffer_size - sizeof(head);
        memcpy(*evidence_buffer, &head, sizeof(head));
    }
    return OE_OK;
}

oe_result_t oe_free_evidence(uint8_t *evidence_buffer)
{
    free(evidence_buffer);
    return OE_OK;
}

oe_result_t oe_free_endorsements(uint8_t *endorsements_buffer)
{
    free(endorsements_buffer);
    return OE_OK;
}
