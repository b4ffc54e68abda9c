/*
 * One way to read an archive. tar_check.h is the manual.
 * Side: tools. Called inside oci/. Never looks at content.
 * Source: POSIX pax (ustar and pax formats), GNU tar's header, and what Go's archive/tar, GNU tar and libarchive make of each.
 */
#include "oci/tar_check.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 512u
/* The ustar header. */
#define AT_SIZE 124u
#define AT_SUM 148u
#define AT_KIND 156u
#define AT_MAGIC 257u
#define AT_GNU_TIMES 345u /* where ustar has the prefix of the name */
#define AT_STAR 508u
#define OCTAL_MAX 077777777777ull /* the largest size without an extension */

static cella_result wrong(struct oci_tar_check *check, const char *what)
{
    check->wrong = what;
    return CELLA_RESULT(BAD_SYNTAX);
}

void oci_tar_check_done(struct oci_tar_check *check)
{
    free(check->extension);
    check->extension = NULL;
}

/* Octal digits between blanks and zero bytes, or GNU's big-endian number. Readers differ about all else. */
static bool number_read(const uint8_t *field, size_t length, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (field[0] & 0x80) {
        for (size_t i = 0; i < length; i++) {
            const uint8_t byte = i == 0 ? field[i] & 0x7f : field[i];
            if (value >> 55) {
                return false;
            }
            value = value << 8 | byte;
        }
        *ret_value = value;
        return true;
    }
    size_t at = 0;
    while (at < length && field[at] == ' ') {
        at++;
    }
    while (at < length && field[at] >= '0' && field[at] <= '7') {
        if (value >> 60) {
            return false;
        }
        value = value << 3 | (uint64_t)(field[at++] - '0');
    }
    for (; at < length; at++) {
        if (field[at] != ' ' && field[at] != 0) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

static bool sum_is_good(const uint8_t block[BLOCK])
{
    uint64_t said, sum = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : block[i];
    }
    return number_read(block + AT_SUM, 8, &said) && said == sum;
}

/* The three kinds of header. Others are read with a prefix by some, without by others. */
static bool magic_is_good(const uint8_t block[BLOCK])
{
    uint64_t time;
    const uint8_t *magic = block + AT_MAGIC;
    if (memcmp(magic,
               "ustar\0"
               "00",
               8) == 0) {
        return memcmp(block + AT_STAR, "tar", 4) != 0;
    }
    if (memcmp(magic, "ustar  ", 8) == 0) {
        return number_read(block + AT_GNU_TIMES, 12, &time) &&
               number_read(block + AT_GNU_TIMES + 12, 12, &time);
    }
    return is_zero(magic, 8) && is_zero(block + AT_GNU_TIMES, 155);
}

/* ------------------------------------------------------------------------- extensions */

static bool key_is(struct cella_bytes key, const char *name)
{
    return key.size == strlen(name) && memcmp(key.data, name, key.size) == 0;
}

static bool ends_in_slash(struct cella_bytes text)
{
    return text.size > 0 && text.data[text.size - 1] == '/';
}

static cella_result pax_size(struct oci_tar_check *check, struct cella_bytes value)
{
    uint64_t size = 0;
    if (check->pax_size || value.size == 0 || value.size > 18) {
        return wrong(check, "an extended header with two sizes, or one that is none");
    }
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return wrong(check, "an extended header with a size that is no number");
        }
        size = size * 10 + (uint64_t)(value.data[i] - '0');
    }
    check->pax_size = true;
    check->size_said = size;
    return CELLA_OK;
}

