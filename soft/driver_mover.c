/*
 * Moving pages for ADD_PAGES: from the caller's memory into the enclave's file.
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_ioctl_add.c.
 * The helper thread is made with a bare clone: it has no TLS of its own, so that nothing it runs
 * may be libc's. It has all signals blocked, touches nothing once it has seen `stop`, and a fork of
 * the process does not copy it.
 */
#include "soft/mover.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

#define MOVER_MIN_PAGES 64u

uint64_t mover_read(uint8_t *pages, uint64_t source, uint64_t count)
{
    if (soft_user_read(pages, source, count << SGX_PAGE_SHIFT)) {
        return count;
    }
    uint64_t got = 0;
    while (got < count && soft_user_read(pages + (got << SGX_PAGE_SHIFT),
                                         source + (got << SGX_PAGE_SHIFT), SGX_PAGE_SIZE)) {
        got++;
    }
    return got;
}

static bool page_is_zero(const uint8_t *page)
{
    const uint64_t *words = (const uint64_t *)page;
    for (size_t i = 0; i < SGX_PAGE_SIZE / 8; i += 8) {
        if (words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] | words[i + 5] |
            words[i + 6] | words[i + 7]) {
            return false;
        }
    }
    return true;
}

static bool write_run(struct driver_enclave *e, const uint8_t *data, uint64_t first, uint64_t count)
{
    uint64_t size = count << SGX_PAGE_SHIFT;
    uint64_t offset = e->control->pages_offset + (first << SGX_PAGE_SHIFT);
    return !count || soft_syscall(SYS_pwrite64, e->pub.fd, data, size, offset, 0, 0) == (long)size;
}

/* The file is zero where nothing was written: zero pages cost nothing. */
bool mover_write(struct driver_enclave *e, const uint8_t *pages, uint64_t first, uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (page_is_zero(pages + (i << SGX_PAGE_SHIFT))) {
            if (!write_run(e, pages + (run << SGX_PAGE_SHIFT), first + run, i - run)) {
                return false;
            }
            run = i + 1;
        }
    }
    return write_run(e, pages + (run << SGX_PAGE_SHIFT), first + run, count - run);
}

void mover_discard(struct driver_enclave *e, uint64_t first, uint64_t count)
{
    if (count) {
        soft_syscall(SYS_fallocate, e->pub.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     e->control->pages_offset + (first << SGX_PAGE_SHIFT), count << SGX_PAGE_SHIFT,
                     0, 0);
    }
}

static void wait_while(_Atomic uint32_t *word, uint32_t value)
{
    soft_syscall(SYS_futex, word, FUTEX_WAIT, value, 0, 0, 0);
}

static void wake(_Atomic uint32_t *word)
{
    soft_syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0);
}

static uint64_t batch_pages(const struct mover *mover, uint32_t batch)
{
    uint64_t left = mover->count - (uint64_t)batch * MOVER_BATCH;
    return left < MOVER_BATCH ? left : MOVER_BATCH;
}

/* Claims the next batch once its slot is free; false when there is none left to do. */
static bool helper_claim(struct mover *mover, uint32_t *ret_batch)
{
    for (;;) {
        uint32_t hashed = mover->hashed;
        uint32_t batch = mover->next;
        if (mover->stop || (uint64_t)batch * MOVER_BATCH >= mover->count) {
            return false;
        }
        if (batch - hashed >= MOVER_SLOTS) {
            wait_while(&mover->hashed, hashed);
        } else if (atomic_compare_exchange_strong(&mover->next, &batch, batch + 1)) {
            *ret_batch = batch;
            return true;
        }
    }
}

