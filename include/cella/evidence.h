/*
 * The evidence verifier: SGX DCAP quotes, TDX quotes, SEV-SNP reports, Open Enclave's wrappings of the first.
 * Public header: plain C11, C++-safe; for enclaves, hosts and relying parties. Library: libcella_evidence with libcrypto.
 * Never reads files, the network or a clock, never prints, allocates nothing itself (libcrypto does inside).
 *
 * evidence + collateral + time + policy in; claims + status + advisories + verdict out. Two calls:
 *   cella_evidence_prepare  checks the signatures of collateral once; the result can be kept and shared by threads,
 *   cella_evidence_verify   checks one piece of evidence against it, with the dates of everything at `time`.
 */
#ifndef CELLA_EVIDENCE_H
#define CELLA_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes, never written. */
struct cella_span {
    const uint8_t *data;
    size_t size;
};

enum cella_tee {
    CELLA_TEE_UNKNOWN,
    CELLA_TEE_SGX,
    CELLA_TEE_TDX,
    CELLA_TEE_SNP,
};

/* How the evidence is wrapped. */
enum cella_evidence_format {
    CELLA_EVIDENCE_UNKNOWN,
    CELLA_EVIDENCE_QUOTE,      /* DCAP quote, version 3, 4 or 5 */
    CELLA_EVIDENCE_SNP_REPORT, /* ATTESTATION_REPORT, with or without a certificate table behind it */
    CELLA_EVIDENCE_OE_REPORT, /* oe_report_header_t, then a quote */
    CELLA_EVIDENCE_OE_EVIDENCE, /* oe_attestation_header_t of version 2 or 3, a quote, custom claims */
};

/* X(NAME, "text in documents") of TCB statuses; numbers are part of the ABI: append only. */
#define CELLA_TCB_STATUSES(X)                                                                      \
    X(NONE, "")                                                                                    \
    X(UP_TO_DATE, "UpToDate")                                                                      \
    X(SW_HARDENING_NEEDED, "SWHardeningNeeded")                                                    \
    X(CONFIGURATION_NEEDED, "ConfigurationNeeded")                                                 \
    X(CONFIGURATION_AND_SW_HARDENING_NEEDED, "ConfigurationAndSWHardeningNeeded")                  \
    X(OUT_OF_DATE, "OutOfDate")                                                                    \
    X(OUT_OF_DATE_CONFIGURATION_NEEDED, "OutOfDateConfigurationNeeded")                            \
    X(TD_RELAUNCH_ADVISED, "TDRelaunchAdvised")                                                    \
    X(TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED, "TDRelaunchAdvisedConfigurationNeeded")            \
    X(REVOKED, "Revoked")                                                                          \
    X(NOT_SUPPORTED, "NotSupported") /* below every level of the collateral */                     \
    X(UNSPECIFIED, "Unspecified")    /* nothing was there to compare with */

enum cella_tcb_status {
#define X(name, text) CELLA_TCB_##name,
    CELLA_TCB_STATUSES(X)
#undef X
        CELLA_TCB_STATUS_COUNT
};

