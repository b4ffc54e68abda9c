/*
 * Extended enclave initialisation data: an experiment of Open Enclave's, off unless OE_WITH_EXPERIMENTAL_EEID.
 * Skin header for both sides; C11 and C++. Types only: creation with such data gives OE_UNSUPPORTED.
 * Never part of a released Open Enclave.
 */
#ifndef _OE_BITS_EEID_H
#define _OE_BITS_EEID_H

#ifdef OE_WITH_EXPERIMENTAL_EEID

#include "properties.h"

OE_EXTERNC_BEGIN

#define OE_EEID_VERSION (1)

OE_PACK_BEGIN
typedef struct _oe_eeid {
    uint32_t version;
    struct {
        uint32_t H[8];
        uint32_t N[2];
    } hash_state;
    uint64_t signature_size;
    oe_enclave_size_settings_t size_settings;
    uint64_t vaddr;
    uint64_t entry_point;
    uint64_t tls_page_count;
    uint64_t data_size;
    uint8_t data[];
} oe_eeid_t;

typedef struct {
    size_t sgx_endorsements_size;
    size_t eeid_endorsements_size;
    uint8_t data[];
} oe_eeid_endorsements_t;
OE_PACK_END

OE_EXTERNC_END

#endif
#endif
