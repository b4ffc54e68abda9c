/*
 * What the emitters share: growing text, and how types and functions are spelled.
 * Side: tools. Included by edl/emit*.c only.
 * Never reads a file, never writes one.
 */
#ifndef CELLA_EDL_EMIT_H
#define CELLA_EDL_EMIT_H

#include "edl/edl.h"

struct emit_text {
    char *data;
    size_t size, capacity;
    bool failed; /* out of memory: `data` is incomplete */
};

struct emit {
    const struct cella_edl_unit *unit;
    const struct cella_edl_emit_options *options;
    struct emit_text text; /* the file that is being written */
    bool is_trusted;
    const struct cella_edl_composite
        *too_deep; /* a struct nested beyond what the runtime follows */
};

/* emit_text.c */
void emit_put(struct emit *emit, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `name` in capitals; what C does not take becomes '_'. */
void emit_capitals(struct emit *emit, const char *name);
/* `[const] base*` + name + dims. `name` may be "(*)" or "". is_plain: without const. */
void emit_decl(struct emit *emit, const struct cella_edl_decl *decl, const char *name,
               bool is_plain);
void emit_type(struct emit *emit, const struct cella_edl_type *type, bool is_plain);
/* An expression's cast that makes `T` of a pointer to the bytes: "(T *)", "*(T (*)[4])", "*(array_t *)". */
void emit_cast(struct emit *emit, const struct cella_edl_decl *decl);
/* "T *retval, P p, …" behind `first` (may be NULL); "void" when there is nothing. */
void emit_params(struct emit *emit, const struct cella_edl_function *function, const char *first,
                 const char *result);
bool emit_is_void(const struct cella_edl_type *type);
/* Whether the bytes behind the parameter travel. */
bool emit_is_copied(const struct cella_edl_decl *decl);
/* Whether a struct member's pointer is followed. */
bool emit_is_followed(const struct cella_edl_decl *member);
/* A pointer that travels as it is: void * in the head. */
bool emit_is_raw(const struct cella_edl_decl *decl);
uint32_t emit_copied_count(const struct cella_edl_function *function);
bool emit_has_head(const struct cella_edl_function *function);
bool emit_has_deep(const struct cella_edl_function *function, bool is_out_only);
/* Whether results have to be looked at before they reach the enclave's memory. */
bool emit_is_staged(const struct cella_edl_function *function);
bool emit_has_reply(const struct cella_edl_function *function);
uint32_t emit_call_count(const struct cella_edl_function *const *functions, uint32_t count);

/* emit_header.c: NAME_t.h, NAME_u.h, NAME_args.h. */
void emit_header(struct emit *emit);
void emit_args_header(struct emit *emit);
/* The prototype of the function that the dialect's user writes or calls on this side, without ';'. */
void emit_prototype(struct emit *emit, const struct cella_edl_function *function,
                    const char *prefix);
/* "NAME_" with --use-prefix, else "". */
const char *emit_prefix(const struct emit *emit, char *buffer, size_t size);

/* emit_describe.c: the constant tables that the bridges interpret. */
/* `written`: one flag for each composite of the unit, all false. Only what functions follow. */
void emit_structs(struct emit *emit, bool *written);
void emit_description(struct emit *emit, const struct cella_edl_function *function);

/* emit_bridge.c: NAME_t.c and NAME_u.c. `written`: as for emit_structs. */
void emit_source(struct emit *emit, bool *written);

#endif
