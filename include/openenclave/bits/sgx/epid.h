/*
 * Layouts of EPID signatures, which old quotes hold. Source: Intel EPID SDK, data structures.
 * Skin header for both sides; C11 and C++. Types only: nobody makes EPID quotes any more.
 * Never declares a function.
 */
#ifndef _OE_EPID_H
#define _OE_EPID_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

/* All members are bytes: big-endian numbers. */
typedef struct _sgx_epid_oct_str32 {
    uint8_t data[4];
} sgx_epid_oct_str32_t;

typedef struct _sgx_epid_oct_str256 {
    uint8_t data[32];
} sgx_epid_oct_str256_t;

typedef struct _sgx_epid_fq_elem_str {
    sgx_epid_oct_str256_t data;
} sgx_epid_fq_elem_str_t;

typedef struct _sgx_epid_fp_elem_str {
    sgx_epid_oct_str256_t data;
} sgx_epid_fp_elem_str_t;

typedef struct _sgx_epid_g1_elem_str {
    sgx_epid_fq_elem_str_t x, y;
} sgx_epid_g1_elem_str_t;

typedef struct _sgx_epid_basic_signature {
    sgx_epid_g1_elem_str_t B, K, T;
    sgx_epid_fp_elem_str_t c, sx, sf, sa, sb;
} sgx_epid_basic_signature_t;

typedef struct _sgx_epid_nr_proof {
    sgx_epid_g1_elem_str_t T;
    sgx_epid_fp_elem_str_t c, smu, snu;
} sgx_epid_nr_proof_t;

typedef struct _sgx_epid_signature {
    sgx_epid_basic_signature_t sigma0;
    sgx_epid_oct_str32_t rl_ver, n2;
    OE_ZERO_SIZED_ARRAY sgx_epid_nr_proof_t sigma[0];
} sgx_epid_signature_t;

typedef struct _sgx_epid_sig_rl_entry {
    sgx_epid_g1_elem_str_t b, k;
} sgx_epid_sig_rl_entry_t;

typedef struct _sgx_epid_sig_rl {
    sgx_epid_oct_str32_t gid[4];
    uint8_t rlver[4];
    uint8_t n2[4];
    sgx_epid_sig_rl_entry_t bk[1];
} sgx_epid_sig_rl_t;

OE_EXTERNC_END

#endif
