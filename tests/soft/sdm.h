/*
 * The SDM suite's bench: enclaves built leaf by leaf, and tables of single violations.
 * Side: tests (host). Included by tests/soft/sdm_*_test.c and keys_test.c.
 * A row names the one check that it trips; scripts/sdm-checks reads those names (SDM_COVERS).
 */
#ifndef CELLA_TESTS_SOFT_SDM_H
#define CELLA_TESTS_SOFT_SDM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "soft/driver.h"
#include "soft/encls.h"

/* The name of a check, in a form that scripts find. */
#define SDM_COVERS(name) name

#define SDM_BASE 0x700000000000ull
#define SDM_SIZE 0x10000ull
/* Pages of the bench's enclave. */
#define SDM_DATA 0x0000ull /* REG RW: operands */
#define SDM_TCS 0x1000ull
#define SDM_CODE 0x2000ull   /* REG RX */
#define SDM_RODATA 0x3000ull /* REG R */
#define SDM_MORE 0x4000ull   /* REG RW */
#define SDM_XONLY 0x5000ull  /* REG X: neither readable nor writable by the EPCM */
#define SDM_HOLE 0x6000ull
#define SDM_HOLE2 0x7000ull

struct sdm {
    int fd;
    struct driver_enclave *e;
    struct sgx_secs secs; /* as given to ECREATE */
};

/* What may differ from the default enclave. */
struct sdm_options {
    uint64_t flags; /* ATTRIBUTES in addition to MODE64BIT */
    uint32_t misc_select;
    uint8_t config_id[64];
    uint16_t config_svn;
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint8_t isv_family_id[16];
    uint8_t isv_ext_prod_id[16];
    unsigned signer;
};

/* State of the enclave a test starts from. */
void sdm_open(struct sdm *sdm);                                      /* before ECREATE */
void sdm_create(struct sdm *sdm, const struct sdm_options *options); /* ECREATE done */
void sdm_build(struct sdm *sdm, const struct sdm_options *options);  /* pages added */
void sdm_init(struct sdm *sdm, const struct sdm_options *options);   /* EINIT done */
void sdm_map(struct sdm *sdm); /* pages mapped RW/RX/R, the rest RWX */
void sdm_close(struct sdm *sdm);

/* ECREATE through the leaf with `secs`; the tables are laid out when it succeeds. */
struct soft_outcome sdm_ecreate(struct sdm *sdm, const struct sgx_secs *secs);
void sdm_default_secs(struct sgx_secs *secs, const struct sdm_options *options);
struct soft_outcome sdm_eadd(struct sdm *sdm, uint64_t offset, const void *page, uint64_t flags);
void sdm_sigstruct(struct sdm *sdm, const struct sdm_options *options, struct sgx_sigstruct *sig);

uint64_t sdm_secs_at(const struct sdm *sdm);
uint64_t sdm_epc(const struct sdm *sdm, uint64_t offset); /* EPC address of the page */
void *sdm_page(const struct sdm *sdm, uint64_t offset);   /* the same as pointer */
struct soft_epcm *sdm_epcm(const struct sdm *sdm, uint64_t offset);

/* Operands of one call, valid until a row spoils them. */
struct sdm_call {
    struct sdm sdm;
    uint64_t rbx;
    uint64_t rcx;
    uint64_t rdx;
    _Alignas(4096) uint8_t page[8192];
    _Alignas(4096) struct sgx_sigstruct sig;
    _Alignas(512) struct sgx_einittoken token;
    _Alignas(64) struct sgx_secinfo secinfo;
    _Alignas(32) struct sgx_pageinfo info;
};

/* Which address a #PF has to name. */
enum sdm_where {
    SDM_NOWHERE,
    SDM_RBX,
    SDM_RCX,
    SDM_RDX,
    SDM_INFO_SECS,
};

struct sdm_row {
    const char *check;
    void (*spoil)(struct sdm_call *call);
    struct soft_outcome expected; /* the address is `where`'s */
    enum sdm_where where;
    bool alone; /* not combined with others in the order test */
};

struct sdm_leaf {
    uint32_t leaf;
    bool inside; /* ENCLU */
    void (*prepare)(struct sdm_call *call);
    const struct sdm_row *rows;
    size_t count;
};

struct soft_outcome sdm_run(const struct sdm_leaf *leaf, struct sdm_call *call);
/*
 * Unspoiled it succeeds; each row trips its check alone; of two, the one that stands first is
 * reported.
 */
void sdm_test_leaf(const struct sdm_leaf *leaf);

#define SDM_GP                                                                                     \
    {                                                                                              \
        .kind = SOFT_FAULT, .vector = SGX_VECTOR_GP                                                \
    }
#define SDM_PF(bits)                                                                               \
    {                                                                                              \
        .kind = SOFT_FAULT, .vector = SGX_VECTOR_PF, .error = (bits)                               \
    }
#define SDM_CODE_OF(value)                                                                         \
    {                                                                                              \
        .kind = SOFT_CODE, .code = (value)                                                         \
    }
/* ENCLS runs at CPL 0, ENCLU at CPL 3. */
#define SDM_PF_READ SDM_PF(SGX_PF_PRESENT)
#define SDM_PF_WRITE SDM_PF(SGX_PF_PRESENT | SGX_PF_WRITE)
#define SDM_PF_EPCM_READ SDM_PF(SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX)
#define SDM_PF_EPCM_WRITE SDM_PF(SGX_PF_PRESENT | SGX_PF_USER | SGX_PF_SGX | SGX_PF_WRITE)

#endif
