/*
 * The call ABI between the host runtime and the enclave kernel: registers, records in host memory, system calls out.
 * Side: ground; host/ and enclave/ include it, enclave/entry.S too. docs/formats/calls.md is the manual.
 * Never holds a pointer: addresses are uint64_t. Whatever lies in host memory is fetched once and checked.
 */
#ifndef CELLA_ABI_CALL_H
#define CELLA_ABI_CALL_H

/* Bits 0..7 of RDI at EENTER; bits 32..63 are the operand named. RSI, RDX, R8, R9 are the arguments. */
#define CELLA_ENTER_INIT 1      /* RSI: struct cella_call_init, RDX: its size */
#define CELLA_ENTER_ECALL 2     /* number; RSI, RDX: input and size; R8, R9: output and capacity */
#define CELLA_ENTER_RETURN 3    /* depth; RSI: result code, RDX: size of the output in the slice */
#define CELLA_ENTER_THREAD 4    /* runs the thread that the enclave bound to this TCS */
#define CELLA_ENTER_WORKER 5    /* RSI: struct cella_call_ring; serves it until told to stop */
#define CELLA_ENTER_EXCEPTION 6 /* CSSA > 0 only; RSI: time stamp counter as the host sees it */
#define CELLA_ENTER_DESTROY 7   /* runs exit handlers; the last entry */

/* Bits 0..7 of RDI at EEXIT. */
#define CELLA_EXIT_DONE 1 /* RSI: result code, RDX: size of the output */
#define CELLA_EXIT_OCALL                                                                           \
    2 /* number in bits 32..63; RSI: slice, RDX: input size, R8: capacity, R9: depth */
#define CELLA_EXIT_SWITCHLESS                                                                      \
    0x100 /* with OCALL: no worker took it; what it calls is called as by a worker */
#define CELLA_EXIT_RESUME                                                                          \
    3 /* from EXCEPTION: ERESUME next; RSI: 0 when there was no exception to see */
#define CELLA_EXIT_ABORTED                                                                         \
    4 /* the enclave is dead; RSI: result code, RDX: why, see CELLA_ABORT_* */

/* Reasons in RDX of CELLA_EXIT_ABORTED; bits 8..15 hold the vector of an exception, bits 32..63 an exit code. */
#define CELLA_ABORT_CALLED 1    /* cella_abort() or abort() */
#define CELLA_ABORT_EXCEPTION 2 /* no handler wanted it */
#define CELLA_ABORT_EXIT 3      /* exit_group() outside DESTROY */
#define CELLA_ABORT_CANARY 4    /* stack protector */
#define CELLA_ABORT_HOST 5      /* the host broke the protocol where nothing else is possible */
#define CELLA_ABORT_SIGNAL 6    /* a program ended by a signal, its number in bits 8..15 */

/* Ocall numbers with this bit are the kernel's own; the others index the application's table. */
#define CELLA_OCALL_SYSTEM 0x80000000u
#define CELLA_OCALL_ALLOC (CELLA_OCALL_SYSTEM + 0)  /* in: u64 size; out: u64 address */
#define CELLA_OCALL_FREE (CELLA_OCALL_SYSTEM + 1)   /* in: u64 address, u64 size */
#define CELLA_OCALL_WAIT (CELLA_OCALL_SYSTEM + 2)   /* in: struct cella_call_wait */
#define CELLA_OCALL_WAKE (CELLA_OCALL_SYSTEM + 3)   /* in: u32 slot[] */
#define CELLA_OCALL_THREAD (CELLA_OCALL_SYSTEM + 4) /* in: u32 slot: enter it with THREAD */
#define CELLA_OCALL_YIELD (CELLA_OCALL_SYSTEM + 5)
#define CELLA_OCALL_WRITE (CELLA_OCALL_SYSTEM + 6) /* in: u64 fd (1, 2), bytes; out: i64 */
#define CELLA_OCALL_TRACE (CELLA_OCALL_SYSTEM + 7) /* in: text; debug enclaves only */
#define CELLA_OCALL_CLOCK                                                                          \
    (CELLA_OCALL_SYSTEM + 8) /* in: u64 clock; out: i64 seconds, i64 nanoseconds */
