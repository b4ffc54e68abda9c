/*
 * Parameters of derived asymmetric keys; the types of edl/asym_keys.edl.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_BITS_ASYM_KEYS_H
#define _OE_BITS_ASYM_KEYS_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/types.h>

/* Generated code of an EDL that imports the types finds them here. */
#define EDGER8R_ENUM_OE_ASYMMETRIC_KEY_TYPE_T
#define EDGER8R_ENUM_OE_ASYMMETRIC_KEY_FORMAT_T
#define EDGER8R_STRUCT_OE_ASYMMETRIC_KEY_PARAMS_T

typedef enum oe_asymmetric_key_type_t {
    OE_ASYMMETRIC_KEY_EC_SECP256P1 = 1,
    _OE_ASYMMETRIC_KEY_TYPE_MAX = OE_ENUM_MAX,
} oe_asymmetric_key_type_t;

typedef enum oe_asymmetric_key_format_t {
    OE_ASYMMETRIC_KEY_PEM = 1,
    _OE_ASYMMETRIC_KEY_FORMAT_MAX = OE_ENUM_MAX,
} oe_asymmetric_key_format_t;

typedef struct oe_asymmetric_key_params_t {
    oe_asymmetric_key_type_t type;
    oe_asymmetric_key_format_t format;
    void *user_data; /* takes part in the derivation; may be NULL */
    size_t user_data_size;
} oe_asymmetric_key_params_t;

#endif
