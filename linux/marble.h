/*
 * Activation of a Marble: what the kernel's side and the libc's side hand each other.
 * Side: enclave. Included by marble.c, which is the kernel's, and marble_*.c, which are the libc's.
 */
#ifndef CELLA_LINUX_MARBLE_H
#define CELLA_LINUX_MARBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/program.h"

#define MARBLE_REASON_SIZE 512u

/* A file or a variable of the manifest's; both are borrowed. The name ends with a zero, too. */
struct marble_pair {
    const char *name;
    const uint8_t *value;
    size_t size;
};

struct marble {
    /* in; texts end with a zero */
    const char *coordinator, *type, *names; /* names: of the certificate, with commas between */
    char uuid[CELLA_MARBLE_UUID_SIZE + 1];
    int64_t time; /* seconds since 1970, as the host says */
    /* out */
    bool has_quote; /* without one only a coordinator in simulation mode goes on */
    struct marble_pair *files, *variables;
    size_t file_count, variable_count;
    const char *const *arguments;
    size_t argument_count;
    char reason[MARBLE_REASON_SIZE]; /* of a failure */
    void *answer;                    /* what is borrowed from */
};

/*
 * marble_call.c: `argument` is a struct marble. Asks the coordinator and fills what is out; 0, or -1 with a reason. Twice is
 * once too often: coordinators count.
 */
long cella_linux_marble_call(void *argument);

/* marble_identity.c: what a Marble shows of itself. NULL: no memory, or no such names. */
struct evp_pkey_st;
struct x509_st;
struct evp_pkey_st *marble_key(void);
/* Self-signed, for this start only. */
struct x509_st *marble_certificate(const struct marble *marble, struct evp_pkey_st *key);
/* DER, from malloc; its size, or 0. */
size_t marble_csr(const struct marble *marble, struct evp_pkey_st *key, uint8_t **ret_der);
/* A report with Open Enclave's header whose data is the certificate's SHA-256, from malloc; its size, or 0. */
size_t marble_quote(struct x509_st *certificate, uint8_t **ret_report);

#endif
