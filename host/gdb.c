/*
 * Tells a debugger where the image's sections are.
 * Side: host. Called by enclave.c. Best effort: no enclave fails because of it.
 */
#include "host/host.h"

void cella_gdb_register(cella_enclave *enclave, const char *path, struct cella_bytes file)
{
    (void)enclave;
    (void)path;
    (void)file;
}

void cella_gdb_forget(cella_enclave *enclave)
{
    (void)enclave;
}
