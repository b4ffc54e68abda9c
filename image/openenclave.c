/*
 * Open Enclave images: the properties object of section .oeinfo, and the page order of its loader.
 * Side: tools (hosted). Called by cli/. Reads and measures only.
 */
#include <string.h>

#include "common/cleanup.h"
#include "image/foreign.h"
#include "image/measure.h"

/* oe_sgx_enclave_properties_t, Open Enclave 0.19 (include/openenclave/bits/sgx/sgxproperties.h). */
#define OE_INFO_SIZE 1960u
#define OE_INFO_TYPE_SGX 2u
#define OE_INFO_IMAGE_AT 96u
#define OE_INFO_SIGSTRUCT_AT 144u
#define OE_FLAG_ZERO_BASE 2u
#define OE_THREAD_MAX 1024u
#define OE_PAGES_MAX (1ull << 28)
#define OE_CONTROL_PAGES 4u /* TCS, two SSA frames, guard */
#define OE_NSSA 2u
#define OE_STACK_FILL 0xCC

static CELLA_MUST_USE cella_result info_read(struct cella_bytes info, struct cella_oe_image *image)
{
    struct cella_cursor cursor = cella_cursor_of(info);
    uint32_t size;
    uint32_t type;

    CELLA_TRY(cella_cursor_u32(&cursor, &size));
    CELLA_TRY(cella_cursor_u32(&cursor, &type));
    CELLA_ENSURE(size == OE_INFO_SIZE && type == OE_INFO_TYPE_SGX, UNSUPPORTED_VERSION);
    CELLA_TRY(cella_cursor_u64(&cursor, &image->heap_pages));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->stack_pages));
    CELLA_TRY(cella_cursor_u64(&cursor, &image->thread_count));
    CELLA_TRY(cella_cursor_u16(&cursor, &image->product_id));
    CELLA_TRY(cella_cursor_u16(&cursor, &image->svn));
    CELLA_TRY(cella_cursor_u32(&cursor, &image->flags));
    CELLA_TRY(cella_cursor_skip(&cursor,
                                32)); /* family and extended product id: the SIGSTRUCT has them */
    CELLA_TRY(cella_cursor_u64(&cursor, &image->attributes));
    CELLA_TRY(cella_cursor_skip(&cursor, 8)); /* XFRM */
    CELLA_TRY(cella_cursor_u64(&cursor, &image->start_address));
    CELLA_TRY(cella_cursor_skip(&cursor, OE_INFO_SIGSTRUCT_AT - OE_INFO_IMAGE_AT));
    CELLA_TRY(cella_cursor_copy(&cursor, &image->sigstruct, sizeof(image->sigstruct)));
    CELLA_TRY(cella_cursor_skip(&cursor, OE_INFO_SIZE - cursor.offset)); /* end marker */
    CELLA_TRY(cella_end(&cursor));
    if (!(image->flags & OE_FLAG_ZERO_BASE)) {
        image->start_address = 0;
    }
    CELLA_ENSURE(image->heap_pages <= OE_PAGES_MAX && image->stack_pages <= OE_PAGES_MAX &&
                     image->thread_count <= OE_THREAD_MAX &&
                     image->start_address <= CELLA_IMAGE_SIZE_MAX &&
                     image->start_address % SGX_PAGE_SIZE == 0,
                 LIMIT_EXCEEDED);
    return CELLA_OK;
}

static uint64_t round_to(uint64_t value, uint64_t multiple)
{
    uint64_t rest = multiple ? value % multiple : 0;
    return rest ? value + (multiple - rest) : value;
}

