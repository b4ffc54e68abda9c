/*
 * The enclave's one door: EENTER arrives here, EEXIT leaves from here. The only assembly of the kernel.
 * Side: enclave. Entered by the processor (OENTRY); called by the kernel's C code and by rewritten system calls.
 * Trusts of the entry state: RAX (CSSA), RBX (TCS), FS and GS base, RIP. Everything else is the host's: registers
 * are arguments to be checked, flags, MXCSR and x87 are put in order, RSP and RBP are only kept to be given back.
 * Never leaves a register behind on the way out that does not carry a result. In this file RSP may be the host's: an
 * exception between cella_entry_text and its end ends the enclave (exception.c).
 */
#include "abi/call.h"
#include "enclave/td.h"

#define MXCSR_DEFAULT 0x1F80
#define MXCSR_STATUS 0x3F
#define FCW_DEFAULT 0x37F
#define RFLAGS_FORBIDDEN 0x44400 /* AC, NT, DF: never set while the kernel runs, nor given to the host */
#define XSTATE_X87 0x1
#define XSTATE_XMM 0x46 /* SSE, AVX, and the upper halves of ZMM0 … 15, which are tracked apart: one VZEROALL clears all */
#define XSTATE_ZMM 0xE0
#define XSTATE_OPMASK 0x20
#define XSTATE_ZMM_HIGH 0xC0
#define XSTATE_SSE 0x2
#define XSTATE_AVX 0x4

        .cfi_sections .debug_frame             /* for debuggers only: not in the measured image */
        .text

/*
 * Puts the state that C code takes for granted in order. Needs a trusted stack; clobbers RAX, RCX, R10. Usual case:
 * nothing to mend, a few nanoseconds. (EMMS would be shorter, but makes XINUSE say that x87 is in use.)
 */
        .macro  SANITISE
        cld
        pushfq
        testl   $RFLAGS_FORBIDDEN, (%rsp)
        jz      1f
        andq    $~RFLAGS_FORBIDDEN, (%rsp)
        popfq
        sub     $8, %rsp
1:      add     $8, %rsp
        stmxcsr %gs:TD_HOST_MXCSR
        mov     %gs:TD_HOST_MXCSR, %eax
        and     $~MXCSR_STATUS, %eax            /* sticky status bits steer nothing, and a load costs 40 ns */
        cmp     $MXCSR_DEFAULT, %eax
        je      2f
        ldmxcsr cella_mxcsr_default(%rip)
2:      mov     %rdx, %r10
        cmpb    $0, cella_exit_xgetbv1(%rip)
        je      3f
        mov     $1, %ecx
        xgetbv                                  /* XINUSE: is there any x87 state but the initial one? */
        test    $XSTATE_X87, %al
        jz      4f
3:      xor     %edx, %edx                      /* a full register stack would poison the enclave's arithmetic */
        mov     $XSTATE_X87, %eax
        xrstor64 cella_xstate_initial(%rip)
4:      mov     %r10, %rdx
        .endm

/* FS base = the thread's TLS, where that is not the TD itself (no libc). Clobbers RAX. */
        .macro  LOAD_FS
        mov     %gs:TD_FS_BASE, %rax
        cmp     %gs:TD_SELF, %rax
        je      1f
        wrfsbase %rax
1:
        .endm

/* Frames on the trusted stack that a debugger follows into the host: RBP at 0, RSP at 8, RIP at 16. */
        .macro  CFI_HOST_FRAME
        .cfi_escape 0x0f, 3, 0x77, 8, 0x06      /* CFA = *(RSP + 8) */
        .cfi_escape 0x10, 16, 2, 0x77, 16       /* RIP at RSP + 16 */
        .cfi_escape 0x10, 6, 2, 0x77, 0         /* RBP at RSP */
        .cfi_undefined %rbx
        .cfi_undefined %r12
        .cfi_undefined %r13
        .cfi_undefined %r14
        .cfi_undefined %r15
        .endm

        .globl  cella_entry_text
        .hidden cella_entry_text
cella_entry_text:
        .globl  cella_enclave_entry
        .hidden cella_enclave_entry
        .type   cella_enclave_entry, @function
        .p2align 6
