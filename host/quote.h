/*
 * The inside of quoting on the host: the ways of getting quotes, behind one table.
 * Side: host. Included by host/quote*.c, provision.c, services/quoted, cli/.
 * Never decides what a quote is worth.
 */
#ifndef CELLA_HOST_QUOTE_H
#define CELLA_HOST_QUOTE_H

#include "cella/attest.h"
#include "common/error.h"
#include "platform/platform.h"

/* One way. Thread-safe, all of it. */
struct cella_quote_source {
    const char *name;
    cella_result (*target)(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                           struct cella_error *error);
    cella_result (*quote)(const struct sgx_report *report, struct sgx_qe_report_info *info,
                          void *out, size_t out_capacity, size_t *ret_size,
                          struct cella_error *error);
    /* 32 bytes that name the attestation key: SHA-256 of it and the authentication data. */
    cella_result (*key_id)(uint8_t ret_key_id[32], struct cella_error *error);
};

/* quote_local.c: the quoting enclave of the software processor, loaded when it is first asked for. */
const struct cella_quote_source *cella_quote_local(void);
/* What the quoting enclave is: its report, the id of its attestation key (SHA-256 as Intel's), its platform. */
struct cella_quote_identity {
    struct sgx_report report; /* for nobody: only its body counts */
    uint8_t key_id[32];
    uint16_t pce_svn;
};
CELLA_MUST_USE cella_result cella_quote_local_identity(struct cella_quote_identity *ret_identity,
                                                       struct cella_error *error);

/* quote_dcap.c: Intel's quote library on SGX hardware, where it is installed. */
const struct cella_quote_source *cella_quote_dcap(void);

/* quote_aesm.c: the daemon at the socket of cella_quotes_use. */
const struct cella_quote_source *cella_quote_aesm(void);

/* Which source answers for enclaves of that processor now. */
CELLA_MUST_USE cella_result cella_quote_source_find(int software,
                                                    const struct cella_quote_source **ret_source,
                                                    struct cella_error *error);

/* CELLA_OCALL_QUOTE of an enclave. */
struct cella_enclave;
CELLA_MUST_USE cella_result cella_quote_serve(struct cella_enclave *enclave, const void *in,
                                              size_t in_size, void *out, size_t out_capacity,
                                              size_t *ret_size);

/* ------------------------------------------------------------------- provisioning (provision.c) */

struct cella_provision {
    struct platform *platform;
    struct platform_qe qe; /* of the installed quoting enclave */
    char directory[512];   /* empty: nothing is kept */
};

/* With the enclaves' own answers; makes and keeps what the platform directory lacks. */
CELLA_MUST_USE cella_result cella_provision_open(const uint8_t pck_public[PLATFORM_KEY_SIZE],
                                                 const uint8_t cpu_svn[16], uint16_t pce_svn,
                                                 const struct sgx_report_body *qe,
                                                 struct cella_provision *ret_provision,
                                                 struct cella_error *error);
/* The same, after asking the enclaves: loads them when they are not. */
CELLA_MUST_USE cella_result cella_provision_load(struct cella_provision *ret_provision,
                                                 struct cella_error *error);
void cella_provision_done(struct cella_provision *provision);

/* Collateral of the platform as it is now, issued at `now`. */
CELLA_MUST_USE cella_result cella_provision_collateral(const struct cella_provision *provision,
                                                       int64_t now,
                                                       struct platform_collateral *ret_collateral,
                                                       struct cella_error *error);

/*
 * Writes that collateral, issued at `now`, into provisioning/collateral of the platform directory, for verifiers on this
 * machine (evidence/documents.c). Nothing where no directory is kept. IO.
 */
CELLA_MUST_USE cella_result cella_provision_publish(const struct cella_provision *provision,
                                                    int64_t now, struct cella_error *error);

/* The path of an installed enclave image, by its file name: $CELLA_QUOTE_ENCLAVES, beside the library, in the build tree. */
CELLA_MUST_USE cella_result cella_quote_image_find(const char *name, char *ret_path, size_t size,
                                                   struct cella_error *error);

#endif
