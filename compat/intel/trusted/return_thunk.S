/*
 * Where functions of enclaves that are built with the LVI mitigations return (buildenv.mk, -mfunction-return=thunk-extern):
 * no load may be in flight between the check of the return address and its use.
 * Side: enclave. Called by applications' code, never by the runtime's own.
 */
    .section .text.__x86_return_thunk, "ax", @progbits
    .globl __x86_return_thunk
    .hidden __x86_return_thunk
    .type __x86_return_thunk, @function
    .balign 16
__x86_return_thunk:
    shlq $0, (%rsp)
    lfence
    ret
    .size __x86_return_thunk, . - __x86_return_thunk

    .section .note.GNU-stack, "", @progbits
