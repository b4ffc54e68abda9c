/*
 * The software processor's assembly: the vDSO call, ENCLU[EENTER/ERESUME], the patched EEXIT, signal entry.
 * Side: soft. Called by host runtimes (soft_vdso_enter), by enclaves (exit stubs), by the kernel (signals).
 * Each window below is restartable: trap.c rolls a transition that a signal interrupts back or forward, by RIP.
 * Never runs with a foreign FS base outside the windows, and touches no stack but the host's and its own.
 */
#include "soft/transition.h"

        .text
        .altmacro

/*
 * int soft_vdso_enter(rdi, rsi, rdx, ecx = function, r8, r9, run on the stack)
 * The shape and the effects are those of __vdso_sgx_enter_enclave: all registers but RAX, RBX and RCX reach the
 * enclave as the caller left them.
 */
        .globl  soft_vdso_enter
        .hidden soft_vdso_enter
        .type   soft_vdso_enter, @function
        .p2align 6
soft_vdso_enter:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        .cfi_rel_offset %rbx, -8
        push    %rcx                            /* keeps 16-byte alignment; holds the function */
        mov     %ecx, %eax
.Lenter:
        mov     %eax, -16(%rbp)
        sub     $2, %eax                        /* EENTER (2) or ERESUME (3) */
        cmp     $1, %eax
        ja      .Linvalid
        mov     16(%rbp), %rcx
        mov     SOFT_RUN_RESERVED(%rcx), %rax
        mov     SOFT_RUN_RESERVED+8(%rcx), %rbx
        .set    at, 16
        .rept   12
        or      SOFT_RUN_RESERVED+at(%rcx), %rax
        or      SOFT_RUN_RESERVED+at+8(%rcx), %rbx
        .set    at, at + 16
        .endr
        or      SOFT_RUN_RESERVED+208(%rcx), %rax
        or      %rbx, %rax
        jnz     .Linvalid
        mov     SOFT_RUN_TCS(%rcx), %rbx
        mov     -16(%rbp), %eax
        lea     soft_aep(%rip), %rcx

/*
 * The one ENCLU: RAX = leaf, RBX = TCS, RCX = AEP = this address. A signal handler that returns to an
 * interrupted enclave comes back here with RAX = 3, so it resumes.
 */
        .globl  soft_aep
        .hidden soft_aep
soft_aep:
        cmp     $2, %eax
        jne     .Lslow
        mov     soft_thread_tls@gottpoff(%rip), %rcx
        mov     %fs:(%rcx), %rcx
        test    %rcx, %rcx
        jz      .Lslow_enter
        mov     %ebx, %eax
        shr     $12, %eax
        and     $(SOFT_ENTRY_COUNT - 1), %eax
        shl     $SOFT_ENTRY_SHIFT, %eax
        lea     SOFT_T_ENTRIES(%rcx,%rax), %rax
        cmp     %rbx, SOFT_E_TCS(%rax)
        jne     .Lslow_enter
        mov     SOFT_E_GENERATION_AT(%rax), %rcx
        mov     (%rcx), %ecx
        cmp     %ecx, SOFT_E_GENERATION(%rax)
        jne     .Lslow_enter
        rdfsbase %rcx
        mov     %rcx, SOFT_E_HOST_FS(%rax)
        rdgsbase %rcx
        mov     %rcx, SOFT_E_HOST_GS(%rax)
        mov     SOFT_E_THREAD(%rax), %rcx
        mov     %rax, SOFT_T_ENTRY(%rcx)
        .globl  soft_enter_claim
        .hidden soft_enter_claim
soft_enter_claim:                               /* a handler that enters leaves its own entry there: begin anew */
        movq    $1, SOFT_T_INSIDE(%rcx)
/* From here a signal takes the thread back to soft_aep with RAX = 2, RBX = TCS: as if nothing had happened. */
        .globl  soft_enter_window, soft_enter_decide, soft_enter_locked
        .hidden soft_enter_window, soft_enter_decide, soft_enter_locked
        .globl  soft_enter_unlocked, soft_enter_window_end
        .hidden soft_enter_unlocked, soft_enter_window_end
