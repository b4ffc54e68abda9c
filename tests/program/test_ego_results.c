/*
 * The names that EGo's programs get for results are those of Open Enclave's header, number by number.
 * Side: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openenclave/bits/result.h>

#include "common/cleanup.h"

static const struct {
    unsigned number;
    const char *name;
} g_ours[] = {
#define X(number, name) {number, #name},
#include "linux/ego_results.def"
#undef X
};

static const struct {
    unsigned number;
    const char *name;
} g_theirs[] = {
#define X(name) {name, #name},
    OE_RESULT_CODES(X)
#undef X
};

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(CELLA_COUNT(g_ours), CELLA_COUNT(g_theirs));
    for (size_t i = 0; i < CELLA_COUNT(g_ours); i++) {
        assert_int_equal(g_ours[i].number, g_theirs[i].number);
        assert_string_equal(g_ours[i].name, g_theirs[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
