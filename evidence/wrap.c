/*
 * What evidence is wrapped in: nothing, Open Enclave's report header, Open Enclave's attestation header
 * (include/openenclave/internal/report.h and common/attest_plugin.h of Open Enclave 0.19).
 * Side: both; freestanding. Called inside evidence/. Never judges beyond the formats.
 */
#include "evidence/wrap.h"

#include <openssl/evp.h>

#include "evidence/bytes_util.h"
#include "evidence/snp.h"

#define OE_REPORT_VERSION 1u
#define OE_REPORT_HEADER_SIZE 16u
#define OE_REPORT_SGX_REMOTE 2u
#define OE_HEADER_SIZE 32u /* version 4, format id 16, 4 of no meaning, size 8 */

enum oe_content {
    OE_QUOTE_AND_CLAIMS, /* a quote, custom claims that it binds behind it */
    OE_QUOTE_ONLY,
    OE_REPORT_ONLY,
    OE_UNSUPPORTED,
};

static const struct {
    uint8_t id[16];
    enum oe_content content;
} g_formats[] = {
    /* OE_FORMAT_UUID_SGX_ECDSA, _LEGACY_REPORT_REMOTE, _RAW_SGX_QUOTE_ECDSA, _TDX_QUOTE_ECDSA, _SGX_LOCAL_ATTESTATION */
    {{0xA3, 0xA2, 0x1E, 0x87, 0x1B, 0x4D, 0x40, 0x14, 0xB7, 0x0A, 0xA1, 0x25, 0xD2, 0xFB, 0xCD,
      0x8C},
     OE_QUOTE_AND_CLAIMS},
    {{0xC8, 0x30, 0x34, 0x54, 0xD9, 0x23, 0x4C, 0x2C, 0xA6, 0x91, 0xDF, 0x7D, 0xEF, 0x46, 0x0A,
      0x76},
     OE_REPORT_ONLY},
    {{0x19, 0x23, 0xD9, 0x1E, 0x12, 0xD2, 0x4C, 0x72, 0xB2, 0x20, 0x25, 0xCD, 0x8D, 0xAC, 0xE8,
      0x71},
     OE_QUOTE_ONLY},
    {{0x8B, 0xA7, 0x02, 0x86, 0xC1, 0xCF, 0x11, 0xED, 0xAF, 0xA1, 0x02, 0x42, 0xAC, 0x12, 0x00,
      0x02},
     OE_QUOTE_ONLY},
    {{0x09, 0x26, 0x8C, 0x33, 0x6E, 0x0B, 0x45, 0xE5, 0x8A, 0x27, 0x15, 0x64, 0x4D, 0x0E, 0xF8,
      0x9A},
     OE_UNSUPPORTED},
};

static struct cella_span span_of(struct cella_bytes bytes)
{
    return (struct cella_span){.data = bytes.data, .size = bytes.size};
}

/* What is behind a quote is not part of it: Intel's own library, too, only reads to the quote's end. */
static void padding_set(struct cella_evidence_claims *claims, struct cella_bytes rest)
{
    claims->padding = rest.size;
    claims->is_padding_zero = ev_is_zero(rest);
}

/* Is SHA-256 of these bytes the first half of the report data? */
static bool names_claims(const struct wrap *wrap, struct cella_bytes claims)
{
    uint8_t digest[32];
    return EVP_Digest(claims.data, claims.size, digest, NULL, EVP_sha256(), NULL) > 0 &&
           memcmp(digest, wrap->claims.report_data.data, sizeof(digest)) == 0;
}

/* The quote at the start; behind it padding, or what `claims` takes as custom claims. */
static cella_result quote_unwrap(struct cella_bytes bytes, struct ev_place *place, bool has_claims,
                                 struct wrap *wrap)
{
    CELLA_TRY(ev_quote_parse(bytes, place, &wrap->quote));
    ev_quote_claims(&wrap->quote, &wrap->claims);
    size_t used = wrap->quote.bytes.size;
    struct cella_bytes rest = cella_bytes_of(bytes.data + used, bytes.size - used);
    if (has_claims) {
        wrap->binds_custom_claims = true;
        wrap->claims.custom_claims = span_of(rest);
        return CELLA_OK;
    }
    /* Open Enclave's evidence without its header has custom claims here, which the report data names. */
    if (!ev_is_zero(rest) && wrap->quote.tee == CELLA_TEE_SGX && names_claims(wrap, rest)) {
        wrap->claims.format = CELLA_EVIDENCE_OE_EVIDENCE;
        wrap->binds_custom_claims = true;
        wrap->claims.custom_claims = span_of(rest);
        return CELLA_OK;
    }
    padding_set(&wrap->claims, rest);
    return CELLA_OK;
}

/* oe_report_header_t: version 1, type, size; a quote. What is behind it is `ret_rest`. */
static cella_result report_unwrap(struct cella_bytes bytes, struct ev_place *place,
                                  struct wrap *wrap, struct cella_bytes *ret_rest)
{
    struct cella_cursor cursor = cella_cursor_of(bytes);
    struct cella_bytes quote;
    uint32_t version = 0;
    uint32_t type = 0;
    uint64_t size = 0;
    bool is_whole = cella_is_ok(cella_cursor_u32(&cursor, &version)) &&
                    cella_is_ok(cella_cursor_u32(&cursor, &type)) &&
                    cella_is_ok(cella_cursor_u64(&cursor, &size));
    EV_ENSURE(place, is_whole && version == OE_REPORT_VERSION, bytes.data, BAD_FIELD,
              "an Open Enclave report header of version 1");
    EV_ENSURE(place, type == OE_REPORT_SGX_REMOTE, bytes.data + 4, UNSUPPORTED_VERSION,
              "report type 2, remote; a local report proves nothing to another machine");
    EV_ENSURE(place, cella_is_ok(cella_cursor_take(&cursor, size, &quote)), bytes.data + 8,
              TRUNCATED, "as many bytes as the header says");
    CELLA_TRY(ev_quote_parse(quote, place, &wrap->quote));
    EV_ENSURE(place, wrap->quote.bytes.size == quote.size, quote.data + wrap->quote.bytes.size,
              TRAILING_BYTES, "a quote that fills the report");
    ev_quote_claims(&wrap->quote, &wrap->claims);
    *ret_rest = cella_bytes_of(ev_cursor_at(&cursor), cella_cursor_left(&cursor));
    return CELLA_OK;
}

