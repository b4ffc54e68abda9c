/*
 * EINIT: every check alone and in its order, signatures by Q1 and Q2, launch tokens, what is
 * committed.
 * Side: tests (host).
 */
#include "tests/soft/sdm.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/sigstruct_rsa.h"
#include "soft/keys.h"
#include "tests/soft/signer.h"

static const struct sdm_options plain;

/* AES-128-CMAC by EVP, independent of the processor's. */
static void evp_cmac(const uint8_t key[16], const void *data, size_t size, uint8_t mac[16])
{
    EVP_MAC *method = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(method);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)"AES-128-CBC", 0),
        OSSL_PARAM_construct_end()};
    size_t length = 0;
    assert_int_equal(EVP_MAC_init(context, key, 16, parameters), 1);
    assert_int_equal(EVP_MAC_update(context, data, size), 1);
    assert_int_equal(EVP_MAC_final(context, mac, &length, 16), 1);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(method);
}

static struct soft_control *control_of(struct sdm_call *call)
{
    return call->sdm.e->control;
}

static void einit_prepare(struct sdm_call *call)
{
    static struct sgx_sigstruct once;
    sdm_build(&call->sdm, &plain);
    if (!once.exponent) {
        sdm_sigstruct(&call->sdm, &plain, &once);
    }
    call->sig = once;
    soft_sha256(once.modulus, SGX_RSA_SIZE, (uint8_t *)control_of(call)->einit_msr);
    call->rbx = (uint64_t)(uintptr_t)&call->sig;
    call->rcx = sdm_secs_at(&call->sdm);
    call->rdx = (uint64_t)(uintptr_t)&call->token;
}

/*
 * A launch enclave of signer 1 asks for the EINITTOKEN key as real ones do; the token is MACed with
 * it. MSRs name signer 1 afterwards.
 */
static void launch_key(struct sgx_einittoken *token, uint8_t key[16], uint64_t msr[4])
{
    struct sdm_options options = {
        .flags = SGX_FLAGS_EINITTOKENKEY, .isv_prod_id = 20, .isv_svn = 3, .signer = 1};
    struct sdm launch;
    sdm_init(&launch, &options);
    sdm_map(&launch);
    struct sgx_keyrequest *request = sdm_page(&launch, SDM_DATA);
    memset(request, 0, sizeof(*request));
    request->key_name = SGX_KEY_EINITTOKEN;
    request->isv_svn = 3;
    request->attribute_mask.flags = ~0ull;
    request->attribute_mask.xfrm = ~0ull;
    request->key_id[5] = 0x5a;
    memcpy(token->key_id, request->key_id, 32);
    soft_platform_cpu_svn(request->cpu_svn);
    memcpy(token->cpu_svn_le, request->cpu_svn, 16);
    struct soft_outcome outcome =
        soft_enclu(&launch.e->pub, SGX_EGETKEY, SDM_BASE + SDM_DATA, SDM_BASE + SDM_MORE, 0);
    assert_int_equal(outcome.kind, SOFT_DONE);
    memcpy(key, sdm_page(&launch, SDM_MORE), 16);
    token->isv_prod_id_le = 20;
    token->isv_svn_le = 3;
    token->masked_attributes_le = launch.e->control->shared.secs.attributes;
    memcpy(msr, launch.e->control->shared.secs.mr_signer, 32);
    sdm_close(&launch);
}

static void mac_token(struct sgx_einittoken *token, const uint8_t key[16])
{
    evp_cmac(key, token, 192, token->mac);
}

/* A good token for the enclave of the call. The key is kept: it is the same for all tokens. */
static uint8_t g_launch_key[16];
static void give_token(struct sdm_call *call)
{
    static struct sgx_einittoken blank;
    static uint64_t msr[4];
    if (!msr[0]) {
        launch_key(&blank, g_launch_key, msr);
        sdm_close(&call->sdm); /* the launch enclave used the same range */
        einit_prepare(call);
    }
    struct sgx_einittoken *token = &call->token;
    *token = blank;
    token->valid = 1;
    token->attributes = control_of(call)->shared.secs.attributes;
    soft_measurement_digest(control_of(call), token->mr_enclave);
    soft_sha256(call->sig.modulus, SGX_RSA_SIZE, token->mr_signer);
    mac_token(token, g_launch_key);
    memcpy(control_of(call)->einit_msr, msr, 32);
}

