/*
 * Scope-bound clean-up and small helpers.
 * Side: both; freestanding. Called by everything. Never allocates.
 */
#ifndef CELLA_COMMON_CLEANUP_H
#define CELLA_COMMON_CLEANUP_H

#define CELLA_CLEANUP(function) __attribute__((cleanup(function)))

/* Hands a pointer over: evaluates to *p and leaves NULL behind. */
#define CELLA_TAKE(pointer)                                                                        \
    ({                                                                                             \
        __typeof__(pointer) cella_take_ = (pointer);                                               \
        (pointer) = 0;                                                                             \
        cella_take_;                                                                               \
    })

#define CELLA_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
