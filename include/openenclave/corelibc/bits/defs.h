/*
 * The restrict qualifier for corelibc.
 * Skin header for both sides; C11 and C++.
 * Never declares a function.
 */
#ifndef _OE_CORELIBC_BITS_DEFS_H
#define _OE_CORELIBC_BITS_DEFS_H

#include <openenclave/bits/defs.h>

#if !defined(__cplusplus) && __STDC_VERSION__ >= 199901L
#define OE_RESTRICT restrict
#else
#define OE_RESTRICT
#endif

#endif
