/*
 * Who a program says it is: users, groups and capabilities of the process.
 * Side: enclave. Called by linux/process.c. Never asks the host, and guards nothing: there is one program in here.
 */
#ifndef CELLA_LINUX_IDENTITY_H
#define CELLA_LINUX_IDENTITY_H

#include "linux/linux.h"

/* False: none of its calls. */
CELLA_KERNEL bool linux_identity_syscall(struct cella_regs *regs, long *ret_result);

#endif
