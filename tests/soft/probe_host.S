/*
 * A call of the vDSO function that keeps the caller's registers and reports the enclave's.
 * Side: host (test). long probe_call(sgx_linux_enter_fn, struct probe_call *, struct sgx_linux_run *)
 * struct probe_call: rdi rsi rdx r8 r9 r14 in, rdi rsi rdx r8 r9 r14 out, function, stack (0: the caller's).
 * The stack stays the same from EENTER to ERESUME: AEX gives back the RSP and RBP that EENTER saw.
 */
        .text
        .globl  probe_call
        .type   probe_call, @function
probe_call:
        push    %rbp
        mov     %rsp, %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rdi, %rax
        mov     %rsi, %r10
        mov     104(%r10), %rcx
        mov     %rsp, %r11
        test    %rcx, %rcx
        cmovnz  %rcx, %rsp
        push    %r11
        push    %rsi
        push    %rdx                            /* run: the stack argument */
        mov     0(%r10), %rdi
        mov     8(%r10), %rsi
        mov     16(%r10), %rdx
        mov     24(%r10), %r8
        mov     32(%r10), %r9
        mov     40(%r10), %r14
        mov     96(%r10), %ecx
        call    *%rax
        cld
        pushfq                                  /* the enclave's AC stays set over an exit, as on hardware */
        andl    $~0x40000, (%rsp)
        popfq
        add     $8, %rsp
        pop     %r10
        mov     %rdi, 48(%r10)
        mov     %rsi, 56(%r10)
        mov     %rdx, 64(%r10)
        mov     %r8, 72(%r10)
        mov     %r9, 80(%r10)
        mov     %r14, 88(%r10)
        pop     %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        cltq
        ret
        .size   probe_call, . - probe_call

/*
 * void probe_raw(struct probe_call *, tcs, aep): ENCLU[EENTER] without the vDSO, as Gramine's host does it. aep 0:
 * probe_aep, which resumes.
 */
        .globl  probe_raw, probe_aep
        .type   probe_raw, @function
probe_raw:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi
        mov     %rdi, %r10
        mov     %rsi, %rbx
        lea     probe_aep(%rip), %rcx
        test    %rdx, %rdx
        cmovnz  %rdx, %rcx
        mov     0(%r10), %rdi
        mov     8(%r10), %rsi
        mov     16(%r10), %rdx
        mov     24(%r10), %r8
        mov     32(%r10), %r9
        mov     40(%r10), %r14
        mov     $2, %eax
        .byte   0x0F, 0x01, 0xD7
        cld
        pop     %r10
        mov     %rdi, 48(%r10)
        mov     %rsi, 56(%r10)
        mov     %rdx, 64(%r10)
        mov     %r8, 72(%r10)
        mov     %r9, 80(%r10)
        mov     %r14, 88(%r10)
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
probe_aep:
        .byte   0x0F, 0x01, 0xD7                /* RAX = 3, RBX = TCS, RCX = here, as the exit left them */
        ud2
        .size   probe_raw, . - probe_raw

        .section .note.GNU-stack, "", @progbits
