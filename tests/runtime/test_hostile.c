/*
 * A host that lies: entries by hand with any register, answers to ocalls of any kind, registers on the way out.
 * Side: tests (host). Uses the host runtime's inside (host/host.h). Argument: enclave_none.signed.
 * Never asks what the enclave says, only that it stays whole.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/host.h"
#include "tests/runtime/calls.h"
#include "tests/runtime/docs_hex.h"
#include "tests/runtime/raw.h"

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static const char *g_image;
static uint64_t g_random = 0x9E3779B97F4A7C15ull;

static uint64_t random_next(void)
{
    g_random ^= g_random << 13;
    g_random ^= g_random >> 7;
    g_random ^= g_random << 17;
    return g_random;
}

static cella_result ocall_ok(void *context, const void *in, size_t in_size, void *out,
                             size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)in;
    (void)in_size;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    return CELLA_OK;
}

static const cella_ocall_function g_ocalls[] = {ocall_ok};

static cella_enclave *enclave_new(void)
{
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG, .ocall_count = 1, .ocalls = g_ocalls};
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    cella_result result = cella_enclave_create(g_image, &options, &enclave, &error);
    if (!cella_is_ok(result)) {
        fail_msg("%s: %s", cella_result_name(result), error.text);
    }
    return enclave;
}

static void add_works(cella_enclave *enclave)
{
    const int32_t in[2] = {40, 2};
    int32_t out = 0;
    size_t size = 0;
    assert_code(cella_ecall(enclave, NONE_ADD, in, sizeof(in), &out, sizeof(out), &size), OK);
    assert_int_equal(out, 42);
}

/* After an ecall that filled every register, none holds its secret. Only the two results are not zero. */
static void check_clean(const struct raw *raw)
{
    const uint64_t secret = 0x5EC12E75EC12E700ull;
    assert_int_equal(raw->result, 0);
    assert_int_equal(raw->run->function, SGX_EEXIT);
    assert_int_equal(raw->out[0] & 0xFF, CELLA_EXIT_DONE);
    for (int i = 3; i < 11; i++) { /* r8 … r15 */
        assert_int_equal(raw->out[i], 0);
    }
    for (size_t at = 0; at + 8 <= 2816; at++) {
        uint64_t word;
        memcpy(&word, raw->xsave + at, 8);
        assert_int_not_equal(word, secret);
    }
    for (size_t at = 32; at < 160; at += 16) { /* ST0 … ST7 */
        static const uint8_t zeros[10];
        assert_memory_equal(raw->xsave + at, zeros, 10);
    }
    assert_int_equal(raw->rflags & 0x44400, 0);
}

static void test_registers_are_clean(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    for (int i = 0; i < 3; i++) {
        struct raw *raw = raw_new(enclave, 1);
        raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_REGISTERS << 32;
        raw_enter(raw);
        check_clean(raw);
        assert_int_equal(raw->out[1], CELLA_CODE_OK);
        raw_free(raw);
    }
    cella_enclave_destroy(enclave);
}

