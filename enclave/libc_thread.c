/*
 * Threads of the libc: clone, exit, identity. A thread needs a TCS: ecall slots get theirs at start, threads that the
 * application makes take one of the enclave's own and a host thread that enters it.
 * Side: enclave. Called for the libc's system calls and by dispatch.c.
 * Never frees what a thread still stands on.
 */
#include "enclave/libc.h"

#define CLONE_VM 0x100u
#define CLONE_VFORK 0x4000u
#define CLONE_THREAD 0x10000u
#define CLONE_SETTLS 0x80000u
#define CLONE_PARENT_SETTID 0x100000u
#define CLONE_CHILD_CLEARTID 0x200000u
#define CLONE_CHILD_SETTID 0x1000000u
#define RED_ZONE 128u
#define ROBUST_MAX 2048u
#define OWNER_DIED 0x40000000u
#define TID_MASK 0x3FFFFFFFu

static struct cella_lock pool_lock;

/* The ecall slot whose stack holds `stack`; 0: none (slot 0 is the main thread's). */
static uint32_t slot_of_stack(uint64_t stack)
{
    for (uint32_t slot = 1; slot < cella_ecall_slots(); slot++) {
        const uint64_t start = cella_slot_address(slot) + cella_image_info.slot_stack;
        if (stack > start && stack - start <= cella_image_info.stack_size) {
            return slot;
        }
    }
    return 0;
}

