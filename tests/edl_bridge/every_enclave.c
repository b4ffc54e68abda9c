/*
 * The enclave of every.edl: the functions, calls out, and functions that break their word.
 * Side: enclave (of tests). Linked with the NAME_t.c of one dialect; with no libc, musl, glibc, or as a shared library.
 */
#if defined(EVERY_DEEP_OUT)
#include "deep_out_t.h"
#else
#include "every_t.h"
#endif

#if defined(EVERY_OPENENCLAVE)
#define IS_OK(call) ((call) == OE_OK)
#elif defined(EVERY_INTEL)
#define IS_OK(call) ((call) == SGX_SUCCESS)
#else
#define IS_OK(call) cella_is_ok(call)
#endif

#if defined(EVERY_NO_LIBC)
/* errno is a libc's; the generated code wants one for propagate_errno. */
int *__errno_location(void)
{
    static int number;
    return &number;
}
#endif

#define CONTEXT void
#define F(name) e_##name
#define C(name, ...) IS_OK(o_##name(__VA_ARGS__))
#define CV(name, ...) IS_OK(o_##name(__VA_ARGS__))
#define C0(name) IS_OK(o_##name())
#include "every_body.h"
#include "every_calls.h"

int e_product(const uint8_t *p, uint8_t size, int8_t count)
{
    return (int)bytes_sum(p, (size_t)size * (size_t)count);
}

uint64_t e_user_check(uint32_t *p, int a[3])
{
    return (uint64_t)p + (uint64_t)a;
}

/* Ways in which a function may spoil an in+out struct. */
int e_misbehave(struct item *p, int how)
{
    static uint32_t other[2] = {100, 200};
    switch (how) {
    case 0:
        p->count++;
        break;
    case 1:
        p->values = NULL;
        break;
    case 2:
        p->values = other;
        p->count = 2;
        break;
    default:
        p->values[0] = 42;
        break;
    }
    return how;
}

int e_private(int a)
{
    return a + 1;
}

int e_nested(int a)
{
    int result = 0;
    if (a < 0) {
        return IS_OK(o_nested_refused(&result, a)) ? result : -1000;
    }
    return IS_OK(o_nested(&result, a)) ? result : -1;
}

static int calls_errno(void)
{
    int result = 0;
    EXPECT(C(errno, &result, 33) && result == 34);
#if !defined(EVERY_NO_LIBC)
    EXPECT(every_errno() == 33);
#endif
    return 0;
}

/* Ocalls that a lying host has spoiled: they must fail, and leave what they were given. */
static int calls_spoiled(void)
{
    char text[] = "abc";
    uint32_t values[2] = {1, 2};
    struct item item = {values, 2, 3};
    struct box box = {&item, 1, NULL, 0, {5, 6}};
    size_t size = 1;
    uint64_t sum = 1;
    EXPECT(!C(string, &size, "x", text));
    EXPECT(text[0] == 'a' && text[3] == 0 && size == AFTER_FAILURE(1));
    EXPECT(!C(deep_in_out, &sum, &box, 1));
    EXPECT(box.items == &item && item.values == values && values[0] == 1 && item.tag == 3 &&
           box.corner.x == 5 && sum == AFTER_FAILURE(1));
    return 0;
}

/* Plain results: a host that says it wrote less. */
static int calls_short(void)
{
    uint32_t words[4] = {1, 2, 3, 4};
    uint8_t bytes[4] = {1, 2, 3, 4};
    EXPECT(!CV(out, words, 4));
    EXPECT(words[0] == 0 && words[3] == 0);
    EXPECT(!CV(in_out, bytes, 4));
    EXPECT(bytes[0] == 1 && bytes[3] == 4);
    return 0;
}

#if defined(EVERY_DEEP_OUT)
int every_deep_out(int which);
#endif

int e_ocalls(int which)
{
#if defined(EVERY_DEEP_OUT)
    if (which >= 100) {
        return every_deep_out(which - 100);
    }
#endif
    static int (*const groups[])(void) = {calls_scalars, calls_buffers, calls_pointers,
                                          calls_strings, calls_deep,    calls_switchless,
                                          calls_errno,   calls_spoiled, calls_short};
    return which >= 0 && which < 9 ? groups[which]() : -1;
}
