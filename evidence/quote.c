/*
 * DCAP quotes (Intel SGX ECDSA QuoteLibReference DCAP API, appendix A; TDX DCAP Quoting Library API, A.3 and A.4),
 * versions 3, 4 and 5, as spans.
 * Side: both; freestanding. Called inside evidence/. Never judges beyond the format.
 */
#include "evidence/quote.h"

#include "abi/sgx.h"
#include "evidence/bytes_util.h"

#define TEE_TYPE_SGX 0x00u
#define TEE_TYPE_TDX 0x81u
#define KEY_TYPE_ECDSA_P256 2u

/* Body types of version 5 (A.4, table 2). */
enum quote_body {
    BODY_SGX = 1,
    BODY_TDX10 = 2,
    BODY_TDX15 = 3,
};

static const uint8_t g_intel_vendor[16] = {0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9,
                                           0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07};

/* Takes bytes, and says what was expected when they are not there. */
static cella_result take(struct cella_cursor *cursor, uint64_t size, struct ev_place *place,
                         const char *what, struct cella_bytes *ret_bytes)
{
    EV_ENSURE(place, cella_is_ok(cella_cursor_take(cursor, size, ret_bytes)), ev_cursor_at(cursor),
              TRUNCATED, what);
    return CELLA_OK;
}

static cella_result header_read(struct cella_cursor *cursor, struct ev_place *place,
                                struct quote *quote)
{
    struct cella_bytes header;
    CELLA_TRY(take(cursor, QUOTE_HEADER_SIZE, place, "the 48 bytes of a quote header", &header));
    const uint8_t *at = header.data;
    quote->version = (uint16_t)cella_le_get(at, 2);
    EV_ENSURE(place, quote->version >= 3 && quote->version <= 5, at, UNSUPPORTED_VERSION,
              "quote version 3, 4 or 5");
    EV_ENSURE(place, cella_le_get(at + 2, 2) == KEY_TYPE_ECDSA_P256, at + 2, UNSUPPORTED_VERSION,
              "attestation key type 2, ECDSA-256 with P-256");
    uint64_t tee = cella_le_get(at + 4, 4);
    EV_ENSURE(place, tee == TEE_TYPE_SGX || (tee == TEE_TYPE_TDX && quote->version >= 4), at + 4,
              BAD_FIELD, "TEE type 0 (SGX), or 0x81 (TDX) from version 4 on");
    EV_ENSURE(place, memcmp(at + 12, g_intel_vendor, sizeof(g_intel_vendor)) == 0, at + 12,
              BAD_FIELD, "Intel's quoting enclave vendor id");
    quote->tee = tee == TEE_TYPE_SGX ? CELLA_TEE_SGX : CELLA_TEE_TDX;
    return CELLA_OK;
}

static cella_result body_read(struct cella_cursor *cursor, struct ev_place *place,
                              struct quote *quote)
{
    uint64_t size = quote->tee == CELLA_TEE_SGX ? QUOTE_SGX_BODY_SIZE : QUOTE_TDX10_BODY_SIZE;
    if (quote->version == 5) {
        struct cella_bytes descriptor;
        CELLA_TRY(take(cursor, 6, place, "a body descriptor", &descriptor));
        uint64_t type = cella_le_get(descriptor.data, 2);
        bool is_known = quote->tee == CELLA_TEE_SGX ? type == BODY_SGX
                                                    : type == BODY_TDX10 || type == BODY_TDX15;
        EV_ENSURE(place, is_known, descriptor.data, BAD_FIELD,
                  "body type 1 (SGX), 2 (TDX 1.0) or 3 (TDX 1.5), as the TEE type says");
        size = type == BODY_TDX15 ? QUOTE_TDX15_BODY_SIZE : size;
        EV_ENSURE(place, cella_le_get(descriptor.data + 2, 4) == size, descriptor.data + 2,
                  BAD_FIELD, "the size of this body type");
    }
    return take(cursor, size, place, "a whole report body", &quote->body);
}

