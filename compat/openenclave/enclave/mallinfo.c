/*
 * How full the heap is, as the kernel counts pages.
 * Side: enclave. Called by applications; an allocator of their own may bring its own.
 * Never counts what malloc keeps for later as free.
 */
#include <openenclave/advanced/mallinfo.h>
#include <openenclave/bits/properties.h>

#include "compat/openenclave/enclave/allocator.h"
#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

extern volatile const oe_sgx_enclave_properties_t oe_enclave_properties_sgx;

oe_result_t oe_allocator_mallinfo(oe_mallinfo_t *info)
{
    uint64_t total, used, peak;
    OE_ENSURE(info != NULL, OE_INVALID_PARAMETER);
    OE_ENSURE(&oe_allocator_is_libc != NULL, OE_UNSUPPORTED);
    cella_pages_count(&total, &used);
    peak = cella_pages_peak();
    const uint64_t stated = oe_enclave_properties_sgx.header.size_settings.num_heap_pages;
    const uint64_t most = stated < total ? stated : total;
    info->max_total_heap_size = most * OE_PAGE_SIZE;
    info->current_allocated_heap_size = (used < most ? used : most) * OE_PAGE_SIZE;
    info->peak_allocated_heap_size = (peak < most ? peak : most) * OE_PAGE_SIZE;
    return OE_OK;
}
