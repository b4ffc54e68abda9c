/*
 * Reads a policy: sections, rules, conditions, actions, expressions.
 * Side: relying party, services. Called through policy.h. Never evaluates anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "policy/lexer.h"
#include "policy/tree.h"

#define ARENA_LIMIT ((size_t)64 << 20)

struct parser {
    struct lexer lexer;
    struct token token; /* the one to be read next */
    struct cella_policy *policy;
    struct policy_rule *rule; /* the one being read */
    unsigned rules;
};

static const char *const g_properties[PROPERTY_COUNT] = {"type", "value", "valueType", "issuer"};

/* ---------------------------------------------------------------------- errors */

static cella_result fail_at(struct parser *parser, const struct token *token, cella_result result,
                            const char *text)
{
    if (token->kind != TOKEN_BAD) {
        problem_add(parser->lexer.problems, false, token->line, token->column, "%s", text);
    }
    return result;
}

/* "expected X, found Y" at the token at hand. */
static cella_result fail_expected(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    char text[CELLA_POLICY_PROBLEM_SIZE];
    if (token->kind == TOKEN_IDENTIFIER || token->kind == TOKEN_VERSION) {
        snprintf(text, sizeof(text), "expected %s, found '%.*s'", expected,
                 (int)(token->size > 48 ? 48 : token->size), token->text);
    } else if (token->kind == TOKEN_STRING) {
        snprintf(text, sizeof(text), "expected %s, found the string \"%.*s\"", expected,
                 (int)(token->size > 48 ? 48 : token->size), token->text);
    } else {
        snprintf(text, sizeof(text), "expected %s, found %s", expected, token_name(token->kind));
    }
    return fail_at(parser, token, CELLA_RESULT(BAD_SYNTAX), text);
}

static void warn(struct parser *parser, const struct token *token, const char *text)
{
    problem_add(parser->lexer.problems, true, token->line, token->column, "%s", text);
}

/* ---------------------------------------------------------------------- tokens */

static void advance(struct parser *parser)
{
    parser->token = lexer_next(&parser->lexer);
}

static bool accept(struct parser *parser, enum token_kind kind)
{
    if (parser->token.kind != kind) {
        return false;
    }
    advance(parser);
    return true;
}

static cella_result expect(struct parser *parser, enum token_kind kind)
{
    return accept(parser, kind) ? CELLA_OK : fail_expected(parser, token_name(kind));
}

/* The ';' behind actions and sections; when missing, mended where that is asked for. */
static cella_result expect_semicolon(struct parser *parser)
{
    if (parser->token.kind == TOKEN_SEMICOLON || !parser->lexer.compatible ||
        parser->token.kind == TOKEN_BAD) {
        return expect(parser, TOKEN_SEMICOLON);
    }
    warn(parser, &parser->token, "missing ';' supplied");
    return CELLA_OK;
}

static bool token_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_IDENTIFIER && token->size == strlen(word) &&
           memcmp(token->text, word, token->size) == 0;
}

/* A keyword, in other cases too where slips are mended. */
static bool token_is_keyword(struct parser *parser, const char *word)
{
    const struct token *token = &parser->token;
    if (token_is(token, word)) {
        return true;
    }
    if (!parser->lexer.compatible || token->kind != TOKEN_IDENTIFIER ||
        token->size != strlen(word) || strncasecmp(token->text, word, token->size) != 0) {
        return false;
    }
    char text[96];
    snprintf(text, sizeof(text), "'%.*s' taken as '%s'", (int)token->size, token->text, word);
    warn(parser, token, text);
    return true;
}

static bool find_property(const struct token *token, enum policy_property *ret_property)
{
    for (unsigned i = 0; i < PROPERTY_COUNT; i++) {
        if (token_is(token, g_properties[i])) {
            *ret_property = (enum policy_property)i;
            return true;
        }
    }
    return false;
}

static cella_result take(struct parser *parser, size_t size, void **ret_memory)
{
    *ret_memory = arena_take(&parser->policy->arena, size);
    return *ret_memory ? CELLA_OK
                       : fail_at(parser, &parser->token, CELLA_RESULT(OUT_OF_MEMORY),
                                 "the policy needs too much memory");
}

/* ----------------------------------------------------------------- expressions */

