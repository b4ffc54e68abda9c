/*
 * One check: the ecall returns the line of the first that fails.
 * Side: enclave, tests. Included by the api enclave.
 */
#ifndef CELLA_TEST_INTEL_CHECK_H
#define CELLA_TEST_INTEL_CHECK_H

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

#define GOOD(call) CHECK((call) == SGX_SUCCESS)
#define BAD_PARAMETER(call) CHECK((call) == SGX_ERROR_INVALID_PARAMETER)

#endif