/* The steps in the order in which they are taken: X(NAME, "name in JSON", "what is checked"). Append only. */
#define CELLA_EVIDENCE_STEPS(X)                                                                    \
    X(EVIDENCE_FORMAT, "evidence_format", "the evidence has a known format")                       \
    X(EVIDENCE_PARSE, "evidence_parse", "every field is where the format puts it")                 \
    X(CUSTOM_CLAIMS, "custom_claims", "the custom claims are those that the report names")         \
    X(COLLATERAL, "collateral", "all collateral that is needed is there and well-formed")          \
    X(ROOT_CA, "root_ca", "the chains end in a trusted root")                                      \
    X(ROOT_CRL, "root_crl", "the root's revocation list is signed by the root")                    \
    X(PCK_CERTIFICATE, "pck_certificate", "the PCK certificate has the SGX extensions")            \
    X(PCK_CHAIN, "pck_chain", "the PCK certificate is signed by a PCK CA of the root")             \
    X(PCK_CRL, "pck_crl", "the PCK CA's revocation list is signed by that CA")                     \
    X(REVOCATION, "revocation", "no certificate of the chains is revoked")                         \
    X(TCB_SIGNING_CHAIN, "tcb_signing_chain", "the TCB signing certificate is the root's")         \
    X(TCB_INFO_SIGNATURE, "tcb_info_signature", "the TCB info is signed")                          \
    X(QE_IDENTITY_SIGNATURE, "qe_identity_signature", "the QE identity is signed")                 \
    X(TCB_INFO_MATCH, "tcb_info_match", "the TCB info is for this TEE, FMSPC and PCE id")          \
    X(TDX_MODULE, "tdx_module", "the TDX module is one that the TCB info knows")                   \
    X(QE_REPORT_SIGNATURE, "qe_report_signature", "the QE report is signed by the PCK")            \
    X(ATTESTATION_KEY, "attestation_key", "the QE report names the attestation key")               \
    X(QE_IDENTITY, "qe_identity", "the quoting enclave is the one of the QE identity")             \
    X(QUOTE_SIGNATURE, "quote_signature", "the quote is signed by the attestation key")            \
    X(TCB_LEVEL, "tcb_level", "the platform has one of the TCB levels")                            \
    X(SNP_CHAIN, "snp_chain", "the VCEK or VLEK is signed by AMD's intermediate and root")         \
    X(SNP_CRL, "snp_crl", "AMD's revocation list is signed by the root")                           \
    X(SNP_CERTIFICATE, "snp_certificate",                                                          \
      "product, TCB and chip of VCEK or VLEK are the report's")                                    \
    X(REPORT_SIGNATURE, "report_signature", "the report is signed by the VCEK or VLEK")            \
    X(VALIDITY, "validity", "certificates, lists and documents are valid at the given time")       \
    X(TCB_STATUS, "tcb_status", "policy accepts the TCB status")                                   \
    X(DEBUG, "debug", "the TEE is not open to a debugger, or policy allows that")                  \
    X(MEASUREMENT, "measurement", "policy knows the measurement")                                  \
    X(SIGNER, "signer", "policy knows the signer")                                                 \
    X(PRODUCT, "product", "the product id is the one of policy")                                   \
    X(SVN, "svn", "the security version is not below policy's")                                    \
    X(REPORT_DATA, "report_data", "the report data is what policy expects")                        \
    X(PLATFORM_POLICY, "platform_policy", "the other demands of policy on platform and TEE hold")

enum cella_evidence_step {
#define X(name, key, text) CELLA_STEP_##name,
    CELLA_EVIDENCE_STEPS(X)
#undef X
        CELLA_STEP_COUNT
};

enum cella_step_outcome {
    CELLA_STEP_NOT_TAKEN,
    CELLA_STEP_PASSED,
    CELLA_STEP_FAILED,
    CELLA_STEP_EXCUSED, /* failed, and policy lets it pass */
};

#define CELLA_EVIDENCE_NO_OFFSET UINT64_MAX
#define CELLA_FAILURE_OBJECT_SIZE 96u
#define CELLA_FAILURE_TEXT_SIZE 224u
#define CELLA_FAILURE_MAX 12u
#define CELLA_ADVISORY_MAX 128u

/* One thing that is wrong: the step, the object, the place in it, and a line for a person. */
struct cella_evidence_failure {
    enum cella_evidence_step step;
    cella_result result;
    bool excused;
    uint64_t offset; /* of the byte in the object; CELLA_EVIDENCE_NO_OFFSET: none */
    char object[CELLA_FAILURE_OBJECT_SIZE];
    char text[CELLA_FAILURE_TEXT_SIZE];
};

/* What the evidence says. Spans point into the evidence. */
struct cella_sgx_claims {
    struct cella_span mr_enclave, mr_signer;           /* 32 bytes */
    struct cella_span cpu_svn, ext_prod_id, family_id; /* 16 */
    struct cella_span config_id;                       /* 64 */
    uint64_t flags, xfrm;
    uint32_t misc_select;
    uint16_t prod_id, svn, config_svn;
};

