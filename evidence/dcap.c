/*
 * DCAP quotes: from the signature up to the root, and down to the TCB level (Intel SGX DCAP Quote Verification Library,
 * the order of its chapter 4.1.2.4; each step's text is in cella/evidence.h).
 * Side: both. Called by evidence/evidence.c. Never looks at policy.
 */
#include "evidence/dcap.h"

#include "abi/sgx.h"
#include "evidence/bytes_util.h"

/* The QE report is signed by the PCK; its report data begins with SHA-256(attestation key || authentication data). */
static cella_result qe_report_verify(struct dcap *dcap)
{
    const struct quote *quote = dcap->quote;
    const struct ev_crypto *crypto = &dcap->verify->prepared->crypto;
    struct cella_bytes parts[] = {quote->key, quote->qe_authentication};
    struct cella_bytes report_data =
        ev_part(quote->qe_report, offsetof(struct sgx_report_body, report_data), 64);
    uint8_t expected[64] = {0};
    if (!cella_is_ok(
            ev_verify_raw(crypto, &dcap->pck->key, quote->qe_report, quote->qe_signature))) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_QE_REPORT_SIGNATURE,
                                CELLA_RESULT(BAD_SIGNATURE), &dcap->verify->object,
                                quote->qe_signature.data,
                                "the signature of the QE report does not verify with the PCK "
                                "certificate's key");
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_QE_REPORT_SIGNATURE);
    CELLA_TRY(ev_hash(crypto->sha256, parts, 2, expected));
    if (!ev_equal(report_data, cella_bytes_of(expected, 64))) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_ATTESTATION_KEY, CELLA_RESULT(WRONG_KEY),
                                &dcap->verify->object, report_data.data,
                                "the QE report is not about the attestation key and authentication "
                                "data of this quote");
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_ATTESTATION_KEY);
    return CELLA_OK;
}

static cella_result quote_signature_verify(struct dcap *dcap)
{
    const struct quote *quote = dcap->quote;
    const struct ev_crypto *crypto = &dcap->verify->prepared->crypto;
    struct ev_key key;
    uint8_t point[65] = {4};
    memcpy(point + 1, quote->key.data, 64);
    if (!cella_is_ok(
            ev_key_point(crypto, EV_KEY_P256, cella_bytes_of(point, sizeof(point)), &key))) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_QUOTE_SIGNATURE, CELLA_RESULT(BAD_FIELD),
                                &dcap->verify->object, quote->key.data,
                                "the attestation key is no point of P-256");
    }
    cella_result result = ev_verify_raw(crypto, &key, quote->signed_part, quote->signature);
    ev_key_done(&key);
    if (!cella_is_ok(result)) {
        return ev_verify_refuse(dcap->verify, CELLA_STEP_QUOTE_SIGNATURE, result,
                                &dcap->verify->object, quote->signature.data,
                                "the quote's signature does not verify with the attestation key");
    }
    ev_verify_pass(dcap->verify, CELLA_STEP_QUOTE_SIGNATURE);
    return CELLA_OK;
}

static void document_window(struct dcap *dcap, const struct ev_document *document)
{
    bool is_tcb = document->kind == CELLA_COLLATERAL_TCB_INFO;
    ev_verify_window(dcap->verify, &document->object, is_tcb ? "the TCB info" : "the QE identity",
                     is_tcb ? document->tcb_info.issued : document->qe_identity.issued,
                     is_tcb ? document->tcb_info.next_update : document->qe_identity.next_update);
    ev_verify_chain_window(dcap->verify, is_tcb ? dcap->tcb_signer : dcap->qe_signer);
}

cella_result ev_verify_dcap(struct ev_verify *verify, const struct quote *quote)
{
    struct dcap dcap = {.verify = verify, .quote = quote};
    CELLA_TRY(ev_dcap_pck(&dcap));
    CELLA_TRY(qe_report_verify(&dcap));
    CELLA_TRY(quote_signature_verify(&dcap));
    CELLA_TRY(ev_verify_revocation(verify, CELLA_STEP_ROOT_CRL, dcap.pck->issuer, false));
    CELLA_TRY(ev_verify_revocation(verify, CELLA_STEP_PCK_CRL, dcap.pck, false));
    CELLA_TRY(ev_dcap_documents(&dcap));
    CELLA_TRY(ev_verify_revocation(verify, CELLA_STEP_ROOT_CRL, dcap.tcb_signer, false));
    if (dcap.qe_signer != dcap.tcb_signer) {
        CELLA_TRY(ev_verify_revocation(verify, CELLA_STEP_ROOT_CRL, dcap.qe_signer, false));
    }
    if (quote->tee == CELLA_TEE_TDX) {
        CELLA_TRY(ev_dcap_tdx_module(&dcap));
    }
    CELLA_TRY(ev_dcap_qe_identity(&dcap));
    ev_dcap_status(&dcap);
    ev_verify_chain_window(verify, dcap.pck);
    document_window(&dcap, dcap.tcb_info);
    document_window(&dcap, dcap.qe_identity);
    ev_dcap_details(&dcap);
    return CELLA_OK;
}
