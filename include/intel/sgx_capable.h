/*
 * Whether this machine can run enclaves on hardware. Library sgx_capable. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_CAPABLE_H_
#define _SGX_CAPABLE_H_

#include "sgx_defs.h"
#include "sgx_error.h"

typedef enum _sgx_device_status_t {
    SGX_ENABLED,
    SGX_DISABLED_REBOOT_REQUIRED,
    SGX_DISABLED_LEGACY_OS,
    SGX_DISABLED,
    SGX_DISABLED_SCI_AVAILABLE,
    SGX_DISABLED_MANUAL_ENABLE,
    SGX_DISABLED_HYPERV_ENABLED,
    SGX_DISABLED_UNSUPPORTED_CPU,
} sgx_device_status_t;

#ifdef __cplusplus
extern "C" {
#endif

/* 1 when the processor has SGX and it is or could be enabled, else 0. */
sgx_status_t sgx_is_capable(int *sgx_capable);

/* Software cannot enable SGX on Linux: the same answer as sgx_cap_get_status. */
sgx_status_t sgx_cap_enable_device(sgx_device_status_t *sgx_device_status);
sgx_status_t SGXAPI sgx_cap_get_status(sgx_device_status_t *sgx_device_status);

#ifdef __cplusplus
}
#endif
#endif
