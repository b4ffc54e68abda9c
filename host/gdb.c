/*
 * Tells a debugger where the sections of a debug enclave's image are, over gdb's JIT interface and without a plug-in.
 * Side: host. Called by enclave.c. Best effort: no enclave fails because of it.
 * What is registered is a small ELF file in memory: the image's section names at their addresses here, no contents, and
 * a .gnu_debuglink to the image's own file, from which gdb takes symbols and lines. Never reads the file again.
 */
#include "host/host.h"

#include <elf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "image/elf64.h"

/* The interface: names, layout and values are gdb's (GDB manual, "JIT Compilation Interface"). */
struct jit_code_entry {
    struct jit_code_entry *next_entry;
    struct jit_code_entry *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};

struct jit_descriptor {
    uint32_t version;
    uint32_t action_flag;
    struct jit_code_entry *relevant_entry;
    struct jit_code_entry *first_entry;
};

enum jit_action {
    JIT_NOACTION,
    JIT_REGISTER,
    JIT_UNREGISTER,
};

/* Weak: another just-in-time compiler in the process may bring the same two. */
__attribute__((visibility("default"), weak)) struct jit_descriptor __jit_debug_descriptor = {
    .version = 1};
void __jit_debug_register_code(void);
__attribute__((visibility("default"), weak, noinline)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" : : : "memory");
}

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;

#define SECTION_MAX 64u
#define NAMES_MAX 4096u

struct cella_gdb {
    struct jit_code_entry entry;
    Elf64_Ehdr header;
    Elf64_Shdr sections[SECTION_MAX + 3];
    char names[NAMES_MAX];
    char link[PATH_MAX + 8]; /* path, zero, padding to 4, CRC */
    uint32_t names_used;
};

/* The CRC of .gnu_debuglink (that of zip), eight bytes at a time. */
static uint32_t debuglink_crc(struct cella_bytes bytes)
{
    static uint32_t table[8][256];
    if (table[0][1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = i;
            for (int bit = 0; bit < 8; bit++) {
                crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1)));
            }
            table[0][i] = crc;
        }
        for (uint32_t k = 1; k < 8; k++) {
            for (uint32_t i = 0; i < 256; i++) {
                table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xFF];
            }
        }
    }
    uint32_t crc = 0xFFFFFFFFu;
    size_t at = 0;
    for (; bytes.size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + at, sizeof(word));
        word ^= crc;
        crc = table[7][word & 0xFF] ^ table[6][word >> 8 & 0xFF] ^ table[5][word >> 16 & 0xFF] ^
              table[4][word >> 24 & 0xFF] ^ table[3][word >> 32 & 0xFF] ^
              table[2][word >> 40 & 0xFF] ^ table[1][word >> 48 & 0xFF] ^ table[0][word >> 56];
    }
    for (; at < bytes.size; at++) {
        crc = crc >> 8 ^ table[0][(crc ^ bytes.data[at]) & 0xFF];
    }
    return ~crc;
}

static uint32_t name_add(struct cella_gdb *gdb, const char *name)
{
    const size_t size = strlen(name) + 1;
    if (size > NAMES_MAX - gdb->names_used) {
        return 0;
    }
    const uint32_t at = gdb->names_used;
    memcpy(gdb->names + at, name, size);
    gdb->names_used += (uint32_t)size;
    return at;
}

static Elf64_Shdr *section_add(struct cella_gdb *gdb, const char *name, uint32_t type)
{
    Elf64_Shdr *section = &gdb->sections[gdb->header.e_shnum++];
    section->sh_name = name_add(gdb, name);
    section->sh_type = type;
    section->sh_addralign = 1;
    return section;
}

