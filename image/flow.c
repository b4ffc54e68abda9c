/*
 * What the rewriter knows of an image's code: functions, and every address that control may reach
 * by other means than falling through. Side: tools (hosted; libcapstone). Called by
 * image/rewrite.c. Never changes the file.
 */
#include "image/flow.h"

#include <stdlib.h>
#include <string.h>

static struct cella_flow_text *text_of(const struct cella_flow *flow, uint64_t address)
{
    for (uint32_t i = 0; i < flow->text_count; i++) {
        const struct cella_flow_text *text = &flow->texts[i];
        if (address >= text->address && address - text->address < text->bytes.size) {
            return (struct cella_flow_text *)text;
        }
    }
    return NULL;
}

bool cella_flow_is_target(const struct cella_flow *flow, uint64_t address)
{
    const struct cella_flow_text *text = text_of(flow, address);
    uint64_t at = text ? address - text->address : 0;
    return text && (text->targets[at / 8] >> (at % 8) & 1);
}

void cella_flow_mark(struct cella_flow *flow, uint64_t address)
{
    struct cella_flow_text *text = text_of(flow, address);
    if (text) {
        uint64_t at = address - text->address;
        text->targets[at / 8] |= (uint8_t)(1u << (at % 8));
    }
}

const uint8_t *cella_flow_code(const struct cella_flow *flow, uint64_t address, uint64_t size)
{
    const struct cella_flow_text *text = text_of(flow, address);
    struct cella_bytes code;
    if (!text ||
        !cella_is_ok(cella_bytes_slice(text->bytes, address - text->address, size, &code))) {
        return NULL;
    }
    return code.data;
}

bool cella_flow_decode(struct cella_flow *flow, uint64_t address, uint64_t end)
{
    const uint8_t *code = cella_flow_code(flow, address, end - address);
    size_t size = (size_t)(end - address);
    uint64_t at = address;

    return code && cs_disasm_iter(flow->capstone, &code, &size, &at, flow->scratch);
}

static uint64_t direct_target(const cs_insn *instruction)
{
    const cs_x86 *x86 = &instruction->detail->x86;
    return x86->op_count == 1 && x86->operands[0].type == X86_OP_IMM
               ? (uint64_t)x86->operands[0].imm
               : 0;
}

static bool has_group(const cs_insn *instruction, unsigned group)
{
    for (unsigned i = 0; i < instruction->detail->groups_count; i++) {
        if (instruction->detail->groups[i] == group) {
            return true;
        }
    }
    return false;
}

enum cella_flow_kind cella_flow_kind_of(const struct cella_flow *flow, uint64_t *ret_target)
{
    const cs_insn *instruction = flow->scratch;

    *ret_target = 0;
    switch (instruction->id) {
    case X86_INS_SYSCALL:
        return CELLA_FLOW_SYSCALL;
    case X86_INS_NOP:
    case X86_INS_INT3:
        return CELLA_FLOW_PADDING;
    case X86_INS_LOOP:
    case X86_INS_LOOPE:
    case X86_INS_LOOPNE:
    case X86_INS_JRCXZ:
    case X86_INS_JECXZ:
    case X86_INS_JCXZ:
    case X86_INS_XBEGIN:
        *ret_target = direct_target(instruction);
        return CELLA_FLOW_SHORT_BRANCH;
    case X86_INS_LJMP:
        return CELLA_FLOW_INDIRECT_JUMP;
    case X86_INS_ENDBR32:
    case X86_INS_ENDBR64:
        return CELLA_FLOW_FIXED;
    case X86_INS_UD2:
    case X86_INS_HLT:
        return CELLA_FLOW_RETURN;
    default:
        break;
    }
    if (has_group(instruction, CS_GRP_RET) || has_group(instruction, CS_GRP_IRET)) {
        return CELLA_FLOW_RETURN;
    }
    if (has_group(instruction, CS_GRP_CALL) || instruction->id == X86_INS_CALL ||
        instruction->id == X86_INS_LCALL) {
        *ret_target = direct_target(instruction);
        return CELLA_FLOW_CALL;
    }
    if (instruction->id == X86_INS_JMP) {
        *ret_target = direct_target(instruction);
        return *ret_target ? CELLA_FLOW_JUMP : CELLA_FLOW_INDIRECT_JUMP;
    }
    if (has_group(instruction, CS_GRP_JUMP)) {
        *ret_target = direct_target(instruction);
        return *ret_target ? CELLA_FLOW_BRANCH : CELLA_FLOW_INDIRECT_JUMP;
    }
    return CELLA_FLOW_PLAIN;
}

