/*
 * One request and one answer over an attested connection: for enclaves and for ordinary clients.
 * Side: both.
 */
#ifndef CHANNEL_TALK_H
#define CHANNEL_TALK_H

#include "cella/tls.h"
#include "channel.h"

/* A connected socket to a numeric address; -1 with errno. */
int talk_connect(const char *address, uint16_t port);

/* The client's side. ACCESS_DENIED or another POLICY result with the reason in the answer; IO. Closes the socket. */
cella_result talk_ask(SSL_CTX *context, int socket, struct channel_answer *answer);

#endif
