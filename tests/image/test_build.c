/*
 * What the signer refuses, each with its own error, and that its output depends on nothing but its
 * input. Side: tests. Run by meson. Needs no other file than the test key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "image/build.h"
#include "image/elf64.h"
#include "tests/image/samples.h"

static cella_result build(const struct make_elf *spec, const struct cella_image_config *config,
                          struct cella_buffer *ret_output, struct cella_error *error)
{
    struct cella_buffer input;
    struct cella_image_build state = {0};

    *ret_output = (struct cella_buffer){0};
    make_elf(spec, &input);
    cella_result result =
        cella_image_build(cella_buffer_bytes(&input), config, &state, ret_output, error);
    cella_buffer_done(&input);
    return result;
}

static Elf64_Dyn g_dynamic[8];
static Elf64_Rela g_rela;

/* Puts a tag before the end of the dynamic section, which has room for five more. */
static void add_tag(struct make_elf *spec, int64_t tag, uint64_t value)
{
    uint8_t *data = (uint8_t *)spec->segments[2].data + (SAMPLE_DYNAMIC - SAMPLE_DATA);
    memcpy(g_dynamic, data, sizeof(g_dynamic));
    g_dynamic[3] = (Elf64_Dyn){.d_tag = tag, .d_un.d_val = value};
    g_dynamic[4] = (Elf64_Dyn){.d_tag = DT_NULL};
    memcpy(data, g_dynamic, sizeof(g_dynamic));
    spec->headers[0].p_filesz = spec->headers[0].p_memsz = sizeof(g_dynamic);
}

static void set_rela(struct make_elf *spec, uint64_t offset, uint32_t type)
{
    uint8_t *head = (uint8_t *)spec->segments[0].data;
    g_rela = (Elf64_Rela){.r_offset = offset, .r_info = ELF64_R_INFO(0, type)};
    memcpy(head + SAMPLE_RELA - MAKE_ELF_HEADERS_SIZE, &g_rela, sizeof(g_rela));
}

static void executable_stack(struct make_elf *spec)
{
    spec->headers[spec->header_count++] =
        (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W | PF_X};
}

static void writable_code(struct make_elf *spec)
{
    spec->segments[1].flags = PF_R | PF_W | PF_X;
}

static void execute_only(struct make_elf *spec)
{
    spec->segments[1].flags = PF_X;
}

static void executable_file(struct make_elf *spec)
{
    spec->type = ET_EXEC;
}

static void needed(struct make_elf *spec)
{
    add_tag(spec, DT_NEEDED, 1);
}

static void text_relocations(struct make_elf *spec)
{
    add_tag(spec, DT_TEXTREL, 0);
}

static void text_relocations_flag(struct make_elf *spec)
{
    add_tag(spec, DT_FLAGS, DF_TEXTREL);
}

static void packed_relocations(struct make_elf *spec)
{
    add_tag(spec, 36, 0x600);
}

static void rel(struct make_elf *spec)
{
    add_tag(spec, DT_REL, 0x600);
}

static void relocation_type(struct make_elf *spec)
{
    set_rela(spec, 0x3100, R_X86_64_COPY);
}

/* Symbol 0 is the null symbol, 1 the first of the sample's. */
static void set_symbolic(struct make_elf *spec, uint32_t symbol, uint32_t type, int64_t addend)
{
    uint8_t *head = (uint8_t *)spec->segments[0].data;
    g_rela = (Elf64_Rela){.r_offset = SAMPLE_DATA + 0xC0,
                          .r_info = ELF64_R_INFO((uint64_t)symbol, type),
                          .r_addend = addend};
    memcpy(head + SAMPLE_RELA - MAKE_ELF_HEADERS_SIZE, &g_rela, sizeof(g_rela));
    memset((uint8_t *)spec->segments[2].data + 0xC0, 0x77, 8);
}

static void relocation_of_no_symbol(struct make_elf *spec)
{
    set_symbolic(spec, 999, R_X86_64_GLOB_DAT, 0);
}

static void relocation_of_missing_tls(struct make_elf *spec)
{
    spec->symbols[spec->symbol_count++] = (struct make_symbol){"t", 0, 4, STT_TLS | MAKE_WEAK, 0};
    set_symbolic(spec, spec->symbol_count, R_X86_64_TPOFF64, 0);
}