struct cella_tdx_claims {
    struct cella_span tee_tcb_svn, tee_tcb_svn2; /* 16; the second of TDX 1.5, else empty */
    struct cella_span mr_seam, mr_signer_seam;   /* 48 */
    struct cella_span mr_td, mr_config_id, mr_owner, mr_owner_config, rtmr[4]; /* 48 */
    struct cella_span mr_service_td; /* 48, TDX 1.5, else empty */
    uint64_t seam_attributes, td_attributes, xfam;
};

/* TCB_VERSION taken apart; `fmc` from Turin on. */
struct cella_snp_tcb {
    uint64_t raw;
    uint8_t fmc, bootloader, tee, snp, microcode;
};

enum cella_snp_product {
    CELLA_SNP_UNKNOWN,
    CELLA_SNP_MILAN,
    CELLA_SNP_GENOA,
    CELLA_SNP_TURIN,
};

struct cella_snp_claims {
    uint32_t version, guest_svn, vmpl, signature_algorithm, key_info;
    uint64_t policy, platform_info;
    struct cella_span family_id, image_id;                           /* 16 */
    struct cella_span measurement, id_key_digest, author_key_digest; /* 48 */
    struct cella_span host_data, report_id, report_id_ma;            /* 32 */
    struct cella_span chip_id;                                       /* 64 */
    struct cella_snp_tcb current_tcb, reported_tcb, committed_tcb, launch_tcb;
    uint8_t cpuid_family, cpuid_model, cpuid_stepping; /* version 3 on, else 0 */
    uint8_t current_build, current_minor, current_major;
    uint8_t committed_build, committed_minor, committed_major;
    uint64_t launch_mit_vector, current_mit_vector; /* version 5 on */
    enum cella_snp_product product;
    bool is_vlek; /* the report says that the VLEK signed it */
};

struct cella_evidence_claims {
    enum cella_evidence_format format;
    enum cella_tee tee;
    uint32_t version; /* of the quote or report */
    bool debug;
    struct cella_span measurement;   /* MRENCLAVE, MRTD, launch measurement */
    struct cella_span signer;        /* MRSIGNER, MRSIGNERSEAM, id key digest */
    struct cella_span report_data;   /* 64 bytes */
    struct cella_span custom_claims; /* Open Enclave; empty: none */
    struct cella_span quote;         /* the quote or report inside its wrapping */
    size_t padding;                  /* bytes behind the quote: not signed, not looked at */
    bool is_padding_zero;            /* buffers of fixed size are often passed on whole */
    union {
        struct cella_sgx_claims sgx;
        struct cella_tdx_claims tdx;
        struct cella_snp_claims snp;
    };
};

/* What certificates say of the platform (SGX and TDX). */
struct cella_platform_claims {
    bool known;
    uint8_t ppid[16], cpu_svn[16], components[16], fmspc[6], pce_id[2], instance_id[16];
    uint16_t pce_svn;
    uint8_t sgx_type; /* 0 standard, 1 scalable, 2 scalable with integrity */
    bool has_instance_id, has_configuration, dynamic_platform, cached_keys, smt_enabled;
};

/* Of a group of documents: when they were issued, and when the first of them ends. */
struct cella_collateral_dates {
    int64_t first_issued, last_issued, first_expires;
};

/* What was used to verify a quote (SGX and TDX), for those who must report it. */
struct cella_collateral_details {
    bool known;                               /* false: verification did not come so far */
    struct cella_collateral_dates all;        /* certificates, lists, TCB info, QE identity */
    struct cella_collateral_dates qe;         /* QE identity and its chain */
    int64_t qe_tcb_date;                      /* of the QE's level; 0: none */
    uint32_t qe_evaluation_number;            /* of the QE identity */
    uint32_t pck_crl_number, root_crl_number; /* 0: none, or beyond 32 bits */
    uint8_t root_key[65];                     /* point of the root certificate: 4, x, y */
};

