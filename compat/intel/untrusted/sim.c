/*
 * Library sgx_urts_sim: the software processor, even where there is hardware.
 * Side: host.
 */
#include "compat/intel/untrusted/enclaves.h"

const uint32_t intel_create_flags = CELLA_ENCLAVE_SOFTWARE;
