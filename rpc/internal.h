/*
 * What the two roles of a gRPC connection share.
 * Side: both. Called by server.c, client.c, session.c.
 */
#ifndef CELLA_RPC_INTERNAL_H
#define CELLA_RPC_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "rpc/rpc.h"

struct rpc_call {
    struct rpc_call *next, **link;
    struct rpc_session *session;
    int32_t id;
    /* the request */
    char path[128];
    bool is_post, is_grpc, is_encoded, has_timeout, has_bad_timeout;
    size_t headers_size;
    uint32_t timeout; /* milliseconds */
    uint8_t *body;
    size_t body_size, body_room;
    int64_t deadline;
    /* the answer */
    bool is_answered, is_deferred, is_ending;
    uint8_t *reply; /* with its prefix */
    size_t reply_size, reply_sent;
    struct rpc_source source;
    enum rpc_status status;
    char text[RPC_TEXT_SIZE];
};

/* The client's call. */
struct rpc_client {
    rpc_done done;
    void *context;
    int32_t id;
    int64_t deadline;
    uint8_t *request;
    size_t request_size, request_sent;
    uint8_t *answer; /* with its prefix */
    size_t answer_size, answer_room, answer_max;
    int http_status;
    bool has_status, has_ended;
    struct rpc_outcome outcome;
};

struct rpc_session {
    nghttp2_session *h2;
    int64_t now;
    bool is_settled;
    char trouble[RPC_TEXT_SIZE];
    void (*wake)(void *);
    void *wake_context;
    /* a server's */
    const struct rpc_service *service;
    struct rpc_call *calls;
    size_t call_count, buffered;
    /* a client's; done is NULL in a server */
    struct rpc_client client;
};

/* Options and callbacks that both roles have. The callbacks are the caller's to complete and to delete. */
CELLA_MUST_USE cella_result rpc_session_begin(struct rpc_session **ret_session,
                                              nghttp2_session_callbacks **ret_callbacks,
                                              nghttp2_option **ret_option);
void rpc_session_wake(struct rpc_session *session);
void rpc_server_expire(struct rpc_session *session, int64_t now);
int64_t rpc_server_deadline(const struct rpc_session *session);
void rpc_server_done(struct rpc_session *session);
/* The client's outcome, once. */
void rpc_client_end(struct rpc_session *session, enum rpc_status status, const char *text);

#endif
