/*
 * Amounts as Kubernetes writes them. quantity.h is the manual.
 * Side: services. Called by the device plugin and the webhook. Never allocates.
 */
#include "services/common/quantity.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

struct suffix {
    const char *text;
    double factor;
};

/* "A quantity is a decimal number, then nothing, a binary suffix, a decimal suffix, or an exponent" (apimachinery). */
static bool suffix_factor(const char *text, double *ret_factor)
{
    static const struct suffix suffixes[] = {
        {"", 1},        {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30},
        {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}, {"n", 1e-9},
        {"u", 1e-6},    {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},
        {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},
    };
    int exponent = 0;
    char end = 0;
    for (size_t i = 0; i < CELLA_COUNT(suffixes); i++) {
        if (strcmp(text, suffixes[i].text) == 0) {
            *ret_factor = suffixes[i].factor;
            return true;
        }
    }
    if ((text[0] != 'e' && text[0] != 'E') || strlen(text) > 4 ||
        sscanf(text + 1, "%d%c", &exponent, &end) != 1) {
        return false;
    }
    *ret_factor = 1;
    for (; exponent > 0; exponent--) {
        *ret_factor *= 10;
    }
    for (; exponent < 0; exponent++) {
        *ret_factor /= 10;
    }
    return true;
}

bool quantity_parse(const json_t *quantity, uint64_t *ret_value)
{
    const char *text = json_string_value(quantity);
    double value = 0, scale = 1, factor = 1;
    bool digits = false, point = false;
    if (json_is_integer(quantity) && json_integer_value(quantity) >= 0) {
        *ret_value = (uint64_t)json_integer_value(quantity);
        return true;
    }
    if (!text || strlen(text) > 40) {
        return false;
    }
    text += *text == '+';
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        digits = true;
        value = value * 10 + (*text - '0');
        scale *= point ? 10 : 1;
    }
    if (!digits || !suffix_factor(text, &factor)) {
        return false;
    }
    value = value / scale * factor;
    if (!(value < 0x1p63)) {
        return false;
    }
    *ret_value = (uint64_t)value;
    *ret_value += (double)*ret_value < value;
    return true;
}
