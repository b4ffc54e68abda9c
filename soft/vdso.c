/*
 * The synthetic vDSO: an ELF image in memory with __vdso_sgx_enter_enclave@LINUX_2.6 and the functions of the
 * real one, complete enough for every way hosts look it up (SysV hash, GNU hash, section headers).
 * Side: soft. Called by the preload constructor.
 * Never modifies the kernel's own vDSO; only the AT_SYSINFO_EHDR word of the auxiliary vector.
 */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "soft/processor.h"
#include "soft/transition.h"

#define IMAGE_SIZE 8192u
#define MAX_SYMBOLS 16u
#define STUB_SIZE 16u
#define NAME "linux-vdso.so.1"

struct symbol {
    const char *name;
    uint64_t target;
};

struct builder {
    uint8_t *image;
    uint32_t used;
    struct symbol symbols[MAX_SYMBOLS];
    uint32_t count;
};

/* The tables' places in the image. */
struct places {
    uint32_t symtab, strtab, strtab_size, hash, hash_size, gnu_hash, gnu_hash_size;
    uint32_t versym, verdef, verdef_size, dynamic, dynamic_size, text, text_size;
    uint32_t shstrtab, shstrtab_size, sections;
};

static uint32_t place(struct builder *b, uint32_t size, uint32_t align)
{
    b->used = (b->used + align - 1) & ~(align - 1);
    uint32_t at = b->used;
    b->used += size;
    return at;
}

static uint32_t add_string(struct builder *b, const char *text)
{
    uint32_t size = (uint32_t)strlen(text) + 1, at = place(b, size, 1);
    memcpy(b->image + at, text, size);
    return at;
}

/* The kernel's vDSO is trusted as the kernel is; what is not found is left out. */
static uint64_t real_symbol(const uint8_t *base, const char *name)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    uint64_t bias = 0, symtab = 0, strtab = 0, hash = 0;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && bias == 0) {
            bias = (uint64_t)(uintptr_t)base + segments[i].p_offset - segments[i].p_vaddr;
        } else if (segments[i].p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn *)(base + segments[i].p_offset);
        }
    }
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        symtab = dynamic->d_tag == DT_SYMTAB ? bias + dynamic->d_un.d_ptr : symtab;
        strtab = dynamic->d_tag == DT_STRTAB ? bias + dynamic->d_un.d_ptr : strtab;
        hash = dynamic->d_tag == DT_HASH ? bias + dynamic->d_un.d_ptr : hash;
    }
    if (!symtab || !strtab || !hash) {
        return 0;
    }
    const Elf64_Sym *symbols = (const Elf64_Sym *)symtab;
    for (uint32_t i = 0; i < ((const uint32_t *)hash)[1]; i++) {
        const char *found = (const char *)strtab + symbols[i].st_name;
        if (symbols[i].st_shndx != SHN_UNDEF && strcmp(found, name) == 0) {
            return bias + symbols[i].st_value;
        }
    }
    return 0;
}

static void collect(struct builder *b, const uint8_t *real)
{
    static const char *const kept[] = {
        "__vdso_clock_gettime",
        "__vdso_gettimeofday",
        "__vdso_time",
        "__vdso_clock_getres",
        "__vdso_getcpu",
        "__vdso_getrandom",
        "clock_gettime",
        "gettimeofday",
        "time",
        "clock_getres",
        "getcpu",
    };
    b->symbols[b->count++] =
        (struct symbol){SGX_LINUX_VDSO_SYMBOL, (uint64_t)(uintptr_t)soft_vdso_enter};
    for (size_t i = 0; real && i < sizeof(kept) / sizeof(kept[0]); i++) {
        uint64_t target = real_symbol(real, kept[i]);
        if (target) {
            b->symbols[b->count++] = (struct symbol){kept[i], target};
        }
    }
}

static uint32_t hash_sysv(const char *name)
{
    uint32_t value = 0;
    for (; *name; name++) {
        value = (value << 4) + (uint8_t)*name;
        uint32_t high = value & 0xF0000000u;
        value = (value ^ high >> 24) & ~high;
    }
    return value;
}

static uint32_t hash_gnu(const char *name)
{
    uint32_t value = 5381;
    for (; *name; name++) {
        value = value * 33 + (uint8_t)*name;
    }
    return value;
}

static void put_code(struct builder *b, struct places *p)
{
    p->text_size = b->count * STUB_SIZE;
    p->text = place(b, p->text_size, 16);
    for (uint32_t i = 0; i < b->count; i++) {
        static const uint8_t jump[6] = {0xFF, 0x25, 0x02, 0x00, 0x00, 0x00}; /* jmp *2(%rip) */
        memcpy(b->image + p->text + i * STUB_SIZE, jump, sizeof(jump));
        memcpy(b->image + p->text + i * STUB_SIZE + 8, &b->symbols[i].target, 8);
    }
}

