/*
 * The CPUID instructions of a program, found by disassembling its executable sections.
 * Side: tools. Called by cella soft.
 * Never changes the program's file; what it cannot read it leaves alone.
 */
#include "cli/cpuid_sites.h"

#include <capstone/capstone.h>
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "image/elf64.h"

#define PROGRAM_MAX ((size_t)1 << 30)

struct text {
    char *at;
    size_t size, used;
    unsigned count;
};

static void add_site(struct text *text, uint64_t address)
{
    size_t left = text->size - text->used;
    int written = snprintf(text->at + text->used, left, "%c%llx", text->count ? ',' : ':',
                           (unsigned long long)address);
    if (written > 0 && (size_t)written < left) {
        text->used += (size_t)written;
        text->count++;
    } else {
        text->at[text->used] = '\0'; /* full: the rest executes natively */
    }
}

/* Linear disassembly: sections hold code only, and what is none is skipped a byte at a time. */
static void sweep(csh engine, struct cella_bytes code, uint64_t address, struct text *text)
{
    const uint8_t *at = code.data;
    size_t left = code.size;
    cs_insn *instruction = cs_malloc(engine);
    while (instruction && cs_disasm_iter(engine, &at, &left, &address, instruction)) {
        if (instruction->id == X86_INS_CPUID) {
            add_site(text, instruction->address);
        }
    }
    if (instruction) {
        cs_free(instruction, 1);
    }
}

static void sweep_sections(const struct cella_elf *elf, struct text *text)
{
    csh engine;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &engine) != CS_ERR_OK) {
        return;
    }
    cs_option(engine, CS_OPT_SKIPDATA, CS_OPT_ON);
    for (unsigned i = 1; i < elf->section_count; i++) {
        Elf64_Shdr section;
        struct cella_bytes code;
        if (cella_is_ok(cella_elf_section(elf, i, &section)) && section.sh_type == SHT_PROGBITS &&
            (section.sh_flags & SHF_EXECINSTR) &&
            cella_is_ok(cella_bytes_slice(elf->file, section.sh_offset, section.sh_size, &code))) {
            sweep(engine, code, section.sh_addr, text);
        }
    }
    cs_close(&engine);
}

void cpuid_sites_find(const char *program, char *ret_text, size_t size)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_elf elf;
    struct stat status;
    struct text text = {.at = ret_text, .size = size};
    ret_text[0] = '\0';
    if (stat(program, &status) < 0 ||
        !cella_is_ok(cella_file_read(program, PROGRAM_MAX, &file, NULL)) ||
        !cella_is_ok(cella_elf_parse(cella_file_bytes(&file), &elf, NULL))) {
        return;
    }
    text.used = (size_t)snprintf(ret_text, size, "%llx:%llx", (unsigned long long)status.st_dev,
                                 (unsigned long long)status.st_ino);
    sweep_sections(&elf, &text);
    if (text.count == 0) {
        ret_text[0] = '\0';
    }
}
