/*
 * The host of the verifying enclave: what the enclave says of its own quotes, and what the host says of them.
 * Side: host, tests. Usage: host IMAGE debug|production ENCLAVE-TRUSTS HOST-TRUSTS [--simulate]; the last two: yes or no.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/verifier.h>
#include <openenclave/host.h>
#include <openenclave/host_verify.h>

#include "verify_u.h"

#define CAPACITY 16384u

static unsigned failures;

static void told(const char *name, oe_result_t called, int line)
{
    const bool good = called == OE_OK && line == 0;
    printf("%-12s %s (%s, line %d)\n", name, good ? "ok" : "FAILED", oe_result_str(called), line);
    failures += !good;
}

/* An ecall that gives 0 or a line. */
#define RUN(name, function, ...)                                                                   \
    do {                                                                                           \
        int line = -1;                                                                             \
        const oe_result_t called = function(enclave, &line, ##__VA_ARGS__);                        \
        told(name, called, line);                                                                  \
    } while (0)

static void expect(const char *name, oe_result_t result, oe_result_t expected)
{
    printf("%-12s %s (%s)\n", name, result == expected ? "ok" : "FAILED", oe_result_str(result));
    failures += result != expected;
}

static void on_host(oe_enclave_t *enclave, oe_result_t trust)
{
    uint8_t *buffer = malloc(CAPACITY);
    size_t size = 0;
    oe_report_t parsed;
    RUN("make", make, 0, buffer, CAPACITY, &size);
    expect("evidence", oe_verify_evidence(NULL, buffer, size, NULL, 0, NULL, 0, NULL, NULL), trust);
    RUN("make", make, 1, buffer, CAPACITY, &size);
    expect("report", oe_verify_report(NULL, buffer, size, &parsed), trust);
    expect("report", oe_verify_remote_report(buffer, size, NULL, 0, &parsed), trust);
    RUN("make", make, 2, buffer, CAPACITY, &size);
    expect("certificate", oe_verify_attestation_certificate_with_evidence(buffer, size, NULL, NULL),
           trust);
    FILE *file = fopen("certificate.der", "wb"); /* for oeverify */
    failures += !file || fwrite(buffer, 1, size, file) != size || fclose(file) != 0;
    RUN("make", make, 3, buffer, CAPACITY, &size);
    expect("certificate", oe_verify_attestation_certificate(buffer, size, NULL, NULL), trust);
    free(buffer);
}

static oe_result_t trust_of(const char *word)
{
    return strcmp(word, "yes") == 0 ? OE_OK : OE_QUOTE_VERIFICATION_ERROR;
}

int main(int argc, char **argv)
{
    oe_enclave_t *enclave = NULL;
    uint32_t flags = 0;
    if (argc < 5) {
        return 2;
    }
    flags |= strcmp(argv[2], "debug") == 0 ? OE_ENCLAVE_FLAG_DEBUG : 0;
    flags |= argc > 5 ? OE_ENCLAVE_FLAG_SIMULATE : 0;
    const oe_result_t trust = trust_of(argv[3]);
    oe_result_t result =
        oe_create_verify_enclave(argv[1], OE_ENCLAVE_TYPE_SGX, flags, NULL, 0, &enclave);
    if (result != OE_OK || oe_verifier_initialize() != OE_OK) {
        printf("create: %s\n", oe_result_str(result));
        return 1;
    }
    RUN("evidence", test_evidence, trust);
    RUN("report", test_report, trust);
    RUN("certificate", test_certificate, trust);
    RUN("local", test_local);
    on_host(enclave, trust_of(argv[4]));
    oe_terminate_enclave(enclave);
    printf("%u failures\n", failures);
    return failures != 0;
}
