/*
 * The test enclave without a libc.
 * Side: enclave (tests). Called by the tests in this folder.
 * Never a model of good manners: it faults on purpose.
 */
#include "cella/enclave.h"
#include "cella/report.h"
#include "tests/runtime/calls.h"

#define UNUSED_CALL                                                                                \
    (void)in;                                                                                      \
    (void)in_size;                                                                                 \
    (void)out;                                                                                     \
    (void)out_capacity;                                                                            \
    (void)ret_size
#define ECALL(name)                                                                                \
    static cella_result name(const void *in, size_t in_size, void *out, size_t out_capacity,       \
                             size_t *ret_size)

ECALL(add)
{
    const int32_t *numbers = in;
    CELLA_ENSURE(in_size == 8 && out_capacity >= 4, INVALID_ARGUMENT);
    *(int32_t *)out = numbers[0] + numbers[1];
    *ret_size = 4;
    return CELLA_OK;
}

ECALL(echo)
{
    CELLA_ENSURE(in_size <= out_capacity, BUFFER_TOO_SMALL);
    for (size_t i = 0; i < in_size; i++) {
        ((uint8_t *)out)[i] = ((const uint8_t *)in)[i];
    }
    *ret_size = in_size;
    return CELLA_OK;
}

ECALL(forward)
{
    const uint32_t *words = in;
    CELLA_ENSURE(in_size >= 8, INVALID_ARGUMENT);
    const size_t capacity = words[1] < out_capacity ? words[1] : out_capacity;
    return cella_ocall(words[0], words + 2, in_size - 8, out, capacity, ret_size);
}

ECALL(nothing)
{
    UNUSED_CALL;
    return CELLA_OK;
}

ECALL(lie_size)
{
    UNUSED_CALL;
    *ret_size = out_capacity + 1;
    return CELLA_OK;
}

ECALL(peek)
{
    UNUSED_CALL;
    CELLA_ENSURE(out_capacity >= 64, BUFFER_TOO_SMALL);
    *ret_size = 64;
    return CELLA_OK;
}

ECALL(random_bytes)
{
    UNUSED_CALL;
    CELLA_ENSURE(out_capacity >= 32, BUFFER_TOO_SMALL);
    CELLA_TRY(cella_random(out, 32));
    *ret_size = 32;
    return CELLA_OK;
}

ECALL(identity)
{
    UNUSED_CALL;
    CELLA_ENSURE(out_capacity >= sizeof(struct sgx_report), BUFFER_TOO_SMALL);
    CELLA_TRY(cella_report_self(out));
    *ret_size = sizeof(struct sgx_report);
    return CELLA_OK;
}

ECALL(verify)
{
    UNUSED_CALL;
    CELLA_ENSURE(in_size == sizeof(struct sgx_report), INVALID_ARGUMENT);
    return cella_report_verify(in);
}

ECALL(target)
{
    CELLA_ENSURE(in_size == sizeof(struct sgx_targetinfo), INVALID_ARGUMENT);
    CELLA_ENSURE(out_capacity >= sizeof(struct sgx_report), BUFFER_TOO_SMALL);
    static const uint8_t data[CELLA_REPORT_DATA_SIZE] = "bound";
    CELLA_TRY(cella_report_create(in, data, out));
    *ret_size = sizeof(struct sgx_report);
    return CELLA_OK;
}

ECALL(key)
{
    CELLA_ENSURE(in_size == sizeof(struct sgx_keyrequest) && out_capacity >= 16, INVALID_ARGUMENT);
    CELLA_TRY(cella_key_get(in, out));
    *ret_size = 16;
    return CELLA_OK;
}

/* Handles one kind of exception by going on behind the instruction. */
static uint32_t handled_vector, handled_error;
static uint64_t handled_address;

static enum cella_exception_verdict handler(struct cella_exception *exception)
{
    const uint8_t *code = (const uint8_t *)exception->registers->rip;
    handled_vector = exception->vector;
    handled_error = exception->error;
    handled_address = exception->address;
    if (code[0] == 0xF7) { /* div %ecx */
        exception->registers->rip += 2;
    } else if (code[0] == 0x0F) { /* ud2 */
        exception->registers->rip += 2;
    } else if (code[0] == 0xC6) { /* movb $1, (%rcx) */
        exception->registers->rip += 3;
    } else if (code[0] == 0xCC) { /* int3: fault-like in an enclave that no debugger opted into */
        exception->registers->rip += 1;
    } else {
        return CELLA_EXCEPTION_NOT_MINE;
    }
    exception->registers->rax = 0x600D;
    return CELLA_EXCEPTION_CONTINUE;
}

static __attribute__((noinline)) uint64_t overflow(uint64_t depth)
{
    volatile uint8_t waste[4096];
    waste[0] = (uint8_t)depth;
    return depth == UINT64_MAX ? 0 : overflow(depth + 1) + waste[0];
}

