/*
 * What a Go program says of its own build. go_binary.h is the manual.
 * Side: tools. Called by ego and cella go.
 */
#include "cli/go_binary.h"

#include <string.h>

#include "image/elf64.h"

#define HEADER_SIZE 32u
#define HEADER_ALIGN 16u
#define HEADER_INLINE 0x2u /* flags: the strings follow */
#define SENTINEL_SIZE 16u  /* around the module text */
#define SETTING_MAX 4096u

static const uint8_t g_magic[] = {0xFF, ' ', 'G', 'o', ' ', 'b', 'u',
                                  'i',  'l', 'd', 'i', 'n', 'f', ':'};

/* A length in base 128, and so many bytes. */
static cella_result take_string(struct cella_cursor *cursor, struct cella_bytes *ret_string)
{
    uint64_t size = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte;
        CELLA_TRY(cella_cursor_u8(cursor, &byte));
        CELLA_ENSURE(shift <= 56, BAD_FIELD);
        size |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            break;
        }
    }
    return cella_cursor_take(cursor, size, ret_string);
}

static cella_result read_info(struct cella_bytes data, struct go_binary *ret_binary)
{
    struct cella_bytes modules;
    for (size_t at = 0; at + HEADER_SIZE <= data.size; at += HEADER_ALIGN) {
        if (memcmp(data.data + at, g_magic, sizeof(g_magic)) != 0) {
            continue;
        }
        struct cella_cursor cursor = cella_cursor_of(data);
        CELLA_ENSURE(data.data[at + 15] & HEADER_INLINE, NOT_FOUND); /* Go before 1.18 */
        CELLA_TRY(cella_cursor_skip(&cursor, at + HEADER_SIZE));
        CELLA_TRY(take_string(&cursor, &ret_binary->version));
        CELLA_TRY(take_string(&cursor, &modules));
        if (modules.size < 2 * SENTINEL_SIZE + 1 ||
            modules.data[modules.size - SENTINEL_SIZE - 1] != '\n') {
            ret_binary->modules = cella_bytes_of(NULL, 0);
            return CELLA_OK;
        }
        return cella_bytes_slice(modules, SENTINEL_SIZE, modules.size - 2 * SENTINEL_SIZE,
                                 &ret_binary->modules);
    }
    return CELLA_RESULT(NOT_FOUND);
}

/* The section, or where there are none, the first segment that can be written. */
static cella_result info_bytes(const struct cella_elf *elf, struct cella_bytes *ret_bytes)
{
    Elf64_Shdr section;
    if (cella_is_ok(cella_elf_section_find(elf, ".go.buildinfo", &section))) {
        return cella_elf_section_bytes(elf, &section, ret_bytes);
    }
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        if (phdr.p_type == PT_LOAD && (phdr.p_flags & (PF_X | PF_W)) == PF_W) {
            return cella_bytes_slice(elf->file, phdr.p_offset, phdr.p_filesz, ret_bytes);
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

cella_result go_binary_parse(struct cella_bytes file, struct go_binary *ret_binary,
                             struct cella_error *error)
{
    struct cella_elf elf;
    struct cella_bytes bytes;
    if (!cella_is_ok(cella_elf_parse_program(file, &elf, NULL))) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC), "unrecognized file format");
    }
    if (!cella_is_ok(info_bytes(&elf, &bytes)) || !cella_is_ok(read_info(bytes, ret_binary))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "not a Go executable");
    }
    return CELLA_OK;
}

/* KEY=VALUE behind "build\t", either of them in Go's quotes. */
static bool setting_of(struct cella_bytes line, const char *key, char *ret_value, size_t size)
{
    static const char prefix[] = "build\t";
    const size_t key_size = strlen(key);
    const char *text = (const char *)line.data;
    if (line.size < sizeof(prefix) - 1 + key_size + 1 ||
        memcmp(text, prefix, sizeof(prefix) - 1) != 0 ||
        memcmp(text + sizeof(prefix) - 1, key, key_size) != 0 ||
        text[sizeof(prefix) - 1 + key_size] != '=') {
        return false;
    }
    size_t at = sizeof(prefix) + key_size, used = 0;
    const bool quoted = at < line.size && text[at] == '"';
    for (at += quoted ? 1 : 0; at < line.size && used + 1 < size; at++) {
        if (quoted && text[at] == '"') {
            break;
        }
        at += quoted && text[at] == '\\' && at + 1 < line.size ? 1 : 0;
        ret_value[used++] = text[at];
    }
    ret_value[used] = 0;
    return true;
}

bool go_binary_setting(const struct go_binary *binary, const char *key, char *ret_value,
                       size_t size)
{
    for (size_t at = 0; at < binary->modules.size;) {
        const uint8_t *start = binary->modules.data + at;
        const uint8_t *end = (const uint8_t *)memchr(start, '\n', binary->modules.size - at);
        const size_t length = end ? (size_t)(end - start) : binary->modules.size - at;
        if (setting_of(cella_bytes_of(start, length), key, ret_value, size)) {
            return true;
        }
        at += length + 1;
    }
    return false;
}

bool go_binary_has_tag(const struct go_binary *binary, const char *tag)
{
    char tags[SETTING_MAX];
    char *rest = NULL;
    if (!go_binary_setting(binary, "-tags", tags, sizeof(tags))) {
        return false;
    }
    for (char *word = strtok_r(tags, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        if (strcmp(word, tag) == 0) {
            return true;
        }
    }
    return false;
}

bool go_binary_mentions(struct cella_bytes file, const char *text)
{
    struct cella_elf elf;
    struct cella_elf_symbols symbols;
    if (!cella_is_ok(cella_elf_parse_program(file, &elf, NULL)) ||
        !cella_is_ok(cella_elf_symbols(&elf, SHT_SYMTAB, &symbols))) {
        return false;
    }
    for (uint32_t i = 0; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name;
        if (cella_is_ok(cella_elf_symbol(&symbols, i, &symbol, &name)) && strstr(name, text)) {
            return true;
        }
    }
    return false;
}
