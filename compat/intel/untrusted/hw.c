/*
 * Library sgx_urts: hardware where there is any, else the software processor.
 * Side: host.
 */
#include "compat/intel/untrusted/enclaves.h"

const uint32_t intel_create_flags;