static uint32_t trap(uint32_t kind)
{
    uint64_t rax = 1;
    const uint64_t zero = 0;
    switch (kind) {
    case TRAP_DIVIDE:
        __asm__ volatile("div %%ecx" : "+a"(rax) : "c"(zero), "d"(zero) : "cc");
        break;
    case TRAP_UD2:
        __asm__ volatile("ud2" : "+a"(rax));
        break;
    case TRAP_WRITE_NULL:
        __asm__ volatile("movb $1, (%%rcx)" : "+a"(rax) : "c"(zero) : "memory");
        break;
    case TRAP_WRITE_TEXT:
        __asm__ volatile("movb $1, (%%rcx)" : "+a"(rax) : "c"(trap) : "memory");
        break;
    case TRAP_INT3:
        __asm__ volatile("int3" : "+a"(rax));
        break;
    case TRAP_STACK_OVERFLOW:
        rax = overflow(0);
        break;
    default:
        break;
    }
    return (uint32_t)rax;
}

ECALL(trap_call)
{
    const uint32_t *words = in;
    uint32_t *answer = out;
    CELLA_ENSURE(in_size == 8 && out_capacity >= 16, INVALID_ARGUMENT);
    if (words[1]) {
        CELLA_TRY(cella_exception_add(handler, 1));
    }
    answer[0] = trap(words[0]);
    answer[1] = handled_vector;
    answer[2] = handled_error;
    answer[3] = (uint32_t)handled_address;
    *ret_size = 16;
    return words[1] ? cella_exception_remove(handler) : CELLA_OK;
}

ECALL(abort_call)
{
    UNUSED_CALL;
    cella_abort();
}

static _Thread_local uint32_t counter = 100;

ECALL(tls)
{
    UNUSED_CALL;
    CELLA_ENSURE(out_capacity >= 4, BUFFER_TOO_SMALL);
    *(uint32_t *)out = ++counter;
    *ret_size = 4;
    return CELLA_OK;
}

/* A secret in every register that an ecall may leave something in. */
ECALL(registers)
{
    UNUSED_CALL;
    const uint64_t secret = 0x5EC12E75EC12E700ull;
    __asm__ volatile("movq %0, %%xmm0\n\t"
                     "vpbroadcastq %%xmm0, %%ymm0\n\t"
                     "vmovdqa %%ymm0, %%ymm7\n\t"
                     "vmovdqa %%ymm0, %%ymm15\n\t"
                     "fldpi\n\t"
                     "fldpi\n\t"
                     "movq %0, %%mm0\n\t"
                     "mov %0, %%rcx\n\t"
                     "mov %0, %%r8\n\t"
                     "mov %0, %%r9\n\t"
                     "mov %0, %%r10\n\t"
                     "mov %0, %%r11\n\t"
                     :
                     : "r"(secret)
                     : "rcx", "r8", "r9", "r10", "r11", "xmm0", "xmm7", "xmm15", "memory");
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0xE0) == 0xE0) {
        __asm__ volatile("vpbroadcastq %0, %%zmm16\n\t"
                         "vmovdqa64 %%zmm16, %%zmm31\n\t"
                         "kmovw %k0, %%k1\n\t"
                         "kmovw %k0, %%k7"
                         :
                         : "r"(secret));
    }
    return CELLA_OK;
}

/* XRSTOR can make the upper halves of ZMM0 … 15 the only vector state that the processor knows to be in use. */
ECALL(upper)
{
    (void)out;
    (void)out_capacity;
    (void)ret_size;
    static _Alignas(64) uint64_t area[512];
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    CELLA_ENSURE((low & 0xE0) == 0xE0, UNSUPPORTED);
    CELLA_ENSURE(in_size == 4 && *(const uint32_t *)in <= sizeof(area) - 512, INVALID_ARGUMENT);
    const uint32_t at = *(const uint32_t *)in / 8;
    CELLA_ENSURE(at >= 72, INVALID_ARGUMENT);
    area[64] = 0x40; /* XSTATE_BV */
    for (uint32_t i = 0; i < 64; i++) {
        area[at + i] = 0x5EC12E75EC12E700ull;
    }
    __asm__ volatile("xrstor64 %0" : : "m"(area), "a"(0xE6), "d"(0) : "memory");
    return CELLA_OK;
}

