/*
 * Slots of threads beyond those that the image adds: their pages by EAUG, their TCS by EMODT.
 * Side: enclave. Called by thread.c, one at a time. SGX2, as all of the personality.
 * Never believes the host: EACCEPT fails unless the processor did what was asked for, and a TCS has what was written here.
 */
#include "linux/linux.h"

static bool accept(uint64_t flags, uint64_t address)
{
    _Alignas(SGX_ALIGN_SECINFO) const struct sgx_secinfo secinfo = {.flags = flags};
    return (uint32_t)cella_enclu(SGX_EACCEPT, (uint64_t)&secinfo, address, 0) == SGX_SUCCESS;
}

/* EACCEPT of a hole makes the kernel add the page, zeroed. */
static bool pages_make(uint64_t start, uint64_t size)
{
    for (uint64_t at = start; at < start + size; at += SGX_PAGE_SIZE) {
        if (!accept(SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_REG | SGX_SECINFO_PENDING, at)) {
            return false;
        }
    }
    return true;
}

/* As the signer writes those that the image adds (image.md). */
static void tcs_write(struct sgx_tcs *tcs, uint64_t slot)
{
    tcs->ossa = slot + cella_image_info.slot_ssa;
    tcs->nssa = cella_image_info.nssa;
    tcs->oentry = cella_image_info.entry;
    tcs->ofs_base = slot + cella_image_info.slot_td;
    tcs->ogs_base = slot + cella_image_info.slot_td;
    tcs->fs_limit = 0xFFFFFFFF;
    tcs->gs_limit = 0xFFFFFFFF;
}

bool linux_slot_make(uint32_t slot)
{
    const uint64_t at = cella_slot_address(slot);
    const uint64_t tcs = at + cella_image_info.slot_tcs;
    const uint64_t words[2] = {tcs - cella_kernel.base, SGX_PAGE_SIZE};
    const uint64_t ssa_size =
        (uint64_t)cella_image_info.nssa * cella_image_info.ssa_frame_pages * SGX_PAGE_SIZE;
    if (!pages_make(at + cella_image_info.slot_stack, cella_image_info.stack_size) ||
        !pages_make(tcs, SGX_PAGE_SIZE) || !pages_make(at + cella_image_info.slot_ssa, ssa_size) ||
        !pages_make(at + cella_image_info.slot_td,
                    (uint64_t)cella_image_info.td_pages * SGX_PAGE_SIZE)) {
        return false;
    }
    tcs_write((struct sgx_tcs *)tcs, at - cella_kernel.base);
    return cella_is_ok(cella_system_ocall(CELLA_OCALL_TCS, words, sizeof(words), NULL, 0, NULL)) &&
           accept(SGX_SECINFO_TCS | SGX_SECINFO_MODIFIED, tcs);
}
