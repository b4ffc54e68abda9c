/*
 * A program kernel without a libc of its own.
 * Side: enclave. In the small program kernel only; the full one has libc_context.c.
 */
#include "linux/ego.h"
#include "linux/linux.h"
#include "linux/start.h"

bool cella_kernel_own_syscall(struct cella_regs *regs, long *ret_result)
{
    (void)regs;
    (void)ret_result;
    return false;
}

cella_result cella_linux_libc_init(void)
{
    return CELLA_OK;
}

long linux_ego_evidence(const struct cella_regs *regs)
{
    cella_trace("ego: this kernel has no verifier: call", regs->rax);
    return OE_UNSUPPORTED;
}

/* Images that are signed from enclave.json have the full kernel. */
cella_result linux_marble(struct linux_items *arguments, struct linux_items *environment)
{
    (void)arguments;
    (void)environment;
    return CELLA_OK;
}
