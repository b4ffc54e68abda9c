/*
 * One verification under way: what the verifiers of each TEE share.
 * Side: both. Called inside evidence/. Never keeps anything after cella_evidence_verify has returned.
 */
#ifndef CELLA_EVIDENCE_VERIFY_H
#define CELLA_EVIDENCE_VERIFY_H

#include "evidence/prepared.h"
#include "evidence/quote.h"
#include "evidence/snp.h"
#include "evidence/text.h"
#include "evidence/wrap.h"

#define VERIFY_CERTIFICATE_MAX 8u

struct ev_verify {
    const struct cella_prepared *prepared;
    const struct cella_evidence_policy *policy;
    int64_t time;
    struct cella_bytes evidence;
    struct ev_object object; /* the evidence */
    struct ev_arena arena;
    struct ev_pool pool; /* certificates of the evidence; its base is the prepared pool */
    struct cella_evidence_result *result;
};

void ev_verify_pass(struct ev_verify *verify, enum cella_evidence_step step);

/*
 * Records a failure and gives a text to write the reason to. `at` may be NULL. The step counts as failed, or as
 * excused when `is_excused` and it has not failed otherwise.
 */
struct ev_text ev_verify_fault(struct ev_verify *verify, enum cella_evidence_step step,
                               cella_result result, const struct ev_object *object,
                               const uint8_t *at, bool is_excused);
/* The same with the whole text at once; gives `result` back. */
cella_result ev_verify_refuse(struct ev_verify *verify, enum cella_evidence_step step,
                              cella_result result, const struct ev_object *object,
                              const uint8_t *at, const char *text);
/* "expected X" of a reader. */
cella_result ev_verify_unreadable(struct ev_verify *verify, enum cella_evidence_step step,
                                  cella_result result, const struct ev_object *object,
                                  const struct ev_place *place);
cella_result ev_verify_repeat(struct ev_verify *verify, const struct ev_fault *fault);
/* All collateral that could not be read. */
void ev_verify_repeat_all(struct ev_verify *verify, const struct cella_prepared *prepared);

/* Why a certificate is not trusted. */
cella_result ev_verify_distrust(struct ev_verify *verify, enum cella_evidence_step step,
                                const struct ev_certificate *certificate);

/* Is something valid at the time? Soft: records and goes on. */
void ev_verify_window(struct ev_verify *verify, const struct ev_object *object, const char *what,
                      int64_t from, int64_t until);
/* The same for a certificate and all above it. */
void ev_verify_chain_window(struct ev_verify *verify, const struct ev_certificate *certificate);

/*
 * Is `certificate` on the list of its issuer? Soft where it is revoked; hard where the list is missing (unless
 * `is_optional`) or not signed.
 */
CELLA_MUST_USE cella_result ev_verify_revocation(struct ev_verify *verify,
                                                 enum cella_evidence_step step,
                                                 const struct ev_certificate *certificate,
                                                 bool is_optional);

void ev_verify_advisories(struct ev_verify *verify, struct ev_json advisories);

CELLA_MUST_USE cella_result ev_verify_dcap(struct ev_verify *verify, const struct quote *quote);
CELLA_MUST_USE cella_result ev_verify_snp(struct ev_verify *verify);
/* Every check that needs no certificate: policy on claims and status. Soft. */
void ev_verify_policy(struct ev_verify *verify);

#endif
