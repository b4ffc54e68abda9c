/*
 * Answering one AESM request. aesm.h is the manual; aesm.proto the messages.
 * Side: host, service. Called by server.c and the fuzz target.
 * Never trusts a length of the message: protobuf-c checks those, and every field's size is checked here before use.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aesm.pb-c.h"
#include "common/cleanup.h"
#include "abi/quote.h"
#include "services/quoted/aesm.h"

#define KEY_LIST_HEAD 8u /* u16 id, u16 version, u32 count */

static uint32_t code_of(cella_result result)
{
    switch (result.code) {
    case CELLA_CODE_OK:
        return AESM_SUCCESS;
    case CELLA_CODE_AUTH_FAILED:
        return AESM_INVALID_REPORT;
    case CELLA_CODE_INVALID_ARGUMENT:
    case CELLA_CODE_BUFFER_TOO_SMALL:
        return AESM_PARAMETER_ERROR;
    case CELLA_CODE_OUT_OF_MEMORY:
        return AESM_OUT_OF_MEMORY_ERROR;
    case CELLA_CODE_OUT_OF_EPC:
        return AESM_OUT_OF_EPC;
    case CELLA_CODE_BUSY:
    case CELLA_CODE_OUT_OF_THREADS:
        return AESM_BUSY;
    case CELLA_CODE_NOT_FOUND:
    case CELLA_CODE_NO_DEVICE:
        return AESM_ENCLAVE_LOAD_ERROR;
    default:
        return AESM_UNEXPECTED_ERROR;
    }
}

/* Only the part that names the key counts: what follows it is of signatures that are not made any more. */
static bool key_equal(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, SGX_KEY_ID_BASE_SIZE) == 0;
}

static bool key_known(const struct aesm_backend *backend, const uint8_t *key_id)
{
    return key_equal(key_id, backend->key_ids[0]) || key_equal(key_id, backend->key_ids[1]);
}

/* AESM_SUCCESS if the field names a key that is served. */
static uint32_t key_check(const struct aesm_backend *backend, protobuf_c_boolean has,
                          ProtobufCBinaryData field)
{
    if (!has || field.len < SGX_KEY_ID_SIZE) {
        return AESM_PARAMETER_ERROR;
    }
    return key_known(backend, field.data) ? AESM_SUCCESS : AESM_UNSUPPORTED_ATT_KEY_ID;
}

static ProtobufCBinaryData binary(void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = data};
}

/* The response as a frame: u32 size, message. */
static cella_result frame(const Aesm__Response *response, uint32_t code, struct aesm_answer *answer)
{
    const size_t size = aesm__response__get_packed_size(response);
    const uint32_t head = (uint32_t)size;
    answer->data = malloc(sizeof(head) + size);
    CELLA_ENSURE(answer->data != NULL, OUT_OF_MEMORY);
    memcpy(answer->data, &head, sizeof(head));
    aesm__response__pack(response, answer->data + sizeof(head));
    answer->size = sizeof(head) + size;
    answer->code = code;
    return CELLA_OK;
}

static uint32_t failed(struct aesm_answer *answer, cella_result result,
                       const struct cella_error *error)
{
    if (!cella_is_ok(result)) {
        snprintf(answer->reason, sizeof(answer->reason), "%.255s",
                 error->text[0] ? error->text : cella_result_text(result));
    }
    return code_of(result);
}

/* The first of the list that is served. */
static uint32_t key_choose(const struct aesm_backend *backend,
                           const Aesm__SelectKeyRequest *request,
                           uint8_t ret_key_id[SGX_KEY_ID_SIZE])
{
    if (!request->has_key_ids || request->key_ids.len == 0) {
        memcpy(ret_key_id, backend->key_ids[0], SGX_KEY_ID_SIZE);
        return AESM_SUCCESS;
    }
    struct cella_cursor cursor =
        cella_cursor_of(cella_bytes_of(request->key_ids.data, request->key_ids.len));
    uint32_t head, count;
    if (!cella_is_ok(cella_cursor_u32(&cursor, &head)) ||
        !cella_is_ok(cella_cursor_u32(&cursor, &count)) || head != 0 || count > AESM_KEYS_MAX ||
        cella_cursor_left(&cursor) != (size_t)count * SGX_KEY_ID_SIZE || count == 0) {
        return AESM_PARAMETER_ERROR;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *key_id = request->key_ids.data + KEY_LIST_HEAD + i * SGX_KEY_ID_SIZE;
        if (key_known(backend, key_id)) {
            memcpy(ret_key_id, key_id, SGX_KEY_ID_SIZE);
            return AESM_SUCCESS;
        }
    }
    return AESM_UNSUPPORTED_ATT_KEY_ID;
}

