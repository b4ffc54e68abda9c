/*
 * What both sides of a generated call share: descriptions of functions and the records of a message.
 * Public header for generated code only: plain C11, C++-safe. Made by the EDL compiler, read by enclave/bridge.c and
 * host/bridge.c. docs/formats/bridge.md is the manual.
 * Never says where anything is trusted: each side works on its own copy of the description.
 */
#ifndef CELLA_BRIDGE_CALL_H
#define CELLA_BRIDGE_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "cella/result.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A number that a message carries (a parameter or a member used by size= or count=), or a constant when width is 0. Made
 * by the three macros below, so that the compiler of the generated code fills in width and sign.
 */
struct cella_bridge_number {
    uint64_t value; /* the constant, or the offset in the record */
    uint32_t width; /* 0, 1, 2, 4, 8; floats: 4, 8, 16 */
    uint32_t kind;  /* CELLA_BRIDGE_UNSIGNED, … */
};
#define CELLA_BRIDGE_UNSIGNED 0u
#define CELLA_BRIDGE_SIGNED 1u
#define CELLA_BRIDGE_FLOAT 2u
#define CELLA_BRIDGE_CONSTANT(value)                                                               \
    {                                                                                              \
        (value), 0, 0                                                                              \
    }
#define CELLA_BRIDGE_NUMBER(record, member, type)                                                  \
    {                                                                                              \
        offsetof(record, member), sizeof(type),                                                    \
            ((type)1 / 2 != 0)     ? CELLA_BRIDGE_FLOAT                                            \
            : ((type)-1 < (type)1) ? CELLA_BRIDGE_SIGNED                                           \
                                   : CELLA_BRIDGE_UNSIGNED                                         \
    }

/* cella_bridge_pointer.flags */
#define CELLA_BRIDGE_IN 0x1u
#define CELLA_BRIDGE_OUT 0x2u
#define CELLA_BRIDGE_STRING 0x4u  /* ends with a zero byte; the caller's length counts */
#define CELLA_BRIDGE_WSTRING 0x8u /* the same with 4-byte units */

struct cella_bridge_struct;

/* What a pointer points to: size * count bytes, a multiple of `unit` when that is not 0. */
struct cella_bridge_pointer {
    uint32_t offset; /* members of structs: where the pointer is */
    uint32_t flags;  /* members: the parameter's direction counts */
    uint64_t unit;
    struct cella_bridge_number size;
    struct cella_bridge_number count;
    const struct cella_bridge_struct *deep; /* its pointers are followed; or NULL */
};

/* A struct whose pointers are followed. */
struct cella_bridge_struct {
    uint64_t size;
    const struct cella_bridge_pointer *pointers; /* in the order of their offsets */
    uint32_t pointer_count;
    uint32_t length_count;
    const struct cella_bridge_number *lengths; /* members that are a size or count of another */
};

/* Where memory that the other side's function has allocated goes: the C library's own. */
struct cella_bridge_memory {
    void *(*allocate)(size_t size);
    void (*release)(void *at);
};

/* cella_bridge_function.flags */
#define CELLA_BRIDGE_SWITCHLESS 0x1u
#define CELLA_BRIDGE_DEEP 0x2u /* some pointer is deep: the number of spans is not fixed */
#define CELLA_BRIDGE_DEEP_OUT                                                                      \
    0x4u /* an out-only one: the reply starts with struct cella_bridge_deep */
#define CELLA_BRIDGE_STAGED                                                                        \
    0x8u /* ocalls: results are checked before they go to where they belong */
/* Rules in which the three dialects differ. */
#define CELLA_BRIDGE_GUARDED 0x10u    /* ecalls: private ones and allow lists are enforced */
#define CELLA_BRIDGE_EMPTY_NULL 0x20u /* ecalls: no bytes means NULL */
#define CELLA_BRIDGE_TERMINATE 0x40u  /* a string that comes back is ended, not refused */
#define CELLA_BRIDGE_FOLLOW                                                                        \
    0x80u /* in+out structs: lengths and pointers that the function has changed count */
#define CELLA_BRIDGE_INSIDE 0x100u /* ocalls: what is passed must be enclave memory */

struct cella_bridge_function {
    const char *name;
    uint32_t flags;
    uint32_t pointer_count;
    const struct cella_bridge_pointer *pointers;
    uint64_t head_size; /* scalars of the message; 0: none */
    uint64_t reply_size;
    const struct cella_bridge_memory *memory; /* with DEEP_OUT; else NULL */
    const uint32_t *callers;                  /* with GUARDED: the ocalls that allow this ecall */
    uint32_t caller_count;
    uint32_t is_private;
};

/*
 * An ecall's message: the head, then one span for each pointer in the order of traversal (parameters in order; each
 * struct's followed pointers, that are not NULL, right behind the span of the structs). NULL is {0, 0}.
 */
struct cella_bridge_span {
    uint64_t address;
    uint64_t size;
};
#define CELLA_BRIDGE_SPANS_AT(head_size) (((head_size) + 7) & ~(uint64_t)7)
#define CELLA_BRIDGE_MESSAGE_SIZE(head_size, spans)                                                \
    ((spans) == 0 ? (head_size)                                                                    \
                  : CELLA_BRIDGE_SPANS_AT(head_size) + (spans) * sizeof(struct cella_bridge_span))

