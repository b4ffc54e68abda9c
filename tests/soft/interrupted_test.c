/*
 * A signal at every instruction of a fault, its handling inside, the resumption and a patched exit, one after another:
 * a debugger steps through them once, then stops at each place by a hardware breakpoint and sends the signal there.
 * Side: tests (host). Run by meson. Depends on no timer; skipped where processes may not trace their children.
 */
#include "tests/soft/probe_bench.h"

#include "soft/transition.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STEPS_MAX 200000u
#define OCCURRENCES_MAX 4u
#define PLACES_MAX 16384u
#define FS_MARKER 0x4D41524Bu
#define MESON_SKIP 77
#define DR7_EXECUTE_0 1ul

/* Shared by the debugger and the child that it traces. */
struct shared {
    _Atomic bool stop;
    _Atomic unsigned signals; /* handled */
    bool enters;              /* the handler enters by the other TCS, faults there and resumes */
    _Atomic bool inside;      /* the place of this trial is in the enclave */
    _Atomic bool failed;
    uint64_t base, size; /* of the enclave */
    uint64_t rip;        /* of this trial */
    char text[256];
};

static struct shared *g_shared;
static struct probe g_probe;
static __thread unsigned g_marker;

static void complain(const char *what, uint64_t value, uint64_t wanted)
{
    if (!atomic_exchange(&g_shared->failed, true)) {
        snprintf(g_shared->text, sizeof(g_shared->text), "%s is %#llx, not %#llx", what,
                 (unsigned long long)value, (unsigned long long)wanted);
    }
}

#define EXPECT(value, wanted)                                                                      \
    do {                                                                                           \
        const uint64_t value_ = (uint64_t)(value), wanted_ = (uint64_t)(wanted);                   \
        if (value_ != wanted_) {                                                                   \
            complain(#value, value_, wanted_);                                                     \
        }                                                                                          \
    } while (0)

/* ------------------------------------------------------------------ the child */

static void run_in_handler(uint32_t function, uint64_t operation, struct probe_call *call,
                           uint32_t wanted)
{
    static struct sgx_linux_run run;
    memset(&run, 0, sizeof(run));
    run.tcs = g_probe.tcs2;
    call->in[0] = operation;
    call->function = function;
    EXPECT(probe_call(g_probe.processor->enter(), call, &run), 0);
    EXPECT(run.function, wanted);
}

/* All on one stack frame: AEX gives back the RSP that EENTER saw. */
static void enter_in_handler(void)
{
    static _Alignas(64) uint8_t stack[32768];
    const uint64_t gpr = (uint64_t)(uintptr_t)probe_gpr(&g_probe, g_probe.tcs2, 0);
    struct probe_call call = {
        .in = {0, gpr - (uint64_t)(uintptr_t)g_probe.enclave->alias + g_probe.base, 2, 3, 4,
               g_probe.tcs2},
        .stack = (uint64_t)(uintptr_t)stack + sizeof(stack)};
    run_in_handler(SGX_EENTER, PROBE_MARKED, &call, SGX_EEXIT);
    EXPECT(call.out[2], 2);
    run_in_handler(SGX_EENTER, PROBE_UNDEFINED, &call, SGX_ERESUME);
    run_in_handler(SGX_EENTER, PROBE_ADVANCE, &call, SGX_EEXIT);
    run_in_handler(SGX_ERESUME, 0, &call, SGX_EEXIT);
    EXPECT(((struct sgx_tcs *)soft_alias(g_probe.enclave, g_probe.tcs2))->cssa, 0);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    static const int cleared[] = {REG_RDX, REG_RSI, REG_RDI, REG_R8,  REG_R9, REG_R10,
                                  REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    (void)number;
    (void)info;
    EXPECT(g_marker, FS_MARKER);
    EXPECT(soft_in_elrange(g_probe.enclave, (uint64_t)registers[REG_RIP], 1), false);
    EXPECT(soft_in_elrange(g_probe.enclave, (uint64_t)registers[REG_RSP], 1), false);
    if (g_shared->inside) { /* the synthetic state of an AEX (SDM 38.3) */
        EXPECT(registers[REG_RAX], SGX_ERESUME);
        EXPECT(registers[REG_RBX], g_probe.tcs);
        EXPECT(registers[REG_RCX], registers[REG_RIP]);
        for (size_t i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++) {
            EXPECT(registers[cleared[i]], 0);
        }
    }
    if (g_shared->enters) {
        enter_in_handler();
    }
    atomic_fetch_add(&g_shared->signals, 1);
}

/* ENCLU by the patched site: RAX afterwards. */
static uint64_t leaf(uint64_t number, uint64_t flags, uint64_t address)
{
    const uint64_t data = g_probe.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    *(struct sgx_secinfo *)soft_alias(g_probe.enclave, data) = (struct sgx_secinfo){.flags = flags};
    struct probe_call call = {.in = {0, data, address, number, data, g_probe.tcs}};
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_LEAF, &call), 0);
    EXPECT(g_probe.run.function, SGX_EEXIT);
    EXPECT(call.out[2], address);
    return call.out[1];
}

