/*
 * What the ENCLU leaves share: operands in enclave memory.
 * Side: soft (untrusted; it plays the processor). Included by enclu_*.c.
 */
#ifndef CELLA_SOFT_ENCLU_H
#define CELLA_SOFT_ENCLU_H

#include "soft/encls.h"

/* #PF for the EPCM, at CPL 3. */
#define SOFT_PF_EPCM_READ (SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX)
#define SOFT_PF_EPCM_WRITE (SOFT_PF_EPCM_READ | SGX_PF_WRITE)

/* One operand: an address in ELRANGE and the EPCM flags of its page. */
struct soft_operand {
    uint64_t address;
    uint32_t flags;
};

static inline bool soft_operand_is_valid(const struct soft_operand *operand)
{
    return (operand->flags & SOFT_EPCM_VALID) != 0;
}

static inline bool soft_operand_is_blocked(const struct soft_operand *operand)
{
    return (operand->flags & SOFT_EPCM_BLOCKED) != 0;
}

/* A settled REG page with `rights` (SGX_SECINFO_R, SGX_SECINFO_W). */
static inline bool soft_operand_is_reg(const struct soft_operand *operand, uint32_t rights)
{
    uint32_t unsettled = SGX_SECINFO_PENDING | SGX_SECINFO_MODIFIED;
    return (operand->flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_REG &&
           !(operand->flags & unsettled) && (operand->flags & rights) == rights;
}

/*
 * Translation of an operand by the page tables: the kernel's fault handler fills a hole with EAUG.
 * False: #PF with *ret_error. `access` is 0 or SGX_PF_WRITE. (driver_map.c; both locks held)
 */
bool driver_translate(struct driver_enclave *e, uint64_t address, uint32_t access,
                      uint32_t *ret_error);

static inline struct soft_operand soft_operand_at(const struct driver_enclave *e, uint64_t address)
{
    return (struct soft_operand){.address = address, .flags = soft_epcm_flags(&e->pub, address)};
}

/* enclu_edmm.c */
struct soft_outcome soft_eaccept(struct driver_enclave *e, uint64_t rbx, uint64_t rcx);
struct soft_outcome soft_eacceptcopy(struct driver_enclave *e, uint64_t rbx, uint64_t rcx,
                                     uint64_t rdx);
struct soft_outcome soft_emodpe(struct driver_enclave *e, uint64_t rbx, uint64_t rcx);
/* enclu_keys.c */
struct soft_outcome soft_ereport(struct driver_enclave *e, uint64_t rbx, uint64_t rcx,
                                 uint64_t rdx);
struct soft_outcome soft_egetkey(struct driver_enclave *e, uint64_t rbx, uint64_t rcx);

#endif