/* What the entry has left in flags, MXCSR and x87. */
ECALL(state)
{
    UNUSED_CALL;
    struct none_state *state = out;
    uint8_t environment[28];
    uint16_t fcw;
    CELLA_ENSURE(out_capacity >= sizeof(*state), BUFFER_TOO_SMALL);
    __asm__ volatile("pushfq\n\tpop %0" : "=r"(state->rflags));
    __asm__ volatile("stmxcsr %0" : "=m"(state->mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(fcw));
    __asm__ volatile("fnstenv %0\n\tfldenv %0" : "+m"(environment));
    const uint16_t tags = (uint16_t)(environment[8] | environment[9] << 8);
    state->fcw = fcw;
    state->x87_full = 0;
    for (int i = 0; i < 8; i++) {
        state->x87_full += (tags >> (2 * i) & 3) != 3;
    }
    *ret_size = sizeof(*state);
    return CELLA_OK;
}

ECALL(buffer)
{
    CELLA_ENSURE(in_size == 8 && out_capacity >= 4, INVALID_ARGUMENT);
    const uint64_t size = *(const uint64_t *)in;
    uint8_t *pages = cella_pages_new(size);
    CELLA_ENSURE(pages != NULL, OUT_OF_MEMORY);
    uint32_t zero = 1;
    for (uint64_t i = 0; i < size; i++) {
        zero &= pages[i] == 0;
        pages[i] = 0xAA;
    }
    cella_pages_free(pages, size);
    *(uint32_t *)out = zero;
    *ret_size = 4;
    return CELLA_OK;
}

static __attribute__((noinline)) void overrun(volatile uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = 0x41;
    }
}

ECALL(smash)
{
    UNUSED_CALL;
    uint8_t small[16];
    overrun(small, sizeof(small) + 32);
    return CELLA_OK;
}

ECALL(result)
{
    UNUSED_CALL;
    CELLA_ENSURE(in_size == 4, INVALID_ARGUMENT);
    return (cella_result){.code = *(const uint32_t *)in};
}

ECALL(cpuid)
{
    CELLA_ENSURE(in_size == 4 && out_capacity >= 16, INVALID_ARGUMENT);
    uint32_t *regs = out;
    __asm__ volatile("cpuid"
                     : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
                     : "a"(*(const uint32_t *)in), "c"(0));
    *ret_size = 16;
    return CELLA_OK;
}

ECALL(wait)
{
    UNUSED_CALL;
    return cella_ocall(0, in, in_size, NULL, 0, NULL);
}

ECALL(switchless)
{
    const uint32_t *words = in;
    CELLA_ENSURE(in_size >= 12, INVALID_ARGUMENT);
    const size_t capacity = words[1] < out_capacity ? words[1] : out_capacity;
    for (uint32_t i = 0; i < words[2]; i++) {
        CELLA_TRY(
            cella_ocall_switchless(words[0], words + 3, in_size - 12, out, capacity, ret_size));
    }
    return CELLA_OK;
}

ECALL(nest)
{
    const uint32_t *words = in;
    CELLA_ENSURE(in_size >= 8 && out_capacity >= 4, INVALID_ARGUMENT);
    const uint32_t before = counter;
    counter = 1000;
    cella_result result =
        words[1] ? cella_ocall_switchless(words[0], words + 2, in_size - 8, out, 4, ret_size)
                 : cella_ocall(words[0], words + 2, in_size - 8, out, 4, ret_size);
    counter = before;
    return result;
}

#define BIG (4u << 20)
CELLA_ECALLS([NONE_ADD] = {add, 64, 64}, [NONE_ECHO] = {echo, BIG, BIG},
             [NONE_FORWARD] = {forward, BIG, BIG}, [NONE_NOTHING] = {nothing, 0, 0},
             [NONE_LIE_SIZE] = {lie_size, 0, 64}, [NONE_PEEK] = {peek, 64, 64},
             [NONE_RANDOM] = {random_bytes, 0, 32}, [NONE_IDENTITY] = {identity, 0, 4096},
             [NONE_VERIFY] = {verify, 4096, 0}, [NONE_TRAP] = {trap_call, 8, 16},
             [NONE_ABORT] = {abort_call, 0, 0}, [NONE_TLS] = {tls, 0, 4},
             [NONE_REGISTERS] = {registers, 0, 0}, [NONE_STATE] = {state, 0, 64},
             [NONE_BUFFER] = {buffer, 8, 4}, [NONE_SMASH] = {smash, 0, 0},
             [NONE_RESULT] = {result, 4, 0}, [NONE_CPUID] = {cpuid, 4, 16},
             [NONE_TARGET] = {target, 512, 4096}, [NONE_WAIT] = {wait, 64, 0},
             [NONE_KEY] = {key, 512, 16}, [NONE_SWITCHLESS] = {switchless, BIG, BIG},
             [NONE_NEST] = {nest, 64, 4}, [NONE_UPPER] = {upper, 4, 0});
_Static_assert(sizeof(cella_ecall_table) / sizeof(cella_ecall_table[0]) == NONE_ECALL_COUNT,
               "calls.h");
