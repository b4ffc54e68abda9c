/*
 * Words of a policy.
 * Side: relying party, services. Called by policy/parse.c. Never allocates but for strings.
 */
#include "policy/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

static const char *const g_names[] = {
    [TOKEN_END] = "the end of the policy",
    [TOKEN_BAD] = "an unreadable word",
    [TOKEN_IDENTIFIER] = "a name",
    [TOKEN_STRING] = "a string",
    [TOKEN_INTEGER] = "an integer",
    [TOKEN_VERSION] = "a version",
    [TOKEN_LEFT_BRACE] = "'{'",
    [TOKEN_RIGHT_BRACE] = "'}'",
    [TOKEN_LEFT_PARENTHESIS] = "'('",
    [TOKEN_RIGHT_PARENTHESIS] = "')'",
    [TOKEN_LEFT_BRACKET] = "'['",
    [TOKEN_RIGHT_BRACKET] = "']'",
    [TOKEN_COMMA] = "','",
    [TOKEN_SEMICOLON] = "';'",
    [TOKEN_COLON] = "':'",
    [TOKEN_DOT] = "'.'",
    [TOKEN_ASSIGN] = "'='",
    [TOKEN_EQUAL] = "'=='",
    [TOKEN_NOT_EQUAL] = "'!='",
    [TOKEN_LESS] = "'<'",
    [TOKEN_LESS_EQUAL] = "'<='",
    [TOKEN_GREATER] = "'>'",
    [TOKEN_GREATER_EQUAL] = "'>='",
    [TOKEN_AND] = "'&&'",
    [TOKEN_ARROW] = "'=>'",
    [TOKEN_NOT] = "'!'",
};

const char *token_name(enum token_kind kind)
{
    return g_names[kind];
}

void problem_add(struct cella_policy_problems *problems, bool warning, unsigned line,
                 unsigned column, const char *format, ...)
{
    /* An error ends the reading: it takes the last place rather than none. */
    unsigned place = problems->count;
    if (place >= CELLA_POLICY_PROBLEMS) {
        if (warning) {
            return;
        }
        place = CELLA_POLICY_PROBLEMS - 1;
    }
    struct cella_policy_problem *problem = &problems->items[place];
    problem->line = line;
    problem->column = column;
    problem->warning = warning;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof(problem->text), format, arguments);
    va_end(arguments);
    problems->count = place + 1;
}

static int peek(const struct lexer *lexer, size_t ahead)
{
    return lexer->text.size - lexer->at > ahead ? lexer->text.data[lexer->at + ahead] : -1;
}

/* Columns count characters: continuation bytes of UTF-8 do not move it. */
static void step(struct lexer *lexer, size_t count)
{
    for (; count && lexer->at < lexer->text.size; count--) {
        uint8_t byte = lexer->text.data[lexer->at++];
        if (byte == '\n') {
            lexer->line++;
            lexer->column = 1;
        } else if ((byte & 0xC0) != 0x80) {
            lexer->column++;
        }
    }
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_blanks(struct lexer *lexer)
{
    for (;;) {
        if (is_space(peek(lexer, 0))) {
            step(lexer, 1);
        } else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '/') {
            while (peek(lexer, 0) != -1 && peek(lexer, 0) != '\n') {
                step(lexer, 1);
            }
        } else {
            return;
        }
    }
}

/* U+201C, U+201D, U+201E: what word processors make of '"'. */
static bool is_typographic(const struct lexer *lexer)
{
    int last = peek(lexer, 2);
    return peek(lexer, 0) == 0xE2 && peek(lexer, 1) == 0x80 && last >= 0x9C && last <= 0x9E;
}

static struct token bad(struct lexer *lexer, struct token token, const char *what)
{
    problem_add(lexer->problems, false, token.line, token.column, "%s", what);
    token.kind = TOKEN_BAD;
    return token;
}

/* One character behind a backslash; -1 for those the language does not know. */
static int escape_value(int c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return -1;
    }
}

/* Bytes to the quotation mark that ends the string, or to the end of the line: its value is no longer. */
static size_t string_bound(const struct lexer *lexer, bool typographic)
{
    size_t size = 0;
    for (int c = peek(lexer, 0); c != -1 && c != '\n' && c != '"'; c = peek(lexer, size)) {
        if (typographic && c == 0xE2) {
            struct lexer there = *lexer;
            there.at += size;
            if (is_typographic(&there)) {
                break;
            }
        }
        size += c == '\\' && peek(lexer, size + 1) != '\n' ? 2 : 1;
    }
    return size;
}

