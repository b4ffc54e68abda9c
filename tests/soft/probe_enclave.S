/*
 * The code page of the enclave that tests/soft/test_transition.c builds: one operation a number in RDI.
 * Side: enclave (test). Entered by EENTER; on CSSA > 0 it takes the operations from PROBE_NESTED on.
 * Position-independent; everything it needs comes in registers. RCX at entry is kept on no stack: R15 holds it.
 */
#include "probe.h"

        .section .rodata
        .globl  probe_code, probe_code_end
        .p2align 12
probe_code:
        .equ    base, probe_code
/* OENTRY */
        mov     %rcx, %r15
        lea     table(%rip), %rax
        cmp     $PROBE_COUNT, %rdi
        jae     leave
        movslq  (%rax,%rdi,4), %rcx
        add     %rcx, %rax
        jmp     *%rax

leave:                                          /* RDI, RSI, RDX as they are */
        mov     %r15, %rbx
        mov     $4, %eax
        .byte   0x0F, 0x01, 0xD7                /* ENCLU[EEXIT] */
        ud2

/* A marked exit, as the trusted runtime has it: R14 must hold the TCS. */
        .p2align 6
op_marked:
        mov     %r15, %rbx
        mov     %r14, %rcx
        .byte   0xB8, 4, 0, 0, 0, 0x0F, 0x01, 0xD7, 0x0F, 0x0B
        .ascii  "CellaEexitSite01"

op_none:
        jmp     leave

op_divide:
        xor     %edx, %edx
        xor     %ecx, %ecx
        mov     $1, %eax
probe_at_divide:
        div     %ecx
        jmp     leave

op_undefined:
probe_at_undefined:
        ud2
        jmp     leave

op_breakpoint:
probe_at_breakpoint:
        int3
        jmp     leave

op_read:                                        /* RSI: address */
probe_at_read:
        mov     (%rsi), %rdx
        jmp     leave

op_write:                                       /* RSI: address, RDX: value */
probe_at_write:
        mov     %rdx, (%rsi)
        jmp     leave

op_execute:                                     /* RSI: address */
        jmp     *%rsi

op_syscall:
        mov     $39, %eax                       /* getpid */
        mov     $0x1122, %r11d
probe_at_syscall:
        syscall
        mov     %rax, %rsi
        jmp     leave

op_cpuid:
        xor     %eax, %eax
        xor     %ecx, %ecx
probe_at_cpuid:
        cpuid
        mov     %rbx, %rsi
        jmp     leave

op_int80:
probe_at_int80:
        int     $0x80
        jmp     leave

op_in:
probe_at_in:
        in      %dx, %al
        jmp     leave

op_rdtsc:
        rdtsc
        mov     %rax, %rsi
        jmp     leave

/* Every register gets a value of its own, flags CF, ZF and DF are set, then a fault. */
op_pattern:
        mov     %rdx, %r13                      /* for the flags */
        vmovdqu (%rsi), %ymm0
        vmovdqu 32(%rsi), %ymm15
        mov     $0x0101010101010101, %rax
        mov     $0x0202020202020202, %rbx
        mov     $0x0303030303030303, %rcx
        mov     $0x0404040404040404, %rdx
        mov     $0x0505050505050505, %rbp
        mov     $0x0606060606060606, %rsp
        mov     $0x0707070707070707, %rdi
        mov     $0x0808080808080808, %r8
        mov     $0x0909090909090909, %r9
        mov     $0x0A0A0A0A0A0A0A0A, %r10
        mov     $0x0B0B0B0B0B0B0B0B, %r11
        mov     $0x0C0C0C0C0C0C0C0C, %r12
        mov     $0x0D0D0D0D0D0D0D0D, %r13
        mov     $0x0E0E0E0E0E0E0E0E, %r14
        std
        stc
probe_at_pattern:
        ud2

/* AVX-512 state: ZMM16 and K1 from RSI, then a fault; afterwards both are stored at RDX (resumed). */
op_avx512:
        vmovdqu64 (%rsi), %zmm16
        kmovq   64(%rsi), %k1
probe_at_avx512:
        ud2
        vmovdqu64 %zmm16, (%rdx)
        kmovq   %k1, 64(%rdx)
        jmp     leave

/* Counts in R12 until the word at RSI is not zero; every register must survive what interrupts it. */
op_spin:
        mov     $0x5A5A, %r13
        mov     $0xA5A5, %r14
        mov     %rsp, %r10
        vmovdqu (%rdx), %ymm7
        xor     %r12d, %r12d
