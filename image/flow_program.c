/*
 * What the rewriter knows of the code of a whole program.
 * Side: tools (hosted; libcapstone). Called by image/rewrite.c. Never changes the file.
 *
 * Programs are large and made by anybody, so not all of their code is decoded. Control comes to an address that is not
 * the next instruction's by a branch, or because something holds the address. Every place where a rel32 branch, a
 * RIP-relative lea, a word of data, a table of offsets from a lea's address or (in position-dependent code) an immediate
 * could be is read as if it were one; what then refers to the code around a site is decoded from its function's start, to
 * see whether it is one. Too many targets cost a rewrite, a missing one would cost correctness. Short branches are decoded,
 * in the functions that have a `syscall` and in their neighbours.
 */
#include "image/flow.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "image/pclntab.h"

#define SHORT_REACH 160u /* a rel8 branch, and the instructions it stands in and goes to */
#define EXTENSION_MAX 4096u
#define WINDOW_REACH 16u
#define DECODE_BYTES_MAX (1ull << 26)
#define TABLE_COUNT_MAX (1u << 22)
#define TABLE_STEPS_MAX (1ull << 26)

/* Offsets of four bytes from `address`, which the bytes at `source` refer to. */
struct table {
    uint64_t address;
    uint64_t source;
};

struct scan {
    struct cella_flow *flow;
    const struct cella_elf *elf;
    const struct cella_image_segment *segments;
    uint32_t segment_count;
    uint8_t *near[CELLA_FLOW_TEXT_MAX]; /* one bit a byte of code: a window may reach here */
    struct table *tables;
    uint32_t table_count;
    uint32_t table_capacity;
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

/* ------------------------------------------------------------------- who refers to the code around a site */

/* The known function that holds an address; NULL: none. */
static struct cella_flow_region *region_at(const struct cella_flow *flow, uint64_t address)
{
    uint32_t low = 0;
    uint32_t high = flow->region_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (flow->regions[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < flow->region_count && flow->regions[low].start <= address ? &flow->regions[low]
                                                                           : NULL;
}

/* Whether the instruction in flow->scratch forms the address: as a target, an operand in memory, an immediate. */
static bool refers_to(const struct cella_flow *flow, uint64_t address)
{
    const cs_insn *instruction = flow->scratch;
    const cs_x86 *x86 = &instruction->detail->x86;
    uint64_t target;

    cella_flow_kind_of(flow, &target);
    for (unsigned i = 0; i < x86->op_count && target != address; i++) {
        const cs_x86_op *operand = &x86->operands[i];
        if (operand->type == X86_OP_IMM) {
            target = (uint64_t)operand->imm;
        } else if (operand->type == X86_OP_MEM) {
            target =
                (uint64_t)operand->mem.disp +
                (operand->mem.base == X86_REG_RIP ? instruction->address + instruction->size : 0);
        }
    }
    return target == address;
}

/*
 * Whether the bytes at `source`, which look like a reference to `address`, are one. What lies in a known function is decoded
 * from its start; anywhere else the looks decide.
 */
static bool is_reference(const struct scan *scan, uint64_t source, uint64_t address)
{
    struct cella_flow *flow = scan->flow;
    const struct cella_flow_region *region = region_at(flow, source);
    uint64_t at = region ? region->start : 0;

    if (!region || region->disputed || flow->decode_budget < source - region->start) {
        return true;
    }
    flow->decode_budget -= source - region->start;
    while (at <= source) {
        if (!cella_flow_decode(flow, at, region->end)) {
            return true;
        }
        at += flow->scratch->size;
    }
    return refers_to(flow, address);
}

static bool is_near_site(const struct scan *scan, uint64_t address)
{
    for (uint32_t i = 0; i < scan->flow->text_count; i++) {
        const struct cella_flow_text *text = &scan->flow->texts[i];
        uint64_t at = address - text->address;
        if (address >= text->address && at < text->bytes.size) {
            return scan->near[i][at / 8] >> (at % 8) & 1;
        }
    }
    return false;
}

/* Only what is near a site matters. */
static void reference_mark(const struct scan *scan, uint64_t source, uint64_t instruction_target,
                           uint64_t address)
{
    if (is_near_site(scan, address) && is_reference(scan, source, instruction_target)) {
        cella_flow_mark(scan->flow, address);
    }
}

/* ------------------------------------------------------------------- jump tables */

/* Four bytes of file at an address; false where there are none. */
static bool offset_read(const struct scan *scan, uint64_t address, int64_t *ret_offset)
{
    uint64_t at;
    struct cella_bytes bytes;

    if (!cella_is_ok(cella_elf_at(scan->segments, scan->segment_count, address, 4, &at)) ||
        !cella_is_ok(cella_bytes_slice(scan->elf->file, at, 4, &bytes))) {
        return false;
    }
    *ret_offset = (int32_t)cella_le_get(bytes.data, 4);
    return true;
}

/* Where entry `index` of a table at `address` leads; false: to no code. */
static bool table_entry(const struct scan *scan, uint64_t address, uint64_t index,
                        uint64_t *ret_target)
{
    int64_t offset;

    if (!offset_read(scan, address + index * 4, &offset) || offset == 0) {
        return false;
    }
    *ret_target = address + (uint64_t)offset;
    return cella_flow_code(scan->flow, *ret_target, 1) != NULL;
}

/* Remembers what the bytes of a lea at `source` refer to, if offsets that lead to code begin there. */
static CELLA_MUST_USE cella_result table_note(struct scan *scan, uint64_t source, uint64_t address)
{
    uint64_t ignored;

    if (!table_entry(scan, address, 0, &ignored)) {
        return CELLA_OK;
    }
    if (scan->table_count == scan->table_capacity) {
        uint32_t capacity = scan->table_capacity ? scan->table_capacity * 2 : 1024;
        if (capacity > TABLE_COUNT_MAX) {
            scan->flow->tables_unknown = true;
            return CELLA_OK;
        }
        struct table *tables = realloc(scan->tables, capacity * sizeof(*tables));
        CELLA_ENSURE(tables != NULL, OUT_OF_MEMORY);
        scan->tables = tables;
        scan->table_capacity = capacity;
    }
    scan->tables[scan->table_count++] = (struct table){.address = address, .source = source};
    return CELLA_OK;
}

static int table_compare(const void *left, const void *right)
{
    const struct table *a = left;
    const struct table *b = right;
    return a->address < b->address ? -1 : a->address > b->address;
}

/* Whether another table that some code really refers to begins behind table `index`, at `address` or before. */
static bool table_ends_before(const struct scan *scan, uint32_t index, uint64_t address)
{
    uint64_t start = scan->tables[index].address;

    for (uint32_t i = index + 1; i < scan->table_count && scan->tables[i].address <= address; i++) {
        if (scan->tables[i].address > start &&
            is_reference(scan, scan->tables[i].source, scan->tables[i].address)) {
            return true;
        }
    }
    return false;
}

/* Tables stand behind each other, so the next one's offsets may lead to code from this one's start, too. */
static void tables_mark(struct scan *scan)
{
    struct cella_flow *flow = scan->flow;

    if (scan->table_count) {
        qsort(scan->tables, scan->table_count, sizeof(*scan->tables), table_compare);
    }
    for (uint32_t i = 0; i < scan->table_count; i++) {
        const struct table *table = &scan->tables[i];
        uint64_t target;
        for (uint64_t entry = 0; table_entry(scan, table->address, entry, &target); entry++) {
            if (flow->table_budget == 0) {
                flow->tables_unknown = true;
                return;
            }
            flow->table_budget--;
            if (!is_near_site(scan, target) || cella_flow_is_target(flow, target)) {
                continue;
            }
            if (table_ends_before(scan, i, table->address + entry * 4)) {
                break;
            }
            reference_mark(scan, table->source, table->address, target);
        }
    }
}

/* What the bytes at `code`, `left` of them, would refer to if an instruction's tail began there. */
static CELLA_MUST_USE cella_result byte_mark(struct scan *scan, uint64_t source,
                                             const uint8_t *code, uint64_t left)
{
    uint64_t target;

    if (left >= 5 && (code[0] & 0xFE) == 0xE8) { /* call, jmp */
        target = source + 5 + (uint64_t)(int32_t)cella_le_get(code + 1, 4);
        reference_mark(scan, source, target, target);
    } else if (left >= 6 && code[0] == 0x0F && (code[1] & 0xF0) == 0x80) { /* jcc */
        target = source + 6 + (uint64_t)(int32_t)cella_le_get(code + 2, 4);
        reference_mark(scan, source, target, target);
    } else if (left >= 6 && code[0] == 0x8D && (code[1] & 0xC7) == 0x05) { /* lea */
        target = source + 6 + (uint64_t)(int32_t)cella_le_get(code + 2, 4);
        reference_mark(scan, source, target, target);
        CELLA_TRY(table_note(scan, source, target));
    }
    if (scan->elf->header.e_type == ET_EXEC && left >= 4) {
        target = cella_le_get(code, 4);
        reference_mark(scan, source, target, target);
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result code_mark(struct scan *scan)
{
    const struct cella_flow *flow = scan->flow;

    for (uint32_t i = 0; i < flow->text_count; i++) {
        const struct cella_flow_text *text = &flow->texts[i];
        for (uint64_t at = 0; at < text->bytes.size; at++) {
            CELLA_TRY(
                byte_mark(scan, text->address + at, text->bytes.data + at, text->bytes.size - at));
        }
    }
    tables_mark(scan);
    return CELLA_OK;
}

/* The bytes around each that may be a site: no window reaches farther. */
static CELLA_MUST_USE cella_result near_find(struct scan *scan)
{
    for (uint32_t i = 0; i < scan->flow->text_count; i++) {
        const struct cella_bytes code = scan->flow->texts[i].bytes;
        scan->near[i] = calloc(code.size / 8 + 1, 1);
        CELLA_ENSURE(scan->near[i] != NULL, OUT_OF_MEMORY);
        for (size_t at = 0; at + 2 <= code.size; at++) {
            if (code.data[at] != 0x0F || code.data[at + 1] != 0x05) {
                continue;
            }
            size_t start = at > WINDOW_REACH ? at - WINDOW_REACH : 0;
            size_t end = code.size - at > WINDOW_REACH ? at + WINDOW_REACH : code.size;
            for (size_t k = start; k < end; k++) {
                scan->near[i][k / 8] |= (uint8_t)(1u << (k % 8));
            }
        }
    }
    return CELLA_OK;
}

static void scan_done(struct scan *scan)
{
    for (uint32_t i = 0; i < CELLA_FLOW_TEXT_MAX; i++) {
        free(scan->near[i]);
    }
    free(scan->tables);
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
    CELLA_CLEANUP(scan_done)
    struct scan scan = {
        .flow = flow, .elf = elf, .segments = segments, .segment_count = segment_count};

    CELLA_TRY(cella_flow_open(flow, elf, segments, segment_count, error));
    flow->is_program = true;
    flow->table_budget = TABLE_STEPS_MAX;
    flow->decode_budget = DECODE_BYTES_MAX;
    CELLA_TRY(near_find(&scan));
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
    CELLA_TRY(code_mark(&scan));
    words_mark(&scan);
    regions_scan(flow);
    cella_flow_gaps_mark(flow);
    return CELLA_OK;
}
