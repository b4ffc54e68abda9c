/*
 * The kernel's own libc: one thread's worth of it, for the parts that stand on libcrypto (encrypted mounts, the verifier).
 * Side: enclave. Included by libc_context.c and by those parts. Only in the full program kernel.
 * Never the program's libc: its calls end in the kernel's heap and in nothing else.
 */
#ifndef CELLA_LINUX_LIBC_CONTEXT_H
#define CELLA_LINUX_LIBC_CONTEXT_H

/*
 * Runs function(argument) as ordinary code of the libc: its thread-local data, a stack of 512 KiB, vector registers free
 * to use. One at a time: others wait. May touch the program's memory and call the host. Its result comes back.
 */
long cella_linux_libc(long (*function)(void *), void *argument)
    __attribute__((visibility("hidden")));

#endif
