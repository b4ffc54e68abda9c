/*
 * liboehostverify as programs call it: the formats, claims, endorsements, dates, each refusal, certificates' refusals.
 * Side: tests. Linked with the library alone, as verifiers are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>
#include <openenclave/host.h>
#include <openenclave/host_verify.h>

#include "cella/collateral.h"
#include "tests/skins/forge.h"

static char g_folder[] = "/tmp/cella-test-XXXXXX";
static char g_root[64];
static time_t g_now;

static const oe_uuid_t g_ecdsa = {OE_FORMAT_UUID_SGX_ECDSA};
static const oe_uuid_t g_report = {OE_FORMAT_UUID_LEGACY_REPORT_REMOTE};
static const oe_uuid_t g_raw = {OE_FORMAT_UUID_RAW_SGX_QUOTE_ECDSA};
static const oe_uuid_t g_local = {OE_FORMAT_UUID_SGX_LOCAL_ATTESTATION};
static const oe_uuid_t g_tdx = {OE_FORMAT_UUID_TDX_QUOTE_ECDSA};
static const char g_custom[] = "custom claims";

struct bytes {
    uint8_t data[16384];
    size_t size;
};

static void put(struct bytes *out, const void *data, size_t size)
{
    assert_true(out->size + size <= sizeof(out->data));
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

/* oe_attestation_header_t. */
static void put_header(struct bytes *out, const oe_uuid_t *format, uint64_t size)
{
    const uint32_t version = 3, zero = 0;
    put(out, &version, 4);
    put(out, format, sizeof(*format));
    put(out, &zero, 4);
    put(out, &size, 8);
}

/* oe_endorsements_t made by hand: what the library reads was not written by itself. */
static void put_endorsements(struct bytes *out, const struct forge *forge, time_t created)
{
    static const int order[7] = {FORGE_TCB_INFO,         FORGE_TCB_INFO_CHAIN, FORGE_PCK_CRL,
                                 FORGE_ROOT_CRL,         FORGE_PCK_CRL_CHAIN,  FORGE_QE_IDENTITY,
                                 FORGE_QE_IDENTITY_CHAIN};
    uint32_t head[4] = {1, 2, 0, 9}, offsets[9], version = 1, offset = 4;
    char date[24];
    struct tm parts;
    gmtime_r(&created, &parts);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &parts);
    offsets[0] = 0;
    for (int i = 0; i < 7; i++) {
        offsets[i + 1] = offset;
        offset += (uint32_t)forge->documents[order[i]].size + 1;
    }
    offsets[8] = offset;
    head[2] = (uint32_t)sizeof(offsets) + offset + (uint32_t)strlen(date) + 1;
    put(out, head, sizeof(head));
    put(out, offsets, sizeof(offsets));
    put(out, &version, 4);
    for (int i = 0; i < 7; i++) {
        put(out, forge->documents[order[i]].data, forge->documents[order[i]].size + 1);
    }
    put(out, date, strlen(date) + 1);
}

static struct forge_options options_of(uint8_t seed)
{
    struct forge_options options = {.now = g_now, .seed = seed};
    SHA256((const uint8_t *)g_custom, sizeof(g_custom), options.report_data);
    return options;
}

/* SGX ECDSA evidence, with the custom claims and, if asked, the header. */
static void put_evidence(struct bytes *out, const struct forge *forge, bool header)
{
    if (header) {
        put_header(out, &g_ecdsa, forge->quote.size + sizeof(g_custom));
    }
    put(out, forge->quote.data, forge->quote.size);
    put(out, g_custom, sizeof(g_custom));
}

static const oe_claim_t *claim(const oe_claim_t *claims, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(claims[i].name, name) == 0) {
            return &claims[i];
        }
    }
    fail_msg("no claim %s", name);
    return NULL;
}

