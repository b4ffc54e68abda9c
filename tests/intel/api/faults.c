/*
 * sgx_trts_exception.h: who is asked and in which order, what handlers may change, faults in handlers, faults that
 * nobody wants.
 * Side: enclave, tests.
 */
#include "sgx_trts_exception.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "api_t.h"
#include "check.h"
#include "sgx_cpuid.h"
#include "sgx_trts.h"
#include "sgx_trts_aex.h"

/* What happened, letter by letter. */
static char story[16];
static unsigned story_size;
static sgx_exception_info_t seen;

static void tell(char letter)
{
    if (story_size < sizeof(story) - 1) {
        story[story_size++] = letter;
    }
}

static int story_is(const char *wanted)
{
    story[story_size] = 0;
    const int same = strcmp(story, wanted) == 0;
    story_size = 0;
    return same;
}

static int pass_on(sgx_exception_info_t *info)
{
    (void)info;
    tell('p');
    return EXCEPTION_CONTINUE_SEARCH;
}

static int pass_on_too(sgx_exception_info_t *info)
{
    (void)info;
    tell('q');
    return EXCEPTION_CONTINUE_SEARCH;
}

/* Goes on where RBX says, with another RDX. */
static int go_on(sgx_exception_info_t *info)
{
    tell('g');
    seen = *info;
    info->cpu_context.rip = info->cpu_context.rbx;
    info->cpu_context.rdx = 4711;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* The instructions between must not change RDX; gives what RDX then is. */
#define FAULT(text, a, c)                                                                          \
    ({                                                                                             \
        uint64_t rdx_ = 0, rax_ = (uint64_t)(a), rcx_ = (uint64_t)(c);                             \
        __asm__ volatile("leaq 1f(%%rip), %%rbx\n\t" text "\n1:"                                   \
                         : "+d"(rdx_), "+a"(rax_), "+c"(rcx_)                                      \
                         :                                                                         \
                         : "rbx", "memory", "cc");                                                 \
        rdx_;                                                                                      \
    })

static int order(void)
{
    void *go = sgx_register_exception_handler(0, go_on);
    void *first = sgx_register_exception_handler(1, pass_on);
    CHECK(go && first && go != first);
    CHECK(FAULT("ud2", 0, 0) == 4711 && story_is("pg"));
    void *very_first = sgx_register_exception_handler(1, pass_on_too);
    void *last = sgx_register_exception_handler(0, pass_on);
    CHECK(FAULT("ud2", 0, 0) == 4711 && story_is("qpg"));
    CHECK(sgx_unregister_exception_handler(first) == 1);
    CHECK(FAULT("ud2", 0, 0) == 4711 && story_is("qg"));
    CHECK(sgx_unregister_exception_handler(first) == 0);
    CHECK(sgx_unregister_exception_handler(NULL) == 0);
    CHECK(sgx_unregister_exception_handler(very_first) == 1);
    CHECK(sgx_unregister_exception_handler(last) == 1);
    CHECK(sgx_register_exception_handler(0, NULL) == NULL);
    CHECK(sgx_register_exception_handler(0, (sgx_exception_handler_t)0x1000) == NULL);
    CHECK(sgx_unregister_exception_handler(go) == 1);
    return 0;
}

static int kinds(void)
{
    void *go = sgx_register_exception_handler(1, go_on);
    CHECK(FAULT("ud2", 0x1234, 0x5678) == 4711 && story_is("g"));
    CHECK(seen.exception_vector == SGX_EXCEPTION_VECTOR_UD);
    CHECK(seen.exception_type == SGX_EXCEPTION_HARDWARE && seen.exception_valid == 1);
    CHECK(seen.cpu_context.rax == 0x1234 && seen.cpu_context.rcx == 0x5678);
    CHECK(seen.cpu_context.rsp - (uint64_t)&go < 0x1000 ||
          (uint64_t)&go - seen.cpu_context.rsp < 0x1000);
    CHECK(FAULT("divl %%ecx", 1, 0) == 4711 && story_is("g"));
    CHECK(seen.exception_vector == SGX_EXCEPTION_VECTOR_DE);
    /* A breakpoint is one for a debugger, that is, in a TCS that lets it in: else an instruction that does not exist. */
    CHECK(FAULT("int3", 0, 0) == 4711 && story_is("g"));
    CHECK(seen.exception_vector == SGX_EXCEPTION_VECTOR_UD);
    /* MiscSelect has EXINFO: page faults and general protection come, with the address. */
    CHECK(FAULT("movb $1, (%%rax)", 8, 0) == 4711 && story_is("g"));
    CHECK(seen.exception_vector == SGX_EXCEPTION_VECTOR_PF);
    CHECK(seen.exinfo.faulting_address == 8 && (seen.exinfo.error_code & 2) != 0);
    CHECK(FAULT("movb (%%rax), %%cl", 0x8000000000000000, 0) == 4711 && story_is("g"));
    CHECK(seen.exception_vector == SGX_EXCEPTION_VECTOR_GP);
    CHECK(sgx_unregister_exception_handler(go) == 1);
    return 0;
}

/* Vector registers: a handler sees those of the fault, and what it changes arrives. */
static int change_xmm(sgx_exception_info_t *info)
{
    tell('x');
    if (info->xsave_size < 576) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    uint64_t *xmm0 = (uint64_t *)(void *)(info->xsave_area + 160);
    xmm0[0] += 5;
    info->cpu_context.rip += 2;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static int vectors(void)
{
    uint64_t value = 37;
    void *handler = sgx_register_exception_handler(1, change_xmm);
    CHECK(handler != NULL);
    __asm__ volatile("movq %0, %%xmm0\n\tud2\n\tmovq %%xmm0, %0" : "+r"(value) : : "xmm0");
    CHECK(story_is("x") && value == 42);
    CHECK(sgx_unregister_exception_handler(handler) == 1);
    return 0;
}

/* A handler that faults itself, asks CPUID and locks nothing. */
static int faulting(sgx_exception_info_t *info)
{
    static int inside;
    int registers[4];
    if (inside) {
        tell('i');
        info->cpu_context.rip = info->cpu_context.rbx;
        info->cpu_context.rdx = 1;
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    inside = 1;
    tell('o');
    if (FAULT("divl %%ecx", 1, 0) != 1 || sgx_cpuid(registers, 0) != SGX_SUCCESS) {
        tell('!');
    }
    inside = 0;
    tell('e');
    info->cpu_context.rip = info->cpu_context.rbx;
    info->cpu_context.rdx = 2;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static int nested(void)
{
    void *handler = sgx_register_exception_handler(1, faulting);
    CHECK(FAULT("ud2", 0, 0) == 2 && story_is("oie"));
    CHECK(FAULT("ud2", 0, 0) == 2 && story_is("oie"));
    CHECK(sgx_unregister_exception_handler(handler) == 1);
    return 0;
}

/* A handler may leave for good. */
static jmp_buf back;
static int leave(sgx_exception_info_t *info)
{
    (void)info;
    longjmp(back, 7);
}

static int leaving(void)
{
    void *handler = sgx_register_exception_handler(1, leave);
    for (volatile int i = 0; i < 50; i++) {
        const int from = setjmp(back);
        if (from == 0) {
            FAULT("ud2", 0, 0);
            return __LINE__;
        }
        CHECK(from == 7);
    }
    CHECK(sgx_unregister_exception_handler(handler) == 1);
    return 0;
}

/* A handler that takes itself out while it runs; as many as there may be. */
static void *own;
static int once(sgx_exception_info_t *info)
{
    tell('1');
    sgx_unregister_exception_handler(own);
    return go_on(info);
}

static int changing(void)
{
    void *many[80];
    unsigned count = 0;
    void *go = sgx_register_exception_handler(0, go_on);
    own = sgx_register_exception_handler(1, once);
    CHECK(FAULT("ud2", 0, 0) == 4711 && story_is("1g"));
    CHECK(FAULT("ud2", 0, 0) == 4711 && story_is("g"));
    CHECK(sgx_unregister_exception_handler(go) == 1);
    while (count < 80 && (many[count] = sgx_register_exception_handler(1, pass_on)) != NULL) {
        count++;
    }
    CHECK(count >= 32);
    while (count > 0) {
        CHECK(sgx_unregister_exception_handler(many[--count]) == 1);
    }
    return 0;
}

/* AEX-Notify is not there, and says so. */
static void on_aex(const sgx_exception_info_t *info, const void *args)
{
    (void)info;
    (void)args;
}

static int notify(void)
{
    sgx_aex_mitigation_node_t node;
    GOOD(sgx_set_ssa_aexnotify(0));
    CHECK(sgx_set_ssa_aexnotify(1) == SGX_ERROR_FEATURE_NOT_SUPPORTED);
    CHECK(sgx_register_aex_handler(&node, on_aex, NULL) == SGX_ERROR_FEATURE_NOT_SUPPORTED);
    BAD_PARAMETER(sgx_register_aex_handler(NULL, on_aex, NULL));
    BAD_PARAMETER(sgx_register_aex_handler(&node, NULL, NULL));
    BAD_PARAMETER(sgx_unregister_aex_handler(NULL));
    return 0;
}

int test_faults(void)
{
    static int (*const parts[])(void) = {order, kinds, vectors, nested, leaving, changing, notify};
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        story_size = 0;
        const int line = parts[i]();
        if (line != 0) {
            return line;
        }
    }
    return 0;
}

/* Each ends the enclave. */
static int recurse(volatile int *depth)
{
    volatile int here[1024];
    here[0] = *depth + 1;
    return here[0] < 1000000 ? recurse(here) + here[0] : 0;
}

void fault_unhandled(int kind)
{
    switch (kind) {
    case 0:
        FAULT("ud2", 0, 0);
        break;
    case 1:
        abort();
    case 2: {
        volatile int depth = 0;
        recurse(&depth);
        break;
    }
    default:
        FAULT("movb $1, (%%rax)", 8, 0);
        break;
    }
}
