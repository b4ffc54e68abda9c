/*
 * Runs a policy over claims.
 * Side: relying party, services. Called through policy.h. Never changes the policy.
 *
 * A condition stands for every claim that meets all its tests. `==` with a name's property holds when one of
 * its values is equal, `!=` when none is, an order when it holds for one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/tree.h"

/* Bounds of one run: rules that double the claims end here, not in memory. */
#define RUN_CLAIMS_MAX 8192u
#define RUN_NOTES_MAX 64u
#define RUN_MEMORY_MAX ((size_t)64 << 20)
#define RUN_STEPS_MAX 20000000u

struct claim_list {
    struct cella_policy_claim *items;
    size_t count;
    size_t room;
};

struct match {
    const size_t *claims; /* places in `incoming` */
    size_t count;
};

struct cella_policy_run {
    struct arena arena;
    struct claim_list incoming;
    struct claim_list out;
    struct claim_list properties;
    const char **notes;
    size_t note_count;
    size_t steps;
    struct cella_policy_outcome outcome;
};

/* A rule on its way. */
struct rule_run {
    struct cella_policy_run *run;
    const struct policy_rule *rule;
    struct match matches[POLICY_CONDITIONS_MAX];
    struct policy_failure failure;
};

struct cella_policy_value cella_policy_string(const char *text)
{
    return (struct cella_policy_value){
        .type = CELLA_POLICY_STRING, .text = text, .size = strlen(text)};
}

bool cella_policy_value_equal(const struct cella_policy_value *a,
                              const struct cella_policy_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    if (a->type == CELLA_POLICY_STRING) {
        return a->size == b->size && (a->size == 0 || memcmp(a->text, b->text, a->size) == 0);
    }
    return a->integer == b->integer;
}

const char *policy_issuer_name(enum cella_policy_issuer issuer)
{
    static const char *const names[] = {"AttestationService", "AttestationPolicy", "CustomClaim"};
    return names[issuer];
}

const char *policy_type_name(enum cella_policy_type type)
{
    static const char *const names[] = {"String", "Integer", "Boolean"};
    return names[type];
}

static cella_result list_add(struct cella_policy_run *run, struct claim_list *list,
                             const struct cella_policy_claim *claim)
{
    CELLA_ENSURE(list->count < RUN_CLAIMS_MAX, LIMIT_EXCEEDED);
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct cella_policy_claim *items = arena_take(&run->arena, room * sizeof(*items));
        CELLA_ENSURE(items, OUT_OF_MEMORY);
        if (list->count) {
            memcpy(items, list->items, list->count * sizeof(*items));
        }
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = *claim;
    return CELLA_OK;
}

/* ----------------------------------------------------------------- expressions */

static struct cella_policy_value claim_property(const struct cella_policy_claim *claim,
                                                enum policy_property property)
{
    struct cella_policy_value value;
    switch (property) {
    case PROPERTY_TYPE:
        value = cella_policy_string(claim->type);
        break;
    case PROPERTY_VALUE_TYPE:
        value = cella_policy_string(policy_type_name(claim->value.type));
        break;
    case PROPERTY_ISSUER:
        value = cella_policy_string(policy_issuer_name(claim->issuer));
        break;
    default:
        return claim->value;
    }
    value.read_only = claim->value.read_only;
    return value;
}

/* Recursion is bounded by POLICY_DEPTH_MAX, which the reader enforces. */
static cella_result evaluate(struct rule_run *at, const struct policy_expression *expression,
                             struct policy_values *ret_values)
{
    struct arena *arena = &at->run->arena;
    if (expression->kind == EXPRESSION_VALUE) {
        *ret_values = (struct policy_values){&expression->value, 1};
        return CELLA_OK;
    }
    if (expression->kind == EXPRESSION_PROPERTY) {
        const struct match *match = &at->matches[expression->condition];
        struct cella_policy_value *values = arena_take(arena, match->count * sizeof(*values));
        CELLA_ENSURE(values, OUT_OF_MEMORY);
        for (size_t i = 0; i < match->count; i++) {
            values[i] =
                claim_property(&at->run->incoming.items[match->claims[i]], expression->property);
        }
        *ret_values = (struct policy_values){values, match->count};
        return CELLA_OK;
    }
    struct policy_values arguments[POLICY_ARGUMENTS_MAX] = {{0}};
    for (unsigned i = 0; i < expression->argument_count; i++) {
        CELLA_TRY(evaluate(at, expression->arguments[i], &arguments[i]));
    }
    cella_result result = expression->function->call(arena, arguments, ret_values, &at->failure);
    if (!cella_is_ok(result) && at->failure.text[0]) {
        char text[CELLA_POLICY_PROBLEM_SIZE];
        snprintf(text, sizeof(text), "line %u, column %u: %s: %.180s", expression->line,
                 expression->column, expression->function->name, at->failure.text);
        memcpy(at->failure.text, text, sizeof(text));
    }
    return result;
}

