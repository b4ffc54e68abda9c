/*
 * A signed program image behind the end of the program's own file. attach.h is the manual.
 * Side: host and tools (hosted). Called by cli/.
 */
#include "image/attach.h"

#define PAGE_SIZE 4096u

static bool is_zero(struct cella_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] != 0) {
            return false;
        }
    }
    return true;
}

cella_result cella_attach_parse(struct cella_bytes file, struct cella_attach_parts *ret_parts,
                                struct cella_error *error)
{
    struct cella_attach_footer footer;
    struct cella_attach_parts parts = {.program = file};
    struct cella_bytes gap;
    const size_t end = file.size - sizeof(footer);

    if (file.size < sizeof(footer) ||
        memcmp(file.data + end, CELLA_ATTACH_MAGIC, sizeof(footer.magic)) != 0) {
        *ret_parts = parts;
        return CELLA_OK;
    }
    memcpy(&footer, file.data + end, sizeof(footer));
    if (!is_zero(cella_bytes_of(footer.reserved, sizeof(footer.reserved)))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "attached image: reserved bytes of the footer are not zero");
    }
    if (footer.image_offset % PAGE_SIZE != 0 || footer.image_offset > end ||
        footer.image_size != end - footer.image_offset || footer.image_size == 0 ||
        footer.program_size == 0 || footer.program_size > footer.image_offset ||
        footer.image_offset - footer.program_size >= PAGE_SIZE) {
        return cella_error_set(
            error, CELLA_RESULT(BAD_FIELD),
            "attached image: program of %llu bytes, image of %llu at %llu in a "
            "file of %llu: the footer is not this file's",
            (unsigned long long)footer.program_size, (unsigned long long)footer.image_size,
            (unsigned long long)footer.image_offset, (unsigned long long)file.size);
    }
    CELLA_TRY(cella_bytes_slice(file, 0, footer.program_size, &parts.program));
    CELLA_TRY(cella_bytes_slice(file, footer.image_offset, footer.image_size, &parts.image));
    CELLA_TRY(cella_bytes_slice(file, footer.program_size,
                                footer.image_offset - footer.program_size, &gap));
    if (!is_zero(gap)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "attached image: bytes between program and image are not zero");
    }
    *ret_parts = parts;
    return CELLA_OK;
}

cella_result cella_attach_write(struct cella_bytes program, struct cella_bytes image,
                                struct cella_buffer *output)
{
    struct cella_attach_footer footer = {.program_size = program.size, .image_size = image.size};
    CELLA_ENSURE(output->size == 0 && program.size != 0 && image.size != 0, INVALID_ARGUMENT);
    memcpy(footer.magic, CELLA_ATTACH_MAGIC, sizeof(footer.magic));
    CELLA_TRY(cella_buffer_append(output, program.data, program.size));
    CELLA_TRY(cella_buffer_align(output, PAGE_SIZE));
    footer.image_offset = output->size;
    CELLA_TRY(cella_buffer_append(output, image.data, image.size));
    return cella_buffer_append(output, &footer, sizeof(footer));
}
