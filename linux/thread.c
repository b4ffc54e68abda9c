/*
 * Threads of the program: clone, exit, identity. Each stands on a TCS of the pool and a host thread.
 * Side: enclave. Called for the program's system calls, and by the kernel when a bound TCS is entered. Source: clone(2).
 * Never frees what a thread still stands on: its kernel stack is the TCS slot's.
 */
#include "linux/linux.h"

#define CLONE_VM 0x100u
#define CLONE_FS 0x200u
#define CLONE_FILES 0x400u
#define CLONE_SIGHAND 0x800u
#define CLONE_VFORK 0x4000u
#define CLONE_THREAD 0x10000u
#define CLONE_SETTLS 0x80000u
#define CLONE_PARENT_SETTID 0x100000u
#define CLONE_CHILD_CLEARTID 0x200000u
#define CLONE_CHILD_SETTID 0x1000000u
#define CLONE_NEEDED (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE3_SIZE_MIN 64u
#define ROBUST_MAX 2048u
#define OWNER_DIED 0x40000000u
#define TID_MASK 0x3FFFFFFFu
#define TID_LIMIT 0x400000u /* kernel.pid_max where there is room */
#define XSAVE_MXCSR 24u
#define MXCSR_DEFAULT 0x1F80u
#define STACK_ROOM 512u /* between what stands on the kernel stack and the trap above it */

static struct linux_thread *threads; /* of each slot */
static struct cella_lock pool_lock;
static uint32_t slot_count;           /* slots whose pages are there; under pool_lock */
static uint32_t tid_stride;           /* a power of two, from the count of slots on */
static struct linux_mutex slot_mutex; /* one is made at a time */
static bool slots_ended;              /* one could not be made; under slot_mutex */
static _Atomic uint32_t running_count = 1;

cella_result linux_threads_init(void)
{
    const uint64_t size = cella_image_info.thread_count * sizeof(*threads);
    threads = (struct linux_thread *)cella_pages_map(LINUX_PAGE_UP(size) / SGX_PAGE_SIZE, true);
    CELLA_ENSURE(threads != NULL, OUT_OF_MEMORY);
    slot_count = cella_image_info.thread_added ? cella_image_info.thread_added
                                               : cella_image_info.thread_count;
    for (tid_stride = 1; tid_stride < cella_image_info.thread_count; tid_stride *= 2) {
    }
    struct cella_td *td = cella_td_self();
    threads[0].td = td;
    threads[0].is_running = true;
    td->program_thread = &threads[0];
    return CELLA_OK;
}

struct linux_thread *linux_thread_self(void)
{
    return cella_td_self()->program_thread;
}

struct linux_thread *linux_thread_at(uint32_t slot)
{
    return slot < cella_image_info.thread_count && threads[slot].is_running ? &threads[slot] : NULL;
}

/* A thread's number is its slot's plus 1, and a multiple of the stride that grows with each thread of the slot. */
struct linux_thread *linux_thread_of(uint32_t tid)
{
    struct linux_thread *thread = tid == 0 ? NULL : linux_thread_at((tid - 1) & (tid_stride - 1));
    return thread && thread->td->tid == tid ? thread : NULL;
}

/* No number comes again soon: what is meant for a thread that has ended must not find another. */
static uint32_t tid_next(const struct linux_thread *thread, uint32_t slot)
{
    const uint32_t next = thread->td ? thread->td->tid + tid_stride : slot + 1;
    return next < TID_LIMIT ? next : slot + 1;
}

uint32_t linux_thread_count(void)
{
    return atomic_load(&running_count);
}

/* Makes the host's thread look: it comes out of what it waits in, or is interrupted where it runs. */
void linux_thread_kick(struct linux_thread *thread)
{
    atomic_store(&thread->td->attention, 1);
    if (thread->td != cella_td_self()) {
        const uint32_t slot = thread->td->slot;
        cella_ignore(cella_system_ocall(CELLA_OCALL_KICK, &slot, sizeof(slot), NULL, 0, NULL));
    }
}

