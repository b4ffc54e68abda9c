/*
 * A policy as the reader leaves it for the evaluator.
 * Side: relying party, services. Used inside policy/ only. Never changes once read.
 */
#ifndef CELLA_POLICY_TREE_H
#define CELLA_POLICY_TREE_H

#include "policy/arena.h"
#include "policy/policy.h"

#define POLICY_RULES_MAX 4096u
#define POLICY_CONDITIONS_MAX 64u
#define POLICY_ARGUMENTS_MAX 8u
#define POLICY_DEPTH_MAX 32u

enum policy_property {
    PROPERTY_TYPE,
    PROPERTY_VALUE,
    PROPERTY_VALUE_TYPE,
    PROPERTY_ISSUER,
    PROPERTY_COUNT,
};

enum policy_operator {
    OPERATOR_EQUAL,
    OPERATOR_NOT_EQUAL,
    OPERATOR_LESS,
    OPERATOR_LESS_EQUAL,
    OPERATOR_GREATER,
    OPERATOR_GREATER_EQUAL,
};

enum policy_verb { VERB_PERMIT, VERB_DENY, VERB_ADD, VERB_ISSUE, VERB_ISSUE_PROPERTY };

enum policy_expression_kind { EXPRESSION_VALUE, EXPRESSION_PROPERTY, EXPRESSION_CALL };

struct policy_function;

struct policy_expression {
    enum policy_expression_kind kind;
    unsigned line;
    unsigned column;
    struct cella_policy_value value; /* VALUE */
    unsigned condition;              /* PROPERTY: which of the rule's */
    enum policy_property property;
    const struct policy_function *function; /* CALL */
    struct policy_expression *arguments[POLICY_ARGUMENTS_MAX];
    unsigned argument_count;
};

struct policy_test {
    struct policy_test *next;
    enum policy_property property;
    enum policy_operator operator;
    struct policy_expression *expression;
};

struct policy_condition {
    struct policy_condition *next;
    bool negated;
    const char *name; /* NULL when it has none */
    struct policy_test *tests;
};

struct policy_action {
    enum policy_verb verb;
    bool whole_claim;   /* claim=name */
    unsigned condition; /* of whole_claim */
    struct policy_expression *properties[PROPERTY_COUNT];
};

struct policy_rule {
    struct policy_rule *next;
    unsigned line;
    struct policy_condition *conditions;
    unsigned condition_count;
    struct policy_action action;
};

struct cella_policy {
    struct arena arena;
    unsigned version;
    struct policy_rule *configuration;
    struct policy_rule *authorization;
    struct policy_rule *issuance;
};

/* The values an expression stands for. */
struct policy_values {
    const struct cella_policy_value *items;
    size_t count;
};

/* Why an evaluation failed, for a person. */
struct policy_failure {
    char text[CELLA_POLICY_PROBLEM_SIZE];
};

/* A function of the language. Results are of `arena`; a failure fills `failure` and gives BAD_FIELD. */
struct policy_function {
    const char *name;
    unsigned arguments;
    cella_result (*call)(struct arena *arena, const struct policy_values *arguments,
                         struct policy_values *ret_values, struct policy_failure *failure);
};

const struct policy_function *policy_function_find(const char *name, size_t size);
const char *policy_issuer_name(enum cella_policy_issuer issuer);
const char *policy_type_name(enum cella_policy_type type);

#endif