soft_enter_window:
        cmp     %rbx, SOFT_E_TCS(%rax)          /* a handler may have used the slot for another TCS */
        jne     .Lretract
        mov     SOFT_E_TCS_ALIAS(%rax), %rcx
        lock btsl $0, (%rcx)                    /* TCS.STATE */
soft_enter_decide:
        jc      .Lretract
soft_enter_locked:
        mov     %rax, SOFT_TCS_OWNER(%rcx)
        mov     SOFT_TCS_CSSA(%rcx), %ecx
        cmp     %ecx, SOFT_E_CSSA(%rax)
        jne     .Lretract_locked
        mov     SOFT_E_SSA_GPR(%rax), %rcx
        mov     %rsp, SOFT_GPR_URSP(%rcx)
        mov     %rbp, SOFT_GPR_URBP(%rcx)
        mov     SOFT_E_THREAD(%rax), %rcx
        movb    $SOFT_SELECTOR_BLOCK, SOFT_T_SELECTOR(%rcx)
        mov     SOFT_E_RIP(%rax), %rcx
        mov     %rcx, -8(%rsp)
        mov     SOFT_E_FS_BASE(%rax), %rcx
        wrfsbase %rcx
        mov     SOFT_E_GS_BASE(%rax), %rcx
        wrgsbase %rcx
        mov     SOFT_E_CSSA(%rax), %eax
        lea     soft_vdso_next(%rip), %rcx
        jmp     *-8(%rsp)

/* TCS busy or the checks are stale: undo, and let the slow path find out what is wrong. */
.Lretract_locked:
        mov     SOFT_E_TCS_ALIAS(%rax), %rcx
        movq    $0, (%rcx)
soft_enter_unlocked:
.Lretract:
        mov     SOFT_E_THREAD(%rax), %rcx
        movq    $0, SOFT_T_INSIDE(%rcx)
soft_enter_window_end:
.Lslow_enter:
        mov     $2, %eax

/*
 * int soft_enclu_slow(leaf, tcs, out, leaf_slot): 0 = checked, go on; 1 = a fault, described in out; 2 = resume.
 * Every register but RAX and RCX survives; vector state is kept by XSAVE on the host's stack.
 */
.Lslow:
        push    %rdi
        push    %rsi
        push    %rdx
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rax
        mov     %rsp, %r12
        sub     $(4096 + 64), %rsp
        and     $-64, %rsp
        movq    $0, 64+512(%rsp)                /* XSAVE keeps what the header holds in unused fields */
        movq    $0, 64+520(%rsp)
        movq    $0, 64+528(%rsp)
        movq    $0, 64+536(%rsp)
        movq    $0, 64+544(%rsp)
        movq    $0, 64+552(%rsp)
        movq    $0, 64+560(%rsp)
        movq    $0, 64+568(%rsp)
        mov     $0xE7, %eax
        xor     %edx, %edx
        xsave64 64(%rsp)
        cld
.Lslow_call:
        mov     (%r12), %edi
        mov     %rbx, %rsi
        mov     %rsp, %rdx
        mov     %r12, %rcx
        call    soft_enclu_slow
        cmp     $2, %eax
        je      .Lresume
        mov     %eax, %ecx
        mov     $0xE7, %eax
        xor     %edx, %edx
        xrstor64 64(%rsp)
        movzwl  0(%rsp), %edi                   /* vector */
        movzwl  2(%rsp), %esi                   /* error code */
        mov     8(%rsp), %rdx                   /* address */
        mov     %r12, %rsp
        pop     %rax
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        test    %ecx, %ecx
        jnz     1f
        pop     %rdx
        pop     %rsi
        pop     %rdi
        lea     soft_aep(%rip), %rcx
        jmp     soft_aep
1:      add     $24, %rsp
        lea     soft_aep(%rip), %rcx
        jmp     soft_vdso_fixup

