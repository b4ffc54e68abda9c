/*
 * Code addresses in mapped ELF files whose `syscall`s became jumps: the instruction's own, and its trampoline's.
 * Side: enclave. Called by signal_frame.c. Keeps nothing: what is mapped says it.
 */
#include "linux/memory.h"

/* A file that is mapped, with its trampolines behind it. */
struct mapped_code {
    uint64_t base;
    const struct cella_program_patches *patches;
};

static const struct cella_program_site *sites_of(const struct cella_program_patches *patches)
{
    return (const struct cella_program_site *)((const uint8_t *)cella_linux_program +
                                               patches->sites.offset);
}

static bool has_trampolines(const struct mapped_code *code)
{
    const uint64_t at = code->base + code->patches->trampolines_at;
    const struct linux_area *area = linux_space_find(at);
    return area && area->start == at && (area->flags & LINUX_AREA_IMAGE) != 0 && !area->file;
}

/* The file whose mapping begins at `area`. */
static bool code_at(const struct linux_area *area, struct mapped_code *ret_code)
{
    const struct cella_program_patches *patches =
        area->file && area->offset == 0 ? cella_linux_file_patches(area->file) : NULL;
    *ret_code = (struct mapped_code){.base = area->start, .patches = patches};
    return patches != NULL;
}

/* The site whose trampoline has `entry` bytes into the trampolines its `lea`; NULL: none. */
static const struct cella_program_site *site_of_entry(const struct cella_program_patches *patches,
                                                      uint64_t entry)
{
    const struct cella_program_site *sites = sites_of(patches);
    uint32_t low = 0, high = patches->sites.count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (sites[middle].entry == entry) {
            return &sites[middle];
        }
        if (sites[middle].entry < entry) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static const struct cella_program_site *
site_of_instruction(const struct cella_program_patches *patches, uint64_t address)
{
    const struct cella_program_site *sites = sites_of(patches);
    uint32_t low = 0, high = patches->sites.count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const uint64_t at = sites[middle].address + sites[middle].instruction;
        if (at == address) {
            return &sites[middle];
        }
        if (at < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static uint64_t outward(const struct mapped_code *code, uint64_t rip)
{
    const uint64_t into = rip - (code->base + code->patches->trampolines_at);
    const struct cella_program_site *site = site_of_entry(code->patches, into);
    if (site) {
        return code->base + site->address + site->instruction;
    }
    site = site_of_entry(code->patches, into - CELLA_PROGRAM_ENTER_SIZE);
    return site ? code->base + site->address + site->instruction + CELLA_PROGRAM_SYSCALL_SIZE : rip;
}

static uint64_t inward(const struct mapped_code *code, uint64_t rip)
{
    const uint64_t trampolines = code->base + code->patches->trampolines_at;
    const uint64_t into = rip - code->base;
    const struct cella_program_site *site = site_of_instruction(code->patches, into);
    if (site) {
        return trampolines + site->entry;
    }
    site = site_of_instruction(code->patches, into - CELLA_PROGRAM_SYSCALL_SIZE);
    return site ? trampolines + site->entry + CELLA_PROGRAM_ENTER_SIZE : rip;
}

uint64_t linux_code_outward(uint64_t rip)
{
    uint64_t result = rip;
    linux_memory_take();
    const struct linux_area *own = linux_space_find(rip);
    const bool may = own && own->start <= rip && (own->flags & LINUX_AREA_IMAGE) != 0;
    for (uint32_t i = 0; may && result == rip && i < linux_space_count(); i++) {
        struct mapped_code code;
        if (code_at(linux_space_at(i), &code) &&
            own->start == code.base + code.patches->trampolines_at) {
            result = outward(&code, rip);
        }
    }
    linux_memory_give();
    return result;
}

uint64_t linux_code_inward(uint64_t rip)
{
    uint64_t result = rip;
    linux_memory_take();
    const struct linux_area *own = linux_space_find(rip);
    const bool may = own && own->start <= rip && own->file && (own->rights & LINUX_PROT_EXEC) != 0;
    for (uint32_t i = 0; may && result == rip && i < linux_space_count(); i++) {
        struct mapped_code code;
        if (code_at(linux_space_at(i), &code) && rip - code.base < code.patches->span &&
            has_trampolines(&code)) {
            result = inward(&code, rip);
        }
    }
    linux_memory_give();
    return result;
}