/* An address formed from RIP (lea of a label, a function pointer) is as good as a jump to it. */
static void mark_rip_relative(struct cella_flow *flow)
{
    const cs_insn *instruction = flow->scratch;
    const cs_x86 *x86 = &instruction->detail->x86;

    for (unsigned i = 0; i < x86->op_count; i++) {
        if (x86->operands[i].type == X86_OP_MEM && x86->operands[i].mem.base == X86_REG_RIP) {
            cella_flow_mark(flow, instruction->address + instruction->size +
                                      (uint64_t)x86->operands[i].mem.disp);
        }
    }
}

/*
 * Where instruction borders are not known, every byte that could begin a branch counts as one: too
 * many targets cost a rewrite, a missing one would cost correctness.
 */
static void mark_blindly(struct cella_flow *flow, uint64_t start, uint64_t end)
{
    const uint8_t *code = cella_flow_code(flow, start, end - start);

    for (uint64_t i = 0; code && i < end - start; i++) {
        uint64_t left = end - start - i;
        uint8_t first = code[i];
        bool near_branch = left >= 6 && first == 0x0F && (code[i + 1] & 0xF0) == 0x80;
        if (left >= 2 && (first == 0xEB || (first & 0xF0) == 0x70 || (first & 0xFC) == 0xE0)) {
            cella_flow_mark(flow, start + i + 2 + (uint64_t)(int64_t)(int8_t)code[i + 1]);
        }
        if (near_branch || (left >= 5 && (first == 0xE8 || first == 0xE9))) {
            uint64_t size = near_branch ? 6 : 5;
            int32_t relative = (int32_t)cella_le_get(code + i + size - 4, 4);
            cella_flow_mark(flow, start + i + size + (uint64_t)(int64_t)relative);
        }
    }
}

void cella_flow_region_scan(struct cella_flow *flow, struct cella_flow_region *region)
{
    uint64_t address = region->start;

    while (address < region->end) {
        uint64_t target;
        if (!cella_flow_decode(flow, address, region->end)) {
            region->undecodable = true;
            mark_blindly(flow, region->start, region->end);
            return;
        }
        if (cella_flow_kind_of(flow, &target) == CELLA_FLOW_INDIRECT_JUMP) {
            region->indirect_jump = true;
        }
        if (target) {
            cella_flow_mark(flow, target);
        }
        mark_rip_relative(flow);
        address += flow->scratch->size;
    }
}

static int region_compare(const void *left, const void *right)
{
    const struct cella_flow_region *a = left;
    const struct cella_flow_region *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    return a->end > b->end ? -1 : a->end < b->end;
}

/* A symbol without a size reaches to the next one, at most to the end of its segment. */
static void regions_close(struct cella_flow *flow)
{
    for (uint32_t i = 0; i < flow->region_count; i++) {
        struct cella_flow_region *region = &flow->regions[i];
        const struct cella_flow_text *text = text_of(flow, region->start);
        uint64_t limit = text->address + text->bytes.size;
        if (region->end == region->start) {
            uint32_t next = i + 1;
            while (next < flow->region_count && flow->regions[next].start == region->start) {
                next++;
            }
            region->end = next < flow->region_count ? flow->regions[next].start : limit;
        }
        region->end = region->end > limit ? limit : region->end;
    }
}

