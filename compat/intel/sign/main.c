/*
 * sgx_sign: the command line of the Intel SGX SDK's signer over Cella's.
 * Side: tools. Started by people and Makefiles. Never leaves an output behind when it fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "compat/intel/sign/dump.h"
#include "compat/intel/sign/image.h"
#include "compat/intel/sign/options.h"

#define KEY_FILE_MAX (1u << 20)

static CELLA_MUST_USE cella_result key_read(const struct sign_options *options, bool is_private,
                                            struct cella_key *ret_key, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    const char *path = options->path[SIGN_KEY];
    CELLA_TRY(cella_file_read(path, KEY_FILE_MAX, &file, error));
    const bool has_private = memmem(file.data, file.size, "PRIVATE KEY", 11) != NULL;
    if (has_private != is_private) {
        explicit_bzero(file.data, file.size);
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "%s: a %s key; the command \"%s\" needs a %s one", path,
                               has_private ? "private" : "public", options->command,
                               is_private ? "private" : "public");
    }
    cella_result result = cella_key_read(cella_file_bytes(&file), is_private, path, ret_key, error);
    explicit_bzero(file.data, file.size);
    return result;
}

static CELLA_MUST_USE cella_result config_read(const struct sign_options *options,
                                               struct intel_config *ret_config,
                                               struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    const char *path = options->path[SIGN_CONFIG];
    intel_config_defaults(ret_config);
    if (!path) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_file_read(path, INTEL_CONFIG_FILE_MAX, &file, error));
    return intel_config_parse(cella_file_bytes(&file), path, ret_config, error);
}

/* SOURCE_DATE_EPOCH, or now. */
static CELLA_MUST_USE cella_result date_get(uint32_t *ret_date, struct cella_error *error)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    long long seconds = (long long)time(NULL);
    if (text) {
        char *end;
        errno = 0;
        seconds = strtoll(text, &end, 10);
        if (errno || end == text || *end || cella_sigstruct_date(seconds) == 0) {
            return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                                   "SOURCE_DATE_EPOCH is '%s'; expected seconds since 1970", text);
        }
    }
    *ret_date = cella_sigstruct_date(seconds);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result input_read(const struct sign_options *options,
                                              struct cella_file *ret_file,
                                              struct cella_error *error)
{
    const char *path = options->path[SIGN_ENCLAVE];
    CELLA_TRY(cella_file_read(path, CELLA_IMAGE_FILE_MAX, ret_file, error));
    if (!options->resign && intel_input_kind(cella_file_bytes(ret_file)) == INTEL_INPUT_SIGNED) {
        return cella_error_set(error, CELLA_RESULT(WRONG_STATE),
                               "%s has been signed already; -resign signs it anew", path);
    }
    return CELLA_OK;
}

/* The 256 bytes that gendata wrote; the date is theirs. */
static CELLA_MUST_USE cella_result material_read(const struct sign_options *options,
                                                 uint8_t ret_material[CELLA_SIGSTRUCT_MESSAGE_SIZE],
                                                 struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    const char *path = options->path[SIGN_UNSIGNED];
    CELLA_TRY(cella_file_read(path, KEY_FILE_MAX, &file, error));
    if (file.size != CELLA_SIGSTRUCT_MESSAGE_SIZE) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s: %zu bytes; expected %u", path,
                               file.size, (unsigned)CELLA_SIGSTRUCT_MESSAGE_SIZE);
    }
    memcpy(ret_material, file.data, file.size);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result outputs_write(const struct sign_options *options,
                                                 const struct cella_buffer *output,
                                                 struct cella_error *error)
{
    CELLA_TRY(cella_file_write(options->path[SIGN_OUT], output->data, output->size, 0755, error));
    return sign_dump(cella_buffer_bytes(output), options->path[SIGN_DUMPFILE],
                     options->path[SIGN_CSSFILE], error);
}

static CELLA_MUST_USE cella_result command_sign(const struct sign_options *options,
                                                const struct intel_config *config,
                                                struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    struct sgx_sigstruct sigstruct;
    uint32_t date;
    CELLA_TRY(key_read(options, true, &key, error));
    CELLA_TRY(date_get(&date, error));
    CELLA_TRY(input_read(options, &input, error));
    CELLA_TRY(intel_image_make(cella_file_bytes(&input), config, date, &output, &sigstruct, error));
    CELLA_TRY(cella_sigstruct_sign(&sigstruct, &key, error));
    CELLA_TRY(cella_image_put_sigstruct(&output, &sigstruct));
    return outputs_write(options, &output, error);
}

