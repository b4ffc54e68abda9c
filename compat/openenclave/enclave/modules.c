/*
 * oe_load_module_*: whether the EDL brought the kernel's module, and switching it on.
 * Side: enclave. Called by applications.
 * Never links a module in by itself.
 */
#include <openenclave/bits/module.h>

#include "compat/openenclave/enclave/mounts.h"
#include "compat/openenclave/enclave/skin.h"

extern const char cella_module_files __attribute__((weak));
extern const char cella_module_sockets __attribute__((weak));
extern const char cella_module_resolver __attribute__((weak));
extern const char cella_module_epoll __attribute__((weak));

/* A module that is not there is loaded all the same: its calls fail with ENOSYS, as Open Enclave's do. */
oe_result_t oe_load_module_host_file_system(void)
{
    oe_mounts_allow();
    return OE_OK;
}

oe_result_t oe_load_module_host_socket_interface(void)
{
    return OE_OK;
}

oe_result_t oe_load_module_host_resolver(void)
{
    return OE_OK;
}

oe_result_t oe_load_module_host_epoll(void)
{
    return OE_OK;
}
