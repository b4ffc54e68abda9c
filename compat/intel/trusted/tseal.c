/*
 * sgx_tseal.h: the Intel SDK's sealed blob, over EGETKEY and AES-128-GCM. The IV is zero, as in the original: each blob
 * has a key of its own, from 32 random bytes of KEYID.
 * Side: enclave. Called by applications. Never gives out a byte that was not authenticated.
 */
#include "sgx_tseal.h"

#include <string.h>

#include "compat/intel/trusted/core.h"
#include "sgx_trts.h"
#include "sgx_utils.h"

/* Bits that may differ between the enclave that seals and the one that opens: they are no matter of security. */
#define FLAGS_NO_MATTER                                                                            \
    (0x00FFFFFFFFFFFFC0ULL | SGX_FLAGS_MODE64BIT | SGX_FLAGS_PROVISION_KEY |                       \
     SGX_FLAGS_EINITTOKEN_KEY)
#define MISC_NO_MATTER 0x0FFFFFFFu
#define POLICY_KSS (SGX_KEYPOLICY_CONFIGID | SGX_KEYPOLICY_ISVFAMILYID | SGX_KEYPOLICY_ISVEXTPRODID)
#define POLICY_KNOWN                                                                               \
    (SGX_KEYPOLICY_MRENCLAVE | SGX_KEYPOLICY_MRSIGNER | SGX_KEYPOLICY_NOISVPRODID | POLICY_KSS)

_Static_assert(sizeof(sgx_sealed_data_t) == 560, "the blob's head");

static const uint8_t zero_iv[SGX_SEAL_IV_SIZE];

uint32_t sgx_calc_sealed_data_size(const uint32_t add_mac_txt_size, const uint32_t txt_encrypt_size)
{
    uint32_t size;
    if (__builtin_add_overflow(add_mac_txt_size, txt_encrypt_size, &size) ||
        __builtin_add_overflow(size, (uint32_t)sizeof(sgx_sealed_data_t), &size)) {
        return UINT32_MAX;
    }
    return size;
}

uint32_t sgx_get_add_mac_txt_len(const sgx_sealed_data_t *p_sealed_data)
{
    if (!p_sealed_data || p_sealed_data->plain_text_offset > p_sealed_data->aes_data.payload_size) {
        return UINT32_MAX;
    }
    return p_sealed_data->aes_data.payload_size - p_sealed_data->plain_text_offset;
}

uint32_t sgx_get_encrypt_txt_len(const sgx_sealed_data_t *p_sealed_data)
{
    return p_sealed_data ? p_sealed_data->plain_text_offset : UINT32_MAX;
}

static void wipe(void *at, size_t size)
{
    memset(at, 0, size);
    __asm__ volatile("" : : "r"(at) : "memory");
}

/* Text that may lie on either side of the boundary. */
static int on_one_side(const void *at, size_t size)
{
    return sgx_is_within_enclave(at, size) || sgx_is_outside_enclave(at, size);
}

static int text_get(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size > 0 && sgx_is_outside_enclave(from, size)) {
        return cella_is_ok(intel_core_copy_in(to, from, size));
    }
    memcpy(to, from, size);
    return 1;
}

static int text_put(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size > 0 && sgx_is_outside_enclave(to, size)) {
        return cella_is_ok(intel_core_copy_out(to, from, size));
    }
    memcpy(to, from, size);
    return 1;
}

static sgx_status_t request_make(uint16_t policy, sgx_attributes_t attribute_mask,
                                 sgx_misc_select_t misc_mask, sgx_key_request_t *ret_request)
{
    const sgx_report_body_t *self = &sgx_self_report()->body;
    memset(ret_request, 0, sizeof(*ret_request));
    ret_request->key_name = SGX_KEYSELECT_SEAL;
    ret_request->key_policy = policy;
    ret_request->isv_svn = self->isv_svn;
    ret_request->cpu_svn = self->cpu_svn;
    ret_request->attribute_mask = attribute_mask;
    ret_request->misc_mask = misc_mask;
    ret_request->config_svn = self->config_svn;
    return sgx_read_rand(ret_request->key_id.id, sizeof(ret_request->key_id.id));
}

/* The authenticated text is in its place in the blob already. */
static sgx_status_t blob_close(sgx_sealed_data_t *blob, uint32_t text_size, const uint8_t *text,
                               uint32_t additional_size)
{
    sgx_key_128bit_t key;
    sgx_status_t status = sgx_get_key(&blob->key_request, &key);
    if (status == SGX_SUCCESS) {
        status = sgx_rijndael128GCM_encrypt(
            &key, text, text_size, text_size ? blob->aes_data.payload : NULL, zero_iv,
            sizeof(zero_iv), additional_size ? blob->aes_data.payload + text_size : NULL,
            additional_size, &blob->aes_data.payload_tag);
    } else if (status != SGX_ERROR_OUT_OF_MEMORY) {
        status = SGX_ERROR_UNEXPECTED;
    }
    wipe(&key, sizeof(key));
    return status;
}

