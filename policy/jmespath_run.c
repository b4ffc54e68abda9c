/*
 * Runs a JMESPath query.
 * Side: relying party, services. Called by policy/jmespath_lexer.c. Never changes the document.
 */
#include <string.h>

#include "policy/jmespath.h"

bool jmespath_truth(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) != 0;
    case JSON_ARRAY:
        return json_array_size(value) != 0;
    case JSON_STRING:
        return json_string_length(value) != 0;
    case JSON_FALSE:
    case JSON_NULL:
        return false;
    default:
        return true;
    }
}

bool jmespath_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        if (json_is_integer(a) && json_is_integer(b)) {
            return json_integer_value(a) == json_integer_value(b);
        }
        return json_number_value(a) == json_number_value(b);
    }
    return json_equal((json_t *)a, (json_t *)b) != 0;
}

static cella_result give(json_t *value, json_t **ret_value)
{
    CELLA_ENSURE(value, OUT_OF_MEMORY);
    *ret_value = value;
    return CELLA_OK;
}

static cella_result give_borrowed(json_t *value, json_t **ret_value)
{
    return give(value ? json_incref(value) : json_null(), ret_value);
}

/* Applies `node` to `value` and appends what is not null; projections drop nulls. */
static cella_result append(struct jmespath *jmespath, const struct jmespath_node *node,
                           json_t *value, json_t *array)
{
    json_t *one = NULL;
    CELLA_TRY(jmespath_run(jmespath, node, value, &one));
    if (json_is_null(one)) {
        json_decref(one);
        return CELLA_OK;
    }
    CELLA_ENSURE(json_array_append_new(array, one) == 0, OUT_OF_MEMORY);
    return CELLA_OK;
}

static cella_result project_list(struct jmespath *jmespath, const struct jmespath_node *node,
                                 const json_t *list, json_t *array)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *value = json_array_get(list, i);
        if (node->condition) {
            json_t *holds = NULL;
            CELLA_TRY(jmespath_run(jmespath, node->condition, value, &holds));
            bool wanted = jmespath_truth(holds);
            json_decref(holds);
            if (!wanted) {
                continue;
            }
        }
        CELLA_TRY(append(jmespath, node->right, value, array));
    }
    return CELLA_OK;
}

static cella_result project_members(struct jmespath *jmespath, const struct jmespath_node *node,
                                    json_t *object, json_t *array)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        CELLA_TRY(append(jmespath, node->right, value, array));
    }
    return CELLA_OK;
}

static cella_result project(struct jmespath *jmespath, const struct jmespath_node *node,
                            json_t *value, json_t **ret_value)
{
    json_t *source = NULL;
    CELLA_TRY(jmespath_run(jmespath, node->left, value, &source));
    bool members = node->kind == JMESPATH_PROJECT_VALUE;
    if (members ? !json_is_object(source) : !json_is_array(source)) {
        json_decref(source);
        return give(json_null(), ret_value);
    }
    json_t *array = json_array();
    cella_result result = array ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
    if (array) {
        result = members ? project_members(jmespath, node, source, array)
                         : project_list(jmespath, node, source, array);
    }
    json_decref(source);
    if (!cella_is_ok(result)) {
        json_decref(array);
        return result;
    }
    return give(array, ret_value);
}

