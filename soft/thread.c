/*
 * Threads of the software processor: the block each has, and what the kernel must be told about it.
 * Side: soft. Called by the transitions at a thread's first EENTER, by the fork hooks and at thread exit.
 * Never runs with a foreign FS base; makes only raw system calls.
 */
#include "soft/driver.h"
#include "soft/transition.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define SOFT_DISPATCH_OFF 0
#define SOFT_DISPATCH_ON 1

_Static_assert(offsetof(struct soft_thread, selector) == SOFT_T_SELECTOR, "enter.S");
_Static_assert(offsetof(struct soft_thread, inside) == SOFT_T_INSIDE, "enter.S");
_Static_assert(offsetof(struct soft_thread, entry) == SOFT_T_ENTRY, "enter.S");
_Static_assert(offsetof(struct soft_thread, resume_at) == SOFT_T_RESUME, "enter.S");
_Static_assert(offsetof(struct soft_thread, leaf) == SOFT_T_LEAF, "enter.S");
_Static_assert(offsetof(struct soft_thread, deferred) == SOFT_T_DEFERRED, "enter.S");
_Static_assert(offsetof(struct soft_thread, call.rax) == SOFT_T_LEAF_RAX, "enter.S");
_Static_assert(offsetof(struct soft_thread, call.rsp) == SOFT_T_LEAF_RSP, "enter.S");
_Static_assert(offsetof(struct soft_thread, call.rip) == SOFT_T_LEAF_RIP, "enter.S");
_Static_assert(offsetof(struct soft_thread, call.rbp) == SOFT_T_LEAF_RBP, "enter.S");
_Static_assert(offsetof(struct soft_thread, entries) == SOFT_T_ENTRIES, "enter.S");
_Static_assert(sizeof(struct soft_entry) == 1 << SOFT_ENTRY_SHIFT, "enter.S");
_Static_assert(sizeof(struct soft_thread) <= SOFT_THREAD_SIZE, "the block's last pages");

/* Read by enter.S. Hidden, so that RIP-relative access needs no GOT. */
__attribute__((visibility("hidden"))) uint64_t soft_arena_base, soft_arena_size;
__attribute__((visibility("hidden"),
               tls_model("initial-exec"))) __thread struct soft_thread *soft_thread_tls;

/* A block is ready once its pages may be touched: soft_thread_forget looks into other threads' blocks. */
enum block_state {
    BLOCK_FREE,
    BLOCK_TAKEN,
    BLOCK_READY,
};
static _Atomic uint8_t g_used[SOFT_MAX_THREADS];
static _Atomic uint32_t g_arena_lock;
static pthread_key_t g_exit_key;
static bool g_exit_key_made;

struct soft_thread *soft_thread_self(void)
{
    return soft_thread_tls;
}

static struct soft_thread *thread_at(uint32_t index)
{
    return (struct soft_thread *)(soft_arena_base + (uint64_t)index * SOFT_BLOCK_SIZE +
                                  SOFT_THREAD_OFFSET);
}

static uint64_t thread_block(const struct soft_thread *thread)
{
    return (uint64_t)(uintptr_t)thread - SOFT_THREAD_OFFSET;
}

/* Fails on old kernels: then SYSCALL inside reaches the kernel (CAVEATS.md; cella doctor tells). */
static void thread_dispatch(struct soft_thread *thread)
{
    soft_syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, SOFT_DISPATCH_ON, soft_restorer_begin,
                 soft_restorer_end - soft_restorer_begin, &thread->selector, 0);
}

static stack_t thread_stack(const struct soft_thread *thread)
{
    return (stack_t){
        .ss_sp = (void *)(thread_block(thread) + SOFT_BLOCK_GUARD),
        .ss_size = SOFT_THREAD_OFFSET - SOFT_BLOCK_GUARD,
    };
}

/* false: a handler runs on the application's alternate stack, and the kernel lets nobody change it meanwhile. */
static bool thread_set_stack(struct soft_thread *thread)
{
    const stack_t stack = thread_stack(thread);
    if (soft_syscall(SYS_sigaltstack, &stack, &thread->app_stack, 0, 0, 0, 0) == 0) {
        return true;
    }
    soft_syscall(SYS_sigaltstack, 0, &thread->app_stack, 0, 0, 0, 0);
    thread->app_stack.ss_flags &= ~SS_ONSTACK;
    return false;
}

/*
 * The interrupted code will set the stack itself, by soft_restack, and then go on where it was: below its red zone lie
 * the new stack and the place to go on.
 */
static void thread_restack_later(const struct soft_thread *thread, ucontext_t *context)
{
    greg_t *registers = context->uc_mcontext.gregs;
    struct {
        stack_t stack;
        uint64_t rip;
    } *frame = (void *)((uint64_t)registers[REG_RSP] - SOFT_RESTACK_SKIP - sizeof(*frame));
    frame->stack = thread_stack(thread);
    frame->rip = (uint64_t)registers[REG_RIP];
    registers[REG_RSP] = (greg_t)frame;
    registers[REG_RIP] = (greg_t)soft_restack;
}

static void thread_give_block(struct soft_thread *thread)
{
    soft_syscall(SYS_madvise, thread_block(thread), SOFT_BLOCK_SIZE, MADV_DONTNEED, 0, 0, 0);
    atomic_store(&g_used[(thread_block(thread) - soft_arena_base) / SOFT_BLOCK_SIZE], BLOCK_FREE);
}

