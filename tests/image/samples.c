/*
 * A small Cella image, written by the tests themselves.
 * Side: tests. Called by tests/image and by the corpus writer. Reads only the test key.
 */
#include "tests/image/samples.h"

#include <stdio.h>
#include <stdlib.h>

#include "image/build.h"

static uint8_t g_code[0x200];
static uint8_t g_head[0xC00];
static uint8_t g_data[0x150];

static void must(cella_result result, const struct cella_error *error)
{
    if (!cella_is_ok(result)) {
        fprintf(stderr, "sample: %s: %s\n", cella_result_name(result), error->text);
        abort();
    }
}

uint8_t *sample_code(void)
{
    return g_code;
}

static void fill_bytes(void)
{
    static const struct cella_image_info info = CELLA_IMAGE_INFO_INIT;
    static const uint8_t site[] = {0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0xC3};
    const Elf64_Rela rela = {
        .r_offset = 0x3100, .r_info = R_X86_64_RELATIVE, .r_addend = SAMPLE_CODE + 0x80};
    const Elf64_Dyn dynamic[] = {
        {.d_tag = DT_RELA, .d_un.d_val = SAMPLE_RELA},
        {.d_tag = DT_RELASZ, .d_un.d_val = sizeof(rela)},
        {.d_tag = DT_RELAENT, .d_un.d_val = sizeof(rela)},
        {.d_tag = DT_NULL},
    };

    memset(g_code, 0xCC, sizeof(g_code));
    memcpy(g_code + 0x10, "\x0F\x0B", 2); /* cella_enclave_entry: ud2 */
    g_code[0x20] = 0xC3;                  /* _start */
    g_code[0x30] = 0xC3;                  /* cella_syscall_entry */
    memcpy(g_code + 0x80, site, sizeof(site));
    memset(g_head, 0, sizeof(g_head));
    memcpy(g_head, &info, sizeof(info));
    memcpy(g_head + (SAMPLE_RELA - MAKE_ELF_HEADERS_SIZE), &rela, sizeof(rela));
    for (size_t i = 0; i < sizeof(g_data); i++) {
        g_data[i] = (uint8_t)(i * 7);
    }
    memcpy(g_data + (SAMPLE_DYNAMIC - SAMPLE_DATA), dynamic, sizeof(dynamic));
}

void sample_elf(struct make_elf *spec)
{
    fill_bytes();
    *spec = (struct make_elf){
        .type = ET_DYN,
        .entry = SAMPLE_START,
        .segments =
            {
                {.address = 0, .flags = PF_R, .data = g_head, .data_size = sizeof(g_head)},
                {.address = SAMPLE_CODE,
                 .flags = PF_R | PF_X,
                 .data = g_code,
                 .data_size = sizeof(g_code)},
                {.address = SAMPLE_DATA,
                 .flags = PF_R | PF_W,
                 .data = g_data,
                 .data_size = sizeof(g_data),
                 .memory_size = 0x1800},
            },
        .segment_count = 3,
        .headers =
            {
                {.p_type = PT_DYNAMIC,
                 .p_flags = PF_R | PF_W,
                 .p_vaddr = SAMPLE_DYNAMIC,
                 .p_filesz = 64,
                 .p_memsz = 64},
                {.p_type = PT_TLS,
                 .p_flags = PF_R,
                 .p_vaddr = SAMPLE_DATA,
                 .p_filesz = 8,
                 .p_memsz = 24,
                 .p_align = 8},
                {.p_type = PT_GNU_RELRO,
                 .p_flags = PF_R,
                 .p_vaddr = SAMPLE_DATA,
                 .p_filesz = 0x10,
                 .p_memsz = 0x10},
            },
        .header_count = 3,
        .sections =
            {
                {.name = CELLA_IMAGE_INFO_SECTION,
                 .type = SHT_PROGBITS,
                 .flags = SHF_ALLOC,
                 .address = SAMPLE_INFO,
                 .size = sizeof(struct cella_image_info)},
                {.name = ".text",
                 .type = SHT_PROGBITS,
                 .flags = SHF_ALLOC | SHF_EXECINSTR,
                 .address = SAMPLE_CODE,
                 .size = sizeof(g_code)},
            },
        .section_count = 2,
        .symbols =
            {
                {CELLA_IMAGE_ENTRY_SYMBOL, SAMPLE_ENTRY, 2, STT_FUNC, 2},
                {CELLA_IMAGE_SYSCALL_SYMBOL, SAMPLE_SYSCALL_ENTRY, 1, STT_FUNC, 2},
                {"get_pid", SAMPLE_CODE + 0x80, 8, STT_FUNC, 2},
            },
        .symbol_count = 3,
    };
}

