/*
 * The built-in seal plug-in: AES-128-GCM under an EGETKEY seal key of a random key id.
 * Blob: key request (512 bytes), u32 text size, 12 zeros, u32 text and additional size, IV (12), tag (16), text.
 * Side: enclave. Called by seal.c; also linked as an object of its own (oeseal_gcmaes). Library: libcrypto.
 * Never stores the additional data; never gives out text whose tag was wrong.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <openenclave/enclave.h>
#include <openenclave/sgx/seal.h>

#include "common/no_compression.h"
#include "compat/openenclave/enclave/keys.h"
#include "compat/openenclave/enclave/skin.h"

CELLA_NO_COMPRESSION;

#define IV_SIZE 12
#define TAG_SIZE 16

struct sealed {
    sgx_key_request_t request;
    uint32_t text_size;
    uint8_t reserved[12];
    uint32_t total_size;
    uint8_t iv[IV_SIZE];
    uint8_t tag[TAG_SIZE];
};
OE_STATIC_ASSERT(sizeof(struct sealed) == 560);

static oe_result_t policy_take(const oe_seal_setting_t *setting, sgx_key_request_t *request)
{
    switch (setting->value.w) {
    case OE_SEAL_POLICY_UNIQUE:
        request->key_policy = SGX_KEYPOLICY_MRENCLAVE;
        return OE_OK;
    case OE_SEAL_POLICY_PRODUCT:
        request->key_policy = SGX_KEYPOLICY_MRSIGNER;
        return OE_OK;
    default:
        return OE_INVALID_PARAMETER;
    }
}

static oe_result_t bytes_take(const oe_seal_setting_t *setting, void *to, size_t size)
{
    OE_ENSURE(setting->size == size && setting->value.p != NULL, OE_INVALID_PARAMETER);
    memcpy(to, setting->value.p, size);
    return OE_OK;
}

static oe_result_t setting_take(const oe_seal_setting_t *setting, struct sealed *sealed)
{
    sgx_key_request_t *request = &sealed->request;
    switch (setting->type) {
    case OE_SEAL_SETTING_POLICY:
        return policy_take(setting, request);
    case OE_SEAL_SETTING_IV:
        return bytes_take(setting, sealed->iv, sizeof(sealed->iv));
    case OE_SEAL_SETTING_ADDITIONAL_CONTEXT: /* takes part in the key, as its id */
        return bytes_take(setting, request->key_id, sizeof(request->key_id));
    case OE_SEAL_SETTING_SGX_KEYNAME:
        request->key_name = setting->value.w;
        return OE_OK;
    case OE_SEAL_SETTING_SGX_ISVSVN:
        request->isv_svn = setting->value.w;
        return OE_OK;
    case OE_SEAL_SETTING_SGX_CPUSVN:
        return bytes_take(setting, request->cpu_svn, sizeof(request->cpu_svn));
    case OE_SEAL_SETTING_SGX_FLAGSMASK:
        request->attribute_mask.flags = setting->value.q;
        return OE_OK;
    case OE_SEAL_SETTING_SGX_XFRMMASK:
        request->attribute_mask.xfrm = setting->value.q;
        return OE_OK;
    case OE_SEAL_SETTING_SGX_MISCMASK:
        request->misc_attribute_mask = setting->value.d;
        return OE_OK;
    case OE_SEAL_SETTING_SGX_CONFIGSVN:
        request->config_svn = setting->value.w;
        return OE_OK;
    default: /* CET: no enclave of today has it */
        return OE_UNSUPPORTED;
    }
}

static oe_result_t sealed_init(const oe_seal_setting_t *settings, size_t count,
                               struct sealed *sealed)
{
    OE_TRY(oe_key_request(OE_SEAL_POLICY_PRODUCT, &sealed->request));
    OE_TRY_CELLA(cella_random(sealed->request.key_id, sizeof(sealed->request.key_id)));
    OE_TRY_CELLA(cella_random(sealed->iv, sizeof(sealed->iv)));
    for (size_t i = 0; i < count; i++) {
        OE_TRY(setting_take(&settings[i], sealed));
    }
    return OE_OK;
}

