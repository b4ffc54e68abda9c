/*
 * Call numbers of the enclave whose threads interrupt each other.
 * Side: both (tests).
 */
#ifndef CELLA_TESTS_KICK_H
#define CELLA_TESTS_KICK_H

#include <stdint.h>

enum kick_ecall {
    KICK_LIVE, /* in: u32 enum kick_life: looks at its signals until told to stop; out: u64 of them seen */
    KICK_KICK,    /* in: u64 count, u32 whether each is waited for: kicks the thread that lives */
    KICK_STOP,    /* the thread that lives returns */
    KICK_ABORT,   /* the enclave's end */
    KICK_SIGNALS, /* out: u64: the signals that the host reported, taken */
};

enum kick_life {
    LIFE_SPIN,    /* computes */
    LIFE_FAULT,   /* computes and has exceptions */
    LIFE_WAIT,    /* sleeps */
    LIFE_POLL,    /* waits for nothing in poll */
    LIFE_TIMED,   /* sleeps for a microsecond, again and again */
    LIFE_OCALL,   /* makes calls that do not wait */
    LIFE_RECEIVE, /* waits for a socket */
    LIFE_COUNT,
};

#endif
