/*
 * 32 MiB of measured, read-only data: what enclave creation is timed with.
 * Side: enclave (bench).
 */
        .section .rodata
        .globl  bench_large
bench_large:
        .fill   4194304, 8, 0x0123456789ABCDEF

        .section .note.GNU-stack, "", @progbits