static void relocation_of_tls(struct make_elf *spec)
{
    spec->symbols[spec->symbol_count++] = (struct make_symbol){"t", 0x10, 4, STT_TLS, 1};
    set_symbolic(spec, spec->symbol_count, R_X86_64_64, 0);
}

static void relocation_of_code(struct make_elf *spec)
{
    set_rela(spec, SAMPLE_CODE, R_X86_64_RELATIVE);
}

static void relocation_outside(struct make_elf *spec)
{
    set_rela(spec, 0x9000, R_X86_64_RELATIVE);
}

static void relocation_at_the_edge(struct make_elf *spec)
{
    set_rela(spec, SAMPLE_DATA + 0x1800 - 7, R_X86_64_RELATIVE);
}

static void undefined(struct make_elf *spec)
{
    spec->symbols[spec->symbol_count++] = (struct make_symbol){"printf", 0, 0, STT_FUNC, 0};
}

static void no_entry(struct make_elf *spec)
{
    spec->symbols[0].name = "main";
}

static void entry_in_data(struct make_elf *spec)
{
    spec->symbols[0].address = SAMPLE_DATA;
}

static void elf_entry_in_data(struct make_elf *spec)
{
    spec->entry = SAMPLE_DATA;
}

static void syscall_entry_in_data(struct make_elf *spec)
{
    spec->symbols[1].address = SAMPLE_DATA;
}

static void no_info(struct make_elf *spec)
{
    spec->sections[0].name = ".rodata";
}

static void info_too_small(struct make_elf *spec)
{
    spec->sections[0].size = 256;
}

static void info_writable(struct make_elf *spec)
{
    spec->sections[0].address = SAMPLE_DATA;
}

static void info_filled(struct make_elf *spec)
{
    ((uint8_t *)spec->segments[0].data)[32] = 1;
}

static void open_enclave(struct make_elf *spec)
{
    spec->sections[0].name = ".oeinfo";
}

static void overlap(struct make_elf *spec)
{
    spec->segments[1].memory_size = 0x1000 + 0xFF0;
}

static void out_of_order(struct make_elf *spec)
{
    struct make_segment code = spec->segments[1];
    spec->segments[1] = spec->segments[2];
    spec->segments[2] = code;
}

static const struct {
    const char *what;
    void (*change)(struct make_elf *spec);
    enum cella_code code;
    const char *says; /* part of the error */
} g_refused[] = {
    {"executable stack", executable_stack, CELLA_CODE_UNSUPPORTED, "executable stack"},
    {"W+X segment", writable_code, CELLA_CODE_UNSUPPORTED, "writable and executable"},
    {"execute-only segment", execute_only, CELLA_CODE_UNSUPPORTED, "not readable"},
    {"ET_EXEC", executable_file, CELLA_CODE_UNSUPPORTED, "ET_DYN"},
    {"DT_NEEDED", needed, CELLA_CODE_UNSUPPORTED, "DT_NEEDED"},
    {"DT_TEXTREL", text_relocations, CELLA_CODE_UNSUPPORTED, "DT_TEXTREL"},
    {"DF_TEXTREL", text_relocations_flag, CELLA_CODE_UNSUPPORTED, "DF_TEXTREL"},
    {"DT_RELR", packed_relocations, CELLA_CODE_UNSUPPORTED, "DT_RELR"},
    {"DT_REL", rel, CELLA_CODE_UNSUPPORTED, "DT_REL:"},
    {"relocation type", relocation_type, CELLA_CODE_UNSUPPORTED, "has type 5"},
    {"relocation of no symbol", relocation_of_no_symbol, CELLA_CODE_BAD_FIELD, "symbol 999"},
    {"relocation of a missing TLS symbol", relocation_of_missing_tls, CELLA_CODE_UNSUPPORTED,
     "no such thread-local"},
    {"relocation of a TLS symbol", relocation_of_tls, CELLA_CODE_UNSUPPORTED, "no ordinary symbol"},
    {"text relocation", relocation_of_code, CELLA_CODE_UNSUPPORTED, "read-only segment"},
    {"relocation outside", relocation_outside, CELLA_CODE_BAD_FIELD, "in no segment"},
    {"relocation at the edge", relocation_at_the_edge, CELLA_CODE_BAD_FIELD, "in no segment"},
    {"undefined symbol", undefined, CELLA_CODE_UNSUPPORTED, "printf is undefined"},
    {"no entry symbol", no_entry, CELLA_CODE_NOT_FOUND, "cella_enclave_entry not found"},
    {"entry in data", entry_in_data, CELLA_CODE_BAD_FIELD, "cella_enclave_entry at 0x2ff0"},
    {"ELF entry in data", elf_entry_in_data, CELLA_CODE_BAD_FIELD, "ELF entry 0x2ff0"},
    {"syscall entry in data", syscall_entry_in_data, CELLA_CODE_BAD_FIELD, "cella_syscall_entry"},
    {"no information object", no_info, CELLA_CODE_NOT_FOUND, ".cella.info not found"},
    {"information object small", info_too_small, CELLA_CODE_BAD_FIELD, "256 bytes"},
    {"information object writable", info_writable, CELLA_CODE_BAD_FIELD, "read-only segment"},
    {"signed already", info_filled, CELLA_CODE_WRONG_STATE, "filled already"},
    {"another SDK's", open_enclave, CELLA_CODE_UNSUPPORTED, "another SDK"},
    {"overlap", overlap, CELLA_CODE_OVERLAP, "shares a page"},
    {"out of order", out_of_order, CELLA_CODE_OVERLAP, "out of order"},
};

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(g_refused) / sizeof(g_refused[0]); i++) {
        struct make_elf spec;
        struct cella_image_config config;
        struct cella_buffer output;
        struct cella_error error = {0};

        sample_config(&config);
        sample_elf(&spec);
        g_refused[i].change(&spec);
        cella_result result = build(&spec, &config, &output, &error);
        print_message("%s: %s\n", g_refused[i].what, error.text);
        assert_int_equal(result.code, g_refused[i].code);
        assert_non_null(strstr(error.text, g_refused[i].says));
        cella_buffer_done(&output);
    }
}