static uint32_t claim_u32(const oe_claim_t *claims, size_t count, const char *name)
{
    uint32_t value;
    const oe_claim_t *found = claim(claims, count, name);
    assert_int_equal(found->value_size, sizeof(value));
    memcpy(&value, found->value, sizeof(value));
    return value;
}

static void claim_date(const oe_claim_t *claims, size_t count, const char *name, time_t expected)
{
    oe_datetime_t date;
    struct tm parts;
    const oe_claim_t *found = claim(claims, count, name);
    assert_int_equal(found->value_size, sizeof(date));
    memcpy(&date, found->value, sizeof(date));
    gmtime_r(&expected, &parts);
    assert_int_equal(date.year, parts.tm_year + 1900);
    assert_int_equal(date.month, parts.tm_mon + 1);
    assert_int_equal(date.day, parts.tm_mday);
    assert_int_equal(date.hours, parts.tm_hour);
    assert_int_equal(date.seconds, parts.tm_sec);
}

static void claims_check(const oe_claim_t *claims, size_t count)
{
    uint8_t bytes[32];
    uint64_t attributes;
    for (int i = 0; i < OE_REQUIRED_CLAIMS_COUNT; i++) {
        claim(claims, count, OE_REQUIRED_CLAIMS[i]);
    }
    for (int i = 0; i < OE_OPTIONAL_CLAIMS_COUNT; i++) {
        claim(claims, count, OE_OPTIONAL_CLAIMS[i]);
    }
    assert_int_equal(count, OE_REQUIRED_CLAIMS_COUNT + OE_OPTIONAL_CLAIMS_COUNT +
                                OE_SGX_REQUIRED_CLAIMS_COUNT + OE_SGX_OPTIONAL_CLAIMS_COUNT + 1);
    memset(bytes, FORGE_MR_ENCLAVE, 32);
    assert_memory_equal(claim(claims, count, OE_CLAIM_UNIQUE_ID)->value, bytes, 32);
    memset(bytes, FORGE_MR_SIGNER, 32);
    assert_memory_equal(claim(claims, count, OE_CLAIM_SIGNER_ID)->value, bytes, 32);
    assert_int_equal(claim_u32(claims, count, OE_CLAIM_SECURITY_VERSION), FORGE_SVN);
    assert_int_equal(claim(claims, count, OE_CLAIM_PRODUCT_ID)->value[0], FORGE_PROD_ID);
    memcpy(&attributes, claim(claims, count, OE_CLAIM_ATTRIBUTES)->value, 8);
    assert_int_equal(attributes, OE_EVIDENCE_ATTRIBUTES_SGX_REMOTE);
    assert_int_equal(claim(claims, count, OE_CLAIM_UEID)->value_size, OE_UEID_SIZE);
    assert_int_equal(claim(claims, count, OE_CLAIM_UEID)->value[0], OE_UEID_TYPE_RAND);
    assert_int_equal(claim(claims, count, OE_CLAIM_HARDWARE_MODEL)->value_size, 6);
    assert_int_equal(claim(claims, count, OE_CLAIM_HARDWARE_MODEL)->value[1], 0xCE);
    assert_int_equal(claim(claims, count, OE_CLAIM_SGX_PCE_SVN)->value_size, 2);
    claim_date(claims, count, OE_CLAIM_TCB_DATE, g_now - 60 * FORGE_DAY);
    claim_date(claims, count, OE_CLAIM_VALIDITY_FROM, g_now - FORGE_DAY);
    claim_date(claims, count, OE_CLAIM_VALIDITY_UNTIL, g_now + 29 * FORGE_DAY);
}

