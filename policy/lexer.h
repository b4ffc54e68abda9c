/*
 * Words of a policy.
 * Side: relying party, services. Called by policy/parse.c. Never allocates but for strings.
 */
#ifndef CELLA_POLICY_LEXER_H
#define CELLA_POLICY_LEXER_H

#include "policy/arena.h"
#include "policy/policy.h"

enum token_kind {
    TOKEN_END,
    TOKEN_BAD, /* the problem is recorded */
    TOKEN_IDENTIFIER,
    TOKEN_STRING,
    TOKEN_INTEGER,
    TOKEN_VERSION, /* digits '.' digits */
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_PARENTHESIS,
    TOKEN_RIGHT_PARENTHESIS,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
    TOKEN_COLON,
    TOKEN_DOT,
    TOKEN_ASSIGN,
    TOKEN_EQUAL,
    TOKEN_NOT_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_AND,
    TOKEN_ARROW,
    TOKEN_NOT,
};

struct token {
    enum token_kind kind;
    unsigned line;
    unsigned column;
    const char *text; /* where it stands; of a STRING its value */
    size_t size;
    int64_t integer;
};

struct lexer {
    struct cella_bytes text;
    size_t at;
    unsigned line;
    unsigned column;
    bool compatible;
    struct arena *arena;
    struct cella_policy_problems *problems;
};

/* Gives one token; END over and over at the end. */
struct token lexer_next(struct lexer *lexer);
const char *token_name(enum token_kind kind);
void problem_add(struct cella_policy_problems *problems, bool warning, unsigned line,
                 unsigned column, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
