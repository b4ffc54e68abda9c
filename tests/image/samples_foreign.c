/*
 * Small Open Enclave and Intel images with their MRENCLAVE from the oracle: the page orders once
 * more, written plainly from the formats' descriptions, on an in-memory image. Side: tests. Called
 * by tests/image and by the corpus writer. Shares nothing with image/openenclave.c and
 * image/intel.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/image/oracle.h"
#include "tests/image/samples.h"

#define R 0x201u
#define RX 0x205u
#define RW 0x203u
#define TCS 0x100u
#define PAGE 4096u

static uint8_t g_memory[16 * PAGE];
static uint8_t g_head[0xC00];
static uint8_t g_code[0x40];
static uint8_t g_data[0x200];

static void put(void *base, uint64_t at, uint64_t value, size_t size)
{
    memcpy((uint8_t *)base + at, &value, size);
}

static void sign(struct sgx_sigstruct *sigstruct, const uint8_t hash[32])
{
    struct cella_image_config config;
    struct cella_key key;
    struct cella_error error = {0};

    sample_config(&config);
    sample_key(&key);
    cella_sigstruct_fill(&config, hash, 0x20260102, sigstruct);
    if (!cella_is_ok(cella_sigstruct_sign(sigstruct, &key, &error))) {
        abort();
    }
    cella_key_done(&key);
}

/* R head, RX code at 0x1000, RW data at 0x2F00 with zeros up to 0x4100: five pages. */
static void base_spec(struct make_elf *spec)
{
    for (size_t i = 0; i < sizeof(g_data); i++) {
        g_data[i] = (uint8_t)(i * 11 + 1);
    }
    memset(g_code, 0x90, sizeof(g_code));
    memset(g_head, 0, sizeof(g_head));
    *spec = (struct make_elf){
        .type = ET_DYN,
        .entry = 0x1000,
        .segments =
            {
                {.address = 0, .flags = PF_R, .data = g_head, .data_size = sizeof(g_head)},
                {.address = 0x1000,
                 .flags = PF_R | PF_X,
                 .data = g_code,
                 .data_size = sizeof(g_code)},
                {.address = 0x2F00,
                 .flags = PF_R | PF_W,
                 .data = g_data,
                 .data_size = sizeof(g_data),
                 .memory_size = 0x1200},
            },
        .segment_count = 3,
    };
}

/* The segments as they stand in memory before any loader's change. */
static void load(const struct cella_buffer *file)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file->data;
    const Elf64_Phdr *phdr = (const Elf64_Phdr *)(file->data + header->e_phoff);

    memset(g_memory, 0, sizeof(g_memory));
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (phdr[i].p_type == PT_LOAD) {
            memcpy(g_memory + phdr[i].p_vaddr, file->data + phdr[i].p_offset, phdr[i].p_filesz);
        }
    }
}

static void log_segments(struct cella_buffer *log, uint64_t bias)
{
    oracle_page(log, bias, R, g_memory, 1);
    oracle_page(log, bias + 0x1000, RX, g_memory + 0x1000, 1);
    oracle_page(log, bias + 0x2000, RW, g_memory + 0x2000, 1);
    oracle_page(log, bias + 0x3000, RW, g_memory + 0x3000, 1);
    oracle_page(log, bias + 0x4000, RW, g_memory + 0x4000, 1);
}

#define OE_INFO_AT 0x400u
#define OE_RELA_AT 0xC00u
#define OE_SYMBOLS_AT 0x3000u
#define OE_START 0x10000u

static const char *const g_oe_symbols[] = {"_enclave_rva", "_reloc_rva",  "_reloc_size",
                                           "_tdata_rva",   "_tdata_size", "_tdata_align",
                                           "_tbss_size",   "_tbss_align", "_td_from_tcs_offset"};

