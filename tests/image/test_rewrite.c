/*
 * The rewriter on small pieces of code: which sites are rewritten, which are left, and what the
 * trampolines are. Side: tests. Run by meson. The native programs beside it are the proof that
 * rewritten programs run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "image/rewrite.h"
#include "tests/image/samples.h"

#define FUNCTION (SAMPLE_CODE + 0x80)
#define TRAMPOLINES 0x6000u

/* What happened to the sites of one function. */
struct outcome {
    struct cella_buffer file;
    struct cella_buffer code;
    struct cella_rewrite rewrite;
    char why[128];
};

static void record(void *context, const struct cella_rewrite_site *site)
{
    struct outcome *outcome = context;
    if (site->left_because) {
        snprintf(outcome->why, sizeof(outcome->why), "%s", site->left_because);
    }
}

/* Changes the ELF file before it is written; may be NULL. */
typedef void (*change_fn)(struct make_elf *spec, size_t size);

/* Puts `size` bytes of code at FUNCTION and rewrites. `relocation`: a code address that data points
 * to. */
static struct outcome run_changed(const char *bytes, size_t size, uint64_t relocation,
                                  change_fn change)
{
    struct make_elf spec;
    struct cella_elf elf;
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX];
    struct cella_error error = {0};
    struct outcome outcome = {0};
    struct cella_buffer input;
    uint32_t count;

    sample_elf(&spec);
    memset(sample_code() + 0x80, 0xCC, 0x80);
    memcpy(sample_code() + 0x80, bytes, size);
    uint8_t *head = (uint8_t *)spec.segments[0].data;
    memcpy(head + SAMPLE_RELA - MAKE_ELF_HEADERS_SIZE + 16, &relocation, 8);
    spec.symbols[2].size = size;
    if (change) {
        change(&spec, size);
    }
    make_elf(&spec, &input);
    assert_true(cella_is_ok(cella_elf_parse(cella_buffer_bytes(&input), &elf, &error)));
    assert_true(cella_is_ok(cella_elf_segments(&elf, true, segments, &count, &error)));
    assert_true(cella_is_ok(cella_buffer_append(&outcome.file, input.data, input.size)));
    outcome.rewrite = (struct cella_rewrite){
        .elf = &elf,
        .segments = segments,
        .segment_count = count,
        .trampolines = TRAMPOLINES,
        .target = SAMPLE_SYSCALL_ENTRY,
        .site = record,
        .site_context = &outcome,
    };
    assert_true(
        cella_is_ok(cella_rewrite_sites(&outcome.rewrite, &outcome.file, &outcome.code, &error)));
    cella_buffer_done(&input);
    return outcome;
}

static struct outcome run(const char *bytes, size_t size, uint64_t relocation)
{
    return run_changed(bytes, size, relocation, NULL);
}

static void done(struct outcome *outcome)
{
    cella_buffer_done(&outcome->file);
    cella_buffer_done(&outcome->code);
}

#define CALL "\x48\x8D\x64\x24\x80\xE8" /* lea -128(%rsp),%rsp; call */
#define BACK "\x48\x8D\xA4\x24\x80\x00\x00\x00"

static int32_t relative_at(const uint8_t *bytes)
{
    int32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* The five bytes at `address` of the code are a jump to the trampolines. */
static void assert_jump(const struct outcome *outcome, uint64_t address, unsigned traps)
{
    const uint8_t *code = outcome->file.data + address; /* file offset and address agree here */
    assert_int_equal(code[0], 0xE9);
    assert_int_equal(address + 5 + relative_at(code + 1), TRAMPOLINES);
    for (unsigned i = 0; i < traps; i++) {
        assert_int_equal(code[5 + i], 0xCC);
    }
}

/* mov $39,%eax; syscall; ret: the mov is displaced, since nothing behind the site is long enough.
 */
static void displaces_what_stands_before(void **state)
{
    struct outcome o = run("\xB8\x27\0\0\0\x0F\x05\xC3", 8, FUNCTION);

    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 1);
    assert_jump(&o, FUNCTION, 2);
    assert_memory_equal(o.code.data, "\xB8\x27\0\0\0" CALL, 11);
    assert_int_equal(TRAMPOLINES + 15 + relative_at(o.code.data + 11), SAMPLE_SYSCALL_ENTRY);
    assert_memory_equal(o.code.data + 15, BACK "\xE9", 9);
    assert_int_equal(TRAMPOLINES + 28 + relative_at(o.code.data + 24), FUNCTION + 7);
    assert_int_equal(o.code.size, 28);
    done(&o);
}

