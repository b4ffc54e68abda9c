/*
 * Evidence and collateral made on the spot, with any part of it wrong on purpose.
 * Side: tests. Called by tests/evidence/test_*.c and write_corpus.c. Keys are new in every run; nothing is anybody's.
 */
#ifndef CELLA_TESTS_EVIDENCE_MAKER_H
#define CELLA_TESTS_EVIDENCE_MAKER_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "cella/evidence.h"

#define MAKER_NOW ((int64_t)1750000000) /* 2025-06-15T15:06:40Z */
#define MAKER_DAY ((int64_t)86400)
#define MAKER_LEVELS 4
#define MAKER_QUOTE_MAX 16384

struct blob {
    uint8_t *data;
    size_t size;
};

enum role {
    ROLE_ROOT,
    ROLE_CA,
    ROLE_TCB,
    ROLE_PCK,
    ROLE_COUNT,
};

struct certificate_spec {
    const char *name;
    int64_t from, until;
    enum role signer;
    const char *issuer_name; /* NULL: the signer's name */
    bool is_ca, has_path_length, is_signature_bad, no_key_usage_sign;
    int path_length;
};

struct crl_spec {
    enum role signer, issuer;
    int64_t from, until;
    bool is_missing, is_signature_bad;
    int revoked; /* role whose serial is on it; -1: none */
};

struct level_spec {
    uint8_t sgx[16], tdx[16];
    unsigned pce_svn;
    const char *status, *advisory;
};

struct svn_level_spec {
    unsigned svn;
    const char *status, *advisory;
};

struct module_spec {
    const char *id; /* NULL: no such */
    uint8_t mr_signer_fill;
    struct svn_level_spec levels[2];
};

struct document_spec {
    int64_t from, until;
    enum role signer;
    bool is_missing, is_signature_bad, is_indented;
    const char *id;
    unsigned version, evaluation; /* evaluation data number; 0: 17 */
    const char *extra;            /* put into the text, before its end */
};

struct spec {
    enum cella_tee tee;
    unsigned version; /* of the quote */
    bool is_tdx15;
    struct certificate_spec certificates[ROLE_COUNT];
    struct crl_spec root_crl, pck_crl;
    struct crl_spec other_pck_crl; /* before the other one in the collateral; missing at first */
    struct document_spec tcb, qe;
    const char *tcb_fmspc, *tcb_pce_id;
    struct level_spec levels[MAKER_LEVELS];
    size_t level_count;
    uint8_t tdx_module_signer_fill;
    struct module_spec modules[2];
    struct svn_level_spec qe_levels[3];
    size_t qe_level_count;
    /* The PCK certificate. */
    uint8_t fmspc[6], pce_id[2], components[16];
    unsigned pck_pce_svn;
    bool no_sgx_extension, has_configuration, smt, dynamic_platform;
    /* The quoting enclave, as it is and as the identity says. */
    uint16_t qe_svn, qe_product, identity_product;
    uint8_t qe_signer_fill, identity_signer_fill;
    uint64_t qe_flags;
    uint32_t qe_misc;
    /* The quote. */
    uint16_t key_type, certification_type;
    uint8_t vendor_first;
    uint64_t flags, td_attributes, seam_attributes;
    uint8_t mr_signer_seam_fill;
    uint8_t tee_tcb_svn[16], tee_tcb_svn2[16];
    uint16_t product, svn;
    const uint8_t *report_data; /* 64 bytes; NULL: 0xDD */
    bool is_binding_bad, is_qe_signature_bad, is_quote_signature_bad, is_chain_short;
    enum role qe_report_signer;
    size_t padding;
    const char *padding_text;
};

void spec_init(struct spec *spec, enum cella_tee tee, unsigned version);

struct made {
    EVP_PKEY *keys[ROLE_COUNT];
    struct blob der[ROLE_COUNT], pem[ROLE_COUNT];
    struct blob root_crl, pck_crl, other_pck_crl, tcb_info, qe_identity, quote;
};

/* Fails the test when it cannot. */
void make(const struct spec *spec, struct made *made);
void made_done(struct made *made);
/* Up to 8 items for cella_evidence_prepare; what the spec calls missing is left out. */
size_t made_items(const struct spec *spec, const struct made *made,
                  struct cella_collateral_item items[8]);

static inline struct cella_span blob_span(const struct blob *blob)
{
    return (struct cella_span){.data = blob->data, .size = blob->size};
}

/* ECDSA over SHA-256 (P-256) or SHA-384 (P-384) of `data`: r || s, big endian, of `half` bytes each. */
void maker_sign(EVP_PKEY *key, const void *data, size_t size, uint8_t *out, size_t half);
struct blob maker_certificate_der(X509 *certificate);
void maker_name(X509_NAME *name, const char *common_name);
void maker_time(ASN1_TIME *out, int64_t time);

/* SEV-SNP. */
struct snp_spec {
    unsigned version;
    enum cella_snp_product product, certificate_product;
    bool is_vlek, vlek_certificate, is_signature_bad, is_debug, mask_chip;
    bool no_ark, ark_untrusted, ask_signature_bad, vek_signature_bad, has_table;
    bool has_crl, crl_signature_bad, crl_revokes_ask;
    const char *ask_name; /* NULL: by product and kind */
    uint64_t tcb_raw;     /* of the report */
    uint8_t tcb_parts[5]; /* of the certificate: bootloader, tee, snp, microcode, fmc */
    uint8_t chip_fill, certificate_chip_fill;
    int64_t vek_from, vek_until, crl_until;
    uint32_t vmpl, key_info_extra;
    uint8_t tail_fill; /* behind the signature */
};

struct snp_made {
    struct blob report, vek, ask, ark, crl;
};

void snp_spec_init(struct snp_spec *spec, enum cella_snp_product product, unsigned version);
/* RSA and EC keys are made once and kept for the process. */
void snp_make(const struct snp_spec *spec, struct snp_made *made);
void snp_made_done(struct snp_made *made);

#endif
