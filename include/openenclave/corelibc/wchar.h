/*
 * Wide strings under Open Enclave's names.
 * Skin header for enclave code; C11 and C++.
 * Never differs from the libc's function.
 */
#ifndef _OE_CORELIBC_WCHAR_H
#define _OE_CORELIBC_WCHAR_H

#include <wchar.h>

#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN
size_t oe_wcslen(const wchar_t *s);
OE_EXTERNC_END

#endif
