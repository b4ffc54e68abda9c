/*
 * SGX and TDX quotes: each check turned on by one change to good evidence; every byte of a quote; policy.
 * Side: tests.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "tests/evidence/maker.h"

#define THREAD_ROUNDS 60
#define CELLA_STEP_ACCEPTED CELLA_STEP_COUNT

struct world {
    struct spec spec;
    struct made made;
    struct cella_collateral_item items[8];
    size_t item_count;
    struct cella_roots roots;
    struct cella_evidence_policy policy;
    void *memory, *scratch;
    struct cella_prepared *prepared;
    struct cella_evidence_result *result;
};

/* Makes all of the spec and prepares its collateral, with the quote's certificates. */
static void world_make(struct world *world)
{
    make(&world->spec, &world->made);
    world->item_count = made_items(&world->spec, &world->made, world->items);
    cella_evidence_policy_init(&world->policy);
    assert_true(
        cella_is_ok(cella_roots_add(&world->roots, blob_span(&world->made.der[ROLE_ROOT]))));
    if (world->spec.certificates[ROLE_ROOT].is_signature_bad) {
        world->roots.keys[0].certificate_sha256[0] ^=
            1; /* the key is trusted, the certificate unknown */
    }
    world->memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE);
    world->scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    world->result = malloc(sizeof(*world->result));
    assert_true(world->memory && world->scratch && world->result);
    struct cella_span quote = blob_span(&world->made.quote);
    assert_true(cella_is_ok(
        cella_evidence_prepare(world->items, world->item_count, &quote, &world->roots,
                               world->memory, CELLA_EVIDENCE_PREPARED_SIZE, &world->prepared)));
}

static void world_done(struct world *world)
{
    cella_evidence_prepared_done(world->prepared);
    made_done(&world->made);
    free(world->memory);
    free(world->scratch);
    free(world->result);
}

static cella_result world_verify(struct world *world, struct cella_span quote)
{
    return cella_evidence_verify(quote, world->prepared, MAKER_NOW, &world->policy, world->scratch,
                                 CELLA_EVIDENCE_SCRATCH_SIZE, world->result);
}

static void sgx_world(struct world *world)
{
    *world = (struct world){0};
    spec_init(&world->spec, CELLA_TEE_SGX, 3);
    world_make(world);
}

struct dcap_case {
    const char *name;
    enum cella_tee tee;
    unsigned version;
    enum cella_evidence_step step;
    enum cella_tcb_status status;
    void (*change)(struct spec *s);
};

#define X(name, tee, version, step, status, ...)                                                   \
    static void change_##name(struct spec *s)                                                      \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
#include "tests/evidence/dcap_cases.def"
#undef X

