/*
 * Local attestation and keys, inside the enclave: EREPORT and EGETKEY.
 * Public header: plain C11, C++-safe; for enclave code only. Source: Intel SDM Vol. 3D, EREPORT and EGETKEY.
 * Never goes to the host.
 */
#ifndef CELLA_REPORT_H
#define CELLA_REPORT_H

#include "abi/sgx.h"
#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CELLA_REPORT_DATA_SIZE 64

/*
 * A report of this enclave for `target` (NULL: for this enclave itself) that binds `data` (64 bytes; NULL: zeros).
 * No alignment is asked of the arguments. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_report_create(const struct sgx_targetinfo *target,
                                                const uint8_t *data, struct sgx_report *ret_report);

/* AUTH_FAILED unless `report` was made on this machine for this enclave. Says nothing about who made it: look there. */
CELLA_MUST_USE cella_result cella_report_verify(const struct sgx_report *report);

/* What another enclave needs to make a report for the enclave that `report` describes. */
void cella_report_target(const struct sgx_report *report, struct sgx_targetinfo *ret_target);

/* This enclave's identity: a report for itself with zero data, made once. */
CELLA_MUST_USE cella_result cella_report_self(struct sgx_report *ret_report);

/*
 * EGETKEY. Result: ATTRIBUTE_REFUSED (key needs an attribute), SVN_TOO_OLD (asks for a CPUSVN or ISVSVN above the
 * current one), INVALID_ARGUMENT (key name). Wipe the key after use. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_key_get(const struct sgx_keyrequest *request,
                                          uint8_t ret_key[16]);

#ifdef __cplusplus
}
#endif
#endif
