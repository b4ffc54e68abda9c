/*
 * One round. round.h is the manual.
 * Side: enclave. Called by serve.c.
 */
#include "round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool hex_read(const char *text, uint8_t ret_key[32])
{
    if (strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64) {
        return false;
    }
    for (unsigned i = 0; i < 32; i++) {
        const char pair[] = {text[2 * i], text[2 * i + 1], 0};
        ret_key[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

/* NULL, or what is wrong with the line. */
static const char *line_read(const char *line, struct round *round)
{
    char word[16], name[32], key[72], more[2];
    struct round_party *party = &round->parties[round->party_count];
    const int words = sscanf(line, "%15s %31s %71s %1s", word, name, key, more);
    if (words <= 0 || word[0] == '#') {
        return NULL;
    }
    if (words == 2 && strcmp(word, "quorum") == 0 && round->quorum == 0) {
        char *end;
        const unsigned long quorum = strtoul(name, &end, 10);
        round->quorum = *end == 0 && quorum <= ROUND_PARTIES_MAX ? (unsigned)quorum : 0;
        return round->quorum >= ROUND_QUORUM_MIN ? NULL : "the quorum is a number from 3 to 64";
    }
    if (words != 3 || strcmp(word, "party") != 0) {
        return "expected 'quorum N', once, or 'party NAME KEY'";
    }
    if (round->party_count == ROUND_PARTIES_MAX) {
        return "more than 64 parties";
    }
    if (!hex_read(key, party->key)) {
        return "a key is 64 hexadecimal digits";
    }
    if (round_party_of(round, party->key)) {
        return "this key is there already"; /* one party, two numbers */
    }
    strcpy(party->name, name);
    round->party_count++;
    return NULL;
}

cella_result round_read(const char *text, size_t size, struct round *ret_round, char *why,
                        size_t room)
{
    unsigned number = 0;
    memset(ret_round, 0, sizeof(*ret_round));
    for (size_t at = 0; at < size;) {
        char line[160];
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - text) - at : size - at;
        const char *wrong = "longer than 159 bytes";
        number++;
        if (length < sizeof(line)) {
            memcpy(line, text + at, length);
            line[length] = 0;
            wrong = strlen(line) == length ? line_read(line, ret_round) : "a zero byte";
        }
        if (wrong) {
            snprintf(why, room, "roster, line %u: %s", number, wrong);
            return CELLA_RESULT(BAD_SYNTAX);
        }
        at += length + 1;
    }
    if (ret_round->quorum == 0 || ret_round->quorum > ret_round->party_count) {
        snprintf(why, room, "roster: no quorum, or more than there are parties");
        return CELLA_RESULT(BAD_SYNTAX);
    }
    return CELLA_OK;
}

struct round_party *round_party_of(struct round *round, const uint8_t key[32])
{
    for (unsigned i = 0; i < round->party_count; i++) {
        if (memcmp(round->parties[i].key, key, sizeof(round->parties[i].key)) == 0) {
            return &round->parties[i];
        }
    }
    return NULL;
}

bool round_is_over(const struct round *round)
{
    return round->sent >= round->quorum;
}

cella_result round_submit(struct round *round, struct round_party *party, int64_t value)
{
    CELLA_ENSURE(!party->has_sent, ALREADY_EXISTS);
    /* With one more value in it, the difference of two sums would be that value. */
    CELLA_ENSURE(!round_is_over(round), WRONG_STATE);
    CELLA_ENSURE(value >= -ROUND_VALUE_MAX && value <= ROUND_VALUE_MAX, OUT_OF_RANGE);
    party->has_sent = true;
    round->sum += value;
    round->sent++;
    return CELLA_OK;
}
