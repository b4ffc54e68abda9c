/*
 * Quotes for applications and enclaves: which way they come.
 * Side: host. Called by applications, quote_serve.c and the skins. cella/attest.h is the manual.
 * Never remembers that there was no daemon: one may be started at any time.
 */
#include "host/quote.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/service.h"
#include "host/aesm_client.h"
#include "host/host.h"
#include "host/quote_key.h"

static _Atomic uint32_t g_way; /* enum cella_quote_way */

cella_result cella_quotes_use(enum cella_quote_way way, const char *socket)
{
    CELLA_ENSURE(way <= CELLA_QUOTE_IN_PROCESS, INVALID_ARGUMENT);
    CELLA_TRY(cella_aesm_path_set(socket));
    g_way = way;
    return CELLA_OK;
}

/* In process, where that can be: the enclave's image or Intel's library is there. */
static const struct cella_quote_source *in_process(int software)
{
    char path[1024];
    if (!software) {
        return cella_quote_dcap()->target(NULL, NULL, NULL).code == CELLA_CODE_OK
                   ? cella_quote_dcap()
                   : NULL;
    }
    return cella_is_ok(cella_quote_image_find("cella-qe.signed", path, sizeof(path), NULL))
               ? cella_quote_local()
               : NULL;
}

/* As cella_processor_open chooses. */
static int default_is_software(void)
{
    const struct cella_processor *processor;
    int fd;
    if (!cella_is_ok(cella_processor_open(false, &processor, &fd, NULL))) {
        return 0;
    }
    processor->close(fd);
    return processor == cella_soft_processor();
}

cella_result cella_quote_source_find(int software, const struct cella_quote_source **ret_source,
                                     struct cella_error *error)
{
    const enum cella_quote_way way = (enum cella_quote_way)g_way;
    software = software < 0 ? default_is_software() : software;
    const bool socket_wanted =
        way == CELLA_QUOTE_SOCKET || (way == CELLA_QUOTE_AUTO && getenv("SGX_AESM_ADDR") != NULL);
    const struct cella_quote_source *here =
        way == CELLA_QUOTE_IN_PROCESS ? (software ? cella_quote_local() : cella_quote_dcap())
        : socket_wanted               ? NULL
                                      : in_process(software);
    if (!here && !socket_wanted && access(cella_aesm_path(), F_OK) < 0) {
        return cella_error_set(
            error, CELLA_RESULT(NOT_FOUND), "no quotes: neither %s here nor a daemon at %s",
            software ? "cella-qe.signed" : "libsgx_dcap_ql.so.1", cella_aesm_path());
    }
    *ret_source = here ? here : cella_quote_aesm();
    return CELLA_OK;
}

cella_result cella_quote_target(int software, struct sgx_targetinfo *ret_target,
                                uint32_t *ret_quote_size, struct cella_error *error)
{
    const struct cella_quote_source *source;
    CELLA_TRY(cella_quote_source_find(software, &source, error));
    return source->target(ret_target, ret_quote_size, error);
}

cella_result cella_quote_of_report(int software, const struct sgx_report *report,
                                   struct sgx_qe_report_info *info, void *out, size_t out_capacity,
                                   size_t *ret_size, struct cella_error *error)
{
    const struct cella_quote_source *source;
    CELLA_ENSURE(report != NULL && (out != NULL || out_capacity == 0) && ret_size != NULL,
                 INVALID_ARGUMENT);
    CELLA_TRY(cella_quote_source_find(software, &source, error));
    return source->quote(report, info, out, out_capacity, ret_size, error);
}

/* ------------------------------------------------------------------- evidence at the host's wish */

static cella_result evidence_ask(cella_enclave *enclave, const uint8_t *request,
                                 size_t request_size, uint8_t *answer, size_t capacity, void *out,
                                 size_t out_capacity, size_t *ret_size)
{
    uint64_t needed;
    size_t size = 0;
    CELLA_TRY(
        cella_ecall(enclave, CELLA_ECALL_EVIDENCE, request, request_size, answer, capacity, &size));
    CELLA_ENSURE(size >= sizeof(needed), HOST_VALUE);
    memcpy(&needed, answer, sizeof(needed));
    *ret_size = needed;
    CELLA_ENSURE(size - sizeof(needed) == needed && needed <= out_capacity, BUFFER_TOO_SMALL);
    memcpy(out, answer + sizeof(needed), needed);
    return CELLA_OK;
}

