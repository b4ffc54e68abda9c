/*
 * EEID in a verifier: an experiment of Open Enclave's that no released build has. Always OE_UNSUPPORTED here.
 * Skin header; C11 and C++.
 * Never needed by an application.
 */
#ifndef _OE_EEID_VERIFIER_H
#define _OE_EEID_VERIFIER_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/result.h>

OE_EXTERNC_BEGIN

#define OE_CLAIM_EEID_BASE_ID "eeid_base_unique_id"
#define OE_CLAIM_EEID_DATA "eeid_data"
oe_result_t oe_sgx_eeid_verifier_initialize(void);
oe_result_t oe_sgx_eeid_verifier_shutdown(void);

OE_EXTERNC_END

#endif
