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
    std::cout << "cxx ok" << std::endl;
    return 0;
}
