/*
 * EEID in a attester: an experiment of Open Enclave's that no released build has. Always OE_UNSUPPORTED here.
 * Skin header; C11 and C++.
 * Never needed by an application.
 */
#ifndef _OE_EEID_ATTESTER_H
#define _OE_EEID_ATTESTER_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/result.h>

OE_EXTERNC_BEGIN

oe_result_t oe_sgx_eeid_attester_initialize(void);
oe_result_t oe_sgx_eeid_attester_shutdown(void);

OE_EXTERNC_END

#endif
