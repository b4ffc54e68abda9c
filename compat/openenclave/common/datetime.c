/*
 * Dates in the Open Enclave API, UTC.
 * Side: both. Called by the verifier. Never asks a clock, never a time zone.
 */
#include "compat/openenclave/common/quote.h"

#define DAY 86400

/* Days since 1970-01-01 of the proleptic Gregorian calendar; March is the first month of such a year. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    const int64_t era = year / 400;
    const int64_t of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned month_days(uint32_t year, uint32_t month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (unsigned)(month == 2 && leap);
}

oe_result_t oe_datetime_read(const oe_datetime_t *datetime, int64_t *ret_time)
{
    OE_ENSURE(datetime->year >= 1970 && datetime->year <= 9999 && datetime->month >= 1 &&
                  datetime->month <= 12 && datetime->day >= 1 &&
                  datetime->day <= month_days(datetime->year, datetime->month) &&
                  datetime->hours < 24 && datetime->minutes < 60 && datetime->seconds < 60,
              OE_INVALID_UTC_DATE_TIME);
    *ret_time = days_of(datetime->year, datetime->month, datetime->day) * DAY +
                (int64_t)datetime->hours * 3600 + (int64_t)datetime->minutes * 60 +
                datetime->seconds;
    return OE_OK;
}

oe_datetime_t oe_datetime_of(int64_t time)
{
    oe_datetime_t out = {1970, 1, 1, 0, 0, 0};
    if (time < 0 || time >= days_of(10000, 1, 1) * DAY) {
        return out;
    }
    int64_t days = time / DAY;
    const uint32_t rest = (uint32_t)(time % DAY);
    out.year = (uint32_t)(1970 + days / 366);
    while (days_of(out.year + 1, 1, 1) <= days) {
        out.year++;
    }
    days -= days_of(out.year, 1, 1);
    while (days >= month_days(out.year, out.month)) {
        days -= month_days(out.year, out.month++);
    }
    out.day = (uint32_t)days + 1;
    out.hours = rest / 3600;
    out.minutes = rest / 60 % 60;
    out.seconds = rest % 60;
    return out;
}
