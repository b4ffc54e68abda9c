/*
 * Program images: where everything lies, what replaces a `syscall`, what is refused and with which words.
 * Side: tests. Run by meson with the folder of docs/formats in DOCS_FORMATS. Writes every ELF file by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/cleanup.h"
#include "image/elf64.h"
#include "image/image.h"
#include "image/pclntab.h"
#include "linux/description.h"
#include "tests/program/sample.h"

/* One build. Zero-initialise; freed by outcome_done. */
struct outcome {
    struct cella_buffer output;
    struct cella_program_report report;
    struct cella_error error;
    cella_result result;
    struct cella_image image;
    struct cella_program_description description;
};

static void outcome_done(struct outcome *outcome)
{
    cella_buffer_done(&outcome->output);
}

static void build_with(struct outcome *outcome, const struct make_elf *program,
                       const struct make_elf *interpreter,
                       const struct cella_program_config *config)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer kernel = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer first = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer second = {0};

    sample_kernel(&kernel);
    make_elf(program, &first);
    if (interpreter) {
        make_elf(interpreter, &second);
    }
    outcome->result = cella_program_build(cella_buffer_bytes(&kernel), cella_buffer_bytes(&first),
                                          cella_buffer_bytes(&second), config, &outcome->report,
                                          &outcome->output, &outcome->error);
}

/* Builds, parses the image and takes the description. */
static void build(struct outcome *outcome, const struct make_elf *program,
                  const struct make_elf *interpreter, const struct cella_program_config *config)
{
    struct cella_bytes bytes;
    const char *part;
    uint64_t at;

    build_with(outcome, program, interpreter, config);
    if (!cella_is_ok(outcome->result)) {
        fail_msg("%s", outcome->error.text);
    }
    assert_true(cella_is_ok(
        cella_image_parse(cella_buffer_bytes(&outcome->output), &outcome->image, &outcome->error)));
    const struct cella_image_info *info = &outcome->image.info;
    assert_true(cella_is_ok(cella_elf_at(outcome->image.segments, outcome->image.segment_count,
                                         info->program_offset, info->program_size, &at)));
    assert_true(
        cella_is_ok(cella_bytes_slice(outcome->image.file, at, info->program_size, &bytes)));
    assert_true(cella_is_ok(cella_program_description_take(bytes, &outcome->description, &part)));
}

/* The bytes at an enclave address. */
static const uint8_t *at_address(const struct outcome *outcome, uint64_t address, uint64_t size)
{
    uint64_t offset;
    assert_true(cella_is_ok(cella_elf_at(outcome->image.segments, outcome->image.segment_count,
                                         address, size, &offset)));
    return outcome->output.data + offset;
}

static struct cella_program_jump jump_at(const struct outcome *outcome, uint32_t index)
{
    struct cella_program_jump jump;
    const struct cella_program_list list = outcome->description.head.jumps;
    assert_true(index < list.count);
    memcpy(&jump, outcome->description.bytes.data + list.offset + index * sizeof(jump),
           sizeof(jump));
    return jump;
}

