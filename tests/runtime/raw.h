/*
 * An entry by hand with any register, and every register as the enclave left it (raw.S).
 * Side: tests (host). Included by test_hostile.c and test_attacks.c, after host/host.h.
 * Never part of an installed interface.
 */
#ifndef CELLA_TESTS_RUNTIME_RAW_H
#define CELLA_TESTS_RUNTIME_RAW_H

#include <stdlib.h>
#include <string.h>

#include "host/host.h"

/* raw.S knows the offsets. */
struct raw {
    uint64_t rdi, rsi, rdx, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t reserved[2];
    struct sgx_linux_run *run; /* 104 */
    sgx_linux_enter_fn enter;  /* 112 */
    uint64_t leaf;             /* 120 */
    uint64_t out[12];          /* 128: rdi rsi rdx r8 … r15 rcx */
    uint64_t result;           /* 224 */
    uint64_t rflags;           /* 232 */
    uint64_t reserved2[2];
    _Alignas(64) uint8_t xsave[16384]; /* 256 */
};
_Static_assert(offsetof(struct raw, run) == 104 && offsetof(struct raw, out) == 128 &&
                   offsetof(struct raw, result) == 224 && offsetof(struct raw, xsave) == 256,
               "raw.S");

void raw_enter(struct raw *raw);

static inline struct raw *raw_new(const cella_enclave *enclave, uint32_t slot)
{
    struct raw *raw = aligned_alloc(64, sizeof(*raw));
    memset(raw, 0, sizeof(*raw));
    raw->run = calloc(1, sizeof(*raw->run));
    raw->run->tcs = enclave->slots[slot].tcs;
    raw->enter = enclave->enter;
    raw->leaf = SGX_EENTER;
    return raw;
}

static inline void raw_free(struct raw *raw)
{
    free(raw->run);
    free(raw);
}

#endif
