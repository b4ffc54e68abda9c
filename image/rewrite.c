/*
 * Rewriting of `syscall` sites at sign time: a direct jump to a trampoline that calls the enclave
 * kernel. Side: tools (hosted; libcapstone). Called by image/build.c. Never changes a site that it
 * cannot prove safe: such a site stays, raises #UD in the enclave and is emulated there.
 *
 * A jump takes five bytes and `syscall` has two, so instructions before or behind it are displaced
 * into the trampoline. That is safe when control can arrive inside the window only at its start,
 * and when each displaced instruction does the same at another address.
 */
#include "image/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "abi/program.h"
#include "common/cleanup.h"
#include "image/flow.h"
#include "image/frame.h"

#define REWRITE_JUMP_SIZE 5u
#define REWRITE_NEIGHBOUR_MAX 5u
#define REWRITE_SITE_MAX (1u << 16)
#define REWRITE_PROGRAM_WINDOW_MAX sizeof(((struct cella_program_site *)0)->bytes)

/* Instructions whose meaning is tied to the very site. */
#define NR_RT_SIGRETURN 15u
#define NR_VFORK 58u

struct instruction {
    uint64_t address;
    uint64_t target;
    uint8_t size;
    uint8_t kind; /* enum cella_flow_kind */
};

/* The instructions of one region. */
struct listing {
    struct instruction *items;
    uint32_t count;
    uint32_t capacity;
};

/* The bytes [start, end) that the jump replaces: items first .. last, the site among them. */
struct window {
    uint32_t first;
    uint32_t last;
    uint32_t site;
    uint64_t start;
    uint64_t end;
};

struct rewriter {
    struct cella_rewrite *public;
    struct cella_flow flow;
    struct cella_buffer *file;
    struct cella_buffer *code;
    struct listing listing;
    struct cella_frame frame; /* of the trampoline at hand */
    uint64_t window_end;      /* of the last window: the next may not reach below */
    uint64_t entry;           /* of the trampoline at hand: its `lea` */
};

static void rewriter_done(struct rewriter *rewriter)
{
    cella_flow_done(&rewriter->flow);
    free(rewriter->listing.items);
}

static CELLA_MUST_USE cella_result listing_read(struct rewriter *rewriter,
                                                const struct cella_flow_region *region)
{
    struct listing *listing = &rewriter->listing;

    listing->count = 0;
    for (uint64_t address = region->start; address < region->end;) {
        struct instruction item = {.address = address};
        if (!cella_flow_decode(&rewriter->flow, address, region->end)) {
            return CELLA_OK;
        }
        if (listing->count == listing->capacity) {
            uint32_t capacity = listing->capacity ? listing->capacity * 2 : 1024;
            struct instruction *items = realloc(listing->items, capacity * sizeof(*items));
            CELLA_ENSURE(items != NULL, OUT_OF_MEMORY);
            listing->items = items;
            listing->capacity = capacity;
        }
        item.kind = (uint8_t)cella_flow_kind_of(&rewriter->flow, &item.target);
        item.size = (uint8_t)rewriter->flow.scratch->size;
        listing->items[listing->count++] = item;
        address += item.size;
    }
    return CELLA_OK;
}

static void site_tell(struct rewriter *rewriter, const struct cella_rewrite_site *site)
{
    struct cella_rewrite *public = rewriter->public;

    public->site_count++;
    public->rewritten_count += site->left_because ? 0 : 1;
    if (public->site) {
        public->site(public->site_context, site);
    }
}

static void site_report(struct rewriter *rewriter, uint64_t address, const char *function,
                        const char *left_because)
{
    site_tell(rewriter, &(struct cella_rewrite_site){
                            .address = address,
                            .function = function,
                            .left_because = left_because,
                        });
}

/* mov $number,%eax or mov $number,%rax. */
static bool loads_number(const struct rewriter *rewriter, const struct instruction *item,
                         uint32_t number)
{
    const uint8_t *code = cella_flow_code(&rewriter->flow, item->address, item->size);
    if (!code) {
        return false;
    }
    if (item->size == 5 && code[0] == 0xB8) {
        return cella_le_get(code + 1, 4) == number;
    }
    return item->size == 7 && code[0] == 0x48 && code[1] == 0xC7 && code[2] == 0xC0 &&
           cella_le_get(code + 3, 4) == number;
}