1:      inc     %r12
        cmp     $0x5A5A, %r13
        jne     2f
        cmp     $0xA5A5, %r14
        jne     2f
        cmp     %rsp, %r10
        jne     2f
        cmpl    $0, (%rsi)
        je      1b
        vmovdqu %ymm7, (%rdx)
        mov     %r12, %rsi
        jmp     leave
2:      mov     $-1, %rsi
        jmp     leave

/* ENCLU with RAX = R8, RBX = RSI, RCX = RDX, RDX = R9; RSI = RAX and RDX = RFLAGS afterwards. */
op_enclu:
        mov     %r8, %rax
        mov     %rsi, %rbx
        mov     %rdx, %rcx
        mov     %r9, %rdx
probe_at_enclu:
        .byte   0x0F, 0x01, 0xD7
        mov     %rax, %rsi
        lahf
        movzbl  %ah, %edx
        jmp     leave

/* The same by a marked site, with R14 for the TCS; RDX = RCX afterwards. Vector registers must survive. */
        .p2align 6
op_leaf:
        mov     %r8, %rax
        mov     %rsi, %rbx
        mov     %rdx, %rcx
        mov     %r9, %rdx
        mov     %r14, %rdi
        lea     1f(%rip), %rsi
probe_at_leaf:
        .byte   0x0F, 0x01, 0xD7, 0xEB, 0x18
        .fill   8, 1, 0xCC
        .ascii  "CellaEncluSite01"
1:      mov     %rax, %rsi
        mov     %rcx, %rdx
        jmp     leave

op_bases:                                       /* RSI = FS base, RDX = GS base */
        rdfsbase %rsi
        rdgsbase %rdx
        jmp     leave

op_set_bases:
        wrfsbase %rsi
        wrgsbase %rdx
        jmp     op_undefined

/* On CSSA > 0: the frame below is at RSI (its GPRSGX); RIP moves on by RDX bytes. */
op_advance:
        add     %rdx, 136(%rsi)
        jmp     leave

op_copy:                                        /* R8 bytes from RSI to RDX; keeps RDI */
        mov     %rdi, %r12
        mov     %rdx, %rdi
        mov     %r8, %rcx
        cld
        rep movsb
        mov     %r12, %rdi
        jmp     leave

op_x87:                                         /* an unmasked x87 division by zero */
        fninit
        movw    $0x037B, -8(%rsp)
        fldcw   -8(%rsp)
        fld1
        fldz
        fdivrp
probe_at_x87:
        fwait
        jmp     leave

op_simd:                                        /* an unmasked SIMD division by zero */
        movl    $0x1D80, -8(%rsp)
        ldmxcsr -8(%rsp)
        mov     $1, %eax
        cvtsi2ss %eax, %xmm0
        xorps   %xmm1, %xmm1
probe_at_simd:
        divss   %xmm1, %xmm0
        jmp     leave

op_align:                                       /* #AC: AC set, unaligned access at RSI */
        pushfq
        orl     $0x40000, (%rsp)
        popfq
probe_at_align:
        mov     1(%rsi), %edx
        jmp     leave

op_general:                                     /* #GP: a non-canonical address */
        mov     $0x8000000000000000, %rsi
probe_at_general:
        mov     (%rsi), %rdx
        jmp     leave

        .p2align 2
table:
        .long   op_none - table, op_marked - table, op_divide - table, op_undefined - table
        .long   op_breakpoint - table, op_read - table, op_write - table, op_execute - table
        .long   op_syscall - table, op_cpuid - table, op_int80 - table, op_in - table
        .long   op_rdtsc - table, op_pattern - table, op_avx512 - table, op_spin - table
        .long   op_enclu - table, op_bases - table, op_set_bases - table, op_advance - table
        .long   op_copy - table, op_x87 - table, op_simd - table, op_align - table
        .long   op_general - table, op_leaf - table
probe_code_end:
        .globl  probe_at_divide, probe_at_undefined, probe_at_breakpoint, probe_at_read, probe_at_write
        .globl  probe_at_syscall, probe_at_cpuid, probe_at_int80, probe_at_in, probe_at_pattern
        .globl  probe_at_avx512, probe_at_enclu, probe_at_x87, probe_at_simd, probe_at_align
        .globl  probe_at_general, probe_at_leaf

        .section .note.GNU-stack, "", @progbits