/* The condition of this rule called by the token; conditions may only name those before them. */
static cella_result find_condition(struct parser *parser, const struct token *name,
                                   unsigned *ret_condition)
{
    unsigned index = 0;
    char text[CELLA_POLICY_PROBLEM_SIZE];
    for (const struct policy_condition *condition = parser->rule->conditions; condition;
         condition = condition->next, index++) {
        if (!condition->name || strlen(condition->name) != name->size ||
            memcmp(condition->name, name->text, name->size) != 0) {
            continue;
        }
        if (condition->negated) {
            return fail_at(parser, name, CELLA_RESULT(BAD_SYNTAX),
                           "a condition behind '!' stands for no claim and cannot be named");
        }
        *ret_condition = index;
        return CELLA_OK;
    }
    snprintf(text, sizeof(text), "no condition before this is called '%.*s'",
             (int)(name->size > 48 ? 48 : name->size), name->text);
    return fail_at(parser, name, CELLA_RESULT(BAD_SYNTAX), text);
}

static cella_result parse_expression(struct parser *parser, unsigned depth,
                                     struct policy_expression **ret_expression);

static cella_result parse_call(struct parser *parser, const struct token *name, unsigned depth,
                               struct policy_expression *expression)
{
    char text[CELLA_POLICY_PROBLEM_SIZE];
    if (parser->policy->version < 12) {
        return fail_at(parser, name, CELLA_RESULT(BAD_SYNTAX),
                       "functions need version 1.2; expected a string, an integer, true, false "
                       "or NAME.PROPERTY");
    }
    expression->kind = EXPRESSION_CALL;
    expression->function = policy_function_find(name->text, name->size);
    if (!expression->function) {
        snprintf(text, sizeof(text),
                 "no function '%.*s'; expected JmesPath, JsonToClaimValue, IsSubsetOf, "
                 "AppendString, NegateBool or ContainsOnlyValue",
                 (int)(name->size > 48 ? 48 : name->size), name->text);
        return fail_at(parser, name, CELLA_RESULT(BAD_SYNTAX), text);
    }
    CELLA_TRY(expect(parser, TOKEN_LEFT_PARENTHESIS));
    while (parser->token.kind != TOKEN_RIGHT_PARENTHESIS) {
        if (expression->argument_count == POLICY_ARGUMENTS_MAX) {
            return fail_at(parser, &parser->token, CELLA_RESULT(LIMIT_EXCEEDED),
                           "too many arguments");
        }
        CELLA_TRY(parse_expression(parser, depth + 1,
                                   &expression->arguments[expression->argument_count]));
        expression->argument_count++;
        if (!accept(parser, TOKEN_COMMA)) {
            break;
        }
    }
    CELLA_TRY(expect(parser, TOKEN_RIGHT_PARENTHESIS));
    if (expression->argument_count != expression->function->arguments) {
        snprintf(text, sizeof(text), "%s takes %u argument%s, not %u", expression->function->name,
                 expression->function->arguments, expression->function->arguments == 1 ? "" : "s",
                 expression->argument_count);
        return fail_at(parser, name, CELLA_RESULT(BAD_SYNTAX), text);
    }
    return CELLA_OK;
}

static cella_result parse_expression(struct parser *parser, unsigned depth,
                                     struct policy_expression **ret_expression)
{
    struct policy_expression *expression;
    const struct token token = parser->token;

    if (depth > POLICY_DEPTH_MAX) {
        return fail_at(parser, &token, CELLA_RESULT(LIMIT_EXCEEDED), "calls nested too deep");
    }
    CELLA_TRY(take(parser, sizeof(*expression), (void **)&expression));
    expression->line = token.line;
    expression->column = token.column;
    expression->kind = EXPRESSION_VALUE;
    *ret_expression = expression;
    if (token.kind == TOKEN_STRING) {
        expression->value.type = CELLA_POLICY_STRING;
        expression->value.text = token.text;
        expression->value.size = token.size;
    } else if (token.kind == TOKEN_INTEGER) {
        expression->value = cella_policy_integer(token.integer);
    } else if (token_is(&token, "true") || token_is(&token, "false")) {
        expression->value = cella_policy_boolean(token_is(&token, "true"));
    } else if (token.kind == TOKEN_IDENTIFIER) {
        advance(parser);
        if (parser->token.kind == TOKEN_LEFT_PARENTHESIS) {
            return parse_call(parser, &token, depth, expression);
        }
        expression->kind = EXPRESSION_PROPERTY;
        if (parser->token.kind != TOKEN_DOT) {
            return fail_expected(parser, "'.' or '('");
        }
        CELLA_TRY(find_condition(parser, &token, &expression->condition));
        advance(parser);
        if (!find_property(&parser->token, &expression->property)) {
            return fail_expected(parser, "type, value, valueType or issuer");
        }
    } else {
        return fail_expected(parser,
                             "a string, an integer, true, false, NAME.PROPERTY or a function");
    }
    advance(parser);
    return CELLA_OK;
}

