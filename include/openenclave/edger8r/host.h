/*
 * What NAME_u.c needs when it is generated for Open Enclave.
 * Skin header for the host; C11 and C++.
 * Never included together with edger8r/enclave.h.
 */
#ifndef _OE_EDGER8R_HOST_H
#define _OE_EDGER8R_HOST_H

#ifdef _OE_EDGER8R_ENCLAVE_H
#error "edger8r/enclave.h and edger8r/host.h are for different sides"
#endif

#include <errno.h>
#include <openenclave/edger8r/common.h>
#include <openenclave/host.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cella/bridge_host.h"

OE_EXTERNC_BEGIN

#define OE_GLOBAL_ECALL_ID_NULL OE_UINT64_MAX
#define OE_ECALL_ID_NULL OE_UINT64_MAX

/* The core's enclave, or NULL when there is none behind the handle. Defined in the host library. */
cella_enclave *oe_enclave_core(oe_enclave_t *enclave);

OE_INLINE void *oe_malloc(size_t size)
{
    return malloc(size);
}

OE_INLINE void oe_free(void *at)
{
    free(at);
}

OE_INLINE void *oe_realloc(void *at, size_t size)
{
    return realloc(at, size);
}

OE_INLINE size_t oe_strlen(const char *text)
{
    return strlen(text);
}

OE_INLINE size_t oe_wcslen(const wchar_t *text)
{
    return wcslen(text);
}

OE_EXTERNC_END

#endif
