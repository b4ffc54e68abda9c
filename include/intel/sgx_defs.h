/*
 * Words that the other headers of this folder are written with: call conventions that mean nothing on Linux, marks of
 * old functions. Source compatible with the Intel SGX SDK 2.29.
 */
#ifndef _SGX_DEFS_H_
#define _SGX_DEFS_H_

#define SGXAPI
#define SGX_CDECL
#define SGX_STDCALL
#define SGX_FASTCALL
#define SGX_DLLIMPORT
#define SGX_NOCONVENTION

/* How generated prototypes of untrusted functions are spelled. */
#define SGX_UBRIDGE(attr, fname, args...) attr fname args

/* gnu modes define `linux` as 1, which would spoil the name in the next macro. */
#ifdef linux
#undef linux
#endif
#define SGX_CXX_NATIVE_HEADER(header) <stdc++/linux/header>

#define SGX_DEPRECATED __attribute__((deprecated))
#ifndef SGX_DEPRECATED_MSG
#define SGX_DEPRECATED_MSG(msg) __attribute__((deprecated(msg)))
#endif

#endif