static void same_input_same_bytes(void **state)
{
    struct cella_buffer first;
    struct cella_buffer second;

    (void)state;
    sample_cella(&first, false);
    sample_cella(&second, false);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    cella_buffer_done(&first);
    cella_buffer_done(&second);
}

/* Section and program headers of the result name the additions. */
static void additions_are_visible(void **state)
{
    struct cella_buffer file;
    struct cella_elf elf;
    Elf64_Shdr section;
    struct cella_bytes bytes;
    struct cella_error error = {0};
    unsigned loads = 0;

    (void)state;
    sample_cella(&file, false);
    assert_true(cella_is_ok(cella_elf_parse(cella_buffer_bytes(&file), &elf, &error)));
    assert_true(cella_is_ok(cella_elf_section_find(&elf, CELLA_IMAGE_NOTE_SECTION, &section)));
    assert_true(cella_is_ok(cella_elf_section_bytes(&elf, &section, &bytes)));
    assert_ptr_equal(bytes.data + bytes.size, file.data + file.size);
    assert_int_equal(bytes.size, sizeof(struct cella_image_note));
    assert_true(cella_is_ok(cella_elf_section_find(&elf, ".cella.text", &section)));
    assert_int_equal(section.sh_addr, SAMPLE_IMAGE_END + 400); /* behind seven headers */
    for (unsigned i = 0; i < elf.header.e_phnum; i++) {
        Elf64_Phdr phdr;
        assert_true(cella_is_ok(cella_elf_phdr(&elf, i, &phdr)));
        assert_true(phdr.p_type != PT_LOAD || (phdr.p_flags & (PF_W | PF_X)) != (PF_W | PF_X));
        loads += phdr.p_type == PT_LOAD;
    }
    assert_int_equal(loads, 4);
    cella_buffer_done(&file);
}

static uint64_t file_offset_of_data(const struct cella_buffer *file)
{
    struct cella_elf elf;
    struct cella_error error = {0};
    Elf64_Phdr phdr = {0};
    assert_true(cella_is_ok(cella_elf_parse(cella_buffer_bytes(file), &elf, &error)));
    for (unsigned i = 0; i < elf.header.e_phnum; i++) {
        assert_true(cella_is_ok(cella_elf_phdr(&elf, i, &phdr)));
        if (phdr.p_type == PT_LOAD && phdr.p_vaddr == SAMPLE_DATA) {
            return phdr.p_offset;
        }
    }
    fail();
    return 0;
}