#define SPOIL(name, statement)                                                                     \
    static void name(struct sdm_call *call)                                                        \
    {                                                                                              \
        statement;                                                                                 \
    }
/* Spoils something that is signed, and signs again. */
#define RESIGN(name, statement)                                                                    \
    static void name(struct sdm_call *call)                                                        \
    {                                                                                              \
        statement;                                                                                 \
        signer_sign(&call->sig, 0);                                                                \
    }
/* Spoils a good token. */
#define TOKEN(name, statement)                                                                     \
    static void name(struct sdm_call *call)                                                        \
    {                                                                                              \
        give_token(call);                                                                          \
        statement;                                                                                 \
    }

SPOIL(ei_rbx, call->rbx += 512)
SPOIL(ei_rcx, call->rcx += 512)
SPOIL(ei_rdx, call->rdx += 64)
SPOIL(ei_outside, call->rcx = (uint64_t)(uintptr_t)call->page)
RESIGN(ei_header, call->sig.header[4] ^= 1)
RESIGN(ei_vendor, call->sig.vendor = 0x8087)
RESIGN(ei_header2, call->sig.header2[15] ^= 1)
RESIGN(ei_exponent, call->sig.exponent = 65537)
RESIGN(ei_reserved1, call->sig.reserved1[83] = 1)
RESIGN(ei_reserved2, call->sig.reserved2[0] = 1)
RESIGN(ei_reserved3, call->sig.reserved3[15] = 1)
SPOIL(ei_reserved4, call->sig.reserved4[11] = 1)
RESIGN(ei_cet, call->sig.cet_attributes_mask = 1)
SPOIL(ei_signature, call->sig.signature[100] ^= 1)
SPOIL(ei_modulus, call->sig.modulus[383] ^= 0x40)
SPOIL(ei_signed_body, call->sig.isv_svn ^= 1)
SPOIL(ei_signed_date, call->sig.date ^= 1)
SPOIL(ei_q1, call->sig.q1[0] ^= 1)
SPOIL(ei_q2, call->sig.q2[0] ^= 1)
SPOIL(ei_too_big, memset(call->sig.signature, 0xff, SGX_RSA_SIZE))
SPOIL(ei_zero, memset(call->sig.modulus, 0, SGX_RSA_SIZE);
      memset(call->sig.signature, 0, SGX_RSA_SIZE))
SPOIL(ei_not_secs, call->rcx = sdm_epc(&call->sdm, SDM_DATA))
RESIGN(ei_family, call->sig.isv_family_id[15] = 1)
RESIGN(ei_extended, call->sig.isv_ext_prod_id[0] = 1)
SPOIL(ei_again, control_of(call)->shared.state = SOFT_STATE_INITIALIZED)
RESIGN(ei_hash, call->sig.enclave_hash[0] ^= 1)
SPOIL(ei_controlled, control_of(call)->shared.secs.attributes.flags |= SGX_FLAGS_EINITTOKENKEY;
      control_of(call)->einit_msr[0] ^= 1)
RESIGN(ei_attributes, call->sig.attribute_mask.flags = SGX_FLAGS_DEBUG;
       call->sig.attributes.flags = SGX_FLAGS_DEBUG)
RESIGN(ei_xfrm, call->sig.attribute_mask.xfrm = 4; call->sig.attributes.xfrm = 4)
RESIGN(ei_misc, call->sig.misc_mask = 1; call->sig.misc_select = 1)
SPOIL(ei_unauthorized, control_of(call)->einit_msr[3] ^= 1)
TOKEN(ei_token_debug, call->token.masked_attributes_le.flags |= SGX_FLAGS_DEBUG)
TOKEN(ei_token_reserved, call->token.reserved4[0] = 1)
TOKEN(ei_token_valid, call->token.valid = 3)
TOKEN(ei_token_cpu_svn, memset(call->token.cpu_svn_le, 0xff, 16))
TOKEN(ei_token_mac, call->token.mac[15] ^= 1)
TOKEN(ei_token_key_id, call->token.key_id[0] ^= 1)
TOKEN(ei_token_isv_svn, call->token.isv_svn_le ^= 1)
TOKEN(ei_token_enclave, call->token.mr_enclave[0] ^= 1; mac_token(&call->token, g_launch_key))
TOKEN(ei_token_signer, call->token.mr_signer[0] ^= 1; mac_token(&call->token, g_launch_key))
TOKEN(ei_token_attributes, call->token.attributes.flags ^= SGX_FLAGS_DEBUG;
      mac_token(&call->token, g_launch_key))

