/*
 * What the vDSO reports that is no EEXIT: exceptions inside, and entries that fail.
 * Side: host. Called by enter.S, on the stack of the interrupted entry.
 * Never decides what an exception means: the enclave does, at CSSA + 1.
 */
#include "host/host.h"

#include <x86intrin.h>

int cella_host_exception(struct cella_host_frame *frame)
{
    const struct sgx_linux_run *run = frame->run;
    if (run->function != SGX_ERESUME || run->exception_vector == 0xFFFF) {
        frame->status = CELLA_HOST_LOST; /* EENTER itself faulted, or the call was refused */
        return 0;
    }
    struct cella_host_frame nested = {
        .rdi = CELLA_ENTER_EXCEPTION,
        .rsi = __rdtsc(),
        .enter = frame->enter,
        .slot = frame->slot,
        .function = SGX_EENTER,
        .status = CELLA_HOST_LEFT,
    };
    struct sgx_linux_run nested_run = {.tcs = run->tcs,
                                       .user_handler = (uint64_t)cella_host_handler,
                                       .user_data = (uint64_t)&nested};
    nested.run = &nested_run;
    cella_host_enter(&nested);
    /* Without EXINFO the enclave cannot see a page fault: resuming would only fault again, for ever. */
    if (nested.status == CELLA_HOST_LEFT && (nested.rdi & 0xFF) == CELLA_EXIT_RESUME &&
        nested.rsi != 0) {
        return 1;
    }
    frame->status = CELLA_HOST_ABORTED;
    frame->rdi = CELLA_EXIT_ABORTED;
    frame->rdx = CELLA_ABORT_EXCEPTION | (uint64_t)run->exception_vector << 8;
    if (nested.status == CELLA_HOST_LOST) {
        frame->status = CELLA_HOST_LOST;
    }
    return 0;
}
