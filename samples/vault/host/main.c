/*
 * The vault's host: brings a file to the enclave, keeps what it seals, asks questions, has answers audited.
 * Side: host.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "vault_u.h"

static const char g_usage[] =
    "usage: vault IMAGE load FILE SEALED [QUESTION...]   parse FILE inside, seal it to SEALED\n"
    "       vault IMAGE open SEALED [QUESTION...]        unseal SEALED inside\n"
    "       with --audit IMAGE2 before the command: a second enclave checks each answer\n"
    "\n"
    "questions: count | count COLUMN is TEXT | count COLUMN contains TEXT | distinct COLUMN |\n"
    "           top N COLUMN | sum COLUMN | min COLUMN | max COLUMN | mean COLUMN\n";

struct bytes {
    uint8_t *data;
    size_t size;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* A step of the work, with the time it took. */
static void step(double since, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void step(double since, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    printf("  %8.2f ms  %s\n", now() - since, text);
}

static int read_file(const char *path, size_t limit, struct bytes *ret_bytes)
{
    struct stat status;
    FILE *file = fopen(path, "rbe");
    if (!file || fstat(fileno(file), &status) < 0 || (size_t)status.st_size > limit) {
        fprintf(stderr, "vault: %s: %s\n", path, file ? "larger than 64 MiB" : strerror(errno));
        if (file) {
            fclose(file);
        }
        return -1;
    }
    ret_bytes->data = malloc((size_t)status.st_size + 1);
    ret_bytes->size = ret_bytes->data ? fread(ret_bytes->data, 1, (size_t)status.st_size, file) : 0;
    fclose(file);
    return ret_bytes->data ? 0 : -1;
}

static int write_file(const char *path, const struct bytes *bytes)
{
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(bytes->data, 1, bytes->size, file) != bytes->size || fclose(file) != 0) {
        fprintf(stderr, "vault: %s: %s\n", path, strerror(errno));
        return -1;
    }
    return 0;
}

static void hex(const uint8_t *bytes, char ret_text[65])
{
    for (int i = 0; i < 32; i++) {
        sprintf(ret_text + 2 * i, "%02x", bytes[i]);
    }
}

/* Of an ecall: why it was not made, else what it returned. */
static cella_result both(cella_result call, const cella_result *answer)
{
    return cella_is_ok(call) ? *answer : call;
}

static cella_enclave *start(const char *image, const char *role)
{
    double since = now();
    struct cella_error error = {0};
    cella_enclave *enclave = NULL;
    if (!cella_is_ok(cella_create_vault(image, NULL, &enclave, &error))) {
        fprintf(stderr, "vault: %s\n", error.text);
        return NULL;
    }
    struct sgx_report report;
    char mr_enclave[65], mr_signer[65];
    cella_result answer;
    if (!cella_is_ok(both(vault_identity(enclave, &answer, &report), &answer))) {
        fprintf(stderr, "vault: %s: no identity\n", image);
        return NULL;
    }
    hex(report.body.mr_enclave, mr_enclave);
    hex(report.body.mr_signer, mr_signer);
    step(since, "%s enclave runs on the %s processor (product %u, SVN %u)", role,
         cella_enclave_processor(enclave), report.body.isv_prod_id, report.body.isv_svn);
    printf("               MRENCLAVE %s\n               MRSIGNER  %s\n", mr_enclave, mr_signer);
    return enclave;
}

static int fail(const char *what, cella_result result, cella_enclave *enclave)
{
    const char *hint = "";
    if (result.code == CELLA_CODE_AUTH_FAILED) {
        hint = " (another enclave or machine sealed it, or the file was altered)";
    } else if (result.code == CELLA_CODE_SVN_TOO_OLD) {
        hint = " (a newer version of the enclave sealed it)";
    }
    fprintf(stderr, "vault: %s: %s%s%s\n", what, cella_result_text(result), hint,
            cella_enclave_abort_text(enclave));
    return 1;
}

static int load(cella_enclave *enclave, const char *path, const char *sealed_path)
{
    struct bytes file = {0}, sealed = {0};
    struct vault_summary summary;
    cella_result answer;
    double since = now();
    if (read_file(path, VAULT_FILE_MAX, &file) < 0) {
        return 1;
    }
    for (size_t at = 0; at < file.size; at += VAULT_CHUNK) {
        size_t size = file.size - at < VAULT_CHUNK ? file.size - at : VAULT_CHUNK;
        cella_result result = both(vault_append(enclave, &answer, file.data + at, size), &answer);
        if (!cella_is_ok(result)) {
            return fail("append", result, enclave);
        }
    }
    step(since, "%s handed over, %zu bytes", path, file.size);
    since = now();
    cella_result result = both(vault_parse(enclave, &answer, &summary), &answer);
    if (!cella_is_ok(result)) {
        return fail(path, result, enclave);
    }
    step(since, "parsed inside: %lu records of %lu columns (%s)", (unsigned long)summary.records,
         (unsigned long)summary.columns, summary.header);
    since = now();
    size_t room = file.size + 4096;
    sealed.data = malloc(room);
    result = both(vault_seal(enclave, &answer, sealed.data, room, &sealed.size), &answer);
    if (!cella_is_ok(result)) {
        return fail("seal", result, enclave);
    }
    if (write_file(sealed_path, &sealed) < 0) {
        return 1;
    }
    step(since, "sealed to %s, %zu bytes", sealed_path, sealed.size);
    free(file.data);
    free(sealed.data);
    return 0;
}

