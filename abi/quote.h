/*
 * SGX DCAP quotes of version 3: header, body, what the signature holds; ids of attestation keys; reports of the QE.
 * Side: ground; quote/ writes these, verifiers read them. Never holds a pointer.
 * Source: Intel SGX ECDSA QuoteLibReferenceDCAP API, appendix A; sgx_quote_3.h, sgx_ql_quote.h, sgx_quote.h.
 */
#ifndef CELLA_ABI_QUOTE_H
#define CELLA_ABI_QUOTE_H

#include "abi/sgx.h"

#define SGX_QUOTE3_VERSION 3u
#define SGX_QUOTE3_KEY_ECDSA_P256 2u
#define SGX_QUOTE3_CERTIFICATES 5u /* PCK certificate, PCK CA, root: PEM */
#define SGX_QUOTE3_AUTH_SIZE 32u   /* of quoting enclaves there are; the format allows any */

/* 939A7233-F79C-4CA9-940A-0DB3957F0607 */
#define SGX_QUOTE3_VENDOR                                                                          \
    {                                                                                              \
        0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06,  \
            0x07                                                                                   \
    }

struct sgx_quote3_header {
    uint16_t version;
    uint16_t key_type;
    uint32_t reserved;
    uint16_t qe_svn;
    uint16_t pce_svn;
    uint8_t vendor[16];
    uint8_t user_data[20]; /* first 16: id of the QE on this platform */
};
CELLA_ABI_ASSERT(sizeof(struct sgx_quote3_header) == 48);
CELLA_ABI_AT(sgx_quote3_header, qe_svn, 8);
CELLA_ABI_AT(sgx_quote3_header, vendor, 12);
CELLA_ABI_AT(sgx_quote3_header, user_data, 28);

/* What is signed. */
struct sgx_quote3_signed {
    struct sgx_quote3_header header;
    struct sgx_report_body body;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_quote3_signed) == 432);

/* Behind it: u32 size of the rest, then this, then u16 size and authentication data, u16 type, u32 size and data. */
struct sgx_quote3_signature {
    uint8_t signature[64]; /* r, s, big endian, as all */
    uint8_t attestation_key[64];
    struct sgx_report_body qe_report;
    uint8_t qe_report_signature[64];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_quote3_signature) == 576);

/* sgx_ql_att_key_id_t: packed in Intel's headers, so that prod_id is not aligned. */
#define SGX_KEY_ID_SIZE 256u      /* sgx_att_key_id_t, sgx_att_key_id_ext_t */
#define SGX_KEY_ID_BASE_SIZE 158u /* sgx_ql_att_key_id_t */
#define SGX_KEY_ID_SIGNER_SIZE 4u /* offset of mrsigner_length: u16 */
#define SGX_KEY_ID_SIGNER 6u      /* u8[48] */
#define SGX_KEY_ID_PRODUCT 54u    /* u32 */
#define SGX_KEY_ID_ALGORITHM 154u /* u32: SGX_QUOTE3_KEY_ECDSA_P256 */

/* sgx_qe_report_info_t */
struct sgx_qe_report_info {
    uint8_t nonce[16];
    struct sgx_targetinfo target;
    struct sgx_report report; /* out: its data is SHA-256(nonce, quote) */
};
CELLA_ABI_ASSERT(sizeof(struct sgx_qe_report_info) == 960);

#endif