/* One pass of GCM; sizes are below 2^31. */
static bool gcm_run(EVP_CIPHER_CTX *context, const uint8_t *key, struct sealed *sealed,
                    const uint8_t *additional, size_t additional_size, const uint8_t *in,
                    uint8_t *out, bool seal)
{
    int done = 0;
    const int size = (int)sealed->text_size;
    if (EVP_CipherInit_ex(context, EVP_aes_128_gcm(), NULL, key, sealed->iv, seal) != 1 ||
        (additional_size > 0 &&
         EVP_CipherUpdate(context, NULL, &done, additional, (int)additional_size) != 1) ||
        (size > 0 && EVP_CipherUpdate(context, out, &done, in, size) != 1)) {
        return false;
    }
    if (!seal && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, sealed->tag) != 1) {
        return false;
    }
    if (EVP_CipherFinal_ex(context, out + size, &done) != 1) {
        return false;
    }
    return !seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, sealed->tag) == 1;
}

static oe_result_t gcm(struct sealed *sealed, const uint8_t *additional, size_t additional_size,
                       const uint8_t *in, uint8_t *out, bool seal)
{
    sgx_key_t key;
    OE_TRY(oe_key_of(&sealed->request, &key));
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const bool done =
        context && gcm_run(context, key.buf, sealed, additional, additional_size, in, out, seal);
    EVP_CIPHER_CTX_free(context);
    explicit_bzero(&key, sizeof(key));
    return done ? OE_OK : OE_CRYPTO_ERROR;
}

static oe_result_t seal(const oe_seal_setting_t *settings, size_t settings_count,
                        const uint8_t *plaintext, size_t plaintext_size,
                        const uint8_t *additional_data, size_t additional_data_size, uint8_t **blob,
                        size_t *blob_size)
{
    OE_ENSURE(plaintext_size <= INT32_MAX - sizeof(struct sealed) &&
                  additional_data_size <= INT32_MAX - sizeof(struct sealed) - plaintext_size,
              OE_INTEGER_OVERFLOW);
    /* One byte more: libcrypto may point behind an empty text. */
    struct sealed *sealed = calloc(1, sizeof(*sealed) + plaintext_size + 1);
    OE_ENSURE(sealed != NULL, OE_OUT_OF_MEMORY);
    sealed->text_size = (uint32_t)plaintext_size;
    sealed->total_size = (uint32_t)(plaintext_size + additional_data_size);
    oe_result_t result = sealed_init(settings, settings_count, sealed);
    if (result == OE_OK) {
        result = gcm(sealed, additional_data, additional_data_size, plaintext,
                     (uint8_t *)(sealed + 1), true);
    }
    if (result != OE_OK) {
        free(sealed);
        return result;
    }
    *blob = (uint8_t *)sealed;
    *blob_size = sizeof(*sealed) + plaintext_size;
    return OE_OK;
}

static oe_result_t unseal(const uint8_t *blob, size_t blob_size, const uint8_t *additional_data,
                          size_t additional_data_size, uint8_t **plaintext, size_t *plaintext_size)
{
    struct sealed sealed;
    OE_ENSURE(blob_size >= sizeof(sealed), OE_INVALID_PARAMETER);
    memcpy(&sealed, blob, sizeof(sealed));
    OE_ENSURE(sealed.text_size == blob_size - sizeof(sealed) &&
                  sealed.total_size == sealed.text_size + additional_data_size &&
                  sealed.total_size <= INT32_MAX,
              OE_CRYPTO_ERROR);
    uint8_t *text = calloc(1, sealed.text_size + 1u);
    OE_ENSURE(text != NULL, OE_OUT_OF_MEMORY);
    const oe_result_t result =
        gcm(&sealed, additional_data, additional_data_size, blob + sizeof(sealed), text, false);
    if (result != OE_OK) {
        explicit_bzero(text, sealed.text_size);
        free(text);
        return result;
    }
    *plaintext = text;
    *plaintext_size = sealed.text_size;
    return OE_OK;
}

const oe_seal_plugin_definition_t oe_seal_plugin_gcm_aes = {
    {{0x63, 0x65, 0x6c, 0x6c, 0x61, 0x2d, 0x47, 0x43, 0x4d, 0x2d, 0x31, 0x32, 0x38, 0x00, 0x00,
      0x01}},
    seal,
    unseal,
};
