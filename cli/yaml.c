/*
 * JSON values as YAML. yaml.h is the manual.
 * Side: tools. Called by cella k8s. Never folds, tags, anchors or reads.
 */
#include "cli/yaml.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Words that YAML 1.1 takes for truth values or nothing, in any case that it knows. */
static bool is_word_of_yaml(const char *text)
{
    static const char *const words[] = {"y",    "n",     "yes",  "no",  "on", "off",
                                        "true", "false", "null", "nan", "inf"};
    for (size_t i = 0; i < CELLA_COUNT(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Starts with a letter or a slash, so it is no number, date or indicator; has nothing in it that could end or mark it. */
static bool is_plain(const char *text, size_t size)
{
    if (size == 0 || (!is_letter(text[0]) && text[0] != '/') || is_word_of_yaml(text)) {
        return false;
    }
    for (size_t i = 1; i < size; i++) {
        const char c = text[i];
        const bool colon = c == ':' && i + 1 < size;
        if (!is_letter(c) && !(c >= '0' && c <= '9') && !(c && strchr("_-./@", c)) && !colon) {
            return false;
        }
    }
    return true;
}

/* The next character of well-formed UTF-8, which strings of jansson's are. */
static uint32_t take_character(const char **at)
{
    const unsigned char first = (unsigned char)*(*at)++;
    if (first < 0x80) {
        return first;
    }
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t character = first & (0x3fu >> more);
    for (; more > 0; more--) {
        character = character << 6 | ((unsigned char)*(*at)++ & 0x3fu);
    }
    return character;
}

/* What readers refuse in the stream, and what they take for the end of a line or do not show. */
static bool is_escaped(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || (c >= 0x2000 && c <= 0x206f) ||
           (c >= 0xd800 && c <= 0xf8ff) || (c >= 0xfdd0 && c <= 0xfdef) || c == 0xfeff ||
           (c & 0xfffe) == 0xfffe || c >= 0xe0000;
}

static void write_quoted(const char *text, size_t size, FILE *out)
{
    const char *const end = text + size;
    fputc('"', out);
    while (text < end) {
        const char *start = text;
        const uint32_t c = take_character(&text);
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", (char)c);
        } else if (c == '\n' || c == '\t') {
            fputs(c == '\n' ? "\\n" : "\\t", out);
        } else if (!is_escaped(c)) {
            fwrite(start, 1, (size_t)(text - start), out);
        } else if (c <= 0xff) {
            fprintf(out, "\\x%02x", (unsigned)c);
        } else if (c <= 0xffff) {
            fprintf(out, "\\u%04x", (unsigned)c);
        } else {
            fprintf(out, "\\U%08x", (unsigned)c);
        }
    }
    fputc('"', out);
}

static void write_string(const char *text, size_t size, FILE *out)
{
    if (is_plain(text, size)) {
        fwrite(text, 1, size, out);
    } else {
        write_quoted(text, size, out);
    }
}

static bool is_block(const json_t *json)
{
    return json_object_size(json) > 0 || json_array_size(json) > 0;
}

static void write_scalar(const json_t *json, FILE *out)
{
    switch (json_typeof(json)) {
    case JSON_STRING:
        write_string(json_string_value(json), json_string_length(json), out);
        break;
    case JSON_INTEGER:
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        break;
    case JSON_REAL:
        fprintf(out, "%.17g", json_real_value(json));
        break;
    case JSON_OBJECT:
        fputs("{}", out);
        break;
    case JSON_ARRAY:
        fputs("[]", out);
        break;
    default:
        fputs(json_is_true(json) ? "true" : json_is_false(json) ? "false" : "null", out);
    }
}

static void indent(unsigned depth, FILE *out)
{
    fprintf(out, "%*s", (int)(2 * depth), "");
}

/* The first line of a block continues the line that there is. */
static bool write_block(const json_t *json, unsigned depth, FILE *out);

static bool write_members(const json_t *json, unsigned depth, FILE *out)
{
    const char *key;
    json_t *value;
    bool first = true, good = true;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (!first) {
            indent(depth, out);
        }
        first = false;
        write_string(key, strlen(key), out);
        if (!is_block(value)) {
            fputs(": ", out);
            write_scalar(value, out);
            fputc('\n', out);
            continue;
        }
        fputs(":\n", out);
        indent(depth + 1, out);
        good = write_block(value, depth + 1, out) && good;
    }
    return good;
}

static bool write_elements(const json_t *json, unsigned depth, FILE *out)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *value = json_array_get(json, i);
        if (i > 0) {
            indent(depth, out);
        }
        fputs("- ", out);
        if (is_block(value)) {
            good = write_block(value, depth + 1, out) && good;
        } else {
            write_scalar(value, out);
            fputc('\n', out);
        }
    }
    return good;
}

static bool write_block(const json_t *json, unsigned depth, FILE *out)
{
    if (depth > YAML_DEPTH_MAX) {
        fputs("{}\n", out);
        return false;
    }
    return json_is_object(json) ? write_members(json, depth, out)
                                : write_elements(json, depth, out);
}

bool yaml_write(const json_t *json, FILE *out)
{
    if (!is_block(json)) {
        write_scalar(json, out);
        fputc('\n', out);
        return true;
    }
    return write_block(json, 0, out);
}

void yaml_comment(const char *text, FILE *out)
{
    fputs("# ", out);
    for (; *text; text++) {
        fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', out);
    }
    fputc('\n', out);
}
