/*
 * Collateral for the verifier: from directories, and from a cache service that speaks the PCCS protocol.
 * Side: services. Called by services/attestd/verify.c. Documents are checked by the verifier, once a set, and never here.
 */
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cella/collateral.h"
#include "common/cleanup.h"
#include "services/attestd/attestd.h"
#include "services/common/fetch.h"
#include "services/common/log.h"

#define ENTRIES_MAX 64u
#define KEY_SIZE 40u
#define MISSING_MAX 64u
#define MISSING_SECONDS 60
#define FETCHES_A_MINUTE 60u

struct collateral_entry {
    _Atomic unsigned references;
    struct cella_collateral_set *set;
    void *memory;
    struct cella_prepared *prepared;
    char key[KEY_SIZE]; /* "" of the directories' */
    int64_t until;      /* when it is fetched again */
    json_t *hashes;     /* x-ms-sgx-collateral but for the quote's; never changed */
};

/* A platform of which upstream had nothing. */
struct missing {
    char key[KEY_SIZE];
    int64_t until;
};

struct collateral_cache {
    pthread_rwlock_t lock;
    struct collateral_entry *base;
    struct collateral_entry *entries[ENTRIES_MAX];
    size_t count;
    pthread_mutex_t fetch_lock; /* one fetch at a time: those who wait find it done */
    /* With fetch_lock: evidence names its platform itself, so whoever sends it must not make us ask without end. */
    struct missing missing[MISSING_MAX];
    size_t missing_next;
    int64_t minute;
    unsigned fetched; /* in that minute */
};

/* ------------------------------------------------------------------------ hashes */

static bool put_hash(json_t *object, const char *name, struct cella_span bytes)
{
    unsigned char digest[32];
    char text[65];
    unsigned size;
    if (EVP_Digest(bytes.data, bytes.size, digest, &size, EVP_sha256(), NULL) != 1) {
        return false;
    }
    for (unsigned i = 0; i < 32; i++) {
        snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    return json_object_set_new(object, name, json_string(text)) == 0;
}

/* Is this the root's own list? By its issuer's name; the verifier has looked at the rest. */
static bool is_root_crl(struct cella_span bytes)
{
    const uint8_t *at = bytes.data;
    X509_CRL *crl = NULL;
    char name[128] = "";
    if (bytes.size > 10 && memcmp(bytes.data, "-----BEGIN", 10) == 0) {
        BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.size);
        crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
    } else {
        crl = d2i_X509_CRL(NULL, &at, (long)bytes.size);
    }
    if (crl) {
        X509_NAME_get_text_by_NID(X509_CRL_get_issuer(crl), NID_commonName, name, sizeof(name));
    }
    X509_CRL_free(crl);
    return strstr(name, "Root") != NULL;
}

/* The first document of each kind. Sets of one platform have one. */
static json_t *hash_set(const struct cella_collateral_set *set)
{
    size_t count = 0;
    const struct cella_collateral_item *items = cella_collateral_set_items(set, &count);
    json_t *hashes = json_object();
    for (size_t i = 0; i < count && hashes; i++) {
        const char *names[2] = {NULL, NULL};
        switch (cella_collateral_recognise(items[i].bytes)) {
        case CELLA_COLLATERAL_TCB_INFO:
            names[0] = "tcbinfohash";
            break;
        case CELLA_COLLATERAL_QE_IDENTITY:
            names[0] = "qeidhash";
            break;
        case CELLA_COLLATERAL_CRL:
            names[0] = is_root_crl(items[i].bytes) ? "qeidcrlhash" : "tcbinfocrlhash";
            break;
        case CELLA_COLLATERAL_CERTIFICATES:
            names[0] = "qeidcertshash";
            names[1] = "tcbinfocertshash";
            break;
        default:
            break;
        }
        for (int j = 0; j < 2; j++) {
            if (names[j] && !json_object_get(hashes, names[j])) {
                put_hash(hashes, names[j], items[i].bytes);
            }
        }
    }
    return hashes;
}

json_t *collateral_hashes(const struct collateral_entry *entry, struct cella_span quote)
{
    json_t *hashes = json_deep_copy(entry->hashes);
    if (hashes && !put_hash(hashes, "quotehash", quote)) {
        json_decref(hashes);
        return NULL;
    }
    return hashes;
}

/* ----------------------------------------------------------------------- entries */

