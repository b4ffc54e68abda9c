/*
 * The settings that sgx_sign fills in (compat/intel/settings.h), read-only. Only in enclaves that read them.
 * Side: enclave. Read by rsrv.c and mm.c.
 */
#include "compat/intel/settings.h"

        .section .cella.intel, "a", @progbits
        .globl  intel_settings
        .hidden intel_settings
        .type   intel_settings, @object
        .p2align 3
intel_settings:
        .quad   0x5344534C45544E49
        .long   INTEL_SETTINGS_SIZE, 0
        .zero   INTEL_SETTINGS_SIZE - 16
        .size   intel_settings, INTEL_SETTINGS_SIZE

        .section .note.GNU-stack, "", @progbits
