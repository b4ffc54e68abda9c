/*
 * `cella evidence`: finds the subcommand; reads evidence from files of any form.
 * Side: tools. Called by cli/main.c. Never does the work of a subcommand itself.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "cella/tls.h"
#include "cli/cli.h"
#include "cli/evidence.h"
#include "cli/file.h"
#include "common/cleanup.h"

#define EVIDENCE_FILE_MAX ((size_t)16 << 20)

static const struct cella_command g_commands[] = {
    {"fetch-collateral", "fetch what verifying a piece of evidence needs", evidence_fetch},
    {"get", "get evidence of an enclave or of a TLS server", evidence_get},
    {"show", "print evidence of any format readably", evidence_show},
    {"verify", "verify evidence against collateral, and say what each step found", evidence_verify},
};

static void usage(FILE *stream)
{
    fputs("usage: cella evidence COMMAND [ARGUMENTS]\n\ncommands:\n", stream);
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        fprintf(stream, "  %-17s %s\n", g_commands[i].name, g_commands[i].summary);
    }
    fputs("\n`cella evidence COMMAND --help` tells more.\n", stream);
}

int cella_cmd_evidence(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EVIDENCE_STATUS_UNREADABLE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return EVIDENCE_STATUS_ACCEPTED;
    }
    for (size_t i = 0; i < CELLA_COUNT(g_commands); i++) {
        if (strcmp(argv[1], g_commands[i].name) == 0) {
            return g_commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "cella evidence: no command '%s'; `cella evidence --help` lists them\n",
            argv[1]);
    return EVIDENCE_STATUS_UNREADABLE;
}

/* Standard input, which may be a pipe, whole. */
static cella_result stdin_read(struct cella_file *file, struct cella_error *error)
{
    size_t capacity = 64u << 10;
    file->data = malloc(capacity);
    while (file->data) {
        file->size += fread(file->data + file->size, 1, capacity - file->size, stdin);
        if (file->size < capacity) {
            return ferror(stdin) ? cella_error_set(error, CELLA_RESULT(IO), "standard input")
                                 : CELLA_OK;
        }
        if (capacity >= EVIDENCE_FILE_MAX) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                   "standard input: more than %zu bytes", EVIDENCE_FILE_MAX);
        }
        capacity *= 2;
        uint8_t *longer = realloc(file->data, capacity);
        if (!longer) {
            break;
        }
        file->data = longer;
    }
    return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "standard input");
}

/* An X.509 certificate, in PEM or DER, that carries evidence of its key. NOT_FOUND: no certificate at all. */
static cella_result certificate_decode(struct evidence_input *input, char *reason)
{
    const uint8_t *at = input->file;
    enum cella_tls_form form;
    struct cella_span evidence;
    BIO *memory = BIO_new_mem_buf(input->file, (int)input->file_size);
    X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
    BIO_free(memory);
    if (!certificate) {
        certificate = d2i_X509(NULL, &at, (long)input->file_size);
    }
    ERR_clear_error();
    CELLA_ENSURE(certificate != NULL, NOT_FOUND);
    cella_result result = cella_tls_certificate_evidence(certificate, 0, &form, &evidence, reason);
    if (cella_is_ok(result)) {
        input->data = malloc(evidence.size);
        input->size = evidence.size;
        result = input->data ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (cella_is_ok(result)) {
        memcpy(input->data, evidence.data, evidence.size);
    }
    X509_free(certificate);
    return result;
}

bool evidence_input_read(const char *command, const char *path, struct evidence_input *ret_input)
{
    struct cella_file file = {0};
    struct cella_error error = {0};
    struct evidence_input input = {0};
    if (!cella_is_ok(strcmp(path, "-") == 0
                         ? stdin_read(&file, &error)
                         : cella_file_read(path, EVIDENCE_FILE_MAX, &file, &error))) {
        fprintf(stderr, "%s: %s\n", command, error.text);
        cella_file_done(&file);
        return false;
    }
    input.file = file.data;
    input.file_size = file.size;
    cella_result result = cella_evidence_decode(
        (struct cella_span){.data = file.data, .size = file.size}, &input.data, &input.size);
    char reason[CELLA_TLS_REASON_SIZE] =
        "expected a DCAP quote, an SNP report or Open Enclave evidence; raw, in hexadecimal, in "
        "base64, as a string in JSON, or in a certificate of attested TLS";
    if (!cella_is_ok(result)) {
        result = certificate_decode(&input, reason);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "%s: %s: no evidence: %s\n", command, path, reason);
        evidence_input_done(&input);
        return false;
    }
    *ret_input = input;
    return true;
}

void evidence_input_done(struct evidence_input *input)
{
    free(input->file);
    free(input->data);
    *input = (struct evidence_input){0};
}
