/*
 * SGX architectural structures, leaf numbers and error codes (Intel SDM Vol. 3D, chapters 34-39).
 * Side: ground; both sides include it. Never holds a pointer: every address is a uint64_t.
 * Sizes and offsets are asserted below each structure; the tables named are those of the SDM.
 */
#ifndef CELLA_ABI_SGX_H
#define CELLA_ABI_SGX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define CELLA_ABI_ASSERT(condition) static_assert(condition, #condition)
#else
#define CELLA_ABI_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define CELLA_ABI_AT(type, member, at) CELLA_ABI_ASSERT(offsetof(struct type, member) == (at))

#define SGX_PAGE_SIZE 4096u
#define SGX_PAGE_SHIFT 12u

/* ENCLS leaves (SDM 36.1.1, table 36-1) and ENCLU leaves (table 36-2). */
enum sgx_encls_leaf {
    SGX_ECREATE = 0x00,
    SGX_EADD = 0x01,
    SGX_EINIT = 0x02,
    SGX_EREMOVE = 0x03,
    SGX_EDBGRD = 0x04,
    SGX_EDBGWR = 0x05,
    SGX_EEXTEND = 0x06,
    SGX_ELDB = 0x07,
    SGX_ELDU = 0x08,
    SGX_EBLOCK = 0x09,
    SGX_EPA = 0x0A,
    SGX_EWB = 0x0B,
    SGX_ETRACK = 0x0C,
    SGX_EAUG = 0x0D,
    SGX_EMODPR = 0x0E,
    SGX_EMODT = 0x0F,
    SGX_EUPDATESVN = 0x18,
};

enum sgx_enclu_leaf {
    SGX_EREPORT = 0,
    SGX_EGETKEY = 1,
    SGX_EENTER = 2,
    SGX_ERESUME = 3,
    SGX_EEXIT = 4,
    SGX_EACCEPT = 5,
    SGX_EMODPE = 6,
    SGX_EACCEPTCOPY = 7,
    SGX_EVERIFYREPORT2 = 8,
    SGX_EDECCSSA = 9,
};

/* Codes in RAX with ZF set (SDM 36.1.3, table 36-5). */
enum sgx_error {
    SGX_SUCCESS = 0,
    SGX_INVALID_SIG_STRUCT = 1,
    SGX_INVALID_ATTRIBUTE = 2,
    SGX_BLSTATE = 3,
    SGX_INVALID_MEASUREMENT = 4,
    SGX_NOTBLOCKABLE = 5,
    SGX_PG_INVLD = 6,
    SGX_EPC_PAGE_CONFLICT = 7,
    SGX_INVALID_SIGNATURE = 8,
    SGX_MAC_COMPARE_FAIL = 9,
    SGX_PAGE_NOT_BLOCKED = 10,
    SGX_NOT_TRACKED = 11,
    SGX_VA_SLOT_OCCUPIED = 12,
    SGX_CHILD_PRESENT = 13,
    SGX_ENCLAVE_ACT = 14,
    SGX_ENTRYEPOCH_LOCKED = 15,
    SGX_INVALID_EINITTOKEN = 16,
    SGX_PREV_TRK_INCMPL = 17,
    SGX_PG_IS_SECS = 18,
    SGX_PAGE_ATTRIBUTES_MISMATCH = 19,
    SGX_PAGE_NOT_MODIFIABLE = 20,
    SGX_PAGE_NOT_DEBUGGABLE = 21,
    SGX_INSUFFICIENT_ENTROPY = 29,
    SGX_NO_UPDATE = 31,
    SGX_INVALID_CPUSVN = 32,
    SGX_INVALID_ISVSVN = 64,
    SGX_UNMASKED_EVENT = 128,
    SGX_INVALID_KEYNAME = 256,
};

/* ATTRIBUTES.FLAGS (SDM 35.7.1, table 35-3). */
#define SGX_FLAGS_INIT 0x1ull
#define SGX_FLAGS_DEBUG 0x2ull
#define SGX_FLAGS_MODE64BIT 0x4ull
#define SGX_FLAGS_PROVISIONKEY 0x10ull
#define SGX_FLAGS_EINITTOKENKEY 0x20ull
#define SGX_FLAGS_CET 0x40ull
#define SGX_FLAGS_KSS 0x80ull
#define SGX_FLAGS_AEXNOTIFY 0x400ull

