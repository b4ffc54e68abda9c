/*
 * Self-signed certificates that carry evidence of the enclave that has their key.
 * Side: both. Called by applications. The key never leaves the caller; quotes come from the caller's function.
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "tls/extension.h"
#include "tls/key.h"
#include "tls/message.h"

#define QUOTE_ROOM (16u << 10)
#define QUOTE_MAX (1u << 20)
#define SERIAL_SIZE 16

/* What Open Enclave puts before a quote: common/attest_plugin.h, internal/report.h of its sources. */
struct oe_evidence_head {
    uint32_t version;
    uint8_t format[16];
    uint32_t reserved;
    uint64_t size;
};
_Static_assert(sizeof(struct oe_evidence_head) == 32, "oe_attestation_header_t");

struct oe_report_head {
    uint32_t version;
    uint32_t type; /* 2: remote */
    uint64_t size;
};
_Static_assert(sizeof(struct oe_report_head) == 16, "oe_report_header_t");

/* Bytes on the heap. */
struct buffer {
    uint8_t *data;
    size_t size;
};

static void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
}

static void x509_done(X509 **certificate)
{
    X509_free(*certificate);
}

/* `before` and `after` bytes are left around the quote. */
static CELLA_MUST_USE cella_result quote_make(const struct cella_tls_identity_options *options,
                                              const uint8_t data[64], size_t before, size_t after,
                                              struct buffer *ret_buffer, size_t *ret_quote_size)
{
    size_t room = QUOTE_ROOM, size = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        uint8_t *bytes = malloc(before + room + after);
        CELLA_ENSURE(bytes != NULL, OUT_OF_MEMORY);
        const cella_result result =
            options->quote(options->quote_context, data, bytes + before, room, &size);
        if (cella_is_ok(result) && size <= room) {
            *ret_buffer = (struct buffer){bytes, before + size + after};
            *ret_quote_size = size;
            return CELLA_OK;
        }
        free(bytes);
        CELLA_ENSURE(!cella_is_ok(result), INVALID_ARGUMENT);
        if (result.code != CELLA_CODE_BUFFER_TOO_SMALL || size <= room || size > QUOTE_MAX) {
            return result;
        }
        room = size;
    }
    return CELLA_RESULT(BUFFER_TOO_SMALL);
}

static CELLA_MUST_USE cella_result
endorsements_add(X509 *certificate, const struct cella_tls_endorsements *endorsements)
{
    const struct cella_span *items = (const struct cella_span *)endorsements;
    size_t capacity = 256, size;
    for (size_t i = 0; i < sizeof(*endorsements) / sizeof(*items); i++) {
        CELLA_ENSURE(items[i].size <= QUOTE_MAX, INVALID_ARGUMENT);
        capacity += items[i].size;
    }
    CELLA_CLEANUP(buffer_done) struct buffer buffer = {malloc(capacity), capacity};
    CELLA_ENSURE(buffer.data != NULL, OUT_OF_MEMORY);
    CELLA_TRY(tls_endorsements_make(endorsements, buffer.data, capacity, &size));
    return tls_extension_add(certificate, TLS_EXTENSION_ENDORSEMENTS,
                             cella_bytes_of(buffer.data, size));
}

static CELLA_MUST_USE cella_result
interoperable_add(X509 *certificate, const struct cella_tls_identity_options *options,
                  const struct tls_key_text *key)
{
    uint8_t hash[32], data[64] = {0}, claims[TLS_CLAIMS_MAX];
    size_t quote_size, size;
    CELLA_CLEANUP(buffer_done) struct buffer quote = {0};
    SHA256(key->der, key->der_size, hash);
    const size_t claims_size = tls_claims_make(hash, options->nonce, options->nonce_size, claims);
    SHA256(claims, claims_size, data);
    CELLA_TRY(quote_make(options, data, 0, 0, &quote, &quote_size));
    const size_t capacity = quote_size + claims_size + 64;
    CELLA_CLEANUP(buffer_done) struct buffer message = {malloc(capacity), capacity};
    CELLA_ENSURE(message.data != NULL, OUT_OF_MEMORY);
    CELLA_TRY(tls_message_make(cella_bytes_of(quote.data, quote_size),
                               cella_bytes_of(claims, claims_size), message.data, capacity, &size));
    CELLA_TRY(
        tls_extension_add(certificate, TLS_EXTENSION_EVIDENCE, cella_bytes_of(message.data, size)));
    return options->endorsements ? endorsements_add(certificate, options->endorsements) : CELLA_OK;
}

static CELLA_MUST_USE cella_result gramine_add(X509 *certificate,
                                               const struct cella_tls_identity_options *options,
                                               const struct tls_key_text *key)
{
    uint8_t data[64] = {0};
    size_t size;
    CELLA_CLEANUP(buffer_done) struct buffer quote = {0};
    SHA256(key->der, key->der_size, data);
    CELLA_TRY(quote_make(options, data, 0, 0, &quote, &size));
    return tls_extension_add(certificate, TLS_EXTENSION_QUOTE, cella_bytes_of(quote.data, size));
}

