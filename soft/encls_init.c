/*
 * EINIT (SDM Vol. 3D, SGX instruction references): SIGSTRUCT, measurement, attributes, launch
 * token.
 * Side: soft (untrusted; it plays the processor). Called by the driver and by tests.
 * The checks stand in the manual's order. Nothing of the enclave changes unless all hold.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_*: as encls_build.c */
#include "common/sigstruct_rsa.h"
#include "soft/encls.h"
#include "soft/keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#define SIGSTRUCT_ALIGN SGX_PAGE_SIZE
#define TOKEN_ALIGN 512u
#define TOKEN_MACED 192u
#define CONTROLLED_ATTRIBUTES SGX_FLAGS_EINITTOKENKEY

static const uint8_t sig_header[16] = {0x06, 0, 0, 0, 0xE1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
static const uint8_t sig_header2[16] = {1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0};

void soft_sha256(const void *data, size_t size, uint8_t digest[32])
{
    SHA256_CTX hash;
    SHA256_Init(&hash);
    SHA256_Update(&hash, data, size);
    SHA256_Final(digest, &hash);
}

static void signed_digest(const struct sgx_sigstruct *sig, uint8_t digest[32])
{
    SHA256_CTX hash;
    SHA256_Init(&hash);
    SHA256_Update(&hash, sig, SGX_SIGSTRUCT_SIGNED1_SIZE);
    SHA256_Update(&hash, (const uint8_t *)sig + SGX_SIGSTRUCT_SIGNED2_OFFSET,
                  SGX_SIGSTRUCT_SIGNED2_SIZE);
    SHA256_Final(digest, &hash);
}

static bool reserved_is_zero(const struct sgx_sigstruct *sig)
{
    return soft_all_zero(sig->reserved1, sizeof(sig->reserved1)) &&
           soft_all_zero(sig->reserved2, sizeof(sig->reserved2)) &&
           soft_all_zero(sig->reserved3, sizeof(sig->reserved3)) &&
           soft_all_zero(sig->reserved4, sizeof(sig->reserved4)) && !sig->cet_attributes &&
           !sig->cet_attributes_mask;
}

static bool signature_is_good(const struct sgx_sigstruct *sig, uint8_t padding[352])
{
    uint8_t message[SGX_RSA_SIZE];
    uint8_t expected[SGX_RSA_SIZE];
    const struct cella_sigstruct_rsa numbers = {sig->modulus, sig->signature, sig->q1, sig->q2};
    cella_pkcs1_padding(expected);
    signed_digest(sig, expected + 352);
    if (!cella_sigstruct_cube(&numbers, message) ||
        memcmp(message, expected, sizeof(message)) != 0) {
        return false;
    }
    memcpy(padding, message, 352);
    return true;
}

static bool masked_attributes_match(const struct sgx_secs *secs, const struct sgx_sigstruct *sig)
{
    const struct sgx_attributes *mask = &sig->attribute_mask;
    return !((secs->attributes.flags ^ sig->attributes.flags) & mask->flags) &&
           !((secs->attributes.xfrm ^ sig->attributes.xfrm) & mask->xfrm);
}

static bool token_reserved_is_zero(const struct sgx_einittoken *token)
{
    return !(token->valid & ~1u) && soft_all_zero(token->reserved1, sizeof(token->reserved1)) &&
           soft_all_zero(token->reserved2, sizeof(token->reserved2)) &&
           soft_all_zero(token->reserved3, sizeof(token->reserved3)) &&
           soft_all_zero(token->reserved4, sizeof(token->reserved4));
}

static bool token_mac_is_good(const struct soft_control *control,
                              const struct sgx_einittoken *token)
{
    uint8_t key[16];
    uint8_t mac[16];
    struct soft_key_inputs inputs;
    soft_key_inputs_for_token(&inputs, token, (const uint8_t *)control->einit_msr);
    soft_derive_key(&inputs, key);
    soft_cmac(key, token, TOKEN_MACED, mac);
    OPENSSL_cleanse(key, sizeof(key));
    return CRYPTO_memcmp(mac, token->mac, sizeof(mac)) == 0;
}

/* A launch token, when the caller brought one. */
static struct soft_outcome check_token(struct soft_control *control,
                                       const struct sgx_einittoken *token,
                                       const uint8_t mr_enclave[32], const uint8_t mr_signer[32])
{
    const struct sgx_secs *secs = &control->shared.secs;
    const struct soft_outcome refused = soft_code(SGX_INVALID_EINITTOKEN);
    bool debug_le = (token->masked_attributes_le.flags & SGX_FLAGS_DEBUG) != 0;
    bool debug = (secs->attributes.flags & SGX_FLAGS_DEBUG) != 0;
    SOFT_CHECK(EINIT_19, !debug_le || debug, refused);
    SOFT_CHECK(EINIT_20, token_reserved_is_zero(token), refused);
    SOFT_CHECK(EINIT_21, soft_cpu_svn_allowed(token->cpu_svn_le), soft_code(SGX_INVALID_CPUSVN));
    SOFT_CHECK(EINIT_22, token_mac_is_good(control, token), refused);
    SOFT_CHECK(EINIT_23,
               !memcmp(token->mr_enclave, mr_enclave, 32) &&
                   !memcmp(token->mr_signer, mr_signer, 32),
               soft_code(SGX_INVALID_MEASUREMENT));
    SOFT_CHECK(EINIT_24,
               token->attributes.flags == secs->attributes.flags &&
                   token->attributes.xfrm == secs->attributes.xfrm,
               soft_code(SGX_INVALID_ATTRIBUTE));
    return soft_done();
}

static struct soft_outcome check_enclave(struct soft_control *control,
                                         const struct sgx_sigstruct *sig,
                                         const struct sgx_einittoken *token,
                                         const uint8_t mr_enclave[32], const uint8_t mr_signer[32])
{
    const struct sgx_secs *secs = &control->shared.secs;
    bool kss = (secs->attributes.flags & SGX_FLAGS_KSS) != 0;
    bool authorized = !memcmp(mr_signer, control->einit_msr, 32);
    bool controlled = (secs->attributes.flags & CONTROLLED_ATTRIBUTES) != 0;
    SOFT_CHECK(EINIT_11, kss || soft_all_zero(sig->isv_family_id, 16),
               soft_code(SGX_INVALID_SIG_STRUCT));
    SOFT_CHECK(EINIT_12, kss || soft_all_zero(sig->isv_ext_prod_id, 16),
               soft_code(SGX_INVALID_SIG_STRUCT));
    SOFT_CHECK(EINIT_13, control->shared.state == SOFT_STATE_CREATED, soft_gp());
    SOFT_CHECK(EINIT_14, !memcmp(sig->enclave_hash, mr_enclave, 32),
               soft_code(SGX_INVALID_MEASUREMENT));
    SOFT_CHECK(EINIT_15, !controlled || authorized, soft_code(SGX_INVALID_ATTRIBUTE));
    SOFT_CHECK(EINIT_16, masked_attributes_match(secs, sig), soft_code(SGX_INVALID_ATTRIBUTE));
    SOFT_CHECK(EINIT_17, !((secs->misc_select ^ sig->misc_select) & sig->misc_mask),
               soft_code(SGX_INVALID_ATTRIBUTE));
    if (token->valid & 1) {
        return check_token(control, token, mr_enclave, mr_signer);
    }
    SOFT_CHECK(EINIT_18, authorized, soft_code(SGX_INVALID_EINITTOKEN));
    return soft_done();
}

static void commit(struct soft_control *control, const struct sgx_sigstruct *sig,
                   const uint8_t mr_enclave[32], const uint8_t mr_signer[32],
                   const uint8_t padding[352])
{
    struct sgx_secs *secs = &control->shared.secs;
    struct soft_secs_tail *tail = soft_secs_tail(secs);
    memcpy(secs->mr_enclave, mr_enclave, 32);
    memcpy(secs->mr_signer, mr_signer, 32);
    secs->isv_prod_id = sig->isv_prod_id;
    secs->isv_svn = sig->isv_svn;
    memcpy(tail->isv_ext_prod_id, sig->isv_ext_prod_id, 16);
    memcpy(tail->isv_family_id, sig->isv_family_id, 16);
    memcpy(tail->padding, padding, 352);
    secs->attributes.flags |= SGX_FLAGS_INIT;
    atomic_store(&control->shared.state, SOFT_STATE_INITIALIZED);
}

struct soft_outcome soft_einit(uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
    struct soft_epc epc;
    const struct soft_outcome bad = soft_code(SGX_INVALID_SIG_STRUCT);
    SOFT_CHECK(EINIT_01, soft_aligned(rbx, SIGSTRUCT_ALIGN), soft_gp());
    SOFT_CHECK(EINIT_02, soft_aligned(rcx, SGX_PAGE_SIZE), soft_gp());
    SOFT_CHECK(EINIT_03, soft_aligned(rdx, TOKEN_ALIGN), soft_gp());
    SOFT_CHECK(EINIT_04, soft_epc_at(rcx, &epc), soft_pf(rcx, SGX_PF_PRESENT | SGX_PF_WRITE));
    const struct sgx_sigstruct *sig = (const struct sgx_sigstruct *)(uintptr_t)rbx;
    const struct sgx_einittoken *token = (const struct sgx_einittoken *)(uintptr_t)rdx;
    SOFT_CHECK(EINIT_05, !memcmp(sig->header, sig_header, sizeof(sig_header)), bad);
    SOFT_CHECK(EINIT_06, sig->vendor == 0 || sig->vendor == 0x8086, bad);
    SOFT_CHECK(EINIT_07, !memcmp(sig->header2, sig_header2, sizeof(sig_header2)), bad);
    SOFT_CHECK(EINIT_08, sig->exponent == 3 && reserved_is_zero(sig), bad);
    uint8_t padding[352];
    SOFT_CHECK(EINIT_09, signature_is_good(sig, padding), soft_code(SGX_INVALID_SIGNATURE));
    SOFT_CHECK(EINIT_10, soft_is_valid_secs(&epc), soft_pf(rcx, SGX_PF_PRESENT | SGX_PF_WRITE));
    uint8_t mr_enclave[32];
    uint8_t mr_signer[32];
    soft_measurement_digest(epc.e->control, mr_enclave);
    soft_sha256(sig->modulus, SGX_RSA_SIZE, mr_signer);
    struct soft_outcome outcome = check_enclave(epc.e->control, sig, token, mr_enclave, mr_signer);
    if (outcome.kind != SOFT_DONE) {
        return outcome;
    }
    commit(epc.e->control, sig, mr_enclave, mr_signer, padding);
    return soft_code(SGX_SUCCESS);
}