/* XFRM bits follow XCR0 (SDM Vol. 1, 13.1); the two lowest must be set. */
#define SGX_XFRM_LEGACY 0x3ull
#define SGX_XFRM_AVX 0x4ull
#define SGX_XFRM_AVX512 0xE0ull
#define SGX_XFRM_PKRU 0x200ull

/* MISCSELECT bits (SDM 35.7.2, table 35-4). */
#define SGX_MISC_EXINFO 0x1u
#define SGX_MISC_CPINFO 0x2u

/* SDM 35.7.1, table 35-3. */
struct sgx_attributes {
    uint64_t flags;
    uint64_t xfrm;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_attributes) == 16);

/* SGX Enclave Control Structure (SDM 35.7, table 35-2). The tail from 260 on is this processor's own. */
struct sgx_secs {
    uint64_t size;           /* bytes, a power of two */
    uint64_t base;           /* linear address, a multiple of size */
    uint32_t ssa_frame_size; /* pages */
    uint32_t misc_select;
    uint8_t cet_leg_bitmap[8];
    uint8_t cet_attributes;
    uint8_t reserved1[15];
    struct sgx_attributes attributes;
    uint8_t mr_enclave[32];
    uint8_t reserved2[32];
    uint8_t mr_signer[32];
    uint8_t reserved3[32];
    uint8_t config_id[64];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t reserved4[3834];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_secs) == 4096);
CELLA_ABI_AT(sgx_secs, ssa_frame_size, 16);
CELLA_ABI_AT(sgx_secs, misc_select, 20);
CELLA_ABI_AT(sgx_secs, cet_leg_bitmap, 24);
CELLA_ABI_AT(sgx_secs, cet_attributes, 32);
CELLA_ABI_AT(sgx_secs, attributes, 48);
CELLA_ABI_AT(sgx_secs, mr_enclave, 64);
CELLA_ABI_AT(sgx_secs, mr_signer, 128);
CELLA_ABI_AT(sgx_secs, config_id, 192);
CELLA_ABI_AT(sgx_secs, isv_prod_id, 256);
CELLA_ABI_AT(sgx_secs, isv_svn, 258);
CELLA_ABI_AT(sgx_secs, config_svn, 260);

#define SGX_TCS_DBGOPTIN 0x1ull
#define SGX_TCS_AEXNOTIFY 0x2ull

/* Thread Control Structure (SDM 35.8, table 35-5). */
struct sgx_tcs {
    uint64_t state; /* implementation's own; 0 as seen by software */
    uint64_t flags;
    uint64_t ossa; /* offset from the enclave base, 4 KiB aligned */
    uint32_t cssa;
    uint32_t nssa;
    uint64_t oentry;
    uint64_t aep;
    uint64_t ofs_base;
    uint64_t ogs_base;
    uint32_t fs_limit;
    uint32_t gs_limit;
    uint64_t ocet_ssa;
    uint64_t prev_ssp;
    uint8_t reserved[4008];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_tcs) == 4096);
CELLA_ABI_AT(sgx_tcs, flags, 8);
CELLA_ABI_AT(sgx_tcs, ossa, 16);
CELLA_ABI_AT(sgx_tcs, cssa, 24);
CELLA_ABI_AT(sgx_tcs, nssa, 28);
CELLA_ABI_AT(sgx_tcs, oentry, 32);
CELLA_ABI_AT(sgx_tcs, aep, 40);
CELLA_ABI_AT(sgx_tcs, ofs_base, 48);
CELLA_ABI_AT(sgx_tcs, ogs_base, 56);
CELLA_ABI_AT(sgx_tcs, fs_limit, 64);
CELLA_ABI_AT(sgx_tcs, gs_limit, 68);
CELLA_ABI_AT(sgx_tcs, ocet_ssa, 72);
CELLA_ABI_AT(sgx_tcs, prev_ssp, 80);

/* EXITINFO (SDM 35.9.1.1, table 35-8). */
#define SGX_EXITINFO_VECTOR_MASK 0xFFu
#define SGX_EXITINFO_TYPE_HARDWARE (3u << 8)
#define SGX_EXITINFO_TYPE_SOFTWARE (6u << 8)
#define SGX_EXITINFO_VALID (1u << 31)

