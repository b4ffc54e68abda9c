/*
 * Hostile hosts against generated bridges: every span of every kind of parameter is spoiled on its way, memory changes
 * while it is read, ocalls answer with impossible results.
 * Side: tests. Linked with --wrap=cella_ecall and --wrap=cella_bridge_served, which stand between the two sides.
 */
#include "every_host.h"

#include "tests/runtime/docs_hex.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- Messages ---- */

enum spoil {
    SPOIL_NOTHING,
    SPOIL_INSIDE,   /* the span lies in the enclave */
    SPOIL_ACROSS,   /* it starts before it */
    SPOIL_WRAP,     /* address + size is beyond user space */
    SPOIL_KERNEL,   /* the address is */
    SPOIL_SHORT,    /* one byte less */
    SPOIL_LONG,     /* one byte more */
    SPOIL_HUGE,     /* so big that sums of sizes could wrap */
    SPOIL_NULL,     /* no address, but a size */
    SPOIL_UNMAPPED, /* host memory that is not there */
    SPOIL_CUT,      /* the message ends before the last span */
    SPOIL_HALF,     /* the message ends in a span */
    SPOIL_EXTRA,    /* a span more than there are pointers */
    SPOIL_EMPTY,    /* no message */
    SPOIL_OTHER,    /* other host memory, as good as the right one */
    SPOIL_KEPT,     /* nothing; the message is kept for a look */
};

static struct {
    enum spoil how;
    uint32_t span, spans;
    bool is_reached; /* the call went through the wrapper */
    uint8_t kept[64];
    size_t kept_size;
} g_attack;

cella_result __real_cella_ecall(cella_enclave *enclave, uint32_t number, const void *in,
                                size_t in_size, void *out, size_t out_capacity, size_t *ret_size);
cella_result __wrap_cella_ecall(cella_enclave *enclave, uint32_t number, const void *in,
                                size_t in_size, void *out, size_t out_capacity, size_t *ret_size);

static void span_spoil(struct cella_bridge_span *span)
{
    uint64_t base, size;
    cella_enclave_range(g_enclave, &base, &size);
    switch (g_attack.how) {
    case SPOIL_INSIDE:
        span->address = base + size / 2;
        break;
    case SPOIL_ACROSS:
        span->address = base - 1;
        span->size = span->size < 2 ? 2 : span->size;
        break;
    case SPOIL_WRAP:
        span->address = 0x7FFFFFFFFFFFull;
        span->size = span->size < 2 ? 2 : span->size;
        break;
    case SPOIL_KERNEL:
        span->address = 0xFFFFFFFFFFFFF000ull;
        break;
    case SPOIL_SHORT:
        span->size--;
        break;
    case SPOIL_LONG:
        span->size++;
        break;
    case SPOIL_HUGE:
        span->size = 1ull << 63;
        break;
    case SPOIL_NULL:
        span->address = 0;
        break;
    case SPOIL_UNMAPPED:
        span->address = 0x10000;
        break;
    case SPOIL_OTHER:
        span->address += 4;
        break;
    default:
        break;
    }
}

cella_result __wrap_cella_ecall(cella_enclave *enclave, uint32_t number, const void *in,
                                size_t in_size, void *out, size_t out_capacity, size_t *ret_size)
{
    uint8_t message[4096] = {0};
    if (g_attack.how == SPOIL_NOTHING || number == 0) {
        return __real_cella_ecall(enclave, number, in, in_size, out, out_capacity, ret_size);
    }
    const size_t spans_at = in_size - g_attack.spans * sizeof(struct cella_bridge_span);
    assert_true(in_size + 16 <= sizeof(message));
    memcpy(message, in, in_size);
    g_attack.is_reached = true;
    switch (g_attack.how) {
    case SPOIL_CUT:
        in_size -= 16;
        break;
    case SPOIL_HALF:
        in_size -= 5;
        break;
    case SPOIL_EXTRA:
        in_size += 16;
        break;
    case SPOIL_EMPTY:
        in_size = 0;
        break;
    case SPOIL_KEPT:
        assert_true(in_size <= sizeof(g_attack.kept));
        memcpy(g_attack.kept, in, in_size);
        g_attack.kept_size = in_size;
        break;
    default:
        span_spoil((struct cella_bridge_span *)(message + spans_at) + g_attack.span);
        break;
    }
    return __real_cella_ecall(enclave, number, in_size ? message : NULL, in_size, out, out_capacity,
                              ret_size);
}

