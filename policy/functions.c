/*
 * The functions of policy version 1.2.
 * Side: relying party, services. Called by policy/evaluate.c. Never keeps anything outside the arena.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "policy/jmespath.h"
#include "policy/tree.h"

#define JSON_TEXT_MAX ((size_t)16 << 20)

static cella_result fail(struct policy_failure *failure, const char *text)
{
    snprintf(failure->text, sizeof(failure->text), "%s", text);
    return CELLA_RESULT(BAD_FIELD);
}

/* The single value of an argument, which must be of `type`. */
static cella_result single(const struct policy_values *argument, enum cella_policy_type type,
                           const struct cella_policy_value **ret_value,
                           struct policy_failure *failure)
{
    if (argument->count != 1) {
        snprintf(failure->text, sizeof(failure->text), "expected one value, found %zu",
                 argument->count);
        return CELLA_RESULT(BAD_FIELD);
    }
    if (argument->items[0].type != type) {
        snprintf(failure->text, sizeof(failure->text), "expected a value of type %s, found %s",
                 policy_type_name(type), policy_type_name(argument->items[0].type));
        return CELLA_RESULT(BAD_FIELD);
    }
    *ret_value = &argument->items[0];
    return CELLA_OK;
}

static cella_result give(struct arena *arena, struct cella_policy_value value,
                         struct policy_values *ret_values)
{
    struct cella_policy_value *items = arena_take(arena, sizeof(*items));
    CELLA_ENSURE(items, OUT_OF_MEMORY);
    *items = value;
    *ret_values = (struct policy_values){items, 1};
    return CELLA_OK;
}

static cella_result give_text(struct arena *arena, const char *text, size_t size, bool read_only,
                              struct policy_values *ret_values)
{
    struct cella_policy_value value = {
        .type = CELLA_POLICY_STRING, .read_only = read_only, .size = size};
    value.text = arena_text(arena, text, size);
    CELLA_ENSURE(value.text, OUT_OF_MEMORY);
    return give(arena, value, ret_values);
}

static cella_result load(const struct cella_policy_value *text, json_t **ret_json,
                         struct policy_failure *failure)
{
    json_error_t error;
    if (text->size == 0 || text->size > JSON_TEXT_MAX) {
        return fail(failure, text->size ? "JSON too long" : "expected JSON, found an empty string");
    }
    *ret_json = json_loadb(text->text, text->size, JSON_DECODE_ANY, &error);
    if (!*ret_json) {
        snprintf(failure->text, sizeof(failure->text), "not JSON, at its byte %d: %.120s",
                 error.position, error.text);
        return CELLA_RESULT(BAD_FIELD);
    }
    return CELLA_OK;
}

static cella_result call_jmespath(struct arena *arena, const struct policy_values *arguments,
                                  struct policy_values *ret_values, struct policy_failure *failure)
{
    const struct cella_policy_value *document;
    const struct cella_policy_value *query;
    json_t *json = NULL;
    json_t *found = NULL;

    CELLA_TRY(single(&arguments[0], CELLA_POLICY_STRING, &document, failure));
    CELLA_TRY(single(&arguments[1], CELLA_POLICY_STRING, &query, failure));
    CELLA_TRY(load(document, &json, failure));
    cella_result result = jmespath_search(arena, query->text, query->size, json, &found, failure);
    if (cella_is_ok(result)) {
        char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
        result = text ? give_text(arena, text, strlen(text),
                                  document->read_only || query->read_only, ret_values)
                      : CELLA_RESULT(OUT_OF_MEMORY);
        free(text);
        json_decref(found);
    }
    json_decref(json);
    return result;
}

/* One value that is neither object nor array; null gives nothing. */
static cella_result convert(struct arena *arena, const json_t *json, bool read_only,
                            struct cella_policy_value *items, size_t *count,
                            struct policy_failure *failure)
{
    struct cella_policy_value value = {.read_only = read_only};
    switch (json_typeof(json)) {
    case JSON_NULL:
        return CELLA_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        value.type = CELLA_POLICY_BOOLEAN;
        value.integer = json_is_true(json);
        break;
    case JSON_INTEGER:
        value.type = CELLA_POLICY_INTEGER;
        value.integer = json_integer_value(json);
        break;
    case JSON_REAL: {
        double real = json_real_value(json);
        if (floor(real) != real || fabs(real) > 9007199254740992.0) {
            return fail(failure, "a number with a fraction is no claim value");
        }
        value.type = CELLA_POLICY_INTEGER;
        value.integer = (int64_t)real;
        break;
    }
    case JSON_STRING:
        value.type = CELLA_POLICY_STRING;
        value.size = json_string_length(json);
        value.text = arena_text(arena, json_string_value(json), value.size);
        CELLA_ENSURE(value.text, OUT_OF_MEMORY);
        break;
    default:
        return fail(failure, "objects, and arrays of objects or arrays, are no claim values");
    }
    items[(*count)++] = value;
    return CELLA_OK;
}

