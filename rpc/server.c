/*
 * The serving side of a gRPC connection. rpc.h is the manual.
 * Side: both. Called through rpc_session.c. Keeps nothing of a call that is over; every request has limits.
 *
 * A request is one message in a POST of application/grpc, without compression. What is wrong is answered as the gRPC
 * protocol's document says: HTTP statuses for what is no gRPC, grpc-status in the headers for the rest.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "rpc/internal.h"

#define HEADER(name, value)                                                                        \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value),  \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

/* ------------------------------------------------------------------- calls */

static void call_free(struct rpc_call *call)
{
    struct rpc_session *session = call->session;
    *call->link = call->next;
    if (call->next) {
        call->next->link = call->link;
    }
    session->call_count--;
    session->buffered -= call->body_room;
    if (call->source.closed) {
        call->source.closed(call->source.state);
    }
    free(call->body);
    free(call->reply);
    free(call);
}

static void body_drop(struct rpc_call *call)
{
    call->session->buffered -= call->body_room;
    call->body_size = call->body_room = 0;
    free(CELLA_TAKE(call->body));
}

static void answered(struct rpc_call *call, enum rpc_status status, const char *text)
{
    const struct rpc_service *service = call->session->service;
    call->is_answered = true;
    call->status = status;
    if (text != call->text) {
        snprintf(call->text, sizeof(call->text), "%s", text);
    }
    if (service->answered) {
        service->answered(service->context, call->path, status, text);
    }
}

/* Headers alone, which end the stream. */
static void submit_refusal(struct rpc_call *call, const char *http_status)
{
    char number[12], text[3 * RPC_TEXT_SIZE];
    snprintf(number, sizeof(number), "%d", (int)call->status);
    rpc_percent_encode(call->text, text, sizeof(text));
    const nghttp2_nv headers[] = {
        HEADER(":status", http_status),
        HEADER("content-type", "application/grpc"),
        HEADER("grpc-status", number),
        HEADER("grpc-message", text),
        HEADER("grpc-accept-encoding", "identity"),
    };
    const size_t count =
        call->status == RPC_UNIMPLEMENTED ? CELLA_COUNT(headers) : CELLA_COUNT(headers) - 1;
    body_drop(call);
    if (nghttp2_submit_response(call->session->h2, call->id, headers, count, NULL) != 0) {
        nghttp2_submit_rst_stream(call->session->h2, NGHTTP2_FLAG_NONE, call->id,
                                  NGHTTP2_INTERNAL_ERROR);
    }
}

void rpc_call_fail(struct rpc_call *call, enum rpc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->text, sizeof(call->text), format, arguments);
    va_end(arguments);
    answered(call, status, call->text);
    submit_refusal(call, "200");
}

/* What is no gRPC at all. */
static void refuse_http(struct rpc_call *call, const char *http_status, const char *text)
{
    answered(call, RPC_UNKNOWN, text);
    submit_refusal(call, http_status);
}

static void submit_trailer(struct rpc_call *call)
{
    char number[12], text[3 * RPC_TEXT_SIZE];
    snprintf(number, sizeof(number), "%d", (int)call->status);
    rpc_percent_encode(call->text, text, sizeof(text));
    const nghttp2_nv trailer[] = {HEADER("grpc-status", number), HEADER("grpc-message", text)};
    nghttp2_submit_trailer(call->session->h2, call->id, trailer, call->text[0] ? 2 : 1);
}

static ssize_t read_reply(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct rpc_call *call = source->ptr;
    size_t size = 0;
    (void)h2, (void)id, (void)user;
    if (call->source.read && !call->is_ending) {
        size = call->source.read(call->source.state, out, room);
        call->is_deferred = size == 0;
        return size ? (ssize_t)size : NGHTTP2_ERR_DEFERRED;
    }
    if (call->reply) {
        const size_t left = call->reply_size - call->reply_sent;
        size = left < room ? left : room;
        memcpy(out, call->reply + call->reply_sent, size);
        call->reply_sent += size;
        if (call->reply_sent < call->reply_size) {
            return (ssize_t)size;
        }
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    submit_trailer(call);
    return (ssize_t)size;
}

static void submit_messages(struct rpc_call *call)
{
    const nghttp2_nv headers[] = {
        HEADER(":status", "200"),
        HEADER("content-type", "application/grpc"),
    };
    const nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_reply};
    body_drop(call);
    if (nghttp2_submit_response(call->session->h2, call->id, headers, 2, &provider) != 0) {
        nghttp2_submit_rst_stream(call->session->h2, NGHTTP2_FLAG_NONE, call->id,
                                  NGHTTP2_INTERNAL_ERROR);
    }
}