cella_enclave_entry:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa %rsp, 0
        .cfi_register %rip, %rcx
        test    %eax, %eax
        jnz     .Lexception
        mov     %rcx, %gs:TD_HOST_RIP
        mov     %rsp, %gs:TD_HOST_RSP
        mov     %rbp, %gs:TD_HOST_RBP
        mov     %gs:TD_STACK_TOP, %rsp
        test    %rsp, %rsp
        jz      .Lboot
.Lbooted:
        pushq   $0
        push    %rcx
        pushq   %gs:TD_HOST_RSP
        push    %rbp
        CFI_HOST_FRAME
        xor     %ebp, %ebp                      /* the end of a frame-pointer walk */
        SANITISE
        cmpb    $CELLA_ENTER_RETURN, %dil
        je      .Lreturn
        cmpl    $KERNEL_READY, cella_kernel_state(%rip)
        jne     .Lslow
        cmpb    $CELLA_ENTER_ECALL, %dil
        jne     .Lslow
        cmpl    $TD_READY, %gs:TD_STATE
        jne     .Lslow
        LOAD_FS
        shr     $32, %rdi
        mov     %r8, %rcx
        mov     %r9, %r8
        call    cella_kernel_ecall              /* (number, in, in_size, out, out_capacity) */
/* RAX: result code, RDX: size. */
.Ldone:
        mov     $CELLA_EXIT_DONE, %edi
        mov     %rax, %rsi
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        jmp     .Lexit

/* Everything that is not worth speed, and everything that is wrong, is C: (code, rsi, rdx, r8, r9). */
.Lslow:
        cmpl    $KERNEL_NEW, cella_kernel_state(%rip)
        je      1f
        LOAD_FS
1:      mov     %r8, %rcx
        mov     %r9, %r8
        call    cella_kernel_enter_slow
        jmp     .Ldone

/* The first entry on this TCS: its TD is all zeros, as measured. */
.Lboot:
        lea     cella_image_info(%rip), %r10
        mov     %rbx, %rax
        add     104(%r10), %rax                 /* slot_td - slot_tcs: the TD of this TCS */
        sub     88(%r10), %rax
        mov     %rax, %r11
        mov     %rax, %gs:TD_SELF
        xor     %eax, %eax
        lock cmpxchg %r11, %gs:TD_FS_BASE       /* not over the base of a thread that is bound here meanwhile */
        mov     %rbx, %gs:TD_TCS
        mov     $64, %r11d
2:      rdrand  %rax
        jc      3f
        dec     %r11d
        jnz     2b
        ud2                                     /* no canary, no enclave */
3:      xor     %al, %al                        /* a string overrun stops here */
        mov     %rax, %gs:TD_CANARY
        xor     %eax, %eax
        lea     -4096(%rbx), %rsp               /* above the stack: its guard, then the TCS */
        mov     %rsp, %gs:TD_STACK_TOP
        movl    $TD_BOOTED, %gs:TD_STATE
        jmp     .Lbooted

/* RETURN: only to the topmost frame of this thread, and only if it names that frame's depth. */
.Lreturn:
        cmpl    $KERNEL_DEAD, cella_kernel_state(%rip)
        je      .Lslow
        shr     $32, %rdi
        mov     %gs:TD_DEPTH, %eax
        cmp     %eax, %edi
        jne     .Lrefused
        cmp     %gs:TD_FLOOR, %eax
        jbe     .Lrefused
        add     $32, %rsp
.Lpop:
        .cfi_remember_state
        .cfi_def_cfa %rsp, 80
        .cfi_offset %rip, -8
        .cfi_offset %rbp, -16
        .cfi_offset %rbx, -24
        .cfi_offset %r12, -32
        .cfi_offset %r13, -40
        .cfi_offset %r14, -48
        .cfi_offset %r15, -56
        decl    %gs:TD_DEPTH
        pop     %rax
        .cfi_adjust_cfa_offset -8
        cmp     %gs:TD_SELF, %rax
        je      1f
        wrfsbase %rax
