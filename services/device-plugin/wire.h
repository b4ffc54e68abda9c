/*
 * gRPC connections on Unix sockets, in one libevent loop: those that come in and those that go out.
 * Side: services. Called by kubelet.c, on the loop's thread. Never waits; a peer that does nothing is cut off in time.
 */
#ifndef CELLA_DEVICE_PLUGIN_WIRE_H
#define CELLA_DEVICE_PLUGIN_WIRE_H

#include <event2/event.h>

#include "common/error.h"
#include "rpc/rpc.h"

#define WIRE_CONNECTIONS_MAX 64u /* of one listener */
#define WIRE_SETTLE_SECONDS 10u  /* for the peer to speak HTTP/2 */
#define WIRE_STALL_SECONDS 60u   /* for the peer to take anything that is due to it */

struct wire;
struct wire_listener;

int64_t wire_now(void); /* milliseconds, monotonic */

/* Makes the socket, in place of whatever has that name. */
CELLA_MUST_USE cella_result wire_listen(struct event_base *base, const char *path,
                                        const struct rpc_service *service,
                                        struct wire_listener **ret_listener,
                                        struct cella_error *error);
/* Whether the name still leads to this socket. */
bool wire_listener_is_there(const struct wire_listener *listener);
/* Makes the socket anew under its name; connections stay. */
CELLA_MUST_USE cella_result wire_listener_rebind(struct wire_listener *listener,
                                                 struct cella_error *error);
size_t wire_listener_connections(const struct wire_listener *listener);
/* Closes its connections, and removes the name if it is still this socket's. NULL is fine. */
void wire_listener_free(struct wire_listener *listener);

/* One unary call over a connection of its own. `done` comes once, later; never from within this call. */
CELLA_MUST_USE cella_result wire_call(struct event_base *base, const char *socket_path,
                                      const char *path, struct cella_bytes message,
                                      uint32_t milliseconds, rpc_done done, void *context,
                                      struct wire **ret_wire, struct cella_error *error);
/* Ends a call of wire_call whose `done` has not come yet: it comes now. */
void wire_cancel(struct wire *wire);

#endif