/* May instruction `index` be moved, standing before (`before`) or behind the site? */
static bool displaceable(const struct listing *listing, uint32_t index, bool before)
{
    switch (listing->items[index].kind) {
    case CELLA_FLOW_PLAIN:
    case CELLA_FLOW_PADDING:
        return true;
    case CELLA_FLOW_JUMP:
    case CELLA_FLOW_BRANCH:
    case CELLA_FLOW_RETURN:
        return !before;
    default:
        /* A displaced call would leave a return address that no unwind table knows. */
        return false;
    }
}

static bool ends_flow(const struct instruction *item)
{
    return item->kind == CELLA_FLOW_JUMP || item->kind == CELLA_FLOW_RETURN;
}

/* Whether control may arrive inside the window but at its start; for a program, inside an instruction too. */
static bool has_target(const struct rewriter *rewriter, const struct window *window)
{
    const struct instruction *items = rewriter->listing.items;

    for (uint32_t i = window->first; i <= window->last; i++) {
        uint32_t bytes = rewriter->public->is_program ? items[i].size : 1;
        for (uint32_t k = i == window->first; k < bytes; k++) {
            if (cella_flow_is_target(&rewriter->flow, items[i].address + k)) {
                return true;
            }
        }
    }
    return false;
}

/* Checks the window first .. last around `site`. */
static bool window_try(const struct rewriter *rewriter, uint32_t first, uint32_t site,
                       uint32_t last, struct window *ret_window)
{
    const struct listing *listing = &rewriter->listing;
    const struct instruction *tail = &listing->items[last];
    struct window window = {.first = first,
                            .last = last,
                            .site = site,
                            .start = listing->items[first].address,
                            .end = tail->address + tail->size};
    bool ended = false;

    if (window.end - window.start < REWRITE_JUMP_SIZE || window.start < rewriter->window_end ||
        (rewriter->public->is_program && window.end - window.start > REWRITE_PROGRAM_WINDOW_MAX)) {
        return false;
    }
    if (has_target(rewriter, &window)) {
        return false;
    }
    for (uint32_t i = first; i <= last; i++) {
        const struct instruction *item = &listing->items[i];
        if (i == site) {
            continue;
        }
        if (ended && item->kind != CELLA_FLOW_PADDING) {
            return false;
        }
        if (!displaceable(listing, i, i < site)) {
            return false;
        }
        ended = ended || (i > site && ends_flow(item));
    }
    *ret_window = window;
    return true;
}

/*
 * The window that displaces the fewest instructions; of those, the one that reaches farthest back,
 * so that what stands behind the site is left for the next site.
 */
static bool window_find(const struct rewriter *rewriter, uint32_t site, struct window *ret_window)
{
    const struct listing *listing = &rewriter->listing;

    for (uint32_t count = 1; count <= REWRITE_NEIGHBOUR_MAX; count++) {
        for (uint32_t after = 0; after <= count && site + after < listing->count; after++) {
            uint32_t before = count - after;
            if (before <= site &&
                window_try(rewriter, site - before, site, site + after, ret_window)) {
                return true;
            }
        }
    }
    return false;
}

/* The same for a site of a whole program. */
static const char *refuse_program_site(const struct rewriter *rewriter,
                                       const struct cella_flow_region *region, uint32_t site)
{
    const struct listing *listing = &rewriter->listing;

    if (rewriter->flow.unwind_unknown) {
        return "the unwind tables (.eh_frame) are not understood";
    }
    if (rewriter->flow.text_moves) {
        return "relocations change the code (DT_TEXTREL)";
    }
    if (rewriter->flow.tables_unknown) {
        return "there are too many places that may be jump tables";
    }
    if (region->disputed) {
        return "it is not sure where the instructions around it begin";
    }
    if (listing->items[site].size != 2) {
        return "the instruction has a prefix";
    }
    if (site > 0 && !region->described &&
        loads_number(rewriter, &listing->items[site - 1], NR_RT_SIGRETURN)) {
        return "signal return without call frame information: unwinders know it by its bytes";
    }
    return NULL;
}

/* Why a site is left before any window is looked for; NULL: go on. */
static const char *refuse_site(const struct rewriter *rewriter,
                               const struct cella_flow_region *region, uint32_t site)
{
    const struct listing *listing = &rewriter->listing;

    if (rewriter->public->is_program) {
        return refuse_program_site(rewriter, region, site);
    }
    if (rewriter->public->target >= region->start && rewriter->public->target < region->end) {
        return "it belongs to the system call entry itself";
    }
    if (rewriter->flow.unwind_unknown) {
        return "the unwind tables (.eh_frame) are not understood";
    }
    if (region->indirect_jump || strstr(region->name, ".cold")) {
        return "the function has an indirect jump";
    }
    if (listing->items[site].size != 2) {
        return "the instruction has a prefix";
    }
    if (site > 0 && loads_number(rewriter, &listing->items[site - 1], NR_RT_SIGRETURN)) {
        return "signal return: unwinders know it by its bytes";
    }
    for (uint32_t i = site; i > 0 && site - i < 3; i--) {
        if (loads_number(rewriter, &listing->items[i - 1], NR_VFORK)) {
            return "vfork: parent and child return over one stack";
        }
    }
    return NULL;
}

