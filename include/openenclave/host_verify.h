/*
 * Verifying evidence without an enclave.
 * Skin header for host code; C11 and C++. Library: liboehostverify, or liboehost.
 * Never included together with enclave.h.
 */
#ifndef _OE_HOST_VERIFY_H
#define _OE_HOST_VERIFY_H

#ifdef _OE_ENCLAVE_H
#error "openenclave/host_verify.h is for the host and openenclave/enclave.h for the enclave"
#endif

#include "bits/defs.h"
#include "bits/evidence.h"
#include "bits/report.h"
#include "bits/result.h"

OE_EXTERNC_BEGIN

oe_result_t oe_verify_remote_report(const uint8_t *report, size_t report_size,
                                    const uint8_t *endorsement, size_t endorsement_size,
                                    oe_report_t *parsed_report);

typedef oe_result_t (*oe_identity_verify_callback_t)(oe_identity_t *identity, void *arg);

oe_result_t
oe_verify_attestation_certificate(uint8_t *cert_in_der, size_t cert_in_der_len,
                                  oe_identity_verify_callback_t enclave_identity_callback,
                                  void *arg);

OE_EXTERNC_END

#endif
