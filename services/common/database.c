/*
 * SQLite for services.
 * Side: services. A handle is used under its lock. Never keeps a statement.
 */
#include "services/common/database.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cella_result convert(int code)
{
    switch (code) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return CELLA_OK;
    case SQLITE_NOMEM:
        return CELLA_RESULT(OUT_OF_MEMORY);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CELLA_RESULT(BUSY);
    case SQLITE_FULL:
        return CELLA_RESULT(NO_SPACE);
    case SQLITE_CONSTRAINT:
        return CELLA_RESULT(ALREADY_EXISTS);
    default:
        return CELLA_RESULT(IO);
    }
}

static cella_result execute(struct database *database, const char *sql)
{
    return convert(sqlite3_exec(database->handle, sql, NULL, NULL, NULL));
}

static cella_result version_of(struct database *database, int64_t *ret_version)
{
    sqlite3_stmt *statement = NULL;
    bool row;
    CELLA_TRY(database_prepare(database, &statement, "PRAGMA user_version", ""));
    cella_result result = database_step(statement, &row);
    if (cella_is_ok(result)) {
        *ret_version = sqlite3_column_int64(statement, 0);
    }
    database_statement_done(&statement);
    return result;
}

static cella_result upgrade(struct database *database, const char *const *steps, size_t step_count,
                            const char *path, struct cella_error *error)
{
    int64_t version = 0;
    CELLA_TRY(version_of(database, &version));
    if (version < 0 || (size_t)version > step_count) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED_VERSION),
                               "%s: made by a later version (schema %lld, this is %zu)", path,
                               (long long)version, step_count);
    }
    for (size_t i = (size_t)version; i < step_count; i++) {
        char pragma[64];
        snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu", i + 1);
        CELLA_TRY(database_begin(database));
        cella_result result = execute(database, steps[i]);
        if (cella_is_ok(result)) {
            result = execute(database, pragma);
        }
        CELLA_TRY(database_end(database, result));
    }
    return CELLA_OK;
}

static cella_result prepare_file(struct database *database, const char *const *steps,
                                 size_t step_count, const char *path, struct cella_error *error)
{
    sqlite3_extended_result_codes(database->handle, 0);
    sqlite3_busy_timeout(database->handle, 5000);
    CELLA_TRY(execute(database, "PRAGMA locking_mode = EXCLUSIVE"));
    CELLA_TRY(execute(database, "PRAGMA journal_mode = WAL"));
    CELLA_TRY(execute(database, "PRAGMA synchronous = FULL"));
    CELLA_TRY(execute(database, "PRAGMA foreign_keys = ON"));
    CELLA_TRY(execute(database, "PRAGMA trusted_schema = OFF"));
    return upgrade(database, steps, step_count, path, error);
}

cella_result database_open(const char *path, const char *const *steps, size_t step_count,
                           struct database *ret_database, struct cella_error *error)
{
    struct database database = {0};
    int code =
        sqlite3_open_v2(path, &database.handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    cella_result result = convert(code);
    if (cella_is_ok(result)) {
        result = prepare_file(&database, steps, step_count, path, error);
    }
    if (!cella_is_ok(result)) {
        if (error && error->text[0] == 0) {
            cella_ignore(cella_error_set(error, result, "%s: %s", path,
                                         database.handle ? sqlite3_errmsg(database.handle)
                                                         : sqlite3_errstr(code)));
        }
        sqlite3_close(database.handle);
        return result;
    }
    pthread_mutex_init(&database.lock, NULL);
    *ret_database = database;
    return CELLA_OK;
}

void database_close(struct database *database)
{
    if (database->handle) {
        sqlite3_close(database->handle);
        pthread_mutex_destroy(&database->lock);
        database->handle = NULL;
    }
}

void database_lock(struct database *database)
{
    pthread_mutex_lock(&database->lock);
}

void database_unlock(struct database *database)
{
    pthread_mutex_unlock(&database->lock);
}

cella_result database_begin(struct database *database)
{
    return execute(database, "BEGIN IMMEDIATE");
}

cella_result database_end(struct database *database, cella_result result)
{
    if (cella_is_ok(result)) {
        result = execute(database, "COMMIT");
    }
    if (!cella_is_ok(result)) {
        cella_ignore(execute(database, "ROLLBACK"));
    }
    return result;
}

static int bind_one(sqlite3_stmt *statement, int index, char type, va_list *arguments)
{
    if (type == 'i') {
        return sqlite3_bind_int64(statement, index, va_arg(*arguments, int64_t));
    }
    if (type == 'b') {
        struct cella_bytes bytes = va_arg(*arguments, struct cella_bytes);
        return sqlite3_bind_blob64(statement, index, bytes.data ? bytes.data : (const void *)"",
                                   bytes.size, SQLITE_TRANSIENT);
    }
    return sqlite3_bind_text(statement, index, va_arg(*arguments, const char *), -1,
                             SQLITE_TRANSIENT);
}

static cella_result prepare(struct database *database, sqlite3_stmt **ret_statement,
                            const char *sql, const char *types, va_list *arguments)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    for (int i = 0; types[i] && code == SQLITE_OK; i++) {
        code = bind_one(statement, i + 1, types[i], arguments);
    }
    if (code != SQLITE_OK) {
        sqlite3_finalize(statement);
        return convert(code);
    }
    *ret_statement = statement;
    return CELLA_OK;
}

cella_result database_prepare(struct database *database, sqlite3_stmt **ret_statement,
                              const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    cella_result result = prepare(database, ret_statement, sql, types, &arguments);
    va_end(arguments);
    return result;
}

cella_result database_run(struct database *database, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list arguments;
    va_start(arguments, types);
    cella_result result = prepare(database, &statement, sql, types, &arguments);
    va_end(arguments);
    bool row = true;
    while (cella_is_ok(result) && row) {
        result = database_step(statement, &row);
    }
    sqlite3_finalize(statement);
    return result;
}

cella_result database_step(sqlite3_stmt *statement, bool *ret_row)
{
    int code = sqlite3_step(statement);
    *ret_row = code == SQLITE_ROW;
    return convert(code);
}

void database_statement_done(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
    *statement = NULL;
}

cella_result database_text(sqlite3_stmt *statement, int column, char **ret_text)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    *ret_text = NULL;
    if (text) {
        *ret_text = strdup(text);
        CELLA_ENSURE(*ret_text, OUT_OF_MEMORY);
    }
    return CELLA_OK;
}