/* Everything that verification found out. Spans point into evidence and collateral. */
struct cella_evidence_result {
    bool accepted; /* every step passed or is excused */
    struct cella_evidence_claims claims;
    struct cella_platform_claims platform;
    enum cella_tcb_status status; /* all together; NONE: not reached */
    enum cella_tcb_status platform_status, qe_status, tdx_module_status;
    struct cella_span advisories[CELLA_ADVISORY_MAX]; /* names, each once */
    size_t advisory_count;
    uint16_t qe_svn;
    uint32_t tcb_evaluation_number;  /* of the TCB info */
    int64_t tcb_date;                /* of the level; 0: none */
    int64_t valid_from, valid_until; /* when all that was used is valid */
    bool collateral_expired, revocation_checked;
    uint8_t steps[CELLA_STEP_COUNT]; /* enum cella_step_outcome */
    struct cella_evidence_failure failures[CELLA_FAILURE_MAX];
    size_t failure_count; /* the first one is the reason of a refusal */
    struct cella_collateral_details details;
};

/*
 * One document of collateral, in any order: PEM or DER certificates, CRLs (PEM, DER, DER in hex), TCB info and QE
 * identity as the PCS serves them. What it is is recognised by its content; `name` is for messages.
 */
struct cella_collateral_item {
    const char *name;
    struct cella_span bytes;
    struct cella_span signature; /* hex, where the JSON is the bare inner object; else empty */
};

enum cella_collateral_kind {
    CELLA_COLLATERAL_UNKNOWN,
    CELLA_COLLATERAL_CERTIFICATES,
    CELLA_COLLATERAL_CRL,
    CELLA_COLLATERAL_TCB_INFO,
    CELLA_COLLATERAL_QE_IDENTITY,
};
enum cella_collateral_kind cella_collateral_recognise(struct cella_span bytes);

/* A trusted root: its key is what counts; the very certificate need not prove that it signed itself. SHA-256 of DER. */
struct cella_root_key {
    uint8_t spki_sha256[32];        /* SubjectPublicKeyInfo */
    uint8_t certificate_sha256[32]; /* zeros: unknown */
};
#define CELLA_ROOT_MAX 8u

struct cella_roots {
    bool no_built_in; /* do not trust the roots of Intel and AMD */
    struct cella_root_key keys[CELLA_ROOT_MAX];
    size_t count;
};

/* Adds the key of a certificate (PEM or DER; the first one). TRUNCATED, BAD_SYNTAX, BAD_FIELD, LIMIT_EXCEEDED. */
CELLA_MUST_USE cella_result cella_roots_add(struct cella_roots *roots,
                                            struct cella_span certificate);

#define CELLA_POLICY_LIST_MAX 16u

struct cella_policy_digest {
    uint8_t data[64];
    size_t size;
};

/* What a relying party demands. Start from cella_evidence_policy_init. */
struct cella_evidence_policy {
    uint32_t statuses; /* bit (1 << enum cella_tcb_status): accepted */
    bool allow_debug;
    bool refuse_trailing; /* bytes behind a quote that are not zero */
    bool allow_expired;   /* dates in the past excused; dates in the future never */
    uint32_t tees;        /* bit (1 << enum cella_tee); 0: any */
    struct cella_policy_digest measurements[CELLA_POLICY_LIST_MAX];
    size_t measurement_count; /* 0: any */
    struct cella_policy_digest signers[CELLA_POLICY_LIST_MAX];
    size_t signer_count;
    struct cella_policy_digest report_data; /* a prefix, the rest must be zero; size 0: any */
    bool has_product_id;
    uint16_t product_id; /* SGX */
    uint32_t min_svn;    /* SGX ISVSVN, SNP guest SVN */
    uint32_t min_tcb_evaluation_number;
    bool refuse_smt, refuse_dynamic_platform, refuse_cached_keys; /* SGX, TDX: platform CA */
    bool require_sept_ve_disable, refuse_service_td;              /* TDX */
    bool has_min_snp_tcb;
    struct cella_snp_tcb min_snp_tcb; /* `raw` is not read */
    bool has_max_vmpl;
    uint32_t max_vmpl;
    bool refuse_snp_smt, refuse_migration_agent, require_snp_crl;
    struct cella_policy_digest host_data; /* SNP; size 0: any */
};

