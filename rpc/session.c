/*
 * A gRPC connection: what both roles share, and the protocol's text. rpc.h is the manual.
 * Side: both. Called by wire.c, the two roles, tests. Never waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "rpc/internal.h"

static int on_error(nghttp2_session *h2, int code, const char *text, size_t size, void *user)
{
    struct rpc_session *session = user;
    (void)h2, (void)code;
    snprintf(session->trouble, sizeof(session->trouble), "%.*s", (int)(size < 200 ? size : 200),
             text);
    return 0;
}

static int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *user)
{
    struct rpc_session *session = user;
    (void)h2;
    snprintf(session->trouble, sizeof(session->trouble), "frame of type %u, stream %d: %s",
             frame->hd.type, frame->hd.stream_id, nghttp2_strerror(code));
    return 0;
}

cella_result rpc_session_begin(struct rpc_session **ret_session,
                               nghttp2_session_callbacks **ret_callbacks,
                               nghttp2_option **ret_option)
{
    struct rpc_session *session = calloc(1, sizeof(*session));
    CELLA_ENSURE(session, OUT_OF_MEMORY);
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(callbacks);
        free(session);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    /* kubelets before 1.26 send the socket's path as :authority; what matters is checked by the roles */
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_option_set_max_settings(option, 32);
    nghttp2_option_set_max_outbound_ack(option, 256); /* of PING and SETTINGS */
    nghttp2_option_set_max_send_header_block_length(option, 16 << 10);
    *ret_session = session;
    *ret_callbacks = callbacks;
    *ret_option = option;
    return CELLA_OK;
}

void rpc_session_free(struct rpc_session *session)
{
    if (!session) {
        return;
    }
    session->wake = NULL;
    if (session->client.done) {
        rpc_client_end(session, RPC_UNAVAILABLE, "the connection is closed");
    }
    rpc_server_done(session);
    nghttp2_session_del(session->h2);
    free(session->client.request);
    free(session->client.answer);
    free(session);
}

void rpc_session_forget(struct rpc_session *session)
{
    session->client.has_ended = true;
}

cella_result rpc_session_receive(struct rpc_session *session, struct cella_bytes bytes, int64_t now)
{
    session->now = now;
    const ssize_t got = nghttp2_session_mem_recv(session->h2, bytes.data, bytes.size);
    if (got < 0 || (size_t)got != bytes.size) {
        if (!session->trouble[0]) {
            snprintf(session->trouble, sizeof(session->trouble), "%s",
                     got < 0 ? nghttp2_strerror((int)got) : "bytes after the end");
        }
        return CELLA_RESULT(BAD_SYNTAX);
    }
    return CELLA_OK;
}

cella_result rpc_session_next(struct rpc_session *session, struct cella_bytes *ret_bytes)
{
    const uint8_t *data = NULL;
    const ssize_t size = nghttp2_session_mem_send(session->h2, &data);
    CELLA_ENSURE(size >= 0, INTERNAL);
    *ret_bytes = cella_bytes_of(data, (size_t)size);
    return CELLA_OK;
}

bool rpc_session_is_over(const struct rpc_session *session)
{
    return (session->client.done && session->client.has_ended) ||
           (!nghttp2_session_want_read(session->h2) && !nghttp2_session_want_write(session->h2));
}

bool rpc_session_is_settled(const struct rpc_session *session)
{
    return session->is_settled;
}

size_t rpc_session_calls(const struct rpc_session *session)
{
    return session->call_count;
}

const char *rpc_session_trouble(const struct rpc_session *session)
{
    return session->trouble;
}

void rpc_session_on_wake(struct rpc_session *session, void (*wake)(void *), void *context)
{
    session->wake = wake;
    session->wake_context = context;
}

void rpc_session_wake(struct rpc_session *session)
{
    if (session->wake) {
        session->wake(session->wake_context);
    }
}

int64_t rpc_session_deadline(const struct rpc_session *session)
{
    if (session->client.done) {
        return session->client.has_ended ? 0 : session->client.deadline;
    }
    return rpc_server_deadline(session);
}

void rpc_session_expire(struct rpc_session *session, int64_t now)
{
    session->now = now;
    if (!session->client.done) {
        rpc_server_expire(session, now);
    } else if (now >= session->client.deadline) {
        rpc_client_end(session, RPC_DEADLINE_EXCEEDED, "no answer in time");
    }
}

/* ------------------------------------------------------------------- text */

const char *rpc_status_name(enum rpc_status status)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    return (size_t)status < CELLA_COUNT(names) ? names[status] : "UNKNOWN";
}

/* "Timeout: TimeoutValue TimeoutUnit; value at most 8 digits; unit one of H M S m u n" (gRPC over HTTP/2). */
cella_result rpc_timeout_parse(struct cella_bytes text, uint32_t *ret_milliseconds)
{
    static const struct {
        char unit;
        uint32_t multiplier, divisor; /* to milliseconds */
    } units[] = {
        {'n', 1, 1000000}, {'u', 1, 1000},  {'m', 1, 1},
        {'S', 1000, 1},    {'M', 60000, 1}, {'H', 3600000, 1},
    };
    uint64_t value = 0;
    CELLA_ENSURE(text.size >= 2 && text.size <= 9, BAD_SYNTAX);
    for (size_t i = 0; i + 1 < text.size; i++) {
        CELLA_ENSURE(text.data[i] >= '0' && text.data[i] <= '9', BAD_SYNTAX);
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    for (size_t i = 0; i < CELLA_COUNT(units); i++) {
        if (units[i].unit == (char)text.data[text.size - 1]) {
            /* 99999999 hours at most: fits */
            const uint64_t milliseconds =
                (value * units[i].multiplier + units[i].divisor - 1) / units[i].divisor;
            *ret_milliseconds = milliseconds < RPC_SECONDS_MAX * UINT64_C(1000)
                                    ? (uint32_t)milliseconds
                                    : RPC_SECONDS_MAX * 1000u;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(BAD_SYNTAX);
}

void rpc_percent_encode(const char *text, char *out, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;
    for (; *text && at + 4 <= room; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte < 0x7f && byte != '%') {
            out[at++] = *text;
        } else {
            out[at++] = '%';
            out[at++] = digits[byte >> 4];
            out[at++] = digits[byte & 15];
        }
    }
    out[at] = 0;
}

static int digit_of(uint8_t byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                                        : -1;
}

/* What is not well encoded stays as it is. */
void rpc_percent_decode(struct cella_bytes text, char *out, size_t room)
{
    size_t at = 0;
    for (size_t i = 0; i < text.size && at + 1 < room; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%' && text.size - i > 2 && digit_of(text.data[i + 1]) >= 0 &&
            digit_of(text.data[i + 2]) >= 0) {
            byte = (uint8_t)(digit_of(text.data[i + 1]) * 16 + digit_of(text.data[i + 2]));
            i += 2;
        }
        out[at++] = byte ? (char)byte : '?';
    }
    out[at] = 0;
}

void rpc_prefix_put(uint8_t out[RPC_PREFIX_SIZE], uint32_t size)
{
    out[0] = 0;
    for (int i = 0; i < 4; i++) {
        out[1 + i] = (uint8_t)(size >> (24 - 8 * i));
    }
}
