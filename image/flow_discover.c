/*
 * Functions that no table names: followed from those that one does name.
 * Side: tools (hosted; libcapstone). Called by image/flow_program.c. Never takes bytes for code that nothing refers to.
 *
 * Stripped programs without call frame information (musl's) still say where functions are: the entry, the functions that
 * they export, what code calls, the addresses that code or a relocation forms. Each is decoded to its end, and what it
 * refers to is followed. Two decodings that disagree about where an instruction begins cancel each other out.
 */
#include "image/flow.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define DISCOVER_TEXT_MAX                                                                          \
    (8u << 20) /* larger programs have tables; decoding them would take seconds */
#define DISCOVER_TABLE_MAX 4096u

struct discovery {
    struct cella_flow *flow;
    const struct cella_elf *elf;
    const struct cella_image_segment *segments;
    uint32_t segment_count;
    uint8_t *begins[CELLA_FLOW_TEXT_MAX]; /* one bit a byte of code: an instruction begins here */
    uint8_t *inside[CELLA_FLOW_TEXT_MAX]; /* … or goes on here */
    uint64_t *starts;                     /* functions to be decoded */
    uint32_t start_count;
    uint32_t start_capacity;
    uint32_t known_count; /* of the flow's regions: those that were there before */
};

static void discovery_done(struct discovery *discovery)
{
    for (uint32_t i = 0; i < CELLA_FLOW_TEXT_MAX; i++) {
        free(discovery->begins[i]);
        free(discovery->inside[i]);
    }
    free(discovery->starts);
}

static bool bit_get(const struct discovery *discovery, uint8_t *const *maps, uint64_t address)
{
    for (uint32_t i = 0; i < discovery->flow->text_count; i++) {
        const struct cella_flow_text *text = &discovery->flow->texts[i];
        uint64_t at = address - text->address;
        if (address >= text->address && at < text->bytes.size) {
            return maps[i][at / 8] >> (at % 8) & 1;
        }
    }
    return false;
}

static void bit_set(const struct discovery *discovery, uint8_t *const *maps, uint64_t address)
{
    for (uint32_t i = 0; i < discovery->flow->text_count; i++) {
        const struct cella_flow_text *text = &discovery->flow->texts[i];
        uint64_t at = address - text->address;
        if (address >= text->address && at < text->bytes.size) {
            maps[i][at / 8] |= (uint8_t)(1u << (at % 8));
        }
    }
}

