/*
 * Parts of the personality that a kernel may be linked without: each answers that it is not there.
 * Side: enclave. Weak: a part that is linked in takes its place. (A weak reference to nothing would be an address out of
 * a call's reach from where this kernel lies.)
 */
#include "enclave/descriptors.h"
#include "linux/linux.h"

#define ABSENT __attribute__((weak))

ABSENT bool cella_linux_fs(struct cella_regs *regs, long *ret_result)
{
    (void)regs;
    (void)ret_result;
    return false;
}

ABSENT cella_result cella_linux_fs_init(void)
{
    return CELLA_OK;
}

ABSENT void cella_linux_fs_end(void)
{
}

ABSENT bool cella_linux_ego(struct cella_regs *regs, long *ret_result)
{
    (void)regs;
    (void)ret_result;
    return false;
}

ABSENT bool linux_timer_syscall(struct cella_regs *regs, long *ret_result)
{
    (void)regs;
    (void)ret_result;
    return false;
}

ABSENT long cella_linux_file_read(struct cella_open *open, uint64_t offset, uint64_t size, void *to)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(to, size),
                                            .offset = (int64_t)offset};
    return open->class->transfer ? open->class->transfer(open, &transfer) : -ENODEV;
}

ABSENT const struct cella_program_patches *cella_linux_file_patches(struct cella_open *open)
{
    (void)open;
    return NULL;
}

ABSENT uint64_t cella_program_signals(void)
{
    return 0;
}