static uint32_t pool_take(void)
{
    uint32_t found = 0;
    cella_lock_take(&pool_lock);
    for (uint32_t slot = cella_ecall_slots(); slot < cella_image_info.thread_count; slot++) {
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

static void pool_give(struct cella_td *td)
{
    cella_lock_take(&pool_lock);
    td->in_pool_use = false;
    cella_lock_give(&pool_lock);
}

/* Records where the child goes on: right behind the parent's system call, on its own stack, with 0 as result. */
static void child_bind(struct cella_td *td, const struct cella_regs *regs, uint32_t slot)
{
    const uint64_t flags = ARG0(regs);
    const uint64_t stack = ARG1(regs);
    td->start = *regs;
    td->start.rax = 0;
    td->start.rflags = 0x202;
    td->start.rsp = cella_td_self()->trapped ? stack : stack - RED_ZONE;
    if (slot < cella_ecall_slots()) {
        td->stack_top = (stack - 2 * RED_ZONE) & ~15ull; /* the libc's thread block lies above */
    }
    td->fs_base = (flags & CLONE_SETTLS) != 0 ? ARG4(regs) : td->self;
    td->clear_tid = (flags & CLONE_CHILD_CLEARTID) != 0 ? ARG3(regs) : 0;
    td->robust_list = 0;
    td->signal_mask = cella_td_self()->signal_mask;
    td->unmap_size = 0;
    td->is_enclave_thread = slot >= cella_ecall_slots();
    __atomic_store_n(&td->start_bound, true,
                     __ATOMIC_RELEASE); /* last: the host may enter at once */
}

static bool ids_are_ours(const struct cella_regs *regs)
{
    const uint64_t flags = ARG0(regs);
    return ((flags & CLONE_PARENT_SETTID) == 0 || cella_user_range(ARG2(regs), 4)) &&
           ((flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) == 0 ||
            cella_user_range(ARG3(regs), 4));
}

static long thread_clone(struct cella_regs *regs)
{
    const uint64_t flags = ARG0(regs);
    if ((flags & (CLONE_VM | CLONE_THREAD)) != (CLONE_VM | CLONE_THREAD) ||
        (flags & CLONE_VFORK) != 0) {
        return -ENOSYS; /* a process */
    }
    if (!cella_user_range(ARG1(regs) - 4096, 4096) || !ids_are_ours(regs)) {
        return -EFAULT;
    }
    uint32_t slot = slot_of_stack(ARG1(regs));
    const bool pooled = slot == 0 || cella_td_of_slot(slot)->start_bound ||
                        cella_td_of_slot(slot)->state != TD_UNTOUCHED;
    if (pooled) {
        slot = pool_take();
    }
    if (slot == 0 || !cella_td_boot(slot)) {
        return -EAGAIN;
    }
    struct cella_td *td = cella_td_of_slot(slot);
    const uint32_t tid = td->tid;
    if ((flags & CLONE_PARENT_SETTID) != 0) {
        *(uint32_t *)ARG2(regs) = tid;
    }
    if ((flags & CLONE_CHILD_SETTID) != 0) {
        *(uint32_t *)ARG3(regs) = tid;
    }
    child_bind(td, regs, slot);
    if (pooled &&
        !cella_is_ok(cella_system_ocall(CELLA_OCALL_THREAD, &slot, sizeof(slot), NULL, 0, NULL))) {
        /* A host that says no and enters all the same finds nothing bound; if it was quicker, the thread runs. */
        if (__atomic_exchange_n(&td->start_bound, false, __ATOMIC_ACQ_REL)) {
            pool_give(td);
            return -EAGAIN;
        }
    }
    return (long)tid;
}

/* Called on the TCS that the thread was bound to. */
void cella_libc_start_thread(struct cella_td *td)
{
    if (!__atomic_exchange_n(&td->start_bound, false, __ATOMIC_ACQ_REL)) {
        return;
    }
    if (td->is_enclave_thread) {
        cella_kernel_thread_ready(td); /* its ocalls may bring nested ecalls */
    }
    __asm__ volatile("wrfsbase %0" : : "r"(td->fs_base) : "memory");
    cella_kernel_jump(&td->start);
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
        if (word % 4 == 0 && cella_user_range(word, 4) &&
            (*(uint32_t *)word & TID_MASK) == td->tid) {
            __atomic_or_fetch((uint32_t *)word, OWNER_DIED, __ATOMIC_ACQ_REL);
            cella_futex_wake(word, 1);
        }
        entry = next;
    }
}

/* The last steps, on the TCS's own stack: the thread's may be gone once its joiner knows. */
static _Noreturn void thread_end(struct cella_td *td)
{
    const uint64_t clear = td->clear_tid;
    td->stack_top = td->tcs - SGX_PAGE_SIZE;
    td->fs_base = td->self;
    td->state = TD_BOOTED;
    td->depth = 0;
    td->floor = 0;
    td->arena_used = 0;
    td->clear_tid = 0;
    if (td->unmap_size != 0) {
        cella_pages_unmap(td->unmap_at, td->unmap_size);
        td->unmap_size = 0;
    }
    /* Before the joiner knows: it may want to start the next thread at once. The host enters that one after us. */
    pool_give(td);
    if (clear != 0 && cella_user_range(clear, 4)) {
        __atomic_store_n((uint32_t *)clear, 0, __ATOMIC_SEQ_CST);
        cella_futex_wake(clear, 1);
    }
    cella_kernel_exit(CELLA_EXIT_DONE, CELLA_CODE_OK, 0);
}

static _Noreturn void thread_exit(struct cella_td *td)
{
    robust_release(td);
    if (!td->is_enclave_thread) {
        cella_kernel_abort(CELLA_ABORT_EXIT); /* pthread_exit on a thread of the host */
    }
    const struct cella_regs regs = {.rip = (uint64_t)thread_end,
                                    .rsp = td->tcs - SGX_PAGE_SIZE - 72,
                                    .rdi = (uint64_t)td,
                                    .rflags = 0x202};
    cella_kernel_jump(&regs);
}

static _Noreturn void process_exit(uint64_t code)
{
    uint32_t stopping = KERNEL_STOPPING;
    if (atomic_compare_exchange_strong(&cella_kernel_state, &stopping, KERNEL_DEAD)) {
        cella_kernel_exit(CELLA_EXIT_DONE, CELLA_CODE_OK, 0);
    }
    cella_kernel_abort(CELLA_ABORT_EXIT | (code & 0xFF) << 32);
}

/* One bit for each ecall TCS: as many threads as can run. */
static long affinity(struct cella_regs *regs)
{
    const uint64_t size = ARG1(regs);
    if (size < 8 || !cella_user_range(ARG2(regs), size)) {
        return -EINVAL;
    }
    const uint32_t count = cella_ecall_slots() < 64 ? cella_ecall_slots() : 64;
    cella_zero((void *)ARG2(regs), size);
    *(uint64_t *)ARG2(regs) = count == 64 ? UINT64_MAX : (1ull << count) - 1;
    return 8;
}

static long set_list(uint64_t *field, uint64_t value, uint64_t size, uint64_t wanted)
{
    if (size != wanted) {
        return -EINVAL;
    }
    *field = value;
    return 0;
}

/* musl asks whether there are robust locks at all. */
static long get_list(uint64_t tid, uint64_t to, uint64_t size_to)
{
    const struct cella_td *td = cella_td_self();
    if (tid != 0 && tid != td->tid) {
        return -EPERM;
    }
    if (!cella_user_range(to, 8) || !cella_user_range(size_to, 8)) {
        return -EFAULT;
    }
    *(uint64_t *)to = td->robust_list;
    *(uint64_t *)size_to = 24;
    return 0;
}

bool cella_libc_thread(struct cella_regs *regs, long *ret_result)
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
        result = thread_clone(regs);
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
        thread_exit(td);
    case __NR_exit_group:
        process_exit(ARG0(regs));
    case __NR_sched_yield:
        cella_ignore(cella_system_ocall(CELLA_OCALL_YIELD, NULL, 0, NULL, 0, NULL));
        break;
    case __NR_sched_getaffinity:
        result = affinity(regs);
        break;
    case __NR_sched_setaffinity:
        break;
    default:
        return false;
    }
    *ret_result = result;
    return true;
}
