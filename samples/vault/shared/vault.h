/*
 * Records that go between host and enclave of the vault sample; vault.edl has the calls.
 * Side: both.
 */
#ifndef VAULT_H
#define VAULT_H

#include <stdint.h>

#include "abi/sgx.h"

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