static void places(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    struct cella_program_config config;
    struct make_elf spec;

    (void)state;
    sample_program(&spec);
    sample_program_config(&config);
    build(&outcome, &spec, NULL, &config);
    const struct cella_image_info *info = &outcome.image.info;
    const struct cella_program *head = &outcome.description.head;
    assert_int_equal(info->flags, CELLA_IMAGE_BASE_ZERO);
    assert_int_equal(info->kernel_offset, CELLA_PROGRAM_KERNEL);
    assert_int_equal(info->space_offset, CELLA_PROGRAM_LOW);
    assert_int_equal(info->space_size, CELLA_PROGRAM_KERNEL - CELLA_PROGRAM_LOW);
    assert_int_equal(info->program_offset, CELLA_PROGRAM_KERNEL + 0x5000);
    assert_int_equal(info->enclave_size, 2 * CELLA_PROGRAM_KERNEL);
    assert_int_equal(info->heap_offset, info->image_size + SGX_PAGE_SIZE);
    assert_int_equal(outcome.image.segments[0].offset, PROGRAM_START);
    assert_int_equal(head->entry, PROGRAM_CODE);
    assert_int_equal(head->program_entry, PROGRAM_CODE);
    assert_int_equal(head->phdr_address, PROGRAM_START + 64);
    assert_int_equal(head->phdr_count, 3);
    assert_int_equal(head->interpreter_base, 0);
    assert_int_equal(head->break_start, PROGRAM_END + SGX_PAGE_SIZE);
    assert_int_equal(head->loads_end, PROGRAM_END + SGX_PAGE_SIZE);
    assert_int_equal(head->flags, CELLA_PROGRAM_ARGS_FROM_HOST);
    static const struct cella_program_load loads[] = {
        {PROGRAM_START, 0x1000, 1, CELLA_PROGRAM_LOAD_PROGRAM},
        {PROGRAM_CODE, 0x1000, 5, CELLA_PROGRAM_LOAD_PROGRAM},
        {0x402000, 0x2000, 3, CELLA_PROGRAM_LOAD_PROGRAM},
        {0x404000, 0x2000, 3, CELLA_PROGRAM_LOAD_ZERO},
        {PROGRAM_END, 0x1000, 5, CELLA_PROGRAM_LOAD_TRAMPOLINES},
    };
    assert_int_equal(head->loads.count, CELLA_COUNT(loads));
    for (uint32_t i = 0; i < CELLA_COUNT(loads); i++) {
        const struct cella_program_load load = cella_program_load_at(&outcome.description, i);
        assert_memory_equal(&load, &loads[i], sizeof(load));
    }
}

/* Both forms of window: a constant before it, and instructions on both sides. */
static void trampolines(void **state)
{
    static const uint8_t first[] = {
        0xB8, 39,   0,    0,    0,             /* mov $39,%eax */
        0x48, 0x8D, 0x0D, 8,    0,    0, 0,    /* lea 8(%rip),%rcx */
        0x65, 0xFF, 0x24, 0x25, 0x68, 0, 0, 0, /* jmp *%gs:104 */
        0xE9, 0xEE, 0xAF, 0xFF, 0xFF,          /* jmp behind the syscall */
    };
    static const uint8_t second[] = {
        0x41, 0x5C,                            /* pop %r12 */
        0x48, 0x8D, 0x0D, 8,    0,    0, 0,    /* lea 8(%rip),%rcx */
        0x65, 0xFF, 0x24, 0x25, 0x68, 0, 0, 0, /* jmp *%gs:104 */
        0x41, 0x54,                            /* push %r12 */
    };
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    struct cella_program_config config;
    struct make_elf spec;

    (void)state;
    sample_program(&spec);
    sample_program_config(&config);
    build(&outcome, &spec, NULL, &config);
    assert_int_equal(outcome.report.site_count, 2);
    assert_int_equal(outcome.report.rewritten_count, 2);
    assert_memory_equal(at_address(&outcome, PROGRAM_END, sizeof(first)), first, sizeof(first));
    assert_memory_equal(at_address(&outcome, PROGRAM_END + sizeof(first), sizeof(second)), second,
                        sizeof(second));
    /* jmp to 0x406000, then what traps. */
    assert_memory_equal(at_address(&outcome, PROGRAM_CODE, 8), "\xE9\xFB\x4F\0\0\xCC\xCC\xC3", 8);
    struct cella_program_jump jump = jump_at(&outcome, 0);
    assert_int_equal(jump.address, PROGRAM_SITE);
    assert_int_equal(jump.entry, PROGRAM_END + 5);
    jump = jump_at(&outcome, 1);
    assert_int_equal(jump.address, PROGRAM_CHILD + 2);
    assert_int_equal(jump.entry, PROGRAM_END + sizeof(first) + 2);
}