static cella_result select_key(const struct aesm_backend *backend, const Aesm__Request *request,
                               struct aesm_answer *answer)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    Aesm__SelectKeyResponse body = AESM__SELECT_KEY_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    response.select_key = &body;
    body.code = key_choose(backend, request->select_key, key_id);
    if (body.code == AESM_SUCCESS) {
        body.has_key_id = true;
        body.key_id = binary(key_id, sizeof(key_id));
    }
    return frame(&response, body.code, answer);
}

static cella_result init_quote(const struct aesm_backend *backend, const Aesm__Request *request,
                               struct aesm_answer *answer)
{
    const Aesm__InitQuoteRequest *asked = request->init_quote;
    struct sgx_targetinfo target;
    uint8_t key_id[32];
    struct cella_error error = {0};
    Aesm__InitQuoteResponse body = AESM__INIT_QUOTE_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    response.init_quote = &body;
    body.code = key_check(backend, asked->has_key_id, asked->key_id);
    if (body.code == AESM_SUCCESS && asked->with_public_key &&
        !(asked->has_room && asked->room == sizeof(key_id))) {
        body.code = AESM_PARAMETER_ERROR;
    }
    if (body.code == AESM_SUCCESS) {
        cella_result result = backend->source->target(&target, NULL, &error);
        if (cella_is_ok(result) && asked->with_public_key) {
            result = backend->source->key_id(key_id, &error);
        }
        body.code = failed(answer, result, &error);
    }
    if (body.code == AESM_SUCCESS) {
        body.has_public_key_size = true;
        body.public_key_size = sizeof(key_id);
        body.has_target_info = true;
        body.target_info = binary(&target, sizeof(target));
        body.has_public_key = asked->with_public_key;
        body.public_key = binary(key_id, sizeof(key_id));
    }
    return frame(&response, body.code, answer);
}

static cella_result quote_size(const struct aesm_backend *backend, const Aesm__Request *request,
                               struct aesm_answer *answer)
{
    struct cella_error error = {0};
    Aesm__QuoteSizeResponse body = AESM__QUOTE_SIZE_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    response.quote_size = &body;
    body.code = key_check(backend, request->quote_size->has_key_id, request->quote_size->key_id);
    if (body.code == AESM_SUCCESS) {
        body.code = failed(answer, backend->source->target(NULL, &body.size, &error), &error);
        body.has_size = body.code == AESM_SUCCESS;
    }
    return frame(&response, body.code, answer);
}

/* The quote, which is malloc'd: sizes are those of the quote there is, not what the client says. */
static uint32_t quote_make(const struct aesm_backend *backend, const Aesm__GetQuoteRequest *asked,
                           struct sgx_qe_report_info *info, uint8_t **ret_quote, size_t *ret_size,
                           struct aesm_answer *answer)
{
    struct sgx_report report;
    struct cella_error error = {0};
    uint32_t size = 0;
    const bool has_info = asked->has_qe_report_info && asked->qe_report_info.len > 0;
    if (asked->report.len != sizeof(report) ||
        (has_info && asked->qe_report_info.len != sizeof(*info))) {
        return AESM_PARAMETER_ERROR;
    }
    cella_result result = backend->source->target(NULL, &size, &error);
    if (!cella_is_ok(result)) {
        return failed(answer, result, &error);
    }
    if (asked->room < size || size > CELLA_QUOTE_MAX) {
        return AESM_PARAMETER_ERROR;
    }
    memcpy(&report, asked->report.data, sizeof(report));
    if (has_info) {
        memcpy(info, asked->qe_report_info.data, sizeof(*info));
    }
    *ret_quote = malloc(size);
    if (!*ret_quote) {
        return AESM_OUT_OF_MEMORY_ERROR;
    }
    result =
        backend->source->quote(&report, has_info ? info : NULL, *ret_quote, size, ret_size, &error);
    return failed(answer, result, &error);
}

static cella_result get_quote(const struct aesm_backend *backend, const Aesm__Request *request,
                              struct aesm_answer *answer)
{
    const Aesm__GetQuoteRequest *asked = request->get_quote;
    struct sgx_qe_report_info info;
    uint8_t *quote = NULL;
    size_t size = 0;
    Aesm__GetQuoteResponse body = AESM__GET_QUOTE_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    response.get_quote = &body;
    body.code = key_check(backend, asked->has_key_id, asked->key_id);
    if (body.code == AESM_SUCCESS) {
        body.code = quote_make(backend, asked, &info, &quote, &size, answer);
    }
    if (body.code == AESM_SUCCESS) {
        body.has_quote = true;
        body.quote = binary(quote, size);
        body.has_qe_report_info = asked->has_qe_report_info && asked->qe_report_info.len > 0;
        body.qe_report_info = binary(&info, sizeof(info));
    }
    const cella_result result = frame(&response, body.code, answer);
    free(quote);
    return result;
}

