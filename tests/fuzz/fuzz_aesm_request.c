/*
 * Fuzz target: answering AESM requests, with a source of quotes that needs no enclave.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "services/quoted/aesm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUOTE_SIZE 4693u

static cella_result target(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                           struct cella_error *error)
{
    (void)error;
    if (ret_target) {
        memset(ret_target, 0x11, sizeof(*ret_target));
    }
    if (ret_quote_size) {
        *ret_quote_size = QUOTE_SIZE;
    }
    return CELLA_OK;
}

/* Refuses half of the reports. */
static cella_result quote(const struct sgx_report *report, struct sgx_qe_report_info *info,
                          void *out, size_t out_capacity, size_t *ret_size,
                          struct cella_error *error)
{
    (void)error;
    CELLA_ENSURE(out_capacity >= QUOTE_SIZE, BUFFER_TOO_SMALL);
    CELLA_ENSURE((report->mac[0] & 1) == 0, AUTH_FAILED);
    memset(out, 0x22, QUOTE_SIZE);
    *ret_size = QUOTE_SIZE;
    if (info) {
        memset(&info->report, 0x33, sizeof(info->report));
    }
    return CELLA_OK;
}

static cella_result key_id(uint8_t ret_key_id[32], struct cella_error *error)
{
    (void)error;
    memset(ret_key_id, 0x44, 32);
    return CELLA_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cella_quote_source source = {
        .name = "none", .target = target, .quote = quote, .key_id = key_id};
    struct aesm_backend backend = {.source = &source, .key_ids = {{0, [154] = 2}}};
    struct aesm_answer answer;
    for (int refused = 0; refused < 2; refused++) {
        if (cella_is_ok(
                aesm_answer_make(&backend, cella_bytes_of(data, size), refused != 0, &answer))) {
            uint32_t framed;
            memcpy(&framed, answer.data, sizeof(framed));
            if (framed + sizeof(framed) != answer.size) {
                abort();
            }
            free(answer.data);
        }
    }
    return 0;
}