void rpc_call_answer(struct rpc_call *call, uint8_t *prefixed, size_t message_size)
{
    if (!prefixed) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    if (message_size > RPC_MESSAGE_MAX) {
        free(prefixed);
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "the answer has %zu bytes", message_size);
        return;
    }
    rpc_prefix_put(prefixed, (uint32_t)message_size);
    call->reply = prefixed;
    call->reply_size = message_size + RPC_PREFIX_SIZE;
    answered(call, RPC_OK, "");
    submit_messages(call);
}

void rpc_call_stream(struct rpc_call *call, const struct rpc_source *source)
{
    call->source = *source;
    answered(call, RPC_OK, "");
    submit_messages(call);
}

void rpc_call_resume(struct rpc_call *call)
{
    if (call->is_deferred) {
        call->is_deferred = false;
        nghttp2_session_resume_data(call->session->h2, call->id);
        rpc_session_wake(call->session);
    }
}

/* ------------------------------------------------------------------- requests */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct rpc_session *session = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    struct rpc_call *call = calloc(1, sizeof(*call));
    if (!call || session->call_count >= RPC_CALLS_MAX) {
        free(call);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    }
    call->session = session;
    call->id = frame->hd.stream_id;
    call->next = session->calls;
    call->link = &session->calls;
    if (call->next) {
        call->next->link = &call->next;
    }
    session->calls = call;
    session->call_count++;
    nghttp2_session_set_stream_user_data(h2, call->id, call);
    return 0;
}

static bool is_text(struct cella_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* application/grpc, alone or with +format or ;parameters behind it. */
static bool is_grpc_type(struct cella_bytes value)
{
    static const char type[] = "application/grpc";
    const size_t size = sizeof(type) - 1;
    return value.size >= size && strncasecmp((const char *)value.data, type, size) == 0 &&
           (value.size == size || value.data[size] == '+' || value.data[size] == ';');
}

static void header_take(struct rpc_call *call, struct cella_bytes name, struct cella_bytes value)
{
    if (is_text(name, ":method")) {
        call->is_post = is_text(value, "POST");
    } else if (is_text(name, ":path") && value.size < sizeof(call->path)) {
        memcpy(call->path, value.data, value.size);
        call->path[value.size] = 0;
    } else if (is_text(name, "content-type")) {
        call->is_grpc = is_grpc_type(value);
    } else if (is_text(name, "grpc-encoding")) {
        call->is_encoded = !is_text(value, "identity");
    } else if (is_text(name, "grpc-timeout")) {
        call->has_timeout = cella_is_ok(rpc_timeout_parse(value, &call->timeout));
        call->has_bad_timeout = !call->has_timeout;
    }
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    struct rpc_call *call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    (void)flags, (void)user;
    if (!call) {
        return 0;
    }
    call->headers_size += name_size + value_size + 32; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    if (call->headers_size <= RPC_HEADERS_MAX && frame->hd.type == NGHTTP2_HEADERS &&
        frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        header_take(call, cella_bytes_of(name, name_size), cella_bytes_of(value, value_size));
    }
    return 0;
}

static const struct rpc_method *method_of(const struct rpc_call *call)
{
    const struct rpc_service *service = call->session->service;
    for (size_t i = 0; i < service->method_count; i++) {
        if (strcmp(service->methods[i].path, call->path) == 0) {
            return &service->methods[i];
        }
    }
    return NULL;
}

/* What can be refused before the body is there. */
static void headers_end(struct rpc_call *call)
{
    if (call->is_answered) {
        return;
    }
    if (call->headers_size > RPC_HEADERS_MAX) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "headers of more than %u bytes",
                      RPC_HEADERS_MAX);
    } else if (!call->is_post) {
        refuse_http(call, "405", "the method is not POST");
    } else if (!call->is_grpc) {
        refuse_http(call, "415", "the content-type is not application/grpc");
    } else if (call->has_bad_timeout) {
        rpc_call_fail(call, RPC_INTERNAL, "malformed grpc-timeout");
    } else if (!method_of(call)) {
        rpc_call_fail(call, RPC_UNIMPLEMENTED, "unknown method %s", call->path);
    } else if (call->is_encoded) {
        rpc_call_fail(call, RPC_UNIMPLEMENTED, "compressed messages are not understood");
    } else {
        call->deadline =
            call->session->now + (call->has_timeout ? call->timeout : RPC_REQUEST_SECONDS * 1000);
    }
}

