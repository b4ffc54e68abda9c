/*
 * Objects of C++ at places that differ from run to run: on the stack, or within a larger buffer. Source compatible with
 * the Intel SGX SDK.
 */
#ifndef _SGX_RANDOM_BUFFERS_H_
#define _SGX_RANDOM_BUFFERS_H_

#if !defined(__cplusplus) || __cplusplus < 201103L
#error sgx_random_buffers.h is for C++11 and later
#endif

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

/* A random integer of 16, 32 or 64 bits. */
template <class R = unsigned> inline R rdrand()
{
    R value;
    bool good;
    do {
        __asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
    } while (!good);
    return value;
}

template <class R, class... Ps, class... Qs>
__attribute__((noinline)) static R _random_stack_noinline_wrapper(R (*function)(Ps...),
                                                                  Qs &&...arguments)
{
    return function(std::forward<Qs>(arguments)...);
}

/* Calls a function, whose frame then lies 1 to M bytes lower than it would. Let it be noinline. */
template <unsigned M = 0x1000, class R, class... Ps, class... Qs>
R random_stack_advance(R (*function)(Ps...), Qs &&...arguments)
{
    volatile char *space = static_cast<volatile char *>(__builtin_alloca(rdrand() % M + 1));
    *space = 0;
    return _random_stack_noinline_wrapper(function, std::forward<Qs>(arguments)...);
}

/* Fills `size` bytes, a multiple of the integer's size; NULL when it is none. */
template <class T> inline T *random_integers(T *ptr, std::size_t size)
{
    if (size % sizeof(T) != 0) {
        return nullptr;
    }
    for (std::size_t i = size / sizeof(T); i > 0; i--) {
        ptr[i - 1] = rdrand<T>();
    }
    return ptr;
}

/* Fills `size` bytes of any type. */
template <class T> inline T *random_fill(T *ptr, std::size_t size)
{
    char *bytes = reinterpret_cast<char *>(ptr);
    while (size > 0) {
        const unsigned long value = rdrand<unsigned long>();
        const std::size_t part = size < sizeof(value) ? size : sizeof(value);
        std::memcpy(bytes, &value, part);
        bytes += part;
        size -= part;
    }
    return ptr;
}

/* Room for an object of T somewhere in about M bytes more. Wiped when it goes. */
template <class T, std::size_t A, unsigned M = 0x1000> struct alignas(A) randomly_placed_buffer {
    static constexpr std::size_t size(std::size_t count = 1)
    {
        return sizeof(T) * count + M - A;
    }

    randomly_placed_buffer &wipe(std::size_t count = 1)
    {
        std::memset(bytes, 0, size(count));
        __asm__ volatile("" : : "r"(bytes) : "memory");
        return *this;
    }

    randomly_placed_buffer &reset(std::size_t count = 1)
    {
        return wipe(count);
    }

    ~randomly_placed_buffer()
    {
        wipe();
    }

    /* Where an object without constructor is put. */
    T *randomize_object(std::size_t count = 1)
    {
        return reinterpret_cast<T *>(reset(count).bytes + ((rdrand() % M) & ~(A - 1)));
    }

    template <class... Ps> T *instantiate_object(Ps &&...arguments)
    {
        return ::new (static_cast<void *>(randomize_object())) T(std::forward<Ps>(arguments)...);
    }

    /* For buffers that were made with new (count). */
    T *instantiate_array(std::size_t count)
    {
        T *first = randomize_object(count);
        for (std::size_t i = 0; i < count; i++) {
            ::new (static_cast<void *>(first + i)) T();
        }
        return first;
    }

    /* What instantiate_* gave, the last one first; 0 when it is of this buffer, else nothing is done. */
    std::size_t destroy(T *ptr, std::size_t count = 1)
    {
        const char *at = reinterpret_cast<const char *>(ptr);
        if (at >= bytes && at < bytes + size(count)) {
            for (; count > 0; count--) {
                ptr[count - 1].~T();
            }
        }
        return count;
    }

    /* Takes one of `choices` blocks of the heap by chance. */
    static void *operator new(std::size_t, std::size_t count = 1, unsigned choices = 16)
    {
        const std::size_t block = sizeof(void *) + A + size(count);
        void *blocks[64];
        choices = choices == 0 ? 1 : choices > 64 ? 64 : choices;
        for (unsigned i = 0; i < choices; i++) {
            blocks[i] = std::malloc(block);
        }
        void *taken = blocks[rdrand() % choices];
        for (unsigned i = 0; i < choices; i++) {
            if (blocks[i] != taken) {
                std::free(blocks[i]);
            }
        }
        if (!taken) {
            std::abort();
        }
        const std::size_t least = reinterpret_cast<std::size_t>(taken) + sizeof(void *);
        void **at = reinterpret_cast<void **>((least + A - 1) & ~(A - 1));
        std::memcpy(at - 1, &taken, sizeof(taken));
        return at;
    }

    /* In memory of the caller's, size(count) bytes. */
    static void *operator new(std::size_t, void *ptr)
    {
        return ptr;
    }

    static void operator delete(void *ptr)
    {
        void *block;
        std::memcpy(&block, static_cast<void **>(ptr) - 1, sizeof(block));
        std::free(block);
    }

  private:
    char bytes[sizeof(T) + M - A];
};

template <class T, unsigned M = 0x1000>
using randomly_placed_object = randomly_placed_buffer<T, alignof(T), M>;

#endif