static int open_sealed(cella_enclave *enclave, const char *path)
{
    struct bytes sealed = {0};
    struct vault_summary summary;
    cella_result answer;
    double since = now();
    if (read_file(path, VAULT_FILE_MAX + 4096, &sealed) < 0) {
        return 1;
    }
    cella_result result =
        both(vault_unseal(enclave, &answer, sealed.data, sealed.size, &summary), &answer);
    free(sealed.data);
    if (!cella_is_ok(result)) {
        return fail(path, result, enclave);
    }
    step(since, "unsealed inside: %lu records of %lu columns", (unsigned long)summary.records,
         (unsigned long)summary.columns);
    return 0;
}

/* Hands question and answer to the auditing enclave; then again with one letter changed. */
static int audit(cella_enclave *auditor, const struct vault_question *question, const char *text,
                 const struct vault_answer *answer, char *words)
{
    uint8_t who[32];
    char name[65];
    cella_result verdict;
    double since = now();
    cella_result result =
        both(vault_audit(auditor, &verdict, question, text, answer, words, who), &verdict);
    if (!cella_is_ok(result)) {
        return fail("audit", result, auditor);
    }
    hex(who, name);
    step(since, "the report proves it: answered by %.16s... on this machine", name);
    words[strlen(words) - 1] ^= 1;
    result = both(vault_audit(auditor, &verdict, question, text, answer, words, who), &verdict);
    if (result.code != CELLA_CODE_AUTH_FAILED) {
        fprintf(stderr, "vault: an altered answer was not refused\n");
        return 1;
    }
    printf("               with one letter changed the auditor refuses: %s\n",
           cella_result_text(result));
    return 0;
}

/* The enclave that shall check the answer, and a fresh nonce. */
static cella_result address(cella_enclave *auditor, struct vault_question *ret_question)
{
    struct sgx_report report;
    cella_result answer;
    memset(ret_question, 0, sizeof(*ret_question));
    if (auditor) {
        CELLA_TRY(both(vault_identity(auditor, &answer, &report), &answer));
        memcpy(ret_question->target.measurement, report.body.mr_enclave, 32);
        ret_question->target.attributes = report.body.attributes;
        ret_question->target.misc_select = report.body.misc_select;
    }
    const size_t size = sizeof(ret_question->nonce);
    return getrandom(ret_question->nonce, size, 0) == (ssize_t)size ? CELLA_OK
                                                                    : CELLA_RESULT(ENTROPY);
}

static void print_lines(const char *words)
{
    while (*words) {
        size_t length = strcspn(words, "\n");
        printf("               = %.*s\n", (int)length, words);
        words += length + (words[length] != '\0');
    }
}

static int ask(cella_enclave *enclave, cella_enclave *auditor, const char *text)
{
    struct vault_question question;
    struct vault_answer answer;
    char words[VAULT_TEXT_MAX];
    cella_result verdict;
    double since = now();
    cella_result result = address(auditor, &question);
    if (!cella_is_ok(result)) {
        return fail("identity", result, auditor);
    }
    result = both(vault_query(enclave, &verdict, &question, text, &answer, words, sizeof(words)),
                  &verdict);
    if (!cella_is_ok(result)) {
        return fail(text, result, enclave);
    }
    step(since, "%s", text);
    print_lines(words);
    return auditor && words[0] ? audit(auditor, &question, text, &answer, words) : 0;
}

int main(int argc, char **argv)
{
    int at = 1;
    const char *image = argc > at ? argv[at++] : NULL;
    const char *second = NULL;
    if (argc > at + 1 && strcmp(argv[at], "--audit") == 0) {
        second = argv[at + 1];
        at += 2;
    }
    int loads = argc > at + 2 && strcmp(argv[at], "load") == 0;
    int opens = argc > at + 1 && strcmp(argv[at], "open") == 0;
    if (!loads && !opens) {
        fputs(g_usage, stderr);
        return 2;
    }
    cella_enclave *enclave = start(image, "vault"), *auditor = NULL;
    if (!enclave || (second && !(auditor = start(second, "auditor")))) {
        return 1;
    }
    int status =
        loads ? load(enclave, argv[at + 1], argv[at + 2]) : open_sealed(enclave, argv[at + 1]);
    for (int i = at + (loads ? 3 : 2); status == 0 && i < argc; i++) {
        status = ask(enclave, auditor, argv[i]);
    }
    cella_enclave_destroy(auditor);
    cella_enclave_destroy(enclave);
    return status;
}
