/*
 * Moving pages for ADD_PAGES: from the caller's memory into the enclave's file.
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_ioctl_add.c.
 * The helper thread is made with a bare clone: it has no TLS of its own, so that nothing it runs
 * may be libc's. It never outlives the ioctl, has all signals blocked, and a fork of the process
 * does not copy it.
 */
#include "soft/mover.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>

#define MOVER_MIN_PAGES 64u

uint64_t mover_read(uint8_t *scratch, uint64_t source, uint64_t count)
{
    if (soft_user_read(scratch, source, count << SGX_PAGE_SHIFT)) {
        return count;
    }
    uint64_t got = 0;
    while (got < count && soft_user_read(scratch + (got << SGX_PAGE_SHIFT),
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
bool mover_write(struct driver_enclave *e, const uint8_t *data, uint64_t first, uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (page_is_zero(data + (i << SGX_PAGE_SHIFT))) {
            if (!write_run(e, data + (run << SGX_PAGE_SHIFT), first + run, i - run)) {
                return false;
            }
            run = i + 1;
        }
    }
    return write_run(e, data + (run << SGX_PAGE_SHIFT), first + run, count - run);
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

/* The helper. Compiled without stack protector: its canary would be the caller's. */
__attribute__((no_stack_protector)) static void mover_main(struct mover *mover)
{
    uint32_t batch = 0;
    uint64_t done = 0;
    while (done < mover->count && !mover->stop) {
        uint32_t hashed = mover->hashed;
        if (batch - hashed >= MOVER_SLOTS) { /* full: wait until half of it is free */
            while (batch - hashed > MOVER_SLOTS / 2 && !mover->stop) {
                wait_while(&mover->hashed, hashed);
                hashed = mover->hashed;
            }
            continue;
        }
        uint64_t left = mover->count - done;
        uint64_t want = left < MOVER_BATCH ? left : MOVER_BATCH;
        uint8_t *slot = mover->scratch + (batch % MOVER_SLOTS) * MOVER_BATCH * SGX_PAGE_SIZE;
        uint64_t got = mover_read(slot, mover->source + (done << SGX_PAGE_SHIFT), want);
        mover->got[batch % MOVER_SLOTS] = got;
        mover->read = done + got;
        mover->filled = ++batch;
        wake(&mover->filled);
        if (!mover_write(mover->e, slot, mover->first + done, got)) {
            mover->failed = 1;
            break;
        }
        done += got;
        if (got < want) {
            break;
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

bool mover_start(struct mover *mover)
{
    mover->scratch = mover->e->scratch;
    mover->thread = 1;
    return clone_thread(mover->scratch + DRIVER_SCRATCH_SIZE, mover) > 0;
}

uint8_t *mover_take(struct mover *mover, uint32_t batch, uint64_t *ret_count)
{
    uint64_t before = (uint64_t)batch * MOVER_BATCH;
    if (before >= mover->count) {
        return NULL;
    }
    for (;;) {
        uint32_t filled = mover->filled;
        if (filled > batch) {
            *ret_count = mover->got[batch % MOVER_SLOTS];
            return mover->scratch + (batch % MOVER_SLOTS) * MOVER_BATCH * SGX_PAGE_SIZE;
        }
        if (!mover->thread) { /* it ended early: nothing more will come */
            if (mover->filled > batch) {
                continue;
            }
            return NULL;
        }
        struct {
            long seconds;
            long nanoseconds;
        } patience = {.nanoseconds = 50000000};
        soft_syscall(SYS_futex, &mover->filled, FUTEX_WAIT, filled, &patience, 0, 0);
    }
}

void mover_release(struct mover *mover, uint32_t batch)
{
    mover->hashed = batch + 1;
    /* The helper sleeps only on a full ring, and wants half of it free. */
    if (mover->filled - (batch + 1) <= MOVER_SLOTS / 2) {
        wake(&mover->hashed);
    }
}

bool mover_finish(struct mover *mover)
{
    mover->stop = 1;
    mover->hashed += MOVER_SLOTS; /* wakes it out of a full ring */
    wake(&mover->hashed);
    for (uint32_t thread; (thread = mover->thread) != 0;) {
        wait_while(&mover->thread, thread);
    }
    return !mover->failed;
}
