/*
 * Enclave images of the other two SDKs: Open Enclave's (.oeinfo) and Intel's (.note.sgxmeta).
 * Side: tools (hosted). Called by cli/. Reads and measures only: such an image is not loaded by
 * Cella's host runtime. The parsers allocate nothing and borrow the file.
 *
 * Facts from openenclave/openenclave (host/sgx) and intel/linux-sgx (psw/urts), written anew.
 */
#ifndef CELLA_IMAGE_FOREIGN_H
#define CELLA_IMAGE_FOREIGN_H

#include "image/elf64.h"
#include "image/pages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cella_oe_patch {
    uint64_t offset; /* in the enclave */
    uint64_t value;
};

#define CELLA_OE_PATCH_MAX 9u

/* An Open Enclave image. */
struct cella_oe_image {
    struct cella_bytes file;
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t segment_count;
    uint64_t oeinfo_offset; /* in the enclave */
    uint64_t heap_pages;
    uint64_t stack_pages;
    uint64_t thread_count;
    uint64_t tls_pages;
    uint16_t product_id;
    uint16_t svn;
    uint32_t flags; /* bit 0: #PF and #GP captured, bit 1: zero base */
    uint64_t attributes;
    uint64_t start_address; /* of a zero-base enclave; else 0 */
    struct sgx_sigstruct sigstruct;
    uint64_t entry;
    uint64_t image_size;
    uint64_t reloc_size;   /* padded to pages */
    uint64_t enclave_size; /* as the image knows it */
    uint64_t secs_size;    /* as ECREATE sees it */
    struct cella_bytes rela_dyn;
    struct cella_bytes rela_plt;
    struct cella_elf_symbols symbols; /* dynamic; count 0: none */
    struct cella_oe_patch patches[CELLA_OE_PATCH_MAX];
    uint32_t patch_count;
};

/* NOT_FOUND: the file is no Open Enclave image. */
CELLA_MUST_USE cella_result cella_oe_parse(struct cella_bytes file,
                                           struct cella_oe_image *ret_image,
                                           struct cella_error *error);
CELLA_MUST_USE cella_result cella_oe_walk(const struct cella_oe_image *image,
                                          cella_image_visit_fn visit, void *context);
CELLA_MUST_USE cella_result cella_oe_measure(const struct cella_oe_image *image,
                                             uint8_t ret_mr_enclave[32]);

/* One metadata block of an Intel image: a file may hold several, for several loader versions. */
struct cella_intel_image {
    struct cella_bytes file;
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t segment_count;
    struct cella_bytes metadata;
    uint64_t version; /* major << 32 | minor */
    uint32_t ssa_frame_size;
    uint32_t misc_select;
    uint32_t tcs_policy;
    uint64_t enclave_size;
    struct sgx_attributes attributes;
    struct sgx_sigstruct sigstruct;
    struct cella_bytes patches;
    struct cella_bytes layout;
    uint64_t secs_size;
    uint64_t page_bias; /* image start inside ELRANGE */
    bool has_text_relocations;
    struct cella_bytes rela[2]; /* only with text relocations */
};

#define CELLA_INTEL_METADATA_MAX 8u

/* Block `index`. NOT_FOUND: no Intel image, or no such block. */
CELLA_MUST_USE cella_result cella_intel_parse(struct cella_bytes file, uint32_t index,
                                              struct cella_intel_image *ret_image,
                                              struct cella_error *error);
CELLA_MUST_USE cella_result cella_intel_walk(const struct cella_intel_image *image,
                                             cella_image_visit_fn visit, void *context);
CELLA_MUST_USE cella_result cella_intel_measure(const struct cella_intel_image *image,
                                                uint8_t ret_mr_enclave[32]);

#ifdef __cplusplus
}
#endif
#endif
