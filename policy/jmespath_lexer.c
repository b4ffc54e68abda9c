/*
 * Words of a JMESPath query.
 * Side: relying party, services. Called by policy/jmespath_parse.c. Never reads past the query.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "policy/jmespath.h"

struct jmespath_literals {
    struct jmespath_literals *next;
    json_t *value;
};

cella_result jmespath_fail(struct jmespath *jmespath, cella_result result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(jmespath->failure->text, sizeof(jmespath->failure->text), format, arguments);
    va_end(arguments);
    return result;
}

/* Takes over the reference. */
cella_result jmespath_keep(struct jmespath *jmespath, json_t *literal)
{
    struct jmespath_literals *entry = arena_take(jmespath->arena, sizeof(*entry));
    if (!entry) {
        json_decref(literal);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    *entry = (struct jmespath_literals){jmespath->literals, literal};
    jmespath->literals = entry;
    return CELLA_OK;
}

static int peek(const struct jmespath *jmespath, size_t ahead)
{
    return jmespath->size - jmespath->at > ahead
               ? (unsigned char)jmespath->query[jmespath->at + ahead]
               : -1;
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The bytes up to the closing `quote`, where a backslash hides one byte; moves behind it. */
static cella_result delimited(struct jmespath *jmespath, char quote, const char **ret_text,
                              size_t *ret_size)
{
    size_t start = ++jmespath->at;
    while (peek(jmespath, 0) != quote) {
        if (peek(jmespath, 0) == -1) {
            return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                                 "query, column %zu: expected a closing %c", start, quote);
        }
        jmespath->at += peek(jmespath, 0) == '\\' && peek(jmespath, 1) != -1 ? 2 : 1;
    }
    *ret_text = jmespath->query + start;
    *ret_size = jmespath->at - start;
    jmespath->at++;
    return CELLA_OK;
}

/* Copies, turning a backslash before `quote` into `quote` alone. */
static cella_result unescape(struct jmespath *jmespath, const char *text, size_t size, char quote,
                             char **ret_text, size_t *ret_size)
{
    size_t used = 0;
    char *copy = arena_take(jmespath->arena, size + 1);
    CELLA_ENSURE(copy, OUT_OF_MEMORY);
    for (size_t i = 0; i < size; i++) {
        i += text[i] == '\\' && i + 1 < size && text[i + 1] == quote;
        copy[used++] = text[i];
    }
    *ret_text = copy;
    *ret_size = used;
    return CELLA_OK;
}

static cella_result read_raw(struct jmespath *jmespath, struct jmespath_lexeme *lexeme)
{
    const char *text;
    char *value;
    size_t size;
    CELLA_TRY(delimited(jmespath, '\'', &text, &size));
    CELLA_TRY(unescape(jmespath, text, size, '\'', &value, &size));
    lexeme->token = T_LITERAL;
    lexeme->literal = json_stringn(value, size);
    if (!lexeme->literal) {
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX), "query, column %zu: not UTF-8",
                             lexeme->at + 1);
    }
    return jmespath_keep(jmespath, lexeme->literal);
}

static cella_result read_literal(struct jmespath *jmespath, struct jmespath_lexeme *lexeme)
{
    const char *text;
    char *value;
    size_t size;
    CELLA_TRY(delimited(jmespath, '`', &text, &size));
    CELLA_TRY(unescape(jmespath, text, size, '`', &value, &size));
    lexeme->token = T_LITERAL;
    lexeme->literal = json_loadb(value, size, JSON_DECODE_ANY, NULL);
    if (!lexeme->literal) {
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                             "query, column %zu: not JSON between back quotes", lexeme->at + 1);
    }
    return jmespath_keep(jmespath, lexeme->literal);
}

static cella_result read_quoted(struct jmespath *jmespath, struct jmespath_lexeme *lexeme)
{
    const char *text;
    size_t size;
    CELLA_TRY(delimited(jmespath, '"', &text, &size));
    json_t *value = json_loadb(text - 1, size + 2, JSON_DECODE_ANY, NULL);
    if (!value || !json_is_string(value) || json_string_length(value) == 0) {
        json_decref(value);
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                             "query, column %zu: not a name in quotation marks", lexeme->at + 1);
    }
    lexeme->token = T_QUOTED;
    lexeme->text = json_string_value(value);
    lexeme->size = json_string_length(value);
    return jmespath_keep(jmespath, value);
}

