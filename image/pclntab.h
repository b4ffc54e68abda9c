/*
 * Go's table of functions (.gopclntab), which is there even in stripped programs.
 * Side: tools (hosted). Called by image/flow_program.c. Never trusts an offset; allocates nothing.
 */
#ifndef CELLA_IMAGE_PCLNTAB_H
#define CELLA_IMAGE_PCLNTAB_H

#include "image/elf64.h"

#define CELLA_PCLNTAB_FUNCTION_MAX (1u << 22)

/* The header of a table, of Go 1.2 and later, for 64-bit little endian. Parsed from bytes alone. */
struct cella_pclntab {
    struct cella_bytes bytes; /* from the header on */
    uint32_t version;         /* of Go, minor: 2, 16, 18, 20 */
    uint32_t count;
    uint64_t text;  /* what entries are relative to; 0: they are addresses, or it is not said */
    uint64_t names; /* offsets in `bytes` */
    uint64_t functions;
};

/* BAD_MAGIC: no such table. */
CELLA_MUST_USE cella_result cella_pclntab_parse(struct cella_bytes bytes,
                                                struct cella_pclntab *ret_table);

/* Start and end of function `index`, and its name ("" when it has none). BAD_FIELD unless start < end. */
CELLA_MUST_USE cella_result cella_pclntab_function(const struct cella_pclntab *table,
                                                   uint32_t index, uint64_t *ret_start,
                                                   uint64_t *ret_end, const char **ret_name);

/*
 * Finds the table of a program and the address that its entries count from, which linkers of Go 1.26 and later, and those
 * of position-independent programs, do not write into it. NOT_FOUND: no Go program.
 */
CELLA_MUST_USE cella_result cella_pclntab_find(const struct cella_elf *elf,
                                               const struct cella_image_segment *segments,
                                               uint32_t segment_count,
                                               struct cella_pclntab *ret_table);

#endif
