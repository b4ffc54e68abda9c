/*
 * Quotes from a daemon at the AESM socket.
 * Side: host. Called by quote.c.
 * Never remembers a key's id: the daemon may be another one at the next request.
 */
#include <string.h>

#include "host/aesm_client.h"
#include "host/quote.h"
#include "host/quote_key.h"

_Static_assert(CELLA_AESM_KEY_ID_SIZE == SGX_KEY_ID_SIZE, "abi/quote.h");
_Static_assert(CELLA_AESM_TARGET_SIZE == sizeof(struct sgx_targetinfo), "abi/sgx.h");
_Static_assert(CELLA_AESM_REPORT_SIZE == sizeof(struct sgx_report), "abi/sgx.h");
_Static_assert(CELLA_AESM_REPORT_INFO_SIZE == sizeof(struct sgx_qe_report_info), "abi/quote.h");
_Static_assert(CELLA_AESM_QUOTE_MAX == CELLA_QUOTE_MAX, "cella/attest.h");

/* The key that the daemon offers to whoever names none. */
static cella_result key_select(uint8_t ret_key_id[SGX_KEY_ID_SIZE], struct cella_error *error)
{
    uint64_t code;
    CELLA_TRY(cella_aesm_select_key(NULL, 0, ret_key_id, &code, error));
    if (cella_le_get(ret_key_id + SGX_KEY_ID_ALGORITHM, 4) != SGX_QUOTE3_KEY_ECDSA_P256) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: its attestation key is not ECDSA with P-256",
                               cella_aesm_path());
    }
    return CELLA_OK;
}

/* With the key's public id, which makes the daemon have the key. */
static cella_result init(const uint8_t key_id[SGX_KEY_ID_SIZE], struct sgx_targetinfo *ret_target,
                         uint8_t ret_public[32], struct cella_error *error)
{
    uint64_t code;
    size_t size;
    CELLA_TRY(cella_aesm_init_quote(key_id, ret_target, &size, ret_public, 32, &code, error));
    CELLA_ENSURE(size == 32, HOST_VALUE);
    return CELLA_OK;
}

static cella_result aesm_target(struct sgx_targetinfo *ret_target, uint32_t *ret_quote_size,
                                struct cella_error *error)
{
    uint8_t key_id[SGX_KEY_ID_SIZE], public_id[32];
    struct sgx_targetinfo target;
    uint64_t code;
    CELLA_TRY(key_select(key_id, error));
    CELLA_TRY(init(key_id, ret_target ? ret_target : &target, public_id, error));
    return ret_quote_size ? cella_aesm_quote_size(key_id, ret_quote_size, &code, error) : CELLA_OK;
}

static cella_result aesm_quote(const struct sgx_report *report, struct sgx_qe_report_info *info,
                               void *out, size_t out_capacity, size_t *ret_size,
                               struct cella_error *error)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    uint32_t size;
    uint64_t code;
    CELLA_TRY(key_select(key_id, error));
    CELLA_TRY(cella_aesm_quote_size(key_id, &size, &code, error));
    *ret_size = size;
    CELLA_ENSURE(out_capacity >= size, BUFFER_TOO_SMALL);
    return cella_aesm_get_quote(key_id, report, info, out, size, ret_size, &code, error);
}

static cella_result aesm_key_id(uint8_t ret_key_id[32], struct cella_error *error)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    struct sgx_targetinfo target;
    CELLA_TRY(key_select(key_id, error));
    return init(key_id, &target, ret_key_id, error);
}

const struct cella_quote_source *cella_quote_aesm(void)
{
    static const struct cella_quote_source source = {
        .name = "AESM socket", .target = aesm_target, .quote = aesm_quote, .key_id = aesm_key_id};
    return &source;
}
