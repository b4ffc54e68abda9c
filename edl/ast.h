/*
 * The syntax tree of an EDL file, checked and resolved: one flat list of types and functions, imports and all.
 * Side: tools. Made by edl/ (cella_edl_compile), read by edl/emit*.c and cli/. Never changed once made; everything
 * here lives in the compilation's arena and is freed with it.
 */
#ifndef CELLA_EDL_AST_H
#define CELLA_EDL_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both the language that is accepted and, separately, the signatures that are emitted. */
enum cella_edl_dialect {
    CELLA_EDL_CELLA, /* accepts the union of the two below */
    CELLA_EDL_OPENENCLAVE,
    CELLA_EDL_INTEL,
};

/* Where something stands: lines and columns from 1, columns in bytes. `length` bytes are underlined. */
struct cella_edl_position {
    uint32_t file; /* index in cella_edl_unit.files */
    uint32_t line;
    uint32_t column;
    uint32_t length;
};

enum cella_edl_kind {
    CELLA_EDL_VOID,
    CELLA_EDL_BOOL,
    CELLA_EDL_CHAR,
    CELLA_EDL_SHORT,
    CELLA_EDL_INT,
    CELLA_EDL_LONG,
    CELLA_EDL_LONG_LONG,
    CELLA_EDL_FLOAT,
    CELLA_EDL_DOUBLE,
    CELLA_EDL_LONG_DOUBLE,
    CELLA_EDL_INT8,
    CELLA_EDL_INT16,
    CELLA_EDL_INT32,
    CELLA_EDL_INT64,
    CELLA_EDL_UINT8,
    CELLA_EDL_UINT16,
    CELLA_EDL_UINT32,
    CELLA_EDL_UINT64,
    CELLA_EDL_WCHAR,
    CELLA_EDL_SIZE,
    CELLA_EDL_STRUCT,
    CELLA_EDL_UNION,
    CELLA_EDL_ENUM,
    CELLA_EDL_FOREIGN, /* a typedef: of an included header, or of a type of this EDL named without its keyword */
};

struct cella_edl_composite;
struct cella_edl_function;

/* `[const] base *…*`. A const always stands before the base, so `const char **` is a pointer to pointers to const char. */
struct cella_edl_type {
    enum cella_edl_kind kind;
    bool is_unsigned; /* of CHAR, SHORT, INT, LONG, LONG_LONG */
    bool is_const;
    uint32_t pointers; /* the number of stars */
    const char *name;  /* the tag or typedef of STRUCT, UNION, ENUM, FOREIGN; else NULL */
    const char *
        base; /* the base as C writes it, without const and stars: "unsigned long", "struct point" */
    /* The definition in the EDL of STRUCT, UNION, ENUM, or of a FOREIGN of that name; NULL when it is in a header only. */
    const struct cella_edl_composite *composite;
    struct cella_edl_position position;
};

enum cella_edl_value_kind {
    CELLA_EDL_ABSENT,
    CELLA_EDL_NUMBER,
    CELLA_EDL_NAME,
};

/* The right side of `size=`, `count=` and `= ` in an enum; an array's dimension. */
struct cella_edl_value {
    enum cella_edl_value_kind kind;
    uint64_t number;  /* of NUMBER */
    const char *text; /* as written: digits or identifier */
    /* size= and count= with a NAME: the parameter's or member's index in the same function or struct. Else -1. */
    int32_t index;
    struct cella_edl_position position;
};

enum cella_edl_direction {
    CELLA_EDL_NO_DIRECTION,
    CELLA_EDL_IN = 1,
    CELLA_EDL_OUT = 2,
    CELLA_EDL_IN_OUT = 3, /* IN | OUT */
};

/* A parameter, or a member of a struct or union. */
struct cella_edl_decl {
    const char *name;
    struct cella_edl_position position; /* of the name */
    struct cella_edl_type type;
    struct cella_edl_value *dims; /* NUMBER, or NAME of a constant in an included header */
    uint32_t dim_count;

