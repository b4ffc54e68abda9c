/*
 * Calls between the two halves of the Intel skin, beside the application's.
 * Side: both. Included by compat/intel/trusted and untrusted.
 */
#ifndef CELLA_COMPAT_INTEL_CALLS_H
#define CELLA_COMPAT_INTEL_CALLS_H

/* Above CELLA_OCALL_SKIN of abi/call.h. In: quote, or nothing for the roots alone; out: abi/collateral.h. */
#define INTEL_OCALL_COLLATERAL 0x80010100u

#endif
