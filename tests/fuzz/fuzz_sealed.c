/*
 * Fuzz target: sealed data, over a processor whose keys are constants.
 * Side: tests. Called by libFuzzer or replay.c. enclave/seal.c is compiled for the host here.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "cella/report.h"
#include "cella/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

cella_result cella_report_self(struct sgx_report *ret_report)
{
    memset(ret_report, 0, sizeof(*ret_report));
    ret_report->body.isv_svn = 3;
    return CELLA_OK;
}

cella_result cella_key_get(const struct sgx_keyrequest *request, uint8_t ret_key[16])
{
    CELLA_ENSURE(request->isv_svn <= 3, SVN_TOO_OLD);
    memset(ret_key, request->key_policy, 16);
    ret_key[0] ^= request->key_id[31];
    return CELLA_OK;
}

cella_result cella_random(void *out, size_t size)
{
    memset(out, 0x5A, size);
    return CELLA_OK;
}

int cella_enclave_inside(const void *at, size_t size)
{
    (void)at;
    (void)size;
    return 1;
}

/* What was sealed here opens again, into exactly the same. */
static void round_trip(const uint8_t *data, size_t size)
{
    static uint8_t sealed[4096], opened[4096];
    struct cella_sealed_info info;
    size_t sealed_size = 0;
    if (size > 2048 ||
        !cella_is_ok(cella_seal(CELLA_SEAL_MRSIGNER, data, size / 3, data, size, sealed,
                                sizeof(sealed), &sealed_size)) ||
        !cella_is_ok(cella_unseal(sealed, sealed_size, opened, sizeof(opened), &info)) ||
        info.data_size != size || (size > 0 && memcmp(opened, data, size) != 0)) {
        if (size <= 2048) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_sealed_info info;
    if (cella_is_ok(cella_sealed_inspect(data, size, &info))) {
        if (info.additional_size + info.data_size + CELLA_SEAL_OVERHEAD != size) {
            abort();
        }
        uint8_t *out = malloc(info.data_size + 1);
        if (out) {
            cella_ignore(cella_unseal(data, size, out, info.data_size, NULL));
        }
        free(out);
    }
    round_trip(data, size);
    return 0;
}
