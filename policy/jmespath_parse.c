/*
 * Reads a JMESPath query by operator precedence.
 * Side: relying party, services. Called by policy/jmespath_lexer.c. Never evaluates.
 */
#include "policy/jmespath.h"

/* How tightly a word binds what stands left of it. */
static unsigned power(enum jmespath_token token)
{
    switch (token) {
    case T_PIPE:
        return 1;
    case T_OR:
        return 2;
    case T_AND:
        return 3;
    case T_EQUAL:
    case T_NOT_EQUAL:
    case T_LESS:
    case T_LESS_EQUAL:
    case T_GREATER:
    case T_GREATER_EQUAL:
        return 5;
    case T_FLATTEN:
        return 9;
    case T_STAR:
        return 20;
    case T_FILTER:
        return 21;
    case T_DOT:
        return 40;
    case T_NOT:
        return 45;
    case T_LEFT_BRACE:
        return 50;
    case T_LEFT_BRACKET:
        return 55;
    case T_LEFT_PARENTHESIS:
        return 60;
    default:
        return 0;
    }
}

#define PROJECTION_STOP 10u

static cella_result expression(struct jmespath *jmespath, unsigned binding,
                               struct jmespath_node **ret_node);

static cella_result unexpected(struct jmespath *jmespath, const char *expected)
{
    const struct jmespath_lexeme *lexeme = &jmespath->lexeme;
    if (lexeme->token == T_END) {
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                             "query, column %zu: ends here; expected %s", lexeme->at + 1, expected);
    }
    return jmespath_fail(jmespath, CELLA_RESULT(BAD_SYNTAX),
                         "query, column %zu: unexpected '%c'; expected %s", lexeme->at + 1,
                         jmespath->query[lexeme->at], expected);
}

static cella_result expect(struct jmespath *jmespath, enum jmespath_token token,
                           const char *expected)
{
    if (jmespath->lexeme.token != token) {
        return unexpected(jmespath, expected);
    }
    return jmespath_next(jmespath);
}

static cella_result make(struct jmespath *jmespath, enum jmespath_kind kind,
                         struct jmespath_node *left, struct jmespath_node *right,
                         struct jmespath_node **ret_node)
{
    struct jmespath_node *node = arena_take(jmespath->arena, sizeof(*node));
    CELLA_ENSURE(node, OUT_OF_MEMORY);
    node->kind = kind;
    node->left = left;
    node->right = right;
    *ret_node = node;
    return CELLA_OK;
}

static cella_result current(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    return make(jmespath, JMESPATH_CURRENT, NULL, NULL, ret_node);
}

static cella_result field(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    CELLA_TRY(make(jmespath, JMESPATH_FIELD, NULL, NULL, ret_node));
    (*ret_node)->name = arena_text(jmespath->arena, jmespath->lexeme.text, jmespath->lexeme.size);
    CELLA_ENSURE((*ret_node)->name, OUT_OF_MEMORY);
    (*ret_node)->name_size = jmespath->lexeme.size;
    return jmespath_next(jmespath);
}

/* `e, e, e` up to `end`, which is taken too. */
static cella_result list(struct jmespath *jmespath, enum jmespath_token end, const char *expected,
                         bool may_be_empty, struct jmespath_node *owner)
{
    struct jmespath_node **last = &owner->items;
    if (may_be_empty && jmespath->lexeme.token == end) {
        return jmespath_next(jmespath);
    }
    for (;;) {
        CELLA_TRY(expression(jmespath, 0, last));
        /* One node may be shared by nothing else: `next` is the list's. */
        last = &(*last)->next;
        owner->count++;
        if (jmespath->lexeme.token != T_COMMA) {
            return expect(jmespath, end, expected);
        }
        CELLA_TRY(jmespath_next(jmespath));
    }
}

static cella_result multi_list(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    CELLA_TRY(make(jmespath, JMESPATH_LIST, NULL, NULL, ret_node));
    return list(jmespath, T_RIGHT_BRACKET, "',' or ']'", false, *ret_node);
}