static void test_accepts(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7);
    struct forge forge;
    struct bytes plain = {.size = 0}, wrapped = {.size = 0}, endorsements = {.size = 0},
                 wrapped_endorsements = {.size = 0};
    oe_claim_t *claims;
    size_t count;
    forge_make(&options, &forge);
    put_evidence(&plain, &forge, false);
    put_evidence(&wrapped, &forge, true);
    put_endorsements(&endorsements, &forge, g_now);
    put_header(&wrapped_endorsements, &g_ecdsa, endorsements.size);
    put(&wrapped_endorsements, endorsements.data, endorsements.size);

    assert_int_equal(oe_verify_evidence(&g_ecdsa, plain.data, plain.size, endorsements.data,
                                        endorsements.size, NULL, 0, &claims, &count),
                     OE_OK);
    claims_check(claims, count);
    const oe_claim_t *custom = claim(claims, count, OE_CLAIM_CUSTOM_CLAIMS_BUFFER);
    assert_int_equal(custom->value_size, sizeof(g_custom));
    assert_memory_equal(custom->value, g_custom, sizeof(g_custom));
    assert_int_equal(claim_u32(claims, count, OE_CLAIM_TCB_STATUS), OE_SGX_TCB_STATUS_UP_TO_DATE);
    const oe_claim_t *info = claim(claims, count, OE_CLAIM_SGX_TCB_INFO);
    assert_int_equal(info->value_size, forge.documents[FORGE_TCB_INFO].size + 1);
    assert_memory_equal(info->value, forge.documents[FORGE_TCB_INFO].data, info->value_size);
    assert_int_equal(oe_free_claims(claims, count), OE_OK);

    assert_int_equal(oe_verify_evidence(NULL, wrapped.data, wrapped.size, wrapped_endorsements.data,
                                        wrapped_endorsements.size, NULL, 0, NULL, NULL),
                     OE_OK);
    assert_int_equal(oe_verify_evidence(&g_raw, forge.quote.data, forge.quote.size, NULL, 0, NULL,
                                        0, &claims, &count),
                     OE_OK); /* from the directory */
    assert_int_equal(claim(claims, count, OE_CLAIM_SGX_REPORT_DATA)->value_size, 64);
    oe_free_claims(claims, count);
    wrapped_endorsements.data[4] ^= 1; /* of another format than the evidence */
    assert_int_equal(oe_verify_evidence(NULL, wrapped.data, wrapped.size, wrapped_endorsements.data,
                                        wrapped_endorsements.size, NULL, 0, NULL, NULL),
                     OE_CONSTRAINT_FAILED);
    forge_done(&forge);
}

static void test_reports(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7);
    struct forge forge;
    struct bytes report = {.size = 0};
    oe_report_t parsed;
    forge_make(&options, &forge);
    const uint32_t head[4] = {1, 2, (uint32_t)forge.quote.size, 0};
    put(&report, head, sizeof(head));
    put(&report, forge.quote.data, forge.quote.size);
    assert_int_equal(oe_verify_remote_report(report.data, report.size, NULL, 0, &parsed), OE_OK);
    assert_int_equal(parsed.identity.security_version, FORGE_SVN);
    assert_int_equal(parsed.identity.attributes, OE_REPORT_ATTRIBUTES_REMOTE);
    assert_int_equal(parsed.verification_result, OE_SGX_TCB_STATUS_UP_TO_DATE);
    assert_int_equal(
        oe_verify_evidence(NULL, report.data, report.size, NULL, 0, NULL, 0, NULL, NULL), OE_OK);
    assert_int_equal(
        oe_verify_evidence(&g_report, report.data, report.size, NULL, 0, NULL, 0, NULL, NULL),
        OE_OK);
    report.data[16 + 48 + 64] ^= 1; /* MRENCLAVE */
    assert_int_equal(oe_verify_remote_report(report.data, report.size, NULL, 0, &parsed),
                     OE_VERIFY_FAILED);
    report.data[8]++; /* the size in the header */
    assert_int_equal(oe_verify_remote_report(report.data, report.size, NULL, 0, &parsed),
                     OE_INCORRECT_REPORT_SIZE);
    assert_int_equal(oe_verify_remote_report(NULL, 1, NULL, 0, &parsed), OE_INVALID_PARAMETER);
    forge_done(&forge);
}

