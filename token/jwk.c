/*
 * JSON Web Keys: RSA and P-256, by parameters and by certificates.
 * Side: relying party, services. Called by token/token.c and services/. Never decides what may be trusted.
 */
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "token/base64.h"
#include "token/jose.h"

#define PARAMETER_MAX (JOSE_RSA_BITS_MAX / 8)
#define CERTIFICATE_MAX 16384u

static cella_result read_certificate(const json_t *item, X509 **ret_certificate)
{
    uint8_t der[CERTIFICATE_MAX / 4 * 3 + 4];
    size_t size = 0;
    const uint8_t *at = der;
    CELLA_ENSURE(json_is_string(item) && json_string_length(item) <= CERTIFICATE_MAX, BAD_FIELD);
    CELLA_TRY(base64_decode_any(json_string_value(item), json_string_length(item), der, &size));
    *ret_certificate = d2i_X509(NULL, &at, (long)size);
    CELLA_ENSURE(*ret_certificate, BAD_FIELD);
    if (at != der + size) {
        X509_free(*ret_certificate);
        return CELLA_RESULT(TRAILING_BYTES);
    }
    return CELLA_OK;
}

cella_result jose_chain(const json_t *object, STACK_OF(X509) * *ret_chain,
                        struct cella_error *error)
{
    const json_t *list = json_object_get(object, "x5c");
    *ret_chain = NULL;
    if (!list) {
        return CELLA_OK;
    }
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > JOSE_CHAIN_MAX) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "x5c is not a list of 1 to %u certificates", JOSE_CHAIN_MAX);
    }
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *chain = sk_X509_new_null();
    CELLA_ENSURE(chain, OUT_OF_MEMORY);
    for (size_t i = 0; i < json_array_size(list); i++) {
        X509 *certificate = NULL;
        cella_result result = read_certificate(json_array_get(list, i), &certificate);
        if (!cella_is_ok(result)) {
            return cella_error_set(error, result, "certificate %zu of x5c cannot be read", i);
        }
        if (sk_X509_push(chain, certificate) <= 0) {
            X509_free(certificate);
            return CELLA_RESULT(OUT_OF_MEMORY);
        }
    }
    *ret_chain = CELLA_TAKE(chain);
    return CELLA_OK;
}

/* A base64url member. */
static cella_result read_parameter(const json_t *jwk, const char *name, uint8_t *out,
                                   size_t *ret_size, struct cella_error *error)
{
    const json_t *member = json_object_get(jwk, name);
    if (!json_is_string(member) || json_string_length(member) > PARAMETER_MAX / 3 * 4 ||
        !cella_is_ok(base64url_decode(json_string_value(member), json_string_length(member), out,
                                      ret_size)) ||
        *ret_size == 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "a key's %s is not base64url", name);
    }
    return CELLA_OK;
}

static cella_result build_key(const char *type, OSSL_PARAM_BLD *builder, EVP_PKEY **ret_key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    bool good = context && parameters && EVP_PKEY_fromdata_init(context) == 1 &&
                EVP_PKEY_fromdata(context, ret_key, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(context);
    CELLA_ENSURE(good, BAD_FIELD);
    return CELLA_OK;
}

static void free_builder(OSSL_PARAM_BLD **builder)
{
    OSSL_PARAM_BLD_free(*builder);
}

static void free_number(BIGNUM **number)
{
    BN_free(*number);
}

static cella_result read_rsa(const json_t *jwk, EVP_PKEY **ret_key, struct cella_error *error)
{
    uint8_t bytes[PARAMETER_MAX + 4];
    size_t size;
    CELLA_CLEANUP(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    CELLA_ENSURE(builder, OUT_OF_MEMORY);
    CELLA_TRY(read_parameter(jwk, "n", bytes, &size, error));
    CELLA_CLEANUP(free_number) BIGNUM *n = BN_bin2bn(bytes, (int)size, NULL);
    CELLA_TRY(read_parameter(jwk, "e", bytes, &size, error));
    CELLA_CLEANUP(free_number) BIGNUM *e = BN_bin2bn(bytes, (int)size, NULL);
    CELLA_ENSURE(n && e, OUT_OF_MEMORY);
    if (BN_num_bits(n) < JOSE_RSA_BITS_MIN || BN_num_bits(n) > JOSE_RSA_BITS_MAX ||
        BN_num_bits(e) > 64 || !BN_is_odd(e) || BN_is_one(e)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "an RSA key of %d bits; expected 2048 to 8192, and an odd exponent",
                               BN_num_bits(n));
    }
    CELLA_ENSURE(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                     OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1,
                 OUT_OF_MEMORY);
    return build_key("RSA", builder, ret_key);
}

static cella_result read_ec(const json_t *jwk, EVP_PKEY **ret_key, struct cella_error *error)
{
    uint8_t bytes[PARAMETER_MAX + 4];
    uint8_t point[65] = {4};
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    static const char *const names[] = {"x", "y"};

    if (!curve || strcmp(curve, "P-256") != 0) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED), "a key's curve is not P-256");
    }
    for (unsigned i = 0; i < 2; i++) {
        size_t size;
        CELLA_TRY(read_parameter(jwk, names[i], bytes, &size, error));
        if (size != 32) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "a key's %s is not of 32 bytes",
                                   names[i]);
        }
        memcpy(point + 1 + 32 * i, bytes, 32);
    }
    CELLA_CLEANUP(free_builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    CELLA_ENSURE(builder, OUT_OF_MEMORY);
    CELLA_ENSURE(OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) ==
                         1 &&
                     OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                      sizeof(point)) == 1,
                 OUT_OF_MEMORY);
    if (!cella_is_ok(build_key("EC", builder, ret_key))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "a key's point is not on the curve");
    }
    return CELLA_OK;
}

