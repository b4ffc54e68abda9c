/*
 * The host of the C++ enclave. Usage: cxx_host IMAGE [--simulate]. Ends with 0 when all was as expected.
 * Side: host, tests.
 */
#include <cstring>
#include <iostream>

#include <openenclave/host.h>

#include "cxx_u.h"

int host_number()
{
    return 7;
}

static oe_enclave_t *g_leaving;
static int g_last_words;

void host_leaving()
{
    if (g_leaving && stay_calm(g_leaving, &g_last_words) != OE_OK) {
        g_last_words = -1;
    }
}

#define EXPECT(condition)                                                                          \
    if (!(condition)) {                                                                            \
        std::cout << "line " << __LINE__ << ": " #condition << std::endl;                          \
        return 1;                                                                                  \
    }

int main(int argc, char **argv)
{
    oe_enclave_t *enclave = nullptr;
    uint32_t flags = OE_ENCLAVE_FLAG_DEBUG_AUTO;
    if (argc > 2 && std::strcmp(argv[2], "--simulate") == 0) {
        flags |= OE_ENCLAVE_FLAG_SIMULATE;
    }
    oe_sgx_enclave_setting_config_data config = {{9, 8, 7}, 3, true};
    oe_enclave_setting_t setting;
    setting.setting_type = OE_SGX_ENCLAVE_CONFIG_DATA;
    setting.u.config_data = &config;
    EXPECT(oe_create_cxx_enclave(argv[1], OE_ENCLAVE_TYPE_SGX, flags, &setting, 1, &enclave) ==
           OE_OK);
    int value = 0;
    EXPECT(add_words(enclave, &value, "one two two three") == OE_OK && value == 407);
    EXPECT(throw_and_catch(enclave, &value, 20) == OE_OK && value == 42);
    EXPECT(leave_by_exception(enclave, &value) == OE_ENCLAVE_ABORTING);
    EXPECT(oe_terminate_enclave(enclave) == OE_OK);

    /* Exit handlers have the workers still. Not with every TCS a worker's: one is what the handlers run on. */
    oe_enclave_setting_context_switchless_t workers = {1, 1};
    setting.setting_type = OE_ENCLAVE_SETTING_CONTEXT_SWITCHLESS;
    setting.u.context_switchless_setting = &workers;
    for (int round = 0; round < 3; round++) {
        g_last_words = 0;
        EXPECT(oe_create_cxx_enclave(argv[1], OE_ENCLAVE_TYPE_SGX, flags, &setting, 1,
                                     &g_leaving) == OE_OK);
        EXPECT(oe_terminate_enclave(g_leaving) == OE_OK);
        EXPECT(g_last_words == 11);
        g_leaving = nullptr;
    }
    std::cout << "cxx ok" << std::endl;
    return 0;
}