static void put_le(uint8_t *out, uint64_t value, size_t size)
{
    memcpy(out, &value, size);
}

void sample_unwind(struct make_elf *spec, uint64_t size, uint8_t pad)
{
    const uint64_t function = SAMPLE_CODE + 0x80;
    uint8_t *cie = (uint8_t *)spec->segments[0].data + (SAMPLE_UNWIND - MAKE_ELF_HEADERS_SIZE);
    uint8_t *fde = cie + 0x20;
    uint8_t *lsda = cie + 0x40;
    /* version, "zPLR", code and data alignment, column, 7 bytes: P pcrel sdata4, L and R pcrel
     * sdata4 */
    static const uint8_t cie_body[] = {1, 'z',  'P', 'L', 'R', 0, 1,    0x78, 16,
                                       7, 0x9B, 1,   2,   3,   4, 0x1B, 0x1B};
    /* no base, no types, call sites as uleb128: one, of the whole function */
    static const uint8_t lsda_head[] = {0xFF, 0xFF, 0x01, 4, 0};

    memset(cie, 0, 0x60);
    put_le(cie, 0x1C, 4);
    memcpy(cie + 8, cie_body, sizeof(cie_body));
    put_le(fde, 0x18, 4);
    put_le(fde + 4, 0x24, 4);
    put_le(fde + 8, function - (SAMPLE_UNWIND + 0x28), 4);
    put_le(fde + 12, size, 4);
    fde[16] = 4;
    put_le(fde + 17, 0x40 - 0x31, 4);
    memcpy(lsda, lsda_head, sizeof(lsda_head));
    lsda[5] = (uint8_t)size;
    lsda[6] = pad;
    lsda[7] = 1;
    spec->sections[spec->section_count++] = (struct make_section){.name = ".eh_frame",
                                                                  .type = SHT_PROGBITS,
                                                                  .flags = SHF_ALLOC,
                                                                  .address = SAMPLE_UNWIND,
                                                                  .size = 0x40};
}

void sample_config(struct cella_image_config *ret_config)
{
    cella_config_defaults(ret_config);
    ret_config->heap_size = 0x10000;
    ret_config->heap_initial = 0x4000;
    ret_config->stack_size = 0x2000;
    ret_config->threads = 2;
    ret_config->enclave_threads = 1;
    ret_config->product_id = 7;
    ret_config->svn = 3;
    snprintf(ret_config->name, sizeof(ret_config->name), "sample");
}

void sample_key(struct cella_key *ret_key)
{
    char pem[8192];
    struct cella_error error = {0};
    FILE *file = fopen(TEST_SIGNING_KEY, "rb");
    if (!file) {
        perror(TEST_SIGNING_KEY);
        abort();
    }
    size_t size = fread(pem, 1, sizeof(pem), file);
    fclose(file);
    ret_key->handle = NULL;
    must(cella_key_read(cella_bytes_of(pem, size), true, TEST_SIGNING_KEY, ret_key, &error),
         &error);
}

void sample_cella(struct cella_buffer *ret_file, bool keep_syscalls)
{
    struct make_elf spec;
    struct cella_buffer input;
    struct cella_image_config config;
    struct cella_image_build build = {.keep_syscalls = keep_syscalls};
    struct cella_error error = {0};
    struct cella_image image;
    struct sgx_sigstruct sigstruct;
    struct cella_key key;
    uint8_t hash[32];

    sample_elf(&spec);
    sample_config(&config);
    sample_key(&key);
    make_elf(&spec, &input);
    *ret_file = (struct cella_buffer){0};
    must(cella_image_build(cella_buffer_bytes(&input), &config, &build, ret_file, &error), &error);
    must(cella_image_parse(cella_buffer_bytes(ret_file), &image, &error), &error);
    must(cella_image_measure(&image, hash), &error);
    cella_sigstruct_fill(&config, hash, 0x20260102, &sigstruct);
    must(cella_sigstruct_sign(&sigstruct, &key, &error), &error);
    must(cella_image_put_sigstruct(ret_file, &sigstruct), &error);
    cella_buffer_done(&input);
    cella_key_done(&key);
}