static cella_result flatten(struct jmespath *jmespath, const struct jmespath_node *node,
                            json_t *value, json_t **ret_value)
{
    json_t *source = NULL;
    CELLA_TRY(jmespath_run(jmespath, node->left, value, &source));
    if (!json_is_array(source)) {
        json_decref(source);
        return give(json_null(), ret_value);
    }
    json_t *array = json_array();
    bool good = array != NULL;
    for (size_t i = 0; good && i < json_array_size(source); i++) {
        json_t *one = json_array_get(source, i);
        good = json_is_array(one) ? json_array_extend(array, one) == 0
                                  : json_array_append(array, one) == 0;
    }
    jmespath->steps += (unsigned)json_array_size(array);
    json_decref(source);
    if (!good) {
        json_decref(array);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    return give(array, ret_value);
}

static cella_result index_of(const struct jmespath_node *node, const json_t *value,
                             json_t **ret_value)
{
    if (!json_is_array(value)) {
        return give(json_null(), ret_value);
    }
    int64_t size = (int64_t)json_array_size(value);
    int64_t place = node->index < 0 ? node->index + size : node->index;
    return give_borrowed(place >= 0 && place < size ? json_array_get(value, (size_t)place) : NULL,
                         ret_value);
}

/* A bound of a slice, brought into what the step's direction allows. */
static int64_t slice_bound(int64_t bound, int64_t size, int64_t step)
{
    if (bound < 0) {
        bound += size;
        return bound < 0 ? (step < 0 ? -1 : 0) : bound;
    }
    return bound >= size ? (step < 0 ? size - 1 : size) : bound;
}

static cella_result slice(struct jmespath *jmespath, const struct jmespath_node *node,
                          const json_t *value, json_t **ret_value)
{
    if (!json_is_array(value)) {
        return give(json_null(), ret_value);
    }
    int64_t size = (int64_t)json_array_size(value);
    int64_t step = node->has[2] ? node->slice[2] : 1;
    if (step == 0) {
        return jmespath_fail(jmespath, CELLA_RESULT(BAD_FIELD), "the step of a slice is 0");
    }
    int64_t from =
        node->has[0] ? slice_bound(node->slice[0], size, step) : (step < 0 ? size - 1 : 0);
    int64_t to = node->has[1] ? slice_bound(node->slice[1], size, step) : (step < 0 ? -1 : size);
    json_t *array = json_array();
    CELLA_ENSURE(array, OUT_OF_MEMORY);
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step) {
        if (json_array_append(array, json_array_get(value, (size_t)i)) != 0) {
            json_decref(array);
            return CELLA_RESULT(OUT_OF_MEMORY);
        }
    }
    return give(array, ret_value);
}

static cella_result multi_list(struct jmespath *jmespath, const struct jmespath_node *node,
                               json_t *value, json_t **ret_value)
{
    if (json_is_null(value)) {
        return give(json_null(), ret_value);
    }
    json_t *array = json_array();
    CELLA_ENSURE(array, OUT_OF_MEMORY);
    for (const struct jmespath_node *item = node->items; item; item = item->next) {
        json_t *one = NULL;
        cella_result result = jmespath_run(jmespath, item, value, &one);
        if (cella_is_ok(result) && json_array_append_new(array, one) != 0) {
            result = CELLA_RESULT(OUT_OF_MEMORY);
        }
        if (!cella_is_ok(result)) {
            json_decref(array);
            return result;
        }
    }
    return give(array, ret_value);
}

static cella_result multi_hash(struct jmespath *jmespath, const struct jmespath_node *node,
                               json_t *value, json_t **ret_value)
{
    if (json_is_null(value)) {
        return give(json_null(), ret_value);
    }
    json_t *object = json_object();
    CELLA_ENSURE(object, OUT_OF_MEMORY);
    for (const struct jmespath_node *item = node->items; item; item = item->next) {
        json_t *one = NULL;
        cella_result result = jmespath_run(jmespath, item->right, value, &one);
        if (cella_is_ok(result) && json_object_set_new(object, item->name, one) != 0) {
            result = CELLA_RESULT(OUT_OF_MEMORY);
        }
        if (!cella_is_ok(result)) {
            json_decref(object);
            return result;
        }
    }
    return give(object, ret_value);
}

static bool compare_numbers(const json_t *a, const json_t *b, unsigned operator)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t left = json_integer_value(a);
        json_int_t right = json_integer_value(b);
        return operator== T_LESS       ? left < right :
               operator== T_LESS_EQUAL ? left <= right
               :
               operator== T_GREATER ? left > right
                                    : left >= right;
    }
    double left = json_number_value(a);
    double right = json_number_value(b);
    return operator== T_LESS       ? left < right :
           operator== T_LESS_EQUAL ? left <= right
           :
           operator== T_GREATER ? left > right
                                : left >= right;
}

