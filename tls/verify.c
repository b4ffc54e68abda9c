/*
 * Checks certificates that carry evidence: which form, that the evidence names the certificate's key, dates, policy.
 * Side: both. Called by applications and by tls/context.c.
 * Never believes the certificate's names or issuer; a certificate with evidence of no accepted form is refused.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "tls/extension.h"
#include "tls/key.h"
#include "tls/message.h"

/* One look at one certificate. */
struct look {
    X509 *certificate;
    const struct cella_tls_verifier *verifier;
    struct cella_tls_peer *peer;
    struct tls_key_text key;
    int64_t now;
};

/* The bytes to hand to the evidence verifier, and what their report data must be. */
struct found {
    struct cella_bytes evidence;
    uint8_t report_data[32];
};

__attribute__((format(printf, 3, 4))) static cella_result
refuse(const struct look *look, cella_result result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(look->peer->reason, sizeof(look->peer->reason), format, arguments);
    va_end(arguments);
    return result;
}

static bool digest(uint64_t algorithm, struct cella_bytes data, uint8_t *out, size_t *ret_size)
{
    const EVP_MD *method = algorithm == TLS_SHA256   ? EVP_sha256()
                           : algorithm == TLS_SHA384 ? EVP_sha384()
                           : algorithm == TLS_SHA512 ? EVP_sha512()
                                                     : NULL;
    unsigned size = 0;
    if (!method || EVP_Digest(data.data, data.size, out, &size, method, NULL) != 1) {
        return false;
    }
    *ret_size = size;
    return true;
}

static CELLA_MUST_USE cella_result sha256(struct cella_bytes data, uint8_t out[32])
{
    size_t size;
    uint8_t hash[EVP_MAX_MD_SIZE];
    CELLA_ENSURE(digest(TLS_SHA256, data, hash, &size) && size == 32, CRYPTO);
    memcpy(out, hash, 32);
    return CELLA_OK;
}

static bool same(struct cella_bytes a, const void *data, size_t size)
{
    return a.size == size && (size == 0 || CRYPTO_memcmp(a.data, data, size) == 0);
}

/* ------------------------------------------------------------------------- the forms */

static CELLA_MUST_USE cella_result interoperable_read(const struct look *look,
                                                      struct cella_bytes value, struct found *found)
{
    struct tls_message message;
    uint8_t hash[EVP_MAX_MD_SIZE];
    size_t size;
    cella_result result = tls_message_parse(value, &message);
    if (!cella_is_ok(result)) {
        return refuse(look, result, "the evidence extension is not 60000([quote, claims]): %s",
                      cella_result_text(result));
    }
    if (!digest(message.hash, cella_bytes_of(look->key.der, look->key.der_size), hash, &size)) {
        return refuse(look, CELLA_RESULT(UNSUPPORTED),
                      "the claims name the key by hash algorithm %llu; 1, 7 and 8 are known",
                      (unsigned long long)message.hash);
    }
    if (!same(message.key_hash, hash, size)) {
        return refuse(look, CELLA_RESULT(WRONG_KEY),
                      "the claims name another key than the certificate has");
    }
    if (message.has_nonce) {
        look->peer->nonce = (struct cella_span){message.nonce.data, message.nonce.size};
    }
    found->evidence = message.quote;
    return sha256(message.claims, found->report_data);
}

static CELLA_MUST_USE cella_result quote_read(const struct look *look, struct cella_bytes value,
                                              struct found *found)
{
    found->evidence = value;
    return sha256(cella_bytes_of(look->key.der, look->key.der_size), found->report_data);
}

