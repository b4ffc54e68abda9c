/*
 * The host of the api enclave: calls each test, and the host's own half of the API.
 * Side: host, tests. Usage: host IMAGE FOLDER [--simulate]. Prints one line for each test; ends with 0 when all passed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/verifier.h>
#include <openenclave/host.h>
#include <openenclave/trace.h>

#include "api_u.h"

static unsigned failures;
static int log_lines;
static oe_enclave_t *current;

static void result_of(const char *name, oe_result_t called, int line)
{
    const bool good = called == OE_OK && line == 0;
    printf("%-20s %s (%s, line %d)\n", name, good ? "ok" : "FAILED", oe_result_str(called), line);
    failures += !good;
}

#define CHECK_HOST(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("host line %d: FAILED: %s\n", __LINE__, #condition);                            \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static oe_result_t nested = OE_UNEXPECTED;

int host_log_lines(void)
{
    int line;
    if (current) {
        nested = test_claims(current, &line);
    }
    return log_lines;
}

int host_at_start(int number)
{
    return number + 1;
}

static void on_log(void *context, bool is_enclave, const struct tm *t, long usecs,
                   oe_log_level_t level, uint64_t thread, const char *message)
{
    (void)context, (void)is_enclave, (void)t, (void)usecs, (void)level, (void)thread, (void)message;
    log_lines++;
}

static void report_and_keys(oe_enclave_t *enclave)
{
    uint8_t *report, *key, *info;
    size_t size, key_size, info_size;
    int line = -1;
    oe_report_t parsed;
    oe_asymmetric_key_params_t params = {OE_ASYMMETRIC_KEY_EC_SECP256P1, OE_ASYMMETRIC_KEY_PEM,
                                         "user data", 10};
    CHECK_HOST(oe_get_report(enclave, 0, NULL, 0, &report, &size) == OE_OK);
    CHECK_HOST(oe_verify_report(enclave, report, size, &parsed) == OE_OK);
    CHECK_HOST(parsed.identity.security_version == 3);
    CHECK_HOST(oe_get_report(enclave, 0, report, 3, &key, &key_size) == OE_INVALID_PARAMETER);
    CHECK_HOST(oe_get_report(enclave, OE_REPORT_FLAGS_REMOTE_ATTESTATION, NULL, 0, &key,
                             &key_size) == OE_OK);
    CHECK_HOST(oe_parse_report(key, key_size, &parsed) == OE_OK);
    CHECK_HOST((parsed.identity.attributes & OE_REPORT_ATTRIBUTES_REMOTE) != 0);
    oe_free_report(key);
    CHECK_HOST(oe_get_report(enclave, OE_REPORT_FLAGS_REMOTE_ATTESTATION, report, 512, &key,
                             &key_size) == OE_INVALID_PARAMETER);
    oe_result_t called = test_report(enclave, &line, report, size);
    result_of("report", called, line);
    report[size - 1] ^= 1;
    CHECK_HOST(oe_verify_report(enclave, report, size, NULL) == OE_VERIFY_FAILED);
    oe_free_report(report);
    CHECK_HOST(oe_get_public_key_by_policy(enclave, OE_SEAL_POLICY_PRODUCT, &params, &key,
                                           &key_size, &info, &info_size) == OE_OK);
    line = -1;
    called = test_private_key(enclave, &line, key, key_size, info, info_size);
    result_of("private key", called, line);
    oe_free_key(key, key_size, info, info_size);
    CHECK_HOST(oe_get_public_key(enclave, &params, (uint8_t *)"short", 5, &key, &key_size) ==
               OE_INVALID_PARAMETER);
}

static void creation(const char *image, uint32_t flags)
{
    oe_enclave_t *enclave = (oe_enclave_t *)1;
    CHECK_HOST(oe_create_api_enclave(image, OE_ENCLAVE_TYPE_OPTEE, flags, NULL, 0, &enclave) ==
               OE_INVALID_PARAMETER);
    CHECK_HOST(enclave == NULL);
    CHECK_HOST(oe_create_api_enclave(image, OE_ENCLAVE_TYPE_SGX, 0x80, NULL, 0, &enclave) ==
               OE_INVALID_PARAMETER);
    CHECK_HOST(oe_create_api_enclave("/no/such/file", OE_ENCLAVE_TYPE_SGX, flags, NULL, 0,
                                     &enclave) != OE_OK);
    CHECK_HOST(oe_create_api_enclave("/proc/self/exe", OE_ENCLAVE_TYPE_SGX, flags, NULL, 0,
                                     &enclave) != OE_OK);
    CHECK_HOST(oe_terminate_enclave(NULL) == OE_INVALID_PARAMETER);
}

#define RUN(name, ...)                                                                             \
    do {                                                                                           \
        int line = -1;                                                                             \
        const oe_result_t called = test_##name(enclave, &line, ##__VA_ARGS__);                     \
        result_of(#name, called, line);                                                            \
    } while (0)

int main(int argc, char **argv)
{
    oe_enclave_t *enclave = NULL;
    uint32_t flags = OE_ENCLAVE_FLAG_DEBUG;
    uint8_t *buffer = malloc(64);
    oe_uuid_t *formats;
    size_t count;
    if (argc > 3 && strcmp(argv[3], "--simulate") == 0) {
        flags |= OE_ENCLAVE_FLAG_SIMULATE;
    }
    oe_log_set_callback(NULL, on_log);
    creation(argv[1], flags);
    oe_result_t result =
        oe_create_api_enclave(argv[1], OE_ENCLAVE_TYPE_AUTO, flags, NULL, 0, &enclave);
    if (result != OE_OK) {
        printf("create: %s\n", oe_result_str(result));
        return 1;
    }
    CHECK_HOST(log_lines > 0); /* of the failed creations */
    RUN(core, enclave);
    RUN(host_memory);
    RUN(barrier, buffer, 64);
    report_and_keys(enclave);
    RUN(seal_keys);
    RUN(seal);
    RUN(claims);
    RUN(evidence);
    RUN(exceptions);
    RUN(files, argv[2]);
    RUN(heap);
    current = enclave;
    RUN(log);
    CHECK_HOST(nested == OE_REENTRANT_ECALL);
    current = NULL;
    RUN(corelibc);
    CHECK_HOST(oe_verifier_initialize() == OE_OK);
    CHECK_HOST(oe_verifier_get_formats(&formats, &count) == OE_OK && count > 0);
    CHECK_HOST(oe_verifier_free_formats(formats) == OE_OK);
    CHECK_HOST(oe_set_enclave_log_level(enclave, OE_LOG_LEVEL_MAX) == OE_INVALID_PARAMETER);
    CHECK_HOST(oe_set_enclave_log_level(enclave, OE_LOG_LEVEL_INFO) == OE_CONSTRAINT_FAILED);
    CHECK_HOST(oe_set_host_log_level(OE_LOG_LEVEL_INFO) == OE_OK);
    CHECK_HOST(oe_set_enclave_log_level(enclave, OE_LOG_LEVEL_INFO) == OE_OK);
    CHECK_HOST(test_abort(enclave) == OE_ENCLAVE_ABORTING);
    int line;
    CHECK_HOST(test_seal(enclave, &line) == OE_ENCLAVE_ABORTING);
    CHECK_HOST(oe_terminate_enclave(enclave) == OE_OK);
    free(buffer);
    printf("%u failures\n", failures);
    return failures != 0;
}
