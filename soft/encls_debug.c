/*
 * EDBGRD and EDBGWR (SDM Vol. 3D, SGX instruction references): 8 bytes of a debug enclave.
 * Side: soft (untrusted; it plays the processor). Called by the driver's debug access and by tests.
 * Never reads or writes a page of an enclave without ATTRIBUTES.DEBUG.
 */
#include "soft/encls.h"

#include <string.h>

#define PF_READ (SGX_PF_PRESENT)
#define PF_WRITE (SGX_PF_PRESENT | SGX_PF_WRITE)
#define UNSETTLED (SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED)
#define TCS_LIMIT 72u /* the fields of a TCS without CET */

static bool is_debug(const struct soft_epc *epc)
{
    return (epc->e->control->shared.secs.attributes.flags & SGX_FLAGS_DEBUG) != 0;
}

struct soft_outcome soft_edbgrd(uint64_t rcx, uint64_t *ret_value)
{
    struct soft_epc epc;
    SOFT_CHECK(EDBGRD_01, soft_aligned(rcx, 8), soft_gp());
    SOFT_CHECK(EDBGRD_02, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_READ));
    SOFT_CHECK(EDBGRD_03, soft_epc_valid(&epc), soft_pf(rcx, PF_READ));
    uint32_t type = soft_epc_type(&epc);
    SOFT_CHECK(EDBGRD_04, type == SGX_PT_REG || type == SGX_PT_TCS, soft_pf(rcx, PF_READ));
    SOFT_CHECK(EDBGRD_05, !(epc.entry->flags & UNSETTLED), soft_code(SGX_PAGE_NOT_DEBUGGABLE));
    bool is_tcs = type == SGX_PT_TCS;
    SOFT_CHECK(EDBGRD_06, !is_tcs || rcx % SGX_PAGE_SIZE < TCS_LIMIT, soft_gp());
    SOFT_CHECK(EDBGRD_07, is_debug(&epc), soft_gp());
    memcpy(ret_value, (const void *)(uintptr_t)rcx, 8);
    return soft_code(SGX_SUCCESS);
}

struct soft_outcome soft_edbgwr(uint64_t rbx, uint64_t rcx)
{
    struct soft_epc epc;
    SOFT_CHECK(EDBGWR_01, soft_aligned(rcx, 8), soft_gp());
    SOFT_CHECK(EDBGWR_02, soft_epc_at(rcx, &epc), soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(EDBGWR_03, soft_epc_valid(&epc), soft_pf(rcx, PF_WRITE));
    uint32_t type = soft_epc_type(&epc);
    SOFT_CHECK(EDBGWR_04, type == SGX_PT_REG || type == SGX_PT_TCS, soft_pf(rcx, PF_WRITE));
    SOFT_CHECK(EDBGWR_05, !(epc.entry->flags & UNSETTLED), soft_code(SGX_PAGE_NOT_DEBUGGABLE));
    bool is_tcs = type == SGX_PT_TCS;
    bool at_flags = rcx % SGX_PAGE_SIZE == offsetof(struct sgx_tcs, flags);
    SOFT_CHECK(EDBGWR_06, !is_tcs || at_flags, soft_gp());
    SOFT_CHECK(EDBGWR_07, is_debug(&epc), soft_gp());
    memcpy((void *)(uintptr_t)rcx, &rbx, 8);
    return soft_code(SGX_SUCCESS);
}