/* 20 bytes of thread-local variables, aligned to 16: the block that ends at the thread pointer. */
#define TLS_BLOCK 32

/* A static libc's start code cannot do them: the words are what they are in a program without libraries. */
static void thread_locals_are_settled(void **state)
{
    static const struct {
        uint32_t symbol, type;
        int64_t addend;
        uint64_t word;
    } cases[] = {
        {1, R_X86_64_TPOFF64, 4, 0x10 + 4 - TLS_BLOCK},
        {0, R_X86_64_TPOFF64, 8, 8 - TLS_BLOCK},
        {1, R_X86_64_DTPOFF64, 4, 0x14},
        {0, R_X86_64_DTPMOD64, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct make_elf spec;
        struct cella_image_config config;
        struct cella_buffer output;
        struct cella_error error = {0};
        uint64_t word = 0;

        sample_config(&config);
        sample_elf(&spec);
        for (size_t h = 0; h < spec.header_count; h++) {
            if (spec.headers[h].p_type == PT_TLS) {
                spec.headers[h].p_memsz = 20;
                spec.headers[h].p_align = 16;
            }
        }
        spec.symbols[spec.symbol_count++] = (struct make_symbol){"t", 0x10, 4, STT_TLS, 1};
        set_symbolic(&spec, cases[i].symbol ? spec.symbol_count : 0, cases[i].type,
                     cases[i].addend);
        assert_true(cella_is_ok(build(&spec, &config, &output, &error)));
        memcpy(&g_rela, output.data + SAMPLE_RELA, sizeof(g_rela));
        assert_int_equal(g_rela.r_info, R_X86_64_NONE);
        memcpy(&word, output.data + file_offset_of_data(&output) + 0xC0, sizeof(word));
        assert_int_equal(word, cases[i].word);
        cella_buffer_done(&output);
    }
}

/* What a link without -static-pie leaves: an interpreter's name, relocations that name symbols. */
static void symbols_are_settled(void **state)
{
    static const struct {
        const char *what;
        bool defined;
        uint32_t type;
        int64_t addend;
        uint32_t becomes;
        int64_t value;
    } cases[] = {
        {"GLOB_DAT", true, R_X86_64_GLOB_DAT, 5, R_X86_64_RELATIVE, SAMPLE_DATA + 0x40},
        {"JUMP_SLOT", true, R_X86_64_JUMP_SLOT, 0, R_X86_64_RELATIVE, SAMPLE_DATA + 0x40},
        {"64", true, R_X86_64_64, 8, R_X86_64_RELATIVE, SAMPLE_DATA + 0x48},
        {"weak GLOB_DAT", false, R_X86_64_GLOB_DAT, 0, R_X86_64_NONE, 0},
        {"weak 64", false, R_X86_64_64, 16, R_X86_64_NONE, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct make_elf spec;
        struct cella_image_config config;
        struct cella_buffer output;
        struct cella_error error = {0};
        const uint64_t zero = 0;
        uint64_t word = 1;

        print_message("%s\n", cases[i].what);
        sample_config(&config);
        sample_elf(&spec);
        spec.headers[spec.header_count++] = (Elf64_Phdr){.p_type = PT_INTERP, .p_vaddr = 0x700};
        spec.symbols[spec.symbol_count++] =
            (struct make_symbol){"own", cases[i].defined ? SAMPLE_DATA + 0x40 : 0, 8,
                                 STT_OBJECT | (cases[i].defined ? 0 : MAKE_WEAK), cases[i].defined};
        set_symbolic(&spec, spec.symbol_count, cases[i].type, cases[i].addend);
        assert_true(cella_is_ok(build(&spec, &config, &output, &error)));
        memcpy(&g_rela, output.data + SAMPLE_RELA, sizeof(g_rela));
        assert_int_equal(ELF64_R_TYPE(g_rela.r_info), cases[i].becomes);
        assert_int_equal(ELF64_R_SYM(g_rela.r_info), 0);
        assert_int_equal(g_rela.r_addend, cases[i].value);
        memcpy(&word, output.data + file_offset_of_data(&output) + 0xC0, sizeof(word));
        assert_true(cases[i].defined || word == zero);
        cella_buffer_done(&output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(symbols_are_settled),
        cmocka_unit_test(thread_locals_are_settled),
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(additions_are_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