/* Pages of thread-local data: .tdata and .tbss, each rounded to its own alignment. */
static CELLA_MUST_USE cella_result tls_read(const struct cella_elf *elf,
                                            struct cella_oe_image *image, Elf64_Shdr *ret_tdata,
                                            Elf64_Shdr *ret_tbss)
{
    Elf64_Phdr phdr;

    memset(ret_tdata, 0, sizeof(*ret_tdata));
    memset(ret_tbss, 0, sizeof(*ret_tbss));
    cella_ignore(cella_elf_section_find(elf, ".tdata", ret_tdata));
    cella_ignore(cella_elf_section_find(elf, ".tbss", ret_tbss));
    if (ret_tdata->sh_size && cella_is_ok(cella_elf_phdr_find(elf, PT_TLS, &phdr)) &&
        phdr.p_vaddr == ret_tdata->sh_addr) {
        ret_tdata->sh_addralign = phdr.p_align;
    }
    CELLA_ENSURE(ret_tdata->sh_size <= CELLA_IMAGE_SIZE_MAX &&
                     ret_tbss->sh_size <= CELLA_IMAGE_SIZE_MAX &&
                     ret_tdata->sh_addralign <= CELLA_IMAGE_SIZE_MAX &&
                     ret_tbss->sh_addralign <= CELLA_IMAGE_SIZE_MAX,
                 LIMIT_EXCEEDED);
    image->tls_pages = cella_page_up(round_to(ret_tdata->sh_size, ret_tdata->sh_addralign) +
                                     round_to(ret_tbss->sh_size, ret_tbss->sh_addralign)) /
                       SGX_PAGE_SIZE;
    CELLA_ENSURE(image->tls_pages <= OE_PAGES_MAX, LIMIT_EXCEEDED);
    return CELLA_OK;
}

static void patch_add(struct cella_oe_image *image, const char *symbol_name, uint64_t value)
{
    Elf64_Sym symbol;
    if (image->symbols.count && image->patch_count < CELLA_OE_PATCH_MAX &&
        cella_is_ok(cella_elf_symbol_find(&image->symbols, symbol_name, &symbol))) {
        image->patches[image->patch_count++] =
            (struct cella_oe_patch){.offset = symbol.st_value, .value = value};
    }
}

/* The variables that the loader sets before it adds the pages. */
static void patches_make(struct cella_oe_image *image, const Elf64_Shdr *tdata,
                         const Elf64_Shdr *tbss)
{
    Elf64_Sym symbol;

    if (image->symbols.count &&
        cella_is_ok(cella_elf_symbol_find(&image->symbols, "_enclave_rva", &symbol))) {
        patch_add(image, "_enclave_rva", symbol.st_value);
    }
    patch_add(image, "_reloc_rva", image->image_size);
    patch_add(image, "_reloc_size", image->reloc_size);
    if (tdata->sh_size) {
        patch_add(image, "_tdata_rva", tdata->sh_addr);
        patch_add(image, "_tdata_size", tdata->sh_size);
        patch_add(image, "_tdata_align", tdata->sh_addralign);
    }
    if (tbss->sh_size) {
        patch_add(image, "_tbss_size", tbss->sh_size);
        patch_add(image, "_tbss_align", tbss->sh_addralign);
    }
    patch_add(image, "_td_from_tcs_offset", (image->tls_pages + OE_CONTROL_PAGES) * SGX_PAGE_SIZE);
}

static CELLA_MUST_USE cella_result sizes_compute(struct cella_oe_image *image)
{
    const struct cella_image_segment *last = &image->segments[image->segment_count - 1];
    uint64_t slot_pages = image->stack_pages + 2 + OE_CONTROL_PAGES + image->tls_pages + 1;

    image->image_size = cella_page_up(last->offset + last->size);
    /* Below 2^40 + 2^41 + 2^10 * (2^29 + …) * 2^12: no overflow. */
    uint64_t loaded = image->image_size + image->reloc_size +
                      (image->heap_pages + image->thread_count * slot_pages) * SGX_PAGE_SIZE;
    image->enclave_size = cella_power_of_two(loaded);
    image->secs_size = image->flags & OE_FLAG_ZERO_BASE
                           ? cella_power_of_two(loaded + image->start_address)
                           : image->enclave_size;
    CELLA_ENSURE(image->secs_size <= CELLA_IMAGE_SIZE_MAX, LIMIT_EXCEEDED);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result relocations_read(const struct cella_elf *elf,
                                                    struct cella_oe_image *image)
{
    Elf64_Shdr section;

    if (!cella_is_ok(cella_elf_section_find(elf, ".rela.dyn", &section))) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_elf_section_bytes(elf, &section, &image->rela_dyn));
    if (cella_is_ok(cella_elf_section_find(elf, ".rela.plt", &section))) {
        CELLA_TRY(cella_elf_section_bytes(elf, &section, &image->rela_plt));
    }
    CELLA_ENSURE(image->rela_dyn.size % sizeof(Elf64_Rela) == 0 &&
                     image->rela_plt.size % sizeof(Elf64_Rela) == 0,
                 BAD_FIELD);
    image->reloc_size = cella_page_up(image->rela_dyn.size + image->rela_plt.size);
    return CELLA_OK;
}

