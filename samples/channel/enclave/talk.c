/*
 * The client's side of one connection, for this side.
 * Side: enclave.
 */
#include "../shared/talk.c"
