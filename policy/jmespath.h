/*
 * JMESPath: queries over JSON (jmespath.org), the whole grammar and its functions, and equals_ignore_case.
 * Side: relying party, services. Called by policy/functions.c. Never reads anything but its arguments.
 *
 * Nesting, steps and memory are bounded; recursion follows the query's nesting, which JMESPATH_DEPTH_MAX limits.
 */
#ifndef CELLA_POLICY_JMESPATH_H
#define CELLA_POLICY_JMESPATH_H

#include <jansson.h>

#include "policy/tree.h"

#define JMESPATH_DEPTH_MAX 128u
#define JMESPATH_STEPS_MAX 2000000u
#define JMESPATH_QUERY_MAX 16384u

/*
 * Gives a new reference. BAD_SYNTAX (with the column) for a query that cannot be read; BAD_FIELD for one that
 * cannot be evaluated: unknown function, wrong count or type of arguments.
 */
CELLA_MUST_USE cella_result jmespath_search(struct arena *arena, const char *query, size_t size,
                                            json_t *document, json_t **ret_value,
                                            struct policy_failure *failure);

/* ------------------------------------------------------- between its sources */

enum jmespath_kind {
    JMESPATH_CURRENT,
    JMESPATH_FIELD,
    JMESPATH_INDEX,
    JMESPATH_SLICE,
    JMESPATH_LITERAL,
    JMESPATH_CHAIN,         /* left, then right on what it gave */
    JMESPATH_PROJECT,       /* right on each element of left */
    JMESPATH_PROJECT_VALUE, /* right on each member's value of left */
    JMESPATH_PROJECT_IF,    /* right on each element of left for which `condition` holds */
    JMESPATH_FLATTEN,
    JMESPATH_LIST,
    JMESPATH_HASH,
    JMESPATH_AND,
    JMESPATH_OR,
    JMESPATH_NOT,
    JMESPATH_COMPARE,
    JMESPATH_CALL,
    JMESPATH_REFERENCE, /* &expression */
};

struct jmespath_node {
    enum jmespath_kind kind;
    struct jmespath_node *left;
    struct jmespath_node *right;
    struct jmespath_node *condition;
    struct jmespath_node *items; /* of LIST, HASH, CALL: chained by `next` */
    struct jmespath_node *next;
    const char *name; /* FIELD, CALL, and of an item of HASH */
    size_t name_size;
    json_t *literal;
    unsigned operator; /* COMPARE: a jmespath_token */
    unsigned count;    /* of items */
    int64_t slice[3];
    bool has[3];
    int64_t index;
};

enum jmespath_token {
    T_END,
    T_BAD,
    T_IDENTIFIER,
    T_QUOTED,
    T_LITERAL,
    T_NUMBER,
    T_DOT,
    T_STAR,
    T_FLATTEN,
    T_FILTER,
    T_LEFT_BRACKET,
    T_RIGHT_BRACKET,
    T_LEFT_BRACE,
    T_RIGHT_BRACE,
    T_LEFT_PARENTHESIS,
    T_RIGHT_PARENTHESIS,
    T_COMMA,
    T_COLON,
    T_PIPE,
    T_OR,
    T_AND,
    T_NOT,
    T_REFERENCE,
    T_CURRENT,
    T_EQUAL,
    T_NOT_EQUAL,
    T_LESS,
    T_LESS_EQUAL,
    T_GREATER,
    T_GREATER_EQUAL,
};

struct jmespath_lexeme {
    enum jmespath_token token;
    size_t at; /* where it starts */
    const char *text;
    size_t size;
    json_t *literal;
    int64_t number;
};

struct jmespath_literals;

/* A query being read or run. */
struct jmespath {
    struct arena *arena;
    struct policy_failure *failure;
    const char *query;
    size_t size;
    size_t at;
    struct jmespath_literals *literals; /* to be released at the end */
    struct jmespath_lexeme lexeme;
    unsigned depth;
    unsigned steps;
};

cella_result jmespath_next(struct jmespath *jmespath);
cella_result jmespath_keep(struct jmespath *jmespath, json_t *literal);
cella_result jmespath_fail(struct jmespath *jmespath, cella_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
cella_result jmespath_parse(struct jmespath *jmespath, struct jmespath_node **ret_node);
/* New reference in *ret_value. */
cella_result jmespath_run(struct jmespath *jmespath, const struct jmespath_node *node,
                          json_t *value, json_t **ret_value);
cella_result jmespath_call(struct jmespath *jmespath, const struct jmespath_node *node,
                           json_t *value, json_t **ret_value);
bool jmespath_equal(const json_t *a, const json_t *b);
bool jmespath_truth(const json_t *value);

#endif