static CELLA_MUST_USE cella_result put(struct rewriter *rewriter, const void *bytes, size_t size)
{
    return cella_buffer_append(rewriter->code, bytes, size);
}

/* The address of the next trampoline byte. */
static uint64_t here(const struct rewriter *rewriter)
{
    return rewriter->public->trampolines + rewriter->code->size;
}

/* `opcode` (1 or 2 bytes) and a rel32 to `target`. */
static CELLA_MUST_USE cella_result put_relative(struct rewriter *rewriter, const uint8_t *opcode,
                                                size_t opcode_size, uint64_t target)
{
    uint8_t bytes[6];
    int64_t relative = (int64_t)(target - (here(rewriter) + opcode_size + 4));

    CELLA_ENSURE(relative >= INT32_MIN && relative <= INT32_MAX, LIMIT_EXCEEDED);
    memcpy(bytes, opcode, opcode_size);
    for (size_t i = 0; i < 4; i++) {
        bytes[opcode_size + i] = (uint8_t)((uint64_t)relative >> (8 * i));
    }
    return put(rewriter, bytes, opcode_size + 4);
}

/*
 * A plain instruction at its new address: a RIP-relative displacement is corrected. UNSUPPORTED
 * when the disassembler's word about it cannot be checked against the bytes.
 */
static CELLA_MUST_USE cella_result put_plain(struct rewriter *rewriter,
                                             const struct instruction *item)
{
    uint8_t bytes[16];
    uint64_t moved_by = item->address - here(rewriter);

    CELLA_ENSURE(cella_flow_decode(&rewriter->flow, item->address, item->address + item->size),
                 INTERNAL);
    const cs_insn *instruction = rewriter->flow.scratch;
    const cs_x86 *x86 = &instruction->detail->x86;
    memcpy(bytes, instruction->bytes, item->size);
    for (unsigned i = 0; i < x86->op_count; i++) {
        if (x86->operands[i].type != X86_OP_MEM || x86->operands[i].mem.base != X86_REG_RIP) {
            continue;
        }
        unsigned at = x86->encoding.disp_offset;
        CELLA_ENSURE(at != 0 && at + 4u <= item->size, UNSUPPORTED);
        int32_t old = (int32_t)cella_le_get(bytes + at, 4);
        CELLA_ENSURE(old == x86->operands[i].mem.disp, UNSUPPORTED);
        int64_t moved = (int64_t)old + (int64_t)moved_by;
        CELLA_ENSURE(moved >= INT32_MIN && moved <= INT32_MAX, UNSUPPORTED);
        for (size_t k = 0; k < 4; k++) {
            bytes[at + k] = (uint8_t)((uint64_t)moved >> (8 * k));
        }
        return put(rewriter, bytes, item->size);
    }
    return put(rewriter, bytes, item->size);
}

static CELLA_MUST_USE cella_result put_displaced(struct rewriter *rewriter,
                                                 const struct instruction *item)
{
    static const uint8_t jump[] = {0xE9};
    uint8_t branch[] = {0x0F, 0};
    const uint8_t *code;

    switch (item->kind) {
    case CELLA_FLOW_JUMP:
        return put_relative(rewriter, jump, sizeof(jump), item->target);
    case CELLA_FLOW_BRANCH:
        /* 7x rel8 and 0F 8x rel32, either behind prefixes, which are hints only. */
        code = cella_flow_code(&rewriter->flow, item->address, item->size);
        CELLA_ENSURE(code != NULL, INTERNAL);
        if ((code[item->size - 2] & 0xF0) == 0x70 && item->size <= 3) {
            branch[1] = (uint8_t)(0x80 | (code[item->size - 2] & 0x0F));
        } else {
            CELLA_ENSURE(item->size >= 6 && code[item->size - 6] == 0x0F &&
                             (code[item->size - 5] & 0xF0) == 0x80,
                         UNSUPPORTED);
            branch[1] = code[item->size - 5];
        }
        return put_relative(rewriter, branch, sizeof(branch), item->target);
    default:
        return put_plain(rewriter, item);
    }
}

