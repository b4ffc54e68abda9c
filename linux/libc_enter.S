/*
 * Into code of the kernel's own libc and back: another stack, another FS base, vector registers put away.
 * Side: enclave. Called by libc_context.c, which holds the one context.
 *
 * long cella_linux_libc_enter(long (*function)(void *), void *argument, uint64_t stack, uint64_t fs_base)
 */
        .text
        .globl  cella_linux_libc_enter
        .hidden cella_linux_libc_enter
        .type   cella_linux_libc_enter, @function
        .p2align 4
cella_linux_libc_enter:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        mov     %rdi, %r12
        mov     %rsi, %r13
        mov     %rdx, %r14
        sub     cella_xsave_size(%rip), %rsp
        and     $-64, %rsp
        mov     %rsp, %rbx
        xor     %eax, %eax                      /* the header must be zero where XSAVE does not write */
        .irp    at, 512, 520, 528, 536, 544, 552, 560, 568
        mov     %rax, \at(%rsp)
        .endr
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xsave64 (%rsp)
        fninit
        ldmxcsr .Lmxcsr(%rip)
        rdfsbase %rax
        push    %rax
        push    %rbx
        wrfsbase %rcx
        mov     %rsp, %rbx
        mov     %r14, %rsp
        mov     %r13, %rdi
        call    *%r12
        mov     %rbx, %rsp
        mov     %rax, %r12
        pop     %rbx
        pop     %rcx
        wrfsbase %rcx
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xrstor64 (%rbx)
        mov     %r12, %rax
        mov     -8(%rbp), %rbx
        mov     -16(%rbp), %r12
        mov     -24(%rbp), %r13
        mov     -32(%rbp), %r14
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   cella_linux_libc_enter, . - cella_linux_libc_enter

        .section .rodata.cella_linux_libc, "a", @progbits
        .p2align 2
.Lmxcsr:
        .long   0x1F80
        .section .note.GNU-stack, "", @progbits
