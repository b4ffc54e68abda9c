/*
 * Calls both ways: what arguments do, ecalls from ocalls, private ones, raw pointers, switchless ones.
 * Side: enclave, tests.
 */
#include <errno.h>
#include <string.h>

#include "api_t.h"
#include "check.h"
#include "sgx_trts.h"
#include "sgx_trts_exception.h"

int call_sum(const int *numbers, size_t count)
{
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += numbers[i];
    }
    return sum;
}

int call_host(int number)
{
    int result = 0;
    errno = 0;
    GOOD(host_double(&result, number));
    CHECK(result == 2 * number);
    for (int i = 0; i < 20; i++) {
        GOOD(host_double_switchless(&result, i));
        CHECK(result == 2 * i);
    }
    GOOD(host_errno(&result, ERANGE));
    CHECK(result == -1 && errno == ERANGE);
    return 0;
}

/* Ocalls of exception handlers. */
static sgx_status_t in_handler;
static int handler(sgx_exception_info_t *info)
{
    int result = 0;
    in_handler = host_double(&result, 21);
    in_handler = in_handler == SGX_SUCCESS && result != 42 ? SGX_ERROR_UNEXPECTED : in_handler;
    info->cpu_context.rip += 2;
    return EXCEPTION_CONTINUE_EXECUTION;
}

int call_host_in_handler(void)
{
    void *registered = sgx_register_exception_handler(1, handler);
    in_handler = SGX_ERROR_UNEXPECTED;
    __asm__ volatile("ud2");
    CHECK(sgx_unregister_exception_handler(registered) == 1);
    return (int)in_handler;
}

static int private_result;

int call_back(int which)
{
    private_result = 0;
    return (int)host_call_back(which);
}

int call_private(int number)
{
    private_result = number + 1;
    return number;
}

int call_private_result(void)
{
    return private_result;
}

int call_never(void)
{
    return 1;
}

int call_length(const char *text)
{
    return text ? (int)strlen(text) : -1;
}

int call_both(uint8_t *bytes, size_t size)
{
    if (!bytes) {
        return -1;
    }
    CHECK(sgx_is_within_enclave(bytes, size));
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0xFF;
    }
    return 0;
}

int call_raw(void *at)
{
    return sgx_is_outside_enclave(at, 1);
}

void call_block(void)
{
    host_blocked();
}

/* Something of the enclave's. */
void call_address(void **at)
{
    static int mine = 5;
    *at = &mine;
}