/* A valid call of each function with buffers, and how many spans it makes. */
static struct {
    uint8_t bytes[64];
    uint32_t words[16];
    char text[8], other_text[8];
    wchar_t wide[8], other_wide[8];
    struct item items[2];
    struct box box;
} g_memory;

static void memory_reset(void)
{
    memset(&g_memory, 0, sizeof(g_memory));
    strcpy(g_memory.text, "text");
    strcpy(g_memory.other_text, "other");
    memset(g_memory.text + 5, 'x', 3); /* a length too long ends in no zero */
    memset(g_memory.other_text + 6, 'x', 2);
    for (int i = 0; i < 8; i++) {
        g_memory.wide[i] = i == 3 ? 0 : L'w';
        g_memory.other_wide[i] = i == 2 ? 0 : L'o';
    }
    g_memory.items[0] = (struct item){g_memory.words, 4, 1};
    g_memory.items[1] = (struct item){g_memory.words + 4, 2, 2};
    g_memory.box = (struct box){g_memory.items, 2, g_memory.bytes, 9, {1, 2}};
}

static bool attack_in(void)
{
    uint64_t sum;
    return C(in, &sum, g_memory.bytes, 20);
}

static bool attack_out(void)
{
    memset(g_memory.words, 0xAA, sizeof(g_memory.words));
    const bool worked = CV(out, g_memory.words, 10);
    for (int i = 0; i < 10 && !worked; i++) { /* what is out only is cleared by the host's bridge */
        assert_int_equal(g_memory.words[i], 0);
    }
    return worked;
}

static bool attack_in_out(void)
{
    return CV(in_out, g_memory.bytes, 20);
}

static bool attack_product(void)
{
    int result = 1;
    return C(product, &result, g_memory.bytes, 3, 5);
}

static bool attack_one(void)
{
    int result;
    struct point q = {1, 1};
    enum color color = RED;
    return C(one, &result, (struct point *)g_memory.words, &q, &color);
}

static bool attack_string(void)
{
    size_t size = 0;
    return C(string, &size, g_memory.text, g_memory.other_text);
}

static bool attack_wstring(void)
{
    size_t size = 0;
    return C(wstring, &size, g_memory.wide, g_memory.other_wide);
}

static bool attack_arrays(void)
{
    int result, a[2][3] = {{0}}, b[4];
    return C(arrays, &result, a, b, g_memory.bytes);
}

static bool attack_foreign(void)
{
    int result;
    four_ints four = {0};
    const handle_t handle = {1};
    return C(foreign, &result, g_memory.bytes, 7, four, handle);
}

static bool attack_deep_in(void)
{
    uint64_t sum;
    return C(deep_in, &sum, g_memory.items, 2);
}

static bool attack_deep_in_out(void)
{
    uint64_t sum;
    return C(deep_in_out, &sum, &g_memory.box, 1);
}

#define TEXT 1 /* bytes beyond decide whether a length is wrong: not by size alone */
#define DEEP 2

static const struct {
    const char *name;
    bool (*call)(void);
    uint32_t spans;
    uint32_t kind;
} attacks[] = {
    {"in", attack_in, 1, 0},
    {"out", attack_out, 1, 0},
    {"in_out", attack_in_out, 1, 0},
    {"product", attack_product, 1, 0},
    {"one", attack_one, 3, 0},
    {"string", attack_string, 2, TEXT},
    {"wstring", attack_wstring, 2, TEXT},
    {"arrays", attack_arrays, 3, 0},
    {"foreign", attack_foreign, 2, 0},
    {"deep_in", attack_deep_in, 3, DEEP},
    {"deep_in_out", attack_deep_in_out, 5, DEEP},
};

