/*
 * Memory whose secret parts do not start where stale data in a cache line would be seen. Trusted library sgx_tstdc.
 * Source compatible with the Intel SGX SDK.
 */
#ifndef _SGX_SECURE_ALIGN_API_H_
#define _SGX_SECURE_ALIGN_API_H_

#include <stddef.h>
#include <stdint.h>

/* One secret part of the object: where it starts in it, and how long it is. */
typedef struct {
    size_t offset;
    size_t len;
} align_req_t;

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed memory for an object of `size` bytes; data NULL: the whole object is secret. NULL when it cannot be done. */
void *sgx_aligned_malloc(size_t size, size_t alignment, align_req_t *data, size_t count);
void sgx_aligned_free(void *ptr);

/* The place for the object inside memory of one's own. */
void *sgx_get_aligned_ptr(void *raw, size_t raw_size, size_t allocate_size, size_t alignment,
                          align_req_t *data, size_t count);

#ifdef __cplusplus
}
#endif
#endif
