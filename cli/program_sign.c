/*
 * From a program and its manifest to a signed image: the kernel's file and the interpreter are found and read here.
 * Side: tools. Called by cella sign, cella go and ego. Runs nothing.
 */
#include "cli/program_sign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/sdk.h"
#include "cli/signing.h"
#include "common/cleanup.h"
#include "image/attach.h"
#include "image/build.h"
#include "image/elf64.h"
#include "linux/description.h"

/* Set by cli/meson.build. */
#ifndef CELLA_LIBEXECDIR
#define CELLA_LIBEXECDIR "libexec"
#endif

static bool readable(char *path, size_t size, const char *folder, const char *name)
{
    int used = snprintf(path, size, "%s/%s", folder, name);
    return used > 0 && (size_t)used < size && access(path, R_OK) == 0;
}

#define EXECUTABLE_FILE_MAX (16u << 20)

cella_result program_sign_kernel(bool full, char *ret_path, size_t size, struct cella_error *error)
{
    const char *installed = full ? CELLA_LIBEXECDIR "/cella/program-kernel-full"
                                 : CELLA_LIBEXECDIR "/cella/program-kernel";
    const char *built = full ? "linux/program-kernel-full" : "linux/program-kernel";
    const char *named = getenv("CELLA_PROGRAM_KERNEL");
    const char *prefix = getenv("CELLA_SDK");
    char folder[SDK_PATH_MAX];

    if (named && *named) {
        return snprintf(ret_path, size, "%s", named) < (int)size ? CELLA_OK
                                                                 : CELLA_RESULT(LIMIT_EXCEEDED);
    }
    if (prefix && *prefix) {
        if (readable(ret_path, size, prefix, installed)) {
            return CELLA_OK;
        }
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "CELLA_SDK=%s: no %s there", prefix,
                               installed);
    }
    CELLA_TRY(sdk_program_folder(folder, sizeof(folder), error));
    if (strlen(folder) + 4 < sizeof(folder)) {
        strcat(folder, "/..");
    }
    if (readable(ret_path, size, folder, built) || readable(ret_path, size, folder, installed)) {
        return CELLA_OK;
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           "%s: the kernel of whole programs, %s, is not beside this program; set "
                           "CELLA_SDK to the prefix where it is installed",
                           folder, installed);
}

/* What the small kernel has not: libcrypto. */
static bool needs_full_kernel(const struct cella_program_config *config)
{
    bool needs = config->ego;

    for (uint32_t i = 0; i < config->mount_count; i++) {
        needs = needs || config->mounts[i].kind == CELLA_PROGRAM_MOUNT_ENCRYPTED;
    }
    return needs;
}

/* A TOML string: what it may not hold as it is, escaped. */
static void quote(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7F) {
            fprintf(stream, "\\u%04X", *c);
        } else {
            fprintf(stream, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        }
    }
    fputc('"', stream);
}

cella_result program_sign_default(const char *executable, struct program_manifest *manifest,
                                  struct cella_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    CELLA_ENSURE(stream != NULL, OUT_OF_MEMORY);
    fputs("[program]\narguments_from_host = true\nexecutable = ", stream);
    quote(stream, executable);
    fputc('\n', stream);
    if (fclose(stream) != 0) {
        free(text);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    program_manifest_init(manifest);
    /* No folder: a relative path starts in the working directory. */
    cella_result result =
        program_manifest_parse_toml(cella_bytes_of(text, size), executable, manifest, error);
    free(text);
    return result;
}

/* ------------------------------------------------------------------- the image */

/* EGo's manifests have been made relative to the working directory already. NULL: out of memory. */
static char *host_path(const struct program_manifest *manifest, const char *path)
{
    return manifest->from_ego ? strdup(path) : program_manifest_host_path(manifest, path);
}

/* What people take for a program. */
static CELLA_MUST_USE cella_result executable_check(const char *path, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_attach_parts parts;
    struct cella_image already;

    CELLA_TRY(cella_file_read(path, CELLA_IMAGE_FILE_MAX, &file, error));
    CELLA_TRY(cella_attach_parse(cella_file_bytes(&file), &parts, error));
    if (file.size >= 2 && memcmp(file.data, "#!", 2) == 0) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "%s: a script; name its interpreter as the program and the script "
                               "as a file of the manifest",
                               path);
    }
    if (cella_is_ok(cella_image_parse(parts.program, &already, NULL))) {
        return cella_error_set(error, CELLA_RESULT(WRONG_STATE),
                               "%s: an enclave image already; expected the program that it was "
                               "made of",
                               path);
    }
    return CELLA_OK;
}