static const struct dcap_case g_cases[] = {
#define X(name, tee, version, step, status, ...)                                                   \
    {#name, CELLA_TEE_##tee, version, CELLA_STEP_##step, CELLA_TCB_##status, change_##name},
#include "tests/evidence/dcap_cases.def"
#undef X
};

/* The first failure names the step, an object and a reason; a verdict and the result code agree. */
static void case_check(const struct dcap_case *test, const struct cella_evidence_result *result,
                       cella_result verdict)
{
    const struct cella_evidence_failure *first = &result->failures[0];
    enum cella_evidence_step step = result->failure_count ? first->step : CELLA_STEP_ACCEPTED;
    if (step != test->step || result->status != test->status) {
        fail_msg("%s: step %s, status %s: %s: %s", test->name, cella_evidence_step_name(step),
                 cella_tcb_status_name(result->status), result->failure_count ? first->object : "",
                 result->failure_count ? first->text : "accepted");
    }
    assert_int_equal(result->accepted, test->step == CELLA_STEP_ACCEPTED);
    assert_int_equal(result->accepted, cella_is_ok(verdict));
    if (result->failure_count) {
        assert_true(first->object[0] && first->text[0]);
        assert_int_equal(result->steps[step], CELLA_STEP_FAILED);
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(g_cases); i++) {
        struct world world = {0};
        spec_init(&world.spec, g_cases[i].tee, g_cases[i].version);
        g_cases[i].change(&world.spec);
        world_make(&world);
        cella_result verdict = world_verify(&world, blob_span(&world.made.quote));
        case_check(&g_cases[i], world.result, verdict);
        world_done(&world);
    }
}

/* No root is trusted but the one that was named. */
static void test_foreign_root(void **state)
{
    (void)state;
    struct world world;
    sgx_world(&world);
    cella_evidence_prepared_done(world.prepared);
    assert_true(
        cella_is_ok(cella_evidence_prepare(world.items, world.item_count, NULL, NULL, world.memory,
                                           CELLA_EVIDENCE_PREPARED_SIZE, &world.prepared)));
    assert_false(cella_is_ok(world_verify(&world, blob_span(&world.made.quote))));
    assert_int_equal(world.result->failures[0].step, CELLA_STEP_ROOT_CA);
    world_done(&world);
}

/* Collateral of another platform's CA, well-formed and of the same root or not. */
static void test_mixed_platforms(void **state)
{
    (void)state;
    struct world world;
    struct world other;
    sgx_world(&world);
    sgx_world(&other);
    struct cella_span quote = blob_span(&other.made.quote);
    assert_false(cella_is_ok(world_verify(&world, quote)));
    assert_int_equal(world.result->steps[CELLA_STEP_QUOTE_SIGNATURE], CELLA_STEP_NOT_TAKEN);
    world_done(&world);
    world_done(&other);
}

/* Both worlds' collateral in one set, both roots trusted; `without`: how many of the first's last items are left out. */
static void two_roots_prepare(struct world *world, const struct world *other, size_t without)
{
    struct cella_collateral_item items[16];
    struct cella_span quote = blob_span(&world->made.quote);
    size_t count = world->item_count - without;
    memcpy(items, world->items, count * sizeof(items[0]));
    memcpy(items + count, other->items, other->item_count * sizeof(items[0]));
    cella_evidence_prepared_done(world->prepared);
    assert_true(cella_is_ok(
        cella_evidence_prepare(items, count + other->item_count, &quote, &world->roots,
                               world->memory, CELLA_EVIDENCE_PREPARED_SIZE, &world->prepared)));
}

/* Two trusted roots, with platforms of the same names: neither speaks for the other's. */
static void test_two_roots(void **state)
{
    (void)state;
    struct world world;
    struct world other = {0};
    sgx_world(&world);
    spec_init(&other.spec, CELLA_TEE_SGX, 3);
    other.spec.qe_product = other.spec.identity_product = 9;
    other.spec.tcb.from = other.spec.qe.from = MAKER_NOW; /* newer than ours */
    world_make(&other);
    assert_true(cella_is_ok(cella_roots_add(&world.roots, blob_span(&other.made.der[ROLE_ROOT]))));
    two_roots_prepare(&world, &other, 0);
    assert_true(cella_is_ok(world_verify(&world, blob_span(&world.made.quote))));
    /* without TCB info and QE identity of our own */
    two_roots_prepare(&world, &other, 2);
    assert_false(cella_is_ok(world_verify(&world, blob_span(&world.made.quote))));
    assert_int_equal(world.result->failures[0].step, CELLA_STEP_TCB_SIGNING_CHAIN);
    world_done(&world);
    world_done(&other);
}

/* Offsets of what a quote says: where a byte decides, and where it does not. */
static bool is_white_space(const struct made *made, size_t i)
{
    return made->quote.data[i] == '\n' && i > 700;
}

/* One bit changed in a copy: refused, and said why. */
static void flip_one(struct world *world, struct blob *quote, size_t i, unsigned bit)
{
    quote->data[i] ^= (uint8_t)(1u << bit);
    cella_result verdict = world_verify(world, blob_span(quote));
    quote->data[i] ^= (uint8_t)(1u << bit);
    if (cella_is_ok(verdict) && !is_white_space(&world->made, i)) {
        fail_msg("bit %u of byte %zu of %zu changed, and accepted", bit, i, quote->size);
    }
    assert_true(cella_is_ok(verdict) || world->result->failure_count > 0);
}

/*
 * Bits of every byte flipped: refused, but for line ends between the base64 of certificates. All bits up to the
 * certificates, one bit of each byte from there on.
 */
static void flip_all(enum cella_tee tee, unsigned version)
{
    struct world world = {0};
    spec_init(&world.spec, tee, version);
    world_make(&world);
    /* Prepared collateral keeps pointing to the quote that it was made with: what is changed is a copy. */
    struct blob quote = {.data = malloc(world.made.quote.size), .size = world.made.quote.size};
    assert_non_null(quote.data);
    memcpy(quote.data, world.made.quote.data, quote.size);
    for (size_t i = 0; i < quote.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if (i < 1300 || bit == i % 8) {
                flip_one(&world, &quote, i, bit);
            }
        }
    }
    assert_true(cella_is_ok(world_verify(&world, blob_span(&quote))));
    free(quote.data);
    world_done(&world);
}