static json_t *compare(const json_t *a, const json_t *b, unsigned operator)
{
    if (operator== T_EQUAL || operator== T_NOT_EQUAL) {
        return json_boolean(jmespath_equal(a, b) == (operator== T_EQUAL));
    }
    if (!json_is_number(a) || !json_is_number(b)) {
        return json_null();
    }
    return json_boolean(compare_numbers(a, b, operator));
}

static cella_result run_compare(struct jmespath *jmespath, const struct jmespath_node *node,
                                json_t *value, json_t **ret_value)
{
    json_t *left = NULL;
    json_t *right = NULL;
    CELLA_TRY(jmespath_run(jmespath, node->left, value, &left));
    cella_result result = jmespath_run(jmespath, node->right, value, &right);
    if (cella_is_ok(result)) {
        result = give(compare(left, right, node->operator), ret_value);
        json_decref(right);
    }
    json_decref(left);
    return result;
}

/* AND and OR give one of their operands. */
static cella_result run_logic(struct jmespath *jmespath, const struct jmespath_node *node,
                              json_t *value, json_t **ret_value)
{
    json_t *left = NULL;
    CELLA_TRY(jmespath_run(jmespath, node->left, value, &left));
    if (jmespath_truth(left) == (node->kind == JMESPATH_OR)) {
        return give(left, ret_value);
    }
    json_decref(left);
    return jmespath_run(jmespath, node->right, value, ret_value);
}

static cella_result chain(struct jmespath *jmespath, const struct jmespath_node *node,
                          json_t *value, json_t **ret_value)
{
    json_t *left = NULL;
    CELLA_TRY(jmespath_run(jmespath, node->left, value, &left));
    if (!node->right) {
        return give(left, ret_value);
    }
    cella_result result = jmespath_run(jmespath, node->right, left, ret_value);
    json_decref(left);
    return result;
}

static cella_result negate(struct jmespath *jmespath, const struct jmespath_node *node,
                           json_t *value, json_t **ret_value)
{
    json_t *left = NULL;
    CELLA_TRY(jmespath_run(jmespath, node->left, value, &left));
    bool truth = jmespath_truth(left);
    json_decref(left);
    return give(json_boolean(!truth), ret_value);
}

/* Recursion follows the query's tree, whose depth the reader bounds. */
cella_result jmespath_run(struct jmespath *jmespath, const struct jmespath_node *node,
                          json_t *value, json_t **ret_value)
{
    if (++jmespath->steps > JMESPATH_STEPS_MAX) {
        return jmespath_fail(jmespath, CELLA_RESULT(LIMIT_EXCEEDED), "the query takes too long");
    }
    switch (node->kind) {
    case JMESPATH_CURRENT:
        return give_borrowed(value, ret_value);
    case JMESPATH_FIELD:
        return give_borrowed(json_object_get(value, node->name), ret_value);
    case JMESPATH_INDEX:
        return index_of(node, value, ret_value);
    case JMESPATH_SLICE:
        return slice(jmespath, node, value, ret_value);
    case JMESPATH_LITERAL:
        return give_borrowed(node->literal, ret_value);
    case JMESPATH_CHAIN:
        return chain(jmespath, node, value, ret_value);
    case JMESPATH_PROJECT:
    case JMESPATH_PROJECT_VALUE:
    case JMESPATH_PROJECT_IF:
        return project(jmespath, node, value, ret_value);
    case JMESPATH_FLATTEN:
        return flatten(jmespath, node, value, ret_value);
    case JMESPATH_LIST:
        return multi_list(jmespath, node, value, ret_value);
    case JMESPATH_HASH:
        return multi_hash(jmespath, node, value, ret_value);
    case JMESPATH_AND:
    case JMESPATH_OR:
        return run_logic(jmespath, node, value, ret_value);
    case JMESPATH_NOT:
        return negate(jmespath, node, value, ret_value);
    case JMESPATH_COMPARE:
        return run_compare(jmespath, node, value, ret_value);
    case JMESPATH_CALL:
        return jmespath_call(jmespath, node, value, ret_value);
    case JMESPATH_REFERENCE:
        break;
    }
    return jmespath_fail(jmespath, CELLA_RESULT(BAD_FIELD),
                         "&EXPRESSION can only be an argument of a function");
}