/* syscall; cmp $-4095,%rax; jae +2; ret …: the window begins at the site. */
static void displaces_what_stands_behind(void **state)
{
    struct outcome o = run("\x0F\x05\x48\x3D\x01\xF0\xFF\xFF\x73\x01\xC3\xF4", 12, FUNCTION);

    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 1);
    assert_jump(&o, FUNCTION, 3);
    assert_memory_equal(o.code.data + 10, BACK "\x48\x3D\x01\xF0\xFF\xFF\xE9", 15);
    assert_int_equal(TRAMPOLINES + 29 + relative_at(o.code.data + 25), FUNCTION + 8);
    done(&o);
}

/* A branch to the site itself is allowed when the window begins there, and only then. */
static void branch_targets(void **state)
{
    /* jmp to the syscall; syscall; mov %rax,%rdi; ret */
    struct outcome o = run("\xEB\x00\x0F\x05\x48\x89\xC7\xC3", 8, FUNCTION);
    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 1);
    assert_jump(&o, FUNCTION + 2, 0);
    done(&o);

    /* mov $39,%eax; syscall; ret; jmp back to the syscall: no window without an entrance in its
     * middle */
    o = run("\xB8\x27\0\0\0\x0F\x05\xC3\xEB\xFB", 10, FUNCTION);
    assert_int_equal(o.rewrite.rewritten_count, 0);
    assert_string_equal(o.why, "no five bytes around it that are safe to move");
    done(&o);

    /* the same, reached through a pointer in data */
    o = run("\xB8\x27\0\0\0\x0F\x05\xC3", 8, FUNCTION + 5);
    assert_int_equal(o.rewrite.rewritten_count, 0);
    done(&o);

    /* the same, reached through an address taken: lea -9(%rip),%rdi behind it */
    o = run("\xB8\x27\0\0\0\x0F\x05\xC3\x48\x8D\x3D\xF6\xFF\xFF\xFF\xC3", 16, FUNCTION);
    assert_int_equal(o.rewrite.rewritten_count, 0);
    done(&o);
}

/* syscall; mov 0x100(%rip),%rdi; ret: the displacement follows the instruction. */
static void rip_relative(void **state)
{
    struct outcome o = run("\x0F\x05\x48\x8B\x3D\x00\x01\x00\x00\xC3", 10, FUNCTION);
    const uint64_t target = FUNCTION + 9 + 0x100;

    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 1);
    assert_memory_equal(o.code.data + 18, "\x48\x8B\x3D", 3);
    assert_int_equal(TRAMPOLINES + 25 + relative_at(o.code.data + 21), target);
    done(&o);
}

/* syscall; test %eax,%eax; js to the syscall: the short branch becomes a near one to the same
 * place. */
static void conditional_branch(void **state)
{
    struct outcome o = run("\x0F\x05\x85\xC0\x78\xFA\xC3", 7, FUNCTION);

    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 1);
    assert_memory_equal(o.code.data + 18, "\x85\xC0\x0F\x88", 4);
    assert_int_equal(TRAMPOLINES + 26 + relative_at(o.code.data + 22), FUNCTION);
    done(&o);
}

/* syscall; ret; nops: the ret moves, the padding behind it goes. */
static void return_and_padding(void **state)
{
    struct outcome o = run("\x0F\x05\xC3\x66\x90\x90", 6, FUNCTION);

    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 1);
    assert_jump(&o, FUNCTION, 0);
    assert_memory_equal(o.code.data + 18, "\xC3", 1);
    assert_int_equal(o.code.size, 19);
    done(&o);
}

