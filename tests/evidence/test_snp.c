/*
 * SEV-SNP reports: each check turned on by one change; every byte of a report; policy.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "tests/evidence/maker.h"

#define CELLA_STEP_ACCEPTED CELLA_STEP_COUNT

struct world {
    struct snp_spec spec;
    struct snp_made made;
    struct cella_roots roots;
    struct cella_evidence_policy policy;
    void *memory, *scratch;
    struct cella_prepared *prepared;
    struct cella_evidence_result *result;
};

static size_t items_list(const struct world *world, struct cella_collateral_item items[4])
{
    size_t count = 0;
    if (!world->spec.has_table) {
        items[count++] =
            (struct cella_collateral_item){.name = "vek", .bytes = blob_span(&world->made.vek)};
        items[count++] =
            (struct cella_collateral_item){.name = "ask", .bytes = blob_span(&world->made.ask)};
        if (!world->spec.no_ark) {
            items[count++] =
                (struct cella_collateral_item){.name = "ark", .bytes = blob_span(&world->made.ark)};
        }
    }
    if (world->spec.has_crl) {
        items[count++] =
            (struct cella_collateral_item){.name = "crl", .bytes = blob_span(&world->made.crl)};
    }
    return count;
}

static void world_make(struct world *world)
{
    struct cella_collateral_item items[4];
    snp_make(&world->spec, &world->made);
    size_t count = items_list(world, items);
    cella_evidence_policy_init(&world->policy);
    assert_true(cella_is_ok(cella_roots_add(&world->roots, blob_span(&world->made.ark))));
    world->roots.keys[0].certificate_sha256[0] ^=
        world->spec.version % 2; /* both ways of knowing a root */
    if (world->spec.ark_untrusted) {
        world->roots.count = 0;
    }
    world->memory = aligned_alloc(16, CELLA_EVIDENCE_PREPARED_SIZE);
    world->scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    world->result = malloc(sizeof(*world->result));
    assert_true(world->memory && world->scratch && world->result);
    assert_true(
        cella_is_ok(cella_evidence_prepare(items, count, NULL, &world->roots, world->memory,
                                           CELLA_EVIDENCE_PREPARED_SIZE, &world->prepared)));
}

static void world_done(struct world *world)
{
    cella_evidence_prepared_done(world->prepared);
    snp_made_done(&world->made);
    free(world->memory);
    free(world->scratch);
    free(world->result);
}

static cella_result world_verify(struct world *world)
{
    return cella_evidence_verify(blob_span(&world->made.report), world->prepared, MAKER_NOW,
                                 &world->policy, world->scratch, CELLA_EVIDENCE_SCRATCH_SIZE,
                                 world->result);
}

struct snp_case {
    const char *name;
    enum cella_snp_product product;
    unsigned version;
    enum cella_evidence_step step;
    enum cella_tcb_status status;
    void (*change)(struct snp_spec *s);
};

#define X(name, product, version, step, status, ...)                                               \
    static void change_##name(struct snp_spec *s)                                                  \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
#include "tests/evidence/snp_cases.def"
#undef X

static const struct snp_case g_cases[] = {
#define X(name, product, version, step, status, ...)                                               \
    {#name, CELLA_SNP_##product, version, CELLA_STEP_##step, CELLA_TCB_##status, change_##name},
#include "tests/evidence/snp_cases.def"
#undef X
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(g_cases); i++) {
        struct world world = {0};
        snp_spec_init(&world.spec, g_cases[i].product, g_cases[i].version);
        g_cases[i].change(&world.spec);
        world_make(&world);
        cella_result verdict = world_verify(&world);
        const struct cella_evidence_result *result = world.result;
        enum cella_evidence_step step =
            result->failure_count ? result->failures[0].step : CELLA_STEP_ACCEPTED;
        if (step != g_cases[i].step || result->status != g_cases[i].status) {
            fail_msg("%s: step %s, status %s: %s", g_cases[i].name, cella_evidence_step_name(step),
                     cella_tcb_status_name(result->status),
                     result->failure_count ? result->failures[0].text : "accepted");
        }
        assert_int_equal(result->accepted, cella_is_ok(verdict));
        world_done(&world);
    }
}

