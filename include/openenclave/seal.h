/*
 * Sealing in the Open Enclave API: settings, plug-ins, seal and unseal.
 * Skin header for enclave code; C11 and C++.
 * Never protects against an old blob being put back: keep a counter if that matters.
 */
#ifndef _OE_SEAL_H
#define _OE_SEAL_H

#include <openenclave/bits/evidence.h>
#include <openenclave/bits/result.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

typedef struct _oe_seal_setting {
    int type;
    uint32_t size; /* bytes at value.p; 0 when the value is in the union itself */
    union {
        uint64_t q;
        uint32_t d;
        uint16_t w;
        uint8_t b;
        const void *p;
    } value;
} oe_seal_setting_t;

enum oe_seal_setting_type_t {
    OE_SEAL_SETTING_POLICY,             /* w: oe_seal_policy_t */
    OE_SEAL_SETTING_ADDITIONAL_CONTEXT, /* p: 32 bytes that take part in the key */
    OE_SEAL_SETTING_IV,                 /* p: 12 bytes */
    OE_SEAL_SETTING_MAX = 0x10000,
    OE_SEAL_SETTING_PLUGIN_DEFINED = OE_SEAL_SETTING_MAX / 2
};

#define __OE_SEAL_SET_POINTER(t, p, s)                                                             \
    {                                                                                              \
        (t), s,                                                                                    \
        {                                                                                          \
            (uint64_t)(p)                                                                          \
        }                                                                                          \
    }
#define __OE_SEAL_SET_VALUE(t, v) __OE_SEAL_SET_POINTER(t, v, 0)
#define OE_SEAL_SET_POLICY(policy) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_POLICY, policy)
#define OE_SEAL_SET_CONTEXT(p, size)                                                               \
    __OE_SEAL_SET_POINTER(OE_SEAL_SETTING_ADDITIONAL_CONTEXT, p, size)
#define OE_SEAL_SET_IV(p, size) __OE_SEAL_SET_POINTER(OE_SEAL_SETTING_IV, p, size)

/* plugin_id NULL: the default plug-in. `additional_data` is authenticated, not stored. Free *blob with free(). */
oe_result_t oe_seal(const oe_uuid_t *plugin_id, const oe_seal_setting_t *settings,
                    size_t settings_count, const uint8_t *plaintext, size_t plaintext_size,
                    const uint8_t *additional_data, size_t additional_data_size, uint8_t **blob,
                    size_t *blob_size);
oe_result_t oe_unseal(const uint8_t *blob, size_t blob_size, const uint8_t *additional_data,
                      size_t additional_data_size, uint8_t **plaintext, size_t *plaintext_size);

typedef struct _oe_seal_plugin_definition {
    const oe_uuid_t id;
    oe_result_t (*seal)(const oe_seal_setting_t *settings, size_t settings_count,
                        const uint8_t *plaintext, size_t plaintext_size,
                        const uint8_t *additional_data, size_t additional_data_size, uint8_t **blob,
                        size_t *blob_size);
    oe_result_t (*unseal)(const uint8_t *blob, size_t blob_size, const uint8_t *additional_data,
                          size_t additional_data_size, uint8_t **plaintext, size_t *plaintext_size);
} oe_seal_plugin_definition_t;

/* OE_ALREADY_EXISTS, OE_OUT_OF_MEMORY (at most 8). */
oe_result_t oe_register_seal_plugin(const oe_seal_plugin_definition_t *plugin, bool make_default);
/* OE_NOT_FOUND. */
oe_result_t oe_unregister_seal_plugin(const oe_uuid_t *plugin_id);

OE_EXTERNC_END

#endif
