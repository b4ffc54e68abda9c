/*
 * The cache's tables: documents, PCK certificates, platforms, registrations, appraisal policies.
 * Side: services. Called by the handlers. Each call is one transaction unless the caller has one open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "services/pccs/pccs.h"
#include "token/base64.h"

static const char *const g_schema[] = {
    "CREATE TABLE documents(name TEXT PRIMARY KEY, body BLOB NOT NULL, chain TEXT, fetched "
    "INTEGER);"
    "CREATE TABLE pck(qe_id TEXT, pce_id TEXT, tcbm TEXT, fmspc TEXT, ca TEXT, pem TEXT NOT NULL,"
    " PRIMARY KEY(qe_id, pce_id, tcbm));"
    "CREATE TABLE platforms(qe_id TEXT, pce_id TEXT, body TEXT NOT NULL, fmspc TEXT, ca TEXT,"
    " PRIMARY KEY(qe_id, pce_id));"
    "CREATE TABLE registrations(qe_id TEXT, pce_id TEXT, cpu_svn TEXT, pce_svn TEXT, body TEXT NOT "
    "NULL,"
    " available INTEGER NOT NULL, PRIMARY KEY(qe_id, pce_id, cpu_svn, pce_svn));",
};

/* The lock is recursive: a transaction's calls take it again. */
static _Thread_local unsigned g_depth;

static void lock(struct pccs *pccs)
{
    if (g_depth++ == 0) {
        database_lock(&pccs->database);
    }
}

static void unlock(struct pccs *pccs)
{
    if (--g_depth == 0) {
        database_unlock(&pccs->database);
    }
}

cella_result store_open(struct pccs *pccs, struct cella_error *error)
{
    return database_open(pccs->settings->database, g_schema, CELLA_COUNT(g_schema), &pccs->database,
                         error);
}

/* --------------------------------------------------------------------- documents */

void document_done(struct document *document)
{
    free(document->body);
    free(document->chain);
    *document = (struct document){0};
}

static cella_result read_document(sqlite3_stmt *statement, struct document *ret_document)
{
    struct document document = {.size = (size_t)sqlite3_column_bytes(statement, 0)};
    const void *body = sqlite3_column_blob(statement, 0);
    document.body = malloc(document.size + 1);
    CELLA_ENSURE(document.body, OUT_OF_MEMORY);
    if (document.size) {
        memcpy(document.body, body, document.size);
    }
    document.body[document.size] = 0;
    cella_result result = database_text(statement, 1, &document.chain);
    if (!cella_is_ok(result)) {
        document_done(&document);
        return result;
    }
    *ret_document = document;
    return CELLA_OK;
}

cella_result document_get(struct pccs *pccs, const char *name, struct document *ret_document)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    lock(pccs);
    cella_result result =
        database_prepare(&pccs->database, &statement,
                         "SELECT body, chain FROM documents WHERE name = ?1", "t", name);
    if (cella_is_ok(result)) {
        result = database_step(statement, &row);
    }
    if (cella_is_ok(result)) {
        result = row ? read_document(statement, ret_document) : CELLA_RESULT(NOT_FOUND);
    }
    database_statement_done(&statement);
    unlock(pccs);
    return result;
}

cella_result document_put(struct pccs *pccs, const char *name, struct cella_bytes body,
                          const char *chain)
{
    lock(pccs);
    cella_result result = database_run(
        &pccs->database,
        "INSERT OR REPLACE INTO documents(name, body, chain, fetched) VALUES(?1, ?2, ?3, ?4)",
        "tbti", name, body, chain, (int64_t)time(NULL));
    unlock(pccs);
    return result;
}

/* One text column of all rows, as a list. */
static json_t *text_list(struct pccs *pccs, const char *sql, const char *argument)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    json_t *list = json_array();
    lock(pccs);
    cella_result result = argument
                              ? database_prepare(&pccs->database, &statement, sql, "t", argument)
                              : database_prepare(&pccs->database, &statement, sql, "");
    while (cella_is_ok(result) && row) {
        result = database_step(statement, &row);
        if (cella_is_ok(result) && row) {
            json_array_append_new(list,
                                  json_string((const char *)sqlite3_column_text(statement, 0)));
        }
    }
    database_statement_done(&statement);
    unlock(pccs);
    return list;
}

