/*
 * A software platform's provisioning: chains and lists hold under libcrypto's own verification, documents under their
 * signing certificate, shapes are Intel's, and what is chosen is what comes out.
 * Side: tests.
 */
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "platform/platform.h"

#define CREATED 1700000000ll
#define DAY 86400ll

static struct platform_options options_of(uint8_t seed)
{
    struct platform_options options = {
        .created = CREATED,
        .fmspc = PLATFORM_FMSPC,
        .cpu_svn = {1, 2},
        .components = {1, 2},
        .pce_svn = 300,
        .sgx_type = 1,
        .smt_enabled = true,
    };
    memset(options.seed, seed, sizeof(options.seed));
    return options;
}

static struct platform *platform_of(const struct platform_options *options)
{
    struct platform *platform = NULL;
    struct cella_error error = {0};
    const cella_result result = platform_new(options, &platform, &error);
    if (!cella_is_ok(result)) {
        fail_msg("platform_new: %s %s", cella_result_name(result), error.text);
    }
    return platform;
}

static struct platform_collateral collateral_of(const struct platform *platform,
                                                struct platform_collateral_options *options)
{
    struct platform_collateral collateral;
    struct cella_error error = {0};
    options->issued = options->issued ? options->issued : CREATED + DAY;
    options->next_update = options->next_update ? options->next_update : CREATED + 30 * DAY;
    const cella_result result = platform_collateral_make(platform, options, &collateral, &error);
    if (!cella_is_ok(result)) {
        fail_msg("platform_collateral_make: %s %s", cella_result_name(result), error.text);
    }
    return collateral;
}

static X509 *certificate_of(const struct platform *platform, enum platform_certificate which)
{
    const struct platform_blob *der = platform_der(platform, which);
    const uint8_t *at = der->data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der->size);
    assert_non_null(certificate);
    assert_ptr_equal(at, der->data + der->size);
    return certificate;
}

static X509_CRL *crl_of(const struct platform_blob *der)
{
    const uint8_t *at = der->data;
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der->size);
    assert_non_null(crl);
    return crl;
}

static bool blob_equal(const struct platform_blob *one, const struct platform_blob *two)
{
    return one->size == two->size && memcmp(one->data, two->data, one->size) == 0;
}

/* X509_V_OK, or why libcrypto refuses the certificate at that time, with both lists looked at. */
static int verify(const struct platform *platform, const struct platform_collateral *collateral,
                  enum platform_certificate which, int64_t when)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *root = certificate_of(platform, PLATFORM_ROOT);
    X509 *ca = certificate_of(platform, PLATFORM_PCK_CA);
    X509 *leaf = certificate_of(platform, which);
    X509_CRL *root_crl = crl_of(&collateral->root_ca_crl_der);
    X509_CRL *pck_crl = crl_of(&collateral->pck_crl_der);
    STACK_OF(X509) *others = sk_X509_new_null();
    sk_X509_push(others, ca);
    X509_STORE_add_cert(store, root);
    X509_STORE_add_crl(store, root_crl);
    X509_STORE_add_crl(store, pck_crl);
    assert_int_equal(X509_STORE_CTX_init(context, store, leaf, others), 1);
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)when);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
                                                X509_V_FLAG_X509_STRICT);
    const int good = X509_verify_cert(context);
    const int error = X509_STORE_CTX_get_error(context);
    sk_X509_free(others);
    X509_free(root);
    X509_free(ca);
    X509_free(leaf);
    X509_CRL_free(root_crl);
    X509_CRL_free(pck_crl);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good == 1 ? X509_V_OK : error;
}

static void test_chains(void **state)
{
    (void)state;
    for (int ca = PLATFORM_CA_PLATFORM; ca <= PLATFORM_CA_PROCESSOR; ca++) {
        struct platform_options options = options_of(1);
        options.ca = (enum platform_ca)ca;
        struct platform *platform = platform_of(&options);
        struct platform_collateral_options chosen = {0};
        struct platform_collateral collateral = collateral_of(platform, &chosen);
        const int64_t now = CREATED + 2 * DAY;
        assert_int_equal(verify(platform, &collateral, PLATFORM_PCK, now), X509_V_OK);
        assert_int_equal(verify(platform, &collateral, PLATFORM_TCB_SIGNING, now), X509_V_OK);
        assert_int_equal(verify(platform, &collateral, PLATFORM_PCK, CREATED - DAY),
                         X509_V_ERR_CRL_NOT_YET_VALID);
        assert_int_equal(verify(platform, &collateral, PLATFORM_PCK, CREATED + 31 * DAY),
                         X509_V_ERR_CRL_HAS_EXPIRED);
        platform_collateral_done(&collateral);
        platform_free(platform);
    }
}

