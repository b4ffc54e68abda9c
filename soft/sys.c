/*
 * Raw system calls of the software processor.
 * Side: soft (untrusted). Called by everything in soft/.
 * Never goes through libc: the interposers shadow those names. Async-signal-safe; errno is not
 * touched.
 */
#include "soft/driver.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

const char *volatile soft_last_check;

long soft_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

uint64_t soft_signals_block(void)
{
    uint64_t all = ~0ull;
    uint64_t old = 0;
    soft_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof(all), 0, 0);
    return old;
}

void soft_signals_restore(uint64_t mask)
{
    soft_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof(mask), 0, 0);
}

uint32_t soft_thread_id(void)
{
    return (uint32_t)soft_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/*
 * A holder that died (SIGKILL in another process, a fork past our handlers) must not lock the
 * others out for ever. A lock of this process's own memory is held by a thread of this process or
 * by nobody.
 */
static bool thread_is_gone(const _Atomic uint32_t *lock, uint32_t tid)
{
    if (lock == &g_process_lock) {
        long pid = soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
        return soft_syscall(SYS_tgkill, pid, tid, 0, 0, 0, 0) == -ESRCH;
    }
    return soft_syscall(SYS_tkill, tid, 0, 0, 0, 0, 0) == -ESRCH;
}

bool soft_try_lock(_Atomic uint32_t *lock, uint32_t self)
{
    uint32_t holder = 0;
    if (atomic_compare_exchange_strong(lock, &holder, self)) {
        return true;
    }
    return holder != self && thread_is_gone(lock, holder) &&
           atomic_compare_exchange_strong(lock, &holder, self);
}

#define SPINS 100u
#define YIELDS 1024u /* between two looks at a holder who does not move */
#define PATIENCE 64u /* looks: one that is seen as gone that often, without a change, is gone */

void soft_lock(_Atomic uint32_t *lock)
{
    soft_lock_as(lock, soft_thread_id());
}

void soft_lock_as(_Atomic uint32_t *lock, uint32_t self)
{
    uint32_t suspect = 0;
    uint32_t seen = 0;
    for (uint32_t turn = 0;; turn++) {
        uint32_t holder = 0;
        if (atomic_compare_exchange_weak(lock, &holder, self)) {
            return;
        }
        if (turn < SPINS) {
            __builtin_ia32_pause();
            continue;
        }
        soft_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        if (turn % YIELDS != 0 || !holder) {
            continue;
        }
        seen = holder == suspect && thread_is_gone(lock, holder) ? seen + 1 : 0;
        suspect = holder;
        if (seen == PATIENCE && atomic_compare_exchange_strong(lock, &holder, self)) {
            return;
        }
    }
}

void soft_unlock(_Atomic uint32_t *lock)
{
    atomic_store_explicit(lock, 0, memory_order_release);
}

/*
 * Where a seccomp profile refuses process_vm_readv: the kernel checks the addresses of write() as
 * well.
 */
static bool copy_by_file(void *to, const void *from, size_t size)
{
    int fd = (int)soft_syscall(SYS_memfd_create, "cella-copy", 1, 0, 0, 0, 0);
    if (fd < 0) {
        return false;
    }
    bool good = soft_syscall(SYS_pwrite64, fd, from, size, 0, 0, 0) == (long)size &&
                soft_syscall(SYS_pread64, fd, to, size, 0, 0, 0) == (long)size;
    soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return good;
}

static bool copy_user(long number, void *own, uint64_t user, size_t size)
{
    struct iovec local = {.iov_base = own, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)user, .iov_len = size};
    long pid = soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
    long result = soft_syscall(number, pid, &local, 1, &remote, 1, 0);
    if (result == -EPERM || result == -ENOSYS || result == -EACCES) {
        return number == SYS_process_vm_readv ? copy_by_file(own, remote.iov_base, size)
                                              : copy_by_file(remote.iov_base, own, size);
    }
    return result == (long)size;
}

bool soft_user_read(void *to, uint64_t from, size_t size)
{
    return copy_user(SYS_process_vm_readv, to, from, size);
}

bool soft_user_write(uint64_t to, const void *from, size_t size)
{
    return copy_user(SYS_process_vm_writev, (void *)(uintptr_t)from, to, size);
}

void *soft_map_anonymous(size_t size)
{
    long result = soft_syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

void soft_unmap(void *address, size_t size)
{
    if (address) {
        soft_syscall(SYS_munmap, address, size, 0, 0, 0, 0);
    }
}