/* The same at an ocall: the frame that waits inside is not seen outside. */
static void test_ocall_is_clean(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    const uint32_t words[2] = {0, 0};
    struct raw *raw = raw_new(enclave, 1);
    raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_FORWARD << 32;
    raw->rsi = (uint64_t)words;
    raw->rdx = sizeof(words);
    raw_enter(raw);
    assert_int_equal(raw->out[0], CELLA_EXIT_OCALL);
    assert_int_equal(raw->out[2], 0); /* input size */
    assert_int_equal(raw->out[4], 1); /* depth */
    for (int i = 5; i < 11; i++) {
        assert_int_equal(raw->out[i], 0);
    }
    /* RETURN with any depth but the right one is refused, and the frame stays. */
    static const uint64_t wrong[] = {0, 2, 3, 64, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        raw->rdi = CELLA_ENTER_RETURN | wrong[i] << 32;
        raw_enter(raw);
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_int_equal(raw->out[1], CELLA_CODE_WRONG_STATE);
    }
    raw->rdi = CELLA_ENTER_RETURN | 1ull << 32;
    raw->rsi = CELLA_CODE_OK;
    raw->rdx = 0;
    raw_enter(raw);
    assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
    assert_int_equal(raw->out[1], CELLA_CODE_OK);
    raw->rdi = CELLA_ENTER_RETURN | 1ull << 32; /* nothing waits any more */
    raw_enter(raw);
    assert_int_equal(raw->out[1], CELLA_CODE_WRONG_STATE);
    raw_free(raw);
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/* Results and sizes that no host function can have: refused, and never a byte too many. */
static void test_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t result, size;
        uint32_t expected;
    } rows[] = {
        {CELLA_CODE_OK, 8, CELLA_CODE_OK},
        {CELLA_CODE_OK, 9, CELLA_CODE_HOST_VALUE},
        {CELLA_CODE_OK, UINT64_MAX, CELLA_CODE_HOST_VALUE},
        {CELLA_CODE_OK, 1ull << 40, CELLA_CODE_HOST_VALUE},
        {CELLA_CODE_BUSY, UINT64_MAX, CELLA_CODE_BUSY},
        {12345, 0, CELLA_CODE_HOST_VALUE},
        {UINT64_MAX, 8, CELLA_CODE_HOST_VALUE},
        {1ull << 32, 8, CELLA_CODE_HOST_VALUE},
    };
    cella_enclave *enclave = enclave_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint32_t words[2] = {0, 8};
        uint64_t out = 0;
        struct raw *raw = raw_new(enclave, 2);
        raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_FORWARD << 32;
        raw->rsi = (uint64_t)words;
        raw->rdx = sizeof(words);
        raw->r8 = (uint64_t)&out;
        raw->r9 = sizeof(out);
        raw_enter(raw);
        assert_int_equal(raw->out[0] & 0xFF, CELLA_EXIT_OCALL);
        assert_int_equal(raw->out[3], 8);
        memset((void *)raw->out[1], 0x66, 8);
        raw->rdi = CELLA_ENTER_RETURN | raw->out[4] << 32;
        raw->rsi = rows[i].result;
        raw->rdx = rows[i].size;
        raw_enter(raw);
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_int_equal(raw->out[1], rows[i].expected);
        raw_free(raw);
    }
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/* Memory that the host offers for a large ocall: inside the enclave, across its edge, nowhere. */
static void test_offered_memory(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    const uint64_t offers[] = {enclave->base,
                               enclave->base - 8,
                               enclave->base + enclave->size - 8,
                               0,
                               UINT64_MAX - 7,
                               0x800000000000ull,
                               12345,
                               enclave->base + 4096};
    uint32_t *words = calloc(1, 1 << 20);
    words[1] = 8;
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        uint64_t out = 0;
        struct raw *raw = raw_new(enclave, 2);
        raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_FORWARD << 32;
        raw->rsi = (uint64_t)words;
        raw->rdx = 1 << 20;
        raw->r8 = (uint64_t)&out;
        raw->r9 = sizeof(out);
        raw_enter(raw);
        assert_int_equal(raw->out[0], CELLA_EXIT_OCALL | (uint64_t)CELLA_OCALL_ALLOC << 32);
        memcpy((char *)raw->out[1] + 8, &offers[i], 8);
        raw->rdi = CELLA_ENTER_RETURN | raw->out[4] << 32;
        raw->rsi = CELLA_CODE_OK;
        raw->rdx = 8;
        raw_enter(raw);
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_true(raw->out[1] == CELLA_CODE_HOST_POINTER || raw->out[1] == CELLA_CODE_HOST_VALUE);
        raw_free(raw);
    }
    free(words);
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/* Entry codes out of order, and registers at random. Whatever happens, calls work afterwards. */
static void test_entry_fuzz(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    static uint8_t scratch[65536];
    for (int i = 0; i < 20000; i++) {
        struct raw *raw = raw_new(enclave, 1 + random_next() % 3);
        uint64_t *registers = &raw->rdi;
        const uint64_t kinds[] = {0,
                                  1,
                                  (uint64_t)scratch,
                                  enclave->base,
                                  enclave->base + enclave->size,
                                  UINT64_MAX,
                                  1ull << 63,
                                  4096,
                                  enclave->slots[0].tcs,
                                  (uint64_t)enclave->arenas};
        for (int r = 0; r < 11; r++) {
            registers[r] = random_next() % 3 == 0 ? random_next()
                                                  : kinds[random_next() % 10] + random_next() % 64;
        }
        uint64_t code = random_next() % 10;
        if (code == CELLA_ENTER_DESTROY || code == CELLA_ENTER_WORKER) {
            code = 0xF0; /* these two do what they are told: see below */
        }
        uint64_t number = random_next() % (NONE_ECALL_COUNT + 3);
        if (number == NONE_ABORT || number == NONE_SMASH || number == NONE_TRAP ||
            number == NONE_LIE_SIZE ||
            number == NONE_CPUID) { /* CPUID may trap, and nobody here takes traps */
            number = NONE_NOTHING;
        }
        raw->rdi = code | number << 32;
        /* Reads outside the enclave fault as in any program; keep buffers where there is memory. */
        raw->rsi = random_next() % 2 ? (uint64_t)scratch + random_next() % 64 : registers[1];
        raw->rdx = random_next() % 2 ? random_next() % 4096 : registers[2];
        raw->r8 = (uint64_t)scratch + random_next() % 64;
        raw->r9 = random_next() % 4096;
        if (raw->rsi < enclave->base || raw->rsi >= enclave->base + enclave->size) {
            raw->rsi = (uint64_t)scratch;
            raw->rdx %= 4096;
        }
        raw_enter(raw);
        if (raw->run->function != SGX_EEXIT) {
            fail_msg("round %d: function %u vector %u address %#lx", i, raw->run->function,
                     raw->run->exception_vector, (unsigned long)raw->run->exception_addr);
        }
        for (int depth = 0; depth < 4 && (raw->out[0] & 0xFF) == CELLA_EXIT_OCALL; depth++) {
            raw->rdi = CELLA_ENTER_RETURN | raw->out[4] << 32;
            raw->rsi = random_next() % 2 ? CELLA_CODE_BUSY : random_next();
            raw->rdx = random_next();
            raw_enter(raw);
        }
        assert_int_not_equal(raw->out[0] & 0xFF, CELLA_EXIT_OCALL);
        assert_int_not_equal(raw->out[0] & 0xFF, CELLA_EXIT_ABORTED);
        raw_free(raw);
    }
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/* INIT with records that are not one, on a fresh enclave each. */
static void test_init_refused(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    struct raw *raw = raw_new(enclave, 0);
    raw->rdi = CELLA_ENTER_INIT; /* a second time */
    raw->rsi = (uint64_t)enclave->init;
    raw->rdx = sizeof(*enclave->init);
    raw_enter(raw);
    assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
    assert_int_not_equal(raw->out[1], CELLA_CODE_OK);
    raw_free(raw);
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/* An exception that never was, a worker on a bad ring, THREAD without a thread. */
static void test_spurious(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    static const struct {
        uint64_t code, rsi;
    } rows[] = {
        {CELLA_ENTER_EXCEPTION, 0},
        {CELLA_ENTER_THREAD, 0},
        {CELLA_ENTER_WORKER, 0},
        {CELLA_ENTER_WORKER, 64},
        {0, 0},
        {0xFF, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct raw *raw = raw_new(enclave, 1);
        raw->rdi = rows[i].code;
        raw->rsi = rows[i].rsi == 64 ? enclave->base + 64 : rows[i].rsi;
        raw_enter(raw);
        assert_int_equal(raw->run->function, SGX_EEXIT);
        assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
        assert_int_not_equal(raw->out[1], CELLA_CODE_OK);
        raw_free(raw);
    }
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/*
 * A page fault in the first instructions, while the stack pointer is still the host's: whatever comes back from it must
 * not be a context that is laid on that stack.
 */
static void test_fault_at_the_door(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    struct raw *raw = raw_new(enclave, 1);
    void *td = (void *)(enclave->slots[1].tcs + 4096 * 4); /* behind the TCS and three SSA frames */
    const struct cella_processor *processor = enclave->processor;
    raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_NOTHING << 32;
    raw_enter(raw);
    assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
    assert_int_equal(processor->mprotect(td, 4096, PROT_NONE), 0);
    raw_enter(raw);
    assert_int_equal(raw->run->function, SGX_ERESUME);
    assert_int_equal(raw->run->exception_vector, SGX_VECTOR_PF);
    assert_int_equal(processor->mprotect(td, 4096, PROT_READ | PROT_WRITE), 0);
    raw->rdi = CELLA_ENTER_ECALL | (uint64_t)NONE_NOTHING << 32; /* no ecalls at CSSA 1 */
    raw_enter(raw);
    assert_int_equal(raw->out[0], CELLA_EXIT_DONE);
    assert_int_equal(raw->out[1], CELLA_CODE_WRONG_STATE);
    raw->rdi = CELLA_ENTER_EXCEPTION;
    raw_enter(raw);
    assert_int_equal(raw->out[0], CELLA_EXIT_ABORTED);
    assert_code(cella_ecall(enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), ENCLAVE_ABORTED);
    raw_free(raw);
    cella_enclave_destroy(enclave);
}

/* Two threads in one TCS: the second EENTER faults, the enclave is not lost for it. */
static void test_wrong_tcs(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    struct raw *raw = raw_new(enclave, 1);
    raw->run->tcs += 4096; /* an SSA page */
    raw_enter(raw);
    assert_int_equal(raw->run->function, SGX_EENTER);
    raw->run->tcs = enclave->slots[1].tcs + 1;
    raw_enter(raw);
    assert_int_equal(raw->run->function, SGX_EENTER);
    assert_int_equal(raw->run->exception_vector, SGX_VECTOR_GP);
    raw_free(raw);
    add_works(enclave);
    cella_enclave_destroy(enclave);
}

/* An enclave whose pages are gone: calls say so, and destruction is still clean. */
static void test_lost(void **state)
{
    (void)state;
    cella_enclave *enclave = enclave_new();
    enclave->slots[0].run.tcs += 4096;
    enclave->slots[1].run.tcs += 4096;
    enclave->slots[2].run.tcs += 4096;
    enclave->slots[3].run.tcs += 4096;
    assert_code(cella_ecall(enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), ENCLAVE_LOST);
    assert_code(cella_ecall(enclave, NONE_NOTHING, NULL, 0, NULL, 0, NULL), ENCLAVE_LOST);
    assert_string_not_equal(cella_enclave_abort_text(enclave), "");
    cella_enclave_destroy(enclave);
}

/* The example of docs/formats/calls.md is a slot as the host writes it. */
static void test_slot_document(void **state)
{
    (void)state;
    const struct cella_call_slot slot = {.turn = 6,
                                         .number = 3,
                                         .in = 0x7f0000001000,
                                         .in_size = 8,
                                         .out = 0x7f0000002000,
                                         .out_capacity = 4};
    uint8_t example[128];
    assert_int_equal(docs_hex("calls.md", example, sizeof(example)), sizeof(slot));
    assert_memory_equal(example, &slot, sizeof(slot));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_are_clean),
        cmocka_unit_test(test_ocall_is_clean),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_offered_memory),
        cmocka_unit_test(test_init_refused),
        cmocka_unit_test(test_spurious),
        cmocka_unit_test(test_fault_at_the_door),
        cmocka_unit_test(test_wrong_tcs),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_slot_document),
        cmocka_unit_test(test_entry_fuzz),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s IMAGE\n", argv[0]);
        return 2;
    }
    g_image = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
