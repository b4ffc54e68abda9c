/*
 * Endorsements (collateral) in the Open Enclave layout: openenclave/bits/attestation.h.
 * Side: both. Called by the verifier; what is read may come from anybody. host/endorsements.c writes them.
 * Never verifies; every offset is compared with the buffer before it is followed.
 */
#include <string.h>

#include "common/bytes.h"
#include "compat/openenclave/common/quote.h"

#define SGX_ENCLAVE_TYPE 2u
#define TDX_TEE_TYPE 0x81u

/* Which document is which element. */
static const struct {
    enum cella_document document;
    oe_sgx_endorsements_fields_t field;
} g_places[CELLA_DOCUMENT_COUNT] = {
    {CELLA_DOCUMENT_TCB_INFO, OE_SGX_ENDORSEMENT_FIELD_TCB_INFO},
    {CELLA_DOCUMENT_TCB_INFO_CHAIN, OE_SGX_ENDORSEMENT_FIELD_TCB_ISSUER_CHAIN},
    {CELLA_DOCUMENT_PCK_CRL, OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_CERT},
    {CELLA_DOCUMENT_ROOT_CRL, OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_PROC_CA},
    {CELLA_DOCUMENT_PCK_CRL_CHAIN, OE_SGX_ENDORSEMENT_FIELD_CRL_ISSUER_CHAIN_PCK_CERT},
    {CELLA_DOCUMENT_QE_IDENTITY, OE_SGX_ENDORSEMENT_FIELD_QE_ID_INFO},
    {CELLA_DOCUMENT_QE_IDENTITY_CHAIN, OE_SGX_ENDORSEMENT_FIELD_QE_ID_ISSUER_CHAIN},
};

static bool created_read(struct cella_span text, int64_t *ret_created)
{
    const struct cella_span trimmed = cella_collateral_trim(text);
    return cella_is_ok(cella_evidence_time((const char *)trimmed.data, trimmed.size, ret_created));
}

oe_result_t oe_endorsements_read(const uint8_t *buffer, size_t size,
                                 struct oe_endorsements_parts *ret_parts)
{
    struct cella_cursor cursor = cella_cursor_of(cella_bytes_of(buffer, size));
    struct cella_bytes data;
    oe_endorsements_t head;
    uint32_t offsets[OE_SGX_ENDORSEMENT_COUNT + 1], version;
    struct oe_endorsements_parts out;
    OE_ENSURE(size <= OE_ATTESTATION_ENDORSEMENT_MAX_SIZE, OE_INVALID_PARAMETER);
    OE_ENSURE(cella_is_ok(cella_cursor_copy(&cursor, &head, sizeof(head))) &&
                  head.version == OE_ATTESTATION_ENDORSEMENT_VERSION &&
                  head.enclave_type == SGX_ENCLAVE_TYPE &&
                  head.num_elements == OE_SGX_ENDORSEMENT_COUNT &&
                  head.buffer_size == cella_cursor_left(&cursor),
              OE_INVALID_PARAMETER);
    OE_ENSURE(cella_is_ok(cella_cursor_copy(&cursor, offsets,
                                            OE_SGX_ENDORSEMENT_COUNT * sizeof(offsets[0]))) &&
                  cella_is_ok(cella_cursor_take(&cursor, cella_cursor_left(&cursor), &data)),
              OE_INVALID_PARAMETER);
    offsets[OE_SGX_ENDORSEMENT_COUNT] = (uint32_t)data.size;
    OE_ENSURE(offsets[0] == 0, OE_INVALID_PARAMETER);
    for (size_t i = 0; i < OE_SGX_ENDORSEMENT_COUNT; i++) {
        OE_ENSURE(offsets[i] < offsets[i + 1] && offsets[i + 1] <= data.size, OE_INVALID_PARAMETER);
        out.parts[i] = (struct cella_span){data.data + offsets[i], offsets[i + 1] - offsets[i]};
    }
    OE_ENSURE(out.parts[0].size == sizeof(version), OE_INVALID_PARAMETER);
    memcpy(&version, out.parts[0].data, sizeof(version));
    OE_ENSURE(version == OE_SGX_ENDORSEMENTS_VERSION, OE_INVALID_PARAMETER);
    OE_ENSURE(created_read(out.parts[OE_SGX_ENDORSEMENT_FIELD_CREATION_DATETIME], &out.created),
              OE_INVALID_UTC_DATE_TIME);
    *ret_parts = out;
    return OE_OK;
}

/* tdx_ql_qve_collateral_t with its pointers, whose places follow it in the order of enum cella_document. */
oe_result_t oe_td_endorsements_read(const uint8_t *buffer, size_t size,
                                    struct oe_endorsements_parts *ret_parts)
{
    struct cella_cursor cursor = cella_cursor_of(cella_bytes_of(buffer, size));
    struct {
        uint32_t version, tee;
        struct {
            uint64_t ignored;
            uint32_t size, padding;
        } documents[CELLA_DOCUMENT_COUNT];
    } head;
    struct oe_endorsements_parts out = {.created = OE_CREATED_UNKNOWN};
    struct cella_bytes bytes;
    _Static_assert(sizeof(head) == 120, "sgx_ql_lib_common.h");
    OE_ENSURE(size <= OE_ATTESTATION_ENDORSEMENT_MAX_SIZE &&
                  cella_is_ok(cella_cursor_copy(&cursor, &head, sizeof(head))) &&
                  head.tee == TDX_TEE_TYPE &&
                  (head.version == 3 || head.version == 0x00010003 || head.version == 4),
              OE_INVALID_PARAMETER);
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        OE_ENSURE(cella_is_ok(cella_cursor_take(&cursor, head.documents[i].size, &bytes)),
                  OE_INVALID_PARAMETER);
        for (size_t j = 0; j < CELLA_DOCUMENT_COUNT; j++) {
            if ((size_t)g_places[j].document == i) {
                out.parts[g_places[j].field] = (struct cella_span){bytes.data, bytes.size};
            }
        }
    }
    OE_ENSURE(cella_is_ok(cella_end(&cursor)), OE_INVALID_PARAMETER);
    *ret_parts = out;
    return OE_OK;
}

void oe_endorsements_items(const struct oe_endorsements_parts *parts,
                           struct cella_collateral_item ret_items[CELLA_DOCUMENT_COUNT])
{
    static const char *const names[CELLA_DOCUMENT_COUNT] = {
        "TCB info endorsement",          "TCB issuer chain endorsement", "PCK CRL endorsement",
        "root CA CRL endorsement",       "CRL issuer chain endorsement", "QE identity endorsement",
        "QE identity chain endorsement",
    };
    for (size_t i = 0; i < CELLA_DOCUMENT_COUNT; i++) {
        ret_items[i] = (struct cella_collateral_item){
            .name = names[i], .bytes = cella_collateral_trim(parts->parts[g_places[i].field])};
    }
}
