/*
 * What the front end's files share: the compilation, tokens, and the limits on input.
 * Side: tools. Included inside edl/ by the front end only; emitters see edl/edl.h.
 */
#ifndef CELLA_EDL_INTERNAL_H
#define CELLA_EDL_INTERNAL_H

#include "edl/arena.h"
#include "edl/edl.h"

/* Limits on input; each is an error that names itself. */
#define EDL_FILE_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define EDL_FILE_COUNT_MAX 1024u
#define EDL_IMPORT_DEPTH_MAX 64u
#define EDL_INCLUDE_DEPTH_MAX 32u /* #include of Intel's preprocessor */
#define EDL_CONDITION_DEPTH_MAX 256u
#define EDL_EXPRESSION_DEPTH_MAX 64u
#define EDL_MACRO_DEPTH_MAX 32u
#define EDL_MACRO_TOKENS_MAX 4096u /* in one expansion */
#define EDL_NAME_SIZE_MAX 1024u
#define EDL_STRING_SIZE_MAX 4096u
#define EDL_STARS_MAX 32u
#define EDL_DIMS_MAX 32u
#define EDL_ATTRIBUTES_MAX 64u
#define EDL_PARAMS_MAX 1024u
#define EDL_MEMBERS_MAX 65536u
#define EDL_FUNCTIONS_MAX 65536u
#define EDL_COMPOSITES_MAX 65536u
#define EDL_ERRORS_MAX 20u
#define EDL_WARNINGS_MAX 1000u

/* Wide enough for every Levenshtein guess that is worth making. */
#define EDL_GUESS_SIZE_MAX 32u

enum edl_token_kind {
    EDL_TOKEN_END,
    EDL_TOKEN_NAME,
    EDL_TOKEN_NUMBER,
    EDL_TOKEN_STRING, /* text is without the quotes */
    EDL_TOKEN_SIGN,   /* one byte: { } ( ) [ ] * , ; = # . */
    EDL_TOKEN_BAD,    /* reported already */
};

struct edl_token {
    enum edl_token_kind kind;
    char sign;
    bool is_first;    /* on its line */
    const char *text; /* terminated */
    struct cella_edl_position position;
};

/* One file's text. */
struct edl_source {
    const char *path; /* as opened */
    const char *data;
    size_t size;
    uint32_t index; /* in edl->files */
};

/* Reads raw tokens of one source. */
struct edl_lexer {
    struct cella_edl *edl;
    const struct edl_source *source;
    size_t offset;
    uint32_t line;
    size_t line_start;
    bool at_line_start;
};

struct edl_condition {
    bool is_taken;  /* tokens are let through */
    bool was_taken; /* some branch has been */
    bool has_else;
    struct cella_edl_position position;
};

struct edl_macro {
    const char *name;
    struct cella_edl_list tokens; /* struct edl_token */
    bool is_active;               /* being expanded */
    bool is_predefined;           /* only conditions see it */
};

/* Tokens with directives carried out. */
struct edl_preprocessor {
    struct cella_edl *edl;
    struct edl_lexer lexers[EDL_INCLUDE_DEPTH_MAX];
    uint32_t depth;
    struct cella_edl_list conditions; /* struct edl_condition */
    struct cella_edl_map macros;
    struct cella_edl_list pending; /* of an expansion; struct edl_token */
    size_t pending_next;
};

/* What one file defines; its imports are resolved into it. */
struct edl_file {
    const char *path;
    const char *identity; /* real path */
    bool is_done;
    bool is_system;                   /* may use [cella_service=] */
    struct cella_edl_list includes;   /* struct cella_edl_include */
    struct cella_edl_list composites; /* struct cella_edl_composite * */
    struct cella_edl_list trusted;    /* struct cella_edl_function *, own */
    struct cella_edl_list untrusted;
    struct cella_edl_list imported_trusted;
    struct cella_edl_list imported_untrusted;
    struct cella_edl_map include_names;
    struct cella_edl_map composite_names;
    struct cella_edl_map function_names;
};

/* A name in an allow list, until it is resolved. */
struct edl_allow {
    struct cella_edl_function *function;
    const char *name;
    struct cella_edl_position position;
};