static oe_result_t verify_with(const struct forge *forge, time_t created, const oe_datetime_t *at)
{
    struct bytes evidence = {.size = 0}, endorsements = {.size = 0};
    oe_datetime_t copy = at ? *at : (oe_datetime_t){0};
    const oe_policy_t policy = {OE_POLICY_ENDORSEMENTS_TIME, &copy, sizeof(copy)};
    put_evidence(&evidence, forge, false);
    put_endorsements(&endorsements, forge, created);
    return oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, endorsements.data,
                              endorsements.size, at ? &policy : NULL, at ? 1 : 0, NULL, NULL);
}

static void test_refusals(void **state)
{
    (void)state;
    const struct {
        struct forge_options options;
        oe_result_t result;
    } rows[] = {
        {{.seed = 8}, OE_QUOTE_VERIFICATION_ERROR}, /* another platform's root */
        {{.seed = 7, .status = "SWHardeningNeeded"}, OE_OK},
        {{.seed = 7, .status = "ConfigurationNeeded"}, OE_TCB_LEVEL_INVALID},
        {{.seed = 7, .status = "OutOfDate"}, OE_TCB_LEVEL_INVALID},
        {{.seed = 7, .status = "Revoked"}, OE_TCB_LEVEL_INVALID},
        {{.seed = 7, .below_levels = true}, OE_TCB_LEVEL_INVALID},
        {{.seed = 7, .revoke_pck = true}, OE_VERIFY_REVOKED},
        {{.seed = 7, .revoke_tcb_signing = true}, OE_VERIFY_REVOKED},
        {{.seed = 7, .other_fmspc = true}, OE_INVALID_REVOCATION_INFO},
        {{.seed = 7, .other_qe = true}, OE_QUOTE_ENCLAVE_IDENTITY_VERIFICATION_FAILED},
        {{.seed = 7, .debug = true}, OE_OK}, /* the attributes say so */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct forge forge;
        struct forge_options options = rows[i].options;
        options.now = g_now;
        SHA256((const uint8_t *)g_custom, sizeof(g_custom), options.report_data);
        forge_make(&options, &forge);
        const oe_result_t result = verify_with(&forge, g_now, NULL);
        if (result != rows[i].result) {
            print_error("row %zu: %s\n", i, oe_result_str(result));
        }
        assert_int_equal(result, rows[i].result);
        forge_done(&forge);
    }
}

/* A status that is not the best one is told, with everything else. */
static void test_status(void **state)
{
    (void)state;
    struct forge_options options = options_of(7);
    struct forge forge;
    struct bytes evidence = {.size = 0}, endorsements = {.size = 0};
    oe_claim_t *claims;
    size_t count;
    options.status = "OutOfDate";
    forge_make(&options, &forge);
    put_evidence(&evidence, &forge, false);
    put_endorsements(&endorsements, &forge, g_now);
    assert_int_equal(oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, endorsements.data,
                                        endorsements.size, NULL, 0, &claims, &count),
                     OE_TCB_LEVEL_INVALID);
    assert_int_equal(claim_u32(claims, count, OE_CLAIM_TCB_STATUS), OE_SGX_TCB_STATUS_OUT_OF_DATE);
    oe_free_claims(claims, count);
    forge_done(&forge);
}

static void test_dates(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7);
    struct forge forge;
    struct tm parts;
    forge_make(&options, &forge);
    time_t at = g_now + 40 * FORGE_DAY;
    assert_int_equal(verify_with(&forge, at, NULL), OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD);
    at = g_now - 2 * FORGE_DAY;
    assert_int_equal(verify_with(&forge, at, NULL), OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD);
    gmtime_r(&g_now, &parts);
    oe_datetime_t date = {(uint32_t)parts.tm_year + 1900,
                          (uint32_t)parts.tm_mon + 1,
                          (uint32_t)parts.tm_mday,
                          0,
                          0,
                          0};
    assert_int_equal(verify_with(&forge, at, &date), OE_OK); /* the policy's time counts */
    date.year += 2;
    date.day = 1;
    assert_int_equal(verify_with(&forge, g_now, &date), OE_VERIFY_FAILED_TO_FIND_VALIDITY_PERIOD);
    date.month = 13;
    assert_int_equal(verify_with(&forge, g_now, &date), OE_INVALID_UTC_DATE_TIME);
    forge_done(&forge);
}