/* The address of a window's inside, wherever it is kept, keeps the site as it is. */
static void targets(void **state)
{
    static const struct {
        const char *name;
        unsigned
            where; /* 0: data word, 1: immediate, 2: lea, 3: jump, 4: table of offsets, 5: short jump */
    } cases[] = {
        {"a word of data", 0}, {"an immediate", 1},         {"a lea", 2},
        {"a jump", 3},         {"a table behind a lea", 4}, {"a short jump of a neighbour", 5}};
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
        struct cella_program_config config;
        struct make_elf spec;
        sample_program(&spec);
        sample_program_config(&config);
        uint8_t *code = sample_program_code() + 0x40; /* in no function but in the last case */
        uint8_t *data = (uint8_t *)spec.segments[2].data;
        const uint64_t site = PROGRAM_SITE;
        uint32_t relative;
        switch (cases[i].where) {
        case 0:
            memcpy(data + 0x20, &site, 8);
            break;
        case 1: /* mov $site,%edi */
            code[0] = 0xBF;
            memcpy(code + 1, &site, 4);
            break;
        case 2: /* lea site(%rip),%rax */
            relative = (uint32_t)(PROGRAM_SITE - (PROGRAM_CODE + 0x47));
            memcpy(code, "\x48\x8D\x05", 3);
            memcpy(code + 3, &relative, 4);
            break;
        case 3: /* jmp site */
            relative = (uint32_t)(PROGRAM_SITE - (PROGRAM_CODE + 0x45));
            code[0] = 0xE9;
            memcpy(code + 1, &relative, 4);
            break;
        case 4: /* lea table(%rip),%rdx; the table: offsets from itself */
            relative = (uint32_t)(PROGRAM_DATA + 0x40 - (PROGRAM_CODE + 0x47));
            memcpy(code, "\x48\x8D\x15", 3);
            memcpy(code + 3, &relative, 4);
            relative = (uint32_t)(PROGRAM_CODE + 0x60 - (PROGRAM_DATA + 0x40));
            memcpy(data + 0x40, &relative, 4);
            relative = (uint32_t)(PROGRAM_SITE - (PROGRAM_DATA + 0x40));
            memcpy(data + 0x44, &relative, 4);
            break;
        default: /* a function's own: jmp rel8 */
            spec.symbols[spec.symbol_count++] =
                (struct make_symbol){"near", PROGRAM_CODE + 0x40, 2, STT_FUNC, 1};
            code[0] = 0xEB;
            code[1] = (uint8_t)(PROGRAM_SITE - (PROGRAM_CODE + 0x42));
            break;
        }
        build(&outcome, &spec, NULL, &config);
        if (outcome.report.rewritten_count != 1 ||
            memcmp(at_address(&outcome, PROGRAM_CODE, 7), "\xB8\x27\0\0\0\x0F\x05", 7) != 0) {
            fail_msg("%s of the site's address, and it was replaced", cases[i].name);
        }
        assert_true(outcome.description.head.flags & CELLA_PROGRAM_TRAPS);
    }
}

/* What only looks like a reference, in a function whose instructions are known, keeps nothing. */
static void no_targets(void **state)
{
    (void)state;
    for (unsigned tables = 0; tables < 2; tables++) {
        CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
        struct cella_program_config config;
        struct make_elf spec;
        sample_program(&spec);
        sample_program_config(&config);
        uint8_t *code = sample_program_code() + 0x40;
        uint8_t *data = (uint8_t *)spec.segments[2].data;
        uint32_t relative;
        spec.symbols[spec.symbol_count++] =
            (struct make_symbol){"other", PROGRAM_CODE + 0x40, 0x10, STT_FUNC, 1};
        if (!tables) { /* movabs $…,%rax: its constant holds the bytes of a jmp to the site */
            relative = (uint32_t)(PROGRAM_SITE - (PROGRAM_CODE + 0x47));
            memcpy(code, "\x48\xB8\xE9", 3);
            memcpy(code + 3, &relative, 4);
            memset(code + 7, 0, 3);
        } else {
            /* Two tables side by side. The second's offset would lead to the site from the first's start. */
            const uint32_t first = PROGRAM_DATA + 0x40, second = first + 4;
            relative = first - (PROGRAM_CODE + 0x47);
            memcpy(code, "\x48\x8D\x15", 3);
            memcpy(code + 3, &relative, 4);
            relative = second - (PROGRAM_CODE + 0x4E);
            memcpy(code + 7, "\x48\x8D\x15", 3);
            memcpy(code + 10, &relative, 4);
            relative = PROGRAM_CODE + 0x60 - first;
            memcpy(data + 0x40, &relative, 4);
            relative = PROGRAM_SITE + 4 - second;
            memcpy(data + 0x44, &relative, 4);
        }
        build(&outcome, &spec, NULL, &config);
        assert_int_equal(outcome.report.rewritten_count, 2);
    }
}