struct cella_edl {
    struct cella_edl_arena arena;
    struct cella_edl_options options;
    struct cella_edl_list diagnostics; /* struct cella_edl_diagnostic */
    unsigned error_count;
    unsigned warning_count;
    bool is_warned_enough;
    bool is_full; /* no more diagnostics are taken; parsing ends soon */
    /* Where the line of the newest diagnostic begins, so that the next need not count from the top. */
    struct {
        uint32_t file;
        uint32_t line;
        const char *start;
    } line_cache;
    struct cella_edl_list sources; /* struct edl_source */
    struct cella_edl_list files;   /* struct edl_file * */
    struct cella_edl_map files_by_identity;
    struct cella_edl_list allows;                   /* struct edl_allow */
    const char *import_paths[EDL_IMPORT_DEPTH_MAX]; /* the chain of imports being read */
    uint32_t import_depth;
    struct cella_edl_unit *unit;
};

/* parse.c: the state of one file's parser. */
struct edl_parser {
    struct cella_edl *edl;
    struct edl_file *file;
    struct edl_preprocessor *preprocessor;
    struct edl_token token; /* the next one */
    struct edl_token after; /* the one behind it */
    struct edl_token last;  /* the one taken last */
    uint64_t taken;         /* how many */
};

/* How the dialects of the language differ, one question each. */
static inline bool edl_is_intel(const struct cella_edl *edl)
{
    return edl->options.dialect == CELLA_EDL_INTEL;
}

static inline bool edl_is_openenclave(const struct cella_edl *edl)
{
    return edl->options.dialect == CELLA_EDL_OPENENCLAVE;
}

static inline bool edl_is_cella(const struct cella_edl *edl)
{
    return edl->options.dialect == CELLA_EDL_CELLA;
}

