/*
 * The admission webhook: what is asked, what is changed.
 * Side: services. Called by the files of this folder, the fuzz target and tests. Called on many threads; keeps nothing.
 */
#ifndef CELLA_WEBHOOK_WEBHOOK_H
#define CELLA_WEBHOOK_WEBHOOK_H

#include <jansson.h>

#include "common/error.h"
#include "services/common/quantity.h"
#include "services/common/enclave_resources.h"
#include "services/common/http.h"

#define WARNINGS_MAX 8u
#define WARNING_SIZE 256u /* what API servers pass on of one */
/* A body of megabytes is anybody's who may make pods: what is done for one of them is bounded, whatever it has in it. */
#define CONTAINERS_MAX 256u    /* in a pod that is changed */
#define VOLUME_NAMES_MAX 16u   /* of ours that are tried where a pod has them, too */
#define UNKNOWN_NAMES_MAX 256u /* of resources that are compared with the known ones */

enum quote_provider { PROVIDER_NONE, PROVIDER_AESMD };
enum device_scope { DEVICES_ANY, DEVICES_INTEL };

struct webhook_settings {
    struct http_options http;
    uint32_t quote_provider; /* of pods that say nothing; enum quote_provider */
    uint32_t devices_for;    /* enum device_scope */
    char *quote_folder;      /* of the quote socket, on nodes and in containers */
    struct setting_list tolerations;
};

/* What became of one review. */
struct review {
    json_t *answer; /* the AdmissionReview to send; a new reference */
    size_t operations, warnings;
    bool asks; /* the pod asks for enclave memory */
};

/* MALFORMED categories: the body is no AdmissionReview, and the error says where. Any pod at all is answered. */
CELLA_MUST_USE cella_result review_answer(const struct webhook_settings *settings,
                                          struct cella_bytes body, struct review *ret_review,
                                          struct cella_error *error);

/* A pod being changed: `pod` is a working copy, and every change to it is an operation of `patch` (RFC 6902). */
struct mutation {
    const struct webhook_settings *settings;
    json_t *pod;
    json_t *patch;
    json_t *warnings;
    bool asks;
    unsigned unknown_names;
};

/* mutate.c: looks at the pod and changes what it lacks */
void mutate_pod(struct mutation *mutation);
/* warn.c: names that nobody offers, amounts that nobody means */
void warn_resource(struct mutation *mutation, const char *container, const char *name,
                   const json_t *quantity);
void warn(struct mutation *mutation, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The name meant; NULL when `name` is right or has nothing to do with enclaves. */
const struct enclave_resource *name_meant(const char *name);

#endif