1:      popq    %gs:TD_STACK_TOP
        .cfi_adjust_cfa_offset -8
        mov     (%rsp), %eax
        and     $~MXCSR_STATUS, %eax
        cmp     $MXCSR_DEFAULT, %eax
        je      2f
        ldmxcsr (%rsp)
2:      cmpw    $FCW_DEFAULT, 4(%rsp)
        je      3f
        fldcw   4(%rsp)
3:      add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %r15
        .cfi_adjust_cfa_offset -8
        pop     %r14
        .cfi_adjust_cfa_offset -8
        pop     %r13
        .cfi_adjust_cfa_offset -8
        pop     %r12
        .cfi_adjust_cfa_offset -8
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        mov     %rsi, %rax
        ret
        .cfi_restore_state

.Lrefused:
        mov     $3, %eax                        /* CELLA_CODE_WRONG_STATE */
        xor     %edx, %edx
        jmp     .Ldone

/*
 * struct cella_pair cella_kernel_leave(rdi, rsi, rdx, rcx -> r8, r8 -> r9): leaves the enclave from any depth and
 * returns what RETURN brings. The frame it leaves: return address, six registers, MXCSR and x87 control, the stack
 * top before, FS base: 80 bytes.
 */
        .globl  cella_kernel_leave
        .hidden cella_kernel_leave
        .type   cella_kernel_leave, @function
        .p2align 4
cella_kernel_leave:
        .cfi_remember_state
        .cfi_def_cfa %rsp, 8
        .cfi_restore %rip
        .cfi_offset %rip, -8
        .cfi_restore %rbp
        .cfi_restore %rbx
        .cfi_restore %r12
        .cfi_restore %r13
        .cfi_restore %r14
        .cfi_restore %r15
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        .cfi_adjust_cfa_offset 48
        sub     $8, %rsp
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        pushq   %gs:TD_STACK_TOP
        rdfsbase %rax
        push    %rax
        .cfi_adjust_cfa_offset 24
        mov     %rsp, %gs:TD_STACK_TOP
        incl    %gs:TD_DEPTH
        mov     %r8, %r9
        mov     %rcx, %r8
        jmp     .Lexit
        .cfi_restore_state

/* void cella_kernel_unpark(rsi): resumes the topmost frame as RETURN does; never comes back. */
        .globl  cella_kernel_unpark
        .hidden cella_kernel_unpark
        .type   cella_kernel_unpark, @function
cella_kernel_unpark:
        mov     %rdi, %rsi
        xor     %edx, %edx
        mov     %gs:TD_STACK_TOP, %rsp
        jmp     .Lpop

/* void cella_kernel_exit(rdi, rsi, rdx): leaves for good; the stack below stays as it is. */
        .globl  cella_kernel_exit
        .hidden cella_kernel_exit
        .type   cella_kernel_exit, @function
cella_kernel_exit:
        xor     %r8d, %r8d
        xor     %r9d, %r9d

/*
 * The way out. RDI, RSI, RDX, R8, R9 carry results; all else is cleared. XINUSE (XGETBV with ECX = 1) tells what
 * there is to clear; where that is not available everything is taken to be in use.
 */
.Lexit:
        mov     %rdx, %r10
        mov     $-1, %eax
        cmpb    $0, cella_exit_xgetbv1(%rip)
        je      1f
        mov     $1, %ecx
        xgetbv
1:      and     cella_exit_xfrm(%rip), %eax
        test    $XSTATE_X87, %al
        jnz     .Lclear_x87
.Lx87_clear:
        test    $XSTATE_XMM, %al
        jz      .Lxmm_clear
        testb   $4, cella_exit_xfrm(%rip)
        jz      .Lclear_sse
        vzeroall
.Lxmm_clear:
        test    $XSTATE_ZMM, %al
        jnz     .Lclear_zmm
.Lvectors_clear:
        stmxcsr %gs:TD_SCRATCH
        mov     %gs:TD_HOST_MXCSR, %eax
        cmp     %eax, %gs:TD_SCRATCH
        je      2f
        ldmxcsr %gs:TD_HOST_MXCSR