static CELLA_MUST_USE cella_result command_gendata(const struct sign_options *options,
                                                   const struct intel_config *config,
                                                   struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    uint8_t material[CELLA_SIGSTRUCT_MESSAGE_SIZE];
    struct sgx_sigstruct sigstruct;
    uint32_t date;
    CELLA_TRY(date_get(&date, error));
    CELLA_TRY(input_read(options, &input, error));
    CELLA_TRY(intel_image_make(cella_file_bytes(&input), config, date, &output, &sigstruct, error));
    cella_sigstruct_message(&sigstruct, material);
    return cella_file_write(options->path[SIGN_OUT], material, sizeof(material), 0644, error);
}

static CELLA_MUST_USE cella_result command_catsig(const struct sign_options *options,
                                                  const struct intel_config *config,
                                                  struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file signature = {0};
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    uint8_t material[CELLA_SIGSTRUCT_MESSAGE_SIZE];
    uint8_t own[CELLA_SIGSTRUCT_MESSAGE_SIZE];
    struct sgx_sigstruct sigstruct;
    uint32_t date;
    CELLA_TRY(key_read(options, false, &key, error));
    CELLA_TRY(material_read(options, material, error));
    memcpy(&date, material + offsetof(struct sgx_sigstruct, date), sizeof(date));
    CELLA_TRY(input_read(options, &input, error));
    CELLA_TRY(intel_image_make(cella_file_bytes(&input), config, date, &output, &sigstruct, error));
    cella_sigstruct_message(&sigstruct, own);
    if (memcmp(own, material, sizeof(own)) != 0) {
        return cella_error_set(error, CELLA_RESULT(MEASUREMENT_MISMATCH),
                               "%s does not belong to this enclave with this configuration",
                               options->path[SIGN_UNSIGNED]);
    }
    CELLA_TRY(cella_file_read(options->path[SIGN_SIG], KEY_FILE_MAX, &signature, error));
    CELLA_TRY(cella_sigstruct_attach(&sigstruct, &key, cella_file_bytes(&signature), error));
    CELLA_TRY(cella_image_put_sigstruct(&output, &sigstruct));
    return outputs_write(options, &output, error);
}

static CELLA_MUST_USE cella_result command_dump(const struct sign_options *options,
                                                struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    CELLA_TRY(cella_file_read(options->path[SIGN_ENCLAVE], CELLA_IMAGE_FILE_MAX, &input, error));
    return sign_dump(cella_file_bytes(&input), options->path[SIGN_DUMPFILE],
                     options->path[SIGN_CSSFILE], error);
}

static const enum sign_path g_outputs[] = {SIGN_OUT, SIGN_DUMPFILE, SIGN_CSSFILE};

static bool is_output(enum sign_path path)
{
    for (size_t i = 0; i < CELLA_COUNT(g_outputs); i++) {
        if (path == g_outputs[i]) {
            return true;
        }
    }
    return false;
}

static bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    return a && b && stat(a, &first) == 0 && stat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* An output must not be one of the inputs under another name. */
static CELLA_MUST_USE cella_result outputs_check(const struct sign_options *options,
                                                 struct cella_error *error)
{
    for (size_t i = 0; i < CELLA_COUNT(g_outputs); i++) {
        for (unsigned input = 0; input < SIGN_PATH_COUNT; input++) {
            const char *to = options->path[g_outputs[i]], *from = options->path[input];
            if (!is_output((enum sign_path)input) && same_file(to, from)) {
                return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                                       "%s and %s are the same file", from, to);
            }
        }
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result run(const struct sign_options *options,
                                       struct cella_error *error)
{
    struct intel_config config;
    if (options->mode == SIGN_MODE_DUMP) {
        return command_dump(options, error);
    }
    CELLA_TRY(config_read(options, &config, error));
    switch (options->mode) {
    case SIGN_MODE_SIGN:
        return command_sign(options, &config, error);
    case SIGN_MODE_GENDATA:
        return command_gendata(options, &config, error);
    default:
        return command_catsig(options, &config, error);
    }
}

/* Nothing of what a failed run has written stays. */
static void outputs_remove(const struct sign_options *options)
{
    for (size_t i = 0; i < CELLA_COUNT(g_outputs); i++) {
        if (options->path[g_outputs[i]]) {
            unlink(options->path[g_outputs[i]]);
        }
    }
}

int main(int argc, char **argv)
{
    struct sign_options options = {0};
    struct cella_error error = {0};
    const int early = sign_options_parse(argc, argv, &options);
    if (early >= 0) {
        return early;
    }
    cella_result result = outputs_check(&options, &error);
    if (cella_is_ok(result)) {
        result = run(&options, &error);
        if (!cella_is_ok(result)) {
            outputs_remove(&options);
        }
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "sgx_sign: %s\n", error.text[0] ? error.text : cella_result_text(result));
        fputs("Error happened while signing the enclave.\n", stderr);
        return 255;
    }
    puts("Succeed.");
    return 0;
}
