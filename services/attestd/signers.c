/*
 * Who signs policies: the certificates registered with an isolated service, and the signatures of administrators.
 * Side: services. Called by the handlers. Never trusts a certificate because it came along.
 */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"

#define SIGNERS_MAX 64

static void thumbprint_of(X509 *certificate, char *out)
{
    unsigned char digest[20];
    unsigned size = 0;
    X509_digest(certificate, EVP_sha1(), digest, &size);
    for (unsigned i = 0; i < size; i++) {
        snprintf(out + (size_t)2 * i, 3, "%02X", digest[i]);
    }
}

/* With the database's lock held. */
static cella_result store_signer(struct attestd *attestd, X509 *certificate)
{
    char thumbprint[41] = "";
    uint8_t *der = NULL;
    int size = i2d_X509(certificate, &der);
    CELLA_ENSURE(size > 0, CRYPTO);
    thumbprint_of(certificate, thumbprint);
    cella_result result = database_run(
        &attestd->database, "INSERT OR IGNORE INTO signers(thumbprint, der) VALUES(?1, ?2)", "tb",
        thumbprint, cella_bytes_of(der, (size_t)size));
    OPENSSL_free(der);
    return result;
}

/* All registered certificates; with the lock held. */
static cella_result load_signers(struct attestd *attestd, STACK_OF(X509) * *ret_list)
{
    CELLA_CLEANUP(database_statement_done) sqlite3_stmt *statement = NULL;
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *list = sk_X509_new_null();
    bool row = true;
    CELLA_ENSURE(list, OUT_OF_MEMORY);
    CELLA_TRY(database_prepare(&attestd->database, &statement,
                               "SELECT der FROM signers ORDER BY rowid", ""));
    for (;;) {
        CELLA_TRY(database_step(statement, &row));
        if (!row) {
            break;
        }
        const uint8_t *der = sqlite3_column_blob(statement, 0);
        X509 *certificate = d2i_X509(NULL, &der, sqlite3_column_bytes(statement, 0));
        CELLA_ENSURE(certificate, BAD_FIELD);
        if (sk_X509_push(list, certificate) <= 0) {
            X509_free(certificate);
            return CELLA_RESULT(OUT_OF_MEMORY);
        }
    }
    *ret_list = CELLA_TAKE(list);
    return CELLA_OK;
}

static cella_result signers_of(struct attestd *attestd, STACK_OF(X509) * *ret_list)
{
    database_lock(&attestd->database);
    cella_result result = load_signers(attestd, ret_list);
    database_unlock(&attestd->database);
    return result;
}

static cella_result import(struct attestd *attestd, const char *path, struct cella_error *error)
{
    char *text;
    size_t size;
    CELLA_TRY(file_read(path, 1 << 20, &text, &size, error));
    BIO *bio = BIO_new_mem_buf(text, (int)size);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    free(text);
    if (!certificate || X509_check_ca(certificate) < 1) {
        X509_free(certificate);
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "signer = %s: expected a PEM certificate with basicConstraints CA",
                               path);
    }
    cella_result result = store_signer(attestd, certificate);
    X509_free(certificate);
    return result;
}

cella_result signers_open(struct attestd *attestd, struct cella_error *error)
{
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *list = NULL;
    const struct setting_list *files = &attestd->settings->signer;
    if (attestd->settings->mode != MODE_ISOLATED) {
        return CELLA_OK;
    }
    CELLA_TRY(load_signers(attestd, &list));
    if (sk_X509_num(list) > 0) {
        return CELLA_OK; /* the first ones only begin the list */
    }
    if (files->count == 0) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "mode = isolated needs signer = FILE at its first start");
    }
    for (size_t i = 0; i < files->count; i++) {
        CELLA_TRY(import(attestd, files->items[i], error));
    }
    return CELLA_OK;
}

/* -------------------------------------------------------------------- signatures */

struct cella_bytes body_token(const struct http_exchange *exchange)
{
    struct cella_bytes body = http_body(exchange);
    static const char around[] = " \t\r\n\"";
    while (body.size && memchr(around, body.data[0], sizeof(around) - 1)) {
        body.data++;
        body.size--;
    }
    while (body.size && memchr(around, body.data[body.size - 1], sizeof(around) - 1)) {
        body.size--;
    }
    return body;
}