static CELLA_MUST_USE cella_result oe_evidence_add(X509 *certificate,
                                                   const struct cella_tls_identity_options *options,
                                                   const struct tls_key_text *key)
{
    /* OE_FORMAT_UUID_SGX_ECDSA */
    struct oe_evidence_head head = {.version = 3,
                                    .format = {0xa3, 0xa2, 0x1e, 0x87, 0x1b, 0x4d, 0x40, 0x14, 0xb7,
                                               0x0a, 0xa1, 0x25, 0xd2, 0xfb, 0xcd, 0x8c}};
    uint8_t data[64] = {0};
    size_t size;
    CELLA_CLEANUP(buffer_done) struct buffer quote = {0};
    SHA256((const uint8_t *)key->pem, key->pem_size, data);
    CELLA_TRY(quote_make(options, data, sizeof(head), key->pem_size, &quote, &size));
    head.size = size + key->pem_size;
    memcpy(quote.data, &head, sizeof(head));
    memcpy(quote.data + sizeof(head) + size, key->pem, key->pem_size);
    return tls_extension_add(certificate, TLS_EXTENSION_OE_EVIDENCE,
                             cella_bytes_of(quote.data, quote.size));
}

static CELLA_MUST_USE cella_result oe_report_add(X509 *certificate,
                                                 const struct cella_tls_identity_options *options,
                                                 const struct tls_key_text *key)
{
    struct oe_report_head head = {.version = 1, .type = 2};
    uint8_t data[64] = {0};
    size_t size;
    CELLA_CLEANUP(buffer_done) struct buffer quote = {0};
    SHA256((const uint8_t *)key->pem, key->pem_size, data);
    CELLA_TRY(quote_make(options, data, sizeof(head), 0, &quote, &size));
    head.size = size;
    memcpy(quote.data, &head, sizeof(head));
    return tls_extension_add(certificate, TLS_EXTENSION_OE_REPORT,
                             cella_bytes_of(quote.data, quote.size));
}

static CELLA_MUST_USE cella_result evidence_add(X509 *certificate,
                                                const struct cella_tls_identity_options *options,
                                                const struct tls_key_text *key)
{
    const uint32_t forms = options->forms ? options->forms : CELLA_TLS_INTEROPERABLE;
    if (forms & CELLA_TLS_INTEROPERABLE) {
        CELLA_TRY(interoperable_add(certificate, options, key));
    }
    if (forms & CELLA_TLS_GRAMINE) {
        CELLA_TRY(gramine_add(certificate, options, key));
    }
    if (forms & CELLA_TLS_OPEN_ENCLAVE) {
        CELLA_TRY(oe_evidence_add(certificate, options, key));
    }
    if (forms & CELLA_TLS_OPEN_ENCLAVE_REPORT) {
        CELLA_TRY(oe_report_add(certificate, options, key));
    }
    return CELLA_OK;
}

static bool serial_set(X509 *certificate)
{
    BIGNUM *number = BN_new();
    const bool good = number && BN_rand(number, 8 * SERIAL_SIZE - 1, BN_RAND_TOP_ONE, 0) == 1 &&
                      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good;
}

static bool plain_extension_add(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    const bool good = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool body_make(X509 *certificate, const struct cella_tls_identity_options *options,
                      EVP_PKEY *key)
{
    const char *subject = options->subject ? options->subject : "Cella enclave";
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && serial_set(certificate) &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)subject,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)options->valid_from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)options->valid_until) != NULL &&
           X509_set_pubkey(certificate, key) == 1 &&
           plain_extension_add(certificate, NID_basic_constraints, "CA:FALSE") &&
           plain_extension_add(certificate, NID_subject_key_identifier, "hash") &&
           plain_extension_add(certificate, NID_authority_key_identifier, "keyid");
}

cella_result cella_tls_certificate_new(const struct cella_tls_identity_options *options,
                                       EVP_PKEY *key, X509 **ret_certificate)
{
    struct tls_key_text text;
    CELLA_ENSURE(options && options->quote && key && ret_certificate &&
                     options->valid_from < options->valid_until &&
                     !(options->forms & ~(uint32_t)CELLA_TLS_ANY) &&
                     options->nonce_size <= CELLA_TLS_NONCE_MAX &&
                     (options->nonce || options->nonce_size == 0),
                 INVALID_ARGUMENT);
    CELLA_CLEANUP(x509_done) X509 *certificate = X509_new();
    CELLA_ENSURE(certificate != NULL, OUT_OF_MEMORY);
    CELLA_ENSURE(body_make(certificate, options, key), CRYPTO);
    CELLA_TRY(tls_key_text(key, &text));
    const cella_result result = evidence_add(certificate, options, &text);
    tls_key_text_done(&text);
    CELLA_TRY(result);
    /* Keys of the Edwards kind bring their own digest. */
    const EVP_MD *digest = EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
    CELLA_ENSURE(X509_sign(certificate, key, digest) > 0, CRYPTO);
    *ret_certificate = CELLA_TAKE(certificate);
    return CELLA_OK;
}