/* One heap page, two stack pages, two threads, one page of thread-local data. */
static void oe_spec(struct make_elf *spec, bool zero_base)
{
    static Elf64_Rela rela[2];

    base_spec(spec);
    rela[0] = (Elf64_Rela){.r_offset = 0x3100, .r_info = R_X86_64_RELATIVE, .r_addend = 0x1000};
    rela[1] = (Elf64_Rela){.r_offset = 0x3108, .r_info = ELF64_R_INFO(10, R_X86_64_TPOFF64)};
    uint8_t *info = g_head + OE_INFO_AT - MAKE_ELF_HEADERS_SIZE;
    put(info, 0, 1960, 4);
    put(info, 4, 2, 4);
    put(info, 8, 1, 8);
    put(info, 16, 2, 8);
    put(info, 24, 2, 8);
    put(info, 32, 7, 2);
    put(info, 34, 3, 2);
    put(info, 36, zero_base ? 2 : 0, 4);
    put(info, 72, 4, 8);
    put(info, 88, zero_base ? OE_START : 0, 8);
    put(info, 1952, 0xECECECECECECECECull, 8);
    memcpy(g_head + OE_RELA_AT - MAKE_ELF_HEADERS_SIZE, rela, sizeof(rela));
    spec->headers[spec->header_count++] = (Elf64_Phdr){
        .p_type = PT_TLS, .p_vaddr = 0x2F00, .p_filesz = 12, .p_memsz = 52, .p_align = 16};
    spec->sections[spec->section_count++] = (struct make_section){
        .name = ".oeinfo", .type = SHT_PROGBITS, .address = OE_INFO_AT, .size = 1960};
    spec->sections[spec->section_count++] = (struct make_section){
        .name = ".rela.dyn", .type = SHT_RELA, .address = OE_RELA_AT, .size = sizeof(rela)};
    spec->sections[spec->section_count++] = (struct make_section){
        .name = ".tdata", .type = SHT_PROGBITS, .address = 0x2F00, .size = 12, .alignment = 8};
    spec->sections[spec->section_count++] = (struct make_section){
        .name = ".tbss", .type = SHT_NOBITS, .address = 0x2F0C, .size = 36, .alignment = 4};
    for (unsigned i = 0; i < 9; i++) {
        spec->symbols[spec->symbol_count++] =
            (struct make_symbol){g_oe_symbols[i], OE_SYMBOLS_AT + 8 * i, 8, STT_OBJECT, 1};
    }
    spec->symbols[spec->symbol_count++] = (struct make_symbol){"thread_local", 0x18, 8, STT_TLS, 1};
}

static void oe_log_thread(struct cella_buffer *log, uint64_t bias, uint64_t slot)
{
    static uint8_t stack[PAGE];
    static uint8_t tcs[PAGE];

    memset(stack, 0xCC, sizeof(stack));
    oracle_page(log, bias + slot + 1 * PAGE, RW, stack, 1);
    oracle_page(log, bias + slot + 2 * PAGE, RW, stack, 1);
    memset(tcs, 0, sizeof(tcs));
    put(tcs, 16, bias + slot + 5 * PAGE, 8);
    put(tcs, 28, 2, 4);
    put(tcs, 32, bias + 0x1000, 8);
    put(tcs, 48, bias + slot + 9 * PAGE, 8);
    put(tcs, 56, bias + slot + 9 * PAGE, 8);
    put(tcs, 64, UINT64_MAX, 8);
    oracle_page(log, bias + slot + 4 * PAGE, TCS, tcs, 1);
    oracle_page(log, bias + slot + 5 * PAGE, RW, NULL, 1);
    oracle_page(log, bias + slot + 6 * PAGE, RW, NULL, 1);
    oracle_page(log, bias + slot + 8 * PAGE, RW, NULL, 1);
    oracle_page(log, bias + slot + 9 * PAGE, RW, NULL, 1);
}

