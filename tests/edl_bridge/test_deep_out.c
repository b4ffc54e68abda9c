/*
 * Out-only structs with pointers, both ways: who allocates, who frees, and hosts that lie about what they allocated.
 * Side: tests. Linked with --wrap=cella_bridge_served. Under ASan a leak or a double free is a failure.
 */
#define EVERY_DEEP_OUT
#include "every_host.h"

#undef EXPECT
#include "deep_out_body.h"

static enum lie {
    LIE_NONE,
    LIE_INSIDE, /* the bytes lie in the enclave */
    LIE_SMALL,  /* fewer than the structs say */
    LIE_BIG,    /* more */
    LIE_WRAP,
    LIE_COUNT, /* a struct says more than there is */
    LIE_NEGATIVE,
} g_lie;

cella_result __real_cella_bridge_served(const struct cella_bridge_function *function,
                                        const void *in, void *const *at, void *out,
                                        size_t out_capacity, size_t *ret_size);
cella_result __wrap_cella_bridge_served(const struct cella_bridge_function *function,
                                        const void *in, void *const *at, void *out,
                                        size_t out_capacity, size_t *ret_size);

cella_result __wrap_cella_bridge_served(const struct cella_bridge_function *function,
                                        const void *in, void *const *at, void *out,
                                        size_t out_capacity, size_t *ret_size)
{
    uint64_t base, size;
    cella_result result = __real_cella_bridge_served(function, in, at, out, out_capacity, ret_size);
    struct cella_bridge_deep *deep = (struct cella_bridge_deep *)out;
    cella_enclave_range(g_enclave, &base, &size);
    switch (g_lie) {
    case LIE_INSIDE:
        free((void *)deep->address);
        deep->address = base + size / 2;
        break;
    case LIE_SMALL:
        deep->size -= 16;
        break;
    case LIE_BIG:
        deep->size += 16;
        break;
    case LIE_WRAP:
        free((void *)deep->address);
        deep->address = 0xFFFFFFFFFFFFFF00ull;
        break;
    case LIE_COUNT:
        ((struct box *)at[0])[1].item_count += 1000;
        break;
    case LIE_NEGATIVE:
        ((struct box *)at[0])[2].raw = (void *)1;
        ((struct box *)at[0])[2].raw_size = -5;
        break;
    default:
        break;
    }
    return result;
}

static int in_enclave(int which)
{
    int line = -1;
    return C(ocalls, &line, 100 + which) ? line : -2;
}

static void test_ecall(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(calls_deep_out(), 0);
    }
    assert_int_equal(calls_deep_out_refused(1), 0);
    assert_int_equal(calls_deep_out(), 0);
}

static void test_ocall(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(in_enclave(0), 0);
    }
    for (g_lie = LIE_INSIDE; g_lie <= LIE_NEGATIVE; g_lie++) {
        assert_int_equal(in_enclave(1), 0);
    }
    g_lie = LIE_NONE;
    assert_int_equal(in_enclave(0), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ecall), cmocka_unit_test(test_ocall)};
    if (argc != 2) {
        return 2;
    }
    enclave_create(argv[1]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cella_enclave_destroy(g_enclave);
    return failed;
}
