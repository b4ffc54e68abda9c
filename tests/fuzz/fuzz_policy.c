/*
 * Fuzz target: policies, read strictly and mended, then run over a few claims.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void evaluate(const struct cella_policy *policy)
{
    const struct cella_policy_claim claims[] = {
        {"x-ms-sgx-is-debuggable", cella_policy_boolean(false), CELLA_POLICY_BY_SERVICE},
        {"x-ms-sgx-svn", cella_policy_integer(3), CELLA_POLICY_BY_SERVICE},
        {"x-ms-sgx-mrsigner", cella_policy_string("ab12"), CELLA_POLICY_BY_SERVICE},
        {"events", cella_policy_string("{\"Events\":[{\"PcrIndex\":12,\"a\":[1,null,\"x\"]}]}"),
         CELLA_POLICY_BY_SERVICE},
        {"n", cella_policy_integer(7), CELLA_POLICY_BY_CUSTOM},
    };
    struct cella_policy_run *run = NULL;
    if (!cella_is_ok(cella_policy_evaluate(policy, claims, 5, &run))) {
        return;
    }
    const struct cella_policy_outcome *outcome = cella_policy_outcome(run);
    if (!outcome->permitted && (!outcome->reason || !outcome->reason[0] || outcome->out_count)) {
        abort(); /* every refusal says why, and issues nothing */
    }
    cella_policy_run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool strict_reads = false;
    for (int compatible = 0; compatible <= 1; compatible++) {
        struct cella_policy *policy = NULL;
        struct cella_policy_problems problems = {0};
        cella_result result =
            cella_policy_parse(cella_bytes_of(data, size), compatible, &policy, &problems);
        if (!cella_is_ok(result)) {
            if (result.code != CELLA_CODE_OUT_OF_MEMORY &&
                (problems.count == 0 || problems.items[problems.count - 1].warning ||
                 problems.items[problems.count - 1].line == 0)) {
                abort(); /* every error says where */
            }
            if (strict_reads) {
                abort(); /* what is strictly good needs no mending */
            }
            continue;
        }
        strict_reads = true;
        evaluate(policy);
        cella_policy_free(policy);
    }
    return 0;
}