void sample_open_enclave(struct cella_buffer *ret_file, uint8_t ret_mr_enclave[32], bool zero_base)
{
    /* five image pages, one of relocations, one of heap, two slots of ten pages: 27, so 32 */
    const uint64_t size = 32 * PAGE;
    const uint64_t bias = zero_base ? OE_START : 0;
    const uint64_t values[9] = {OE_SYMBOLS_AT, 5 * PAGE, PAGE, 0x2F00, 12, 16, 36, 4, 5 * PAGE};
    struct make_elf spec;
    struct cella_buffer log = {0};
    struct sgx_sigstruct sigstruct;
    static uint8_t relocations[PAGE];

    oe_spec(&spec, zero_base);
    make_elf(&spec, ret_file);
    load(ret_file);
    for (unsigned i = 0; i < 9; i++) {
        put(g_memory, OE_SYMBOLS_AT + 8 * i, values[i], 8);
    }
    const uint64_t image_info[6] = {OE_INFO_AT, 1960, 5 * PAGE, PAGE, 6 * PAGE, size};
    memcpy(g_memory + OE_INFO_AT + 96, image_info, sizeof(image_info));
    memset(g_memory + OE_INFO_AT + 144, 0, 1808);
    memset(relocations, 0, sizeof(relocations));
    memcpy(relocations, g_memory + OE_RELA_AT, 48);
    put(relocations, 40, 0x18, 8);

    /* a zero-base ELRANGE has to hold 16 + 27 pages: 64 */
    oracle_create(&log, 1, zero_base ? 64 * PAGE : size);
    log_segments(&log, bias);
    oracle_page(&log, bias + 5 * PAGE, R, relocations, 1);
    oracle_page(&log, bias + 6 * PAGE, RW, NULL, 0);
    oe_log_thread(&log, bias, 7 * PAGE);
    oe_log_thread(&log, bias, 17 * PAGE);
    oracle_hash(&log, ret_mr_enclave);
    sign(&sigstruct, ret_mr_enclave);
    memcpy(ret_file->data + OE_INFO_AT + 144, &sigstruct, sizeof(sigstruct));
}

#define INTEL_NOTE_SIZE (25u + INTEL_METADATA_SIZE)
#define INTEL_METADATA_SIZE 4096u
#define INTEL_PATCHES_AT 1904u
#define INTEL_LAYOUT_AT 1968u
#define INTEL_TEMPLATE_AT 2304u
#define INTEL_SOURCE_AT 2400u
#define INTEL_CONTENT_AT 2464u

static uint8_t g_note[INTEL_NOTE_SIZE];

static void intel_row(unsigned index, uint16_t id, uint16_t attributes, uint32_t count,
                      uint64_t rva, uint32_t content_size, uint32_t content_offset, uint64_t flags)
{
    uint8_t *row = g_note + 25 + INTEL_LAYOUT_AT + 32 * index;
    put(row, 0, id, 2);
    put(row, 2, attributes, 2);
    put(row, 4, count, 4);
    put(row, 8, rva, 8);
    put(row, 16, content_size, 4);
    put(row, 20, content_offset, 4);
    put(row, 24, flags, 8);
}

/* Heap, then a thread (guard, stack, guard, TCS, SSA, TD) twice more by a group, then a row with
 * content. */
static void intel_note(void)
{
    uint8_t *metadata = g_note + 25;

    memset(g_note, 0, sizeof(g_note));
    put(g_note, 0, 13, 4);
    put(g_note, 4, INTEL_METADATA_SIZE, 4);
    put(g_note, 8, 1, 4);
    memcpy(g_note + 12, "sgx_metadata", 13);
    put(metadata, 0, 0x86A80294635D0E4Cull, 8);
    put(metadata, 8, 0x300000003ull, 8);
    put(metadata, 16, INTEL_METADATA_SIZE, 4);
    put(metadata, 24, 1, 4);
    put(metadata, 40, 64 * PAGE, 8);
    put(metadata, 48, 4, 8);
    put(metadata, 56, 3, 8);
    put(metadata, 1872, INTEL_PATCHES_AT, 4);
    put(metadata, 1876, 64, 4);
    put(metadata, 1880, INTEL_LAYOUT_AT, 4);
    put(metadata, 1884, 9 * 32, 4);
    /* one patch across the end of the data segment's file page, one over e_shoff */
    put(metadata + INTEL_PATCHES_AT, 0, 0x28, 8);
    put(metadata + INTEL_PATCHES_AT, 8, INTEL_SOURCE_AT + 32, 4);
    put(metadata + INTEL_PATCHES_AT, 12, 8, 4);
    put(metadata + INTEL_PATCHES_AT, 32, 0x2FF8, 8);
    put(metadata + INTEL_PATCHES_AT, 40, INTEL_SOURCE_AT, 4);
    put(metadata + INTEL_PATCHES_AT, 44, 16, 4);
    memset(metadata + INTEL_SOURCE_AT, 0xA5, 16);
    put(metadata + INTEL_TEMPLATE_AT, 16, PAGE, 8); /* OSSA relative to the TCS */
    put(metadata + INTEL_TEMPLATE_AT, 28, 2, 4);
    put(metadata + INTEL_TEMPLATE_AT, 32, 0x1000, 8);
    put(metadata + INTEL_TEMPLATE_AT, 48, 3 * PAGE, 8);
    put(metadata + INTEL_TEMPLATE_AT, 56, 3 * PAGE, 8);
    put(metadata + INTEL_TEMPLATE_AT, 64, UINT64_MAX, 8);
    memset(metadata + INTEL_CONTENT_AT, 0x77, 100);
    intel_row(0, 1, 1, 2, 5 * PAGE, 0, 0, RW);
    intel_row(1, 10, 0, 1, 7 * PAGE, 0, 0, 0);
    intel_row(2, 7, 3, 2, 8 * PAGE, 0xCCCCCCCC, 0, RW);
    intel_row(3, 4, 3, 1, 11 * PAGE, 72, INTEL_TEMPLATE_AT, TCS);
    intel_row(4, 6, 3, 2, 12 * PAGE, 0, 0, RW);
    intel_row(5, 5, 3, 1, 14 * PAGE, 0, 0, RW);
    intel_row(6, 0x1009, 5, 2, 10 * PAGE, 0, 0, 0);
    intel_row(7, 5, 3, 2, 40 * PAGE, 100, INTEL_CONTENT_AT, RW);
    intel_row(8, 10, 0, 22, 42 * PAGE, 0, 0, 0);
}

