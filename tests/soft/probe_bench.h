/*
 * The bench around the test enclave of probe_enclave.S.
 * Side: tests (host). Included by tests/soft/transition*_test.c.
 */
#ifndef CELLA_TESTS_PROBE_BENCH_H
#define CELLA_TESTS_PROBE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "abi/processor.h"
#include "soft/check.h"
#include "soft/soft.h"
#include "tests/soft/probe.h"

#define SDM_COVERS(name) name

struct probe_options {
    uint64_t flags; /* ATTRIBUTES beyond MODE64BIT */
    uint64_t xfrm;  /* 0: x87, SSE, AVX */
    uint32_t misc_select;
    uint64_t tcs_flags;
    bool base_zero; /* ELRANGE is [0, PROBE_ZERO_SIZE), the pages are at PROBE_ZERO_FIRST */
};

#define PROBE_ZERO_SIZE (1ull << 37)
#define PROBE_ZERO_FIRST (1ull << 36)
#define PROBE_ZERO_LOW 0x10000ull

struct probe {
    const struct cella_processor *processor;
    int fd;
    void *area;
    uint64_t area_size;
    uint64_t first; /* offset of page 0 in ELRANGE; `base` is its address */
    uint64_t base, tcs, tcs2;
    struct soft_enclave *enclave;
    struct sgx_attributes secs_attributes;
    uint32_t misc_select;
    uint8_t mr_enclave[32];
    _Alignas(64) struct sgx_linux_run run;
    _Alignas(64) uint8_t stacks[2][32768]; /* one a TCS */
};

struct probe_call {
    uint64_t in[6]; /* rdi rsi rdx r8 r9 r14 */
    uint64_t out[6];
    uint64_t function;
    uint64_t stack; /* top, 16-byte aligned; 0: the caller's */
};
long probe_call(sgx_linux_enter_fn enter, struct probe_call *call, struct sgx_linux_run *run);

/* Without the vDSO. */
void probe_raw(struct probe_call *call, uint64_t tcs, uint64_t aep);
extern const char probe_aep[];

void probe_build(struct probe *p, const struct probe_options *options); /* not initialised yet */
void probe_init(struct probe *p);
void probe_open(struct probe *p, const struct probe_options *options);
void probe_close(struct probe *p);
struct sgx_tcs *probe_tcs(const struct probe *p);
struct sgx_gprsgx *probe_gpr(const struct probe *p, uint64_t tcs, uint32_t frame);
uint8_t *probe_ssa(const struct probe *p, uint64_t tcs, uint32_t frame);
void probe_touch(const struct probe *p);
long probe_run(struct probe *p, uint64_t tcs, uint32_t function, uint64_t operation,
               struct probe_call *call);
void probe_expect_fault(struct probe *p, uint64_t tcs, uint64_t operation, struct probe_call *call,
                        uint16_t vector);
void probe_resume_behind(struct probe *p, uint64_t tcs, uint32_t frame, uint64_t bytes);

/* Offset of a label of probe_enclave.S in the enclave. */
extern const uint8_t probe_code[];
#define PROBE_AT(label)                                                                            \
    ({                                                                                             \
        extern const uint8_t probe_at_##label[];                                                   \
        (uint64_t)(probe_at_##label - probe_code);                                                 \
    })

#endif
