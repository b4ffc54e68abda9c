/*
 * Messages of the remote key exchange. Source and message compatible with the Intel SGX SDK up to 2.27.
 */
#ifndef _SGX_KEY_EXCHANGE_H_
#define _SGX_KEY_EXCHANGE_H_

#include <stdint.h>

#include "sgx_ecp_types.h"
#include "sgx_quote.h"

typedef struct _ps_sec_prop_desc {
    uint8_t sgx_ps_sec_prop_desc[256];
} sgx_ps_sec_prop_desc_t;

typedef uint32_t sgx_ra_context_t;
typedef sgx_key_128bit_t sgx_ra_key_128_t;

typedef enum _ra_key_type_t {
    SGX_RA_KEY_SK = 1,
    SGX_RA_KEY_MK,
} sgx_ra_key_type_t;

/* Client to service provider. */
typedef struct _ra_msg1_t {
    sgx_ec256_public_t g_a;
    sgx_epid_group_id_t gid;
} sgx_ra_msg1_t;

/* Service provider to client. `mac` is over everything before it. */
typedef struct _ra_msg2_t {
    sgx_ec256_public_t g_b;
    sgx_spid_t spid;
    uint16_t quote_type;
    uint16_t kdf_id;
    sgx_ec256_signature_t sign_gb_ga;
    sgx_mac_t mac;
    uint32_t sig_rl_size;
    uint8_t sig_rl[];
} sgx_ra_msg2_t;

/* Client to service provider. `mac` is over everything behind it. */
typedef struct _ra_msg3_t {
    sgx_mac_t mac;
    sgx_ec256_public_t g_a;
    sgx_ps_sec_prop_desc_t ps_sec_prop;
    uint8_t quote[];
} sgx_ra_msg3_t;

#endif
