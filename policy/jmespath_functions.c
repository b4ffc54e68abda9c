/*
 * The functions of JMESPath.
 * Side: relying party, services. Called by policy/jmespath_run.c. Arguments are checked before a function sees them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "policy/jmespath.h"

#define ARGUMENTS_MAX 16u

/* What an argument may be: bits. */
enum {
    A_NUMBER = 1,
    A_STRING = 2,
    A_ARRAY = 4,
    A_OBJECT = 8,
    A_BOOLEAN = 16,
    A_NULL = 32,
    A_REFERENCE = 64,
    A_ANY = 63,
    A_NUMBERS = 128, /* an array of numbers only */
    A_STRINGS = 256, /* an array of strings only */
};

struct call {
    struct jmespath *jmespath;
    const char *name;
    json_t *values[ARGUMENTS_MAX]; /* owned; NULL at a reference */
    const struct jmespath_node *references[ARGUMENTS_MAX];
    unsigned count;
};

struct function {
    const char *name;
    unsigned least;
    unsigned most;
    unsigned arguments[3]; /* what each may be; the last counts for those behind it */
    cella_result (*run)(struct call *call, json_t **ret_value);
};

static cella_result give(json_t *value, json_t **ret_value)
{
    CELLA_ENSURE(value, OUT_OF_MEMORY);
    *ret_value = value;
    return CELLA_OK;
}

static cella_result give_same(json_t *value, json_t **ret_value)
{
    return give(value ? json_incref(value) : json_null(), ret_value);
}

static unsigned kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return A_OBJECT;
    case JSON_ARRAY:
        return A_ARRAY;
    case JSON_STRING:
        return A_STRING;
    case JSON_INTEGER:
    case JSON_REAL:
        return A_NUMBER;
    case JSON_NULL:
        return A_NULL;
    default:
        return A_BOOLEAN;
    }
}

static bool all_of(const json_t *array, unsigned kind)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (kind_of(json_array_get(array, i)) != kind) {
            return false;
        }
    }
    return true;
}

/* -------------------------------------------------------------------- numbers */

/* A double as the shortest fitting JSON number: whole ones are integers. */
static json_t *number(double value)
{
    if (value >= -9007199254740992.0 && value <= 9007199254740992.0 && floor(value) == value) {
        return json_integer((json_int_t)value);
    }
    return isfinite(value) ? json_real(value) : json_null();
}

static cella_result f_abs(struct call *call, json_t **ret_value)
{
    const json_t *value = call->values[0];
    if (json_is_integer(value) && json_integer_value(value) != INT64_MIN) {
        return give(json_integer(llabs(json_integer_value(value))), ret_value);
    }
    return give(number(fabs(json_number_value(value))), ret_value);
}

static cella_result f_ceil(struct call *call, json_t **ret_value)
{
    return json_is_integer(call->values[0])
               ? give_same(call->values[0], ret_value)
               : give(number(ceil(json_number_value(call->values[0]))), ret_value);
}

static cella_result f_floor(struct call *call, json_t **ret_value)
{
    return json_is_integer(call->values[0])
               ? give_same(call->values[0], ret_value)
               : give(number(floor(json_number_value(call->values[0]))), ret_value);
}

static cella_result f_sum(struct call *call, json_t **ret_value)
{
    bool whole = true;
    double sum = 0;
    int64_t integer = 0;
    for (size_t i = 0; i < json_array_size(call->values[0]); i++) {
        const json_t *one = json_array_get(call->values[0], i);
        sum += json_number_value(one);
        whole &= json_is_integer(one) &&
                 !__builtin_add_overflow(integer, json_integer_value(one), &integer);
    }
    return give(whole ? json_integer(integer) : number(sum), ret_value);
}

static cella_result f_avg(struct call *call, json_t **ret_value)
{
    size_t count = json_array_size(call->values[0]);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += json_number_value(json_array_get(call->values[0], i));
    }
    return give(count ? number(sum / (double)count) : json_null(), ret_value);
}

static cella_result f_to_number(struct call *call, json_t **ret_value)
{
    const json_t *value = call->values[0];
    if (json_is_number(value)) {
        return give_same(call->values[0], ret_value);
    }
    if (!json_is_string(value)) {
        return give(json_null(), ret_value);
    }
    json_t *parsed =
        json_loadb(json_string_value(value), json_string_length(value), JSON_DECODE_ANY, NULL);
    if (parsed && !json_is_number(parsed)) {
        json_decref(parsed);
        parsed = NULL;
    }
    return give(parsed ? parsed : json_null(), ret_value);
}

/* -------------------------------------------------------------------- strings */

static int compare_strings(const json_t *a, const json_t *b)
{
    size_t left = json_string_length(a);
    size_t right = json_string_length(b);
    int order = memcmp(json_string_value(a), json_string_value(b), left < right ? left : right);
    return order ? order : (left > right) - (left < right);
}

