/*
 * A small kernel and small programs, written by the tests themselves.
 * Side: tests. Called by tests/program and by the corpus writer. Never reads a file.
 */
#include "tests/program/sample.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/image/samples.h"

static uint8_t g_head[0x200];
static uint8_t g_code[0x100];
static uint8_t g_data[0x110];

uint8_t *sample_program_code(void)
{
    return g_code;
}

void sample_kernel(struct cella_buffer *ret_file)
{
    struct make_elf spec;
    Elf64_Rela rela;
    Elf64_Dyn table;

    sample_elf(&spec);
    spec.entry = SAMPLE_ENTRY + CELLA_PROGRAM_KERNEL;
    for (unsigned i = 0; i < spec.segment_count; i++) {
        spec.segments[i].address += CELLA_PROGRAM_KERNEL;
    }
    for (unsigned i = 0; i < spec.header_count; i++) {
        spec.headers[i].p_vaddr += CELLA_PROGRAM_KERNEL;
    }
    for (unsigned i = 0; i < spec.section_count; i++) {
        spec.sections[i].address += CELLA_PROGRAM_KERNEL;
    }
    for (unsigned i = 0; i < spec.symbol_count; i++) {
        spec.symbols[i].address += CELLA_PROGRAM_KERNEL;
    }
    uint8_t *head = (uint8_t *)spec.segments[0].data + (SAMPLE_RELA - MAKE_ELF_HEADERS_SIZE);
    uint8_t *dynamic = (uint8_t *)spec.segments[2].data + (SAMPLE_DYNAMIC - SAMPLE_DATA);
    memcpy(&rela, head, sizeof(rela));
    rela.r_offset += CELLA_PROGRAM_KERNEL;
    rela.r_addend += (int64_t)CELLA_PROGRAM_KERNEL;
    memcpy(head, &rela, sizeof(rela));
    memcpy(&table, dynamic, sizeof(table));
    table.d_un.d_val += CELLA_PROGRAM_KERNEL;
    memcpy(dynamic, &table, sizeof(table));
    make_elf(&spec, ret_file);
}

void sample_program(struct make_elf *spec)
{
    static const uint8_t get_pid[] = {0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0xC3};
    static const uint8_t child[] = {0x41, 0x5C, 0x0F, 0x05, 0x41, 0x54, 0xC3};

    memset(g_head, 0, sizeof(g_head));
    memset(g_code, 0xCC, sizeof(g_code));
    memcpy(g_code, get_pid, sizeof(get_pid));
    memcpy(g_code + (PROGRAM_CHILD - PROGRAM_CODE), child, sizeof(child));
    memset(g_data, 0, sizeof(g_data));
    *spec = (struct make_elf){
        .type = ET_EXEC,
        .entry = PROGRAM_CODE,
        .segments =
            {
                {.address = PROGRAM_START,
                 .flags = PF_R,
                 .data = g_head,
                 .data_size = sizeof(g_head)},
                {.address = PROGRAM_CODE,
                 .flags = PF_R | PF_X,
                 .data = g_code,
                 .data_size = sizeof(g_code)},
                {.address = PROGRAM_DATA,
                 .flags = PF_R | PF_W,
                 .data = g_data,
                 .data_size = sizeof(g_data),
                 .memory_size = 0x2800},
            },
        .segment_count = 3,
        .symbols =
            {
                {"get_pid", PROGRAM_CODE, 8, STT_FUNC, 1},
                {"child", PROGRAM_CHILD, 7, STT_FUNC, 1},
            },
        .symbol_count = 2,
    };
}

void sample_library(struct make_elf *spec)
{
    const Elf64_Rela rela = {
        .r_offset = PROGRAM_DATA - LIBRARY_SHIFT,
        .r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE),
        .r_addend = PROGRAM_CODE - LIBRARY_SHIFT,
    };
    const Elf64_Dyn dynamic[] = {
        {.d_tag = DT_RELA, .d_un.d_val = MAKE_ELF_HEADERS_SIZE},
        {.d_tag = DT_RELASZ, .d_un.d_val = sizeof(rela)},
        {.d_tag = DT_RELAENT, .d_un.d_val = sizeof(rela)},
        {.d_tag = DT_NULL},
    };

    sample_program(spec);
    spec->type = ET_DYN;
    spec->entry -= LIBRARY_SHIFT;
    for (unsigned i = 0; i < spec->segment_count; i++) {
        spec->segments[i].address -= LIBRARY_SHIFT;
    }
    for (unsigned i = 0; i < spec->symbol_count; i++) {
        spec->symbols[i].address -= LIBRARY_SHIFT;
    }
    memcpy(g_head, &rela, sizeof(rela));
    memcpy(g_data + 0x10, dynamic, sizeof(dynamic));
    spec->headers[spec->header_count++] = (Elf64_Phdr){
        .p_type = PT_DYNAMIC,
        .p_flags = PF_R | PF_W,
        .p_vaddr = PROGRAM_DATA + 0x10 - LIBRARY_SHIFT,
        .p_filesz = sizeof(dynamic),
        .p_memsz = sizeof(dynamic),
    };
}

static void put(struct cella_buffer *buffer, uint64_t value, size_t size)
{
    if (!cella_is_ok(cella_buffer_append(buffer, &value, size))) {
        abort();
    }
}