static void test_flip_sgx(void **state)
{
    (void)state;
    flip_all(CELLA_TEE_SGX, 3);
}

static void test_flip_tdx(void **state)
{
    (void)state;
    flip_all(CELLA_TEE_TDX, 5);
}

static void test_truncated(void **state)
{
    (void)state;
    struct world world;
    sgx_world(&world);
    struct blob *quote = &world.made.quote;
    for (size_t size = 0; size < quote->size; size += size < 1200 ? 1 : 37) {
        /* A copy of the very size, so that a sanitizer sees one byte too many. */
        uint8_t *copy = malloc(size + (size == 0));
        memcpy(copy, quote->data, size);
        cella_result verdict =
            world_verify(&world, (struct cella_span){.data = copy, .size = size});
        assert_int_equal(cella_result_category(verdict), CELLA_CATEGORY_MALFORMED);
        assert_true(world.result->failures[0].offset <= size);
        free(copy);
    }
    world_done(&world);
}

static void test_padding_policy(void **state)
{
    (void)state;
    struct world world = {0};
    spec_init(&world.spec, CELLA_TEE_SGX, 3);
    world.spec.padding_text = "something else";
    world_make(&world);
    assert_true(cella_is_ok(world_verify(&world, blob_span(&world.made.quote))));
    assert_int_equal(world.result->claims.padding, strlen("something else"));
    assert_false(world.result->claims.is_padding_zero);
    world.policy.refuse_trailing = true;
    assert_false(cella_is_ok(world_verify(&world, blob_span(&world.made.quote))));
    world_done(&world);
}

/* A policy as JSON, and the step that it makes fail; NONE of them: accepted. */
static void policy_check(struct world *world, const char *json, enum cella_evidence_step step)
{
    struct cella_evidence_failure failure;
    cella_evidence_policy_init(&world->policy);
    cella_result parsed = cella_evidence_policy_parse(
        &world->policy, (struct cella_span){.data = (const uint8_t *)json, .size = strlen(json)},
        &failure);
    if (!cella_is_ok(parsed)) {
        fail_msg("%s: byte %llu: %s", json, (unsigned long long)failure.offset, failure.text);
    }
    cella_result verdict = world_verify(world, blob_span(&world->made.quote));
    enum cella_evidence_step first = CELLA_STEP_ACCEPTED;
    for (size_t i = world->result->failure_count; i-- > 0;) {
        first = world->result->failures[i].excused ? first : world->result->failures[i].step;
    }
    if (first != step) {
        fail_msg("%s: %s", json, cella_evidence_step_name(first));
    }
    assert_int_equal(cella_is_ok(verdict), step == CELLA_STEP_ACCEPTED);
}

#define E1 "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1"
#define S51 "5151515151515151515151515151515151515151515151515151515151515151"

static void test_policy(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum cella_evidence_step step;
    } cases[] = {
        {"{}", CELLA_STEP_ACCEPTED},
        {"{\"measurement\":\"" E1 "\",\"signer\":[\"00\",\"" S51
         "\"],\"product_id\":7,\"min_svn\":3}",
         CELLA_STEP_ACCEPTED},
        {"{\"measurement\":\"" S51 "\"}", CELLA_STEP_MEASUREMENT},
        {"{\"signer\":\"" E1 "\"}", CELLA_STEP_SIGNER},
        {"{\"product_id\":8}", CELLA_STEP_PRODUCT},
        {"{\"min_svn\":4}", CELLA_STEP_SVN},
        {"{\"report_data\":\"dd\"}", CELLA_STEP_REPORT_DATA},
        {"{\"accept_status\":[\"SWHardeningNeeded\"]}", CELLA_STEP_TCB_STATUS},
        {"{\"tees\":[\"tdx\",\"snp\"]}", CELLA_STEP_PLATFORM_POLICY},
        {"{\"tees\":[\"sgx\"]}", CELLA_STEP_ACCEPTED},
        {"{\"min_tcb_evaluation_number\":17}", CELLA_STEP_ACCEPTED},
        {"{\"min_tcb_evaluation_number\":18}", CELLA_STEP_PLATFORM_POLICY},
        {"{\"refuse_smt\":true,\"refuse_cached_keys\":true}", CELLA_STEP_ACCEPTED},
        {"{\"refuse_dynamic_platform\":true}", CELLA_STEP_PLATFORM_POLICY},
    };
    struct world world = {0};
    spec_init(&world.spec, CELLA_TEE_SGX, 3);
    world.spec.dynamic_platform = true;
    world_make(&world);
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        policy_check(&world, cases[i].json, cases[i].step);
    }
    world_done(&world);
}

