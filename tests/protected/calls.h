/*
 * Ecalls of the protected files' test enclave.
 * Side: tests, both sides.
 */
#ifndef CELLA_TESTS_PROTECTED_CALLS_H
#define CELLA_TESTS_PROTECTED_CALLS_H

#include <stdint.h>

enum protected_ecall {
    PROTECTED_RUN,    /* all sorts of operations; OK or what failed */
    PROTECTED_PUT,    /* writes /put: PROTECTED_PUT_SIZE bytes of the pattern */
    PROTECTED_GET,    /* reads it and compares */
    PROTECTED_EXPORT, /* -> key of /put */
    PROTECTED_IMPORT, /* key -> /put is this enclave's */
    PROTECTED_BUSY,   /* opens /put twice in the wrong ways */
};

#define PROTECTED_PUT_SIZE 1000000u

static inline uint8_t protected_pattern(uint64_t at)
{
    return (uint8_t) "a secret that no host may read "[at % 31];
}

#endif