cella_result program_sign_load(struct program_manifest *manifest, struct cella_error *error)
{
    char *executable = host_path(manifest, manifest->executable);

    CELLA_ENSURE(executable != NULL, OUT_OF_MEMORY);
    cella_result result = executable_check(executable, error);
    free(executable);
    return cella_is_ok(result) ? program_manifest_load(manifest, error) : result;
}

/* The text of PT_INTERP; NULL: the program names none, or starts without it. */
static CELLA_MUST_USE cella_result interpreter_named(struct cella_bytes program,
                                                     const char **ret_path,
                                                     struct cella_error *error)
{
    struct cella_elf elf;
    Elf64_Phdr phdr;
    struct cella_bytes bytes;
    uint64_t needed;

    *ret_path = NULL;
    CELLA_TRY(cella_elf_parse_program(program, &elf, error));
    if (!cella_is_ok(cella_elf_phdr_find(&elf, PT_INTERP, &phdr)) ||
        (!cella_is_ok(cella_elf_dynamic(&elf, DT_NEEDED, &needed)))) {
        return CELLA_OK; /* Go's position-independent programs name one and need nothing of it */
    }
    if (!cella_is_ok(cella_bytes_slice(program, phdr.p_offset, phdr.p_filesz, &bytes)) ||
        !cella_is_ok(cella_elf_string(bytes, 0, ret_path))) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "the interpreter's name (PT_INTERP) is not in the file");
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result interpreter_read(struct program_manifest *manifest,
                                                    struct cella_bytes program,
                                                    struct cella_file *ret_file,
                                                    struct cella_error *error)
{
    const char *path;

    if (manifest->interpreter) {
        char *own = host_path(manifest, manifest->interpreter);
        CELLA_ENSURE(own != NULL, OUT_OF_MEMORY);
        cella_result result = cella_file_read(own, CELLA_IMAGE_FILE_MAX, ret_file, error);
        free(own);
        return result;
    }
    CELLA_TRY(interpreter_named(program, &path, error));
    return path ? cella_file_read(path, CELLA_IMAGE_FILE_MAX, ret_file, error) : CELLA_OK;
}

/* Nothing is signed that the kernel would refuse to run. */
static CELLA_MUST_USE cella_result description_check(const struct cella_buffer *output,
                                                     struct cella_error *error)
{
    struct cella_program_description description;
    struct cella_image image;
    struct cella_bytes bytes;
    const char *part = "";
    uint64_t at;

    CELLA_TRY(cella_image_parse(cella_buffer_bytes(output), &image, error));
    CELLA_TRY(cella_elf_at(image.segments, image.segment_count, image.info.program_offset,
                           image.info.program_size, &at));
    CELLA_TRY(cella_bytes_slice(image.file, at, image.info.program_size, &bytes));
    cella_result result = cella_program_description_take(bytes, &description, &part);
    return cella_is_ok(result)
               ? result
               : cella_error_set(error, result, "the program's kernel would refuse its %s: %s",
                                 part, cella_result_text(result));
}

