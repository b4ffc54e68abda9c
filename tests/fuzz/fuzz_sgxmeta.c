/*
 * Fuzz target: Intel images (.note.sgxmeta); what parses is walked.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "image/foreign.h"

#define FUZZ_PAGE_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every page and stops a walk that is only long. */
static cella_result visit(void *context, const struct cella_image_run *run)
{
    uint64_t *pages = context;
    volatile uint8_t sink = 0;

    if (run->page_count == 0 || run->offset % SGX_PAGE_SIZE) {
        abort();
    }
    *pages += run->page_count;
    CELLA_ENSURE(*pages <= FUZZ_PAGE_MAX, LIMIT_EXCEEDED);
    for (uint64_t i = 0; run->data && i < run->page_count; i++) {
        sink ^= run->data[i * SGX_PAGE_SIZE] ^ run->data[(i + 1) * SGX_PAGE_SIZE - 1];
    }
    (void)sink;
    return CELLA_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cella_intel_image image;
    struct cella_error error = {0};
    uint64_t pages = 0;

    if (cella_is_ok(cella_intel_parse(cella_bytes_of(data, size), 0, &image, &error))) {
        cella_ignore(cella_intel_walk(&image, visit, &pages));
    } else if (error.text[0] == 0) {
        abort();
    }
    return 0;
}
