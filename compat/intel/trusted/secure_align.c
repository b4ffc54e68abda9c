/*
 * sgx_secure_align_api.h: objects placed so that no secret byte lies where a processor of INTEL-SA-00219 would leave it
 * to others: bytes 0 and 4 to 7 of a cache line.
 * Side: enclave. Called by applications.
 */
#include "sgx_secure_align_api.h"

#include <stdlib.h>
#include <string.h>

#include "sgx_trts.h"

#define LINE 64u
#define EXPOSED 0xF1ull /* bit n: byte n of a line */

/* Bit n: some secret byte of the object is at n modulo the line. */
static uint64_t secret_bytes(const align_req_t *data, size_t count, size_t size)
{
    uint64_t bits = 0;
    if (!data) {
        return size >= LINE ? ~0ull : (1ull << size) - 1;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < data[i].len && j < LINE; j++) {
            bits |= 1ull << ((data[i].offset + j) % LINE);
        }
    }
    return bits;
}

static uint64_t rotate(uint64_t bits, unsigned by)
{
    return by ? bits << by | bits >> (LINE - by) : bits;
}

/* The lowest multiple of `alignment` in a line at which nothing is exposed; LINE: there is none. */
static unsigned place_find(uint64_t secret, size_t alignment)
{
    const unsigned step = alignment < LINE ? (unsigned)alignment : LINE;
    for (unsigned place = 0; place < LINE; place += step) {
        if ((rotate(secret, place) & EXPOSED) == 0) {
            return place;
        }
    }
    return LINE;
}

static int request_is_good(size_t size, size_t alignment, const align_req_t *data, size_t count)
{
    if (size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0 ||
        (data == NULL) != (count == 0)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (data[i].len > size || data[i].offset > size - data[i].len) {
            return 0;
        }
    }
    return 1;
}

void *sgx_get_aligned_ptr(void *raw, size_t raw_size, size_t allocate_size, size_t alignment,
                          align_req_t *data, size_t count)
{
    if (!raw || !request_is_good(allocate_size, alignment, data, count)) {
        return NULL;
    }
    const size_t whole = alignment > LINE ? alignment : LINE;
    const unsigned place = place_find(secret_bytes(data, count, allocate_size), alignment);
    size_t end;
    if (place == LINE || __builtin_add_overflow((size_t)raw, raw_size, &end)) {
        return NULL;
    }
    size_t at = (((size_t)raw + whole - 1) & ~(whole - 1)) + place;
    if (at >= whole && at - whole >= (size_t)raw) {
        at -= whole;
    }
    return at <= end && end - at >= allocate_size ? (void *)at : NULL;
}

/* The block that malloc gave stands in front of the object. */
struct head {
    void *block;
    size_t size;
};

void *sgx_aligned_malloc(size_t size, size_t alignment, align_req_t *data, size_t count)
{
    size_t whole;
    if (!request_is_good(size, alignment, data, count) ||
        __builtin_add_overflow(size, sizeof(struct head) + 2 * LINE, &whole) ||
        __builtin_add_overflow(whole, alignment, &whole)) {
        return NULL;
    }
    uint8_t *block = calloc(1, whole);
    if (!block) {
        return NULL;
    }
    void *at = sgx_get_aligned_ptr(block + sizeof(struct head), whole - sizeof(struct head), size,
                                   alignment, data, count);
    if (!at) {
        free(block);
        return NULL;
    }
    const struct head head = {.block = block, .size = size};
    memcpy((uint8_t *)at - sizeof(head), &head, sizeof(head));
    return at;
}

void sgx_aligned_free(void *ptr)
{
    struct head head;
    if (!ptr) {
        return;
    }
    memcpy(&head, (uint8_t *)ptr - sizeof(head), sizeof(head));
    memset(ptr, 0, head.size);
    __asm__ volatile("" : : "r"(ptr) : "memory");
    free(head.block);
}
