/*
 * The vDSO: what programs ask so often that it is answered without entering the kernel. vdso(7), LINUX_2.6.
 * Side: enclave, as part of the program: on its stack, in its signals' eyes its own code. A shared object of its own, which
 * the kernel carries along (image.S) and maps (vdso.c). What it can't answer is a system call.
 * Never writes anything of the kernel's but where this thread's clock is, and what it has told.
 */
#include "abi/program.h"
#include "enclave/rdrand.h"
#include "linux/clock_look.h"

#include <asm/unistd.h>
#include <errno.h>

#define EXPORT __attribute__((visibility("default")))
#define NANOSECONDS 1000000000u
#define RANDOM_FLAGS 7u /* GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE */
#define RANDOM_STATE                                                                               \
    64u /* nothing is in it: RDRAND is asked for every word, as getrandom(2) does here */
#define RANDOM_HOW_MUCH (~0ul)

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

struct time {
    int64_t seconds, parts;
};

/* struct vgetrandom_opaque_params of <linux/random.h> */
struct random_parameters {
    uint32_t size_of_opaque_state, mmap_prot, mmap_flags, reserved[13];
};

EXPORT int __vdso_clock_gettime(int32_t clock, struct time *to);
EXPORT int __vdso_clock_getres(int32_t clock, struct time *to);
EXPORT int __vdso_gettimeofday(struct time *to, void *zone);
EXPORT int64_t __vdso_time(int64_t *to);
EXPORT int64_t __vdso_getrandom(void *to, uint64_t size, uint32_t flags, void *state,
                                uint64_t state_size);

/* As a trampoline does it (abi/program.h). */
static long call(long number, long first, long second, long third)
{
    __asm__ volatile("lea 1f(%%rip), %%rcx\n\tjmp *%%gs:" TEXT(CELLA_PROGRAM_SYSCALL_GS) "\n1:"
                     : "+a"(number)
                     : "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "cc", "memory");
    return number;
}

static struct cella_td *td_self(void)
{
    struct cella_td *td;
    __asm__("mov %%gs:" TEXT(TD_SELF) ", %0" : "=r"(td));
    return td;
}

__attribute__((always_inline)) static inline bool now_get(bool realtime, uint64_t *ret_now)
{
    struct cella_td *td = td_self();
    return linux_clock_read(td->clock, &td->clock_last, realtime, ret_now);
}

int __vdso_clock_gettime(int32_t clock, struct time *to)
{
    uint64_t now;
    bool realtime;
    if (!linux_clock_is_looked_at((uint32_t)clock, &realtime) ||
        !(realtime ? now_get(true, &now) : now_get(false, &now))) {
        return (int)call(__NR_clock_gettime, clock, (long)to, 0);
    }
    *to = (struct time){.seconds = (int64_t)(now / NANOSECONDS), .parts = now % NANOSECONDS};
    return 0;
}

int __vdso_clock_getres(int32_t clock, struct time *to)
{
    return (int)call(__NR_clock_getres, clock, (long)to, 0);
}

int __vdso_gettimeofday(struct time *to, void *zone)
{
    uint64_t now;
    if (zone || !now_get(true, &now)) {
        return (int)call(__NR_gettimeofday, (long)to, (long)zone, 0);
    }
    if (to) {
        *to = (struct time){.seconds = (int64_t)(now / NANOSECONDS),
                            .parts = now % NANOSECONDS / 1000};
    }
    return 0;
}

int64_t __vdso_time(int64_t *to)
{
    uint64_t now;
    if (!now_get(true, &now)) {
        return call(__NR_time, (long)to, 0, 0);
    }
    const int64_t seconds = (int64_t)(now / NANOSECONDS);
    if (to) {
        *to = seconds;
    }
    return seconds;
}

int64_t __vdso_getrandom(void *to, uint64_t size, uint32_t flags, void *state, uint64_t state_size)
{
    if (state_size == RANDOM_HOW_MUCH && size == 0 && flags == 0) {
        *(struct random_parameters *)state =
            (struct random_parameters){.size_of_opaque_state = RANDOM_STATE,
                                       .mmap_prot = 3 /* PROT_READ, PROT_WRITE */,
                                       .mmap_flags = 0x22 /* MAP_PRIVATE, MAP_ANONYMOUS */};
        return 0;
    }
    if (state_size != RANDOM_STATE || (flags & ~RANDOM_FLAGS) != 0) {
        return -EINVAL;
    }
    uint8_t *bytes = to;
    for (uint64_t done = 0; done < size;) {
        uint64_t word;
        if (!cella_rdrand(&word)) {
            return call(__NR_getrandom, (long)to, (long)size, flags);
        }
        for (uint32_t i = 0; i < sizeof(word) && done < size; i++, word >>= 8) {
            bytes[done++] = (uint8_t)word;
        }
    }
    return (int64_t)size;
}