static void regions_merge(struct cella_flow *flow)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < flow->region_count; i++) {
        struct cella_flow_region *region = &flow->regions[i];
        struct cella_flow_region *last = kept ? &flow->regions[kept - 1] : NULL;
        if (last && region->start < last->end) {
            last->end = region->end > last->end ? region->end : last->end;
            last->name = last->name[0] ? last->name : region->name;
            last->described = last->described || region->described;
            last->disputed = last->disputed || region->disputed;
        } else if (region->start < region->end) {
            flow->regions[kept++] = *region;
        }
    }
    flow->region_count = kept;
}

cella_result cella_flow_region_add(struct cella_flow *flow, const struct cella_flow_region *region)
{
    if (!text_of(flow, region->start)) {
        return CELLA_OK;
    }
    if (flow->region_count == flow->region_capacity) {
        uint32_t capacity = flow->region_capacity ? flow->region_capacity * 2 : 256;
        CELLA_ENSURE(capacity <= CELLA_ELF_SYMBOL_MAX * 4, LIMIT_EXCEEDED);
        struct cella_flow_region *regions =
            realloc(flow->regions, capacity * sizeof(*flow->regions));
        CELLA_ENSURE(regions != NULL, OUT_OF_MEMORY);
        flow->regions = regions;
        flow->region_capacity = capacity;
    }
    flow->regions[flow->region_count++] = *region;
    return CELLA_OK;
}

void cella_flow_regions_settle(struct cella_flow *flow)
{
    if (flow->region_count) {
        qsort(flow->regions, flow->region_count, sizeof(*flow->regions), region_compare);
    }
    regions_close(flow);
    regions_merge(flow);
}

cella_result cella_flow_symbols_read(struct cella_flow *flow, const struct cella_elf *elf,
                                     uint32_t type)
{
    struct cella_elf_symbols symbols;

    if (!cella_is_ok(cella_elf_symbols(elf, type, &symbols))) {
        return CELLA_OK; /* stripped: no regions, every site is left alone */
    }
    for (uint32_t i = 1; i < symbols.count; i++) {
        Elf64_Sym symbol;
        const char *name;
        if (!cella_is_ok(cella_elf_symbol(&symbols, i, &symbol, &name)) ||
            symbol.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol.st_info) == STT_TLS ||
            !text_of(flow, symbol.st_value)) {
            continue;
        }
        cella_flow_mark(flow, symbol.st_value);
        unsigned kind = ELF64_ST_TYPE(symbol.st_info);
        if ((kind == STT_FUNC || kind == STT_GNU_IFUNC) &&
            symbol.st_size <= UINT64_MAX - symbol.st_value) {
            CELLA_TRY(cella_flow_region_add(
                flow, &(struct cella_flow_region){.start = symbol.st_value,
                                                  .end = symbol.st_value + symbol.st_size,
                                                  .name = name}));
        }
    }
    return CELLA_OK;
}

/* Code addresses that relocations write into data: function pointers, label tables. */
static void relocations_mark(struct cella_flow *flow, const struct cella_elf *elf,
                             const struct cella_image_segment *segments, uint32_t segment_count,
                             int64_t address_tag, int64_t size_tag)
{
    uint64_t address;
    uint64_t size;
    uint64_t offset;
    struct cella_bytes table;

    if (!cella_is_ok(cella_elf_dynamic(elf, address_tag, &address)) ||
        !cella_is_ok(cella_elf_dynamic(elf, size_tag, &size)) ||
        !cella_is_ok(cella_elf_at(segments, segment_count, address, size, &offset)) ||
        !cella_is_ok(cella_bytes_slice(elf->file, offset, size, &table))) {
        return;
    }
    for (uint64_t i = 0; i + sizeof(Elf64_Rela) <= table.size; i += sizeof(Elf64_Rela)) {
        Elf64_Rela rela;
        memcpy(&rela, table.data + i, sizeof(rela));
        cella_flow_mark(flow, (uint64_t)rela.r_addend);
    }
}

