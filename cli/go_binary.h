/*
 * What a Go program says of its own build: version, build settings, and packages that its symbols name.
 * Side: tools. Called by ego and cella go. Reads bytes only; strings point into them.
 * Source: Go's debug/buildinfo (since 1.18: strings in place) and cmd/go's format of the module text.
 */
#ifndef CELLA_CLI_GO_BINARY_H
#define CELLA_CLI_GO_BINARY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/bytes.h"
#include "common/error.h"

struct go_binary {
    struct cella_bytes version; /* "go1.26.1" */
    struct cella_bytes modules; /* lines: path, mod, dep, build */
};

/*
 * BAD_MAGIC: no ELF file, or none for x86-64; NOT_FOUND: not made by Go 1.18 or newer. Errors in the words of Go's package.
 */
CELLA_MUST_USE cella_result go_binary_parse(struct cella_bytes file, struct go_binary *ret_binary,
                                            struct cella_error *error);

/* The value of build setting `key` (-tags, GOFIPS140, …), cut to `size` with a zero; false: not set. */
bool go_binary_setting(const struct go_binary *binary, const char *key, char *ret_value,
                       size_t size);
/* Whether the build had that tag. */
bool go_binary_has_tag(const struct go_binary *binary, const char *tag);
/* Whether any symbol's name has `text` in it; false for a stripped file. */
bool go_binary_mentions(struct cella_bytes file, const char *text);

#endif
