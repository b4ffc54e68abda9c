/* What the two sides of @NAME@ agree on. */
#ifndef CALLS_H
#define CALLS_H

/* Numbers of the enclave's functions: their places in the table of enclave/enclave.c. */
enum ecall {
    ECALL_GREET, /* in: a name; out: a greeting */
};

/* Numbers of the host's functions: their places in the table of host/main.c. */
enum ocall {
    OCALL_PRINT, /* in: text */
};

#define TEXT_MAX 256u /* bytes */

#endif