/* An address of its own choosing: relocations are applied when no interpreter does it. */
static void position_independent(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    struct cella_program_config config;
    struct make_elf spec;
    const uint64_t shift = CELLA_PROGRAM_BASE;

    (void)state;
    sample_library(&spec);
    spec.headers[spec.header_count++] = (Elf64_Phdr){
        .p_type = PT_INTERP, .p_flags = PF_R, .p_vaddr = 0x500, .p_filesz = 1, .p_memsz = 1};
    sample_program_config(&config);
    build(&outcome, &spec, NULL, &config);
    assert_int_equal(outcome.description.head.entry, shift + 0x1000);
    assert_int_equal(cella_le_get(at_address(&outcome, shift + 0x2FF0, 8), 8), shift + 0x1000);
    assert_int_equal(jump_at(&outcome, 0).address, shift + 0x1005);
    assert_int_equal(jump_at(&outcome, 0).entry, shift + 0x6005);
}

/* A static PIE does that itself. */
static void static_pie(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    struct cella_program_config config;
    struct make_elf spec;

    (void)state;
    sample_library(&spec);
    sample_program_config(&config);
    build(&outcome, &spec, NULL, &config);
    assert_int_equal(cella_le_get(at_address(&outcome, CELLA_PROGRAM_BASE + 0x2FF0, 8), 8), 0);
}

static void with_interpreter(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    struct cella_program_config config;
    struct make_elf program, library;

    (void)state;
    sample_library(&library); /* first: they share their bytes */
    sample_program(&program);
    program.headers[program.header_count++] = (Elf64_Phdr){.p_type = PT_INTERP,
                                                           .p_flags = PF_R,
                                                           .p_vaddr = PROGRAM_START + 0x500,
                                                           .p_filesz = 1,
                                                           .p_memsz = 1};
    sample_program_config(&config);
    build(&outcome, &program, &library, &config);
    const struct cella_program *head = &outcome.description.head;
    const uint64_t base = PROGRAM_END + 0x1000 + CELLA_PROGRAM_INTERPRETER_GAP;
    assert_int_equal(head->interpreter_base, base);
    assert_int_equal(head->entry, base + 0x1000);
    assert_int_equal(head->program_entry, PROGRAM_CODE);
    assert_int_equal(head->break_start, PROGRAM_END + 0x1000);
    assert_int_equal(head->loads_end, base + 0x7000);
    assert_int_equal(head->jumps.count, 4);
    assert_int_equal(jump_at(&outcome, 2).address, base + 0x1005);
    assert_int_equal(jump_at(&outcome, 2).entry, base + 0x6005);
    assert_int_equal(outcome.report.site_count, 4);
}

/* Linux' rule: the page is the later segment's, with the file's bytes around it. */
static void shared_page(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer kernel = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer file = {0};
    struct cella_program_config config;
    struct make_elf spec;
    struct cella_bytes bytes;
    const char *part;
    uint64_t at;

    (void)state;
    sample_program(&spec);
    sample_program_config(&config);
    make_elf(&spec, &file);
    /* The code grows over the page that the data begins on; both are at offset 0x2FF0 there. */
    Elf64_Phdr *headers = (Elf64_Phdr *)(file.data + sizeof(Elf64_Ehdr));
    headers[1].p_filesz = headers[1].p_memsz = 0x1F00;
    const uint64_t data_at = headers[2].p_offset;
    file.data[data_at - 0x700] = 0x5A;
    sample_kernel(&kernel);
    outcome.result = cella_program_build(cella_buffer_bytes(&kernel), cella_buffer_bytes(&file),
                                         (struct cella_bytes){0}, &config, &outcome.report,
                                         &outcome.output, &outcome.error);
    assert_true(cella_is_ok(outcome.result));
    assert_true(cella_is_ok(
        cella_image_parse(cella_buffer_bytes(&outcome.output), &outcome.image, &outcome.error)));
    const struct cella_image_info *info = &outcome.image.info;
    assert_true(cella_is_ok(cella_elf_at(outcome.image.segments, outcome.image.segment_count,
                                         info->program_offset, info->program_size, &at)));
    assert_true(cella_is_ok(cella_bytes_slice(outcome.image.file, at, info->program_size, &bytes)));
    assert_true(cella_is_ok(cella_program_description_take(bytes, &outcome.description, &part)));
    const struct cella_program_load code = cella_program_load_at(&outcome.description, 1);
    const struct cella_program_load data = cella_program_load_at(&outcome.description, 2);
    assert_int_equal(code.address + code.size, 0x402000);
    assert_int_equal(data.address, 0x402000);
    assert_int_equal(data.rights, 3);
    assert_int_equal(*at_address(&outcome, PROGRAM_DATA - 0x700, 1), 0x5A);
}

