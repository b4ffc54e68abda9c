/*
 * Hello from inside an enclave.
 * Side: enclave. Called by samples/hello/host/main.c. Its arguments are the enclave's own copies.
 */
#include <stdio.h>

#include "cella/report.h"
#include "hello_t.h"

cella_result hello_greet(const char *name, char *greeting, size_t size)
{
    const int length = snprintf(greeting, size, "Hello %s, from inside the enclave.", name);
    CELLA_ENSURE(length >= 0 && (size_t)length < size, BUFFER_TOO_SMALL);
    return CELLA_OK;
}

cella_result hello_identity(struct sgx_report *report)
{
    return cella_report_self(report);
}
