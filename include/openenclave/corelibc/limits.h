/*
 * Limits under Open Enclave's names.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_CORELIBC_LIMITS_H
#define _OE_CORELIBC_LIMITS_H

#include <limits.h>

#include <openenclave/bits/types.h>

#define OE_PATH_MAX 4096
#define OE_NGROUPS_MAX 32
#define OE_IOV_MAX 1024
#define OE_NAME_MAX 255

#endif
