/*
 * What generated code inside the enclave (NAME_t.c) calls: messages taken apart, ocalls put together.
 * Public header for generated code only: plain C11, C++-safe. Library: libcella_enclave.
 * Never needs a libc; memory that crosses to the application's ownership comes from its own malloc.
 */
#ifndef CELLA_BRIDGE_H
#define CELLA_BRIDGE_H

#include "cella/bridge_call.h"
#include "cella/enclave.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Arguments of a bridge come from the host: for -fanalyzer-checker=taint. */
#if defined(__has_attribute) && !defined(__cplusplus)
#if __has_attribute(tainted_args)
#define CELLA_BRIDGE_ENTRY __attribute__((tainted_args))
#endif
#endif
#ifndef CELLA_BRIDGE_ENTRY
#define CELLA_BRIDGE_ENTRY
#endif

/* Where pointer i of a running ecall has its copy; the other fields are the library's. */
struct cella_bridge_at {
    void *at;
    uint64_t next, used;
};

/* One running ecall; fields are the library's. */
struct cella_bridge_call {
    const struct cella_bridge_function *function;
    const struct cella_bridge_span *spans; /* the enclave's copy */
    uint64_t span_count, next;
    const void *head;
    void *reply;
    struct cella_bridge_at *at;
    uint8_t *buffer;
    uint64_t capacity, used;
};

/*
 * ACCESS_DENIED when the ecall is private, or when it comes from within an ocall that does not allow it. For functions
 * without parameters and result; cella_bridge_enter does it for the others.
 */
CELLA_MUST_USE cella_result cella_bridge_allow(const struct cella_bridge_function *function);

/*
 * Checks the message and copies what its spans describe; at[i].at becomes the enclave's copy of pointer i. On failure
 * everything is given back: HOST_POINTER (a span touches the enclave or is not mapped), OUT_OF_RANGE (a span wraps), SIZE_OVERFLOW (
 * sizes that are negative or overflow), TRUNCATED and TRAILING_BYTES (a span, or the message, shorter or longer than its
 * sizes say), HOST_VALUE (a span that does not belong to its pointer), BAD_FIELD (a string without its end),
 * OUT_OF_MEMORY, ACCESS_DENIED.
 */
CELLA_MUST_USE cella_result cella_bridge_enter(struct cella_bridge_call *call,
                                               const struct cella_bridge_function *function,
                                               const void *in, size_t in_size, void *out,
                                               size_t out_capacity, struct cella_bridge_at *at);

/* Copies results to the host and gives everything back. */
CELLA_MUST_USE cella_result cella_bridge_leave(struct cella_bridge_call *call, size_t *ret_size);

/* Both for functions with CELLA_BRIDGE_DEEP, which the others refuse (INTERNAL): what is not called is not linked. */
CELLA_MUST_USE cella_result cella_bridge_enter_deep(struct cella_bridge_call *call,
                                                    const struct cella_bridge_function *function,
                                                    const void *in, size_t in_size, void *out,
                                                    size_t out_capacity,
                                                    struct cella_bridge_at *at);
CELLA_MUST_USE cella_result cella_bridge_leave_deep(struct cella_bridge_call *call,
                                                    size_t *ret_size);

/*
 * An ocall: at[i] is pointer i; the result's scalars are in `reply` (reply_size bytes). Results are checked and then copied to
 * where the pointers point; on failure what is out only is zeroed, `reply` too, and nothing else has changed.
 */
CELLA_MUST_USE cella_result cella_bridge_ocall(const struct cella_bridge_function *function,
                                               uint32_t number, const void *head, void *const *at,
                                               void *reply);

/* For functions with CELLA_BRIDGE_DEEP, STAGED or SWITCHLESS, which cella_bridge_ocall refuses (INTERNAL). */
CELLA_MUST_USE cella_result cella_bridge_ocall_full(const struct cella_bridge_function *function,
                                                    uint32_t number, const void *head,
                                                    void *const *at, void *reply);

/* Ecall 0 of generated tables. `names`: zero-terminated, ecalls first. */
CELLA_MUST_USE cella_result cella_bridge_names_answer(uint32_t ecall_count, uint32_t ocall_count,
                                                      const char *names, size_t size, void *out,
                                                      size_t out_capacity, size_t *ret_size);

/* `used` keeps an object from the compiler, `retain` from a linker that collects sections: the signer looks for it. */
#if defined __has_attribute
#if __has_attribute(retain)
#define CELLA_BRIDGE_KEPT __attribute__((used, retain))
#endif
#endif
#ifndef CELLA_BRIDGE_KEPT
#define CELLA_BRIDGE_KEPT __attribute__((used))
#endif

/* Links the runtime's module `name` in: [cella_service=name]. */
#define CELLA_BRIDGE_REQUIRE(name)                                                                 \
    extern const char cella_module_##name;                                                         \
    CELLA_BRIDGE_KEPT static const char *const cella_required_##name = &cella_module_##name

#ifdef __cplusplus
}
#endif
#endif