static void intel_log_thread(struct cella_buffer *log, uint64_t delta)
{
    static uint8_t stack[PAGE];
    static uint8_t tcs[PAGE];
    const uint64_t at = delta + 11 * PAGE;

    memset(stack, 0xCC, sizeof(stack));
    oracle_page(log, delta + 8 * PAGE, RW, stack, 1);
    oracle_page(log, delta + 9 * PAGE, RW, stack, 1);
    memset(tcs, 0, sizeof(tcs));
    put(tcs, 16, at + PAGE, 8);
    put(tcs, 28, 2, 4);
    put(tcs, 32, 0x1000, 8);
    put(tcs, 48, at + 3 * PAGE, 8);
    put(tcs, 56, at + 3 * PAGE, 8);
    put(tcs, 64, UINT64_MAX, 8);
    oracle_page(log, at, TCS, tcs, 1);
    oracle_page(log, delta + 12 * PAGE, RW, NULL, 1);
    oracle_page(log, delta + 13 * PAGE, RW, NULL, 1);
    oracle_page(log, delta + 14 * PAGE, RW, NULL, 1);
}

void sample_intel(struct cella_buffer *ret_file, uint8_t ret_mr_enclave[32])
{
    struct make_elf spec;
    struct cella_buffer log = {0};
    struct sgx_sigstruct sigstruct;
    static uint8_t content[PAGE];

    base_spec(&spec);
    intel_note();
    spec.sections[spec.section_count++] = (struct make_section){
        .name = ".note.sgxmeta", .type = SHT_NOTE, .data = g_note, .size = sizeof(g_note)};
    make_elf(&spec, ret_file);
    load(ret_file);
    memset(g_memory + 0x28, 0, 8);
    memset(g_memory + 0x2FF8, 0xA5, 16);

    oracle_create(&log, 1, 64 * PAGE);
    log_segments(&log, 0);
    oracle_page(&log, 5 * PAGE, RW, NULL, 0);
    oracle_page(&log, 6 * PAGE, RW, NULL, 0);
    intel_log_thread(&log, 0);
    intel_log_thread(&log, 10 * PAGE);
    intel_log_thread(&log, 20 * PAGE);
    memset(content, 0, sizeof(content));
    memset(content, 0x77, 100);
    oracle_page(&log, 40 * PAGE, RW, content, 1);
    oracle_page(&log, 41 * PAGE, RW, NULL, 1);
    oracle_hash(&log, ret_mr_enclave);
    sign(&sigstruct, ret_mr_enclave);
    uint8_t *note = memmem(ret_file->data, ret_file->size, g_note, sizeof(g_note));
    memcpy(note + 25 + 64, &sigstruct, sizeof(sigstruct));
}
