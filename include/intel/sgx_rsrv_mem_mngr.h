/*
 * Reserved memory: pages beside the heap whose rights can be changed. Trusted library sgx_trts; the size is
 * ReservedMemMaxSize of the configuration. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_RSRV_MEM_MNGR_H_
#define _SGX_RSRV_MEM_MNGR_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_error.h"

#define SGX_PROT_READ 0x1
#define SGX_PROT_WRITE 0x2
#define SGX_PROT_EXEC 0x4
#define SGX_PROT_NONE 0x0

#ifdef __cplusplus
extern "C" {
#endif

sgx_status_t sgx_get_rsrv_mem_info(void **start_addr, size_t *max_size);

/* Whole pages; NULL with errno when there are none. */
void *sgx_alloc_rsrv_mem_ex(void *desired_addr, size_t length);
void *sgx_alloc_rsrv_mem(size_t length);

/* 0, or -1 with errno. */
int sgx_free_rsrv_mem(void *addr, size_t length);

/* Needs a processor with SGX2, the software one included; else UNSUPPORTED_FUNCTION. */
sgx_status_t sgx_tprotect_rsrv_mem(void *addr, size_t length, int prot);

#ifdef __cplusplus
}
#endif
#endif
