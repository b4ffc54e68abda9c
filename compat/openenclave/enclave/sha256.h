/*
 * SHA-256.
 * Side: enclave. Included by the enclave half.
 * Never fails.
 */
#ifndef CELLA_COMPAT_OE_SHA256_H
#define CELLA_COMPAT_OE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* 32 bytes. */
void oe_sha256(const void *data, size_t size, uint8_t *ret_hash);

#endif
