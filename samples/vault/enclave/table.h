/*
 * A table of records out of comma-separated text (RFC 4180: quotes, doubled quotes, line breaks in quotes).
 * Side: enclave. The text comes from the host: nothing in it is trusted.
 */
#ifndef VAULT_TABLE_H
#define VAULT_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_cell {
    uint32_t at; /* offset in the text */
    uint32_t size;
};

/* The first record names the columns; `records` counts those behind it. */
struct table {
    char *text; /* owned; quotes are undone in place */
    size_t size;
    struct table_cell *cells; /* (records + 1) * columns, owned */
    size_t records;
    size_t columns;
};

/* Takes over `text` (from malloc). 0, or -1 with *ret_line the line that is wrong and *ret_why what is. */
int table_parse(struct table *table, char *text, size_t size, size_t *ret_line,
                const char **ret_why);
void table_done(struct table *table);

/* Record 0 is the first behind the header; the header is record -1. */
static inline struct table_cell table_at(const struct table *table, ptrdiff_t record, size_t column)
{
    return table->cells[(size_t)(record + 1) * table->columns + column];
}

#endif