/*
 * Types 1 to 3 are PPID (clear or encrypted), CPU SVN, PCE SVN and PCE id, 7 is a platform manifest. They are not
 * signed, and nothing of them is believed; certificates that hide behind one of these types are refused.
 */
static bool certification_fits(uint16_t type, struct cella_bytes data)
{
    bool has_certificates = type == QUOTE_PCK_CERTIFICATE || type == QUOTE_PCK_CHAIN;
    return has_certificates || !ev_starts(data, "-----BEGIN");
}

/* QE report, its signature, authentication data, certification data: to the end of the cursor. */
static cella_result qe_read(struct cella_cursor *cursor, struct ev_place *place,
                            struct quote *quote)
{
    struct cella_bytes field;
    CELLA_TRY(take(cursor, 384, place, "the QE report", &quote->qe_report));
    CELLA_TRY(take(cursor, 64, place, "the QE report's signature", &quote->qe_signature));
    CELLA_TRY(take(cursor, 2, place, "the size of QE authentication data", &field));
    CELLA_TRY(take(cursor, cella_le_get(field.data, 2), place, "the QE authentication data",
                   &quote->qe_authentication));
    CELLA_TRY(take(cursor, 6, place, "type and size of certification data", &field));
    quote->certification_type = (uint16_t)cella_le_get(field.data, 2);
    bool is_known = quote->certification_type >= QUOTE_PPID_CLEAR &&
                    quote->certification_type <= QUOTE_PLATFORM_MANIFEST &&
                    quote->certification_type != QUOTE_QE_REPORT;
    EV_ENSURE(place, is_known, field.data, BAD_FIELD, "certification data type 1 to 5, or 7");
    CELLA_TRY(take(cursor, cella_le_get(field.data + 2, 4), place, "the certification data",
                   &quote->certification));
    EV_ENSURE(place, certification_fits(quote->certification_type, quote->certification),
              quote->certification.data, BAD_FIELD, "certification data of that type");
    EV_ENSURE(place, cella_cursor_left(cursor) == 0, ev_cursor_at(cursor), TRAILING_BYTES,
              "nothing behind the certification data");
    return CELLA_OK;
}

static cella_result authentication_read(struct cella_bytes data, struct ev_place *place,
                                        struct quote *quote)
{
    struct cella_cursor cursor = cella_cursor_of(data);
    struct cella_bytes field;
    CELLA_TRY(take(&cursor, 64, place, "the quote's signature", &quote->signature));
    CELLA_TRY(take(&cursor, 64, place, "the attestation key", &quote->key));
    if (quote->version == 3) {
        return qe_read(&cursor, place, quote);
    }
    CELLA_TRY(take(&cursor, 6, place, "type and size of certification data", &field));
    EV_ENSURE(place, cella_le_get(field.data, 2) == QUOTE_QE_REPORT, field.data, BAD_FIELD,
              "certification data type 6, the QE report");
    EV_ENSURE(place, cella_le_get(field.data + 2, 4) == cella_cursor_left(&cursor), field.data + 2,
              BAD_FIELD, "certification data that fills the authentication data");
    return qe_read(&cursor, place, quote);
}

cella_result ev_quote_parse(struct cella_bytes bytes, struct ev_place *place,
                            struct quote *ret_quote)
{
    struct cella_cursor cursor = cella_cursor_of(bytes);
    struct quote quote = {0};
    struct cella_bytes field;
    CELLA_TRY(header_read(&cursor, place, &quote));
    CELLA_TRY(body_read(&cursor, place, &quote));
    quote.signed_part = cella_bytes_of(bytes.data, cursor.offset);
    CELLA_TRY(take(&cursor, 4, place, "the size of the authentication data", &field));
    CELLA_TRY(take(&cursor, cella_le_get(field.data, 4), place, "the authentication data", &field));
    CELLA_TRY(authentication_read(field, place, &quote));
    quote.bytes = cella_bytes_of(bytes.data, cursor.offset);
    *ret_quote = quote;
    return CELLA_OK;
}

