/*
 * The host of every.edl: dialects under one spelling, the ocalls, and the enclave under test.
 * Side: host (of tests). Included by the test programs, once each.
 * Never a skin: for the two SDKs' dialects the few functions that generated code needs of one are here.
 */
#ifndef EVERY_HOST_H
#define EVERY_HOST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cella/bridge_host.h"
#if defined(EVERY_DEEP_OUT)
#include "deep_out_u.h"
#define CREATE(kind, suffix) kind##deep_out##suffix
#else
#include "every_u.h"
#define CREATE(kind, suffix) kind##every##suffix
#endif

static cella_enclave *g_enclave;
static cella_result g_result; /* of the latest call, whatever the dialect calls it */

#if defined(EVERY_OPENENCLAVE)
#include <openenclave/edger8r/host.h>
#define HANDLE ((oe_enclave_t *)g_enclave)
#define IS_OK(call) ((call) == OE_OK)

cella_enclave *oe_enclave_core(oe_enclave_t *enclave)
{
    return (cella_enclave *)enclave;
}

oe_result_t oe_result_of(cella_result result)
{
    g_result = result;
    return cella_is_ok(result) ? OE_OK : OE_FAILURE;
}

oe_result_t oe_create_enclave(const char *path, oe_enclave_type_t type, uint32_t flags,
                              const oe_enclave_setting_t *settings, uint32_t setting_count,
                              const oe_ocall_func_t *ocalls, uint32_t ocall_count,
                              const oe_ecall_info_t *ecalls, uint32_t ecall_count,
                              oe_enclave_t **enclave)
{
    const struct cella_bridge_module module = {"every", ecalls, ocalls, ecall_count, ocall_count};
    (void)type;
    (void)flags;
    (void)settings;
    (void)setting_count;
    return oe_result_of(cella_bridge_create(path, NULL, &module, (cella_enclave **)enclave, NULL));
}

static void enclave_create(const char *path)
{
    oe_enclave_t *enclave = NULL;
    assert_true(
        IS_OK(CREATE(oe_create_, _enclave)(path, OE_ENCLAVE_TYPE_SGX, 0, NULL, 0, &enclave)));
    g_enclave = (cella_enclave *)enclave;
}
#elif defined(EVERY_INTEL)
#include "sgx_edger8r_core.h"
#define HANDLE 7
#define IS_OK(call) ((call) == SGX_SUCCESS)

cella_result sgx_bridge_ecall(sgx_enclave_id_t eid, const struct cella_bridge_module *module,
                              uint32_t index, const struct cella_bridge_function *function,
                              void *message, void *const *at, void *reply)
{
    return cella_bridge_ecall(eid == HANDLE ? g_enclave : NULL, module, index, function, message,
                              at, reply);
}

sgx_status_t sgx_status_of(cella_result result)
{
    g_result = result;
    return cella_is_ok(result) ? SGX_SUCCESS : SGX_ERROR_UNEXPECTED;
}

static void enclave_create(const char *path)
{
    assert_int_equal(cella_enclave_create(path, NULL, &g_enclave, NULL).code, CELLA_CODE_OK);
}
#else
#define HANDLE g_enclave
static int is_ok(cella_result result)
{
    g_result = result;
    return cella_is_ok(result);
}
#define IS_OK(call) is_ok(call)

static void enclave_create(const char *path)
{
    struct cella_error error = {0};
    cella_result result = CREATE(cella_create_, )(path, NULL, &g_enclave, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(result.code, CELLA_CODE_OK);
}
#endif

#define CONTEXT void
#define F(name) o_##name
#define C(name, ...) IS_OK(e_##name(HANDLE, __VA_ARGS__))
#define CV(name, ...) IS_OK(e_##name(HANDLE, __VA_ARGS__))
#define C0(name) IS_OK(e_##name(HANDLE))
#include "every_body.h"
#include "every_calls.h"

int o_errno(int a)
{
    errno = a;
    return a + 1;
}

int o_nested(int a)
{
    int result = 0;
    return C(private, &result, a) ? result : -2;
}

static cella_result g_nested; /* what a forbidden call from within an ocall got */

int o_nested_refused(int a)
{
    int result = 0;
    const bool worked = C(private, &result, a);
    g_nested = g_result;
    return worked ? result : -3;
}

MAYBE_UNUSED static int ocalls_in_enclave(int which)
{
    int line = -1;
    return C(ocalls, &line, which) ? line : -2;
}

#endif
