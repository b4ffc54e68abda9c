/* The untrusted half of @NAME@: starts the enclave, calls it, and serves its calls. */
#include <openenclave/host.h>
#include <stdio.h>
#include <string.h>

#include "hello_u.h"

void print_notice(const char *text)
{
    printf("host: %s\n", text);
}

int main(int argc, char **argv)
{
    uint32_t flags =
        OE_ENCLAVE_FLAG_DEBUG; /* take this out once the image is signed for production */
    const char *name = argc > 2 ? argv[2] : "world";
    oe_enclave_t *enclave = NULL;
    char greeting[256] = "";
    int status = 1;

    if (argc < 2) {
        fprintf(stderr, "usage: %s IMAGE [NAME] [--simulate]\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[argc - 1], "--simulate") == 0)
        flags |= OE_ENCLAVE_FLAG_SIMULATE;
    oe_result_t result =
        oe_create_hello_enclave(argv[1], OE_ENCLAVE_TYPE_SGX, flags, NULL, 0, &enclave);
    if (result != OE_OK) {
        fprintf(stderr, "oe_create_hello_enclave: %s\n", oe_result_str(result));
        return 1;
    }
    result = greet(enclave, &status, name, greeting, sizeof(greeting));
    if (result != OE_OK)
        fprintf(stderr, "greet: %s\n", oe_result_str(result));
    else
        printf("enclave: %s\n", greeting);
    oe_terminate_enclave(enclave);
    return result == OE_OK ? status : 1;
}
