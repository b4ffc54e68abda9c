/*
 * Round trips of every attribute through generated bridges of one dialect, both ways, and the rules of the dialect.
 * Side: tests. Run with an enclave image, or with a shared library under the virtual kernel.
 */
#include "every_host.h"

static void test_ecalls(void **state)
{
    (void)state;
    assert_int_equal(calls_scalars(), 0);
    assert_int_equal(calls_buffers(), 0);
    assert_int_equal(calls_pointers(), 0);
    assert_int_equal(calls_strings(), 0);
    assert_int_equal(calls_deep(), 0);
    assert_int_equal(calls_switchless(), 0);
}

static void test_ocalls(void **state)
{
    (void)state;
    for (int which = 0; which < 7; which++) {
        assert_int_equal(ocalls_in_enclave(which), 0);
    }
}

static void test_repeated(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(calls_deep(), 0);
        assert_int_equal(calls_buffers(), 0);
        assert_int_equal(ocalls_in_enclave(4), 0);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    int result = 5;
    const uint8_t bytes[12] = {1, 2, 3};
    assert_true(C(product, &result, bytes, 3, 4));
    assert_int_equal(result, (int)bytes_sum(bytes, 12));
    result = 5;
    assert_false(C(product, &result, bytes, 3, -4));
    assert_int_equal(g_result.code, CELLA_CODE_SIZE_OVERFLOW);
    assert_int_equal(result, AFTER_FAILURE(5));
    assert_true(C(product, &result, bytes, 0, 4));
    uint64_t sum = 9;
    assert_false(C(in, &sum, bytes, SIZE_MAX));
    assert_int_equal(g_result.code, CELLA_CODE_SIZE_OVERFLOW);
    assert_false(C(in, &sum, bytes, (size_t)1 << 62));
    struct item items[1] = {{(uint32_t *)(uintptr_t)bytes, SIZE_MAX / 2, 0}};
    assert_false(C(deep_in, &sum, items, 1));
    assert_int_equal(g_result.code, CELLA_CODE_SIZE_OVERFLOW);
    assert_false(C(deep_in, &sum, items, SIZE_MAX / 8));
    assert_int_equal(g_result.code, CELLA_CODE_SIZE_OVERFLOW);
}

static void test_private(void **state)
{
    (void)state;
    int result = 0;
#if defined(EVERY_OPENENCLAVE)
    assert_true(C(private, &result, 1));
    assert_int_equal(result, 2);
#else
    assert_false(C(private, &result, 1));
    assert_int_equal(g_result.code, CELLA_CODE_ACCESS_DENIED);
    assert_true(C(nested, &result, -4));
    assert_int_equal(g_nested.code, CELLA_CODE_ACCESS_DENIED);
    assert_int_equal(result, -3);
#endif
    assert_true(C(nested, &result, 10));
    assert_int_equal(result, 11);
}

static void test_user_check(void **state)
{
    (void)state;
    uint64_t sum = 0;
    int a[3];
    assert_true(C(user_check, &sum, (uint32_t *)0x1000, a));
    assert_int_equal(sum, 0x1000 + (uint64_t)a);
}

static void test_misbehave(void **state)
{
    (void)state;
    uint32_t values[3] = {1, 2, 3};
    struct item item = {values, 3, 9};
    int how = -1;
    assert_false(C(misbehave, &how, &item, 0));
    assert_ptr_equal(item.values, values);
    assert_int_equal(item.count, 3);
    assert_true(C(misbehave, &how, &item, 3));
    assert_int_equal(values[0], 42);
    assert_true(C(misbehave, &how, &item, 1));
    assert_ptr_equal(item.values, values);
    assert_true(C(misbehave, &how, &item, 2));
    assert_ptr_equal(item.values, values);
#if defined(EVERY_INTEL)
    assert_int_equal(values[0], 100); /* the function's own pointer and length are followed */
    assert_int_equal(values[1], 200);
    assert_int_equal(values[2], 3);
    assert_int_equal(item.count, 2);
#else
    assert_int_equal(values[0], 42);
    assert_int_equal(item.count, 3);
#endif
}

static void test_overlap(void **state)
{
    (void)state;
    /* Spans may overlap: each is copied in, and out in the order of the parameters. */
    enum color color = RED;
    struct point p = {7, 8};
    int result = 0;
    assert_true(C(one, &result, &p, &p, &color));
    assert_int_equal(result, 7);
    assert_int_equal(p.x, 8);
    assert_int_equal(p.y, 7);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecalls),    cmocka_unit_test(test_ocalls),
        cmocka_unit_test(test_repeated),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_private),   cmocka_unit_test(test_user_check),
        cmocka_unit_test(test_misbehave), cmocka_unit_test(test_overlap),
    };
    if (argc != 2) {
        return 2;
    }
    enclave_create(argv[1]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cella_enclave_destroy(g_enclave);
    return failed;
}