/*
 * An ocall's message: the head; at the next multiple of 16 one part for each pointer, in the same order; the bytes of
 * in-only parts. Its output: the reply, then the bytes of parts that come back. Parts lie one behind the other at
 * multiples of 16. `present` is 0 for NULL. With DEEP a first part more has the number of the others as `present`.
 */
struct cella_bridge_part {
    uint64_t present;
    uint64_t size;
};
#define CELLA_BRIDGE_ALIGN(size) (((size) + 15) & ~(uint64_t)15)

/* Starts a reply with DEEP_OUT: a host allocation with the bytes of all followed pointers, at multiples of 16. */
struct cella_bridge_deep {
    uint64_t address;
    uint64_t size;
};

#define CELLA_BRIDGE_DEPTH_MAX 16u         /* of structs in structs */
#define CELLA_BRIDGE_SPAN_MAX (1ull << 20) /* in one call */
#define CELLA_BRIDGE_SIZE_MAX (1ull << 40) /* bytes of one buffer, and of all */
#define CELLA_BRIDGE_BAD (~(uint64_t)0)    /* no size: negative, overflown, or not a multiple */
#define CELLA_BRIDGE_MISSING                                                                       \
    (~(uint32_t)0) /* the number of an ecall that the enclave does not have */
/*
 * Ecall 0 of a generated table answers with this and the names, zero-terminated, ecalls first; as many bytes as fit.
 * The host calls by name, so that two lists in different order understand each other.
 */
#define CELLA_BRIDGE_MAGIC 0x31454d414e4c4543ull /* "CELNAME1" */
struct cella_bridge_names {
    uint64_t magic;
    uint32_t ecall_count;
    uint32_t ocall_count;
    uint64_t size; /* of all names */
};

/*
 * The integer part of a float, double or x87 long double, by its bits: enclave kernels have no floating point.
 * CELLA_BRIDGE_BAD when it is negative, not a number, or too big for a size.
 */
static inline uint64_t cella_bridge_float(const void *at, uint32_t width)
{
    const uint32_t fraction_bits = width == 4 ? 23 : width == 8 ? 52 : 63;
    const int32_t bias = width == 4 ? 127 : width == 8 ? 1023 : 16383;
    uint64_t low = 0;
    uint32_t head;
    __builtin_memcpy(&low, at, width == 4 ? 4 : 8);
    if (width == 16) {
        uint16_t top;
        __builtin_memcpy(&top, (const uint8_t *)at + 8, sizeof(top));
        head = top;
    } else {
        head = (uint32_t)(low >> fraction_bits);
        low = (low & (((uint64_t)1 << fraction_bits) - 1)) | (uint64_t)1 << fraction_bits;
    }
    const uint32_t sign = width == 4 ? head >> 8 : width == 8 ? head >> 11 : head >> 15;
    const int32_t exponent = (int32_t)(head & (width == 4   ? 0xFFu
                                               : width == 8 ? 0x7FFu
                                                            : 0x7FFFu)) -
                             bias;
    if (exponent < 0) {
        return sign && exponent > -bias ? CELLA_BRIDGE_BAD : 0;
    }
    if (sign || exponent > 62) {
        return CELLA_BRIDGE_BAD;
    }
    return exponent <= (int32_t)fraction_bits ? low >> ((int32_t)fraction_bits - exponent)
                                              : low << (exponent - (int32_t)fraction_bits);
}

static inline uint64_t cella_bridge_value(const struct cella_bridge_number *number,
                                          const void *record)
{
    const uint8_t *at = (const uint8_t *)record + number->value;
    uint64_t value = 0;
    if (number->width == 0) {
        return number->value;
    }
    if (number->kind == CELLA_BRIDGE_FLOAT) {
        return cella_bridge_float(at, number->width);
    }
    switch (number->width) {
    case 1:
        value = *at;
        break;
    case 2:
        __builtin_memcpy(&value, at, 2);
        break;
    case 4:
        __builtin_memcpy(&value, at, 4);
        break;
    default:
        __builtin_memcpy(&value, at, 8);
        break;
    }
    if (number->kind == CELLA_BRIDGE_SIGNED && (value >> (8 * (number->width & 15) - 1)) != 0) {
        return CELLA_BRIDGE_BAD;
    }
    return value;
}

/* The bytes that `pointer` means by the numbers in `record`, or CELLA_BRIDGE_BAD. Not for strings. */
static inline uint64_t cella_bridge_bytes(const struct cella_bridge_pointer *pointer,
                                          const void *record)
{
    const uint64_t size = cella_bridge_value(&pointer->size, record);
    const uint64_t count = cella_bridge_value(&pointer->count, record);
    uint64_t bytes;
    if (size == CELLA_BRIDGE_BAD || count == CELLA_BRIDGE_BAD ||
        __builtin_mul_overflow(size, count, &bytes) || bytes > CELLA_BRIDGE_SIZE_MAX ||
        (pointer->unit > 1 && bytes % pointer->unit != 0)) {
        return CELLA_BRIDGE_BAD;
    }
    return bytes;
}

#ifdef __cplusplus
}
#endif
#endif
