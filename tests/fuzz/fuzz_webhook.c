/*
 * Fuzz target: bodies of the admission webhook. Whatever is an AdmissionReview is allowed, and its patch fits the pod.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "services/webhook/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *keys[] = {"sgx.intel.com/epc"};
    for (uint32_t provider = PROVIDER_NONE; provider <= PROVIDER_AESMD; provider++) {
        const struct webhook_settings settings = {.quote_provider = provider,
                                                  .quote_folder = "/var/run/aesmd",
                                                  .tolerations = {.items = keys, .count = 1}};
        struct review review = {0};
        struct cella_error error = {0};
        if (!cella_is_ok(review_answer(&settings, cella_bytes_of(data, size), &review, &error))) {
            if (!error.text[0]) {
                abort();
            }
            continue;
        }
        json_t *response = json_object_get(review.answer, "response");
        if (!json_is_true(json_object_get(response, "allowed")) ||
            !json_is_string(json_object_get(response, "uid")) ||
            (review.operations > 0) != json_is_string(json_object_get(response, "patch")) ||
            (!review.asks && review.operations > 0) || review.warnings > WARNINGS_MAX) {
            abort();
        }
        json_decref(review.answer);
    }
    return 0;
}
