/*
 * SGX reports in Open Enclave's types.
 * Side: enclave. Included by the enclave half.
 * Never leaves the enclave.
 */
#ifndef CELLA_COMPAT_OE_ENCLAVE_REPORT_H
#define CELLA_COMPAT_OE_ENCLAVE_REPORT_H

#include <stdbool.h>

#include <openenclave/bits/sgx/sgxtypes.h>

/* A report for `target` (sgx_target_info_t, or NULL for this enclave). */
oe_result_t oe_report_local(const void *data, size_t data_size, const void *target,
                            size_t target_size, sgx_report_t *ret_report);
/* A quote, behind `head_size` bytes and with `tail_size` behind it for the caller to fill. free() it. */
oe_result_t oe_report_quote(const void *data, size_t data_size, size_t head_size, size_t tail_size,
                            uint8_t **ret_buffer, size_t *ret_quote_size);
/* Whether the host has somebody who makes quotes, now. */
bool oe_report_quote_possible(void);
/* OE_VERIFY_FAILED unless it was made on this machine for this enclave. */
oe_result_t oe_report_check(const sgx_report_t *report);

#endif
