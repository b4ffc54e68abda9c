/*
 * Documents of collateral in files, for the quote provider library.
 * Side: host. Included by quoteprov.c and documents.c. Apart from Intel's headers: SGX names would come twice.
 */
#ifndef COMPAT_INTEL_UNTRUSTED_DOCUMENTS_H
#define COMPAT_INTEL_UNTRUSTED_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTEL_DOCUMENT_FMSPC_SIZE 6u

/*
 * The file `name` of that FMSPC (NULL: of this platform), from malloc with a zero behind its size. false: there is none.
 */
bool intel_document_read(const uint8_t *fmspc, const char *name, uint8_t **ret_data,
                         size_t *ret_size);

#endif