/* ------------------------------------------------------------------ conditions */

static cella_result parse_operator(struct parser *parser, enum policy_operator *ret_operator)
{
    switch (parser->token.kind) {
    case TOKEN_ASSIGN:
        if (!parser->lexer.compatible) {
            break;
        }
        warn(parser, &parser->token, "'=' in a condition taken as '=='");
        *ret_operator = OPERATOR_EQUAL;
        advance(parser);
        return CELLA_OK;
    case TOKEN_EQUAL:
    case TOKEN_NOT_EQUAL:
    case TOKEN_LESS:
    case TOKEN_LESS_EQUAL:
    case TOKEN_GREATER:
    case TOKEN_GREATER_EQUAL:
        *ret_operator = (enum policy_operator)(parser->token.kind - TOKEN_EQUAL);
        advance(parser);
        return CELLA_OK;
    default:
        break;
    }
    return fail_expected(parser, "==, !=, <, <=, > or >=");
}

/* What can be said of a test before any claim is seen. */
static cella_result check_test(struct parser *parser, const struct policy_test *test,
                               const struct token *place)
{
    const struct policy_expression *expression = test->expression;
    if (test->operator>= OPERATOR_LESS && test->property != PROPERTY_VALUE) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX),
                       "only `value` can be ordered; expected == or !=");
    }
    if (expression->kind != EXPRESSION_VALUE) {
        return CELLA_OK;
    }
    if (test->operator>= OPERATOR_LESS && expression->value.type != CELLA_POLICY_INTEGER) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX),
                       "only integers can be ordered; expected == or !=");
    }
    if (test->property != PROPERTY_VALUE && expression->value.type != CELLA_POLICY_STRING) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX),
                       "type, valueType and issuer are strings; expected a string");
    }
    return CELLA_OK;
}

static cella_result parse_test(struct parser *parser, struct policy_test **ret_test)
{
    struct policy_test *test;
    CELLA_TRY(take(parser, sizeof(*test), (void **)&test));
    if (!find_property(&parser->token, &test->property)) {
        return fail_expected(parser, "type, value, valueType or issuer");
    }
    advance(parser);
    const struct token place = parser->token;
    CELLA_TRY(parse_operator(parser, &test->operator));
    CELLA_TRY(parse_expression(parser, 0, &test->expression));
    CELLA_TRY(check_test(parser, test, &place));
    *ret_test = test;
    return CELLA_OK;
}

static cella_result name_condition(struct parser *parser, struct policy_condition *condition)
{
    const struct token *token = &parser->token;
    static const char *const reserved[] = {"true", "false"};
    for (unsigned i = 0; i < CELLA_COUNT(reserved); i++) {
        if (token_is(token, reserved[i])) {
            return fail_expected(parser, "a name or '['");
        }
    }
    for (const struct policy_condition *other = parser->rule->conditions; other;
         other = other->next) {
        if (other->name && token_is(token, other->name)) {
            return fail_at(parser, token, CELLA_RESULT(BAD_SYNTAX),
                           "this name is taken by a condition of the same rule");
        }
    }
    condition->name = arena_text(&parser->policy->arena, token->text, token->size);
    if (!condition->name) {
        return fail_at(parser, token, CELLA_RESULT(OUT_OF_MEMORY),
                       "the policy needs too much memory");
    }
    advance(parser);
    return expect(parser, TOKEN_COLON);
}

