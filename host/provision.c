/*
 * Provisioning of the software platform: certificates for the keys that its enclaves have.
 * Side: host. Called by quote_local.c, services/, cli/.
 * Never sees a private key of an enclave; the CAs' keys come from the processor's root key, which is this user's file.
 */
#include "host/quote.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/cleanup.h"
#include "platform/state.h"
#include "soft/keys.h"

#define DAY 86400ll

/* Intel's masks: all of MISCSELECT, all flags but MODE64BIT, nothing of XFRM. */
static struct platform_qe qe_of_report(const struct sgx_report_body *body)
{
    struct platform_qe qe = {
        .isv_prod_id = body->isv_prod_id,
        .isv_svn = body->isv_svn,
        .misc_mask = UINT32_MAX,
        .attributes = body->attributes,
        .attribute_mask = {.flags = ~(uint64_t)SGX_FLAGS_MODE64BIT, .xfrm = 0},
    };
    qe.misc_select = body->misc_select;
    memcpy(qe.mr_signer, body->mr_signer, sizeof(qe.mr_signer));
    return qe;
}

cella_result cella_provision_open(const uint8_t pck_public[PLATFORM_KEY_SIZE],
                                  const uint8_t cpu_svn[16], uint16_t pce_svn,
                                  const struct sgx_report_body *qe,
                                  struct cella_provision *ret_provision, struct cella_error *error)
{
    const struct soft_platform_info info = soft_platform_info();
    struct platform_facts facts = {.pce_svn = pce_svn};
    struct cella_provision provision = {.qe = qe_of_report(qe)};
    uint8_t root[32];
    memcpy(facts.cpu_svn, cpu_svn, sizeof(facts.cpu_svn));
    memcpy(facts.pck_public, pck_public, sizeof(facts.pck_public));
    soft_platform_root_key(root);
    cella_result result = platform_state_seed(root, facts.seed, error);
    OPENSSL_cleanse(root, sizeof(root));
    if (cella_is_ok(result)) {
        result = platform_state_open(info.ephemeral ? NULL : info.directory, &facts, time(NULL),
                                     &provision.platform, error);
    }
    OPENSSL_cleanse(&facts, sizeof(facts));
    CELLA_TRY(result);
    if (!info.ephemeral) {
        snprintf(provision.directory, sizeof(provision.directory), "%s", info.directory);
    }
    *ret_provision = provision;
    return CELLA_OK;
}

void cella_provision_done(struct cella_provision *provision)
{
    platform_free(provision->platform);
    *provision = (struct cella_provision){0};
}

cella_result cella_provision_collateral(const struct cella_provision *provision, int64_t now,
                                        struct platform_collateral *ret_collateral,
                                        struct cella_error *error)
{
    const struct platform_collateral_options options = {
        .issued = now,
        .next_update = now + PLATFORM_COLLATERAL_DAYS * DAY,
        .crl_number = (uint32_t)(now / 60), /* never goes back */
        .qe = provision->qe,
    };
    return platform_collateral_make(provision->platform, &options, ret_collateral, error);
}

/* Whether what is in the folder is this platform's, issued a day ago at most. */
static bool published(const struct cella_provision *provision, const char *folder, int64_t now)
{
    char path[sizeof(provision->directory) + 128];
    struct platform_blob chain = {0};
    struct stat status;
    const struct platform_blob *own = platform_pck_chain(provision->platform);
    snprintf(path, sizeof(path), "%s/tcb_info.json", folder);
    if (stat(path, &status) < 0 || status.st_mtime > now || now - status.st_mtime > DAY) {
        return false;
    }
    /* the last of the files that are written */
    snprintf(path, sizeof(path), "%s/pck_certificate_chain.pem", folder);
    if (!cella_is_ok(platform_file_read(path, own->size, &chain, NULL))) {
        return false;
    }
    const bool same = chain.size == own->size && memcmp(chain.data, own->data, own->size) == 0;
    platform_blob_done(&chain);
    return same;
}

cella_result cella_provision_publish(const struct cella_provision *provision, int64_t now,
                                     struct cella_error *error)
{
    char folder[sizeof(provision->directory) + 64];
    struct platform_collateral collateral;
    if (provision->directory[0] == 0) {
        return CELLA_OK;
    }
    snprintf(folder, sizeof(folder), "%s/" PLATFORM_FOLDER "/" PLATFORM_COLLATERAL,
             provision->directory);
    if (published(provision, folder, now)) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_provision_collateral(provision, now, &collateral, error));
    const cella_result result =
        platform_state_export(folder, provision->platform, &collateral, error);
    platform_collateral_done(&collateral);
    return result;
}
