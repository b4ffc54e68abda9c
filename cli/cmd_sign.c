/*
 * `cella sign`: makes a signed enclave image of a linked static PIE, or of a whole program.
 * Side: tools. Called by cli/main.c. Never overwrites its input unless told to, never prints a
 * private key.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/file.h"
#include "cli/program_sign.h"
#include "cli/signing.h"
#include "common/cleanup.h"
#include "image/build.h"
#include "image/sign.h"

#define SIGN_PATH_MAX 4096u

static const char g_usage[] =
    "usage: cella sign IMAGE [--config FILE] [--out FILE] [--key PEM]\n"
    "       cella sign IMAGE --digest-out FILE [--config FILE] [--out FILE]\n"
    "       cella sign PREPARED --signature FILE --public-key PEM [--out FILE]\n"
    "       cella sign --program FILE [--out FILE] [--key PEM | --digest-out FILE]\n"
    "       cella sign --manifest FILE [--out FILE] [--key PEM | --digest-out FILE]\n"
    "\n"
    "Makes a signed enclave image of IMAGE, a static PIE linked with libcella_enclave.a, or of a "
    "whole\n"
    "Linux program that knows nothing of enclaves.\n"
    "\n"
    "  --program FILE     an executable, C or Go, static or dynamic; with what it needs of this "
    "machine's\n"
    "                     libraries, and no files, variables or names of the host otherwise\n"
    "  --manifest FILE    a cella.toml or an enclave.json, which says what the program may see\n"
    "  --config FILE      heap, stack, threads, product, SVN … (cella-sign(1), "
    "docs/formats/config.md)\n"
    "  --out FILE         the result; else IMAGE.signed (for PREPARED: the file itself; for a "
    "program:\n"
    "                     PROGRAM.cella)\n"
    "  --key PEM          RSA-3072 private key with exponent 3 (openssl genrsa -3 3072); without "
    "it\n"
    "                     the machine's own debug key signs and the image is marked debug\n"
    "  --digest-out FILE  two steps: write the 256 bytes to be signed elsewhere, and the prepared "
    "image\n"
    "  --signature FILE   two steps: attach this signature (openssl dgst -sha256 -sign) …\n"
    "  --public-key PEM   … made by the owner of this key\n"
    "  --date YYYYMMDD    date in the signature; else SOURCE_DATE_EPOCH; else today\n"
    "  --keep-syscalls    do not rewrite `syscall` instructions\n"
    "  --verbose          name every `syscall` site on stderr\n"
    "  --json             print the result as JSON\n"
    "  --help             this text\n";

struct sign_options {
    const char *image; /* NULL: a program */
    const char *program;
    const char *manifest;
    const char *config;
    const char *out;
    const char *key;
    const char *digest_out;
    const char *signature;
    const char *public_key;
    uint32_t date;
    bool keep_syscalls;
    bool verbose;
    bool json;
    bool help;
};

/* BCD out of eight digits; 0 when it is no date. */
static uint32_t date_of(const char *text)
{
    uint32_t bcd = 0;
    if (strlen(text) != 8 || strspn(text, "0123456789") != 8) {
        return 0;
    }
    for (const char *c = text; *c; c++) {
        bcd = bcd << 4 | (uint32_t)(*c - '0');
    }
    uint32_t month = bcd >> 8 & 0xFF;
    uint32_t day = bcd & 0xFF;
    return month >= 1 && month <= 0x12 && day >= 1 && day <= 0x31 ? bcd : 0;
}

/* One option of getopt_long's. */
static CELLA_MUST_USE cella_result option_take(int option, struct sign_options *options,
                                               struct cella_error *error)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        return CELLA_OK;
    case 'o':
        options->out = optarg;
        return CELLA_OK;
    case 'k':
        options->key = optarg;
        return CELLA_OK;
    case 'd':
        options->digest_out = optarg;
        return CELLA_OK;
    case 's':
        options->signature = optarg;
        return CELLA_OK;
    case 'p':
        options->public_key = optarg;
        return CELLA_OK;
    case 't':
        options->date = date_of(optarg);
        if (options->date == 0) {
            return cella_error_set(error, CELLA_RESULT(OUT_OF_RANGE),
                                   "--date %s: expected YYYYMMDD", optarg);
        }
        return CELLA_OK;
    case 'n':
        options->keep_syscalls = true;
        return CELLA_OK;
    case 'v':
        options->verbose = true;
        return CELLA_OK;
    case 'j':
        options->json = true;
        return CELLA_OK;
    case 'P':
        options->program = optarg;
        return CELLA_OK;
    case 'm':
        options->manifest = optarg;
        return CELLA_OK;
    case 'h':
        options->help = true;
        return CELLA_OK;
    default:
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "`cella sign --help` lists the options");
    }
}