/* The last 184 bytes of an SSA frame (SDM 35.9.1, table 35-7). */
struct sgx_gprsgx {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags;
    uint64_t rip;
    uint64_t ursp;
    uint64_t urbp;
    uint32_t exit_info;
    uint8_t reserved[3];
    uint8_t aex_notify;
    uint64_t fs_base;
    uint64_t gs_base;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_gprsgx) == 184);
CELLA_ABI_AT(sgx_gprsgx, rsp, 32);
CELLA_ABI_AT(sgx_gprsgx, r8, 64);
CELLA_ABI_AT(sgx_gprsgx, rflags, 128);
CELLA_ABI_AT(sgx_gprsgx, rip, 136);
CELLA_ABI_AT(sgx_gprsgx, ursp, 144);
CELLA_ABI_AT(sgx_gprsgx, urbp, 152);
CELLA_ABI_AT(sgx_gprsgx, exit_info, 160);
CELLA_ABI_AT(sgx_gprsgx, aex_notify, 167);
CELLA_ABI_AT(sgx_gprsgx, fs_base, 168);
CELLA_ABI_AT(sgx_gprsgx, gs_base, 176);

/* EXINFO, right below GPRSGX when MISCSELECT[0] (SDM 35.9.2.1, table 35-10). */
struct sgx_exinfo {
    uint64_t maddr;
    uint32_t errcd;
    uint32_t reserved;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_exinfo) == 16);
CELLA_ABI_AT(sgx_exinfo, errcd, 8);

/* PAGEINFO (SDM 35.10, table 35-11); 32-byte aligned. */
struct sgx_pageinfo {
    uint64_t linaddr;
    uint64_t srcpge;
    uint64_t secinfo; /* or PCMD */
    uint64_t secs;
};
CELLA_ABI_ASSERT(sizeof(struct sgx_pageinfo) == 32);

/* SECINFO.FLAGS (SDM 35.11, table 35-13) and page types (table 35-14). */
#define SGX_SECINFO_R 0x1ull
#define SGX_SECINFO_W 0x2ull
#define SGX_SECINFO_X 0x4ull
#define SGX_SECINFO_RWX 0x7ull
#define SGX_SECINFO_PENDING 0x8ull
#define SGX_SECINFO_MODIFIED 0x10ull
#define SGX_SECINFO_PR 0x20ull
#define SGX_SECINFO_TYPE_MASK 0xFF00ull
#define SGX_SECINFO_TYPE_SHIFT 8
#define SGX_SECINFO_TCS 0x100ull
#define SGX_SECINFO_REG 0x200ull
#define SGX_SECINFO_TRIM 0x400ull

enum sgx_page_type {
    SGX_PT_SECS = 0,
    SGX_PT_TCS = 1,
    SGX_PT_REG = 2,
    SGX_PT_VA = 3,
    SGX_PT_TRIM = 4,
    SGX_PT_SS_FIRST = 5,
    SGX_PT_SS_REST = 6,
};

/* 64-byte aligned (SDM 35.11, table 35-12). */
struct sgx_secinfo {
    uint64_t flags;
    uint8_t reserved[56];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_secinfo) == 64);

#define SGX_RSA_SIZE 384u

/* Enclave signature structure (SDM 35.13, table 35-19); 4 KiB aligned as an operand of EINIT. */
struct sgx_sigstruct {
    uint8_t header[16];
    uint32_t vendor;
    uint32_t date; /* BCD yyyymmdd */
    uint8_t header2[16];
    uint32_t sw_defined;
    uint8_t reserved1[84];
    uint8_t modulus[SGX_RSA_SIZE]; /* little endian, as the four big numbers are */
    uint32_t exponent;
    uint8_t signature[SGX_RSA_SIZE];
    uint32_t misc_select;
    uint32_t misc_mask;
    uint8_t cet_attributes;
    uint8_t cet_attributes_mask;
    uint8_t reserved2[2];
    uint8_t isv_family_id[16];
    struct sgx_attributes attributes;
    struct sgx_attributes attribute_mask;
    uint8_t enclave_hash[32];
    uint8_t reserved3[16];
    uint8_t isv_ext_prod_id[16];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint8_t reserved4[12];
    uint8_t q1[SGX_RSA_SIZE];
    uint8_t q2[SGX_RSA_SIZE];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_sigstruct) == 1808);
