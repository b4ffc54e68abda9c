/*
 * Key derivation and MACs: EGETKEY's dependency table (SDM Vol. 3D, EGETKEY) over libcrypto's AES.
 * Side: soft (untrusted; it plays the processor). Called by the leaves, in a signal handler.
 * Never allocates: EVP does, so CMAC is chained here over AES_encrypt (ADR 0010); tests compare
 * both.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "soft/keys.h"
#include "common/no_compression.h"
#include "common/sigstruct_rsa.h"
#include "soft/driver.h"

#include <openssl/aes.h>
#include <openssl/crypto.h>
#include <string.h>

CELLA_NO_COMPRESSION;

#define BLOCK 16u

struct cmac {
    AES_KEY key;
    uint8_t state[BLOCK];
    uint8_t buffer[BLOCK]; /* the last block is held back: it is treated differently */
    size_t held;
};

static void cmac_init(struct cmac *cmac, const uint8_t *key, int bits)
{
    AES_set_encrypt_key(key, bits, &cmac->key);
    memset(cmac->state, 0, BLOCK);
    cmac->held = 0;
}

static void cmac_absorb(struct cmac *cmac, const uint8_t block[BLOCK])
{
    for (size_t i = 0; i < BLOCK; i++) {
        cmac->state[i] ^= block[i];
    }
    AES_encrypt(cmac->state, cmac->state, &cmac->key);
}

static void cmac_update(struct cmac *cmac, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size) {
        if (cmac->held == BLOCK) {
            cmac_absorb(cmac, cmac->buffer);
            cmac->held = 0;
        }
        size_t part = BLOCK - cmac->held < size ? BLOCK - cmac->held : size;
        memcpy(cmac->buffer + cmac->held, bytes, part);
        cmac->held += part;
        bytes += part;
        size -= part;
    }
}

/* Multiplies by x in GF(2^128). */
static void cmac_double(uint8_t block[BLOCK])
{
    uint8_t carry = (uint8_t) - (block[0] >> 7) & 0x87;
    for (size_t i = 0; i < BLOCK - 1; i++) {
        block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
    }
    block[BLOCK - 1] = (uint8_t)(block[BLOCK - 1] << 1) ^ carry;
}

static void cmac_final(struct cmac *cmac, uint8_t mac[BLOCK])
{
    uint8_t subkey[BLOCK] = {0};
    AES_encrypt(subkey, subkey, &cmac->key);
    cmac_double(subkey);
    if (cmac->held < BLOCK) {
        cmac_double(subkey);
        memset(cmac->buffer + cmac->held, 0, BLOCK - cmac->held);
        cmac->buffer[cmac->held] = 0x80;
    }
    for (size_t i = 0; i < BLOCK; i++) {
        cmac->buffer[i] ^= subkey[i];
    }
    cmac_absorb(cmac, cmac->buffer);
    memcpy(mac, cmac->state, BLOCK);
    OPENSSL_cleanse(cmac, sizeof(*cmac));
    OPENSSL_cleanse(subkey, sizeof(subkey));
}

void soft_cmac(const uint8_t key[16], const void *data, size_t size, uint8_t mac[16])
{
    struct cmac cmac;
    cmac_init(&cmac, key, 128);
    cmac_update(&cmac, data, size);
    cmac_final(&cmac, mac);
}

void soft_derive_key(const struct soft_key_inputs *inputs, uint8_t key[16])
{
    static const uint8_t counter[4] = {0, 0, 0, 1};
    static const char label[] =
        "Cella software SGX key v1"; /* its terminating 0 is the separator */
    static const uint8_t bits[4] = {0, 0, 0, 128};
    uint8_t root[32];
    struct cmac cmac;
    soft_platform_root_key(root);
    cmac_init(&cmac, root, 256);
    cmac_update(&cmac, counter, sizeof(counter));
    cmac_update(&cmac, label, sizeof(label));
    cmac_update(&cmac, inputs, sizeof(*inputs));
    cmac_update(&cmac, bits, sizeof(bits));
    cmac_final(&cmac, key);
    OPENSSL_cleanse(root, sizeof(root));
}

void soft_key_inputs_for_report(struct soft_key_inputs *inputs, const struct sgx_targetinfo *target,
                                const uint8_t key_id[32])
{
    memset(inputs, 0, sizeof(*inputs));
    inputs->key_name = SGX_KEY_REPORT;
    inputs->config_svn = target->config_svn;
    inputs->misc_select = target->misc_select;
    inputs->attributes[0] = target->attributes.flags;
    inputs->attributes[1] = target->attributes.xfrm;
    soft_platform_owner_epoch(inputs->owner_epoch);
    soft_platform_cpu_svn(inputs->cpu_svn);
    soft_platform_seal_fuses(inputs->seal_fuses);
    memcpy(inputs->mr_enclave, target->measurement, 32);
    memcpy(inputs->key_id, key_id, 32);
    memcpy(inputs->config_id, target->config_id, 64);
    cella_pkcs1_padding(inputs->padding);
}