void collateral_put(struct collateral_entry *entry)
{
    if (entry && --entry->references == 0) {
        if (entry->prepared) {
            cella_evidence_prepared_done(entry->prepared);
        }
        cella_collateral_set_free(entry->set);
        free(entry->memory);
        json_decref(entry->hashes);
        free(entry);
    }
}

const struct cella_prepared *collateral_prepared(const struct collateral_entry *entry)
{
    return entry->prepared;
}

/* Takes over the set, also when it fails. */
static cella_result entry_new(struct attestd *attestd, struct cella_collateral_set *set,
                              struct collateral_entry **ret_entry)
{
    struct collateral_entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        cella_collateral_set_free(set);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    entry->references = 1;
    entry->set = set;
    size_t count = 0;
    size_t size = cella_collateral_set_prepared_size(set);
    const struct cella_collateral_item *items = cella_collateral_set_items(set, &count);
    entry->memory = aligned_alloc(16, (size + 15) / 16 * 16);
    entry->hashes = hash_set(set);
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    if (entry->memory && entry->hashes) {
        result = cella_evidence_prepare(items, count, NULL, &attestd->roots, entry->memory, size,
                                        &entry->prepared);
    }
    if (!cella_is_ok(result)) {
        collateral_put(entry);
        return result;
    }
    *ret_entry = entry;
    return CELLA_OK;
}

static cella_result read_directories(const struct attestd *attestd,
                                     struct cella_collateral_set **ret_set,
                                     struct cella_error *error)
{
    const struct setting_list *list = &attestd->settings->collateral;
    struct cella_collateral_set *set = cella_collateral_set_new();
    CELLA_ENSURE(set, OUT_OF_MEMORY);
    for (size_t i = 0; i < list->count; i++) {
        cella_result result = cella_collateral_set_add_directory(set, list->items[i]);
        if (!cella_is_ok(result)) {
            cella_collateral_set_free(set);
            return cella_error_set(error, result, "collateral = %s: %s", list->items[i],
                                   cella_result_text(result));
        }
    }
    *ret_set = set;
    return CELLA_OK;
}

cella_result collateral_reload(struct attestd *attestd, struct cella_error *error)
{
    struct cella_collateral_set *set = NULL;
    struct collateral_entry *entry = NULL;
    struct collateral_cache *cache = attestd->collateral;
    CELLA_TRY(read_directories(attestd, &set, error));
    CELLA_TRY(entry_new(attestd, set, &entry));
    pthread_rwlock_wrlock(&cache->lock);
    struct collateral_entry *old = cache->base;
    cache->base = entry;
    for (size_t i = 0; i < cache->count; i++) {
        cache->entries[i]->until = 0; /* what was fetched had the old directories beside it */
    }
    pthread_rwlock_unlock(&cache->lock);
    collateral_put(old);
    return CELLA_OK;
}

cella_result collateral_open(struct attestd *attestd, struct cella_error *error)
{
    attestd->collateral = calloc(1, sizeof(*attestd->collateral));
    CELLA_ENSURE(attestd->collateral, OUT_OF_MEMORY);
    pthread_rwlock_init(&attestd->collateral->lock, NULL);
    pthread_mutex_init(&attestd->collateral->fetch_lock, NULL);
    return collateral_reload(attestd, error);
}

void collateral_close(struct attestd *attestd)
{
    struct collateral_cache *cache = attestd->collateral;
    if (cache) {
        for (size_t i = 0; i < cache->count; i++) {
            collateral_put(cache->entries[i]);
        }
        collateral_put(cache->base);
        free(cache);
        attestd->collateral = NULL;
    }
}

/* ---------------------------------------------------------------------- fetching */

static const char *const g_chain_headers[] = {
    "TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain", "SGX-Enclave-Identity-Issuer-Chain",
    "SGX-PCK-CRL-Issuer-Chain", "SGX-QE-Identity-Issuer-Chain"};

/* Certificates travel in headers, percent-encoded. */
static void add_header_chain(struct cella_collateral_set *set, const struct fetch_answer *answer)
{
    for (size_t i = 0; i < CELLA_COUNT(g_chain_headers); i++) {
        const char *value = fetch_header(answer, g_chain_headers[i]);
        char *text = value ? strdup(value) : NULL;
        size_t used = 0;
        for (const char *at = value; text && *at; at++) {
            unsigned byte;
            if (*at == '%' && sscanf(at + 1, "%2x", &byte) == 1 && at[1] && at[2]) {
                text[used++] = (char)byte;
                at += 2;
            } else {
                text[used++] = *at;
            }
        }
        if (text) {
            const struct cella_span span = {(const uint8_t *)text, used};
            cella_ignore(cella_collateral_set_add(set, g_chain_headers[i], span, NULL));
        }
        free(text);
    }
}

