/*
 * Standard output looks like a terminal, so that libcs write it line by line, as Open Enclave's does: what an enclave
 * printed before it died is there.
 * Side: enclave. Called for the libc's system calls, before the kernel's console. Linked in by -u.
 * Never asks the host.
 */
#include "enclave/libc.h"

#define TCGETS 0x5401u
#define TIOCGWINSZ 0x5413u
#define TERMIOS_SIZE 36u
#define WINSIZE_SIZE 8u

extern const char oe_console_module;
const char oe_console_module = 1;

static bool console_ioctl(struct cella_regs *regs, long *ret_result)
{
    const uint64_t fd = (uint32_t)ARG0(regs);
    const uint32_t request = (uint32_t)ARG1(regs);
    if (regs->rax != __NR_ioctl || (fd != 1 && fd != 2) ||
        (request != TCGETS && request != TIOCGWINSZ)) {
        return false;
    }
    const uint64_t size = request == TCGETS ? TERMIOS_SIZE : WINSIZE_SIZE;
    if (!cella_user_range(ARG2(regs), size)) {
        *ret_result = -EFAULT;
        return true;
    }
    cella_zero((void *)ARG2(regs), size);
    *ret_result = 0;
    return true;
}

static const struct cella_module console_module = {.name = "oe_console", .syscall = console_ioctl};
CELLA_MODULE(console_module);
