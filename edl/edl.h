/*
 * The EDL compiler as a library: a file in, a checked syntax tree and diagnostics out; from the tree, generated C.
 * Side: tools. Called by cli/. Never prints, never exits, writes no file.
 */
#ifndef CELLA_EDL_EDL_H
#define CELLA_EDL_EDL_H

#include "common/error.h"
#include "edl/ast.h"

/* ---- From text to tree ---- */

enum cella_edl_warning {
#define X(name, spelling, text) CELLA_EDL_W_##name,
#include "edl/warnings.def"
#undef X
    CELLA_EDL_WARNING_COUNT
};

enum cella_edl_level {
    CELLA_EDL_IGNORED,
    CELLA_EDL_WARNS,
    CELLA_EDL_FAILS,
};

struct cella_edl_options {
    enum cella_edl_dialect dialect;
    const char *const *search_paths;
    size_t search_path_count;
    const char *const *defines; /* names, or NAME=VALUE for Intel's preprocessor */
    size_t define_count;
    enum cella_edl_level warnings[CELLA_EDL_WARNING_COUNT];
    bool is_header_only;     /* Intel does not ask for a public ecall then */
    bool is_service_allowed; /* [cella_service=] in every file, whatever the dialect */
    /* Files below this folder may use [cella_service=]. May be NULL. */
    const char *system_folder;
};

/* The warnings each dialect's own tool gives unasked. */
void cella_edl_options_init(struct cella_edl_options *options, enum cella_edl_dialect dialect);

const char *cella_edl_warning_name(enum cella_edl_warning warning); /* as behind -W */
const char *cella_edl_warning_text(enum cella_edl_warning warning);
bool cella_edl_warning_find(const char *name, enum cella_edl_warning *ret_warning);

enum cella_edl_severity {
    CELLA_EDL_NOTE,
    CELLA_EDL_WARNING,
    CELLA_EDL_ERROR,
};

struct cella_edl_diagnostic {
    enum cella_edl_severity severity;
    int warning; /* enum cella_edl_warning, or -1 */
    bool has_position;
    struct cella_edl_position position;
    const char *text;
    const char *source; /* the line it stands on, unterminated */
    size_t source_size;
    const char *fix; /* what to write at the position instead; may be NULL */
};

struct cella_edl; /* one compilation; owns everything it gives out */

/*
 * Compiles `path`. `*ret_edl` is set whenever the result is OK or BAD_SYNTAX (errors are among the diagnostics and
 * there is no unit). Other results: OUT_OF_MEMORY.
 */
CELLA_MUST_USE cella_result cella_edl_compile(const char *path,
                                              const struct cella_edl_options *options,
                                              struct cella_edl **ret_edl);
/* The same on text in memory, as file `path`; imports are still read from files. */
CELLA_MUST_USE cella_result cella_edl_compile_text(const char *path, const char *text, size_t size,
                                                   const struct cella_edl_options *options,
                                                   struct cella_edl **ret_edl);
void cella_edl_free(struct cella_edl *edl);

const struct cella_edl_unit *cella_edl_unit(const struct cella_edl *edl); /* NULL after errors */
size_t cella_edl_diagnostic_count(const struct cella_edl *edl);
const struct cella_edl_diagnostic *cella_edl_diagnostic(const struct cella_edl *edl, size_t index);
const char *cella_edl_file(const struct cella_edl *edl, uint32_t file); /* the name of a file */

/* ---- From tree to C ---- */

struct cella_edl_emit_options {
    enum cella_edl_dialect dialect; /* of the signatures; the language's is in the unit */
    bool trusted;
    bool untrusted;
    bool header_only;
    bool use_prefix;  /* untrusted ecall wrappers are called NAME_function */
    bool args_header; /* NAME_args.h too (Open Enclave) */
};

struct cella_edl_output {
    char *name;      /* "hello_t.h"; the caller puts the side's folder before it */
    bool is_trusted; /* which folder */
    char *text;
    size_t size;
};

/* Zero-initialise. */
struct cella_edl_outputs {
    struct cella_edl_output *files;
    size_t count;
};

/* All of the generated files, in memory. NAME_args.h comes once for each side that is asked for. */
CELLA_MUST_USE cella_result cella_edl_emit(const struct cella_edl_unit *unit,
                                           const struct cella_edl_emit_options *options,
                                           struct cella_edl_outputs *ret_outputs,
                                           struct cella_error *error);
void cella_edl_outputs_done(struct cella_edl_outputs *outputs);

#endif