static cella_result parse_condition(struct parser *parser, struct policy_condition **ret_condition)
{
    struct policy_condition *condition;
    CELLA_TRY(take(parser, sizeof(*condition), (void **)&condition));
    if (parser->token.kind == TOKEN_NOT) {
        if (parser->policy->version < 12) {
            return fail_at(parser, &parser->token, CELLA_RESULT(BAD_SYNTAX),
                           "'!' before a condition needs version 1.2");
        }
        condition->negated = true;
        advance(parser);
    }
    if (parser->token.kind == TOKEN_IDENTIFIER) {
        CELLA_TRY(name_condition(parser, condition));
    }
    if (parser->token.kind != TOKEN_LEFT_BRACKET) {
        return fail_expected(parser, condition->name ? "'['" : "a name, '[' or '=>'");
    }
    advance(parser);
    struct policy_test **end = &condition->tests;
    do {
        CELLA_TRY(parse_test(parser, end));
        end = &(*end)->next;
    } while (accept(parser, TOKEN_COMMA));
    if (parser->token.kind != TOKEN_RIGHT_BRACKET) {
        return fail_expected(parser, "',' or ']'");
    }
    advance(parser);
    *ret_condition = condition;
    return CELLA_OK;
}

static cella_result parse_conditions(struct parser *parser)
{
    struct policy_condition **end = &parser->rule->conditions;
    if (parser->token.kind == TOKEN_ARROW) {
        return CELLA_OK;
    }
    do {
        struct policy_condition *condition = NULL;
        if (parser->rule->condition_count == POLICY_CONDITIONS_MAX) {
            return fail_at(parser, &parser->token, CELLA_RESULT(LIMIT_EXCEEDED),
                           "more than 64 conditions in a rule");
        }
        CELLA_TRY(parse_condition(parser, &condition));
        *end = condition;
        end = &condition->next;
        parser->rule->condition_count++;
    } while (accept(parser, TOKEN_AND));
    return parser->token.kind == TOKEN_ARROW ? CELLA_OK : fail_expected(parser, "'&&' or '=>'");
}

/* --------------------------------------------------------------------- actions */

/* What a literal of `property` may be. */
static cella_result check_property(struct parser *parser, enum policy_property property,
                                   const struct policy_expression *expression,
                                   const struct token *place)
{
    if (expression->kind != EXPRESSION_VALUE || property == PROPERTY_VALUE) {
        return CELLA_OK;
    }
    if (expression->value.type != CELLA_POLICY_STRING) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX), "expected a string");
    }
    const char *text = expression->value.text;
    if (property == PROPERTY_TYPE && expression->value.size == 0) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX), "a claim's type cannot be empty");
    }
    if (property == PROPERTY_VALUE_TYPE && strcmp(text, "String") != 0 &&
        strcmp(text, "Integer") != 0 && strcmp(text, "Boolean") != 0) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX),
                       "expected \"String\", \"Integer\" or \"Boolean\"");
    }
    if (property == PROPERTY_ISSUER && strcmp(text, "AttestationPolicy") != 0 &&
        strcmp(text, "CustomClaim") != 0) {
        return fail_at(parser, place, CELLA_RESULT(BAD_SYNTAX),
                       "a policy can only issue as \"AttestationPolicy\" or \"CustomClaim\"");
    }
    return CELLA_OK;
}

static cella_result parse_argument(struct parser *parser, struct policy_action *action, bool first)
{
    enum policy_property property = PROPERTY_TYPE;
    const struct token place = parser->token;

    if (token_is(&place, "claim")) {
        advance(parser);
        CELLA_TRY(expect(parser, TOKEN_ASSIGN));
        if (parser->token.kind != TOKEN_IDENTIFIER) {
            return fail_expected(parser, "the name of a condition");
        }
        if (!first) {
            return fail_at(parser, &place, CELLA_RESULT(BAD_SYNTAX),
                           "claim= stands alone; expected type, value, valueType or issuer");
        }
        CELLA_TRY(find_condition(parser, &parser->token, &action->condition));
        action->whole_claim = true;
        advance(parser);
        return CELLA_OK;
    }
    if (place.kind == TOKEN_STRING && first && parser->lexer.compatible) {
        warn(parser, &place, "a string without a name taken as type=");
    } else {
        if (!find_property(&place, &property)) {
            return fail_expected(parser, first ? "type, value, valueType, issuer or claim"
                                               : "type, value, valueType or issuer");
        }
        advance(parser);
        if (parser->token.kind == TOKEN_EQUAL && parser->lexer.compatible) {
            warn(parser, &parser->token, "'==' in an action taken as '='");
            advance(parser);
        } else {
            CELLA_TRY(expect(parser, TOKEN_ASSIGN));
        }
    }
    if (action->properties[property]) {
        return fail_at(parser, &place, CELLA_RESULT(BAD_SYNTAX), "given twice in this action");
    }
    const struct token value = parser->token;
    CELLA_TRY(parse_expression(parser, 0, &action->properties[property]));
    return check_property(parser, property, action->properties[property], &value);
}