static const struct {
    enum spoil how;
    const char *name;
    uint32_t code, text_code;
} verdicts[] = {
    {SPOIL_INSIDE, "inside", CELLA_CODE_HOST_POINTER, CELLA_CODE_HOST_POINTER},
    {SPOIL_ACROSS, "across", CELLA_CODE_HOST_POINTER, CELLA_CODE_HOST_POINTER},
    {SPOIL_WRAP, "wrap", CELLA_CODE_OUT_OF_RANGE, CELLA_CODE_OUT_OF_RANGE},
    {SPOIL_KERNEL, "kernel", CELLA_CODE_OUT_OF_RANGE, CELLA_CODE_OUT_OF_RANGE},
    {SPOIL_SHORT, "short", CELLA_CODE_TRUNCATED, CELLA_CODE_BAD_FIELD},
    {SPOIL_LONG, "long", CELLA_CODE_TRAILING_BYTES, CELLA_CODE_BAD_FIELD},
    {SPOIL_HUGE, "huge", CELLA_CODE_OUT_OF_RANGE, CELLA_CODE_OUT_OF_RANGE},
    {SPOIL_NULL, "null", CELLA_CODE_BAD_FIELD, CELLA_CODE_BAD_FIELD},
    {SPOIL_CUT, "cut", CELLA_CODE_TRUNCATED, CELLA_CODE_TRUNCATED},
    {SPOIL_EMPTY, "empty", CELLA_CODE_TRUNCATED, CELLA_CODE_TRUNCATED},
    {SPOIL_HALF, "half", CELLA_CODE_TRUNCATED, CELLA_CODE_TRUNCATED},
    /* A span too many does not fit what the table of ecalls allows; followed structs may have any number. */
    {SPOIL_EXTRA, "extra", CELLA_CODE_OUT_OF_RANGE, CELLA_CODE_OUT_OF_RANGE},
};

static uint32_t verdict_of(size_t attack, size_t verdict, uint32_t span)
{
    const enum spoil how = verdicts[verdict].how;
    const bool is_followed = attacks[attack].kind == DEEP && span > 0;
    if (is_followed && how == SPOIL_NULL) {
        return CELLA_CODE_BAD_FIELD;
    }
    if (attacks[attack].kind == DEEP && how == SPOIL_EXTRA) {
        return CELLA_CODE_TRAILING_BYTES;
    }
    if (attacks[attack].kind == DEEP && how == SPOIL_HALF) {
        return CELLA_CODE_TRAILING_BYTES;
    }
    /* A wide string whose length is no multiple of 4 is refused before its end is looked for. */
    if (attacks[attack].call == attack_wstring && (how == SPOIL_SHORT || how == SPOIL_LONG)) {
        return CELLA_CODE_TRUNCATED;
    }
    return attacks[attack].kind == TEXT ? verdicts[verdict].text_code : verdicts[verdict].code;
}

static void test_spans(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        memory_reset();
        assert_true(attacks[i].call());
        for (size_t k = 0; k < sizeof(verdicts) / sizeof(verdicts[0]); k++) {
            for (uint32_t span = 0; span < attacks[i].spans; span++) {
                memory_reset();
                g_attack.how = verdicts[k].how;
                g_attack.span = span;
                g_attack.spans = attacks[i].spans;
                g_attack.is_reached = false;
                const bool worked = attacks[i].call();
                g_attack.how = SPOIL_NOTHING;
                if (worked || g_result.code != verdict_of(i, k, span) || !g_attack.is_reached) {
                    fail_msg("%s, span %u, %s: %s instead of %s", attacks[i].name, span,
                             verdicts[k].name, worked ? "success" : cella_result_name(g_result),
                             cella_result_name((cella_result){verdict_of(i, k, span)}));
                }
            }
        }
        memory_reset();
        assert_true(attacks[i].call()); /* nothing stays behind */
    }
}

