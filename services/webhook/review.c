/*
 * AdmissionReview, v1 and v1beta1: from the body of a request to the answer.
 * Side: services. Called by main.c and the fuzz target. Never says no: what is not a review is an error of HTTP, and all
 * that is one is allowed.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "services/webhook/webhook.h"

static cella_result fail(struct cella_error *error, const char *what)
{
    return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s", what);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* What there is to look at: a pod that is being made. */
static bool is_new_pod(const json_t *request)
{
    const json_t *kind = json_object_get(request, "kind");
    return strcmp(text_of(kind, "kind"), "Pod") == 0 && !*text_of(kind, "group") &&
           !*text_of(request, "subResource") &&
           strcmp(text_of(request, "operation"), "CREATE") == 0 &&
           json_is_object(json_object_get(request, "object"));
}

/* The patch, as the interface has it: JSON in base64. */
static json_t *patch_encode(const json_t *patch)
{
    char *text = json_dumps(patch, JSON_COMPACT);
    json_t *encoded = NULL;
    if (text) {
        const size_t size = strlen(text);
        unsigned char *out = malloc(4 * (size / 3 + 1) + 1);
        if (out) {
            EVP_EncodeBlock(out, (const unsigned char *)text, (int)size);
            encoded = json_string((const char *)out);
        }
        free(out);
    }
    free(text);
    return encoded;
}

static cella_result answer_make(const char *version, const char *uid,
                                const struct mutation *mutation, struct review *ret_review)
{
    json_t *response = json_pack("{s:s,s:b}", "uid", uid, "allowed", 1);
    if (response && json_array_size(mutation->patch) > 0) {
        json_object_set_new(response, "patchType", json_string("JSONPatch"));
        json_object_set_new(response, "patch", patch_encode(mutation->patch));
    }
    if (response && json_array_size(mutation->warnings) > 0) {
        json_object_set(response, "warnings", mutation->warnings);
    }
    ret_review->operations = json_array_size(mutation->patch);
    ret_review->warnings = json_array_size(mutation->warnings);
    ret_review->asks = mutation->asks;
    ret_review->answer = json_pack("{s:s,s:s,s:o}", "apiVersion", version, "kind",
                                   "AdmissionReview", "response", response);
    return ret_review->answer ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
}

static cella_result request_answer(const struct webhook_settings *settings, const char *version,
                                   json_t *request, struct review *ret_review)
{
    struct mutation mutation = {
        .settings = settings, .patch = json_array(), .warnings = json_array()};
    cella_result result =
        mutation.patch && mutation.warnings ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
    if (cella_is_ok(result) && is_new_pod(request)) {
        mutation.pod = json_object_get(request, "object"); /* the copy: the body is ours */
        mutate_pod(&mutation);
    }
    if (cella_is_ok(result)) {
        result = answer_make(version, text_of(request, "uid"), &mutation, ret_review);
    }
    json_decref(mutation.patch);
    json_decref(mutation.warnings);
    return result;
}

cella_result review_answer(const struct webhook_settings *settings, struct cella_bytes body,
                           struct review *ret_review, struct cella_error *error)
{
    json_error_t where;
    cella_result result;
    json_t *review = json_loadb((const char *)body.data, body.size, 0, &where);
    if (!review) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "line %d, column %d: %s",
                               where.line, where.column, where.text);
    }
    const char *version = text_of(review, "apiVersion");
    json_t *request = json_object_get(review, "request");
    if (strcmp(text_of(review, "kind"), "AdmissionReview") != 0) {
        result = fail(error, "kind: expected AdmissionReview");
    } else if (strcmp(version, "admission.k8s.io/v1") != 0 &&
               strcmp(version, "admission.k8s.io/v1beta1") != 0) {
        result = fail(error, "apiVersion: expected admission.k8s.io/v1 or v1beta1");
    } else if (!json_is_object(request) || !*text_of(request, "uid")) {
        result = fail(error, "request: expected an object with a uid");
    } else {
        result = request_answer(settings, version, request, ret_review);
    }
    json_decref(review);
    return result;
}
