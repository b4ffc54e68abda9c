/*
 * Makes SIGSTRUCTs for the tests, with a key generated at run time.
 * Side: tests (host). Called by tests/soft/. Never used outside tests: image/ has the real signer.
 */
#ifndef CELLA_TESTS_SOFT_SIGNER_H
#define CELLA_TESTS_SOFT_SIGNER_H

#include "abi/sgx.h"

/* A SIGSTRUCT with every constant in place, zero masks, and `mr_enclave`; not signed yet. */
void signer_prepare(struct sgx_sigstruct *sig, const uint8_t mr_enclave[32]);
/* Modulus, signature, Q1 and Q2 over the fields as they are. `which` selects one of two keys. */
void signer_sign(struct sgx_sigstruct *sig, unsigned which);

#endif