/*
 * Accepts UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded and, for SNP,
 * Unspecified; nothing expired, no debug; any measurement (ADR 0091).
 */
void cella_evidence_policy_init(struct cella_evidence_policy *policy);

/* Reads a policy (docs/formats/evidence-policy.md) over what `policy` holds. On failure `ret_failure` says where. */
CELLA_MUST_USE cella_result cella_evidence_policy_parse(struct cella_evidence_policy *policy,
                                                        struct cella_span json,
                                                        struct cella_evidence_failure *ret_failure);

/* Memory that the calls are given: prepared collateral lives in the first, the second is free again after a call. */
#define CELLA_EVIDENCE_PREPARED_SIZE ((size_t)256 * 1024)
#define CELLA_EVIDENCE_SCRATCH_SIZE ((size_t)48 * 1024)

struct cella_prepared;

/*
 * Parses and verifies collateral, once. A document that is bad does not fail the call: it fails the evidence that
 * needs it. `memory` (16-byte aligned, PREPARED_SIZE or more for much) and the bytes of items and evidence must stay
 * as they are until cella_evidence_prepared_done. `evidence` may be NULL; its certificates then count as collateral too, which a set
 * without issuers' certificates needs. INVALID_ARGUMENT, BUFFER_TOO_SMALL, CRYPTO.
 */
CELLA_MUST_USE cella_result cella_evidence_prepare(const struct cella_collateral_item *items,
                                                   size_t item_count,
                                                   const struct cella_span *evidence,
                                                   const struct cella_roots *roots, void *memory,
                                                   size_t memory_size,
                                                   struct cella_prepared **ret_prepared);
void cella_evidence_prepared_done(struct cella_prepared *prepared);

/*
 * Verifies. OK: result->accepted. A category POLICY or MALFORMED result: refused, `result` says why and still holds
 * what could be found out. Others: the call could not be done. `time`: seconds since 1970. Thread-safe for one
 * `prepared`; `scratch` (16-byte aligned, SCRATCH_SIZE) is one thread's.
 */
CELLA_MUST_USE cella_result cella_evidence_verify(struct cella_span evidence,
                                                  const struct cella_prepared *prepared,
                                                  int64_t time,
                                                  const struct cella_evidence_policy *policy,
                                                  void *scratch, size_t scratch_size,
                                                  struct cella_evidence_result *result);

/* Only reads: nothing that `ret_claims` says is proved. `ret_failure` may be NULL. MALFORMED results. */
CELLA_MUST_USE cella_result cella_evidence_parse(struct cella_span evidence,
                                                 struct cella_evidence_claims *ret_claims,
                                                 struct cella_evidence_failure *ret_failure);

/* The certification data of a quote: type (5: PEM chain) and bytes. UNSUPPORTED for SNP. */
CELLA_MUST_USE cella_result cella_evidence_certification(struct cella_span evidence,
                                                         uint16_t *ret_type,
                                                         struct cella_span *ret_data);

/* The platform's values out of a quote's own PCK chain, unverified. NOT_FOUND: it has none. */
CELLA_MUST_USE cella_result cella_evidence_platform(struct cella_span evidence, void *scratch,
                                                    size_t scratch_size,
                                                    struct cella_platform_claims *ret_platform);

/* RFC 3339, "2026-01-31T12:00:00Z", fractions cut. BAD_SYNTAX, OUT_OF_RANGE. */
CELLA_MUST_USE cella_result cella_evidence_time(const char *text, size_t size, int64_t *ret_time);

/* Static strings, "" for what is unknown. */
const char *cella_tcb_status_name(enum cella_tcb_status status);
const char *cella_evidence_step_name(enum cella_evidence_step step);
const char *cella_evidence_step_text(enum cella_evidence_step step);
const char *cella_tee_name(enum cella_tee tee); /* "sgx", "tdx", "snp" */
const char *cella_evidence_format_name(enum cella_evidence_format format);
const char *cella_snp_product_name(enum cella_snp_product product);

#ifdef __cplusplus
}
#endif
#endif
