/*
 * The Open Enclave verifier with TDX quotes: accepted with their claims, refused when the TCB is revoked.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>

#include "tests/evidence/maker.h"

#define DOCUMENTS 7

static const oe_uuid_t g_tdx = {OE_FORMAT_UUID_TDX_QUOTE_ECDSA};

static void append(struct blob *out, const struct blob *more)
{
    out->data = realloc(out->data, out->size + more->size);
    assert_non_null(out->data);
    memcpy(out->data + out->size, more->data, more->size);
    out->size += more->size;
}

/* tdx_ql_qve_collateral_t: version, TEE, seven pointers with their sizes; the documents follow. */
static struct blob endorsements_make(const struct made *made)
{
    const struct blob *documents[DOCUMENTS][2] = {
        {&made->pem[ROLE_CA], &made->pem[ROLE_ROOT]},
        {&made->root_crl},
        {&made->pck_crl},
        {&made->pem[ROLE_TCB], &made->pem[ROLE_ROOT]},
        {&made->tcb_info},
        {&made->pem[ROLE_TCB], &made->pem[ROLE_ROOT]},
        {&made->qe_identity},
    };
    struct blob out = {.data = calloc(1, 120), .size = 120};
    const uint32_t head[] = {4, 0x81};
    assert_non_null(out.data);
    memcpy(out.data, head, sizeof(head));
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const size_t before = out.size;
        append(&out, documents[i][0]);
        if (documents[i][1]) {
            append(&out, documents[i][1]);
        }
        const uint32_t size = (uint32_t)(out.size - before);
        memcpy(out.data + 16 + 16 * i, &size, sizeof(size));
    }
    return out;
}

/* The root goes the way that it goes for users: a file that the environment names. */
static void root_trust(const struct made *made, char *path)
{
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, made->pem[ROLE_ROOT].data, made->pem[ROLE_ROOT].size),
                     made->pem[ROLE_ROOT].size);
    close(file);
    setenv("CELLA_INSECURE_ROOTS", path, 1);
}

/* The result, and the status among the claims; UINT32_MAX: there are none. */
static oe_result_t verify(const struct spec *spec, uint32_t *ret_status)
{
    static oe_datetime_t at = {2025, 6, 15, 15, 6, 40}; /* MAKER_NOW */
    const oe_policy_t policy = {OE_POLICY_ENDORSEMENTS_TIME, &at, sizeof(at)};
    char path[] = "/tmp/cella-oe-tdx-XXXXXX";
    struct made made;
    oe_claim_t *claims = NULL;
    size_t count = 0;
    make(spec, &made);
    root_trust(&made, path);
    struct blob endorsements = endorsements_make(&made);
    const oe_result_t result =
        oe_verify_evidence(&g_tdx, made.quote.data, made.quote.size, endorsements.data,
                           endorsements.size, &policy, 1, &claims, &count);
    *ret_status = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(claims[i].name, OE_CLAIM_TCB_STATUS) == 0) {
            memcpy(ret_status, claims[i].value, sizeof(*ret_status));
        }
    }
    oe_free_claims(claims, count);
    free(endorsements.data);
    made_done(&made);
    unlink(path);
    return result;
}

static void test_accepts(void **state)
{
    (void)state;
    struct spec spec;
    uint32_t status;
    spec_init(&spec, CELLA_TEE_TDX, 4);
    assert_int_equal(verify(&spec, &status), OE_OK);
    assert_int_equal(status, OE_SGX_TCB_STATUS_UP_TO_DATE);
    spec.qe_svn = 6; /* out of date: the claims say so, and the caller decides */
    assert_int_equal(verify(&spec, &status), OE_OK);
    assert_int_equal(status, OE_SGX_TCB_STATUS_OUT_OF_DATE);
}

static void test_revoked(void **state)
{
    (void)state;
    struct spec spec;
    uint32_t status;
    spec_init(&spec, CELLA_TEE_TDX, 4);
    spec.qe_svn = 5;
    assert_int_equal(verify(&spec, &status), OE_VERIFY_REVOKED);
    assert_int_equal(status, UINT32_MAX);
    spec_init(&spec, CELLA_TEE_TDX, 4);
    for (size_t i = 0; i < spec.level_count; i++) {
        spec.levels[i].status = "Revoked";
    }
    assert_int_equal(verify(&spec, &status), OE_VERIFY_REVOKED);
    assert_int_equal(status, UINT32_MAX);
}

static int setup(void **state)
{
    (void)state;
    return oe_tdx_verifier_initialize() == OE_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepts),
                                       cmocka_unit_test(test_revoked)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