static cella_result read_parameters(const json_t *jwk, EVP_PKEY **ret_key,
                                    struct cella_error *error)
{
    const char *type = json_string_value(json_object_get(jwk, "kty"));
    if (type && strcmp(type, "RSA") == 0) {
        return json_object_get(jwk, "n") ? read_rsa(jwk, ret_key, error) : CELLA_OK;
    }
    if (type && strcmp(type, "EC") == 0) {
        return json_object_get(jwk, "x") ? read_ec(jwk, ret_key, error) : CELLA_OK;
    }
    return type ? cella_error_set(error, CELLA_RESULT(UNSUPPORTED), "kty '%.32s'", type) : CELLA_OK;
}

cella_result jose_key_read(const json_t *jwk, EVP_PKEY **ret_key, struct cella_error *error)
{
    CELLA_CLEANUP(jose_key_done) EVP_PKEY *key = NULL;
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *chain = NULL;

    if (!json_is_object(jwk)) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "a key is not a JSON object");
    }
    CELLA_TRY(read_parameters(jwk, &key, error));
    CELLA_TRY(jose_chain(jwk, &chain, error));
    if (chain) {
        EVP_PKEY *certified = X509_get0_pubkey(sk_X509_value(chain, 0));
        if (!certified || (key && EVP_PKEY_eq(key, certified) != 1)) {
            return cella_error_set(error, CELLA_RESULT(WRONG_KEY),
                                   "a key is not the one of its certificate");
        }
        if (!key) {
            EVP_PKEY_up_ref(certified);
            key = certified;
        }
    }
    if (!key || jose_key_algorithm(key) == JOSE_NONE) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "a key is neither RSA from 2048 bits nor P-256");
    }
    *ret_key = CELLA_TAKE(key);
    return CELLA_OK;
}

cella_result jose_certificate_id(X509 *certificate, char *out)
{
    uint8_t digest[32];
    unsigned size = 0;
    CELLA_ENSURE(X509_digest(certificate, EVP_sha256(), digest, &size) == 1, CRYPTO);
    base64url_encode(cella_bytes_of(digest, sizeof(digest)), out);
    return CELLA_OK;
}

static bool write_number(json_t *jwk, const char *name, EVP_PKEY *key, const char *parameter,
                         int size)
{
    uint8_t bytes[PARAMETER_MAX];
    char text[BASE64_ROOM(PARAMETER_MAX)];
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(key, parameter, &number) != 1) {
        return false;
    }
    size = size ? size : BN_num_bytes(number);
    bool good = size <= PARAMETER_MAX && BN_bn2binpad(number, bytes, size) == size;
    BN_free(number);
    base64url_encode(cella_bytes_of(bytes, (size_t)size), text);
    return good && json_object_set_new(jwk, name, json_string(text)) == 0;
}

static bool write_chain(json_t *jwk, X509 *certificate)
{
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);
    if (size <= 0) {
        return false;
    }
    char *text = malloc(BASE64_ROOM((size_t)size));
    if (text) {
        base64_encode(cella_bytes_of(der, (size_t)size), text);
    }
    OPENSSL_free(der);
    bool good = text && json_object_set_new(jwk, "x5c", json_pack("[s]", text)) == 0;
    free(text);
    return good;
}

json_t *jose_key_write(EVP_PKEY *key, const char *kid, X509 *certificate)
{
    bool rsa = jose_key_algorithm(key) == JOSE_RS256;
    json_t *jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", rsa ? "RSA" : "EC", "use", "sig", "alg",
                            jose_algorithm_name(jose_key_algorithm(key)), "kid", kid);
    bool good = jwk != NULL;
    if (rsa) {
        good = good && write_number(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0) &&
               write_number(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else {
        good = good && json_object_set_new(jwk, "crv", json_string("P-256")) == 0 &&
               write_number(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32) &&
               write_number(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    }
    good = good && (!certificate || write_chain(jwk, certificate));
    if (!good) {
        json_decref(jwk);
        return NULL;
    }
    return jwk;
}
