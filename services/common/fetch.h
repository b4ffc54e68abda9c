/*
 * Requests to another service, over HTTP or HTTPS.
 * Side: services. Called on threads that may block. The certificate and its name are always checked.
 */
#ifndef CELLA_SERVICES_FETCH_H
#define CELLA_SERVICES_FETCH_H

#include <stddef.h>

#include "common/error.h"

struct fetch_options {
    const char *ca_file;  /* PEM; NULL: the system's */
    const char *key_name; /* a header of one's own, as Ocp-Apim-Subscription-Key; NULL: none */
    const char *key_value;
    const char *method; /* NULL: GET; PATCH */
    const char *type;   /* of the body; NULL: there is none */
    const char *body;
    unsigned seconds; /* for all of it */
    size_t size_max;
};

#define FETCH_HEADERS_MAX 32u

struct fetch_answer {
    int status;
    char *body; /* with a zero byte behind it */
    size_t size;
    char *names[FETCH_HEADERS_MAX];
    char *values[FETCH_HEADERS_MAX];
    size_t header_count;
};

/* IO when no whole answer came in time; any status is an answer. Redirects are not followed. */
CELLA_MUST_USE cella_result fetch_get(const char *url, const struct fetch_options *options,
                                      struct fetch_answer *ret_answer, struct cella_error *error);
/* NULL when absent. */
const char *fetch_header(const struct fetch_answer *answer, const char *name);
void fetch_done(struct fetch_answer *answer);

#endif
