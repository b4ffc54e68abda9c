/*
 * The configuration file of an enclave: one `key = value` a line, `#` comments.
 * Side: tools (hosted). Called by cli/ and image/. Never opens a file itself.
 */
#include "image/config.h"

#include <string.h>

#include "common/cleanup.h"

#define CONFIG_LINE_MAX 1024u
#define CONFIG_FILE_MAX (1u << 20)

/* Where the reader stands; for the error text. */
struct place {
    const char *file_name;
    unsigned line;
    unsigned column; /* 1-based, of the word at hand */
    struct cella_error *error;
};

/* A word of a line: not zero-terminated. */
struct word {
    const char *text;
    size_t size;
};

struct config_key {
    const char *name;
    cella_result (*read)(const struct config_key *key, struct word value, const struct place *place,
                         void *field);
    size_t offset; /* of the field in struct cella_image_config */
    uint64_t low;
    uint64_t high;
};

static bool word_is(struct word word, const char *text)
{
    return word.size == strlen(text) && memcmp(word.text, text, word.size) == 0;
}

#define PLACE_FORMAT "%s:%u:%u: "
#define PLACE_ARGUMENTS(place) (place)->file_name, (place)->line, (place)->column
#define WORD_ARGUMENTS(word) (int)((word).size > 64 ? 64 : (word).size), (word).text

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return 16;
}

/* Decimal, or hexadecimal behind 0x; false on anything else and above 64 bits. */
static bool number_of(struct word word, uint64_t *ret_value)
{
    unsigned base = 10;
    uint64_t value = 0;

    if (word.size > 2 && word.text[0] == '0' && (word.text[1] == 'x' || word.text[1] == 'X')) {
        base = 16;
        word.text += 2;
        word.size -= 2;
    }
    if (word.size == 0) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        unsigned digit = (unsigned)digit_of(word.text[i]);
        if (digit >= base || value > (UINT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *ret_value = value;
    return true;
}

static cella_result range_check(const struct config_key *key, uint64_t value,
                                const struct place *place)
{
    if (value < key->low || value > key->high) {
        return cella_error_set(place->error, CELLA_RESULT(OUT_OF_RANGE),
                               PLACE_FORMAT "%s is %llu; expected %llu to %llu",
                               PLACE_ARGUMENTS(place), key->name, (unsigned long long)value,
                               (unsigned long long)key->low, (unsigned long long)key->high);
    }
    return CELLA_OK;
}

static cella_result read_u64(const struct config_key *key, struct word value,
                             const struct place *place, void *field)
{
    uint64_t number;
    if (!number_of(value, &number)) {
        return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                               PLACE_FORMAT "%s: '%.*s' is not a number", PLACE_ARGUMENTS(place),
                               key->name, WORD_ARGUMENTS(value));
    }
    CELLA_TRY(range_check(key, number, place));
    memcpy(field, &number, sizeof(number));
    return CELLA_OK;
}

static cella_result read_u32(const struct config_key *key, struct word value,
                             const struct place *place, void *field)
{
    uint64_t number = 0;
    CELLA_TRY(read_u64(key, value, place, &number));
    uint32_t small = (uint32_t)number;
    memcpy(field, &small, sizeof(small));
    return CELLA_OK;
}

/* A number of bytes with an optional K, M or G (powers of 1024); whole pages. */
static cella_result read_size(const struct config_key *key, struct word value,
                              const struct place *place, void *field)
{
    struct word digits = value;
    unsigned shift = 0;
    uint64_t number;

    switch (value.size ? value.text[value.size - 1] : 0) {
    case 'K':
        shift = 10;
        break;
    case 'M':
        shift = 20;
        break;
    case 'G':
        shift = 30;
        break;
    default:
        break;
    }
    digits.size -= shift ? 1 : 0;
    if (!number_of(digits, &number) || number > UINT64_MAX >> shift) {
        return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                               PLACE_FORMAT
                               "%s: '%.*s' is not a size (a number with an optional K, M or G)",
                               PLACE_ARGUMENTS(place), key->name, WORD_ARGUMENTS(value));
    }
    number <<= shift;
    CELLA_TRY(range_check(key, number, place));
    if (number % SGX_PAGE_SIZE != 0) {
        return cella_error_set(place->error, CELLA_RESULT(OUT_OF_RANGE),
                               PLACE_FORMAT "%s is %llu; expected a multiple of 4096",
                               PLACE_ARGUMENTS(place), key->name, (unsigned long long)number);
    }
    memcpy(field, &number, sizeof(number));
    return CELLA_OK;
}

static cella_result read_bool(const struct config_key *key, struct word value,
                              const struct place *place, void *field)
{
    bool flag = word_is(value, "yes");
    if (!flag && !word_is(value, "no")) {
        return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                               PLACE_FORMAT "%s: '%.*s'; expected yes or no",
                               PLACE_ARGUMENTS(place), key->name, WORD_ARGUMENTS(value));
    }
    memcpy(field, &flag, sizeof(flag));
    return CELLA_OK;
}