json_t *document_names(struct pccs *pccs, const char *prefix)
{
    return text_list(
        pccs, "SELECT name FROM documents WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
        prefix);
}

/* ------------------------------------------------------------- PCK certificates */

cella_result pck_put(struct pccs *pccs, const char *qe_id, const char *pce_id,
                     const struct pck_certificate *certificate)
{
    lock(pccs);
    cella_result result = database_run(&pccs->database,
                                       "INSERT OR REPLACE INTO pck(qe_id, pce_id, tcbm, fmspc, ca, "
                                       "pem) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                                       "tttttt", qe_id, pce_id, certificate->tcbm,
                                       certificate->fmspc, certificate->ca, certificate->pem);
    unlock(pccs);
    return result;
}

cella_result pck_clear(struct pccs *pccs, const char *qe_id, const char *pce_id)
{
    lock(pccs);
    cella_result result = database_run(
        &pccs->database, "DELETE FROM pck WHERE qe_id = ?1 AND pce_id = ?2", "tt", qe_id, pce_id);
    unlock(pccs);
    return result;
}

static unsigned hex_byte(const char *text)
{
    unsigned value = 0;
    sscanf(text, "%2x", &value);
    return value;
}

/* CPUSVN by its 16 components, PCESVN little endian behind it. */
static bool covers(const char *tcbm, const char *cpu_svn, const char *pce_svn)
{
    for (unsigned i = 0; i < 16; i++) {
        if (hex_byte(tcbm + (size_t)2 * i) > hex_byte(cpu_svn + (size_t)2 * i)) {
            return false;
        }
    }
    unsigned certified = hex_byte(tcbm + 32) | hex_byte(tcbm + 34) << 8;
    return certified <= (hex_byte(pce_svn) | hex_byte(pce_svn + 2) << 8);
}

/* Is `a` the higher one? By the sum of components first: of two that are comparable the higher has the higher sum. */
static bool higher(const char *a, const char *b)
{
    unsigned sums[2] = {0, 0};
    for (unsigned i = 0; i < 16; i++) {
        sums[0] += hex_byte(a + (size_t)2 * i);
        sums[1] += hex_byte(b + (size_t)2 * i);
    }
    unsigned pce[2] = {hex_byte(a + 32) | hex_byte(a + 34) << 8, hex_byte(b + 32) | hex_byte(b + 34)
                                                                                        << 8};
    return sums[0] != sums[1] ? sums[0] > sums[1] : pce[0] > pce[1];
}

static cella_result take_row(sqlite3_stmt *statement, struct pck_certificate *ret_certificate)
{
    struct pck_certificate certificate = {0};
    snprintf(certificate.tcbm, sizeof(certificate.tcbm), "%s", sqlite3_column_text(statement, 0));
    snprintf(certificate.fmspc, sizeof(certificate.fmspc), "%s", sqlite3_column_text(statement, 1));
    snprintf(certificate.ca, sizeof(certificate.ca), "%s", sqlite3_column_text(statement, 2));
    CELLA_TRY(database_text(statement, 3, &certificate.pem));
    pck_done(ret_certificate);
    *ret_certificate = certificate;
    return CELLA_OK;
}

cella_result pck_get(struct pccs *pccs, const char *qe_id, const char *pce_id, const char *cpu_svn,
                     const char *pce_svn, struct pck_certificate *ret_certificate)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    bool any = false;
    struct pck_certificate best = {0};
    lock(pccs);
    cella_result result =
        database_prepare(&pccs->database, &statement,
                         "SELECT tcbm, fmspc, ca, pem FROM pck WHERE qe_id = ?1 AND pce_id = ?2",
                         "tt", qe_id, pce_id);
    while (cella_is_ok(result) && row) {
        result = database_step(statement, &row);
        const char *tcbm = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        any |= tcbm != NULL;
        if (cella_is_ok(result) && tcbm && strlen(tcbm) == 36 && covers(tcbm, cpu_svn, pce_svn) &&
            (!best.pem || higher(tcbm, best.tcbm))) {
            result = take_row(statement, &best);
        }
    }
    database_statement_done(&statement);
    unlock(pccs);
    if (cella_is_ok(result) && !best.pem) {
        result = any ? CELLA_RESULT(SVN_TOO_OLD) : CELLA_RESULT(NOT_FOUND);
    }
    if (!cella_is_ok(result)) {
        pck_done(&best);
        return result;
    }
    *ret_certificate = best;
    return CELLA_OK;
}

