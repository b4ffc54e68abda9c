/*
 * Enclave images: open, walk in measuring order, measure. One model for Cella, Open Enclave and
 * Intel images. Side: host and tools (hosted). Called by host/ (loader) and cli/. Never executes or
 * maps anything of an image. The parser allocates nothing; every place in the file goes through
 * struct cella_bytes.
 */
#ifndef CELLA_IMAGE_IMAGE_H
#define CELLA_IMAGE_IMAGE_H

#include <stdbool.h>

#include "abi/image.h"
#include "common/bytes.h"
#include "common/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Named limits of the parsers. */
#define CELLA_IMAGE_SEGMENT_MAX 32u
#define CELLA_IMAGE_PHDR_MAX 64u
#define CELLA_IMAGE_FILE_MAX (1ull << 32)
#define CELLA_IMAGE_SIZE_MAX (1ull << 40) /* of the enclave */

/* One PT_LOAD. `offset` and `size` are those of the header, not rounded to pages. */
struct cella_image_segment {
    uint64_t offset;
    uint64_t size;
    uint64_t file_offset;
    uint64_t file_size;
    uint64_t flags; /* SGX_SECINFO_R/W/X */
};

/* A parsed Cella image; borrows `file`, which must outlive it. Caller-owned, no _done needed. */
struct cella_image {
    struct cella_bytes file;
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t segment_count;
    bool is_signed; /* false: the signature field is still empty */
    uint64_t info_offset;
    struct cella_image_info info;
    struct sgx_sigstruct sigstruct;
    char name[CELLA_IMAGE_NAME_SIZE];
};

/*
 * Parses and checks a Cella image: ELF headers, information object (recomputed and compared), note.
 * Says nothing about the signature and the measurement: cella_sigstruct_verify and
 * cella_image_measure do. Reads only `file`. BAD_MAGIC: not a Cella image at all (maybe another
 * SDK's). `error` may be NULL.
 */
CELLA_MUST_USE cella_result cella_image_parse(struct cella_bytes file,
                                              struct cella_image *ret_image,
                                              struct cella_error *error);

enum cella_image_run_kind {
    CELLA_IMAGE_RUN_SEGMENT,
    CELLA_IMAGE_RUN_HEAP,
    CELLA_IMAGE_RUN_STACK,
    CELLA_IMAGE_RUN_TCS,
    CELLA_IMAGE_RUN_SSA,
    CELLA_IMAGE_RUN_TD,
    CELLA_IMAGE_RUN_OTHER, /* other SDKs' pages: relocation tables, padding … */
};

/*
 * Contiguous pages with the same flags: one ADD_PAGES call. `data` is NULL for pages of zeros; else
 * page_count * 4096 bytes: in the file (page-aligned there, so page-aligned in memory when the file
 * is mapped) or in the iterator's own page buffer, good until the next call.
 */
struct cella_image_run {
    enum cella_image_run_kind kind;
    uint32_t index; /* segment or thread slot number */
    uint64_t offset;
    uint64_t page_count;
    const uint8_t *data;
    uint64_t secinfo_flags;
    bool measured; /* EEXTEND every page */
};

/* Caller-owned, about 4 KiB; starts at the first page. */
struct cella_image_iterator {
    uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(4096)));
    const struct cella_image *image;
    uint32_t stage;
    uint32_t index;
    uint64_t position;
};

void cella_image_iterator_init(struct cella_image_iterator *iterator,
                               const struct cella_image *image);

/* The next run in adding order; false when there is none. Cannot fail: cella_image_parse has
 * checked everything. */
bool cella_image_next(struct cella_image_iterator *iterator, struct cella_image_run *ret_run);

/* What the processor offers beyond what the image demands; the masks of the SIGSTRUCT say what may
 * be added. */
struct cella_image_processor {
    uint64_t xfrm;        /* XCR0 and what CPUID 0x12 leaf 1 allows */
    uint32_t misc_select; /* CPUID 0x12 leaf 0 EBX */
    bool debug;           /* run as a debug enclave, where the image allows that */
};

/*
 * Fills a SECS for ECREATE: all but `base`. DEBUG_MISMATCH: debug wanted, production image;
 * ATTRIBUTE_REFUSED: the image demands what the processor lacks.
 */
CELLA_MUST_USE cella_result cella_image_secs(const struct cella_image *image,
                                             const struct cella_image_processor *processor,
                                             struct sgx_secs *ret_secs, struct cella_error *error);

/* MRENCLAVE from the file alone. */
CELLA_MUST_USE cella_result cella_image_measure(const struct cella_image *image,
                                                uint8_t ret_mr_enclave[32]);

/* A SIGSTRUCT's own consistency: constant fields, reserved bytes, RSA signature, Q1 and Q2. CRYPTO
 * when libcrypto fails. */
CELLA_MUST_USE cella_result cella_sigstruct_verify(const struct sgx_sigstruct *sigstruct,
                                                   struct cella_error *error);

/* Whether EINIT takes the signature: its own multiplications, for the text when it did not. BAD_SIGNATURE. */
CELLA_MUST_USE cella_result cella_sigstruct_einit(const struct sgx_sigstruct *sigstruct);

/* MRSIGNER: SHA-256 of the modulus. */
CELLA_MUST_USE cella_result cella_sigstruct_signer(const struct sgx_sigstruct *sigstruct,
                                                   uint8_t ret_mr_signer[32]);

#ifdef __cplusplus
}
#endif
#endif