static cella_result read_exinfo(const struct config_key *key, struct word value,
                                const struct place *place, void *field)
{
    static const char *const names[] = {"no", "auto", "yes"};
    for (unsigned i = 0; i < CELLA_COUNT(names); i++) {
        if (word_is(value, names[i])) {
            enum cella_config_exinfo exinfo = (enum cella_config_exinfo)i;
            memcpy(field, &exinfo, sizeof(exinfo));
            return CELLA_OK;
        }
    }
    return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                           PLACE_FORMAT "%s: '%.*s'; expected yes, no or auto",
                           PLACE_ARGUMENTS(place), key->name, WORD_ARGUMENTS(value));
}

/* 16 bytes as 32 hexadecimal digits, with or without the dashes of a UUID; bytes in the order
 * written. */
static cella_result read_id(const struct config_key *key, struct word value,
                            const struct place *place, void *field)
{
    uint8_t id[16] = {0};
    size_t digits = 0;
    bool good = true;

    for (size_t i = 0; i < value.size && good; i++) {
        if (value.text[i] == '-') {
            continue;
        }
        int digit = digit_of(value.text[i]);
        good = digit < 16 && digits < 32;
        if (good) {
            id[digits / 2] |= (uint8_t)(digits % 2 ? digit : digit << 4);
            digits++;
        }
    }
    if (!good || digits != 32) {
        return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                               PLACE_FORMAT "%s: '%.*s'; expected 32 hexadecimal digits",
                               PLACE_ARGUMENTS(place), key->name, WORD_ARGUMENTS(value));
    }
    memcpy(field, id, sizeof(id));
    return CELLA_OK;
}

static cella_result read_name(const struct config_key *key, struct word value,
                              const struct place *place, void *field)
{
    bool good = value.size < CELLA_IMAGE_NAME_SIZE;
    for (size_t i = 0; i < value.size && good; i++) {
        good = value.text[i] >= ' ' && value.text[i] <= '~';
    }
    if (!good) {
        return cella_error_set(place->error, CELLA_RESULT(OUT_OF_RANGE),
                               PLACE_FORMAT "%s: expected at most 63 printable ASCII characters",
                               PLACE_ARGUMENTS(place), key->name);
    }
    memset(field, 0, CELLA_IMAGE_NAME_SIZE);
    memcpy(field, value.text, value.size);
    return CELLA_OK;
}

#define KEY(key, reader, low, high)                                                                \
    {                                                                                              \
#key, reader, offsetof(struct cella_image_config, key), low, high                          \
    }

static const struct config_key g_keys[] = {
    KEY(name, read_name, 0, 0),
    KEY(heap_size, read_size, 0, 1ull << 38),
    KEY(heap_initial, read_size, 0, 1ull << 38),
    KEY(stack_size, read_size, 0x2000, 1ull << 30),
    KEY(threads, read_u32, 1, CELLA_IMAGE_THREAD_MAX),
    KEY(enclave_threads, read_u32, 0, CELLA_IMAGE_THREAD_MAX - 1),
    KEY(nssa, read_u32, 2, 16),
    KEY(product_id, read_u32, 0, UINT16_MAX),
    KEY(svn, read_u32, 0, UINT16_MAX),
    KEY(debug, read_bool, 0, 0),
    KEY(kss, read_bool, 0, 0),
    KEY(family_id, read_id, 0, 0),
    KEY(ext_product_id, read_id, 0, 0),
    KEY(provision_key, read_bool, 0, 0),
    KEY(exinfo, read_exinfo, 0, 0),
    KEY(xfrm, read_u64, 0, UINT64_MAX),
    KEY(xfrm_mask, read_u64, 0, UINT64_MAX),
};
_Static_assert(CELLA_COUNT(g_keys) <= 32, "one bit each in struct reader.seen");

void cella_config_defaults(struct cella_image_config *ret_config)
{
    *ret_config = (struct cella_image_config){
        .heap_size = 4ull << 20,
        .heap_initial = CELLA_CONFIG_HEAP_ALL,
        .stack_size = 128ull << 10,
        .threads = 4,
        .nssa = CELLA_IMAGE_NSSA,
        .exinfo = CELLA_CONFIG_EXINFO_AUTO,
        .xfrm = SGX_XFRM_LEGACY,
        .xfrm_mask = ~(SGX_XFRM_AVX | SGX_XFRM_AVX512),
    };
}

/* Limits that bind two keys. */
static cella_result config_check(const struct cella_image_config *config, const char *file_name,
                                 struct cella_error *error)
{
    static const uint8_t zero[16];
    const uint64_t xfrm_known = SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512 | SGX_XFRM_PKRU;