static void test_revocation(void **state)
{
    (void)state;
    struct platform_options options = options_of(1);
    struct platform *platform = platform_of(&options);
    static const struct {
        struct platform_collateral_options options;
        enum platform_certificate which, other;
    } rows[] = {
        {{.revoke_pck = true}, PLATFORM_PCK, PLATFORM_TCB_SIGNING},
        {{.revoke_pck_ca = true}, PLATFORM_PCK, PLATFORM_TCB_SIGNING},
        {{.revoke_tcb_signing = true}, PLATFORM_TCB_SIGNING, PLATFORM_PCK},
    };
    for (size_t i = 0; i < CELLA_COUNT(rows); i++) {
        struct platform_collateral_options chosen = rows[i].options;
        struct platform_collateral collateral = collateral_of(platform, &chosen);
        assert_int_equal(verify(platform, &collateral, rows[i].which, CREATED + 2 * DAY),
                         X509_V_ERR_CERT_REVOKED);
        assert_int_equal(verify(platform, &collateral, rows[i].other, CREATED + 2 * DAY),
                         X509_V_OK);
        platform_collateral_done(&collateral);
    }
    platform_free(platform);
}

static void test_same_seed_same_keys(void **state)
{
    (void)state;
    struct platform_options options = options_of(1);
    struct platform *first = platform_of(&options);
    struct platform *second = platform_of(&options);
    memset(options.seed, 2, sizeof(options.seed));
    struct platform *third = platform_of(&options);
    for (int i = 0; i < PLATFORM_CERTIFICATES; i++) {
        X509 *certificates[3] = {certificate_of(first, (enum platform_certificate)i),
                                 certificate_of(second, (enum platform_certificate)i),
                                 certificate_of(third, (enum platform_certificate)i)};
        assert_int_equal(
            EVP_PKEY_eq(X509_get0_pubkey(certificates[0]), X509_get0_pubkey(certificates[1])), 1);
        assert_int_not_equal(
            EVP_PKEY_eq(X509_get0_pubkey(certificates[0]), X509_get0_pubkey(certificates[2])), 1);
        for (int j = 0; j < 3; j++) {
            X509_free(certificates[j]);
        }
    }
    assert_memory_equal(platform_ppid(first), platform_ppid(second), 16);
    assert_memory_not_equal(platform_ppid(first), platform_ppid(third), 16);
    platform_free(first);
    platform_free(second);
    platform_free(third);
}

/* The inner object and the signature of {"name":inner,"signature":"hex"}; the TCB signing key's, or not. */
static bool document_holds(const struct platform *platform, const struct platform_blob *document,
                           const char *name)
{
    const char *text = (const char *)document->data;
    char head[64];
    snprintf(head, sizeof(head), "{\"%s\":", name);
    assert_int_equal(strncmp(text, head, strlen(head)), 0);
    const char *inner = text + strlen(head);
    const char *tail = strstr(inner, ",\"signature\":\"");
    assert_non_null(tail);
    const char *hex = tail + strlen(",\"signature\":\"");
    assert_string_equal(hex + 128, "\"}");
    uint8_t raw[64];
    for (size_t i = 0; i < 64; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        raw[i] = (uint8_t)byte;
    }
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    uint8_t *der = NULL;
    const int der_size = i2d_ECDSA_SIG(signature, &der);
    X509 *signer = certificate_of(platform, PLATFORM_TCB_SIGNING);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, X509_get0_pubkey(signer)), 1);
    const int good = EVP_DigestVerify(context, der, (size_t)der_size, (const uint8_t *)inner,
                                      (size_t)(tail - inner));
    EVP_MD_CTX_free(context);
    X509_free(signer);
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    return good == 1;
}