/* Every allocated section of the image, at its address in this process. */
static void sections_copy(struct cella_gdb *gdb, const struct cella_elf *elf, uint64_t base)
{
    for (unsigned i = 1; i < elf->section_count && gdb->header.e_shnum < SECTION_MAX; i++) {
        Elf64_Shdr from;
        const char *name;
        if (!cella_is_ok(cella_elf_section(elf, i, &from)) ||
            !cella_is_ok(cella_elf_section_name(elf, &from, &name)) ||
            (from.sh_flags & SHF_ALLOC) == 0 || name[0] == 0) {
            continue;
        }
        Elf64_Shdr *to = section_add(gdb, name, SHT_NOBITS);
        to->sh_flags = from.sh_flags & (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR);
        to->sh_addr = base + from.sh_addr;
        to->sh_size = from.sh_size;
        to->sh_addralign = from.sh_addralign;
    }
}

static bool file_make(struct cella_gdb *gdb, const char *path, struct cella_bytes file,
                      uint64_t base)
{
    struct cella_elf elf;
    char *absolute = realpath(path, NULL);
    if (!absolute || strlen(absolute) >= PATH_MAX ||
        !cella_is_ok(cella_elf_parse(file, &elf, NULL))) {
        free(absolute);
        return false;
    }
    gdb->header = elf.header;
    gdb->header.e_type = ET_DYN;
    gdb->header.e_phnum = 0;
    gdb->header.e_phoff = 0;
    gdb->header.e_entry = 0;
    gdb->header.e_shoff = offsetof(struct cella_gdb, sections) - offsetof(struct cella_gdb, header);
    gdb->header.e_shnum = 1;
    gdb->names_used = 1;
    sections_copy(gdb, &elf, base);
    const size_t link_size = (strlen(absolute) + 1 + 3) & ~(size_t)3;
    const uint32_t crc = debuglink_crc(file);
    memcpy(gdb->link, absolute, strlen(absolute));
    memcpy(gdb->link + link_size, &crc, sizeof(crc));
    free(absolute);
    Elf64_Shdr *link = section_add(gdb, ".gnu_debuglink", SHT_PROGBITS);
    link->sh_offset = offsetof(struct cella_gdb, link) - offsetof(struct cella_gdb, header);
    link->sh_size = link_size + sizeof(crc);
    link->sh_addralign = 4;
    Elf64_Shdr *names = section_add(gdb, ".shstrtab", SHT_STRTAB);
    names->sh_offset = offsetof(struct cella_gdb, names) - offsetof(struct cella_gdb, header);
    names->sh_size = gdb->names_used;
    gdb->header.e_shstrndx = (uint16_t)(gdb->header.e_shnum - 1);
    return true;
}

static void tell(struct jit_code_entry *entry, enum jit_action action)
{
    __jit_debug_descriptor.relevant_entry = entry;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.action_flag = JIT_NOACTION;
}

void cella_gdb_register(cella_enclave *enclave, const char *path, struct cella_bytes file)
{
    struct cella_gdb *gdb = calloc(1, sizeof(*gdb));
    if (!gdb || !file_make(gdb, path, file, enclave->base)) {
        free(gdb);
        return;
    }
    gdb->entry.symfile_addr = (const char *)&gdb->header;
    gdb->entry.symfile_size = sizeof(*gdb) - offsetof(struct cella_gdb, header);
    pthread_mutex_lock(&g_lock);
    gdb->entry.next_entry = __jit_debug_descriptor.first_entry;
    if (gdb->entry.next_entry) {
        gdb->entry.next_entry->prev_entry = &gdb->entry;
    }
    __jit_debug_descriptor.first_entry = &gdb->entry;
    tell(&gdb->entry, JIT_REGISTER);
    pthread_mutex_unlock(&g_lock);
    enclave->gdb = gdb;
}

void cella_gdb_forget(cella_enclave *enclave)
{
    struct jit_code_entry *entry = &enclave->gdb->entry;
    pthread_mutex_lock(&g_lock);
    if (entry->prev_entry) {
        entry->prev_entry->next_entry = entry->next_entry;
    } else {
        __jit_debug_descriptor.first_entry = entry->next_entry;
    }
    if (entry->next_entry) {
        entry->next_entry->prev_entry = entry->prev_entry;
    }
    tell(entry, JIT_UNREGISTER);
    pthread_mutex_unlock(&g_lock);
    free(enclave->gdb);
    enclave->gdb = NULL;
}