/* ------------------------------------------------------------------- refusals */

static void writable_code(struct make_elf *spec)
{
    spec->segments[1].flags = PF_R | PF_W | PF_X;
}

static void too_high(struct make_elf *spec)
{
    spec->segments[2].memory_size = CELLA_PROGRAM_KERNEL;
}

static void too_low(struct make_elf *spec)
{
    for (unsigned i = 0; i < spec->segment_count; i++) {
        spec->segments[i].address -= PROGRAM_START - 0x1000;
    }
    spec->symbol_count = 0;
}

static void out_of_order(struct make_elf *spec)
{
    struct make_segment last = spec->segments[2];
    spec->segments[2] = spec->segments[1];
    spec->segments[1] = last;
}

static void object_file(struct make_elf *spec)
{
    spec->type = ET_REL;
}

static void executable_stack(struct make_elf *spec)
{
    spec->headers[spec->header_count++] =
        (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W | PF_X};
}

static void needs_libraries(struct make_elf *spec)
{
    static Elf64_Dyn dynamic[2];
    dynamic[0] = (Elf64_Dyn){.d_tag = DT_NEEDED};
    memcpy((uint8_t *)spec->segments[2].data + 0x10, dynamic, sizeof(dynamic));
    spec->headers[spec->header_count++] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                                                       .p_vaddr = PROGRAM_DATA + 0x10,
                                                       .p_filesz = sizeof(dynamic),
                                                       .p_memsz = sizeof(dynamic)};
    spec->headers[spec->header_count++] = (Elf64_Phdr){
        .p_type = PT_INTERP, .p_vaddr = PROGRAM_START + 0x500, .p_filesz = 1, .p_memsz = 1};
}

static void refusals(void **state)
{
    static const struct {
        void (*change)(struct make_elf *spec);
        enum cella_code code;
        const char *words;
    } cases[] = {
        {writable_code, CELLA_CODE_UNSUPPORTED, "writable and executable"},
        {too_high, CELLA_CODE_OUT_OF_RANGE, "below 2^36"},
        {too_low, CELLA_CODE_OUT_OF_RANGE, "loaded in [0x10000, 2^36)"},
        {out_of_order, CELLA_CODE_OVERLAP, "out of order"},
        {object_file, CELLA_CODE_UNSUPPORTED, "type 1; expected a linked program"},
        {executable_stack, CELLA_CODE_UNSUPPORTED, "executable stack"},
        {needs_libraries, CELLA_CODE_UNSUPPORTED, "its interpreter, which was not given"},
    };
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
        struct cella_program_config config;
        struct make_elf spec;
        sample_program(&spec);
        sample_program_config(&config);
        cases[i].change(&spec);
        build_with(&outcome, &spec, NULL, &config);
        if (outcome.result.code != cases[i].code || !strstr(outcome.error.text, cases[i].words) ||
            strncmp(outcome.error.text, "program: ", 9) != 0) {
            fail_msg("case %zu: %s: '%s', expected '%s'", i, cella_result_text(outcome.result),
                     outcome.error.text, cases[i].words);
        }
    }
}

