/*
 * System calls: the way from a call site to the module that answers it.
 * Side: enclave. Called by entry.S (rewritten sites) and by the exception handler (the others).
 * Never answers by itself: without a module there is no system call.
 */
#include "enclave/kernel.h"

#define ENOSYS 38

long cella_kernel_syscall(struct cella_regs *regs)
{
    for (const struct cella_module *const *m = __start_cella_modules; m < __stop_cella_modules;
         m++) {
        long result = 0;
        if (*m && (*m)->syscall && (*m)->syscall(regs, &result)) {
            return result;
        }
    }
    cella_trace("system call not supported:", regs->rax);
    return -ENOSYS;
}
