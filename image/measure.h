/*
 * MRENCLAVE as the processor computes it: SHA-256 over the records of ECREATE, EADD and EEXTEND.
 * Side: host and tools (hosted; libcrypto). Called by image/ and cli/. Never touches a processor.
 */
#ifndef CELLA_IMAGE_MEASURE_H
#define CELLA_IMAGE_MEASURE_H

#include <openssl/sha.h>

#include "image/image.h"

/* Caller-owned. */
struct cella_measure {
    SHA256_CTX digest;
};

/* Starts with the ECREATE record. */
CELLA_MUST_USE cella_result cella_measure_init(struct cella_measure *measure,
                                               uint32_t ssa_frame_size, uint64_t enclave_size);
/* EADD (and EEXTEND, where the run is measured) of every page. A visitor: `measure` is a struct
 * cella_measure. */
cella_result cella_measure_run(void *measure, const struct cella_image_run *run);
CELLA_MUST_USE cella_result cella_measure_final(struct cella_measure *measure,
                                                uint8_t ret_mr_enclave[32]);
void cella_measure_done(struct cella_measure *measure);

#endif
