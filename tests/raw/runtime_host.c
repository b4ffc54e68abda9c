/*
 * The same image by the runtime: prints which processor ran it, and its answer.
 * Side: host (test).
 */
#include <stdio.h>

#include "cella/host.h"

int main(int argc, char **argv)
{
    cella_enclave *enclave = NULL;
    struct cella_error error = {0};
    char text[64] = "";
    if (argc != 2) {
        return 2;
    }
    if (!cella_is_ok(cella_enclave_create(argv[1], NULL, &enclave, &error))) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    cella_result result = cella_ecall(enclave, 0, NULL, 0, text, sizeof(text), NULL);
    printf("%s: %.*s\n", cella_enclave_processor(enclave), (int)sizeof(text), text);
    cella_enclave_destroy(enclave);
    return cella_is_ok(result) ? 0 : 1;
}