/* The first step in the program of a thread whose registers are `regs`. What stands on its kernel stack now stays. */
void linux_thread_enter(struct cella_td *td, const struct cella_regs *regs)
{
    const uint64_t size = sizeof(struct cella_trap) + cella_xsave_size;
    const uint64_t top = ((uint64_t)__builtin_frame_address(0) - STACK_ROOM - size) & ~63ull;
    struct cella_trap *trap = (struct cella_trap *)top;
    cella_zero(trap, size);
    trap->regs = *regs;
    *(uint32_t *)((uint8_t *)trap + CELLA_TRAP_XSAVE_AT + XSAVE_MXCSR) = MXCSR_DEFAULT;
    td->program_entry = (uint64_t)cella_linux_entry;
    td->clock = &cella_linux_clock;
    td->kernel_stack = top;
    __asm__ volatile("wrfsbase %0" : : "r"(td->fs_base) : "memory");
    cella_linux_return(trap);
}

static uint32_t pool_find(void)
{
    uint32_t found = 0;
    cella_lock_take(&pool_lock);
    for (uint32_t slot = cella_ecall_slots(); slot < slot_count; slot++) {
        struct cella_td *td = cella_td_of_slot(slot);
        if (!td->in_pool_use) {
            td->in_pool_use = true;
            found = slot;
            break;
        }
    }
    cella_lock_give(&pool_lock);
    return found;
}

/* One more slot, in use; 0: the image has no more, or the host gave no pages. */
static uint32_t pool_grow(void)
{
    const uint32_t slot = slot_count; /* nobody else changes it */
    if (slots_ended || slot >= cella_image_info.thread_count) {
        return 0;
    }
    if (!linux_slot_make(slot)) {
        slots_ended = true; /* its pages may be half there */
        return 0;
    }
    cella_td_of_slot(slot)->in_pool_use = true;
    cella_lock_take(&pool_lock);
    slot_count = slot + 1;
    cella_lock_give(&pool_lock);
    return slot;
}

static uint32_t pool_take(void)
{
    uint32_t slot = pool_find();
    if (slot == 0) {
        linux_mutex_take(&slot_mutex);
        slot = pool_find();
        slot = slot ? slot : pool_grow();
        linux_mutex_give(&slot_mutex);
    }
    return slot;
}

static void pool_give(struct cella_td *td)
{
    cella_lock_take(&pool_lock);
    td->in_pool_use = false;
    cella_lock_give(&pool_lock);
}

/* A slot that a thread can start on, in use; 0: there is none. */
static uint32_t slot_take(void)
{
    const uint32_t slot = pool_take();
    if (slot != 0 && !cella_td_boot(slot)) {
        pool_give(cella_td_of_slot(slot));
        return 0;
    }
    return slot;
}

/* What clone and clone3 come to. */
struct clone_request {
    uint64_t flags, stack, parent_tid, child_tid, tls;
};

static void child_bind(struct cella_td *td, struct linux_thread *thread,
                       const struct cella_regs *regs, const struct clone_request *request)
{
    const struct cella_td *parent = cella_td_self();
    td->start = *regs;
    td->start.rax = 0;
    td->start.rsp = request->stack != 0 ? request->stack : regs->rsp;
    td->fs_base = (request->flags & CLONE_SETTLS) != 0 ? request->tls : parent->fs_base;
    td->clear_tid = (request->flags & CLONE_CHILD_CLEARTID) != 0 ? request->child_tid : 0;
    td->robust_list = 0;
    td->signal_mask = parent->signal_mask;
    td->is_enclave_thread = true;
    td->program_thread = thread;
    thread->td = td;
    linux_signal_thread_new(thread);
    __builtin_memcpy(thread->name, parent->program_thread->name, sizeof(thread->name));
    atomic_fetch_add(&running_count, 1);
    thread->is_running = true;
    __atomic_store_n(&td->start_bound, true,
                     __ATOMIC_RELEASE); /* last: the host may enter at once */
}

static bool request_is_ours(const struct clone_request *request)
{
    const uint64_t flags = request->flags;
    return ((flags & CLONE_PARENT_SETTID) == 0 || cella_user_writable(request->parent_tid, 4)) &&
           ((flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) == 0 ||
            cella_user_writable(request->child_tid, 4)) &&
           ((flags & CLONE_SETTLS) == 0 || request->tls < CELLA_PROGRAM_KERNEL);
}

