/*
 * Properties from a file, checked and put into an image.
 * Side: host and tools. Called by oesign and by oe_create_enclave; the file may be anybody's.
 * Never believes a size of the section.
 */
#include "compat/openenclave/tools/properties.h"

#include <stdio.h>
#include <string.h>

#include "image/elf64.h"

#define HEAP_PAGES_MAX (1ull << 26)
#define STACK_PAGES_MAX (1ull << 18)
#define OE_STACK_MIN 0x4000u           /* what the kernel and a libc need */
#define DATE_OF_SIGNATURES 0x20260101u /* a constant, so that digest and sign agree on any day */

cella_result oe_properties_read(struct cella_bytes file,
                                oe_sgx_enclave_properties_t *ret_properties, uint64_t *ret_offset,
                                struct cella_error *error)
{
    struct cella_elf elf;
    Elf64_Shdr section;
    struct cella_bytes bytes;
    CELLA_TRY(cella_elf_parse(file, &elf, error));
    if (!cella_is_ok(cella_elf_section_find(&elf, OE_INFO_SECTION_NAME, &section))) {
        return cella_error_set(
            error, CELLA_RESULT(NOT_FOUND),
            "no section " OE_INFO_SECTION_NAME
            ": the enclave's source needs OE_SET_ENCLAVE_SGX or OE_SET_ENCLAVE_SGX2");
    }
    if (!cella_is_ok(cella_elf_section_bytes(&elf, &section, &bytes)) ||
        bytes.size < sizeof(*ret_properties)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "section " OE_INFO_SECTION_NAME ": %llu bytes, expected %zu",
                               (unsigned long long)section.sh_size, sizeof(*ret_properties));
    }
    memcpy(ret_properties, bytes.data, sizeof(*ret_properties));
    *ret_offset = (uint64_t)(bytes.data - file.data);
    if (ret_properties->header.size != sizeof(*ret_properties) ||
        ret_properties->header.enclave_type != OE_ENCLAVE_TYPE_SGX) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "section " OE_INFO_SECTION_NAME
                               ": size %u and type %u, expected %zu and %u (an SGX enclave)",
                               ret_properties->header.size,
                               (unsigned)ret_properties->header.enclave_type,
                               sizeof(*ret_properties), (unsigned)OE_ENCLAVE_TYPE_SGX);
    }
    return CELLA_OK;
}

static cella_result property_bad(struct cella_error *error, const char *name, uint64_t value,
                                 const char *expected)
{
    return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                           "Invalid enclave property value: %s is %llu; expected %s", name,
                           (unsigned long long)value, expected);
}

static bool is_unset(const uint8_t *id)
{
    static const uint8_t zero[16];
    return memcmp(id, zero, sizeof(zero)) == 0;
}

cella_result oe_properties_check(const oe_sgx_enclave_properties_t *properties,
                                 struct cella_error *error)
{
    const oe_enclave_size_settings_t *sizes = &properties->header.size_settings;
    const oe_sgx_enclave_config_t *config = &properties->config;
    const uint64_t known = OE_SGX_FLAGS_DEBUG | OE_SGX_FLAGS_MODE64BIT | OE_SGX_FLAGS_KSS;
    if (!(config->attributes & OE_SGX_FLAGS_MODE64BIT) || (config->attributes & ~known)) {
        return property_bad(error, "config.attributes", config->attributes,
                            "MODE64BIT, and DEBUG and KSS at will");
    }
    if (sizes->num_heap_pages > HEAP_PAGES_MAX) {
        return property_bad(error, "header.size_settings.num_heap_pages", sizes->num_heap_pages,
                            "at most 67108864");
    }
    if (sizes->num_stack_pages == 0 || sizes->num_stack_pages > STACK_PAGES_MAX) {
        return property_bad(error, "header.size_settings.num_stack_pages", sizes->num_stack_pages,
                            "1 to 262144");
    }
    if (sizes->num_tcs == 0 || sizes->num_tcs > OE_SGX_MAX_TCS) {
        return property_bad(error, "header.size_settings.num_tcs", sizes->num_tcs, "1 to 1024");
    }
    if (config->flags.create_zero_base_enclave) {
        return cella_error_set(
            error, CELLA_RESULT(UNSUPPORTED),
            "CreateZeroBaseEnclave is 1: enclaves at address 0 are not supported");
    }
    if (!(config->attributes & OE_SGX_FLAGS_KSS) &&
        !(is_unset(config->extended_product_id) && is_unset(config->family_id))) {
        return cella_error_set(
            error, CELLA_RESULT(OUT_OF_RANGE),
            "Invalid enclave property value: ExtendedProductID or FamilyID without KSS");
    }
    return CELLA_OK;
}