/* The helper. Without stack protector: its canary would be the caller's. */
__attribute__((no_stack_protector)) static void mover_main(struct mover *mover)
{
    struct driver_scratch *scratch = mover->e->scratch;
    uint32_t batch;
    while (helper_claim(mover, &batch)) {
        uint64_t at = (uint64_t)batch * MOVER_BATCH;
        uint32_t slot = batch % MOVER_SLOTS;
        uint64_t want = batch_pages(mover, batch);
        uint64_t got =
            mover_read(scratch->slots[slot], mover->source + (at << SGX_PAGE_SHIFT), want);
        if (!mover_write(mover->e, scratch->slots[slot], mover->first + at, got)) {
            mover->failed = 1;
            got = 0;
        }
        mover->written = at + got;
        mover->got[slot] = got;
        mover->ready[slot] = batch + 1;
        wake(&mover->ready[slot]);
        if (got < want) {
            return;
        }
    }
}

/* clone() with a function to run on the new stack. */
static long clone_thread(void *stack_top, struct mover *mover)
{
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    void **stack = stack_top;
    *--stack = NULL; /* keeps the stack aligned to 16 at the call */
    *--stack = NULL;
    *--stack = (void *)(uintptr_t)mover_main;
    *--stack = mover;
    register long r10 __asm__("r10") = (long)&mover->thread;
    register long r8 __asm__("r8") = 0;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rdi\n\t"
                     "pop %%rax\n\t"
                     "call *%%rax\n\t"
                     "mov %[exit], %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone), "D"(flags), "S"(stack), "d"(0l), "r"(r10),
                       "r"(r8), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "memory");
    return result;
}

bool mover_is_useful(uint64_t count)
{
    uint64_t processors[16] = {0};
    if (count < MOVER_MIN_PAGES ||
        soft_syscall(SYS_sched_getaffinity, 0, sizeof(processors), processors, 0, 0, 0) <= 0) {
        return false;
    }
    int usable = 0;
    for (size_t i = 0; i < 16; i++) {
        usable += __builtin_popcountll(processors[i]);
    }
    return usable > 1;
}

bool mover_start(struct driver_enclave *e, uint64_t source, uint64_t first, uint64_t count)
{
    struct mover *mover = &e->scratch->mover;
    mover_join(e);
    mover->e = e;
    mover->source = source;
    mover->first = first;
    mover->count = count;
    mover->next = 0;
    mover->hashed = 0;
    mover->stop = 0;
    mover->failed = 0;
    mover->written = 0;
    for (uint32_t i = 0; i < MOVER_SLOTS; i++) {
        mover->ready[i] = 0;
    }
    mover->thread = 1;
    if (clone_thread(e->scratch->stack + sizeof(e->scratch->stack), mover) > 0) {
        return true;
    }
    mover->thread = 0;
    return false;
}

uint8_t *mover_take(struct mover *mover, uint32_t batch, uint64_t *ret_count)
{
    uint32_t slot = batch % MOVER_SLOTS;
    uint32_t unclaimed = batch;
    if (atomic_compare_exchange_strong(&mover->next, &unclaimed, batch + 1)) {
        return NULL;
    }
    for (uint32_t ready; (ready = mover->ready[slot]) != batch + 1;) {
        wait_while(&mover->ready[slot], ready);
    }
    *ret_count = mover->got[slot];
    return mover->e->scratch->slots[slot];
}

void mover_release(struct mover *mover, uint32_t batch)
{
    mover->hashed = batch + 1;
    /* The helper sleeps on a full ring only; it is woken when half of it is free. */
    if (mover->next - (batch + 1) <= MOVER_SLOTS / 2) {
        wake(&mover->hashed);
    }
}

void mover_finish(struct mover *mover)
{
    bool all_taken = mover->hashed == mover->next;
    mover->stop = 1;
    mover->hashed += MOVER_SLOTS; /* a change, so that it does not go to sleep now */
    wake(&mover->hashed);
    if (!all_taken) {
        mover_join(mover->e);
    }
}

void mover_join(struct driver_enclave *e)
{
    struct mover *mover = &e->scratch->mover;
    for (uint32_t thread; (thread = mover->thread) != 0;) {
        wait_while(&mover->thread, thread);
    }
}

void mover_forget(struct driver_enclave *e)
{
    e->scratch->mover.thread = 0;
}