/*
 * ERESUME: soft_enclu_slow checked everything and filled this thread's struct soft_resume. A signal in the
 * window is an AEX right after the ERESUME: the SSA frame is as it was, trap.c gives CSSA and the TCS back.
 */
        .globl  soft_resume_claim
        .hidden soft_resume_claim
soft_resume_claim:                              /* a handler that enters here spoils it: begin anew */
.Lresume:
        mov     soft_thread_tls@gottpoff(%rip), %rcx
        mov     %fs:(%rcx), %r15
        mov     SOFT_T_RESUME(%r15), %r13
        lea     12*8(%r12), %rax
        mov     %rax, SOFT_R_HOST_RSP(%r13)
        mov     %rbp, SOFT_R_HOST_RBP(%r13)
        mov     SOFT_R_ENTRY(%r13), %rax
        mov     %rax, SOFT_T_ENTRY(%r15)
        rdfsbase %rcx
        mov     %rcx, SOFT_E_HOST_FS(%rax)
        rdgsbase %rcx
        mov     %rcx, SOFT_E_HOST_GS(%rax)
        movq    $1, SOFT_T_INSIDE(%r15)
        .globl  soft_resume_window, soft_resume_decide, soft_resume_locked, soft_resume_committed
        .hidden soft_resume_window, soft_resume_decide, soft_resume_locked, soft_resume_committed
        .globl  soft_resume_xrstor, soft_resume_unlocked, soft_resume_window_end
        .hidden soft_resume_xrstor, soft_resume_unlocked, soft_resume_window_end
soft_resume_window:
        cmp     %rbx, SOFT_R_TCS(%r13)          /* a handler may have prepared another resume, … */
        jne     .Lretract_resume
        mov     SOFT_T_SERIAL(%r15), %ecx       /* … or entered: it has changed the entry, and the enclave its frame */
        cmp     %ecx, SOFT_R_SERIAL(%r13)
        jne     .Lretract_resume
        mov     SOFT_E_TCS_ALIAS(%rax), %rcx
        lock btsl $0, (%rcx)
soft_resume_decide:
        jc      .Lretract_resume
soft_resume_locked:
        mov     %rax, SOFT_TCS_OWNER(%rcx)
        mov     SOFT_R_CSSA(%r13), %edx
        cmp     %edx, SOFT_TCS_CSSA(%rcx)
        jne     .Lretract_resume_locked
        decl    SOFT_TCS_CSSA(%rcx)
soft_resume_committed:
        mov     SOFT_R_XFRM(%r13), %rax
        mov     %rax, %rdx
        shr     $32, %rdx
        mov     SOFT_R_XSAVE(%r13), %rcx
soft_resume_xrstor:
        xrstor64 (%rcx)
        movb    $SOFT_SELECTOR_BLOCK, SOFT_T_SELECTOR(%r15)
        mov     SOFT_R_FS(%r13), %rax
        wrfsbase %rax
        mov     SOFT_R_GS(%r13), %rax
        wrgsbase %rax
        lea     SOFT_R_GPRS(%r13), %rsp
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rbx
        pop     %rbp
        pop     %rsi
        pop     %rdi
        pop     %r8
        pop     %r9
        pop     %r10
        pop     %r11
        pop     %r12
        pop     %r13
        pop     %r14
        pop     %r15
        iretq
        .globl  soft_resume_retract
        .hidden soft_resume_retract
soft_resume_retract:
.Lretract_resume_locked:
        movq    $0, (%rcx)
soft_resume_unlocked:
.Lretract_resume:
        movq    $0, SOFT_T_INSIDE(%r15)
soft_resume_window_end:
        jmp     .Lslow_call

/* EEXIT of an enclave that was given RCX at EENTER comes here. */
        .globl  soft_vdso_next
        .hidden soft_vdso_next
soft_vdso_next:
        mov     16(%rbp), %rbx
        movl    $4, SOFT_RUN_FUNCTION(%rbx)
