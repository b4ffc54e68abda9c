/*
 * Into the kernel and back into the program: the target of rewritten system calls, and the way out of a trap.
 * Side: enclave. Entered from trampolines (abi/program.h) and called by linux/. Never uses the program's stack.
 *
 * Both ways out can be begun again from their label: what they restore from stays as it is until the last jump. That is
 * how a thread that a kick meets on the way out still sees its signals (cella_program_rewind).
 */
#include "enclave/td.h"

        .text
/* RAX: number, RCX: where to go on; arguments as the kernel's. All other registers come back but R11. */
        .globl  cella_linux_entry
        .hidden cella_linux_entry
        .type   cella_linux_entry, @function
        .p2align 5
cella_linux_entry:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa %rsp, 0
        .cfi_register %rip, %rcx
        mov     %rsp, %gs:TD_USER_RSP
        mov     %gs:TD_KERNEL_STACK, %rsp
        sub     $REGS_SIZE, %rsp
        .cfi_escape 0x0f, 4, 0x77, 0x88, 0x01, 0x06  /* CFA = *(RSP + REGS_RSP) */
        .cfi_escape 0x10, 16, 3, 0x77, 0x80, 0x01    /* RIP at RSP + REGS_RIP */
        mov     %r15, REGS_R15(%rsp)
        mov     %r14, REGS_R14(%rsp)
        mov     %r13, REGS_R13(%rsp)
        mov     %r12, REGS_R12(%rsp)
        mov     %rbp, REGS_RBP(%rsp)
        mov     %rbx, REGS_RBX(%rsp)
        mov     %r10, REGS_R10(%rsp)
        mov     %r9, REGS_R9(%rsp)
        mov     %r8, REGS_R8(%rsp)
        mov     %rcx, REGS_RCX(%rsp)
        mov     %rdx, REGS_RDX(%rsp)
        mov     %rsi, REGS_RSI(%rsp)
        mov     %rdi, REGS_RDI(%rsp)
        mov     %rax, REGS_RAX(%rsp)
        mov     %rcx, REGS_RIP(%rsp)
        mov     %gs:TD_USER_RSP, %rcx
        mov     %rcx, REGS_RSP(%rsp)
        pushfq
        pop     %r11
        mov     %r11, REGS_RFLAGS(%rsp)
        mov     %r11, REGS_R11(%rsp)
        cld
        xor     %ebp, %ebp
        mov     %rsp, %rdi
        call    cella_linux_syscall
        .globl  cella_linux_exit, cella_linux_exit_end
        .hidden cella_linux_exit, cella_linux_exit_end
cella_linux_exit:
        cmpl    $0, %gs:TD_ATTENTION
        jne     1f
        mov     REGS_R15(%rsp), %r15
        mov     REGS_R14(%rsp), %r14
        mov     REGS_R13(%rsp), %r13
        mov     REGS_R12(%rsp), %r12
        mov     REGS_RBP(%rsp), %rbp
        mov     REGS_RBX(%rsp), %rbx
        mov     REGS_R11(%rsp), %r11
        mov     REGS_R10(%rsp), %r10
        mov     REGS_R9(%rsp), %r9
        mov     REGS_R8(%rsp), %r8
        mov     REGS_RDX(%rsp), %rdx
        mov     REGS_RSI(%rsp), %rsi
        mov     REGS_RDI(%rsp), %rdi
        mov     REGS_RAX(%rsp), %rax
        mov     REGS_RIP(%rsp), %rcx
        mov     REGS_RSP(%rsp), %rsp
        jmp     *%rcx
cella_linux_exit_end:
1:      mov     %rsp, %rdi
        call    cella_linux_attention
        jmp     cella_linux_exit
        .cfi_endproc
        .size   cella_linux_entry, . - cella_linux_entry

/* Into the program with every register of the trap at RDI, which is the one at this thread's kernel_stack. */
        .globl  cella_linux_return
        .hidden cella_linux_return
        .type   cella_linux_return, @function
        .p2align 4
cella_linux_return:
        mov     %rdi, %rsp
        .globl  cella_linux_back, cella_linux_back_end
        .hidden cella_linux_back, cella_linux_back_end
cella_linux_back:
        cmpl    $0, %gs:TD_ATTENTION
        jne     2f
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xrstor64 256(%rsp)
        mov     REGS_RIP(%rsp), %rax
        mov     %rax, %gs:TD_JUMP_RIP
        mov     REGS_RSP(%rsp), %rax
        mov     %rax, %gs:TD_JUMP_RSP
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
cella_linux_back_end:
2:      mov     %rsp, %rdi
        call    cella_linux_trap_attention
        jmp     cella_linux_back
        .size   cella_linux_return, . - cella_linux_return

/* void cella_linux_xsave(void *): the vector state as it is, into a zeroed area, 64-byte aligned. */
        .globl  cella_linux_xsave
        .hidden cella_linux_xsave
        .type   cella_linux_xsave, @function
cella_linux_xsave:
        mov     cella_exit_xfrm(%rip), %eax
        xor     %edx, %edx
        xsave64 (%rdi)
        ret
        .size   cella_linux_xsave, . - cella_linux_xsave
        .section .note.GNU-stack, "", @progbits
