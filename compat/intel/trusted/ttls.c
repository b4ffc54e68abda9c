/*
 * sgx_ttls.h: certificates that carry a quote in the interoperable form, made and verified in the enclave itself.
 * Side: enclave. Called by applications; what is verified comes from a peer, collateral from the host.
 * Never takes the host's verdict, and its roots only in a debug enclave (ADR 0130): Intel's asks a verification enclave
 * through the host, here the verifier is linked.
 */
#include "sgx_ttls.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "cella/roots.h"
#include "cella/tls.h"
#include "common/no_compression.h"
#include "compat/intel/tls_look.h"
#include "compat/intel/trusted/core.h"
#include "compat/intel/verify.h"
#include "sgx_trts.h"

CELLA_NO_COMPRESSION;

#define VALID_FROM 1556668800ll  /* 2019-05-01 */
#define VALID_UNTIL 2556143999ll /* 2050-12-31 */
#define PEM_MAX ((size_t)64 * 1024)
#define NAME_SIZE 1024u
#define ROOTS_ROOM ((size_t)4096)
#define ANSWER_FIRST ((size_t)96 * 1024)

/* ------------------------------------------------------------------------- making */

static cella_result quote_make(void *context, const uint8_t data[64], void *out,
                               size_t out_capacity, size_t *ret_size)
{
    (void)context;
    return intel_core_quote(data, out, out_capacity, ret_size);
}

/* "CN=Enclave,O=Organisation,C=XX". */
static bool name_fill(X509_NAME *name, const char *subject)
{
    char copy[NAME_SIZE], *rest = copy, *part;
    if (strlen(subject) >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, subject, strlen(subject) + 1);
    while ((part = strsep(&rest, ",")) != NULL) {
        char *equals = strchr(part, '=');
        if (!equals) {
            return false;
        }
        *equals = 0;
        if (X509_NAME_add_entry_by_txt(name, part + strspn(part, " "), MBSTRING_UTF8,
                                       (const uint8_t *)equals + 1, -1, -1, 0) != 1) {
            return false;
        }
    }
    return true;
}

/* The certificate has a name of its own; this one takes its place, and it is signed again. */
static bool name_set(X509 *certificate, const char *subject, EVP_PKEY *key)
{
    X509_NAME *name = X509_NAME_new();
    const bool good = name && name_fill(name, subject) &&
                      X509_set_subject_name(certificate, name) == 1 &&
                      X509_set_issuer_name(certificate, name) == 1 &&
                      X509_sign(certificate, key, EVP_sha256()) > 0;
    X509_NAME_free(name);
    return good;
}

static EVP_PKEY *key_read(const uint8_t *pem, size_t size, bool is_private)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)strnlen((const char *)pem, size));
    EVP_PKEY *key = !bio         ? NULL
                    : is_private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
                                 : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

static quote3_error_t certificate_write(X509 *certificate, uint8_t **ret_data, size_t *ret_size)
{
    const int size = i2d_X509(certificate, NULL);
    uint8_t *data = size > 0 ? malloc((size_t)size) : NULL, *at = data;
    if (!data) {
        return size > 0 ? TEE_ERROR_OUT_OF_MEMORY : TEE_ERROR_UNEXPECTED;
    }
    i2d_X509(certificate, &at);
    *ret_data = data;
    *ret_size = (size_t)size;
    return TEE_SUCCESS;
}

static quote3_error_t certificate_make(const char *subject, EVP_PKEY *key, uint8_t **ret_data,
                                       size_t *ret_size)
{
    const struct cella_tls_identity_options options = {
        .quote = quote_make, .valid_from = VALID_FROM, .valid_until = VALID_UNTIL};
    X509 *certificate = NULL;
    const cella_result result = cella_tls_certificate_new(&options, key, &certificate);
    if (!cella_is_ok(result)) {
        return result.code == CELLA_CODE_OUT_OF_MEMORY ? TEE_ERROR_OUT_OF_MEMORY
               : result.code == CELLA_CODE_CRYPTO      ? TEE_ERROR_UNEXPECTED
                                                       : TEE_SERVICE_UNAVAILABLE;
    }
    const quote3_error_t error = name_set(certificate, subject, key)
                                     ? certificate_write(certificate, ret_data, ret_size)
                                     : TEE_ERROR_INVALID_PARAMETER;
    X509_free(certificate);
    return error;
}

