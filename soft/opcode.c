/*
 * The instruction that trapped: its bytes, and which of the few that matter it is.
 * Side: soft. Called by trap.c in a signal handler. Never faults: bytes come by system calls or out of the EPC.
 */
#include "soft/opcode.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static bool is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x66:
    case 0x67:
    case 0xF2:
    case 0xF3:
    case 0x2E:
    case 0x36:
    case 0x3E:
    case 0x26:
    case 0x64:
    case 0x65:
        return true;
    default:
        return (byte & 0xF0) == 0x40; /* REX */
    }
}

/* Up to SOFT_OPCODE_MAX bytes at `rip`, out of the EPC or of the host's memory. The number that could be read. */
static size_t fetch(uint64_t rip, uint8_t opcode[SOFT_OPCODE_MAX])
{
    const struct soft_enclave *enclave = soft_enclave_at(rip);
    if (enclave) {
        uint64_t left = enclave->base + enclave->size - rip;
        size_t size = left < SOFT_OPCODE_MAX ? (size_t)left : SOFT_OPCODE_MAX;
        memcpy(opcode, soft_alias(enclave, rip), size);
        return size;
    }
    size_t first = SGX_PAGE_SIZE - (rip & (SGX_PAGE_SIZE - 1));
    first = first < SOFT_OPCODE_MAX ? first : SOFT_OPCODE_MAX;
    struct iovec to = {.iov_base = opcode, .iov_len = SOFT_OPCODE_MAX};
    struct iovec from[2] = {
        {.iov_base = (void *)rip, .iov_len = first},
        {.iov_base = (void *)(rip + first), .iov_len = SOFT_OPCODE_MAX - first},
    };
    long got = soft_syscall(SYS_process_vm_readv, soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), &to,
                            1, from, first < SOFT_OPCODE_MAX ? 2 : 1, 0);
    return got < 0 ? 0 : (size_t)got;
}

/* The instruction at `rip` without its prefixes, *ret_skipped of them. 0 when it cannot be read. */
size_t soft_opcode_read(uint64_t rip, uint8_t opcode[SOFT_OPCODE_MAX], size_t *ret_skipped)
{
    memset(opcode, 0, SOFT_OPCODE_MAX);
    size_t size = fetch(rip, opcode), skipped = 0;
    while (skipped < size && is_prefix(opcode[skipped])) {
        skipped++;
    }
    memmove(opcode, opcode + skipped, SOFT_OPCODE_MAX - skipped);
    *ret_skipped = skipped;
    return size - skipped;
}

bool soft_opcode_is_enclu(const uint8_t *opcode, size_t size)
{
    return size >= 3 && opcode[0] == 0x0F && opcode[1] == 0x01 && opcode[2] == 0xD7;
}

/* What ENCLU raises: #UD without SGX; a CPU that has it hidden by its hypervisor gives #GP or #PF. */
bool soft_is_enclu_fault(uint8_t vector)
{
    return vector == SGX_VECTOR_UD || vector == SGX_VECTOR_GP || vector == SGX_VECTOR_PF;
}

bool soft_opcode_is_cpuid(const uint8_t *opcode, size_t size)
{
    return size >= 2 && opcode[0] == 0x0F && opcode[1] == 0xA2;
}

/* 0F 00 and 0F 01 with /2 or /3 load a descriptor register: #GP at CPL 3 everywhere. Of 0F 01, only from memory. */
static bool is_descriptor_load(const uint8_t *opcode, size_t size)
{
    const bool is_memory = size >= 3 && opcode[2] >> 6 != 3;
    const uint8_t extension = size >= 3 ? (opcode[2] >> 3) & 7 : 0;
    return (extension == 2 || extension == 3) && (is_memory || opcode[1] == 0x00);
}

/* Instructions that give #UD inside an enclave and #GP at CPL 3 outside (SDM 34.6, table 34-1). */
bool soft_opcode_is_illegal_inside(const uint8_t *opcode, size_t size)
{
    if (size < 1) {
        return false;
    }
    switch (opcode[0]) {
    case 0x6C: /* INS, OUTS */
    case 0x6D:
    case 0x6E:
    case 0x6F:
    case 0xE4: /* IN, OUT */
    case 0xE5:
    case 0xE6:
    case 0xE7:
    case 0xEC:
    case 0xED:
    case 0xEE:
    case 0xEF:
    case 0xCD: /* INT n */
    case 0xCA: /* far RET */
    case 0xCB:
    case 0xCF: /* IRET */
    case 0x8E: /* MOV to a segment register */
        return true;
    case 0x0F:
        break;
    default:
        return false;
    }
    if (size < 2) {
        return false;
    }
    switch (opcode[1]) {
    case 0xA2: /* CPUID */
    case 0x33: /* RDPMC */
    case 0x05: /* SYSCALL */
    case 0x34: /* SYSENTER */
    case 0x37: /* GETSEC */
        return true;
    case 0x00: /* SLDT, STR; LLDT and LTR are only privileged */
    case 0x01: /* SGDT, SIDT, SMSW, VMCALL, VMFUNC; ENCLU is taken before; LGDT and LIDT are only privileged */
        return !is_descriptor_load(opcode, size);
    default:
        return false;
    }
}
