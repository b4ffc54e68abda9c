/*
 * A table of records out of comma-separated text (RFC 4180).
 * Side: enclave. Called by vault.c. Never reads past the text, and refuses what is not a table.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 256u

struct parser {
    struct table *table;
    size_t at; /* next byte to read */
    size_t line;
    size_t used, room; /* cells */
    const char *why;
};

static int add_cell(struct parser *p, size_t at, size_t size)
{
    if (p->used == p->room) {
        size_t room = p->room ? p->room * 2 : 4096;
        struct table_cell *cells = realloc(p->table->cells, room * sizeof(*cells));
        if (!cells) {
            p->why = "out of memory";
            return -1;
        }
        p->table->cells = cells;
        p->room = room;
    }
    p->table->cells[p->used++] = (struct table_cell){(uint32_t)at, (uint32_t)size};
    return 0;
}

/* A quoted field: undone in place, the result is never longer than its source. */
static int read_quoted(struct parser *p)
{
    char *text = p->table->text;
    size_t start = ++p->at, end = start;
    while (p->at < p->table->size) {
        char c = text[p->at++];
        if (c == '"') {
            if (p->at < p->table->size && text[p->at] == '"') {
                p->at++;
            } else {
                return add_cell(p, start, end - start);
            }
        }
        p->line += c == '\n';
        text[end++] = c;
    }
    p->why = "a quoted field does not end";
    return -1;
}

static int read_plain(struct parser *p)
{
    const char *text = p->table->text;
    size_t start = p->at;
    while (p->at < p->table->size && !strchr(",\r\n", text[p->at])) {
        p->at++;
    }
    return add_cell(p, start, p->at - start);
}

/* One record; *ret_columns fields of it. */
static int read_record(struct parser *p, size_t *ret_columns)
{
    const char *text = p->table->text;
    size_t columns = 0;
    for (;;) {
        int quoted = p->at < p->table->size && text[p->at] == '"';
        if ((quoted ? read_quoted(p) : read_plain(p)) < 0) {
            return -1;
        }
        columns++;
        if (p->at == p->table->size) {
            break;
        }
        char c = text[p->at++];
        if (c == ',') {
            continue;
        }
        if (c == '\r' && p->at < p->table->size && text[p->at] == '\n') {
            p->at++;
        } else if (c != '\n') {
            p->why = "a field goes on behind its closing quote";
            return -1;
        }
        break;
    }
    *ret_columns = columns;
    return 0;
}

static int read_all(struct parser *p)
{
    struct table *table = p->table;
    while (p->at < table->size) {
        size_t columns = 0;
        if (read_record(p, &columns) < 0) {
            return -1;
        }
        if (table->columns == 0) {
            table->columns = columns;
        } else if (columns != table->columns) {
            p->why = "the record has another number of fields than the header";
            return -1;
        }
        if (columns > COLUMNS_MAX) {
            p->why = "more than 256 columns";
            return -1;
        }
        table->records++;
        p->line++;
    }
    if (table->records == 0) {
        p->why = "no header";
        return -1;
    }
    table->records--;
    return 0;
}

int table_parse(struct table *table, char *text, size_t size, size_t *ret_line,
                const char **ret_why)
{
    *table = (struct table){.text = text, .size = size};
    struct parser parser = {.table = table, .line = 1};
    int result = read_all(&parser);
    if (result < 0) {
        *ret_line = parser.line;
        *ret_why = parser.why;
        table_done(table);
    }
    return result;
}

void table_done(struct table *table)
{
    free(table->text);
    free(table->cells);
    *table = (struct table){0};
}
