/*
 * What the configuration of an Intel image says to the trusted libraries: sgx_sign writes it into section .cella.intel of
 * the linker's output, where it is measured with the rest. There only when reserved or dynamic memory is used.
 * Side: ground; compat/intel/sign writes it, compat/intel/trusted reads it. Never holds a pointer.
 */
#ifndef COMPAT_INTEL_SETTINGS_H
#define COMPAT_INTEL_SETTINGS_H

#define INTEL_SETTINGS_SECTION ".cella.intel"
#define INTEL_SETTINGS_MAGIC 0x5344534C45544E49ull /* "INTELSDS", little endian */
#define INTEL_SETTINGS_SIZE 64

/* flags */
#define INTEL_SETTINGS_RESERVED_EXECUTABLE 0x1u

#ifndef __ASSEMBLER__

#include <stdint.h>

struct intel_settings_object {
    uint64_t magic;
    uint32_t size;
    uint32_t flags;
    uint64_t reserved_max; /* bytes; part of the image's heap */
    uint64_t reserved_min;
    uint64_t reserved_initial;
    uint64_t user_region;
    uint64_t heap_max; /* as the configuration says it, without what the runtime takes */
    uint64_t reserved;
};
_Static_assert(sizeof(struct intel_settings_object) == INTEL_SETTINGS_SIZE, "settings.S");

#endif
#endif