2:      pushfq
        testl   $RFLAGS_FORBIDDEN, (%rsp)
        jz      3f
        andq    $~RFLAGS_FORBIDDEN, (%rsp)
        popfq
        sub     $8, %rsp
3:      mov     %r10, %rdx
        mov     %gs:TD_HOST_RIP, %rbx
        mov     %gs:TD_HOST_RBP, %rbp
        mov     %gs:TD_HOST_RSP, %rsp
.Lexit_tail:
        mov     %gs:TD_TCS, %rcx
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        xor     %r12d, %r12d
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        xor     %r15d, %r15d
        cmp     %r15, %r15                      /* every arithmetic flag has a known value */
/*
 * The one EEXIT. These bytes are an agreement with the software processor, which may patch them after EINIT; they must
 * not lie across two pages.
 */
        .p2align 5
        .byte   0xB8, 0x04, 0x00, 0x00, 0x00    /* mov $4, %eax */
        .byte   0x0F, 0x01, 0xD7                /* enclu */
        .byte   0x0F, 0x0B                      /* ud2 */
        .ascii  "CellaEexitSite01"

/* FNINIT would leave the old values in the registers; XRSTOR of an initial image clears them. */
.Lclear_x87:
        mov     %eax, %r11d
        xor     %edx, %edx
        mov     $XSTATE_X87, %eax
        xrstor64 cella_xstate_initial(%rip)
        mov     %r11d, %eax
        jmp     .Lx87_clear
.Lclear_sse:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        pxor    %xmm\n, %xmm\n
        .endr
        jmp     .Lxmm_clear
.Lclear_zmm:
        test    $XSTATE_ZMM_HIGH, %al
        jz      1f
        .irp    n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        vpxord  %zmm\n, %zmm\n, %zmm\n
        .endr
1:      .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        kxorw   %k\n, %k\n, %k\n
        .endr
        jmp     .Lvectors_clear

/*
 * CSSA > 0: the host says that an exception happened. It has its own stack (the rest of the TD's pages) and must
 * not touch what the interrupted thread's TD says about its latest EENTER.
 */
.Lexception:
        cmp     $1, %eax
        jne     .Lhang                          /* a fault in stage one: nothing left to run on */
        cmpq    $0, %gs:TD_SELF
        je      .Lhang
        mov     %rsp, %r10
        mov     %gs:TD_SELF, %rsp
        add     $8192, %rsp
        pushq   $0
        push    %rcx
        push    %r10
        push    %rbp
        CFI_HOST_FRAME
        xor     %ebp, %ebp
        cld
        pushfq
        andq    $~RFLAGS_FORBIDDEN, (%rsp)
        popfq
        call    cella_kernel_exception          /* (code, tsc) */
        mov     %rax, %rdi
        mov     %rdx, %rsi
        pop     %rbp
        mov     (%rsp), %r10
        mov     8(%rsp), %rbx
        mov     %r10, %rsp
        xor     %edx, %edx
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        jmp     .Lexit_tail
/* Refused with as little as possible touched: EEXIT to where we came from. */
.Lhang:
        movl    $KERNEL_DEAD, cella_kernel_state(%rip)
        mov     %rcx, %rbx
        mov     $CELLA_EXIT_ABORTED, %edi
        mov     $100, %esi                      /* CELLA_CODE_ENCLAVE_ABORTED */
        mov     $CELLA_ABORT_EXCEPTION, %edx
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        mov     $4, %eax
        enclu
        ud2
        .cfi_endproc
        .size   cella_enclave_entry, . - cella_enclave_entry

/* void cella_kernel_jump(const struct cella_regs *): loads every register and goes there; touches no stack. */
        .globl  cella_kernel_jump
        .hidden cella_kernel_jump
        .type   cella_kernel_jump, @function
        .p2align 4
cella_kernel_jump:
        mov     REGS_RIP(%rdi), %rax
        mov     %rax, %gs:TD_JUMP_RIP
        mov     REGS_RSP(%rdi), %rax
        mov     %rax, %gs:TD_JUMP_RSP
        mov     %rdi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        pop     %rax
        popfq
        mov     %gs:TD_JUMP_RSP, %rsp
        jmp     *%gs:TD_JUMP_RIP

