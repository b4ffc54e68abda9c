/* The untrusted half of @NAME@: starts the enclave, calls it, and serves its calls. */
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "cella/host.h"

static cella_result print(void *context, const void *in, size_t in_size, void *out,
                          size_t out_capacity, size_t *ret_size)
{
    (void)context;
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    printf("host: %.*s\n", (int)in_size, (const char *)in);
    return CELLA_OK;
}

int main(int argc, char **argv)
{
    static const cella_ocall_function ocalls[] = {[OCALL_PRINT] = print};
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG, /* take this out once the image is signed for production */
        .ocalls = ocalls,
        .ocall_count = sizeof(ocalls) / sizeof(ocalls[0]),
    };
    const char *name = argc > 2 ? argv[2] : "world";
    char text[TEXT_MAX];
    size_t size = 0;
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: %s IMAGE [NAME]\n", argv[0]);
        return 2;
    }
    if (!cella_is_ok(cella_enclave_create(argv[1], &options, &enclave, &error))) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    cella_result result =
        cella_ecall(enclave, ECALL_GREET, name, strlen(name), text, sizeof(text), &size);
    if (cella_is_ok(result)) {
        printf("enclave (%s processor): %.*s\n", cella_enclave_processor(enclave), (int)size, text);
    } else {
        fprintf(stderr, "greet: %s %s\n", cella_result_text(result),
                cella_enclave_abort_text(enclave));
    }
    cella_enclave_destroy(enclave);
    return cella_is_ok(result) ? 0 : 1;
}
