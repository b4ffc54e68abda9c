/*
 * The service's signing keys: made, kept, published, rotated.
 * Side: services. Called by the handlers and the clock's tick. A private key leaves the process only into the database.
 *
 * A new key is published at once and signs key_overlap_seconds later, when relying parties have had time to fetch it; an
 * old one stays published until the last token it signed has expired.
 */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "services/attestd/place.h"
#include "services/common/log.h"

#define DAY 86400

/* One rotation at a time: the clock's, and those that administrators ask for on several threads. */
static pthread_mutex_t g_rotation = PTHREAD_MUTEX_INITIALIZER;

static void key_done(struct signing_key *key)
{
    EVP_PKEY_free(key->key);
    X509_free(key->certificate);
    *key = (struct signing_key){0};
}

static cella_result key_insert(struct attestd *attestd, const struct signing_key *key,
                               struct cella_bytes private)
{
    uint8_t *kept = NULL;
    uint8_t *der = NULL;
    size_t size = 0;
    int der_size = i2d_X509(key->certificate, &der);
    CELLA_ENSURE(der_size > 0, OUT_OF_MEMORY);
    cella_result result = place_keep(private, key->kid, &kept, &size);
    if (cella_is_ok(result)) {
        database_lock(&attestd->database);
        result =
            database_run(&attestd->database,
                         "INSERT INTO keys(kid, private, certificate, created, active_from) "
                         "VALUES(?1, ?2, ?3, ?4, ?5)",
                         "tbbii", key->kid, cella_bytes_of(kept, size),
                         cella_bytes_of(der, (size_t)der_size), key->created, key->active_from);
        database_unlock(&attestd->database);
        OPENSSL_secure_clear_free(kept, size);
    }
    OPENSSL_free(der);
    return result;
}

static cella_result key_store(struct attestd *attestd, const struct signing_key *key)
{
    BIO *pem = BIO_new(BIO_s_secmem());
    char *text = NULL;
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    if (pem && PEM_write_bio_PKCS8PrivateKey(pem, key->key, NULL, NULL, 0, NULL, NULL) == 1) {
        long size = BIO_get_mem_data(pem, &text);
        result = key_insert(attestd, key, cella_bytes_of(text, (size_t)size));
    }
    BIO_free(pem);
    return result;
}

static cella_result key_make(struct attestd *attestd, int64_t active_from,
                             struct signing_key *ret_key)
{
    struct signing_key key = {.created = time_now(), .active_from = active_from};
    key.key = attestd->settings->signing_algorithm == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    int64_t days = (int64_t)attestd->settings->key_days * 2 + 30;
    cella_result result = CELLA_RESULT(CRYPTO);
    if (key.key) {
        result = place_certify(attestd->issuer, key.key, key.created - 300,
                               key.created + days * DAY, &key.certificate);
    }
    if (cella_is_ok(result)) {
        result = jose_certificate_id(key.certificate, key.kid);
    }
    if (cella_is_ok(result)) {
        result = key_store(attestd, &key);
    }
    if (!cella_is_ok(result)) {
        key_done(&key);
        return result;
    }
    *ret_key = key;
    return CELLA_OK;
}

static cella_result key_open(struct cella_bytes kept, const char *kid, EVP_PKEY **ret_key)
{
    uint8_t *pem = NULL;
    size_t size = 0;
    CELLA_TRY(place_open(kept, kid, &pem, &size));
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    *ret_key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    OPENSSL_secure_clear_free(pem, size);
    CELLA_ENSURE(*ret_key, BAD_FIELD);
    return CELLA_OK;
}

/* AUTH_FAILED: of another enclave, as an earlier version of this one. */
static cella_result key_read(sqlite3_stmt *statement, struct signing_key *ret_key)
{
    struct signing_key key = {0};
    const uint8_t *der = sqlite3_column_blob(statement, 2);
    const char *kid = (const char *)sqlite3_column_text(statement, 0);
    CELLA_ENSURE(kid && strlen(kid) < sizeof(key.kid), BAD_FIELD);
    CELLA_TRY(key_open(cella_bytes_of(sqlite3_column_blob(statement, 1),
                                      (size_t)sqlite3_column_bytes(statement, 1)),
                       kid, &key.key));
    key.certificate = d2i_X509(NULL, &der, sqlite3_column_bytes(statement, 2));
    if (!key.certificate || X509_check_private_key(key.certificate, key.key) != 1) {
        key_done(&key);
        return CELLA_RESULT(BAD_FIELD);
    }
    strcpy(key.kid, kid);
    key.created = sqlite3_column_int64(statement, 3);
    key.active_from = sqlite3_column_int64(statement, 4);
    *ret_key = key;
    return CELLA_OK;
}

static cella_result keys_load(struct attestd *attestd)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    CELLA_TRY(database_prepare(&attestd->database, &statement,
                               "SELECT kid, private, certificate, created, active_from FROM keys "
                               "ORDER BY created, active_from",
                               ""));
    cella_result result = CELLA_OK;
    while (cella_is_ok(result) && row && attestd->key_count < KEYS_MAX) {
        result = database_step(statement, &row);
        if (cella_is_ok(result) && row) {
            result = key_read(statement, &attestd->keys[attestd->key_count]);
            attestd->key_count += cella_is_ok(result);
            if (result.code == CELLA_CODE_AUTH_FAILED) {
                log_say(LOG_WARNING, "key_foreign", "%s is of another enclave",
                        (const char *)sqlite3_column_text(statement, 0));
                result = CELLA_OK;
            }
        }
    }
    database_statement_done(&statement);
    return result;
}

