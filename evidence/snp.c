/*
 * SEV-SNP reports: signature by the VCEK or VLEK, its chain up to AMD's root, its extensions against the report.
 * Side: both. Called by evidence/evidence.c. Never looks at policy, but for whether a revocation list must be there.
 */
#include "evidence/bytes_util.h"
#include "evidence/verify.h"

struct snp {
    struct ev_verify *verify;
    struct cella_snp_claims *claims;
    const struct ev_certificate *key; /* VCEK or VLEK */
    struct snp_endorsement endorsement;
};

static struct cella_bytes bytes_of(struct cella_span span)
{
    return cella_bytes_of(span.data, span.size);
}

static bool tcb_equal(const struct cella_snp_tcb *a, const struct cella_snp_tcb *b)
{
    return a->fmc == b->fmc && a->bootloader == b->bootloader && a->tee == b->tee &&
           a->snp == b->snp && a->microcode == b->microcode;
}

/* VCEK: the chip's own id, or none where the host masks it; then the signature alone ties them. */
static bool chip_fits(const struct snp *snp, const struct snp_endorsement *endorsement)
{
    struct cella_bytes id = bytes_of(snp->claims->chip_id);
    if (endorsement->is_vlek || ev_is_zero(id)) {
        return true;
    }
    size_t size = endorsement->hwid.size;
    return ev_equal(ev_part(id, 0, size), endorsement->hwid) &&
           ev_is_zero(ev_part(id, size, id.size - size));
}

static bool tcb_fits(const struct snp *snp, const struct snp_endorsement *endorsement)
{
    struct cella_snp_tcb reported =
        ev_snp_tcb_of(endorsement->product, snp->claims->reported_tcb.raw);
    return tcb_equal(&reported, &endorsement->tcb);
}

/* How well a certificate suits; 0: it is no endorsement key of the right kind. */
static unsigned suits(const struct snp *snp, const struct ev_certificate *certificate)
{
    struct snp_endorsement endorsement;
    struct ev_place place = {0};
    if (!ev_contains(certificate->x509.common_name,
                     snp->claims->is_vlek ? "SEV-VLEK" : "SEV-VCEK") ||
        certificate->x509.is_ca ||
        !cella_is_ok(ev_snp_endorsement_parse(&certificate->x509, &place, &endorsement))) {
        return 0;
    }
    return 1 + (chip_fits(snp, &endorsement) ? 2u : 0) + (tcb_fits(snp, &endorsement) ? 1u : 0) +
           (certificate->distrust == EV_TRUSTED ? 4u : 0);
}

/* r and s are little endian, 72 bytes each, of which 48 are used (AMD 56860, ECDSA signature format). */
static cella_result signature_try(const struct snp *snp, const struct ev_certificate *certificate)
{
    struct cella_bytes report = bytes_of(snp->verify->result->claims.quote);
    struct cella_bytes signed_part = ev_part(report, 0, SNP_SIGNED_SIZE);
    const uint8_t *signature = report.data + SNP_SIGNED_SIZE;
    uint8_t digest[48];
    uint8_t r[48];
    uint8_t s[48];
    for (size_t i = 0; i < 48; i++) {
        r[i] = signature[47 - i];
        s[i] = signature[72 + 47 - i];
    }
    CELLA_TRY(ev_hash(snp->verify->prepared->crypto.sha384, &signed_part, 1, digest));
    return ev_verify_digest(&certificate->key, cella_bytes_of(digest, sizeof(digest)), r, s, 48);
}

