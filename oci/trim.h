/*
 * Debugging information stays at home: it is most of a program's file, and no processor ever loads it.
 * Side: tools (hosted). Called inside oci/. Never changes a byte that is loaded; a file that it does not understand stays
 * as it is.
 */
#ifndef CELLA_OCI_TRIM_H
#define CELLA_OCI_TRIM_H

#include <stddef.h>
#include <stdint.h>

void oci_free_data(uint8_t **data);

/* Cuts off what lies behind the last segment, section headers with it. */
void oci_trim_program(uint8_t *data, size_t *size);

/*
 * Writes zeros over sections .debug_*, .symtab and .strtab where no segment has them, and marks them as not in the file.
 * Gives the number of bytes. Headers, places and size stay: parts of them are measured.
 */
size_t oci_trim_enclave(uint8_t *data, size_t size);

#endif
