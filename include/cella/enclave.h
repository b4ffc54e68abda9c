/*
 * The API inside the enclave: the table of ecalls, ocalls, randomness, exceptions, the end.
 * Public header: plain C11, C++-safe; for enclave code only. Libraries: libcella_enclave, see docs/runtime.md.
 * Never needs a libc.
 *
 * The C table of calls is internal: it is what the EDL compiler will generate, and may change with it.
 */
#ifndef CELLA_ENCLAVE_H
#define CELLA_ENCLAVE_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One ecall. `in` is the enclave's own copy of the caller's bytes, NULL when in_size is 0; `out` is an enclave buffer of
 * out_capacity zero bytes, of which the first *ret_size (0 at the call) are copied to the caller when the result is OK.
 * Both are good until the function returns and 16-byte aligned. Called on many threads at once.
 */
typedef cella_result (*cella_ecall_function)(const void *in, size_t in_size, void *out,
                                             size_t out_capacity, size_t *ret_size);

struct cella_ecall {
    cella_ecall_function function;
    size_t
        in_max; /* bytes; a longer input is refused with OUT_OF_RANGE before anything is copied */
    size_t out_max; /* bytes; a caller's larger buffer is used up to here */
};

/* The application defines these two, once: CELLA_ECALLS({f, 64, 8}, {g, 0, 0}); the number is the place. */
extern const struct cella_ecall cella_ecall_table[];
extern const size_t cella_ecall_count;
#define CELLA_ECALLS(...)                                                                          \
    const struct cella_ecall cella_ecall_table[] = {__VA_ARGS__};                                  \
    const size_t cella_ecall_count = sizeof(cella_ecall_table) / sizeof(cella_ecall_table[0])

/*
 * Calls function `number` of the host's table. The input leaves the enclave; up to out_capacity bytes come back as the
 * enclave's own copy, their number in *ret_size (may be NULL; OK and *ret_size > out_capacity cannot happen). Results:
 * the host's own (any value a host likes), HOST_VALUE when it is none, OUT_OF_MEMORY, LIMIT_EXCEEDED (nesting).
 * Thread-safe. Callable from ecalls only, not from exception handlers.
 */
CELLA_MUST_USE cella_result cella_ocall(uint32_t number, const void *in, size_t in_size, void *out,
                                        size_t out_capacity, size_t *ret_size);

/*
 * The same without leaving the enclave, while host threads serve the ring of switchless ocalls; else, or when the ring
 * is full, an ordinary cella_ocall.
 */
CELLA_MUST_USE cella_result cella_ocall_switchless(uint32_t number, const void *in, size_t in_size,
                                                   void *out, size_t out_capacity,
                                                   size_t *ret_size);

/*
 * Ends the enclave: the running call and all later ones fail with ENCLAVE_ABORTED. Memory stays until the host destroys
 * the enclave. Never returns.
 */
__attribute__((noreturn)) void cella_abort(void);

/* `size` random bytes from the processor (RDRAND). ENTROPY when it gives none. Thread-safe. */
CELLA_MUST_USE cella_result cella_random(void *out, size_t size);

/* Whether the enclave was created with the DEBUG attribute: then nothing in it is secret. */
int cella_enclave_is_debug(void);

/* Whether all of [at, at + size) lies inside, or all outside, the enclave. Two zeros: it lies across. */
int cella_enclave_inside(const void *at, size_t size);
int cella_enclave_outside(const void *at, size_t size);

/*
 * Pages of the enclave's heap, `size` rounded up to 4096, zeroed; NULL when there are none. For enclaves without a libc;
 * with one, use its malloc. Thread-safe.
 */
void *cella_pages_new(size_t size);
void cella_pages_free(void *at, size_t size);

/* The registers of a thread that an exception interrupted; a handler may change them. */
struct cella_registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rcx, rdx, rsi, rdi, rax;
    uint64_t rflags, rip, rsp;
};

struct cella_exception {
    uint32_t vector; /* 0 #DE, 1 #DB, 3 #BP, 5 #BR, 6 #UD, 13 #GP, 14 #PF, 16 #MF, 17 #AC, 19 #XM */
    uint32_t error;  /* #PF, #GP with EXINFO; else 0 */
    uint64_t address; /* #PF with EXINFO: the page; else 0 */
    struct cella_registers *registers;
};

enum cella_exception_verdict {
    CELLA_EXCEPTION_NOT_MINE, /* the next handler is asked */
    CELLA_EXCEPTION_CONTINUE, /* go on with exception->registers */
};

/*
 * Handlers are asked in their order, on the interrupted thread's stack, with vector registers kept. When none wants it
 * the enclave is aborted. A handler may change pages and wait for locks; other ocalls give IN_EXCEPTION.
 */
typedef enum cella_exception_verdict (*cella_exception_handler)(struct cella_exception *exception);

/* At most 32; LIMIT_EXCEEDED beyond. first != 0: asked before those there are. Thread-safe. */
CELLA_MUST_USE cella_result cella_exception_add(cella_exception_handler handler, int first);
CELLA_MUST_USE cella_result cella_exception_remove(cella_exception_handler handler);

#ifdef __cplusplus
}
#endif
#endif