/*
 * Notes the instruction that comes next for the debugger. A frame's caller is looked up one byte
 * before its return address, so `original` + 1 names the original instruction.
 */
static void note_row(struct rewriter *rewriter, uint64_t original, uint8_t cfa_offset)
{
    struct cella_frame *frame = &rewriter->frame;
    if (frame->row_count < CELLA_FRAME_ROW_MAX) {
        frame->rows[frame->row_count++] = (struct cella_frame_row){
            .address = here(rewriter),
            .rip = here(rewriter),
            .caller = original + 1,
            .cfa_offset = cfa_offset,
        };
    }
}

/* The call of the kernel, the red zone stepped over without touching the flags. */
static CELLA_MUST_USE cella_result put_call(struct rewriter *rewriter,
                                            const struct instruction *site)
{
    static const uint8_t down[] = {0x48, 0x8D, 0x64, 0x24, 0x80};        /* lea -128(%rsp),%rsp */
    static const uint8_t up[] = {0x48, 0x8D, 0xA4, 0x24, 0x80, 0, 0, 0}; /* lea 128(%rsp),%rsp */
    static const uint8_t call[] = {0xE8};

    note_row(rewriter, site->address, 0);
    CELLA_TRY(put(rewriter, down, sizeof(down)));
    note_row(rewriter, site->address, 128);
    CELLA_TRY(put_relative(rewriter, call, sizeof(call), rewriter->public->target));
    /* Seen from the kernel, RIP in this frame is the return address. */
    struct cella_frame *frame = &rewriter->frame;
    frame->rows[frame->row_count - 1].rip = here(rewriter);
    frame->rows[frame->row_count - 1].caller = site->address + site->size;
    note_row(rewriter, site->address, 128);
    return put(rewriter, up, sizeof(up));
}

/* Into the kernel of a program, which comes back to RCX. Nothing is pushed: there may be no stack. */
static CELLA_MUST_USE cella_result put_enter(struct rewriter *rewriter)
{
    static const uint8_t enter[CELLA_PROGRAM_ENTER_SIZE] = {
        0x48, 0x8D, 0x0D, 8,    0,
        0,    0, /* lea 8(%rip),%rcx */
        0x65, 0xFF, 0x24, 0x25, CELLA_PROGRAM_SYSCALL_GS,
        0,    0,    0 /* jmp *%gs:… */
    };
    rewriter->entry = here(rewriter);
    return put(rewriter, enter, sizeof(enter));
}

static CELLA_MUST_USE cella_result put_trampoline(struct rewriter *rewriter,
                                                  const struct window *window)
{
    static const uint8_t jump[] = {0xE9};
    const struct instruction *items = rewriter->listing.items;

    rewriter->frame.row_count = 0;
    for (uint32_t i = window->first; i <= window->last; i++) {
        if (i == window->site) {
            CELLA_TRY(rewriter->public->is_program ? put_enter(rewriter)
                                                   : put_call(rewriter, &items[i]));
            continue;
        }
        note_row(rewriter, items[i].address, 0);
        CELLA_TRY(put_displaced(rewriter, &items[i]));
        if (i > window->site && ends_flow(&items[i])) {
            return CELLA_OK; /* padding behind it is never run */
        }
    }
    note_row(rewriter, items[window->last].address, 0);
    return put_relative(rewriter, jump, sizeof(jump), window->end);
}

