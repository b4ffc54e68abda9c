/*
 * Where the libc of an enclave of the Intel skin starts: what rcrt1.o, crti.o and crtbegin.o are elsewhere, in one
 * object, because the link lines of such enclaves name no start files and give `enclave_entry` as the entry.
 * Side: enclave. Entered by enclave/libc_start.c at INIT, with argc, argv and the auxiliary vector on the stack.
 * Never returns. The processor's own entry is cella_enclave_entry (enclave/entry.S).
 */
        .section .text.enclave_entry, "ax", @progbits
        .globl  enclave_entry, _start
        .hidden _start
        .type   enclave_entry, @function
        .type   _start, @function
        .p2align 4
_start:
enclave_entry:
        .cfi_startproc
        .cfi_undefined %rip
        xor     %ebp, %ebp
        mov     %rdx, %r9                       /* rtld_fini: none */
        pop     %rsi                            /* argc */
        mov     %rsp, %rdx                      /* argv */
        and     $-16, %rsp
        push    %rax
        push    %rsp                            /* stack_end */
        xor     %r8d, %r8d                      /* fini */
        xor     %ecx, %ecx                      /* init */
        lea     main(%rip), %rdi
        .reloc  ., R_X86_64_NONE, cella_enclave_entry   /* --gc-sections keeps the kernel's entry */
        call    __libc_start_main
        ud2
        .cfi_endproc
        .size   enclave_entry, . - enclave_entry
        .size   _start, . - _start

        .section .text.cella_init, "ax", @progbits
        .globl  _init, _fini
        .hidden _init, _fini
        .type   _init, @function
        .type   _fini, @function
_init:
_fini:
        ret
        .size   _init, . - _init
        .size   _fini, . - _fini

        .section .data.rel.ro.__dso_handle, "aw", @progbits
        .globl  __dso_handle
        .hidden __dso_handle
        .type   __dso_handle, @object
        .p2align 3
__dso_handle:
        .quad   __dso_handle
        .size   __dso_handle, 8

        .section .note.GNU-stack, "", @progbits