static cella_result parse_claim(struct parser *parser, struct policy_action *action)
{
    const struct token place = parser->token;
    bool first = true;
    do {
        CELLA_TRY(parse_argument(parser, action, first));
        first = false;
    } while (!action->whole_claim && accept(parser, TOKEN_COMMA));
    if (!action->whole_claim &&
        (!action->properties[PROPERTY_TYPE] || !action->properties[PROPERTY_VALUE])) {
        return fail_at(parser, &place, CELLA_RESULT(BAD_SYNTAX),
                       action->properties[PROPERTY_TYPE] ? "expected value= in this action"
                                                         : "expected type= in this action");
    }
    if (parser->token.kind != TOKEN_RIGHT_PARENTHESIS) {
        return fail_expected(parser, action->whole_claim ? "')'" : "',' or ')'");
    }
    return CELLA_OK;
}

struct verb {
    const char *name;
    enum policy_verb verb;
    bool takes_claim;
};

static const struct verb g_verbs[] = {
    {"permit", VERB_PERMIT, false},
    {"deny", VERB_DENY, false},
    {"add", VERB_ADD, true},
    {"issue", VERB_ISSUE, true},
    {"issueproperty", VERB_ISSUE_PROPERTY, true},
};

#define BIT(verb) (1u << (verb))

static cella_result parse_action(struct parser *parser, unsigned allowed, const char *expected)
{
    const struct verb *verb = NULL;
    for (unsigned i = 0; i < CELLA_COUNT(g_verbs) && !verb; i++) {
        if (token_is(&parser->token, g_verbs[i].name) && (allowed & BIT(g_verbs[i].verb))) {
            verb = &g_verbs[i];
        }
    }
    if (!verb) {
        return fail_expected(parser, expected);
    }
    struct policy_action *action = &parser->rule->action;
    action->verb = verb->verb;
    advance(parser);
    CELLA_TRY(expect(parser, TOKEN_LEFT_PARENTHESIS));
    if (verb->takes_claim) {
        CELLA_TRY(parse_claim(parser, action));
    }
    CELLA_TRY(expect(parser, TOKEN_RIGHT_PARENTHESIS));
    return expect_semicolon(parser);
}

/* -------------------------------------------------------------------- sections */

struct section {
    const char *name;
    unsigned version; /* since */
    unsigned allowed;
    const char *expected; /* actions, for errors */
    size_t rules;         /* offset in struct cella_policy */
};

static const struct section g_sections[] = {
    {"configurationrules", 11, BIT(VERB_ISSUE_PROPERTY), "issueproperty",
     offsetof(struct cella_policy, configuration)},
    {"authorizationrules", 10, BIT(VERB_PERMIT) | BIT(VERB_DENY) | BIT(VERB_ADD),
     "permit, deny or add", offsetof(struct cella_policy, authorization)},
    {"issuancerules", 10, BIT(VERB_ADD) | BIT(VERB_ISSUE) | BIT(VERB_ISSUE_PROPERTY),
     "add, issue or issueproperty", offsetof(struct cella_policy, issuance)},
};

static cella_result parse_rule(struct parser *parser, const struct section *section,
                               struct policy_rule **ret_rule)
{
    if (++parser->rules > POLICY_RULES_MAX) {
        return fail_at(parser, &parser->token, CELLA_RESULT(LIMIT_EXCEEDED),
                       "more than 4096 rules");
    }
    CELLA_TRY(take(parser, sizeof(*parser->rule), (void **)&parser->rule));
    parser->rule->line = parser->token.line;
    if (section->allowed == BIT(VERB_ISSUE_PROPERTY) && parser->token.kind != TOKEN_ARROW) {
        return fail_expected(parser, "'=>': configuration rules have no conditions");
    }
    CELLA_TRY(parse_conditions(parser));
    CELLA_TRY(expect(parser, TOKEN_ARROW));
    CELLA_TRY(parse_action(parser, section->allowed, section->expected));
    *ret_rule = parser->rule;
    return CELLA_OK;
}