/* Symbols, their names and the soname; *ret_soname and *ret_version are offsets in the string table. */
static void put_symbols(struct builder *b, struct places *p, uint32_t *ret_soname,
                        uint32_t *ret_version)
{
    p->symtab = place(b, (b->count + 1) * (uint32_t)sizeof(Elf64_Sym), 8);
    p->strtab = place(b, 1, 1);
    Elf64_Sym *symbols = (Elf64_Sym *)(b->image + p->symtab);
    for (uint32_t i = 0; i < b->count; i++) {
        symbols[i + 1] = (Elf64_Sym){
            .st_name = add_string(b, b->symbols[i].name) - p->strtab,
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
            .st_shndx = 8, /* .text */
            .st_value = p->text + i * STUB_SIZE,
            .st_size = STUB_SIZE,
        };
    }
    *ret_soname = add_string(b, NAME) - p->strtab;
    *ret_version = add_string(b, SGX_LINUX_VDSO_VERSION) - p->strtab;
    p->strtab_size = b->used - p->strtab;
}

/* One bucket each: the chain is walked whole. */
static void put_hashes(struct builder *b, struct places *p)
{
    p->hash_size = (2 + 1 + b->count + 1) * 4;
    p->hash = place(b, p->hash_size, 8);
    uint32_t *hash = (uint32_t *)(b->image + p->hash);
    hash[0] = 1;
    hash[1] = b->count + 1;
    hash[2] = 1;
    for (uint32_t i = 1; i < b->count; i++) {
        hash[3 + i] = i + 1;
    }
    p->gnu_hash_size = 16 + 8 + 4 + b->count * 4;
    p->gnu_hash = place(b, p->gnu_hash_size, 8);
    uint32_t *gnu = (uint32_t *)(b->image + p->gnu_hash);
    const uint32_t shift = 6;
    gnu[0] = 1; /* buckets */
    gnu[1] = 1; /* first hashed symbol */
    gnu[2] = 1; /* words of the Bloom filter */
    gnu[3] = shift;
    uint64_t bloom = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t value = hash_gnu(b->symbols[i].name);
        bloom |= 1ull << (value % 64) | 1ull << ((value >> shift) % 64);
        gnu[7 + i] = (value & ~1u) | (i + 1 == b->count);
    }
    memcpy(gnu + 4, &bloom, sizeof(bloom));
    gnu[6] = 1;
}

static void put_versions(struct builder *b, struct places *p, uint32_t soname, uint32_t version)
{
    p->versym = place(b, (b->count + 1) * 2, 2);
    for (uint32_t i = 1; i <= b->count; i++) {
        ((uint16_t *)(b->image + p->versym))[i] = 2;
    }
    p->verdef_size = 2 * (sizeof(Elf64_Verdef) + sizeof(Elf64_Verdaux));
    p->verdef = place(b, p->verdef_size, 8);
    const uint32_t names[2] = {soname, version};
    const char *const texts[2] = {NAME, SGX_LINUX_VDSO_VERSION};
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t *at = b->image + p->verdef + i * (p->verdef_size / 2);
        *(Elf64_Verdef *)at = (Elf64_Verdef){
            .vd_version = 1,
            .vd_flags = i == 0 ? VER_FLG_BASE : 0,
            .vd_ndx = (uint16_t)(i + 1),
            .vd_cnt = 1,
            .vd_hash = hash_sysv(texts[i]),
            .vd_aux = sizeof(Elf64_Verdef),
            .vd_next = i == 0 ? p->verdef_size / 2 : 0,
        };
        *(Elf64_Verdaux *)(at + sizeof(Elf64_Verdef)) = (Elf64_Verdaux){.vda_name = names[i]};
    }
}

static void put_dynamic(struct builder *b, struct places *p, uint32_t soname)
{
    const Elf64_Dyn entries[] = {
        {DT_SONAME, {soname}},
        {DT_HASH, {p->hash}},
        {DT_GNU_HASH, {p->gnu_hash}},
        {DT_STRTAB, {p->strtab}},
        {DT_SYMTAB, {p->symtab}},
        {DT_STRSZ, {p->strtab_size}},
        {DT_SYMENT, {sizeof(Elf64_Sym)}},
        {DT_VERSYM, {p->versym}},
        {DT_VERDEF, {p->verdef}},
        {DT_VERDEFNUM, {2}},
        {DT_NULL, {0}},
    };
    p->dynamic_size = sizeof(entries);
    p->dynamic = place(b, p->dynamic_size, 8);
    memcpy(b->image + p->dynamic, entries, sizeof(entries));
}

