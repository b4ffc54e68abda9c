/*
 * Leaves that an enclave enters by its marked site (enter.S) instead of by a trap.
 * Side: soft. Called by enter.S on the thread's own stack. Signals are open: trap.c puts them by until the leaf has ended.
 * soft_leaf has neither vector registers nor FS, they are the enclave's: it and what it calls are compiled without.
 */
#include "soft/driver.h"
#include "soft/transition.h"

/* What the fast path does not do is done by a trap, from the start. */
static uint32_t leaf_end(struct soft_thread *thread, const struct soft_outcome *outcome)
{
    const uint32_t leaf = (uint32_t)thread->call.rax;
    thread->traps = outcome->kind == SOFT_FAULT;
    if (thread->traps) {
        return SOFT_LEAF_TRAP;
    }
    if (leaf != SGX_EREPORT && leaf != SGX_EMODPE) { /* these have no result */
        thread->call.rax = outcome->kind == SOFT_CODE ? outcome->code : 0;
    }
    return SOFT_LEAF_DONE;
}

static struct soft_outcome leaf_run(struct soft_thread *thread)
{
    const struct soft_leaf_call *call = &thread->call;
    return soft_enclu_as(thread->tid, thread->entry->enclave, (uint32_t)call->rax, call->rbx,
                         call->rcx, call->rdx);
}

uint32_t soft_leaf(struct soft_thread *thread)
{
    struct soft_outcome outcome;
    switch ((uint32_t)thread->call.rax) {
    case SGX_EACCEPT:
    case SGX_EMODPE:
        outcome = leaf_run(thread);
        return leaf_end(thread, &outcome);
    case SGX_EREPORT:
    case SGX_EGETKEY:
    case SGX_EACCEPTCOPY:
        return SOFT_LEAF_VECTORS;
    default: /* EEXIT and its kin change the thread */
        thread->traps = true;
        return SOFT_LEAF_TRAP;
    }
}

uint32_t soft_leaf_full(struct soft_thread *thread)
{
    const struct soft_outcome outcome = leaf_run(thread);
    return leaf_end(thread, &outcome);
}