/* At thread exit: gives the kernel back what it had before the block goes to another thread. */
static void thread_exit(void *argument)
{
    struct soft_thread *thread = argument;
    soft_syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, SOFT_DISPATCH_OFF, 0, 0, 0, 0);
    soft_syscall(SYS_sigaltstack, &thread->app_stack, 0, 0, 0, 0, 0);
    soft_thread_tls = NULL;
    thread_give_block(thread);
}

/* The arena is reserved once: one range check then tells whether a stack pointer is in some block. */
static bool thread_arena(void)
{
    uint64_t mask = soft_signals_block();
    while (atomic_exchange(&g_arena_lock, 1)) {
        soft_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
    if (soft_arena_base == 0) {
        size_t size = (size_t)SOFT_MAX_THREADS * SOFT_BLOCK_SIZE;
        long at = soft_syscall(SYS_mmap, 0, size + SOFT_BLOCK_SIZE, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at > 0) {
            soft_arena_size = size;
            soft_arena_base =
                ((uint64_t)at + SOFT_BLOCK_SIZE - 1) & ~(uint64_t)(SOFT_BLOCK_SIZE - 1);
            g_exit_key_made = pthread_key_create(&g_exit_key, thread_exit) == 0;
        }
    }
    atomic_store(&g_arena_lock, 0);
    soft_signals_restore(mask);
    return soft_arena_base != 0;
}

static struct soft_thread *thread_take_block(void)
{
    for (uint32_t i = 0; i < SOFT_MAX_THREADS; i++) {
        uint8_t expected = BLOCK_FREE;
        if (atomic_compare_exchange_strong(&g_used[i], &expected, BLOCK_TAKEN)) {
            struct soft_thread *thread = thread_at(i);
            if (soft_syscall(SYS_mprotect, thread_block(thread) + SOFT_BLOCK_GUARD,
                             SOFT_BLOCK_SIZE - SOFT_BLOCK_GUARD, PROT_READ | PROT_WRITE, 0, 0,
                             0) < 0) {
                atomic_store(&g_used[i], BLOCK_FREE);
                return NULL;
            }
            *thread = (struct soft_thread){.index = i};
            atomic_store(&g_used[i], BLOCK_READY);
            return thread;
        }
    }
    return NULL;
}

/* `ret_restack` NULL: fails where the stack cannot be set now. */
static struct soft_thread *thread_prepare(bool *ret_restack)
{
    if (soft_thread_tls) {
        return soft_thread_tls;
    }
    struct soft_thread *thread = thread_arena() ? thread_take_block() : NULL;
    if (!thread) {
        return NULL;
    }
    thread->resume_at = &thread->resume;
    for (uint32_t i = 0; i < SOFT_ENTRY_COUNT; i++) {
        thread->entries[i].thread = thread;
    }
    uint64_t mask = soft_signals_block();
    bool good = thread_set_stack(thread);
    soft_thread_tls = good || ret_restack ? thread : NULL;
    soft_signals_restore(mask);
    if (ret_restack) {
        *ret_restack = !good;
    } else if (!good) {
        thread_give_block(thread);
        return NULL;
    }
    if (g_exit_key_made) {
        pthread_setspecific(g_exit_key, thread);
    }
    return thread;
}

static void thread_arm(struct soft_thread *thread)
{
    if (!thread->dispatching) {
        thread->tid = soft_thread_id();
        thread_dispatch(thread);
        soft_cpuid_thread();
        thread->dispatching = true;
    }
}

struct soft_thread *soft_thread_arm(void)
{
    struct soft_thread *thread = thread_prepare(NULL);
    if (thread) {
        thread_arm(thread);
    }
    return thread;
}

struct soft_thread *soft_thread_arm_handling(ucontext_t *context, bool *ret_again)
{
    bool restack = false;
    struct soft_thread *thread = thread_prepare(&restack);
    if (thread) {
        thread_arm(thread);
    }
    if (restack && thread) {
        thread_restack_later(thread, context);
    }
    *ret_again = restack;
    return thread;
}

void soft_thread_rearm(void)
{
    struct soft_thread *self = soft_thread_tls;
    if (soft_arena_base == 0) {
        return;
    }
    atomic_store(&g_arena_lock, 0);
    for (uint32_t i = 0; i < SOFT_MAX_THREADS; i++) {
        if (!self || i != self->index) {
            atomic_store(&g_used[i], BLOCK_FREE);
        }
    }
    if (self && self->dispatching) {
        self->tid = soft_thread_id();
        thread_dispatch(self); /* not inherited over fork; the alternate stack is */
    }
}

void soft_thread_forget(const struct soft_enclave *enclave)
{
    for (uint32_t i = 0; i < SOFT_MAX_THREADS && soft_arena_base; i++) {
        if (atomic_load(&g_used[i]) != BLOCK_READY) {
            continue;
        }
        struct soft_thread *thread = thread_at(i);
        for (uint32_t j = 0; j < SOFT_ENTRY_COUNT; j++) {
            if (thread->entries[j].enclave == enclave) {
                thread->entries[j].tcs = 0;
            }
        }
    }
}
