/*
 * Switchless calls, host side.
 * Side: host. Called by applications.
 */
#include "host/host.h"

void cella_switchless_stop(cella_enclave *enclave)
{
    (void)enclave;
}
