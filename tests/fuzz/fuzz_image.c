/*
 * Fuzz target: Cella images; what parses is walked and its SECS made.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cella_image_iterator iterator;
    static struct cella_image image;
    struct cella_error error = {0};
    struct cella_image_processor processor = {.xfrm = 0xE7, .misc_select = 1};
    struct cella_image_run run;
    struct sgx_secs secs;
    uint64_t end = 0;
    unsigned sum = 0;

    if (!cella_is_ok(cella_image_parse(cella_bytes_of(data, size), &image, &error))) {
        return 0;
    }
    cella_image_iterator_init(&iterator, &image);
    while (cella_image_next(&iterator, &run)) {
        if (run.offset < end || run.page_count == 0 || run.offset % SGX_PAGE_SIZE) {
            abort();
        }
        end = run.offset + run.page_count * SGX_PAGE_SIZE;
        for (uint64_t i = 0; run.data && i < run.page_count; i++) {
            sum += run.data[i * SGX_PAGE_SIZE] + run.data[(i + 1) * SGX_PAGE_SIZE - 1];
        }
    }
    if (end > image.info.enclave_size) {
        abort();
    }
    cella_ignore(cella_image_secs(&image, &processor, &secs, &error));
    return sum == 1 ? 1 : 0;
}
