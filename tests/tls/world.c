/*
 * A software platform, its collateral, and enclaves that need not run.
 * Side: tests.
 */
#include "tests/tls/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct platform_options g_options = {
    .created = WORLD_CREATED,
    .fmspc = PLATFORM_FMSPC,
    .cpu_svn = {1, 2},
    .components = {1, 2},
    .pce_svn = 300,
    .sgx_type = 1,
};

static struct cella_span span_of(const struct platform_blob *blob)
{
    return (struct cella_span){blob->data, blob->size};
}

static void collateral_make(struct world *world, const char *status)
{
    struct platform_tcb_level level = {
        .pce_svn = g_options.pce_svn, .date = WORLD_CREATED, .status = status};
    memcpy(level.components, g_options.components, sizeof(level.components));
    const struct platform_collateral_options options = {
        .issued = WORLD_CREATED + WORLD_DAY,
        .next_update = WORLD_CREATED + 30 * WORLD_DAY,
        .qe = world->qe,
        .tcb_levels = &level,
        .tcb_level_count = 1,
    };
    assert_true(
        cella_is_ok(platform_collateral_make(world->platform, &options, &world->collateral, NULL)));
    world->endorsements = (struct cella_tls_endorsements){
        .tcb_info = span_of(&world->collateral.tcb_info),
        .tcb_info_chain = span_of(platform_tcb_chain(world->platform)),
        .pck_crl = span_of(&world->collateral.pck_crl_der),
        .root_ca_crl = span_of(&world->collateral.root_ca_crl_der),
        .pck_crl_chain = span_of(platform_pck_ca_chain(world->platform)),
        .qe_identity = span_of(&world->collateral.qe_identity),
        .qe_identity_chain = span_of(platform_tcb_chain(world->platform)),
    };
}

void world_init(struct world *world, const char *status)
{
    struct platform_options options = g_options;
    memset(world, 0, sizeof(*world));
    memset(options.seed, 7, sizeof(options.seed));
    assert_true(cella_is_ok(platform_new(&options, &world->platform, NULL)));
    world->qe = (struct platform_qe){
        .isv_prod_id = 1,
        .isv_svn = 3,
        .misc_mask = UINT32_MAX,
        .attributes = {.flags = 0x11, .xfrm = 3},
        .attribute_mask = {.flags = 0xFFFFFFFFFFFFFFFBull, .xfrm = 0},
    };
    memset(world->qe.mr_signer, 0x51, 32);
    memset(world->mr_enclave, 0xE1, 32);
    memset(world->mr_signer, 0x5E, 32);
    collateral_make(world, status);
    assert_true(cella_is_ok(
        cella_roots_add(&world->roots, span_of(platform_pem(world->platform, PLATFORM_ROOT)))));
    cella_evidence_policy_init(&world->policy);
    const struct cella_collateral_item items[] = {
        {.name = "tcb info", .bytes = world->endorsements.tcb_info},
        {.name = "tcb chain", .bytes = world->endorsements.tcb_info_chain},
        {.name = "pck crl", .bytes = world->endorsements.pck_crl},
        {.name = "root crl", .bytes = world->endorsements.root_ca_crl},
        {.name = "pck ca chain", .bytes = world->endorsements.pck_crl_chain},
        {.name = "qe identity", .bytes = world->endorsements.qe_identity},
    };
    world->memory = malloc(CELLA_EVIDENCE_PREPARED_SIZE);
    assert_non_null(world->memory);
    assert_true(cella_is_ok(
        cella_evidence_prepare(items, sizeof(items) / sizeof(items[0]), NULL, &world->roots,
                               world->memory, CELLA_EVIDENCE_PREPARED_SIZE, &world->prepared)));
    world->verifier = (struct cella_tls_verifier){
        .policy = &world->policy, .prepared = world->prepared, .time = world_time};
}

void world_done(struct world *world)
{
    cella_evidence_prepared_done(world->prepared);
    free(world->memory);
    platform_collateral_done(&world->collateral);
    platform_free(world->platform);
}

cella_result world_quote(void *context, const uint8_t data[64], void *out, size_t out_capacity,
                         size_t *ret_size)
{
    struct world *world = context;
    struct sgx_report_body body = {.attributes = {.flags = world->debug ? 0x7 : 0x5, .xfrm = 3}};
    const struct platform_forgery forgery = {
        .body = &body, .qe = world->qe, .qe_svn = 3, .pce_svn = g_options.pce_svn};
    struct platform_blob quote;
    memcpy(body.cpu_svn, g_options.cpu_svn, sizeof(body.cpu_svn));
    memcpy(body.mr_enclave, world->mr_enclave, 32);
    memcpy(body.mr_signer, world->mr_signer, 32);
    memcpy(body.report_data, data, 64);
    CELLA_TRY(platform_forge_quote(world->platform, &forgery, &quote, NULL));
    *ret_size = quote.size;
    const bool fits = quote.size <= out_capacity;
    if (fits) {
        memcpy(out, quote.data, quote.size);
        world->quotes++;
    }
    platform_blob_done(&quote);
    CELLA_ENSURE(fits, BUFFER_TOO_SMALL);
    return CELLA_OK;
}

EVP_PKEY *world_key(void)
{
    EVP_PKEY *key = NULL;
    assert_true(cella_is_ok(cella_tls_key_new(&key)));
    return key;
}

int64_t world_time(void)
{
    return WORLD_NOW;
}

X509 *world_certificate(struct world *world, uint32_t forms, EVP_PKEY *key)
{
    const struct cella_tls_identity_options options = {
        .quote = world_quote,
        .quote_context = world,
        .forms = forms,
        .valid_from = WORLD_NOW - 600,
        .valid_until = WORLD_NOW + WORLD_DAY,
    };
    X509 *certificate = NULL;
    const cella_result result = cella_tls_certificate_new(&options, key, &certificate);
    if (!cella_is_ok(result)) {
        fail_msg("certificate: %s", cella_result_name(result));
    }
    return certificate;
}