static void test_tampered(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7);
    struct forge forge;
    struct bytes evidence = {.size = 0}, endorsements = {.size = 0};
    forge_make(&options, &forge);
    put_evidence(&evidence, &forge, false);
    put_endorsements(&endorsements, &forge, g_now);
    const struct {
        struct bytes *in;
        size_t offset;
        oe_result_t result;
        uint8_t mask;
    } rows[] = {
        {&evidence, evidence.size - 3, OE_QUOTE_HASH_MISMATCH, 0x40}, /* the custom claims */
        {&evidence, 48 + 64, OE_VERIFY_FAILED, 0x40},                 /* MRENCLAVE */
        {&evidence, 436 + 4, OE_VERIFY_FAILED, 0x40},                 /* the signature */
        {&evidence, 0, OE_INVALID_PARAMETER, 0x40},                   /* the version */
        {&evidence, 435, OE_INVALID_PARAMETER, 0x40}, /* the length of the signature */
        {&endorsements, 0, OE_INVALID_PARAMETER, 0x40},
        {&endorsements, 4, OE_INVALID_PARAMETER, 0x40},
        {&endorsements, 8, OE_INVALID_PARAMETER, 0x40},
        {&endorsements, 12, OE_INVALID_PARAMETER, 0x40},
        {&endorsements, 16 + 35, OE_INVALID_PARAMETER, 0x40}, /* the last offset */
        {&endorsements, endorsements.size - 5, OE_INVALID_UTC_DATE_TIME, 0x40},
        {&endorsements, 16 + 36 + 4 + 60, OE_INVALID_ENDORSEMENT, 0x40}, /* the TCB info */
        {&endorsements, 16 + 36 + 4 + 60, OE_INVALID_REVOCATION_INFO, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rows[i].in->data[rows[i].offset] ^= rows[i].mask;
        const oe_result_t result =
            oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, endorsements.data,
                               endorsements.size, NULL, 0, NULL, NULL);
        rows[i].in->data[rows[i].offset] ^= rows[i].mask;
        if (result != rows[i].result) {
            print_error("row %zu: %s\n", i, oe_result_str(result));
        }
        assert_int_equal(result, rows[i].result);
    }
    for (size_t size = 1; size < evidence.size; size += 97) { /* cut anywhere, nothing verifies */
        assert_int_not_equal(oe_verify_evidence(&g_ecdsa, evidence.data, size, endorsements.data,
                                                endorsements.size, NULL, 0, NULL, NULL),
                             OE_OK);
    }
    forge_done(&forge);
}

