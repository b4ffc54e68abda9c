/*
 * The evidence verifier against what libcrypto takes for the ECDSA verifications that it must do, in the same run.
 * Side: host (bench). Called by bench/run. Prints `name value goal ok|short`; never fails by a time.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cella/evidence.h"
#include "platform/platform.h"

#define ROUNDS 40
#define COUNT 40
#define DAY 86400
#define CREATED 1750000000
#define ITEMS 6

struct bench {
    struct platform *platform;
    struct platform_collateral collateral;
    struct platform_blob quote;
    struct cella_roots roots;
    struct cella_evidence_policy policy;
    struct cella_collateral_item items[ITEMS + 1];
    void *memory, *scratch;
    struct cella_evidence_result *result;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); /* others on the machine do not count */
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void report(const char *name, double value, double goal)
{
    printf("%-28s %8.3f <=%-7g %s\n", name, value, goal, value <= goal ? "ok" : "short");
    fflush(stdout);
}

static void must(cella_result result, const char *what)
{
    if (!cella_is_ok(result)) {
        fprintf(stderr, "bench: evidence: %s: %s\n", what, cella_result_text(result));
        exit(1);
    }
}

static struct cella_span span_of(const struct platform_blob *blob)
{
    return (struct cella_span){.data = blob->data, .size = blob->size};
}

static void collateral_make(struct bench *bench, const struct platform_qe *qe)
{
    struct platform_collateral_options options = {
        .issued = CREATED + DAY, .next_update = CREATED + 30 * DAY, .qe = *qe};
    must(platform_collateral_make(bench->platform, &options, &bench->collateral, NULL),
         "collateral");
    const struct cella_collateral_item items[] = {
        {.name = "tcb info", .bytes = span_of(&bench->collateral.tcb_info)},
        {.name = "qe identity", .bytes = span_of(&bench->collateral.qe_identity)},
        {.name = "tcb chain", .bytes = span_of(platform_tcb_chain(bench->platform))},
        {.name = "root crl", .bytes = span_of(&bench->collateral.root_ca_crl_der)},
        {.name = "pck crl", .bytes = span_of(&bench->collateral.pck_crl_der)},
        {.name = "pck ca chain", .bytes = span_of(platform_pck_ca_chain(bench->platform))},
        {.name = "pck chain", .bytes = span_of(platform_pck_chain(bench->platform))},
    };
    memcpy(bench->items, items, sizeof(items));
}

static void bench_init(struct bench *bench)
{
    struct platform_options options = {
        .created = CREATED, .fmspc = PLATFORM_FMSPC, .cpu_svn = {1}, .components = {1}};
    struct platform_qe qe = {.isv_prod_id = 1, .isv_svn = 3, .attributes = {.flags = 0x11}};
    struct sgx_report_body body = {.attributes = {.flags = 0x5, .xfrm = 3}};
    qe.attribute_mask.flags = 0xFFFFFFFFFFFFFFFBull;
    must(platform_new(&options, &bench->platform, NULL), "platform");
    collateral_make(bench, &qe);
    const struct platform_forgery forgery = {.body = &body, .qe = qe};
    must(platform_forge_quote(bench->platform, &forgery, &bench->quote, NULL), "quote");
    must(cella_roots_add(&bench->roots, span_of(platform_pem(bench->platform, PLATFORM_ROOT))),
         "root");
    cella_evidence_policy_init(&bench->policy);
    bench->memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE);
    bench->scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    bench->result = malloc(sizeof(*bench->result));
    if (!bench->memory || !bench->scratch || !bench->result) {
        exit(1);
    }
}

static struct cella_prepared *prepare(struct bench *bench, size_t items)
{
    struct cella_prepared *prepared = NULL;
    must(cella_evidence_prepare(bench->items, items, NULL, &bench->roots, bench->memory,
                                CELLA_EVIDENCE_PREPARED_SIZE, &prepared),
         "preparing");
    return prepared;
}

static void verify(struct bench *bench, const struct cella_prepared *prepared)
{
    must(cella_evidence_verify(span_of(&bench->quote), prepared, CREATED + 2 * DAY, &bench->policy,
                               bench->scratch, CELLA_EVIDENCE_SCRATCH_SIZE, bench->result),
         bench->result->failure_count ? bench->result->failures[0].text : "verifying");
}

/* One ECDSA P-256 verification with a key and context that are there already. */
static double ecdsa(void)
{
    uint8_t digest[32] = {1};
    uint8_t signature[80];
    size_t size = sizeof(signature);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool is_ok = EVP_PKEY_sign_init(context) > 0 &&
                 EVP_PKEY_sign(context, signature, &size, digest, sizeof(digest)) > 0 &&
                 EVP_PKEY_verify_init(context) > 0;
    double since = now();
    for (int i = 0; i < COUNT && is_ok; i++) {
        is_ok = EVP_PKEY_verify(context, signature, size, digest, sizeof(digest)) == 1;
    }
    double seconds = (now() - since) / COUNT;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return is_ok ? seconds : 0;
}

/* Seconds of hashing all that is signed, once. */
static double hashing(const struct bench *bench)
{
    uint8_t digest[32];
    double since = now();
    for (int i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < ITEMS; j++) {
            EVP_Digest(bench->items[j].bytes.data, bench->items[j].bytes.size, digest, NULL,
                       EVP_sha256(), NULL);
        }
        EVP_Digest(bench->quote.data, bench->quote.size, digest, NULL, EVP_sha256(), NULL);
    }
    return (now() - since) / COUNT;
}

static double cached(struct bench *bench, size_t items)
{
    struct cella_prepared *prepared = prepare(bench, items);
    double since = now();
    for (int i = 0; i < COUNT; i++) {
        verify(bench, prepared);
    }
    double seconds = (now() - since) / COUNT;
    cella_evidence_prepared_done(prepared);
    return seconds;
}

static double cold(struct bench *bench)
{
    double since = now();
    for (int i = 0; i < COUNT / 4; i++) {
        struct cella_prepared *prepared = prepare(bench, ITEMS);
        verify(bench, prepared);
        cella_evidence_prepared_done(prepared);
    }
    return (now() - since) / (COUNT / 4);
}

/* The best of some rounds: caches that others have filled only make it slower. */
static double least(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

int main(void)
{
    static struct bench bench;
    double one = 0;
    double hash = 0;
    double platform = 0;
    double known = 0;
    double all = 0;
    bench_init(&bench);
    for (int i = 0; i < ROUNDS; i++) {
        one = least(one, ecdsa());
        hash = least(hash, hashing(&bench));
        platform = least(platform, cached(&bench, ITEMS));
        known = least(known, cached(&bench, ITEMS + 1));
        all = least(all, cold(&bench));
    }
    /* Collateral known: PCK certificate, QE report, quote. PCK certificate known too: the last two. */
    report("evidence/verify_cached", platform / (3 * one), 1.3);
    report("evidence/verify_cached_pck", known / (2 * one), 1.3);
    report("evidence/verify_cold", (all - hash) / one, 12);
    printf("# %-26s %8.1f us\n", "evidence/ecdsa", one * 1e6);
    printf("# %-26s %8.1f us\n", "evidence/cached", platform * 1e6);
    printf("# %-26s %8.1f us\n", "evidence/cached_pck", known * 1e6);
    printf("# %-26s %8.1f us\n", "evidence/cold", all * 1e6);
    return 0;
}
