/*
 * The expressions of #if and #elif.
 * Side: tools. Called by edl/preprocess.c. Works on one line; nesting ends at EDL_EXPRESSION_DEPTH_MAX.
 */
#include <inttypes.h>
#include <string.h>

#include "edl/internal.h"

struct expression {
    struct edl_preprocessor *preprocessor;
    const struct edl_token *line;
    const char *at;
    unsigned depth;
    bool is_bad;
};

/* Two-byte operators first, so that they are found before their first bytes. */
static const struct {
    const char *sign;
    int level; /* higher binds tighter */
} g_operators[] = {
    {"||", 1}, {"&&", 2}, {"==", 6}, {"!=", 6}, {"<=", 7}, {">=", 7},
    {"<<", 8}, {">>", 8}, {"|", 3},  {"^", 4},  {"&", 5},  {"<", 7},
    {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10},
};
#define OPERATOR_COUNT (sizeof g_operators / sizeof *g_operators)

static void fail(struct expression *expression, const char *text)
{
    if (!expression->is_bad) {
        edl_error(expression->preprocessor->edl, expression->line->position, "condition '%s': %s",
                  expression->line->text + strspn(expression->line->text, " \t"), text);
    }
    expression->is_bad = true;
}

static void skip(struct expression *expression)
{
    while (*expression->at == ' ' || *expression->at == '\t') {
        expression->at++;
    }
}

