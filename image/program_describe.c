/*
 * Writes the measured description of a whole program (abi/program.h).
 * Side: tools (hosted; libcrypto). Called by image/program.c. The same input gives the same bytes.
 */
#include <openssl/sha.h>

#include "common/cleanup.h"
#include "image/program_inside.h"

#define PROT_R 1u
#define PROT_W 2u
#define PROT_X 4u
#define RECORD_ALIGNMENT 8u
#define CONTENT_ALIGNMENT 64u

/* Texts, contents and lists are appended as they come; the head is written last, into its place at the start. */
struct writer {
    const struct cella_program_config *config;
    struct cella_program_report *report;
    struct cella_buffer *output;
    struct cella_program head;
    struct cella_buffer records; /* of the list at hand */
    struct cella_buffer patches; /* of struct cella_program_patches, all files */
    struct cella_error *error;
};

static void writer_done(struct writer *writer)
{
    cella_buffer_done(&writer->records);
    cella_buffer_done(&writer->patches);
}

/* Offsets are 32 bits wide. */
static CELLA_MUST_USE cella_result append(struct writer *writer, const void *data, uint64_t size,
                                          size_t alignment, uint64_t *ret_offset)
{
    CELLA_TRY(cella_buffer_align(writer->output, alignment));
    if (size > UINT32_MAX || writer->output->size + size > UINT32_MAX) {
        return cella_error_set(writer->error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "the files and texts of the program have more than 4 GiB");
    }
    *ret_offset = writer->output->size;
    return cella_buffer_append(writer->output, data, size);
}

static CELLA_MUST_USE cella_result text_put(struct writer *writer, const char *text,
                                            struct cella_program_text *ret_text)
{
    uint64_t offset = 0;
    size_t size = text ? strlen(text) : 0;

    if (size) {
        CELLA_TRY(append(writer, text, size, 1, &offset));
    }
    *ret_text = (struct cella_program_text){.offset = (uint32_t)offset, .size = (uint32_t)size};
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result path_put(struct writer *writer, const char *what,
                                            const char *path, struct cella_program_text *ret_text)
{
    if (!path || path[0] != '/') {
        return cella_error_set(writer->error, CELLA_RESULT(BAD_FIELD),
                               "%s is '%s'; expected an absolute path", what, path ? path : "");
    }
    return text_put(writer, path, ret_text);
}

static CELLA_MUST_USE cella_result record_put(struct writer *writer, const void *record,
                                              size_t size)
{
    return cella_buffer_append(&writer->records, record, size);
}

/* The records gathered become a list. */
static CELLA_MUST_USE cella_result list_put(struct writer *writer, size_t record_size,
                                            struct cella_program_list *ret_list)
{
    uint64_t offset = 0;

