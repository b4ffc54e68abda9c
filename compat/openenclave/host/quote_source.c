/*
 * Endorsements and roots for the verifier on the host, and the roots for debug enclaves that ask.
 * Side: host. Called by common/quote_verify.c and service.c.
 * Never trusts a root that nobody named.
 */
#include "compat/openenclave/host/quote_source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cella/roots.h"
#include "common/error.h"
#include "compat/openenclave/common/quote.h"
#include "compat/openenclave/host/skin.h"

oe_result_t oe_endorsements_get(struct cella_span quote, uint8_t **ret_buffer, size_t *ret_size)
{
    size_t size = 0;
    uint8_t *buffer = malloc(OE_ATTESTATION_ENDORSEMENT_MAX_SIZE);
    OE_ENSURE(buffer != NULL, OE_OUT_OF_MEMORY);
    const cella_result result = oe_endorsements_make(quote.data, quote.size, buffer,
                                                     OE_ATTESTATION_ENDORSEMENT_MAX_SIZE, &size);
    if (!cella_is_ok(result)) {
        free(buffer);
        return result.code == CELLA_CODE_OUT_OF_MEMORY ? OE_OUT_OF_MEMORY
                                                       : OE_QUOTE_PROVIDER_CALL_ERROR;
    }
    *ret_buffer = buffer;
    *ret_size = size;
    return OE_OK;
}

static pthread_once_t g_notice = PTHREAD_ONCE_INIT;

/* Not through the log, which may be off: nobody is to have this on without knowing. */
static void notice(void)
{
    fputs("openenclave: CELLA_INSECURE_ROOTS is set: evidence of other roots than Intel's is "
          "accepted, in this process and in its debug enclaves\n",
          stderr);
}

static cella_result environment_add(struct cella_roots *roots)
{
    struct cella_error error = {.text = ""};
    size_t count = 0;
    const cella_result result = cella_roots_add_environment(roots, &count, &error);
    if (!cella_is_ok(result)) {
        oe_log(OE_LOG_LEVEL_ERROR, "%s\n", error.text);
    } else if (count > 0) {
        pthread_once(&g_notice, notice);
    }
    return result;
}

oe_result_t oe_roots_get(struct cella_roots *ret_roots)
{
    OE_TRY_CELLA(cella_roots_add_linked(ret_roots));
    return cella_is_ok(environment_add(ret_roots)) ? OE_OK : OE_READ_FAILED;
}

cella_result oe_roots_serve(void *out, size_t out_capacity, size_t *ret_size)
{
    const struct cella_span no_quote = {NULL, 0};
    struct cella_roots named = {.count = 0};
    CELLA_TRY(environment_add(&named)); /* for its notice; the answer has them */
    return cella_collateral_answer(no_quote, out, out_capacity, ret_size, NULL);
}

void oe_quote_explain(const struct cella_evidence_failure *failure)
{
    oe_log(OE_LOG_LEVEL_ERROR, "evidence refused: %s: %s: %s\n",
           cella_evidence_step_name(failure->step), failure->object, failure->text);
}