static cella_result pax_record(struct oci_tar_check *check, struct cella_bytes key,
                               struct cella_bytes value)
{
    const bool is_path = key_is(key, "path"), is_link = key_is(key, "linkpath");
    const bool is_size = key_is(key, "size");
    if (key.size >= 10 && memcmp(key.data, "GNU.sparse", 10) == 0) {
        return wrong(check, "a sparse file");
    }
    if (check->kind == 'g' && (is_path || is_link || is_size)) {
        return wrong(check, "a global header with a name or size for all files");
    }
    if (is_size) {
        return pax_size(check, value);
    }
    if (!is_path && !is_link) {
        return CELLA_OK;
    }
    if ((is_path ? check->pax_path : check->pax_linkpath) || value.size == 0 ||
        memchr(value.data, 0, value.size)) {
        return wrong(check, "an extended header with two names, or one that is none");
    }
    check->pax_path |= is_path;
    check->pax_linkpath |= is_link;
    if (is_path) {
        check->has_name = true;
        check->name_is_folder = ends_in_slash(value);
    }
    return CELLA_OK;
}

/* "LENGTH KEY=VALUE\n", LENGTH of all of it. */
static cella_result pax_read(struct oci_tar_check *check, struct cella_bytes body)
{
    for (size_t at = 0; at < body.size;) {
        size_t length = 0, start = at;
        while (start < body.size && body.data[start] >= '0' && body.data[start] <= '9' &&
               length <= OCI_TAR_EXTENSION_MAX) {
            length = length * 10 + (size_t)(body.data[start++] - '0');
        }
        if (start == at || start >= body.size || body.data[start] != ' ' ||
            length > body.size - at || length <= start - at + 2 ||
            body.data[at + length - 1] != '\n') {
            return wrong(check, "an extended header that is damaged");
        }
        const struct cella_bytes record =
            cella_bytes_of(body.data + start + 1, length - (start - at) - 2);
        const uint8_t *equals = memchr(record.data, '=', record.size);
        if (!equals || equals == record.data) {
            return wrong(check, "an extended header that is damaged");
        }
        const size_t key = (size_t)(equals - record.data);
        CELLA_TRY(pax_record(check, cella_bytes_of(record.data, key),
                             cella_bytes_of(equals + 1, record.size - key - 1)));
        at += length;
    }
    return CELLA_OK;
}

/* The name, then zero bytes. */
static cella_result long_name(struct oci_tar_check *check, struct cella_bytes body)
{
    const uint8_t *end = body.size ? memchr(body.data, 0, body.size) : NULL;
    const size_t length = end ? (size_t)(end - body.data) : body.size;
    if (length == 0 || !is_zero(body.data + length, body.size - length)) {
        return wrong(check, "a long name that is none");
    }
    if (check->kind == 'L') {
        check->has_name = true;
        check->name_is_folder = ends_in_slash(cella_bytes_of(body.data, length));
    }
    return CELLA_OK;
}

static cella_result extension_end(struct oci_tar_check *check)
{
    const struct cella_bytes body = cella_bytes_of(check->extension, check->extension_size);
    const bool is_pax = check->kind == 'x' || check->kind == 'g';
    cella_result result = is_pax ? pax_read(check, body) : long_name(check, body);
    check->kind = 0;
    return result;
}

