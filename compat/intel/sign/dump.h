/*
 * The description of a signed enclave that sgx_sign -dumpfile writes.
 * Side: tools. Called by main.c.
 */
#ifndef COMPAT_INTEL_SIGN_DUMP_H
#define COMPAT_INTEL_SIGN_DUMP_H

#include "common/bytes.h"
#include "common/error.h"

/* Either path may be NULL. Labels are those of the Intel SDK's file, as scripts look for them. */
CELLA_MUST_USE cella_result sign_dump(struct cella_bytes image, const char *dump_path,
                                      const char *css_path, struct cella_error *error);

#endif
