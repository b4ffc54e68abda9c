/*
 * What the driver's tests share: one line for each ioctl, and looks at the native mappings.
 * Side: tests (host). Included by tests/soft/driver_*_test.c.
 */
#ifndef CELLA_TESTS_SOFT_DRIVER_BENCH_H
#define CELLA_TESTS_SOFT_DRIVER_BENCH_H

#include "tests/soft/sdm.h"

#define DRV_RW (SGX_SECINFO_R | SGX_SECINFO_W)

extern _Alignas(4096) uint8_t drv_pages[64][4096];

long drv_map_at(struct sdm *sdm, uint64_t offset, uint64_t size, int prot);
int drv_protect(uint64_t offset, uint64_t size, int prot);
int drv_do_create(struct sdm *sdm, const struct sgx_secs *secs);
struct sgx_linux_add_pages drv_good_add(void);
int drv_do_add(struct sdm *sdm, struct sgx_linux_add_pages *add);
int drv_add_one(struct sdm *sdm, uint64_t offset, uint64_t flags);
int drv_do_init(struct sdm *sdm, const struct sgx_sigstruct *sig);
int drv_do_restrict(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t permissions,
                    struct sgx_linux_restrict_permissions *ret);
int drv_do_modify(struct sdm *sdm, uint64_t offset, uint64_t length, uint64_t type,
                  struct sgx_linux_modify_types *ret);
int drv_do_remove(struct sdm *sdm, uint64_t offset, uint64_t length,
                  struct sgx_linux_remove_pages *ret);
void drv_accept_as(struct sdm *sdm, uint64_t offset, uint64_t flags, struct soft_outcome expected);
void drv_maps_flags(uint64_t address, char flags[5]);
void drv_expect_native(uint64_t offset, const char *expected);
bool drv_resolve(struct sdm *sdm, uint64_t offset, uint32_t access, uint32_t *error);

#endif