/* A list in hexadecimal becomes DER, in place: its hash is then that of the list. */
static size_t unhex(char *text, size_t size)
{
    size_t used = 0;
    unsigned byte;
    char pair[3] = "";
    if (size % 2 || strspn(text, "0123456789abcdefABCDEF") != size) {
        return size;
    }
    for (size_t i = 0; i < size; i += 2) {
        memcpy(pair, text + i, 2);
        sscanf(pair, "%2x", &byte);
        text[used++] = (char)byte;
    }
    return used;
}

static cella_result fetch_one(const struct attestd *attestd, const char *base, const char *what,
                              struct cella_collateral_set *set, struct cella_error *error)
{
    const struct fetch_options options = {
        .ca_file = attestd->settings->collateral_ca, .seconds = 10, .size_max = 1 << 20};
    struct fetch_answer answer = {0};
    char url[1024];
    snprintf(url, sizeof(url), "%s/%s", base, what);
    metric_add(&attestd_metrics[METRIC_FETCHES], 1);
    cella_result result = fetch_get(url, &options, &answer, error);
    if (cella_is_ok(result) && answer.status != 200) {
        result =
            cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: status %d", url, answer.status);
    }
    if (cella_is_ok(result)) {
        const struct cella_span body = {(const uint8_t *)answer.body,
                                        unhex(answer.body, answer.size)};
        add_header_chain(set, &answer);
        result = cella_collateral_set_add(set, what, body, NULL);
    }
    fetch_done(&answer);
    return result;
}

struct platform_key {
    char text[KEY_SIZE];
    char fmspc[13];
    const char *ca;
    bool tdx;
};

static cella_result fetch_all(const struct attestd *attestd, const struct platform_key *key,
                              struct cella_collateral_set *set, struct cella_error *error)
{
    char base[512];
    char tee[512];
    char what[64];
    snprintf(base, sizeof(base), "%s", attestd->settings->collateral_url);
    size_t size = strlen(base);
    while (size && base[size - 1] == '/') {
        base[--size] = 0;
    }
    strcpy(tee, base);
    char *sgx = strstr(tee, "/sgx/");
    if (key->tdx && sgx) {
        memcpy(sgx, "/tdx/", 5);
    }
    snprintf(what, sizeof(what), "tcb?fmspc=%s", key->fmspc);
    CELLA_TRY(fetch_one(attestd, tee, what, set, error));
    CELLA_TRY(fetch_one(attestd, tee, "qe/identity", set, error));
    snprintf(what, sizeof(what), "pckcrl?ca=%s&encoding=der", key->ca);
    CELLA_TRY(fetch_one(attestd, base, what, set, error));
    return fetch_one(attestd, base, "rootcacrl", set, error);
}

/* Which platform's collateral this evidence needs. */
static cella_result key_of(struct cella_span evidence, struct platform_key *ret_key)
{
    struct cella_evidence_claims claims;
    struct cella_platform_claims platform;
    struct platform_key key = {0};
    CELLA_TRY(cella_evidence_parse(evidence, &claims, NULL));
    CELLA_ENSURE(claims.tee == CELLA_TEE_SGX || claims.tee == CELLA_TEE_TDX, UNSUPPORTED);
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    CELLA_ENSURE(scratch, OUT_OF_MEMORY);
    cella_result result =
        cella_evidence_platform(evidence, scratch, CELLA_EVIDENCE_SCRATCH_SIZE, &platform);
    free(scratch);
    CELLA_TRY(result);
    for (unsigned i = 0; i < sizeof(platform.fmspc); i++) {
        snprintf(key.fmspc + (size_t)2 * i, 3, "%02x", platform.fmspc[i]);
    }
    key.tdx = claims.tee == CELLA_TEE_TDX;
    key.ca = platform.has_instance_id || platform.has_configuration ? "platform" : "processor";
    snprintf(key.text, sizeof(key.text), "%s-%s-%s", key.tdx ? "tdx" : "sgx", key.fmspc, key.ca);
    *ret_key = key;
    return CELLA_OK;
}

