/*
 * The API of the untrusted side: create an enclave from a file, call it, serve its calls, destroy it.
 * Public header: plain C11, C++-safe. Library: libcella_host.
 * Never prints and never exits; what a person should read comes back in struct cella_error.
 *
 * The C table of calls is internal: it is what the EDL compiler will generate, and may change with it.
 */
#ifndef CELLA_HOST_H
#define CELLA_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"
#include "common/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct cella_enclave cella_enclave;
struct cella_bridge_module; /* cella/bridge_host.h */

/*
 * One ocall. `in` lies in memory that the enclave's thread filled and nobody else writes; out_capacity bytes at `out` may
 * be written, *ret_size (0 at the call) says how many were. 8-byte aligned. The result goes to the enclave, which
 * does not trust it. Called on the thread that made the ecall, on many threads at once.
 */
typedef cella_result (*cella_ocall_function)(void *context, const void *in, size_t in_size,
                                             void *out, size_t out_capacity, size_t *ret_size);

/*
 * Services beside the built-in ones, for skins over this API: asked first about every system call out of the enclave
 * (abi/call.h: CELLA_OCALL_SYSTEM). NOT_FOUND: not mine. Arguments as those of an ocall; no ecall may be made in it.
 */
typedef cella_result (*cella_service_function)(void *context, uint32_t number, const void *in,
                                               size_t in_size, void *out, size_t out_capacity,
                                               size_t *ret_size);

/* cella_enclave_options.flags */
#define CELLA_ENCLAVE_DEBUG 0x1u /* create as a debug enclave; the image must allow it */
#define CELLA_ENCLAVE_WAIT                                                                         \
    0x2u /* an ecall waits for a free TCS, instead of failing with OUT_OF_THREADS */
#define CELLA_ENCLAVE_NO_GDB 0x4u   /* do not tell a debugger about the image */
#define CELLA_ENCLAVE_SOFTWARE 0x8u /* on the software processor, even where there is hardware */
#define CELLA_ENCLAVE_NETWORK                                                                      \
    0x10u /* sockets and names for its modules; without it only socketpair */
/*
 * An ecall while its thread serves an ocall: WRONG_STATE. Calls declared switchless are no part of that: below one, and as
 * one, an ecall takes a TCS of its own, whoever serves it.
 */
#define CELLA_ENCLAVE_NO_NESTING 0x20u
/*
 * Threads of the enclave may interrupt each other, and cella_enclave_signal the enclave: a real-time signal of the host's
 * that is free when the enclave is created gets a handler. Always on for images of whole programs.
 */
#define CELLA_ENCLAVE_INTERRUPTIBLE 0x40u

/* Zero-initialise; all fields may stay zero. */
struct cella_enclave_options {
    uint32_t flags;
    uint32_t ocall_count;
    const cella_ocall_function
        *ocalls; /* called with the number as index; borrowed until destruction */
    void *ocall_context;
    const char *const
        *environment;  /* NAME=VALUE strings for the enclave's libc, NULL-terminated; may be NULL */
    size_t arena_size; /* host memory for the ocalls of one TCS, bytes; 0: 64 KiB */
    int console[2];    /* file descriptors for the enclave's 1 and 2; 0: the process's own */
    const char *file_root; /* directory that the files module sees as "/"; NULL: no files */
    /* Generated code's tables, for ocalls that constructors make: bound when the first of them comes. NULL: none. */
    const struct cella_bridge_module *module;
    cella_service_function service; /* NULL: the built-in services only */
    void *service_context;
    const uint8_t *config_id; /* CONFIGID of a KSS enclave, 64 bytes; NULL: zeros */
    uint16_t config_svn;
};

/*
 * Loads, starts and returns the enclave of the image in the file `path`. Errors, among others: NO_DEVICE (no SGX
 * processor), BAD_SIGNATURE, MEASUREMENT_MISMATCH, DEBUG_MISMATCH, ATTRIBUTE_REFUSED, OUT_OF_EPC, MALFORMED codes of
 * the image; `error` (may be NULL) says it in words. CELLA_PROCESSOR=hardware|software in the environment chooses the
 * processor; without it hardware is tried first. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_enclave_create(const char *path,
                                                 const struct cella_enclave_options *options,
                                                 cella_enclave **ret_enclave,
                                                 struct cella_error *error);

/* The same from bytes in memory, which are not needed afterwards. `name` is for errors and debuggers; may be NULL. */
CELLA_MUST_USE cella_result cella_enclave_create_bytes(const void *image, size_t size,
                                                       const char *name,
                                                       const struct cella_enclave_options *options,
                                                       cella_enclave **ret_enclave,
                                                       struct cella_error *error);