/* The jump at the window's start; the rest traps, should anything ever arrive there. */
static CELLA_MUST_USE cella_result patch_site(struct rewriter *rewriter,
                                              const struct window *window, uint64_t trampoline)
{
    struct cella_rewrite *public = rewriter->public;
    uint64_t size = window->end - window->start;
    int64_t relative = (int64_t)(trampoline - (window->start + REWRITE_JUMP_SIZE));
    uint64_t offset;

    CELLA_ENSURE(relative >= INT32_MIN && relative <= INT32_MAX, LIMIT_EXCEEDED);
    CELLA_TRY(cella_elf_at(public->segments, public->segment_count, window->start, size, &offset));
    CELLA_ENSURE(offset <= rewriter->file->size && size <= rewriter->file->size - offset, INTERNAL);
    uint8_t *bytes = rewriter->file->data + offset;
    memset(bytes, 0xCC, size);
    bytes[0] = 0xE9;
    for (size_t i = 0; i < 4; i++) {
        bytes[1 + i] = (uint8_t)((uint64_t)relative >> (8 * i));
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result rewrite_site(struct rewriter *rewriter,
                                                const struct cella_flow_region *region,
                                                uint32_t site)
{
    uint64_t address = rewriter->listing.items[site].address;
    const char *why = refuse_site(rewriter, region, site);
    struct window window;

    if (!why && !window_find(rewriter, site, &window)) {
        why = "no five bytes around it that are safe to move";
    }
    if (why) {
        site_report(rewriter, address, region->name, why);
        return CELLA_OK;
    }
    size_t mark = rewriter->code->size;
    uint64_t trampoline = here(rewriter);
    cella_result result = put_trampoline(rewriter, &window);
    if (result.code == CELLA_CODE_UNSUPPORTED) {
        rewriter->code->size = mark; /* what was appended is overwritten by the next one */
        site_report(rewriter, address, region->name, "an instruction beside it cannot be moved");
        return CELLA_OK;
    }
    CELLA_TRY(result);
    CELLA_TRY(patch_site(rewriter, &window, trampoline));
    rewriter->frame.end = here(rewriter);
    if (rewriter->public->frames) {
        CELLA_TRY(cella_frame_append(rewriter->public->frames, &rewriter->frame));
    }
    rewriter->window_end = window.end;
    site_tell(rewriter, &(struct cella_rewrite_site){
                            .address = address,
                            .function = region->name,
                            .window = window.start,
                            .window_size = (uint32_t)(window.end - window.start),
                            .entry = rewriter->entry,
                        });
    return CELLA_OK;
}

static bool has_syscall_bytes(const struct cella_flow *flow, uint64_t start, uint64_t end)
{
    const uint8_t *code = cella_flow_code(flow, start, end - start);
    return code && memmem(code, end - start, "\x0F\x05", 2) != NULL;
}

/* Bytes of `syscall` where instructions are not known for sure: counted, never touched. */
static void report_bytes(struct rewriter *rewriter, uint64_t start, uint64_t end,
                         const char *function, const char *why)
{
    const uint8_t *code = cella_flow_code(&rewriter->flow, start, end - start);
    for (uint64_t i = 0; code && i + 2 <= end - start; i++) {
        if (code[i] == 0x0F && code[i + 1] == 0x05) {
            site_report(rewriter, start + i, function, why);
        }
    }
}

static CELLA_MUST_USE cella_result rewrite_region(struct rewriter *rewriter,
                                                  const struct cella_flow_region *region)
{
    if (!has_syscall_bytes(&rewriter->flow, region->start, region->end)) {
        return CELLA_OK;
    }
    if (region->undecodable) {
        report_bytes(rewriter, region->start, region->end, region->name,
                     "an instruction of the function is unknown to the disassembler");
        return CELLA_OK;
    }
    CELLA_TRY(listing_read(rewriter, region));
    for (uint32_t i = 0; i < rewriter->listing.count; i++) {
        if (rewriter->listing.items[i].kind == CELLA_FLOW_SYSCALL) {
            CELLA_ENSURE(rewriter->public->site_count < REWRITE_SITE_MAX, LIMIT_EXCEEDED);
            CELLA_TRY(rewrite_site(rewriter, region, i));
        }
    }
    return CELLA_OK;
}

cella_result cella_rewrite_sites(struct cella_rewrite *rewrite, struct cella_buffer *file,
                                 struct cella_buffer *code, struct cella_error *error)
{
    CELLA_CLEANUP(rewriter_done)
    struct rewriter rewriter = {.public = rewrite, .file = file, .code = code};
    struct cella_flow *flow = &rewriter.flow;
    static const char no_symbol[] = "no function symbol covers it";
    uint32_t region = 0;

    rewrite->site_count = 0;
    rewrite->rewritten_count = 0;
    CELLA_TRY((rewrite->is_program ? cella_flow_init_program : cella_flow_init)(
        flow, rewrite->elf, rewrite->segments, rewrite->segment_count, error));
    for (uint32_t i = 0; i < flow->text_count; i++) {
        uint64_t at = flow->texts[i].address;
        uint64_t end = at + flow->texts[i].bytes.size;
        for (; region < flow->region_count && flow->regions[region].start < end; region++) {
            report_bytes(&rewriter, at, flow->regions[region].start, "", no_symbol);
            CELLA_TRY(rewrite_region(&rewriter, &flow->regions[region]));
            at = flow->regions[region].end;
        }
        report_bytes(&rewriter, at, end, "", no_symbol);
    }
    return CELLA_OK;
}
