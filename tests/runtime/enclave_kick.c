/*
 * The enclave whose threads interrupt each other: a personality of its own, which counts how often a thread was made to
 * look at its signals.
 * Side: enclave (tests).
 */
#include "abi/service.h"
#include "cella/enclave.h"
#include "enclave/boundary.h"
#include "enclave/trap.h"
#include "tests/runtime/kick.h"

#define ECALL(name)                                                                                \
    static cella_result name(const void *in, size_t in_size, void *out, size_t out_capacity,       \
                             size_t *ret_size)
#define UNUSED_CALL                                                                                \
    (void)in;                                                                                      \
    (void)in_size;                                                                                 \
    (void)out;                                                                                     \
    (void)out_capacity;                                                                            \
    (void)ret_size
#define STACK_SIZE 65536

static _Atomic(struct cella_td *) living;
static _Atomic uint64_t seen;
static _Atomic uint32_t stop;
static _Alignas(64) uint8_t stack[STACK_SIZE];

/* In a section of its own, so that the kernel takes it for a program. */
#define PROGRAM __attribute__((section("kick_program"), noinline))
static PROGRAM void program_spin(void)
{
    while (!atomic_load(&stop)) {
        __builtin_ia32_pause();
    }
}

static PROGRAM void program_fault(void)
{
    while (!atomic_load(&stop)) {
        uint32_t a = 0, b, c = 0, d;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    }
}
extern const char __start_kick_program[], __stop_kick_program[];

bool cella_program_is_in(uint64_t address)
{
    return address >= (uint64_t)__start_kick_program && address < (uint64_t)__stop_kick_program;
}

static bool looks(struct cella_td *td)
{
    if (atomic_exchange(&td->attention, 0) == 0) {
        return false;
    }
    atomic_fetch_add(&seen, 1);
    return true;
}

/* In the kernel, where a thread of a real personality looks again before it goes on: being here is enough. */
uint64_t cella_program_rewind(struct cella_td *td, struct sgx_gprsgx *gpr)
{
    (void)gpr;
    looks(td);
    return 0;
}

void cella_program_trap(struct cella_td *td, struct cella_trap *trap)
{
    if (trap->kind == CELLA_TRAP_ATTENTION) {
        looks(td);
    }
}

static cella_result once(struct cella_td *td, uint32_t life)
{
    struct cella_call_wait wait = {.slot = td->slot};
    struct cella_call_wait_list list = {.slot = td->slot, .timeout = -1};
    struct cella_call_waited waited;
    uint64_t clock = 1;
    int64_t time[2];
    size_t size;
    switch (life) {
    case LIFE_SPIN:
        program_spin();
        return CELLA_OK;
    case LIFE_FAULT:
        program_fault();
        return CELLA_OK;
    case LIFE_TIMED:
        wait.clock = CELLA_WAIT_RELATIVE;
        wait.nanoseconds = 1000;
        /* fall through */
    case LIFE_WAIT:
        return cella_system_ocall(CELLA_OCALL_WAIT, &wait, sizeof(wait), NULL, 0, NULL);
    case LIFE_POLL:
        return cella_system_ocall(CELLA_OCALL_POLL, &list, sizeof(list), &waited, sizeof(waited),
                                  &size);
    default:
        return cella_system_ocall(CELLA_OCALL_CLOCK, &clock, sizeof(clock), time, sizeof(time),
                                  &size);
    }
}

/* A pair of sockets of which nobody writes into the other. */
static cella_result receive(struct cella_td *td, uint64_t *lost)
{
    struct cella_call_request pair = {.operation = CELLA_SOCKET_PAIR, .a = 1, .b = 1};
    struct cella_call_request request = {.operation = CELLA_SOCKET_RECEIVE, .b = 8};
    int64_t handles[2];
    union {
        struct cella_call_address address;
        uint8_t bytes[sizeof(struct cella_call_address) + 64];
    } answer;
    size_t size;
    CELLA_TRY(cella_system_ocall(CELLA_OCALL_SOCKET, &pair, sizeof(pair), handles, sizeof(handles),
                                 &size));
    CELLA_ENSURE(handles[0] >= 0, IO);
    request.handle = (int32_t)handles[0];
    while (!atomic_load(&stop)) {
        if (!looks(td)) {
            CELLA_TRY(cella_system_ocall(CELLA_OCALL_SOCKET, &request, sizeof(request), &answer,
                                         sizeof(answer), &size));
            *lost += *(const int64_t *)&answer != -4; /* EINTR */
        }
    }
    return CELLA_OK;
}