/* The region of before that holds an address, or the first behind it; NULL: none. */
static const struct cella_flow_region *known_at(const struct discovery *discovery, uint64_t address)
{
    uint32_t low = 0;
    uint32_t high = discovery->known_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (discovery->flow->regions[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < discovery->known_count ? &discovery->flow->regions[low] : NULL;
}

/* An address that something takes for code, outside what is known. */
static CELLA_MUST_USE cella_result start_add(struct discovery *discovery, uint64_t address)
{
    const struct cella_flow_region *known = known_at(discovery, address);

    if (!cella_flow_code(discovery->flow, address, 1) || (known && address >= known->start) ||
        bit_get(discovery, discovery->begins, address)) {
        return CELLA_OK;
    }
    if (discovery->start_count == discovery->start_capacity) {
        uint32_t capacity = discovery->start_capacity ? discovery->start_capacity * 2 : 256;
        CELLA_ENSURE(capacity <= CELLA_ELF_SYMBOL_MAX, LIMIT_EXCEEDED);
        uint64_t *starts = realloc(discovery->starts, capacity * sizeof(*starts));
        CELLA_ENSURE(starts != NULL, OUT_OF_MEMORY);
        discovery->starts = starts;
        discovery->start_capacity = capacity;
    }
    discovery->starts[discovery->start_count++] = address;
    return CELLA_OK;
}

/* The addresses that the instruction in flow->scratch forms: RIP-relative, and immediates where code has fixed addresses. */
static CELLA_MUST_USE cella_result references_follow(struct discovery *discovery)
{
    const cs_insn *instruction = discovery->flow->scratch;
    const cs_x86 *x86 = &instruction->detail->x86;
    uint64_t next = instruction->address + instruction->size;

    for (unsigned i = 0; i < x86->op_count; i++) {
        const cs_x86_op *operand = &x86->operands[i];
        if (operand->type == X86_OP_MEM && operand->mem.base == X86_REG_RIP &&
            instruction->id == X86_INS_LEA) {
            CELLA_TRY(start_add(discovery, next + (uint64_t)operand->mem.disp));
        } else if (operand->type == X86_OP_IMM && discovery->elf->header.e_type == ET_EXEC &&
                   instruction->id == X86_INS_MOV) {
            CELLA_TRY(start_add(discovery, (uint64_t)operand->imm));
        }
    }
    return CELLA_OK;
}

/* The farthest case of a jump table behind a lea of the instruction in flow->scratch, in [start, limit). */
static uint64_t table_reach(const struct discovery *discovery, uint64_t start, uint64_t limit)
{
    const cs_insn *instruction = discovery->flow->scratch;
    const cs_x86_op *operand = &instruction->detail->x86.operands[1];
    uint64_t reach = 0;
    uint64_t offset;
    struct cella_bytes entry;

    if (instruction->id != X86_INS_LEA || operand->type != X86_OP_MEM ||
        operand->mem.base != X86_REG_RIP) {
        return 0;
    }
    uint64_t table = instruction->address + instruction->size + (uint64_t)operand->mem.disp;
    for (uint32_t i = 0; i < DISCOVER_TABLE_MAX; i++) {
        if (!cella_is_ok(cella_elf_at(discovery->segments, discovery->segment_count, table + i * 4,
                                      4, &offset)) ||
            !cella_is_ok(cella_bytes_slice(discovery->elf->file, offset, 4, &entry))) {
            break;
        }
        int32_t relative = (int32_t)cella_le_get(entry.data, 4);
        uint64_t target = table + (uint64_t)(int64_t)relative;
        if (relative == 0 || target < start || target >= limit) {
            break;
        }
        reach = target > reach ? target : reach;
    }
    return reach;
}

/* How far a decoding has come, and what it has seen. */
struct decoding {
    uint64_t start;
    uint64_t address;
    uint64_t limit;
    uint64_t reach; /* the farthest address inside that something before it goes to */
};

/* One instruction; *ret_more is false behind the function's last. */
static CELLA_MUST_USE cella_result decode_one(struct discovery *discovery,
                                              struct decoding *decoding, bool *ret_more)
{
    struct cella_flow *flow = discovery->flow;
    uint64_t target;

    if (!cella_flow_decode(flow, decoding->address, decoding->limit)) {
        *ret_more = false;
        return CELLA_OK;
    }
    enum cella_flow_kind kind = cella_flow_kind_of(flow, &target);
    uint64_t next = decoding->address + flow->scratch->size;
    uint64_t reach = table_reach(discovery, decoding->start, decoding->limit);
    if (kind == CELLA_FLOW_CALL && target) {
        CELLA_TRY(start_add(discovery, target));
    } else if (target >= next && target < decoding->limit) {
        reach = target > reach ? target : reach;
    } else if (kind == CELLA_FLOW_JUMP && target) {
        CELLA_TRY(start_add(discovery, target)); /* a tail call, or back inside: then it is known */
    }
    CELLA_TRY(references_follow(discovery));
    decoding->reach = reach > decoding->reach ? reach : decoding->reach;
    decoding->address = next;
    bool ends =
        kind == CELLA_FLOW_RETURN || kind == CELLA_FLOW_JUMP || kind == CELLA_FLOW_INDIRECT_JUMP;
    *ret_more = next < decoding->limit && (!ends || next <= decoding->reach);
    return CELLA_OK;
}

/* Enters a decoded function's instructions; false where another decoding disagrees. */
static bool region_enter(struct discovery *discovery, uint64_t start, uint64_t end)
{
    struct cella_flow *flow = discovery->flow;
    bool agrees = true;

    for (uint64_t address = start; address < end && cella_flow_decode(flow, address, end);) {
        agrees = agrees && !bit_get(discovery, discovery->inside, address);
        bit_set(discovery, discovery->begins, address);
        for (uint64_t k = 1; k < flow->scratch->size; k++) {
            agrees = agrees && !bit_get(discovery, discovery->begins, address + k);
            bit_set(discovery, discovery->inside, address + k);
        }
        address += flow->scratch->size;
    }
    return agrees;
}

static CELLA_MUST_USE cella_result function_decode(struct discovery *discovery, uint64_t start)
{
    const struct cella_flow_region *next = known_at(discovery, start);
    struct decoding decoding = {.start = start, .address = start};
    bool more = true;

    if (bit_get(discovery, discovery->begins, start)) {
        return CELLA_OK;
    }
    for (uint32_t i = 0; i < discovery->flow->text_count; i++) {
        const struct cella_flow_text *text = &discovery->flow->texts[i];
        if (start >= text->address && start - text->address < text->bytes.size) {
            decoding.limit = text->address + text->bytes.size;
        }
    }
    if (next && next->start < decoding.limit) {
        decoding.limit = next->start;
    }
    while (more) {
        CELLA_TRY(decode_one(discovery, &decoding, &more));
    }
    struct cella_flow_region region = {.start = start, .end = decoding.address, .name = ""};
    if (region.start == region.end) {
        return CELLA_OK;
    }
    region.disputed = !region_enter(discovery, region.start, region.end);
    return cella_flow_region_add(discovery->flow, &region);
}

/* What known functions refer to. */
static CELLA_MUST_USE cella_result known_follow(struct discovery *discovery)
{
    struct cella_flow *flow = discovery->flow;

    for (uint32_t i = 0; i < discovery->known_count; i++) {
        uint64_t address = flow->regions[i].start;
        uint64_t end = flow->regions[i].end;
        while (address < end && cella_flow_decode(flow, address, end)) {
            uint64_t target;
            enum cella_flow_kind kind = cella_flow_kind_of(flow, &target);
            address += flow->scratch->size;
            if (target && (kind == CELLA_FLOW_CALL || kind == CELLA_FLOW_JUMP)) {
                CELLA_TRY(start_add(discovery, target));
            }
            CELLA_TRY(references_follow(discovery));
        }
    }
    return CELLA_OK;
}

/* Pointers that relocations make. */
static CELLA_MUST_USE cella_result relocations_follow(struct discovery *discovery)
{
    uint64_t address;
    uint64_t size;
    uint64_t offset;
    struct cella_bytes table;

    if (!cella_is_ok(cella_elf_dynamic(discovery->elf, DT_RELA, &address)) ||
        !cella_is_ok(cella_elf_dynamic(discovery->elf, DT_RELASZ, &size)) ||
        !cella_is_ok(
            cella_elf_at(discovery->segments, discovery->segment_count, address, size, &offset)) ||
        !cella_is_ok(cella_bytes_slice(discovery->elf->file, offset, size, &table))) {
        return CELLA_OK;
    }
    for (uint64_t i = 0; i + sizeof(Elf64_Rela) <= table.size; i += sizeof(Elf64_Rela)) {
        Elf64_Rela rela;
        memcpy(&rela, table.data + i, sizeof(rela));
        if (ELF64_R_TYPE(rela.r_info) == R_X86_64_RELATIVE) {
            CELLA_TRY(start_add(discovery, (uint64_t)rela.r_addend));
        }
    }
    return CELLA_OK;
}

/* Whether code that no function covers has the bytes of a `syscall`, and there is little enough of it all. */
static bool is_worthwhile(const struct cella_flow *flow)
{
    uint64_t total = 0;
    uint32_t region = 0;
    bool found = false;

    for (uint32_t i = 0; i < flow->text_count; i++) {
        uint64_t at = flow->texts[i].address;
        uint64_t end = at + flow->texts[i].bytes.size;
        total += flow->texts[i].bytes.size;
        for (; at < end; region++) {
            bool more = region < flow->region_count && flow->regions[region].start < end;
            uint64_t stop = more ? flow->regions[region].start : end;
            const uint8_t *code = cella_flow_code(flow, at, stop - at);
            found = found || (code && stop > at && memmem(code, stop - at, "\x0F\x05", 2));
            at = more ? flow->regions[region].end : end;
            if (!more) {
                break;
            }
        }
    }
    return found && total <= DISCOVER_TEXT_MAX;
}

cella_result cella_flow_discover(struct cella_flow *flow, const struct cella_elf *elf,
                                 const struct cella_image_segment *segments, uint32_t segment_count)
{
    CELLA_CLEANUP(discovery_done)
    struct discovery discovery = {.flow = flow,
                                  .elf = elf,
                                  .segments = segments,
                                  .segment_count = segment_count,
                                  .known_count = flow->region_count};

    if (!is_worthwhile(flow)) {
        return CELLA_OK;
    }
    for (uint32_t i = 0; i < flow->text_count; i++) {
        discovery.begins[i] = calloc(flow->texts[i].bytes.size / 8 + 1, 1);
        discovery.inside[i] = calloc(flow->texts[i].bytes.size / 8 + 1, 1);
        CELLA_ENSURE(discovery.begins[i] && discovery.inside[i], OUT_OF_MEMORY);
    }
    CELLA_TRY(start_add(&discovery, elf->header.e_entry));
    CELLA_TRY(known_follow(&discovery));
    CELLA_TRY(relocations_follow(&discovery));
    while (discovery.start_count > 0) {
        CELLA_TRY(function_decode(&discovery, discovery.starts[--discovery.start_count]));
    }
    return CELLA_OK;
}
