/*
 * The XML configuration of an Intel enclave, read with expat (ADR 0071).
 * Side: tools (hosted; expat). Called by sgx_sign and its fuzz target. Never follows a reference out of the document:
 * document types are refused.
 */
#include "compat/intel/sign/config_xml.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

#define VALUE_MAX 64u
#define PAGE 4096u

static const struct {
    const char *name;
    uint64_t low, high, value;
} g_keys[INTEL_KEY_COUNT] = {
#define X(name, low, high, value) {#name, low, high, value},
    INTEL_CONFIG_KEYS(X)
#undef X
};

struct reader {
    XML_Parser parser;
    const char *file_name;
    struct intel_config *config;
    struct cella_error *error;
    cella_result result; /* of the first thing that was wrong */
    unsigned depth;
    enum intel_config_key key;
    char text[VALUE_MAX + 1];
    size_t text_size;
};

static void parser_free(XML_Parser *parser)
{
    XML_ParserFree(*parser);
}

#define PLACE_FORMAT "%s:%lu:%lu: "
#define PLACE(reader)                                                                              \
    (reader)->file_name, (unsigned long)XML_GetCurrentLineNumber((reader)->parser),                \
        (unsigned long)XML_GetCurrentColumnNumber((reader)->parser) + 1

/* Keeps the first error and ends the parsing. */
#define STOP(reader, code, ...)                                                                    \
    do {                                                                                           \
        if (cella_is_ok((reader)->result)) {                                                       \
            (reader)->result =                                                                     \
                cella_error_set((reader)->error, CELLA_RESULT(code), PLACE_FORMAT __VA_ARGS__);    \
            XML_StopParser((reader)->parser, XML_FALSE);                                           \
        }                                                                                          \
    } while (0)

static void element_root(struct reader *reader, const char *name)
{
    if (strcmp(name, "EnclaveConfiguration") != 0) {
        STOP(reader, BAD_SYNTAX, "<%.64s>; expected <EnclaveConfiguration>", PLACE(reader), name);
    }
}

static void element_setting(struct reader *reader, const char *name)
{
    for (unsigned i = 0; i < INTEL_KEY_COUNT; i++) {
        if (strcmp(name, g_keys[i].name) != 0) {
            continue;
        }
        if (intel_config_given(reader->config, i)) {
            STOP(reader, ALREADY_EXISTS, "<%s> is given twice; first on line %u", PLACE(reader),
                 g_keys[i].name, reader->config->line[i]);
        }
        reader->key = (enum intel_config_key)i;
        reader->text_size = 0;
        return;
    }
    STOP(reader, NOT_FOUND, "<%.64s> is no setting of an enclave", PLACE(reader), name);
}

static void XMLCALL element_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = context;
    if (attributes[0]) {
        if (reader->depth > 0) {
            STOP(reader, BAD_SYNTAX, "<%.64s> has an attribute; expected none", PLACE(reader),
                 name);
        }
    }
    switch (reader->depth++) {
    case 0:
        element_root(reader, name);
        break;
    case 1:
        element_setting(reader, name);
        break;
    default:
        STOP(reader, BAD_SYNTAX, "<%.64s> inside a setting; expected a number", PLACE(reader),
             name);
        break;
    }
}

