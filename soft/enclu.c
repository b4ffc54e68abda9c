/*
 * ENCLU leaves that stay inside the enclave: dispatch.
 * Side: soft (untrusted; it plays the processor). Called by the transitions with all signals
 * blocked. EENTER, ERESUME, EEXIT and EDECCSSA are transition.c's; EVERIFYREPORT2 is not enumerated
 * by this processor.
 */
#include "soft/enclu.h"
#include "soft/keys.h"

static struct soft_outcome enclu(struct driver_enclave *e, uint32_t leaf, uint64_t rbx,
                                 uint64_t rcx, uint64_t rdx)
{
    switch (leaf) {
    case SGX_EREPORT:
        return soft_ereport(e, rbx, rcx, rdx);
    case SGX_EGETKEY:
        return soft_egetkey(e, rbx, rcx);
    case SGX_EACCEPT:
        return soft_eaccept(e, rbx, rcx);
    case SGX_EMODPE:
        return soft_emodpe(e, rbx, rcx);
    case SGX_EACCEPTCOPY:
        return soft_eacceptcopy(e, rbx, rcx, rdx);
    default:
        break;
    }
    SOFT_CHECK(ENCLU_01, false && "leaf is one that runs inside an enclave here", soft_gp());
    return soft_done();
}

struct soft_outcome soft_enclu_as(uint32_t self, struct soft_enclave *enclave, uint32_t leaf,
                                  uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
    struct soft_outcome outcome = soft_gp();
    if (leaf == SGX_EREPORT || leaf == SGX_EGETKEY) {
        soft_platform_load();
    }
    soft_lock_as(&g_process_lock, self);
    if (enclave->used == 2) { /* it may have been unmapped by another thread */
        soft_lock_as(&enclave->shared->lock, self);
        driver_of(enclave)->locker = self;
        outcome = enclu(driver_of(enclave), leaf, rbx, rcx, rdx);
        driver_of(enclave)->locker = 0;
        soft_unlock(&enclave->shared->lock);
    }
    soft_unlock(&g_process_lock);
    return outcome;
}

struct soft_outcome soft_enclu(struct soft_enclave *enclave, uint32_t leaf, uint64_t rbx,
                               uint64_t rcx, uint64_t rdx)
{
    return soft_enclu_as(soft_thread_id(), enclave, leaf, rbx, rcx, rdx);
}
