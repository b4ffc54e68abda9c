/*
 * The vault: keeps a table of records, answers questions about it, seals it and opens it again.
 * Side: enclave. Called by samples/vault/host/main.c. Every input is the enclave's own copy of host bytes.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cella/report.h"
#include "cella/seal.h"
#include "query.h"
#include "table.h"
#include "vault_t.h"

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static char *g_file; /* as it came in, and as it is sealed */
static size_t g_size;
static struct table g_table;

/* What is sealed belongs to this program and to no other of the same signer. */
static const char g_purpose[] = "cella vault sample, records as comma-separated text";

static void forget(void)
{
    table_done(&g_table);
    if (g_file) {
        OPENSSL_cleanse(g_file, g_size);
    }
    free(g_file);
    g_file = NULL;
    g_size = 0;
}

cella_result vault_append(const void *bytes, size_t size)
{
    cella_result result = CELLA_OK;
    pthread_mutex_lock(&g_lock);
    char *longer = size <= VAULT_FILE_MAX - g_size ? realloc(g_file, g_size + size) : NULL;
    if (longer && bytes) {
        memcpy(longer + g_size, bytes, size);
        g_file = longer;
        g_size += size;
    } else {
        result = CELLA_RESULT(OUT_OF_MEMORY);
    }
    pthread_mutex_unlock(&g_lock);
    return result;
}

static void summarize(struct vault_summary *ret_summary)
{
    memset(ret_summary, 0, sizeof(*ret_summary));
    ret_summary->records = g_table.records;
    ret_summary->columns = g_table.columns;
    ret_summary->size = g_size;
    for (size_t i = 0, used = 0; i < g_table.columns && used < sizeof(ret_summary->header); i++) {
        struct table_cell name = table_at(&g_table, -1, i);
        int length = snprintf(ret_summary->header + used, sizeof(ret_summary->header) - used,
                              "%s%.*s", i ? ", " : "", (int)name.size, g_table.text + name.at);
        used += length > 0 ? (size_t)length : 0;
    }
}

/* g_lock held. The table works on a copy, since reading quoted fields changes the text. */
static cella_result parse_held(struct vault_summary *ret_summary)
{
    size_t line = 0;
    const char *why = "";
    char *copy = malloc(g_size + 1);
    if (!copy) {
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    memcpy(copy, g_file, g_size);
    table_done(&g_table);
    if (table_parse(&g_table, copy, g_size, &line, &why) < 0) {
        printf("vault: line %zu: %s\n", line, why);
        return CELLA_RESULT(BAD_SYNTAX);
    }
    summarize(ret_summary);
    return CELLA_OK;
}

cella_result vault_parse(struct vault_summary *summary)
{
    CELLA_ENSURE(summary, INVALID_ARGUMENT);
    pthread_mutex_lock(&g_lock);
    cella_result result = parse_held(summary);
    pthread_mutex_unlock(&g_lock);
    return result;
}

/* What a report about an answer binds. */
static void bind(const struct vault_question *question, const char *text, const char *words,
                 uint8_t ret_data[64])
{
    SHA256_CTX context;
    const uint64_t sizes[2] = {strlen(text), strlen(words)};
    memset(ret_data, 0, 64);
    SHA256_Init(&context);
    SHA256_Update(&context, question->nonce, sizeof(question->nonce));
    SHA256_Update(&context, sizes, sizeof(sizes));
    SHA256_Update(&context, text, sizes[0]);
    SHA256_Update(&context, words, sizes[1]);
    SHA256_Final(ret_data, &context);
}

cella_result vault_query(const struct vault_question *question, const char *text,
                         struct vault_answer *answer, char *words, size_t room)
{
    uint8_t data[64];
    CELLA_ENSURE(question && text && answer && words && room > 0, INVALID_ARGUMENT);
    CELLA_ENSURE(strlen(text) <= VAULT_TEXT_MAX, OUT_OF_RANGE);
    pthread_mutex_lock(&g_lock);
    int refused = query_run(&g_table, text, words, room);
    pthread_mutex_unlock(&g_lock);
    if (refused) {
        printf("vault: %s\n", words);
        return CELLA_RESULT(INVALID_ARGUMENT);
    }
    bind(question, text, words, data);
    return cella_report_create(&question->target, data, &answer->report);
}

cella_result vault_seal(void *sealed, size_t room, size_t *sealed_size)
{
    CELLA_ENSURE(sealed && sealed_size, INVALID_ARGUMENT);
    pthread_mutex_lock(&g_lock);
    cella_result result = cella_seal(CELLA_SEAL_MRSIGNER, g_purpose, sizeof(g_purpose), g_file,
                                     g_size, sealed, room, sealed_size);
    pthread_mutex_unlock(&g_lock);
    return result;
}

/* g_lock held. */
static cella_result unseal_held(const void *in, size_t in_size, struct vault_summary *ret_summary)
{
    struct cella_sealed_info info;
    CELLA_TRY(cella_sealed_inspect(in, in_size, &info));
    CELLA_ENSURE(info.data_size <= VAULT_FILE_MAX, LIMIT_EXCEEDED);
    forget();
    g_file = malloc(info.data_size + 1);
    CELLA_ENSURE(g_file, OUT_OF_MEMORY);
    cella_result result = cella_unseal(in, in_size, g_file, info.data_size, &info);
    bool mine = cella_is_ok(result) && info.additional_size == sizeof(g_purpose) &&
                memcmp(info.additional, g_purpose, sizeof(g_purpose)) == 0;
    if (!mine) {
        forget();
        return cella_is_ok(result) ? CELLA_RESULT(ACCESS_DENIED) : result;
    }
    g_size = info.data_size;
    return parse_held(ret_summary);
}

cella_result vault_unseal(const void *sealed, size_t size, struct vault_summary *summary)
{
    CELLA_ENSURE(sealed && summary, INVALID_ARGUMENT);
    pthread_mutex_lock(&g_lock);
    cella_result result = unseal_held(sealed, size, summary);
    pthread_mutex_unlock(&g_lock);
    return result;
}

cella_result vault_identity(struct sgx_report *report)
{
    CELLA_ENSURE(report, INVALID_ARGUMENT);
    return cella_report_self(report);
}

/* The other end of local attestation: was the answer given by an enclave on this machine, to this question? */
cella_result vault_audit(const struct vault_question *question, const char *text,
                         const struct vault_answer *answer, const char *words, uint8_t *mr_enclave)
{
    uint8_t data[64];
    CELLA_ENSURE(question && text && answer && words && mr_enclave, INVALID_ARGUMENT);
    CELLA_TRY(cella_report_verify(&answer->report));
    bind(question, text, words, data);
    CELLA_ENSURE(memcmp(data, answer->report.body.report_data, sizeof(data)) == 0, AUTH_FAILED);
    CELLA_ENSURE(!(answer->report.body.attributes.flags & SGX_FLAGS_DEBUG), DEBUG_MISMATCH);
    memcpy(mr_enclave, answer->report.body.mr_enclave, 32);
    return CELLA_OK;
}
