/*
 * Ecalls and ocalls: the TCS pool and the loop around an entry.
 * Side: host. Called by applications (cella_ecall), thread.c and switchless.c.
 * Never takes a lock on the hot path; never lets two threads into one TCS.
 */
#include "host/host.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)

#define HOT_TLS static __thread __attribute__((tls_model("initial-exec")))
HOT_TLS struct cella_host_active *t_active;
HOT_TLS struct {
    uint64_t serial;
    struct cella_host_slot *slot;
} t_last; /* the slot this thread used last: its arena and stack are warm */

const struct cella_host_active *cella_host_active(void)
{
    return t_active;
}

static bool slot_try(struct cella_host_slot *slot)
{
    uint32_t idle = 0;
    return atomic_load_explicit(&slot->busy, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong_explicit(&slot->busy, &idle, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static struct cella_host_slot *slot_search(cella_enclave *enclave)
{
    for (uint32_t i = 0; i < enclave->slot_count; i++) {
        if (slot_try(&enclave->slots[i])) {
            return &enclave->slots[i];
        }
    }
    return NULL;
}

struct cella_host_slot *cella_host_slot_take_last(cella_enclave *enclave)
{
    for (uint32_t i = enclave->slot_count; i > 0; i--) {
        if (slot_try(&enclave->slots[i - 1])) {
            return &enclave->slots[i - 1];
        }
    }
    return NULL;
}

static void event_wait(_Atomic uint32_t *event, uint32_t value)
{
    syscall(SYS_futex, event, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static struct cella_host_slot *slot_wait(cella_enclave *enclave)
{
    struct cella_host_slot *slot = NULL;
    atomic_fetch_add(&enclave->waiters, 1);
    while (!slot && atomic_load(&enclave->dead) == 0) {
        const uint32_t event = atomic_load(&enclave->free_event);
        slot = slot_search(enclave);
        if (!slot) {
            event_wait(&enclave->free_event, event);
        }
    }
    atomic_fetch_sub(&enclave->waiters, 1);
    return slot;
}

struct cella_host_slot *cella_host_slot_take(cella_enclave *enclave)
{
    if (LIKELY(t_last.serial == enclave->serial && slot_try(t_last.slot))) {
        return t_last.slot;
    }
    struct cella_host_slot *slot = slot_search(enclave);
    if (!slot && (enclave->flags & CELLA_ENCLAVE_WAIT)) {
        slot = slot_wait(enclave);
    }
    if (slot) {
        t_last.serial = enclave->serial;
        t_last.slot = slot;
    }
    return slot;
}

void cella_host_slot_give(cella_enclave *enclave, struct cella_host_slot *slot)
{
    if ((enclave->flags & CELLA_ENCLAVE_WAIT) == 0) {
        atomic_store_explicit(&slot->busy, 0, memory_order_release);
        return;
    }
    atomic_store(&slot->busy, 0); /* ordered before the look at `waiters` */
    if (atomic_load(&enclave->waiters) != 0) {
        atomic_fetch_add(&enclave->free_event, 1);
        syscall(SYS_futex, &enclave->free_event, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static const char *abort_words(uint64_t reason)
{
    switch (reason & 0xFF) {
    case CELLA_ABORT_CALLED:
        return "the enclave called abort";
    case CELLA_ABORT_EXCEPTION:
        return "exception in the enclave that no handler wanted, vector";
    case CELLA_ABORT_EXIT:
        return "the enclave called exit with code";
    case CELLA_ABORT_CANARY:
        return "stack smashing detected in the enclave";
    case CELLA_ABORT_SIGNAL:
        return "the program was ended by signal";
    case CELLA_ABORT_HOST:
        return "the host broke the call protocol";
    default:
        return "enclave lost: entering it faults";
    }
}

void cella_host_die(cella_enclave *enclave, cella_result result, uint64_t reason)
{
    uint32_t alive = 0;
    if (!atomic_compare_exchange_strong(&enclave->dead, &alive, result.code)) {
        return;
    }
    enclave->abort_reason = reason;
    const uint32_t kind = reason & 0xFF;
    const char *words = abort_words(reason);
    if (kind == CELLA_ABORT_EXCEPTION || kind == CELLA_ABORT_SIGNAL) {
        snprintf(enclave->abort_text, sizeof(enclave->abort_text), "%s %u", words,
                 (unsigned)(reason >> 8 & 0xFF));
    } else if (kind == CELLA_ABORT_EXIT) {
        snprintf(enclave->abort_text, sizeof(enclave->abort_text), "%s %u", words,
                 (unsigned)(reason >> 32));
    } else {
        snprintf(enclave->abort_text, sizeof(enclave->abort_text), "%s", words);
    }
    cella_host_wake_all(enclave);
    for (uint32_t i = 0; enclave->services && i < enclave->thread_count; i++) {
        cella_kick(enclave, i); /* those that compute inside come out */
    }
    atomic_fetch_add(&enclave->free_event, 1);
    syscall(SYS_futex, &enclave->free_event, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void cella_host_ocall(struct cella_host_frame *frame)
{
    struct cella_host_slot *slot = frame->slot;
    cella_enclave *enclave = slot->enclave;
    const uint32_t number = (uint32_t)(frame->rdi >> 32);
    const void *in = (const void *)frame->rsi;
    const size_t in_size = frame->rdx;
    void *out = (void *)(frame->rsi + CELLA_CALL_OUTPUT_AT(in_size));
    const size_t capacity = frame->r8;
    struct cella_host_active *active = t_active;
    size_t size = 0;
    cella_kick_note(slot, 1);
    active->apart = (frame->rdi & CELLA_EXIT_SWITCHLESS) != 0;
    cella_result result = CELLA_RESULT(NOT_FOUND);
    if (LIKELY(number < enclave->ocall_count)) {
        result = enclave->ocalls[number](enclave->ocall_context, in, in_size, out, capacity, &size);
    } else if (number & CELLA_OCALL_SYSTEM) {
        result = cella_host_service(enclave, slot, number, in, in_size, out, capacity, &size);
    }
    slot->run.user_data = (uint64_t)frame; /* a nested ecall has used the run */
    frame->rdi = CELLA_ENTER_RETURN | frame->r9 << 32;
    frame->rsi = result.code;
    frame->rdx = size;
    cella_kick_note(slot, 0);
}

cella_result cella_host_run(cella_enclave *enclave, struct cella_host_slot *slot,
                            struct cella_host_frame *frame)
{
    struct cella_host_active active = {.outer = t_active, .enclave = enclave, .slot = slot};
    frame->run = &slot->run;
    frame->enter = enclave->enter;
    frame->slot = slot;
    frame->function = SGX_EENTER;
    frame->status = CELLA_HOST_LEFT;
    slot->run.user_data = (uint64_t)frame;
    t_active = &active;
    const bool is_outermost = enclave->is_interruptible && atomic_load(&slot->tid) == 0;
    if (is_outermost) {
        cella_kick_enter(slot);
    }
    cella_kick_note(slot, 0);
    cella_host_enter(frame);
    cella_kick_note(slot, 1);
    if (is_outermost) {
        atomic_store(&slot->tid, 0);
    }
    t_active = active.outer;
    if (LIKELY(frame->status == CELLA_HOST_LEFT && (frame->rdi & 0xFF) == CELLA_EXIT_DONE)) {
        return (cella_result){.code = (uint32_t)frame->rsi};
    }
    const bool lost = frame->status == CELLA_HOST_LOST;
    const cella_result result = lost ? CELLA_RESULT(ENCLAVE_LOST) : CELLA_RESULT(ENCLAVE_ABORTED);
    cella_host_die(enclave, result, lost ? 0 : frame->rdx);
    /* What it died of first: a thread that was made to leave a dead enclave has lost it, and says nothing new. */
    return (cella_result){.code = atomic_load(&enclave->dead)};
}

cella_result cella_host_call(cella_enclave *enclave, struct cella_host_slot *slot, uint64_t code,
                             uint64_t rsi, uint64_t rdx)
{
    struct cella_host_frame frame = {.rdi = code, .rsi = rsi, .rdx = rdx};
    return cella_host_run(enclave, slot, &frame);
}

cella_result cella_host_ecall_on(cella_enclave *enclave, struct cella_host_slot *slot,
                                 uint32_t number, const void *in, size_t in_size, void *out,
                                 size_t out_capacity, size_t *ret_size)
{
    struct cella_host_frame frame;
    frame.rdi = CELLA_ENTER_ECALL | (uint64_t)number << 32;
    frame.rsi = (uint64_t)in;
    frame.rdx = in_size;
    frame.r8 = (uint64_t)out;
    frame.r9 = out_capacity;
    cella_result result = cella_host_run(enclave, slot, &frame);
    if (ret_size && cella_is_ok(result)) {
        *ret_size = frame.rdx;
    }
    return result;
}

/*
 * The slot of this thread's innermost entry into `enclave`, if it serves an ocall of it. An enclave that refuses nesting
 * is entered below switchless calls, or by one, as if workers served them: apart from what the thread is in.
 */
static cella_result slot_nested(const cella_enclave *enclave, bool is_switchless,
                                struct cella_host_slot **ret_slot)
{
    const bool refuses = (enclave->flags & CELLA_ENCLAVE_NO_NESTING) != 0;
    const struct cella_host_active *a = t_active;
    while (a && a->enclave != enclave) {
        a = a->outer;
    }
    const bool is_apart = !a || (refuses && (is_switchless || a->apart));
    CELLA_ENSURE(is_apart || !refuses, WRONG_STATE);
    *ret_slot = is_apart ? NULL : a->slot;
    return CELLA_OK;
}

struct cella_host_slot *cella_host_slot_spare(cella_enclave *enclave, bool *ret_is_taken)
{
    struct cella_host_slot *slot = NULL;
    cella_ignore(slot_nested(enclave, true, &slot));
    *ret_is_taken = slot == NULL;
    return slot ? slot : slot_search(enclave);
}

/* In both of its callers: a call less on the way in. */
static inline __attribute__((always_inline)) cella_result
ecall_make(cella_enclave *enclave, bool is_switchless, uint32_t number, const void *in,
           size_t in_size, void *out, size_t out_capacity, size_t *ret_size)
{
    const uint32_t dead = atomic_load_explicit(&enclave->dead, memory_order_relaxed);
    struct cella_host_slot *slot = NULL;
    if (dead != 0) {
        return (cella_result){.code = dead};
    }
    if (t_active) {
        CELLA_TRY(slot_nested(enclave, is_switchless, &slot));
    }
    if (slot) {
        return cella_host_ecall_on(enclave, slot, number, in, in_size, out, out_capacity, ret_size);
    }
    slot = cella_host_slot_take(enclave);
    if (!slot) {
        const uint32_t code = atomic_load(&enclave->dead);
        return code ? (cella_result){.code = code} : CELLA_RESULT(OUT_OF_THREADS);
    }
    cella_result result =
        cella_host_ecall_on(enclave, slot, number, in, in_size, out, out_capacity, ret_size);
    cella_host_slot_give(enclave, slot);
    return result;
}

cella_result cella_host_ecall(cella_enclave *enclave, bool is_switchless, uint32_t number,
                              const void *in, size_t in_size, void *out, size_t out_capacity,
                              size_t *ret_size)
{
    return ecall_make(enclave, is_switchless, number, in, in_size, out, out_capacity, ret_size);
}

cella_result cella_ecall(cella_enclave *enclave, uint32_t number, const void *in, size_t in_size,
                         void *out, size_t out_capacity, size_t *ret_size)
{
    return ecall_make(enclave, false, number, in, in_size, out, out_capacity, ret_size);
}
