/*
 * Dates of certificates and documents as seconds since 1970 (proleptic Gregorian, UTC).
 * Side: both; freestanding. Called inside evidence/. Never asks a clock.
 */
#ifndef CELLA_EVIDENCE_TIME_H
#define CELLA_EVIDENCE_TIME_H

#include "common/bytes.h"

/* Years 1 to 9999. OUT_OF_RANGE for a date or time that does not exist. */
CELLA_MUST_USE cella_result ev_time_of(unsigned year, unsigned month, unsigned day, unsigned hour,
                                       unsigned minute, unsigned second, int64_t *ret_time);

/* `count` decimal digits at `digits`. BAD_SYNTAX. */
CELLA_MUST_USE cella_result ev_digits(const uint8_t *digits, size_t count, unsigned *ret_value);

/* RFC 3339; a fraction is cut, an offset is applied. BAD_SYNTAX, OUT_OF_RANGE. */
CELLA_MUST_USE cella_result ev_time_rfc3339(struct cella_bytes text, int64_t *ret_time);

#endif