static void put_sections(struct builder *b, struct places *p)
{
    p->shstrtab = place(b, 1, 1);
    const struct {
        const char *name;
        uint32_t type, flags, at, size, link, info, entry;
    } rows[] = {
        {".hash", SHT_HASH, SHF_ALLOC, p->hash, p->hash_size, 3, 0, 4},
        {".gnu.hash", SHT_GNU_HASH, SHF_ALLOC, p->gnu_hash, p->gnu_hash_size, 3, 0, 0},
        {".dynsym", SHT_DYNSYM, SHF_ALLOC, p->symtab, (b->count + 1) * sizeof(Elf64_Sym), 4, 1,
         sizeof(Elf64_Sym)},
        {".dynstr", SHT_STRTAB, SHF_ALLOC, p->strtab, p->strtab_size, 0, 0, 0},
        {".gnu.version", SHT_GNU_versym, SHF_ALLOC, p->versym, (b->count + 1) * 2, 3, 0, 2},
        {".gnu.version_d", SHT_GNU_verdef, SHF_ALLOC, p->verdef, p->verdef_size, 4, 2, 0},
        {".dynamic", SHT_DYNAMIC, SHF_ALLOC, p->dynamic, p->dynamic_size, 4, 0, sizeof(Elf64_Dyn)},
        {".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, p->text, p->text_size, 0, 0, 0},
        {".shstrtab", SHT_STRTAB, 0, p->shstrtab, 0, 0, 0, 0},
    };
    const uint32_t count = sizeof(rows) / sizeof(rows[0]);
    Elf64_Shdr headers[sizeof(rows) / sizeof(rows[0]) + 1] = {0};
    for (uint32_t i = 0; i < count; i++) {
        headers[i + 1] = (Elf64_Shdr){
            .sh_name = add_string(b, rows[i].name) - p->shstrtab,
            .sh_type = rows[i].type,
            .sh_flags = rows[i].flags,
            .sh_addr = rows[i].flags ? rows[i].at : 0,
            .sh_offset = rows[i].at,
            .sh_size = rows[i].size,
            .sh_link = rows[i].link,
            .sh_info = rows[i].info,
            .sh_addralign = 1,
            .sh_entsize = rows[i].entry,
        };
    }
    headers[count].sh_size = b->used - p->shstrtab;
    p->sections = place(b, sizeof(headers), 8);
    memcpy(b->image + p->sections, headers, sizeof(headers));
}

static void put_headers(struct builder *b, const struct places *p)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)b->image;
    *header = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_shoff = p->sections,
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = 10,
        .e_shstrndx = 9,
    };
    Elf64_Phdr *segments = (Elf64_Phdr *)(b->image + header->e_phoff);
    segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                               .p_flags = PF_R | PF_X,
                               .p_filesz = b->used,
                               .p_memsz = b->used,
                               .p_align = SGX_PAGE_SIZE};
    segments[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                               .p_flags = PF_R,
                               .p_offset = p->dynamic,
                               .p_vaddr = p->dynamic,
                               .p_paddr = p->dynamic,
                               .p_filesz = p->dynamic_size,
                               .p_memsz = p->dynamic_size,
                               .p_align = 8};
}

static uint64_t build(const uint8_t *real)
{
    long at = soft_syscall(SYS_mmap, 0, IMAGE_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0) {
        return 0;
    }
    struct builder b = {.image = (uint8_t *)at};
    struct places p = {0};
    uint32_t soname, version;
    place(&b, sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr), 16);
    collect(&b, real);
    put_code(&b, &p);
    put_symbols(&b, &p, &soname, &version);
    put_hashes(&b, &p);
    put_versions(&b, &p, soname, version);
    put_dynamic(&b, &p, soname);
    put_sections(&b, &p);
    put_headers(&b, &p);
    soft_syscall(SYS_mprotect, at, IMAGE_SIZE, PROT_READ | PROT_EXEC, 0, 0, 0);
    return (uint64_t)at;
}

/* Made once; 0 when there is no memory. Called before main, by one thread. */
uint64_t soft_vdso_image(uint64_t real)
{
    static uint64_t image;
    if (image == 0 && real != 0) {
        image = build((const uint8_t *)real);
    }
    return image;
}

bool soft_vdso_publish(char **environment)
{
    while (*environment) {
        environment++;
    }
    for (Elf64_auxv_t *entry = (Elf64_auxv_t *)(environment + 1); entry->a_type != AT_NULL;
         entry++) {
        if (entry->a_type == AT_SYSINFO_EHDR) {
            uint64_t image = soft_vdso_image(entry->a_un.a_val);
            entry->a_un.a_val = image ? image : entry->a_un.a_val;
            return image != 0;
        }
    }
    return false;
}
