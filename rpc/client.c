/*
 * The asking side of a gRPC connection: one unary call. rpc.h is the manual.
 * Side: both. Called through session.c. Never takes more of an answer than was asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "rpc/internal.h"

#define ANSWER_ROOM ((size_t)16 << 10)
#define HEADER(name, value)                                                                        \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value),  \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

void rpc_client_end(struct rpc_session *session, enum rpc_status status, const char *text)
{
    struct rpc_client *client = &session->client;
    if (client->has_ended) {
        return;
    }
    client->has_ended = true;
    client->outcome.status = status;
    client->outcome.message = status == RPC_OK
                                  ? cella_bytes_of(client->answer + RPC_PREFIX_SIZE,
                                                   client->answer_size - RPC_PREFIX_SIZE)
                                  : cella_bytes_of(NULL, 0);
    if (text != client->outcome.text) {
        snprintf(client->outcome.text, sizeof(client->outcome.text), "%s", text);
    }
    client->done(client->context, &client->outcome);
    rpc_session_wake(session);
}

static ssize_t read_request(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct rpc_client *client = source->ptr;
    const size_t left = client->request_size - client->request_sent;
    const size_t size = left < room ? left : room;
    (void)h2, (void)id, (void)user;
    memcpy(out, client->request + client->request_sent, size);
    client->request_sent += size;
    *flags |= client->request_sent == client->request_size ? NGHTTP2_DATA_FLAG_EOF : 0;
    return (ssize_t)size;
}

static bool is_text(const uint8_t *data, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(data, text, size) == 0;
}

/* A decimal number of up to three digits; -1: none. */
static int number_of(const uint8_t *data, size_t size)
{
    int number = 0;
    if (size == 0 || size > 3) {
        return -1;
    }
    for (size_t i = 0; i < size; i++) {
        if (data[i] < '0' || data[i] > '9') {
            return -1;
        }
        number = number * 10 + (data[i] - '0');
    }
    return number;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    struct rpc_session *session = user;
    struct rpc_client *client = &session->client;
    (void)h2, (void)flags;
    if (frame->hd.stream_id != client->id) {
        return 0;
    }
    if (is_text(name, name_size, ":status")) {
        client->http_status = number_of(value, value_size);
    } else if (is_text(name, name_size, "grpc-status")) {
        const int status = number_of(value, value_size);
        client->has_status = true;
        client->outcome.status = status >= 0 ? (enum rpc_status)status : RPC_UNKNOWN;
    } else if (is_text(name, name_size, "grpc-message")) {
        rpc_percent_decode(cella_bytes_of(value, value_size), client->outcome.text,
                           sizeof(client->outcome.text));
    }
    return 0;
}

/* Room for `size` more bytes of the answer: twice what there was, but not more than may come. */
static bool answer_grow(struct rpc_client *client, size_t size)
{
    const size_t wanted = client->answer_size + size;
    size_t room = client->answer_room ? client->answer_room : ANSWER_ROOM;
    if (wanted <= client->answer_room) {
        return true;
    }
    while (room < wanted) {
        room *= 2;
    }
    uint8_t *answer = realloc(client->answer, room);
    if (!answer) {
        return false;
    }
    client->answer = answer;
    client->answer_room = room;
    return true;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    struct rpc_session *session = user;
    struct rpc_client *client = &session->client;
    (void)h2, (void)flags;
    if (id != client->id || client->has_ended) {
        return 0;
    }
    if (size > client->answer_max + RPC_PREFIX_SIZE - client->answer_size) {
        rpc_client_end(session, RPC_RESOURCE_EXHAUSTED, "the answer is too large");
        return 0;
    }
    if (!answer_grow(client, size)) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memcpy(client->answer + client->answer_size, data, size);
    client->answer_size += size;
    return 0;
}

