/*
 * Reads the hex example of a format document, so that the document cannot drift from the code.
 * Side: tests (host). Included by tests.
 * Never more than the last fenced block of hex lines.
 */
#ifndef CELLA_TESTS_RUNTIME_DOCS_HEX_H
#define CELLA_TESTS_RUNTIME_DOCS_HEX_H

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool docs_hex_line(const char *line, unsigned char *out, size_t capacity,
                                 size_t *used)
{
    unsigned value;
    int length;
    if (!isxdigit((unsigned char)line[0]) || !isxdigit((unsigned char)line[1]) || line[2] != ' ') {
        return false;
    }
    while (*used < capacity && sscanf(line, "%2x%n", &value, &length) == 1) {
        out[(*used)++] = (unsigned char)value;
        line += length;
    }
    return true;
}

/* The number of bytes, 0 when there are none. */
static inline size_t docs_hex(const char *name, unsigned char *out, size_t capacity)
{
    char path[4096], line[512];
    size_t used = 0;
    snprintf(path, sizeof(path), "%s/%s", DOCS_DIR, name);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "```", 3) != 0 && !docs_hex_line(line, out, capacity, &used)) {
            used = 0; /* text: an earlier block was not the last */
        }
    }
    if (file) {
        fclose(file);
    }
    return used;
}

#endif
