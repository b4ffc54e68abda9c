/*
 * The call of __vdso_sgx_enter_enclave, which is no C call: the enclave clears or keeps registers as it likes.
 * Side: host. Called by call.c and entry.c. A debugger unwinds through it by RBP.
 * Never moves the stack between an EENTER and the ERESUMEs that follow it: the enclave leaves to where it came from.
 */
#include "host/frame.h"

#define RUN_FUNCTION 8
#define EEXIT 4
#define ERESUME 3
#define FCW_DEFAULT 0x37F

        .text
        .globl  cella_host_enter
        .hidden cella_host_enter
        .type   cella_host_enter, @function
        .p2align 5
cella_host_enter:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        .cfi_offset %rbx, -24
        .cfi_offset %r12, -32
        .cfi_offset %r13, -40
        .cfi_offset %r14, -48
        .cfi_offset %r15, -56
        push    %rdi                            /* -48(%rbp): the frame */
        sub     $16, %rsp                       /* 16-byte aligned from here */
        fnstcw  -56(%rbp)
        mov     %rdi, %rax
        mov     FRAME_FUNCTION(%rax), %ecx
.Lagain:
        push    $0
        push    FRAME_RUN(%rax)
        mov     FRAME_RDI(%rax), %rdi
        mov     FRAME_RSI(%rax), %rsi
        mov     FRAME_RDX(%rax), %rdx
        mov     FRAME_R8(%rax), %r8
        mov     FRAME_R9(%rax), %r9
        call    *FRAME_ENTER(%rax)
        add     $16, %rsp
        mov     -48(%rbp), %rbx
        mov     FRAME_RUN(%rbx), %rcx
        test    %eax, %eax
        jnz     .Lexception                     /* the arguments were refused; run->function tells nothing */
        cmpl    $EEXIT, RUN_FUNCTION(%rcx)
        jne     .Lexception
        mov     %rdi, FRAME_RDI(%rbx)
        mov     %rsi, FRAME_RSI(%rbx)
        mov     %rdx, FRAME_RDX(%rbx)
        mov     %r8, FRAME_R8(%rbx)
        mov     %r9, FRAME_R9(%rbx)
.Lout:
        cmpw    $FCW_DEFAULT, -56(%rbp)
        je      1f
        fldcw   -56(%rbp)
1:      lea     -40(%rbp), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        .cfi_remember_state
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_restore_state
.Lexception:
        cld
        mov     %rbx, %rdi
        call    cella_host_exception
        test    %eax, %eax
        jz      .Lout
        mov     %rbx, %rax
        mov     $ERESUME, %ecx
        jmp     .Lagain
        .cfi_endproc
        .size   cella_host_enter, . - cella_host_enter
        .section .note.GNU-stack, "", @progbits
