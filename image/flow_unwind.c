/*
 * Landing pads of C++ exceptions, read out of .eh_frame and the language-specific data it points
 * to. Side: tools (hosted). Called by image/flow.c. Never trusts a table: what it does not
 * understand is an error, and the rewriter then leaves every site alone.
 *
 * Formats: Linux Standard Base 5.0, 10.6 (.eh_frame); the Itanium C++ ABI's exception tables.
 */
#include "image/flow.h"

#include <string.h>

#define UNWIND_RECORD_MAX (1u << 22)
#define DW_EH_PE_OMIT 0xFFu

/* A reader that knows the address of what it reads. */
struct reader {
    struct cella_cursor cursor;
    uint64_t address; /* of cursor.bytes.data */
};

struct cie {
    uint8_t pointer_encoding;
    uint8_t lsda_encoding; /* DW_EH_PE_OMIT: none */
    bool has_augmentation;
    bool is_signal; /* its FDEs begin one byte before their code */
};

static CELLA_MUST_USE cella_result read_uleb(struct reader *reader, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;
        CELLA_TRY(cella_cursor_u8(&reader->cursor, &byte));
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return CELLA_OK;
        }
    }
    return CELLA_RESULT(BAD_FIELD);
}

/* A pointer in one of the encodings that compilers use for position-independent code. */
static CELLA_MUST_USE cella_result read_encoded(struct reader *reader, uint8_t encoding,
                                                uint64_t *ret_value)
{
    uint64_t at = reader->address + reader->cursor.offset;
    uint64_t value = 0;
    uint16_t u16;
    uint32_t u32;

    switch (encoding & 0x0F) {
    case 0x00: /* absolute, 8 bytes */
    case 0x04:
    case 0x0C:
        CELLA_TRY(cella_cursor_u64(&reader->cursor, &value));
        break;
    case 0x01:
        CELLA_TRY(read_uleb(reader, &value));
        break;
    case 0x02:
        CELLA_TRY(cella_cursor_u16(&reader->cursor, &u16));
        value = u16;
        break;
    case 0x03:
        CELLA_TRY(cella_cursor_u32(&reader->cursor, &u32));
        value = u32;
        break;
    case 0x0A:
        CELLA_TRY(cella_cursor_u16(&reader->cursor, &u16));
        value = (uint64_t)(int64_t)(int16_t)u16;
        break;
    case 0x0B:
        CELLA_TRY(cella_cursor_u32(&reader->cursor, &u32));
        value = (uint64_t)(int64_t)(int32_t)u32;
        break;
    default:
        return CELLA_RESULT(UNSUPPORTED);
    }
    switch (encoding & 0x70) {
    case 0x00:
        break;
    case 0x10: /* relative to the field; a zero stays a null pointer */
        value = value ? value + at : 0;
        break;
    default:
        return CELLA_RESULT(UNSUPPORTED);
    }
    *ret_value = value;
    return CELLA_OK;
}

/* Everything of the segment from `address` on. */
static CELLA_MUST_USE cella_result reader_at(const struct cella_elf *elf, uint64_t address,
                                             struct reader *ret_reader)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        Elf64_Phdr phdr;
        struct cella_bytes bytes;
        CELLA_TRY(cella_elf_phdr(elf, i, &phdr));
        if (phdr.p_type != PT_LOAD || address < phdr.p_vaddr ||
            address - phdr.p_vaddr >= phdr.p_filesz) {
            continue;
        }
        uint64_t into = address - phdr.p_vaddr;
        CELLA_ENSURE(into <= UINT64_MAX - phdr.p_offset, BAD_FIELD);
        CELLA_TRY(cella_bytes_slice(elf->file, phdr.p_offset + into, phdr.p_filesz - into, &bytes));
        *ret_reader = (struct reader){.cursor = cella_cursor_of(bytes), .address = address};
        return CELLA_OK;
    }
    return CELLA_RESULT(BAD_FIELD);
}

