/*
 * The socket: worker threads, each with its own poll set, that read frames and write answers.
 * Side: host, service. Called by main.c and tests.
 */
#ifndef CELLA_SERVICES_QUOTED_SERVER_H
#define CELLA_SERVICES_QUOTED_SERVER_H

#include "services/quoted/aesm.h"
#include "services/quoted/clients.h"

struct server_options {
    const char *path; /* of the socket */
    const struct aesm_backend *backend;
    struct client_limits limits; /* of one client */
    uint32_t connections;        /* of all together */
    uint32_t threads;
    uint32_t timeout; /* seconds for a frame to come in or an answer to be taken */
    int socket;       /* a listening one that somebody else made; -1: makes `path` */
};

struct server;

/* IO with the path; ALREADY_EXISTS: another daemon answers there. */
CELLA_MUST_USE cella_result server_start(const struct server_options *options,
                                         struct server **ret_server, struct cella_error *error);
/* Takes no more connections, lets running requests end, removes the socket. */
void server_stop(struct server *server);

#endif