/* The span of a followed pointer must be what the struct holds. */
static void test_other_span(void **state)
{
    (void)state;
    for (uint32_t span = 1; span < 5; span++) {
        memory_reset();
        g_attack.how = SPOIL_OTHER;
        g_attack.span = span;
        g_attack.spans = 5;
        assert_false(attack_deep_in_out());
        g_attack.how = SPOIL_NOTHING;
        assert_int_equal(g_result.code, CELLA_CODE_HOST_VALUE);
    }
}

#if !defined(EVERY_VIRTUAL)
/* Host memory that is not mapped: the copy faults, the call fails, the enclave lives. */
static void test_unmapped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        for (uint32_t span = 0; span < attacks[i].spans; span++) {
            if (attacks[i].kind == DEEP && span > 0) {
                continue; /* refused for another reason: it is not what the struct says */
            }
            memory_reset();
            g_attack.how = SPOIL_UNMAPPED;
            g_attack.span = span;
            g_attack.spans = attacks[i].spans;
            assert_false(attacks[i].call());
            g_attack.how = SPOIL_NOTHING;
            assert_int_equal(g_result.code, CELLA_CODE_HOST_POINTER);
        }
    }
    memory_reset();
    assert_true(attack_deep_in_out());
}
#endif

/* ---- Memory that changes ---- */

static atomic_bool g_stop;

/* Lengths, pointers, terminators and bytes of everything that is passed, from another thread. */
static void *flip(void *unused)
{
    (void)unused;
    for (unsigned i = 0; !atomic_load(&g_stop); i++) {
        volatile struct item *item = &g_memory.items[i & 1];
        item->count = i % 7 == 0 ? SIZE_MAX / 3 : i % 5;
        item->values = i % 11 == 0 ? NULL : (i & 4) ? g_memory.words : g_memory.words + 4;
        *(volatile uint32_t *)&g_memory.box.item_count = i % 3 + 1;
        *(volatile int *)&g_memory.box.raw_size = i % 13 == 0 ? -1 : 9;
        ((volatile char *)g_memory.text)[i % 5] = i % 3 ? 'z' : 0;
        ((volatile wchar_t *)g_memory.wide)[i % 4] = i % 3 ? L'z' : 0;
        ((volatile uint8_t *)g_memory.bytes)[i % 64] = (uint8_t)i;
    }
    return NULL;
}

static void test_changing(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned worked = 0, refused = 0;
    memory_reset();
    g_memory.text[7] = 0;
    g_memory.wide[7] = 0;
    atomic_store(&g_stop, false);
    assert_int_equal(pthread_create(&thread, NULL, flip, NULL), 0);
    for (int round = 0; round < 4000; round++) {
        for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
            if (attacks[i].call()) {
                worked++;
            } else {
                refused++;
                const enum cella_category category = cella_result_category(g_result);
                assert_true(category != CELLA_CATEGORY_INTERNAL && category != CELLA_CATEGORY_OK);
            }
        }
    }
    atomic_store(&g_stop, true);
    pthread_join(thread, NULL);
    assert_true(worked > 4000 && refused > 0);
    memory_reset();
    assert_true(attack_deep_in_out());
}

/* ---- Lying ocalls ---- */

static enum lie {
    LIE_NONE,
    LIE_TEXT,    /* a string comes back without its end; a length grows */
    LIE_SHORT,   /* less was written than there is room for */
    LIE_LONG,    /* more */
    LIE_NOTHING, /* nothing at all */
    LIE_FAILED,  /* an error that is none of the table's */
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
    cella_result result = __real_cella_bridge_served(function, in, at, out, out_capacity, ret_size);
    switch (g_lie) {
    case LIE_TEXT:
        if (strcmp(function->name, "o_string") == 0) {
            memset(at[1], '!', 4);
        } else if (strcmp(function->name, "o_deep_in_out") == 0) {
            ((struct box *)at[0])->item_count++;
        }
        break;
    case LIE_SHORT:
        *ret_size -= 1;
        break;
    case LIE_LONG:
        *ret_size += 1;
        break;
    case LIE_NOTHING:
        *ret_size = 0;
        break;
    case LIE_FAILED:
        return (cella_result){.code = 0xDEADBEEF};
    default:
        break;
    }
    return result;
}

