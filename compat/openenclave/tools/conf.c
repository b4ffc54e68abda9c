/*
 * oesign's configuration file: one NAME=VALUE a line, # comments.
 * Side: host and tools. Called by oesign.
 * Never accepts a name twice, or one that it does not know.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "compat/openenclave/tools/properties.h"

#define LINE_MAX_SIZE 1024u

/* In the order of the table below. */
enum conf_key {
    CONF_DEBUG,
    CONF_HEAP,
    CONF_STACK,
    CONF_TCS,
    CONF_PRODUCT,
    CONF_SVN,
    CONF_FAMILY,
    CONF_EXTENDED,
    CONF_CAPTURE,
    CONF_ZERO_BASE,
    CONF_START,
    CONF_COUNT
};

static const struct {
    const char *name;
    uint64_t max; /* 0: an id */
} keys[CONF_COUNT] = {
    [CONF_DEBUG] = {"Debug", 1},
    [CONF_HEAP] = {"NumHeapPages", UINT64_MAX},
    [CONF_STACK] = {"NumStackPages", UINT64_MAX},
    [CONF_TCS] = {"NumTCS", OE_SGX_MAX_TCS},
    [CONF_PRODUCT] = {"ProductID", UINT16_MAX},
    [CONF_SVN] = {"SecurityVersion", UINT16_MAX},
    [CONF_FAMILY] = {"FamilyID", 0},
    [CONF_EXTENDED] = {"ExtendedProductID", 0},
    [CONF_CAPTURE] = {"CapturePFGPExceptions", 1},
    [CONF_ZERO_BASE] = {"CreateZeroBaseEnclave", 1},
    [CONF_START] = {"StartAddress", UINT64_MAX},
};

struct conf {
    const char *file_name;
    unsigned line;
    struct cella_error *error;
    bool has[CONF_COUNT];
    uint64_t number[CONF_COUNT];
    uint8_t id[CONF_COUNT][16];
};

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == '=';
}

