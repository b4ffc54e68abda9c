/*
 * A cella_syscall_entry that performs the real system call, so that a rewritten static program runs as a plain program.
 * Side: tests. Called by the trampolines of the rewriter. Never part of an enclave.
 *
 * clone: the child starts on its new stack with this frame's return address copied to where `ret` looks for it.
 * clone3 and vfork cannot be served this way: clone3 says ENOSYS (libcs fall back), vfork sites are never rewritten.
 */
    .intel_syntax noprefix
    .section .text.cella_syscall_entry, "ax", @progbits
    .globl cella_syscall_entry
    .type cella_syscall_entry, @function
cella_syscall_entry:
    lock inc qword ptr [rip + shim_count]
    cmp eax, 56                     /* clone */
    je 1f
    cmp eax, 435                    /* clone3 */
    je 2f
    syscall
    ret
1:  test rsi, rsi
    je 3f
    sub rsi, 136                    /* 128 of the red zone and the return address */
    mov r11, [rsp]
    mov [rsi], r11
    syscall
    lea rsi, [rsi + 136]
    ret
2:  mov rax, -38                    /* -ENOSYS */
    ret
3:  syscall
    ret
    .size cella_syscall_entry, . - cella_syscall_entry

    .globl cella_enclave_entry
    .type cella_enclave_entry, @function
cella_enclave_entry:
    ud2
    .size cella_enclave_entry, . - cella_enclave_entry

    .section .data.shim, "aw", @progbits
    .globl shim_count
    .type shim_count, @object
    .size shim_count, 8
    .p2align 3
shim_count:
    .quad 0
    .section .note.GNU-stack, "", @progbits
