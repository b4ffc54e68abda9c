/*
 * A bare entry for tests: every register as the test wants it, and every register as the enclave left it.
 * Side: tests (host). Called by test_hostile.c.
 * Never hides what came out: nothing is restored before it is stored.
 *
 * void raw_enter(struct raw *): see test_hostile.c for the offsets.
 */
        .text
        .globl  raw_enter
        .type   raw_enter, @function
raw_enter:
        push    %rbp
        mov     %rsp, %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi                    /* -48(%rbp) */
        sub     $8, %rsp
        mov     %rdi, %rax
        push    104(%rax)               /* run; 16-byte aligned */
        mov     112(%rax), %rbx         /* the vDSO function: kept in RBX until the call */
        mov     120(%rax), %ecx         /* leaf */
        mov     0(%rax), %rdi
        mov     8(%rax), %rsi
        mov     16(%rax), %rdx
        mov     24(%rax), %r8
        mov     32(%rax), %r9
        mov     40(%rax), %r10
        mov     48(%rax), %r11
        mov     56(%rax), %r12
        mov     64(%rax), %r13
        mov     72(%rax), %r14
        mov     80(%rax), %r15
        call    *%rbx
        pushfq
        push    %rax
        mov     -48(%rbp), %rax
        mov     %rdi, 128(%rax)
        mov     %rsi, 136(%rax)
        mov     %rdx, 144(%rax)
        mov     %r8, 152(%rax)
        mov     %r9, 160(%rax)
        mov     %r10, 168(%rax)
        mov     %r11, 176(%rax)
        mov     %r12, 184(%rax)
        mov     %r13, 192(%rax)
        mov     %r14, 200(%rax)
        mov     %r15, 208(%rax)
        mov     %rcx, 216(%rax)
        pop     224(%rax)               /* the vDSO's result */
        pop     232(%rax)               /* flags */
        mov     %rax, %rbx
        mov     $-1, %eax
        mov     $-1, %edx
        xsave64 256(%rbx)
        fninit
        lea     -40(%rbp), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
        .size   raw_enter, . - raw_enter
        .section .note.GNU-stack, "", @progbits