/* Leaves without a trap: done, with an error code, with vector registers kept; and one that faults, skipped inside. */
static void leaves(void)
{
    const uint64_t data = g_probe.base + PROBE_PAGE_DATA * SGX_PAGE_SIZE;
    const uint64_t rw = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
    EXPECT(leaf(SGX_EMODPE, rw, data), SGX_EMODPE);
    EXPECT(leaf(SGX_EACCEPT, rw | SGX_SECINFO_PENDING, data), SGX_PAGE_ATTRIBUTES_MISMATCH);
    EXPECT(leaf(SGX_EACCEPTCOPY, rw, data), SGX_PAGE_ATTRIBUTES_MISMATCH);
    struct probe_call call = {.in = {0, data + 1, data, SGX_EACCEPT, 0, g_probe.tcs}};
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_LEAF, &call), 0);
    EXPECT(g_probe.run.function, SGX_ERESUME);
    EXPECT(g_probe.run.exception_vector, SGX_VECTOR_GP);
    const uint64_t gpr = (uint64_t)(uintptr_t)probe_gpr(&g_probe, g_probe.tcs, 0);
    call = (struct probe_call){
        .in = {0, gpr - (uint64_t)(uintptr_t)g_probe.enclave->alias + g_probe.base,
               SOFT_LEAF_SITE_SIZE}};
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_ADVANCE, &call), 0);
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_ERESUME, 0, &call), 0);
    EXPECT(g_probe.run.function, SGX_EEXIT);
    EXPECT(call.out[1], SGX_EACCEPT);
}

/*
 * A fault, its handling on CSSA 1, the resumption, an exit by ENCLU, an exit by the patched site; then other leaves by
 * theirs.
 */
static void scenario(void)
{
    struct probe_call call = {0};
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_UNDEFINED, &call), 0);
    EXPECT(g_probe.run.function, SGX_ERESUME);
    EXPECT(g_probe.run.exception_vector, SGX_VECTOR_UD);
    EXPECT(probe_tcs(&g_probe)->cssa, 1);
    const uint64_t gpr = (uint64_t)(uintptr_t)probe_gpr(&g_probe, g_probe.tcs, 0);
    call = (struct probe_call){
        .in = {0, gpr - (uint64_t)(uintptr_t)g_probe.enclave->alias + g_probe.base, 2}};
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_ADVANCE, &call), 0);
    EXPECT(g_probe.run.function, SGX_EEXIT);
    EXPECT(probe_tcs(&g_probe)->cssa, 1);
    EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_ERESUME, 0, &call), 0);
    EXPECT(g_probe.run.function, SGX_EEXIT);
    EXPECT(probe_tcs(&g_probe)->cssa, 0);
    for (uint64_t i = 1; i <= 2; i++) { /* once checked anew, once by what is cached */
        call = (struct probe_call){.in = {0, i, ~i, i * 3, i * 5, g_probe.tcs}};
        EXPECT(probe_run(&g_probe, g_probe.tcs, SGX_EENTER, PROBE_MARKED, &call), 0);
        EXPECT(g_probe.run.function, SGX_EEXIT);
        EXPECT(call.out[1], i);
        EXPECT(call.out[2], ~i);
        EXPECT(call.out[3], i * 3);
        EXPECT(call.out[4], i * 5);
    }
    leaves();
    EXPECT(probe_tcs(&g_probe)->state, 0);
    EXPECT(probe_tcs(&g_probe)->cssa, 0);
}

static void child_main(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    g_marker = FS_MARKER;
    probe_open(&g_probe, &(struct probe_options){0});
    g_shared->base = g_probe.base;
    g_shared->size = g_probe.enclave->size;
    EXPECT(sigaction(SIGALRM, &action, NULL), 0);
    scenario();
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
        _exit(MESON_SKIP);
    }
    while (!g_shared->stop && !g_shared->failed) {
        raise(SIGSTOP);
        scenario();
    }
    _exit(g_shared->failed ? 1 : 0);
}

/* ------------------------------------------------------------------ its debugger */

struct place {
    uint64_t rip;
    unsigned occurrence;
};
static struct place g_places[PLACES_MAX];
static size_t g_place_count;

