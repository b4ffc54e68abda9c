/*
 * ENCLS: dispatch, and resolving of EPC addresses.
 * Side: soft (untrusted; it plays the processor). Called by the driver and by tests.
 * Never locks: what an instruction would find "in use" the caller's locks exclude.
 */
#include "soft/encls.h"

bool soft_epc_at(uint64_t address, struct soft_epc *ret_epc)
{
    for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
        struct driver_enclave *e = &g_enclaves[i];
        if (!e->pub.used) {
            continue;
        }
        if (address - (uint64_t)(uintptr_t)&e->control->shared.secs < SGX_PAGE_SIZE) {
            *ret_epc = (struct soft_epc){.e = e, .is_secs = true};
            return true;
        }
        uint64_t offset = address - (uint64_t)(uintptr_t)e->pub.alias;
        if (e->pub.used == 2 && offset < e->pub.size) {
            uint64_t page = offset >> SGX_PAGE_SHIFT;
            *ret_epc = (struct soft_epc){.e = e, .page = page, .entry = &e->pub.epcm[page]};
            return true;
        }
    }
    return false;
}

uint64_t soft_supported_attributes(void)
{
    return SGX_FLAGS_DEBUG | SGX_FLAGS_MODE64BIT | SGX_FLAGS_PROVISIONKEY |
           SGX_FLAGS_EINITTOKENKEY | SGX_FLAGS_KSS | SGX_FLAGS_AEXNOTIFY;
}

uint64_t soft_supported_xfrm(void)
{
    return soft_cpu_xcr0() | SGX_XFRM_LEGACY;
}

struct soft_outcome soft_encls(uint32_t leaf, uint64_t rbx, uint64_t rcx, uint64_t rdx)
{
    switch (leaf) {
    case SGX_ECREATE:
        return soft_ecreate(rbx, rcx);
    case SGX_EADD:
        return soft_eadd(rbx, rcx);
    case SGX_EINIT:
        return soft_einit(rbx, rcx, rdx);
    case SGX_EREMOVE:
        return soft_eremove(rcx);
    case SGX_EDBGRD:
        return soft_edbgrd(rcx, (uint64_t *)(uintptr_t)rbx);
    case SGX_EDBGWR:
        return soft_edbgwr(rbx, rcx);
    case SGX_EEXTEND:
        return soft_eextend(rbx, rcx);
    case SGX_EBLOCK:
        return soft_eblock(rcx);
    case SGX_ETRACK:
        return soft_etrack(rcx);
    case SGX_EAUG:
        return soft_eaug(rbx, rcx);
    case SGX_EMODPR:
        return soft_emodpr(rbx, rcx);
    case SGX_EMODT:
        return soft_emodt(rbx, rcx);
    default:
        break;
    }
    SOFT_CHECK(ENCLS_01, false && "leaf is one that this processor has", soft_gp());
    return soft_done();
}