CELLA_ABI_AT(sgx_sigstruct, vendor, 16);
CELLA_ABI_AT(sgx_sigstruct, date, 20);
CELLA_ABI_AT(sgx_sigstruct, header2, 24);
CELLA_ABI_AT(sgx_sigstruct, sw_defined, 40);
CELLA_ABI_AT(sgx_sigstruct, modulus, 128);
CELLA_ABI_AT(sgx_sigstruct, exponent, 512);
CELLA_ABI_AT(sgx_sigstruct, signature, 516);
CELLA_ABI_AT(sgx_sigstruct, misc_select, 900);
CELLA_ABI_AT(sgx_sigstruct, misc_mask, 904);
CELLA_ABI_AT(sgx_sigstruct, cet_attributes, 908);
CELLA_ABI_AT(sgx_sigstruct, isv_family_id, 912);
CELLA_ABI_AT(sgx_sigstruct, attributes, 928);
CELLA_ABI_AT(sgx_sigstruct, attribute_mask, 944);
CELLA_ABI_AT(sgx_sigstruct, enclave_hash, 960);
CELLA_ABI_AT(sgx_sigstruct, isv_ext_prod_id, 1008);
CELLA_ABI_AT(sgx_sigstruct, isv_prod_id, 1024);
CELLA_ABI_AT(sgx_sigstruct, isv_svn, 1026);
CELLA_ABI_AT(sgx_sigstruct, reserved4, 1028);
CELLA_ABI_AT(sgx_sigstruct, q1, 1040);
CELLA_ABI_AT(sgx_sigstruct, q2, 1424);

/* The two signed spans of a SIGSTRUCT: bytes 0..127 and 900..1027. */
#define SGX_SIGSTRUCT_SIGNED1_SIZE 128u
#define SGX_SIGSTRUCT_SIGNED2_OFFSET 900u
#define SGX_SIGSTRUCT_SIGNED2_SIZE 128u

/* EINITTOKEN (SDM 35.14, table 35-20); 512-byte aligned. */
struct sgx_einittoken {
    uint32_t valid;
    uint8_t reserved1[44];
    struct sgx_attributes attributes;
    uint8_t mr_enclave[32];
    uint8_t reserved2[32];
    uint8_t mr_signer[32];
    uint8_t reserved3[32];
    uint8_t cpu_svn_le[16];
    uint16_t isv_prod_id_le;
    uint16_t isv_svn_le;
    uint8_t reserved4[24];
    uint32_t masked_misc_select_le;
    struct sgx_attributes masked_attributes_le;
    uint8_t key_id[32];
    uint8_t mac[16];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_einittoken) == 304);
CELLA_ABI_AT(sgx_einittoken, attributes, 48);
CELLA_ABI_AT(sgx_einittoken, mr_enclave, 64);
CELLA_ABI_AT(sgx_einittoken, mr_signer, 128);
CELLA_ABI_AT(sgx_einittoken, cpu_svn_le, 192);
CELLA_ABI_AT(sgx_einittoken, masked_misc_select_le, 236);
CELLA_ABI_AT(sgx_einittoken, masked_attributes_le, 240);
CELLA_ABI_AT(sgx_einittoken, key_id, 256);
CELLA_ABI_AT(sgx_einittoken, mac, 288);

/* REPORT (SDM 35.15, table 35-21); 512-byte aligned. The MAC covers the first 384 bytes. */
struct sgx_report_body {
    uint8_t cpu_svn[16];
    uint32_t misc_select;
    uint8_t cet_attributes;
    uint8_t reserved1[11];
    uint8_t isv_ext_prod_id[16];
    struct sgx_attributes attributes;
    uint8_t mr_enclave[32];
    uint8_t reserved2[32];
    uint8_t mr_signer[32];
    uint8_t reserved3[32];
    uint8_t config_id[64];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t reserved4[42];
    uint8_t isv_family_id[16];
    uint8_t report_data[64];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_report_body) == 384);
CELLA_ABI_AT(sgx_report_body, misc_select, 16);
CELLA_ABI_AT(sgx_report_body, isv_ext_prod_id, 32);
CELLA_ABI_AT(sgx_report_body, attributes, 48);
CELLA_ABI_AT(sgx_report_body, mr_enclave, 64);
CELLA_ABI_AT(sgx_report_body, mr_signer, 128);
CELLA_ABI_AT(sgx_report_body, config_id, 192);
CELLA_ABI_AT(sgx_report_body, isv_prod_id, 256);
CELLA_ABI_AT(sgx_report_body, isv_family_id, 304);
CELLA_ABI_AT(sgx_report_body, report_data, 320);

