/*
 * The description of a signed enclave.
 * Side: tools. Called by main.c. Never trusts a number of the file beyond what the image parser has checked.
 */
#include "compat/intel/sign/dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "image/buffer.h"
#include "image/image.h"

struct text {
    struct cella_buffer buffer;
    cella_result result;
};

static void text_done(struct text *text)
{
    cella_buffer_done(&text->buffer);
}

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    char line[256];
    va_list list;
    va_start(list, format);
    const int size = vsnprintf(line, sizeof(line), format, list);
    va_end(list);
    if (cella_is_ok(text->result)) {
        text->result = cella_buffer_append(&text->buffer, line, (size_t)size);
    }
}

static void add_number(struct text *text, const char *label, uint64_t value)
{
    add(text, "metadata->%s: 0x%llx\n", label, (unsigned long long)value);
}

static void add_bytes(struct text *text, const char *label, const void *at, size_t size)
{
    const uint8_t *bytes = at;
    add(text, "%s:", label);
    for (size_t i = 0; i < size; i++) {
        add(text, "%s0x%02x ", i % 16 == 0 ? "\n" : "", bytes[i]);
    }
    add(text, "\n");
}

static void add_title(struct text *text, const char *title)
{
    char line[64];
    memset(line, '=', sizeof(line));
    const int width = (int)strlen(title);
    add(text, "%.*s\n%s\n%.*s\n", width, line, title, width, line);
}

static void add_layout(struct text *text, const struct cella_image *image)
{
    const struct cella_image_info *info = &image->info;
    add_number(text, "magic_num", info->magic);
    add_number(text, "version", info->version);
    add_number(text, "size", info->size);
    add_number(text, "ssa_frame_size", info->ssa_frame_pages);
    add_number(text, "desired_misc_select", image->sigstruct.misc_select);
    add_number(text, "enclave_size", info->enclave_size);
    add_number(text, "attributes.flags", image->sigstruct.attributes.flags);
    add_number(text, "attributes.xfrm", image->sigstruct.attributes.xfrm);
    add_number(text, "heap_size", info->heap_size);
    add_number(text, "heap_initial", info->heap_initial);
    add_number(text, "stack_size", info->stack_size);
    add_number(text, "tcs_count", info->thread_count);
    add_number(text, "enclave_tcs_count", info->enclave_thread_count);
}

static void add_sigstruct(struct text *text, const struct sgx_sigstruct *s)
{
    uint32_t type;
    memcpy(&type, s->header + 12, sizeof(type));
    add_bytes(text, "metadata->enclave_css.header.header", s->header, 12);
    add_number(text, "enclave_css.header.type", type);
    add_number(text, "enclave_css.header.module_vendor", s->vendor);
    add_number(text, "enclave_css.header.date", s->date);
    add_bytes(text, "metadata->enclave_css.header.header2", s->header2, sizeof(s->header2));
    add_number(text, "enclave_css.header.hw_version", s->sw_defined);
    add_bytes(text, "metadata->enclave_css.key.modulus", s->modulus, sizeof(s->modulus));
    add_bytes(text, "metadata->enclave_css.key.exponent", &s->exponent, sizeof(s->exponent));
    add_bytes(text, "metadata->enclave_css.key.signature", s->signature, sizeof(s->signature));
    add_number(text, "enclave_css.body.misc_select", s->misc_select);
    add_number(text, "enclave_css.body.misc_mask", s->misc_mask);
    add_bytes(text, "metadata->enclave_css.body.isv_family_id", s->isv_family_id,
              sizeof(s->isv_family_id));
    add_number(text, "enclave_css.body.attributes.flags", s->attributes.flags);
    add_number(text, "enclave_css.body.attributes.xfrm", s->attributes.xfrm);
    add_number(text, "enclave_css.body.attribute_mask.flags", s->attribute_mask.flags);
    add_number(text, "enclave_css.body.attribute_mask.xfrm", s->attribute_mask.xfrm);
    add_bytes(text, "metadata->enclave_css.body.enclave_hash.m", s->enclave_hash,
              sizeof(s->enclave_hash));
    add_bytes(text, "metadata->enclave_css.body.isvext_prod_id", s->isv_ext_prod_id,
              sizeof(s->isv_ext_prod_id));
    add_number(text, "enclave_css.body.isv_prod_id", s->isv_prod_id);
    add_number(text, "enclave_css.body.isv_svn", s->isv_svn);
    add_bytes(text, "metadata->enclave_css.buffer.q1", s->q1, sizeof(s->q1));
    add_bytes(text, "metadata->enclave_css.buffer.q2", s->q2, sizeof(s->q2));
}

static CELLA_MUST_USE cella_result dump_write(const struct cella_image *image, const char *path,
                                              struct cella_error *error)
{
    CELLA_CLEANUP(text_done) struct text text = {.result = CELLA_OK};
    uint8_t signer[32];
    CELLA_TRY(cella_sigstruct_signer(&image->sigstruct, signer));
    add_title(&text, "The metadata information:");
    add_layout(&text, image);
    add_sigstruct(&text, &image->sigstruct);
    add(&text, "\n\n");
    add_title(&text, "The mrsigner value:");
    add_bytes(&text, "mrsigner->value", signer, sizeof(signer));
    CELLA_TRY(text.result);
    return cella_file_write(path, text.buffer.data, text.buffer.size, 0644, error);
}

cella_result sign_dump(struct cella_bytes file, const char *dump_path, const char *css_path,
                       struct cella_error *error)
{
    struct cella_image image;
    if (!dump_path && !css_path) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_image_parse(file, &image, error));
    if (!image.is_signed) {
        return cella_error_set(error, CELLA_RESULT(WRONG_STATE), "the enclave is not signed");
    }
    if (dump_path) {
        CELLA_TRY(dump_write(&image, dump_path, error));
    }
    if (css_path) {
        CELLA_TRY(
            cella_file_write(css_path, &image.sigstruct, sizeof(image.sigstruct), 0644, error));
    }
    return CELLA_OK;
}
