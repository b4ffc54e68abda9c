/*
 * Properties of an enclave: read from section .oeinfo, changed by oesign's configuration file, checked, and made into the
 * configuration of a Cella image.
 * Side: host and tools. Called by oesign and by oe_create_enclave.
 * Never opens a file.
 */
#ifndef CELLA_COMPAT_OE_PROPERTIES_H
#define CELLA_COMPAT_OE_PROPERTIES_H

#include <openenclave/bits/properties.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "image/build.h"
#include "image/image.h"
#include "image/sign.h"

/* PEM, zero-terminated. */
extern const char oe_debug_key[];

/* *ret_offset: of the object in the file. NOT_FOUND: the file has no properties of Open Enclave's. */
CELLA_MUST_USE cella_result oe_properties_read(struct cella_bytes file,
                                               oe_sgx_enclave_properties_t *ret_properties,
                                               uint64_t *ret_offset, struct cella_error *error);

/* Keys that `text` does not have keep their values, but for ids, KSS, exception capture and zero base: those are cleared. */
CELLA_MUST_USE cella_result oe_properties_configure(oe_sgx_enclave_properties_t *properties,
                                                    struct cella_bytes text, const char *file_name,
                                                    struct cella_error *error);
/* The same without a file. */
void oe_properties_configure_none(oe_sgx_enclave_properties_t *properties);

CELLA_MUST_USE cella_result oe_properties_check(const oe_sgx_enclave_properties_t *properties,
                                                struct cella_error *error);

/* Of checked properties. `name` is for errors and debuggers. */
CELLA_MUST_USE cella_result oe_properties_config(const oe_sgx_enclave_properties_t *properties,
                                                 const char *name,
                                                 struct cella_image_config *ret_config,
                                                 struct cella_error *error);

/* The unsigned Cella image of a linked file, with the properties in it, and its SIGSTRUCT without signature. */
CELLA_MUST_USE cella_result oe_image_build(struct cella_bytes file,
                                           const oe_sgx_enclave_properties_t *properties,
                                           uint64_t properties_offset, const char *name,
                                           struct cella_buffer *output,
                                           struct sgx_sigstruct *ret_sigstruct,
                                           struct cella_error *error);

#endif
