/*
 * Starts the enclave, has it greet, says which one it was, and ends: what a Kubernetes Job does.
 * Side: host.
 */
#include <stdio.h>

#include "hello_u.h"

static void print_hex(const char *what, const uint8_t bytes[32])
{
    printf("%s ", what);
    for (unsigned i = 0; i < 32; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

/* An ecall has two results: that of the call, and what the function inside returned. */
static cella_result both(cella_result call, const cella_result *value)
{
    return cella_is_ok(call) ? *value : call;
}

static cella_result run(cella_enclave *enclave, const char *name)
{
    char greeting[128];
    struct sgx_report report;
    cella_result value;
    CELLA_TRY(both(hello_greet(enclave, &value, name, greeting, sizeof(greeting)), &value));
    CELLA_TRY(both(hello_identity(enclave, &value, &report), &value));
    printf("%s\n", greeting);
    printf("processor %s%s\n", cella_enclave_processor(enclave),
           report.body.attributes.flags & SGX_FLAGS_DEBUG ? ", debug: its memory is readable" : "");
    print_hex("mrenclave", report.body.mr_enclave);
    print_hex("mrsigner ", report.body.mr_signer);
    return CELLA_OK;
}

int main(int argc, char **argv)
{
    cella_enclave *enclave;
    struct cella_error error = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: hello IMAGE [NAME]\n");
        return 2;
    }
    if (!cella_is_ok(cella_create_hello(argv[1], NULL, &enclave, &error))) {
        fprintf(stderr, "hello: %s\n", error.text);
        return 1;
    }
    const cella_result result = run(enclave, argc > 2 ? argv[2] : "world");
    if (!cella_is_ok(result)) {
        fprintf(stderr, "hello: %s\n", cella_result_text(result));
    }
    cella_enclave_destroy(enclave);
    return cella_is_ok(result) ? 0 : 1;
}