/*
 * Stage two of an exception starts here: ERESUME comes with RSP at a struct cella_trap that stage one has laid on the
 * thread's stack (64-byte aligned), RDI = RSP. Vector state is still the interrupted thread's.
 */
        .globl  cella_kernel_stage_two
        .hidden cella_kernel_stage_two
        .type   cella_kernel_stage_two, @function
        .p2align 4
cella_kernel_stage_two:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_escape 0x0f, 4, 0x77, 0x88, 0x01, 0x06  /* CFA = *(RSP + REGS_RSP) */
        .cfi_escape 0x10, 16, 3, 0x77, 0x80, 0x01    /* RIP at RSP + REGS_RIP */
        .cfi_escape 0x10, 6, 2, 0x77, 32             /* RBP */
        .cfi_escape 0x10, 3, 2, 0x77, 40             /* RBX */
        .cfi_escape 0x10, 12, 2, 0x77, 24            /* R12 … R15 */
        .cfi_escape 0x10, 13, 2, 0x77, 16
        .cfi_escape 0x10, 14, 2, 0x77, 8
        .cfi_escape 0x10, 15, 2, 0x77, 0
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xsave64 256(%rsp)
        ldmxcsr cella_mxcsr_default(%rip)
        fninit
        mov     %rsp, %rdi
        call    cella_kernel_handle_trap        /* comes back when the context may go on */
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xrstor64 256(%rsp)
        mov     %rsp, %rdi
        jmp     cella_kernel_jump
        .cfi_endproc

/*
 * The target of rewritten `syscall` sites: number in RAX, arguments as the kernel's, result in RAX; every other
 * register but the flags survives, the vector state too.
 */
        .globl  cella_syscall_entry
        .hidden cella_syscall_entry
        .type   cella_syscall_entry, @function
        .p2align 4
cella_syscall_entry:
        .cfi_startproc
        sub     $(REGS_SIZE - 8), %rsp          /* the return address becomes REGS_RSP's place: see below */
        .cfi_adjust_cfa_offset REGS_SIZE - 8
        mov     %r15, REGS_R15(%rsp)
        .cfi_rel_offset %r15, REGS_R15
        mov     %r14, REGS_R14(%rsp)
        .cfi_rel_offset %r14, REGS_R14
        mov     %r13, REGS_R13(%rsp)
        .cfi_rel_offset %r13, REGS_R13
        mov     %r12, REGS_R12(%rsp)
        .cfi_rel_offset %r12, REGS_R12
        mov     %rbp, REGS_RBP(%rsp)
        .cfi_rel_offset %rbp, REGS_RBP
        mov     %rbx, REGS_RBX(%rsp)
        .cfi_rel_offset %rbx, REGS_RBX
        mov     %r11, REGS_R11(%rsp)
        mov     %r10, REGS_R10(%rsp)
        mov     %r9, REGS_R9(%rsp)
        mov     %r8, REGS_R8(%rsp)
        mov     %rcx, REGS_RCX(%rsp)
        mov     %rdx, REGS_RDX(%rsp)
        mov     %rsi, REGS_RSI(%rsp)
        mov     %rdi, REGS_RDI(%rsp)
        mov     %rax, REGS_RAX(%rsp)
        pushfq
        pop     REGS_RFLAGS(%rsp)
        cld
        mov     REGS_RSP(%rsp), %rax            /* the return address, where RSP belongs */
        mov     %rax, REGS_RIP(%rsp)
        lea     REGS_SIZE(%rsp), %rax           /* RSP once we have returned */
        mov     %rax, REGS_RSP(%rsp)
        mov     %rsp, %rdi
        mov     %rsp, %rbx
        .cfi_def_cfa_register %rbx
        and     $-16, %rsp
        call    cella_kernel_syscall            /* long (struct cella_regs *) */
        mov     %rbx, %rsp
        .cfi_def_cfa_register %rsp
        mov     REGS_RIP(%rsp), %rcx
        mov     %rcx, REGS_RSP(%rsp)            /* the return address again */
        mov     REGS_RBX(%rsp), %rbx
        mov     REGS_R11(%rsp), %r11
        mov     REGS_R10(%rsp), %r10
        mov     REGS_R9(%rsp), %r9
        mov     REGS_R8(%rsp), %r8
        mov     REGS_RCX(%rsp), %rcx
        mov     REGS_RDX(%rsp), %rdx
        mov     REGS_RSI(%rsp), %rsi
        mov     REGS_RDI(%rsp), %rdi
        mov     REGS_R12(%rsp), %r12            /* callee-saved, but a handler may have changed the saved ones */
        mov     REGS_R13(%rsp), %r13
        mov     REGS_R14(%rsp), %r14
        mov     REGS_R15(%rsp), %r15
        mov     REGS_RBP(%rsp), %rbp
        lea     REGS_SIZE-8(%rsp), %rsp
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        .size   cella_syscall_entry, . - cella_syscall_entry