static cella_result multi_hash(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    CELLA_TRY(make(jmespath, JMESPATH_HASH, NULL, NULL, ret_node));
    struct jmespath_node **last = &(*ret_node)->items;
    for (;;) {
        struct jmespath_node *key = NULL;
        struct jmespath_node *item = NULL;
        if (jmespath->lexeme.token != T_IDENTIFIER && jmespath->lexeme.token != T_QUOTED) {
            return unexpected(jmespath, "a key");
        }
        CELLA_TRY(field(jmespath, &key));
        CELLA_TRY(expect(jmespath, T_COLON, "':'"));
        CELLA_TRY(expression(jmespath, 0, &key->left));
        CELLA_TRY(make(jmespath, JMESPATH_CHAIN, NULL, key->left, &item));
        CELLA_TRY(current(jmespath, &item->left));
        item->name = key->name;
        item->name_size = key->name_size;
        *last = item;
        last = &item->next;
        (*ret_node)->count++;
        if (jmespath->lexeme.token != T_COMMA) {
            return expect(jmespath, T_RIGHT_BRACE, "',' or '}'");
        }
        CELLA_TRY(jmespath_next(jmespath));
    }
}

/* What stands behind a projection: applied to each of its elements. */
static cella_result projection_rest(struct jmespath *jmespath, unsigned binding,
                                    struct jmespath_node **ret_node);

/* Behind a dot. */
static cella_result dot_rest(struct jmespath *jmespath, unsigned binding,
                             struct jmespath_node **ret_node)
{
    switch (jmespath->lexeme.token) {
    case T_IDENTIFIER:
    case T_QUOTED:
    case T_STAR:
        return expression(jmespath, binding, ret_node);
    case T_LEFT_BRACKET:
        CELLA_TRY(jmespath_next(jmespath));
        return multi_list(jmespath, ret_node);
    case T_LEFT_BRACE:
        CELLA_TRY(jmespath_next(jmespath));
        return multi_hash(jmespath, ret_node);
    default:
        return unexpected(jmespath, "a name, '*', '[' or '{'");
    }
}

static cella_result projection_rest(struct jmespath *jmespath, unsigned binding,
                                    struct jmespath_node **ret_node)
{
    enum jmespath_token token = jmespath->lexeme.token;
    if (power(token) < PROJECTION_STOP) {
        return current(jmespath, ret_node);
    }
    if (token == T_LEFT_BRACKET || token == T_FILTER) {
        return expression(jmespath, binding, ret_node);
    }
    if (token == T_DOT) {
        CELLA_TRY(jmespath_next(jmespath));
        return dot_rest(jmespath, binding, ret_node);
    }
    return unexpected(jmespath, "'.', '[' or the end");
}

/* `a:b:c` of which any may be missing; the '[' is behind us. */
static cella_result slice(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    unsigned part = 0;
    CELLA_TRY(make(jmespath, JMESPATH_SLICE, NULL, NULL, ret_node));
    struct jmespath_node *node = *ret_node;
    while (jmespath->lexeme.token != T_RIGHT_BRACKET) {
        if (jmespath->lexeme.token == T_COLON && part < 2) {
            part++;
        } else if (jmespath->lexeme.token == T_NUMBER && !node->has[part]) {
            node->slice[part] = jmespath->lexeme.number;
            node->has[part] = true;
        } else {
            return unexpected(jmespath, "a number, ':' or ']'");
        }
        CELLA_TRY(jmespath_next(jmespath));
    }
    return jmespath_next(jmespath);
}

/* An index or a slice on `left`. */
static cella_result index_or_slice(struct jmespath *jmespath, struct jmespath_node *left,
                                   struct jmespath_node **ret_node)
{
    struct jmespath_node *node = NULL;
    struct jmespath saved = *jmespath;
    if (jmespath->lexeme.token == T_NUMBER) {
        int64_t number = jmespath->lexeme.number;
        CELLA_TRY(jmespath_next(jmespath));
        if (jmespath->lexeme.token != T_COLON) {
            CELLA_TRY(make(jmespath, JMESPATH_INDEX, NULL, NULL, &node));
            node->index = number;
            CELLA_TRY(expect(jmespath, T_RIGHT_BRACKET, "']'"));
            return make(jmespath, JMESPATH_CHAIN, left, node, ret_node);
        }
        jmespath->at = saved.at;
        jmespath->lexeme = saved.lexeme;
    }
    struct jmespath_node *rest = NULL;
    CELLA_TRY(slice(jmespath, &node));
    CELLA_TRY(make(jmespath, JMESPATH_CHAIN, left, node, &node));
    CELLA_TRY(projection_rest(jmespath, power(T_STAR), &rest));
    return make(jmespath, JMESPATH_PROJECT, node, rest, ret_node);
}

