/*
 * The files that `cella new` writes, taken into the program as they are in cli/templates/.
 * Side: tools. Read by cli/cmd_new.c.
 */
        .section .rodata
        .macro  template name, file
        .globl  template_\name, template_\name\()_end
        .hidden template_\name, template_\name\()_end
template_\name:
        .incbin "cli/templates/\file"
template_\name\()_end:
        .byte   0
        .endm

        template calls, "calls.h"
        template enclave_c, "enclave.c"
        template enclave_bare, "enclave-bare.c"
        template enclave_cpp, "enclave.cpp"
        template main_c, "main.c"
        template project, "cella.project"
        template conf, "enclave.conf"
        template gitignore, "gitignore"

        .section .note.GNU-stack, "", @progbits