    if (writer->records.size) {
        CELLA_TRY(
            append(writer, writer->records.data, writer->records.size, RECORD_ALIGNMENT, &offset));
    }
    *ret_list = (struct cella_program_list){
        .offset = (uint32_t)offset, .count = (uint32_t)(writer->records.size / record_size)};
    writer->records.size = 0;
    return CELLA_OK;
}

static uint32_t rights_of(uint32_t p_flags)
{
    return (p_flags & PF_R ? PROT_R : 0) | (p_flags & PF_W ? PROT_W : 0) |
           (p_flags & PF_X ? PROT_X : 0);
}

static CELLA_MUST_USE cella_result load_put(struct writer *writer, uint64_t address, uint64_t size,
                                            uint32_t rights, uint32_t kind)
{
    const struct cella_program_load load = {
        .address = address, .size = size, .rights = rights, .kind = kind};
    return size ? record_put(writer, &load, sizeof(load)) : CELLA_OK;
}

static CELLA_MUST_USE cella_result loads_put(struct writer *writer,
                                             const struct cella_program_elf *program, uint32_t kind)
{
    for (uint32_t i = 0; i < program->count; i++) {
        const struct cella_program_piece *piece = &program->pieces[i];
        uint64_t address = piece->address + program->bias;
        CELLA_TRY(load_put(writer, address, piece->size, rights_of(piece->rights), kind));
        CELLA_TRY(load_put(writer, address + piece->size, piece->zeros, rights_of(piece->rights),
                           CELLA_PROGRAM_LOAD_ZERO));
    }
    writer->head.loads_end = cella_program_elf_end(program);
    return load_put(writer, program->high + program->bias,
                    cella_program_elf_end(program) - (program->high + program->bias),
                    PROT_R | PROT_X, CELLA_PROGRAM_LOAD_TRAMPOLINES);
}

static CELLA_MUST_USE cella_result jumps_put(struct writer *writer,
                                             const struct cella_program_elf *program)
{
    for (uint32_t i = 0; i < program->replaced_count; i++) {
        const struct cella_program_jump jump = {
            .address = program->replaced[i].address + program->bias,
            .entry = program->replaced[i].entry + program->bias,
        };
        CELLA_TRY(record_put(writer, &jump, sizeof(jump)));
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result addresses_put(struct writer *writer,
                                                 const struct cella_program_parts *parts)
{
    struct cella_program *head = &writer->head;
    const struct cella_program_elf *program = parts->program;
    const struct cella_program_elf *interpreter = parts->interpreter;

    head->program_entry = program->elf.header.e_entry + program->bias;
    head->entry =
        interpreter ? interpreter->elf.header.e_entry + interpreter->bias : head->program_entry;
    head->phdr_address = cella_program_elf_headers(program);
    head->phdr_count = program->elf.header.e_phnum;
    head->interpreter_base = interpreter ? interpreter->low + interpreter->bias : 0;
    head->break_start = cella_program_elf_end(program);
    CELLA_TRY(loads_put(writer, program, CELLA_PROGRAM_LOAD_PROGRAM));
    if (interpreter) {
        CELLA_TRY(loads_put(writer, interpreter, CELLA_PROGRAM_LOAD_INTERPRETER));
    }
    CELLA_TRY(list_put(writer, sizeof(struct cella_program_load), &head->loads));
    CELLA_TRY(jumps_put(writer, program));
    if (interpreter) {
        CELLA_TRY(jumps_put(writer, interpreter));
    }
    return list_put(writer, sizeof(struct cella_program_jump), &head->jumps);
}

/* ------------------------------------------------------------------- words */

static CELLA_MUST_USE cella_result texts_put(struct writer *writer, const char *const *texts,
                                             uint32_t count, struct cella_program_list *ret_list)
{
    for (uint32_t i = 0; i < count; i++) {
        struct cella_program_text text;
        CELLA_TRY(text_put(writer, texts[i], &text));
        CELLA_TRY(record_put(writer, &text, sizeof(text)));
    }
    return list_put(writer, sizeof(struct cella_program_text), ret_list);
}

static CELLA_MUST_USE cella_result environment_put(struct writer *writer)
{
    const struct cella_program_config *config = writer->config;

    for (uint32_t i = 0; i < config->environment_count; i++) {
        const struct cella_program_variable_config *from = &config->environment[i];
        struct cella_program_variable variable = {.from_host = from->from_host};
        if (!from->name || !from->name[0] || strchr(from->name, '=')) {
            return cella_error_set(writer->error, CELLA_RESULT(BAD_FIELD),
                                   "environment: '%s' is no name of a variable",
                                   from->name ? from->name : "");
        }
        CELLA_TRY(text_put(writer, from->name, &variable.name));
        CELLA_TRY(text_put(writer, from->value, &variable.value));
        CELLA_TRY(record_put(writer, &variable, sizeof(variable)));
    }
    return list_put(writer, sizeof(struct cella_program_variable), &writer->head.environment);
}

static CELLA_MUST_USE cella_result mounts_put(struct writer *writer)
{
    const struct cella_program_config *config = writer->config;

    for (uint32_t i = 0; i < config->mount_count; i++) {
        const struct cella_program_mount_config *from = &config->mounts[i];
        struct cella_program_mount mount = {.kind = from->kind, .flags = from->flags};
        if (from->kind != CELLA_PROGRAM_MOUNT_MEMORY && (!from->source || !from->source[0])) {
            return cella_error_set(writer->error, CELLA_RESULT(BAD_FIELD),
                                   "mount of %s: no folder of the host is named",
                                   from->target ? from->target : "");
        }
        CELLA_TRY(path_put(writer, "the target of a mount", from->target, &mount.target));
        CELLA_TRY(text_put(writer, from->source, &mount.source));
        CELLA_TRY(record_put(writer, &mount, sizeof(mount)));
    }
    return list_put(writer, sizeof(struct cella_program_mount), &writer->head.mounts);
}

static CELLA_MUST_USE cella_result head_put(struct writer *writer)
{
    const struct cella_program_config *config = writer->config;
    struct cella_program *head = &writer->head;

    head->flags = (config->arguments_from_host ? CELLA_PROGRAM_ARGS_FROM_HOST : 0) |
                  (config->ego ? CELLA_PROGRAM_EGO : 0) |
                  (config->image.debug ? CELLA_PROGRAM_DEBUG : 0) |
                  (config->executable_memory ? CELLA_PROGRAM_EXEC_MEMORY : 0) |
                  (config->async ? CELLA_PROGRAM_ASYNC : 0);
    head->stack_size = cella_page_up(config->stack_size);
    head->memory_max = config->memory_max;
    head->user = config->user;
    head->group = config->group;
    head->cpu_max = config->cpu_max;
    head->descriptor_max = config->descriptor_max;
    if (config->argument_count == 0) {
        return cella_error_set(writer->error, CELLA_RESULT(BAD_FIELD),
                               "a program has one argument at least: its name");
    }
    CELLA_TRY(path_put(writer, "the program's path", config->executable, &head->executable));
    CELLA_TRY(path_put(writer, "the start directory", config->directory ? config->directory : "/",
                       &head->directory));
    return text_put(writer, config->host_name ? config->host_name : "enclave", &head->host_name);
}

/* ------------------------------------------------------------------- files */

static CELLA_MUST_USE cella_result sites_put(struct writer *writer,
                                             const struct cella_program_elf *program,
                                             struct cella_program_list *ret_list)
{
    for (uint32_t i = 0; i < program->replaced_count; i++) {
        const struct cella_program_replaced *replaced = &program->replaced[i];
        struct cella_program_site site = {
            .address = replaced->window,
            .size = (uint8_t)replaced->window_size,
            .instruction = (uint32_t)(replaced->address - replaced->window),
            .entry = (uint32_t)(replaced->entry - program->high),
        };
        struct cella_bytes bytes;
        CELLA_ENSURE(replaced->window_size <= sizeof(site.bytes), INTERNAL);
        CELLA_TRY(cella_elf_at(program->segments, program->count, replaced->window,
                               replaced->window_size, &site.file_offset));
        CELLA_TRY(cella_bytes_slice(cella_buffer_bytes(&program->file), site.file_offset,
                                    replaced->window_size, &bytes));
        memcpy(site.bytes, bytes.data, bytes.size);
        CELLA_TRY(record_put(writer, &site, sizeof(site)));
    }
    return list_put(writer, sizeof(struct cella_program_site), ret_list);
}

/* How the code of a measured file changes when it is mapped; *ret_index stays 0 when it does not. */
static CELLA_MUST_USE cella_result patches_put(struct writer *writer,
                                               const struct cella_program_file_config *file,
                                               uint32_t *ret_index)
{
    CELLA_CLEANUP(cella_program_elf_done) struct cella_program_elf program = {0};
    struct cella_program_report report = {.site = writer->report->site,
                                          .site_context = writer->report->site_context};
    struct cella_program_patches patches = {0};
    uint64_t offset;

    if (!cella_is_ok(cella_program_elf_parse(file->content, file->path, &program, NULL)) ||
        program.elf.header.e_type != ET_DYN || program.low != 0) {
        return CELLA_OK; /* nobody will map it as code, or whoever does has it trap */
    }
    writer->report->file = file->path;
    cella_result result = cella_program_elf_rewrite(&program, &report, writer->error);
    if (result.code == CELLA_CODE_LIMIT_EXCEEDED) {
        return CELLA_OK; /* larger than anybody thought of: as it is, it traps */
    }
    CELLA_TRY(result);
    writer->report->file_site_count += report.site_count;
    writer->report->file_rewritten_count += report.rewritten_count;
    if (report.rewritten_count == 0) {
        return CELLA_OK;
    }
    patches.span = patches.trampolines_at = program.high;
    CELLA_TRY(append(writer, program.code.data, program.code.size, CONTENT_ALIGNMENT, &offset));
    patches.trampolines_offset = (uint32_t)offset;
    patches.trampolines_size = (uint32_t)program.code.size;
    CELLA_TRY(sites_put(writer, &program, &patches.sites));
    CELLA_TRY(cella_buffer_append(&writer->patches, &patches, sizeof(patches)));
    *ret_index = (uint32_t)(writer->patches.size / sizeof(patches));
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result file_put(struct writer *writer,
                                            const struct cella_program_file_config *from,
                                            struct cella_program_file *ret_file)
{
    struct cella_program_file file = {.size = from->content.size, .mode = from->mode};

    CELLA_TRY(path_put(writer, "a measured file's path", from->path, &file.path));
    CELLA_TRY(text_put(writer, from->source, &file.source));
    CELLA_TRY(text_put(writer, from->link, &file.link));
    if (file.link.size) {
        file.size = 0;
        *ret_file = file;
        return CELLA_OK;
    }
    SHA256(from->content.data, from->content.size, file.hash);
    CELLA_TRY(patches_put(writer, from, &file.patches));
    if (!file.source.size) {
        CELLA_TRY(append(writer, from->content.data, from->content.size, CONTENT_ALIGNMENT,
                         &file.content));
    }
    *ret_file = file;
    return CELLA_OK;
}

/* Records of files wait in a buffer of their own: a file's patches have lists too. */
static CELLA_MUST_USE cella_result files_put(struct writer *writer)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer files = {0};
    const struct cella_program_config *config = writer->config;

    for (uint32_t i = 0; i < config->file_count; i++) {
        struct cella_program_file file;
        CELLA_TRY(file_put(writer, &config->files[i], &file));
        CELLA_TRY(cella_buffer_append(&files, &file, sizeof(file)));
    }
    CELLA_TRY(record_put(writer, files.data, files.size));
    CELLA_TRY(list_put(writer, sizeof(struct cella_program_file), &writer->head.files));
    CELLA_TRY(record_put(writer, writer->patches.data, writer->patches.size));
    return list_put(writer, sizeof(struct cella_program_patches), &writer->head.patches);
}

static CELLA_MUST_USE cella_result describe(struct writer *writer,
                                            const struct cella_program_parts *parts)
{
    const struct cella_program_config *config = writer->config;
    struct cella_program *head = &writer->head;

    CELLA_TRY(cella_buffer_grow(writer->output, sizeof(*head)));
    CELLA_TRY(head_put(writer));
    CELLA_TRY(addresses_put(writer, parts));
    CELLA_TRY(texts_put(writer, config->arguments, config->argument_count, &head->arguments));
    CELLA_TRY(environment_put(writer));
    CELLA_TRY(mounts_put(writer));
    CELLA_TRY(texts_put(writer, config->hosts, config->host_count, &head->hosts));
    CELLA_TRY(files_put(writer));
    if (writer->report->rewritten_count < writer->report->site_count ||
        writer->report->file_rewritten_count < writer->report->file_site_count) {
        head->flags |= CELLA_PROGRAM_TRAPS;
    }
    head->magic = CELLA_PROGRAM_MAGIC;
    head->version = CELLA_PROGRAM_VERSION;
    head->size = (uint32_t)writer->output->size;
    memcpy(writer->output->data, head, sizeof(*head));
    return CELLA_OK;
}

cella_result cella_program_describe(const struct cella_program_parts *parts,
                                    struct cella_program_report *report,
                                    struct cella_buffer *output, struct cella_error *error)
{
    CELLA_CLEANUP(writer_done)
    struct writer writer = {
        .config = parts->config, .report = report, .output = output, .error = error};

    return describe(&writer, parts);
}
