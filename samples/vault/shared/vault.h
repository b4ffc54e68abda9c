/*
 * What host and enclave of the vault sample agree on: call numbers and records.
 * Side: both.
 */
#ifndef VAULT_H
#define VAULT_H

#include <stdint.h>

#include "abi/sgx.h"

/* Ecalls, in the order of the enclave's table. */
enum vault_ecall {
    VAULT_APPEND, /* in: the next bytes of the file */
    VAULT_PARSE,  /* out: struct vault_summary */
    VAULT_QUERY, /* in: struct vault_question and the question's text; out: struct vault_answer and text */
    VAULT_SEAL,     /* out: the sealed file */
    VAULT_UNSEAL,   /* in: a sealed file; out: struct vault_summary */
    VAULT_IDENTITY, /* out: struct sgx_report of the enclave for itself */
    VAULT_AUDIT, /* in: struct vault_question, text, struct vault_answer, text; as answered by another enclave */
};

#define VAULT_FILE_MAX (64u << 20) /* bytes */
#define VAULT_TEXT_MAX 8192u       /* bytes of a question or an answer */
#define VAULT_CHUNK (1u << 20)

struct vault_summary {
    uint64_t records;
    uint64_t columns;
    uint64_t size;    /* bytes of the file */
    char header[256]; /* the column names, as many as fit, terminated */
};

/* Who asks, and what makes the answer fresh. */
struct vault_question {
    struct sgx_targetinfo target; /* the enclave that will check the answer */
    uint8_t nonce[32];
};

/* The report's data is SHA-256(nonce, question text, answer text). */
struct vault_answer {
    struct sgx_report report;
    uint8_t reserved[16];
};

#endif