static void bad_configurations(void **state)
{
    static const struct cella_program_variable_config variables[] = {{.name = "A=B"}};
    static const struct cella_program_mount_config mounts[] = {
        {.target = "/a", .kind = CELLA_PROGRAM_MOUNT_HOST}};
    static const struct cella_program_file_config files[] = {{.path = "etc/motd"}};
    static const char *const words[] = {"the program's path", "one argument at least",
                                        "no name of a variable", "no folder of the host",
                                        "a measured file's path is 'etc/motd'"};
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(words); i++) {
        CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
        struct cella_program_config config;
        struct make_elf spec;
        sample_program(&spec);
        sample_program_config(&config);
        config.executable = i == 0 ? "hello" : config.executable;
        config.argument_count = i == 1 ? 0 : config.argument_count;
        config.environment = i == 2 ? variables : config.environment;
        config.mounts = i == 3 ? mounts : config.mounts;
        config.files = i == 4 ? files : config.files;
        build_with(&outcome, &spec, NULL, &config);
        assert_false(cella_is_ok(outcome.result));
        assert_non_null(strstr(outcome.error.text, words[i]));
    }
}

/* The reader checks what the enclave's range depends on. */
static void reader_refuses(void **state)
{
    static const struct {
        size_t at;
        uint64_t value;
    } cases[] = {
        {offsetof(struct cella_image_info, kernel_offset), CELLA_PROGRAM_KERNEL + 0x1000},
        {offsetof(struct cella_image_info, space_offset), 0},
        {offsetof(struct cella_image_info, space_size), CELLA_PROGRAM_KERNEL},
        {offsetof(struct cella_image_info, program_offset), PROGRAM_START},
        {offsetof(struct cella_image_info, program_size), 255},
        {offsetof(struct cella_image_info, program_size), 1u << 20},
        {offsetof(struct cella_image_info, thread_added), 4},
        {offsetof(struct cella_image_info, thread_added), 1},
        {offsetof(struct cella_image_info, thread_added), 1ull << 32},
    };
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer file = {0};
    struct cella_image image;
    struct cella_error error = {0};
    uint64_t at;

    (void)state;
    sample_program_image(&file);
    assert_true(cella_is_ok(cella_image_parse(cella_buffer_bytes(&file), &image, &error)));
    assert_true(cella_is_ok(cella_elf_at(image.segments, image.segment_count, image.info_offset,
                                         sizeof(image.info), &at)));
    for (size_t i = 0; i < CELLA_COUNT(cases); i++) {
        uint64_t good;
        memcpy(&good, file.data + at + cases[i].at, 8);
        memcpy(file.data + at + cases[i].at, &cases[i].value, 8);
        if (cella_is_ok(cella_image_parse(cella_buffer_bytes(&file), &image, &error))) {
            fail_msg("case %zu was taken", i);
        }
        memcpy(file.data + at + cases[i].at, &good, 8);
    }
    /* Without the flag the same image would be an enclave's, which starts at 0. */
    file.data[at + offsetof(struct cella_image_info, flags)] = 0;
    assert_false(cella_is_ok(cella_image_parse(cella_buffer_bytes(&file), &image, &error)));
}