/* --------------------------------------------------------------------- platforms */

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

cella_result platform_put(struct pccs *pccs, const json_t *platform, const char *fmspc,
                          const char *ca)
{
    char *body = json_dumps(platform, JSON_COMPACT);
    CELLA_ENSURE(body, OUT_OF_MEMORY);
    lock(pccs);
    cella_result result = database_run(&pccs->database,
                                       "INSERT OR REPLACE INTO platforms(qe_id, pce_id, body, "
                                       "fmspc, ca) VALUES(?1, ?2, ?3, ?4, ?5)",
                                       "ttttt", member(platform, "qe_id"),
                                       member(platform, "pce_id"), body, fmspc, ca);
    if (cella_is_ok(result)) {
        result = database_run(&pccs->database,
                              "DELETE FROM registrations WHERE qe_id = ?1 AND pce_id = ?2", "tt",
                              member(platform, "qe_id"), member(platform, "pce_id"));
    }
    unlock(pccs);
    free(body);
    return result;
}

cella_result registration_put(struct pccs *pccs, const json_t *platform, bool available)
{
    char *body = json_dumps(platform, JSON_COMPACT);
    CELLA_ENSURE(body, OUT_OF_MEMORY);
    lock(pccs);
    cella_result result = database_run(
        &pccs->database,
        "INSERT OR REPLACE INTO registrations(qe_id, pce_id, cpu_svn, pce_svn, body, available) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        "ttttti", member(platform, "qe_id"), member(platform, "pce_id"),
        member(platform, "cpu_svn"), member(platform, "pce_svn"), body, (int64_t)available);
    unlock(pccs);
    free(body);
    return result;
}

/* A list of JSON texts as a list of what they hold. */
static json_t *parsed(json_t *texts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(texts); i++) {
        json_array_append_new(list,
                              json_loads(json_string_value(json_array_get(texts, i)), 0, NULL));
    }
    json_decref(texts);
    return list;
}

json_t *registrations(struct pccs *pccs, bool available, bool take)
{
    lock(pccs);
    json_t *list =
        text_list(pccs, "SELECT body FROM registrations WHERE available = ?1 ORDER BY rowid",
                  available ? "1" : "0");
    if (take) {
        cella_ignore(database_run(&pccs->database, "DELETE FROM registrations WHERE available = ?1",
                                  "i", (int64_t)available));
    }
    unlock(pccs);
    return parsed(list);
}

json_t *platforms_of(struct pccs *pccs, const json_t *fmspcs)
{
    if (json_array_size(fmspcs) == 0) {
        return parsed(text_list(pccs, "SELECT body FROM platforms ORDER BY qe_id", NULL));
    }
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(fmspcs); i++) {
        json_t *some =
            parsed(text_list(pccs, "SELECT body FROM platforms WHERE fmspc = ?1 ORDER BY qe_id",
                             json_string_value(json_array_get(fmspcs, i))));
        json_array_extend(all, some);
        json_decref(some);
    }
    return all;
}

/* ----------------------------------------------------------------------- bundles */