void sample_pclntab(uint32_t version, struct cella_buffer *ret_table)
{
    static const uint64_t starts[] = {0, 0x40, 0x60, 0x80};
    static const char names[] = "\0main.main\0runtime.futex";
    const uint32_t name_at[] = {1, 11, 0xFFFF};
    const bool small = version >= 18;
    const uint32_t magic = version == 2    ? 0xFFFFFFFB
                           : version == 16 ? 0xFFFFFFFA
                           : version == 18 ? 0xFFFFFFF0
                                           : 0xFFFFFFF1;
    const uint64_t words = version == 2 ? 0 : small ? 7 : 6; /* behind the count */
    const uint64_t header = 16 + words * 8;
    const uint64_t names_at = version == 2 ? 0 : header;
    const uint64_t table = version == 2 ? 16 : header + 32;
    const uint64_t entry = small ? 8 : 16;
    const uint64_t record =
        3 * entry + entry / 2 + (version == 2 ? 16 : 0); /* of the table's start */

    *ret_table = (struct cella_buffer){0};
    put(ret_table, magic, 4);
    put(ret_table, 0x08010000, 4);
    put(ret_table, 3, 8);
    if (version != 2) {
        put(ret_table, 1, 8); /* files */
        put(ret_table, TABLE_TEXT, small ? 8 : 0);
        put(ret_table, names_at, 8);
        put(ret_table, 0, 8);
        put(ret_table, 0, 8);
        put(ret_table, 0, 8);
        put(ret_table, table, 8);
        if (!cella_is_ok(cella_buffer_append(ret_table, names, sizeof(names))) ||
            !cella_is_ok(cella_buffer_grow(ret_table, table))) {
            abort();
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        put(ret_table, starts[i] + (small ? 0 : TABLE_TEXT), entry / 2);
        if (i < 3) {
            put(ret_table, record + i * 16, entry / 2);
        }
    }
    /* Records: the function's address and its name's offset; those of 1.2 count from the header. */
    if (!cella_is_ok(cella_buffer_grow(ret_table, (version == 2 ? 0 : table) + record))) {
        abort();
    }
    for (unsigned i = 0; i < 3; i++) {
        put(ret_table, starts[i], small ? 4 : 8);
        put(ret_table, version == 2 && i < 2 ? record + 48 + name_at[i] : name_at[i], 4);
        put(ret_table, 0, small ? 8 : 4);
    }
    if (version == 2 && !cella_is_ok(cella_buffer_append(ret_table, names, sizeof(names)))) {
        abort();
    }
}

void sample_go(struct make_elf *spec, bool with_table)
{
    static const uint8_t futex[] = {0xB8, 0xCA, 0, 0, 0, 0x0F, 0x05, 0xC3};
    struct cella_buffer table;

    sample_program(spec);
    spec->symbol_count = 0;
    spec->entry = PROGRAM_CODE + 0x80; /* another than those functions */
    memset(g_code, 0x90, 0x80);
    memcpy(g_code + 0x40, futex, sizeof(futex));
    sample_pclntab(20, &table);
    memcpy(g_data + 0x10, table.data, table.size);
    spec->sections[spec->section_count++] = (struct make_section){
        .name = with_table ? ".gopclntab" : ".other",
        .type = SHT_PROGBITS,
        .flags = SHF_ALLOC,
        .address = PROGRAM_DATA + 0x10,
        .size = table.size,
    };
    cella_buffer_done(&table);
}

void sample_program_config(struct cella_program_config *ret_config)
{
    static const char *const arguments[] = {"/hello", "-v"};
    static const struct cella_program_variable_config environment[] = {
        {.name = "LANG", .value = "C", .from_host = true}};
    static const struct cella_program_mount_config mounts[] = {
        {.target = "/data", .source = "state", .kind = CELLA_PROGRAM_MOUNT_ENCRYPTED}};
    static const struct cella_program_file_config files[] = {
        {.path = "/etc/motd", .content = {(const uint8_t *)"hi\n", 3}, .mode = 0644}};
    static const char *const hosts[] = {"example.org"};

    *ret_config = (struct cella_program_config){
        .executable = "/hello",
        .arguments = arguments,
        .argument_count = 2,
        .arguments_from_host = true,
        .stack_size = 1u << 20,
        .environment = environment,
        .environment_count = 1,
        .mounts = mounts,
        .mount_count = 1,
        .files = files,
        .file_count = 1,
        .hosts = hosts,
        .host_count = 1,
    };
    sample_config(&ret_config->image);
}

void sample_program_image(struct cella_buffer *ret_file)
{
    struct cella_buffer kernel, program;
    struct cella_program_config config;
    struct cella_program_report report = {0};
    struct cella_error error = {0};
    struct make_elf spec;

    sample_kernel(&kernel);
    sample_program(&spec);
    make_elf(&spec, &program);
    sample_program_config(&config);
    *ret_file = (struct cella_buffer){0};
    if (!cella_is_ok(cella_program_build(cella_buffer_bytes(&kernel), cella_buffer_bytes(&program),
                                         (struct cella_bytes){0}, &config, &report, ret_file,
                                         &error))) {
        fprintf(stderr, "sample program: %s\n", error.text);
        abort();
    }
    cella_buffer_done(&kernel);
    cella_buffer_done(&program);
}
