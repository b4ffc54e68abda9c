/*
 * What the rewriter knows of the code of a whole program.
 * Side: tools (hosted; libcapstone). Called by image/rewrite.c. Never changes the file.
 *
 * Programs are large and made by anybody, so not all of their code is decoded. Control comes to an address that is not
 * the next instruction's by a branch, or because something holds the address. Every place where a rel32 branch, a
 * RIP-relative lea, a word of data, a table of offsets from a lea's address or (in position-dependent code) an immediate
 * could be is read as if it were one: too many targets cost a rewrite, a missing one would cost correctness. Short
 * branches are decoded, in the functions that have a `syscall` and in their neighbours.
 */
#include "image/flow.h"

#include <string.h>

#include "image/pclntab.h"

#define SHORT_REACH 160u /* a rel8 branch, and the instructions it stands in and goes to */
#define EXTENSION_MAX 4096u
#define TABLE_STEPS_MAX (1ull << 26)

struct scan {
    struct cella_flow *flow;
    const struct cella_elf *elf;
    const struct cella_image_segment *segments;
    uint32_t segment_count;
};

static CELLA_MUST_USE cella_result go_functions_read(const struct scan *scan)
{
    struct cella_pclntab table;

    if (!cella_is_ok(cella_pclntab_find(scan->elf, scan->segments, scan->segment_count, &table))) {
        return CELLA_OK;
    }
    for (uint32_t i = 0; i < table.count; i++) {
        struct cella_flow_region region = {.described = true};
        if (cella_is_ok(
                cella_pclntab_function(&table, i, &region.start, &region.end, &region.name))) {
            cella_flow_mark(scan->flow, region.start);
            CELLA_TRY(cella_flow_region_add(scan->flow, &region));
        }
    }
    return CELLA_OK;
}

/* Offsets of four bytes from `address`, which some lea formed, as long as they lead to code. */
static void table_mark(const struct scan *scan, uint64_t address)
{
    struct cella_flow *flow = scan->flow;

    for (uint32_t i = 0; i < scan->segment_count; i++) {
        const struct cella_image_segment *segment = &scan->segments[i];
        uint64_t into = address - segment->offset;
        if (address < segment->offset || into >= segment->file_size) {
            continue;
        }
        const uint8_t *bytes = scan->elf->file.data + segment->file_offset;
        for (; into + 4 <= segment->file_size; into += 4) {
            int64_t offset = (int32_t)cella_le_get(bytes + into, 4);
            uint64_t target = address + (uint64_t)offset;
            if (offset == 0 || !cella_flow_code(flow, target, 1)) {
                return;
            }
            if (flow->table_budget == 0) {
                flow->tables_unknown = true;
                return;
            }
            flow->table_budget--;
            cella_flow_mark(flow, target);
        }
    }
}

/* What the bytes at `code`, `left` of them, would refer to if an instruction's tail began there. */
static void byte_mark(const struct scan *scan, uint64_t address, const uint8_t *code, uint64_t left)
{
    struct cella_flow *flow = scan->flow;

    if (left >= 5 && (code[0] & 0xFE) == 0xE8) { /* call, jmp */
        cella_flow_mark(flow, address + 5 + (uint64_t)(int32_t)cella_le_get(code + 1, 4));
    } else if (left >= 6 && code[0] == 0x0F && (code[1] & 0xF0) == 0x80) { /* jcc */
        cella_flow_mark(flow, address + 6 + (uint64_t)(int32_t)cella_le_get(code + 2, 4));
    } else if (left >= 6 && code[0] == 0x8D && (code[1] & 0xC7) == 0x05) { /* lea */
        uint64_t target = address + 6 + (uint64_t)(int32_t)cella_le_get(code + 2, 4);
        cella_flow_mark(flow, target);
        table_mark(scan, target);
    }
    if (scan->elf->header.e_type == ET_EXEC && left >= 4) {
        cella_flow_mark(flow, cella_le_get(code, 4));
    }
}

static void code_mark(const struct scan *scan)
{
    const struct cella_flow *flow = scan->flow;

    for (uint32_t i = 0; i < flow->text_count; i++) {
        const struct cella_flow_text *text = &flow->texts[i];
        for (uint64_t at = 0; at < text->bytes.size; at++) {
            byte_mark(scan, text->address + at, text->bytes.data + at, text->bytes.size - at);
        }
    }
}

