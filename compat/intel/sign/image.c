/*
 * From an Intel configuration and a linker's output to a Cella image.
 * Side: tools (hosted). Called by sgx_sign. Never changes the input's bytes: it works on a copy.
 */
#include "compat/intel/sign/image.h"

#include <string.h>

#include "common/cleanup.h"
#include "compat/intel/settings.h"
#include "image/elf64.h"
#include "image/pages.h"

/*
 * What Cella's runtime takes of a heap and of a stack beside what the application was promised: bit maps, call buffers,
 * the libc's first arena; thread-local storage and the frames of exceptions.
 */
#define HEAP_EXTRA (1ull << 20)
#define STACK_EXTRA (48ull << 10)

#define VENDOR_INTEL 0x8086u
#define FLAGS_AEX_NOTIFY (1ull << 10)

#define VALUE(config, key) ((config)->value[INTEL_KEY_##key])
#define GIVEN(config, key) intel_config_given(config, INTEL_KEY_##key)
#define REFUSE(config, key, code, error, ...)                                                      \
    intel_config_refuse(config, INTEL_KEY_##key, CELLA_RESULT(code), error, __VA_ARGS__)

enum intel_input intel_input_kind(struct cella_bytes file)
{
    struct cella_image image;
    return cella_is_ok(cella_image_parse(file, &image, NULL)) ? INTEL_INPUT_SIGNED
                                                              : INTEL_INPUT_LINKED;
}

static uint64_t extra_memory(const struct intel_config *config)
{
    return VALUE(config, ReservedMemMaxSize) + VALUE(config, UserRegionSize);
}

/* The low half first, as two little-endian numbers lie in memory. */
static void id_fill(uint8_t id[16], uint64_t high, uint64_t low)
{
    memcpy(id, &low, sizeof(low));
    memcpy(id + 8, &high, sizeof(high));
}

static cella_result unsupported_check(const struct intel_config *config, struct cella_error *error)
{
    if (VALUE(config, LaunchKey)) {
        return REFUSE(config, LaunchKey, UNSUPPORTED, error,
                      ": no processor takes a launch enclave any more");
    }
    if (VALUE(config, AMX) == 1) {
        return REFUSE(config, AMX, UNSUPPORTED, error,
                      " is 1; tiles do not fit the one page of an SSA frame");
    }
    if (GIVEN(config, ELRangeSize)) {
        return REFUSE(config, ELRangeSize, UNSUPPORTED, error,
                      ": images of this kind have no fixed address");
    }
    return CELLA_OK;
}

/* `threads_wanted`: the enclave makes threads itself (sgx_pthread.edl). */
static cella_result config_map(const struct intel_config *config, bool threads_wanted,
                               struct cella_image_config *ret, struct cella_error *error)
{
    const uint64_t threads =
        GIVEN(config, TCSMaxNum) ? VALUE(config, TCSMaxNum) : VALUE(config, TCSNum);
    const uint64_t all_threads = threads_wanted ? 2 * threads : threads;
    const uint64_t extra = HEAP_EXTRA + extra_memory(config);
    CELLA_TRY(unsupported_check(config, error));
    if (all_threads > CELLA_IMAGE_THREAD_MAX) {
        return intel_config_refuse(
            config, GIVEN(config, TCSMaxNum) ? INTEL_KEY_TCSMaxNum : INTEL_KEY_TCSNum,
            CELLA_RESULT(OUT_OF_RANGE), error, ": %llu TCSs%s; at most %u are possible",
            (unsigned long long)all_threads,
            threads_wanted ? " (as many again for threads that the enclave makes)" : "",
            CELLA_IMAGE_THREAD_MAX);
    }
    cella_config_defaults(ret);
    ret->heap_size = VALUE(config, HeapMaxSize) + extra;
    ret->heap_initial =
        (GIVEN(config, HeapInitSize) ? VALUE(config, HeapInitSize) : VALUE(config, HeapMaxSize)) +
        HEAP_EXTRA + VALUE(config, ReservedMemMinSize);
    ret->stack_size = VALUE(config, StackMaxSize) + STACK_EXTRA;
    ret->threads = (uint32_t)threads;
    ret->enclave_threads = threads_wanted ? (uint32_t)threads : 0;
    ret->product_id = (uint32_t)VALUE(config, ProdID);
    ret->svn = (uint32_t)VALUE(config, ISVSVN);
    ret->debug = VALUE(config, DisableDebug) == 0;
    ret->kss = VALUE(config, EnableKSS) != 0;
    ret->provision_key = VALUE(config, ProvisionKey) != 0;
    id_fill(ret->family_id, VALUE(config, ISVFAMILYID_H), VALUE(config, ISVFAMILYID_L));
    id_fill(ret->ext_product_id, VALUE(config, ISVEXTPRODID_H), VALUE(config, ISVEXTPRODID_L));
    if (VALUE(config, PKRU) == 1) {
        ret->xfrm |= SGX_XFRM_PKRU;
    } else if (VALUE(config, PKRU) == 2) {
        ret->xfrm_mask &= ~SGX_XFRM_PKRU;
    }
    return CELLA_OK;
}

/* What the general signer has no words for. */
static void sigstruct_adjust(const struct intel_config *config, struct sgx_sigstruct *sigstruct)
{
    sigstruct->misc_select = (uint32_t)(VALUE(config, MiscSelect) & VALUE(config, MiscMask));
    sigstruct->misc_mask = (uint32_t)VALUE(config, MiscMask);
    sigstruct->sw_defined = (uint32_t)VALUE(config, HW);
    sigstruct->vendor = VALUE(config, IntelSigned) ? VENDOR_INTEL : 0;
    if (VALUE(config, EnableAEXNotify)) {
        sigstruct->attributes.flags |= FLAGS_AEX_NOTIFY;
    }
    if (config->value[INTEL_KEY_DisableDebug] == 0) {
        /* The loader says whether it is a debug enclave; Intel's tool signs the bit as zero. */
        sigstruct->attributes.flags &= ~(uint64_t)SGX_FLAGS_DEBUG;
    }
}

static void settings_fill(const struct intel_config *config, struct intel_settings_object *settings)
{
    *settings = (struct intel_settings_object){
        .magic = INTEL_SETTINGS_MAGIC,
        .size = INTEL_SETTINGS_SIZE,
        .flags = VALUE(config, ReservedMemExecutable) ? INTEL_SETTINGS_RESERVED_EXECUTABLE : 0,
        .reserved_max = VALUE(config, ReservedMemMaxSize),
        .reserved_min = VALUE(config, ReservedMemMinSize),
        .reserved_initial = VALUE(config, ReservedMemInitSize),
        .user_region = VALUE(config, UserRegionSize),
        .heap_max = VALUE(config, HeapMaxSize),
    };
}

/* Absent: nothing in the enclave asks for it. */
static cella_result settings_put(const struct cella_elf *elf, const struct intel_config *config,
                                 uint8_t *data, size_t size, struct cella_error *error)
{
    struct intel_settings_object settings;
    Elf64_Shdr section;
    if (!cella_is_ok(cella_elf_section_find(elf, INTEL_SETTINGS_SECTION, &section))) {
        return CELLA_OK;
    }
    if (section.sh_size != sizeof(settings) || section.sh_offset > size - sizeof(settings)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "section " INTEL_SETTINGS_SECTION ": %llu bytes; expected %zu",
                               (unsigned long long)section.sh_size, sizeof(settings));
    }
    settings_fill(config, &settings);
    memcpy(data + section.sh_offset, &settings, sizeof(settings));
    return CELLA_OK;
}

