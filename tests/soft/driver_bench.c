/*
 * What the driver's tests share: one line for each ioctl, and looks at the native mappings.
 * Side: tests (host). Called by tests/soft/driver_*_test.c.
 */
#include "tests/soft/driver_bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

_Alignas(4096) uint8_t drv_pages[64][4096];

static const struct sgx_secinfo reg_rw = {.flags = SGX_SECINFO_REG | DRV_RW};

long drv_map_at(struct sdm *sdm, uint64_t offset, uint64_t size, int prot)
{
    return soft_mmap((void *)(SDM_BASE + offset), size, prot, MAP_SHARED | MAP_FIXED, sdm->fd, 0);
}

int drv_protect(uint64_t offset, uint64_t size, int prot)
{
    int result;
    assert_true(soft_mprotect((void *)(SDM_BASE + offset), size, prot, &result));
    return result;
}

int drv_do_create(struct sdm *sdm, const struct sgx_secs *secs)
{
    struct sgx_linux_create request = {.src = (uint64_t)(uintptr_t)secs};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &request);
}

struct sgx_linux_add_pages drv_good_add(void)
{
    return (struct sgx_linux_add_pages){.src = (uint64_t)(uintptr_t)drv_pages,
                                        .offset = 0x1000,
                                        .length = 0x2000,
                                        .secinfo = (uint64_t)(uintptr_t)&reg_rw,
                                        .flags = SGX_LINUX_PAGE_MEASURE,
                                        .count = 77};
}

int drv_do_add(struct sdm *sdm, struct sgx_linux_add_pages *add)
{
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, add);
}

int drv_add_one(struct sdm *sdm, uint64_t offset, uint64_t flags)
{
    struct sgx_secinfo secinfo = {.flags = flags};
    struct sgx_linux_add_pages add = drv_good_add();
    add.offset = offset;
    add.length = 4096;
    add.secinfo = (uint64_t)(uintptr_t)&secinfo;
    int result = drv_do_add(sdm, &add);
    assert_int_equal(add.count, result == -EBUSY ? 0 : result ? 77 : 4096);
    return result;
}

int drv_do_init(struct sdm *sdm, const struct sgx_sigstruct *sig)
{
    struct sgx_linux_init request = {.sigstruct = (uint64_t)(uintptr_t)sig};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_INIT, &request);
}

int drv_do_restrict(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t permissions,
                    struct sgx_linux_restrict_permissions *ret)
{
    *ret = (struct sgx_linux_restrict_permissions){
        .offset = offset, .length = length, .permissions = permissions};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, ret);
}

int drv_do_modify(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t type,
                  struct sgx_linux_modify_types *ret)
{
    *ret = (struct sgx_linux_modify_types){.offset = offset, .length = length, .page_type = type};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_MODIFY_TYPES, ret);
}

int drv_do_remove(struct sdm *sdm, uint64_t offset, uint64_t length,
                  struct sgx_linux_remove_pages *ret)
{
    *ret = (struct sgx_linux_remove_pages){.offset = offset, .length = length};
    return soft_ioctl(sdm->fd, SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES, ret);
}

void drv_accept_as(struct sdm *sdm, uint64_t offset, uint64_t flags, struct soft_outcome expected)
{
    struct sgx_secinfo *secinfo = sdm_page(sdm, SDM_DATA);
    *secinfo = (struct sgx_secinfo){.flags = flags};
    struct soft_outcome outcome =
        soft_enclu(&sdm->e->pub, SGX_EACCEPT, SDM_BASE + SDM_DATA, SDM_BASE + offset, 0);
    assert_int_equal(outcome.kind, expected.kind);
    assert_int_equal(outcome.code, expected.code);
}

/* The line of /proc/self/maps for an address: "rwxp" and the like. */
void drv_maps_flags(uint64_t address, char flags[5])
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    strcpy(flags, "none");
    while (fgets(line, sizeof(line), maps)) {
        unsigned long start, end;
        char found[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, found) == 3 && address >= start &&
            address < end) {
            strcpy(flags, found);
        }
    }
    fclose(maps);
}

void drv_expect_native(uint64_t offset, const char *expected)
{
    char flags[5];
    drv_maps_flags(SDM_BASE + offset, flags);
    assert_string_equal(flags, expected);
}

bool drv_resolve(struct sdm *sdm, uint64_t offset, uint32_t access, uint32_t *error)
{
    uint64_t mask = soft_signals_block();
    bool mended = soft_fault_resolve(&sdm->e->pub, SDM_BASE + offset, access, error);
    soft_signals_restore(mask);
    return mended;
}
