/*
 * Types that every.edl does not define itself.
 * Side: both. Included by generated headers. Never used outside tests.
 */
#ifndef EVERY_TYPES_H
#define EVERY_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifndef EVERY_NO_LIBC
#include <errno.h>
#define every_errno() errno
#endif

typedef uint8_t *bytes_pointer;
typedef int four_ints[4];
typedef struct {
    int number;
} handle_t;

/* What a failed call leaves in the variable for its result, which was `before`: the two SDKs do not touch it. */
#if defined(EVERY_CELLA)
#define AFTER_FAILURE(before) 0
#else
#define AFTER_FAILURE(before) (before)
#endif

#endif
