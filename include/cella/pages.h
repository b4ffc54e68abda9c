/*
 * Pages of the heap with rights of their own, inside the enclave. Needs SGX2 (the software processor has it).
 * Public header: plain C11, C++-safe; for enclave code only. Never needs a libc.
 *
 * Functions take whole pages that cella_pages_reserve gave and that were not released. Thread-safe; two calls for the same
 * page at the same time are a mistake of the caller.
 */
#ifndef CELLA_PAGES_H
#define CELLA_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CELLA_PAGES_READ 0x1u
#define CELLA_PAGES_WRITE 0x2u
#define CELLA_PAGES_EXECUTE 0x4u

/* Address space, without pages. `alignment`: a power of two, at least 4096. OUT_OF_MEMORY. */
CELLA_MUST_USE cella_result cella_pages_reserve(size_t size, size_t alignment, void **ret_at);

/* Address space at a place of the caller's choice; ALREADY_EXISTS when something is there. */
CELLA_MUST_USE cella_result cella_pages_reserve_at(void *at, size_t size);

/* Zeroed pages, readable and writable. OUT_OF_EPC, OUT_OF_MEMORY. Pages that are there stay as they are. */
CELLA_MUST_USE cella_result cella_pages_fill(void *at, size_t size);

/*
 * Changes the rights of pages that are there. Rights that a page did not have are added by the enclave, others are taken
 * by the kernel, which cannot give back what was not asked for. UNSUPPORTED without SGX2; HOST_REFUSED, also for X on
 * pages that the enclave was created with.
 */
CELLA_MUST_USE cella_result cella_pages_protect(void *at, size_t size, uint32_t from, uint32_t to);

/* Gives the pages back to the kernel and keeps the address space. UNSUPPORTED without SGX2. */
CELLA_MUST_USE cella_result cella_pages_drop(void *at, size_t size);

/* The same for those that there are: what was reserved may lie on pages that an earlier owner left. UNSUPPORTED as above. */
CELLA_MUST_USE cella_result cella_pages_vacate(void *at, size_t size);

/* Gives back the address space. Pages must be as cella_pages_fill made them, or dropped. */
void cella_pages_release(void *at, size_t size);

#ifdef __cplusplus
}
#endif
#endif