/* Libraries among the files: what a mapping of them needs. */
static void patched_files(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer library = {0};
    struct cella_program_config config;
    struct make_elf spec;
    struct cella_program_file_config files[] = {
        {.path = "/lib/a.so", .mode = 0755},
        {.path = "/lib/b.so", .link = "a.so"},
        {.path = "/etc/text", .mode = 0644, .source = "text", .content = cella_bytes_of("text", 4)},
    };

    (void)state;
    sample_library(&spec);
    make_elf(&spec, &library);
    files[0].content = cella_buffer_bytes(&library);
    sample_program_config(&config);
    config.files = files;
    config.file_count = CELLA_COUNT(files);
    sample_program(&spec);
    build(&outcome, &spec, NULL, &config);
    assert_int_equal(outcome.report.file_site_count, 2);
    assert_int_equal(outcome.report.file_rewritten_count, 2);
    const struct cella_program_file first = cella_program_file_at(&outcome.description, 0);
    assert_int_equal(first.patches, 1);
    assert_int_equal(first.size, library.size);
    const struct cella_bytes content = cella_program_content(&outcome.description, &first);
    assert_memory_equal(content.data, library.data, library.size);
    const struct cella_program_patches patches = cella_program_patches_at(&outcome.description, 0);
    assert_int_equal(patches.span, 0x6000);
    assert_int_equal(patches.sites.count, 2);
    const struct cella_program_site site = cella_program_site_at(&outcome.description, &patches, 0);
    assert_int_equal(site.address, 0x1000);
    assert_int_equal(site.file_offset, 0x1000);
    assert_int_equal(site.size, 7);
    assert_int_equal(site.instruction, 5);
    assert_int_equal(site.entry, 5);
    assert_memory_equal(site.bytes, "\xE9\xFB\x4F\0\0\xCC\xCC", 7);
    const struct cella_bytes code = cella_program_trampolines(&outcome.description, &patches);
    assert_memory_equal(code.data, at_address(&outcome, PROGRAM_END, code.size), code.size);
    assert_int_equal(cella_program_file_at(&outcome.description, 1).patches, 0);
    const struct cella_program_file third = cella_program_file_at(&outcome.description, 2);
    assert_int_equal(third.size, 4);
    assert_int_equal(third.source.size, 4);
}

/* Few of many threads are in the image: the kernel makes the others. */
static void threads_added(void **state)
{
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    static struct cella_image_iterator iterator;
    struct cella_program_config config;
    struct cella_image_run run;
    struct make_elf spec;
    uint32_t tcs_count = 0;

    (void)state;
    sample_program(&spec);
    sample_program_config(&config);
    config.image.threads = 1;
    config.image.enclave_threads = 1000;
    build(&outcome, &spec, NULL, &config);
    assert_int_equal(outcome.image.info.thread_count, 1001);
    assert_int_equal(outcome.image.info.thread_added, 8);
    cella_image_iterator_init(&iterator, &outcome.image);
    while (cella_image_next(&iterator, &run)) {
        tcs_count += run.kind == CELLA_IMAGE_RUN_TCS;
    }
    assert_int_equal(tcs_count, 8);
}

/* The same bytes from the same input; MRENCLAVE of them is what the reader gives. */
static void reproducible(void **state)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer first = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer second = {0};
    struct cella_image image;
    struct cella_error error = {0};
    uint8_t measured[32];

    (void)state;
    sample_program_image(&first);
    sample_program_image(&second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    assert_true(cella_is_ok(cella_image_parse(cella_buffer_bytes(&first), &image, &error)));
    assert_true(cella_is_ok(cella_image_measure(&image, measured)));
}

/* ------------------------------------------------------------------- Go's table */

static void go_tables(void **state)
{
    static const uint32_t versions[] = {2, 16, 18, 20};
    static const char *const names[] = {"main.main", "runtime.futex", ""};
    static const uint64_t starts[] = {0, 0x40, 0x60, 0x80};
    (void)state;
    for (size_t i = 0; i < CELLA_COUNT(versions); i++) {
        CELLA_CLEANUP(cella_buffer_done) struct cella_buffer bytes = {0};
        struct cella_pclntab table;
        sample_pclntab(versions[i], &bytes);
        assert_true(cella_is_ok(cella_pclntab_parse(cella_buffer_bytes(&bytes), &table)));
        assert_int_equal(table.version, versions[i]);
        assert_int_equal(table.count, 3);
        for (uint32_t k = 0; k < 3; k++) {
            uint64_t start, end;
            const char *name;
            assert_true(cella_is_ok(cella_pclntab_function(&table, k, &start, &end, &name)));
            assert_int_equal(start, TABLE_TEXT + starts[k]);
            assert_int_equal(end, TABLE_TEXT + starts[k + 1]);
            assert_string_equal(name, names[k]);
        }
        uint64_t ignored;
        const char *name;
        assert_int_equal(cella_pclntab_function(&table, 3, &ignored, &ignored, &name).code,
                         CELLA_CODE_NOT_FOUND);
        /* Cut anywhere before the records, there is no table; behind, a function may lose its name. */
        const size_t whole =
            table.functions + 3 * (versions[i] >= 18 ? 8 : 16) + (versions[i] >= 18 ? 4 : 8);
        for (size_t size = 0; size < whole; size++) {
            assert_false(
                cella_is_ok(cella_pclntab_parse(cella_bytes_of(bytes.data, size), &table)));
        }
        assert_true(cella_is_ok(cella_pclntab_parse(cella_bytes_of(bytes.data, whole), &table)));
        bytes.data[6] = 4;
        assert_int_equal(cella_pclntab_parse(cella_buffer_bytes(&bytes), &table).code,
                         CELLA_CODE_BAD_MAGIC);
    }
}