.Lhandle:
        cmpq    $0, SOFT_RUN_HANDLER(%rbx)
        jne     .Lcall_handler
        xor     %eax, %eax
.Lout:
        mov     -8(%rbp), %rbx
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_def_cfa %rbp, 16
.Linvalid:
        mov     $-22, %eax                      /* -EINVAL */
        jmp     .Lout

/* The kernel's fixup: RAX = leaf, DI = vector, SI = error code, RDX = address. */
        .globl  soft_vdso_fixup
        .hidden soft_vdso_fixup
soft_vdso_fixup:
        mov     16(%rbp), %rbx
        mov     %eax, SOFT_RUN_FUNCTION(%rbx)
        mov     %di, SOFT_RUN_VECTOR(%rbx)
        mov     %si, SOFT_RUN_ERROR(%rbx)
        mov     %rdx, SOFT_RUN_ADDRESS(%rbx)
        jmp     .Lhandle

/* handler(rdi, rsi, rdx, rsp at exit, r8, r9, run): > 0 is the next leaf, else the result. */
.Lcall_handler:
        mov     %rsp, %rcx
        mov     %rbx, %rax
        mov     %rsp, %rbx
        and     $-16, %rsp
        sub     $16, %rsp
        mov     %rax, (%rsp)
        cld
        call    *SOFT_RUN_HANDLER(%rax)
        mov     %rbx, %rsp
        test    %eax, %eax
        jle     .Lout
        jmp     .Lenter
        .cfi_endproc
        .size   soft_vdso_enter, . - soft_vdso_enter

/*
 * The patched EEXIT sites jump here, one stub an enclave: RCX = TCS, RBX = where to go, RAX is dead.
 * A signal in the window completes the exit.
 */
        .globl  soft_exit_stubs, soft_exit_window, soft_exit_tail, soft_exit_window_end
        .hidden soft_exit_stubs, soft_exit_window, soft_exit_tail, soft_exit_window_end
        .p2align 6
soft_exit_window:
soft_exit_stubs:
        .set    slot, 0
        .rept   256
        .p2align 4
        mov     soft_exit_delta+8*slot(%rip), %rax
        jmp     soft_exit
        .set    slot, slot + 1
        .endr
        .p2align 4
soft_exit:
        mov     SOFT_TCS_OWNER(%rcx,%rax), %rax
        mov     SOFT_E_HOST_FS(%rax), %rcx
        wrfsbase %rcx
        mov     SOFT_E_HOST_GS(%rax), %rcx
        wrgsbase %rcx
        mov     SOFT_E_TCS_ALIAS(%rax), %rcx
        movq    $0, (%rcx)
        mov     SOFT_E_THREAD(%rax), %rcx
        movb    $SOFT_SELECTOR_ALLOW, SOFT_T_SELECTOR(%rcx)
        movq    $0, SOFT_T_INSIDE(%rcx)
soft_exit_tail:
        mov     SOFT_E_AEP(%rax), %rcx
        mov     $4, %eax
        jmp     *%rbx
soft_exit_window_end:

/*
 * The patched sites of the other leaves jump here, one stub an enclave: RAX, RBX, RCX and RDX are ENCLU's operands, RDI =
 * TCS, RSI = where to go on; R8 to R11 are dead. In the window a signal takes the thread back to the ENCLU. Then the leaf
 * runs on the thread's own stack, and signals wait for it: one that came is dealt with at soft_leaf_trap. The enclave's
 * stack is never touched.
 */
        .globl  soft_leaf_stubs, soft_leaf_window, soft_leaf_window_end
        .hidden soft_leaf_stubs, soft_leaf_window, soft_leaf_window_end
        .globl  soft_leaf_decide, soft_leaf_out, soft_leaf_out_end, soft_leaf_trap
        .hidden soft_leaf_decide, soft_leaf_out, soft_leaf_out_end, soft_leaf_trap
        .p2align 6
