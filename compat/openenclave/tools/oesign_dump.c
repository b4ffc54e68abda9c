/*
 * oesign dump: an image's properties and SIGSTRUCT as text.
 * Side: tools. Called by oesign.c.
 * Never says that a signature is good: cella inspect verifies.
 */
#include <stdio.h>
#include <string.h>

#include "cli/file.h"
#include "compat/openenclave/tools/oesign.h"
#include "compat/openenclave/tools/properties.h"

static void print_bytes(const char *name, const uint8_t *bytes, size_t size)
{
    printf("%s=", name);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('\n');
}

static void print_properties(const oe_sgx_enclave_properties_t *properties)
{
    const oe_sgx_enclave_config_t *config = &properties->config;
    printf("=== SGX Enclave Properties:\n");
    printf("product_id=%u\n", config->product_id);
    printf("security_version=%u\n", config->security_version);
    print_bytes("extended_product_id", config->extended_product_id,
                sizeof(config->extended_product_id));
    print_bytes("family_id", config->family_id, sizeof(config->family_id));
    printf("debug=%d\n", (config->attributes & OE_SGX_FLAGS_DEBUG) != 0);
    printf("kss=%d\n", (config->attributes & OE_SGX_FLAGS_KSS) != 0);
    printf("capture_pf_gp_exceptions=%u\n", config->flags.capture_pf_gp_exceptions);
    printf("create_zero_base_enclave=%u\n", config->flags.create_zero_base_enclave);
    printf("xfrm=%llu\n", (unsigned long long)config->xfrm);
    printf("num_heap_pages=%llu\n",
           (unsigned long long)properties->header.size_settings.num_heap_pages);
    printf("num_stack_pages=%llu\n",
           (unsigned long long)properties->header.size_settings.num_stack_pages);
    printf("num_tcs=%llu\n\n", (unsigned long long)properties->header.size_settings.num_tcs);
}

static void print_sigstruct(const struct sgx_sigstruct *s)
{
    uint8_t signer[32];
    printf("=== SGX Enclave Signature:\n");
    printf("vendor=0x%x\n", s->vendor);
    printf("date=0x%08x\n", s->date);
    print_bytes("modulus", s->modulus, sizeof(s->modulus));
    print_bytes("signature", s->signature, sizeof(s->signature));
    printf("miscselect=%08x\n", s->misc_select);
    printf("miscmask=%08x\n", s->misc_mask);
    print_bytes("isvfamilyid", s->isv_family_id, sizeof(s->isv_family_id));
    printf("attributes.flags=%016llx\n", (unsigned long long)s->attributes.flags);
    printf("attributes.xfrm=%016llx\n", (unsigned long long)s->attributes.xfrm);
    printf("attributemask.flags=%016llx\n", (unsigned long long)s->attribute_mask.flags);
    printf("attributemask.xfrm=%016llx\n", (unsigned long long)s->attribute_mask.xfrm);
    print_bytes("mrenclave", s->enclave_hash, sizeof(s->enclave_hash));
    if (cella_is_ok(cella_sigstruct_signer(s, signer))) {
        print_bytes("mrsigner", signer, sizeof(signer));
    }
    print_bytes("isvextprodid", s->isv_ext_prod_id, sizeof(s->isv_ext_prod_id));
    printf("isvprodid=%u\n", s->isv_prod_id);
    printf("isvsvn=%u\n\n", s->isv_svn);
}

cella_result oesign_dump(const char *path, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    oe_sgx_enclave_properties_t properties;
    uint64_t offset;
    CELLA_TRY(cella_file_read(path, CELLA_IMAGE_FILE_MAX, &file, error));
    CELLA_TRY(oe_properties_read(cella_file_bytes(&file), &properties, &offset, error));
    print_properties(&properties);
    struct cella_image *image = calloc(1, sizeof(*image));
    if (image && cella_is_ok(cella_image_parse(cella_file_bytes(&file), image, NULL)) &&
        image->is_signed) {
        printf("=== Entry point:\naddress=0x%llx\n\n", (unsigned long long)image->info.entry);
        print_sigstruct(&image->sigstruct);
    } else {
        printf("=== SGX Enclave Signature: none\n");
    }
    free(image);
    return CELLA_OK;
}
