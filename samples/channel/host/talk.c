/*
 * The client's side of one connection, for this side.
 * Side: host.
 */
#include "../shared/talk.c"