static cella_result star(struct jmespath *jmespath, struct jmespath_node *left,
                         struct jmespath_node **ret_node)
{
    struct jmespath_node *rest = NULL;
    if (jmespath->lexeme.token == T_RIGHT_BRACKET) { /* [*] inside a list of expressions */
        CELLA_TRY(current(jmespath, &rest));
    } else {
        CELLA_TRY(projection_rest(jmespath, power(T_STAR), &rest));
    }
    return make(jmespath, JMESPATH_PROJECT_VALUE, left, rest, ret_node);
}

static cella_result filter(struct jmespath *jmespath, struct jmespath_node *left,
                           struct jmespath_node **ret_node)
{
    struct jmespath_node *condition = NULL;
    struct jmespath_node *rest = NULL;
    CELLA_TRY(expression(jmespath, 0, &condition));
    CELLA_TRY(expect(jmespath, T_RIGHT_BRACKET, "']'"));
    if (jmespath->lexeme.token == T_FLATTEN) {
        CELLA_TRY(current(jmespath, &rest));
    } else {
        CELLA_TRY(projection_rest(jmespath, power(T_FILTER), &rest));
    }
    CELLA_TRY(make(jmespath, JMESPATH_PROJECT_IF, left, rest, ret_node));
    (*ret_node)->condition = condition;
    return CELLA_OK;
}

static cella_result flatten(struct jmespath *jmespath, struct jmespath_node *left,
                            struct jmespath_node **ret_node)
{
    struct jmespath_node *flat = NULL;
    struct jmespath_node *rest = NULL;
    CELLA_TRY(make(jmespath, JMESPATH_FLATTEN, left, NULL, &flat));
    CELLA_TRY(projection_rest(jmespath, power(T_FLATTEN), &rest));
    return make(jmespath, JMESPATH_PROJECT, flat, rest, ret_node);
}

/* Behind '[' that has `left` before it (or nothing, when the current value is meant). */
static cella_result bracket(struct jmespath *jmespath, struct jmespath_node *left, bool first,
                            struct jmespath_node **ret_node)
{
    struct jmespath_node *rest = NULL;
    struct jmespath saved = *jmespath;
    enum jmespath_token token = jmespath->lexeme.token;

    if (token == T_NUMBER || token == T_COLON) {
        return index_or_slice(jmespath, left, ret_node);
    }
    if (token == T_STAR) {
        CELLA_TRY(jmespath_next(jmespath));
        if (jmespath->lexeme.token == T_RIGHT_BRACKET) {
            CELLA_TRY(jmespath_next(jmespath));
            CELLA_TRY(projection_rest(jmespath, power(T_STAR), &rest));
            return make(jmespath, JMESPATH_PROJECT, left, rest, ret_node);
        }
        jmespath->at = saved.at;
        jmespath->lexeme = saved.lexeme;
    }
    return first ? multi_list(jmespath, ret_node) : unexpected(jmespath, "a number, ':' or '*'");
}

/* What begins with the word at hand. */
static cella_result begin(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    struct jmespath_node *left = NULL;
    const struct jmespath_lexeme lexeme = jmespath->lexeme;

    if (lexeme.token == T_IDENTIFIER || lexeme.token == T_QUOTED) {
        CELLA_TRY(field(jmespath, ret_node));
        if (lexeme.token == T_QUOTED && jmespath->lexeme.token == T_LEFT_PARENTHESIS) {
            return unexpected(jmespath, "a function's name without quotation marks before '('");
        }
        return CELLA_OK;
    }
    CELLA_TRY(jmespath_next(jmespath));
    switch (lexeme.token) {
    case T_LITERAL:
        CELLA_TRY(make(jmespath, JMESPATH_LITERAL, NULL, NULL, ret_node));
        (*ret_node)->literal = lexeme.literal;
        return CELLA_OK;
    case T_CURRENT:
        return current(jmespath, ret_node);
    case T_STAR:
        CELLA_TRY(current(jmespath, &left));
        return star(jmespath, left, ret_node);
    case T_FILTER:
        CELLA_TRY(current(jmespath, &left));
        return filter(jmespath, left, ret_node);
    case T_FLATTEN:
        CELLA_TRY(current(jmespath, &left));
        return flatten(jmespath, left, ret_node);
    case T_LEFT_BRACKET:
        CELLA_TRY(current(jmespath, &left));
        return bracket(jmespath, left, true, ret_node);
    case T_LEFT_BRACE:
        return multi_hash(jmespath, ret_node);
    case T_REFERENCE:
        CELLA_TRY(expression(jmespath, 0, &left));
        return make(jmespath, JMESPATH_REFERENCE, left, NULL, ret_node);
    case T_NOT:
        CELLA_TRY(expression(jmespath, power(T_NOT), &left));
        return make(jmespath, JMESPATH_NOT, left, NULL, ret_node);
    case T_LEFT_PARENTHESIS:
        CELLA_TRY(expression(jmespath, 0, &left));
        CELLA_TRY(expect(jmespath, T_RIGHT_PARENTHESIS, "')'"));
        /* A node of its own: what is in parentheses is no call and ends projections. */
        return make(jmespath, JMESPATH_CHAIN, left, NULL, ret_node);
    default:
        jmespath->lexeme = lexeme;
        return unexpected(jmespath, "an expression");
    }
}

