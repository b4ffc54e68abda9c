/*
 * Gathers what `cella inspect` shows: identities, pages, sections.
 * Side: tools. Called by cli/cmd_inspect.c. Never loads an image.
 */
#include "cli/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "image/measure.h"

const char *inspect_kind_name(enum inspect_kind kind)
{
    static const char *const names[] = {"cella", "open-enclave", "intel"};
    return names[kind];
}

const char *inspect_run_name(enum cella_image_run_kind kind)
{
    static const char *const names[] = {"segment", "heap", "stack", "tcs", "ssa", "td", "other"};
    return names[kind];
}

/* State of one walk: measuring always, collecting rows for the first identity only. */
struct walk {
    struct inspect *inspect;
    struct cella_measure measure;
    bool collect;
};

static bool row_continues(const struct inspect_row *row, const struct cella_image_run *run)
{
    return row->kind == run->kind && row->index == run->index &&
           row->offset + row->page_count * SGX_PAGE_SIZE == run->offset &&
           row->secinfo_flags == run->secinfo_flags && row->measured == run->measured;
}

static CELLA_MUST_USE cella_result row_add(struct inspect *inspect,
                                           const struct cella_image_run *run)
{
    if (inspect->row_count && row_continues(&inspect->rows[inspect->row_count - 1], run)) {
        inspect->rows[inspect->row_count - 1].page_count += run->page_count;
        return CELLA_OK;
    }
    if (inspect->row_count == inspect->row_capacity) {
        uint32_t capacity = inspect->row_capacity ? inspect->row_capacity * 2 : 64;
        CELLA_ENSURE(capacity <= INSPECT_ROW_MAX, LIMIT_EXCEEDED);
        struct inspect_row *rows = realloc(inspect->rows, capacity * sizeof(*rows));
        CELLA_ENSURE(rows != NULL, OUT_OF_MEMORY);
        inspect->rows = rows;
        inspect->row_capacity = capacity;
    }
    inspect->rows[inspect->row_count++] = (struct inspect_row){
        .kind = run->kind,
        .index = run->index,
        .offset = run->offset,
        .page_count = run->page_count,
        .secinfo_flags = run->secinfo_flags,
        .measured = run->measured,
    };
    return CELLA_OK;
}