#define CELLA_OCALL_FILE (CELLA_OCALL_SYSTEM + 9)      /* abi/service.h, as all that name it */
#define CELLA_OCALL_RESTRICT (CELLA_OCALL_SYSTEM + 10) /* in: u64 offset, length, permissions */
#define CELLA_OCALL_TRIM (CELLA_OCALL_SYSTEM + 11)     /* in: u64 offset, length */
#define CELLA_OCALL_REMOVE (CELLA_OCALL_SYSTEM + 12)   /* in: u64 offset, length */
#define CELLA_OCALL_READ (CELLA_OCALL_SYSTEM + 13)     /* in: u64 fd (0); out: i64, bytes */
#define CELLA_OCALL_RING_WAIT                                                                      \
    (CELLA_OCALL_SYSTEM + 14) /* in: u32 ticket; OK: look again, else: stop */
#define CELLA_OCALL_RING_WAKE (CELLA_OCALL_SYSTEM + 15) /* the workers of the ocall ring sleep */
#define CELLA_OCALL_SOCKET (CELLA_OCALL_SYSTEM + 16)    /* abi/service.h */
#define CELLA_OCALL_POLL (CELLA_OCALL_SYSTEM + 17)      /* abi/service.h */
#define CELLA_OCALL_EPOLL (CELLA_OCALL_SYSTEM + 18)     /* abi/service.h */
#define CELLA_OCALL_POLL_WAKE (CELLA_OCALL_SYSTEM + 19) /* in: u32 slot[] */
#define CELLA_OCALL_RESOLVE (CELLA_OCALL_SYSTEM + 20)   /* abi/service.h */
#define CELLA_OCALL_IDS (CELLA_OCALL_SYSTEM + 21)       /* abi/service.h */
#define CELLA_OCALL_UNAME (CELLA_OCALL_SYSTEM + 22)     /* out: i64, char[6][65] and 2 zeros */
#define CELLA_OCALL_PROTECT (CELLA_OCALL_SYSTEM + 23)   /* in: u64 offset, length, permissions */
#define CELLA_OCALL_QUOTE (CELLA_OCALL_SYSTEM + 24)     /* abi/service.h */
#define CELLA_OCALL_KICK (CELLA_OCALL_SYSTEM + 25)      /* in: u32 slot[]: look at your signals */
#define CELLA_OCALL_TCS (CELLA_OCALL_SYSTEM + 26)       /* in: u64 offset, length: become TCS */

#define CELLA_OCALL_WORKERS                                                                        \
    (CELLA_OCALL_SYSTEM + 27) /* in: u32 count: threads that serve the ocall ring */

#define CELLA_OCALL_NAMES                                                                          \
    (CELLA_OCALL_SYSTEM + 0x100) /* in: what ecall 0 answers: struct cella_bridge_names … */
#define CELLA_OCALL_SKIN (CELLA_OCALL_SYSTEM + 0x10000) /* and above: services of skins */

/* Ecall numbers with this bit are those of skins (struct cella_system_ecall in enclave/kernel.h). */
#define CELLA_ECALL_SYSTEM 0x80000000u

#define CELLA_CALL_ARENA_MIN 4096
#define CELLA_CALL_DEPTH_MAX 64 /* outstanding ocalls of one TCS */

#ifndef __ASSEMBLER__

#include "abi/sgx.h"

/* One row of the processor's CPUID as the host read it; the enclave checks what it can. */
struct cella_call_cpuid {
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t eax, ebx, ecx, edx;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_cpuid) == 24);
#define CELLA_CALL_CPUID_MAX 128u

/* cella_call_init.flags */
#define CELLA_INIT_SGX2 0x1u    /* pages may be added: EACCEPT on a hole works */
#define CELLA_INIT_XGETBV1 0x2u /* XGETBV with ECX = 1 works */

/*
 * Handed over at INIT. Each thread slot has an arena of `arena_stride` bytes at arenas + slot * arena_stride: 64
 * bytes of struct cella_call_arena, then the slices of its ocalls.
 */
struct cella_call_init {
    uint64_t arenas;
    uint64_t arena_stride;
    uint64_t cpuid; /* struct cella_call_cpuid[cpuid_count] */
    uint32_t cpuid_count;
    uint32_t flags;
    uint64_t tsc_hz;      /* 0 when unknown */
    uint64_t environment; /* zero-terminated strings NAME=VALUE, concatenated */
    uint64_t environment_size;
    uint64_t ocall_ring; /* struct cella_call_ring for switchless ocalls, or 0 */
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_init) == 64);
CELLA_ABI_AT(cella_call_init, cpuid, 16);
CELLA_ABI_AT(cella_call_init, tsc_hz, 32);
CELLA_ABI_AT(cella_call_init, ocall_ring, 56);
#define CELLA_CALL_ENVIRONMENT_MAX 4096u

