/*
 * Exceptions in an enclave and their handlers. Trusted library sgx_trts. Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_TRTS_EXCEPTION_H_
#define _SGX_TRTS_EXCEPTION_H_

#include <stddef.h>
#include <stdint.h>

#include "sgx_defs.h"

/* What a handler returns: the next one is asked, or the thread goes on with the context as it is now. */
#define EXCEPTION_CONTINUE_SEARCH 0
#define EXCEPTION_CONTINUE_EXECUTION -1

typedef enum _sgx_exception_vector_t {
    SGX_EXCEPTION_VECTOR_DE = 0,  /* division */
    SGX_EXCEPTION_VECTOR_DB = 1,  /* debug */
    SGX_EXCEPTION_VECTOR_BP = 3,  /* breakpoint */
    SGX_EXCEPTION_VECTOR_BR = 5,  /* bound range */
    SGX_EXCEPTION_VECTOR_UD = 6,  /* opcode */
    SGX_EXCEPTION_VECTOR_GP = 13, /* general protection; only with EXINFO */
    SGX_EXCEPTION_VECTOR_PF = 14, /* page; only with EXINFO */
    SGX_EXCEPTION_VECTOR_MF = 16, /* x87 */
    SGX_EXCEPTION_VECTOR_AC = 17, /* alignment */
    SGX_EXCEPTION_VECTOR_XM = 19, /* SIMD */
} sgx_exception_vector_t;

typedef enum _sgx_exception_type_t {
    SGX_EXCEPTION_HARDWARE = 3,
    SGX_EXCEPTION_SOFTWARE = 6, /* INT3, INTO */
} sgx_exception_type_t;

typedef struct _cpu_context_t {
    uint64_t rax;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rbx;
    uint64_t rsp;
    uint64_t rbp;
    uint64_t rsi;
    uint64_t rdi;
    uint64_t r8;
    uint64_t r9;
    uint64_t r10;
    uint64_t r11;
    uint64_t r12;
    uint64_t r13;
    uint64_t r14;
    uint64_t r15;
    uint64_t rflags;
    uint64_t rip;
} sgx_cpu_context_t;

typedef struct _exinfo_t {
    uint64_t faulting_address;
    uint32_t error_code;
    uint32_t reserved;
} sgx_misc_exinfo_t;

typedef struct _exception_info_t {
    sgx_cpu_context_t cpu_context; /* may be changed */
    sgx_exception_vector_t exception_vector;
    sgx_exception_type_t exception_type;
    sgx_misc_exinfo_t exinfo; /* for #PF and #GP */
    uint32_t exception_valid;
    uint32_t do_aex_mitigation;
    uint64_t xsave_size; /* bytes at xsave_area */
    uint64_t reserved[1];
    uint8_t xsave_area[0];
} __attribute__((aligned(64))) sgx_exception_info_t;

typedef int (*sgx_exception_handler_t)(sgx_exception_info_t *info);

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Adds a handler: before the others when is_first_handler is not 0, else behind them. NULL when it is no function of
 * the enclave or there are too many. Handlers run on the interrupted thread's stack.
 */
void *SGXAPI sgx_register_exception_handler(int is_first_handler,
                                            sgx_exception_handler_t exception_handler);

/* 1 when `handler`, what the registration returned, was there, else 0. */
int SGXAPI sgx_unregister_exception_handler(void *handler);

#ifdef __cplusplus
}
#endif
#endif