static size_t characters(const json_t *string)
{
    size_t count = 0;
    for (size_t i = 0; i < json_string_length(string); i++) {
        count += ((unsigned char)json_string_value(string)[i] & 0xC0) != 0x80;
    }
    return count;
}

static cella_result f_starts_with(struct call *call, json_t **ret_value)
{
    size_t size = json_string_length(call->values[1]);
    return give(json_boolean(size <= json_string_length(call->values[0]) &&
                             memcmp(json_string_value(call->values[0]),
                                    json_string_value(call->values[1]), size) == 0),
                ret_value);
}

static cella_result f_ends_with(struct call *call, json_t **ret_value)
{
    size_t size = json_string_length(call->values[1]);
    size_t whole = json_string_length(call->values[0]);
    return give(
        json_boolean(size <= whole && memcmp(json_string_value(call->values[0]) + whole - size,
                                             json_string_value(call->values[1]), size) == 0),
        ret_value);
}

static cella_result f_equals_ignore_case(struct call *call, json_t **ret_value)
{
    return give(json_boolean(strcasecmp(json_string_value(call->values[0]),
                                        json_string_value(call->values[1])) == 0),
                ret_value);
}

static cella_result f_contains(struct call *call, json_t **ret_value)
{
    const json_t *whole = call->values[0];
    const json_t *part = call->values[1];
    bool found = false;
    if (json_is_string(whole)) {
        found = json_is_string(part) &&
                memmem(json_string_value(whole), json_string_length(whole), json_string_value(part),
                       json_string_length(part)) != NULL;
    }
    for (size_t i = 0; json_is_array(whole) && i < json_array_size(whole) && !found; i++) {
        found = jmespath_equal(json_array_get(whole, i), part);
    }
    return give(json_boolean(found), ret_value);
}

static cella_result f_join(struct call *call, json_t **ret_value)
{
    const json_t *glue = call->values[0];
    const json_t *list = call->values[1];
    size_t size = 0;
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        size += json_string_length(json_array_get(list, i)) + json_string_length(glue);
    }
    char *text = arena_take(call->jmespath->arena, size + 1);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (i) {
            memcpy(text + used, json_string_value(glue), json_string_length(glue));
            used += json_string_length(glue);
        }
        memcpy(text + used, json_string_value(one), json_string_length(one));
        used += json_string_length(one);
    }
    return give(json_stringn(text, used), ret_value);
}

static cella_result f_to_string(struct call *call, json_t **ret_value)
{
    if (json_is_string(call->values[0])) {
        return give_same(call->values[0], ret_value);
    }
    char *text = json_dumps(call->values[0], JSON_ENCODE_ANY | JSON_COMPACT);
    CELLA_ENSURE(text, OUT_OF_MEMORY);
    json_t *value = json_string(text);
    free(text);
    return give(value, ret_value);
}

static cella_result f_type(struct call *call, json_t **ret_value)
{
    switch (kind_of(call->values[0])) {
    case A_OBJECT:
        return give(json_string("object"), ret_value);
    case A_ARRAY:
        return give(json_string("array"), ret_value);
    case A_STRING:
        return give(json_string("string"), ret_value);
    case A_NUMBER:
        return give(json_string("number"), ret_value);
    case A_NULL:
        return give(json_string("null"), ret_value);
    default:
        return give(json_string("boolean"), ret_value);
    }
}

/* ------------------------------------------------------------ lists and objects */

static cella_result f_length(struct call *call, json_t **ret_value)
{
    const json_t *value = call->values[0];
    size_t size = json_is_string(value)  ? characters(value)
                  : json_is_array(value) ? json_array_size(value)
                                         : json_object_size(value);
    return give(json_integer((json_int_t)size), ret_value);
}

static cella_result f_keys(struct call *call, json_t **ret_value)
{
    const char *key;
    json_t *value;
    json_t *array = json_array();
    json_object_foreach(call->values[0], key, value)
    {
        json_array_append_new(array, json_string(key));
    }
    return give(array, ret_value);
}

static cella_result f_values(struct call *call, json_t **ret_value)
{
    const char *key;
    json_t *value;
    json_t *array = json_array();
    json_object_foreach(call->values[0], key, value)
    {
        json_array_append(array, value);
    }
    return give(array, ret_value);
}

static cella_result f_merge(struct call *call, json_t **ret_value)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < call->count && object; i++) {
        json_object_update(object, call->values[i]);
    }
    return give(object, ret_value);
}

static cella_result f_not_null(struct call *call, json_t **ret_value)
{
    for (unsigned i = 0; i < call->count; i++) {
        if (!json_is_null(call->values[i])) {
            return give_same(call->values[i], ret_value);
        }
    }
    return give(json_null(), ret_value);
}