static struct token read_string(struct lexer *lexer, struct token token)
{
    size_t room = 0;
    bool typographic = peek(lexer, 0) != '"';
    if (typographic) {
        if (!lexer->compatible) {
            return bad(lexer, token, "typographic quotation mark; expected '\"'");
        }
        problem_add(lexer->problems, true, token.line, token.column,
                    "typographic quotation mark taken as '\"'");
    }
    step(lexer, typographic ? 3 : 1);
    char *value = arena_take(lexer->arena, string_bound(lexer, typographic) + 1);
    if (!value) {
        return bad(lexer, token, "out of memory");
    }
    for (;;) {
        int c = peek(lexer, 0);
        if (c == -1 || c == '\n') {
            return bad(lexer, token, "string without an end; expected '\"' on the same line");
        }
        if (c == 0) {
            return bad(lexer, token, "zero byte in a string");
        }
        if (c == '"' || (typographic && is_typographic(lexer))) {
            step(lexer, c == '"' ? 1 : 3);
            break;
        }
        if (c == '\\') {
            struct token place = {.line = lexer->line, .column = lexer->column};
            int meant = escape_value(peek(lexer, 1));
            if (meant == -1 && !lexer->compatible) {
                return bad(lexer, place,
                           "unknown escape in a string; expected \\\" \\\\ \\/ \\n \\r or \\t");
            }
            if (meant != -1) {
                value[room++] = (char)meant;
                step(lexer, 2);
                continue;
            }
            problem_add(lexer->problems, true, place.line, place.column,
                        "unknown escape in a string; the backslash is kept");
        }
        value[room++] = (char)c;
        step(lexer, 1);
    }
    value[room] = 0;
    token.kind = TOKEN_STRING;
    token.text = value;
    token.size = room;
    return token;
}

static struct token read_number(struct lexer *lexer, struct token token)
{
    size_t start = lexer->at;
    bool negative = peek(lexer, 0) == '-';
    uint64_t value = 0;
    const uint64_t limit = (uint64_t)INT64_MAX + negative;

    step(lexer, negative);
    while (is_digit(peek(lexer, 0))) {
        unsigned digit = (unsigned)(peek(lexer, 0) - '0');
        if (value > (limit - digit) / 10) {
            return bad(lexer, token, "integer does not fit in 64 bits");
        }
        value = value * 10 + digit;
        step(lexer, 1);
    }
    token.kind = TOKEN_INTEGER;
    if (!negative && peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        token.kind = TOKEN_VERSION;
        step(lexer, 1);
        while (is_digit(peek(lexer, 0))) {
            step(lexer, 1);
        }
    }
    token.integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    token.size = lexer->at - start;
    return token;
}

static struct token read_mark(struct lexer *lexer, struct token token)
{
    static const struct {
        char text[3];
        uint8_t kind;
    } marks[] = {
        /* the longer first */
        {"==", TOKEN_EQUAL},
        {"=>", TOKEN_ARROW},
        {"!=", TOKEN_NOT_EQUAL},
        {"<=", TOKEN_LESS_EQUAL},
        {">=", TOKEN_GREATER_EQUAL},
        {"&&", TOKEN_AND},
        {"{", TOKEN_LEFT_BRACE},
        {"}", TOKEN_RIGHT_BRACE},
        {"(", TOKEN_LEFT_PARENTHESIS},
        {")", TOKEN_RIGHT_PARENTHESIS},
        {"[", TOKEN_LEFT_BRACKET},
        {"]", TOKEN_RIGHT_BRACKET},
        {",", TOKEN_COMMA},
        {";", TOKEN_SEMICOLON},
        {":", TOKEN_COLON},
        {".", TOKEN_DOT},
        {"=", TOKEN_ASSIGN},
        {"<", TOKEN_LESS},
        {">", TOKEN_GREATER},
        {"!", TOKEN_NOT},
    };
    for (size_t i = 0; i < CELLA_COUNT(marks); i++) {
        size_t size = strlen(marks[i].text);
        if (peek(lexer, 0) == marks[i].text[0] &&
            (size == 1 || peek(lexer, 1) == marks[i].text[1])) {
            token.kind = (enum token_kind)marks[i].kind;
            token.size = size;
            step(lexer, size);
            return token;
        }
    }
    char what[64];
    int c = peek(lexer, 0);
    if (c > ' ' && c < 0x7F) {
        snprintf(what, sizeof(what), "unexpected character '%c'", c);
    } else {
        snprintf(what, sizeof(what), "unexpected byte 0x%02X", (unsigned)c);
    }
    return bad(lexer, token, what);
}

struct token lexer_next(struct lexer *lexer)
{
    skip_blanks(lexer);
    struct token token = {.line = lexer->line,
                          .column = lexer->column,
                          .text = (const char *)lexer->text.data + lexer->at};
    int c = peek(lexer, 0);
    if (c == -1) {
        token.kind = TOKEN_END;
        return token;
    }
    if (c == '"' || is_typographic(lexer)) {
        return read_string(lexer, token);
    }
    if (is_digit(c) || (c == '-' && is_digit(peek(lexer, 1)))) {
        return read_number(lexer, token);
    }
    if (is_letter(c)) {
        size_t start = lexer->at;
        while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0))) {
            step(lexer, 1);
        }
        token.kind = TOKEN_IDENTIFIER;
        token.size = lexer->at - start;
        return token;
    }
    return read_mark(lexer, token);
}