/*
 * struct cella_pair cella_kernel_leave_preserving(the arguments of cella_kernel_leave): the same for callers whose
 * own callers hold values in vector registers, as users of system calls do.
 */
#define PRESERVED_MASKS 256 /* behind XMM0 … 15 */
#define PRESERVED_IN_USE 320
        .globl  cella_kernel_leave_preserving
        .hidden cella_kernel_leave_preserving
        .type   cella_kernel_leave_preserving, @function
        .p2align 4
cella_kernel_leave_preserving:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        push    %r12
        .cfi_rel_offset %rbx, -8
        .cfi_rel_offset %r12, -16
        mov     %rdx, %r12
        mov     %rcx, %r11
        mov     cella_exit_xfrm(%rip), %eax
        cmpb    $0, cella_exit_xgetbv1(%rip)
        je      .Lpreserve_some
        mov     $1, %ecx
        xgetbv
        and     cella_exit_xfrm(%rip), %eax
        mov     %r11, %rcx
        test    $~(XSTATE_SSE | XSTATE_OPMASK), %eax
        jnz     .Lpreserve_some

/*
 * The usual case: XMM registers, masks (which stay in use once they were; there is nothing like VZEROUPPER for them) and
 * nothing else. XSAVE and XRSTOR would take longer than all of this. Processors with masks and SGX have AVX512BW.
 */
        sub     $(PRESERVED_IN_USE + 16), %rsp
        and     $-16, %rsp
        mov     %eax, PRESERVED_IN_USE(%rsp)
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movaps  %xmm\n, 16 * \n(%rsp)
        .endr
        test    $XSTATE_OPMASK, %al
        jz      1f
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq   %k\n, PRESERVED_MASKS + 8 * \n(%rsp)
        .endr
1:      mov     %r12, %rdx
        call    cella_kernel_leave
        mov     %rax, %rbx
        mov     %rdx, %r12
        mov     $1, %ecx                        /* what the host has left in the others goes */
        xgetbv
        and     cella_exit_xfrm(%rip), %eax
        test    $XSTATE_AVX | XSTATE_ZMM, %al
        jz      1f
        test    $XSTATE_AVX, %al
        jz      2f
        vzeroupper
2:      and     $XSTATE_ZMM, %eax
        jz      1f
        cmp     $XSTATE_OPMASK, %eax
        jne     3f
        testl   $XSTATE_OPMASK, PRESERVED_IN_USE(%rsp)
        jnz     1f                              /* the program's come into them */
3:      xor     %edx, %edx
        xrstor64 cella_xstate_initial(%rip)     /* neither SSE nor AVX is named: MXCSR stays */
1:      .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movaps  16 * \n(%rsp), %xmm\n
        .endr
        testl   $XSTATE_OPMASK, PRESERVED_IN_USE(%rsp)
        jz      .Lpreserved
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq   PRESERVED_MASKS + 8 * \n(%rsp), %k\n
        .endr
        jmp     .Lpreserved