static struct collateral_entry *take(struct collateral_entry *entry)
{
    entry->references++;
    return entry;
}

/* NULL when it is not there or due again. */
static struct collateral_entry *find(struct collateral_cache *cache, const char *key)
{
    struct collateral_entry *found = NULL;
    int64_t now = time_now();
    pthread_rwlock_rdlock(&cache->lock);
    for (size_t i = 0; i < cache->count && !found; i++) {
        if (strcmp(cache->entries[i]->key, key) == 0 && cache->entries[i]->until > now) {
            found = take(cache->entries[i]);
        }
    }
    pthread_rwlock_unlock(&cache->lock);
    return found;
}

/* In the place of the one of the same key, or of the one that is due first. */
static void keep(struct collateral_cache *cache, struct collateral_entry *entry)
{
    size_t place = 0;
    pthread_rwlock_wrlock(&cache->lock);
    for (size_t i = 0; i < cache->count; i++) {
        if (strcmp(cache->entries[i]->key, entry->key) == 0) {
            place = i;
            break;
        }
        place = cache->entries[i]->until < cache->entries[place]->until ? i : place;
        if (i + 1 == cache->count && cache->count < ENTRIES_MAX) {
            place = cache->count;
        }
    }
    struct collateral_entry *old = place < cache->count ? cache->entries[place] : NULL;
    cache->entries[place] = take(entry);
    cache->count += place == cache->count;
    pthread_rwlock_unlock(&cache->lock);
    collateral_put(old);
}

static cella_result fetch_entry(struct attestd *attestd, const struct platform_key *key,
                                struct collateral_entry **ret_entry, struct cella_error *error)
{
    struct cella_collateral_set *set = NULL;
    CELLA_TRY(read_directories(attestd, &set, error));
    cella_result result = fetch_all(attestd, key, set, error);
    if (!cella_is_ok(result)) {
        metric_add(&attestd_metrics[METRIC_FETCH_FAILURES], 1);
        log_say(LOG_WARNING, "collateral", "%s", error->text);
        cella_collateral_set_free(set);
        return result;
    }
    CELLA_TRY(entry_new(attestd, set, ret_entry));
    snprintf((*ret_entry)->key, sizeof((*ret_entry)->key), "%s", key->text);
    (*ret_entry)->until = time_now() + (int64_t)attestd->settings->collateral_seconds;
    return CELLA_OK;
}

/* May upstream be asked for this platform now? With fetch_lock held. */
static cella_result may_fetch(struct collateral_cache *cache, const char *key,
                              struct cella_error *error)
{
    int64_t now = time_now();
    for (size_t i = 0; i < MISSING_MAX; i++) {
        if (cache->missing[i].until > now && strcmp(cache->missing[i].key, key) == 0) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   "there was none for this platform a moment ago");
        }
    }
    if (cache->minute != now / 60) {
        cache->minute = now / 60;
        cache->fetched = 0;
    }
    if (cache->fetched++ >= FETCHES_A_MINUTE) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "too many platforms that are not known yet");
    }
    return CELLA_OK;
}

static void remember_missing(struct collateral_cache *cache, const char *key)
{
    struct missing *place = &cache->missing[cache->missing_next++ % MISSING_MAX];
    snprintf(place->key, sizeof(place->key), "%s", key);
    place->until = time_now() + MISSING_SECONDS;
}

static struct collateral_entry *base_of(struct collateral_cache *cache)
{
    pthread_rwlock_rdlock(&cache->lock);
    struct collateral_entry *entry = take(cache->base);
    pthread_rwlock_unlock(&cache->lock);
    return entry;
}

/* Is it signed, up to one of our roots? Nobody else makes us ask others. */
static bool is_genuine(const struct attestd *attestd, const struct collateral_entry *base,
                       struct cella_span evidence)
{
    struct cella_evidence_result *result = calloc(1, sizeof(*result));
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    bool good = false;
    if (result && scratch) {
        cella_ignore(cella_evidence_verify(evidence, base->prepared, time_now(),
                                           &attestd->evidence_policy, scratch,
                                           CELLA_EVIDENCE_SCRATCH_SIZE, result));
        good = result->steps[CELLA_STEP_QUOTE_SIGNATURE] == CELLA_STEP_PASSED;
    }
    free(scratch);
    free(result);
    return good;
}