static long thread_clone(const struct cella_regs *regs, const struct clone_request *request)
{
    const uint64_t flags = request->flags;
    if ((flags & CLONE_NEEDED) != CLONE_NEEDED || (flags & CLONE_VFORK) != 0) {
        return -ENOSYS; /* a process */
    }
    if (!request_is_ours(request)) {
        return -EFAULT;
    }
    const uint32_t slot = slot_take();
    if (slot == 0) {
        cella_trace("no TCS for another thread; threads running:", linux_thread_count());
        return -EAGAIN;
    }
    struct cella_td *td = cella_td_of_slot(slot);
    const uint32_t tid = tid_next(&threads[slot], slot);
    td->tid = tid;
    if ((flags & CLONE_PARENT_SETTID) != 0) {
        *(uint32_t *)request->parent_tid = tid;
    }
    if ((flags & CLONE_CHILD_SETTID) != 0) {
        *(uint32_t *)request->child_tid = tid;
    }
    child_bind(td, &threads[slot], regs, request);
    if (!cella_is_ok(cella_system_ocall(CELLA_OCALL_THREAD, &slot, sizeof(slot), NULL, 0, NULL))) {
        /* A host that says no and enters all the same finds nothing bound; if it was quicker, the thread runs. */
        if (__atomic_exchange_n(&td->start_bound, false, __ATOMIC_ACQ_REL)) {
            threads[slot].is_running = false;
            atomic_fetch_sub(&running_count, 1);
            pool_give(td);
            return -EAGAIN;
        }
    }
    return (long)tid;
}

static long call_clone(const struct cella_regs *regs)
{
    const struct clone_request request = {.flags = ARG0(regs),
                                          .stack = ARG1(regs),
                                          .parent_tid = ARG2(regs),
                                          .child_tid = ARG3(regs),
                                          .tls = ARG4(regs)};
    return thread_clone(regs, &request);
}

/* struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls. */
static long call_clone3(const struct cella_regs *regs)
{
    if (ARG1(regs) < CLONE3_SIZE_MIN) {
        return -EINVAL;
    }
    if (!cella_user_range(ARG0(regs), ARG1(regs))) {
        return -EFAULT;
    }
    const uint64_t *args = (const uint64_t *)ARG0(regs);
    const struct clone_request request = {.flags = args[0],
                                          .stack = args[5] + args[6],
                                          .parent_tid = args[3],
                                          .child_tid = args[2],
                                          .tls = args[7]};
    return (request.flags & CLONE_THREAD) != 0 && args[4] != 0 ? -EINVAL
                                                               : thread_clone(regs, &request);
}

/* A thread of the kernel's own, which never ends and never is in the program. */
bool linux_kernel_thread_new(void (*main)(void))
{
    const uint32_t slot = slot_take();
    if (slot == 0) {
        return false;
    }
    struct cella_td *td = cella_td_of_slot(slot);
    td->start = (struct cella_regs){.rip = (uint64_t)main};
    td->program_thread = NULL;
    td->is_enclave_thread = true;
    __atomic_store_n(&td->start_bound, true, __ATOMIC_RELEASE);
    if (cella_is_ok(cella_system_ocall(CELLA_OCALL_THREAD, &slot, sizeof(slot), NULL, 0, NULL))) {
        return true;
    }
    const bool runs = !__atomic_exchange_n(&td->start_bound, false, __ATOMIC_ACQ_REL);
    if (!runs) {
        pool_give(td);
    }
    return runs; /* a host that says no and enters all the same */
}

static void start_thread(struct cella_td *td)
{
    if (!__atomic_exchange_n(&td->start_bound, false, __ATOMIC_ACQ_REL)) {
        return;
    }
    if (!td->program_thread) {
        ((void (*)(void))td->start.rip)();
        return;
    }
    linux_thread_enter(td, &td->start);
}

/* The locks that a dying thread holds are marked for their next owners (robust_list of futex(2)). */
static void robust_release(struct cella_td *td)
{
    const uint64_t head = td->robust_list;
    if (head == 0 || !cella_user_range(head, 24)) {
        return;
    }
    const uint64_t offset = ((const uint64_t *)head)[1];
    uint64_t entry = ((const uint64_t *)head)[0];
    for (uint32_t i = 0; i < ROBUST_MAX && entry != head && cella_user_range(entry, 8); i++) {
        const uint64_t next = *(const uint64_t *)(entry & ~1ull);
        const uint64_t word = (entry & ~1ull) + offset;
        if (word % 4 == 0 && cella_user_writable(word, 4) &&
            (*(uint32_t *)word & TID_MASK) == td->tid) {
            __atomic_or_fetch((uint32_t *)word, OWNER_DIED, __ATOMIC_ACQ_REL);
            cella_futex_wake(word, 1);
        }
        entry = next;
    }
}