/* The mark that sgx_pthread.edl leaves. */
static bool makes_threads(const struct cella_elf *elf)
{
    struct cella_elf_symbols symbols;
    Elf64_Sym symbol;
    return cella_is_ok(cella_elf_symbols(elf, SHT_SYMTAB, &symbols)) &&
           cella_is_ok(cella_elf_symbol_find(&symbols, "cella_module_threads", &symbol));
}

static cella_result image_build(struct cella_bytes input, const struct intel_config *config,
                                struct cella_image_config *ret_mapped, struct cella_buffer *output,
                                struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer copy = {0};
    struct cella_image_build build = {0};
    struct cella_elf elf;
    CELLA_TRY(cella_buffer_append(&copy, input.data, input.size));
    CELLA_TRY(cella_elf_parse(input, &elf, error));
    CELLA_TRY(config_map(config, makes_threads(&elf), ret_mapped, error));
    CELLA_TRY(settings_put(&elf, config, copy.data, copy.size, error));
    return cella_image_build(cella_buffer_bytes(&copy), ret_mapped, &build, output, error);
}

/* Where the information object lies in the file of a parsed image. */
static cella_result info_place(const struct cella_image *image, uint64_t *ret_offset)
{
    return cella_elf_at(image->segments, image->segment_count, image->info_offset,
                        sizeof(image->info), ret_offset);
}

/* The pages of a signed image stay; layout and identity become those of `config`. */
static cella_result image_again(struct cella_bytes input, const struct intel_config *config,
                                struct cella_image_config *ret_mapped, struct cella_buffer *output,
                                struct cella_error *error)
{
    struct cella_image image;
    struct cella_elf elf;
    uint64_t at;
    CELLA_TRY(cella_image_parse(input, &image, error));
    CELLA_TRY(cella_elf_parse(input, &elf, error));
    CELLA_TRY(config_map(config, image.info.enclave_thread_count > 0, ret_mapped, error));
    CELLA_TRY(cella_buffer_append(output, input.data, input.size));
    CELLA_TRY(settings_put(&elf, config, output->data, output->size, error));
    CELLA_TRY(info_place(&image, &at));
    struct cella_image_info info = image.info;
    info.heap_size = ret_mapped->heap_size;
    info.heap_initial = ret_mapped->heap_initial;
    info.stack_size = ret_mapped->stack_size;
    info.thread_count = ret_mapped->threads + ret_mapped->enclave_threads;
    info.enclave_thread_count = ret_mapped->enclave_threads;
    info.product_id = ret_mapped->product_id;
    info.svn = ret_mapped->svn;
    CELLA_TRY(cella_layout_compute(&info, error));
    memcpy(output->data + at, &info, sizeof(info));
    return CELLA_OK;
}

cella_result intel_image_make(struct cella_bytes input, const struct intel_config *config,
                              uint32_t date, struct cella_buffer *output,
                              struct sgx_sigstruct *ret_sigstruct, struct cella_error *error)
{
    struct cella_image_config mapped;
    struct cella_image image;
    uint8_t hash[32];
    if (intel_input_kind(input) == INTEL_INPUT_SIGNED) {
        CELLA_TRY(image_again(input, config, &mapped, output, error));
    } else {
        CELLA_TRY(image_build(input, config, &mapped, output, error));
    }
    CELLA_TRY(cella_image_parse(cella_buffer_bytes(output), &image, error));
    CELLA_TRY(cella_image_measure(&image, hash));
    cella_sigstruct_fill(&mapped, hash, date, ret_sigstruct);
    sigstruct_adjust(config, ret_sigstruct);
    return CELLA_OK;
}
