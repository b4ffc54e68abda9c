/*
 * What the daemon answers with: a source of quotes, and the ids that its attestation key goes by.
 * Side: host, service. Called by main.c. aesm.h is the manual.
 */
#include <string.h>

#include "host/quote_key.h"
#include "services/quoted/aesm.h"

cella_result aesm_backend_init(int software, struct aesm_backend *ret_backend,
                               struct cella_error *error)
{
    struct aesm_backend backend = {.source = software ? cella_quote_local() : cella_quote_dcap()};
    struct cella_quote_identity identity;
    cella_quote_key_intel(backend.key_ids[1]);
    memcpy(backend.key_ids[0], backend.key_ids[1], SGX_KEY_ID_SIZE);
    if (software) {
        CELLA_TRY(cella_quote_local_identity(&identity, error));
        cella_quote_key_of(identity.report.body.mr_signer, identity.report.body.isv_prod_id,
                           backend.key_ids[0]);
    } else {
        CELLA_TRY(backend.source->target(NULL, NULL, error));
    }
    *ret_backend = backend;
    return CELLA_OK;
}