/* Of several certificates, the one whose key signed the report, then the one that suits best. */
static cella_result key_find(struct snp *snp)
{
    const char *what = snp->claims->is_vlek ? "VLEK" : "VCEK";
    const struct ev_certificate *certificate;
    unsigned best = 0;
    for (size_t i = 0; (certificate = ev_pool_at(&snp->verify->pool, i)) != NULL; i++) {
        unsigned fit = suits(snp, certificate);
        fit += fit && cella_is_ok(signature_try(snp, certificate)) ? 16u : 0;
        if (fit > best) {
            best = fit;
            snp->key = certificate;
        }
    }
    if (snp->key && !(best & 16u)) {
        return ev_verify_refuse(snp->verify, CELLA_STEP_REPORT_SIGNATURE,
                                CELLA_RESULT(BAD_SIGNATURE), &snp->verify->object,
                                snp->verify->result->claims.quote.data + SNP_SIGNED_SIZE,
                                "the report's signature does not verify with the endorsement key");
    }
    if (snp->key) {
        ev_verify_pass(snp->verify, CELLA_STEP_REPORT_SIGNATURE);
        return CELLA_OK;
    }
    struct ev_object none = {.name = "collateral"};
    struct ev_text line = ev_verify_fault(snp->verify, CELLA_STEP_COLLATERAL,
                                          CELLA_RESULT(NOT_FOUND), &none, NULL, false);
    ev_text_add(&line, "the ");
    ev_text_add(&line, what);
    ev_text_add(&line, " certificate, whose key signed the report, is missing");
    ev_verify_repeat_all(snp->verify, snp->verify->prepared);
    return CELLA_RESULT(NOT_FOUND);
}

/* VCEK below SEV-<product>, VLEK below SEV-VLEK-<product>, below ARK-<product>. */
static cella_result chain_check(struct snp *snp)
{
    const struct ev_certificate *key = snp->key;
    if (key->distrust != EV_TRUSTED) {
        return ev_verify_distrust(snp->verify, CELLA_STEP_SNP_CHAIN, key);
    }
    const struct ev_certificate *ca = key->issuer;
    bool is_placed = key->depth == 2 && key->vendor != EV_VENDOR_INTEL;
    if (is_placed) {
        struct cella_bytes name = ca->x509.common_name;
        enum cella_snp_product product = ev_snp_product_of(name);
        is_placed = ev_starts(name, "SEV-") && product != CELLA_SNP_UNKNOWN &&
                    ev_contains(name, "VLEK") == snp->claims->is_vlek &&
                    ev_starts(ca->issuer->x509.common_name, "ARK-") &&
                    ev_snp_product_of(ca->issuer->x509.common_name) == product;
    }
    if (!is_placed) {
        return ev_verify_refuse(snp->verify, CELLA_STEP_SNP_CHAIN, CELLA_RESULT(WRONG_KEY),
                                &key->object, NULL,
                                "the chain is not VCEK, SEV-product, ARK-product (or VLEK, "
                                "SEV-VLEK-product, ARK-product)");
    }
    ev_verify_pass(snp->verify, CELLA_STEP_COLLATERAL);
    ev_verify_pass(snp->verify, CELLA_STEP_ROOT_CA);
    ev_verify_pass(snp->verify, CELLA_STEP_SNP_CHAIN);
    return CELLA_OK;
}

static cella_result extension_refuse(struct snp *snp, size_t offset, const char *text)
{
    return ev_verify_refuse(snp->verify, CELLA_STEP_SNP_CERTIFICATE, CELLA_RESULT(WRONG_KEY),
                            &snp->verify->object, snp->verify->result->claims.quote.data + offset,
                            text);
}

static cella_result endorsement_check(struct snp *snp)
{
    struct cella_snp_claims *claims = snp->claims;
    struct ev_place place = {0};
    cella_result result = ev_snp_endorsement_parse(&snp->key->x509, &place, &snp->endorsement);
    if (!cella_is_ok(result)) {
        return ev_verify_unreadable(snp->verify, CELLA_STEP_SNP_CERTIFICATE, result,
                                    &snp->key->object, &place);
    }
    enum cella_snp_product product = ev_snp_product_of(snp->key->issuer->x509.common_name);
    if (snp->endorsement.product != product ||
        (claims->product != CELLA_SNP_UNKNOWN && claims->product != product)) {
        return extension_refuse(snp, 0x188,
                                "report, endorsement key and its issuer are of different products");
    }
    claims->product = product;
    claims->current_tcb = ev_snp_tcb_of(product, claims->current_tcb.raw);
    claims->reported_tcb = ev_snp_tcb_of(product, claims->reported_tcb.raw);
    claims->committed_tcb = ev_snp_tcb_of(product, claims->committed_tcb.raw);
    claims->launch_tcb = ev_snp_tcb_of(product, claims->launch_tcb.raw);
    if (!tcb_fits(snp, &snp->endorsement)) {
        return extension_refuse(snp, 0x180,
                                "the reported TCB is not the one that the endorsement key is for");
    }
    if (!chip_fits(snp, &snp->endorsement)) {
        return extension_refuse(snp, 0x1A0,
                                "the chip id is not the one that the endorsement key is for");
    }
    ev_verify_pass(snp->verify, CELLA_STEP_SNP_CERTIFICATE);
    return CELLA_OK;
}