cella_result cella_oe_parse(struct cella_bytes file, struct cella_oe_image *ret_image,
                            struct cella_error *error)
{
    struct cella_oe_image *image = ret_image;
    struct cella_elf elf;
    struct cella_bytes info;
    Elf64_Shdr section;
    Elf64_Shdr tdata;
    Elf64_Shdr tbss;
    uint64_t needed;

    memset(image, 0, sizeof(*image));
    CELLA_TRY(cella_elf_parse(file, &elf, error));
    if (!cella_is_ok(cella_elf_section_find(&elf, ".oeinfo", &section))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "no section .oeinfo");
    }
    if (cella_is_ok(cella_elf_dynamic(&elf, DT_NEEDED, &needed))) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "the Open Enclave image needs a second module, which is not in this "
                               "file");
    }
    CELLA_TRY(cella_elf_segments(&elf, false, image->segments, &image->segment_count, error));
    CELLA_TRY(cella_elf_starts_at(image->segments, 0, error));
    image->file = file;
    image->entry = elf.header.e_entry;
    image->oeinfo_offset = section.sh_addr;
    cella_result result = cella_elf_section_bytes(&elf, &section, &info);
    if (cella_is_ok(result)) {
        result = cella_bytes_slice(info, 0, OE_INFO_SIZE, &info);
    }
    if (cella_is_ok(result)) {
        result = info_read(info, image);
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               ".oeinfo at file offset 0x%llx: %s; expected the 1960 bytes of Open "
                               "Enclave 0.9 or newer",
                               (unsigned long long)section.sh_offset, cella_result_text(result));
    }
    cella_ignore(cella_elf_symbols(&elf, SHT_DYNSYM, &image->symbols));
    result = relocations_read(&elf, image);
    if (cella_is_ok(result)) {
        result = tls_read(&elf, image, &tdata, &tbss);
    }
    if (cella_is_ok(result)) {
        result = sizes_compute(image);
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "Open Enclave layout: relocations, TLS or sizes: %s",
                               cella_result_text(result));
    }
    patches_make(image, &tdata, &tbss);
    return CELLA_OK;
}

static bool overlaps(uint64_t offset, uint64_t size, uint64_t page)
{
    return offset < page + SGX_PAGE_SIZE && (offset >= page || page - offset < size);
}

static bool patch_touches(const void *context, const struct cella_image_segment *segment,
                          uint64_t page)
{
    const struct cella_oe_image *image = context;

    (void)segment;
    for (uint32_t i = 0; i < image->patch_count; i++) {
        if (overlaps(image->patches[i].offset, sizeof(uint64_t), page)) {
            return true;
        }
    }
    return overlaps(image->oeinfo_offset, OE_INFO_SIZE, page);
}

/* Writes [offset, offset + size) of the enclave, as far as it lies on the page. */
static void page_write(uint8_t *page, uint64_t page_offset, uint64_t offset, const uint8_t *data,
                       uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        uint64_t at = offset + i;
        if (at >= page_offset && at - page_offset < SGX_PAGE_SIZE) {
            page[at - page_offset] = data ? data[i] : 0;
        }
    }
}

