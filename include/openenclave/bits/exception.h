/*
 * Exceptions that an enclave handles itself: codes, the interrupted context, the handler's type.
 * Skin header for enclave code; C11 and C++.
 * Never shows what the host claims: only what the processor wrote into the SSA frame.
 */
#ifndef _OE_BITS_EXCEPTION_H
#define _OE_BITS_EXCEPTION_H

#include <openenclave/bits/defs.h>
#include <openenclave/bits/types.h>

OE_EXTERNC_BEGIN

/* What a handler returns. */
#define OE_EXCEPTION_CONTINUE_SEARCH 0x0
#define OE_EXCEPTION_CONTINUE_EXECUTION 0xFFFFFFFF
#define OE_EXCEPTION_ABORT_EXECUTION 0xFFFFFFF0

/* oe_exception_record_t.code */
#define OE_EXCEPTION_DIVIDE_BY_ZERO 0x0
#define OE_EXCEPTION_BREAKPOINT 0x1
#define OE_EXCEPTION_BOUND_OUT_OF_RANGE 0x2
#define OE_EXCEPTION_ILLEGAL_INSTRUCTION 0x3
#define OE_EXCEPTION_ACCESS_VIOLATION 0x4
#define OE_EXCEPTION_PAGE_FAULT 0x5
#define OE_EXCEPTION_X87_FLOAT_POINT 0x6
#define OE_EXCEPTION_MISALIGNMENT 0x7
#define OE_EXCEPTION_SIMD_FLOAT_POINT 0x8
#define OE_EXCEPTION_UNKNOWN 0xFFFFFFFF

/* oe_exception_record_t.flags */
#define OE_EXCEPTION_FLAGS_HARDWARE 0x1
#define OE_EXCEPTION_FLAGS_SOFTWARE 0x2

/* oe_exception_record_t.error_code of a page fault */
#define OE_SGX_PAGE_FAULT_P_FLAG 0x1
#define OE_SGX_PAGE_FAULT_WR_FLAG 0x2
#define OE_SGX_PAGE_FAULT_US_FLAG 0x4
#define OE_SGX_PAGE_FAULT_RSVD 0x8
#define OE_SGX_PAGE_FAULT_ID_FLAG 0x10
#define OE_SGX_PAGE_FAULT_PK_FLAG 0x20
#define OE_SGX_PAGE_FAULT_SGX_FLAG 0x8000

/* The legacy region of XSAVE. */
typedef struct _oe_basic_xstate {
    uint8_t blob[512];
} OE_ALIGNED(16) oe_basic_xstate_t;

/* A handler may change any of it but `flags`' reserved bits. */
typedef struct _oe_context {
    uint64_t flags; /* RFLAGS */
    uint64_t rax;
    uint64_t rbx;
    uint64_t rcx;
    uint64_t rdx;
    uint64_t rbp;
    uint64_t rsp;
    uint64_t rdi;
    uint64_t rsi;
    uint64_t r8;
    uint64_t r9;
    uint64_t r10;
    uint64_t r11;
    uint64_t r12;
    uint64_t r13;
    uint64_t r14;
    uint64_t r15;
    uint64_t rip;
    uint32_t mxcsr;
    oe_basic_xstate_t basic_xstate;
} oe_context_t;

typedef struct _oe_exception_record {
    uint32_t code;
    uint32_t flags;
    uint64_t address;            /* of the instruction */
    uint64_t faulting_address;   /* with CapturePFGPExceptions: the page, for #PF */
    uint32_t error_code;         /* with CapturePFGPExceptions */
    uint16_t host_signal_number; /* 0: nobody sends signals into an enclave */
    oe_context_t *context;
} oe_exception_record_t;

typedef uint64_t (*oe_vectored_exception_handler_t)(oe_exception_record_t *exception_context);

OE_EXTERNC_END

#endif
