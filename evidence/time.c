/*
 * Dates of certificates and documents as seconds since 1970 (proleptic Gregorian, UTC).
 * Side: both; freestanding. Called inside evidence/. Never asks a clock.
 */
#include "evidence/time.h"

#include <stdbool.h>

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

cella_result ev_time_of(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                        unsigned second, int64_t *ret_time)
{
    CELLA_ENSURE(year >= 1 && year <= 9999 && month >= 1 && month <= 12, OUT_OF_RANGE);
    CELLA_ENSURE(day >= 1 && day <= month_days(year, month), OUT_OF_RANGE);
    CELLA_ENSURE(hour <= 23 && minute <= 59 && second <= 60, OUT_OF_RANGE);
    unsigned before = year - 1;
    int64_t days = (int64_t)before * 365 + before / 4 - before / 100 + before / 400;
    for (unsigned i = 1; i < month; i++) {
        days += month_days(year, i);
    }
    days += (int64_t)day - 1 - 719162; /* days from 0001-01-01 to 1970-01-01 */
    *ret_time = days * 86400 + (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    return CELLA_OK;
}

cella_result ev_digits(const uint8_t *digits, size_t count, unsigned *ret_value)
{
    unsigned value = 0;
    for (size_t i = 0; i < count; i++) {
        CELLA_ENSURE(digits[i] >= '0' && digits[i] <= '9', BAD_SYNTAX);
        value = value * 10 + (digits[i] - '0');
    }
    *ret_value = value;
    return CELLA_OK;
}

/* "Z" or "+hh:mm" behind the time, to the end. */
static cella_result offset_read(struct cella_cursor *cursor, int64_t *ret_seconds)
{
    struct cella_bytes rest;
    unsigned hours;
    unsigned minutes;
    uint8_t sign;
    CELLA_TRY(cella_cursor_u8(cursor, &sign));
    if (sign == 'Z' || sign == 'z') {
        *ret_seconds = 0;
        return cella_end(cursor);
    }
    CELLA_ENSURE(sign == '+' || sign == '-', BAD_SYNTAX);
    CELLA_TRY(cella_cursor_take(cursor, 5, &rest));
    CELLA_ENSURE(rest.data[2] == ':', BAD_SYNTAX);
    CELLA_TRY(ev_digits(rest.data, 2, &hours));
    CELLA_TRY(ev_digits(rest.data + 3, 2, &minutes));
    CELLA_ENSURE(hours <= 23 && minutes <= 59, OUT_OF_RANGE);
    *ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return cella_end(cursor);
}

cella_result ev_time_rfc3339(struct cella_bytes text, int64_t *ret_time)
{
    static const uint8_t widths[] = {4, 2, 2, 2, 2, 2};
    static const char behind[] = "--T::";
    struct cella_cursor cursor = cella_cursor_of(text);
    struct cella_bytes digits;
    unsigned values[6];
    int64_t offset;
    int64_t time;
    for (size_t i = 0; i < 6; i++) {
        uint8_t separator;
        CELLA_TRY(cella_cursor_take(&cursor, widths[i], &digits));
        CELLA_TRY(ev_digits(digits.data, widths[i], &values[i]));
        if (i < 5) {
            CELLA_TRY(cella_cursor_u8(&cursor, &separator));
            bool is_t = i == 2 && (separator == 't' || separator == ' ');
            CELLA_ENSURE(separator == (uint8_t)behind[i] || is_t, BAD_SYNTAX);
        }
    }
    if (cella_cursor_left(&cursor) && text.data[cursor.offset] == '.') {
        size_t start = ++cursor.offset;
        while (cella_cursor_left(&cursor) && text.data[cursor.offset] >= '0' &&
               text.data[cursor.offset] <= '9') {
            cursor.offset++;
        }
        CELLA_ENSURE(cursor.offset > start, BAD_SYNTAX);
    }
    CELLA_TRY(offset_read(&cursor, &offset));
    CELLA_TRY(ev_time_of(values[0], values[1], values[2], values[3], values[4], values[5], &time));
    *ret_time = time - offset;
    return CELLA_OK;
}