/* The head of an arena. `event` is the word on which the thread of this slot sleeps: CELLA_EVENT_*, set by WAKE and KICK. */
#define CELLA_EVENT_WAKE 1u
#define CELLA_EVENT_KICK 2u
struct cella_call_arena {
    uint32_t event;
    uint32_t reserved1;
    /*
     * In the first slot's arena: signals that reached the host for the enclave, bit n - 1 for signal n. The host sets bits
     * and kicks every slot that is in use; the enclave takes them. A hint, like all that a host says of signals.
     */
    uint64_t signals;
    uint32_t reserved[12];
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_arena) == 64);

/* The input of an ocall starts a slice; its output follows, at the next multiple of 8. */
#define CELLA_CALL_OUTPUT_AT(in_size) (((in_size) + 7) & ~(uint64_t)7)

/* cella_call_wait.clock: what `seconds` and `nanoseconds` mean. */
#define CELLA_WAIT_FOREVER 0u
#define CELLA_WAIT_RELATIVE 1u
#define CELLA_WAIT_UNTIL_MONOTONIC 2u
#define CELLA_WAIT_UNTIL_REALTIME 3u

/*
 * The host waits until arenas[slot].event has CELLA_EVENT_WAKE, takes it back to 0 and returns OK; BUSY when the time is
 * over; INTERRUPTED after a KICK, which may also have been meant for something that has ended by then.
 */
struct cella_call_wait {
    uint32_t slot;
    uint32_t clock;
    int64_t seconds;
    int64_t nanoseconds;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_wait) == 24);

/*
 * Switchless calls: a bounded ring in host memory, one for calls in, one for calls out. A call takes the next ticket t
 * and slot t % CELLA_RING_SLOTS, whose `turn` tells whose it is: t = free, t + CELLA_RING_SLOTS = free for the next lap,
 * and in between what CELLA_TURN_* name. A worker takes a call, and a caller that has waited too long withdraws it, by
 * exchanging READY: one of the two succeeds. A withdrawn slot is freed by the worker that comes by. The side that makes
 * calls counts tickets for itself, and so does the side that serves; neither believes the other's count. Every other field
 * is fetched once and checked as in an ordinary call.
 */
#define CELLA_RING_SLOTS 64u /* a power of two */
#define CELLA_TURN_READY 1u
#define CELLA_TURN_ANSWERED 2u
#define CELLA_TURN_TAKEN 3u
#define CELLA_TURN_WITHDRAWN 4u

struct cella_call_slot {
    uint32_t turn;
    uint32_t number;
    uint32_t result;
    uint32_t
        batch; /* not 0: so many struct cella_call_record lie at `in`; number and out are not used */
    uint64_t in;
    uint64_t in_size;
    uint64_t out;
    uint64_t out_capacity;
    uint64_t out_size;
    uint64_t reserved;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_slot) == 64);

/* One call of a batch; result and out_size are the answer. */
struct cella_call_record {
    uint32_t number;
    uint32_t result;
    uint64_t in;
    uint64_t in_size;
    uint64_t out;
    uint64_t out_capacity;
    uint64_t out_size;
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_record) == 48);
CELLA_ABI_AT(cella_call_record, result, 4);
CELLA_ABI_AT(cella_call_record, in, 8);
CELLA_ABI_AT(cella_call_record, out_size, 40);
#define CELLA_CALL_BATCH_MAX 65536u

struct cella_call_ring {
    uint32_t workers; /* that serve the ring now; 0: use ordinary calls */
    uint32_t spins;   /* a worker looks that often before it sleeps */
    uint32_t reserved1[14];
    uint32_t sleepers; /* workers asleep on `bell` */
    uint32_t bell;     /* futex word, counts up */
    uint32_t reserved2[14];
    struct cella_call_slot slots[CELLA_RING_SLOTS];
};
CELLA_ABI_ASSERT(sizeof(struct cella_call_ring) == 128 + 64 * CELLA_RING_SLOTS);
CELLA_ABI_AT(cella_call_ring, sleepers, 64);
CELLA_ABI_AT(cella_call_ring, slots, 128);

#endif
#endif
