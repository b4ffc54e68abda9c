/*
 * sgx_capable.h: what CPUID and the device nodes say.
 * Side: host. Called by applications. Never changes anything.
 */
#include "sgx_capable.h"

#include <cpuid.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Leaf 7, EBX bit 2; leaf 12H, EAX bit 0: SGX1. */
static int processor_has_sgx(int *ret_enabled)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & 4u) == 0) {
        return 0;
    }
    *ret_enabled = __get_cpuid_count(0x12, 0, &a, &b, &c, &d) && (a & 1u) != 0;
    return 1;
}

EXPORT sgx_status_t sgx_is_capable(int *sgx_capable)
{
    int enabled = 0;
    if (!sgx_capable) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    *sgx_capable = processor_has_sgx(&enabled);
    return SGX_SUCCESS;
}

EXPORT sgx_status_t sgx_cap_get_status(sgx_device_status_t *sgx_device_status)
{
    int enabled = 0;
    if (!sgx_device_status) {
        return SGX_ERROR_INVALID_PARAMETER;
    }
    if (access("/dev/sgx_enclave", F_OK) == 0 || access("/dev/sgx/enclave", F_OK) == 0) {
        *sgx_device_status = SGX_ENABLED;
    } else if (!processor_has_sgx(&enabled)) {
        *sgx_device_status = SGX_DISABLED_UNSUPPORTED_CPU;
    } else {
        *sgx_device_status = enabled ? SGX_DISABLED_LEGACY_OS : SGX_DISABLED_MANUAL_ENABLE;
    }
    return SGX_SUCCESS;
}

EXPORT sgx_status_t sgx_cap_enable_device(sgx_device_status_t *sgx_device_status)
{
    return sgx_cap_get_status(sgx_device_status);
}