/* Characters, not bytes, in the other order. */
static cella_result reverse_string(struct call *call, json_t **ret_value)
{
    const char *text = json_string_value(call->values[0]);
    size_t size = json_string_length(call->values[0]);
    size_t end = size;
    size_t used = 0;
    char *turned = arena_take(call->jmespath->arena, size + 1);
    CELLA_ENSURE(turned, OUT_OF_MEMORY);
    for (size_t i = size; i-- > 0;) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            memcpy(turned + used, text + i, end - i);
            used += end - i;
            end = i;
        }
    }
    return give(json_stringn(turned, used), ret_value);
}

static cella_result f_reverse(struct call *call, json_t **ret_value)
{
    if (json_is_string(call->values[0])) {
        return reverse_string(call, ret_value);
    }
    json_t *array = json_array();
    for (size_t i = json_array_size(call->values[0]); i-- > 0;) {
        json_array_append(array, json_array_get(call->values[0], i));
    }
    return give(array, ret_value);
}

static cella_result f_to_array(struct call *call, json_t **ret_value)
{
    if (json_is_array(call->values[0])) {
        return give_same(call->values[0], ret_value);
    }
    json_t *array = json_array();
    json_array_append(array, call->values[0]);
    return give(array, ret_value);
}

static cella_result f_map(struct call *call, json_t **ret_value)
{
    json_t *array = json_array();
    CELLA_ENSURE(array, OUT_OF_MEMORY);
    for (size_t i = 0; i < json_array_size(call->values[1]); i++) {
        json_t *one = NULL;
        cella_result result = jmespath_run(call->jmespath, call->references[0],
                                           json_array_get(call->values[1], i), &one);
        if (!cella_is_ok(result)) {
            json_decref(array);
            return result;
        }
        json_array_append_new(array, one);
    }
    return give(array, ret_value);
}

/* ------------------------------------------------------------------------ order */

struct keyed {
    json_t *key;
    json_t *value;
    size_t place;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *left = a;
    const struct keyed *right = b;
    int order = 0;
    if (json_is_string(left->key)) {
        order = compare_strings(left->key, right->key);
    } else {
        double difference = json_number_value(left->key) - json_number_value(right->key);
        order = (difference > 0) - (difference < 0);
    }
    return order ? order : (left->place > right->place) - (left->place < right->place);
}

/* The elements with their keys: all numbers or all strings. Keys are owned by `ret_keys`, a list. */
static cella_result key_all(struct call *call, const json_t *list,
                            const struct jmespath_node *reference, json_t *keys,
                            struct keyed *items)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *key = json_array_get(list, i);
        if (reference) {
            CELLA_TRY(jmespath_run(call->jmespath, reference, key, &key));
            json_array_append_new(keys, key);
        }
        items[i] = (struct keyed){key, json_array_get(list, i), i};
    }
    size_t count = json_array_size(list);
    if (reference && count && !all_of(keys, A_NUMBER) && !all_of(keys, A_STRING)) {
        return jmespath_fail(call->jmespath, CELLA_RESULT(BAD_FIELD),
                             "%s: keys must be all numbers or all strings", call->name);
    }
    return CELLA_OK;
}

static cella_result ordered(struct call *call, struct keyed **ret_items, json_t *keys)
{
    size_t count = json_array_size(call->values[0]);
    call->jmespath->steps += (unsigned)(count * 8);
    *ret_items = arena_take(call->jmespath->arena, (count + 1) * sizeof(**ret_items));
    CELLA_ENSURE(*ret_items && keys, OUT_OF_MEMORY);
    CELLA_TRY(key_all(call, call->values[0], call->references[1], keys, *ret_items));
    qsort(*ret_items, count, sizeof(**ret_items), compare_keyed);
    return CELLA_OK;
}

static cella_result f_sort(struct call *call, json_t **ret_value)
{
    struct keyed *items;
    json_t *keys = json_array();
    cella_result result = ordered(call, &items, keys);
    json_t *array = cella_is_ok(result) ? json_array() : NULL;
    for (size_t i = 0; array && i < json_array_size(call->values[0]); i++) {
        json_array_append(array, items[i].value);
    }
    json_decref(keys);
    return cella_is_ok(result) ? give(array, ret_value) : result;
}

/* The first of the least, or of the greatest. */
static cella_result extreme(struct call *call, bool greatest, json_t **ret_value)
{
    struct keyed *items;
    json_t *keys = json_array();
    size_t count = json_array_size(call->values[0]);
    cella_result result = ordered(call, &items, keys);
    if (cella_is_ok(result)) {
        size_t at = greatest && count ? count - 1 : 0;
        result = give_same(count ? items[at].value : NULL, ret_value);
    }
    json_decref(keys);
    return result;
}