static cella_result parse_section(struct parser *parser, const struct section *section)
{
    if (!token_is_keyword(parser, section->name)) {
        return CELLA_OK;
    }
    if (parser->policy->version < section->version) {
        return fail_at(parser, &parser->token, CELLA_RESULT(BAD_SYNTAX),
                       "configurationrules need version 1.1");
    }
    advance(parser);
    CELLA_TRY(expect(parser, TOKEN_LEFT_BRACE));
    struct policy_rule **end =
        (struct policy_rule **)(void *)((char *)parser->policy + section->rules);
    while (parser->token.kind != TOKEN_RIGHT_BRACE) {
        if (parser->token.kind == TOKEN_END) {
            return fail_expected(parser, "a rule or '}'");
        }
        CELLA_TRY(parse_rule(parser, section, end));
        end = &(*end)->next;
    }
    advance(parser);
    return expect_semicolon(parser);
}

static cella_result parse_version(struct parser *parser)
{
    if (!token_is_keyword(parser, "version")) {
        return fail_expected(parser, "'version'");
    }
    advance(parser);
    CELLA_TRY(expect(parser, TOKEN_ASSIGN));
    const struct token *token = &parser->token;
    if (token->kind != TOKEN_VERSION) {
        return fail_expected(parser, "1.0, 1.1 or 1.2");
    }
    if (token->size != 3 || token->text[0] != '1' || token->text[2] > '2') {
        cella_ignore(fail_expected(parser, "1.0, 1.1 or 1.2"));
        return CELLA_RESULT(UNSUPPORTED_VERSION);
    }
    parser->policy->version = 10 + (unsigned)(token->text[2] - '0');
    advance(parser);
    return expect_semicolon(parser);
}

static cella_result parse_policy(struct parser *parser)
{
    /* What a section that is not there leaves to be expected: the later ones. */
    static const char *const expected[] = {
        "configurationrules, authorizationrules or issuancerules",
        "authorizationrules or issuancerules", "issuancerules", "the end of the policy"};
    unsigned last = 0;

    advance(parser);
    CELLA_TRY(parse_version(parser));
    for (unsigned i = 0; i < CELLA_COUNT(g_sections); i++) {
        size_t before = parser->lexer.at;
        CELLA_TRY(parse_section(parser, &g_sections[i]));
        last = parser->lexer.at != before || parser->token.kind == TOKEN_END ? i + 1 : last;
    }
    if (parser->token.kind != TOKEN_END) {
        return fail_expected(parser, last == 0 && parser->policy->version == 10 ? expected[1]
                                                                                : expected[last]);
    }
    if (!parser->policy->authorization) {
        warn(parser, &parser->token, "no authorization rule: nothing will ever be permitted");
    }
    return CELLA_OK;
}

cella_result cella_policy_parse(struct cella_bytes text, bool compatible,
                                struct cella_policy **ret_policy,
                                struct cella_policy_problems *problems)
{
    if (text.size > CELLA_POLICY_TEXT_MAX) {
        problem_add(problems, false, 1, 1, "a policy has at most %u bytes", CELLA_POLICY_TEXT_MAX);
        return CELLA_RESULT(LIMIT_EXCEEDED);
    }
    struct cella_policy *policy = calloc(1, sizeof(*policy));
    CELLA_ENSURE(policy, OUT_OF_MEMORY);
    policy->arena.limit = ARENA_LIMIT;
    struct parser parser = {.lexer = {.text = text,
                                      .line = 1,
                                      .column = 1,
                                      .compatible = compatible,
                                      .arena = &policy->arena,
                                      .problems = problems},
                            .policy = policy};
    if (text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
        parser.lexer.at = 3; /* a byte order mark */
    }
    cella_result result = parse_policy(&parser);
    if (!cella_is_ok(result)) {
        cella_policy_free(policy);
        return result;
    }
    *ret_policy = policy;
    return CELLA_OK;
}

void cella_policy_free(struct cella_policy *policy)
{
    if (policy) {
        arena_done(&policy->arena);
        free(policy);
    }
}

unsigned cella_policy_version(const struct cella_policy *policy)
{
    return policy->version;
}
