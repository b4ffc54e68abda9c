/*
 * Sealing settings of SGX, and the built-in plug-in (AES-GCM over an EGETKEY seal key).
 * Skin header for enclave code; C11 and C++.
 * Never weaker than the default: masks only add to what the key depends on, or say so here.
 */
#ifndef _OE_SGX_SEAL_H
#define _OE_SGX_SEAL_H

#include <openenclave/bits/sgx/sgxtypes.h>
#include <openenclave/seal.h>

OE_EXTERNC_BEGIN

enum oe_seal_setting_type_sgx_t {
    OE_SEAL_SETTING_SGX_KEYNAME = OE_SEAL_SETTING_PLUGIN_DEFINED, /* w */
    OE_SEAL_SETTING_SGX_ISVSVN,                                   /* w */
    OE_SEAL_SETTING_SGX_CET_ATTRIBUTES_MASK,                      /* b */
    OE_SEAL_SETTING_SGX_CPUSVN,                                   /* p, 16 bytes */
    OE_SEAL_SETTING_SGX_FLAGSMASK,                                /* q */
    OE_SEAL_SETTING_SGX_XFRMMASK,                                 /* q */
    OE_SEAL_SETTING_SGX_MISCMASK,                                 /* d */
    OE_SEAL_SETTING_SGX_CONFIGSVN,                                /* w */
    OE_SEAL_SETTING_SGX_PLUGIN_DEFINED =
        OE_SEAL_SETTING_PLUGIN_DEFINED + OE_SEAL_SETTING_PLUGIN_DEFINED / 2
};

#define OE_SEAL_SET_SGX_KEYNAME(value) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_KEYNAME, value)
#define OE_SEAL_SET_SGX_ISVSVN(value) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_ISVSVN, value)
#define OE_SEAL_SET_SGX_CET_ATTRIBUTES_MASK(value)                                                 \
    __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_CET_ATTRIBUTES_MASK, value)
#define OE_SEAL_SET_SGX_CPUSVN(p) __OE_SEAL_SET_POINTER(OE_SEAL_SETTING_SGX_CPUSVN, p, 16)
#define OE_SEAL_SET_SGX_FLAGSMASK(value) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_FLAGSMASK, value)
#define OE_SEAL_SET_SGX_XFRMMASK(value) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_XFRMMASK, value)
#define OE_SEAL_SET_SGX_MISCMASK(value) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_MISCMASK, value)
#define OE_SEAL_SET_SGX_CONFIGSVN(value) __OE_SEAL_SET_VALUE(OE_SEAL_SETTING_SGX_CONFIGSVN, value)

/* Registered as the default from the start. */
extern const oe_seal_plugin_definition_t oe_seal_plugin_gcm_aes;

OE_EXTERNC_END

#endif
