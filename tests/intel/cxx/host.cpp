/*
 * The host of the cxx enclave. Usage: host IMAGE DEBUG.
 * Side: host, tests.
 */
#include <cstdio>
#include <cstdlib>

#include "cxx_u.h"
#include "sgx_urts.h"

int host_throws_nothing(int number)
{
    return 2 * number;
}

static unsigned failures;

#define RUN(name, ...)                                                                             \
    do {                                                                                           \
        int line = -1;                                                                             \
        const unsigned status = name(enclave, &line, ##__VA_ARGS__);                               \
        const bool good = status == SGX_SUCCESS && line == 0;                                      \
        std::printf("%-20s %s (0x%x, line %d)\n", #name, good ? "ok" : "FAILED", status, line);    \
        failures += !good;                                                                         \
    } while (0)

int main(int argc, char **argv)
{
    sgx_enclave_id_t enclave = 0;
    if (argc != 3) {
        return 2;
    }
    const sgx_status_t status =
        sgx_create_enclave(argv[1], std::atoi(argv[2]), nullptr, nullptr, &enclave, nullptr);
    if (status != SGX_SUCCESS) {
        std::printf("create: 0x%x\n", static_cast<unsigned>(status));
        return 1;
    }
    RUN(test_language);
    RUN(test_library);
    RUN(test_std_threads, 3);
    RUN(test_std_threads, 3);
    RUN(test_pthreads, 3);
    RUN(test_pthreads, 3);
    failures += sgx_destroy_enclave(enclave) != SGX_SUCCESS;
    std::printf("%u failures\n", failures);
    return failures != 0;
}
