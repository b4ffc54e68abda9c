/*
 * A software platform's provisioning, in Intel's formats: root CA, PCK CA, PCK certificate, TCB signing certificate,
 * TCB info v3, QE identity v2, CRLs. Only the root tells its quotes from those of hardware.
 * Side: host. Called by cli/, services/, host tools, and tests of verifiers. Over libcrypto; no files, no clock, no
 * network: times come from the caller, as seconds since 1970. Sources: Intel SGX PCK certificate and CRL profile
 * specification 1.5; Intel PCS API v4, "Get SGX TCB Info" and "Get Quoting Enclave Identity".
 */
#ifndef CELLA_PLATFORM_PLATFORM_H
#define CELLA_PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/sgx.h"
#include "common/error.h"

#define PLATFORM_SEED_SIZE 32u
#define PLATFORM_KEY_SIZE 64u /* P-256 public key: x, y, big endian */
#define PLATFORM_COMPONENTS 16u

/* What a software platform calls itself when nobody chooses. */
#define PLATFORM_FMSPC                                                                             \
    {                                                                                              \
        0x00, 0xCE, 0x11, 0xA0, 0x00, 0x00                                                         \
    }
#define PLATFORM_URL "https://localhost:8081/sgx/certification/v4"
#define PLATFORM_EVALUATION_NUMBER 1u

enum platform_ca {
    PLATFORM_CA_PLATFORM, /* SGX type Scalable, with platform instance id and configuration */
    PLATFORM_CA_PROCESSOR,
};

/* A document: `data` has a zero byte behind `size`, so that PEM and JSON are strings too. */
struct platform_blob {
    uint8_t *data;
    size_t size;
};

enum platform_certificate {
    PLATFORM_ROOT,
    PLATFORM_PCK_CA,
    PLATFORM_TCB_SIGNING,
    PLATFORM_PCK,
    PLATFORM_CERTIFICATES,
};

/* notBefore and notAfter. Zeros: the default for the certificate. */
struct platform_period {
    int64_t from;
    int64_t until;
};

struct platform_options {
    uint8_t seed[PLATFORM_SEED_SIZE]; /* keys of the CAs, PPID and instance id derive from it */
    enum platform_ca ca;
    int64_t created; /* notBefore where a period says nothing; required */
    /* Defaults: root and CA 30 and 15 years, TCB signing and PCK certificate 7 years from `created`. */
    struct platform_period root_period, ca_period, tcb_signing_period, pck_period;
    uint8_t fmspc[6];
    uint8_t pce_id[2];
    uint8_t cpu_svn[16];
    uint8_t components[PLATFORM_COMPONENTS]; /* SGX TCB Comp01..16 SVN */
    uint16_t pce_svn;
    uint8_t sgx_type; /* 0 standard, 1 scalable, 2 scalable with integrity */
    bool dynamic_platform, cached_keys, smt_enabled; /* platform CA only */
    const uint8_t *pck_public; /* the provisioning certification enclave's key; NULL: of the seed */
    const char *url;           /* where CRLs are said to be; NULL: PLATFORM_URL */
    /* Certificates of an earlier time, in DER: used again when their keys and issuers are this platform's. NULL: made. */
    const struct platform_blob *kept[PLATFORM_CERTIFICATES];
};

struct platform;

/* INVALID_ARGUMENT, CRYPTO, OUT_OF_MEMORY. A platform is made once and then only read: thread-safe. */
CELLA_MUST_USE cella_result platform_new(const struct platform_options *options,
                                         struct platform **ret_platform, struct cella_error *error);
void platform_free(struct platform *platform);

/* Both are owned by the platform. */
const struct platform_blob *platform_der(const struct platform *platform,
                                         enum platform_certificate which);
const struct platform_blob *platform_pem(const struct platform *platform,
                                         enum platform_certificate which);
/* PCK certificate, PCK CA, root, in PEM, one behind the other: certification data of type 5. */
const struct platform_blob *platform_pck_chain(const struct platform *platform);
/* PCK CA, root. */
const struct platform_blob *platform_pck_ca_chain(const struct platform *platform);
/* TCB signing certificate, root. */
const struct platform_blob *platform_tcb_chain(const struct platform *platform);
/* 16 bytes: the platform provisioning id of the PCK certificate. */
const uint8_t *platform_ppid(const struct platform *platform);

struct platform_tcb_level {
    uint8_t components[PLATFORM_COMPONENTS];
    uint16_t pce_svn;
    int64_t date;
    const char *status;            /* UpToDate, OutOfDate, SWHardeningNeeded, … */
    const char *const *advisories; /* may be NULL */
    size_t advisory_count;
};

struct platform_qe_level {
    uint16_t isv_svn;
    int64_t date;
    const char *status;
    const char *const *advisories;
    size_t advisory_count;
};

/* Who the quoting enclave is. */
struct platform_qe {
    uint8_t mr_signer[32];
    uint16_t isv_prod_id;
    uint16_t isv_svn; /* of the enclave there is */
    uint32_t misc_select, misc_mask;
    struct sgx_attributes attributes, attribute_mask;
};

struct platform_collateral_options {
    int64_t issued;
    int64_t next_update;
    uint32_t evaluation_number; /* 0: PLATFORM_EVALUATION_NUMBER */
    uint32_t crl_number;        /* 0: 1 */
    struct platform_qe qe;
    /* Descending. NULL: one, with the platform's own (the enclave's own) versions, UpToDate. */
    const struct platform_tcb_level *tcb_levels;
    size_t tcb_level_count;
    const struct platform_qe_level *qe_levels;
    size_t qe_level_count;
    const uint8_t *fmspc; /* 6 bytes; NULL: the platform's */
    bool revoke_pck, revoke_pck_ca, revoke_tcb_signing;
};

/* The names are those of sgx_ql_qve_collateral_t; CRLs in both encodings. */
struct platform_collateral {
    struct platform_blob root_ca_crl_der, root_ca_crl_pem;
    struct platform_blob pck_crl_der, pck_crl_pem;
    struct platform_blob tcb_info;    /* JSON with signature */
    struct platform_blob qe_identity; /* JSON with signature */
};

/* Any collateral of this platform, anew. On success platform_collateral_done() is due. */
CELLA_MUST_USE cella_result platform_collateral_make(
    const struct platform *platform, const struct platform_collateral_options *options,
    struct platform_collateral *ret_collateral, struct cella_error *error);
void platform_collateral_done(struct platform_collateral *collateral);

/* A blob of one's own, freed by platform_blob_done. */
void platform_blob_done(struct platform_blob *blob);

/*
 * FOR TESTS of verifiers: a quote v3 that no enclave made, in the layout of the quoting enclave's. Works on platforms
 * whose PCK key is of the seed (pck_public NULL), else WRONG_STATE. `qe_report` NULL: made of `qe`; its report data is
 * always set to the binding. `auth_data` is 32 bytes, as Intel's, when NULL.
 */
struct platform_forgery {
    const struct sgx_report_body *body;
    const struct sgx_report_body *qe_report;
    struct platform_qe qe;
    const uint8_t *auth_data;
    uint16_t auth_data_size;
    uint16_t qe_svn, pce_svn; /* of the header */
};
CELLA_MUST_USE cella_result platform_forge_quote(const struct platform *platform,
                                                 const struct platform_forgery *forgery,
                                                 struct platform_blob *ret_quote,
                                                 struct cella_error *error);

#endif
