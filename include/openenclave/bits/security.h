/*
 * Copies between enclave and host memory that leak no stale data.
 * Skin header for both sides; C11 and C++.
 * Never checks on which side the memory is.
 */
#ifndef _OE_BITS_SECURITY_H
#define _OE_BITS_SECURITY_H

#include "sgx/writebarrier.h"

#endif
