/*
 * What a quote was verified with: dates, numbers, the root's key.
 * Side: both. Called by evidence/dcap.c. Never judges.
 */
#include "evidence/bytes_util.h"
#include "evidence/dcap.h"

#define DATES_NONE                                                                                 \
    {                                                                                              \
        INT64_MAX, INT64_MIN, INT64_MAX                                                            \
    }

static void dates_add(struct cella_collateral_dates *dates, int64_t from, int64_t until)
{
    dates->first_issued = from < dates->first_issued ? from : dates->first_issued;
    dates->last_issued = from > dates->last_issued ? from : dates->last_issued;
    dates->first_expires = until < dates->first_expires ? until : dates->first_expires;
}

#define CHAIN_MAX 8 /* a root is its own issuer, or that of a second copy of itself */

/* A certificate and all above it. */
static void chain_add(struct cella_collateral_dates *dates, const struct ev_certificate *from)
{
    const struct ev_certificate *at = from;
    for (unsigned depth = 0; at && depth < CHAIN_MAX; depth++, at = at->issuer) {
        dates_add(dates, at->x509.not_before, at->x509.not_after);
    }
}

static uint32_t crl_add(struct cella_collateral_dates *dates, const struct dcap *dcap,
                        const struct ev_certificate *issuer)
{
    const struct ev_crl *crl = ev_prepared_crl(dcap->verify->prepared, issuer, dcap->verify->time);
    if (!crl) {
        return 0;
    }
    dates_add(dates, crl->x509.this_update, crl->x509.next_update);
    return crl->x509.number;
}

void ev_dcap_details(struct dcap *dcap)
{
    struct cella_collateral_details *details = &dcap->verify->result->details;
    const struct tcb_info *tcb_info = &dcap->tcb_info->tcb_info;
    const struct qe_identity *identity = &dcap->qe_identity->qe_identity;
    const struct ev_certificate *root = dcap->pck->issuer->issuer;
    details->all = details->qe = (struct cella_collateral_dates)DATES_NONE;
    chain_add(&details->all, dcap->pck);
    chain_add(&details->all, dcap->tcb_signer);
    chain_add(&details->all, dcap->qe_signer);
    dates_add(&details->all, tcb_info->issued, tcb_info->next_update);
    dates_add(&details->all, identity->issued, identity->next_update);
    chain_add(&details->qe, dcap->qe_signer);
    dates_add(&details->qe, identity->issued, identity->next_update);
    details->root_crl_number = crl_add(&details->all, dcap, root);
    details->pck_crl_number = crl_add(&details->all, dcap, dcap->pck->issuer);
    details->qe_tcb_date = dcap->qe_tcb_date;
    details->qe_evaluation_number = (uint32_t)identity->evaluation_number;
    if (root->x509.key.size == sizeof(details->root_key)) {
        memcpy(details->root_key, root->x509.key.data, sizeof(details->root_key));
    }
    details->known = true;
}