ECALL(live)
{
    struct cella_td *td = cella_td_self();
    uint64_t lost = 0;
    CELLA_ENSURE(in_size == 4 && out_capacity >= 16, INVALID_ARGUMENT);
    const uint32_t life = *(const uint32_t *)in;
    const uint64_t room = (sizeof(struct cella_trap) + cella_xsave_size + 63) & ~63ull;
    td->kernel_stack = (uint64_t)stack + STACK_SIZE - room;
    atomic_store(&td->attention, 0);
    atomic_store(&seen, 0);
    atomic_store(&stop, 0);
    atomic_store(&living, td);
    cella_result result = CELLA_OK;
    if (life == LIFE_RECEIVE) {
        result = receive(td, &lost);
    }
    while (!atomic_load(&stop) && life != LIFE_RECEIVE) {
        if (looks(td)) {
            continue;
        }
        result = once(td, life);
        if (!cella_is_ok(result) && result.code != CELLA_CODE_INTERRUPTED &&
            !(life == LIFE_TIMED && result.code == CELLA_CODE_BUSY)) {
            break;
        }
        result = CELLA_OK;
    }
    looks(td);
    atomic_store(&living, NULL);
    td->kernel_stack = 0;
    ((uint64_t *)out)[0] = atomic_load(&seen);
    ((uint64_t *)out)[1] = lost;
    *ret_size = 16;
    return result;
}

static cella_result kick_it(struct cella_td *td)
{
    const uint32_t slot = td->slot;
    atomic_store(&td->attention, 1);
    return cella_system_ocall(CELLA_OCALL_KICK, &slot, sizeof(slot), NULL, 0, NULL);
}

static struct cella_td *wait_for_life(void)
{
    struct cella_td *td;
    while (!(td = atomic_load(&living))) {
        cella_ignore(cella_system_ocall(CELLA_OCALL_YIELD, NULL, 0, NULL, 0, NULL));
    }
    return td;
}

ECALL(kick)
{
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    CELLA_ENSURE(in_size == 16, INVALID_ARGUMENT);
    const uint64_t count = ((const uint64_t *)in)[0];
    const bool waits = ((const uint64_t *)in)[1] != 0;
    struct cella_td *td = wait_for_life();
    for (uint64_t i = 0; i < count; i++) {
        CELLA_TRY(kick_it(td));
        for (uint32_t turn = 0; waits && atomic_load(&td->attention); turn++) {
            if (turn > 100) {
                cella_ignore(cella_system_ocall(CELLA_OCALL_YIELD, NULL, 0, NULL, 0, NULL));
            }
            __builtin_ia32_pause();
        }
    }
    return CELLA_OK;
}

ECALL(stop_it)
{
    UNUSED_CALL;
    struct cella_td *td = wait_for_life();
    atomic_store(&stop, 1);
    return kick_it(td);
}

ECALL(end)
{
    UNUSED_CALL;
    wait_for_life();
    cella_abort();
}

ECALL(signals)
{
    (void)in;
    (void)in_size;
    CELLA_ENSURE(out_capacity >= 8, INVALID_ARGUMENT);
    const uint64_t at = cella_kernel.arenas + offsetof(struct cella_call_arena, signals);
    *ret_size = 8;
    return cella_exchange_u64(out, cella_host_pointer_out(at), 0);
}

CELLA_ECALLS([KICK_LIVE] = {live, 4, 16}, [KICK_KICK] = {kick, 16, 0},
             [KICK_STOP] = {stop_it, 0, 0}, [KICK_ABORT] = {end, 0, 0},
             [KICK_SIGNALS] = {signals, 0, 8});
