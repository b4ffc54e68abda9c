/*
 * Public keys at the host's request. Linked in when the EDL imports keys.edl.
 * Side: enclave. Called by the kernel for the host's oe_get_public_key and oe_get_public_key_by_policy.
 * Never answers with a private key.
 */
#include <string.h>

#include <openenclave/enclave.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

extern const char cella_module_oe_keys;
const char cella_module_oe_keys = 1;

struct made {
    uint8_t *key, *info;
    size_t key_size, info_size;
};

/* What follows the head: user data, then key info, to the last byte. */
static oe_result_t key_get(const struct oe_key_request *head, const uint8_t *rest, size_t rest_size,
                           struct made *made)
{
    OE_ENSURE(head->user_data_size <= rest_size &&
                  head->info_size == rest_size - head->user_data_size,
              OE_INVALID_PARAMETER);
    const oe_asymmetric_key_params_t params = {
        .type = (oe_asymmetric_key_type_t)head->type,
        .format = (oe_asymmetric_key_format_t)head->format,
        .user_data = head->has_user_data ? (void *)rest : NULL,
        .user_data_size = head->user_data_size,
    };
    if (head->policy == 0) {
        return oe_get_public_key(&params, rest + head->user_data_size, head->info_size, &made->key,
                                 &made->key_size);
    }
    return oe_get_public_key_by_policy((oe_seal_policy_t)head->policy, &params, &made->key,
                                       &made->key_size, &made->info, &made->info_size);
}

static cella_result serve_key(const void *in, size_t in_size, void *out, size_t out_capacity,
                              size_t *ret_size)
{
    struct oe_key_request head;
    struct made made = {0};
    struct oe_answer answer = {0};
    CELLA_ENSURE(in_size >= sizeof(head), TRUNCATED);
    CELLA_ENSURE(out_capacity >= sizeof(answer), BUFFER_TOO_SMALL);
    memcpy(&head, in, sizeof(head));
    answer.result =
        key_get(&head, (const uint8_t *)in + sizeof(head), in_size - sizeof(head), &made);
    if (answer.result == OE_OK && made.key_size + made.info_size > out_capacity - sizeof(answer)) {
        answer.result = OE_BUFFER_TOO_SMALL;
    }
    *ret_size = sizeof(answer);
    if (answer.result == OE_OK) {
        answer.size = (uint32_t)made.key_size;
        uint8_t *at = (uint8_t *)out + sizeof(answer);
        memcpy(at, made.key, made.key_size);
        if (made.info_size > 0) {
            memcpy(at + made.key_size, made.info, made.info_size);
        }
        *ret_size += made.key_size + made.info_size;
    }
    memcpy(out, &answer, sizeof(answer));
    oe_free_key(made.key, made.key_size, made.info, made.info_size);
    return CELLA_OK;
}

static const struct cella_system_ecall key_ecall = {
    .number = OE_ECALL_KEY,
    .ecall = {.function = serve_key, .in_max = OE_ECALL_KEY_MAX, .out_max = OE_ECALL_KEY_MAX}};
CELLA_SYSTEM_ECALL(key_ecall);
