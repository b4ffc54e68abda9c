/*
 * Properties of an enclave as its source states them; oesign reads them from section .oeinfo.
 * Skin header for enclave code (and tools); C11 and C++. Byte layout is Open Enclave's.
 * Never read at run time by this SDK: the signed image counts.
 */
#ifndef _OE_BITS_PROPERTIES_H
#define _OE_BITS_PROPERTIES_H

#include "defs.h"
#include "result.h"
#include "types.h"

OE_EXTERNC_BEGIN

#define OE_INFO_SECTION_NAME ".oeinfo"

typedef struct _oe_enclave_size_settings {
    uint64_t num_heap_pages;
    uint64_t num_stack_pages; /* of each TCS */
    uint64_t num_tcs;
} oe_enclave_size_settings_t;

typedef struct _oe_enclave_properties_header {
    uint32_t size; /* of oe_sgx_enclave_properties_t */
    oe_enclave_type_t enclave_type;
    oe_enclave_size_settings_t size_settings;
} oe_enclave_properties_header_t;

OE_EXTERNC_END

#include "sgx/sgxproperties.h"

/* Nothing on SGX, so that one source serves both. */
#define OE_SET_ENCLAVE_OPTEE(UUID, HEAP_SIZE, STACK_SIZE, FLAGS, VERSION, DESCRIPTION)

OE_EXTERNC_BEGIN

/* Collateral issued before this date is refused; for tests of verifiers. */
oe_result_t __oe_sgx_set_minimum_crl_tcb_issue_date(uint32_t year, uint32_t month, uint32_t day,
                                                    uint32_t hours, uint32_t minutes,
                                                    uint32_t seconds);

OE_EXTERNC_END

#endif