/* The certificates and the key that a header offers: x5c, or jwk with or without x5c. */
static cella_result offered(const json_t *header, STACK_OF(X509) * *ret_chain, EVP_PKEY **ret_key,
                            struct cella_error *error)
{
    const json_t *jwk = json_object_get(header, "jwk");
    CELLA_TRY(jose_chain(header, ret_chain, error));
    if (*ret_chain) {
        *ret_key = X509_get_pubkey(sk_X509_value(*ret_chain, 0));
        return *ret_key ? CELLA_OK
                        : cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                          "the key of the first certificate cannot be used");
    }
    if (!jwk) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the header has neither x5c nor jwk: the signer is not known");
    }
    CELLA_TRY(jose_chain(jwk, ret_chain, error));
    return jose_key_read(jwk, ret_key, error);
}

static bool chain_is_registered(STACK_OF(X509) * chain, STACK_OF(X509) * registered)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool good = store && context;
    for (int i = 0; good && i < sk_X509_num(registered); i++) {
        good = X509_STORE_add_cert(store, sk_X509_value(registered, i)) == 1;
    }
    good = good && X509_STORE_CTX_init(context, store, sk_X509_value(chain, 0), chain) == 1;
    if (good) {
        X509_STORE_CTX_set_flags(context, X509_V_FLAG_PARTIAL_CHAIN);
        good = X509_verify_cert(context) == 1;
    }
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

/* By its chain, or, without certificates, by the key alone. */
static bool is_registered(struct attestd *attestd, STACK_OF(X509) * chain, EVP_PKEY *key)
{
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *registered = NULL;
    if (!cella_is_ok(signers_of(attestd, &registered))) {
        return false;
    }
    if (chain) {
        return chain_is_registered(chain, registered);
    }
    for (int i = 0; i < sk_X509_num(registered); i++) {
        if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(registered, i)), key) == 1) {
            return true;
        }
    }
    return false;
}

static json_t *signer_json(STACK_OF(X509) * chain, EVP_PKEY *key)
{
    X509 *certificate = chain ? sk_X509_value(chain, 0) : NULL;
    char kid[KID_SIZE] = "policy-signer";
    if (certificate && !cella_is_ok(jose_certificate_id(certificate, kid))) {
        return NULL;
    }
    json_t *jwk = jose_key_write(key, kid, certificate);
    if (jwk) { /* clients look for the key's members, the documents describe a member "jwk" */
        json_object_set_new(jwk, "jwk", json_deep_copy(jwk));
    }
    return jwk;
}

bool require_signed(struct http_exchange *exchange, struct attestd *attestd, const char *text,
                    size_t size, struct jose_jws *ret_jws, json_t **ret_signer)
{
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *chain = NULL;
    CELLA_CLEANUP(jose_key_done) EVP_PKEY *key = NULL;
    struct cella_error error = {0};
    struct jose_jws jws = {0};
    bool isolated = attestd->settings->mode == MODE_ISOLATED;

    *ret_signer = NULL;
    cella_result result = jose_parse(text, size, true, &jws, &error);
    if (!cella_is_ok(result)) {
        reply_error(exchange, 400, "InvalidParameter", "the body is not a JSON Web Signature: %s",
                    error.text);
        return false;
    }
    if (jws.algorithm != JOSE_NONE) {
        result = offered(jws.header, &chain, &key, &error);
        if (cella_is_ok(result)) {
            result = jose_verify(&jws, key);
        }
        if (!cella_is_ok(result)) {
            reply_error(exchange, 400, "InvalidParameter", "the signature of the body: %s",
                        error.text[0] ? error.text : cella_result_text(result));
            jose_done(&jws);
            return false;
        }
        *ret_signer = signer_json(chain, key);
    }
    if (isolated && (!key || !is_registered(attestd, chain, key))) {
        reply_error(exchange, 400, "InvalidOperation",
                    key ? "the signer is not registered with this isolated service"
                        : "an isolated service takes only what a registered signer has signed");
        json_decref(*ret_signer);
        jose_done(&jws);
        return false;
    }
    *ret_jws = jws;
    return true;
}

/* ---------------------------------------------------------------------- handlers */

static json_t *signers_json(STACK_OF(X509) * list)
{
    json_t *keys = json_array();
    for (int i = 0; i < sk_X509_num(list); i++) {
        X509 *certificate = sk_X509_value(list, i);
        char kid[KID_SIZE] = "";
        json_t *jwk = NULL;
        if (cella_is_ok(jose_certificate_id(certificate, kid))) {
            jwk = jose_key_write(X509_get0_pubkey(certificate), kid, certificate);
        }
        json_array_append_new(keys, jwk);
    }
    return json_pack("{s:{s:o}}", "x-ms-policy-certificates", "keys", keys);
}