soft_leaf_window:
soft_leaf_stubs:
        .set    slot, 0
        .rept   256
        .p2align 4
        mov     soft_exit_delta+8*slot(%rip), %r11
        jmp     soft_leaf_enter
        .set    slot, slot + 1
        .endr
        .p2align 4
soft_leaf_enter:
        mov     SOFT_TCS_OWNER(%rdi,%r11), %r11
        mov     SOFT_E_THREAD(%r11), %r8
        mov     %rax, SOFT_T_LEAF_RAX(%r8)
        mov     %rbx, SOFT_T_LEAF_RBX(%r8)
        mov     %rcx, SOFT_T_LEAF_RCX(%r8)
        mov     %rdx, SOFT_T_LEAF_RDX(%r8)
        mov     %rsp, SOFT_T_LEAF_RSP(%r8)
        mov     %rsi, SOFT_T_LEAF_RIP(%r8)
        mov     %rbp, SOFT_T_LEAF_RBP(%r8)
        movb    $SOFT_SELECTOR_ALLOW, SOFT_T_SELECTOR(%r8)
        movl    $1, SOFT_T_LEAF(%r8)
soft_leaf_window_end:
        mov     %r8, %rbx
        mov     %r8, %rdi
        mov     %r8, %rsp
        cld
        call    soft_leaf
        cmp     $SOFT_LEAF_VECTORS, %eax
        ja      soft_leaf_trap
        jb      soft_leaf_decide
        sub     $(4096 + 64), %rsp
        movq    $0, 64+512(%rsp)                /* XSAVE keeps what the header holds in unused fields */
        movq    $0, 64+520(%rsp)
        movq    $0, 64+528(%rsp)
        movq    $0, 64+536(%rsp)
        movq    $0, 64+544(%rsp)
        movq    $0, 64+552(%rsp)
        movq    $0, 64+560(%rsp)
        movq    $0, 64+568(%rsp)
        mov     $0xE7, %eax
        xor     %edx, %edx
        xsave64 64(%rsp)
        rdfsbase %rbp                           /* the enclave's RBP is in the thread's struct */
        mov     SOFT_T_ENTRY(%rbx), %rax
        mov     SOFT_E_HOST_FS(%rax), %rax
        wrfsbase %rax
        mov     %rbx, %rdi
        call    soft_leaf_full
        wrfsbase %rbp
        mov     %eax, %ecx
        mov     $0xE7, %eax
        xor     %edx, %edx
        xrstor64 64(%rsp)
        test    %ecx, %ecx
        jnz     soft_leaf_trap
soft_leaf_decide:                               /* a signal from here on begins here again */
        cmpl    $0, SOFT_T_DEFERRED(%rbx)
        jne     soft_leaf_trap
        movl    $0, SOFT_T_LEAF(%rbx)
soft_leaf_out:                                  /* a signal completes what follows */
        movb    $SOFT_SELECTOR_BLOCK, SOFT_T_SELECTOR(%rbx)
        mov     %rbx, %r11
        mov     SOFT_T_LEAF_RAX(%r11), %rax
        mov     SOFT_T_LEAF_RBX(%r11), %rbx
        mov     SOFT_T_LEAF_RCX(%r11), %rcx
        mov     SOFT_T_LEAF_RDX(%r11), %rdx
        mov     SOFT_T_LEAF_RBP(%r11), %rbp
        mov     SOFT_T_LEAF_RSP(%r11), %rsp
        jmp     *SOFT_T_LEAF_RIP(%r11)
soft_leaf_out_end:
soft_leaf_trap:
        ud2

/*
 * Every signal that the processor takes arrives here, on the alternate stack of an armed thread. FS may be the
 * enclave's: nothing below touches it before the thread's block, found by masking RSP, has told the host's.
 * soft_signal(number, info, context, thread or NULL, fs, gs) says where to return.
 */
        .globl  soft_signal_entry
        .hidden soft_signal_entry
        .type   soft_signal_entry, @function
        .p2align 4
