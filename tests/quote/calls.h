/*
 * Ecall numbers of the enclave of quotes.
 * Side: both, tests.
 */
#ifndef TESTS_QUOTE_CALLS_H
#define TESTS_QUOTE_CALLS_H

enum {
    CALL_QUOTE,    /* in: 64 bytes of data; out: quote */
    CALL_REPORT,   /* in: struct sgx_targetinfo; out: struct sgx_report */
    CALL_VERIFY,   /* in: struct sgx_report: local attestation */
    CALL_EVIDENCE, /* in: u32 nonce size, nonce, claim's value; out: evidence */
    CALL_COUNT,
};

#endif
