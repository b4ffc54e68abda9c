/*
 * The enclaves of this process by their numbers.
 * Side: host. Called inside compat/intel/untrusted only. Owns the core's enclaves.
 */
#ifndef COMPAT_INTEL_UNTRUSTED_ENCLAVES_H
#define COMPAT_INTEL_UNTRUSTED_ENCLAVES_H

#include <stdbool.h>

#include "cella/host.h"
#include "sgx_urts.h"
#include "sgx_uswitchless.h"

struct intel_enclave {
    struct intel_enclave *next;
    sgx_enclave_id_t id;
    cella_enclave *core;
    sgx_uswitchless_config_t switchless;
    bool has_switchless;
    sgx_kss_config_t kss;
    _Atomic uint32_t users; /* calls that run, and 1 until it is destroyed */
};

/* NULL when there is none of that number. Each that was taken is given back; the last user ends a destroyed one. */
struct intel_enclave *intel_enclave_take(sgx_enclave_id_t id);
void intel_enclave_give(struct intel_enclave *enclave);

/* switchless.c: workers as the configuration says, after creation and before destruction. */
sgx_status_t intel_switchless_start(struct intel_enclave *enclave);
void intel_switchless_stop(struct intel_enclave *enclave);

/* What the library is: sim.c or hw.c. */
extern const uint32_t intel_create_flags;

#endif
