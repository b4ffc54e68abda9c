/*
 * `cella sign`: makes a signed enclave image of a linked static PIE.
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
#include "common/cleanup.h"
#include "image/build.h"
#include "image/sign.h"

#define SIGN_KEY_FILE_MAX (1u << 20)
#define SIGN_PATH_MAX 4096u

static const char g_usage[] =
    "usage: cella sign IMAGE [--config FILE] [--out FILE] [--key PEM]\n"
    "       cella sign IMAGE --digest-out FILE [--config FILE] [--out FILE]\n"
    "       cella sign PREPARED --signature FILE --public-key PEM [--out FILE]\n"
    "\n"
    "Makes a signed enclave image of IMAGE, a static PIE linked with libcella_enclave.a.\n"
    "\n"
    "  --config FILE      heap, stack, threads, product, SVN … (cella-sign(1), "
    "docs/formats/config.md)\n"
    "  --out FILE         the result; else IMAGE.signed (for PREPARED: the file itself)\n"
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
    const char *image;
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

/* SOURCE_DATE_EPOCH, or now. */
static CELLA_MUST_USE cella_result date_default(uint32_t *ret_date, struct cella_error *error)
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
    case 'h':
        options->help = true;
        return CELLA_OK;
    default:
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "`cella sign --help` lists the options");
    }
}

static CELLA_MUST_USE cella_result options_parse(int argc, char **argv,
                                                 struct sign_options *options,
                                                 struct cella_error *error)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
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
    if (optind + 1 != argc) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT), "expected one image file");
    }
    options->image = argv[optind];
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
    return options->date ? CELLA_OK : date_default(&options->date, error);
}

/* $XDG_STATE_HOME/cella/debug-key.pem, its folder made. */
static CELLA_MUST_USE cella_result debug_key_path(char *path, size_t size,
                                                  struct cella_error *error)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    bool own = state && state[0] == '/';
    int used;

    if (!own && (!home || home[0] != '/')) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                               "no place for a debug key: HOME is not set; give --key");
    }
    used = snprintf(path, size, "%s%s/cella/debug-key.pem", own ? state : home,
                    own ? "" : "/.local/state");
    if (used < 0 || (size_t)used >= size) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "the path of the debug key is too long; give --key");
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
        if (failed) {
            return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
        }
        *slash = '/';
    }
    return CELLA_OK;
}

static CELLA_MUST_USE cella_result key_file_read(const char *path, bool is_private,
                                                 struct cella_key *ret_key,
                                                 struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    CELLA_TRY(cella_file_read(path, SIGN_KEY_FILE_MAX, &file, error));
    cella_result result = cella_key_read(cella_file_bytes(&file), is_private, path, ret_key, error);
    explicit_bzero(file.data, file.size);
    return result;
}

/* The machine's own key for debug enclaves, made at the first use. */
static CELLA_MUST_USE cella_result debug_key(struct cella_key *ret_key, struct cella_error *error)
{
    char path[SIGN_PATH_MAX];
    char *pem;
    size_t size;
    const char *made = "";

    CELLA_TRY(debug_key_path(path, sizeof(path), error));
    if (access(path, F_OK) == 0) {
        CELLA_TRY(key_file_read(path, true, ret_key, error));
    } else {
        CELLA_TRY(cella_key_generate(ret_key, error));
        CELLA_TRY(cella_key_write(ret_key, &pem, &size));
        cella_result result = cella_file_write(path, pem, size, 0600, error);
        explicit_bzero(pem, size);
        free(pem);
        CELLA_TRY(result);
        made = ", made now";
    }
    fprintf(stderr, "cella sign: no --key: signed for debugging only, with %s%s\n", path, made);
    return CELLA_OK;
}

static void report_site(void *context, const struct cella_rewrite_site *site)
{
    (void)context;
    fprintf(stderr, "cella sign: syscall at 0x%llx in %s: %s%s\n",
            (unsigned long long)site->address, site->function[0] ? site->function : "(no symbol)",
            site->left_because ? "left: " : "rewritten",
            site->left_because ? site->left_because : "");
}

/* Parses and measures what was built, so that nothing is signed that the loader would refuse. */
static CELLA_MUST_USE cella_result measure(const struct cella_buffer *output, uint8_t *ret_hash,
                                           struct cella_image *image, struct cella_error *error)
{
    CELLA_TRY(cella_image_parse(cella_buffer_bytes(output), image, error));
    return cella_image_measure(image, ret_hash);
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
    CELLA_TRY(measure(output, hash, &image, error));
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
    CELLA_TRY(cella_file_read(options->config, SIGN_KEY_FILE_MAX, &text, error));
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
        CELLA_TRY(key_file_read(options->key, true, &key, error));
    } else if (!options->digest_out) {
        CELLA_TRY(debug_key(&key, error));
        config.debug = true;
    }
    CELLA_TRY(prepare(options, &config, build, output, sigstruct, error));
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
    CELLA_TRY(cella_file_read(options->signature, SIGN_KEY_FILE_MAX, &signature, error));
    CELLA_TRY(key_file_read(options->public_key, false, &key, error));
    CELLA_TRY(cella_buffer_append(output, input.data, input.size));
    CELLA_TRY(measure(output, hash, &image, error));
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

static CELLA_MUST_USE cella_result sign(const struct sign_options *options,
                                        struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer output = {0};
    struct cella_image_build build = {0};
    struct sgx_sigstruct sigstruct;
    char out[SIGN_PATH_MAX];
    int used = snprintf(out, sizeof(out), "%s%s", options->out ? options->out : options->image,
                        options->out || options->signature ? "" : ".signed");

    if (used < 0 || (size_t)used >= sizeof(out)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "the path is too long");
    }
    if (options->signature) {
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
