/*
 * A quote that no enclave made, and collateral for it, as bytes: for tests of skins whose headers name SGX in their own ways.
 * Side: tests.
 */
#ifndef CELLA_TESTS_SKINS_FORGE_H
#define CELLA_TESTS_SKINS_FORGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORGE_DAY 86400ll

enum forge_document { /* as enum cella_document */
                      FORGE_PCK_CRL_CHAIN,
                      FORGE_ROOT_CRL,
                      FORGE_PCK_CRL,
                      FORGE_TCB_INFO_CHAIN,
                      FORGE_TCB_INFO,
                      FORGE_QE_IDENTITY_CHAIN,
                      FORGE_QE_IDENTITY,
                      FORGE_DOCUMENTS
};

struct forge_options {
    int64_t now;        /* the platform is 90 days old, the collateral one day */
    uint8_t seed;       /* which platform */
    const char *status; /* of the platform's TCB level; NULL: UpToDate */
    const char *qe_status;
    const char *advisory;
    bool below_levels; /* the platform is older than every level */
    bool revoke_pck, revoke_pck_ca, revoke_tcb_signing, other_fmspc, other_qe;
    int64_t next_update; /* 0: in 29 days */
    bool debug;
    uint8_t report_data[64];
};

struct forge_bytes {
    uint8_t *data; /* a zero behind `size` */
    size_t size;
};

struct forge {
    struct forge_bytes quote, root; /* root: PEM */
    struct forge_bytes documents[FORGE_DOCUMENTS];
};

/* Fails the test where it cannot. */
void forge_make(const struct forge_options *options, struct forge *ret);
void forge_done(struct forge *forge);

/* The documents and root_ca.pem as files, under the names of `cella platform export-collateral`. */
void forge_write(const struct forge *forge, const char *folder);

#define FORGE_MR_ENCLAVE 0xE1 /* every byte */
#define FORGE_MR_SIGNER 0x5E
#define FORGE_PROD_ID 7
#define FORGE_SVN 5

#endif
