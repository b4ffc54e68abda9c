/*
 * Names of files as the application's process understands them: relative to its working folder at the enclave's creation.
 * Side: enclave. Called inside compat/intel/trusted only. Never trusted: all names are the host's business.
 */
#ifndef COMPAT_INTEL_TRUSTED_FOLDER_H
#define COMPAT_INTEL_TRUSTED_FOLDER_H

#include <stddef.h>

#define INTEL_FOLDER_VARIABLE "CELLA_WORKING_FOLDER"

/* `name` made absolute in `buffer`; NULL when it does not fit. */
const char *intel_path(const char *name, char *buffer, size_t size);

#endif