/*
 * Runs the enclave's exit handlers, ends its threads, frees everything. No ecall may be running. NULL is fine.
 */
void cella_enclave_destroy(cella_enclave *enclave);

/*
 * Calls ecall `number`. At most out_capacity bytes come back, their number in *ret_size (may be NULL). Results: what the
 * enclave's function returned; NOT_FOUND (no such number), OUT_OF_RANGE (input too long), HOST_POINTER (a buffer that
 * touches the enclave), OUT_OF_THREADS, ENCLAVE_ABORTED, ENCLAVE_LOST (power event: create it anew). An ecall made
 * while this thread serves an ocall of the same enclave runs nested, on the same TCS. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_ecall(cella_enclave *enclave, uint32_t number, const void *in,
                                        size_t in_size, void *out, size_t out_capacity,
                                        size_t *ret_size);

/*
 * Tells the enclave of a whole program that signal `number` (1 ... 64) was sent to it; the program sees it as a process
 * does. WRONG_STATE: the enclave is dead, or cannot be interrupted; OUT_OF_RANGE. Async-signal-safe, thread-safe.
 */
CELLA_MUST_USE cella_result cella_enclave_signal(cella_enclave *enclave, int number);

/* Why the enclave was aborted, in words; "" when it was not. Good until destruction. */
const char *cella_enclave_abort_text(cella_enclave *enclave);

/* "hardware" or "software". Evidence of a software processor proves nothing to anyone who does not trust its owner. */
const char *cella_enclave_processor(const cella_enclave *enclave);

/* The identity of the running enclave: MRENCLAVE and MRSIGNER, 32 bytes each; either may be NULL. */
void cella_enclave_identity(const cella_enclave *enclave, uint8_t *ret_mr_enclave,
                            uint8_t *ret_mr_signer);

/* Address range of the enclave. */
void cella_enclave_range(const cella_enclave *enclave, uint64_t *ret_base, uint64_t *ret_size);

/* ATTRIBUTES and MISCSELECT that the enclave runs with, as its reports say them. */
void cella_enclave_attributes(const cella_enclave *enclave, uint64_t *ret_flags, uint64_t *ret_xfrm,
                              uint32_t *ret_misc_select);

/* The descriptor through which the enclave was made: the enclave's own, good until destruction. */
int cella_enclave_descriptor(const cella_enclave *enclave);

/*
 * Switchless calls: `workers` host threads enter the enclave and serve a bounded ring of ecalls without leaving it; each
 * takes a TCS. They spin a short while, then sleep. While they run cella_ecall_switchless uses the ring, and falls back
 * to cella_ecall when the ring is full. `ocall_workers` host threads serve cella_ocall_switchless in the same way.
 */
struct cella_switchless_options {
    uint32_t
        workers; /* a TCS each; when they have them all, other calls find none (OUT_OF_THREADS) */
    uint32_t ocall_workers;
    uint32_t spins; /* before a worker sleeps; 0: 20000 */
};
CELLA_MUST_USE cella_result cella_switchless_start(cella_enclave *enclave,
                                                   const struct cella_switchless_options *options);
void cella_switchless_stop(cella_enclave *enclave);

CELLA_MUST_USE cella_result cella_ecall_switchless(cella_enclave *enclave, uint32_t number,
                                                   const void *in, size_t in_size, void *out,
                                                   size_t out_capacity, size_t *ret_size);

/* A call in a batch: fields as the arguments of cella_ecall; result and out_size are filled in. */
struct cella_call {
    uint32_t number;
    cella_result result;
    const void *in;
    size_t in_size;
    void *out;
    size_t out_capacity;
    size_t out_size;
};

/*
 * Hands `calls` to the workers and returns when all are answered: each call's own result is in its record. Without
 * workers they are made one by one. The order of execution is not defined. `calls` must stay until the return.
 */
CELLA_MUST_USE cella_result cella_ecall_batch(cella_enclave *enclave, struct cella_call *calls,
                                              size_t count);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