static struct cella_span span(struct cella_bytes bytes, size_t offset, size_t size)
{
    struct cella_bytes part = ev_part(bytes, offset, size);
    return (struct cella_span){.data = part.data, .size = part.size};
}

#define BODY(body, member)                                                                         \
    span((body), offsetof(struct sgx_report_body, member),                                         \
         sizeof(((struct sgx_report_body *)0)->member))

static void sgx_claims(struct cella_bytes body, struct cella_evidence_claims *claims)
{
    const uint8_t *data = body.data;
    claims->sgx = (struct cella_sgx_claims){
        .mr_enclave = BODY(body, mr_enclave),
        .mr_signer = BODY(body, mr_signer),
        .cpu_svn = BODY(body, cpu_svn),
        .ext_prod_id = BODY(body, isv_ext_prod_id),
        .family_id = BODY(body, isv_family_id),
        .config_id = BODY(body, config_id),
        .flags = cella_le_get(data + offsetof(struct sgx_report_body, attributes), 8),
        .xfrm = cella_le_get(data + offsetof(struct sgx_report_body, attributes) + 8, 8),
        .misc_select =
            (uint32_t)cella_le_get(data + offsetof(struct sgx_report_body, misc_select), 4),
        .prod_id = (uint16_t)cella_le_get(data + offsetof(struct sgx_report_body, isv_prod_id), 2),
        .svn = (uint16_t)cella_le_get(data + offsetof(struct sgx_report_body, isv_svn), 2),
        .config_svn =
            (uint16_t)cella_le_get(data + offsetof(struct sgx_report_body, config_svn), 2),
    };
    claims->measurement = claims->sgx.mr_enclave;
    claims->signer = claims->sgx.mr_signer;
    claims->report_data = BODY(body, report_data);
    claims->debug = claims->sgx.flags & SGX_FLAGS_DEBUG;
}

/* TD report body: Intel TDX module ABI specification, TDREPORT_STRUCT, as A.3.2 orders it. */
static void tdx_claims(struct cella_bytes body, struct cella_evidence_claims *claims)
{
    claims->tdx = (struct cella_tdx_claims){
        .tee_tcb_svn = span(body, 0, 16),
        .mr_seam = span(body, 16, 48),
        .mr_signer_seam = span(body, 64, 48),
        .seam_attributes = cella_le_get(body.data + 112, 8),
        .td_attributes = cella_le_get(body.data + 120, 8),
        .xfam = cella_le_get(body.data + 128, 8),
        .mr_td = span(body, 136, 48),
        .mr_config_id = span(body, 184, 48),
        .mr_owner = span(body, 232, 48),
        .mr_owner_config = span(body, 280, 48),
        .rtmr = {span(body, 328, 48), span(body, 376, 48), span(body, 424, 48),
                 span(body, 472, 48)},
    };
    if (body.size == QUOTE_TDX15_BODY_SIZE) {
        claims->tdx.tee_tcb_svn2 = span(body, 584, 16);
        claims->tdx.mr_service_td = span(body, 600, 48);
    }
    claims->measurement = claims->tdx.mr_td;
    claims->signer = claims->tdx.mr_signer_seam;
    claims->report_data = span(body, 520, 64);
    /* Bits 7:0 are TUD, "TD under debug": whichever is set, the TD is not to be trusted. */
    claims->debug = claims->tdx.td_attributes & 0xFF;
}

void ev_quote_claims(const struct quote *quote, struct cella_evidence_claims *claims)
{
    claims->tee = quote->tee;
    claims->version = quote->version;
    claims->quote = (struct cella_span){.data = quote->bytes.data, .size = quote->bytes.size};
    if (quote->tee == CELLA_TEE_SGX) {
        sgx_claims(quote->body, claims);
    } else {
        tdx_claims(quote->body, claims);
    }
}
