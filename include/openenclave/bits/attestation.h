/*
 * The layout of endorsements (collateral) in the Open Enclave API.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_BITS_ATTESTATION_H
#define _OE_BITS_ATTESTATION_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/types.h>

#define OE_ATTESTATION_ENDORSEMENT_MAX_SIZE (200 * 1024)
#define OE_ATTESTATION_ENDORSEMENT_VERSION (1)

/* A table of uint32_t offsets, one an element, then the elements. */
typedef struct _oe_endorsements_t {
    uint32_t version;
    uint32_t enclave_type;
    uint32_t buffer_size;
    uint32_t num_elements;
    uint8_t buffer[];
} oe_endorsements_t;

#define OE_SGX_ENDORSEMENTS_VERSION (1)
#define OE_SGX_ENDORSEMENTS_CRL_COUNT (2)

/* The elements of SGX endorsements, in their order. */
typedef enum _oe_sgx_endorsements_fields_t {
    OE_SGX_ENDORSEMENT_FIELD_VERSION,
    OE_SGX_ENDORSEMENT_FIELD_TCB_INFO,
    OE_SGX_ENDORSEMENT_FIELD_TCB_ISSUER_CHAIN,
    OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_CERT,
    OE_SGX_ENDORSEMENT_FIELD_CRL_PCK_PROC_CA,
    OE_SGX_ENDORSEMENT_FIELD_CRL_ISSUER_CHAIN_PCK_CERT,
    OE_SGX_ENDORSEMENT_FIELD_QE_ID_INFO,
    OE_SGX_ENDORSEMENT_FIELD_QE_ID_ISSUER_CHAIN,
    OE_SGX_ENDORSEMENT_FIELD_CREATION_DATETIME,
    OE_SGX_ENDORSEMENT_COUNT
} oe_sgx_endorsements_fields_t;

#endif