static void test_documents(void **state)
{
    (void)state;
    struct platform_options options = options_of(1);
    struct platform *platform = platform_of(&options);
    static const char *const advisories[] = {"INTEL-SA-00001", "INTEL-SA-00002"};
    const struct platform_tcb_level levels[] = {
        {{3}, 400, CREATED, "UpToDate", NULL, 0},
        {{1}, 300, CREATED - DAY, "OutOfDate", advisories, 2},
    };
    struct platform_collateral_options chosen = {
        .issued = CREATED,
        .next_update = CREATED + DAY,
        .evaluation_number = 17,
        .tcb_levels = levels,
        .tcb_level_count = CELLA_COUNT(levels),
        .qe = {.isv_prod_id = 1,
               .isv_svn = 8,
               .misc_mask = 0xFFFFFFFF,
               .attributes = {0x15, 7},
               .attribute_mask = {0xFFFFFFFFFFFFFFFB, 0}},
    };
    struct platform_collateral collateral = collateral_of(platform, &chosen);
    const char *info = (const char *)collateral.tcb_info.data;
    const char *identity = (const char *)collateral.qe_identity.data;
    assert_true(document_holds(platform, &collateral.tcb_info, "tcbInfo"));
    assert_true(document_holds(platform, &collateral.qe_identity, "enclaveIdentity"));
    assert_non_null(strstr(info,
                           "{\"id\":\"SGX\",\"version\":3,\"issueDate\":\"2023-11-14T22:13:20Z\","
                           "\"nextUpdate\":\"2023-11-15T22:13:20Z\",\"fmspc\":\"00CE11A00000\","
                           "\"pceId\":\"0000\",\"tcbType\":0,\"tcbEvaluationDataNumber\":17,"
                           "\"tcbLevels\":[{\"tcb\":{\"sgxtcbcomponents\":[{\"svn\":3},"));
    assert_non_null(
        strstr(info, "\"pcesvn\":300},\"tcbDate\":\"2023-11-13T22:13:20Z\",\"tcbStatus\":"
                     "\"OutOfDate\",\"advisoryIDs\":[\"INTEL-SA-00001\",\"INTEL-SA-00002\"]}]}"));
    assert_non_null(strstr(identity, "\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
                                     "\"attributes\":\"11000000000000000000000000000000\""));
    assert_non_null(strstr(identity, "\"isvprodid\":1,\"tcbLevels\":[{\"tcb\":{\"isvsvn\":8},"));
    collateral.tcb_info.data[40] ^= 1;
    assert_false(document_holds(platform, &collateral.tcb_info, "tcbInfo"));
    platform_collateral_done(&collateral);
    const struct platform_tcb_level quoted = {{1}, 1, CREATED, "Up\"ToDate", NULL, 0};
    chosen.tcb_levels = &quoted;
    chosen.tcb_level_count = 1;
    assert_int_equal(platform_collateral_make(platform, &chosen, &collateral, NULL).code,
                     CELLA_CODE_INVALID_ARGUMENT);
    platform_free(platform);
}

/* The extensions in the order of Intel's certificates, and the SGX ones byte for byte. */
static void test_shape(void **state)
{
    (void)state;
    struct platform_options options = options_of(1);
    struct platform *platform = platform_of(&options);
    X509 *pck = certificate_of(platform, PLATFORM_PCK);
    static const char *const order[] = {"2.5.29.35", "2.5.29.31", "2.5.29.14",
                                        "2.5.29.15", "2.5.29.19", "1.2.840.113741.1.13.1"};
    assert_int_equal(X509_get_version(pck), 2);
    assert_int_equal(X509_get_ext_count(pck), 6);
    for (int i = 0; i < 6; i++) {
        char oid[64];
        OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(X509_get_ext(pck, i)), 1);
        assert_string_equal(oid, order[i]);
    }
    const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(X509_get_ext(pck, 5));
    const uint8_t *bytes = ASN1_STRING_get0_data(data);
    const size_t size = (size_t)ASN1_STRING_length(data);
    /* SEQUENCE { SEQUENCE { OID ….1.13.1.1, OCTET STRING of 16 } … */
    static const uint8_t start[] = {0x30, 0x1E, 0x06, 0x0A, 0x2A, 0x86, 0x48, 0x86,
                                    0xF8, 0x4D, 0x01, 0x0D, 0x01, 0x01, 0x04, 0x10};
    assert_memory_equal(bytes + 4, start, sizeof(start));
    assert_memory_equal(bytes + 20, platform_ppid(platform), 16);
    /* ….2.17, INTEGER 300 */
    static const uint8_t pce_svn[] = {0x30, 0x11, 0x06, 0x0B, 0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D,
                                      0x01, 0x0D, 0x01, 0x02, 0x11, 0x02, 0x02, 0x01, 0x2C};
    assert_non_null(memmem(bytes, size, pce_svn, sizeof(pce_svn)));
    /* ….4, FMSPC */
    static const uint8_t fmspc[] = {0x06, 0x0A, 0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 0x01, 0x0D,
                                    0x01, 0x04, 0x04, 0x06, 0x00, 0xCE, 0x11, 0xA0, 0x00, 0x00};
    assert_non_null(memmem(bytes, size, fmspc, sizeof(fmspc)));
    /* ….7.3, SMT */
    static const uint8_t smt[] = {0x06, 0x0B, 0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D,
                                  0x01, 0x0D, 0x01, 0x07, 0x03, 0x01, 0x01, 0xFF};
    assert_non_null(memmem(bytes, size, smt, sizeof(smt)));
    X509_free(pck);
    platform_free(platform);
}

