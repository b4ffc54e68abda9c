/*
 * The Open Enclave API of the untrusted side: create and terminate enclaves, reports, public keys.
 * Skin header for host code; C11 and C++. Library: liboehost (pkg-config oehost-gcc …, CMake openenclave::oehost).
 * Never included together with enclave.h.
 */
#ifndef _OE_HOST_H
#define _OE_HOST_H

#ifdef _OE_ENCLAVE_H
#error "openenclave/host.h is for the host and openenclave/enclave.h for the enclave: include one"
#endif

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/bits/asym_keys.h>

#include "bits/defs.h"
#include "bits/eeid.h"
#include "bits/evidence.h"
#include "bits/result.h"
#include "bits/types.h"
#include "edger8r/host_types.h"
#include "host_verify.h"

OE_EXTERNC_BEGIN

/* Names of another compiler's library that portable hosts use. */
#define _getpid getpid
#define _strdup strdup
#define sscanf_s sscanf
#define sprintf_s(buffer, size, format, argument) sprintf(buffer, format, argument)
#define strcat_s(to, to_size, from) strcat(to, from)
#define strcpy_s(to, to_size, from) ((void)(to_size), (void)strcpy(to, from))
#define strncat_s(to, to_size, from, size) strncat(to, from, size)
#define fopen_s(ret_file, name, mode) (*(ret_file) = fopen((name), (mode)))

/* oe_create_enclave, flags */
#define OE_ENCLAVE_FLAG_DEBUG 0x00000001u
#define OE_ENCLAVE_FLAG_SIMULATE 0x00000002u /* the software processor: nothing is missing there */
#define OE_ENCLAVE_FLAG_SGX_KSS 0x00000004u  /* not for callers: properties decide */
#define OE_ENCLAVE_FLAG_DEBUG_AUTO 0x00000010u /* a debug enclave if the image allows it */
#define OE_ENCLAVE_FLAG_RESERVED                                                                   \
    (~(OE_ENCLAVE_FLAG_DEBUG | OE_ENCLAVE_FLAG_DEBUG_AUTO | OE_ENCLAVE_FLAG_SIMULATE))

typedef enum _oe_enclave_setting_type {
    OE_ENCLAVE_SETTING_CONTEXT_SWITCHLESS = 0xdc73a628,
#ifdef OE_WITH_EXPERIMENTAL_EEID
    OE_EXTENDED_ENCLAVE_INITIALIZATION_DATA = 0x976a8f66,
#endif
    OE_SGX_ENCLAVE_CONFIG_DATA = 0x78b5b41d
} oe_enclave_setting_type_t;

/* Threads for switchless calls; each enclave worker takes a TCS. */
typedef struct _oe_enclave_setting_context_switchless {
    size_t max_host_workers;
    size_t max_enclave_workers;
} oe_enclave_setting_context_switchless_t;

/* CONFIGID and CONFIGSVN of an enclave with KSS. */
typedef struct _oe_sgx_enclave_setting_config_data {
    uint8_t config_id[64];
    uint16_t config_svn;
    bool ignore_if_unsupported;
} oe_sgx_enclave_setting_config_data;

typedef struct _oe_enclave_setting {
    oe_enclave_setting_type_t setting_type;
    union {
        const oe_enclave_setting_context_switchless_t *context_switchless_setting;
#ifdef OE_WITH_EXPERIMENTAL_EEID
        oe_eeid_t *eeid;
#endif
        const oe_sgx_enclave_setting_config_data *config_data;
    } u;
} oe_enclave_setting_t;

/*
 * Called by the generated oe_create_NAME_enclave. An unsigned image is signed in memory with a key that everyone knows,
 * for a debug enclave. Results, among others: OE_INVALID_PARAMETER, OE_INVALID_IMAGE, OE_DEBUG_DOWNGRADE (a debug
 * enclave of an image that is signed without), OE_UNSUPPORTED, OE_PLATFORM_ERROR. The log says it in words.
 */
oe_result_t oe_create_enclave(const char *path, oe_enclave_type_t type, uint32_t flags,
                              const oe_enclave_setting_t *settings, uint32_t setting_count,
                              const oe_ocall_func_t *ocall_table, uint32_t ocall_count,
                              const oe_ecall_info_t *ecall_name_table, uint32_t ecall_count,
                              oe_enclave_t **enclave);

/* No ecall may be running. */
oe_result_t oe_terminate_enclave(oe_enclave_t *enclave);

#define oe_get_report oe_get_report_v2
#define oe_get_target_info oe_get_target_info_v2

/* A report of `enclave`, for the enclave whose target info is given, or a quote; free with oe_free_report. */
oe_result_t oe_get_report_v2(oe_enclave_t *enclave, uint32_t flags, const void *opt_params,
                             size_t opt_params_size, uint8_t **report_buffer,
                             size_t *report_buffer_size);
void oe_free_report(uint8_t *report_buffer);

/* From a report: what another enclave needs to make a report for that one. */
oe_result_t oe_get_target_info_v2(const uint8_t *report, size_t report_size,
                                  void **target_info_buffer, size_t *target_info_size);
void oe_free_target_info(void *target_info_buffer);

/* Reads a report without verifying it. */
oe_result_t oe_parse_report(const uint8_t *report, size_t report_size, oe_report_t *parsed_report);

/* `enclave` verifies local reports that were made for it; NULL for remote ones. */
oe_result_t oe_verify_report(oe_enclave_t *enclave, const uint8_t *report, size_t report_size,
                             oe_report_t *parsed_report);

/* Public halves of keys that only the enclave can derive; free with oe_free_key. */
oe_result_t oe_get_public_key_by_policy(oe_enclave_t *enclave, oe_seal_policy_t seal_policy,
                                        const oe_asymmetric_key_params_t *key_params,
                                        uint8_t **key_buffer, size_t *key_buffer_size,
                                        uint8_t **key_info, size_t *key_info_size);
oe_result_t oe_get_public_key(oe_enclave_t *enclave, const oe_asymmetric_key_params_t *key_params,
                              const uint8_t *key_info, size_t key_info_size, uint8_t **key_buffer,
                              size_t *key_buffer_size);
void oe_free_key(uint8_t *key_buffer, size_t key_buffer_size, uint8_t *key_info,
                 size_t key_info_size);

OE_EXTERNC_END

#endif
