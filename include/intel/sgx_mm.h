/*
 * Dynamic memory of an SGX2 enclave: regions, commitment, rights and types of pages, handlers of their faults. Part of
 * trusted library sgx_trts. Source compatible with Intel's enclave memory manager (sgx-emm). Functions return 0 or errno.
 */
#ifndef SGX_MM_H_
#define SGX_MM_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A page fault as the processor reports it in EXINFO. */
typedef struct _sgx_pfinfo {
    uint64_t maddr;
    union _pfec {
        uint32_t errcd;
        struct {
            uint32_t p : 1;  /* 0: the page was not there */
            uint32_t rw : 1; /* 0: read */
            uint32_t : 13;
            uint32_t sgx : 1; /* the EPCM refused */
            uint32_t : 16;
        };
    } pfec;
    uint32_t reserved;
} sgx_pfinfo;

/* Returns one of the two. */
typedef int (*sgx_enclave_fault_handler_t)(const sgx_pfinfo *pfinfo, void *private_data);
#define SGX_MM_EXCEPTION_CONTINUE_SEARCH 0
#define SGX_MM_EXCEPTION_CONTINUE_EXECUTION -1

/* `flags` of sgx_mm_alloc: one of the first three, then the others. */
#define SGX_EMA_ALLOC_FLAGS_SHIFT 0
#define SGX_EMA_ALLOC_FLAGS(n) ((n) << SGX_EMA_ALLOC_FLAGS_SHIFT)
#define SGX_EMA_ALLOC_FLAGS_MASK SGX_EMA_ALLOC_FLAGS(0xFF)
#define SGX_EMA_RESERVE SGX_EMA_ALLOC_FLAGS(0x1)
#define SGX_EMA_COMMIT_NOW SGX_EMA_ALLOC_FLAGS(0x2)
#define SGX_EMA_COMMIT_ON_DEMAND SGX_EMA_ALLOC_FLAGS(0x4)
#define SGX_EMA_GROWSDOWN SGX_EMA_ALLOC_FLAGS(0x10)
#define SGX_EMA_GROWSUP SGX_EMA_ALLOC_FLAGS(0x20)
#define SGX_EMA_FIXED SGX_EMA_ALLOC_FLAGS(0x40)

#define SGX_EMA_PAGE_TYPE_SHIFT 8
#define SGX_EMA_PAGE_TYPE(n) ((n) << SGX_EMA_PAGE_TYPE_SHIFT)
#define SGX_EMA_PAGE_TYPE_MASK SGX_EMA_PAGE_TYPE(0xFF)
#define SGX_EMA_PAGE_TYPE_TCS SGX_EMA_PAGE_TYPE(0x1)
#define SGX_EMA_PAGE_TYPE_REG SGX_EMA_PAGE_TYPE(0x2)
#define SGX_EMA_PAGE_TYPE_TRIM SGX_EMA_PAGE_TYPE(0x4)
#define SGX_EMA_PAGE_TYPE_SS_FIRST SGX_EMA_PAGE_TYPE(0x5)
#define SGX_EMA_PAGE_TYPE_SS_REST SGX_EMA_PAGE_TYPE(0x6)

/* 2^n bytes; at least a page. */
#define SGX_EMA_ALIGNMENT_SHIFT 24
#define SGX_EMA_ALIGNED(n) (((unsigned int)(n) << SGX_EMA_ALIGNMENT_SHIFT))
#define SGX_EMA_ALIGNMENT_MASK SGX_EMA_ALIGNED(0xFFUL)
#define SGX_EMA_ALIGNMENT_64KB SGX_EMA_ALIGNED(16UL)
#define SGX_EMA_ALIGNMENT_16MB SGX_EMA_ALIGNED(24UL)
#define SGX_EMA_ALIGNMENT_4GB SGX_EMA_ALIGNED(32UL)

#define SGX_EMA_PROT_NONE 0x0
#define SGX_EMA_PROT_READ 0x1
#define SGX_EMA_PROT_WRITE 0x2
#define SGX_EMA_PROT_EXEC 0x4
#define SGX_EMA_PROT_READ_WRITE (SGX_EMA_PROT_READ | SGX_EMA_PROT_WRITE)
#define SGX_EMA_PROT_READ_EXEC (SGX_EMA_PROT_READ | SGX_EMA_PROT_EXEC)
#define SGX_EMA_PROT_MASK (SGX_EMA_PROT_READ_WRITE | SGX_EMA_PROT_EXEC)

/* A region of `length` bytes at `addr` (NULL: anywhere); `handler` is asked about faults in it. */
int sgx_mm_alloc(void *addr, size_t length, int flags, sgx_enclave_fault_handler_t handler,
                 void *handler_private, void **out_addr);

/* Gives back pages and keeps the region; gives back the region too. */
int sgx_mm_uncommit(void *addr, size_t length);
int sgx_mm_dealloc(void *addr, size_t length);

int sgx_mm_modify_permissions(void *addr, size_t length, int prot);
int sgx_mm_modify_type(void *addr, size_t length, int type);
int sgx_mm_commit(void *addr, size_t length);

/* Commits pages with the bytes at `data` and with rights `prot`. */
int sgx_mm_commit_data(void *addr, size_t length, uint8_t *data, int prot);

#ifdef __cplusplus
}
#endif
#endif
