/*
 * Public keys that only the enclave can derive.
 * Side: host. Called by applications.
 * Never sees a private key.
 */
#include <stdlib.h>
#include <string.h>

#include "compat/openenclave/host/skin.h"

#define REST_MAX (OE_ECALL_KEY_MAX - sizeof(struct oe_answer))

static void *copy_of(const void *from, size_t size)
{
    void *copy = malloc(size + (size == 0));
    if (copy && size > 0) {
        memcpy(copy, from, size);
    }
    return copy;
}

/* The key, and the key info behind it. */
static oe_result_t key_ask(oe_enclave_t *enclave, uint32_t policy,
                           const oe_asymmetric_key_params_t *params, const uint8_t *info,
                           size_t info_size, uint8_t *ret_rest, uint32_t *ret_key_size,
                           size_t *ret_size)
{
    struct oe_key_request head = {.policy = policy};
    OE_ENSURE(params != NULL && (params->user_data != NULL || params->user_data_size == 0),
              OE_INVALID_PARAMETER);
    OE_ENSURE(params->user_data_size <= REST_MAX / 2 && info_size <= REST_MAX / 2,
              OE_OUT_OF_BOUNDS);
    head.type = params->type;
    head.format = params->format;
    head.user_data_size = (uint32_t)params->user_data_size;
    head.info_size = (uint32_t)info_size;
    head.has_user_data = params->user_data != NULL;
    const size_t size = sizeof(head) + head.user_data_size + info_size;
    uint8_t *message = malloc(size);
    OE_ENSURE(message != NULL, OE_OUT_OF_MEMORY);
    memcpy(message, &head, sizeof(head));
    if (head.user_data_size > 0) {
        memcpy(message + sizeof(head), params->user_data, head.user_data_size);
    }
    if (info_size > 0) {
        memcpy(message + sizeof(head) + head.user_data_size, info, info_size);
    }
    const oe_result_t result = oe_skin_call(enclave, OE_ECALL_KEY, message, size, ret_rest,
                                            REST_MAX, ret_key_size, ret_size);
    free(message);
    return result;
}

static oe_result_t key_get(oe_enclave_t *enclave, uint32_t policy,
                           const oe_asymmetric_key_params_t *params, const uint8_t *info,
                           size_t info_size, uint8_t **key_buffer, size_t *key_buffer_size,
                           uint8_t **key_info, size_t *key_info_size)
{
    uint32_t key_size = 0;
    size_t size = 0;
    uint8_t *rest = malloc(REST_MAX);
    OE_ENSURE(rest != NULL, OE_OUT_OF_MEMORY);
    oe_result_t result = key_ask(enclave, policy, params, info, info_size, rest, &key_size, &size);
    if (result == OE_OK) {
        uint8_t *key = copy_of(rest, key_size);
        uint8_t *made_info = key_info ? copy_of(rest + key_size, size - key_size) : NULL;
        if (!key || (key_info && !made_info)) {
            free(key);
            free(made_info);
            result = OE_OUT_OF_MEMORY;
        } else {
            *key_buffer = key;
            *key_buffer_size = key_size;
            if (key_info) {
                *key_info = made_info;
                *key_info_size = size - key_size;
            }
        }
    }
    free(rest);
    return result;
}

oe_result_t oe_get_public_key_by_policy(oe_enclave_t *enclave, oe_seal_policy_t seal_policy,
                                        const oe_asymmetric_key_params_t *key_params,
                                        uint8_t **key_buffer, size_t *key_buffer_size,
                                        uint8_t **key_info, size_t *key_info_size)
{
    OE_ENSURE(key_buffer != NULL && key_buffer_size != NULL &&
                  (key_info == NULL) == (key_info_size == NULL) &&
                  (seal_policy == OE_SEAL_POLICY_UNIQUE || seal_policy == OE_SEAL_POLICY_PRODUCT),
              OE_INVALID_PARAMETER);
    return key_get(enclave, seal_policy, key_params, NULL, 0, key_buffer, key_buffer_size, key_info,
                   key_info_size);
}

oe_result_t oe_get_public_key(oe_enclave_t *enclave, const oe_asymmetric_key_params_t *key_params,
                              const uint8_t *key_info, size_t key_info_size, uint8_t **key_buffer,
                              size_t *key_buffer_size)
{
    OE_ENSURE(key_info != NULL && key_info_size > 0 && key_buffer != NULL &&
                  key_buffer_size != NULL,
              OE_INVALID_PARAMETER);
    return key_get(enclave, 0, key_params, key_info, key_info_size, key_buffer, key_buffer_size,
                   NULL, NULL);
}