static void test_claims(void **state)
{
    (void)state;
    struct world world = {0};
    snp_spec_init(&world.spec, CELLA_SNP_TURIN, 5);
    world.spec.vmpl = 2;
    world_make(&world);
    assert_true(cella_is_ok(world_verify(&world)));
    const struct cella_snp_claims *snp = &world.result->claims.snp;
    assert_int_equal(snp->product, CELLA_SNP_TURIN);
    assert_int_equal(snp->reported_tcb.fmc, 2);
    assert_int_equal(snp->reported_tcb.bootloader, 4);
    assert_int_equal(snp->reported_tcb.snp, 24);
    assert_int_equal(snp->reported_tcb.microcode, 219);
    assert_int_equal(snp->guest_svn, 5);
    assert_int_equal(snp->vmpl, 2);
    assert_int_equal(world.result->claims.measurement.size, 48);
    assert_int_equal(world.result->claims.measurement.data[0], 0x3E);
    assert_false(world.result->revocation_checked);
    world_done(&world);
}

/* A bit of every byte flipped. All of a report is signed or has to be zero. */
static void test_flip(void **state)
{
    (void)state;
    struct world world = {0};
    snp_spec_init(&world.spec, CELLA_SNP_MILAN, 3);
    world_make(&world);
    for (size_t i = 0; i < world.made.report.size; i++) {
        world.made.report.data[i] ^= (uint8_t)(1u << (i % 8));
        if (cella_is_ok(world_verify(&world))) {
            fail_msg("byte %zu changed, and accepted", i);
        }
        world.made.report.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    assert_true(cella_is_ok(world_verify(&world)));
    world_done(&world);
}

static void test_truncated(void **state)
{
    (void)state;
    struct world world = {0};
    snp_spec_init(&world.spec, CELLA_SNP_GENOA, 3);
    world.spec.has_table = true;
    world_make(&world);
    size_t whole = world.made.report.size;
    for (size_t size = 0; size < whole; size += 61) {
        uint8_t *copy = malloc(size + (size == 0));
        memcpy(copy, world.made.report.data, size);
        cella_result verdict = cella_evidence_verify(
            (struct cella_span){.data = copy, .size = size}, world.prepared, MAKER_NOW,
            &world.policy, world.scratch, CELLA_EVIDENCE_SCRATCH_SIZE, world.result);
        assert_false(cella_is_ok(verdict));
        free(copy);
    }
    world_done(&world);
}

static void test_policy(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum cella_evidence_step step;
    } cases[] = {
        {"{\"min_snp_tcb\":{\"bootloader\":4,\"snp\":24,\"microcode\":219}}", CELLA_STEP_ACCEPTED},
        {"{\"min_snp_tcb\":{\"bootloader\":5}}", CELLA_STEP_TCB_STATUS},
        {"{\"min_snp_tcb\":{\"microcode\":220}}", CELLA_STEP_TCB_STATUS},
        {"{\"max_vmpl\":1}", CELLA_STEP_ACCEPTED},
        {"{\"max_vmpl\":0}", CELLA_STEP_PLATFORM_POLICY},
        {"{\"require_snp_crl\":true}", CELLA_STEP_SNP_CRL},
        {"{\"refuse_snp_smt\":true}", CELLA_STEP_PLATFORM_POLICY},
        {"{\"refuse_migration_agent\":true}", CELLA_STEP_ACCEPTED},
        {"{\"min_svn\":5}", CELLA_STEP_ACCEPTED},
        {"{\"min_svn\":6}", CELLA_STEP_SVN},
        {"{\"product_id\":0}", CELLA_STEP_PRODUCT},
        {"{\"host_data\":\"40\"}", CELLA_STEP_PLATFORM_POLICY},
        {"{\"accept_status\":[\"UpToDate\"]}", CELLA_STEP_TCB_STATUS},
        {"{\"tees\":[\"snp\"]}", CELLA_STEP_ACCEPTED},
    };
    struct world world = {0};
    snp_spec_init(&world.spec, CELLA_SNP_MILAN, 3);
    world.spec.vmpl = 1;
    world_make(&world);
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        struct cella_evidence_failure failure;
        cella_evidence_policy_init(&world.policy);
        struct cella_span json = {.data = (const uint8_t *)cases[i].json,
                                  .size = strlen(cases[i].json)};
        assert_true(cella_is_ok(cella_evidence_policy_parse(&world.policy, json, &failure)));
        cella_ignore(world_verify(&world));
        enum cella_evidence_step first =
            world.result->failure_count ? world.result->failures[0].step : CELLA_STEP_ACCEPTED;
        if (first != cases[i].step) {
            fail_msg("%s: %s", cases[i].json, cella_evidence_step_name(first));
        }
    }
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),  cmocka_unit_test(test_claims),
        cmocka_unit_test(test_flip),   cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
