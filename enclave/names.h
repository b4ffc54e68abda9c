/*
 * Names of the four functions that compilers call on their own: the kernel has them under its own names.
 * Side: enclave. Forced into every kernel file by the build (-include), so that no libc's memcpy is ever called
 * from the kernel: a libc's may be an IFUNC that is not resolved yet, and may use vector registers.
 */
#ifndef CELLA_ENCLAVE_NAMES_H
#define CELLA_ENCLAVE_NAMES_H

#if !defined(__ASSEMBLER__) && !defined(CELLA_CHECK_BOUNDARY)
__asm__(".set memcpy, cella_kernel_memcpy\n"
        ".set memmove, cella_kernel_memmove\n"
        ".set memset, cella_kernel_memset\n"
        ".set memcmp, cella_kernel_memcmp\n"
        ".set __stack_chk_fail, cella_kernel_stack_check_failed\n");
#endif

#endif