static void test_forgery(void **state)
{
    (void)state;
    struct platform_options options = options_of(1);
    struct platform *platform = platform_of(&options);
    struct sgx_report_body body = {.report_data = {7}};
    const struct platform_forgery forgery = {.body = &body, .qe = {.isv_svn = 8}, .pce_svn = 300};
    struct platform_blob quote;
    assert_true(cella_is_ok(platform_forge_quote(platform, &forgery, &quote, NULL)));
    assert_memory_equal(quote.data, "\3\0\2\0", 4);
    assert_memory_equal(quote.data + 48, &body, sizeof(body));
    const struct platform_blob *chain = platform_pck_chain(platform);
    assert_int_equal(quote.size, 436 + 64 + 64 + 384 + 64 + 2 + 32 + 2 + 4 + chain->size);
    assert_memory_equal(quote.data + quote.size - chain->size, chain->data, chain->size);
    platform_blob_done(&quote);
    platform_free(platform);

    static const uint8_t generator[64] = {
        0x6B, 0x17, 0xD1, 0xF2, 0xE1, 0x2C, 0x42, 0x47, 0xF8, 0xBC, 0xE6, 0xE5, 0x63,
        0xA4, 0x40, 0xF2, 0x77, 0x03, 0x7D, 0x81, 0x2D, 0xEB, 0x33, 0xA0, 0xF4, 0xA1,
        0x39, 0x45, 0xD8, 0x98, 0xC2, 0x96, 0x4F, 0xE3, 0x42, 0xE2, 0xFE, 0x1A, 0x7F,
        0x9B, 0x8E, 0xE7, 0xEB, 0x4A, 0x7C, 0x0F, 0x9E, 0x16, 0x2B, 0xCE, 0x33, 0x57,
        0x6B, 0x31, 0x5E, 0xCE, 0xCB, 0xB6, 0x40, 0x68, 0x37, 0xBF, 0x51, 0xF5};
    options.pck_public = generator;
    platform = platform_of(&options);
    assert_int_equal(platform_forge_quote(platform, &forgery, &quote, NULL).code,
                     CELLA_CODE_WRONG_STATE);
    platform_free(platform);
}

/* Certificates of an earlier time are used again, unless they are another platform's or expired. */
static void test_kept(void **state)
{
    (void)state;
    struct platform_options options = options_of(1);
    struct platform *first = platform_of(&options);
    struct platform_blob kept[PLATFORM_CERTIFICATES];
    options.created += 400 * DAY;
    struct platform *later = platform_of(&options);
    for (int i = 0; i < PLATFORM_CERTIFICATES; i++) {
        kept[i] = *platform_der(first, (enum platform_certificate)i);
        assert_false(blob_equal(&kept[i], platform_der(later, (enum platform_certificate)i)));
        options.kept[i] = &kept[i];
    }
    platform_free(later);
    later = platform_of(&options);
    for (int i = 0; i < PLATFORM_CERTIFICATES; i++) {
        assert_true(blob_equal(&kept[i], platform_der(later, (enum platform_certificate)i)));
    }
    platform_free(later);
    options.created = CREATED + 8 * 365 * DAY; /* the leaves are over, the CAs are not */
    later = platform_of(&options);
    assert_true(blob_equal(&kept[PLATFORM_ROOT], platform_der(later, PLATFORM_ROOT)));
    assert_false(blob_equal(&kept[PLATFORM_PCK], platform_der(later, PLATFORM_PCK)));
    platform_free(later);
    options.created = CREATED + 400 * DAY;
    memset(options.seed, 9, sizeof(options.seed)); /* another platform */
    later = platform_of(&options);
    for (int i = 0; i < PLATFORM_CERTIFICATES; i++) {
        assert_false(blob_equal(&kept[i], platform_der(later, (enum platform_certificate)i)));
    }
    platform_free(later);
    platform_free(first);
}

static void test_refused(void **state)
{
    (void)state;
    struct platform *platform = NULL;
    struct cella_error error = {0};
    struct platform_options options = options_of(1);
    options.created = 0;
    assert_int_equal(platform_new(&options, &platform, &error).code, CELLA_CODE_INVALID_ARGUMENT);
    options = options_of(1);
    options.url = "https://a,DNS:b";
    assert_int_equal(platform_new(&options, &platform, &error).code, CELLA_CODE_INVALID_ARGUMENT);
    options = options_of(1);
    static const uint8_t no_point[64] = {1};
    options.pck_public = no_point;
    assert_int_equal(platform_new(&options, &platform, &error).code, CELLA_CODE_CRYPTO);
    assert_null(platform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_revocation),
        cmocka_unit_test(test_same_seed_same_keys),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_forgery),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
