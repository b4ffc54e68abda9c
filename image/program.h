/*
 * Whole programs as enclave images: the kernel's file, the program, its interpreter and what it may see, in one image.
 * Side: tools (hosted). Called by cli/. Never opens a file: the caller brings bytes.
 * abi/program.h describes the result; docs/formats/program.md is the manual.
 */
#ifndef CELLA_IMAGE_PROGRAM_H
#define CELLA_IMAGE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/program.h"
#include "common/bytes.h"
#include "common/error.h"
#include "image/buffer.h"
#include "image/config.h"
#include "image/rewrite.h"

/* A manifest, whatever it was written in (cella.toml, enclave.json). Strings and arrays belong to the reader. */
struct cella_program_variable_config {
    const char *name;
    const char *value; /* NULL: none of its own */
    bool from_host;
};

struct cella_program_mount_config {
    const char *target;
    const char *source; /* NULL: memory */
    enum cella_program_mount_kind kind;
    uint32_t flags; /* CELLA_PROGRAM_MOUNT_* */
};

struct cella_program_file_config {
    const char *path;   /* inside, absolute */
    const char *source; /* host path to read at run time; NULL: `content` goes into the image */
    const char *link;   /* NULL: no link */
    struct cella_bytes
        content; /* needed in both cases: it is hashed, and searched for code when it is ELF */
    uint32_t mode;
};

struct cella_program_config {
    struct cella_image_config
        image;                    /* heap: the kernel's; enclave_threads: the program's threads */
    const char *executable;       /* path inside, absolute */
    const char *directory;        /* start directory; NULL: "/" */
    const char *host_name;        /* NULL: "enclave" */
    const char *const *arguments; /* argv, argument_count of them; at least argv[0] */
    uint32_t argument_count;
    bool arguments_from_host;
    bool ego, executable_memory, async;
    uint64_t memory_max;
    uint64_t stack_size;
    uint32_t user, group, cpu_max, descriptor_max;
    const struct cella_program_variable_config *environment;
    uint32_t environment_count;
    const struct cella_program_mount_config *mounts;
    uint32_t mount_count;
    const struct cella_program_file_config *files;
    uint32_t file_count;
    const char *const *hosts;
    uint32_t host_count;
};

/* What a build tells beside the image. */
struct cella_program_report {
    uint32_t site_count;      /* `syscall` instructions in the program and its interpreter */
    uint32_t rewritten_count; /* of these, those that became jumps */
    uint32_t file_site_count; /* the same for the measured files that hold code */
    uint32_t file_rewritten_count;
    cella_rewrite_site_fn site; /* may be NULL; called for each */
    void *site_context;
    const char *file; /* whose site it is: "program", "interpreter", or a measured file's path */
};

/*
 * Makes an unsigned image. `kernel` is the linked kernel (libexec/cella/program-kernel), `program` an x86-64 ELF file,
 * ET_EXEC or ET_DYN; `interpreter` the file that its PT_INTERP names (empty when it names none). Errors name the file and
 * the place. The program's own bytes are in the image as they are but for the sites in the report.
 */
CELLA_MUST_USE cella_result cella_program_build(
    struct cella_bytes kernel, struct cella_bytes program, struct cella_bytes interpreter,
    const struct cella_program_config *config, struct cella_program_report *report,
    struct cella_buffer *output, struct cella_error *error);

#endif
