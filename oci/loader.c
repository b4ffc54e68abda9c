/*
 * What a program's loader reads of an ELF file, and of its cache of libraries.
 * Side: tools. Called inside oci/. Allocates nothing, reads nothing outside the given bytes.
 */
#include "oci/loader.h"

#include <elf.h>
#include <string.h>

struct loads {
    Elf64_Phdr headers[OCI_ELF_LOAD_MAX];
    unsigned count;
};

/* The string at `offset`; it must end inside. */
static cella_result string_at(struct cella_bytes bytes, uint64_t offset, const char **ret_text)
{
    CELLA_ENSURE(offset < bytes.size, BAD_FIELD);
    CELLA_ENSURE(memchr(bytes.data + offset, 0, bytes.size - (size_t)offset) != NULL, BAD_FIELD);
    *ret_text = (const char *)bytes.data + offset;
    return CELLA_OK;
}

static cella_result address_to_file(const struct loads *loads, uint64_t address,
                                    uint64_t *ret_offset, uint64_t *ret_left)
{
    for (unsigned i = 0; i < loads->count; i++) {
        const Elf64_Phdr *load = &loads->headers[i];
        if (address >= load->p_vaddr && address - load->p_vaddr < load->p_filesz) {
            *ret_offset = load->p_offset + (address - load->p_vaddr);
            *ret_left = load->p_filesz - (address - load->p_vaddr);
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(BAD_FIELD);
}

static cella_result read_header(struct cella_bytes file, Elf64_Ehdr *ret_header)
{
    struct cella_cursor cursor = cella_cursor_of(file);
    CELLA_ENSURE(cella_is_ok(cella_cursor_copy(&cursor, ret_header, sizeof(*ret_header))),
                 BAD_MAGIC);
    CELLA_ENSURE(memcmp(ret_header->e_ident, ELFMAG, SELFMAG) == 0 &&
                     ret_header->e_ident[EI_CLASS] == ELFCLASS64 &&
                     ret_header->e_ident[EI_DATA] == ELFDATA2LSB &&
                     ret_header->e_machine == EM_X86_64 &&
                     (ret_header->e_type == ET_DYN || ret_header->e_type == ET_EXEC),
                 BAD_MAGIC);
    CELLA_ENSURE(ret_header->e_phnum == 0 || ret_header->e_phentsize == sizeof(Elf64_Phdr),
                 BAD_FIELD);
    return CELLA_OK;
}

static void reach(struct oci_elf *elf, uint64_t end)
{
    elf->loaded_end = end > elf->loaded_end ? end : elf->loaded_end;
}

static cella_result read_segments(struct oci_elf *elf, const Elf64_Ehdr *header,
                                  struct loads *loads, struct cella_bytes *ret_dynamic)
{
    struct cella_bytes table, part;
    CELLA_TRY(cella_bytes_slice(elf->file, header->e_phoff,
                                (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), &table));
    struct cella_cursor cursor = cella_cursor_of(table);
    reach(elf, sizeof(*header));
    reach(elf, header->e_phoff + table.size);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        CELLA_TRY(cella_cursor_copy(&cursor, &segment, sizeof(segment)));
        if (segment.p_filesz == 0) {
            continue;
        }
        CELLA_TRY(cella_bytes_slice(elf->file, segment.p_offset, segment.p_filesz, &part));
        reach(elf, segment.p_offset + segment.p_filesz);
        if (segment.p_type == PT_INTERP) {
            CELLA_TRY(string_at(part, 0, &elf->interpreter));
        } else if (segment.p_type == PT_DYNAMIC) {
            *ret_dynamic = part;
        } else if (segment.p_type == PT_LOAD) {
            CELLA_ENSURE(loads->count < OCI_ELF_LOAD_MAX, LIMIT_EXCEEDED);
            loads->headers[loads->count++] = segment;
        }
    }
    return CELLA_OK;
}

/* The string table that the dynamic section names. */
static cella_result read_strings(const struct oci_elf *elf, const struct loads *loads,
                                 struct cella_bytes dynamic, struct cella_bytes *ret_strings)
{
    uint64_t address = 0, size = 0, offset = 0, left = 0;
    Elf64_Dyn row;
    for (struct cella_cursor cursor = cella_cursor_of(dynamic);
         cella_is_ok(cella_cursor_copy(&cursor, &row, sizeof(row))) && row.d_tag != DT_NULL;) {
        address = row.d_tag == DT_STRTAB ? row.d_un.d_ptr : address;
        size = row.d_tag == DT_STRSZ ? row.d_un.d_val : size;
    }
    if (size == 0) {
        *ret_strings = cella_bytes_of(NULL, 0);
        return CELLA_OK;
    }
    CELLA_TRY(address_to_file(loads, address, &offset, &left));
    CELLA_ENSURE(size <= left, BAD_FIELD);
    return cella_bytes_slice(elf->file, offset, size, ret_strings);
}

static cella_result read_dynamic(struct oci_elf *elf, struct cella_bytes dynamic,
                                 struct cella_bytes strings)
{
    Elf64_Dyn row;
    for (struct cella_cursor cursor = cella_cursor_of(dynamic);
         cella_is_ok(cella_cursor_copy(&cursor, &row, sizeof(row))) && row.d_tag != DT_NULL;) {
        const char **place = row.d_tag == DT_SONAME    ? &elf->soname
                             : row.d_tag == DT_RPATH   ? &elf->rpath
                             : row.d_tag == DT_RUNPATH ? &elf->runpath
                                                       : NULL;
        if (row.d_tag == DT_NEEDED) {
            CELLA_ENSURE(elf->needed_count < OCI_NEEDED_MAX, LIMIT_EXCEEDED);
            place = &elf->needed[elf->needed_count];
        }
        if (place) {
            CELLA_TRY(string_at(strings, row.d_un.d_val, place));
            elf->needed_count += row.d_tag == DT_NEEDED;
        }
    }
    return CELLA_OK;
}

cella_result oci_elf_parse(struct cella_bytes file, struct oci_elf *ret_elf)
{
    Elf64_Ehdr header;
    struct loads loads = {.count = 0};
    struct cella_bytes dynamic = {0}, strings = {0};
    *ret_elf = (struct oci_elf){.file = file};
    CELLA_TRY(read_header(file, &header));
    ret_elf->type = header.e_type;
    CELLA_TRY(read_segments(ret_elf, &header, &loads, &dynamic));
    CELLA_TRY(read_strings(ret_elf, &loads, dynamic, &strings));
    ret_elf->strings = strings;
    return read_dynamic(ret_elf, dynamic, strings);
}

bool oci_elf_mentions(const struct oci_elf *elf, const char *symbol)
{
    const size_t length = strlen(symbol) + 1; /* with the zero byte */
    for (size_t at = 0; at < elf->strings.size;) {
        const uint8_t *found =
            memmem(elf->strings.data + at, elf->strings.size - at, symbol, length);
        if (!found) {
            return false;
        }
        if (found == elf->strings.data || found[-1] == 0) {
            return true;
        }
        at = (size_t)(found - elf->strings.data) + 1;
    }
    return false;
}

/* ------------------------------------------------------------------------- the cache */

#define CACHE_OLD_MAGIC "ld.so-1.7.0"
#define CACHE_MAGIC "glibc-ld.so.cache1.1"
#define CACHE_OLD_ENTRY 12u
#define CACHE_HEADER 48u
#define CACHE_ENTRY 24u
#define CACHE_FLAGS_X86_64 0x0303u /* FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */
#define CACHE_COUNT_MAX (1u << 20)

/* The part in the newer format: all of it, or what follows the older table. */
static cella_result newer_part(struct cella_bytes cache, struct cella_bytes *ret_part)
{
    const size_t magic = sizeof(CACHE_OLD_MAGIC) - 1;
    uint32_t count;
    *ret_part = cache;
    if (cache.size < magic || memcmp(cache.data, CACHE_OLD_MAGIC, magic) != 0) {
        return CELLA_OK;
    }
    struct cella_cursor cursor = cella_cursor_of(cache);
    CELLA_TRY(cella_cursor_skip(&cursor, 12));
    CELLA_TRY(cella_cursor_u32(&cursor, &count));
    CELLA_ENSURE(count <= CACHE_COUNT_MAX, LIMIT_EXCEEDED);
    uint64_t start = (16 + (uint64_t)count * CACHE_OLD_ENTRY + 7) & ~7ull;
    CELLA_ENSURE(start <= cache.size, TRUNCATED);
    return cella_bytes_slice(cache, start, cache.size - start, ret_part);
}

cella_result oci_cache_find(struct cella_bytes cache, const char *name, const char **ret_path)
{
    struct cella_bytes part, magic;
    uint32_t count;
    CELLA_TRY(newer_part(cache, &part));
    struct cella_cursor cursor = cella_cursor_of(part);
    CELLA_TRY(cella_cursor_take(&cursor, sizeof(CACHE_MAGIC) - 1, &magic));
    CELLA_ENSURE(memcmp(magic.data, CACHE_MAGIC, magic.size) == 0, BAD_MAGIC);
    CELLA_TRY(cella_cursor_u32(&cursor, &count));
    CELLA_ENSURE(count <= CACHE_COUNT_MAX, LIMIT_EXCEEDED);
    CELLA_TRY(cella_cursor_skip(&cursor, CACHE_HEADER - cursor.offset));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t flags, key, value;
        uint64_t variant;
        const char *key_text;
        CELLA_TRY(cella_cursor_u32(&cursor, &flags));
        CELLA_TRY(cella_cursor_u32(&cursor, &key));
        CELLA_TRY(cella_cursor_u32(&cursor, &value));
        CELLA_TRY(cella_cursor_skip(&cursor, 4));
        CELLA_TRY(cella_cursor_u64(&cursor, &variant));
        if (flags != CACHE_FLAGS_X86_64 || variant != 0) {
            continue;
        }
        CELLA_TRY(string_at(part, key, &key_text));
        if (strcmp(key_text, name) == 0) {
            return string_at(part, value, ret_path);
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}
