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

#include "cella/enclave.h"
#include "cella/report.h"
#include "cella/seal.h"
#include "query.h"
#include "table.h"
#include "vault.h"

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

static cella_result append(const void *in, size_t in_size, void *out, size_t out_capacity,
                           size_t *ret_size)
{
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    cella_result result = CELLA_OK;
    pthread_mutex_lock(&g_lock);
    char *longer = in_size <= VAULT_FILE_MAX - g_size ? realloc(g_file, g_size + in_size) : NULL;
    if (longer) {
        memcpy(longer + g_size, in, in_size);
        g_file = longer;
        g_size += in_size;
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

static cella_result parse(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    (void)in;
    (void)in_size;
    CELLA_ENSURE(out_capacity >= sizeof(struct vault_summary), BUFFER_TOO_SMALL);
    pthread_mutex_lock(&g_lock);
    cella_result result = parse_held(out);
    pthread_mutex_unlock(&g_lock);
    *ret_size = sizeof(struct vault_summary);
    return result;
}

/* What a report about an answer binds. */
static void bind(const uint8_t nonce[32], const char *question, size_t question_size,
                 const char *answer, size_t answer_size, uint8_t ret_data[64])
{
    SHA256_CTX context;
    const uint64_t sizes[2] = {question_size, answer_size};
    memset(ret_data, 0, 64);
    SHA256_Init(&context);
    SHA256_Update(&context, nonce, 32);
    SHA256_Update(&context, sizes, sizeof(sizes));
    SHA256_Update(&context, question, question_size);
    SHA256_Update(&context, answer, answer_size);
    SHA256_Final(ret_data, &context);
}

static cella_result query(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    const struct vault_question *question = in;
    struct vault_answer *answer = out;
    CELLA_ENSURE(in_size > sizeof(*question) && out_capacity > sizeof(*answer), BUFFER_TOO_SMALL);
    size_t text_size = in_size - sizeof(*question);
    char *text = (char *)out + sizeof(*answer);
    char asked[VAULT_TEXT_MAX + 1];
    CELLA_ENSURE(text_size <= VAULT_TEXT_MAX, OUT_OF_RANGE);
    memcpy(asked, (const uint8_t *)in + sizeof(*question), text_size);
    asked[text_size] = '\0';
    pthread_mutex_lock(&g_lock);
    int refused = query_run(&g_table, asked, text, out_capacity - sizeof(*answer));
    pthread_mutex_unlock(&g_lock);
    if (refused) {
        printf("vault: %s\n", text);
        return CELLA_RESULT(INVALID_ARGUMENT);
    }
    uint8_t data[64];
    bind(question->nonce, asked, text_size, text, strlen(text), data);
    CELLA_TRY(cella_report_create(&question->target, data, &answer->report));
    *ret_size = sizeof(*answer) + strlen(text);
    return CELLA_OK;
}

static cella_result seal(const void *in, size_t in_size, void *out, size_t out_capacity,
                         size_t *ret_size)
{
    (void)in;
    (void)in_size;
    pthread_mutex_lock(&g_lock);
    cella_result result = cella_seal(CELLA_SEAL_MRSIGNER, g_purpose, sizeof(g_purpose), g_file,
                                     g_size, out, out_capacity, ret_size);
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

static cella_result unseal(const void *in, size_t in_size, void *out, size_t out_capacity,
                           size_t *ret_size)
{
    CELLA_ENSURE(out_capacity >= sizeof(struct vault_summary), BUFFER_TOO_SMALL);
    pthread_mutex_lock(&g_lock);
    cella_result result = unseal_held(in, in_size, out);
    pthread_mutex_unlock(&g_lock);
    *ret_size = sizeof(struct vault_summary);
    return result;
}

static cella_result identity(const void *in, size_t in_size, void *out, size_t out_capacity,
                             size_t *ret_size)
{
    (void)in;
    (void)in_size;
    CELLA_ENSURE(out_capacity >= sizeof(struct sgx_report), BUFFER_TOO_SMALL);
    *ret_size = sizeof(struct sgx_report);
    return cella_report_self(out);
}

/*
 * The other end of local attestation: this enclave checks an answer that another enclave on the same machine gave.
 * in: the question, its text and a zero; the answer, its text and a zero. out: MRENCLAVE of who answered.
 */
static cella_result audit(const void *in, size_t in_size, void *out, size_t out_capacity,
                          size_t *ret_size)
{
    const struct vault_question *question = in;
    CELLA_ENSURE(in_size > sizeof(*question) && out_capacity >= 32, BUFFER_TOO_SMALL);
    const char *asked = (const char *)(question + 1);
    size_t left = in_size - sizeof(*question), asked_size = strnlen(asked, left);
    CELLA_ENSURE(left - asked_size > sizeof(struct vault_answer), TRUNCATED);
    struct vault_answer answer;
    memcpy(&answer, asked + asked_size + 1, sizeof(answer));
    const char *text = asked + asked_size + 1 + sizeof(answer);
    size_t text_size = left - asked_size - 1 - sizeof(answer);
    uint8_t data[64];
    CELLA_TRY(cella_report_verify(&answer.report));
    bind(question->nonce, asked, asked_size, text, text_size, data);
    CELLA_ENSURE(memcmp(data, answer.report.body.report_data, sizeof(data)) == 0, AUTH_FAILED);
    CELLA_ENSURE(!(answer.report.body.attributes.flags & SGX_FLAGS_DEBUG), DEBUG_MISMATCH);
    memcpy(out, answer.report.body.mr_enclave, 32);
    *ret_size = 32;
    return CELLA_OK;
}

#define SEALED_MAX (VAULT_FILE_MAX + 4096u)
#define QUESTION_MAX (sizeof(struct vault_question) + VAULT_TEXT_MAX)
#define ANSWER_MAX (sizeof(struct vault_answer) + VAULT_TEXT_MAX)

CELLA_ECALLS([VAULT_APPEND] = {append, VAULT_CHUNK, 0},
             [VAULT_PARSE] = {parse, 0, sizeof(struct vault_summary)},
             [VAULT_QUERY] = {query, QUESTION_MAX, ANSWER_MAX},
             [VAULT_SEAL] = {seal, 0, SEALED_MAX},
             [VAULT_UNSEAL] = {unseal, SEALED_MAX, sizeof(struct vault_summary)},
             [VAULT_IDENTITY] = {identity, 0, sizeof(struct sgx_report)},
             [VAULT_AUDIT] = {audit, QUESTION_MAX + ANSWER_MAX, 32});