static void test_ocall_lies(void **state)
{
    (void)state;
#if !defined(EVERY_INTEL)
    g_lie = LIE_TEXT;
    assert_int_equal(ocalls_in_enclave(7), 0);
#endif
    for (g_lie = LIE_SHORT; g_lie <= LIE_FAILED; g_lie++) {
        assert_int_equal(ocalls_in_enclave(8), 0);
        assert_int_equal(ocalls_in_enclave(7), 0);
    }
    g_lie = LIE_NONE;
    assert_int_equal(ocalls_in_enclave(3), 0);
}

/* ---- Documents ---- */

/* The example of bridge.md, but for the address, which is not ours to choose. */
static void test_document(void **state)
{
    uint8_t example[64];
    const uint64_t wanted = 0x7FFF12345678ull, address = (uint64_t)g_memory.bytes;
    (void)state;
    memory_reset();
    g_attack.how = SPOIL_KEPT;
    g_attack.spans = 1;
    assert_true(attack_in());
    g_attack.how = SPOIL_NOTHING;
    assert_int_equal(docs_hex("bridge.md", example, sizeof(example)), g_attack.kept_size);
    assert_memory_equal(g_attack.kept + 8, &address, 8);
    memcpy(g_attack.kept + 8, &wanted, 8);
    assert_memory_equal(g_attack.kept, example, g_attack.kept_size);
}

/* ---- Names ---- */

static void test_names(void **state)
{
    (void)state;
    /* Another order, a name more: the same enclave through another module. */
    static const struct cella_bridge_name ecalls[] = {{"e_unknown"}, {"e_nothing"}, {"e_private"}};
    static const struct cella_bridge_module module = {"other", ecalls, NULL, 3, 0};
    static const struct cella_bridge_function nothing = {"e_nothing", 0,    0,    NULL, 0,
                                                         0,           NULL, NULL, 0,    0};
    assert_int_equal(cella_enclave_bind(g_enclave, &module).code, CELLA_CODE_OK);
    assert_string_equal(cella_enclave_missing(g_enclave, &module), "e_unknown");
    assert_int_equal(cella_bridge_ecall(g_enclave, &module, 1, &nothing, NULL, NULL, NULL).code,
                     CELLA_CODE_OK);
    assert_int_equal(cella_bridge_ecall(g_enclave, &module, 0, &nothing, NULL, NULL, NULL).code,
                     CELLA_CODE_NOT_FOUND);
    assert_int_equal(cella_bridge_ecall(NULL, &module, 1, &nothing, NULL, NULL, NULL).code,
                     CELLA_CODE_NO_ENCLAVE);
}

static void test_create_missing(void **state)
{
    static const struct cella_bridge_name ecalls[] = {{"e_nothing"}, {"e_unknown"}};
    static const struct cella_bridge_module module = {"other", ecalls, NULL, 2, 0};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    assert_int_equal(cella_bridge_create(*state, NULL, &module, &enclave, &error).code,
                     CELLA_CODE_NOT_FOUND);
    assert_null(enclave);
    assert_non_null(strstr(error.text, "the enclave has no ecall 'e_unknown' of other.edl"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_other_span),
#if !defined(EVERY_VIRTUAL)
        cmocka_unit_test(test_unmapped),
#endif
        cmocka_unit_test(test_changing),
        cmocka_unit_test(test_ocall_lies),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_names),
        cmocka_unit_test_prestate(test_create_missing, argv[1]),
    };
    if (argc != 2) {
        return 2;
    }
    enclave_create(argv[1]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cella_enclave_destroy(g_enclave);
    return failed;
}
