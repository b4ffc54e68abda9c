/* The untrusted half of @NAME@: starts the enclave, calls it, and serves its calls. */
#include <stdio.h>

#include "Enclave_u.h"
#include "sgx_urts.h"

void print_notice(const char *text)
{
    printf("host: %s\n", text);
}

int main(int argc, char **argv)
{
    const char *image = argc > 1 ? argv[1] : "enclave.signed.so";
    const char *name = argc > 2 ? argv[2] : "world";
    sgx_enclave_id_t enclave = 0;
    char greeting[256] = "";
    int status = 1;

    sgx_status_t result = sgx_create_enclave(image, SGX_DEBUG_FLAG, NULL, NULL, &enclave, NULL);
    if (result != SGX_SUCCESS) {
        fprintf(stderr, "sgx_create_enclave: %s: 0x%04x\n", image, (unsigned)result);
        return 1;
    }
    result = greet(enclave, &status, name, greeting, sizeof(greeting));
    if (result != SGX_SUCCESS) {
        fprintf(stderr, "greet: 0x%04x\n", (unsigned)result);
    } else {
        printf("enclave: %s\n", greeting);
    }
    sgx_destroy_enclave(enclave);
    return result == SGX_SUCCESS ? status : 1;
}