/* ------------------------------------------------------------------ conditions */

static bool ordered(const struct cella_policy_value *a, enum policy_operator operator,
                    const struct cella_policy_value * b)
{
    if (a->type != CELLA_POLICY_INTEGER || b->type != CELLA_POLICY_INTEGER) {
        return false;
    }
    switch (operator) {
    case OPERATOR_LESS:
        return a->integer < b->integer;
    case OPERATOR_LESS_EQUAL:
        return a->integer <= b->integer;
    case OPERATOR_GREATER:
        return a->integer > b->integer;
    default:
        return a->integer >= b->integer;
    }
}

static bool test_holds(const struct cella_policy_value *value, enum policy_operator operator,
                       const struct policy_values * with)
{
    for (size_t i = 0; i < with->count; i++) {
        if (operator<= OPERATOR_NOT_EQUAL) {
            if (cella_policy_value_equal(value, &with->items[i])) {
                return operator== OPERATOR_EQUAL;
            }
        } else if (ordered(value, operator, & with->items[i])) {
            return true;
        }
    }
    return operator== OPERATOR_NOT_EQUAL;
}

/* Keeps of `claims` (places) those that meet the test. */
static cella_result narrow(struct rule_run *at, const struct policy_test *test, size_t *claims,
                           size_t *count)
{
    struct policy_values with;
    CELLA_TRY(evaluate(at, test->expression, &with));
    at->run->steps += *count * (with.count ? with.count : 1);
    if (at->run->steps > RUN_STEPS_MAX) {
        snprintf(at->failure.text, sizeof(at->failure.text), "line %u: the policy takes too long",
                 at->rule->line);
        return CELLA_RESULT(LIMIT_EXCEEDED);
    }
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        struct cella_policy_value value =
            claim_property(&at->run->incoming.items[claims[i]], test->property);
        if (test_holds(&value, test->operator, & with)) {
            claims[kept++] = claims[i];
        }
    }
    *count = kept;
    return CELLA_OK;
}

static cella_result match_condition(struct rule_run *at, const struct policy_condition *condition,
                                    struct match *ret_match)
{
    size_t count = at->run->incoming.count;
    size_t *claims = arena_take(&at->run->arena, (count ? count : 1) * sizeof(*claims));
    CELLA_ENSURE(claims, OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++) {
        claims[i] = i;
    }
    for (const struct policy_test *test = condition->tests; test; test = test->next) {
        CELLA_TRY(narrow(at, test, claims, &count));
    }
    *ret_match = (struct match){claims, count};
    return CELLA_OK;
}

static cella_result conditions_hold(struct rule_run *at, bool *ret_holds)
{
    unsigned index = 0;
    *ret_holds = true;
    for (const struct policy_condition *condition = at->rule->conditions; condition && *ret_holds;
         condition = condition->next, index++) {
        CELLA_TRY(match_condition(at, condition, &at->matches[index]));
        *ret_holds = (at->matches[index].count != 0) != condition->negated;
    }
    return CELLA_OK;
}

/* --------------------------------------------------------------------- actions */

static cella_result fail(struct rule_run *at, const char *text)
{
    snprintf(at->failure.text, sizeof(at->failure.text), "line %u: %s", at->rule->line, text);
    return CELLA_RESULT(BAD_FIELD);
}

/* The one string an expression gives; `fallback` when there is no expression. */
static cella_result one_string(struct rule_run *at, const struct policy_expression *expression,
                               const char *fallback, const char **ret_text)
{
    struct policy_values values;
    if (!expression) {
        *ret_text = fallback;
        return CELLA_OK;
    }
    CELLA_TRY(evaluate(at, expression, &values));
    if (values.count != 1 || values.items[0].type != CELLA_POLICY_STRING) {
        return fail(at, "type, valueType and issuer of a new claim must be one string each");
    }
    *ret_text = values.items[0].text;
    return CELLA_OK;
}

static bool text_to_integer(const struct cella_policy_value *value, int64_t *ret_integer)
{
    char *end;
    if (value->size == 0 || value->size > 20 || strspn(value->text, "-0123456789") != value->size) {
        return false;
    }
    long long number = strtoll(value->text, &end, 10);
    *ret_integer = number;
    return *end == 0;
}