/* A baseline is of all documents: an older QE identity does not pass below it. */
static void test_baseline(void **state)
{
    (void)state;
    struct world world = {0};
    spec_init(&world.spec, CELLA_TEE_SGX, 3);
    world.spec.qe.evaluation = 16;
    world_make(&world);
    policy_check(&world, "{\"min_tcb_evaluation_number\":16}", CELLA_STEP_ACCEPTED);
    policy_check(&world, "{\"min_tcb_evaluation_number\":17}", CELLA_STEP_PLATFORM_POLICY);
    world_done(&world);
}

static void test_policy_bad(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "[]",
        "{\"allow_debugg\":true}",
        "{\"allow_debug\":1}",
        "{\"allow_debug\":true,\"allow_debug\":false}",
        "{\"measurement\":[]}",
        "{\"measurement\":\"abc\"}",
        "{\"measurement\":\"zz\"}",
        "{\"accept_status\":[\"Fine\"]}",
        "{\"min_svn\":-1}",
        "{\"min_svn\":1.5}",
        "{\"product_id\":65536}",
        "{\"max_vmpl\":4}",
        "{\"min_snp_tcb\":{\"other\":1}}",
        "{\"tees\":[]}",
        "{} x",
    };
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        struct cella_evidence_policy policy;
        struct cella_evidence_failure failure;
        cella_evidence_policy_init(&policy);
        struct cella_span json = {.data = (const uint8_t *)cases[i], .size = strlen(cases[i])};
        cella_result result = cella_evidence_policy_parse(&policy, json, &failure);
        if (cella_is_ok(result)) {
            fail_msg("%s was taken", cases[i]);
        }
        assert_true(failure.offset <= json.size && failure.text[0]);
    }
}

/* What policy excuses: a debug enclave and expired collateral, never collateral of the future. */
static void test_excused(void **state)
{
    (void)state;
    struct world world = {0};
    spec_init(&world.spec, CELLA_TEE_SGX, 3);
    world.spec.flags |= 2;
    world.spec.tcb.until = MAKER_NOW - MAKER_DAY;
    world_make(&world);
    policy_check(&world, "{\"allow_debug\":true}", CELLA_STEP_VALIDITY);
    policy_check(&world, "{\"allow_expired\":true}", CELLA_STEP_DEBUG);
    policy_check(&world, "{\"allow_expired\":true,\"allow_debug\":true}", CELLA_STEP_ACCEPTED);
    assert_true(world.result->collateral_expired && world.result->claims.debug);
    assert_int_equal(world.result->steps[CELLA_STEP_VALIDITY], CELLA_STEP_EXCUSED);
    world_done(&world);
    world = (struct world){0};
    spec_init(&world.spec, CELLA_TEE_SGX, 3);
    world.spec.tcb.from = MAKER_NOW + 1;
    world_make(&world);
    policy_check(&world, "{\"allow_expired\":true}", CELLA_STEP_VALIDITY);
    world_done(&world);
}

/* Advisories of all levels that count, each once; dates of all that was used. */
static void test_findings(void **state)
{
    (void)state;
    struct world world = {0};
    spec_init(&world.spec, CELLA_TEE_TDX, 5);
    world.spec.qe_svn = 6;
    world.spec.tee_tcb_svn[0] = 3;
    world.spec.components[0] = 2;
    world_make(&world);
    const struct cella_evidence_result *result = world.result;
    assert_false(cella_is_ok(world_verify(&world, blob_span(&world.made.quote))));
    assert_int_equal(result->advisory_count, 3);
    assert_int_equal(result->qe_status, CELLA_TCB_OUT_OF_DATE);
    assert_int_equal(result->tdx_module_status, CELLA_TCB_OUT_OF_DATE);
    assert_int_equal(result->platform_status, CELLA_TCB_OUT_OF_DATE);
    assert_int_equal(result->tcb_evaluation_number, 17);
    assert_int_equal(result->valid_from, MAKER_NOW - 5 * MAKER_DAY);
    assert_int_equal(result->valid_until, MAKER_NOW + 20 * MAKER_DAY);
    assert_int_equal(result->platform.pce_svn, 11);
    assert_true(result->platform.has_configuration && result->platform.has_instance_id);
    world_done(&world);
}

