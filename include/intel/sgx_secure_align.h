/*
 * Objects of C++ placed so that no secret byte lies where stale data in a cache line would be seen: bytes 0 and 4 to 7
 * of a line. Secret parts are pairs of offset and length. Source compatible with the Intel SGX SDK.
 *
 *     sgx::custom_alignment<struct keys, offsetof(struct keys, key), 16> keys;
 *     keys.v.key
 */
#ifndef _SGX_SECURE_ALIGN_H_
#define _SGX_SECURE_ALIGN_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace sgx
{

template <class T> constexpr T rol(T value, std::size_t count)
{
    using bits = typename std::make_unsigned<T>::type;
    return static_cast<T>(
        (count & (sizeof(T) * 8 - 1)) == 0
            ? static_cast<bits>(value)
            : static_cast<bits>(static_cast<bits>(value) << (count & (sizeof(T) * 8 - 1)) |
                                static_cast<bits>(value) >>
                                    (sizeof(T) * 8 - (count & (sizeof(T) * 8 - 1)))));
}

template <class T> constexpr T ror(T value, std::size_t count)
{
    return rol(value, 0 - count);
}

namespace cella_align
{

constexpr std::size_t line = 64;
constexpr std::uint64_t exposed = 0xF1; /* bit n: byte n of a line */

/* Bit n: some secret byte is at n modulo the line. */
constexpr std::uint64_t run(std::size_t length)
{
    return length >= line ? ~std::uint64_t(0) : (std::uint64_t(1) << length) - 1;
}

template <std::size_t... Parts> struct secret;

template <> struct secret<> {
    static constexpr std::uint64_t value = 0;
};

template <std::size_t Offset, std::size_t Length, std::size_t... Rest>
struct secret<Offset, Length, Rest...> {
    static constexpr std::uint64_t value = rol(run(Length), Offset % line) | secret<Rest...>::value;
};

/* The lowest multiple of `alignment` in a line at which nothing is exposed, or the line's size. */
constexpr std::size_t place(std::uint64_t bits, std::size_t alignment, std::size_t at = 0)
{
    return at >= line                       ? line
           : (rol(bits, at) & exposed) == 0 ? at
                                            : place(bits, alignment, at + alignment);
}

/* Small objects need not start a line of their own, only the part of one that they fit in. */
constexpr std::size_t whole(std::size_t size, std::size_t alignment)
{
    return alignment >= 16 && size <= alignment / 2 ? whole(size, alignment / 2) : alignment;
}

template <class T, std::size_t Alignment, std::size_t Space>
struct alignas(Alignment > line ? Alignment : whole(sizeof(T) + Space, line)) placed {
    static_assert(Space < line, "no place in a cache line hides all of these parts");
    char no_secret_here[Space];
    T v;

    template <class... Us> placed(Us &&...arguments) : v(std::forward<Us>(arguments)...)
    {
    }
};

template <class T, std::size_t Alignment>
struct alignas(Alignment > line ? Alignment : whole(sizeof(T), line)) placed<T, Alignment, 0> {
    T v;

    template <class... Us> placed(Us &&...arguments) : v(std::forward<Us>(arguments)...)
    {
    }
};

} /* namespace cella_align */

template <class T, std::size_t Alignment, std::size_t... Parts>
using custom_alignment_aligned =
    cella_align::placed<T, Alignment,
                        cella_align::place(cella_align::secret<Parts...>::value, Alignment)>;

template <class T, std::size_t... Parts>
using custom_alignment = custom_alignment_aligned<T, alignof(T), Parts...>;

} /* namespace sgx */

#endif
