/*
 * gRPC over HTTP/2, by nghttp2: one connection, as a server of many calls or a client of one.
 * Side: both. Called by those who move the bytes: the device plugin's wire.c, Marbles in enclaves (linux/marble_call.c), tests.
 * Bytes in, bytes out: knows no socket, no clock of its own, never waits.
 *
 * Tolerates what old kubelets send (a path as :authority). Everything else of a peer is checked: see server.c.
 */
#ifndef CELLA_RPC_H
#define CELLA_RPC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"

#define RPC_PREFIX_SIZE 5u              /* compressed?, then the size, big-endian */
#define RPC_MESSAGE_MAX (4u << 20)      /* what gRPC takes by default */
#define RPC_BUFFERED_MAX (16u << 20)    /* of the requests of one connection */
#define RPC_CALLS_MAX 128u              /* of one connection at a time */
#define RPC_HEADERS_MAX (16u << 10)     /* of one request */
#define RPC_SECONDS_MAX (24u * 60 * 60) /* no deadline is longer */
#define RPC_REQUEST_SECONDS 60u         /* for a request to come in, when it names no deadline */
#define RPC_TEXT_SIZE 256u

enum rpc_status {
    RPC_OK = 0,
    RPC_CANCELLED = 1,
    RPC_UNKNOWN = 2,
    RPC_INVALID_ARGUMENT = 3,
    RPC_DEADLINE_EXCEEDED = 4,
    RPC_NOT_FOUND = 5,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_UNIMPLEMENTED = 12,
    RPC_INTERNAL = 13,
    RPC_UNAVAILABLE = 14,
};

struct rpc_session;
struct rpc_call;

/* Messages of a streamed answer, pulled as the peer takes them. */
struct rpc_source {
    /* Up to `room` bytes of messages with their prefixes; 0: none now, rpc_call_resume comes when there are. */
    size_t (*read)(void *state, uint8_t *out, size_t room);
    void (*closed)(void *state); /* the call is over */
    void *state;
};

/* Ends in one of rpc_call_answer, _fail, _stream before it returns. */
typedef void (*rpc_handler)(struct rpc_call *call, struct cella_bytes message, void *context);

struct rpc_method {
    const char *path;
    rpc_handler handler;
};

struct rpc_service {
    const struct rpc_method *methods;
    size_t method_count;
    void *context;
    /* After each answer; may be NULL. */
    void (*answered)(void *context, const char *path, enum rpc_status status, const char *text);
};

/* What came of a client's call; `text` may be cut. */
struct rpc_outcome {
    enum rpc_status status;
    char text[RPC_TEXT_SIZE];
    struct cella_bytes message; /* the answer, until `done` returns; empty unless status is OK */
};

/* One unary call. */
struct rpc_request {
    const char *path;
    const char *authority; /* NULL: "localhost" */
    bool is_tls;           /* what the bytes travel in */
    struct cella_bytes message;
    uint32_t milliseconds;
    size_t answer_max; /* bytes of the answer's message */
};

typedef void (*rpc_done)(void *context, const struct rpc_outcome *outcome);

/* `service` lives on. */
CELLA_MUST_USE cella_result rpc_server_new(const struct rpc_service *service,
                                           struct rpc_session **ret_session);
/*
 * `request` is copied; `now` and the deadline are in milliseconds. `done` is called once, from receive, expire or free.
 * Compressed answers and those of more than one message are INTERNAL, larger ones RESOURCE_EXHAUSTED.
 */
CELLA_MUST_USE cella_result rpc_client_new(const struct rpc_request *request, int64_t now,
                                           rpc_done done, void *context,
                                           struct rpc_session **ret_session);
void rpc_session_free(struct rpc_session *session);
/* A client's `done` is not called any more. */
void rpc_session_forget(struct rpc_session *session);

/* Bytes of the peer. A failure: the connection is to be closed. */
CELLA_MUST_USE cella_result rpc_session_receive(struct rpc_session *session,
                                                struct cella_bytes bytes, int64_t now);
/* What is to be sent next, valid until the next call of this; empty: nothing now. */
CELLA_MUST_USE cella_result rpc_session_next(struct rpc_session *session,
                                             struct cella_bytes *ret_bytes);
/* Nothing is to be read or sent any more. */
bool rpc_session_is_over(const struct rpc_session *session);
/* Whether the peer has shown that it speaks HTTP/2. */
bool rpc_session_is_settled(const struct rpc_session *session);
/* Calls being received or answered. */
size_t rpc_session_calls(const struct rpc_session *session);
/* When rpc_session_expire has something to do; 0: never. */
int64_t rpc_session_deadline(const struct rpc_session *session);
void rpc_session_expire(struct rpc_session *session, int64_t now);
/* What the peer did wrong last; "" when nothing. */
const char *rpc_session_trouble(const struct rpc_session *session);
/* Called when there is something to send though nothing came in. */
void rpc_session_on_wake(struct rpc_session *session, void (*wake)(void *), void *context);

/* ------------------------------------------------------------- for handlers */

/* `message` with room for a prefix in front, from malloc: taken over. NULL is out of memory, and answered so. */
void rpc_call_answer(struct rpc_call *call, uint8_t *prefixed, size_t message_size);
void rpc_call_fail(struct rpc_call *call, enum rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void rpc_call_stream(struct rpc_call *call, const struct rpc_source *source);
void rpc_call_resume(struct rpc_call *call);

/* ------------------------------------------------------------- text of the protocol */

const char *rpc_status_name(enum rpc_status status);
/* "100m" and the like in milliseconds, at most RPC_SECONDS_MAX. */
CELLA_MUST_USE cella_result rpc_timeout_parse(struct cella_bytes text, uint32_t *ret_milliseconds);
void rpc_percent_encode(const char *text, char *out, size_t room);
void rpc_percent_decode(struct cella_bytes text, char *out, size_t room);
void rpc_prefix_put(uint8_t out[RPC_PREFIX_SIZE], uint32_t size);

#endif