/* Columns of a table; blobs in base64. */
static json_t *export_table(struct pccs *pccs, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    json_t *list = json_array();
    cella_result result = database_prepare(&pccs->database, &statement, sql, "");
    while (cella_is_ok(result) && row) {
        result = database_step(statement, &row);
        json_t *one = row ? json_object() : NULL;
        for (int i = 0; one && i < sqlite3_column_count(statement); i++) {
            const char *name = sqlite3_column_name(statement, i);
            if (sqlite3_column_type(statement, i) == SQLITE_BLOB) {
                size_t size = (size_t)sqlite3_column_bytes(statement, i);
                char *text = malloc(BASE64_ROOM(size));
                if (text) {
                    base64_encode(cella_bytes_of(sqlite3_column_blob(statement, i), size), text);
                    json_object_set_new(one, name, json_string(text));
                }
                free(text);
            } else if (sqlite3_column_type(statement, i) != SQLITE_NULL) {
                json_object_set_new(one, name,
                                    json_string((const char *)sqlite3_column_text(statement, i)));
            }
        }
        if (one) {
            json_array_append_new(list, one);
        }
    }
    database_statement_done(&statement);
    if (!cella_is_ok(result)) {
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *store_export(struct pccs *pccs)
{
    lock(pccs);
    json_t *documents = export_table(pccs, "SELECT name, body, chain FROM documents ORDER BY name");
    json_t *pck = export_table(pccs, "SELECT qe_id, pce_id, tcbm, fmspc, ca, pem FROM pck");
    json_t *platforms = export_table(pccs, "SELECT qe_id, pce_id, body, fmspc, ca FROM platforms");
    unlock(pccs);
    if (!documents || !pck || !platforms) {
        json_decref(documents);
        json_decref(pck);
        json_decref(platforms);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "format", "cella-pccs-bundle", "version", 1,
                     "documents", documents, "pck", pck, "platforms", platforms);
}

static void free_bytes(uint8_t **bytes)
{
    free(*bytes);
}

static cella_result import_document(struct pccs *pccs, const json_t *row)
{
    const json_t *body = json_object_get(row, "body");
    size_t size = 0;
    CELLA_ENSURE(json_is_string(body) && member(row, "name")[0], BAD_FIELD);
    CELLA_CLEANUP(free_bytes) uint8_t *bytes = malloc(json_string_length(body) / 4 * 3 + 4);
    CELLA_ENSURE(bytes, OUT_OF_MEMORY);
    CELLA_TRY(base64_decode_any(json_string_value(body), json_string_length(body), bytes, &size));
    return document_put(pccs, member(row, "name"), cella_bytes_of(bytes, size),
                        json_string_value(json_object_get(row, "chain")));
}

static cella_result import_pck(struct pccs *pccs, const json_t *row)
{
    struct pck_certificate certificate = {.pem = NULL};
    CELLA_TRY(pck_read(member(row, "pem"), &certificate));
    cella_result result = CELLA_RESULT(BAD_FIELD);
    if (is_hex(member(row, "tcbm"), 36, 36)) {
        strcpy(certificate.tcbm, member(row, "tcbm"));
        result = pck_put(pccs, member(row, "qe_id"), member(row, "pce_id"), &certificate);
    }
    pck_done(&certificate);
    return result;
}

static cella_result import_platform(struct pccs *pccs, const json_t *row)
{
    json_t *body = json_loads(member(row, "body"), 0, NULL);
    cella_result result = json_is_object(body)
                              ? platform_put(pccs, body, member(row, "fmspc"), member(row, "ca"))
                              : CELLA_RESULT(BAD_FIELD);
    json_decref(body);
    return result;
}

static cella_result import_all(struct pccs *pccs, const json_t *bundle)
{
    static const struct {
        const char *name;
        cella_result (*import)(struct pccs *pccs, const json_t *row);
    } tables[] = {
        {"documents", import_document}, {"pck", import_pck}, {"platforms", import_platform}};
    for (size_t i = 0; i < CELLA_COUNT(tables); i++) {
        const json_t *rows = json_object_get(bundle, tables[i].name);
        for (size_t j = 0; j < json_array_size(rows); j++) {
            CELLA_TRY(tables[i].import(pccs, json_array_get(rows, j)));
        }
    }
    return CELLA_OK;
}

cella_result store_import(struct pccs *pccs, const json_t *bundle, struct cella_error *error)
{
    if (strcmp(member(bundle, "format"), "cella-pccs-bundle") != 0 ||
        json_integer_value(json_object_get(bundle, "version")) != 1) {
        return cella_error_set(error, CELLA_RESULT(BAD_MAGIC),
                               "not a bundle: expected format cella-pccs-bundle, version 1");
    }
    lock(pccs);
    cella_result result = database_begin(&pccs->database);
    if (cella_is_ok(result)) {
        result = database_end(&pccs->database, import_all(pccs, bundle));
    }
    unlock(pccs);
    return cella_is_ok(result) ? result
                               : cella_error_set(error, result, "the bundle was not taken: %s",
                                                 cella_result_text(result));
}

/* ------------------------------------------------------------ platform collateral */

cella_result collateral_put(struct pccs *pccs, const json_t *body, unsigned version,
                            struct cella_error *error)
{
    lock(pccs);
    cella_result result = database_begin(&pccs->database);
    if (cella_is_ok(result)) {
        result = database_end(&pccs->database, collateral_put_locked(pccs, body, version, error));
    }
    unlock(pccs);
    return result;
}
