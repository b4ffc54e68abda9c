/*
 * oesign: signs an enclave image, makes the digest for a signature elsewhere, prints what an image says.
 * Side: tools. Called by people and builds. Command line and texts that builds look for are Open Enclave's.
 * Never writes an image that the loader would refuse.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat/openenclave/tools/oesign.h"

static const char g_usage[] =
    "Usage: %s <command> [options]\n"
    "\n"
    "Commands:\n"
    "  sign    sign an enclave image\n"
    "  digest  write the digest of an enclave image, to be signed elsewhere\n"
    "  dump    print the properties and the signature of an enclave image\n"
    "\n"
    "%s <command> --help lists a command's options; man oesign says more.\n";

static const char g_usage_sign[] =
    "Usage: %s sign -e ENCLAVE_IMAGE [-c CONFIG_FILE] SIGN_OPTIONS [-o OUTPUT_FILE]\n"
    "\n"
    "  -e, --enclave-image FILE     the linked enclave\n"
    "  -c, --config-file FILE       NAME=VALUE lines: Debug, ProductID, SecurityVersion, "
    "NumHeapPages,\n"
    "                               NumStackPages, NumTCS, ExtendedProductID, FamilyID,\n"
    "                               CapturePFGPExceptions, CreateZeroBaseEnclave, StartAddress\n"
    "  -o, --output-file FILE       default: ENCLAVE_IMAGE.signed\n"
    "\n"
    "SIGN_OPTIONS, one of:\n"
    "  -k, --key-file FILE          private key, PEM: RSA-3072 with exponent 3\n"
    "  -x, --x509 FILE              certificate of the key that signed the digest, PEM, with\n"
    "  -d, --digest-signature FILE  the signature of the digest\n"
    "  -n, --engine, -i, --key-id, -p, --load-path\n"
    "                               keys in OpenSSL engines: not supported; use digest and -x, "
    "-d\n";

static const char g_usage_digest[] =
    "Usage: %s digest -e ENCLAVE_IMAGE [-c CONFIG_FILE] -d DIGEST_FILE\n"
    "\n"
    "  -e, --enclave-image FILE     the linked enclave\n"
    "  -c, --config-file FILE       as for sign\n"
    "  -d, --digest-file FILE       gets the SHA-256 digest, 32 bytes\n";

static const char g_usage_dump[] = "Usage: %s dump -e ENCLAVE_IMAGE\n"
                                   "\n"
                                   "  -e, --enclave-image FILE     signed or not\n";

static const char *g_program = "oesign";

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *format, ...)
{
    va_list list;
    fprintf(stderr, "%s: ERROR: ", g_program);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return 1;
}

static int finish(cella_result result, const struct cella_error *error)
{
    return cella_is_ok(result)
               ? 0
               : fail("%s", error->text[0] ? error->text : cella_result_text(result));
}

/* 0: go on; 1: wrong; -1: help was asked for. */
static int options_read(int argc, char **argv, const struct option *longs, const char *shorts,
                        const char *usage, struct oesign_options *options)
{
    int option;
    optind = 2;
    while ((option = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const char **place = option == 'e'   ? &options->image
                             : option == 'c' ? &options->config
                             : option == 'k' ? &options->key
                             : option == 'd' ? &options->digest
                             : option == 'o' ? &options->output
                             : option == 'x' ? &options->x509
                             : option == 'n' ? &options->engine
                             : option == 'p' ? &options->load_path
                             : option == 'i' ? &options->key_id
                                             : NULL;
        if (option == 'h') {
            fprintf(stderr, usage, g_program);
            return -1;
        }
        if (!place) {
            return 1;
        }
        *place = optarg;
    }
    if (!options->image) {
        return fail("--enclave-image option is missing");
    }
    return 0;
}

static int sign_check(const struct oesign_options *options)
{
    if (options->engine || options->load_path || options->key_id) {
        if (options->key) {
            return fail("--key-file cannot be used with engine options");
        }
        if (options->digest || options->x509) {
            return fail("--digest-signature and --x509 cannot be used with engine options");
        }
        if (!options->engine || !options->key_id) {
            return fail("Both --key-id and its --engine must be specified");
        }
        return fail("keys in OpenSSL engines are not supported: sign what `oesign digest` writes "
                    "with the engine's own tool, then use --x509 and --digest-signature");
    }
    if (options->digest || options->x509) {
        if (options->key) {
            return fail("--key-file cannot be used with digest signing options");
        }
        return options->digest && options->x509
                   ? 0
                   : fail("--digest-signature must be used with --x509");
    }
    return options->key ? 0 : fail("One of the SIGN_OPTIONS like --key-file must be specified");
}

static int command_sign(int argc, char **argv)
{
    static const struct option longs[] = {
        {"help", no_argument, NULL, 'h'},
        {"enclave-image", required_argument, NULL, 'e'},
        {"config-file", required_argument, NULL, 'c'},
        {"key-file", required_argument, NULL, 'k'},
        {"digest-signature", required_argument, NULL, 'd'},
        {"output-file", required_argument, NULL, 'o'},
        {"x509", required_argument, NULL, 'x'},
        {"engine", required_argument, NULL, 'n'},
        {"load-path", required_argument, NULL, 'p'},
        {"key-id", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    struct oesign_options options = {0};
    struct cella_error error = {0};
    if (argc <= 2) {
        fprintf(stderr, g_usage_sign, g_program);
        return 1;
    }
    int stop = options_read(argc, argv, longs, "he:c:k:n:p:i:d:o:x:", g_usage_sign, &options);
    if (stop == 0) {
        stop = sign_check(&options);
    }
    if (stop != 0) {
        return stop > 0;
    }
    return finish(oesign_sign(&options, &error), &error);
}

static int command_digest(int argc, char **argv)
{
    static const struct option longs[] = {
        {"help", no_argument, NULL, 'h'},
        {"enclave-image", required_argument, NULL, 'e'},
        {"config-file", required_argument, NULL, 'c'},
        {"digest-file", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    struct oesign_options options = {0};
    struct cella_error error = {0};
    if (argc <= 2) {
        fprintf(stderr, g_usage_digest, g_program);
        return 1;
    }
    const int stop = options_read(argc, argv, longs, "he:c:d:", g_usage_digest, &options);
    if (stop != 0) {
        return stop > 0;
    }
    if (!options.digest) {
        return fail("--digest-file option is missing");
    }
    return finish(oesign_digest(&options, &error), &error);
}

static int command_dump(int argc, char **argv)
{
    static const struct option longs[] = {
        {"help", no_argument, NULL, 'h'},
        {"enclave-image", required_argument, NULL, 'e'},
        {NULL, 0, NULL, 0},
    };
    struct oesign_options options = {0};
    struct cella_error error = {0};
    const int stop = options_read(argc, argv, longs, "he:", g_usage_dump, &options);
    if (stop != 0) {
        return stop > 0;
    }
    return finish(oesign_dump(options.image, &error), &error);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *command = argc > 1 ? argv[1] : "";
    g_program = slash ? slash + 1 : argv[0];
    if (strcmp(command, "sign") == 0) {
        return command_sign(argc, argv);
    }
    if (strcmp(command, "digest") == 0) {
        return command_digest(argc, argv);
    }
    if (strcmp(command, "dump") == 0) {
        return command_dump(argc, argv);
    }
    const int asked = strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0;
    fprintf(asked ? stdout : stderr, g_usage, g_program, g_program);
    return !asked;
}
