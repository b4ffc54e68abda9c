/*
 * The start of an application's own allocator: its heap once, and its say for each thread.
 * Side: enclave. Called by every allocating function.
 * Never takes pages for the libc's allocator, which asks for them itself.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include <openenclave/advanced/allocator.h>
#include <openenclave/bits/properties.h>

#include "compat/openenclave/enclave/allocator.h"
#include "compat/openenclave/enclave/skin.h"

extern volatile const oe_sgx_enclave_properties_t oe_enclave_properties_sgx;

enum { HEAP_NONE, HEAP_BUSY, HEAP_READY };
static _Atomic uint32_t heap_state;
static __thread bool thread_is_ready;

static void heap_give(void)
{
    const size_t size =
        (size_t)oe_enclave_properties_sgx.header.size_settings.num_heap_pages * OE_PAGE_SIZE;
    uint8_t *heap = cella_pages_new(size);
    if (!heap) {
        cella_abort();
    }
    oe_allocator_init(heap, heap + size);
}

void oe_allocator_start(void)
{
    uint32_t none = HEAP_NONE;
    if (&oe_allocator_is_libc != NULL || thread_is_ready) {
        return;
    }
    if (atomic_compare_exchange_strong(&heap_state, &none, HEAP_BUSY)) {
        heap_give();
        atomic_store(&heap_state, HEAP_READY);
        atexit(oe_allocator_cleanup);
    }
    while (atomic_load(&heap_state) != HEAP_READY) {
        __builtin_ia32_pause();
    }
    thread_is_ready = true;
    oe_allocator_thread_init();
}
