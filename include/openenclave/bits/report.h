/*
 * Reports in the Open Enclave API: identity, parsed report, sizes and flags.
 * Skin header for both sides; C11 and C++.
 * Never owns memory: pointers of a parsed report lead into the report.
 */
#ifndef _OE_BITS_REPORT_H
#define _OE_BITS_REPORT_H

#include "defs.h"
#include "types.h"

OE_EXTERNC_BEGIN

/* oe_get_report: a quote for others, instead of a report for an enclave of this machine. */
#define OE_REPORT_FLAGS_REMOTE_ATTESTATION 0x00000001

#define OE_REPORT_DATA_SIZE 64
#define OE_MAX_REPORT_SIZE (10 * 1024)
#define OE_UNIQUE_ID_SIZE 32
#define OE_SIGNER_ID_SIZE 32
#define OE_PRODUCT_ID_SIZE 16

/* oe_identity_t.attributes */
#define OE_REPORT_ATTRIBUTES_DEBUG 0x0000000000000001ULL
#define OE_REPORT_ATTRIBUTES_REMOTE 0x0000000000000002ULL
#define OE_REPORT_ATTRIBUTES_RESERVED (~(OE_REPORT_ATTRIBUTES_DEBUG | OE_REPORT_ATTRIBUTES_REMOTE))

typedef struct _oe_identity {
    uint32_t id_version; /* 0 */
    uint32_t security_version;
    uint64_t attributes;
    uint8_t unique_id[OE_UNIQUE_ID_SIZE];   /* MRENCLAVE */
    uint8_t signer_id[OE_SIGNER_ID_SIZE];   /* MRSIGNER */
    uint8_t product_id[OE_PRODUCT_ID_SIZE]; /* ISVPRODID, little endian, zero-padded */
} oe_identity_t;

typedef struct _oe_report {
    size_t size; /* of this struct */
    oe_enclave_type_t type;
    size_t report_data_size;
    size_t enclave_report_size;
    uint8_t *report_data;
    uint8_t *enclave_report;
    oe_identity_t identity;
    uint32_t verification_result;
} oe_report_t;

OE_EXTERNC_END

#endif
