/*
 * Rewriting of `syscall` sites at sign time: a direct jump to a trampoline that calls the enclave
 * kernel. Side: tools (hosted; libcapstone). Called by image/build.c. Never changes a site that it
 * cannot prove safe: such a site stays, raises #UD in the enclave and is emulated there.
 *
 * Contract of the target (cella_syscall_entry), which a trampoline reaches by `call` with the
 * registers of the system call and RSP 128 + 8 bytes below the site's (the red zone is kept):
 * returns by `ret`, result in RAX; RCX, R11 and the flags may change, nothing else. A child of
 * clone resumes at the same return address with RSP = its new stack - 128.
 *
 * In a whole program (`is_program`) there is no such target and nothing is pushed: trampolines are those of
 * abi/program.h.
 */
#ifndef CELLA_IMAGE_REWRITE_H
#define CELLA_IMAGE_REWRITE_H

#include "image/buffer.h"
#include "image/elf64.h"

struct cella_rewrite_site {
    uint64_t address;
    const char *function;     /* "" when no symbol covers it */
    const char *left_because; /* NULL: rewritten */
    /* Of a rewritten one: what was replaced, and (in a program) the trampoline's `lea`. */
    uint64_t window;
    uint32_t window_size;
    uint64_t entry;
};

/* Hears of every site, in address order. */
typedef void (*cella_rewrite_site_fn)(void *context, const struct cella_rewrite_site *site);

struct cella_rewrite {
    /* in */
    const struct cella_elf *elf; /* of the original bytes */
    const struct cella_image_segment *segments;
    uint32_t segment_count;
    uint64_t trampolines;       /* address where the trampolines will be */
    uint64_t target;            /* address of cella_syscall_entry */
    bool is_program;            /* no target: see abi/program.h */
    cella_rewrite_site_fn site; /* may be NULL */
    void *site_context;
    struct cella_buffer *frames; /* call frame information of the trampolines; may be NULL */
    /* out */
    uint32_t site_count;
    uint32_t rewritten_count;
};

/*
 * Patches the sites in `file`, a copy of the ELF file, and appends the trampolines to `code`.
 * LIMIT_EXCEEDED when there are too many symbols or sites; BAD_FIELD for tables that contradict
 * each other.
 */
CELLA_MUST_USE cella_result cella_rewrite_sites(struct cella_rewrite *rewrite,
                                                struct cella_buffer *file,
                                                struct cella_buffer *code,
                                                struct cella_error *error);

#endif
