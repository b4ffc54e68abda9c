/* The untrusted half of @NAME@: starts the enclave, calls it, and serves its calls. */
#include <stdio.h>

#include "calls_u.h"

void print_notice(const char *text)
{
    printf("host: %s\n", text);
}

int main(int argc, char **argv)
{
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_DEBUG, /* take this out once the image is signed for production */
    };
    const char *name = argc > 2 ? argv[2] : "world";
    char greeting[256];
    int status = 1;
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: %s IMAGE [NAME]\n", argv[0]);
        return 2;
    }
    if (!cella_is_ok(cella_create_calls(argv[1], &options, &enclave, &error))) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    cella_result result = greet(enclave, &status, name, greeting, sizeof(greeting));
    if (!cella_is_ok(result)) {
        fprintf(stderr, "greet: %s %s\n", cella_result_text(result),
                cella_enclave_abort_text(enclave));
    } else if (status != 0) {
        fprintf(stderr, "greet: the name is too long\n");
    } else {
        printf("enclave (%s processor): %s\n", cella_enclave_processor(enclave), greeting);
    }
    cella_enclave_destroy(enclave);
    return cella_is_ok(result) ? status : 1;
}
