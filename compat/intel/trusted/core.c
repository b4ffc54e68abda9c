/*
 * The core's reports, keys and copies, without the core's names.
 * Side: enclave. Called inside compat/intel/trusted only. Never interprets what passes through.
 */
#include "compat/intel/trusted/core.h"

#include <string.h>

#include "cella/attest.h"
#include "cella/enclave.h"
#include "cella/report.h"
#include "common/cleanup.h"
#include "compat/intel/calls.h"
#include "enclave/boundary.h"
#include "enclave/kernel.h"

/* The original's own variables, which tests and tools declare for themselves. Only told, never read here. */
uint64_t g_enclave_base;
uint64_t g_enclave_size;

__attribute__((constructor)) static void bounds_tell(void)
{
    g_enclave_base = cella_kernel.base;
    g_enclave_size = cella_kernel.size;
}

cella_result intel_core_report(const void *target, const void *data, void *ret_report)
{
    struct sgx_targetinfo info;
    struct sgx_report report;
    memcpy(&info, target, sizeof(info));
    CELLA_TRY(cella_report_create(&info, data, &report));
    memcpy(ret_report, &report, sizeof(report));
    return CELLA_OK;
}

cella_result intel_core_report_verify(const void *report)
{
    struct sgx_report copy;
    memcpy(&copy, report, sizeof(copy));
    return cella_report_verify(&copy);
}

cella_result intel_core_key(const void *request, void *ret_key)
{
    struct sgx_keyrequest copy;
    memcpy(&copy, request, sizeof(copy));
    return cella_key_get(&copy, ret_key);
}

void *intel_core_xsave(const void *exception, size_t *ret_size)
{
    *ret_size = cella_xsave_size;
    return cella_exception_xsave(exception);
}

cella_result intel_core_copy_in(void *to, const void *host, size_t size)
{
    return cella_copy_in(to, cella_host_pointer((uint64_t)host), size);
}

cella_result intel_core_copy_out(void *host, const void *from, size_t size)
{
    return cella_copy_out(cella_host_pointer_out((uint64_t)host), from, size);
}

/*
 * ENCLU[EVERIFYREPORT2] exists on processors with TDX only (SDM Vol. 3D); CPUID leaf 12H, EAX bit 7 says so, and the host
 * could lie: then the leaf faults and the enclave ends, which is the host's loss.
 */
#define ENCLU_EVERIFYREPORT2 8u
#define CPUID_EVERIFYREPORT2 (1u << 7)

cella_result intel_core_report2_verify(const void *report)
{
    _Alignas(256) uint8_t copy[256];
    uint32_t a = 0x12, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    CELLA_ENSURE((a & CPUID_EVERIFYREPORT2) != 0, UNSUPPORTED);
    memcpy(copy, report, sizeof(copy));
    uint64_t leaf = ENCLU_EVERIFYREPORT2;
    __asm__ volatile("enclu" : "+a"(leaf) : "b"(copy) : "memory", "cc");
    CELLA_ENSURE((uint32_t)leaf == 0, AUTH_FAILED);
    return CELLA_OK;
}

cella_result intel_core_quote(const uint8_t data[64], void *out, size_t out_capacity,
                              size_t *ret_size)
{
    return cella_quote_create(data, out, out_capacity, ret_size);
}

cella_result intel_core_collateral(const void *quote, size_t quote_size, void *out,
                                   size_t out_capacity, size_t *ret_size)
{
    return cella_system_ocall(INTEL_OCALL_COLLATERAL, quote, quote_size, out, out_capacity,
                              ret_size);
}

int intel_core_is_debug(void)
{
    return cella_is_debug();
}