/* As strtoull with base 0 reads it: 0x hexadecimal, 0 octal, else decimal; no sign, nothing behind it. */
static bool number_of(const char *text, size_t size, uint64_t *ret_value)
{
    unsigned base = 10;
    uint64_t value = 0;
    if (size > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
        size -= 2;
    } else if (size > 1 && text[0] == '0') {
        base = 8;
    }
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        const unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                               : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                               : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                      : 16;
        if (digit >= base || value > (UINT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *ret_value = value;
    return size > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void XMLCALL element_end(void *context, const XML_Char *name)
{
    struct reader *reader = context;
    uint64_t value = 0;
    if (--reader->depth != 1) {
        return;
    }
    const char *text = reader->text;
    size_t size = reader->text_size;
    while (size > 0 && is_blank(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_blank(text[size - 1])) {
        size--;
    }
    if (size == 0) {
        STOP(reader, BAD_SYNTAX, "<%s> has no value; expected a number", PLACE(reader), name);
        return;
    }
    if (!number_of(text, size, &value)) {
        STOP(reader, BAD_SYNTAX, "<%s>: '%.*s' is not a number of at most 64 bits", PLACE(reader),
             name, (int)size, text);
        return;
    }
    if (value < g_keys[reader->key].low || value > g_keys[reader->key].high) {
        STOP(reader, OUT_OF_RANGE, "<%s> is 0x%llx; expected 0x%llx to 0x%llx", PLACE(reader), name,
             (unsigned long long)value, (unsigned long long)g_keys[reader->key].low,
             (unsigned long long)g_keys[reader->key].high);
        return;
    }
    reader->config->line[reader->key] = (uint32_t)XML_GetCurrentLineNumber(reader->parser);
    reader->config->value[reader->key] = value;
}

static void XMLCALL characters(void *context, const XML_Char *text, int size)
{
    struct reader *reader = context;
    for (int i = 0; i < size; i++) {
        if (reader->depth < 2) {
            if (!is_blank(text[i])) {
                STOP(reader, BAD_SYNTAX, "text outside a setting", PLACE(reader));
                return;
            }
        } else if (reader->text_size < VALUE_MAX) {
            reader->text[reader->text_size++] = text[i];
        } else {
            STOP(reader, LIMIT_EXCEEDED, "a value of more than %u characters", PLACE(reader),
                 VALUE_MAX);
            return;
        }
    }
}

static void XMLCALL doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                            const XML_Char *public_id, int has_subset)
{
    struct reader *reader = context;
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    STOP(reader, UNSUPPORTED, "a document type; expected none", PLACE(reader));
}

void intel_config_defaults(struct intel_config *ret_config)
{
    memset(ret_config, 0, sizeof(*ret_config));
    for (unsigned i = 0; i < INTEL_KEY_COUNT; i++) {
        ret_config->value[i] = g_keys[i].value;
    }
}

/* ------------------------------------------------------------------- settings that bind each other */

cella_result intel_config_refuse(const struct intel_config *config, enum intel_config_key key,
                                 cella_result result, struct cella_error *error, const char *format,
                                 ...)
{
    char text[200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return cella_error_set(error, result, "%s:%u: <%s>%s", config->file_name, config->line[key],
                           g_keys[key].name, text);
}

struct check {
    const struct intel_config *config;
    struct cella_error *error;
};

#define VALUE(check, key) ((check)->config->value[INTEL_KEY_##key])
#define GIVEN(check, key) intel_config_given((check)->config, INTEL_KEY_##key)
#define REFUSE(check, key, ...)                                                                    \
    return intel_config_refuse((check)->config, key, CELLA_RESULT(OUT_OF_RANGE), (check)->error,   \
                               __VA_ARGS__)

static cella_result check_pages(const struct check *check)
{
    static const enum intel_config_key sizes[] = {
        INTEL_KEY_StackMaxSize,        INTEL_KEY_StackMinSize,        INTEL_KEY_HeapMaxSize,
        INTEL_KEY_HeapMinSize,         INTEL_KEY_HeapInitSize,        INTEL_KEY_ReservedMemMaxSize,
        INTEL_KEY_ReservedMemMinSize,  INTEL_KEY_ReservedMemInitSize, INTEL_KEY_UserRegionSize,
        INTEL_KEY_EnclaveImageAddress, INTEL_KEY_ELRangeStartAddress, INTEL_KEY_ELRangeSize,
    };
    for (size_t i = 0; i < CELLA_COUNT(sizes); i++) {
        const uint64_t value = check->config->value[sizes[i]];
        if (value % PAGE != 0) {
            REFUSE(check, sizes[i], " is 0x%llx; expected a multiple of 0x1000",
                   (unsigned long long)value);
        }
    }
    return CELLA_OK;
}

/* `low` must not be above `high`. The one that is given is to blame, or the later one. */
static cella_result check_order(const struct check *check, enum intel_config_key low,
                                enum intel_config_key high)
{
    const struct intel_config *config = check->config;
    const unsigned long long less = config->value[low], more = config->value[high];
    if (less <= more) {
        return CELLA_OK;
    }
    if (config->line[low] > config->line[high]) {
        REFUSE(check, low, " (0x%llx) is above <%s> (0x%llx)", less, g_keys[high].name, more);
    }
    REFUSE(check, high, " (0x%llx) is below <%s> (0x%llx)", more, g_keys[low].name, less);
}

static cella_result check_three(const struct check *check, enum intel_config_key low,
                                enum intel_config_key initial, enum intel_config_key high)
{
    if (intel_config_given(check->config, initial)) {
        CELLA_TRY(check_order(check, initial, high));
        return check_order(check, low, initial);
    }
    return check_order(check, low, high);
}

static cella_result check_threads(const struct check *check)
{
    uint64_t most = VALUE(check, TCSNum);
    if (GIVEN(check, TCSMaxNum)) {
        CELLA_TRY(check_order(check, INTEL_KEY_TCSNum, INTEL_KEY_TCSMaxNum));
        most = VALUE(check, TCSMaxNum);
    }
    if (GIVEN(check, TCSMinPool) && VALUE(check, TCSMinPool) > most) {
        REFUSE(check, INTEL_KEY_TCSMinPool, " (%llu) is above the number of TCSs (%llu)",
               (unsigned long long)VALUE(check, TCSMinPool), (unsigned long long)most);
    }
    return CELLA_OK;
}

static cella_result check_identity(const struct check *check)
{
    static const enum intel_config_key ids[] = {INTEL_KEY_ISVFAMILYID_H, INTEL_KEY_ISVFAMILYID_L,
                                                INTEL_KEY_ISVEXTPRODID_H, INTEL_KEY_ISVEXTPRODID_L};
    for (size_t i = 0; i < CELLA_COUNT(ids) && VALUE(check, EnableKSS) == 0; i++) {
        if (check->config->value[ids[i]] != 0) {
            REFUSE(check, ids[i], " needs <EnableKSS>1");
        }
    }
    if (VALUE(check, HW) != 0 && VALUE(check, LaunchKey) == 0) {
        REFUSE(check, INTEL_KEY_HW, " and <LaunchKey> belong together");
    }
    if (VALUE(check, HW) == 0 && VALUE(check, LaunchKey) != 0) {
        REFUSE(check, INTEL_KEY_LaunchKey, " and <HW> belong together");
    }
    if (VALUE(check, EnableIPPFIPS) && VALUE(check, EnableOSSLFIPS)) {
        REFUSE(check, INTEL_KEY_EnableOSSLFIPS, " and <EnableIPPFIPS> exclude each other");
    }
    return CELLA_OK;
}

static cella_result check_range(const struct check *check)
{
    const uint64_t size = VALUE(check, ELRangeSize);
    const uint64_t start = VALUE(check, ELRangeStartAddress);
    const uint64_t image = VALUE(check, EnclaveImageAddress);
    if (!GIVEN(check, ELRangeSize)) {
        if (GIVEN(check, EnclaveImageAddress) || GIVEN(check, ELRangeStartAddress)) {
            REFUSE(check,
                   GIVEN(check, EnclaveImageAddress) ? INTEL_KEY_EnclaveImageAddress
                                                     : INTEL_KEY_ELRangeStartAddress,
                   " needs <ELRangeSize>");
        }
        return CELLA_OK;
    }
    if ((size & (size - 1)) != 0 || start % size != 0 || start > UINT64_MAX - size ||
        image < start || image - start >= size) {
        REFUSE(check, INTEL_KEY_ELRangeSize,
               " must be a power of two, <ELRangeStartAddress> a multiple of it, and "
               "<EnclaveImageAddress> inside");
    }
    return CELLA_OK;
}

static cella_result config_check(const struct intel_config *config, struct cella_error *error)
{
    const struct check check = {.config = config, .error = error};
    CELLA_TRY(check_pages(&check));
    CELLA_TRY(check_order(&check, INTEL_KEY_StackMinSize, INTEL_KEY_StackMaxSize));
    CELLA_TRY(
        check_three(&check, INTEL_KEY_HeapMinSize, INTEL_KEY_HeapInitSize, INTEL_KEY_HeapMaxSize));
    CELLA_TRY(check_three(&check, INTEL_KEY_ReservedMemMinSize, INTEL_KEY_ReservedMemInitSize,
                          INTEL_KEY_ReservedMemMaxSize));
    CELLA_TRY(check_threads(&check));
    CELLA_TRY(check_identity(&check));
    return check_range(&check);
}

cella_result intel_config_parse(struct cella_bytes xml, const char *file_name,
                                struct intel_config *ret_config, struct cella_error *error)
{
    CELLA_CLEANUP(parser_free) XML_Parser parser = XML_ParserCreate(NULL);
    struct intel_config config;
    struct reader reader = {.parser = parser,
                            .file_name = file_name,
                            .config = &config,
                            .error = error,
                            .result = CELLA_OK};
    if (!parser) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s", file_name);
    }
    if (xml.size > INTEL_CONFIG_FILE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s: %zu bytes; at most %u are read", file_name, xml.size,
                               INTEL_CONFIG_FILE_MAX);
    }
    intel_config_defaults(&config);
    config.file_name = file_name;
    XML_SetUserData(parser, &reader);
    XML_SetElementHandler(parser, element_start, element_end);
    XML_SetCharacterDataHandler(parser, characters);
    XML_SetStartDoctypeDeclHandler(parser, doctype);
    const enum XML_Status status =
        XML_Parse(parser, (const char *)xml.data, (int)xml.size, XML_TRUE);
    if (!cella_is_ok(reader.result)) {
        return reader.result;
    }
    if (status != XML_STATUS_OK) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), PLACE_FORMAT "%s", PLACE(&reader),
                               XML_ErrorString(XML_GetErrorCode(parser)));
    }
    CELLA_TRY(config_check(&config, error));
    *ret_config = config;
    return CELLA_OK;
}