void handle_signers_get(struct http_exchange *exchange, void *context)
{
    struct attestd *attestd = context;
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *list = NULL;
    if (!require_admin(exchange, attestd) || !require_version(exchange)) {
        return;
    }
    cella_result result = signers_of(attestd, &list);
    if (!cella_is_ok(result)) {
        reply_error(exchange, 500, "InternalError", "the signers could not be read: %s",
                    cella_result_text(result));
        return;
    }
    reply_token(exchange, attestd, signers_json(list), true);
}

/* The certificate in a body that was checked. */
static X509 *certificate_of(const struct jose_jws *jws, struct cella_error *error)
{
    CELLA_CLEANUP(jose_json_done)
    json_t *body =
        json_loadb((const char *)jws->payload, jws->payload_size, JSON_REJECT_DUPLICATES, NULL);
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *chain = NULL;
    const json_t *jwk = json_object_get(body, "policyCertificate");
    jwk = jwk ? jwk : json_object_get(body, "maa-policyCertificate");
    if (!json_is_object(jwk) || !cella_is_ok(jose_chain(jwk, &chain, error)) || !chain) {
        if (error->text[0] == 0) {
            cella_ignore(cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                         "expected policyCertificate: a JWK with x5c"));
        }
        return NULL;
    }
    X509 *certificate = sk_X509_value(chain, 0);
    X509_up_ref(certificate);
    return certificate;
}

static cella_result add_signer(struct attestd *attestd, X509 *certificate,
                               struct cella_error *error)
{
    if (X509_check_ca(certificate) < 1) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the certificate has no basicConstraints that make it a CA");
    }
    if (jose_key_algorithm(X509_get0_pubkey(certificate)) == JOSE_NONE) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the certificate's key is neither RSA from 2048 bits nor P-256");
    }
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *list = NULL;
    CELLA_TRY(load_signers(attestd, &list));
    if (sk_X509_num(list) >= SIGNERS_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%d signers are registered",
                               SIGNERS_MAX);
    }
    return store_signer(attestd, certificate);
}

static cella_result remove_signer(struct attestd *attestd, X509 *certificate,
                                  struct cella_error *error)
{
    CELLA_CLEANUP(jose_chain_done) STACK_OF(X509) *list = NULL;
    char thumbprint[41] = "";
    CELLA_TRY(load_signers(attestd, &list));
    if (sk_X509_num(list) == 1 && X509_cmp(sk_X509_value(list, 0), certificate) == 0) {
        return cella_error_set(error, CELLA_RESULT(WRONG_STATE),
                               "the last signer cannot be removed: nobody could change anything");
    }
    thumbprint_of(certificate, thumbprint);
    return database_run(&attestd->database, "DELETE FROM signers WHERE thumbprint = ?1", "t",
                        thumbprint);
}

static void change(struct http_exchange *exchange, struct attestd *attestd, bool add)
{
    struct cella_bytes body = body_token(exchange);
    struct jose_jws jws = {0};
    struct cella_error error = {0};
    json_t *signer = NULL;
    if (!require_admin(exchange, attestd) || !require_version(exchange)) {
        return;
    }
    if (attestd->settings->mode != MODE_ISOLATED) {
        reply_error(exchange, 400, "InvalidOperation",
                    "only an isolated service has policy signers; this one's mode is aad");
        return;
    }
    if (!require_signed(exchange, attestd, (const char *)body.data, body.size, &jws, &signer)) {
        return;
    }
    json_decref(signer);
    X509 *certificate = certificate_of(&jws, &error);
    jose_done(&jws);
    cella_result result = CELLA_RESULT(BAD_FIELD);
    if (certificate) {
        database_lock(&attestd->database);
        result = add ? add_signer(attestd, certificate, &error)
                     : remove_signer(attestd, certificate, &error);
        database_unlock(&attestd->database);
    }
    if (cella_is_ok(result)) {
        char thumbprint[41] = "";
        thumbprint_of(certificate, thumbprint);
        reply_token(exchange, attestd,
                    json_pack("{s:s, s:s}", "x-ms-certificate-thumbprint", thumbprint,
                              "x-ms-policycertificates-result", add ? "IsPresent" : "IsAbsent"),
                    true);
    } else if (error.text[0]) {
        reply_error(exchange, 400, "InvalidParameter", "%s", error.text);
    } else {
        reply_error(exchange, 500, "InternalError", "the signers could not be changed: %s",
                    cella_result_text(result));
    }
    X509_free(certificate);
}

void handle_signers_add(struct http_exchange *exchange, void *context)
{
    change(exchange, context, true);
}

void handle_signers_remove(struct http_exchange *exchange, void *context)
{
    change(exchange, context, false);
}
