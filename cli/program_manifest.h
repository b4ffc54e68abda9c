/*
 * Manifests of whole programs: cella.toml, and enclave.json as EGo's users have it, to a struct cella_program_config.
 * Side: tools. Called by cella sign and run, cella go, ego. docs/program-manifest.md is the manual.
 * Parsing reads no file; program_manifest_load brings the content of those that are named.
 */
#ifndef CELLA_CLI_PROGRAM_MANIFEST_H
#define CELLA_CLI_PROGRAM_MANIFEST_H

#include <stdbool.h>
#include <stdio.h>

#include "common/bytes.h"
#include "common/error.h"
#include "image/program.h"

#define PROGRAM_MANIFEST_FILE "cella.toml"
#define PROGRAM_MANIFEST_EGO_FILE "enclave.json"

#define PROGRAM_MANIFEST_SIZE_MAX (1u << 20)
#define PROGRAM_ARGUMENT_MAX 4096u
#define PROGRAM_VARIABLE_MAX 1024u
#define PROGRAM_MOUNT_MAX 64u
#define PROGRAM_FILE_MAX 65536u /* with those in folders */
#define PROGRAM_HOST_MAX 256u
#define PROGRAM_CONTENT_MAX (1ull << 31) /* of all files together */

/* A file of the manifest before its content is there. */
struct program_file {
    const char *path;   /* inside */
    const char *source; /* on the host, as written; NULL: link or text */
    const char *link;
    const char *text;
    uint32_t mode; /* 0: 0755 when the source can be executed, else 0644 */
    bool embed;    /* false: only its hash is in the image */
    uint32_t line, column;
};

struct program_memory;

/* Zero-initialise. Everything belongs to the manifest and is freed by program_manifest_done. */
struct program_manifest {
    struct cella_program_config config; /* files only after program_manifest_load */
    char *name;                         /* of the manifest's file, for errors */
    char *folder;                       /* where relative paths on the host start */
    const char *executable;             /* on the host */
    const char *key;                    /* PEM on the host; NULL: none is named */
    const char *interpreter;            /* on the host; NULL: the file that the program names */
    bool libraries;                     /* the shared libraries that it needs become files */
    bool from_ego;
    int64_t ego_heap_size; /* MiB, from enclave.json */
    struct program_file *files;
    uint32_t file_count;
    struct program_memory *memory;
};

/* Values of a manifest that says nothing. */
void program_manifest_init(struct program_manifest *manifest);
void program_manifest_done(struct program_manifest *manifest);

/* `name` is for the error text: NAME:LINE:COLUMN: … */
CELLA_MUST_USE cella_result program_manifest_parse_toml(struct cella_bytes text, const char *name,
                                                        struct program_manifest *manifest,
                                                        struct cella_error *error);
/*
 * enclave.json, checked as EGo checks it and in its words; `notes` (may be NULL) gets its warnings. Exe and key are taken
 * from the folder of `name`, files from the working directory, as EGo does.
 */
CELLA_MUST_USE cella_result program_manifest_parse_ego(struct cella_bytes text, const char *name,
                                                       struct program_manifest *manifest,
                                                       FILE *notes, struct cella_error *error);
/* What EGo writes when there is none; the caller frees. NULL: out of memory. */
char *program_manifest_ego_default(const char *executable);

/* Reads and parses: by the name's end, .json or not. */
CELLA_MUST_USE cella_result program_manifest_read(const char *path,
                                                  struct program_manifest *manifest, FILE *notes,
                                                  struct cella_error *error);

/*
 * Brings the content of the files (folders are walked, in the order of their names) and, with `libraries`, what the program
 * needs to be linked (cli/program_libraries.h). Afterwards the configuration is complete.
 */
CELLA_MUST_USE cella_result program_manifest_load(struct program_manifest *manifest,
                                                  struct cella_error *error);
/* The path of a file on the host: `path` itself, or below the manifest's folder. NULL: out of memory. */
char *program_manifest_host_path(const struct program_manifest *manifest, const char *path);

/* For the readers. Memory that lives as long as the manifest; zeros. NULL: out of memory. */
void *program_manifest_allocate(struct program_manifest *manifest, size_t size);
char *program_manifest_copy(struct program_manifest *manifest, const char *text);
/* Room for one more at the end of an array that the manifest owns; NULL: out of memory. */
void *program_manifest_grow(struct program_manifest *manifest, void *array, uint32_t count,
                            size_t item_size);
/* Adds to config.files. `content` must live as long as the manifest. */
CELLA_MUST_USE cella_result program_manifest_add_file(struct program_manifest *manifest,
                                                      const struct cella_program_file_config *file,
                                                      struct cella_error *error);
bool program_manifest_has_file(const struct program_manifest *manifest, const char *path);
/* Reads a host file into the manifest's memory; counts against PROGRAM_CONTENT_MAX. */
CELLA_MUST_USE cella_result program_manifest_read_file(struct program_manifest *manifest,
                                                       const char *path,
                                                       struct cella_bytes *ret_content,
                                                       struct cella_error *error);
/* NULL, or why `path` is no absolute path in plain form. */
const char *program_path_fault(const char *path);
/* The word of `names` (NULL at the end) nearest to `word`; NULL: none is near. */
const char *program_word_near(const char *word, const char *const *names);

#endif