static void page_write_u64(uint8_t *page, uint64_t page_offset, uint64_t offset, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    page_write(page, page_offset, offset, bytes, sizeof(bytes));
}

static void patch_apply(const void *context, const struct cella_image_segment *segment,
                        uint64_t offset, uint8_t *page)
{
    const struct cella_oe_image *image = context;
    const uint64_t info = image->oeinfo_offset;
    const uint64_t values[] = {
        info,
        OE_INFO_SIZE,
        image->image_size,
        image->reloc_size,
        image->image_size + image->reloc_size,
        image->enclave_size,
    };

    (void)segment;
    for (size_t i = 0; i < CELLA_COUNT(values); i++) {
        page_write_u64(page, offset, info + OE_INFO_IMAGE_AT + 8 * i, values[i]);
    }
    page_write(page, offset, info + OE_INFO_SIGSTRUCT_AT, NULL, sizeof(struct sgx_sigstruct));
    for (uint32_t i = 0; i < image->patch_count; i++) {
        page_write_u64(page, offset, image->patches[i].offset, image->patches[i].value);
    }
}

/* State of one walk. */
struct walk {
    const struct cella_oe_image *image;
    cella_image_visit_fn visit;
    void *context;
    uint64_t position;
    uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(64)));
};

/* The walker's own pages start at `position`, which moves on. */
static CELLA_MUST_USE cella_result emit(struct walk *walk, struct cella_image_run run)
{
    run.offset = walk->position + walk->image->start_address;
    walk->position += run.page_count * SGX_PAGE_SIZE;
    return run.page_count ? walk->visit(walk->context, &run) : CELLA_OK;
}

/* A segment's runs, moved by the start address of a zero-base enclave. */
static cella_result emit_segment_run(void *context, const struct cella_image_run *run)
{
    const struct walk *walk = context;
    struct cella_image_run moved = *run;
    moved.offset += walk->image->start_address;
    return walk->visit(walk->context, &moved);
}

/* Entry `index` of the copied table: TLS relocations carry the symbol's value, so that nobody looks
 * it up inside. */
