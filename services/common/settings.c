/*
 * Configuration files of services.
 * Side: services. Called by each service with its table of keys. Never reads the environment.
 */
#include "services/common/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_SIZE 4096u
#define LIST_MAX 64u
#define SEEN_MAX 128u

struct reader {
    const struct settings *settings;
    const char *file_name;
    unsigned line;
    unsigned column;
    void *values;
    struct cella_error *error;
    bool seen[SEEN_MAX];
};

static cella_result fail(const struct reader *reader, cella_result result, const char *what,
                         const char *more)
{
    return cella_error_set(reader->error, result, "%s:%u:%u: %s%s", reader->file_name, reader->line,
                           reader->column, what, more);
}

static void *field_of(void *values, const struct setting *setting)
{
    return (char *)values + setting->offset;
}

static cella_result read_number(const struct reader *reader, const struct setting *setting,
                                const char *value, void *field)
{
    char *end;
    char expected[64];
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || number < setting->low ||
        number > setting->high) {
        snprintf(expected, sizeof(expected), ": expected a number from %u to %u", setting->low,
                 setting->high);
        return fail(reader, CELLA_RESULT(OUT_OF_RANGE), setting->name, expected);
    }
    uint32_t small = (uint32_t)number;
    memcpy(field, &small, sizeof(small));
    return CELLA_OK;
}

static cella_result read_choice(const struct reader *reader, const struct setting *setting,
                                const char *value, void *field)
{
    char expected[256] = ": expected ";
    for (uint32_t i = 0; setting->choices[i]; i++) {
        if (strcmp(value, setting->choices[i]) == 0) {
            memcpy(field, &i, sizeof(i));
            return CELLA_OK;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof(expected) - used, "%s%s", i ? " or " : "",
                 setting->choices[i]);
    }
    return fail(reader, CELLA_RESULT(BAD_SYNTAX), setting->name, expected);
}

static cella_result read_list(const struct reader *reader, const struct setting *setting,
                              const char *value, struct setting_list *list)
{
    if (list->count == LIST_MAX) {
        return fail(reader, CELLA_RESULT(LIMIT_EXCEEDED), setting->name, ": more than 64 of them");
    }
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    CELLA_ENSURE(items, OUT_OF_MEMORY);
    list->items = items;
    items[list->count] = strdup(value);
    CELLA_ENSURE(items[list->count], OUT_OF_MEMORY);
    list->count++;
    return CELLA_OK;
}

static cella_result read_value(const struct reader *reader, const struct setting *setting,
                               const char *value, void *field)
{
    switch (setting->kind) {
    case SETTING_NUMBER:
        return read_number(reader, setting, value, field);
    case SETTING_CHOICE:
        return read_choice(reader, setting, value, field);
    case SETTING_LIST:
        return read_list(reader, setting, value, field);
    case SETTING_FLAG:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
            return fail(reader, CELLA_RESULT(BAD_SYNTAX), setting->name, ": expected yes or no");
        }
        *(bool *)field = value[0] == 'y';
        return CELLA_OK;
    case SETTING_TEXT:
        break;
    }
    char *copy = strdup(value);
    CELLA_ENSURE(copy, OUT_OF_MEMORY);
    free(*(char **)field);
    *(char **)field = copy;
    return CELLA_OK;
}

static const struct setting *find(const struct reader *reader, const char *name, unsigned *index)
{
    *index = 0;
    for (size_t i = 0; i < reader->settings->table_count; i++) {
        for (const struct setting *setting = reader->settings->tables[i]; setting->name;
             setting++) {
            if (strcmp(setting->name, name) == 0) {
                return setting;
            }
            ++*index;
        }
    }
    return NULL;
}

/* Cuts blanks from both ends of the text in [start, end). */
static char *trim(char *start, char *end)
{
    while (start < end && (*start == ' ' || *start == '\t' || *start == '\r')) {
        start++;
    }
    while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) {
        end--;
    }
    *end = 0;
    return start;
}

/* Where a comment starts, outside quotation marks; the end of the line when there is none. */
static char *line_end(char *line)
{
    bool quoted = false;
    for (; *line && (quoted || *line != '#'); line++) {
        quoted ^= *line == '"';
    }
    return line;
}

static cella_result unquote(const struct reader *reader, char **value)
{
    size_t size = strlen(*value);
    if (**value != '"') {
        return strchr(*value, '"') ? fail(reader, CELLA_RESULT(BAD_SYNTAX), "a quotation mark", "")
                                   : CELLA_OK;
    }
    if (size < 2 || strchr(*value + 1, '"') != *value + size - 1) {
        return fail(reader, CELLA_RESULT(BAD_SYNTAX), "expected a closing quotation mark", "");
    }
    (*value)[size - 1] = 0;
    ++*value;
    return CELLA_OK;
}