static cella_result walk_run(void *context, const struct cella_image_run *run)
{
    struct walk *walk = context;
    struct inspect *inspect = walk->inspect;

    if (walk->collect) {
        CELLA_TRY(row_add(inspect, run));
        inspect->pages[run->kind] += run->page_count;
        inspect->added_pages += run->page_count;
        inspect->measured_pages += run->measured ? run->page_count : 0;
        if (run->kind == CELLA_IMAGE_RUN_SEGMENT && !(run->secinfo_flags & SGX_SECINFO_W)) {
            inspect->read_only_pages += run->page_count;
        }
        if ((run->secinfo_flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS) {
            inspect->thread_count += (uint32_t)run->page_count;
        }
    }
    return cella_measure_run(&walk->measure, run);
}

static CELLA_MUST_USE cella_result cella_walk(const struct cella_image *image,
                                              cella_image_visit_fn visit, void *context)
{
    struct cella_image_iterator iterator;
    struct cella_image_run run;

    cella_image_iterator_init(&iterator, image);
    while (cella_image_next(&iterator, &run)) {
        CELLA_TRY(visit(context, &run));
    }
    return CELLA_OK;
}

/* The parsed image behind an identity: exactly one is set. */
struct source {
    const struct cella_image *cella;
    const struct cella_oe_image *open_enclave;
    const struct cella_intel_image *intel;
};

static CELLA_MUST_USE cella_result source_measure(struct inspect *inspect,
                                                  const struct source *source,
                                                  uint32_t ssa_frame_pages, uint64_t enclave_size,
                                                  uint8_t ret_mr_enclave[32])
{
    struct walk walk = {.inspect = inspect, .collect = inspect->identity_count == 0};
    cella_result result = cella_measure_init(&walk.measure, ssa_frame_pages, enclave_size);

    if (walk.collect) {
        inspect->enclave_size = enclave_size;
        inspect->ssa_frame_pages = ssa_frame_pages;
    }
    if (cella_is_ok(result)) {
        result = source->cella          ? cella_walk(source->cella, walk_run, &walk)
                 : source->open_enclave ? cella_oe_walk(source->open_enclave, walk_run, &walk)
                                        : cella_intel_walk(source->intel, walk_run, &walk);
    }
    if (cella_is_ok(result)) {
        result = cella_measure_final(&walk.measure, ret_mr_enclave);
    }
    cella_measure_done(&walk.measure);
    return result;
}

/* Measures and verifies one identity. Only running out of memory is an error: all else is a
 * finding. */
static CELLA_MUST_USE cella_result identity_add(struct inspect *inspect,
                                                const struct source *source, const char *label,
                                                const struct sgx_sigstruct *sigstruct,
                                                bool is_signed, uint32_t ssa_frame_pages,
                                                uint64_t enclave_size)
{
    struct inspect_identity *identity = &inspect->identities[inspect->identity_count];
    struct cella_error error = {0};

    memset(identity, 0, sizeof(*identity));
    snprintf(identity->label, sizeof(identity->label), "%s", label);
    identity->sigstruct = *sigstruct;
    identity->is_signed = is_signed;
    cella_result result =
        source_measure(inspect, source, ssa_frame_pages, enclave_size, identity->mr_enclave);
    if (result.code == CELLA_CODE_OUT_OF_MEMORY) {
        return result;
    }
    identity->measured = cella_is_ok(result);
    if (!identity->measured) {
        snprintf(identity->trouble, sizeof(identity->trouble), "cannot be measured: %s",
                 cella_result_text(result));
    }
    identity->matches =
        identity->measured && memcmp(identity->mr_enclave, sigstruct->enclave_hash, 32) == 0;
    if (is_signed) {
        CELLA_TRY(cella_sigstruct_signer(sigstruct, identity->mr_signer));
        identity->signature_good = cella_is_ok(cella_sigstruct_verify(sigstruct, &error));
    } else {
        snprintf(error.text, sizeof(error.text), "not signed yet");
    }
    if (!identity->signature_good && !identity->trouble[0]) {
        snprintf(identity->trouble, sizeof(identity->trouble), "%.255s", error.text);
    }
    inspect->identity_count++;
    return CELLA_OK;
}

static bool has_signature(const struct sgx_sigstruct *sigstruct)
{
    for (size_t i = 0; i < sizeof(sigstruct->signature); i++) {
        if (sigstruct->signature[i]) {
            return true;
        }
    }
    return false;
}

static CELLA_MUST_USE cella_result read_cella(struct inspect *inspect, struct cella_bytes file,
                                              struct cella_error *error)
{
    struct cella_image *image = &inspect->cella_storage;
    struct source source = {.cella = image};

    CELLA_TRY(cella_image_parse(file, image, error));
    inspect->kind = INSPECT_CELLA;
    inspect->cella = image;
    memcpy(inspect->name, image->name, sizeof(inspect->name));
    CELLA_TRY(inspect_program_read(inspect, image, error));
    return identity_add(inspect, &source, "", &image->sigstruct, image->is_signed,
                        image->info.ssa_frame_pages, image->info.enclave_size);
}

static CELLA_MUST_USE cella_result read_open_enclave(struct inspect *inspect,
                                                     struct cella_bytes file,
                                                     struct cella_error *error)
{
    struct cella_oe_image image;
    struct source source = {.open_enclave = &image};

    CELLA_TRY(cella_oe_parse(file, &image, error));
    inspect->kind = INSPECT_OPEN_ENCLAVE;
    return identity_add(inspect, &source, "", &image.sigstruct, has_signature(&image.sigstruct), 1,
                        image.secs_size);
}

static CELLA_MUST_USE cella_result read_intel(struct inspect *inspect, struct cella_bytes file,
                                              struct cella_error *error)
{
    struct cella_intel_image image;
    struct source source = {.intel = &image};
    cella_result result = cella_intel_parse(file, 0, &image, error);

    inspect->kind = INSPECT_INTEL;
    CELLA_TRY(result);
    for (uint32_t i = 0; cella_is_ok(result);
         result = cella_intel_parse(file, ++i, &image, error)) {
        char label[32];
        snprintf(label, sizeof(label), "metadata %u.%u", (unsigned)(image.version >> 32),
                 (unsigned)(image.version & UINT32_MAX));
        CELLA_TRY(identity_add(inspect, &source, label, &image.sigstruct,
                               has_signature(&image.sigstruct), image.ssa_frame_size,
                               image.secs_size));
    }
    return result.code == CELLA_CODE_NOT_FOUND ? CELLA_OK : result;
}

static void read_sections(struct inspect *inspect, const struct cella_elf *elf)
{
    for (unsigned i = 1; i < elf->section_count; i++) {
        Elf64_Shdr section;
        const char *name;
        if (!cella_is_ok(cella_elf_section(elf, i, &section)) ||
            !cella_is_ok(cella_elf_section_name(elf, &section, &name))) {
            return;
        }
        if (!(section.sh_flags & SHF_ALLOC) || inspect->section_count == INSPECT_SECTION_MAX) {
            continue;
        }
        inspect->sections[inspect->section_count++] = (struct inspect_section){
            .name = name,
            .address = section.sh_addr,
            .size = section.sh_size,
            .writable = section.sh_flags & SHF_WRITE,
            .executable = section.sh_flags & SHF_EXECINSTR,
            .in_file = section.sh_type != SHT_NOBITS,
        };
        if (!(section.sh_flags & SHF_WRITE)) {
            inspect->read_only_bytes += section.sh_size;
        }
    }
}

cella_result inspect_read(struct inspect *inspect, const char *path, struct cella_bytes file,
                          struct cella_error *error)
{
    struct cella_elf elf;
    Elf64_Shdr section;

    inspect->path = path;
    CELLA_TRY(cella_elf_parse(file, &elf, error));
    /* An image that Cella signed says so; the sources may still have the other SDKs' marks in them. */
    if (cella_is_ok(cella_elf_section_find(&elf, ".note.cella", &section))) {
        CELLA_TRY(read_cella(inspect, file, error));
    } else if (cella_is_ok(cella_elf_section_find(&elf, ".oeinfo", &section))) {
        CELLA_TRY(read_open_enclave(inspect, file, error));
    } else if (cella_is_ok(cella_elf_section_find(&elf, ".note.sgxmeta", &section))) {
        CELLA_TRY(read_intel(inspect, file, error));
    } else {
        CELLA_TRY(read_cella(inspect, file, error));
    }
    read_sections(inspect, &elf);
    return CELLA_OK;
}

void inspect_done(struct inspect *inspect)
{
    free(inspect->rows);
    inspect->rows = NULL;
}

bool inspect_is_good(const struct inspect *inspect)
{
    for (uint32_t i = 0; i < inspect->identity_count; i++) {
        const struct inspect_identity *identity = &inspect->identities[i];
        if (!identity->matches || !identity->signature_good) {
            return false;
        }
    }
    return inspect->identity_count > 0;
}