quote3_error_t tee_get_certificate_with_evidence(const unsigned char *p_subject_name,
                                                 const uint8_t *p_prv_key, size_t private_key_size,
                                                 const uint8_t *p_pub_key, size_t public_key_size,
                                                 uint8_t **pp_output_cert,
                                                 size_t *p_output_cert_size)
{
    if (!p_subject_name || !p_prv_key || private_key_size == 0 || private_key_size > PEM_MAX ||
        !p_pub_key || public_key_size == 0 || public_key_size > PEM_MAX || !pp_output_cert ||
        !p_output_cert_size || !sgx_is_within_enclave(p_prv_key, private_key_size) ||
        !sgx_is_within_enclave(p_pub_key, public_key_size)) {
        return TEE_ERROR_INVALID_PARAMETER;
    }
    EVP_PKEY *secret = key_read(p_prv_key, private_key_size, true);
    EVP_PKEY *public = key_read(p_pub_key, public_key_size, false);
    const quote3_error_t error = secret && public && EVP_PKEY_eq(secret, public) == 1
                                     ? certificate_make((const char *)p_subject_name, secret,
                                                        pp_output_cert, p_output_cert_size)
                                     : TEE_ERROR_INVALID_PARAMETER;
    EVP_PKEY_free(secret);
    EVP_PKEY_free(public);
    return error;
}

quote3_error_t tee_free_certificate(uint8_t *p_certificate)
{
    free(p_certificate);
    return TEE_SUCCESS;
}

/* ------------------------------------------------------------------------- verifying */

static cella_result answer_get(struct cella_span quote, uint8_t **ret_answer, size_t *ret_size)
{
    static const size_t rooms[] = {ANSWER_FIRST, CELLA_COLLATERAL_ANSWER_MAX};
    cella_result result = CELLA_RESULT(BUFFER_TOO_SMALL);
    for (size_t i = 0; i < 2 && result.code == CELLA_CODE_BUFFER_TOO_SMALL; i++) {
        const size_t room = quote.size ? rooms[i] : ROOTS_ROOM;
        uint8_t *answer = malloc(room);
        CELLA_ENSURE(answer, OUT_OF_MEMORY);
        result = intel_core_collateral(quote.data, quote.size, answer, room, ret_size);
        if (cella_is_ok(result)) {
            *ret_answer = answer;
        } else {
            free(answer);
        }
    }
    return result;
}

static quote3_error_t verify(struct cella_span quote, time_t time, sgx_ql_qv_result_t *ret_result,
                             sgx_ql_qv_supplemental_t *ret_supplemental)
{
    struct cella_collateral_item items[CELLA_DOCUMENT_COUNT];
    struct cella_roots roots = {.count = 0}, named = {.count = 0};
    uint8_t *answer = NULL;
    size_t size = 0;
    uint32_t expired;
    const cella_result result = answer_get(quote, &answer, &size);
    if (!cella_is_ok(result) ||
        !cella_is_ok(
            cella_collateral_answer_read((struct cella_span){answer, size}, items, &named)) ||
        !cella_is_ok(cella_roots_add_linked(&roots))) {
        free(answer);
        return TEE_UNABLE_TO_GET_COLLATERAL;
    }
    for (size_t i = 0; intel_core_is_debug() && i < named.count && roots.count < CELLA_ROOT_MAX;
         i++) {
        roots.keys[roots.count++] = named.keys[i];
    }
    const struct intel_verification verification = {.quote = quote,
                                                    .items = items,
                                                    .item_count = CELLA_DOCUMENT_COUNT,
                                                    .roots = &roots,
                                                    .time = time};
    ret_supplemental->version = INTEL_SUPPLEMENTAL_MAJOR | INTEL_SUPPLEMENTAL_MINOR << 16;
    const quote3_error_t error =
        intel_verify(&verification, &expired, ret_result, ret_supplemental);
    free(answer);
    return error;
}

quote3_error_t tee_verify_certificate_with_evidence(const uint8_t *p_cert_in_der,
                                                    size_t cert_in_der_len,
                                                    const time_t expiration_check_date,
                                                    sgx_ql_qv_result_t *p_qv_result,
                                                    uint8_t **pp_supplemental_data,
                                                    uint32_t *p_supplemental_data_size)
{
    struct intel_tls_look look;
    sgx_ql_qv_supplemental_t supplemental;
    if (!p_cert_in_der || cert_in_der_len == 0 || expiration_check_date <= 0 || !p_qv_result ||
        !pp_supplemental_data != !p_supplemental_data_size ||
        !sgx_is_within_enclave(p_cert_in_der, cert_in_der_len)) {
        return TEE_ERROR_INVALID_PARAMETER;
    }
    *p_qv_result = TEE_QV_RESULT_UNSPECIFIED;
    quote3_error_t error =
        intel_tls_look(p_cert_in_der, cert_in_der_len, expiration_check_date, &look);
    if (error != TEE_SUCCESS) {
        return error;
    }
    error = verify(look.quote, expiration_check_date, p_qv_result, &supplemental);
    intel_tls_look_done(&look);
    return error == TEE_SUCCESS ? intel_tls_supplemental(&supplemental, pp_supplemental_data,
                                                         p_supplemental_data_size)
                                : error;
}

quote3_error_t tee_free_supplemental_data(uint8_t *p_supplemental_data)
{
    free(p_supplemental_data);
    return TEE_SUCCESS;
}
