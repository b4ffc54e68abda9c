/*
 * The policy language against tables: cases.json (readers and rules) and jmespath.json (queries).
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the four above */
#include <cmocka.h>
#include <jansson.h>

#include "policy/jmespath.h"
#include "policy/policy.h"

/* All rows are tried; what differs is printed. */
static unsigned g_differences;

#define DIFFERS(...)                                                                               \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n");                                                                         \
        g_differences++;                                                                           \
    } while (0)

static json_t *table(const char *name)
{
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/%s", TEST_FOLDER, name);
    json_t *json = json_load_file(path, 0, &error);
    if (!json) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    return json;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static enum cella_policy_issuer issuer_of(const json_t *claim)
{
    const char *name = text_of(claim, "issuer");
    if (!name || strcmp(name, "AttestationService") == 0) {
        return CELLA_POLICY_BY_SERVICE;
    }
    return strcmp(name, "CustomClaim") == 0 ? CELLA_POLICY_BY_CUSTOM : CELLA_POLICY_BY_POLICY;
}

static size_t claims_of(const json_t *list, struct cella_policy_claim *claims, size_t room)
{
    size_t count = json_array_size(list);
    assert_true(count <= room);
    for (size_t i = 0; i < count; i++) {
        const json_t *claim = json_array_get(list, i);
        const json_t *value = json_object_get(claim, "value");
        claims[i].type = text_of(claim, "type");
        claims[i].value = json_is_string(value)    ? cella_policy_string(json_string_value(value))
                          : json_is_integer(value) ? cella_policy_integer(json_integer_value(value))
                                                   : cella_policy_boolean(json_is_true(value));
        claims[i].value.read_only = json_is_true(json_object_get(claim, "readOnly"));
        claims[i].issuer = issuer_of(claim);
    }
    return count;
}

/* [["type", value], …] in order. */
static json_t *pairs(const struct cella_policy_claim *claims, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct cella_policy_value *value = &claims[i].value;
        json_t *one = value->type == CELLA_POLICY_STRING    ? json_stringn(value->text, value->size)
                      : value->type == CELLA_POLICY_INTEGER ? json_integer(value->integer)
                                                            : json_boolean(value->integer);
        json_array_append_new(list, json_pack("[s,o]", claims[i].type, one));
    }
    return list;
}

static void expect_json(const char *name, const char *what, json_t *found, json_t *wanted)
{
    if (!json_equal(found, wanted)) {
        char *a = json_dumps(found, JSON_ENCODE_ANY);
        char *b = json_dumps(wanted, JSON_ENCODE_ANY);
        DIFFERS("%s: %s: %s, wanted %s", name, what, a, b);
        free(a);
        free(b);
    }
    json_decref(found);
}

static void expect_reading(const char *name, const json_t *row,
                           const struct cella_policy_problems *problems)
{
    json_t *warnings = json_array();
    for (unsigned i = 0; i < problems->count; i++) {
        const struct cella_policy_problem *problem = &problems->items[i];
        char text[CELLA_POLICY_PROBLEM_SIZE + 32];
        snprintf(text, sizeof(text), "%u:%u: %s", problem->line, problem->column, problem->text);
        if (problem->warning) {
            json_array_append_new(warnings, json_string(text));
        } else {
            const char *wanted = text_of(row, "error");
            if (!wanted || strcmp(wanted, text) != 0) {
                DIFFERS("%s: error '%s', wanted '%s'", name, text, wanted ? wanted : "none");
            }
        }
    }
    json_t *wanted = json_object_get(row, "warnings");
    if (wanted) {
        expect_json(name, "warnings", json_incref(warnings), wanted);
    } else if (json_array_size(warnings)) {
        DIFFERS("%s: warning '%s'", name, json_string_value(json_array_get(warnings, 0)));
    }
    json_decref(warnings);
}

static void expect_outcome(const char *name, const json_t *row, const struct cella_policy *policy)
{
    struct cella_policy_claim claims[64];
    struct cella_policy_run *run = NULL;
    size_t count = claims_of(json_object_get(row, "claims"), claims, 64);
    assert_true(cella_is_ok(cella_policy_evaluate(policy, claims, count, &run)));
    const struct cella_policy_outcome *outcome = cella_policy_outcome(run);
    const char *reason = text_of(row, "refused");
    if (reason) {
        if (outcome->permitted || strcmp(outcome->reason, reason) != 0) {
            DIFFERS("%s: '%s', wanted '%s'", name,
                    outcome->permitted ? "permitted" : outcome->reason, reason);
        }
    } else {
        if (!outcome->permitted) {
            DIFFERS("%s: refused: %s", name, outcome->reason);
        }
        json_t *wanted = json_object_get(row, "out");
        if (wanted) {
            expect_json(name, "out", pairs(outcome->out, outcome->out_count), wanted);
        }
        wanted = json_object_get(row, "properties");
        if (wanted) {
            expect_json(name, "properties", pairs(outcome->properties, outcome->property_count),
                        wanted);
        }
        json_t *notes = json_array();
        for (size_t i = 0; i < outcome->note_count; i++) {
            json_array_append_new(notes, json_string(outcome->notes[i]));
        }
        json_t *empty = json_array();
        wanted = json_object_get(row, "notes");
        expect_json(name, "notes", notes, wanted ? wanted : empty);
        json_decref(empty);
    }
    cella_policy_run_free(run);
}