    enum cella_edl_direction direction; /* parameters only; members follow the parameter's */
    bool has_attributes; /* an attribute block is written, even one that changes nothing */
    bool is_user_check;
    bool is_string;
    bool is_wstring;
    bool is_isptr;    /* the FOREIGN type is a pointer */
    bool is_isary;    /* the FOREIGN type is an array */
    bool is_readonly; /* `readonly`: the pointer inside the FOREIGN type is to const */
    struct cella_edl_value size;
    struct cella_edl_value count;

    /*
     * Whether another parameter or member has this one as its size or count: any integer, enum, bool, a FOREIGN that
     * may be anything in C, or (both originals take it) a floating type, whose value has to be checked before it is cut.
     */
    bool is_length;
    /*
     * The bytes behind the pointer are structs with pointers of their own that are to be followed: not NULL only on a
     * parameter with a direction and one star, or on a member with size or count and one star. As everywhere, there are
     * (size, or sizeof(*p)) * (count, or 1) bytes; here they are that many / sizeof(*p) structs, and a remainder is
     * refused when the call is made. NULL: copy the bytes as they are. Chains of `deep` are finite.
     */
    const struct cella_edl_composite *deep;
};

/* Enum items have a decl only as a name and a value. */
struct cella_edl_enum_item {
    const char *name;
    struct cella_edl_position position;
    struct cella_edl_value value;
};

/* A struct, union or enum that the EDL defines. */
struct cella_edl_composite {
    enum cella_edl_kind kind; /* STRUCT, UNION or ENUM */
    const char *name;         /* NULL for an anonymous enum */
    struct cella_edl_position position;
    struct cella_edl_decl *members; /* of STRUCT and UNION */
    uint32_t member_count;
    struct cella_edl_enum_item *items; /* of ENUM */
    uint32_t item_count;
    /* A struct with at least one member that has size or count and is not itself a length: it is followed when passed. */
    bool is_deep;
    bool has_pointers; /* it, or a member by value, holds addresses */
};

enum cella_edl_convention {
    CELLA_EDL_NO_CONVENTION,
    CELLA_EDL_CDECL,
    CELLA_EDL_STDCALL,
    CELLA_EDL_FASTCALL,
};

struct cella_edl_function {
    const char *name;
    struct cella_edl_position position;
    struct cella_edl_type result; /* VOID without stars: none */
    struct cella_edl_decl *params;
    uint32_t param_count;
    bool is_trusted; /* an ecall */
    uint32_t index;  /* in its list of the unit */
    bool is_private; /* ecalls: only from within ocalls that allow it */
    bool is_switchless;
    bool is_errno;     /* ocalls: errno is brought back */
    bool is_dllimport; /* ocalls, Intel: [dllimport] */
    enum cella_edl_convention convention;
    /* ocalls: the ecalls that may be made from within, by pointer. Empty for Open Enclave, which ignores them. */
    const struct cella_edl_function **allowed;
    uint32_t allowed_count;
    /* [cella_service=NAME]: no call is marshalled; the runtime's module NAME does the work. NULL for a plain call. */
    const char *service;
};

/* `include "x.h"`: on both sides, or on one when it stands inside `trusted { }` or `untrusted { }`. */
struct cella_edl_include {
    const char *path; /* without the quotes */
    bool in_trusted;
    bool in_untrusted;
};

struct cella_edl_unit {
    const char
        *name; /* the file's name without folder and last suffix: the outputs are NAME_t.h, … */
    const char *identifier; /* the same as a C identifier: the enclave's name in generated code */
    const char *path;       /* as opened */
    enum cella_edl_dialect dialect; /* of the language */
    const char **files; /* every file read, the first one first; for positions and dependencies */
    uint32_t file_count;
    struct cella_edl_include *includes;
    uint32_t include_count;
    /* In the order of definition, imported ones where the import stands. */
    const struct cella_edl_composite **composites;
    uint32_t composite_count;
    /* The file's own functions first, then the imported ones; each in order. */
    const struct cella_edl_function **trusted;
    uint32_t trusted_count;
    const struct cella_edl_function **untrusted;
    uint32_t untrusted_count;
};

#endif