/* NULL: the answer is one message, whole and not compressed. */
static const char *answer_fault(const struct rpc_client *client)
{
    const uint8_t *prefix = client->answer;
    if (client->answer_size < RPC_PREFIX_SIZE) {
        return "the answer has no message";
    }
    if (prefix[0] != 0) {
        return "the answer is compressed";
    }
    const uint32_t size = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
                          (uint32_t)prefix[3] << 8 | prefix[4];
    return size == client->answer_size - RPC_PREFIX_SIZE ? NULL : "the answer is not one message";
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct rpc_session *session = user;
    (void)h2;
    session->is_settled |= frame->hd.type == NGHTTP2_SETTINGS;
    return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user)
{
    struct rpc_session *session = user;
    struct rpc_client *client = &session->client;
    char text[64];
    (void)h2;
    if (id != client->id) {
        return 0;
    }
    if (client->has_status) {
        const char *fault = client->outcome.status == RPC_OK ? answer_fault(client) : NULL;
        rpc_client_end(session, fault ? RPC_INTERNAL : client->outcome.status,
                       fault ? fault : client->outcome.text);
    } else if (client->http_status && client->http_status != 200) {
        snprintf(text, sizeof(text), "HTTP status %d", client->http_status);
        rpc_client_end(session, RPC_UNAVAILABLE, text);
    } else {
        snprintf(text, sizeof(text), "the stream ended: %s", nghttp2_http2_strerror(code));
        rpc_client_end(session, RPC_UNAVAILABLE, text);
    }
    nghttp2_session_terminate_session(session->h2, NGHTTP2_NO_ERROR);
    return 0;
}

static cella_result request_submit(struct rpc_session *session, const struct rpc_request *request)
{
    char timeout[16];
    snprintf(timeout, sizeof(timeout), "%um", request->milliseconds);
    const char *authority = request->authority ? request->authority : "localhost";
    const nghttp2_nv headers[] = {
        HEADER(":method", "POST"),      HEADER(":scheme", request->is_tls ? "https" : "http"),
        HEADER(":path", request->path), HEADER(":authority", authority),
        HEADER("te", "trailers"),       HEADER("content-type", "application/grpc"),
        HEADER("user-agent", "cella"),  HEADER("grpc-timeout", timeout),
    };
    const nghttp2_data_provider provider = {.source.ptr = &session->client,
                                            .read_callback = read_request};
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    CELLA_ENSURE(nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, settings, 1) == 0,
                 OUT_OF_MEMORY);
    session->client.id =
        nghttp2_submit_request(session->h2, NULL, headers, CELLA_COUNT(headers), &provider, NULL);
    CELLA_ENSURE(session->client.id > 0, OUT_OF_MEMORY);
    return CELLA_OK;
}

static cella_result request_copy(struct rpc_client *client, const struct rpc_request *request)
{
    const struct cella_bytes message = request->message;
    client->request = malloc(RPC_PREFIX_SIZE + message.size);
    CELLA_ENSURE(client->request, OUT_OF_MEMORY);
    rpc_prefix_put(client->request, (uint32_t)message.size);
    memcpy(client->request + RPC_PREFIX_SIZE, message.data, message.size);
    client->request_size = RPC_PREFIX_SIZE + message.size;
    client->answer_max = request->answer_max;
    return CELLA_OK;
}

cella_result rpc_client_new(const struct rpc_request *request, int64_t now, rpc_done done,
                            void *context, struct rpc_session **ret_session)
{
    struct rpc_session *session;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    CELLA_ENSURE(request->message.size <= RPC_MESSAGE_MAX, LIMIT_EXCEEDED);
    CELLA_TRY(rpc_session_begin(&session, &callbacks, &option));
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    const int made = nghttp2_session_client_new2(&session->h2, callbacks, session, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    cella_result result =
        made == 0 ? request_copy(&session->client, request) : CELLA_RESULT(OUT_OF_MEMORY);
    if (cella_is_ok(result)) {
        result = request_submit(session, request);
    }
    if (!cella_is_ok(result)) {
        rpc_session_free(session); /* without `done` in it: nobody is called */
        return result;
    }
    session->client.done = done;
    session->client.context = context;
    session->client.deadline = now + request->milliseconds;
    *ret_session = session;
    return CELLA_OK;
}
