/*
 * From evidence to a verdict: the verifier library with the service's roots, collateral and clock.
 * Side: services. Called by services/attestd/attest.c. Never issues anything.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/attestd/attestd.h"

static pthread_once_t g_scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t g_scratch;
static bool g_has_scratch;

static void make_scratch_key(void)
{
    g_has_scratch = pthread_key_create(&g_scratch, free) == 0;
}

/* A thread's memory for the verifier, kept for its next request and until it ends. */
static void *scratch(void)
{
    if (pthread_once(&g_scratch_once, make_scratch_key) != 0 || !g_has_scratch) {
        return NULL;
    }
    void *memory = pthread_getspecific(g_scratch);
    if (!memory) {
        memory = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
        if (memory && pthread_setspecific(g_scratch, memory) != 0) {
            free(memory);
            memory = NULL;
        }
    }
    return memory;
}

cella_result evidence_verify(struct attestd *attestd, const struct evidence_input *input,
                             struct evidence_check *ret_check, struct cella_error *error)
{
    struct cella_evidence_policy policy = attestd->evidence_policy;
    void *memory = scratch();
    CELLA_ENSURE(memory, OUT_OF_MEMORY);
    policy.min_tcb_evaluation_number = input->evaluation_number;
    struct collateral_entry *collateral = NULL;
    CELLA_TRY(input->certificates.size
                  ? collateral_with(attestd, input->certificates, &collateral, error)
                  : collateral_get(attestd, input->evidence, input->may_block, &collateral, error));
    cella_result result =
        cella_evidence_verify(input->evidence, collateral_prepared(collateral), time_now(), &policy,
                              memory, CELLA_EVIDENCE_SCRATCH_SIZE, &ret_check->result);
    enum cella_category category = cella_result_category(result);
    /* Also what is missing, as a certificate that was to come along, is a refusal with its reason. */
    bool refused = category == CELLA_CATEGORY_POLICY || category == CELLA_CATEGORY_MALFORMED ||
                   (result.code == CELLA_CODE_NOT_FOUND && ret_check->result.failure_count > 0);
    if (category != CELLA_CATEGORY_OK && !refused) {
        collateral_put(collateral);
        return cella_error_set(error, result, "the evidence could not be verified: %s",
                               cella_result_text(result));
    }
    ret_check->result.accepted = category == CELLA_CATEGORY_OK && ret_check->result.accepted;
    ret_check->collateral = collateral;
    return CELLA_OK;
}

void evidence_done(struct evidence_check *check)
{
    collateral_put(check->collateral);
    check->collateral = NULL;
}

void evidence_reason(const struct cella_evidence_result *result, char *text, size_t size)
{
    if (result->failure_count == 0) {
        snprintf(text, size, "the evidence was refused");
        return;
    }
    const struct cella_evidence_failure *failure = &result->failures[0];
    char place[48] = "";
    if (failure->offset != CELLA_EVIDENCE_NO_OFFSET) {
        snprintf(place, sizeof(place), ", byte %llu", (unsigned long long)failure->offset);
    }
    snprintf(text, size, "%s: %s%s%s: %s", cella_evidence_step_name(failure->step),
             failure->object[0] ? failure->object : "evidence", place, "", failure->text);
}
