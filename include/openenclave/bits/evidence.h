/*
 * Evidence in the Open Enclave API: format ids, claims, policies.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_BITS_EVIDENCE_H
#define _OE_BITS_EVIDENCE_H

#include "defs.h"
#include "report.h"
#include "types.h"

OE_EXTERNC_BEGIN

#define OE_EVIDENCE_ATTRIBUTES_SGX_DEBUG OE_REPORT_ATTRIBUTES_DEBUG
#define OE_EVIDENCE_ATTRIBUTES_SGX_REMOTE OE_REPORT_ATTRIBUTES_REMOTE
#define OE_EVIDENCE_ATTRIBUTES_RESERVED                                                            \
    (~(OE_EVIDENCE_ATTRIBUTES_SGX_DEBUG | OE_EVIDENCE_ATTRIBUTES_SGX_REMOTE))

#define OE_UUID_SIZE 16
#define OE_UEID_SIZE 33
#define OE_UEID_TYPE_RAND 0x01
#define OE_UEID_TYPE_IEEE_EUI 0x02
#define OE_UEID_TYPE_IMEI 0x03

typedef struct _oe_uuid_t {
    uint8_t b[OE_UUID_SIZE];
} oe_uuid_t;

typedef struct _oe_claim {
    char *name; /* zero-terminated */
    uint8_t *value;
    size_t value_size;
} oe_claim_t;

/* Claims that every verified evidence has. */
#define OE_CLAIM_ID_VERSION "id_version"             /* uint32_t */
#define OE_CLAIM_SECURITY_VERSION "security_version" /* uint32_t */
#define OE_CLAIM_ATTRIBUTES "attributes"             /* uint64_t, OE_EVIDENCE_ATTRIBUTES_* */
#define OE_CLAIM_UNIQUE_ID "unique_id"               /* 32 bytes */
#define OE_CLAIM_SIGNER_ID "signer_id"               /* 32 bytes */
#define OE_CLAIM_PRODUCT_ID "product_id"             /* 16 bytes */
#define OE_CLAIM_FORMAT_UUID "format_uuid"           /* oe_uuid_t */
#define OE_REQUIRED_CLAIMS_COUNT 7
extern const char *OE_REQUIRED_CLAIMS[OE_REQUIRED_CLAIMS_COUNT];

#define OE_CLAIM_TCB_STATUS "tcb_status" /* uint32_t, oe_sgx_tcb_status_t */
#define OE_CLAIM_TCB_DATE "tcb_date"     /* oe_datetime_t, as the two below */
#define OE_CLAIM_VALIDITY_FROM "validity_from"
#define OE_CLAIM_VALIDITY_UNTIL "validity_until"
#define OE_CLAIM_UEID "ueid" /* 33 bytes */
#define OE_CLAIM_HARDWARE_MODEL "hardware_model"
#define OE_OPTIONAL_CLAIMS_COUNT 6
extern const char *OE_OPTIONAL_CLAIMS[OE_OPTIONAL_CLAIMS_COUNT];

/* The caller's own bytes, which the evidence binds. */
#define OE_CLAIM_CUSTOM_CLAIMS_BUFFER "custom_claims_buffer"

typedef enum _oe_policy_type {
    OE_POLICY_ENDORSEMENTS_TIME = 1,     /* oe_datetime_t */
    OE_POLICY_ENDORSEMENTS_BASELINE = 2, /* bytes */
    OE_POLICY_TCB_BASELINE_DATE = 3,     /* oe_datetime_t */
} oe_policy_type_t;

typedef struct _oe_policy {
    oe_policy_type_t type;
    void *policy;
    size_t policy_size;
} oe_policy_t;

OE_EXTERNC_END

#endif