/* A stripped Go program has its functions from the table alone. */
static void go_functions(void **state)
{
    (void)state;
    for (unsigned with_table = 0; with_table < 2; with_table++) {
        CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
        struct cella_program_config config;
        struct make_elf spec;
        sample_go(&spec, with_table);
        sample_program_config(&config);
        build(&outcome, &spec, NULL, &config);
        assert_int_equal(outcome.report.site_count, 1);
        assert_int_equal(outcome.report.rewritten_count, with_table);
    }
}

/* Without any table: what the entry calls is code, what nothing refers to is not. Nor is what two decodings see differently. */
static void followed_functions(void **state)
{
    static const uint8_t calls[2][13] = {
        {0xE8, 0x9B, 0xFF, 0xFF, 0xFF, 0xC3, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC},
        {0xE8, 0x9B, 0xFF, 0xFF, 0xFF, 0xE8, 0x97, 0xFF, 0xFF, 0xFF, 0xC3, 0xCC, 0xCC},
    };
    (void)state;
    for (unsigned disputed = 0; disputed < 2; disputed++) {
        CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
        struct cella_program_config config;
        struct make_elf spec;
        sample_program(&spec);
        sample_program_config(&config);
        spec.symbol_count = 0;
        spec.entry = PROGRAM_CODE + 0x80;
        memcpy(sample_program_code() + 0x80, calls[disputed], sizeof(calls[0]));
        build(&outcome, &spec, NULL, &config);
        assert_int_equal(outcome.report.site_count, 2);
        assert_int_equal(outcome.report.rewritten_count, disputed ? 0 : 1);
        assert_memory_equal(at_address(&outcome, PROGRAM_SITE, 2), "\x0F\x05", 2);
    }
}

/* ------------------------------------------------------------------- docs/formats/program.md */

static void document(void **state)
{
    static char text[1 << 16];
    static uint8_t bytes[4096];
    CELLA_CLEANUP(outcome_done) struct outcome outcome = {0};
    struct cella_program_config config;
    struct make_elf spec;
    size_t count = 0;

    (void)state;
    FILE *file = fopen(DOCS_FORMATS "/program.md", "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    sample_program(&spec);
    sample_program_config(&config);
    build(&outcome, &spec, NULL, &config);
    const char *at = strstr(text, "```hex description");
    assert_non_null(at);
    for (at = strchr(at, '\n') + 1; strncmp(at, "```", 3) != 0; at = strchr(at, '\n') + 1) {
        char *end;
        assert_int_equal(strtoul(at, &end, 16), count);
        for (const char *line_end = strchr(at, '\n'); end < line_end && *end == ' ';) {
            assert_true(count < sizeof(bytes));
            bytes[count++] = (uint8_t)strtoul(end, &end, 16);
        }
    }
    assert_int_equal(count, outcome.description.bytes.size);
    assert_memory_equal(bytes, outcome.description.bytes.data, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(trampolines),
        cmocka_unit_test(targets),
        cmocka_unit_test(no_targets),
        cmocka_unit_test(position_independent),
        cmocka_unit_test(static_pie),
        cmocka_unit_test(with_interpreter),
        cmocka_unit_test(shared_page),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(reader_refuses),
        cmocka_unit_test(patched_files),
        cmocka_unit_test(reproducible),
        cmocka_unit_test(threads_added),
        cmocka_unit_test(go_tables),
        cmocka_unit_test(go_functions),
        cmocka_unit_test(followed_functions),
        cmocka_unit_test(document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