static sgx_status_t seal(uint16_t policy, sgx_attributes_t attribute_mask,
                         sgx_misc_select_t misc_mask, uint32_t additional_size,
                         const uint8_t *additional, uint32_t text_size, const uint8_t *text,
                         uint32_t blob_size, sgx_sealed_data_t *blob)
{
    const uint32_t size = sgx_calc_sealed_data_size(additional_size, text_size);
    if (size == UINT32_MAX || size != blob_size || (policy & ~POLICY_KNOWN) != 0 ||
        (policy & (SGX_KEYPOLICY_MRENCLAVE | SGX_KEYPOLICY_MRSIGNER)) == 0 ||
        (attribute_mask.flags & SGX_FLAGS_INITTED) == 0 ||
        (attribute_mask.flags & SGX_FLAGS_DEBUG) == 0 || !blob ||
        !sgx_is_within_enclave(blob, blob_size) ||
        (additional_size > 0 && (!additional || !on_one_side(additional, additional_size)))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    memset(blob, 0, size);
    sgx_status_t status = request_make(policy, attribute_mask, misc_mask, &blob->key_request);
    if (status != SGX_SUCCESS) {
        return status;
    }
    blob->plain_text_offset = text_size;
    blob->aes_data.payload_size = text_size + additional_size;
    if (!text_get(blob->aes_data.payload + text_size, additional, additional_size)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    status = blob_close(blob, text_size, text, additional_size);
    if (status != SGX_SUCCESS) {
        memset(blob, 0, size);
    }
    return status;
}

static uint16_t default_policy(uint16_t identity)
{
    const uint64_t flags = sgx_self_report()->body.attributes.flags;
    return (flags & SGX_FLAGS_KSS) != 0 ? (uint16_t)(identity | POLICY_KSS) : identity;
}

static const sgx_attributes_t default_mask = {.flags = ~FLAGS_NO_MATTER, .xfrm = 0};

sgx_status_t sgx_seal_data_ex(const uint16_t key_policy, const sgx_attributes_t attribute_mask,
                              const sgx_misc_select_t misc_mask,
                              const uint32_t additional_MACtext_length,
                              const uint8_t *p_additional_MACtext,
                              const uint32_t text2encrypt_length, const uint8_t *p_text2encrypt,
                              const uint32_t sealed_data_size, sgx_sealed_data_t *p_sealed_data)
{
    if (text2encrypt_length == 0 || !p_text2encrypt ||
        !sgx_is_within_enclave(p_text2encrypt, text2encrypt_length)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return seal(key_policy, attribute_mask, misc_mask, additional_MACtext_length,
                p_additional_MACtext, text2encrypt_length, p_text2encrypt, sealed_data_size,
                p_sealed_data);
}

sgx_status_t sgx_seal_data(const uint32_t additional_MACtext_length,
                           const uint8_t *p_additional_MACtext, const uint32_t text2encrypt_length,
                           const uint8_t *p_text2encrypt, const uint32_t sealed_data_size,
                           sgx_sealed_data_t *p_sealed_data)
{
    return sgx_seal_data_ex(default_policy(SGX_KEYPOLICY_MRSIGNER), default_mask,
                            (sgx_misc_select_t)~MISC_NO_MATTER, additional_MACtext_length,
                            p_additional_MACtext, text2encrypt_length, p_text2encrypt,
                            sealed_data_size, p_sealed_data);
}

sgx_status_t sgx_mac_aadata_ex(const uint16_t key_policy, const sgx_attributes_t attribute_mask,
                               const sgx_misc_select_t misc_mask,
                               const uint32_t additional_MACtext_length,
                               const uint8_t *p_additional_MACtext, const uint32_t sealed_data_size,
                               sgx_sealed_data_t *p_sealed_data)
{
    if (additional_MACtext_length == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return seal(key_policy, attribute_mask, misc_mask, additional_MACtext_length,
                p_additional_MACtext, 0, NULL, sealed_data_size, p_sealed_data);
}

sgx_status_t sgx_mac_aadata(const uint32_t additional_MACtext_length,
                            const uint8_t *p_additional_MACtext, const uint32_t sealed_data_size,
                            sgx_sealed_data_t *p_sealed_data)
{
    return sgx_mac_aadata_ex(default_policy(SGX_KEYPOLICY_MRSIGNER), default_mask,
                             (sgx_misc_select_t)~MISC_NO_MATTER, additional_MACtext_length,
                             p_additional_MACtext, sealed_data_size, p_sealed_data);
}

/* What the key says is what the caller can do something about; all else is a blob that is not good. */
static sgx_status_t open_status(sgx_status_t status)
{
    return status == SGX_ERROR_INVALID_CPUSVN || status == SGX_ERROR_INVALID_ISVSVN ||
                   status == SGX_ERROR_OUT_OF_MEMORY
               ? status
               : SGX_ERROR_MAC_MISMATCH;
}

static sgx_status_t blob_open(const sgx_sealed_data_t *blob, uint32_t text_size, uint8_t *text,
                              uint32_t additional_size)
{
    sgx_key_128bit_t key;
    sgx_status_t status = sgx_get_key(&blob->key_request, &key);
    if (status != SGX_SUCCESS) {
        return open_status(status);
    }
    status = sgx_rijndael128GCM_decrypt(&key, text_size ? blob->aes_data.payload : NULL, text_size,
                                        text, zero_iv, sizeof(zero_iv),
                                        additional_size ? blob->aes_data.payload + text_size : NULL,
                                        additional_size, &blob->aes_data.payload_tag);
    wipe(&key, sizeof(key));
    return status;
}

/* The two sizes, checked: the whole blob lies in the enclave. */
static sgx_status_t blob_sizes(const sgx_sealed_data_t *blob, uint32_t *ret_text,
                               uint32_t *ret_additional)
{
    if (!blob || !sgx_is_within_enclave(blob, sizeof(*blob))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    *ret_text = sgx_get_encrypt_txt_len(blob);
    *ret_additional = sgx_get_add_mac_txt_len(blob);
    if (*ret_text == UINT32_MAX || *ret_additional == UINT32_MAX) {
        return SGX_ERROR_MAC_MISMATCH;
    }
    const uint32_t size = sgx_calc_sealed_data_size(*ret_additional, *ret_text);
    if (size == UINT32_MAX) {
        return SGX_ERROR_MAC_MISMATCH;
    }
    return sgx_is_within_enclave(blob, size) ? SGX_SUCCESS : SGX_ERROR_INVALID_PARAMETER;
}

/* Room for the authenticated text, which may lie outside, as may its size. */
static sgx_status_t additional_room(uint32_t needed, const uint8_t *at, const uint32_t *size)
{
    uint32_t room = 0;
    if (needed > 0 && (!at || !size)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (size) {
        if (!on_one_side(size, sizeof(*size)) ||
            !text_get((uint8_t *)&room, (const uint8_t *)size, sizeof(room))) {
            return SGX_ERROR_INVALID_PARAMETER;
        }
    }
    if (room < needed || (needed > 0 && !on_one_side(at, room))) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    return SGX_SUCCESS;
}

static sgx_status_t additional_give(const sgx_sealed_data_t *blob, uint32_t text_size,
                                    uint32_t additional_size, uint8_t *to, uint32_t *ret_size)
{
    const int done = (additional_size == 0 ||
                      text_put(to, blob->aes_data.payload + text_size, additional_size)) &&
                     (!ret_size || text_put((uint8_t *)ret_size, (const uint8_t *)&additional_size,
                                            sizeof(additional_size)));
    return done ? SGX_SUCCESS : SGX_ERROR_INVALID_PARAMETER;
}

sgx_status_t sgx_unseal_data(const sgx_sealed_data_t *p_sealed_data, uint8_t *p_additional_MACtext,
                             uint32_t *p_additional_MACtext_length, uint8_t *p_decrypted_text,
                             uint32_t *p_decrypted_text_length)
{
    uint32_t text_size = 0, additional_size = 0;
    sgx_status_t status = blob_sizes(p_sealed_data, &text_size, &additional_size);
    if (status != SGX_SUCCESS) {
        return status;
    }
    if (text_size == 0 || !p_decrypted_text || !p_decrypted_text_length ||
        !sgx_is_within_enclave(p_decrypted_text_length, sizeof(*p_decrypted_text_length)) ||
        *p_decrypted_text_length < text_size ||
        !sgx_is_within_enclave(p_decrypted_text, *p_decrypted_text_length)) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    status = additional_room(additional_size, p_additional_MACtext, p_additional_MACtext_length);
    if (status == SGX_SUCCESS) {
        status = blob_open(p_sealed_data, text_size, p_decrypted_text, additional_size);
    }
    if (status == SGX_SUCCESS) {
        *p_decrypted_text_length = text_size;
        status = additional_give(p_sealed_data, text_size, additional_size, p_additional_MACtext,
                                 p_additional_MACtext_length);
    }
    return status;
}

sgx_status_t sgx_unmac_aadata(const sgx_sealed_data_t *p_sealed_data, uint8_t *p_additional_MACtext,
                              uint32_t *p_additional_MACtext_length)
{
    uint32_t text_size = 0, additional_size = 0;
    sgx_status_t status = blob_sizes(p_sealed_data, &text_size, &additional_size);
    if (status != SGX_SUCCESS) {
        return status;
    }
    if (text_size != 0 || additional_size == 0) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    status = additional_room(additional_size, p_additional_MACtext, p_additional_MACtext_length);
    if (status == SGX_SUCCESS) {
        status = blob_open(p_sealed_data, 0, NULL, additional_size);
    }
    return status == SGX_SUCCESS
               ? additional_give(p_sealed_data, 0, additional_size, p_additional_MACtext,
                                 p_additional_MACtext_length)
               : status;
}