/* Open Enclave takes the PEM text with the zero behind it; without it is the same key. */
static CELLA_MUST_USE cella_result oe_evidence_read(const struct look *look,
                                                    struct cella_bytes value, struct found *found)
{
    struct cella_evidence_claims claims;
    struct cella_evidence_failure failure;
    const cella_result result =
        cella_evidence_parse((struct cella_span){value.data, value.size}, &claims, &failure);
    if (!cella_is_ok(result)) {
        return refuse(look, result, "the evidence extension: %s", failure.text);
    }
    const struct cella_bytes named =
        cella_bytes_of(claims.custom_claims.data, claims.custom_claims.size);
    if (!same(named, look->key.pem, look->key.pem_size) &&
        !same(named, look->key.pem, look->key.pem_size - 1)) {
        return refuse(look, CELLA_RESULT(WRONG_KEY),
                      "the custom claims are not the certificate's public key in PEM");
    }
    found->evidence = value;
    return sha256(named, found->report_data);
}

static CELLA_MUST_USE cella_result oe_report_read(const struct look *look, struct cella_bytes value,
                                                  struct found *found)
{
    found->evidence = value;
    return sha256(cella_bytes_of(look->key.pem, look->key.pem_size), found->report_data);
}

typedef cella_result (*form_read_fn)(const struct look *look, struct cella_bytes value,
                                     struct found *found);

/* In order of preference. */
static const struct {
    enum tls_extension extension;
    enum cella_tls_form form;
    form_read_fn read;
} g_forms[] = {
    {TLS_EXTENSION_EVIDENCE, CELLA_TLS_INTEROPERABLE, interoperable_read},
    {TLS_EXTENSION_OE_EVIDENCE, CELLA_TLS_OPEN_ENCLAVE, oe_evidence_read},
    {TLS_EXTENSION_OE_EVIDENCE_OLD, CELLA_TLS_OPEN_ENCLAVE, oe_evidence_read},
    {TLS_EXTENSION_QUOTE, CELLA_TLS_GRAMINE, quote_read},
    {TLS_EXTENSION_QUOTE_PLAIN, CELLA_TLS_GRAMINE, quote_read},
    {TLS_EXTENSION_OE_REPORT, CELLA_TLS_OPEN_ENCLAVE_REPORT, oe_report_read},
    {TLS_EXTENSION_OE_REPORT_OLD, CELLA_TLS_OPEN_ENCLAVE_REPORT, oe_report_read},
};

static CELLA_MUST_USE cella_result evidence_find(const struct look *look, struct found *found)
{
    const uint32_t accepted = look->verifier->forms ? look->verifier->forms : CELLA_TLS_ANY;
    struct cella_bytes value;
    for (size_t i = 0; i < sizeof(g_forms) / sizeof(g_forms[0]); i++) {
        if (!(accepted & g_forms[i].form)) {
            continue;
        }
        const cella_result result =
            tls_extension_find(look->certificate, g_forms[i].extension, &value);
        if (cella_is_ok(result)) {
            look->peer->form = g_forms[i].form;
            return g_forms[i].read(look, value, found);
        }
        if (result.code != CELLA_CODE_NOT_FOUND) {
            return refuse(look, result, "the certificate has an evidence extension twice");
        }
    }
    return refuse(look, CELLA_RESULT(NOT_FOUND),
                  "the certificate carries no evidence of a form that is accepted here");
}

/* ------------------------------------------------------------------------- collateral */

struct prepared {
    void *memory;
    struct cella_prepared *own; /* NULL: the verifier's */
    const struct cella_prepared *use;
    struct cella_span evidence;
};

static void prepared_done(struct prepared *prepared)
{
    if (prepared->own) {
        cella_evidence_prepared_done(prepared->own);
    }
    free(prepared->memory);
}