struct sgx_report {
    struct sgx_report_body body;
    uint8_t key_id[32];
    uint8_t mac[16];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_report) == 432);
CELLA_ABI_AT(sgx_report, key_id, 384);
CELLA_ABI_AT(sgx_report, mac, 416);

/* TARGETINFO (SDM 35.16, table 35-22); 512-byte aligned. */
struct sgx_targetinfo {
    uint8_t measurement[32];
    struct sgx_attributes attributes;
    uint8_t cet_attributes;
    uint8_t reserved1;
    uint16_t config_svn;
    uint32_t misc_select;
    uint8_t reserved2[8];
    uint8_t config_id[64];
    uint8_t reserved3[384];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_targetinfo) == 512);
CELLA_ABI_AT(sgx_targetinfo, attributes, 32);
CELLA_ABI_AT(sgx_targetinfo, cet_attributes, 48);
CELLA_ABI_AT(sgx_targetinfo, config_svn, 50);
CELLA_ABI_AT(sgx_targetinfo, misc_select, 52);
CELLA_ABI_AT(sgx_targetinfo, config_id, 64);

/* Key names (SDM 35.17, table 35-24) and key policy (table 35-25). */
enum sgx_key_name {
    SGX_KEY_EINITTOKEN = 0,
    SGX_KEY_PROVISION = 1,
    SGX_KEY_PROVISION_SEAL = 2,
    SGX_KEY_REPORT = 3,
    SGX_KEY_SEAL = 4,
};
#define SGX_KEYPOLICY_MRENCLAVE 0x1u
#define SGX_KEYPOLICY_MRSIGNER 0x2u
#define SGX_KEYPOLICY_NOISVPRODID 0x4u
#define SGX_KEYPOLICY_CONFIGID 0x8u
#define SGX_KEYPOLICY_ISVFAMILYID 0x10u
#define SGX_KEYPOLICY_ISVEXTPRODID 0x20u

/* KEYREQUEST (SDM 35.17, table 35-23); 512-byte aligned. */
struct sgx_keyrequest {
    uint16_t key_name;
    uint16_t key_policy;
    uint16_t isv_svn;
    uint8_t reserved1[2];
    uint8_t cpu_svn[16];
    struct sgx_attributes attribute_mask;
    uint8_t key_id[32];
    uint32_t misc_mask;
    uint16_t config_svn;
    uint8_t reserved2[434];
};
CELLA_ABI_ASSERT(sizeof(struct sgx_keyrequest) == 512);
CELLA_ABI_AT(sgx_keyrequest, key_policy, 2);
CELLA_ABI_AT(sgx_keyrequest, isv_svn, 4);
CELLA_ABI_AT(sgx_keyrequest, cpu_svn, 8);
CELLA_ABI_AT(sgx_keyrequest, attribute_mask, 24);
CELLA_ABI_AT(sgx_keyrequest, key_id, 40);
CELLA_ABI_AT(sgx_keyrequest, misc_mask, 72);
CELLA_ABI_AT(sgx_keyrequest, config_svn, 76);

/* Alignments that the leaves demand of their operands, in bytes. */
#define SGX_ALIGN_REPORT 512u
#define SGX_ALIGN_TARGETINFO 512u
#define SGX_ALIGN_REPORTDATA 128u
#define SGX_ALIGN_KEYREQUEST 512u
#define SGX_ALIGN_KEY 16u
#define SGX_ALIGN_SECINFO 64u
#define SGX_ALIGN_PAGEINFO 32u

/* Exception vectors (SDM Vol. 3A, table 6-1). */
enum sgx_vector {
    SGX_VECTOR_DE = 0,
    SGX_VECTOR_DB = 1,
    SGX_VECTOR_BP = 3,
    SGX_VECTOR_BR = 5,
    SGX_VECTOR_UD = 6,
    SGX_VECTOR_GP = 13,
    SGX_VECTOR_PF = 14,
    SGX_VECTOR_MF = 16,
    SGX_VECTOR_AC = 17,
    SGX_VECTOR_XM = 19,
};

/* Page-fault error code bits (SDM Vol. 3A, 4.7). */
#define SGX_PF_PRESENT 0x1u
#define SGX_PF_WRITE 0x2u
#define SGX_PF_USER 0x4u
#define SGX_PF_FETCH 0x10u
#define SGX_PF_SGX 0x8000u

#endif