static CELLA_MUST_USE cella_result cie_read(struct reader reader, struct cie *ret_cie)
{
    struct cie cie = {.lsda_encoding = DW_EH_PE_OMIT};
    char augmentation[8] = {0};
    uint8_t version;
    uint8_t byte;
    uint64_t ignored;

    CELLA_TRY(cella_cursor_u8(&reader.cursor, &version));
    CELLA_ENSURE(version == 1 || version == 3, UNSUPPORTED);
    for (size_t i = 0;; i++) {
        CELLA_TRY(cella_cursor_u8(&reader.cursor, &byte));
        if (byte == 0) {
            break;
        }
        CELLA_ENSURE(i + 1 < sizeof(augmentation), UNSUPPORTED);
        augmentation[i] = (char)byte;
    }
    CELLA_TRY(read_uleb(&reader, &ignored)); /* code alignment */
    CELLA_TRY(read_uleb(&reader, &ignored)); /* data alignment: a signed one has the same length */
    CELLA_TRY(read_uleb(&reader, &ignored)); /* return address column: below 128 in version 1 too */
    if (augmentation[0] != 'z') {
        CELLA_ENSURE(augmentation[0] == 0, UNSUPPORTED);
        *ret_cie = cie;
        return CELLA_OK;
    }
    cie.has_augmentation = true;
    CELLA_TRY(read_uleb(&reader, &ignored));
    for (const char *c = augmentation + 1; *c; c++) {
        switch (*c) {
        case 'L':
            CELLA_TRY(cella_cursor_u8(&reader.cursor, &cie.lsda_encoding));
            break;
        case 'R':
            CELLA_TRY(cella_cursor_u8(&reader.cursor, &cie.pointer_encoding));
            break;
        case 'P':
            CELLA_TRY(cella_cursor_u8(&reader.cursor, &byte));
            /* Only its length matters: the application part (indirect …) is dropped. */
            CELLA_TRY(read_encoded(&reader, byte & 0x0F, &ignored));
            break;
        case 'S':
            cie.is_signal = true;
            break;
        default:
            return CELLA_RESULT(UNSUPPORTED);
        }
    }
    *ret_cie = cie;
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result lsda_mark(struct cella_flow *flow, const struct cella_elf *elf,
                                             uint64_t address, uint64_t function)
{
    struct reader reader;
    uint64_t base = function;
    uint64_t size;
    uint8_t encoding;
    struct cella_bytes table;

    CELLA_TRY(reader_at(elf, address, &reader));
    CELLA_TRY(cella_cursor_u8(&reader.cursor, &encoding));
    if (encoding != DW_EH_PE_OMIT) {
        CELLA_TRY(read_encoded(&reader, encoding, &base));
    }
    CELLA_TRY(cella_cursor_u8(&reader.cursor, &encoding));
    if (encoding != DW_EH_PE_OMIT) {
        CELLA_TRY(read_uleb(&reader, &size));
    }
    CELLA_TRY(cella_cursor_u8(&reader.cursor, &encoding));
    CELLA_ENSURE((encoding & 0x70) == 0, UNSUPPORTED);
    CELLA_TRY(read_uleb(&reader, &size));
    CELLA_TRY(cella_cursor_take(&reader.cursor, size, &table));

    struct reader sites = {.cursor = cella_cursor_of(table)};
    while (cella_cursor_left(&sites.cursor) > 0) {
        uint64_t start;
        uint64_t length;
        uint64_t pad;
        uint64_t action;
        CELLA_TRY(read_encoded(&sites, encoding, &start));
        CELLA_TRY(read_encoded(&sites, encoding, &length));
        CELLA_TRY(read_encoded(&sites, encoding, &pad));
        CELLA_TRY(read_uleb(&sites, &action));
        if (pad) {
            cella_flow_mark(flow, base + pad);
        }
    }
    return CELLA_OK;
}

/*
 * A function of a program. Of a signal's return stub the start is not said (it is one byte off in the libraries that have
 * one, for unwinders' sake): only the bytes that every unwinder knows are believed.
 */
static CELLA_MUST_USE cella_result function_add(struct cella_flow *flow, const struct cie *cie,
                                                uint64_t start, uint64_t end)
{
    static const uint8_t stub[] = {0x48, 0xC7, 0xC0, 0x0F, 0, 0, 0, 0x0F, 0x05};

    if (cie->is_signal) {
        const uint8_t *code = cella_flow_code(flow, ++start, sizeof(stub));
        if (!code || memcmp(code, stub, sizeof(stub)) != 0) {
            return CELLA_OK;
        }
        end = start + sizeof(stub);
    }
    return cella_flow_region_add(
        flow,
        &(struct cella_flow_region){.start = start, .end = end, .name = "", .described = true});
}

static CELLA_MUST_USE cella_result fde_mark(struct cella_flow *flow, const struct cella_elf *elf,
                                            struct reader *reader, const struct cie *cie)
{
    bool has_lsda = cie->has_augmentation && cie->lsda_encoding != DW_EH_PE_OMIT;
    uint64_t function;
    uint64_t size;
    uint64_t ignored;
    uint64_t lsda;

    if (!has_lsda && !flow->is_program) {
        return CELLA_OK;
    }
    CELLA_TRY(read_encoded(reader, cie->pointer_encoding, &function));
    CELLA_TRY(read_encoded(reader, cie->pointer_encoding & 0x0F, &size));
    if (flow->is_program && function && size && size <= UINT64_MAX - function) {
        CELLA_TRY(function_add(flow, cie, function, function + size));
    }
    if (!has_lsda) {
        return CELLA_OK;
    }
    CELLA_TRY(read_uleb(reader, &ignored));
    CELLA_TRY(read_encoded(reader, cie->lsda_encoding, &lsda));
    return lsda ? lsda_mark(flow, elf, lsda, function) : CELLA_OK;
}

/* One record of .eh_frame at the reader; `*ret_more` is false at the terminator. */
static CELLA_MUST_USE cella_result record_mark(struct cella_flow *flow, const struct cella_elf *elf,
                                               struct reader *frame, bool *ret_more)
{
    uint32_t length;
    uint32_t id;
    struct cella_bytes body;

    CELLA_TRY(cella_cursor_u32(&frame->cursor, &length));
    *ret_more = length != 0;
    if (length == 0) {
        return CELLA_OK;
    }
    CELLA_ENSURE(length != UINT32_MAX, UNSUPPORTED);
    size_t body_at = frame->cursor.offset;
    CELLA_TRY(cella_cursor_take(&frame->cursor, length, &body));
    struct reader record = {.cursor = cella_cursor_of(body), .address = frame->address + body_at};
    CELLA_TRY(cella_cursor_u32(&record.cursor, &id));
    if (id == 0) {
        return CELLA_OK;
    }
    /* The id of an FDE counts back from itself to its CIE's length field. */
    CELLA_ENSURE(id <= body_at, BAD_FIELD);
    struct reader cie_reader = {.cursor = frame->cursor, .address = frame->address};
    struct cie cie;
    cie_reader.cursor.offset = body_at - id;
    CELLA_TRY(cella_cursor_skip(&cie_reader.cursor, 8));
    CELLA_TRY(cie_read(cie_reader, &cie));
    return fde_mark(flow, elf, &record, &cie);
}

/* Without section headers: PT_GNU_EH_FRAME says where the records begin, their terminator where they end. */
static CELLA_MUST_USE cella_result frame_find(const struct cella_elf *elf, struct reader *ret_frame)
{
    struct reader header;
    Elf64_Phdr phdr;
    uint8_t version;
    uint8_t encoding;
    uint64_t frame;

    CELLA_TRY(cella_elf_phdr_find(elf, PT_GNU_EH_FRAME, &phdr));
    CELLA_TRY(reader_at(elf, phdr.p_vaddr, &header));
    CELLA_TRY(cella_cursor_u8(&header.cursor, &version));
    CELLA_ENSURE(version == 1, UNSUPPORTED);
    CELLA_TRY(cella_cursor_u8(&header.cursor, &encoding));
    CELLA_TRY(cella_cursor_skip(&header.cursor, 2));
    CELLA_TRY(read_encoded(&header, encoding, &frame));
    return reader_at(elf, frame, ret_frame);
}

cella_result cella_flow_mark_landing_pads(struct cella_flow *flow, const struct cella_elf *elf)
{
    struct reader frame;
    Elf64_Shdr section;
    struct cella_bytes bytes;
    bool more = true;

    if (cella_is_ok(cella_elf_section_find(elf, ".eh_frame", &section))) {
        CELLA_TRY(cella_elf_section_bytes(elf, &section, &bytes));
        frame = (struct reader){.cursor = cella_cursor_of(bytes), .address = section.sh_addr};
    } else {
        cella_result result = flow->is_program ? frame_find(elf, &frame) : CELLA_RESULT(NOT_FOUND);
        if (!cella_is_ok(result)) {
            return result.code == CELLA_CODE_NOT_FOUND ? CELLA_OK : result;
        }
    }
    for (uint32_t i = 0; more && cella_cursor_left(&frame.cursor) > 0; i++) {
        CELLA_ENSURE(i < UNWIND_RECORD_MAX, LIMIT_EXCEEDED);
        CELLA_TRY(record_mark(flow, elf, &frame, &more));
    }
    return CELLA_OK;
}
