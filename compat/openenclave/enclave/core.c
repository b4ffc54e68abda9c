/*
 * The small functions of enclave.h: where memory is, the end, randomness, the host's handle.
 * Side: enclave. Called by applications.
 * Never allocates.
 */
#include <openenclave/enclave.h>

#include "compat/openenclave/enclave/skin.h"

bool oe_is_within_enclave(const void *ptr, size_t size)
{
    return cella_enclave_inside(ptr, size) != 0;
}

bool oe_is_outside_enclave(const void *ptr, size_t size)
{
    return cella_enclave_outside(ptr, size) != 0;
}

void oe_abort(void)
{
    cella_abort();
}

void __oe_assert_fail(const char *expr, const char *file, int line, const char *func)
{
    oe_log(OE_LOG_LEVEL_FATAL, "assertion failed: %s (%s: %s: %d)", expr, file, func, line);
    cella_abort();
}

oe_enclave_t *oe_get_enclave(void)
{
    const uint64_t handle = oe_environment_number(OE_ENVIRONMENT_HANDLE, 16, 0);
    return cella_enclave_outside((const void *)handle, 1) ? (oe_enclave_t *)handle : NULL;
}

oe_result_t oe_random(void *data, size_t size)
{
    OE_ENSURE(data != NULL || size == 0, OE_INVALID_PARAMETER);
    return oe_result_of(cella_random(data, size));
}

/* A verifier's knob; there is no collateral to compare with before evidence can be verified here. */
oe_result_t __oe_sgx_set_minimum_crl_tcb_issue_date(uint32_t year, uint32_t month, uint32_t day,
                                                    uint32_t hours, uint32_t minutes,
                                                    uint32_t seconds)
{
    (void)year, (void)month, (void)day, (void)hours, (void)minutes, (void)seconds;
    return OE_UNSUPPORTED;
}
