/*
 * An enclave checks that a quote appraisal enclave has appraised a quote. Trusted library sgx_dcap_tvl.
 * Source compatible with Intel's DCAP libraries.
 */
#ifndef __QAE_VERIFICATION_INPUT_T
#define __QAE_VERIFICATION_INPUT_T

#include <stdint.h>
#include <time.h>

#include "sgx_dcap_qal_types.h"

/* Which call made the result: tee_appraise_verification_token, tee_authenticate_appraisal_result_ex,
 * tee_authenticate_policy_owner. */
typedef enum _tvl_mode_t {
    APPRAISAL = 1,
    AUTH_POLICY,
    AUTH_OWNER,
} tvl_mode_t;

/* The td_ members are NULL; p_quote may be, with quote_size 0. */
typedef struct _qae_verification_input_t {
    tvl_mode_t mode;
    union {
        struct {
            char *p_appraisal_jwt;
            char *p_qvl_jwt;
            time_t appraisal_check_date;
            uint8_t **p_policies;
            uint8_t policy_count;
        } appraisal;
        struct {
            char *p_appraisal_jwt;
            tee_policy_bundle_t *p_policy_bundle;
            const uint8_t *p_td_identity;
            const uint8_t *p_td_tcb_mapping_table;
            tee_policy_auth_result_t *p_result;
            uint8_t *p_quote;
            uint32_t quote_size;
        } auth_policy;
        struct {
            char *p_appraisal_jwt;
            uint8_t **p_policy_key_list;
            uint8_t key_list_count;
            const uint8_t *p_td_identity;
            const uint8_t *p_td_tcb_mapping_table;
            tee_policy_auth_result_t *p_result;
            uint8_t *p_quote;
            uint32_t quote_size;
        } auth_owner;
    } input;
} qae_verification_input_t;

#endif
