/*
 * System calls: the way from a call site to the module that answers it.
 * Side: enclave. Called by entry.S (rewritten sites) and by the exception handler (the others).
 * Never answers by itself: without a module there is no system call.
 */
#include "enclave/kernel.h"

#define ENOSYS 38

static bool modules_ask(struct cella_regs *regs, bool last, long *ret_result)
{
    for (const struct cella_module *const *m = __start_cella_modules; m < __stop_cella_modules;
         m++) {
        if (*m && (*m)->syscall && (*m)->last == last && (*m)->syscall(regs, ret_result)) {
            return true;
        }
    }
    return false;
}

long cella_kernel_syscall(struct cella_regs *regs)
{
    long result = 0;
    if (cella_kernel_own_syscall && cella_kernel_own_syscall(regs, &result)) {
        return result;
    }
    if (modules_ask(regs, false, &result) || modules_ask(regs, true, &result)) {
        return result;
    }
    cella_trace("system call not supported:", regs->rax);
    return -ENOSYS;
}