static bool take(struct expression *expression, char sign)
{
    skip(expression);
    if (*expression->at != sign) {
        return false;
    }
    expression->at++;
    return true;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static const char *take_word(struct expression *expression)
{
    skip(expression);
    size_t size = 0;
    while (is_word(expression->at[size])) {
        size++;
    }
    const char *word = cella_edl_copy(&expression->preprocessor->edl->arena, expression->at, size);
    expression->at += size;
    return word;
}

static int64_t number_of(struct expression *expression, const char *word)
{
    uint64_t value = 0;
    unsigned base = 10;
    if (word[0] == '0') {
        base = word[1] == 'x' || word[1] == 'X' ? 16 : 8;
        word += base == 16 ? 2 : 1;
    }
    for (; *word; word++) {
        unsigned digit = *word >= '0' && *word <= '9'   ? (unsigned)(*word - '0')
                         : *word >= 'a' && *word <= 'f' ? (unsigned)(*word - 'a') + 10
                         : *word >= 'A' && *word <= 'F' ? (unsigned)(*word - 'A') + 10
                                                        : 99;
        if (digit >= base) {
            break;
        }
        value = value * base + digit;
    }
    if (word[strspn(word, "uUlL")] != '\0') {
        fail(expression, "not a number");
    }
    return (int64_t)value;
}

/* A macro's value is a number, or through other macros; a name without one is 0. */
static int64_t value_of(struct expression *expression, const char *word)
{
    for (unsigned i = 0; i < EDL_MACRO_DEPTH_MAX; i++) {
        if (*word >= '0' && *word <= '9') {
            return number_of(expression, word);
        }
        struct edl_macro *macro = cella_edl_map_get(&expression->preprocessor->macros, word);
        if (!macro) {
            return 0;
        }
        const struct edl_token *tokens = macro->tokens.items;
        size_t first = 0;
        size_t count = macro->tokens.count;
        while (count >= 2 && tokens[first].sign == '(' && tokens[first + count - 1].sign == ')') {
            first++;
            count -= 2;
        }
        if (count != 1) {
            fail(expression, "a macro in it is not a single number");
            return 0;
        }
        word = tokens[first].text;
    }
    return 0;
}

static int64_t defined(struct expression *expression)
{
    bool is_bracketed = take(expression, '(');
    const char *word = take_word(expression);
    if (!*word || (is_bracketed && !take(expression, ')'))) {
        fail(expression, "expected a name behind 'defined'");
    }
    return cella_edl_map_get(&expression->preprocessor->macros, word) != NULL;
}

static int64_t ternary(struct expression *expression);

static int64_t unary(struct expression *expression)
{
    /* Signs are applied from the inside out; more than fit are refused. */
    char signs[EDL_EXPRESSION_DEPTH_MAX];
    size_t count = 0;
    skip(expression);
    while (*expression->at && strchr("!-+~", *expression->at)) {
        if (count == sizeof signs) {
            fail(expression, "too many signs");
            return 0;
        }
        signs[count++] = *expression->at++;
        skip(expression);
    }
    int64_t value = 0;
    if (take(expression, '(')) {
        value = ternary(expression);
        if (!take(expression, ')')) {
            fail(expression, "expected ')'");
        }
    } else {
        const char *word = take_word(expression);
        if (!*word) {
            fail(expression, "expected a number or a name");
        } else {
            value = strcmp(word, "defined") == 0 ? defined(expression) : value_of(expression, word);
        }
    }
    while (count) {
        char sign = signs[--count];
        value = sign == '!'   ? !value
                : sign == '-' ? (int64_t)(0 - (uint64_t)value)
                : sign == '~' ? ~value
                              : value;
    }
    return value;
}

static int64_t apply(struct expression *expression, const char *sign, int64_t a, int64_t b)
{
    uint64_t ua = (uint64_t)a;
    uint64_t ub = (uint64_t)b;
    switch (sign[0]) {
    case '|':
        return sign[1] ? a || b : a | b;
    case '&':
        return sign[1] ? a && b : a & b;
    case '^':
        return a ^ b;
    case '=':
        return a == b;
    case '!':
        return a != b;
    case '<':
        return sign[1] == '<' ? (int64_t)(ub < 64 ? ua << ub : 0) : sign[1] ? a <= b : a < b;
    case '>':
        return sign[1] == '>' ? (int64_t)(ub < 64 ? a >> ub : 0) : sign[1] ? a >= b : a > b;
    case '+':
        return (int64_t)(ua + ub);
    case '-':
        return (int64_t)(ua - ub);
    case '*':
        return (int64_t)(ua * ub);
    default:
        if (b == 0) {
            fail(expression, "division by zero");
            return 0;
        }
        if (b == -1) {
            return sign[0] == '/' ? (int64_t)(0 - ua) : 0;
        }
        return sign[0] == '/' ? a / b : a % b;
    }
}

/* Precedence climbing: a loop per level, recursion only to a tighter level. */
static int64_t binary(struct expression *expression, int level)
{
    int64_t value = unary(expression);
    for (;;) {
        size_t found = 0;
        skip(expression);
        while (found < OPERATOR_COUNT && strncmp(expression->at, g_operators[found].sign,
                                                 strlen(g_operators[found].sign)) != 0) {
            found++;
        }
        if (expression->is_bad || found == OPERATOR_COUNT || g_operators[found].level < level) {
            return value;
        }
        expression->at += strlen(g_operators[found].sign);
        int64_t right = binary(expression, g_operators[found].level + 1);
        value = apply(expression, g_operators[found].sign, value, right);
    }
}

static int64_t ternary(struct expression *expression)
{
    int64_t value = 0;
    if (++expression->depth > EDL_EXPRESSION_DEPTH_MAX) {
        fail(expression, "nested too deeply");
    } else {
        value = binary(expression, 1);
        if (!expression->is_bad && take(expression, '?')) {
            int64_t yes = ternary(expression);
            if (!take(expression, ':')) {
                fail(expression, "expected ':'");
            }
            int64_t no = expression->is_bad ? 0 : ternary(expression);
            value = value ? yes : no;
        }
    }
    expression->depth--;
    return value;
}

bool edl_condition_holds(struct edl_preprocessor *preprocessor, const struct edl_token *line)
{
    struct expression expression = {.preprocessor = preprocessor, .line = line, .at = line->text};
    int64_t value = ternary(&expression);
    skip(&expression);
    if (!expression.is_bad && *expression.at) {
        fail(&expression, "expected an operator or the end of the line");
    }
    return !expression.is_bad && value != 0;
}