static void test_einit(void **state)
{
    static const struct sdm_row rows[] = {
        {SDM_COVERS("EINIT_01"), ei_rbx, SDM_GP, 0, false},
        {SDM_COVERS("EINIT_02"), ei_rcx, SDM_GP, 0, false},
        {SDM_COVERS("EINIT_03"), ei_rdx, SDM_GP, 0, false},
        {SDM_COVERS("EINIT_04"), ei_outside, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EINIT_05"), ei_header, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, false},
        {SDM_COVERS("EINIT_06"), ei_vendor, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, false},
        {SDM_COVERS("EINIT_07"), ei_header2, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, false},
        {SDM_COVERS("EINIT_08"), ei_exponent, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, false},
        {SDM_COVERS("EINIT_08"), ei_reserved1, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, true},
        {SDM_COVERS("EINIT_08"), ei_reserved2, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, true},
        {SDM_COVERS("EINIT_08"), ei_reserved3, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, true},
        {SDM_COVERS("EINIT_08"), ei_reserved4, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, true},
        {SDM_COVERS("EINIT_08"), ei_cet, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, true},
        {SDM_COVERS("EINIT_09"), ei_signature, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, false},
        {SDM_COVERS("EINIT_09"), ei_modulus, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_09"), ei_signed_body, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_09"), ei_signed_date, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_09"), ei_q1, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_09"), ei_q2, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_09"), ei_too_big, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_09"), ei_zero, SDM_CODE_OF(SGX_INVALID_SIGNATURE), 0, true},
        {SDM_COVERS("EINIT_10"), ei_not_secs, SDM_PF_WRITE, SDM_RCX, false},
        {SDM_COVERS("EINIT_11"), ei_family, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, false},
        {SDM_COVERS("EINIT_12"), ei_extended, SDM_CODE_OF(SGX_INVALID_SIG_STRUCT), 0, false},
        {SDM_COVERS("EINIT_13"), ei_again, SDM_GP, 0, false},
        {SDM_COVERS("EINIT_14"), ei_hash, SDM_CODE_OF(SGX_INVALID_MEASUREMENT), 0, false},
        {SDM_COVERS("EINIT_15"), ei_controlled, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EINIT_16"), ei_attributes, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EINIT_16"), ei_xfrm, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EINIT_17"), ei_misc, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, false},
        {SDM_COVERS("EINIT_18"), ei_unauthorized, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_19"), ei_token_debug, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_20"), ei_token_reserved, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_20"), ei_token_valid, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_21"), ei_token_cpu_svn, SDM_CODE_OF(SGX_INVALID_CPUSVN), 0, true},
        {SDM_COVERS("EINIT_22"), ei_token_mac, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_22"), ei_token_key_id, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_22"), ei_token_isv_svn, SDM_CODE_OF(SGX_INVALID_EINITTOKEN), 0, true},
        {SDM_COVERS("EINIT_23"), ei_token_enclave, SDM_CODE_OF(SGX_INVALID_MEASUREMENT), 0, true},
        {SDM_COVERS("EINIT_23"), ei_token_signer, SDM_CODE_OF(SGX_INVALID_MEASUREMENT), 0, true},
        {SDM_COVERS("EINIT_24"), ei_token_attributes, SDM_CODE_OF(SGX_INVALID_ATTRIBUTE), 0, true},
    };
    static const struct sdm_leaf leaf = {SGX_EINIT, false, einit_prepare, rows,
                                         sizeof(rows) / sizeof(rows[0])};
    (void)state;
    sdm_test_leaf(&leaf);
}

