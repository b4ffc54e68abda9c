/*
 * The linked vDSO as the kernel carries it. Assembled with VDSO_FILE, its path.
 * Side: enclave. Copied by ../vdso.c.
 */
        .section .rodata.vdso, "a", @progbits
        .globl  cella_linux_vdso_image, cella_linux_vdso_image_end
        .hidden cella_linux_vdso_image, cella_linux_vdso_image_end
        .p2align 4
cella_linux_vdso_image:
        .incbin VDSO_FILE
cella_linux_vdso_image_end:
        .section .note.GNU-stack, "", @progbits