/* Gives `value` the type that valueType= names, where nothing is lost by it. */
static cella_result convert(struct rule_run *at, const char *name, struct cella_policy_value *value)
{
    char number[24];
    if (strcmp(name, policy_type_name(value->type)) == 0) {
        return CELLA_OK;
    }
    if (strcmp(name, "String") == 0) {
        const char *text = value->integer ? "true" : "false";
        if (value->type == CELLA_POLICY_INTEGER) {
            snprintf(number, sizeof(number), "%lld", (long long)value->integer);
            text = number;
        }
        value->size = strlen(text);
        value->text = arena_text(&at->run->arena, text, value->size);
        CELLA_ENSURE(value->text, OUT_OF_MEMORY);
        value->type = CELLA_POLICY_STRING;
        return CELLA_OK;
    }
    if (value->type == CELLA_POLICY_STRING && strcmp(name, "Integer") == 0 &&
        text_to_integer(value, &value->integer)) {
        value->type = CELLA_POLICY_INTEGER;
        return CELLA_OK;
    }
    if (value->type == CELLA_POLICY_STRING && strcmp(name, "Boolean") == 0 &&
        (strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0)) {
        value->integer = value->text[0] == 't';
        value->type = CELLA_POLICY_BOOLEAN;
        return CELLA_OK;
    }
    return fail(at, "the value is not of the type that valueType names");
}

static cella_result enter(struct rule_run *at, const struct cella_policy_claim *claim)
{
    struct cella_policy_run *run = at->run;
    enum policy_verb verb = at->rule->action.verb;
    if (verb != VERB_ADD && claim->value.read_only) {
        return fail(at, "a value computed from read-only claims can be tested, not issued");
    }
    CELLA_TRY(list_add(run, &run->incoming, claim));
    if (verb == VERB_ISSUE) {
        return list_add(run, &run->out, claim);
    }
    return verb == VERB_ISSUE_PROPERTY ? list_add(run, &run->properties, claim) : CELLA_OK;
}

static cella_result enter_whole(struct rule_run *at)
{
    const struct match *match = &at->matches[at->rule->action.condition];
    for (size_t i = 0; i < match->count; i++) {
        struct cella_policy_claim claim = at->run->incoming.items[match->claims[i]];
        claim.issuer = CELLA_POLICY_BY_POLICY;
        CELLA_TRY(enter(at, &claim));
    }
    return CELLA_OK;
}

static cella_result act(struct rule_run *at)
{
    const struct policy_action *action = &at->rule->action;
    struct cella_policy_claim claim = {0};
    struct policy_values values;
    const char *issuer;
    const char *value_type;

    if (action->whole_claim) {
        return enter_whole(at);
    }
    CELLA_TRY(one_string(at, action->properties[PROPERTY_TYPE], NULL, &claim.type));
    CELLA_TRY(one_string(at, action->properties[PROPERTY_ISSUER], "AttestationPolicy", &issuer));
    CELLA_TRY(one_string(at, action->properties[PROPERTY_VALUE_TYPE], NULL, &value_type));
    CELLA_TRY(evaluate(at, action->properties[PROPERTY_VALUE], &values));
    if (strcmp(issuer, "CustomClaim") == 0) {
        claim.issuer = CELLA_POLICY_BY_CUSTOM;
    } else if (strcmp(issuer, "AttestationPolicy") == 0) {
        claim.issuer = CELLA_POLICY_BY_POLICY;
    } else {
        return fail(at, "a policy can only issue as AttestationPolicy or CustomClaim");
    }
    for (size_t i = 0; i < values.count; i++) { /* none: the empty claim, which adds nothing */
        claim.value = values.items[i];
        if (value_type) {
            CELLA_TRY(convert(at, value_type, &claim.value));
        }
        CELLA_TRY(enter(at, &claim));
    }
    return CELLA_OK;
}

/* ----------------------------------------------------------------------- rules */

/* Conditions and, when they hold and it makes a claim, the action. */
static cella_result run_rule(struct rule_run *at, bool *ret_holds)
{
    at->failure.text[0] = 0;
    CELLA_TRY(conditions_hold(at, ret_holds));
    if (!*ret_holds || at->rule->action.verb <= VERB_DENY) {
        return CELLA_OK;
    }
    /* A rule does all it does or nothing. */
    size_t incoming = at->run->incoming.count;
    size_t out = at->run->out.count;
    size_t properties = at->run->properties.count;
    cella_result result = act(at);
    if (!cella_is_ok(result)) {
        at->run->incoming.count = incoming;
        at->run->out.count = out;
        at->run->properties.count = properties;
    }
    return result;
}

static void refuse(struct cella_policy_run *run, unsigned line, const char *text)
{
    run->outcome.permitted = false;
    run->outcome.line = line;
    run->outcome.reason = arena_text(&run->arena, text, strlen(text));
    if (!run->outcome.reason) {
        run->outcome.reason = "out of memory";
    }
}

