/*
 * Where a software platform's provisioning is kept: the folder `provisioning` of the platform directory.
 * Side: host. Called by host/provision.c, cli/, services/. docs/formats/platform-directory.md is the format.
 * Never writes a private key: keys derive from root.key. Files are put in place whole, by renaming.
 */
#ifndef CELLA_PLATFORM_STATE_H
#define CELLA_PLATFORM_STATE_H

#include "platform/platform.h"

#define PLATFORM_FOLDER "provisioning"
#define PLATFORM_COLLATERAL "collateral"
#define PLATFORM_COLLATERAL_DAYS 30 /* until the next update, as Intel's */

/* What is known of the platform beside its seed. */
struct platform_facts {
    uint8_t seed[PLATFORM_SEED_SIZE];
    uint8_t cpu_svn[16];
    uint16_t pce_svn;
    uint8_t pck_public[PLATFORM_KEY_SIZE];
    const char *url; /* may be NULL */
};

/* The seed of the CAs' keys, from the 32 bytes of the processor's root key. */
CELLA_MUST_USE cella_result platform_state_seed(const uint8_t root_key[32],
                                                uint8_t ret_seed[PLATFORM_SEED_SIZE],
                                                struct cella_error *error);

/*
 * The platform in `directory` with what it kept, made and kept where something is missing, at time `now`. `directory`
 * NULL: nothing is kept. A PCK certificate is kept for each CPUSVN, PCESVN and key.
 */
CELLA_MUST_USE cella_result platform_state_open(const char *directory,
                                                const struct platform_facts *facts, int64_t now,
                                                struct platform **ret_platform,
                                                struct cella_error *error);

/*
 * Writes the collateral's files into `folder`, which is made: root_ca.pem, root_ca.der, root_ca_crl.der, root_ca_crl.pem, pck_crl.der,
 * pck_crl.pem, pck_crl_issuer_chain.pem, tcb_info.json, tcb_info_issuer_chain.pem, qe_identity.json,
 * qe_identity_issuer_chain.pem, pck_certificate_chain.pem.
 */
CELLA_MUST_USE cella_result platform_state_export(const char *folder,
                                                  const struct platform *platform,
                                                  const struct platform_collateral *collateral,
                                                  struct cella_error *error);

/* IO with the path; `limit` bytes at most. */
CELLA_MUST_USE cella_result platform_file_read(const char *path, size_t limit,
                                               struct platform_blob *ret_blob,
                                               struct cella_error *error);
CELLA_MUST_USE cella_result platform_file_write(const char *folder, const char *name,
                                                const void *data, size_t size,
                                                struct cella_error *error);

#endif
