/*
 * What the rewriter knows of an image's code: functions, and every address that control may reach
 * by other means than falling through. Side: tools (hosted; libcapstone). Called by
 * image/rewrite.c. Never changes the file.
 */
#ifndef CELLA_IMAGE_FLOW_H
#define CELLA_IMAGE_FLOW_H

#include <capstone/capstone.h>

#include "image/elf64.h"

#define CELLA_FLOW_TEXT_MAX 16u

/* One executable segment. */
struct cella_flow_text {
    uint64_t address;
    struct cella_bytes bytes;
    uint8_t *targets; /* one bit a byte of code: control may arrive here */
};

/* Code that one or more overlapping function symbols cover. */
struct cella_flow_region {
    uint64_t start;
    uint64_t end;
    const char *name;
    bool undecodable;
    bool indirect_jump;
    bool disputed; /* decodings of it do not agree */
    bool
        described; /* by call frame information or Go's function table: unwinders do not look at its bytes */
};

/* Zero-initialise; freed by _done. */
struct cella_flow {
    struct cella_flow_text texts[CELLA_FLOW_TEXT_MAX];
    uint32_t text_count;
    struct cella_flow_region *regions; /* ascending, disjoint */
    uint32_t region_count;
    uint32_t region_capacity;
    bool is_program;     /* call frame information names functions too */
    bool unwind_unknown; /* landing pads may be anywhere */
    bool tables_unknown; /* too many that could be jump tables */
    bool text_moves;     /* relocations change code */
    uint64_t table_budget;
    uint64_t decode_budget;
    csh capstone;
    cs_insn *scratch;
};

CELLA_MUST_USE cella_result cella_flow_init(struct cella_flow *flow, const struct cella_elf *elf,
                                            const struct cella_image_segment *segments,
                                            uint32_t segment_count, struct cella_error *error);
/*
 * The same for a program that was not linked to become an enclave: any size, stripped or not, position-dependent or not,
 * C or Go. Functions come from symbols, dynamic symbols, call frame information and Go's function table; every address
 * that code or data forms in a way known to compilers counts as one where control may arrive (flow_program.c).
 */
CELLA_MUST_USE cella_result cella_flow_init_program(struct cella_flow *flow,
                                                    const struct cella_elf *elf,
                                                    const struct cella_image_segment *segments,
                                                    uint32_t segment_count,
                                                    struct cella_error *error);
void cella_flow_done(struct cella_flow *flow);

bool cella_flow_is_target(const struct cella_flow *flow, uint64_t address);
/* Marks an address; one outside the code is ignored. */
void cella_flow_mark(struct cella_flow *flow, uint64_t address);

/* The code bytes [address, address + size), or NULL. */
const uint8_t *cella_flow_code(const struct cella_flow *flow, uint64_t address, uint64_t size);

/* Decodes the instruction at `address`, below `end`, into flow->scratch; false when it cannot be.
 */
bool cella_flow_decode(struct cella_flow *flow, uint64_t address, uint64_t end);

enum cella_flow_kind {
    CELLA_FLOW_PLAIN,
    CELLA_FLOW_SYSCALL,
    CELLA_FLOW_CALL,
    CELLA_FLOW_JUMP,         /* direct, unconditional */
    CELLA_FLOW_BRANCH,       /* direct, conditional, with a rel32 form */
    CELLA_FLOW_SHORT_BRANCH, /* loop, jrcxz: rel8 only */
    CELLA_FLOW_INDIRECT_JUMP,
    CELLA_FLOW_RETURN,
    CELLA_FLOW_PADDING, /* nop, int3 */
    CELLA_FLOW_FIXED,   /* endbr64: must stay where it is */
};

/* Of the instruction in flow->scratch. `ret_target`: of a direct jump, branch or call; else 0. */
enum cella_flow_kind cella_flow_kind_of(const struct cella_flow *flow, uint64_t *ret_target);

/*
 * Marks the landing pads of .gcc_except_table, found through .eh_frame; in a program, its functions become regions. Fails
 * on what it does not understand.
 */
CELLA_MUST_USE cella_result cella_flow_mark_landing_pads(struct cella_flow *flow,
                                                         const struct cella_elf *elf);

/* ------------------------------------------------------------------- between the flow_*.c files */

CELLA_MUST_USE cella_result cella_flow_open(struct cella_flow *flow, const struct cella_elf *elf,
                                            const struct cella_image_segment *segments,
                                            uint32_t segment_count, struct cella_error *error);
/* Adds a region; one that starts outside the code is ignored. `end` == `start`: its size is not known. */
CELLA_MUST_USE cella_result cella_flow_region_add(struct cella_flow *flow,
                                                  const struct cella_flow_region *region);
/* Puts the regions in order: sorted, closed, those that overlap made one. */
void cella_flow_regions_settle(struct cella_flow *flow);
/* Function symbols of a table become regions, and every symbol in code a target. */
CELLA_MUST_USE cella_result cella_flow_symbols_read(struct cella_flow *flow,
                                                    const struct cella_elf *elf, uint32_t type);
/* Decodes a region and marks what its instructions refer to. */
void cella_flow_region_scan(struct cella_flow *flow, struct cella_flow_region *region);
void cella_flow_gaps_mark(struct cella_flow *flow);
/* Adds functions that no table names; the regions are settled, and must be again. */
CELLA_MUST_USE cella_result cella_flow_discover(struct cella_flow *flow,
                                                const struct cella_elf *elf,
                                                const struct cella_image_segment *segments,
                                                uint32_t segment_count);

#endif