static cella_result report_only_unwrap(struct cella_bytes bytes, struct ev_place *place,
                                       struct wrap *wrap)
{
    struct cella_bytes rest;
    CELLA_TRY(report_unwrap(bytes, place, wrap, &rest));
    EV_ENSURE(place, ev_is_zero(rest), rest.data, TRAILING_BYTES,
              "only zero bytes behind the report");
    padding_set(&wrap->claims, rest);
    return CELLA_OK;
}

static bool format_find(struct cella_bytes bytes, enum oe_content *ret_content)
{
    for (size_t i = 0; i < sizeof(g_formats) / sizeof(g_formats[0]); i++) {
        if (bytes.size >= OE_HEADER_SIZE && memcmp(bytes.data + 4, g_formats[i].id, 16) == 0) {
            *ret_content = g_formats[i].content;
            return true;
        }
    }
    return false;
}

/* oe_attestation_header_t. Version 2 has a report header around the quote, version 3 has not. */
static cella_result header_unwrap(struct cella_bytes bytes, enum oe_content content,
                                  struct ev_place *place, struct wrap *wrap)
{
    uint64_t version = cella_le_get(bytes.data, 4);
    uint64_t size = cella_le_get(bytes.data + 24, 8);
    struct cella_bytes data;
    struct cella_bytes rest;
    EV_ENSURE(place, version == 2 || version == 3, bytes.data, UNSUPPORTED_VERSION,
              "an Open Enclave attestation header of version 2 or 3");
    EV_ENSURE(place, content != OE_UNSUPPORTED, bytes.data + 4, UNSUPPORTED_VERSION,
              "a format for remote parties; a local report proves nothing to another machine");
    EV_ENSURE(place, size == bytes.size - OE_HEADER_SIZE, bytes.data + 24, BAD_FIELD,
              "the size of what follows the header");
    data = ev_part(bytes, OE_HEADER_SIZE, (size_t)size);
    if (content == OE_REPORT_ONLY) {
        return report_only_unwrap(data, place, wrap);
    }
    if (content == OE_QUOTE_AND_CLAIMS && version == 2) {
        CELLA_TRY(report_unwrap(data, place, wrap, &rest));
        wrap->binds_custom_claims = true;
        wrap->claims.custom_claims = span_of(rest);
        return CELLA_OK;
    }
    return quote_unwrap(data, place, content == OE_QUOTE_AND_CLAIMS, wrap);
}

static cella_result snp_unwrap(struct cella_bytes bytes, struct ev_place *place, struct wrap *wrap)
{
    CELLA_TRY(ev_snp_report_parse(bytes, place, &wrap->claims));
    struct snp_certificates table = ev_snp_certificates_of(bytes);
    struct cella_bytes der;
    bool has_table = ev_snp_certificates_next(&table, &der);
    EV_ENSURE(place, has_table || ev_is_zero(table.table), table.table.data, TRAILING_BYTES,
              "zero bytes or a certificate table behind the report");
    padding_set(&wrap->claims, has_table ? (struct cella_bytes){0} : table.table);
    return CELLA_OK;
}

/* DCAP quotes have the key type behind a version of 16 bits; the others have versions of 32 bits. */
cella_result ev_wrap_parse(struct cella_bytes evidence, struct ev_place *place,
                           enum cella_evidence_step *ret_step, struct wrap *ret_wrap)
{
    struct wrap wrap = {0};
    enum oe_content content = OE_UNSUPPORTED;
    *ret_step = CELLA_STEP_EVIDENCE_FORMAT;
    EV_ENSURE(place, evidence.size >= QUOTE_HEADER_SIZE, cella_bytes_at(evidence, evidence.size),
              TRUNCATED, "evidence of at least 48 bytes");
    uint64_t first = cella_le_get(evidence.data, 4);
    uint64_t second = cella_le_get(evidence.data + 4, 4);
    cella_result result;
    if (format_find(evidence, &content)) {
        wrap.claims.format = CELLA_EVIDENCE_OE_EVIDENCE;
        result = header_unwrap(evidence, content, place, &wrap);
    } else if (first == OE_REPORT_VERSION && (second == 1 || second == OE_REPORT_SGX_REMOTE)) {
        wrap.claims.format = CELLA_EVIDENCE_OE_REPORT;
        result = report_only_unwrap(evidence, place, &wrap);
    } else if (first >> 16 != 0) {
        wrap.claims.format = CELLA_EVIDENCE_QUOTE;
        result = quote_unwrap(evidence, place, false, &wrap);
    } else {
        EV_ENSURE(place, first >= 2 && first <= 5 && evidence.size >= SNP_REPORT_SIZE,
                  evidence.data, BAD_MAGIC, "a DCAP quote, an SNP report or Open Enclave evidence");
        result = snp_unwrap(evidence, place, &wrap);
    }
    *ret_step = CELLA_STEP_EVIDENCE_PARSE;
    CELLA_TRY(result);
    *ret_wrap = wrap;
    return CELLA_OK;
}