/* A set of collateral that is kept: the same quote, later, when a list has expired. */
static void test_prepared_is_kept(void **state)
{
    (void)state;
    struct world world;
    sgx_world(&world);
    struct cella_span quote = blob_span(&world.made.quote);
    assert_true(cella_is_ok(world_verify(&world, quote)));
    assert_true(cella_is_ok(world_verify(&world, quote)));
    cella_result later =
        cella_evidence_verify(quote, world.prepared, MAKER_NOW + 21 * MAKER_DAY, &world.policy,
                              world.scratch, CELLA_EVIDENCE_SCRATCH_SIZE, world.result);
    assert_false(cella_is_ok(later));
    assert_int_equal(world.result->failures[0].step, CELLA_STEP_VALIDITY);
    world_done(&world);
}

/* Prepared collateral is only read: threads share it. */
static void *thread_run(void *argument)
{
    struct world *world = argument;
    void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    struct cella_evidence_result *result = malloc(sizeof(*result));
    size_t accepted = 0;
    for (int i = 0; scratch && result && i < THREAD_ROUNDS; i++) {
        accepted += cella_is_ok(
            cella_evidence_verify(blob_span(&world->made.quote), world->prepared, MAKER_NOW,
                                  &world->policy, scratch, CELLA_EVIDENCE_SCRATCH_SIZE, result));
    }
    free(scratch);
    free(result);
    return (void *)accepted;
}

static void test_threads(void **state)
{
    (void)state;
    struct world world;
    pthread_t threads[4];
    sgx_world(&world);
    for (size_t i = 0; i < CELLA_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thread_run, &world), 0);
    }
    for (size_t i = 0; i < CELLA_COUNT(threads); i++) {
        void *accepted;
        assert_int_equal(pthread_join(threads[i], &accepted), 0);
        assert_int_equal((size_t)accepted, THREAD_ROUNDS);
    }
    world_done(&world);
}

static void test_misuse(void **state)
{
    (void)state;
    struct world world;
    struct cella_prepared *prepared;
    sgx_world(&world);
    struct cella_span quote = blob_span(&world.made.quote);
    cella_result result = cella_evidence_prepare(NULL, 0, NULL, NULL, world.scratch, 64, &prepared);
    assert_int_equal(result.code, CELLA_CODE_BUFFER_TOO_SMALL);
    result =
        cella_evidence_prepare(NULL, 0, NULL, NULL, (uint8_t *)world.scratch + 1, 4096, &prepared);
    assert_int_equal(result.code, CELLA_CODE_INVALID_ARGUMENT);
    result = cella_evidence_verify(quote, world.prepared, 0, &world.policy, world.scratch, 64,
                                   world.result);
    assert_int_equal(result.code, CELLA_CODE_BUFFER_TOO_SMALL);
    result = cella_evidence_verify((struct cella_span){0}, world.prepared, 0, &world.policy,
                                   world.scratch, CELLA_EVIDENCE_SCRATCH_SIZE, world.result);
    assert_int_equal(result.code, CELLA_CODE_TRUNCATED);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),           cmocka_unit_test(test_foreign_root),
        cmocka_unit_test(test_mixed_platforms), cmocka_unit_test(test_two_roots),
        cmocka_unit_test(test_flip_sgx),        cmocka_unit_test(test_flip_tdx),
        cmocka_unit_test(test_truncated),       cmocka_unit_test(test_padding_policy),
        cmocka_unit_test(test_policy),          cmocka_unit_test(test_policy_bad),
        cmocka_unit_test(test_baseline),        cmocka_unit_test(test_excused),
        cmocka_unit_test(test_findings),        cmocka_unit_test(test_prepared_is_kept),
        cmocka_unit_test(test_threads),         cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