/* With the lock held for writing. */
static cella_result publish(struct attestd *attestd)
{
    json_t *list = json_array();
    for (size_t i = 0; i < attestd->key_count && list; i++) {
        const struct signing_key *key = &attestd->keys[i];
        json_t *jwk = jose_key_write(key->key, key->kid, key->certificate);
        if (!jwk || json_array_append_new(list, jwk) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    json_t *set = list ? json_pack("{s:o}", "keys", list) : NULL;
    char *text = set ? json_dumps(set, JSON_COMPACT) : NULL;
    json_decref(set);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    free(attestd->jwks);
    attestd->jwks = text;
    return CELLA_OK;
}

/* Forgets keys whose last token has expired: the one before a key that is active for that long. */
static void forget_old(struct attestd *attestd, int64_t now)
{
    while (attestd->key_count > 1 && attestd->keys[1].active_from + TOKEN_SECONDS < now) {
        database_lock(&attestd->database);
        cella_result result = database_run(&attestd->database, "DELETE FROM keys WHERE kid = ?1",
                                           "t", attestd->keys[0].kid);
        database_unlock(&attestd->database);
        if (!cella_is_ok(result)) {
            return;
        }
        log_say(LOG_INFO, "key_forgotten", "%s", attestd->keys[0].kid);
        key_done(&attestd->keys[0]);
        attestd->key_count--;
        memmove(&attestd->keys[0], &attestd->keys[1],
                attestd->key_count * sizeof(attestd->keys[0]));
    }
}

/* With g_rotation held: nobody else adds or forgets keys meanwhile. */
static cella_result rotate(struct attestd *attestd, bool at_once, struct cella_error *error)
{
    cella_result result = CELLA_OK;
    int64_t now = time_now();
    pthread_rwlock_rdlock(&attestd->key_lock);
    size_t count = attestd->key_count;
    int64_t newest = count ? attestd->keys[count - 1].created : 0;
    bool old = count > 1 && attestd->keys[1].active_from + TOKEN_SECONDS < now;
    pthread_rwlock_unlock(&attestd->key_lock);
    bool due = count == 0 || at_once || newest + (int64_t)attestd->settings->key_days * DAY <= now;
    if (!due && !old) {
        return CELLA_OK;
    }
    if (due && count == KEYS_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%u keys are published; wait until old ones have expired", KEYS_MAX);
    }
    struct signing_key key = {0};
    if (due) {
        int64_t from = count ? now + (int64_t)attestd->settings->key_overlap_seconds : 0;
        CELLA_TRY(key_make(attestd, from, &key));
        log_say(LOG_INFO, "key_made", "%s, signs from %lld", key.kid, (long long)from);
    }
    pthread_rwlock_wrlock(&attestd->key_lock);
    if (due) {
        attestd->keys[attestd->key_count++] = key;
    }
    forget_old(attestd, now);
    result = publish(attestd);
    pthread_rwlock_unlock(&attestd->key_lock);
    return result;
}

cella_result keys_rotate(struct attestd *attestd, bool at_once, struct cella_error *error)
{
    pthread_mutex_lock(&g_rotation);
    const cella_result result = rotate(attestd, at_once, error);
    pthread_mutex_unlock(&g_rotation);
    return result;
}

cella_result keys_open(struct attestd *attestd, struct cella_error *error)
{
    pthread_rwlock_init(&attestd->key_lock, NULL);
    cella_result result = keys_load(attestd);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "the signing keys cannot be read");
    }
    CELLA_TRY(publish(attestd));
    return keys_rotate(attestd, false, error);
}

void keys_close(struct attestd *attestd)
{
    for (size_t i = 0; i < attestd->key_count; i++) {
        key_done(&attestd->keys[i]);
    }
    free(attestd->jwks);
    pthread_rwlock_destroy(&attestd->key_lock);
}

/* The newest key that signs already; with the lock held. */
static const struct signing_key *current(const struct attestd *attestd)
{
    int64_t now = time_now();
    size_t at = attestd->key_count;
    while (at > 1 && attestd->keys[at - 1].active_from > now) {
        at--;
    }
    return &attestd->keys[at - 1];
}

cella_result keys_sign(struct attestd *attestd, const json_t *claims, bool is_signed,
                       char **ret_token)
{
    char *payload = json_dumps(claims, JSON_COMPACT);
    CELLA_ENSURE(payload, OUT_OF_MEMORY);
    EVP_PKEY *key = NULL;
    json_t *header = NULL;
    if (is_signed) {
        char url[512];
        snprintf(url, sizeof(url), "%s/certs", attestd->issuer);
        pthread_rwlock_rdlock(&attestd->key_lock);
        const struct signing_key *signer = current(attestd);
        key = signer->key;
        EVP_PKEY_up_ref(key);
        header = json_pack("{s:s, s:s, s:s, s:s}", "alg", "", "jku", url, "kid", signer->kid, "typ",
                           "JWT");
        pthread_rwlock_unlock(&attestd->key_lock);
    } else {
        header = json_pack("{s:s, s:s}", "alg", "none", "typ", "JWT");
    }
    cella_result result =
        header ? jose_sign(key, header, cella_bytes_of(payload, strlen(payload)), ret_token)
               : CELLA_RESULT(OUT_OF_MEMORY);
    EVP_PKEY_free(key);
    json_decref(header);
    free(payload);
    return result;
}
