/*
 * A party's side: an ordinary program that sends its number only to an enclave whose evidence it has checked.
 * Side: host. Called by main.c.
 */
#ifndef AGGREGATE_PARTY_H
#define AGGREGATE_PARTY_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct party_options {
    const char *key;     /* PEM */
    const char *enclave; /* MRENCLAVE, hexadecimal: what the party has looked at and built itself */
    const char *collateral; /* a folder */
    const char *root;       /* PEM; NULL: only Intel's */
    const char *roster;     /* a file, the same for all */
};

/* Makes a key, when there is none, and prints its line for the roster. An exit status. */
int party_key(const char *path, const char *name);
/* Sends one line and prints the answer. An exit status: 1 when either side refuses. */
int party_ask(const struct party_options *options, const struct sockaddr_in *address,
              const char *line);

/* A small file whole, malloc'd; NULL with a message. */
char *file_read(const char *path, size_t *ret_size);

#endif
