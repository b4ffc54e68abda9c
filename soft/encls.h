/*
 * What the ENCLS leaves share: EPC operands and the measurement.
 * Side: soft (untrusted; it plays the processor). Included by encls_*.c and driver_ioctl*.c.
 */
#ifndef CELLA_SOFT_ENCLS_H
#define CELLA_SOFT_ENCLS_H

#include "soft/driver.h"

/*
 * Measurement records (SDM Vol. 3D, EADD and EEXTEND): 64 bytes, EEXTEND's followed by 256 of data.
 */
#define SOFT_RECORD_SIZE 64u
#define SOFT_EXTEND_SIZE 256u
#define SOFT_EXTENDS (SGX_PAGE_SIZE / SOFT_EXTEND_SIZE)
#define SOFT_PAGE_BLOCK_SIZE                                                                       \
    (SOFT_RECORD_SIZE + SOFT_EXTENDS * (SOFT_RECORD_SIZE + SOFT_EXTEND_SIZE))

/* An address in the EPC, resolved. */
struct soft_epc {
    struct driver_enclave *e;
    bool is_secs;
    uint64_t page;           /* of ELRANGE, when not the SECS */
    struct soft_epcm *entry; /* NULL for the SECS */
};

/* False: the address does not resolve within the EPC. */
bool soft_epc_at(uint64_t address, struct soft_epc *ret_epc);

static inline bool soft_epc_valid(const struct soft_epc *epc)
{
    return epc->is_secs ? epc->e->control->shared.state >= SOFT_STATE_CREATED
                        : (epc->entry->flags & SOFT_EPCM_VALID) != 0;
}

static inline uint32_t soft_epc_type(const struct soft_epc *epc)
{
    return epc->is_secs ? SGX_PT_SECS
                        : (epc->entry->flags & SGX_SECINFO_TYPE_MASK) >> SGX_SECINFO_TYPE_SHIFT;
}

static inline bool soft_is_valid_secs(const struct soft_epc *epc)
{
    return epc->is_secs && soft_epc_valid(epc);
}

static inline bool soft_all_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    return !any;
}

static inline bool soft_aligned(uint64_t address, uint64_t alignment)
{
    return (address & (alignment - 1)) == 0;
}

/* Reserved fields of a SECINFO: flags other than `flags` and the 56 bytes behind them. */
static inline bool soft_secinfo_reserved_zero(const struct sgx_secinfo *secinfo)
{
    uint64_t known = SGX_SECINFO_RWX | SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED | SGX_SECINFO_PR |
                     SGX_SECINFO_TYPE_MASK;
    return !(secinfo->flags & ~known) &&
           soft_all_zero(secinfo->reserved, sizeof(secinfo->reserved));
}

/* encls_build.c */
struct soft_outcome soft_ecreate(uint64_t rbx, uint64_t rcx);
struct soft_outcome soft_eadd(uint64_t rbx, uint64_t rcx);
struct soft_outcome soft_eextend(uint64_t rbx, uint64_t rcx);
/*
 * EADD, and with `measure` the 16 EEXTENDs of the page, in one: the same checks and records, but
 * hashed as one block, and without the copy to the EPC: the caller writes *source there (a TCS is
 * cleaned in place).
 */
struct soft_outcome soft_eadd_deferred(uint64_t rbx, uint64_t rcx, bool measure);
void soft_measurement_digest(const struct soft_control *control, uint8_t digest[32]);

/*
 * encls_init.c. The signature is checked first and takes milliseconds; call it without the
 * enclave's lock.
 */
struct soft_outcome soft_einit(uint64_t rbx, uint64_t rcx, uint64_t rdx);
void soft_sha256(const void *data, size_t size, uint8_t digest[32]);

/* encls_sgx2.c */
struct soft_outcome soft_eaug(uint64_t rbx, uint64_t rcx);
struct soft_outcome soft_emodpr(uint64_t rbx, uint64_t rcx);
struct soft_outcome soft_emodt(uint64_t rbx, uint64_t rcx);
struct soft_outcome soft_etrack(uint64_t rcx);
struct soft_outcome soft_eblock(uint64_t rcx);
struct soft_outcome soft_eremove(uint64_t rcx);

/* encls_debug.c. EDBGRD gives the value in *ret_value (RBX). */
struct soft_outcome soft_edbgrd(uint64_t rcx, uint64_t *ret_value);
struct soft_outcome soft_edbgwr(uint64_t rbx, uint64_t rcx);

/* What this processor has: CPUID leaf 12H. */
uint64_t soft_supported_attributes(void);
uint64_t soft_supported_xfrm(void);
#define SOFT_SUPPORTED_MISC SGX_MISC_EXINFO

#endif