static void test_cases(void **state)
{
    (void)state;
    json_t *cases = table("cases.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *row = json_array_get(cases, i);
        const char *name = text_of(row, "name");
        struct cella_policy *policy = NULL;
        struct cella_policy_problems problems = {0};
        /* A policy is one string or a list of lines. */
        char text[16384] = "";
        const json_t *lines = json_object_get(row, "policy");
        for (size_t j = 0; j < json_array_size(lines); j++) {
            strcat(strcat(text, j ? "\n" : ""), json_string_value(json_array_get(lines, j)));
        }
        if (json_is_string(lines)) {
            strcpy(text, json_string_value(lines));
        }
        cella_result result = cella_policy_parse(cella_bytes_of(text, strlen(text)),
                                                 json_is_true(json_object_get(row, "compatible")),
                                                 &policy, &problems);
        expect_reading(name, row, &problems);
        if (text_of(row, "error")) {
            assert_false(cella_is_ok(result));
            assert_true(problems.count > 0);
        } else {
            assert_true(cella_is_ok(result));
            expect_outcome(name, row, policy);
        }
        cella_policy_free(policy);
    }
    assert_true(json_array_size(cases) > 50);
    assert_int_equal(g_differences, 0);
    json_decref(cases);
}

static void test_jmespath(void **state)
{
    (void)state;
    json_t *groups = table("jmespath.json");
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const json_t *cases = json_object_get(group, "cases");
        for (size_t j = 0; j < json_array_size(cases); j++, count++) {
            const json_t *row = json_array_get(cases, j);
            const char *query = json_string_value(json_array_get(row, 0));
            struct arena arena = {0};
            struct policy_failure failure = {""};
            json_t *found = NULL;
            cella_result result = jmespath_search(
                &arena, query, strlen(query), json_object_get(group, "given"), &found, &failure);
            if (json_array_size(row) == 3) { /* query, null, error */
                const char *wanted = json_string_value(json_array_get(row, 2));
                if (cella_is_ok(result) || strcmp(failure.text, wanted) != 0) {
                    DIFFERS("%s: '%s', wanted '%s'", query, failure.text, wanted);
                }
            } else {
                if (!cella_is_ok(result)) {
                    DIFFERS("%s: %s", query, failure.text);
                }
                expect_json(query, "result", found, json_array_get(row, 1));
            }
            arena_done(&arena);
        }
    }
    assert_true(count > 60);
    assert_int_equal(g_differences, 0);
    json_decref(groups);
}

/* Rules that double the claims end at the limit, not in memory. */
static void test_doubling(void **state)
{
    (void)state;
    char text[8192] = "version=1.0;authorizationrules{=>add(type=\"a\",value=1);";
    for (int i = 0; i < 100; i++) {
        strcat(text, "c:[type==\"a\"]=>add(type=\"a\",value=c.value);");
    }
    strcat(text, "=>permit();};");
    struct cella_policy *policy = NULL;
    struct cella_policy_run *run = NULL;
    struct cella_policy_problems problems = {0};
    assert_true(cella_is_ok(
        cella_policy_parse(cella_bytes_of(text, strlen(text)), false, &policy, &problems)));
    assert_true(cella_is_ok(cella_policy_evaluate(policy, NULL, 0, &run)));
    assert_false(cella_policy_outcome(run)->permitted);
    assert_string_equal(cella_policy_outcome(run)->reason, "a count or nesting limit is exceeded");
    cella_policy_run_free(run);
    cella_policy_free(policy);
}

static void test_settings(void **state)
{
    (void)state;
    const char text[] = "version=1.1;configurationrules{"
                        "=>issueproperty(type=\"x-ms-sgx-tcbidentifier\",value=\"azuredefault\");"
                        "=>issueproperty(type=\"required_pcr_mask\",value=15);};"
                        "authorizationrules{=>permit();};";
    struct cella_policy *policy = NULL;
    struct cella_policy_problems problems = {0};
    struct cella_policy_value value;
    assert_true(cella_is_ok(
        cella_policy_parse(cella_bytes_of(text, strlen(text)), false, &policy, &problems)));
    assert_int_equal(cella_policy_version(policy), 11);
    assert_true(cella_policy_setting(policy, "x-ms-sgx-tcbidentifier", &value));
    assert_string_equal(value.text, "azuredefault");
    assert_true(cella_policy_setting(policy, "required_pcr_mask", &value));
    assert_int_equal(value.integer, 15);
    assert_false(cella_policy_setting(policy, "require_valid_aik_cert", &value));
    cella_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_jmespath),
        cmocka_unit_test(test_doubling),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