/* Each token violation against the next one: the earlier is reported. */
static void test_token_order(void **state)
{
    static void (*const spoil[])(struct sdm_call *) = {ei_token_debug, ei_token_reserved,
                                                       ei_token_cpu_svn, ei_token_mac};
    static const char *const checks[] = {"EINIT_19", "EINIT_20", "EINIT_21", "EINIT_22"};
    (void)state;
    for (size_t i = 0; i + 1 < sizeof(spoil) / sizeof(spoil[0]); i++) {
        static struct sdm_call call;
        memset(&call, 0, sizeof(call));
        einit_prepare(&call);
        spoil[i](&call);
        struct sgx_einittoken first = call.token;
        spoil[i + 1](&call);
        /* merge: the fields that the first violation changed */
        call.token.masked_attributes_le.flags |= first.masked_attributes_le.flags;
        call.token.reserved4[0] |= first.reserved4[0];
        for (size_t k = 0; k < 16; k++) {
            call.token.cpu_svn_le[k] |= first.cpu_svn_le[k];
        }
        soft_encls(SGX_EINIT, call.rbx, call.rcx, call.rdx);
        assert_string_equal(soft_last_check, checks[i]);
        sdm_close(&call.sdm);
    }
}

/* An enclave that nobody authorised starts with a token of the authorised launch enclave. */
static void test_launch_by_token(void **state)
{
    static struct sdm_call call;
    (void)state;
    memset(&call, 0, sizeof(call));
    einit_prepare(&call);
    give_token(&call);
    assert_int_equal(soft_encls(SGX_EINIT, call.rbx, call.rcx, call.rdx).kind, SOFT_DONE);
    sdm_close(&call.sdm);
}

/* Failure changes nothing: the same EINIT with the right SIGSTRUCT succeeds afterwards. */
static void test_failure_is_harmless(void **state)
{
    static struct sdm_call call;
    (void)state;
    memset(&call, 0, sizeof(call));
    einit_prepare(&call);
    struct soft_control before = *control_of(&call);
    call.sig.signature[0] ^= 1;
    assert_int_equal(soft_encls(SGX_EINIT, call.rbx, call.rcx, call.rdx).code,
                     SGX_INVALID_SIGNATURE);
    assert_memory_equal(&before, control_of(&call), sizeof(before));
    call.sig.signature[0] ^= 1;
    assert_int_equal(soft_encls(SGX_EINIT, call.rbx, call.rcx, call.rdx).kind, SOFT_DONE);
    sdm_close(&call.sdm);
}

static void test_commit(void **state)
{
    struct sdm_options options = {
        .flags = SGX_FLAGS_KSS | SGX_FLAGS_DEBUG, .isv_prod_id = 0x1234, .isv_svn = 0x5678};
    memset(options.isv_family_id, 0xfa, 16);
    memset(options.isv_ext_prod_id, 0xe7, 16);
    (void)state;
    struct sdm sdm;
    sdm_init(&sdm, &options);
    struct sgx_secs *secs = &sdm.e->control->shared.secs;
    struct soft_secs_tail *tail = soft_secs_tail(secs);
    struct sgx_sigstruct sig;
    uint8_t digest[32];
    uint8_t padding[352];
    sdm_sigstruct(&sdm, &options, &sig);
    assert_int_equal(secs->isv_prod_id, 0x1234);
    assert_int_equal(secs->isv_svn, 0x5678);
    assert_memory_equal(tail->isv_family_id, options.isv_family_id, 16);
    assert_memory_equal(tail->isv_ext_prod_id, options.isv_ext_prod_id, 16);
    assert_true(secs->attributes.flags & SGX_FLAGS_INIT);
    soft_measurement_digest(sdm.e->control, digest);
    assert_memory_equal(secs->mr_enclave, digest, 32);
    assert_int_equal(EVP_Digest(sig.modulus, SGX_RSA_SIZE, digest, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(secs->mr_signer, digest, 32);
    cella_pkcs1_padding(padding);
    assert_memory_equal(tail->padding, padding, 352);
    assert_int_equal(padding[1], 1);
    assert_int_equal(padding[351], 0x20);
    sdm_close(&sdm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_einit),           cmocka_unit_test(test_token_order),
        cmocka_unit_test(test_launch_by_token), cmocka_unit_test(test_failure_is_harmless),
        cmocka_unit_test(test_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