/* Decimal, octal behind 0 or hexadecimal behind 0x, as strtoul reads. */
static bool number_read(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    unsigned base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    } else if (text[0] == '0' && text[1] != 0) {
        base = 8;
        text++;
    }
    if (*text == 0) {
        return false;
    }
    for (; *text; text++) {
        const unsigned char c = (unsigned char)tolower((unsigned char)*text);
        const unsigned digit = isdigit(c) ? c - '0' + 0u : isxdigit(c) ? c - 'a' + 10u : 99u;
        if (digit >= base || value > (UINT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *ret_value = value;
    return true;
}

/* A UUID in its text form of 36 characters; one character alone stands for none. */
static bool id_read(const char *text, uint8_t *ret_id)
{
    unsigned digits = 0;
    memset(ret_id, 0, 16);
    if (strlen(text) == 1) {
        return true;
    }
    if (strlen(text) != 36) {
        return false;
    }
    for (; *text; text++) {
        if (*text == '-') {
            continue;
        }
        const unsigned char c = (unsigned char)tolower((unsigned char)*text);
        if (!isxdigit(c) || digits == 32) {
            return false;
        }
        const unsigned digit = isdigit(c) ? c - '0' + 0u : c - 'a' + 10u;
        ret_id[digits / 2] = (uint8_t)(ret_id[digits / 2] << 4 | digit);
        digits++;
    }
    return digits == 32;
}

static cella_result value_take(struct conf *conf, unsigned key, const char *value)
{
    if (conf->has[key]) {
        return cella_error_set(conf->error, CELLA_RESULT(BAD_SYNTAX),
                               "%s(%u): Duplicate '%s' value provided", conf->file_name, conf->line,
                               keys[key].name);
    }
    const bool good = keys[key].max == 0 ? id_read(value, conf->id[key])
                                         : number_read(value, &conf->number[key]) &&
                                               conf->number[key] <= keys[key].max;
    if (!good && keys[key].max == 1) {
        return cella_error_set(conf->error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s(%u): '%s' value must be 0 or 1", conf->file_name, conf->line,
                               keys[key].name);
    }
    if (!good) {
        return cella_error_set(conf->error, CELLA_RESULT(OUT_OF_RANGE),
                               "%s(%u): bad value for '%s': %s", conf->file_name, conf->line,
                               keys[key].name, value);
    }
    conf->has[key] = true;
    return CELLA_OK;
}

/* `line` is trimmed and not empty. */
static cella_result line_take(struct conf *conf, char *line)
{
    char *value = line;
    while (*value && !is_between(*value)) {
        value++;
    }
    char *end = value;
    while (is_between(*value)) {
        value++;
    }
    if (end == line || *value == 0) {
        return cella_error_set(conf->error, CELLA_RESULT(BAD_SYNTAX),
                               "%s(%u): syntax error; expected NAME=VALUE", conf->file_name,
                               conf->line);
    }
    *end = 0;
    for (unsigned key = 0; key < CONF_COUNT; key++) {
        if (strcmp(line, keys[key].name) == 0) {
            return value_take(conf, key, value);
        }
    }
    return cella_error_set(conf->error, CELLA_RESULT(BAD_SYNTAX), "%s(%u): unknown setting: %s",
                           conf->file_name, conf->line, line);
}

static cella_result text_take(struct conf *conf, struct cella_bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        char line[LINE_MAX_SIZE];
        const uint8_t *newline = memchr(text.data + at, '\n', text.size - at);
        const size_t size = newline ? (size_t)(newline - text.data) - at : text.size - at;
        conf->line++;
        if (size >= sizeof(line) || memchr(text.data + at, 0, size)) {
            return cella_error_set(conf->error, CELLA_RESULT(BAD_SYNTAX),
                                   "%s(%u): syntax error; a line has at most %u characters",
                                   conf->file_name, conf->line, LINE_MAX_SIZE - 1);
        }
        memcpy(line, text.data + at, size);
        line[size] = 0;
        at += size + 1;
        char *start = line + strspn(line, " \t");
        for (size_t end = strlen(start); end > 0 && strchr(" \t\r", start[end - 1]); end--) {
            start[end - 1] = 0;
        }
        if (*start && *start != '#') {
            CELLA_TRY(line_take(conf, start));
        }
    }
    return CELLA_OK;
}

static void merge(oe_sgx_enclave_properties_t *properties, const struct conf *conf)
{
    oe_enclave_size_settings_t *sizes = &properties->header.size_settings;
    oe_sgx_enclave_config_t *config = &properties->config;
    if (conf->has[CONF_DEBUG]) {
        config->attributes &= ~OE_SGX_FLAGS_DEBUG;
        config->attributes |= conf->number[CONF_DEBUG] ? OE_SGX_FLAGS_DEBUG : 0;
    }
    if (conf->has[CONF_PRODUCT]) {
        config->product_id = (uint16_t)conf->number[CONF_PRODUCT];
    }
    if (conf->has[CONF_SVN]) {
        config->security_version = (uint16_t)conf->number[CONF_SVN];
    }
    sizes->num_heap_pages = conf->has[CONF_HEAP] ? conf->number[CONF_HEAP] : sizes->num_heap_pages;
    sizes->num_stack_pages =
        conf->has[CONF_STACK] ? conf->number[CONF_STACK] : sizes->num_stack_pages;
    sizes->num_tcs = conf->has[CONF_TCS] ? conf->number[CONF_TCS] : sizes->num_tcs;
    memcpy(config->family_id, conf->id[CONF_FAMILY], sizeof(config->family_id));
    memcpy(config->extended_product_id, conf->id[CONF_EXTENDED],
           sizeof(config->extended_product_id));
    config->attributes &= ~OE_SGX_FLAGS_KSS;
    if (conf->has[CONF_FAMILY] || conf->has[CONF_EXTENDED]) {
        config->attributes |= OE_SGX_FLAGS_KSS;
    }
    config->flags.capture_pf_gp_exceptions = conf->number[CONF_CAPTURE] & 1;
    config->flags.create_zero_base_enclave = conf->number[CONF_ZERO_BASE] & 1;
    if (conf->number[CONF_ZERO_BASE] && conf->has[CONF_START]) {
        config->start_address = conf->number[CONF_START];
    }
}

cella_result oe_properties_configure(oe_sgx_enclave_properties_t *properties,
                                     struct cella_bytes text, const char *file_name,
                                     struct cella_error *error)
{
    struct conf conf = {.file_name = file_name, .error = error};
    CELLA_TRY(text_take(&conf, text));
    merge(properties, &conf);
    return CELLA_OK;
}

void oe_properties_configure_none(oe_sgx_enclave_properties_t *properties)
{
    const struct conf conf = {0};
    merge(properties, &conf);
}