static cella_result authorize(struct rule_run *at, const struct cella_policy *policy)
{
    char text[CELLA_POLICY_PROBLEM_SIZE];
    bool permitted = false;

    for (at->rule = policy->authorization; at->rule; at->rule = at->rule->next) {
        bool holds = false;
        cella_result result = run_rule(at, &holds);
        if (!cella_is_ok(result)) {
            if (result.code == CELLA_CODE_OUT_OF_MEMORY) {
                return result;
            }
            refuse(at->run, at->rule->line,
                   at->failure.text[0] ? at->failure.text : cella_result_text(result));
            return CELLA_OK;
        }
        if (holds && at->rule->action.verb == VERB_DENY) {
            snprintf(text, sizeof(text), "denied by the rule in line %u", at->rule->line);
            refuse(at->run, at->rule->line, text);
            return CELLA_OK;
        }
        permitted |= holds && at->rule->action.verb == VERB_PERMIT;
    }
    if (!permitted) {
        refuse(at->run, 0, "no authorization rule permitted the claims");
        return CELLA_OK;
    }
    at->run->outcome.permitted = true;
    return CELLA_OK;
}

static cella_result note(struct rule_run *at, cella_result result)
{
    struct cella_policy_run *run = at->run;
    const char *text = at->failure.text[0] ? at->failure.text : cella_result_text(result);
    if (run->note_count == RUN_NOTES_MAX) {
        return CELLA_OK;
    }
    char *copy = arena_text(&run->arena, text, strlen(text));
    CELLA_ENSURE(copy, OUT_OF_MEMORY);
    run->notes[run->note_count++] = copy;
    return CELLA_OK;
}

/* Issuance cannot fail a request: what goes wrong is noted and the rule did nothing. */
static cella_result issue(struct rule_run *at, const struct cella_policy *policy)
{
    for (at->rule = policy->issuance; at->rule; at->rule = at->rule->next) {
        bool holds = false;
        cella_result result = run_rule(at, &holds);
        if (result.code == CELLA_CODE_OUT_OF_MEMORY) {
            return result;
        }
        if (!cella_is_ok(result)) {
            CELLA_TRY(note(at, result));
        }
    }
    return CELLA_OK;
}

static cella_result run_policy(struct cella_policy_run *run, const struct cella_policy *policy,
                               const struct cella_policy_claim *claims, size_t claim_count)
{
    struct rule_run at = {.run = run};
    for (size_t i = 0; i < claim_count; i++) {
        CELLA_TRY(list_add(run, &run->incoming, &claims[i]));
    }
    run->notes = arena_take(&run->arena, RUN_NOTES_MAX * sizeof(*run->notes));
    CELLA_ENSURE(run->notes, OUT_OF_MEMORY);
    CELLA_TRY(authorize(&at, policy));
    if (run->outcome.permitted) {
        CELLA_TRY(issue(&at, policy));
    }
    run->outcome.out = run->out.items;
    run->outcome.out_count = run->out.count;
    run->outcome.properties = run->properties.items;
    run->outcome.property_count = run->properties.count;
    run->outcome.notes = run->notes;
    run->outcome.note_count = run->note_count;
    return CELLA_OK;
}

cella_result cella_policy_evaluate(const struct cella_policy *policy,
                                   const struct cella_policy_claim *claims, size_t claim_count,
                                   struct cella_policy_run **ret_run)
{
    struct cella_policy_run *run = calloc(1, sizeof(*run));
    CELLA_ENSURE(run, OUT_OF_MEMORY);
    run->arena.limit = RUN_MEMORY_MAX;
    cella_result result = run_policy(run, policy, claims, claim_count);
    if (!cella_is_ok(result)) {
        cella_policy_run_free(run);
        return result;
    }
    *ret_run = run;
    return CELLA_OK;
}

const struct cella_policy_outcome *cella_policy_outcome(const struct cella_policy_run *run)
{
    return &run->outcome;
}

void cella_policy_run_free(struct cella_policy_run *run)
{
    if (run) {
        arena_done(&run->arena);
        free(run);
    }
}

bool cella_policy_setting(const struct cella_policy *policy, const char *name,
                          struct cella_policy_value *ret_value)
{
    bool found = false;
    for (const struct policy_rule *rule = policy->configuration; rule; rule = rule->next) {
        const struct policy_expression *type = rule->action.properties[PROPERTY_TYPE];
        const struct policy_expression *value = rule->action.properties[PROPERTY_VALUE];
        if (type && value && type->kind == EXPRESSION_VALUE && value->kind == EXPRESSION_VALUE &&
            strcmp(type->value.text, name) == 0) {
            *ret_value = value->value;
            found = true;
        }
    }
    return found;
}