static CELLA_MUST_USE cella_result texts_init(struct cella_flow *flow, const struct cella_elf *elf,
                                              const struct cella_image_segment *segments,
                                              uint32_t segment_count)
{
    for (uint32_t i = 0; i < segment_count; i++) {
        struct cella_flow_text *text = &flow->texts[flow->text_count];
        if (!(segments[i].flags & SGX_SECINFO_X) || segments[i].file_size == 0) {
            continue;
        }
        CELLA_ENSURE(flow->text_count < CELLA_FLOW_TEXT_MAX, LIMIT_EXCEEDED);
        CELLA_TRY(cella_bytes_slice(elf->file, segments[i].file_offset, segments[i].file_size,
                                    &text->bytes));
        text->address = segments[i].offset;
        text->targets = calloc(text->bytes.size / 8 + 1, 1);
        CELLA_ENSURE(text->targets != NULL, OUT_OF_MEMORY);
        flow->text_count++;
    }
    return CELLA_OK;
}

/* Code that no function symbol covers. */
void cella_flow_gaps_mark(struct cella_flow *flow)
{
    uint32_t region = 0;

    for (uint32_t i = 0; i < flow->text_count; i++) {
        uint64_t at = flow->texts[i].address;
        uint64_t end = at + flow->texts[i].bytes.size;
        for (; region < flow->region_count && flow->regions[region].start < end; region++) {
            if (at < flow->regions[region].start) {
                mark_blindly(flow, at, flow->regions[region].start);
            }
            at = flow->regions[region].end;
        }
        if (at < end) {
            mark_blindly(flow, at, end);
        }
    }
}

cella_result cella_flow_open(struct cella_flow *flow, const struct cella_elf *elf,
                             const struct cella_image_segment *segments, uint32_t segment_count,
                             struct cella_error *error)
{
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &flow->capstone) != CS_ERR_OK ||
        cs_option(flow->capstone, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK) {
        return cella_error_set(error, CELLA_RESULT(INTERNAL), "libcapstone does not start");
    }
    flow->scratch = cs_malloc(flow->capstone);
    CELLA_ENSURE(flow->scratch != NULL, OUT_OF_MEMORY);
    return texts_init(flow, elf, segments, segment_count);
}

cella_result cella_flow_init(struct cella_flow *flow, const struct cella_elf *elf,
                             const struct cella_image_segment *segments, uint32_t segment_count,
                             struct cella_error *error)
{
    CELLA_TRY(cella_flow_open(flow, elf, segments, segment_count, error));
    CELLA_TRY(cella_flow_symbols_read(flow, elf, SHT_SYMTAB));
    cella_flow_regions_settle(flow);
    cella_flow_mark(flow, elf->header.e_entry);
    relocations_mark(flow, elf, segments, segment_count, DT_RELA, DT_RELASZ);
    relocations_mark(flow, elf, segments, segment_count, DT_JMPREL, DT_PLTRELSZ);
    for (uint32_t i = 0; i < flow->region_count; i++) {
        cella_flow_region_scan(flow, &flow->regions[i]);
    }
    cella_flow_gaps_mark(flow);
    flow->unwind_unknown = !cella_is_ok(cella_flow_mark_landing_pads(flow, elf));
    return CELLA_OK;
}

void cella_flow_done(struct cella_flow *flow)
{
    for (uint32_t i = 0; i < flow->text_count; i++) {
        free(flow->texts[i].targets);
    }
    free(flow->regions);
    if (flow->scratch) {
        cs_free(flow->scratch, 1);
    }
    if (flow->capstone) {
        cs_close(&flow->capstone);
    }
    memset(flow, 0, sizeof(*flow));
}
