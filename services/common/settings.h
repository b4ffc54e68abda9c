/*
 * Configuration files of services: `key = value` lines, `#` comments, as of enclaves and projects.
 * Side: services. Called by each service with its table of keys. Never reads the environment.
 */
#ifndef CELLA_SERVICES_SETTINGS_H
#define CELLA_SERVICES_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/error.h"

#define SETTINGS_FILE_MAX (1u << 20)

enum setting_kind {
    SETTING_TEXT,   /* char *; with or without quotation marks */
    SETTING_NUMBER, /* uint32_t within low and high */
    SETTING_FLAG,   /* bool; yes or no */
    SETTING_CHOICE, /* uint32_t: which of `choices` */
    SETTING_LIST,   /* struct setting_list; a line each */
};

struct setting_list {
    char **items;
    size_t count;
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset; /* of the field in the service's struct */
    uint32_t low;
    uint32_t high;
    const char *const *choices; /* ends in NULL */
    const char *standard;       /* the value when the file says nothing; NULL: zero */
};

/* Tables end in a row without a name; several make one set of keys. */
struct settings {
    const struct setting *const *tables;
    size_t table_count;
};

/* Reads `text` over the defaults into `values`. Errors give file, line, column and what was expected. */
CELLA_MUST_USE cella_result settings_parse(const struct settings *settings, struct cella_bytes text,
                                           const char *file_name, void *values,
                                           struct cella_error *error);
/* The same from a file; NULL: the defaults alone. */
CELLA_MUST_USE cella_result settings_read(const struct settings *settings, const char *path,
                                          void *values, struct cella_error *error);
/* Frees texts and lists. */
void settings_done(const struct settings *settings, void *values);

/* A whole file, at most `limit` bytes; from malloc, with a zero byte behind it. */
CELLA_MUST_USE cella_result file_read(const char *path, size_t limit, char **ret_text,
                                      size_t *ret_size, struct cella_error *error);

#endif
