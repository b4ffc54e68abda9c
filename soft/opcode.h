/*
 * The instruction that trapped.
 * Side: soft. Included by opcode.c and trap.c.
 */
#ifndef CELLA_SOFT_OPCODE_H
#define CELLA_SOFT_OPCODE_H

#include "soft/soft.h"

#define SOFT_OPCODE_MAX 15u

/* The instruction at `rip` without its prefixes, *ret_skipped of them. 0 when it cannot be read. */
size_t soft_opcode_read(uint64_t rip, uint8_t opcode[SOFT_OPCODE_MAX], size_t *ret_skipped);
bool soft_opcode_is_enclu(const uint8_t *opcode, size_t size);
bool soft_opcode_is_cpuid(const uint8_t *opcode, size_t size);
/* Gives #UD inside an enclave and #GP at CPL 3 outside (SDM 34.6, table 34-1). */
bool soft_opcode_is_illegal_inside(const uint8_t *opcode, size_t size);
/* What ENCLU raises: #UD without SGX; a CPU that has it hidden by its hypervisor gives #GP or #PF. */
bool soft_is_enclu_fault(uint8_t vector);

#endif