static bool tcb_at_least(const struct cella_snp_tcb *have, const struct cella_snp_tcb *need)
{
    return have->fmc >= need->fmc && have->bootloader >= need->bootloader &&
           have->tee >= need->tee && have->snp >= need->snp && have->microcode >= need->microcode;
}

/* AMD publishes no TCB levels: the relying party's own minimum is all there is to compare with. */
static void status_set(struct snp *snp)
{
    const struct cella_evidence_policy *policy = snp->verify->policy;
    struct cella_evidence_result *result = snp->verify->result;
    result->platform_status = CELLA_TCB_UNSPECIFIED;
    if (policy->has_min_snp_tcb) {
        bool is_enough = tcb_at_least(&snp->claims->reported_tcb, &policy->min_snp_tcb) &&
                         tcb_at_least(&snp->claims->committed_tcb, &policy->min_snp_tcb);
        result->platform_status = is_enough ? CELLA_TCB_UP_TO_DATE : CELLA_TCB_OUT_OF_DATE;
    }
    result->status = result->platform_status;
    ev_verify_pass(snp->verify, CELLA_STEP_TCB_LEVEL);
}

/* Hosts put more than certificates into the table, as lists of revocation and firmware of theirs. */
static bool is_certificate(struct cella_bytes entry)
{
    struct ev_place place = {0};
    struct der der = ev_der_of(entry, &place);
    struct cella_bytes content;
    return cella_is_ok(ev_der_take(&der, DER_SEQUENCE, &content, NULL)) && ev_der_at_end(&der) &&
           !ev_x509_looks_like_crl(entry);
}

/* Certificates of a table behind the report join those of the collateral. */
static cella_result table_add(struct ev_verify *verify)
{
    struct snp_certificates table = ev_snp_certificates_of(verify->evidence);
    const struct ev_certificate *ignored;
    struct ev_object object = verify->object;
    struct cella_bytes der;
    while (ev_snp_certificates_next(&table, &der)) {
        struct ev_place place = {0};
        object.decoded = der;
        object.ordinal++;
        if (!is_certificate(der)) {
            continue;
        }
        cella_result result = ev_pool_add(&verify->pool, &object, &place, &ignored);
        if (!cella_is_ok(result)) {
            return ev_verify_unreadable(verify, CELLA_STEP_COLLATERAL, result, &object, &place);
        }
    }
    return ev_pool_resolve(&verify->pool);
}

cella_result ev_verify_snp(struct ev_verify *verify)
{
    struct snp snp = {.verify = verify, .claims = &verify->result->claims.snp};
    if ((snp.claims->key_info >> 2 & 7u) == SNP_KEY_NONE) {
        return ev_verify_refuse(verify, CELLA_STEP_REPORT_SIGNATURE, CELLA_RESULT(BAD_SIGNATURE),
                                &verify->object, verify->result->claims.quote.data + 0x48,
                                "the report says that nobody signed it");
    }
    CELLA_TRY(table_add(verify));
    CELLA_TRY(key_find(&snp));
    CELLA_TRY(chain_check(&snp));
    CELLA_TRY(endorsement_check(&snp));
    CELLA_TRY(ev_verify_revocation(verify, CELLA_STEP_SNP_CRL, snp.key->issuer,
                                   !verify->policy->require_snp_crl));
    ev_verify_chain_window(verify, snp.key);
    status_set(&snp);
    return CELLA_OK;
}
