/*
 * What `cella inspect` knows of an image file, whichever SDK made it.
 * Side: tools. Filled by cli/inspect.c, printed by cli/inspect_print.c. Never loads an image.
 */
#ifndef CELLA_CLI_INSPECT_H
#define CELLA_CLI_INSPECT_H

#include <jansson.h>

#include "image/foreign.h"
#include "image/image.h"
#include "linux/description.h"

enum inspect_kind {
    INSPECT_CELLA,
    INSPECT_OPEN_ENCLAVE,
    INSPECT_INTEL,
};

/* One signed identity. Cella and Open Enclave images have one, Intel's one a metadata version. */
struct inspect_identity {
    char label[32];
    bool is_signed;
    struct sgx_sigstruct sigstruct;
    uint8_t mr_enclave[32]; /* computed from the file */
    uint8_t mr_signer[32];
    bool measured; /* false: the computation failed, see `trouble` */
    bool matches;
    bool signature_good;
    char trouble[256];
};

/* Contiguous pages of one kind with one set of flags. */
struct inspect_row {
    enum cella_image_run_kind kind;
    uint32_t index;
    uint64_t offset;
    uint64_t page_count;
    uint64_t secinfo_flags;
    bool measured;
};

struct inspect_section {
    const char *name;
    uint64_t address;
    uint64_t size;
    bool writable;
    bool executable;
    bool in_file;
};

#define INSPECT_SECTION_MAX 256u
#define INSPECT_ROW_MAX (1u << 20)

/* Zero-initialise; freed by _done. Borrows the file. */
struct inspect {
    enum inspect_kind kind;
    const char *path;
    char name[CELLA_IMAGE_NAME_SIZE];
    struct inspect_identity identities[CELLA_INTEL_METADATA_MAX];
    uint32_t identity_count;
    uint64_t enclave_size; /* of ECREATE */
    uint32_t ssa_frame_pages;
    uint32_t thread_count;    /* TCS pages */
    struct inspect_row *rows; /* of the first identity */
    uint32_t row_count;
    uint32_t row_capacity;
    uint64_t pages[CELLA_IMAGE_RUN_OTHER + 1]; /* by run kind */
    uint64_t added_pages;
    uint64_t measured_pages;
    uint64_t read_only_pages; /* segment pages without W: code and read-only data */
    struct inspect_section sections[INSPECT_SECTION_MAX];
    uint32_t section_count;
    uint64_t read_only_bytes;        /* of the sections in them */
    const struct cella_image *cella; /* INSPECT_CELLA only */
    struct cella_image cella_storage;
    bool has_program; /* the image runs a whole program */
    struct cella_program_description program;
};

CELLA_MUST_USE cella_result inspect_read(struct inspect *inspect, const char *path,
                                         struct cella_bytes file, struct cella_error *error);
void inspect_done(struct inspect *inspect);

/* Every identity measured, equal to the signed one, signature valid. */
bool inspect_is_good(const struct inspect *inspect);

/* inspect_program.c: nothing for an image that runs no program. */
CELLA_MUST_USE cella_result inspect_program_read(struct inspect *inspect,
                                                 const struct cella_image *image,
                                                 struct cella_error *error);
void inspect_program_print_text(const struct inspect *inspect);
json_t *inspect_program_json(const struct inspect *inspect);

void inspect_print_text(const struct inspect *inspect, bool pages);
void inspect_print_json(const struct inspect *inspect, bool pages);

const char *inspect_kind_name(enum inspect_kind kind);
const char *inspect_run_name(enum cella_image_run_kind kind);

#endif