static cella_result read_line(struct reader *reader, char *line)
{
    char *start = trim(line, line_end(line));
    reader->column = (unsigned)(start - line) + 1;
    if (!*start) {
        return CELLA_OK;
    }
    char *equals = strchr(start, '=');
    if (!equals) {
        return fail(reader, CELLA_RESULT(BAD_SYNTAX), "expected key = value", "");
    }
    unsigned index;
    char *value = trim(equals + 1, equals + 1 + strlen(equals + 1));
    char *name = trim(start, equals);
    const struct setting *setting = find(reader, name, &index);
    if (!setting) {
        return fail(reader, CELLA_RESULT(NOT_FOUND), "unknown key ", name);
    }
    if (setting->kind != SETTING_LIST && index < SEEN_MAX && reader->seen[index]) {
        return fail(reader, CELLA_RESULT(ALREADY_EXISTS), name, " is given twice");
    }
    reader->seen[index < SEEN_MAX ? index : SEEN_MAX - 1] = true;
    reader->column = (unsigned)(value - line) + 1;
    CELLA_TRY(unquote(reader, &value));
    return read_value(reader, setting, value, field_of(reader->values, setting));
}

static cella_result read_lines(struct reader *reader, struct cella_bytes text)
{
    char line[LINE_MAX_SIZE];
    const char *at = (const char *)text.data;
    const char *end = at + text.size;
    if (text.size && memchr(text.data, 0, text.size)) {
        return cella_error_set(reader->error, CELLA_RESULT(BAD_SYNTAX), "%s: not a text file",
                               reader->file_name);
    }
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((newline ? newline : end) - at);
        reader->line++;
        reader->column = 1;
        if (size >= sizeof(line)) {
            return fail(reader, CELLA_RESULT(LIMIT_EXCEEDED), "line too long", "");
        }
        memcpy(line, at, size);
        line[size] = 0;
        CELLA_TRY(read_line(reader, line));
        at += size + 1;
    }
    return CELLA_OK;
}

static cella_result read_defaults(struct reader *reader)
{
    for (size_t i = 0; i < reader->settings->table_count; i++) {
        for (const struct setting *setting = reader->settings->tables[i]; setting->name;
             setting++) {
            if (setting->standard) {
                CELLA_TRY(read_value(reader, setting, setting->standard,
                                     field_of(reader->values, setting)));
            }
        }
    }
    return CELLA_OK;
}

cella_result settings_parse(const struct settings *settings, struct cella_bytes text,
                            const char *file_name, void *values, struct cella_error *error)
{
    struct reader reader = {
        .settings = settings, .file_name = file_name, .values = values, .error = error};
    cella_result result = read_defaults(&reader);
    if (cella_is_ok(result)) {
        result = read_lines(&reader, text);
    }
    if (!cella_is_ok(result)) {
        settings_done(settings, values);
    }
    return result;
}

cella_result file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size,
                       struct cella_error *error)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    size_t size = 0;
    size_t room = 4096;
    char *text = malloc(room + 1);
    while (text && size <= limit) {
        size += fread(text + size, 1, room - size, file);
        if (size < room) {
            break;
        }
        room *= 2;
        char *grown = realloc(text, room + 1);
        if (!grown) {
            free(text);
        }
        text = grown;
    }
    bool failed = ferror(file);
    fclose(file);
    if (!text || failed || size > limit) {
        free(text);
        return !text ? CELLA_RESULT(OUT_OF_MEMORY)
               : failed
                   ? cella_error_set(error, CELLA_RESULT(IO), "%s: cannot be read", path)
                   : cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: too long", path);
    }
    text[size] = 0;
    *ret_text = text;
    *ret_size = size;
    return CELLA_OK;
}

cella_result settings_read(const struct settings *settings, const char *path, void *values,
                           struct cella_error *error)
{
    if (!path) {
        return settings_parse(settings, cella_bytes_of(NULL, 0), "defaults", values, error);
    }
    char *text;
    size_t size;
    CELLA_TRY(file_read(path, SETTINGS_FILE_MAX, &text, &size, error));
    cella_result result = settings_parse(settings, cella_bytes_of(text, size), path, values, error);
    free(text);
    return result;
}

void settings_done(const struct settings *settings, void *values)
{
    for (size_t i = 0; i < settings->table_count; i++) {
        for (const struct setting *setting = settings->tables[i]; setting->name; setting++) {
            void *field = field_of(values, setting);
            if (setting->kind == SETTING_TEXT) {
                free(*(char **)field);
                *(char **)field = NULL;
            } else if (setting->kind == SETTING_LIST) {
                struct setting_list *list = field;
                for (size_t j = 0; j < list->count; j++) {
                    free(list->items[j]);
                }
                free(list->items);
                *list = (struct setting_list){0};
            }
        }
    }
}