static cella_result key_count(const struct aesm_backend *backend, const Aesm__Request *request,
                              struct aesm_answer *answer)
{
    Aesm__KeyCountResponse body = AESM__KEY_COUNT_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    (void)backend;
    (void)request;
    response.key_count = &body;
    body.code = AESM_SUCCESS;
    body.has_count = true;
    body.count = 1;
    return frame(&response, body.code, answer);
}

static cella_result keys(const struct aesm_backend *backend, const Aesm__Request *request,
                         struct aesm_answer *answer)
{
    uint8_t key_id[SGX_KEY_ID_SIZE];
    Aesm__KeysResponse body = AESM__KEYS_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    response.keys = &body;
    body.code = request->keys->room == SGX_KEY_ID_SIZE ? AESM_SUCCESS : AESM_PARAMETER_ERROR;
    if (body.code == AESM_SUCCESS) {
        memcpy(key_id, backend->key_ids[0], sizeof(key_id));
        body.has_key_ids = true;
        body.key_ids = binary(key_id, sizeof(key_id));
    }
    return frame(&response, body.code, answer);
}

static cella_result unsupported(uint32_t code, struct aesm_answer *answer)
{
    Aesm__UnsupportedResponse body = AESM__UNSUPPORTED_RESPONSE__INIT;
    Aesm__Response response = AESM__RESPONSE__INIT;
    response.unsupported = &body;
    body.code = code;
    return frame(&response, code, answer);
}

/* The same kind of answer as the request's, with a code and nothing else. */
static cella_result refuse(const Aesm__Request *request, uint32_t code, struct aesm_answer *answer)
{
    Aesm__Response response = AESM__RESPONSE__INIT;
    Aesm__InitQuoteResponse init_body = AESM__INIT_QUOTE_RESPONSE__INIT;
    Aesm__QuoteSizeResponse size_body = AESM__QUOTE_SIZE_RESPONSE__INIT;
    Aesm__GetQuoteResponse quote_body = AESM__GET_QUOTE_RESPONSE__INIT;
    Aesm__SelectKeyResponse select_body = AESM__SELECT_KEY_RESPONSE__INIT;
    Aesm__KeyCountResponse count_body = AESM__KEY_COUNT_RESPONSE__INIT;
    Aesm__KeysResponse keys_body = AESM__KEYS_RESPONSE__INIT;
    init_body.code = size_body.code = quote_body.code = code;
    select_body.code = count_body.code = keys_body.code = code;
    response.init_quote = request->init_quote ? &init_body : NULL;
    response.quote_size = request->quote_size ? &size_body : NULL;
    response.get_quote = request->get_quote ? &quote_body : NULL;
    response.select_key = request->select_key ? &select_body : NULL;
    response.key_count = request->key_count ? &count_body : NULL;
    response.keys = request->keys ? &keys_body : NULL;
    return frame(&response, code, answer);
}

static cella_result dispatch(const struct aesm_backend *backend, const Aesm__Request *request,
                             bool refused, struct aesm_answer *answer)
{
    const struct {
        const char *name;
        const void *asked;
        cella_result (*serve)(const struct aesm_backend *backend, const Aesm__Request *request,
                              struct aesm_answer *answer);
    } rows[] = {
        {"InitQuoteEx", request->init_quote, init_quote},
        {"GetQuoteSizeEx", request->quote_size, quote_size},
        {"GetQuoteEx", request->get_quote, get_quote},
        {"SelectAttKeyID", request->select_key, select_key},
        {"GetSupportedAttKeyIDNum", request->key_count, key_count},
        {"GetSupportedAttKeyIDs", request->keys, keys},
    };
    for (size_t i = 0; i < CELLA_COUNT(rows); i++) {
        if (rows[i].asked) {
            answer->request = rows[i].name;
            return refused ? refuse(request, AESM_BUSY, answer)
                           : rows[i].serve(backend, request, answer);
        }
    }
    answer->request = "unsupported";
    return unsupported(AESM_SERVICE_UNAVAILABLE, answer);
}

cella_result aesm_answer_make(const struct aesm_backend *backend, struct cella_bytes message,
                              bool refused, struct aesm_answer *ret_answer)
{
    struct aesm_answer answer = {.request = "malformed"};
    Aesm__Request *request = aesm__request__unpack(NULL, message.size, message.data);
    const cella_result result = request ? dispatch(backend, request, refused, &answer)
                                        : unsupported(AESM_MSG_ERROR, &answer);
    if (request) {
        aesm__request__free_unpacked(request, NULL);
    }
    CELLA_TRY(result);
    *ret_answer = answer;
    return CELLA_OK;
}