/* From the certificate's own endorsements. Their signatures are checked as all collateral's; the roots are ours. */
static CELLA_MUST_USE cella_result endorsements_use(const struct look *look,
                                                    struct prepared *prepared)
{
    static const char *const names[TLS_ENDORSEMENTS] = {
        "endorsed TCB info",          "endorsed TCB info chain", "endorsed PCK CRL",
        "endorsed root CA CRL",       "endorsed PCK CRL chain",  "endorsed QE identity",
        "endorsed QE identity chain",
    };
    struct cella_bytes value, parts[TLS_ENDORSEMENTS];
    struct cella_collateral_item items[TLS_ENDORSEMENTS];
    size_t count = 0;
    cella_result result = tls_extension_find(look->certificate, TLS_EXTENSION_ENDORSEMENTS, &value);
    if (cella_is_ok(result)) {
        result = tls_endorsements_parse(value, parts);
        if (!cella_is_ok(result)) {
            return refuse(look, result, "the endorsements extension: %s",
                          cella_result_text(result));
        }
        for (size_t i = 0; i < TLS_ENDORSEMENTS; i++) {
            if (parts[i].size > 0) {
                items[count++] = (struct cella_collateral_item){
                    .name = names[i], .bytes = {parts[i].data, parts[i].size}};
            }
        }
    }
    prepared->memory = malloc(CELLA_EVIDENCE_PREPARED_SIZE);
    CELLA_ENSURE(prepared->memory != NULL, OUT_OF_MEMORY);
    CELLA_TRY(cella_evidence_prepare(items, count, &prepared->evidence, look->verifier->roots,
                                     prepared->memory, CELLA_EVIDENCE_PREPARED_SIZE,
                                     &prepared->own));
    prepared->use = prepared->own;
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result collateral_get(const struct look *look,
                                                  struct prepared *prepared)
{
    const struct cella_tls_verifier *verifier = look->verifier;
    if (verifier->prepared) {
        prepared->use = verifier->prepared;
        return CELLA_OK;
    }
    if (!verifier->collateral) {
        return endorsements_use(look, prepared);
    }
    const cella_result result =
        verifier->collateral(verifier->collateral_context, prepared->evidence, &prepared->use);
    return cella_is_ok(result) ? CELLA_OK
                               : refuse(look, result, "no collateral for this evidence: %s",
                                        cella_result_text(result));
}

/* ------------------------------------------------------------------------- the checks */

static int64_t seconds_of(const ASN1_TIME *time)
{
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    const bool good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    return good ? (int64_t)days * 86400 + seconds : INT64_MIN;
}

/* The certificate is a statement of its key: who has not the key has not made its dates. */
static CELLA_MUST_USE cella_result certificate_check(const struct look *look, EVP_PKEY *key)
{
    const int64_t from = seconds_of(X509_get0_notBefore(look->certificate));
    const int64_t until = seconds_of(X509_get0_notAfter(look->certificate));
    const bool own = X509_verify(look->certificate, key) == 1;
    if (!own && !look->verifier->allow_issued) {
        return refuse(look, CELLA_RESULT(BAD_SIGNATURE),
                      "the certificate's signature is not its key's");
    }
    if (from == INT64_MIN || until == INT64_MIN || look->now < from || look->now > until) {
        return refuse(look, CELLA_RESULT(ACCESS_DENIED), "the certificate is %s",
                      look->now < from ? "not valid yet" : "not valid any more");
    }
    if (look->verifier->max_age && (!own || look->now - from > look->verifier->max_age)) {
        return refuse(look, CELLA_RESULT(ACCESS_DENIED),
                      own ? "stale: the certificate is %lld seconds old, at most %lld are accepted"
                          : "stale: a certificate that its key has not signed does not say its age",
                      (long long)(look->now - from), (long long)look->verifier->max_age);
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result nonce_check(const struct look *look)
{
    const struct cella_span nonce = look->peer->nonce;
    if (look->verifier->nonce && !same(cella_bytes_of(nonce.data, nonce.size),
                                       look->verifier->nonce, look->verifier->nonce_size)) {
        return refuse(look, CELLA_RESULT(ACCESS_DENIED), "stale: the evidence has %s",
                      nonce.size ? "another nonce" : "no nonce");
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result evidence_check(const struct look *look,
                                                  const struct found *found)
{
    struct cella_evidence_policy policy = *look->verifier->policy;
    struct cella_evidence_result *evidence = &look->peer->evidence;
    CELLA_CLEANUP(prepared_done)
    struct prepared prepared = {.evidence = {found->evidence.data, found->evidence.size}};
    CELLA_TRY(collateral_get(look, &prepared));
    memcpy(policy.report_data.data, found->report_data, sizeof(found->report_data));
    policy.report_data.size = sizeof(found->report_data);
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    CELLA_ENSURE(scratch != NULL, OUT_OF_MEMORY);
    const cella_result result =
        cella_evidence_verify(prepared.evidence, prepared.use, look->now, &policy, scratch,
                              CELLA_EVIDENCE_SCRATCH_SIZE, evidence);
    free(scratch);
    if (!cella_is_ok(result) && evidence->failure_count > 0) {
        const struct cella_evidence_failure *failure = &evidence->failures[0];
        return refuse(look, result, "%s: %s: %s", cella_evidence_step_name(failure->step),
                      failure->object, failure->text);
    }
    return result;
}

static CELLA_MUST_USE cella_result look_at(struct look *look)
{
    struct found found;
    EVP_PKEY *key = X509_get0_pubkey(look->certificate);
    if (!key) {
        return refuse(look, CELLA_RESULT(BAD_FIELD), "the certificate's key cannot be read");
    }
    CELLA_TRY(tls_key_text(key, &look->key));
    CELLA_TRY(evidence_find(look, &found));
    CELLA_TRY(certificate_check(look, key));
    CELLA_TRY(nonce_check(look));
    return evidence_check(look, &found);
}

cella_result cella_tls_certificate_verify(X509 *certificate,
                                          const struct cella_tls_verifier *verifier,
                                          struct cella_tls_peer *ret_peer)
{
    CELLA_ENSURE(certificate && verifier && verifier->policy && ret_peer &&
                     (verifier->nonce || verifier->nonce_size == 0),
                 INVALID_ARGUMENT);
    memset(ret_peer, 0, sizeof(*ret_peer));
    struct look look = {.certificate = certificate,
                        .verifier = verifier,
                        .peer = ret_peer,
                        .now = verifier->time ? verifier->time() : (int64_t)time(NULL)};
    ret_peer->result = look_at(&look);
    tls_key_text_done(&look.key);
    if (!cella_is_ok(ret_peer->result) && ret_peer->reason[0] == 0) {
        snprintf(ret_peer->reason, sizeof(ret_peer->reason), "%s",
                 cella_result_text(ret_peer->result));
    }
    return ret_peer->result;
}

/* Of the forms whose binding is in the report data, that is compared here; the others' claims were compared already. */
static bool names_key(const struct found *found)
{
    struct cella_evidence_claims claims;
    return cella_is_ok(cella_evidence_parse(
               (struct cella_span){found->evidence.data, found->evidence.size}, &claims, NULL)) &&
           claims.report_data.size >= sizeof(found->report_data) &&
           memcmp(claims.report_data.data, found->report_data, sizeof(found->report_data)) == 0;
}

cella_result cella_tls_certificate_evidence(X509 *certificate, uint32_t forms,
                                            enum cella_tls_form *ret_form,
                                            struct cella_span *ret_evidence, char *reason)
{
    CELLA_ENSURE(certificate && ret_form && ret_evidence, INVALID_ARGUMENT);
    const struct cella_tls_verifier verifier = {.forms = forms};
    struct cella_tls_peer *peer = calloc(1, sizeof(*peer));
    CELLA_ENSURE(peer != NULL, OUT_OF_MEMORY);
    struct look look = {.certificate = certificate, .verifier = &verifier, .peer = peer};
    struct found found = {0};
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    cella_result result = key ? tls_key_text(key, &look.key) : CELLA_RESULT(BAD_FIELD);
    if (cella_is_ok(result)) {
        result = evidence_find(&look, &found);
        tls_key_text_done(&look.key);
    }
    if (cella_is_ok(result) && !names_key(&found)) {
        result =
            refuse(&look, CELLA_RESULT(WRONG_KEY), "the report data is not the certificate's key");
    }
    if (cella_is_ok(result)) {
        *ret_form = peer->form;
        *ret_evidence = (struct cella_span){found.evidence.data, found.evidence.size};
    } else if (reason) {
        snprintf(reason, CELLA_TLS_REASON_SIZE, "%s",
                 peer->reason[0] ? peer->reason : cella_result_text(result));
    }
    free(peer);
    return result;
}
