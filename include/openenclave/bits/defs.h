/*
 * Compiler words of the Open Enclave API: linkage, alignment, packing, static checks.
 * Skin header for both sides; C11 and C++. Names and meanings are Open Enclave's.
 * Never declares a function.
 */
#ifndef _OE_BITS_DEFS_H
#define _OE_BITS_DEFS_H

#if !defined(__GNUC__) || !defined(__x86_64__)
#error "Cella's Open Enclave API is for gcc and clang on x86-64"
#endif

#include <stddef.h>

#ifndef OE_API_VERSION
#define OE_API_VERSION 2
#endif
#if OE_API_VERSION != 2
#error "OE_API_VERSION: only 2 is supported"
#endif

#define OE_NO_RETURN __attribute__((__noreturn__))
#define OE_PRINTF_FORMAT(format_at, first) __attribute__((format(printf, format_at, first)))
#define OE_UNUSED(parameter) (void)(parameter)
#define OE_USED __attribute__((__used__))
#define OE_ALWAYS_INLINE __attribute__((always_inline)) inline
#define OE_NEVER_INLINE __attribute__((noinline))
#define OE_INLINE static __inline__
#define OE_RETURNS_TWICE __attribute__((returns_twice))
#define OE_UNUSED_ATTRIBUTE __attribute__((unused))
#define OE_UNUSED_FUNC __attribute__((unused))
#define OE_WEAK __attribute__((__weak__))
#define OE_EXPORT __attribute__((visibility("default")))
#define OE_ALIGNED(bytes) __attribute__((aligned(bytes)))
#define OE_DEPRECATED(declaration, text) declaration __attribute__((deprecated(text)))
#define OE_WEAK_ALIAS(old, alias_name)                                                             \
    extern __typeof(old) alias_name __attribute__((__weak__, alias(#old)))

#ifdef __clang__
#define OE_NO_OPTIMIZE_BEGIN _Pragma("clang optimize off")
#define OE_NO_OPTIMIZE_END _Pragma("clang optimize on")
#else
#define OE_NO_OPTIMIZE_BEGIN _Pragma("GCC push_options") _Pragma("GCC optimize(\"O0\")")
#define OE_NO_OPTIMIZE_END _Pragma("GCC pop_options")
#endif

#ifdef __cplusplus
#define OE_EXTERNC extern "C"
#define OE_EXTERNC_BEGIN extern "C" {
#define OE_EXTERNC_END }
#define OE_EXPORT_CONST OE_EXPORT extern const
#else
#define OE_EXTERNC
#define OE_EXTERNC_BEGIN
#define OE_EXTERNC_END
#define OE_EXPORT_CONST OE_EXPORT const
#endif

#define OE_PACK_BEGIN _Pragma("pack(push, 1)")
#define OE_PACK_END _Pragma("pack(pop)")
#define OE_ZERO_SIZED_ARRAY

#define OE_COUNTOF(array) (sizeof(array) / sizeof((array)[0]))
#define OE_OFFSETOF(type, member) __builtin_offsetof(type, member)
#define OE_FIELD_SIZE(type, field) (sizeof(((type *)0)->field))

#define __OE_CONCAT(a, b) a##b
#define OE_CONCAT(a, b) __OE_CONCAT(a, b)
#ifdef __cplusplus
#define OE_STATIC_ASSERT(condition) static_assert(condition, #condition)
#else
#define OE_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define OE_CHECK_SIZE(size, expected) OE_STATIC_ASSERT((size) == (expected))
#define OE_CHECK_FIELD(type, other, field)                                                         \
    OE_STATIC_ASSERT(OE_OFFSETOF(type, field) == OE_OFFSETOF(other, field));                       \
    OE_STATIC_ASSERT(OE_FIELD_SIZE(type, field) == OE_FIELD_SIZE(other, field));

/* Makes an enum 32 bits wide in every compiler. */
#define OE_ENUM_MAX 0xffffffff
#define OE_PAGE_SIZE 0x1000

#endif
