/*
 * The kernel's own libc: its start, its one context, its system calls.
 * Side: enclave. Called by the parts of linux/ that stand on libcrypto. Only in the full program kernel.
 * Never lets that libc open a file or a socket: what it asks for is memory, randomness, time and its own identity.
 */
#include "linux/libc_context.h"

#include "linux/linux.h"

#define STACK_SIZE (512u << 10)
#define NANOSECONDS 1000000000ull

long cella_linux_libc_enter(long (*function)(void *), void *argument, uint64_t stack,
                            uint64_t fs_base) CELLA_KERNEL;

/* libc_self_test.c */
long cella_linux_libc_self_test(void *argument);

static struct linux_mutex libc_lock;
static uint64_t libc_stack, libc_fs_base;

/* Called on the TCS of the libc's main thread, before the program has it. */
cella_result cella_linux_libc_init(void)
{
    libc_stack = cella_pages_map(STACK_SIZE / SGX_PAGE_SIZE, true);
    CELLA_ENSURE(libc_stack != 0, OUT_OF_MEMORY);
    __asm__ volatile("rdfsbase %0" : "=r"(libc_fs_base));
    CELLA_ENSURE(cella_linux_libc(cella_linux_libc_self_test, NULL) == 0, INTERNAL);
    return CELLA_OK;
}

long cella_linux_libc(long (*function)(void *), void *argument)
{
    struct cella_td *td = cella_td_self();
    const bool was_programs = td->is_programs_call;
    linux_mutex_take(&libc_lock);
    td->is_programs_call = false;
    const long result =
        cella_linux_libc_enter(function, argument, libc_stack + STACK_SIZE, libc_fs_base);
    td->is_programs_call = was_programs;
    linux_mutex_give(&libc_lock);
    return result;
}

/* The time as the program has it. Addresses are the libc's own. */
static bool clock_calls(const struct cella_regs *regs, long *ret_result)
{
    const bool is_clock = regs->rax == __NR_clock_gettime;
    if (!is_clock && regs->rax != __NR_gettimeofday && regs->rax != __NR_time) {
        return false;
    }
    const uint64_t now = linux_clock_now(!is_clock || ARG0(regs) == 0);
    int64_t *to = (int64_t *)(is_clock ? ARG1(regs) : ARG0(regs));
    const uint64_t unit = regs->rax == __NR_gettimeofday ? 1000 : 1;
    *ret_result = regs->rax == __NR_time ? (long)(now / NANOSECONDS) : 0;
    if (to) {
        to[0] = (int64_t)(now / NANOSECONDS);
        if (regs->rax != __NR_time) {
            to[1] = (int64_t)(now % NANOSECONDS / unit);
        }
    }
    return true;
}

bool cella_kernel_own_syscall(struct cella_regs *regs, long *ret_result)
{
    if (cella_td_self()->is_programs_call) {
        return false;
    }
    *ret_result = -ENOSYS;
    (void)(clock_calls(regs, ret_result) || cella_libc_thread(regs, ret_result) ||
           cella_libc_memory(regs, ret_result) || cella_libc_console(regs, ret_result) ||
           cella_libc_process(regs, ret_result));
    return true;
}