static cella_result extension_start(struct oci_tar_check *check, char kind, uint64_t size)
{
    bool *has = kind == 'x'   ? &check->has_pax
                : kind == 'L' ? &check->has_long_name
                              : &check->has_long_link;
    if (kind != 'g') {
        if (*has) {
            return wrong(check, "two extended headers of a kind for one file");
        }
        *has = true;
    }
    if (size > OCI_TAR_EXTENSION_MAX) {
        return wrong(check, "an extended header that is too large");
    }
    if (size > check->extension_room) {
        uint8_t *larger = realloc(check->extension, (size_t)size);
        CELLA_ENSURE(larger != NULL, OUT_OF_MEMORY);
        check->extension = larger;
        check->extension_room = (size_t)size;
    }
    check->kind = kind;
    check->extension_size = 0;
    check->skip = (size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
    check->extension_wanted = (size_t)size;
    return size == 0 ? extension_end(check) : CELLA_OK;
}

/* ------------------------------------------------------------------------- files */

/* The name in the header itself ends in '/': by its field only, a prefix comes before it. */
static bool header_is_folder(const uint8_t block[BLOCK])
{
    return ends_in_slash(cella_bytes_of(block, strnlen((const char *)block, 100)));
}

static cella_result file_start(struct oci_tar_check *check, char kind, uint64_t size)
{
    const bool is_file = kind == '0' || kind == 0;
    if ((check->has_long_name && check->pax_path) ||
        (check->has_long_link && check->pax_linkpath)) {
        return wrong(check, "two names for one file");
    }
    if (check->pax_size && size != check->size_said) {
        if (check->size_said <= OCTAL_MAX) {
            return wrong(check, "two sizes for one file");
        }
        size = check->size_said;
    }
    if (!is_file && size != 0) {
        return wrong(check, "a folder, link or device with content");
    }
    if (is_file && (check->has_name ? check->name_is_folder : header_is_folder(check->block))) {
        return wrong(check, "a file whose name ends in '/'");
    }
    if (size > UINT64_MAX / 2) {
        return wrong(check, "a size that is too large");
    }
    check->skip = (size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
    check->has_pax = check->has_long_name = check->has_long_link = false;
    check->pax_path = check->pax_linkpath = check->pax_size = false;
    check->has_name = check->name_is_folder = false;
    return CELLA_OK;
}

static cella_result header_read(struct oci_tar_check *check)
{
    const uint8_t *block = check->block;
    const char kind = (char)block[AT_KIND];
    uint64_t size;
    if (is_zero(block, BLOCK)) {
        check->zero_blocks++;
        return CELLA_OK;
    }
    if (check->zero_blocks > 0) {
        return wrong(check, "something behind the archive's end");
    }
    if (!sum_is_good(block) || !magic_is_good(block) || !number_read(block + AT_SIZE, 12, &size)) {
        return wrong(check, "no tar header, or one of an unknown kind");
    }
    check->headers++;
    switch (kind) {
    case 'x':
    case 'g':
    case 'L':
    case 'K':
        return extension_start(check, kind, size);
    case 0:
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
        return file_start(check, kind, size);
    default:
        return wrong(check, "a file of an unknown kind");
    }
}

/* What comes now: the body of an extension header, content, or a header. The bytes that were taken. */
static size_t take(struct oci_tar_check *check, struct cella_bytes bytes, cella_result *result)
{
    size_t some = bytes.size;
    if (check->skip > 0) {
        some = some < check->skip ? some : (size_t)check->skip;
        if (check->kind) {
            const size_t left = check->extension_wanted - check->extension_size;
            const size_t kept = some < left ? some : left;
            memcpy(check->extension + check->extension_size, bytes.data, kept);
            check->extension_size += kept;
        }
        check->skip -= some;
        if (check->skip == 0 && check->kind) {
            *result = extension_end(check);
        }
        return some;
    }
    some = some < BLOCK - check->block_used ? some : BLOCK - check->block_used;
    memcpy(check->block + check->block_used, bytes.data, some);
    check->block_used += some;
    if (check->block_used == BLOCK) {
        check->block_used = 0;
        *result = header_read(check);
    }
    return some;
}

cella_result oci_tar_check_feed(struct oci_tar_check *check, struct cella_bytes bytes)
{
    cella_result result = check->wrong ? CELLA_RESULT(BAD_SYNTAX) : CELLA_OK;
    for (size_t at = 0; at < bytes.size && cella_is_ok(result);) {
        at += take(check, cella_bytes_of(bytes.data + at, bytes.size - at), &result);
    }
    return result;
}

cella_result oci_tar_check_end(struct oci_tar_check *check)
{
    if (check->wrong) {
        return CELLA_RESULT(BAD_SYNTAX);
    }
    if (check->skip > 0 || check->block_used > 0 || check->kind || check->has_pax ||
        check->has_long_name || check->has_long_link) {
        return wrong(check, "it ends in the middle of a file");
    }
    return CELLA_OK;
}