static cella_result call(struct jmespath *jmespath, struct jmespath_node *left)
{
    if (left->kind != JMESPATH_FIELD) {
        return unexpected(jmespath, "a function's name before '('");
    }
    left->kind = JMESPATH_CALL;
    return list(jmespath, T_RIGHT_PARENTHESIS, "',' or ')'", true, left);
}

/* The word `token` with `left` before it; it has been taken. */
static cella_result extend(struct jmespath *jmespath, enum jmespath_token token,
                           struct jmespath_node *left, struct jmespath_node **ret_node)
{
    struct jmespath_node *right = NULL;
    switch (token) {
    case T_DOT:
        if (jmespath->lexeme.token == T_STAR) {
            CELLA_TRY(jmespath_next(jmespath));
            return star(jmespath, left, ret_node);
        }
        CELLA_TRY(dot_rest(jmespath, power(T_DOT), &right));
        return make(jmespath, JMESPATH_CHAIN, left, right, ret_node);
    case T_PIPE:
        CELLA_TRY(expression(jmespath, power(T_PIPE), &right));
        return make(jmespath, JMESPATH_CHAIN, left, right, ret_node);
    case T_OR:
        CELLA_TRY(expression(jmespath, power(T_OR), &right));
        return make(jmespath, JMESPATH_OR, left, right, ret_node);
    case T_AND:
        CELLA_TRY(expression(jmespath, power(T_AND), &right));
        return make(jmespath, JMESPATH_AND, left, right, ret_node);
    case T_LEFT_PARENTHESIS:
        *ret_node = left;
        return call(jmespath, left);
    case T_FILTER:
        return filter(jmespath, left, ret_node);
    case T_FLATTEN:
        return flatten(jmespath, left, ret_node);
    case T_LEFT_BRACKET:
        return bracket(jmespath, left, false, ret_node);
    case T_EQUAL:
    case T_NOT_EQUAL:
    case T_LESS:
    case T_LESS_EQUAL:
    case T_GREATER:
    case T_GREATER_EQUAL:
        CELLA_TRY(expression(jmespath, power(token), &right));
        CELLA_TRY(make(jmespath, JMESPATH_COMPARE, left, right, ret_node));
        (*ret_node)->operator= token;
        return CELLA_OK;
    default:
        return unexpected(jmespath, "an operator");
    }
}

/* Recursion is bounded by JMESPATH_DEPTH_MAX. */
static cella_result expression(struct jmespath *jmespath, unsigned binding,
                               struct jmespath_node **ret_node)
{
    if (jmespath->depth == JMESPATH_DEPTH_MAX) {
        return jmespath_fail(jmespath, CELLA_RESULT(LIMIT_EXCEEDED),
                             "query, column %zu: nested too deep", jmespath->lexeme.at + 1);
    }
    jmespath->depth++;
    struct jmespath_node *left = NULL;
    unsigned length = 0;
    CELLA_TRY(begin(jmespath, &left));
    while (binding < power(jmespath->lexeme.token)) {
        enum jmespath_token token = jmespath->lexeme.token;
        size_t at = jmespath->lexeme.at;
        /* A chain a.b.c leans left: its length is the depth of what runs it. */
        if (++length > 16 * JMESPATH_DEPTH_MAX) {
            return jmespath_fail(jmespath, CELLA_RESULT(LIMIT_EXCEEDED),
                                 "query, column %zu: too long a chain", at + 1);
        }
        CELLA_TRY(jmespath_next(jmespath));
        CELLA_TRY(extend(jmespath, token, left, &left));
    }
    jmespath->depth--;
    *ret_node = left;
    return CELLA_OK;
}

cella_result jmespath_parse(struct jmespath *jmespath, struct jmespath_node **ret_node)
{
    CELLA_TRY(jmespath_next(jmespath));
    CELLA_TRY(expression(jmespath, 0, ret_node));
    return jmespath->lexeme.token == T_END ? CELLA_OK : unexpected(jmespath, "the end");
}
