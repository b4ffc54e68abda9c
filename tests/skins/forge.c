/*
 * A forged quote and its collateral. forge.h is the manual.
 * Side: tests.
 */
#include "tests/skins/forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/platform.h"
#include "platform/state.h"

#define PCE_SVN 11

static struct forge_bytes copy(const struct platform_blob *blob)
{
    uint8_t *data = calloc(1, blob->size + 1);
    assert_non_null(data);
    memcpy(data, blob->data, blob->size);
    return (struct forge_bytes){data, blob->size};
}

static struct platform *platform_make(const struct forge_options *options)
{
    struct platform_options made = {
        .created = options->now - 90 * FORGE_DAY,
        .fmspc = PLATFORM_FMSPC,
        .cpu_svn = {3, 2},
        .components = {3, 2},
        .pce_svn = PCE_SVN,
        .sgx_type = 1,
        .cached_keys = true,
    };
    struct platform *platform = NULL;
    memset(made.seed, options->seed, sizeof(made.seed));
    assert_int_equal(platform_new(&made, &platform, NULL).code, CELLA_CODE_OK);
    return platform;
}

static struct platform_qe qe_make(bool other)
{
    struct platform_qe qe = {
        .isv_prod_id = 1,
        .isv_svn = 3,
        .misc_mask = UINT32_MAX,
        .attributes = {.flags = 0x11, .xfrm = 3},
        .attribute_mask = {.flags = 0xFFFFFFFFFFFFFFFBull, .xfrm = 0},
    };
    memset(qe.mr_signer, other ? 0x52 : 0x51, 32);
    return qe;
}

static void collateral_make(const struct forge_options *options, const struct platform *platform,
                            struct platform_collateral *ret)
{
    const char *advisories[] = {options->advisory};
    const uint8_t other_fmspc[6] = {0x00, 0xCE, 0x11, 0xA0, 0x00, 0x01};
    const size_t advisory_count = options->advisory ? 1 : 0;
    const struct platform_tcb_level level = {
        .components = {3, (uint8_t)(options->below_levels ? 9 : 2)},
        .pce_svn = PCE_SVN,
        .date = options->now - 60 * FORGE_DAY,
        .status = options->status ? options->status : "UpToDate",
        .advisories = advisories,
        .advisory_count = advisory_count,
    };
    const struct platform_qe_level qe_level = {
        .isv_svn = 3,
        .date = options->now - 70 * FORGE_DAY,
        .status = options->qe_status ? options->qe_status : "UpToDate",
    };
    const struct platform_collateral_options made = {
        .issued = options->now - FORGE_DAY,
        .next_update = options->next_update ? options->next_update : options->now + 29 * FORGE_DAY,
        .evaluation_number = 17,
        .crl_number = 4242,
        .qe = qe_make(options->other_qe),
        .tcb_levels = &level,
        .tcb_level_count = 1,
        .qe_levels = &qe_level,
        .qe_level_count = 1,
        .fmspc = options->other_fmspc ? other_fmspc : NULL,
        .revoke_pck = options->revoke_pck,
        .revoke_pck_ca = options->revoke_pck_ca,
        .revoke_tcb_signing = options->revoke_tcb_signing,
    };
    assert_int_equal(platform_collateral_make(platform, &made, ret, NULL).code, CELLA_CODE_OK);
}

static struct forge_bytes quote_make(const struct forge_options *options,
                                     const struct platform *platform)
{
    struct sgx_report_body body = {.attributes = {.flags = options->debug ? 0x7 : 0x5, .xfrm = 3},
                                   .isv_prod_id = FORGE_PROD_ID,
                                   .isv_svn = FORGE_SVN,
                                   .cpu_svn = {3, 2}};
    const struct platform_forgery forgery = {
        .body = &body, .qe = qe_make(false), .qe_svn = 3, .pce_svn = PCE_SVN};
    struct platform_blob quote;
    memset(body.mr_enclave, FORGE_MR_ENCLAVE, sizeof(body.mr_enclave));
    memset(body.mr_signer, FORGE_MR_SIGNER, sizeof(body.mr_signer));
    memcpy(body.report_data, options->report_data, sizeof(body.report_data));
    assert_int_equal(platform_forge_quote(platform, &forgery, &quote, NULL).code, CELLA_CODE_OK);
    const struct forge_bytes copied = copy(&quote);
    platform_blob_done(&quote);
    return copied;
}

void forge_make(const struct forge_options *options, struct forge *ret)
{
    struct platform *platform = platform_make(options);
    struct platform_collateral collateral;
    collateral_make(options, platform, &collateral);
    ret->quote = quote_make(options, platform);
    ret->root = copy(platform_pem(platform, PLATFORM_ROOT));
    ret->documents[FORGE_PCK_CRL_CHAIN] = copy(platform_pck_ca_chain(platform));
    ret->documents[FORGE_ROOT_CRL] = copy(&collateral.root_ca_crl_der);
    ret->documents[FORGE_PCK_CRL] = copy(&collateral.pck_crl_der);
    ret->documents[FORGE_TCB_INFO_CHAIN] = copy(platform_tcb_chain(platform));
    ret->documents[FORGE_TCB_INFO] = copy(&collateral.tcb_info);
    ret->documents[FORGE_QE_IDENTITY_CHAIN] = copy(platform_tcb_chain(platform));
    ret->documents[FORGE_QE_IDENTITY] = copy(&collateral.qe_identity);
    platform_collateral_done(&collateral);
    platform_free(platform);
}

void forge_done(struct forge *forge)
{
    free(forge->quote.data);
    free(forge->root.data);
    for (int i = 0; i < FORGE_DOCUMENTS; i++) {
        free(forge->documents[i].data);
    }
}

void forge_write(const struct forge *forge, const char *folder)
{
    static const char *const names[FORGE_DOCUMENTS] = {
        "pck_crl_issuer_chain.pem",  "root_ca_crl.der", "pck_crl.der",
        "tcb_info_issuer_chain.pem", "tcb_info.json",   "qe_identity_issuer_chain.pem",
        "qe_identity.json",
    };
    for (int i = 0; i < FORGE_DOCUMENTS; i++) {
        assert_int_equal(platform_file_write(folder, names[i], forge->documents[i].data,
                                             forge->documents[i].size, NULL)
                             .code,
                         CELLA_CODE_OK);
    }
    assert_int_equal(
        platform_file_write(folder, "root_ca.pem", forge->root.data, forge->root.size, NULL).code,
        CELLA_CODE_OK);
}
