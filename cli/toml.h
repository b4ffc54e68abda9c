/*
 * The part of TOML 1.0 that manifests are written in: text to a tree of values, each with its line and column.
 * Side: tools. Called by cli/program_manifest_toml.c. Reads no file, prints nothing. docs/program-manifest.md says what of
 * TOML is left out (dates, floats, multi-line strings, \U above the basic plane's surrogates) and ADR 0163 why.
 * All memory belongs to the document; toml_done frees it.
 */
#ifndef CELLA_CLI_TOML_H
#define CELLA_CLI_TOML_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/error.h"

#define TOML_SIZE_MAX (1u << 20)
#define TOML_DEPTH_MAX 8u
#define TOML_NODE_MAX 16384u

enum toml_kind {
    TOML_STRING,
    TOML_INTEGER,
    TOML_BOOLEAN,
    TOML_ARRAY,
    TOML_TABLE,
};

struct toml_node {
    enum toml_kind kind;
    uint32_t line, column; /* of the value; of a table in brackets: of its header */
    const char *key;       /* in a table; NULL in an array */
    uint32_t key_line, key_column;
    const char *text; /* TOML_STRING: zero-terminated, no zero inside */
    int64_t integer;
    bool boolean;
    uint32_t count; /* TOML_ARRAY, TOML_TABLE: children */
    struct toml_node *first, *last;
    struct toml_node *next; /* in the parent */
    bool closed;            /* written between braces or brackets: nothing can be added below */
    bool header;            /* had a [header] of its own, or a value: not to be defined again */
    bool dotted;            /* made by a dotted key */
};

struct toml_chunk;

/* Zero-initialise. */
struct toml_document {
    struct toml_node *root;
    struct toml_chunk *chunks;
    uint32_t node_count;
};

/* `name` is for the error text: NAME:LINE:COLUMN: … */
CELLA_MUST_USE cella_result toml_parse(struct cella_bytes text, const char *name,
                                       struct toml_document *document, struct cella_error *error);
void toml_done(struct toml_document *document);

/* "string", "integer", … with an article. */
const char *toml_kind_name(enum toml_kind kind);

#endif
