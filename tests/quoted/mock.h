/*
 * A source of quotes that needs no enclave: for tests and fuzzing of what is around it.
 * Side: tests.
 */
#ifndef TESTS_QUOTED_MOCK_H
#define TESTS_QUOTED_MOCK_H

#include <string.h>

#include "host/quote.h"
#include "services/quoted/aesm.h"

#define MOCK_QUOTE_SIZE 4693u

static cella_result mock_target(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                                struct cella_error *error)
{
    (void)error;
    if (ret_target) {
        memset(ret_target, 0x11, sizeof(*ret_target));
    }
    if (ret_quote_size) {
        *ret_quote_size = MOCK_QUOTE_SIZE;
    }
    return CELLA_OK;
}

/* Refuses reports whose MAC starts with an odd byte. */
static cella_result mock_quote(const struct sgx_report *report, struct sgx_qe_report_info *info,
                               void *out, size_t out_capacity, size_t *ret_size,
                               struct cella_error *error)
{
    (void)error;
    CELLA_ENSURE(out_capacity >= MOCK_QUOTE_SIZE, BUFFER_TOO_SMALL);
    CELLA_ENSURE((report->mac[0] & 1) == 0, AUTH_FAILED);
    memset(out, report->mac[0], MOCK_QUOTE_SIZE);
    *ret_size = MOCK_QUOTE_SIZE;
    if (info) {
        memset(&info->report, 0x33, sizeof(info->report));
    }
    return CELLA_OK;
}

static cella_result mock_key_id(uint8_t ret_key_id[32], struct cella_error *error)
{
    (void)error;
    memset(ret_key_id, 0x44, 32);
    return CELLA_OK;
}

/* Its key's id is zeros with the algorithm. */
static inline struct aesm_backend mock_backend(void)
{
    static const struct cella_quote_source source = {
        .name = "mock", .target = mock_target, .quote = mock_quote, .key_id = mock_key_id};
    return (struct aesm_backend){.source = &source, .key_ids = {{0, [154] = 2}}};
}

#endif
