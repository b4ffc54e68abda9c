/*
 * What generated code on the untrusted side (NAME_u.c) calls: enclaves bound by name, ecalls, ocalls taken apart.
 * Public header for generated code and for skins: plain C11, C++-safe. Library: libcella_host.
 * Never prints and never exits.
 */
#ifndef CELLA_BRIDGE_HOST_H
#define CELLA_BRIDGE_HOST_H

#include "cella/bridge_call.h"
#include "cella/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct cella_bridge_name {
    const char *name;
};

struct cella_bridge_ocall {
    cella_ocall_function function;
    const char *name;
};

/* What one NAME_u.c knows: its ecalls by index, its ocalls. Static tables; `ecalls` also says which module it is. */
struct cella_bridge_module {
    const char *name;
    const struct cella_bridge_name *ecalls;
    const struct cella_bridge_ocall *ocalls;
    uint32_t ecall_count;
    uint32_t ocall_count;
};

/*
 * Fits the module to the enclave: its names are asked for once, then ecalls get their numbers and the enclave's ocalls,
 * where the module has a function of that name, their functions. An ocall that no module has brought yet answers
 * NOT_FOUND. Also done by the first ecall through a module, so that calling this is a matter of early errors.
 * BAD_MAGIC: the enclave was not made with the EDL compiler. WRONG_STATE: it has ocalls by number
 * (cella_enclave_options). Thread-safe. The module's tables must stay until the enclave is destroyed.
 */
CELLA_MUST_USE cella_result cella_enclave_bind(cella_enclave *enclave,
                                               const struct cella_bridge_module *module);

/* The first ecall of the module that the bound enclave does not have, or NULL. */
const char *cella_enclave_missing(cella_enclave *enclave, const struct cella_bridge_module *module);

/* cella_enclave_create, bound; NOT_FOUND with an error that names the ecall when the enclave lacks one of the module. */
CELLA_MUST_USE cella_result cella_bridge_create(const char *path,
                                                const struct cella_enclave_options *options,
                                                const struct cella_bridge_module *module,
                                                cella_enclave **ret_enclave,
                                                struct cella_error *error);

/*
 * Ecall `index` of the module. `message` is the head with room for one span for each pointer behind it
 * (CELLA_BRIDGE_SPANS_AT); at[i] is pointer i. `reply` takes the result. On failure `reply` and buffers that are out
 * only hold zeros. Results: as cella_bridge_enter's; NOT_FOUND (the enclave has no ecall of that name),
 * INVALID_ARGUMENT (enclave is NULL), those of cella_ecall. Thread-safe.
 */
CELLA_MUST_USE cella_result cella_bridge_ecall(cella_enclave *enclave,
                                               const struct cella_bridge_module *module,
                                               uint32_t index,
                                               const struct cella_bridge_function *function,
                                               void *message, void *const *at, void *reply);

/*
 * Takes an ocall's message apart: at[i] is pointer i, into the message or the output; out-only bytes are zeroed. After the
 * user's function: cella_bridge_served.
 */
CELLA_MUST_USE cella_result cella_bridge_serve(const struct cella_bridge_function *function,
                                               const void *in, size_t in_size, void *out,
                                               size_t out_capacity, void **at);
CELLA_MUST_USE cella_result cella_bridge_served(const struct cella_bridge_function *function,
                                                const void *in, void *const *at, void *out,
                                                size_t out_capacity, size_t *ret_size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
