/*
 * Names of files as the application's process understands them.
 * Side: enclave. Called inside compat/intel/trusted only.
 */
#include "compat/intel/trusted/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What untrusted/urts.c may set (enclave/libc_start.c). */
extern const char *const cella_environment_allow[];
const char *const cella_environment_allow[] = {INTEL_FOLDER_VARIABLE, NULL};

const char *intel_path(const char *name, char *buffer, size_t size)
{
    const char *folder = getenv(INTEL_FOLDER_VARIABLE);
    if (name[0] == '/' || !folder) {
        return name;
    }
    const int length = snprintf(buffer, size, "%s/%s", folder, name);
    return length > 0 && (size_t)length < size ? buffer : NULL;
}

/* The files module starts in "/". Fails, as it should, in an enclave without it. */
__attribute__((constructor)) static void folder_enter(void)
{
    const char *folder = getenv(INTEL_FOLDER_VARIABLE);
    if (folder && chdir(folder) != 0) {
        return;
    }
}