static cella_result f_min(struct call *call, json_t **ret_value)
{
    return extreme(call, false, ret_value);
}

static cella_result f_max(struct call *call, json_t **ret_value)
{
    return extreme(call, true, ret_value);
}

/* ------------------------------------------------------------------------ calls */

#define ORDERED (A_NUMBERS | A_STRINGS)

static const struct function g_functions[] = {
    {"abs", 1, 1, {A_NUMBER}, f_abs},
    {"avg", 1, 1, {A_NUMBERS}, f_avg},
    {"ceil", 1, 1, {A_NUMBER}, f_ceil},
    {"contains", 2, 2, {A_STRING | A_ARRAY, A_ANY}, f_contains},
    {"ends_with", 2, 2, {A_STRING, A_STRING}, f_ends_with},
    {"equals_ignore_case", 2, 2, {A_STRING, A_STRING}, f_equals_ignore_case},
    {"floor", 1, 1, {A_NUMBER}, f_floor},
    {"join", 2, 2, {A_STRING, A_STRINGS}, f_join},
    {"keys", 1, 1, {A_OBJECT}, f_keys},
    {"length", 1, 1, {A_STRING | A_ARRAY | A_OBJECT}, f_length},
    {"map", 2, 2, {A_REFERENCE, A_ARRAY}, f_map},
    {"max", 1, 1, {ORDERED}, f_max},
    {"max_by", 2, 2, {A_ARRAY, A_REFERENCE}, f_max},
    {"merge", 1, ARGUMENTS_MAX, {A_OBJECT, A_OBJECT, A_OBJECT}, f_merge},
    {"min", 1, 1, {ORDERED}, f_min},
    {"min_by", 2, 2, {A_ARRAY, A_REFERENCE}, f_min},
    {"not_null", 1, ARGUMENTS_MAX, {A_ANY, A_ANY, A_ANY}, f_not_null},
    {"reverse", 1, 1, {A_STRING | A_ARRAY}, f_reverse},
    {"sort", 1, 1, {ORDERED}, f_sort},
    {"sort_by", 2, 2, {A_ARRAY, A_REFERENCE}, f_sort},
    {"starts_with", 2, 2, {A_STRING, A_STRING}, f_starts_with},
    {"sum", 1, 1, {A_NUMBERS}, f_sum},
    {"to_array", 1, 1, {A_ANY}, f_to_array},
    {"to_number", 1, 1, {A_ANY}, f_to_number},
    {"to_string", 1, 1, {A_ANY}, f_to_string},
    {"type", 1, 1, {A_ANY}, f_type},
    {"values", 1, 1, {A_OBJECT}, f_values},
};

static bool fits(const json_t *value, unsigned allowed)
{
    if (!value) {
        return allowed & A_REFERENCE;
    }
    return (kind_of(value) & allowed) ||
           (json_is_array(value) && (((allowed & A_NUMBERS) && all_of(value, A_NUMBER)) ||
                                     ((allowed & A_STRINGS) && all_of(value, A_STRING))));
}

static cella_result collect(struct call *call, const struct jmespath_node *node, json_t *value,
                            const struct function *function)
{
    for (const struct jmespath_node *item = node->items; item; item = item->next) {
        unsigned at = call->count;
        unsigned allowed = function->arguments[at < 3 ? at : 2];
        if (item->kind == JMESPATH_REFERENCE) {
            call->references[at] = item->left;
        } else {
            CELLA_TRY(jmespath_run(call->jmespath, item, value, &call->values[at]));
        }
        call->count++;
        if (!fits(call->values[at], allowed)) {
            return jmespath_fail(call->jmespath, CELLA_RESULT(BAD_FIELD),
                                 "%s: argument %u is of the wrong type", function->name, at + 1);
        }
    }
    return CELLA_OK;
}

cella_result jmespath_call(struct jmespath *jmespath, const struct jmespath_node *node,
                           json_t *value, json_t **ret_value)
{
    const struct function *function = NULL;
    for (size_t i = 0; i < CELLA_COUNT(g_functions) && !function; i++) {
        if (strlen(g_functions[i].name) == node->name_size &&
            memcmp(g_functions[i].name, node->name, node->name_size) == 0) {
            function = &g_functions[i];
        }
    }
    if (!function) {
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_FIELD), "no function '%.60s'", node->name);
    }
    if (node->count < function->least || node->count > function->most) {
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_FIELD), "%s takes %u to %u arguments",
                             function->name, function->least, function->most);
    }
    struct call call = {.jmespath = jmespath, .name = function->name};
    cella_result result = collect(&call, node, value, function);
    if (cella_is_ok(result)) {
        result = function->run(&call, ret_value);
    }
    for (unsigned i = 0; i < call.count + 1 && i < ARGUMENTS_MAX; i++) {
        json_decref(call.values[i]);
    }
    return result;
}
