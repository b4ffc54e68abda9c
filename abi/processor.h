/*
 * The processor interface: what a host runtime may ask of an SGX processor, which is the Linux kernel's SGX ABI
 * and nothing else. One table of functions; hardware and the software processor each give one.
 * Side: ground; host/ calls it, host/ (hardware) and soft/ implement it. Never used inside the enclave.
 */
#ifndef CELLA_ABI_PROCESSOR_H
#define CELLA_ABI_PROCESSOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/sgx_linux.h"

/*
 * Each function is the system call of its name: result >= 0, or a negative errno. mmap gives the address as a
 * long. `enter` is __vdso_sgx_enter_enclave with its own calling convention. Thread-safe; tables are constant.
 */
struct cella_processor {
    const char *name; /* "hardware" or "software" */
    int (*open)(const char *path, int flags);
    int (*close)(int fd);
    int (*ioctl)(int fd, unsigned long request, void *argument);
    long (*mmap)(void *address, size_t length, int prot, int flags, int fd, off_t offset);
    int (*munmap)(void *address, size_t length);
    int (*mprotect)(void *address, size_t length, int prot);
    /* NULL until the processor has been found usable; looked up by the table's owner. */
    sgx_linux_enter_fn (*enter)(void);
};

/* soft/processor.c: the software processor of this process. Never NULL. */
const struct cella_processor *cella_soft_processor(void);

#endif
