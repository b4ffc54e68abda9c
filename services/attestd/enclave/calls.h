/*
 * The enclave's calls. Side: both. Used by main.c and host.c.
 */
#ifndef CELLA_ATTESTD_CALLS_H
#define CELLA_ATTESTD_CALLS_H

enum {
    ATTESTD_RUN,    /* in: the configuration's path; returns when the service has stopped */
    ATTESTD_SIGNAL, /* in: int32_t, a signal's number */
};
#define ATTESTD_PATH_MAX 4096u

#endif