/*
 * What Open Enclave's pages do not count: the libc's own needs, and what malloc loses to its size classes.
 */
static uint64_t heap_pages(const oe_enclave_size_settings_t *sizes)
{
    return sizes->num_heap_pages + sizes->num_heap_pages / 4 + 64 + 32 * sizes->num_tcs;
}

cella_result oe_properties_config(const oe_sgx_enclave_properties_t *properties, const char *name,
                                  struct cella_image_config *ret_config, struct cella_error *error)
{
    const oe_enclave_size_settings_t *sizes = &properties->header.size_settings;
    const oe_sgx_enclave_config_t *config = &properties->config;
    const char *slash = strrchr(name, '/');
    CELLA_TRY(oe_properties_check(properties, error));
    cella_config_defaults(ret_config);
    snprintf(ret_config->name, sizeof(ret_config->name), "%.*s", (int)sizeof(ret_config->name) - 1,
             slash ? slash + 1 : name);
    ret_config->heap_size = heap_pages(sizes) * SGX_PAGE_SIZE;
    ret_config->heap_initial = CELLA_CONFIG_HEAP_ALL;
    ret_config->stack_size = sizes->num_stack_pages * SGX_PAGE_SIZE;
    if (ret_config->stack_size < OE_STACK_MIN) {
        ret_config->stack_size = OE_STACK_MIN;
    }
    ret_config->threads = (uint32_t)sizes->num_tcs;
    ret_config->product_id = config->product_id;
    ret_config->svn = config->security_version;
    ret_config->debug = (config->attributes & OE_SGX_FLAGS_DEBUG) != 0;
    ret_config->kss = (config->attributes & OE_SGX_FLAGS_KSS) != 0;
    ret_config->kss_by_loader = !ret_config->kss;
    memcpy(ret_config->family_id, config->family_id, sizeof(ret_config->family_id));
    memcpy(ret_config->ext_product_id, config->extended_product_id,
           sizeof(ret_config->ext_product_id));
    ret_config->exinfo =
        config->flags.capture_pf_gp_exceptions ? CELLA_CONFIG_EXINFO_YES : CELLA_CONFIG_EXINFO_NO;
    return CELLA_OK;
}

cella_result oe_image_build(struct cella_bytes file, const oe_sgx_enclave_properties_t *properties,
                            uint64_t properties_offset, const char *name,
                            struct cella_buffer *output, struct sgx_sigstruct *ret_sigstruct,
                            struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer input = {0};
    struct cella_image_config config;
    struct cella_image_build build = {0};
    uint8_t hash[32];
    CELLA_TRY(oe_properties_config(properties, name, &config, error));
    if (!cella_is_ok(cella_buffer_append(&input, file.data, file.size))) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: %zu bytes", name,
                               file.size);
    }
    memcpy(input.data + properties_offset, properties, sizeof(*properties));
    CELLA_TRY(cella_image_build(cella_buffer_bytes(&input), &config, &build, output, error));
    struct cella_image *image = calloc(1, sizeof(*image));
    if (!image) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s", name);
    }
    cella_result result = cella_image_parse(cella_buffer_bytes(output), image, error);
    if (cella_is_ok(result)) {
        result = cella_image_measure(image, hash);
    }
    free(image);
    CELLA_TRY(result);
    cella_sigstruct_fill(&config, hash, DATE_OF_SIGNATURES, ret_sigstruct);
    return CELLA_OK;
}