static void test_parameters(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7);
    struct forge forge;
    struct bytes evidence = {.size = 0};
    oe_uuid_t *formats;
    uint8_t *settings;
    size_t count, size;
    oe_claim_t *claims;
    forge_make(&options, &forge);
    put_evidence(&evidence, &forge, false);
    assert_int_equal(oe_verifier_get_formats(&formats, &count), OE_OK);
    assert_int_equal(count, 3);
    assert_memory_equal(&formats[0], &g_ecdsa, sizeof(g_ecdsa));
    assert_int_equal(oe_verifier_free_formats(formats), OE_OK);
    assert_int_equal(oe_verifier_get_format_settings(&g_ecdsa, &settings, &size), OE_OK);
    assert_int_equal(size, 0);
    assert_int_equal(oe_verifier_get_format_settings(&g_local, &settings, &size), OE_NOT_FOUND);
    assert_int_equal(
        oe_verify_evidence(&g_local, evidence.data, evidence.size, NULL, 0, NULL, 0, NULL, NULL),
        OE_NOT_FOUND);
    assert_int_equal(
        oe_verify_evidence(&g_tdx, evidence.data, evidence.size, NULL, 0, NULL, 0, NULL, NULL),
        OE_NOT_FOUND);
    assert_int_equal(oe_tdx_verifier_initialize(), OE_OK);
    assert_int_equal(oe_tdx_verifier_initialize(), OE_ALREADY_EXISTS);
    assert_int_equal(
        oe_verify_evidence(&g_tdx, evidence.data, evidence.size, NULL, 0, NULL, 0, NULL, NULL),
        OE_INVALID_PARAMETER); /* an enclave's */
    assert_int_equal(oe_tdx_verifier_shutdown(), OE_OK);
    assert_int_equal(oe_tdx_verifier_shutdown(), OE_NOT_FOUND);
    assert_int_equal(
        oe_verify_evidence(&g_ecdsa, NULL, evidence.size, NULL, 0, NULL, 0, NULL, NULL),
        OE_INVALID_PARAMETER);
    assert_int_equal(
        oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, NULL, 0, NULL, 0, &claims, NULL),
        OE_INVALID_PARAMETER);
    const oe_policy_t baselines[2] = {{OE_POLICY_ENDORSEMENTS_BASELINE, "x", 1},
                                      {OE_POLICY_ENDORSEMENTS_BASELINE, "y", 1}};
    assert_int_equal(oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, NULL, 0, baselines,
                                        2, NULL, NULL),
                     OE_INVALID_PARAMETER);
    assert_int_equal(oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, NULL, 0, baselines,
                                        1, NULL, NULL),
                     OE_UNSUPPORTED);
    assert_int_equal(oe_verifier_shutdown(), OE_OK);
    assert_int_equal(
        oe_verify_evidence(&g_ecdsa, evidence.data, evidence.size, NULL, 0, NULL, 0, NULL, NULL),
        OE_NOT_FOUND);
    assert_int_equal(oe_verifier_initialize(), OE_OK);
    forge_done(&forge);
}

static void test_roots(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7);
    struct forge forge;
    forge_make(&options, &forge);
    unsetenv("CELLA_INSECURE_ROOTS");
    assert_int_equal(verify_with(&forge, g_now, NULL), OE_QUOTE_VERIFICATION_ERROR);
    setenv("CELLA_INSECURE_ROOTS", "/nonexistent.pem", 1);
    assert_int_equal(verify_with(&forge, g_now, NULL), OE_READ_FAILED);
    setenv("CELLA_INSECURE_ROOTS", g_root, 1);
    assert_int_equal(verify_with(&forge, g_now, NULL), OE_OK);
    setenv("CELLA_COLLATERAL_DIR", "/nonexistent", 1);
    assert_int_equal(oe_verify_evidence(&g_raw, forge.quote.data, forge.quote.size, NULL, 0, NULL,
                                        0, NULL, NULL),
                     OE_QUOTE_PROVIDER_CALL_ERROR);
    setenv("CELLA_COLLATERAL_DIR", g_folder, 1);
    forge_done(&forge);
}