/* Every aligned word that is an address of code: pointers, absolute tables, addends of relocations. */
static void words_mark(const struct scan *scan)
{
    for (uint32_t i = 0; i < scan->segment_count; i++) {
        const struct cella_image_segment *segment = &scan->segments[i];
        const uint8_t *bytes = scan->elf->file.data + segment->file_offset;
        for (uint64_t at = -segment->offset & 7; at + 8 <= segment->file_size; at += 8) {
            cella_flow_mark(scan->flow, cella_le_get(bytes + at, 8));
        }
    }
}

/* Decodes the functions that hold the bytes of a `syscall`, and what is near enough for a short branch into them. */
static void regions_scan(struct cella_flow *flow)
{
    for (uint32_t i = 0; i < flow->region_count; i++) {
        struct cella_flow_region *region = &flow->regions[i];
        const uint8_t *code = cella_flow_code(flow, region->start, region->end - region->start);
        if (!code || !memmem(code, region->end - region->start, "\x0F\x05", 2)) {
            continue;
        }
        cella_flow_region_scan(flow, region);
        for (uint32_t k = i; k > 0 && region->start - flow->regions[k - 1].end < SHORT_REACH; k--) {
            cella_flow_region_scan(flow, &flow->regions[k - 1]);
        }
        for (uint32_t k = i + 1;
             k < flow->region_count && flow->regions[k].start - region->end < SHORT_REACH; k++) {
            cella_flow_region_scan(flow, &flow->regions[k]);
        }
    }
}

/* Whether the last instruction of a region goes on behind it. False too where it does not decode to its end. */
static bool falls_through(struct cella_flow *flow, const struct cella_flow_region *region)
{
    uint64_t address = region->start;
    enum cella_flow_kind kind = CELLA_FLOW_RETURN;

    while (address < region->end) {
        uint64_t ignored;
        if (!cella_flow_decode(flow, address, region->end)) {
            return false;
        }
        kind = cella_flow_kind_of(flow, &ignored);
        address += flow->scratch->size;
    }
    return kind == CELLA_FLOW_PLAIN || kind == CELLA_FLOW_BRANCH;
}

/*
 * Call frame information ends in the middle of some functions, where a child of clone would not unwind: what control
 * falls into belongs to them, as far as it decodes.
 */
static void regions_extend(struct cella_flow *flow)
{
    for (uint32_t i = 0; i < flow->region_count; i++) {
        struct cella_flow_region *region = &flow->regions[i];
        uint64_t limit = i + 1 < flow->region_count ? flow->regions[i + 1].start : region->end;
        uint64_t gap = limit - region->end;
        const uint8_t *code = cella_flow_code(flow, region->end, gap);
        if (gap == 0 || gap > EXTENSION_MAX || !code || !memmem(code, gap, "\x0F\x05", 2) ||
            !falls_through(flow, region)) {
            continue;
        }
        while (region->end < limit && cella_flow_decode(flow, region->end, limit)) {
            region->end += flow->scratch->size;
        }
    }
}

static bool has_text_relocations(const struct cella_elf *elf)
{
    uint64_t value;
    return cella_is_ok(cella_elf_dynamic(elf, DT_TEXTREL, &value)) ||
           (cella_is_ok(cella_elf_dynamic(elf, DT_FLAGS, &value)) && (value & DF_TEXTREL));
}

cella_result cella_flow_init_program(struct cella_flow *flow, const struct cella_elf *elf,
                                     const struct cella_image_segment *segments,
                                     uint32_t segment_count, struct cella_error *error)
{
    const struct scan scan = {
        .flow = flow, .elf = elf, .segments = segments, .segment_count = segment_count};

    CELLA_TRY(cella_flow_open(flow, elf, segments, segment_count, error));
    flow->is_program = true;
    flow->table_budget = TABLE_STEPS_MAX;
    flow->text_moves = has_text_relocations(elf);
    CELLA_TRY(cella_flow_symbols_read(flow, elf, SHT_SYMTAB));
    CELLA_TRY(cella_flow_symbols_read(flow, elf, SHT_DYNSYM));
    CELLA_TRY(go_functions_read(&scan));
    flow->unwind_unknown = !cella_is_ok(cella_flow_mark_landing_pads(flow, elf));
    cella_flow_regions_settle(flow);
    regions_extend(flow);
    CELLA_TRY(cella_flow_discover(flow, elf, segments, segment_count));
    cella_flow_regions_settle(flow);
    cella_flow_mark(flow, elf->header.e_entry);
    code_mark(&scan);
    words_mark(&scan);
    regions_scan(flow);
    cella_flow_gaps_mark(flow);
    return CELLA_OK;
}