soft_signal_entry:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa %rsp, 0
        mov     %rdx, %rbx                      /* the ucontext: where RSP must be for rt_sigreturn */
        xor     %ecx, %ecx
        xor     %ebp, %ebp
        mov     %rsp, %rax
        sub     soft_arena_base(%rip), %rax
        cmp     soft_arena_size(%rip), %rax
        jae     1f
        mov     %rsp, %rcx
        and     $-SOFT_BLOCK_SIZE, %rcx
        add     $SOFT_THREAD_OFFSET, %rcx
        cmpq    $0, SOFT_T_INSIDE(%rcx)
        je      1f
        movb    $SOFT_SELECTOR_ALLOW, SOFT_T_SELECTOR(%rcx)
        mov     %rcx, %rbp
        mov     SOFT_T_ENTRY(%rcx), %rax
        rdfsbase %r8
        rdgsbase %r9
        mov     SOFT_E_HOST_FS(%rax), %r10
        wrfsbase %r10
        mov     SOFT_E_HOST_GS(%rax), %r10
        wrgsbase %r10
1:      and     $-16, %rsp
        pushfq
        andl    $~0x40000, (%rsp)               /* AC: the enclave's, would trap our own accesses */
        popfq
        sub     $32, %rsp
        mov     %rsp, %r12
        push    %r12                            /* out: two words, new fs and gs */
        sub     $8, %rsp
        mov     %r8, 0(%r12)
        mov     %r9, 8(%r12)
        mov     %r12, %r8
        call    soft_signal
        cmp     $SOFT_RETURN_HANDLER, %eax
        je      3f
        cmp     $SOFT_RETURN_LEAF, %eax
        je      4f
        cmp     $SOFT_RETURN_ENCLAVE, %eax
        jne     2f
        mov     soft_thread_tls@gottpoff(%rip), %rcx
        mov     %fs:(%rcx), %rbp
        movb    $SOFT_SELECTOR_BLOCK, SOFT_T_SELECTOR(%rbp)
4:      mov     0(%r12), %r8
        mov     8(%r12), %r9
        wrfsbase %r8
        wrgsbase %r9
2:      mov     %rbx, %rsp
        mov     $15, %eax
        jmp     soft_sigreturn
3:      mov     0(%r12), %r11                   /* handler(number, info, context) on the kernel's frame */
        mov     8(%r12), %rdi
        lea     SOFT_FRAME_INFO(%rbx), %rsi
        mov     %rbx, %rdx
        lea     -8(%rbx), %rsp
        xor     %eax, %eax
        jmp     *%r11
        .cfi_endproc
        .size   soft_signal_entry, . - soft_signal_entry

/*
 * Host code that could not be given its alternate stack in the handler comes here: at RSP lie a stack_t and the address
 * to go on at. Every register and flag is as it was afterwards.
 */
        .globl  soft_restack
        .hidden soft_restack
        .type   soft_restack, @function
        .p2align 4
soft_restack:
        pushfq
        push    %rax
        push    %rcx
        push    %rdi
        push    %rsi
        push    %r11
        lea     48(%rsp), %rdi
        xor     %esi, %esi
        mov     $131, %eax                      /* sigaltstack */
        syscall
        pop     %r11
        pop     %rsi
        pop     %rdi
        pop     %rcx
        pop     %rax
        popfq
        lea     24(%rsp), %rsp
        ret     $SOFT_RESTACK_SKIP
        .size   soft_restack, . - soft_restack

/* The one place whose system call is exempt from dispatch: it runs with the selector already at BLOCK. */
        .globl  soft_restorer_begin, soft_restorer_end, soft_restorer
        .hidden soft_restorer_begin, soft_restorer_end, soft_restorer
        .p2align 4
        nop
soft_restorer_begin:
soft_restorer:                                  /* by these bytes unwinders know a signal's frame */
        .byte   0x48, 0xC7, 0xC0, 0x0F, 0, 0, 0 /* mov $15, %rax: rt_sigreturn */
soft_sigreturn:
        syscall
        ud2
soft_restorer_end:

        .section .note.GNU-stack, "", @progbits