/* What a host gives an enclave: two roots, the documents; or the roots alone; or too little room. */
static void test_answer(void **state)
{
    (void)state;
    const struct forge_options options = options_of(7), foreign = {.now = g_now, .seed = 9};
    struct forge forge, other;
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_roots roots = {.count = 0}, expected = {.count = 0};
    struct bytes answer;
    char named[256], path[64];
    forge_make(&options, &forge);
    forge_make(&foreign, &other);
    forge_write(&forge, g_folder); /* signed anew each time, so not the bytes that were there */
    snprintf(path, sizeof(path), "%s/other.pem", g_folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(other.root.data, 1, other.root.size, file), other.root.size);
    fclose(file);
    snprintf(named, sizeof(named), "%s:%s", g_root, path);
    setenv("CELLA_INSECURE_ROOTS", named, 1);
    const struct cella_span quote = {forge.quote.data, forge.quote.size}, none = {NULL, 0};
    assert_int_equal(
        cella_collateral_answer(quote, answer.data, sizeof(answer.data), &answer.size, NULL).code,
        CELLA_CODE_OK);
    const struct cella_span whole = {answer.data, answer.size};
    assert_int_equal(cella_collateral_answer_read(whole, items, &roots).code, CELLA_CODE_OK);
    for (int i = 0; i < FORGE_DOCUMENTS; i++) {
        assert_int_equal(items[i].bytes.size, forge.documents[i].size);
        assert_memory_equal(items[i].bytes.data, forge.documents[i].data, items[i].bytes.size);
    }
    assert_int_equal(roots.count, 2);
    const struct cella_span first = {forge.root.data, forge.root.size},
                            second = {other.root.data, other.root.size};
    assert_int_equal(cella_roots_add(&expected, first).code, CELLA_CODE_OK);
    assert_int_equal(cella_roots_add(&expected, second).code, CELLA_CODE_OK);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(roots.keys[i].spki_sha256, expected.keys[i].spki_sha256, 32);
    }
    const struct cella_span cut = {answer.data, answer.size - 1};
    assert_int_equal(cella_collateral_answer_read(cut, items, &roots).code, CELLA_CODE_TRUNCATED);
    answer.data[28] = 9; /* roots */
    assert_int_equal(cella_collateral_answer_read(whole, items, &roots).code,
                     CELLA_CODE_OUT_OF_RANGE);
    assert_int_equal(cella_collateral_answer(quote, answer.data, 4000, &answer.size, NULL).code,
                     CELLA_CODE_BUFFER_TOO_SMALL);
    assert_int_equal(
        cella_collateral_answer(none, answer.data, sizeof(answer.data), &answer.size, NULL).code,
        CELLA_CODE_OK);
    const struct cella_span alone = {answer.data, answer.size};
    assert_int_equal(cella_collateral_answer_read(alone, items, &roots).code, CELLA_CODE_OK);
    assert_int_equal(roots.count, 2);
    assert_int_equal(items[CELLA_DOCUMENT_TCB_INFO].bytes.size, 0);
    setenv("CELLA_INSECURE_ROOTS", g_root, 1);
    forge_done(&forge);
    forge_done(&other);
}

static void test_certificate(void **state)
{
    (void)state;
    uint8_t junk[64] = {0x30, 0x3e};
    oe_claim_t *claims;
    size_t count;
    assert_int_equal(oe_verify_attestation_certificate_with_evidence_v2(junk, sizeof(junk), NULL, 0,
                                                                        NULL, 0, &claims, &count),
                     OE_CRYPTO_ERROR);
    assert_int_equal(oe_verify_attestation_certificate_with_evidence(NULL, 0, NULL, NULL),
                     OE_INVALID_PARAMETER);
    assert_int_equal(oe_verify_attestation_certificate(junk, sizeof(junk), NULL, NULL),
                     OE_CRYPTO_ERROR);
}

static int setup(void **state)
{
    (void)state;
    struct forge forge;
    g_now = time(NULL) / FORGE_DAY * FORGE_DAY;
    const struct forge_options options = {.now = g_now, .seed = 7};
    if (!mkdtemp(g_folder)) {
        return -1;
    }
    forge_make(&options, &forge);
    forge_write(&forge, g_folder);
    forge_done(&forge);
    snprintf(g_root, sizeof(g_root), "%s/root_ca.pem", g_folder);
    setenv("CELLA_INSECURE_ROOTS", g_root, 1);
    setenv("CELLA_COLLATERAL_DIR", g_folder, 1);
    setenv("OE_LOG_LEVEL", "NONE", 1);
    return oe_verifier_initialize() == OE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", g_folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),    cmocka_unit_test(test_reports),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_status),
        cmocka_unit_test(test_dates),      cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_roots),      cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
