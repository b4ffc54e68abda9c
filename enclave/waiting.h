/*
 * What poll.c and epoll.c share: the time that is left after a wait in the host.
 * Side: enclave. Included by these two.
 * Never lets a wait become longer by the host's word: what is left only shrinks.
 */
#ifndef CELLA_ENCLAVE_WAITING_H
#define CELLA_ENCLAVE_WAITING_H

#include "enclave/descriptors.h"

/* The count of a wait, or an errno; *timeout (negative: for ever) becomes what is left. */
static inline long cella_waited_take(const struct cella_call_waited *waited, int64_t max,
                                     int64_t *timeout)
{
    if (*timeout >= 0) {
        if (waited->remaining < 0 || waited->remaining > *timeout) {
            return -EIO;
        }
        *timeout = waited->remaining;
    }
    return cella_answer_filter(waited->value, max);
}

#endif
