/*
 * The call of __vdso_sgx_enter_enclave, which is no C call: the enclave clears or keeps registers as it likes.
 * Side: host. Called by call.c and exception.c; the vDSO calls cella_host_handler at each exit. RBP unwinds it.
 * Ocalls are served inside the handler, so that every call on the way in has its return on the way out: the processor's
 * return predictor stays in step over the boundary. Never moves the stack between an EENTER and its ERESUMEs.
 */
#include "abi/call.h"
#include "host/frame.h"

#define RUN_FUNCTION 8
#define RUN_USER_DATA 32
#define EENTER 2
#define ERESUME 3
#define EEXIT 4
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
        sub     $8, %rsp
        fnstcw  (%rsp)                          /* -56(%rbp) */
        mov     %rdi, %rax
        push    FRAME_RUN(%rax)                 /* 16-byte aligned now */
        mov     FRAME_FUNCTION(%rax), %ecx
        mov     FRAME_RDI(%rax), %rdi
        mov     FRAME_RSI(%rax), %rsi
        mov     FRAME_RDX(%rax), %rdx
        mov     FRAME_R8(%rax), %r8
        mov     FRAME_R9(%rax), %r9
        call    *FRAME_ENTER(%rax)
        test    %eax, %eax
        jz      1f
        mov     -48(%rbp), %rcx
        movl    $FRAME_LOST, FRAME_STATUS(%rcx) /* the vDSO refused its arguments */
1:      cmpw    $FCW_DEFAULT, -56(%rbp)
        je      2f
        fldcw   -56(%rbp)
2:      lea     -40(%rbp), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   cella_host_enter, . - cella_host_enter

/*
 * int handler(rdi, rsi, rdx, rsp at exit, r8, r9, run): called by the vDSO after EEXIT, an AEX by an exception, or a
 * failed ENCLU. Result: 0 = return from the vDSO call, else the next leaf; all registers but RAX, RBX, RCX go in.
 */
        .globl  cella_host_handler
        .hidden cella_host_handler
        .type   cella_host_handler, @function
        .p2align 5
cella_host_handler:
        .cfi_startproc
        mov     8(%rsp), %rax
        mov     RUN_USER_DATA(%rax), %rcx
        cmpl    $EEXIT, RUN_FUNCTION(%rax)
        jne     .Lexception
        mov     %rdi, FRAME_RDI(%rcx)
        mov     %rsi, FRAME_RSI(%rcx)
        mov     %rdx, FRAME_RDX(%rcx)
        cmpb    $CELLA_EXIT_OCALL, %dil
        jne     .Lreturn
        mov     %r8, FRAME_R8(%rcx)
        mov     %r9, FRAME_R9(%rcx)
        push    %rcx
        .cfi_adjust_cfa_offset 8
        mov     %rcx, %rdi
        call    cella_host_ocall
        pop     %rcx
        .cfi_adjust_cfa_offset -8
        mov     FRAME_RDI(%rcx), %rdi
        mov     FRAME_RSI(%rcx), %rsi
        mov     FRAME_RDX(%rcx), %rdx
        mov     $EENTER, %eax
        ret
.Lreturn:
        xor     %eax, %eax
        ret
.Lexception:
        push    %rcx
        .cfi_adjust_cfa_offset 8
        mov     %rcx, %rdi
        call    cella_host_exception
        pop     %rcx
        .cfi_adjust_cfa_offset -8
        test    %eax, %eax
        jz      .Lreturn
        mov     $ERESUME, %eax
        ret
        .cfi_endproc
        .size   cella_host_handler, . - cella_host_handler
        .section .note.GNU-stack, "", @progbits