    if (!config->kss && (memcmp(config->family_id, zero, 16) != 0 ||
                         memcmp(config->ext_product_id, zero, 16) != 0)) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: family_id and ext_product_id need kss = yes", file_name);
    }
    if (config->heap_initial != CELLA_CONFIG_HEAP_ALL && config->heap_initial > config->heap_size) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: heap_initial (%llu) is above heap_size (%llu)", file_name,
                               (unsigned long long)config->heap_initial,
                               (unsigned long long)config->heap_size);
    }
    if (config->threads + config->enclave_threads > CELLA_IMAGE_THREAD_MAX) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: threads + enclave_threads is %u; at most %u", file_name,
                               config->threads + config->enclave_threads, CELLA_IMAGE_THREAD_MAX);
    }
    if ((config->xfrm & SGX_XFRM_LEGACY) != SGX_XFRM_LEGACY || (config->xfrm & ~xfrm_known) != 0) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: xfrm is 0x%llx; expected bits 0 and 1 and nothing outside "
                               "0x%llx",
                               file_name, (unsigned long long)config->xfrm,
                               (unsigned long long)xfrm_known);
    }
    if ((config->xfrm & ~config->xfrm_mask & ~(SGX_XFRM_AVX | SGX_XFRM_AVX512)) != 0) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s: xfrm_mask is 0x%llx; it must cover bits 0 and 1", file_name,
                               (unsigned long long)config->xfrm_mask);
    }
    return CELLA_OK;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct word word_trim(struct word word)
{
    while (word.size && is_space(word.text[0])) {
        word.text++;
        word.size--;
    }
    while (word.size && is_space(word.text[word.size - 1])) {
        word.size--;
    }
    return word;
}

static cella_result key_read(struct cella_image_config *config, uint32_t *seen, struct word name,
                             struct word value, unsigned value_column, struct place *place)
{
    for (unsigned i = 0; i < CELLA_COUNT(g_keys); i++) {
        const struct config_key *key = &g_keys[i];
        if (!word_is(name, key->name)) {
            continue;
        }
        if (*seen & (1u << i)) {
            return cella_error_set(place->error, CELLA_RESULT(ALREADY_EXISTS),
                                   PLACE_FORMAT "%s is given twice", PLACE_ARGUMENTS(place),
                                   key->name);
        }
        *seen |= 1u << i;
        place->column = value_column;
        return key->read(key, value, place, (char *)config + key->offset);
    }
    return cella_error_set(place->error, CELLA_RESULT(NOT_FOUND), PLACE_FORMAT "unknown key '%.*s'",
                           PLACE_ARGUMENTS(place), WORD_ARGUMENTS(name));
}

/* One line, without its end. Blank and comment lines give nothing. */
static cella_result line_read(struct cella_image_config *config, uint32_t *seen, struct word line,
                              struct place *place)
{
    const char *comment = memchr(line.text, '#', line.size);
    struct word whole = {line.text, comment ? (size_t)(comment - line.text) : line.size};
    struct word text = word_trim(whole);

    if (text.size == 0) {
        return CELLA_OK;
    }
    place->column = (unsigned)(text.text - line.text) + 1;
    const char *equals = memchr(text.text, '=', text.size);
    if (!equals) {
        return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                               PLACE_FORMAT "expected `key = value`", PLACE_ARGUMENTS(place));
    }
    struct word name = word_trim((struct word){text.text, (size_t)(equals - text.text)});
    struct word value =
        word_trim((struct word){equals + 1, (size_t)(text.text + text.size - (equals + 1))});
    unsigned value_column = (unsigned)(value.text - line.text) + 1;
    if (value.size == 0) {
        place->column = (unsigned)(equals - line.text) + 1;
        return cella_error_set(place->error, CELLA_RESULT(BAD_SYNTAX),
                               PLACE_FORMAT "no value behind `=`", PLACE_ARGUMENTS(place));
    }
    return key_read(config, seen, name, value, value_column, place);
}

cella_result cella_config_parse(struct cella_bytes text, const char *file_name,
                                struct cella_image_config *ret_config, struct cella_error *error)
{
    struct cella_image_config config;
    struct cella_cursor cursor = cella_cursor_of(text);
    struct place place = {.file_name = file_name, .line = 0, .column = 1, .error = error};
    uint32_t seen = 0;

    if (text.size > CONFIG_FILE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s: %zu bytes; at most %u are read", file_name, text.size,
                               CONFIG_FILE_MAX);
    }
    cella_config_defaults(&config);
    while (cella_cursor_left(&cursor) > 0) {
        const char *start = (const char *)cursor.bytes.data + cursor.offset;
        size_t left = cella_cursor_left(&cursor);
        const char *newline = memchr(start, '\n', left);
        struct word line = {start, newline ? (size_t)(newline - start) : left};

        place.line++;
        place.column = 1;
        if (line.size > CONFIG_LINE_MAX) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                   PLACE_FORMAT "the line has %zu bytes; at most %u",
                                   PLACE_ARGUMENTS(&place), line.size, CONFIG_LINE_MAX);
        }
        CELLA_TRY(line_read(&config, &seen, line, &place));
        CELLA_TRY(cella_cursor_skip(&cursor, line.size + (newline ? 1 : 0)));
    }
    CELLA_TRY(cella_end(&cursor));
    CELLA_TRY(config_check(&config, file_name, error));
    *ret_config = config;
    return CELLA_OK;
}