static CELLA_MUST_USE cella_result rela_get(const struct cella_oe_image *image, uint64_t index,
                                            Elf64_Rela *ret_rela)
{
    uint64_t dyn_count = image->rela_dyn.size / sizeof(Elf64_Rela);
    const struct cella_bytes *table = index < dyn_count ? &image->rela_dyn : &image->rela_plt;
    struct cella_bytes bytes;

    index -= index < dyn_count ? 0 : dyn_count;
    CELLA_TRY(cella_bytes_slice(*table, index * sizeof(*ret_rela), sizeof(*ret_rela), &bytes));
    memcpy(ret_rela, bytes.data, sizeof(*ret_rela));
    if (ELF64_R_TYPE(ret_rela->r_info) == R_X86_64_TPOFF64) {
        Elf64_Sym symbol;
        const char *name;
        CELLA_TRY(cella_elf_symbol(&image->symbols, (uint32_t)ELF64_R_SYM(ret_rela->r_info),
                                   &symbol, &name));
        ret_rela->r_addend = (int64_t)symbol.st_value;
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result walk_relocations(struct walk *walk)
{
    const struct cella_oe_image *image = walk->image;
    uint64_t count = (image->rela_dyn.size + image->rela_plt.size) / sizeof(Elf64_Rela);

    for (uint64_t at = 0; at < image->reloc_size; at += SGX_PAGE_SIZE) {
        memset(walk->page, 0, sizeof(walk->page));
        for (uint64_t i = at / sizeof(Elf64_Rela);
             i < count && i * sizeof(Elf64_Rela) < at + SGX_PAGE_SIZE; i++) {
            Elf64_Rela rela;
            CELLA_TRY(rela_get(image, i, &rela));
            page_write(walk->page, at, i * sizeof(rela), (const uint8_t *)&rela, sizeof(rela));
        }
        CELLA_TRY(emit(walk, (struct cella_image_run){
                                 .kind = CELLA_IMAGE_RUN_OTHER,
                                 .page_count = 1,
                                 .data = walk->page,
                                 .secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R,
                                 .measured = true,
                             }));
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result walk_thread(struct walk *walk, uint32_t index)
{
    const struct cella_oe_image *image = walk->image;
    struct cella_image_run run = {
        .kind = CELLA_IMAGE_RUN_STACK,
        .index = index,
        .page_count = 1,
        .data = walk->page,
        .secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W,
        .measured = true,
    };
    struct sgx_tcs *tcs = (struct sgx_tcs *)walk->page;

    walk->position += SGX_PAGE_SIZE;
    memset(walk->page, OE_STACK_FILL, sizeof(walk->page));
    for (uint64_t i = 0; i < image->stack_pages; i++) {
        CELLA_TRY(emit(walk, run));
    }
    walk->position += SGX_PAGE_SIZE;

    uint64_t at = walk->position + image->start_address;
    memset(tcs, 0, sizeof(*tcs));
    tcs->ossa = at + SGX_PAGE_SIZE;
    tcs->nssa = OE_NSSA;
    tcs->oentry = image->entry + image->start_address;
    tcs->ofs_base = at + (OE_CONTROL_PAGES + image->tls_pages) * SGX_PAGE_SIZE;
    tcs->ogs_base = tcs->ofs_base;
    tcs->fs_limit = UINT32_MAX;
    tcs->gs_limit = UINT32_MAX;
    run.kind = CELLA_IMAGE_RUN_TCS;
    run.secinfo_flags = SGX_SECINFO_TCS;
    CELLA_TRY(emit(walk, run));

    run.kind = CELLA_IMAGE_RUN_SSA;
    run.secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W;
    run.data = NULL;
    run.page_count = OE_NSSA;
    CELLA_TRY(emit(walk, run));
    walk->position += SGX_PAGE_SIZE;
    run.kind = CELLA_IMAGE_RUN_TD;
    run.page_count = image->tls_pages + 1;
    return emit(walk, run);
}

cella_result cella_oe_walk(const struct cella_oe_image *image, cella_image_visit_fn visit,
                           void *context)
{
    struct cella_overlay overlay = {.context = image,
                                    .limit = image->oeinfo_offset + OE_INFO_SIZE,
                                    .touches = patch_touches,
                                    .apply = patch_apply};
    struct walk walk = {.image = image, .visit = visit, .context = context};

    for (uint32_t i = 0; i < image->patch_count; i++) {
        uint64_t end = image->patches[i].offset + sizeof(uint64_t);
        overlay.limit = end > overlay.limit ? end : overlay.limit;
    }
    for (uint32_t i = 0; i < image->segment_count; i++) {
        CELLA_TRY(cella_segment_walk(image->file, &image->segments[i], i, &overlay, walk.page,
                                     emit_segment_run, &walk));
    }
    walk.position = image->image_size;
    CELLA_TRY(walk_relocations(&walk));
    CELLA_TRY(emit(&walk, (struct cella_image_run){
                              .kind = CELLA_IMAGE_RUN_HEAP,
                              .page_count = image->heap_pages,
                              .secinfo_flags = SGX_SECINFO_REG | SGX_SECINFO_R | SGX_SECINFO_W,
                          }));
    for (uint32_t i = 0; i < image->thread_count; i++) {
        CELLA_TRY(walk_thread(&walk, i));
    }
    return CELLA_OK;
}

cella_result cella_oe_measure(const struct cella_oe_image *image, uint8_t ret_mr_enclave[32])
{
    CELLA_CLEANUP(cella_measure_done) struct cella_measure measure = {0};

    CELLA_TRY(cella_measure_init(&measure, 1, image->secs_size));
    CELLA_TRY(cella_oe_walk(image, cella_measure_run, &measure));
    return cella_measure_final(&measure, ret_mr_enclave);
}
