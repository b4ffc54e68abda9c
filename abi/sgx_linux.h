/*
 * The Linux kernel's SGX user ABI: device nodes, ioctls and the vDSO call (Documentation/arch/x86/sgx.rst,
 * arch/x86/include/uapi/asm/sgx.h). Written from the interface, so that no kernel headers are needed.
 * Side: ground; host/ and soft/ include it. Never used inside the enclave.
 */
#ifndef CELLA_ABI_SGX_LINUX_H
#define CELLA_ABI_SGX_LINUX_H

#include "abi/sgx.h"

#define SGX_LINUX_ENCLAVE_NODE "/dev/sgx_enclave"
#define SGX_LINUX_PROVISION_NODE "/dev/sgx_provision"

/* _IOC(direction, 0xA4, number, size): the kernel's numbering, written out. */
#define SGX_LINUX_IOC_MAGIC 0xA4u
#define SGX_LINUX_IOC_ENCLAVE_CREATE 0x4008A400u
#define SGX_LINUX_IOC_ENCLAVE_ADD_PAGES 0xC030A401u
#define SGX_LINUX_IOC_ENCLAVE_INIT 0x4008A402u
#define SGX_LINUX_IOC_ENCLAVE_PROVISION 0x4008A403u
#define SGX_LINUX_IOC_VEPC_REMOVE_ALL 0x0000A404u
#define SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS 0xC028A405u
#define SGX_LINUX_IOC_ENCLAVE_MODIFY_TYPES 0xC028A406u
#define SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES 0xC018A407u

#define SGX_LINUX_PAGE_MEASURE 0x1ull

struct sgx_linux_create {
    uint64_t src; /* address of a SECS page */
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_create) == 8);

struct sgx_linux_add_pages {
    uint64_t src;
    uint64_t offset;
    uint64_t length;
    uint64_t secinfo;
    uint64_t flags;
    uint64_t count; /* out: bytes added */
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_add_pages) == 48);

struct sgx_linux_init {
    uint64_t sigstruct;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_init) == 8);

struct sgx_linux_provision {
    uint64_t fd;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_provision) == 8);

struct sgx_linux_restrict_permissions {
    uint64_t offset;
    uint64_t length;
    uint64_t permissions;
    uint64_t result; /* out: SGX error code */
    uint64_t count;  /* out: bytes done */
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_restrict_permissions) == 40);

struct sgx_linux_modify_types {
    uint64_t offset;
    uint64_t length;
    uint64_t page_type;
    uint64_t result;
    uint64_t count;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_modify_types) == 40);

struct sgx_linux_remove_pages {
    uint64_t offset;
    uint64_t length;
    uint64_t count;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_remove_pages) == 24);

/* struct sgx_enclave_run of the vDSO call. */
struct sgx_linux_run {
    uint64_t tcs;
    uint32_t function; /* out: the last ENCLU leaf: EENTER/ERESUME after an exception, or EEXIT */
    uint16_t exception_vector;
    uint16_t exception_error_code;
    uint64_t exception_addr;
    uint64_t user_handler;
    uint64_t user_data;
    uint8_t reserved[216]; /* must be zero */
};
CELLA_ABI_ASSERT(sizeof(struct sgx_linux_run) == 256);
CELLA_ABI_AT(sgx_linux_run, function, 8);
CELLA_ABI_AT(sgx_linux_run, exception_vector, 12);
CELLA_ABI_AT(sgx_linux_run, exception_error_code, 14);
CELLA_ABI_AT(sgx_linux_run, exception_addr, 16);
CELLA_ABI_AT(sgx_linux_run, user_handler, 24);
CELLA_ABI_AT(sgx_linux_run, user_data, 32);
CELLA_ABI_AT(sgx_linux_run, reserved, 40);

/* __vdso_sgx_enter_enclave@LINUX_2.6. Not a C call as far as registers go: see ../docs and the caller. */
typedef int (*sgx_linux_enter_fn)(unsigned long rdi, unsigned long rsi, unsigned long rdx,
                                  unsigned int function, unsigned long r8, unsigned long r9,
                                  struct sgx_linux_run *run);
#define SGX_LINUX_VDSO_SYMBOL "__vdso_sgx_enter_enclave"
#define SGX_LINUX_VDSO_VERSION "LINUX_2.6"

#endif
