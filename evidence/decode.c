/*
 * Evidence as people keep it: raw, hexadecimal, base64, a string in a JSON file, Azure's HCLA blob.
 * Side: host. Called by cli/ and services. Never judges beyond "this parses as evidence".
 */
#include <stdlib.h>

#include "evidence/bytes_util.h"
#include "evidence/collateral.h"

#define HCLA_REPORT_OFFSET 32u
#define SNP_REPORT_SIZE 1184u

static bool is_evidence(struct cella_bytes bytes)
{
    struct cella_evidence_claims claims;
    return cella_is_ok(cella_evidence_parse(
        (struct cella_span){.data = bytes.data, .size = bytes.size}, &claims, NULL));
}

/* Looks like the start of evidence, even if its rest does not parse: better that the verifier says what is wrong. */
static bool looks_like_evidence(struct cella_bytes bytes)
{
    if (bytes.size < 432) {
        return false;
    }
    uint64_t version = cella_le_get(bytes.data, 4);
    bool is_quote = (version & 0xFFFF) >= 3 && (version & 0xFFFF) <= 5 && version >> 16 <= 3 &&
                    memcmp(bytes.data + 12, "\x93\x9A\x72\x33", 4) == 0;
    bool is_report = version == 1 && cella_le_get(bytes.data + 4, 4) <= 2;
    bool is_snp = version >= 2 && version <= 5 && bytes.size >= SNP_REPORT_SIZE &&
                  cella_le_get(bytes.data + 0x34, 4) == 1;
    return is_quote || is_report || is_snp;
}

static bool take(struct cella_bytes bytes, struct unwrapped *ret_bytes)
{
    uint8_t *copy = malloc(bytes.size + 1);
    if (!copy) {
        return false;
    }
    memcpy(copy, bytes.data, bytes.size);
    *ret_bytes = (struct unwrapped){.data = copy, .size = bytes.size};
    return true;
}

/* Azure's paravisor puts an SNP report behind a header of 32 bytes. */
static bool direct_find(struct cella_bytes bytes, bool is_strict, struct unwrapped *ret_bytes)
{
    if (ev_starts(bytes, "HCLA")) {
        struct cella_bytes report = ev_part(bytes, HCLA_REPORT_OFFSET, SNP_REPORT_SIZE);
        return is_evidence(report) && take(report, ret_bytes);
    }
    bool is_good = is_evidence(bytes) || (!is_strict && looks_like_evidence(bytes));
    return is_good && take(bytes, ret_bytes);
}

static bool text_find(struct cella_bytes text, bool is_strict, struct unwrapped *ret_bytes)
{
    struct unwrapped bytes;
    if (!ev_unwrap_text(text, &bytes)) {
        return false;
    }
    bool is_found = direct_find(cella_bytes_of(bytes.data, bytes.size), is_strict, ret_bytes);
    free(bytes.data);
    return is_found;
}

/* One string of a document: evidence itself, in text form, or a JSON document once more. */
static bool string_find(struct ev_json value, bool is_strict, unsigned depth,
                        struct unwrapped *ret_bytes);

static bool numbers_find(struct ev_json value, bool is_strict, struct unwrapped *ret_bytes)
{
    struct unwrapped bytes;
    if (!ev_unwrap_numbers(value, &bytes)) {
        return false;
    }
    bool is_found = direct_find(cella_bytes_of(bytes.data, bytes.size), is_strict, ret_bytes);
    free(bytes.data);
    return is_found;
}

static bool json_find_evidence(struct ev_json json, bool is_strict, unsigned depth,
                               struct unwrapped *ret_bytes)
{
    struct ev_json_iterator items = ev_json_items(json);
    struct cella_bytes key;
    struct ev_json item;
    while (depth < UNWRAP_DEPTH_MAX && ev_json_next(&items, &key, &item)) {
        if (numbers_find(item, is_strict, ret_bytes)) {
            return true;
        }
        if (item.kind == EV_JSON_STRING
                ? string_find(item, is_strict, depth + 1, ret_bytes)
                : json_find_evidence(item, is_strict, depth + 1, ret_bytes)) {
            return true;
        }
    }
    return false;
}

static bool document_find(struct cella_bytes text, bool is_strict, unsigned depth,
                          struct unwrapped *ret_bytes)
{
    struct ev_place place = {0};
    struct ev_json json;
    return ev_contains(text, "{") && cella_is_ok(ev_json_parse(text, &place, &json)) &&
           json_find_evidence(json, is_strict, depth, ret_bytes);
}

static bool string_find(struct ev_json value, bool is_strict, unsigned depth,
                        struct unwrapped *ret_bytes)
{
    struct unwrapped text;
    struct unwrapped inner;
    if (!ev_unwrap_string(value, &text)) {
        return false;
    }
    struct cella_bytes bytes = cella_bytes_of(text.data, text.size);
    bool is_found =
        text_find(bytes, is_strict, ret_bytes) || document_find(bytes, is_strict, depth, ret_bytes);
    if (!is_found && ev_unwrap_text(bytes, &inner)) {
        is_found =
            document_find(cella_bytes_of(inner.data, inner.size), is_strict, depth, ret_bytes);
        free(inner.data);
    }
    free(text.data);
    return is_found;
}

cella_result cella_evidence_decode(struct cella_span span, uint8_t **ret_evidence, size_t *ret_size)
{
    struct cella_bytes bytes = cella_bytes_of(span.data, span.size);
    struct unwrapped found;
    bool is_found = false;
    /* First what parses, then what only looks like evidence: a broken file is to be explained, not called unknown. */
    for (int is_strict = 1; is_strict >= 0 && !is_found; is_strict--) {
        is_found = direct_find(bytes, is_strict, &found) || text_find(bytes, is_strict, &found) ||
                   document_find(bytes, is_strict, 0, &found);
    }
    CELLA_ENSURE(is_found, BAD_MAGIC);
    *ret_evidence = found.data;
    *ret_size = found.size;
    return CELLA_OK;
}