static CELLA_MUST_USE cella_result options_program_check(const struct sign_options *options,
                                                         bool has_image, struct cella_error *error)
{
    if (has_image || (options->program && options->manifest)) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "expected one of an image file, --program and --manifest");
    }
    if (options->config || options->keep_syscalls) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--config and --keep-syscalls are for enclaves; a program has a "
                               "manifest");
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result options_parse(int argc, char **argv,
                                                 struct sign_options *options,
                                                 struct cella_error *error)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"program", required_argument, NULL, 'P'},
        {"manifest", required_argument, NULL, 'm'},
        {"out", required_argument, NULL, 'o'},
        {"key", required_argument, NULL, 'k'},
        {"digest-out", required_argument, NULL, 'd'},
        {"signature", required_argument, NULL, 's'},
        {"public-key", required_argument, NULL, 'p'},
        {"date", required_argument, NULL, 't'},
        {"keep-syscalls", no_argument, NULL, 'n'},
        {"verbose", no_argument, NULL, 'v'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        CELLA_TRY(option_take(option, options, error));
        if (options->help) {
            return CELLA_OK;
        }
    }
    if (options->program || options->manifest) {
        CELLA_TRY(options_program_check(options, optind < argc, error));
    } else if (optind + 1 != argc) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT), "expected one image file");
    } else {
        options->image = argv[optind];
    }
    if ((options->signature == NULL) != (options->public_key == NULL)) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--signature and --public-key go together");
    }
    if ((options->key != NULL) + (options->digest_out != NULL) + (options->signature != NULL) > 1) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--key, --digest-out and --signature exclude each other");
    }
    if (options->signature && options->config) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--config belongs to the step with --digest-out");
    }
    return options->date ? CELLA_OK : signing_date(&options->date, error);
}

/* A program and its manifest. Zero-initialise; freed by _done. */
struct sign_program {
    struct program_manifest manifest;
    struct program_sign job;
};

static void sign_program_done(struct sign_program *program)
{
    program_manifest_done(&program->manifest);
}

static CELLA_MUST_USE cella_result sign_program_read(const struct sign_options *options,
                                                     struct sign_program *program,
                                                     struct cella_error *error)
{
    struct program_manifest *manifest = &program->manifest;

    program->job.command = "cella sign";
    program->job.manifest = manifest;
    program->job.key = options->key;
    if (options->program) {
        CELLA_TRY(program_sign_default(options->program, manifest, error));
    } else {
        program_manifest_init(manifest);
        CELLA_TRY(program_manifest_read(options->manifest, manifest, stderr, error));
    }
    return program_sign_load(manifest, error);
}

static void report_program_site(void *context, const struct cella_rewrite_site *site)
{
    const struct cella_program_report *report = context;
    fprintf(stderr, "cella sign: %s: syscall at 0x%llx in %s: %s%s\n", report->file,
            (unsigned long long)site->address, site->function[0] ? site->function : "(no symbol)",
            site->left_because ? "left: " : "rewritten",
            site->left_because ? site->left_because : "");
}

static void report_site(void *context, const struct cella_rewrite_site *site)
{
    (void)context;
    fprintf(stderr, "cella sign: syscall at 0x%llx in %s: %s%s\n",
            (unsigned long long)site->address, site->function[0] ? site->function : "(no symbol)",
            site->left_because ? "left: " : "rewritten",
            site->left_because ? site->left_because : "");
}