/* ---- diagnose.c ---- */
void edl_error(struct cella_edl *edl, struct cella_edl_position position, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void edl_error_nowhere(struct cella_edl *edl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void edl_note(struct cella_edl *edl, struct cella_edl_position position, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void edl_note_nowhere(struct cella_edl *edl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void edl_warn(struct cella_edl *edl, enum cella_edl_warning warning,
              struct cella_edl_position position, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts `fix` on the newest diagnostic. */
void edl_fix(struct cella_edl *edl, const char *fix);
/* The one of `names` that `name` most likely means; NULL when none is near. */
const char *edl_guess(const char *name, const char *const *names, size_t count);

/* ---- source.c ---- */
/* Reads a file whole; reports and gives NULL when it cannot. */
const struct edl_source *edl_source_read(struct cella_edl *edl, const char *path);
const struct edl_source *edl_source_add(struct cella_edl *edl, const char *path, const char *data,
                                        size_t size);
/* Where the dialect's tool would find `name`; NULL when nowhere. `from` is the importing file or NULL. */
const char *edl_find(struct cella_edl *edl, const char *name, const char *from);

/* ---- lexer.c ---- */
void edl_lexer_init(struct edl_lexer *lexer, struct cella_edl *edl,
                    const struct edl_source *source);
struct edl_token edl_lexer_next(struct edl_lexer *lexer);
/* The rest of the line, comments out, continuations joined; the lexer stands on the line's end then. */
struct edl_token edl_lexer_line(struct edl_lexer *lexer);
/* At a line's end: past it. */
void edl_lexer_end_line(struct edl_lexer *lexer);

/* ---- preprocess.c, condition.c ---- */
void edl_preprocessor_init(struct edl_preprocessor *preprocessor, struct cella_edl *edl,
                           const struct edl_source *source);
struct edl_token edl_preprocessor_next(struct edl_preprocessor *preprocessor);
void edl_preprocessor_finish(struct edl_preprocessor *preprocessor);
/* The truth of an #if line. */
bool edl_condition_holds(struct edl_preprocessor *preprocessor, const struct edl_token *line);

/* ---- parse*.c ---- */
void edl_parse_file(struct cella_edl *edl, struct edl_file *file, const struct edl_source *source);

struct edl_token edl_take(struct edl_parser *parser);
bool edl_at(const struct edl_parser *parser, char sign);
bool edl_at_word(const struct edl_parser *parser, const char *word);
bool edl_take_if(struct edl_parser *parser, char sign);
/* Reports "expected …" unless the next token is `sign`, which is taken. */
bool edl_expect(struct edl_parser *parser, char sign, const char *where);
void edl_unexpected(struct edl_parser *parser, const char *expected);
/* An identifier to be declared. False when reported. */
bool edl_parse_name(struct edl_parser *parser, const char *what, struct edl_token *ret_token);
bool edl_parse_value(struct edl_parser *parser, const char *what,
                     struct cella_edl_value *ret_value);
bool edl_parse_type(struct edl_parser *parser, struct cella_edl_type *ret_type);
bool edl_parse_dims(struct edl_parser *parser, struct cella_edl_decl *decl);
/* After an error: to behind the next ';', to the next ',' or ')', to the next '}'; never out of a '}'. */
void edl_skip_declaration(struct edl_parser *parser);
void edl_skip_param(struct edl_parser *parser);
void edl_skip_body(struct edl_parser *parser);
struct cella_edl_position edl_span(struct cella_edl_position from, struct cella_edl_position to);

enum edl_place { EDL_PARAM, EDL_MEMBER, EDL_UNION_MEMBER };

enum edl_attribute {
    EDL_ATTR_IN,
    EDL_ATTR_OUT,
    EDL_ATTR_SIZE,
    EDL_ATTR_COUNT,
    EDL_ATTR_STRING,
    EDL_ATTR_WSTRING,
    EDL_ATTR_ISPTR,
    EDL_ATTR_ISARY,
    EDL_ATTR_READONLY,
    EDL_ATTR_USER_CHECK,
    EDL_ATTR_COUNT_,
};

/* Where each attribute of a block stands; length 0: absent. */
struct edl_attributes {
    struct cella_edl_position block;
    struct cella_edl_position at[EDL_ATTR_COUNT_];
};

bool edl_parse_attributes(struct edl_parser *parser, enum edl_place place,
                          struct cella_edl_decl *decl, struct edl_attributes *ret_attributes);
/* `[cdecl, cella_service=x]` before a function. */
bool edl_parse_function_attributes(struct edl_parser *parser, struct cella_edl_function *function);
bool edl_parse_decl(struct edl_parser *parser, enum edl_place place, struct cella_edl_decl *decl);
bool edl_parse_function(struct edl_parser *parser, struct cella_edl_function *function,
                        bool is_trusted);
void edl_parse_composite(struct edl_parser *parser, enum cella_edl_kind kind);

/* ---- import.c ---- */
struct edl_file *edl_open_file(struct cella_edl *edl, const char *name, const char *from,
                               const struct cella_edl_position *position);
void edl_import_types(struct cella_edl *edl, struct edl_file *into, const struct edl_file *from,
                      struct cella_edl_position position);
void edl_import_all(struct cella_edl *edl, struct edl_file *into, const struct edl_file *from,
                    struct cella_edl_position position);
void edl_import_one(struct cella_edl *edl, struct edl_file *into, const struct edl_file *from,
                    const struct edl_token *name);
void edl_add_include(struct cella_edl *edl, struct edl_file *file,
                     struct cella_edl_include include);
void edl_add_composite(struct cella_edl *edl, struct edl_file *file,
                       struct cella_edl_composite *composite);
void edl_add_function(struct cella_edl *edl, struct edl_file *file,
                      struct cella_edl_function *function);

/* ---- check*.c ---- */
/* The rules that need nothing but the declaration itself. */
void edl_check_decl(struct cella_edl *edl, enum edl_place place, struct cella_edl_decl *decl,
                    const struct edl_attributes *attributes);
/* size= and count= to indices. */
void edl_check_lengths(struct cella_edl *edl, enum edl_place place, const char *owner,
                       struct cella_edl_decl *decls, uint32_t count);
/* The whole: types to definitions, deep copies, allow lists; makes the unit. */
void edl_check_unit(struct cella_edl *edl, struct edl_file *root);

/* "const foo_t **" in the arena. */
const char *edl_type_text(struct cella_edl *edl, const struct cella_edl_type *type);
bool edl_is_c_keyword(const char *name);

#endif