void linux_process_end(uint64_t reason)
{
    cella_kernel_abort(reason);
}

/* For good. The thread that the program began on never leaves its TCS: others may still run. */
static _Noreturn void main_thread_wait(void)
{
    static uint32_t never;
    for (;;) {
        cella_futex_wait_uninterrupted((uint64_t)&never, 0, NULL);
    }
}

_Noreturn void linux_process_leave(uint64_t reason)
{
    static _Atomic uint32_t leaves;
    if (atomic_exchange(&leaves, 1) != 0) {
        main_thread_wait(); /* another thread is about it */
    }
    cella_linux_fs_end();
    linux_process_end(reason);
}

static _Noreturn void thread_exit(struct cella_td *td, uint64_t code)
{
    struct linux_thread *thread = td->program_thread;
    const uint64_t clear = td->clear_tid;
    robust_release(td);
    thread->is_running = false;
    linux_signal_pass_on(~td->signal_mask);
    td->clear_tid = 0;
    if (atomic_fetch_sub(&running_count, 1) == 1) {
        linux_process_leave(CELLA_ABORT_EXIT | (code & 0xFF) << 32);
    }
    if (td->slot != 0) {
        td->stack_top = td->tcs - SGX_PAGE_SIZE;
        td->fs_base = td->self;
        td->state = TD_BOOTED;
        td->depth = 0;
        td->floor = 0;
        td->arena_used = 0;
        atomic_store(&td->attention, 0);
        /* Before the joiner knows: it may want to start the next thread at once. The host enters that one after us. */
        pool_give(td);
    }
    if (clear != 0 && cella_user_writable(clear, 4)) {
        __atomic_store_n((uint32_t *)clear, 0, __ATOMIC_SEQ_CST);
        cella_futex_wake(clear, 1);
    }
    if (td->slot == 0) {
        main_thread_wait();
    }
    td->kernel_stack = 0; /* until now: the word above may be on a page that is yet to come */
    cella_kernel_exit(CELLA_EXIT_DONE, CELLA_CODE_OK, 0);
}

static long set_list(uint64_t *field, uint64_t value, uint64_t size, uint64_t wanted)
{
    if (size != wanted) {
        return -EINVAL;
    }
    *field = value;
    return 0;
}

static long get_list(uint64_t tid, uint64_t to, uint64_t size_to)
{
    const struct linux_thread *thread =
        tid == 0 ? linux_thread_self() : linux_thread_of((uint32_t)tid);
    if (!thread) {
        return -ESRCH;
    }
    if (!cella_user_writable(to, 8) || !cella_user_writable(size_to, 8)) {
        return -EFAULT;
    }
    *(uint64_t *)to = thread->td->robust_list;
    *(uint64_t *)size_to = 24;
    return 0;
}

bool linux_thread_syscall(struct cella_regs *regs, long *ret_result)
{
    struct cella_td *td = cella_td_self();
    long result = 0;
    switch (regs->rax) {
    case __NR_futex:
        result = cella_futex(regs);
        break;
    case __NR_gettid:
        result = td->tid;
        break;
    case __NR_clone:
        result = call_clone(regs);
        break;
    case __NR_clone3:
        result = call_clone3(regs);
        break;
    case __NR_fork:
    case __NR_vfork:
    case __NR_execve:
    case __NR_execveat:
        result = -ENOSYS;
        break;
    case __NR_set_tid_address:
        td->clear_tid = ARG0(regs);
        result = td->tid;
        break;
    case __NR_set_robust_list:
        result = set_list(&td->robust_list, ARG0(regs), ARG1(regs), 24);
        break;
    case __NR_get_robust_list:
        result = get_list(ARG0(regs), ARG1(regs), ARG2(regs));
        break;
    case __NR_exit:
        thread_exit(td, ARG0(regs));
    case __NR_exit_group:
        linux_process_leave(CELLA_ABORT_EXIT | (ARG0(regs) & 0xFF) << 32);
    case __NR_sched_yield:
        cella_ignore(cella_system_ocall(CELLA_OCALL_YIELD, NULL, 0, NULL, 0, NULL));
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}

static const struct cella_module thread_module = {.name = "program threads",
                                                  .start_thread = start_thread};
CELLA_MODULE(thread_module);
