/*
 * Numbers and records that the test enclaves and the test hosts share.
 * Side: tests, both sides.
 * Never part of an installed interface.
 */
#ifndef CELLA_TESTS_RUNTIME_CALLS_H
#define CELLA_TESTS_RUNTIME_CALLS_H

#include <stdint.h>

/* Ecalls of enclave_none.c. */
enum none_ecall {
    NONE_ADD,     /* int32 a, b -> int32 */
    NONE_ECHO,    /* bytes -> the same bytes */
    NONE_FORWARD, /* u32 ocall number, u32 capacity, bytes -> what the ocall returned */
    NONE_NOTHING,
    NONE_LIE_SIZE, /* says that it wrote more than fits */
    NONE_PEEK,     /* writes nothing, says 64 bytes */
    NONE_RANDOM,   /* -> 32 bytes */
    NONE_IDENTITY, /* -> struct sgx_report */
    NONE_VERIFY,   /* struct sgx_report -> */
    NONE_TRAP,     /* u32 enum none_trap, u32 handled -> u32 value after it */
    NONE_ABORT,
    NONE_TLS,        /* -> u32: this TCS's own counter */
    NONE_REGISTERS,  /* fills every register with a pattern */
    NONE_STATE,      /* -> struct none_state: what the entry left to the function */
    NONE_BUFFER,     /* u64 size: takes and frees pages; -> u32: 1 when all were zero */
    NONE_SMASH,      /* overruns a buffer on the stack */
    NONE_RESULT,     /* u32 code: returned as result */
    NONE_CPUID,      /* u32 leaf -> u32[4] */
    NONE_TARGET,     /* struct sgx_targetinfo -> struct sgx_report for it */
    NONE_WAIT,       /* ocall 0 with the input, then returns */
    NONE_KEY,        /* struct sgx_keyrequest -> 16 bytes */
    NONE_SWITCHLESS, /* as NONE_FORWARD, over the ring of ocalls; u32 times before the bytes */
    NONE_UPPER, /* u32 offset in an XSAVE area: leaves a secret where only the upper halves of ZMM0 … 15 are in use */
    NONE_NEST, /* u32 ocall number, u32 over the ring?, bytes -> u32 of the ocall; meanwhile NONE_TLS counts from 1000 */
    NONE_ECALL_COUNT,
};

enum none_trap {
    TRAP_DIVIDE,
    TRAP_UD2,
    TRAP_WRITE_NULL,
    TRAP_WRITE_TEXT,
    TRAP_STACK_OVERFLOW,
    TRAP_INT3,
};

struct none_state {
    uint64_t rflags;
    uint32_t mxcsr;
    uint32_t fcw;
    uint32_t x87_full; /* registers of the x87 stack in use */
    uint32_t reserved;
};

/* Ocalls that test hosts give to enclave_none.c. */
enum none_ocall {
    HOST_ECHO,
    HOST_NESTED, /* makes an ecall: NONE_ADD */
    HOST_FAIL,   /* returns BUSY */
    HOST_DEEP,   /* u32 n: NONE_FORWARD to itself with n - 1 */
    HOST_OCALL_COUNT,
};

/* Ecalls of the libc enclaves. */
enum libc_ecall {
    LIBC_HELLO, /* text -> text, by malloc and snprintf */
    LIBC_NOTHING,
    LIBC_THREADS, /* u32 n -> u32: 1 when all ran */
    LIBC_ABORT,
    LIBC_EXIT,
    LIBC_SEAL,       /* u32 policy, bytes -> sealed */
    LIBC_UNSEAL,     /* sealed -> bytes */
    LIBC_ZLIB,       /* -> u32 1 */
    LIBC_TIMED_WAIT, /* -> u32: errno of a condition wait of 20 ms */
    LIBC_CLOCK,      /* -> i64 seconds, or errno negative */
    LIBC_FILE,       /* -> u32 1 when a file could be written and read back */
    LIBC_GETENV,     /* name -> value */
    LIBC_MALLOC,     /* u64 size -> u32 1 when that could be had */
    LIBC_NEWEST,
    LIBC_ECALL_COUNT,
};

#endif