cella_result cella_enclave_evidence(cella_enclave *enclave, const void *nonce, size_t nonce_size,
                                    const void *user_data, size_t user_data_size, void *out,
                                    size_t out_capacity, size_t *ret_size,
                                    struct cella_error *error)
{
    const struct cella_call_evidence head = {(uint32_t)nonce_size, (uint32_t)user_data_size};
    const size_t room = CELLA_CALL_EVIDENCE_MAX - sizeof(head);
    CELLA_ENSURE(enclave && ret_size && (nonce || nonce_size == 0) &&
                     (user_data || user_data_size == 0) && (out || out_capacity == 0),
                 INVALID_ARGUMENT);
    CELLA_ENSURE(nonce_size <= room && user_data_size <= room - nonce_size, OUT_OF_RANGE);
    const size_t request_size = sizeof(head) + nonce_size + user_data_size;
    const size_t capacity = sizeof(uint64_t) + CELLA_CALL_EVIDENCE_OUT_MAX;
    uint8_t *request = malloc(request_size + capacity);
    CELLA_ENSURE(request != NULL, OUT_OF_MEMORY);
    uint8_t *answer = request + request_size;
    memcpy(request, &head, sizeof(head));
    if (nonce_size > 0) {
        memcpy(request + sizeof(head), nonce, nonce_size);
    }
    if (user_data_size > 0) {
        memcpy(request + sizeof(head) + nonce_size, user_data, user_data_size);
    }
    const cella_result result =
        evidence_ask(enclave, request, request_size, answer, capacity, out, out_capacity, ret_size);
    free(request);
    if (cella_is_ok(result)) {
        return CELLA_OK;
    }
    /* what the enclave cannot say: why there was no quote */
    if (result.code == CELLA_CODE_HOST_REFUSED) {
        struct cella_error why = {0};
        const int software = strcmp(enclave->processor->name, "software") == 0;
        if (!cella_is_ok(cella_quote_target(software, NULL, NULL, &why))) {
            /* NOT_FOUND is an enclave without the module, not a node without a quote service. */
            const bool absent = why.result.code == CELLA_CODE_NOT_FOUND;
            return cella_error_set(error, absent ? result : why.result, "%s", why.text);
        }
    }
    return cella_error_set(error, result, "evidence: %s", cella_result_text(result));
}

/* ------------------------------------------------------------------- ids of keys */

static void le_put(uint8_t *at, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

void cella_quote_key_of(const uint8_t mr_signer[32], uint16_t product_id,
                        uint8_t ret_key_id[SGX_KEY_ID_SIZE])
{
    memset(ret_key_id, 0, SGX_KEY_ID_SIZE);
    le_put(ret_key_id + SGX_KEY_ID_SIGNER_SIZE, 32, 2);
    memcpy(ret_key_id + SGX_KEY_ID_SIGNER, mr_signer, 32);
    le_put(ret_key_id + SGX_KEY_ID_PRODUCT, product_id, 4);
    le_put(ret_key_id + SGX_KEY_ID_ALGORITHM, SGX_QUOTE3_KEY_ECDSA_P256, 4);
}

void cella_quote_key_intel(uint8_t ret_key_id[SGX_KEY_ID_SIZE])
{
    static const uint8_t signer[32] = {0x8C, 0x4F, 0x57, 0x75, 0xD7, 0x96, 0x50, 0x3E,
                                       0x96, 0x13, 0x7F, 0x77, 0xC6, 0x8A, 0x82, 0x9A,
                                       0x00, 0x56, 0xAC, 0x8D, 0xED, 0x70, 0x14, 0x0B,
                                       0x08, 0x1B, 0x09, 0x44, 0x90, 0xC5, 0x7B, 0xFF};
    cella_quote_key_of(signer, 1, ret_key_id);
}
