/*
 * Layouts of TDX quotes, versions 4 and 5. Source: Intel TDX DCAP Quoting Library API; Intel TDX module ABI, TDREPORT.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_BITS_TDX_TDXQUOTE_H
#define _OE_BITS_TDX_TDXQUOTE_H

#include <openenclave/bits/sgx/sgxtypes.h>

OE_EXTERNC_BEGIN

typedef struct _tee_tcb_svn {
    uint8_t seam0;
    uint8_t seam1;
    uint8_t reserved[14];
} tee_tcb_svn_t;

/* Eight bytes: under debug, security, other. */
typedef struct _tdx_attributes_t {
    union {
        struct {
            uint8_t debug : 1;
            uint8_t reserved0 : 3;
            uint8_t hgs_plus_prof : 1;
            uint8_t perf_prof : 1;
            uint8_t pmt_prof : 1;
            uint8_t reserved1 : 1;
            uint8_t reserved2;
        } d;
        uint8_t u[2];
    } tud_tup;
    union {
        struct {
            uint8_t icssd : 1;
            uint8_t servtd_ext : 1;
            uint8_t reserved0 : 6;
            uint8_t reserved1 : 3;
            uint8_t lass : 1;
            uint8_t sept_ve_disable : 1;
            uint8_t migratable : 1;
            uint8_t pks : 1;
            uint8_t kl : 1;
        } d;
        uint8_t u[2];
    } sec;
    union {
        struct {
            uint8_t reserved0[3];
            uint8_t reserved1 : 7;
            uint8_t perfmon : 1;
        } d;
        uint8_t u[4];
    } other;
} tdx_attributes_t;

OE_PACK_BEGIN
typedef struct _tdx_report_body_t {
    tee_tcb_svn_t tee_tcb_svn;
    uint8_t mrseam[48];
    uint8_t mrseamsigner[48];
    uint8_t seam_attributes[8];
    tdx_attributes_t td_attributes;
    uint8_t xfam[8];
    uint8_t mrtd[48];
    uint8_t mrconfigid[48];
    uint8_t mrowner[48];
    uint8_t mrownerconfig[48];
    uint8_t rtmr0[48], rtmr1[48], rtmr2[48], rtmr3[48];
    uint8_t report_data[64];
} tdx_report_body_t;

typedef struct _tdx_report_body_v5_t {
    tee_tcb_svn_t tee_tcb_svn;
    uint8_t mrseam[48];
    uint8_t mrseamsigner[48];
    uint8_t seam_attributes[8];
    tdx_attributes_t td_attributes;
    uint8_t xfam[8];
    uint8_t mrtd[48];
    uint8_t mrconfigid[48];
    uint8_t mrowner[48];
    uint8_t mrownerconfig[48];
    uint8_t rtmr0[48], rtmr1[48], rtmr2[48], rtmr3[48];
    uint8_t report_data[64];
    tee_tcb_svn_t tee_tcb_svn2;
    uint8_t mrservicetd[48];
} tdx_report_body_v5_t;

typedef struct _tdx_quote_t {
    uint16_t version;
    uint16_t sign_type;
    uint32_t tee_type;
    uint16_t qe_svn;
    uint16_t pce_svn;
    uint8_t uuid[16];
    uint8_t user_data[SGX_USERDATA_SIZE];
    tdx_report_body_t report_body;
    uint32_t signature_len;
    OE_ZERO_SIZED_ARRAY uint8_t signature[];
} tdx_quote_t;

typedef struct _tdx_quote_v5_t {
    uint16_t version;
    uint16_t sign_type;
    uint32_t tee_type;
    uint16_t qe_svn;
    uint16_t pce_svn;
    uint8_t uuid[16];
    uint8_t user_data[SGX_USERDATA_SIZE];
    uint16_t type;
    uint32_t size;
    OE_ZERO_SIZED_ARRAY uint8_t body[];
} tdx_quote_v5_t;

typedef struct _tdx_quote_auth_data {
    sgx_ecdsa256_signature_t signature;
    sgx_ecdsa256_key_t attestation_key;
    uint8_t certification_data[];
} tdx_quote_auth_data_t;

#define TDX_QE_CERTIFICATION_DATA_TYPE_PCK_CERT_CHAIN 5
#define TDX_QE_CERTIFICATION_DATA_TYPE_QE_REPORT 6

typedef struct _tdx_qe_certification_data_t {
    uint16_t type;
    uint32_t size;
    uint8_t certification_data[];
} tdx_qe_certification_data_t;

typedef struct _tdx_qe_report_certification_data_t {
    sgx_report_body_t qe_report_body;
    sgx_ecdsa256_signature_t signature;
    uint8_t auth_certification_data[];
} tdx_qe_report_certification_data_t;
OE_PACK_END

OE_STATIC_ASSERT(sizeof(tdx_attributes_t) == 8);
OE_STATIC_ASSERT(sizeof(tdx_report_body_t) == 584);
OE_STATIC_ASSERT(sizeof(tdx_report_body_v5_t) == 648);
OE_STATIC_ASSERT(sizeof(tdx_quote_auth_data_t) == 128);

OE_EXTERNC_END

#endif
