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

        template calls, "calls.edl"
        template enclave_c, "enclave.c"
        template enclave_bare, "enclave-bare.c"
        template enclave_cpp, "enclave.cpp"
        template main_c, "main.c"
        template project, "cella.project"
        template conf, "enclave.conf"
        template gitignore, "gitignore"
        template containerfile, "Containerfile"
        template oe_containerfile, "openenclave/Containerfile"
        template intel_containerfile, "intel/Containerfile"

        template tls_project, "tls/cella.project"
        /* The sample is the template. */
        template tls_edl, "../../samples/channel/channel.edl"
        template tls_enclave, "../../samples/channel/enclave/channel.c"
        template tls_enclave_talk, "../../samples/channel/enclave/talk.c"
        template tls_host, "../../samples/channel/host/main.c"
        template tls_host_talk, "../../samples/channel/host/talk.c"
        template tls_shared, "../../samples/channel/shared/channel.h"
        template tls_talk, "../../samples/channel/shared/talk.c"
        template tls_talk_h, "../../samples/channel/shared/talk.h"

        template oe_edl, "openenclave/hello.edl"
        template oe_enclave, "openenclave/enclave.c"
        template oe_conf, "openenclave/hello.conf"
        template oe_host, "openenclave/host.c"
        template oe_makefile, "openenclave/Makefile"
        template oe_project, "openenclave/cella.project"
        template oe_gitignore, "openenclave/gitignore"

        template intel_edl, "intel/Enclave.edl"
        template intel_enclave, "intel/Enclave.c"
        template intel_config, "intel/Enclave.config.xml"
        template intel_script, "intel/Enclave.lds"
        template intel_app, "intel/App.c"
        template intel_makefile, "intel/Makefile"
        template intel_project, "intel/cella.project"
        template intel_gitignore, "intel/gitignore"

        .section .note.GNU-stack, "", @progbits
