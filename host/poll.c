/*
 * Waiting for the enclave's poll and epoll modules: for handles, for other threads of the enclave, for time.
 * Side: host. Called by services.c.
 * Never waits beyond the enclave's end.
 */
#include "host/services.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LIST_SMALL 30u

int cella_slot_bell(cella_enclave *enclave, uint32_t slot)
{
    _Atomic int *at = &enclave->services->bells[slot];
    int bell = atomic_load(at);
    if (bell == 0) {
        const int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (made < 0) {
            return -1;
        }
        if (atomic_compare_exchange_strong(at, &bell, made + 1)) {
            return made;
        }
        close(made);
    }
    return bell - 1;
}

cella_result cella_poll_wake(cella_enclave *enclave, const uint8_t *in, size_t in_size)
{
    const uint64_t one = 1;
    for (size_t at = 0; at + 4 <= in_size; at += 4) {
        uint32_t slot;
        memcpy(&slot, in + at, sizeof(slot));
        CELLA_ENSURE(slot < enclave->thread_count, OUT_OF_RANGE);
        const int bell = cella_slot_bell(enclave, slot);
        CELLA_ENSURE(bell >= 0 && write(bell, &one, sizeof(one)) == sizeof(one), IO);
    }
    return CELLA_OK;
}

/* Waits for list[0 … count), with the slot's bell and the stop behind them. Ready ones, without the bell. */
static int64_t wait_with_bell(cella_enclave *enclave, uint32_t slot, struct pollfd *list,
                              size_t count, int64_t timeout, int64_t *ret_remaining)
{
    const int bell = cella_slot_bell(enclave, slot);
    const int64_t start = cella_now();
    if (bell < 0) {
        return -EMFILE;
    }
    bool rung = false;
    const int64_t ready = cella_list_wait(enclave, list, count, timeout, bell, &rung);
    const int64_t left = timeout < 0 ? 0 : timeout - (cella_now() - start);
    *ret_remaining = left > 0 ? left : 0;
    /* Nothing is ready and nobody rang: the time is over, also when the clock is a little behind. */
    if (ready == 0 && timeout >= 0 && !rung) {
        *ret_remaining = 0;
    }
    return ready;
}

cella_result cella_poll_serve(cella_enclave *enclave, const uint8_t *in, size_t in_size,
                              uint8_t *out, size_t out_capacity, size_t *ret_size)
{
    struct cella_call_wait_list head;
    struct cella_call_waited waited = {0};
    CELLA_ENSURE(in_size >= sizeof(head), TRUNCATED);
    memcpy(&head, in, sizeof(head));
    CELLA_ENSURE(head.slot < enclave->thread_count && head.count <= CELLA_CALL_POLL_MAX,
                 OUT_OF_RANGE);
    CELLA_ENSURE(in_size == sizeof(head) + head.count * sizeof(struct cella_call_poll) &&
                     out_capacity >= sizeof(waited) + head.count * sizeof(uint32_t),
                 TRUNCATED);
    struct pollfd small[LIST_SMALL + 2];
    struct pollfd *list = head.count <= LIST_SMALL ? small : calloc(head.count + 2, sizeof(*list));
    CELLA_ENSURE(list != NULL, OUT_OF_MEMORY);
    for (uint32_t i = 0; i < head.count; i++) {
        struct cella_call_poll entry;
        memcpy(&entry, in + sizeof(head) + i * sizeof(entry), sizeof(entry));
        const bool is_open = cella_handle_is_open(enclave, entry.handle);
        list[i] = (struct pollfd){.fd = is_open ? entry.handle : -1, .events = (short)entry.events};
    }
    waited.value =
        wait_with_bell(enclave, head.slot, list, head.count, head.timeout, &waited.remaining);
    memcpy(out, &waited, sizeof(waited));
    for (uint32_t i = 0; i < head.count; i++) {
        const uint32_t events = waited.value > 0 ? (uint16_t)list[i].revents : 0;
        memcpy(out + sizeof(waited) + i * sizeof(events), &events, sizeof(events));
    }
    if (list != small) {
        free(list);
    }
    *ret_size = sizeof(waited) + head.count * sizeof(uint32_t);
    return CELLA_OK;
}

static int64_t epoll_control(const struct cella_service_call *call)
{
    struct cella_call_event given;
    if (call->size != sizeof(given) || call->head.b < 0 || call->head.b > INT32_MAX ||
        !cella_handle_is_open(call->enclave, (int32_t)call->head.b)) {
        return -EBADF;
    }
    memcpy(&given, call->bytes, sizeof(given));
    struct epoll_event event = {.events = given.events, .data.u64 = given.cookie};
    return cella_errno_or(
        epoll_ctl(call->head.handle, (int)call->head.a, (int)call->head.b, &event));
}

/* The answer's second word is what is left of the time; the events follow it. */
static int64_t epoll_take(struct cella_service_call *call)
{
    const uint32_t slot = (uint32_t)((uint64_t)call->head.b >> 32);
    const uint32_t max = (uint32_t)call->head.b;
    struct epoll_event events[64];
    struct pollfd list[3] = {{.fd = call->head.handle, .events = POLLIN}};
    int64_t remaining = 0;
    const size_t room =
        call->capacity < 8 ? 0 : (call->capacity - 8) / sizeof(struct cella_call_event);
    if (slot >= call->enclave->thread_count || max == 0 || room < max) {
        return -EINVAL;
    }
    int64_t result = wait_with_bell(call->enclave, slot, list, 1, call->head.a, &remaining);
    if (result > 0) {
        const int wanted = max < 64 ? (int)max : 64;
        result = cella_errno_or(epoll_wait(call->head.handle, events, wanted, 0));
    }
    memcpy(call->out, &remaining, sizeof(remaining));
    call->extra = sizeof(remaining);
    for (int64_t i = 0; i < result; i++) {
        const struct cella_call_event event = {.events = events[i].events,
                                               .cookie = events[i].data.u64};
        memcpy(call->out + call->extra, &event, sizeof(event));
        call->extra += sizeof(event);
    }
    return result;
}

int64_t cella_epoll_serve(struct cella_service_call *call)
{
    if (call->head.operation == CELLA_EPOLL_NEW) {
        return cella_handle_own(call->enclave, epoll_create1(EPOLL_CLOEXEC));
    }
    if (!cella_handle_is_open(call->enclave, call->head.handle)) {
        return -EBADF;
    }
    switch (call->head.operation) {
    case CELLA_EPOLL_CONTROL:
        return epoll_control(call);
    case CELLA_EPOLL_WAIT:
        return epoll_take(call);
    default:
        return -ENOSYS;
    }
}
