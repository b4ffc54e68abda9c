/*
 * A software platform, its collateral, and enclaves that need not run: quotes are forged by its key.
 * Side: tests.
 */
#ifndef CELLA_TESTS_TLS_WORLD_H
#define CELLA_TESTS_TLS_WORLD_H

#include "cella/tls.h"
#include "platform/platform.h"

#define WORLD_CREATED 1700000000ll
#define WORLD_DAY 86400ll
#define WORLD_NOW (WORLD_CREATED + 2 * WORLD_DAY)

struct world {
    struct platform *platform;
    struct platform_collateral collateral;
    struct platform_qe qe;
    struct cella_roots roots;
    struct cella_evidence_policy policy;
    struct cella_tls_endorsements endorsements;
    void *memory;
    struct cella_prepared *prepared;
    struct cella_tls_verifier verifier;
    /* of the enclave whose quotes are made */
    uint8_t mr_enclave[32], mr_signer[32];
    bool debug;
    unsigned quotes; /* made so far */
};

/* `status`: of the platform's one TCB level. */
void world_init(struct world *world, const char *status);
void world_done(struct world *world);

/* A cella_tls_quote_fn; the context is the world. */
cella_result world_quote(void *context, const uint8_t data[64], void *out, size_t out_capacity,
                         size_t *ret_size);

/* A certificate with evidence of these forms, valid for a day around WORLD_NOW. */
X509 *world_certificate(struct world *world, uint32_t forms, EVP_PKEY *key);
EVP_PKEY *world_key(void);
int64_t world_time(void);

#endif