void soft_key_inputs_for_token(struct soft_key_inputs *inputs, const struct sgx_einittoken *token,
                               const uint8_t le_key_hash[32])
{
    memset(inputs, 0, sizeof(*inputs));
    inputs->key_name = SGX_KEY_EINITTOKEN;
    inputs->isv_prod_id = token->isv_prod_id_le;
    inputs->isv_svn = token->isv_svn_le;
    inputs->misc_select = token->masked_misc_select_le;
    inputs->attributes[0] = token->masked_attributes_le.flags;
    inputs->attributes[1] = token->masked_attributes_le.xfrm;
    soft_platform_owner_epoch(inputs->owner_epoch);
    memcpy(inputs->cpu_svn, token->cpu_svn_le, 16);
    soft_platform_seal_fuses(inputs->seal_fuses);
    memcpy(inputs->mr_signer, le_key_hash, 32);
    memcpy(inputs->key_id, token->key_id, 32);
    cella_pkcs1_padding(inputs->padding);
}

/* The part of the table that EINITTOKEN, PROVISION, PROVISION_SEAL and SEAL have in common. */
static void common_inputs(struct soft_key_inputs *inputs, const struct sgx_keyrequest *request,
                          const struct sgx_secs *secs, const struct soft_secs_tail *tail)
{
    const uint64_t required = SGX_FLAGS_INIT | SGX_FLAGS_DEBUG;
    inputs->key_name = request->key_name;
    inputs->isv_svn = request->isv_svn;
    inputs->misc_select = request->misc_mask & secs->misc_select;
    inputs->attributes[0] = (request->attribute_mask.flags | required) & secs->attributes.flags;
    inputs->attributes[1] = request->attribute_mask.xfrm & secs->attributes.xfrm;
    memcpy(inputs->cpu_svn, request->cpu_svn, 16);
    memcpy(inputs->padding, tail->padding, sizeof(inputs->padding));
}

static void masks_of_request(struct soft_key_inputs *inputs, const struct sgx_keyrequest *request)
{
    inputs->attribute_mask[0] = request->attribute_mask.flags;
    inputs->attribute_mask[1] = request->attribute_mask.xfrm;
    inputs->misc_mask = ~request->misc_mask;
}

/* Identities that KEYPOLICY brings in, for SEAL and PROVISION_SEAL. */
static void identities_by_policy(struct soft_key_inputs *inputs,
                                 const struct sgx_keyrequest *request, const struct sgx_secs *secs,
                                 const struct soft_secs_tail *tail)
{
    uint16_t policy = request->key_policy;
    inputs->key_policy = policy;
    if (!(policy & SGX_KEYPOLICY_NOISVPRODID)) {
        inputs->isv_prod_id = secs->isv_prod_id;
    }
    if (policy & SGX_KEYPOLICY_ISVFAMILYID) {
        memcpy(inputs->isv_family_id, tail->isv_family_id, 16);
    }
    if (policy & SGX_KEYPOLICY_ISVEXTPRODID) {
        memcpy(inputs->isv_ext_prod_id, tail->isv_ext_prod_id, 16);
    }
    if (policy & SGX_KEYPOLICY_CONFIGID) {
        memcpy(inputs->config_id, secs->config_id, 64);
        inputs->config_svn = request->config_svn;
    }
}

static void report_inputs(struct soft_key_inputs *inputs, const struct sgx_keyrequest *request,
                          const struct sgx_secs *secs)
{
    struct sgx_targetinfo self = {.attributes = secs->attributes,
                                  .config_svn = secs->config_svn,
                                  .misc_select = secs->misc_select};
    memcpy(self.measurement, secs->mr_enclave, 32);
    memcpy(self.config_id, secs->config_id, 64);
    soft_key_inputs_for_report(inputs, &self, request->key_id);
}

void soft_key_inputs_for_request(struct soft_key_inputs *inputs,
                                 const struct sgx_keyrequest *request, const struct sgx_secs *secs)
{
    const struct soft_secs_tail *tail =
        (const struct soft_secs_tail *)((const uint8_t *)secs + SOFT_SECS_TAIL_AT);
    memset(inputs, 0, sizeof(*inputs));
    if (request->key_name == SGX_KEY_REPORT) {
        report_inputs(inputs, request, secs);
        return;
    }
    common_inputs(inputs, request, secs, tail);
    switch (request->key_name) {
    case SGX_KEY_EINITTOKEN:
        inputs->isv_prod_id = secs->isv_prod_id;
        soft_platform_owner_epoch(inputs->owner_epoch);
        soft_platform_seal_fuses(inputs->seal_fuses);
        memcpy(inputs->mr_signer, secs->mr_signer, 32);
        memcpy(inputs->key_id, request->key_id, 32);
        break;
    case SGX_KEY_PROVISION: /* no seal fuses: the same on every owner's machine */
        masks_of_request(inputs, request);
        inputs->isv_prod_id = secs->isv_prod_id;
        memcpy(inputs->mr_signer, secs->mr_signer, 32);
        break;
    case SGX_KEY_PROVISION_SEAL:
        masks_of_request(inputs, request);
        identities_by_policy(inputs, request, secs, tail);
        soft_platform_seal_fuses(inputs->seal_fuses);
        memcpy(inputs->mr_signer, secs->mr_signer, 32);
        break;
    default: /* SGX_KEY_SEAL */
        masks_of_request(inputs, request);
        identities_by_policy(inputs, request, secs, tail);
        soft_platform_owner_epoch(inputs->owner_epoch);
        soft_platform_seal_fuses(inputs->seal_fuses);
        memcpy(inputs->key_id, request->key_id, 32);
        if (request->key_policy & SGX_KEYPOLICY_MRENCLAVE) {
            memcpy(inputs->mr_enclave, secs->mr_enclave, 32);
        }
        if (request->key_policy & SGX_KEYPOLICY_MRSIGNER) {
            memcpy(inputs->mr_signer, secs->mr_signer, 32);
        }
        break;
    }
}