static cella_result read_number(struct jmespath *jmespath, struct jmespath_lexeme *lexeme)
{
    bool negative = peek(jmespath, 0) == '-';
    int64_t value = 0;
    jmespath->at += negative;
    while (is_digit(peek(jmespath, 0))) {
        if (value > INT32_MAX) {
            return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                                 "query, column %zu: index too large", lexeme->at + 1);
        }
        value = value * 10 + (peek(jmespath, 0) - '0');
        jmespath->at++;
    }
    lexeme->token = T_NUMBER;
    lexeme->number = negative ? -value : value;
    return CELLA_OK;
}

static const struct {
    char text[3];
    uint8_t token;
} g_marks[] = {
    {"[?", T_FILTER},
    {"[]", T_FLATTEN},
    {"||", T_OR},
    {"&&", T_AND},
    {"==", T_EQUAL},
    {"!=", T_NOT_EQUAL},
    {"<=", T_LESS_EQUAL},
    {">=", T_GREATER_EQUAL},
    {"[", T_LEFT_BRACKET},
    {"]", T_RIGHT_BRACKET},
    {"{", T_LEFT_BRACE},
    {"}", T_RIGHT_BRACE},
    {"(", T_LEFT_PARENTHESIS},
    {")", T_RIGHT_PARENTHESIS},
    {",", T_COMMA},
    {":", T_COLON},
    {".", T_DOT},
    {"*", T_STAR},
    {"|", T_PIPE},
    {"&", T_REFERENCE},
    {"@", T_CURRENT},
    {"!", T_NOT},
    {"<", T_LESS},
    {">", T_GREATER},
};

static cella_result read_mark(struct jmespath *jmespath, struct jmespath_lexeme *lexeme)
{
    for (size_t i = 0; i < CELLA_COUNT(g_marks); i++) {
        size_t size = strlen(g_marks[i].text);
        if (peek(jmespath, 0) == g_marks[i].text[0] &&
            (size == 1 || peek(jmespath, 1) == g_marks[i].text[1])) {
            lexeme->token = (enum jmespath_token)g_marks[i].token;
            jmespath->at += size;
            return CELLA_OK;
        }
    }
    return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                         "query, column %zu: unexpected byte 0x%02X", lexeme->at + 1,
                         (unsigned)peek(jmespath, 0));
}

cella_result jmespath_next(struct jmespath *jmespath)
{
    while (peek(jmespath, 0) == ' ' || peek(jmespath, 0) == '\t' || peek(jmespath, 0) == '\n' ||
           peek(jmespath, 0) == '\r') {
        jmespath->at++;
    }
    struct jmespath_lexeme *lexeme = &jmespath->lexeme;
    *lexeme = (struct jmespath_lexeme){.at = jmespath->at, .text = jmespath->query + jmespath->at};
    int c = peek(jmespath, 0);
    if (c == -1) {
        lexeme->token = T_END;
        return CELLA_OK;
    }
    if (is_letter(c)) {
        while (is_letter(peek(jmespath, 0)) || is_digit(peek(jmespath, 0))) {
            jmespath->at++;
        }
        lexeme->token = T_IDENTIFIER;
        lexeme->size = jmespath->at - lexeme->at;
        return CELLA_OK;
    }
    if (is_digit(c) || (c == '-' && is_digit(peek(jmespath, 1)))) {
        return read_number(jmespath, lexeme);
    }
    switch (c) {
    case '\'':
        return read_raw(jmespath, lexeme);
    case '`':
        return read_literal(jmespath, lexeme);
    case '"':
        return read_quoted(jmespath, lexeme);
    default:
        return read_mark(jmespath, lexeme);
    }
}

cella_result jmespath_search(struct arena *arena, const char *query, size_t size, json_t *document,
                             json_t **ret_value, struct policy_failure *failure)
{
    struct jmespath jmespath = {.arena = arena, .failure = failure, .query = query, .size = size};
    struct jmespath_node *node = NULL;
    if (size > JMESPATH_QUERY_MAX) {
        return jmespath_fail(&jmespath, CELLA_RESULT(LIMIT_EXCEEDED), "the query is too long");
    }
    cella_result result = jmespath_parse(&jmespath, &node);
    if (cella_is_ok(result)) {
        result = jmespath_run(&jmespath, node, document, ret_value);
    }
    for (struct jmespath_literals *entry = jmespath.literals; entry; entry = entry->next) {
        json_decref(entry->value);
    }
    return result;
}
