/*
 * Who is at the socket, and what each client may do: connections at a time, requests a second.
 * Side: host, service. Called by server.c. A client is a user and a control group: containers that all run as root are
 * still told apart (ADR 0103).
 * Never grows with the number of clients: a full table counts newcomers together.
 */
#ifndef CELLA_SERVICES_QUOTED_CLIENTS_H
#define CELLA_SERVICES_QUOTED_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct client_limits {
    uint32_t connections; /* of one client at a time; 0: no limit */
    uint32_t rate;        /* requests a second of one client; 0: no limit */
    uint32_t burst;       /* requests at once; 0: one second's */
};

struct client; /* shared, counted */

/* The peer of a connected socket, by its credentials. */
struct peer {
    pid_t pid;
    uid_t uid;
    uint64_t group; /* hash of its control group; 0 when it cannot be read */
};
struct peer peer_of(int fd);

void clients_init(const struct client_limits *limits);
/* NULL: the client has all the connections it may have. */
struct client *client_get(const struct peer *peer);
void client_put(struct client *client);
/* Whether it may make a request now. */
bool client_may(struct client *client);

#endif