static uint64_t child_rip(pid_t child)
{
    struct user_regs_struct registers;
    assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &registers), 0);
    return registers.rip;
}

static void child_died(int status)
{
    fail_msg("signal at %#llx (soft_aep%+lld): status %#x: %s", (unsigned long long)g_shared->rip,
             (long long)(g_shared->rip - (uint64_t)(uintptr_t)soft_aep), (unsigned)status,
             g_shared->text);
}

/* The signal the child is stopped by. */
static int wait_for_stop(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status)) {
        child_died(status);
    }
    return WSTOPSIG(status);
}

/* An instruction that repeats itself is one place. */
static void note_place(uint64_t rip)
{
    static uint64_t latest;
    struct place *place = &g_places[g_place_count];
    if (rip == latest) {
        return;
    }
    latest = rip;
    *place = (struct place){.rip = rip, .occurrence = 1};
    for (size_t i = 0; i < g_place_count; i++) {
        place->occurrence += g_places[i].rip == rip;
    }
    if (place->occurrence <= OCCURRENCES_MAX) {
        g_place_count++;
        assert_true(g_place_count < PLACES_MAX);
    }
}

/* Runs the scenario once, an instruction at a time. */
static void survey(pid_t child)
{
    int pass = 0;
    for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, (void *)(intptr_t)pass), 0);
        const int number = wait_for_stop(child);
        if (number == SIGSTOP) {
            return;
        }
        pass = number == SIGTRAP ? 0 : number;
        note_place(child_rip(child));
    }
    fail_msg("the scenario does not end");
}

static bool set_breakpoint(pid_t child, uint64_t address)
{
    return ptrace(PTRACE_POKEUSER, child, (void *)offsetof(struct user, u_debugreg[0]),
                  (void *)address) == 0 &&
           ptrace(PTRACE_POKEUSER, child, (void *)offsetof(struct user, u_debugreg[7]),
                  (void *)(address ? DR7_EXECUTE_0 : 0)) == 0;
}

/* The scenario with one signal, at `place`. true: it came by there. */
static bool interrupt(pid_t child, const struct place *place)
{
    unsigned seen = 0;
    int pass = 0;
    g_shared->rip = place->rip;
    g_shared->inside = place->rip - g_shared->base < g_shared->size;
    assert_true(set_breakpoint(child, place->rip));
    for (;;) {
        assert_int_equal(ptrace(PTRACE_CONT, child, NULL, (void *)(intptr_t)pass), 0);
        const int number = wait_for_stop(child);
        pass = number;
        if (number == SIGSTOP) {
            return seen >= place->occurrence;
        }
        if (number == SIGTRAP) {
            seen++;
            pass = 0;
            if (seen == place->occurrence) {
                assert_true(set_breakpoint(child, 0));
                pass = SIGALRM;
            }
        }
    }
}

/* Lets the child come to its end; gives its status. */
static int finish(pid_t child)
{
    int status = 0, pass = 0;
    do {
        assert_int_equal(ptrace(PTRACE_CONT, child, NULL, (void *)(intptr_t)pass), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        pass = WSTOPSIG(status);
    } while (WIFSTOPPED(status));
    return status;
}

static void interrupt_everywhere(bool enters)
{
    g_shared =
        mmap(NULL, sizeof(*g_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(g_shared, MAP_FAILED);
    g_shared->enters = enters;
    g_place_count = 0;
    const pid_t child = fork();
    if (child == 0) {
        child_main();
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == MESON_SKIP) {
        skip();
    }
    assert_true(WIFSTOPPED(status));
    if (!set_breakpoint(child, g_shared->base)) { /* a virtual machine may have none */
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        skip();
    }
    assert_true(set_breakpoint(child, 0));
    survey(child);
    unsigned hits = 0, inside = 0;
    for (size_t i = 0; i < g_place_count; i++) {
        const bool hit = interrupt(child, &g_places[i]);
        hits += hit;
        inside += hit && g_shared->inside;
    }
    print_message("%zu places, %u interrupted, %u of them inside\n", g_place_count, hits, inside);
    g_shared->stop = true;
    status = finish(child);
    if (status != 0) {
        child_died(status);
    }
    assert_true(inside > 20);
    assert_true(hits > 1000);
    assert_int_equal(g_shared->signals, hits);
}

static void test_every_instruction(void **state)
{
    (void)state;
    interrupt_everywhere(false);
}

static void test_handler_enters_everywhere(void **state)
{
    (void)state;
    interrupt_everywhere(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instruction),
        cmocka_unit_test(test_handler_enters_everywhere),
    };
    return cmocka_run_group_tests_name("soft_interrupted", tests, NULL, NULL);
}
