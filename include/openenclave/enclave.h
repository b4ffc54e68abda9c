/*
 * The Open Enclave API of the trusted side: memory, exceptions, host memory, reports, keys, randomness.
 * Skin header for enclave code; C11 and C++. Library: liboeenclave (pkg-config oeenclave-gcc …, CMake
 * openenclave::oeenclave).
 * Never included together with host.h.
 */
#ifndef _OE_ENCLAVE_H
#define _OE_ENCLAVE_H

#ifdef _OE_HOST_H
#error "openenclave/host.h is for the host and openenclave/enclave.h for the enclave: include one"
#endif

#ifdef __cplusplus /* what libc++'s headers bring along, and sources written for it rely on */
#include <atomic>
#include <limits>
#include <stdexcept>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#endif

#include <openenclave/bits/asym_keys.h>

#include "bits/defs.h"
#include "bits/evidence.h"
#include "bits/exception.h"
#include "bits/fs.h"
#include "bits/module.h"
#include "bits/properties.h"
#include "bits/result.h"
#include "bits/security.h"
#include "bits/types.h"

OE_EXTERNC_BEGIN

#define sscanf_s sscanf

/*
 * Handlers are asked in order, on the interrupted thread's stack. OE_INVALID_PARAMETER, OE_OUT_OF_MEMORY (64 at most),
 * OE_FAILURE for a handler that is there already.
 */
oe_result_t oe_add_vectored_exception_handler(bool is_first_handler,
                                              oe_vectored_exception_handler_t vectored_handler);
oe_result_t oe_remove_vectored_exception_handler(oe_vectored_exception_handler_t vectored_handler);

/* Whether all of [ptr, ptr + size) is inside, or all outside. */
bool oe_is_within_enclave(const void *ptr, size_t size);
bool oe_is_outside_enclave(const void *ptr, size_t size);

/* The host's heap. What lies there is neither secret nor authentic. NULL on failure. */
void *oe_host_malloc(size_t size);
void *oe_host_realloc(void *ptr, size_t size);
void *oe_host_calloc(size_t nmemb, size_t size);
void oe_host_free(void *ptr);
char *oe_host_strndup(const char *str, size_t n);

/* Ends the enclave for all threads. */
void oe_abort(void) OE_NO_RETURN;
void __oe_assert_fail(const char *expr, const char *file, int line, const char *func);
#ifdef NDEBUG
#define oe_assert(expr)
#else
#define oe_assert(expr) ((expr) ? (void)0 : __oe_assert_fail(#expr, __FILE__, __LINE__, __func__))
#endif

#define oe_get_report oe_get_report_v2
#define oe_get_target_info oe_get_target_info_v2
#define oe_get_seal_key_by_policy oe_get_seal_key_by_policy_v2
#define oe_get_seal_key oe_get_seal_key_v2

/* A report for the enclave whose target info is in opt_params (none: for itself), or a quote. */
oe_result_t oe_get_report_v2(uint32_t flags, const uint8_t *report_data, size_t report_data_size,
                             const void *opt_params, size_t opt_params_size,
                             uint8_t **report_buffer, size_t *report_buffer_size);
void oe_free_report(uint8_t *report_buffer);
oe_result_t oe_get_target_info_v2(const uint8_t *report, size_t report_size,
                                  void **target_info_buffer, size_t *target_info_size);
void oe_free_target_info(void *target_info);
/* Reads a report without verifying it. */
oe_result_t oe_parse_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report);
/* Local reports must have been made for this enclave. */
oe_result_t oe_verify_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report);

/* A 16-byte key; key_info gives the same key again, later. Free with oe_free_seal_key. */
oe_result_t oe_get_seal_key_by_policy_v2(oe_seal_policy_t seal_policy, uint8_t **key_buffer,
                                         size_t *key_buffer_size, uint8_t **key_info,
                                         size_t *key_info_size);
oe_result_t oe_get_seal_key_v2(const uint8_t *key_info, size_t key_info_size, uint8_t **key_buffer,
                               size_t *key_buffer_size);
void oe_free_seal_key(uint8_t *key_buffer, uint8_t *key_info);

/* P-256 keys derived from a seal key and key_params->user_data, as PEM. Free with oe_free_key. */
oe_result_t oe_get_public_key_by_policy(oe_seal_policy_t seal_policy,
                                        const oe_asymmetric_key_params_t *key_params,
                                        uint8_t **key_buffer, size_t *key_buffer_size,
                                        uint8_t **key_info, size_t *key_info_size);
oe_result_t oe_get_public_key(const oe_asymmetric_key_params_t *key_params, const uint8_t *key_info,
                              size_t key_info_size, uint8_t **key_buffer, size_t *key_buffer_size);
oe_result_t oe_get_private_key_by_policy(oe_seal_policy_t seal_policy,
                                         const oe_asymmetric_key_params_t *key_params,
                                         uint8_t **key_buffer, size_t *key_buffer_size,
                                         uint8_t **key_info, size_t *key_info_size);
oe_result_t oe_get_private_key(const oe_asymmetric_key_params_t *key_params,
                               const uint8_t *key_info, size_t key_info_size, uint8_t **key_buffer,
                               size_t *key_buffer_size);
void oe_free_key(uint8_t *key_buffer, size_t key_buffer_size, uint8_t *key_info,
                 size_t key_info_size);

/* The host's handle of this enclave, as the host gave it: to hand back to the host, never to use. */
oe_enclave_t *oe_get_enclave(void);

oe_result_t oe_random(void *data, size_t size);

oe_result_t oe_generate_attestation_certificate(const unsigned char *subject_name,
                                                uint8_t *private_key, size_t private_key_size,
                                                uint8_t *public_key, size_t public_key_size,
                                                uint8_t **output_certificate,
                                                size_t *output_certificate_size);
oe_result_t oe_generate_attestation_certificate_v2(const unsigned char *subject_name,
                                                   uint8_t *private_key, size_t private_key_size,
                                                   uint8_t *public_key, size_t public_key_size,
                                                   const char *date_not_valid_before,
                                                   const char *date_not_valid_after,
                                                   uint8_t **output_certificate,
                                                   size_t *output_certificate_size);
void oe_free_attestation_certificate(uint8_t *cert);

typedef oe_result_t (*oe_identity_verify_callback_t)(oe_identity_t *identity, void *arg);
oe_result_t
oe_verify_attestation_certificate(uint8_t *cert_in_der, size_t cert_in_der_len,
                                  oe_identity_verify_callback_t enclave_identity_callback,
                                  void *arg);

OE_EXTERNC_END

#endif
