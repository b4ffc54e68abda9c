/*
 * A library whose constructor looks for the vDSO's SGX call by its dynamic section, as a host runtime's may.
 * Side: host (test). Linked to early.c, run under `cella soft`.
 */
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

#include "abi/sgx_linux.h"

int early_found(void);

static int g_found;

__attribute__((constructor)) static void look(void)
{
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    const unsigned *hash = NULL;
    if (!base) {
        return;
    }
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(base + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const Elf64_Dyn *dynamic = (const Elf64_Dyn *)(base + segments[i].p_offset);
        for (; segments[i].p_type == PT_DYNAMIC && dynamic->d_tag != DT_NULL; dynamic++) {
            const char *at = base + dynamic->d_un.d_ptr;
            symbols = dynamic->d_tag == DT_SYMTAB ? (const Elf64_Sym *)at : symbols;
            strings = dynamic->d_tag == DT_STRTAB ? at : strings;
            hash = dynamic->d_tag == DT_HASH ? (const unsigned *)at : hash;
        }
    }
    for (unsigned i = 0; symbols && strings && hash && i < hash[1]; i++) {
        g_found |= strcmp(strings + symbols[i].st_name, SGX_LINUX_VDSO_SYMBOL) == 0;
    }
}

int early_found(void)
{
    return g_found;
}