static const struct {
    const char *what;
    const char *bytes;
    size_t size;
    const char *why;
} g_left[] = {
    {"call before, ret behind", "\xE8\xAB\xFF\xFF\xFF\x0F\x05\xC3", 8,
     "no five bytes around it that are safe to move"},
    {"indirect jump", "\xB8\x27\0\0\0\x0F\x05\xFF\xE0", 9, "the function has an indirect jump"},
    {"signal return", "\x48\xC7\xC0\x0F\0\0\0\x0F\x05", 9,
     "signal return: unwinders know it by its bytes"},
    {"signal return, short", "\xB8\x0F\0\0\0\x0F\x05\xC3", 8,
     "signal return: unwinders know it by its bytes"},
    {"vfork", "\x5F\xB8\x3A\0\0\0\x0F\x05\x57\xC3", 10,
     "vfork: parent and child return over one stack"},
    {"prefix", "\xB8\x27\0\0\0\x48\x0F\x05\xC3", 9, "the instruction has a prefix"},
    {"loop", "\x0F\x05\xE2\xFC\xC3", 5, "no five bytes around it that are safe to move"},
    {"endbr64 before", "\xF3\x0F\x1E\xFA\x0F\x05\xC3", 7,
     "no five bytes around it that are safe to move"},
    {"undecodable", "\xB8\x27\0\0\0\x0F\x05\x06\xC3", 9,
     "an instruction of the function is unknown to the disassembler"},
    {"code behind a ret", "\x0F\x05\xC3\x48\x31\xC0\xC3", 7,
     "no five bytes around it that are safe to move"},
};

static void left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_left) / sizeof(g_left[0]); i++) {
        struct outcome o = run(g_left[i].bytes, g_left[i].size, FUNCTION);
        print_message("%s: %s\n", g_left[i].what, o.why);
        assert_int_equal(o.rewrite.site_count, 1);
        assert_int_equal(o.rewrite.rewritten_count, 0);
        assert_string_equal(o.why, g_left[i].why);
        assert_memory_equal(o.file.data + FUNCTION, g_left[i].bytes, g_left[i].size);
        assert_int_equal(o.code.size, 0);
        done(&o);
    }
}

static void pad_in_the_middle(struct make_elf *spec, size_t size)
{
    sample_unwind(spec, size, 5);
}

static void pad_at_the_start(struct make_elf *spec, size_t size)
{
    sample_unwind(spec, size, 8);
}

static void broken_unwind(struct make_elf *spec, size_t size)
{
    sample_unwind(spec, size, 5);
    ((uint8_t *)spec->segments[0].data)[SAMPLE_UNWIND - MAKE_ELF_HEADERS_SIZE + 9] = 'y';
}

/* A landing pad of an exception is an entrance like any other; tables that are not understood
 * forbid everything. */
static void landing_pads(void **state)
{
    static const char code[] = "\xB8\x27\0\0\0\x0F\x05\xC3\x90\xC3";
    struct outcome o = run_changed(code, 10, FUNCTION, pad_in_the_middle);

    (void)state;
    assert_int_equal(o.rewrite.rewritten_count, 0);
    assert_string_equal(o.why, "no five bytes around it that are safe to move");
    done(&o);
    o = run_changed(code, 10, FUNCTION, pad_at_the_start);
    assert_int_equal(o.rewrite.rewritten_count, 1);
    done(&o);
    o = run_changed(code, 10, FUNCTION, broken_unwind);
    assert_int_equal(o.rewrite.rewritten_count, 0);
    assert_string_equal(o.why, "the unwind tables (.eh_frame) are not understood");
    done(&o);
}

/* Two sites side by side never share bytes. */
static void neighbours(void **state)
{
    struct outcome o = run("\xB8\1\0\0\0\x0F\x05\xB8\2\0\0\0\x0F\x05\xC3", 15, FUNCTION);

    (void)state;
    assert_int_equal(o.rewrite.site_count, 2);
    assert_int_equal(o.rewrite.rewritten_count, 2);
    done(&o);
    o = run("\x0F\x05\x0F\x05\xC3", 5, FUNCTION);
    assert_int_equal(o.rewrite.site_count, 2);
    assert_int_equal(o.rewrite.rewritten_count, 0);
    done(&o);
}

/* Bytes of a syscall that no function symbol covers are counted and stay. */
static void outside_functions(void **state)
{
    struct outcome o = run("\xC3\xCC\xCC\xCC\xCC\xCC\xCC\xCC\xCC", 9, FUNCTION);
    (void)state;
    assert_int_equal(o.rewrite.site_count, 0);
    done(&o);
    memcpy(sample_code() + 0x180, "\x0F\x05", 2);
    struct make_elf spec;
    sample_elf(&spec);
    assert_int_equal(sample_code()[0x180], 0xCC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(displaces_what_stands_before),
        cmocka_unit_test(displaces_what_stands_behind),
        cmocka_unit_test(branch_targets),
        cmocka_unit_test(rip_relative),
        cmocka_unit_test(conditional_branch),
        cmocka_unit_test(return_and_padding),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(landing_pads),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(outside_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
