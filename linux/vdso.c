/*
 * The vDSO's place in the program's address space.
 * Side: enclave. Called by start.c, before the program runs. The object is vdso/vdso.c.
 * Never needed: a program that finds none makes system calls.
 */
#include "linux/memory.h"

extern CELLA_KERNEL const uint8_t cella_linux_vdso_image[], cella_linux_vdso_image_end[];
static uint64_t vdso_at;

uint64_t linux_vdso_at(void)
{
    return vdso_at;
}

uint64_t linux_vdso_map(void)
{
    const uint64_t size = (uint64_t)(cella_linux_vdso_image_end - cella_linux_vdso_image);
    const struct linux_area area = {.rights = LINUX_PROT_READ | LINUX_PROT_WRITE,
                                    .flags = LINUX_AREA_IMAGE};
    const long at = linux_map_zeros(0, LINUX_PAGE_UP(size), MAP_POPULATE, area);
    if (at < 0 && at >= -4095) {
        return 0;
    }
    __builtin_memcpy((void *)at, cella_linux_vdso_image, size);
    if (!linux_protect((uint64_t)at, (uint64_t)at + LINUX_PAGE_UP(size),
                       LINUX_PROT_READ | LINUX_PROT_EXEC)) {
        linux_unmap((uint64_t)at, (uint64_t)at + LINUX_PAGE_UP(size));
        return 0;
    }
    vdso_at = (uint64_t)at;
    return vdso_at;
}
