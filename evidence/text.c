/*
 * Lines for people, put together without a libc.
 * Side: both; freestanding. Called inside evidence/. A line too long is cut; it is always terminated.
 */
#include "evidence/text.h"

static void byte_add(struct ev_text *text, char byte)
{
    if (text->used + 1 < text->size) {
        text->data[text->used++] = byte;
        text->data[text->used] = 0;
    }
}

void ev_text_add(struct ev_text *text, const char *more)
{
    while (more && *more) {
        byte_add(text, *more++);
    }
}

void ev_text_bytes(struct ev_text *text, struct cella_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        byte_add(text, byte >= 0x20 && byte < 0x7F ? (char)byte : '?');
    }
}

void ev_text_hex(struct ev_text *text, struct cella_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        byte_add(text, "0123456789abcdef"[bytes.data[i] >> 4]);
        byte_add(text, "0123456789abcdef"[bytes.data[i] & 15]);
    }
}

static void digits_add(struct ev_text *text, uint64_t number, unsigned width)
{
    char digits[20];
    unsigned count = 0;
    while (number || count < width) {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    }
    while (count) {
        byte_add(text, digits[--count]);
    }
}

void ev_text_number(struct ev_text *text, uint64_t number)
{
    digits_add(text, number, 1);
}

/* Days since 1970 to a date: eras of 400 years, each year starting in March. */
void ev_text_time(struct ev_text *text, int64_t time)
{
    int64_t days = time / 86400;
    int64_t seconds = time % 86400;
    if (seconds < 0) {
        seconds += 86400;
        days--;
    }
    days += 719468; /* from 0000-03-01 */
    if (days < 0 || days > 3652364) {
        ev_text_add(text, "a time outside the years 0 to 9999");
        return;
    }
    int64_t era = days / 146097;
    int64_t day_of_era = days % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    digits_add(text, (uint64_t)(year_of_era + era * 400 + (month <= 2)), 4);
    byte_add(text, '-');
    digits_add(text, (uint64_t)month, 2);
    byte_add(text, '-');
    digits_add(text, (uint64_t)day, 2);
    byte_add(text, 'T');
    digits_add(text, (uint64_t)(seconds / 3600), 2);
    byte_add(text, ':');
    digits_add(text, (uint64_t)(seconds / 60 % 60), 2);
    byte_add(text, ':');
    digits_add(text, (uint64_t)(seconds % 60), 2);
    byte_add(text, 'Z');
}