/* The whole request is there: one message, no more. */
static void request_end(struct rpc_call *call)
{
    if (call->is_answered) {
        return;
    }
    call->deadline = call->has_timeout ? call->deadline : 0;
    if (call->body_size < RPC_PREFIX_SIZE) {
        rpc_call_fail(call, RPC_INTERNAL, "the request has no message");
        return;
    }
    const uint8_t *body = call->body;
    const uint32_t size =
        (uint32_t)body[1] << 24 | (uint32_t)body[2] << 16 | (uint32_t)body[3] << 8 | body[4];
    if (size > call->body_size - RPC_PREFIX_SIZE) {
        rpc_call_fail(call, RPC_INTERNAL, "the message ends after %zu of %u bytes",
                      call->body_size - RPC_PREFIX_SIZE, size);
    } else if (size < call->body_size - RPC_PREFIX_SIZE) {
        rpc_call_fail(call, RPC_INTERNAL, "more than one message");
    } else {
        method_of(call)->handler(call, cella_bytes_of(body + RPC_PREFIX_SIZE, size),
                                 call->session->service->context);
    }
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct rpc_session *session = user;
    if (frame->hd.type == NGHTTP2_SETTINGS) {
        session->is_settled = true;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct rpc_call *call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    if (call && frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        headers_end(call);
    }
    if (call && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        request_end(call);
    }
    return 0;
}

static bool body_grow(struct rpc_call *call, size_t size)
{
    struct rpc_session *session = call->session;
    if (call->body_size + size <= call->body_room) {
        return true;
    }
    size_t room = call->body_room ? call->body_room : 256;
    while (room < call->body_size + size) {
        room *= 2;
    }
    if (session->buffered + room - call->body_room > RPC_BUFFERED_MAX) {
        return false;
    }
    uint8_t *grown = realloc(call->body, room);
    if (!grown) {
        return false;
    }
    session->buffered += room - call->body_room;
    call->body = grown;
    call->body_room = room;
    return true;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user)
{
    struct rpc_call *call = nghttp2_session_get_stream_user_data(h2, id);
    (void)flags, (void)user;
    if (!call || call->is_answered) {
        return 0;
    }
    if (call->body_size + size > RPC_MESSAGE_MAX + RPC_PREFIX_SIZE) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "a message of more than %u bytes",
                      RPC_MESSAGE_MAX);
        return 0;
    }
    if (!body_grow(call, size)) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "too much is being received at once");
        return 0;
    }
    memcpy(call->body + call->body_size, data, size);
    call->body_size += size;
    if (call->body[0] != 0) {
        rpc_call_fail(call, RPC_UNIMPLEMENTED, "compressed messages are not understood");
    }
    return 0;
}

/* Answered before the request was whole: the peer need not go on (RFC 9113, 8.1). */
static int on_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(h2, frame->hd.stream_id) == 0) {
        nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user)
{
    struct rpc_call *call = nghttp2_session_get_stream_user_data(h2, id);
    (void)code, (void)user;
    if (call) {
        call_free(call);
    }
    return 0;
}

cella_result rpc_server_new(const struct rpc_service *service, struct rpc_session **ret_session)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RPC_CALLS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RPC_HEADERS_MAX},
    };
    struct rpc_session *session;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    CELLA_TRY(rpc_session_begin(&session, &callbacks, &option));
    session->service = service;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    const int made = nghttp2_session_server_new2(&session->h2, callbacks, session, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (made != 0 || nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, settings,
                                             CELLA_COUNT(settings)) != 0) {
        rpc_session_free(session);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    *ret_session = session;
    return CELLA_OK;
}

void rpc_server_done(struct rpc_session *session)
{
    while (session->calls) {
        call_free(session->calls);
    }
}

int64_t rpc_server_deadline(const struct rpc_session *session)
{
    int64_t first = 0;
    for (const struct rpc_call *call = session->calls; call; call = call->next) {
        if (call->deadline && (!first || call->deadline < first)) {
            first = call->deadline;
        }
    }
    return first;
}

void rpc_server_expire(struct rpc_session *session, int64_t now)
{
    for (struct rpc_call *call = session->calls, *next; call; call = next) {
        next = call->next;
        if (!call->deadline || now < call->deadline) {
            continue;
        }
        call->deadline = 0;
        if (!call->is_answered) {
            rpc_call_fail(call, RPC_DEADLINE_EXCEEDED, "the request was not whole in time");
        } else if (call->source.read && call->is_deferred) { /* between two messages */
            call->is_ending = true;
            call->status = RPC_DEADLINE_EXCEEDED;
            rpc_call_resume(call);
        } else { /* the peer takes nothing */
            nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, call->id, NGHTTP2_CANCEL);
        }
    }
    rpc_session_wake(session);
}
