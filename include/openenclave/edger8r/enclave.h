/*
 * What NAME_t.c needs when it is generated for Open Enclave.
 * Skin header for enclave code; C11 and C++.
 * Never included together with edger8r/host.h.
 */
#ifndef _OE_EDGER8R_ENCLAVE_H
#define _OE_EDGER8R_ENCLAVE_H

#ifdef _OE_EDGER8R_HOST_H
#error "edger8r/enclave.h and edger8r/host.h are for different sides"
#endif

#include <openenclave/corelibc/errno.h>
#include <openenclave/corelibc/stdlib.h>
#include <openenclave/corelibc/string.h>
#include <openenclave/corelibc/wchar.h>
#include <openenclave/edger8r/common.h>

#include "cella/bridge.h"

OE_EXTERNC_BEGIN

/* The application's own, if it brings one; else the C library's. */
void *malloc(size_t size);
void free(void *at);

/* OE_OK, or why no call can leave the enclave any more. */
oe_result_t oe_get_enclave_status(void);

#define oe_lfence() __builtin_ia32_lfence()

/* For enclaves that are called by nobody. */
#define OE_DEFINE_EMPTY_ECALL_TABLE()                                                              \
    const struct cella_ecall cella_ecall_table[1] = {{NULL, 0, 0}};                                \
    const size_t cella_ecall_count = 0

OE_EXTERNC_END

#endif