cella_result collateral_get(struct attestd *attestd, struct cella_span evidence, bool may_block,
                            struct collateral_entry **ret_entry, struct cella_error *error)
{
    struct collateral_cache *cache = attestd->collateral;
    struct platform_key key;
    /* Evidence that names no platform is refused by the verifier, with its reason. */
    if (!attestd->settings->collateral_url || !cella_is_ok(key_of(evidence, &key))) {
        *ret_entry = base_of(cache);
        return CELLA_OK;
    }
    *ret_entry = find(cache, key.text);
    if (*ret_entry) {
        return CELLA_OK;
    }
    CELLA_ENSURE(may_block, BUSY);
    struct collateral_entry *base = base_of(cache);
    if (!is_genuine(attestd, base, evidence)) {
        *ret_entry = base; /* enough to say why it is refused */
        return CELLA_OK;
    }
    collateral_put(base);
    pthread_mutex_lock(&cache->fetch_lock);
    *ret_entry = find(cache, key.text);
    cella_result result = CELLA_OK;
    if (!*ret_entry) {
        result = may_fetch(cache, key.text, error);
        if (cella_is_ok(result)) {
            result = fetch_entry(attestd, &key, ret_entry, error);
            if (cella_is_ok(result)) {
                keep(cache, *ret_entry);
            } else {
                remember_missing(cache, key.text);
            }
        }
    }
    pthread_mutex_unlock(&cache->fetch_lock);
    return result;
}

cella_result collateral_with(struct attestd *attestd, struct cella_span certificates,
                             struct collateral_entry **ret_entry, struct cella_error *error)
{
    struct cella_collateral_set *set = NULL;
    CELLA_TRY(read_directories(attestd, &set, error));
    cella_result result = cella_collateral_set_add(set, "VcekCertChain", certificates, NULL);
    if (!cella_is_ok(result)) {
        cella_collateral_set_free(set);
        return result;
    }
    return entry_new(attestd, set, ret_entry);
}

/* Adds the number and date of one TCB info, unless the number is there. */
static void add_baseline(json_t *list, struct cella_span document, bool tdx)
{
    json_t *json = json_loadb((const char *)document.data, document.size, 0, NULL);
    const json_t *info = json_object_get(json, "tcbInfo") ? json_object_get(json, "tcbInfo") : json;
    const json_t *number = json_object_get(info, "tcbEvaluationDataNumber");
    const char *date = json_string_value(json_object_get(info, "issueDate"));
    const char *id = json_string_value(json_object_get(info, "id"));
    bool wanted = json_is_integer(number) && date && (id && strcmp(id, "TDX") == 0) == tdx;
    for (size_t i = 0; wanted && i < json_array_size(list); i++) {
        wanted = !json_equal(json_object_get(json_array_get(list, i), "number"), number);
    }
    if (wanted) {
        json_array_append_new(list, json_pack("{s:O, s:s}", "number", number, "date", date));
    }
    json_decref(json);
}

static void add_baselines(json_t *list, const struct collateral_entry *entry, bool tdx)
{
    size_t count = 0;
    const struct cella_collateral_item *items = cella_collateral_set_items(entry->set, &count);
    for (size_t i = 0; i < count; i++) {
        if (cella_collateral_recognise(items[i].bytes) == CELLA_COLLATERAL_TCB_INFO) {
            add_baseline(list, items[i].bytes, tdx);
        }
    }
}

json_t *collateral_baselines(const struct attestd *attestd, bool tdx)
{
    struct collateral_cache *cache = attestd->collateral;
    json_t *list = json_array();
    pthread_rwlock_rdlock(&cache->lock);
    add_baselines(list, cache->base, tdx);
    for (size_t i = 0; i < cache->count; i++) {
        add_baselines(list, cache->entries[i], tdx);
    }
    pthread_rwlock_unlock(&cache->lock);
    return list;
}

json_t *collateral_summary(const struct attestd *attestd)
{
    struct collateral_cache *cache = attestd->collateral;
    size_t count = 0;
    pthread_rwlock_rdlock(&cache->lock);
    const struct cella_collateral_item *items =
        cella_collateral_set_items(cache->base->set, &count);
    json_t *documents = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(documents, json_string(items[i].name));
    }
    json_t *fetched = json_array();
    for (size_t i = 0; i < cache->count; i++) {
        json_array_append_new(fetched, json_string(cache->entries[i]->key));
    }
    pthread_rwlock_unlock(&cache->lock);
    return json_pack("{s:o, s:o}", "documents", documents, "fetched", fetched);
}
