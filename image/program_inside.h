/*
 * Between the files that make a program image: a program's file as Linux would map it, and the description's writer.
 * Side: tools (hosted). Included by image/program*.c only.
 */
#ifndef CELLA_IMAGE_PROGRAM_INSIDE_H
#define CELLA_IMAGE_PROGRAM_INSIDE_H

#include "image/check.h"
#include "image/elf64.h"
#include "image/program.h"

/* One PT_LOAD as it is mapped: whole pages of the file, then pages of zeros. */
struct cella_program_piece {
    uint64_t address; /* page-aligned; the file's own address */
    uint64_t size;    /* of the pages with file bytes */
    uint64_t zeros;   /* of the pages behind them */
    uint64_t offset;  /* page-aligned, in the file */
    uint64_t keep;    /* bytes of `size` that come from the file; zeros behind them */
    uint32_t rights;  /* PF_R … */
};

/* A `syscall` that became a jump; the file's own addresses. */
struct cella_program_replaced {
    uint64_t address; /* of the instruction */
    uint64_t entry;   /* of the trampoline's `lea` */
    uint64_t window;  /* of the first byte replaced */
    uint32_t window_size;
};

/* A program or an interpreter. Zero-initialise; freed by _done. */
struct cella_program_elf {
    const char *name; /* for error texts */
    struct cella_elf elf;
    struct cella_image_segment segments[CELLA_IMAGE_SEGMENT_MAX]; /* PT_LOADs, for the rewriter */
    struct cella_program_piece pieces[CELLA_IMAGE_SEGMENT_MAX];
    uint32_t count;                          /* of both */
    uint64_t low, high;                      /* [low, high): pages of all pieces */
    uint64_t align;                          /* the largest p_align */
    uint64_t bias;                           /* added to each address */
    struct cella_buffer file;                /* a copy, with the sites replaced */
    struct cella_buffer code;                /* trampolines; they start at `high` */
    struct cella_program_replaced *replaced; /* ascending */
    uint32_t replaced_count;
    uint32_t replaced_capacity;
};

void cella_program_elf_done(struct cella_program_elf *program);

/* Parses and checks; sets all but bias, code and replaced. */
CELLA_MUST_USE cella_result cella_program_elf_parse(struct cella_bytes file, const char *name,
                                                    struct cella_program_elf *ret_program,
                                                    struct cella_error *error);

/* Replaces the sites in `file`, adding to the report. */
CELLA_MUST_USE cella_result cella_program_elf_rewrite(struct cella_program_elf *program,
                                                      struct cella_program_report *report,
                                                      struct cella_error *error);

/* Chooses the load base: the place of the lowest page, for ET_DYN `wanted` or a little below it. */
CELLA_MUST_USE cella_result cella_program_elf_place(struct cella_program_elf *program,
                                                    uint64_t wanted, struct cella_error *error);

/* Where the last page of trampolines ends, in the enclave. */
uint64_t cella_program_elf_end(const struct cella_program_elf *program);

/* The address of the program headers in the enclave; 0: not loaded. */
uint64_t cella_program_elf_headers(const struct cella_program_elf *program);

/* What ld.so would do for a program that needs nothing of it: R_X86_64_RELATIVE. UNSUPPORTED: it needs an interpreter. */
CELLA_MUST_USE cella_result cella_program_elf_relocate(struct cella_program_elf *program,
                                                       struct cella_error *error);

/* The description (abi/program.h) of the parts. */
struct cella_program_parts {
    const struct cella_program_config *config;
    const struct cella_program_elf *program;
    const struct cella_program_elf *interpreter; /* NULL: none */
};
CELLA_MUST_USE cella_result cella_program_describe(const struct cella_program_parts *parts,
                                                   struct cella_program_report *report,
                                                   struct cella_buffer *output,
                                                   struct cella_error *error);

/* program_kernel.c. Zero-initialise; freed by _done. */
struct cella_program_kernel {
    struct cella_buffer loaded; /* the file's bytes as they are loaded */
    struct cella_buffer moved;  /* the same with addresses moved by `bias`, for `elf` */
    struct cella_elf elf;
    struct cella_image_facts facts;
    uint64_t bias;
    uint64_t headers; /* enclave address of its own program headers */
    uint32_t header_count;
};
void cella_program_kernel_done(struct cella_program_kernel *kernel);
CELLA_MUST_USE cella_result cella_program_kernel_parse(struct cella_bytes file,
                                                       struct cella_program_kernel *ret_kernel,
                                                       struct cella_error *error);

#endif
