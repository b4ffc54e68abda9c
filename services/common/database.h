/*
 * SQLite for services: opening with a schema, statements, transactions.
 * Side: services. A handle is used under its lock. Written data is on the disk when a call comes back (WAL, full sync).
 */
#ifndef CELLA_SERVICES_DATABASE_H
#define CELLA_SERVICES_DATABASE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "common/bytes.h"
#include "common/error.h"

struct database {
    sqlite3 *handle;
    pthread_mutex_t lock;
};

/*
 * Opens or makes the file. `steps` are the schema's versions, each a batch of SQL that leads from the one before it;
 * a file of a later version is refused. Only one process may have it.
 */
CELLA_MUST_USE cella_result database_open(const char *path, const char *const *steps,
                                          size_t step_count, struct database *ret_database,
                                          struct cella_error *error);
void database_close(struct database *database);

/* ----------------------------------- with the lock held, which these two take and give */

void database_lock(struct database *database);
void database_unlock(struct database *database);

/* begin; commit (rolls back when `result` is a failure or the commit fails). */
CELLA_MUST_USE cella_result database_begin(struct database *database);
CELLA_MUST_USE cella_result database_end(struct database *database, cella_result result);

/*
 * A statement with its parameters: each letter of `types` is one: t (const char *, NULL allowed), b (struct cella_bytes),
 * i (int64_t).
 */
CELLA_MUST_USE cella_result database_prepare(struct database *database,
                                             sqlite3_stmt **ret_statement, const char *sql,
                                             const char *types, ...);
/* The same, run to its end. */
CELLA_MUST_USE cella_result database_run(struct database *database, const char *sql,
                                         const char *types, ...);
/* OK with *ret_row: a row is there, or none is left. */
CELLA_MUST_USE cella_result database_step(sqlite3_stmt *statement, bool *ret_row);
void database_statement_done(sqlite3_stmt **statement);
/* A column, copied; from malloc. NULL for NULL. */
CELLA_MUST_USE cella_result database_text(sqlite3_stmt *statement, int column, char **ret_text);

#endif