/* EAX: what is in use, or all there is. */
.Lpreserve_some:
        sub     cella_xsave_size(%rip), %rsp
        and     $-64, %rsp
        lea     512(%rsp), %rbx                 /* the header must be zero where XSAVE does not write */
        xor     %edx, %edx
        mov     %rdx, (%rbx)
        mov     %rdx, 8(%rbx)
        mov     %rdx, 16(%rbx)
        mov     %rdx, 24(%rbx)
        mov     %rdx, 32(%rbx)
        mov     %rdx, 40(%rbx)
        mov     %rdx, 48(%rbx)
        mov     %rdx, 56(%rbx)
        or      $XSTATE_SSE, %eax               /* and MXCSR */
        xsave64 (%rsp)
        mov     %r12, %rdx
        call    cella_kernel_leave
        mov     %rax, %rbx
        mov     %rdx, %r12
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xrstor64 (%rsp)
.Lpreserved:
        mov     %rbx, %rax
        mov     %r12, %rdx
        mov     -8(%rbp), %rbx
        mov     -16(%rbp), %r12
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   cella_kernel_leave_preserving, . - cella_kernel_leave_preserving

        .globl  cella_entry_text_end
        .hidden cella_entry_text_end
cella_entry_text_end:

/*
 * uint64_t cella_enclu(leaf, rbx, rcx, rdx): every other ENCLU of the kernel; what the leaf leaves in RAX. The marked bytes
 * are an agreement as above: RDI = TCS, RSI = where they go on, and R8 to R11 may be changed. A leaf that faults, because
 * the host keeps the page away, may go on behind it (exception.c).
 */
        .globl  cella_enclu, cella_enclu_site, cella_enclu_end
        .hidden cella_enclu, cella_enclu_site, cella_enclu_end
        .type   cella_enclu, @function
        .p2align 5
cella_enclu:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        mov     %edi, %eax
        mov     %rsi, %rbx
        xchg    %rdx, %rcx
        mov     %gs:TD_TCS, %rdi
        lea     cella_enclu_end(%rip), %rsi
        .p2align 5
cella_enclu_site:
        .byte   0x0F, 0x01, 0xD7                /* enclu */
        .byte   0xEB, 0x18                      /* jmp cella_enclu_end */
        .fill   8, 1, 0xCC
        .ascii  "CellaEncluSite01"
cella_enclu_end:
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   cella_enclu, . - cella_enclu

/*
 * The instructions that touch host memory for copies: int (to, from, count), 0 = done. The host may have no memory where
 * it says; stage one then goes on at cella_host_access_failed. So: no stack, only registers that a call may change.
 */
        .globl  cella_host_access, cella_host_copy_words, cella_host_copy_bytes
        .hidden cella_host_access, cella_host_copy_words, cella_host_copy_bytes
        .globl  cella_host_access_end, cella_host_access_failed
        .hidden cella_host_access_end, cella_host_access_failed
        .type   cella_host_copy_words, @function
        .type   cella_host_copy_bytes, @function
        .p2align 4
cella_host_access:
cella_host_copy_words:
        mov     %rdx, %rcx
        cmp     $16, %rdx                       /* below, a loop starts sooner than a string instruction */
        ja      2f
        test    %rcx, %rcx
        jz      3f
1:      mov     (%rsi), %rax
        mov     %rax, (%rdi)
        add     $8, %rsi
        add     $8, %rdi
        dec     %rcx
        jnz     1b
3:      xor     %eax, %eax
        ret
2:      rep movsq
        xor     %eax, %eax
        ret
cella_host_copy_bytes:
        mov     %rdx, %rcx
        rep movsb
        xor     %eax, %eax
        ret
cella_host_access_end:
cella_host_access_failed:
        mov     $1, %eax
        ret

        .section .rodata.cella_entry, "a", @progbits
        .p2align 6
cella_xstate_initial:
        .zero   576
cella_mxcsr_default:
        .long   MXCSR_DEFAULT

/*
 * The information object (abi/image.h), read-only: magic, version and size; the signer fills in the rest. In
 * assembly because a C compiler would either fold the zeros in or put the object into a writable section.
 */
        .section .cella.info, "a", @progbits
        .globl  cella_image_info
        .type   cella_image_info, @object
        .p2align 6
cella_image_info:
        .ascii  "CELLAIMG"
        .long   1
        .long   512
        .zero   512 - 16
        .size   cella_image_info, . - cella_image_info

        .section .note.GNU-stack, "", @progbits