/* Everything up to the signature. */
static CELLA_MUST_USE cella_result prepare(const struct sign_options *options,
                                           struct cella_image_config *config,
                                           struct cella_image_build *build,
                                           struct cella_buffer *output,
                                           struct sgx_sigstruct *ret_sigstruct,
                                           struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    struct cella_image image;
    uint8_t hash[32];

    CELLA_TRY(cella_file_read(options->image, CELLA_IMAGE_FILE_MAX, &input, error));
    build->keep_syscalls = options->keep_syscalls;
    build->site = options->verbose ? report_site : NULL;
    CELLA_TRY(cella_image_build(cella_file_bytes(&input), config, build, output, error));
    CELLA_TRY(signing_measure(output, hash, &image, error));
    cella_sigstruct_fill(config, hash, options->date, ret_sigstruct);
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result config_read(const struct sign_options *options,
                                               struct cella_image_config *ret_config,
                                               struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file text = {0};

    cella_config_defaults(ret_config);
    if (!options->config) {
        return CELLA_OK;
    }
    CELLA_TRY(cella_file_read(options->config, SIGNING_KEY_FILE_MAX, &text, error));
    return cella_config_parse(cella_file_bytes(&text), options->config, ret_config, error);
}

/* One step, or the first of two. */
static CELLA_MUST_USE cella_result sign_new(const struct sign_options *options,
                                            struct cella_image_build *build,
                                            struct cella_buffer *output,
                                            struct sgx_sigstruct *sigstruct,
                                            struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    struct cella_image_config config;
    uint8_t message[CELLA_SIGSTRUCT_MESSAGE_SIZE];

    CELLA_TRY(config_read(options, &config, error));
    if (options->key) {
        CELLA_TRY(signing_key_read(options->key, true, &key, error));
    } else if (!options->digest_out) {
        CELLA_TRY(signing_debug_key("cella sign", &key, error));
        config.debug = true;
    }
    CELLA_TRY(prepare(options, &config, build, output, sigstruct, error));
    if (!options->digest_out) {
        return cella_sigstruct_sign(sigstruct, &key, error);
    }
    cella_sigstruct_message(sigstruct, message);
    return cella_file_write(options->digest_out, message, sizeof(message), 0644, error);
}

/* The same for a whole program. */
static CELLA_MUST_USE cella_result sign_program(const struct sign_options *options,
                                                struct sign_program *program,
                                                struct cella_image_build *build,
                                                struct cella_buffer *output,
                                                struct sgx_sigstruct *sigstruct,
                                                struct cella_error *error)
{
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    struct program_sign *job = &program->job;
    struct cella_image image;
    uint8_t hash[32];
    uint8_t message[CELLA_SIGSTRUCT_MESSAGE_SIZE];

    if (!options->digest_out) {
        CELLA_TRY(program_sign_key(job, &key, error));
    }
    if (options->verbose) {
        job->report.site = report_program_site;
        job->report.site_context = &job->report;
    }
    CELLA_TRY(program_sign_image(job, output, error));
    CELLA_TRY(signing_measure(output, hash, &image, error));
    cella_sigstruct_fill(&program->manifest.config.image, hash, options->date, sigstruct);
    build->site_count = job->report.site_count + job->report.file_site_count;
    build->rewritten_count = job->report.rewritten_count + job->report.file_rewritten_count;
    if (!options->digest_out) {
        return cella_sigstruct_sign(sigstruct, &key, error);
    }
    cella_sigstruct_message(sigstruct, message);
    return cella_file_write(options->digest_out, message, sizeof(message), 0644, error);
}

/* The second of two steps. */
static CELLA_MUST_USE cella_result sign_attach(const struct sign_options *options,
                                               struct cella_buffer *output,
                                               struct sgx_sigstruct *sigstruct,
                                               struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file input = {0};
    CELLA_CLEANUP(cella_file_done) struct cella_file signature = {0};
    CELLA_CLEANUP(cella_key_done) struct cella_key key = {0};
    struct cella_image image;
    uint8_t hash[32];

    CELLA_TRY(cella_file_read(options->image, CELLA_IMAGE_FILE_MAX, &input, error));
    CELLA_TRY(cella_file_read(options->signature, SIGNING_KEY_FILE_MAX, &signature, error));
    CELLA_TRY(signing_key_read(options->public_key, false, &key, error));
    CELLA_TRY(cella_buffer_append(output, input.data, input.size));
    CELLA_TRY(signing_measure(output, hash, &image, error));
    *sigstruct = image.sigstruct;
    if (memcmp(hash, sigstruct->enclave_hash, sizeof(hash)) != 0) {
        return cella_error_set(error, CELLA_RESULT(MEASUREMENT_MISMATCH),
                               "%s was not prepared with --digest-out, or was changed since",
                               options->image);
    }
    return cella_sigstruct_attach(sigstruct, &key, cella_file_bytes(&signature), error);
}

static void hex_of(const uint8_t *bytes, size_t size, char *ret_text)
{
    for (size_t i = 0; i < size; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void print_result(const struct sign_options *options, const char *out,
                         const struct sgx_sigstruct *sigstruct,
                         const struct cella_image_build *build)
{
    uint8_t signer[32];
    char mr_enclave[65];
    char mr_signer[65] = "";
    bool debug = sigstruct->attributes.flags & SGX_FLAGS_DEBUG;

    hex_of(sigstruct->enclave_hash, 32, mr_enclave);
    if (!options->digest_out && cella_is_ok(cella_sigstruct_signer(sigstruct, signer))) {
        hex_of(signer, 32, mr_signer);
    }
    if (options->json) {
        json_t *root =
            json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:{s:i, s:i, s:i}}", "file", out, "mrenclave",
                      mr_enclave, "mrsigner", mr_signer, "debug", (int)debug, "product_id",
                      (int)sigstruct->isv_prod_id, "svn", (int)sigstruct->isv_svn, "syscall_sites",
                      "found", (int)build->site_count, "rewritten", (int)build->rewritten_count,
                      "left", (int)(build->site_count - build->rewritten_count));
        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("file       %s\nmrenclave  %s\n", out, mr_enclave);
    if (mr_signer[0]) {
        printf("mrsigner   %s\n", mr_signer);
    }
    printf("product    %u, svn %u, %s\n", sigstruct->isv_prod_id, sigstruct->isv_svn,
           debug ? "debug" : "production");
    if (build->site_count) {
        printf("syscalls   %u sites, %u rewritten, %u left\n", build->site_count,
               build->rewritten_count, build->site_count - build->rewritten_count);
    }
}

/* Where the result goes. */
static CELLA_MUST_USE cella_result out_path(const struct sign_options *options,
                                            const struct sign_program *program, char *ret_path,
                                            struct cella_error *error)
{
    const char *base = options->image;
    const char *folder = "";
    const char *end = options->signature ? "" : ".signed";
    int used;

    if (!base) {
        const struct program_manifest *manifest = &program->manifest;
        base = manifest->executable;
        folder = base[0] != '/' && manifest->folder && !manifest->from_ego ? manifest->folder : "";
        end = ".cella";
    }
    used = options->out ? snprintf(ret_path, SIGN_PATH_MAX, "%s", options->out)
                        : snprintf(ret_path, SIGN_PATH_MAX, "%s%s%s%s", folder, *folder ? "/" : "",
                                   base, end);
    if (used < 0 || (size_t)used >= SIGN_PATH_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "the path is too long");
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result sign(const struct sign_options *options,
                                        struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    CELLA_CLEANUP(sign_program_done) struct sign_program program = {0};
    struct cella_image_build build = {0};
    struct sgx_sigstruct sigstruct;
    char out[SIGN_PATH_MAX];

    if (!options->image) {
        CELLA_TRY(sign_program_read(options, &program, error));
    }
    CELLA_TRY(out_path(options, &program, out, error));
    if (!options->image) {
        CELLA_TRY(sign_program(options, &program, &build, &output, &sigstruct, error));
    } else if (options->signature) {
        CELLA_TRY(sign_attach(options, &output, &sigstruct, error));
    } else {
        CELLA_TRY(sign_new(options, &build, &output, &sigstruct, error));
    }
    CELLA_TRY(cella_image_put_sigstruct(&output, &sigstruct));
    CELLA_TRY(cella_file_write(out, output.data, output.size, 0755, error));
    print_result(options, out, &sigstruct, &build);
    return CELLA_OK;
}

int cella_cmd_sign(int argc, char **argv)
{
    struct sign_options options = {0};
    struct cella_error error = {0};

    cella_result result = options_parse(argc, argv, &options, &error);
    if (options.help) {
        fputs(g_usage, stdout);
        return 0;
    }
    bool usable = cella_is_ok(result);
    if (usable) {
        result = sign(&options, &error);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella sign: %s%s%s\n", options.image && usable ? options.image : "",
                options.image && usable ? ": " : "",
                error.text[0] ? error.text : cella_result_text(result));
        return usable ? 1 : 2;
    }
    return 0;
}
