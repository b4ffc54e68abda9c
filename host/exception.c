/*
 * What the vDSO reports that is no EEXIT: exceptions inside, and entries that fail.
 * Side: host. Called by enter.S, on the stack of the interrupted entry; cella_host_look by kick.c too.
 * Never decides what an exception means: the enclave does, at CSSA + 1.
 */
#include "host/host.h"

#include <x86intrin.h>

void cella_host_look(struct cella_host_slot *slot, sgx_linux_enter_fn enter,
                     struct cella_host_frame *ret_frame)
{
    *ret_frame = (struct cella_host_frame){
        .rdi = CELLA_ENTER_EXCEPTION,
        .rsi = __rdtsc(),
        .enter = enter,
        .slot = slot,
        .function = SGX_EENTER,
        .status = CELLA_HOST_LEFT,
    };
    struct sgx_linux_run run = {.tcs = slot->tcs,
                                .user_handler = (uint64_t)cella_host_handler,
                                .user_data = (uint64_t)ret_frame};
    ret_frame->run = &run;
    cella_host_enter(ret_frame);
    ret_frame->run = NULL;
}

/* ERESUME is next. A kick that came while the thread was at CSSA 1 was noted only; those from here on look themselves. */
static bool resume(struct cella_host_frame *frame, struct cella_host_frame *nested)
{
    for (bool stays = false;; stays = stays || nested->rsi == 0) {
        cella_kick_note(frame->slot, 0);
        if (!cella_kick_take(frame->slot)) {
            if (stays) {
                atomic_store(&frame->slot->kicked, 1); /* as in kick.c: the next wait sees it */
            }
            return true;
        }
        cella_kick_note(frame->slot, 1);
        cella_host_look(frame->slot, frame->enter, nested);
        if (nested->status != CELLA_HOST_LEFT || (nested->rdi & 0xFF) != CELLA_EXIT_RESUME) {
            return false;
        }
    }
}

/*
 * Whether stage one made something of it. Without EXINFO the enclave cannot see a page fault: resuming would only fault
 * again, for ever. A kick may have made the entry before us.
 */
static bool is_dealt_with(struct cella_host_slot *slot, const struct cella_host_frame *nested)
{
    const bool looked = atomic_exchange(&slot->looked, 0) != 0;
    return nested->status == CELLA_HOST_LEFT && (nested->rdi & 0xFF) == CELLA_EXIT_RESUME &&
           (nested->rsi != 0 || looked);
}

int cella_host_exception(struct cella_host_frame *frame)
{
    const struct sgx_linux_run *run = frame->run;
    cella_kick_note(frame->slot, 1);
    if (run->function != SGX_ERESUME || run->exception_vector == 0xFFFF) {
        frame->status = CELLA_HOST_LOST; /* EENTER itself faulted, or the call was refused */
        return 0;
    }
    struct cella_host_frame nested;
    cella_host_look(frame->slot, frame->enter, &nested);
    if (is_dealt_with(frame->slot, &nested) && resume(frame, &nested)) {
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