static cella_result convert_all(struct arena *arena, const json_t *json, bool read_only,
                                struct policy_values *ret_values, struct policy_failure *failure)
{
    size_t size = json_is_array(json) ? json_array_size(json) : 1;
    size_t count = 0;
    struct cella_policy_value *items = arena_take(arena, (size + 1) * sizeof(*items));
    CELLA_ENSURE(items, OUT_OF_MEMORY);
    for (size_t i = 0; i < size; i++) {
        const json_t *one = json_is_array(json) ? json_array_get(json, i) : json;
        CELLA_TRY(convert(arena, one, read_only, items, &count, failure));
    }
    *ret_values = (struct policy_values){items, count};
    return CELLA_OK;
}

static cella_result call_json_to_claim_value(struct arena *arena,
                                             const struct policy_values *arguments,
                                             struct policy_values *ret_values,
                                             struct policy_failure *failure)
{
    const struct cella_policy_value *text;
    json_t *json = NULL;
    CELLA_TRY(single(&arguments[0], CELLA_POLICY_STRING, &text, failure));
    CELLA_TRY(load(text, &json, failure));
    cella_result result = convert_all(arena, json, text->read_only, ret_values, failure);
    json_decref(json);
    return result;
}

static bool holds(const struct policy_values *set, const struct cella_policy_value *value)
{
    for (size_t i = 0; i < set->count; i++) {
        if (cella_policy_value_equal(&set->items[i], value)) {
            return true;
        }
    }
    return false;
}

static cella_result call_is_subset_of(struct arena *arena, const struct policy_values *arguments,
                                      struct policy_values *ret_values,
                                      struct policy_failure *failure)
{
    (void)failure;
    bool subset = true;
    for (size_t i = 0; i < arguments[0].count && subset; i++) {
        subset = holds(&arguments[1], &arguments[0].items[i]);
    }
    return give(arena, cella_policy_boolean(subset), ret_values);
}

static cella_result call_append_string(struct arena *arena, const struct policy_values *arguments,
                                       struct policy_values *ret_values,
                                       struct policy_failure *failure)
{
    const struct cella_policy_value *first;
    const struct cella_policy_value *second;
    CELLA_TRY(single(&arguments[0], CELLA_POLICY_STRING, &first, failure));
    CELLA_TRY(single(&arguments[1], CELLA_POLICY_STRING, &second, failure));
    char *text = arena_take(arena, first->size + second->size + 1);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    memcpy(text, first->text, first->size);
    memcpy(text + first->size, second->text, second->size);
    return give(arena,
                (struct cella_policy_value){.type = CELLA_POLICY_STRING,
                                            .read_only = first->read_only || second->read_only,
                                            .text = text,
                                            .size = first->size + second->size},
                ret_values);
}

static cella_result call_negate_bool(struct arena *arena, const struct policy_values *arguments,
                                     struct policy_values *ret_values,
                                     struct policy_failure *failure)
{
    const struct cella_policy_value *value;
    CELLA_TRY(single(&arguments[0], CELLA_POLICY_BOOLEAN, &value, failure));
    struct cella_policy_value negated = cella_policy_boolean(!value->integer);
    negated.read_only = value->read_only;
    return give(arena, negated, ret_values);
}

static cella_result call_contains_only_value(struct arena *arena,
                                             const struct policy_values *arguments,
                                             struct policy_values *ret_values,
                                             struct policy_failure *failure)
{
    if (arguments[1].count != 1) {
        return fail(failure, "the second argument must be one value");
    }
    bool only = arguments[0].count > 0;
    for (size_t i = 0; i < arguments[0].count && only; i++) {
        only = cella_policy_value_equal(&arguments[0].items[i], &arguments[1].items[0]);
    }
    return give(arena, cella_policy_boolean(only), ret_values);
}

static const struct policy_function g_functions[] = {
    {"JmesPath", 2, call_jmespath},       {"JsonToClaimValue", 1, call_json_to_claim_value},
    {"IsSubsetOf", 2, call_is_subset_of}, {"AppendString", 2, call_append_string},
    {"NegateBool", 1, call_negate_bool},  {"ContainsOnlyValue", 2, call_contains_only_value},
};

const struct policy_function *policy_function_find(const char *name, size_t size)
{
    for (size_t i = 0; i < CELLA_COUNT(g_functions); i++) {
        if (strlen(g_functions[i].name) == size && memcmp(g_functions[i].name, name, size) == 0) {
            return &g_functions[i];
        }
    }
    return NULL;
}
