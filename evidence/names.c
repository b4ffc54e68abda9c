/*
 * Names of statuses, steps, TEEs and formats, as documents and people know them.
 * Side: both; freestanding. Called by everybody who prints a result. Static strings only.
 */
#include "cella/evidence.h"

#include "common/cleanup.h"

const char *cella_tcb_status_name(enum cella_tcb_status status)
{
    static const char *const names[] = {
#define X(name, text) text,
        CELLA_TCB_STATUSES(X)
#undef X
    };
    return (unsigned)status < CELLA_COUNT(names) ? names[status] : "";
}

const char *cella_evidence_step_name(enum cella_evidence_step step)
{
    static const char *const names[] = {
#define X(name, key, text) key,
        CELLA_EVIDENCE_STEPS(X)
#undef X
    };
    return (unsigned)step < CELLA_COUNT(names) ? names[step] : "";
}

const char *cella_evidence_step_text(enum cella_evidence_step step)
{
    static const char *const texts[] = {
#define X(name, key, text) text,
        CELLA_EVIDENCE_STEPS(X)
#undef X
    };
    return (unsigned)step < CELLA_COUNT(texts) ? texts[step] : "";
}

const char *cella_tee_name(enum cella_tee tee)
{
    static const char *const names[] = {"unknown", "sgx", "tdx", "snp"};
    return (unsigned)tee < CELLA_COUNT(names) ? names[tee] : "";
}

const char *cella_evidence_format_name(enum cella_evidence_format format)
{
    static const char *const names[] = {"unknown", "DCAP quote", "SNP report",
                                        "Open Enclave report", "Open Enclave evidence"};
    return (unsigned)format < CELLA_COUNT(names) ? names[format] : "";
}

const char *cella_snp_product_name(enum cella_snp_product product)
{
    static const char *const names[] = {"unknown", "Milan", "Genoa", "Turin"};
    return (unsigned)product < CELLA_COUNT(names) ? names[product] : "";
}
