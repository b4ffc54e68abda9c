/*
 * Questions about a table.
 * Side: enclave. Called by vault.c.
 *
 *   count
 *   count COLUMN is TEXT
 *   count COLUMN contains TEXT
 *   distinct COLUMN
 *   top N COLUMN
 *   sum|min|max|mean COLUMN      (decimal numbers; other fields are left out and counted)
 */
#ifndef VAULT_QUERY_H
#define VAULT_QUERY_H

#include "table.h"

/* Writes the terminated answer. 0, or -1 with the reason as the answer. */
int query_run(const struct table *table, const char *question, char *answer, size_t answer_size);

#endif
