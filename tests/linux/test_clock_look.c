/*
 * The clock that programs read without entering the kernel: when it is good, when the host has to be asked, what never goes
 * back; and the vDSO's getrandom, as a libc uses it.
 * Side: tests (native). Argument: the vDSO.
 */
#include "linux/clock_look.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SCALE (1ull << 31) /* half a nanosecond a tick */
#define FAR_TICKS 1000000000000ull

typedef int64_t (*random_get)(void *, uint64_t, uint32_t, void *, uint64_t);

static const char *g_vdso;

static void look_at(struct linux_clock_look *look, int64_t ticks_ago)
{
    *look = (struct linux_clock_look){.turn = 2, .monotonic = 5000, .realtime = 7000};
    atomic_store(&look->scale, SCALE);
    atomic_store(&look->ticks_max, FAR_TICKS);
    atomic_store(&look->tsc, linux_clock_tsc() - (uint64_t)ticks_ago);
}

static void goes_on(void **state)
{
    struct linux_clock_look look;
    uint64_t last = 0, first, second, real;
    (void)state;
    look_at(&look, 2000);
    assert_true(linux_clock_read(&look, &last, false, &first));
    assert_true(first >= 6000 && first < 6000 + SCALE);
    assert_int_equal(last, first);
    assert_true(linux_clock_read(&look, &last, true, &real));
    assert_true(real >= 8000);
    assert_int_equal(last, first); /* the real clock is another */
    assert_true(linux_clock_read(&look, &last, false, &second));
    assert_true(second >= first);
}

static void the_host_is_asked(void **state)
{
    struct linux_clock_look look;
    uint64_t last = 0, now = 1;
    (void)state;
    look_at(&look, 0);
    atomic_store(&look.ticks_max, 0); /* no rate yet */
    assert_false(linux_clock_read(&look, &last, false, &now));
    look_at(&look, (int64_t)FAR_TICKS);
    assert_false(linux_clock_read(&look, &last, false, &now));
    look_at(&look, -(int64_t)(2 * FAR_TICKS)); /* a counter that was set back */
    assert_false(linux_clock_read(&look, &last, true, &now));
    look_at(&look, 0);
    atomic_store(&look.turn, 3); /* whoever writes has been stopped */
    assert_false(linux_clock_read(&look, &last, false, &now));
    assert_int_equal(now, 1);
    assert_int_equal(last, 0);
}

static void a_counter_behind_stands_still(void **state)
{
    struct linux_clock_look look;
    uint64_t last = 0, now;
    (void)state;
    look_at(&look, -100000000);
    assert_true(linux_clock_read(&look, &last, false, &now));
    assert_int_equal(now, 5000);
}

static void never_back(void **state)
{
    struct linux_clock_look look;
    uint64_t last = 1ull << 40, now;
    (void)state;
    look_at(&look, 2000);
    assert_true(linux_clock_read(&look, &last, false, &now)); /* this thread was told more */
    assert_int_equal(now, 1ull << 40);
    assert_int_equal(atomic_load(&look.latest), 1ull << 40); /* and so is everybody, from now on */
    last = 0;
    assert_true(linux_clock_read(&look, &last, false, &now));
    assert_int_equal(now, 1ull << 40);
    look_at(&look, 2000);
    last = 0;
    atomic_store(&look.latest, 6000 + LINUX_CLOCK_LATEST_STEP);
    const uint64_t small = atomic_load(&look.latest);
    assert_int_equal(linux_clock_forward(&look, &last, small + 1), small + 1);
    assert_int_equal(atomic_load(&look.latest), small); /* a small step is not told */
    assert_int_equal(linux_clock_forward(&look, &last, small), small + 1);
}

static void random_bytes(void **state)
{
    struct {
        uint32_t size, rights, flags, reserved[13];
    } asked;
    uint8_t bytes[64], more[64], opaque[256];
    void *vdso = dlopen(g_vdso, RTLD_NOW);
    (void)state;
    assert_non_null(vdso);
    const random_get get = (random_get)dlsym(vdso, "__vdso_getrandom");
    assert_non_null(get);
    memset(&asked, 0xFF, sizeof(asked));
    assert_int_equal(get(NULL, 0, 0, &asked, ~0ull), 0);
    assert_true(asked.size > 0 && asked.size <= sizeof(opaque));
    assert_int_equal(asked.rights, 3);
    assert_int_equal(asked.flags, 0x22);
    assert_int_equal(asked.reserved[0] | asked.reserved[12], 0);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(get(bytes, 61, 1, opaque, asked.size), 61);
    assert_int_equal(bytes[61] | bytes[62] | bytes[63], 0);
    assert_int_equal(get(more, 61, 0, opaque, asked.size), 61);
    assert_int_not_equal(memcmp(bytes, more, 61), 0);
    assert_int_equal(get(NULL, 0, 0, opaque, asked.size), 0);
    assert_int_equal(get(bytes, 8, 8, opaque, asked.size), -EINVAL);
    assert_int_equal(get(bytes, 8, 0, opaque, asked.size + 1), -EINVAL);
    dlclose(vdso);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on),
        cmocka_unit_test(the_host_is_asked),
        cmocka_unit_test(a_counter_behind_stands_still),
        cmocka_unit_test(never_back),
        cmocka_unit_test(random_bytes),
    };
    if (argc != 2) {
        fputs("usage: test_clock_look VDSO\n", stderr);
        return 2;
    }
    g_vdso = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