static bool has_file(const struct cella_program_config *config, const char *path)
{
    for (uint32_t i = 0; i < config->file_count; i++) {
        if (strcmp(config->files[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * The program itself as a file at its path, where programs look for it (/proc/self/exe): `ret_config` with one file more, in
 * *ret_files, which the caller frees. Large programs would be in the image twice for few that look.
 */
static CELLA_MUST_USE cella_result executable_add(const struct cella_program_config *config,
                                                  struct cella_bytes program,
                                                  struct cella_program_config *ret_config,
                                                  struct cella_program_file_config **ret_files)
{
    *ret_config = *config;
    *ret_files = NULL;
    if (config->ego || program.size > EXECUTABLE_FILE_MAX || has_file(config, config->executable)) {
        return CELLA_OK;
    }
    struct cella_program_file_config *files =
        calloc((size_t)config->file_count + 1, sizeof(*files));
    CELLA_ENSURE(files != NULL, OUT_OF_MEMORY);
    if (config->file_count > 0) {
        memcpy(files, config->files, config->file_count * sizeof(*files));
    }
    files[config->file_count] = (struct cella_program_file_config){
        .path = config->executable, .content = program, .mode = 0755};
    ret_config->files = files;
    ret_config->file_count = config->file_count + 1;
    *ret_files = files;
    return CELLA_OK;
}

cella_result program_sign_image(struct program_sign *job, struct cella_buffer *output,
                                struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file kernel = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file interpreter = {0};
    struct program_manifest *manifest = job->manifest;
    struct cella_attach_parts parts;
    char path[SDK_PATH_MAX];

    CELLA_TRY(program_sign_kernel(needs_full_kernel(&manifest->config), path, sizeof(path), error));
    CELLA_TRY(cella_file_read(path, CELLA_IMAGE_FILE_MAX, &kernel, error));
    char *executable = host_path(manifest, manifest->executable);
    CELLA_ENSURE(executable != NULL, OUT_OF_MEMORY);
    cella_result result = cella_file_read(executable, CELLA_IMAGE_FILE_MAX, &file, error);
    free(executable);
    CELLA_TRY(result);
    CELLA_TRY(cella_attach_parse(cella_file_bytes(&file), &parts, error));
    CELLA_TRY(interpreter_read(manifest, parts.program, &interpreter, error));
    struct cella_program_config config;
    struct cella_program_file_config *files;
    CELLA_TRY(executable_add(&manifest->config, parts.program, &config, &files));
    result =
        cella_program_build(cella_file_bytes(&kernel), parts.program,
                            cella_file_bytes(&interpreter), &config, &job->report, output, error);
    free(files);
    CELLA_TRY(result);
    return description_check(output, error);
}

cella_result program_sign_key(struct program_sign *job, struct cella_key *ret_key,
                              struct cella_error *error)
{
    struct program_manifest *manifest = job->manifest;

    if (job->key) {
        return signing_key_read(job->key, true, ret_key, error);
    }
    if (manifest->key) {
        char *path = host_path(manifest, manifest->key);
        CELLA_ENSURE(path != NULL, OUT_OF_MEMORY);
        cella_result result = signing_key_read(path, true, ret_key, error);
        free(path);
        return result;
    }
    manifest->config.image.debug = true;
    return signing_debug_key(job->command, ret_key, error);
}

cella_result program_sign(struct program_sign *job, struct cella_buffer *output,
                          struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    struct cella_image image;
    uint8_t hash[32];

    CELLA_TRY(program_sign_key(job, &key, error));
    if (job->date == 0) {
        CELLA_TRY(signing_date(&job->date, error));
    }
    CELLA_TRY(program_sign_image(job, output, error));
    CELLA_TRY(signing_measure(output, hash, &image, error));
    cella_sigstruct_fill(&job->manifest->config.image, hash, job->date, &job->sigstruct);
    CELLA_TRY(cella_sigstruct_sign(&job->sigstruct, &key, error));
    return cella_image_put_sigstruct(output, &job->sigstruct);
}
