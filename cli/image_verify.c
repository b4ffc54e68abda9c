/*
 * cella image verify: what enclave a container image has in it, and whether it is the one that somebody means.
 * Side: tools. Called by cli/cmd_image.c. Never starts or unpacks the image.
 */
#include "cli/image_verify.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image_find.h"
#include "cli/image_job.h"
#include "common/cleanup.h"

static const char g_help[] =
    "usage: cella image verify IMAGE[:TAG] [--mrenclave HEX] [--mrsigner HEX] [OPTION...]\n"
    "\n"
    "Reads a container image (an OCI layout, an OCI archive or one of `docker save`, whoever made\n"
    "it), checks every digest, finds the enclave in it by what it is, measures it and compares:\n"
    "measurement, signature, and what the image's annotations say.\n"
    "\n"
    "  --mrenclave HEX   the enclave must have this measurement\n"
    "  --mrsigner HEX    it must be signed by this key (SHA-256 of its modulus)\n"
    "  --product-id N    its product id must be N\n"
    "  --min-svn N       its security version must be N or later\n"
    "  --no-debug        it must not be signed for debugging\n"
    "  --only            there must be no other enclave in the image\n"
    "  --enclave PATH    where it is in the image; else the annotation says it, or it is the only "
    "one\n"
    "  --json            the findings as JSON\n"
    "\n"
    "Exit status: 0 all of it holds, 1 something does not, 2 the image cannot be read.\n";

struct verify_line {
    const char *image;
    const char *enclave;
    uint8_t mr_enclave[32], mr_signer[32];
    bool has_mr_enclave, has_mr_signer, has_product, has_svn;
    unsigned product, svn;
    bool no_debug, only, json;
};

#define TROUBLES_MAX 32u

struct verdict {
    const struct verify_line *line;
    struct oci_reading reading;
    struct oci_found main;
    struct inspect inspect;
    bool found, inspected;
    bool annotated;
    char troubles[TROUBLES_MAX][320];
    unsigned trouble_count;
    json_t *others;
};

static void verdict_done(struct verdict **verdict)
{
    if (*verdict) {
        inspect_done(&(*verdict)->inspect);
        oci_reading_done(&(*verdict)->reading);
        json_decref((*verdict)->others);
    }
    free(*verdict);
}

static bool parse_hex(const char *text, uint8_t ret_bytes[32])
{
    if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64) {
        return false;
    }
    for (size_t i = 0; i < 32; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        ret_bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool parse_number(const char *text, unsigned *ret_value)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    *ret_value = (unsigned)value;
    return !errno && isdigit((unsigned char)text[0]) && !*end && value <= UINT16_MAX;
}

/* False: the value is no good. */
static bool parse_option(int option, struct verify_line *line)
{
    switch (option) {
    case 'e':
        line->has_mr_enclave = true;
        return parse_hex(optarg, line->mr_enclave);
    case 's':
        line->has_mr_signer = true;
        return parse_hex(optarg, line->mr_signer);
    case 'p':
        line->has_product = true;
        return parse_number(optarg, &line->product);
    case 'v':
        line->has_svn = true;
        return parse_number(optarg, &line->svn);
    case 'd':
        line->no_debug = true;
        return true;
    case 'o':
        line->only = true;
        return true;
    case 'a':
        line->enclave = optarg;
        return optarg[0] == '/';
    default:
        line->json = true;
        return true;
    }
}

static int parse(int argc, char **argv, struct verify_line *ret_line)
{
    static const struct option longs[] = {
        {"mrenclave", required_argument, NULL, 'e'},
        {"mrsigner", required_argument, NULL, 's'},
        {"product-id", required_argument, NULL, 'p'},
        {"min-svn", required_argument, NULL, 'v'},
        {"no-debug", no_argument, NULL, 'd'},
        {"only", no_argument, NULL, 'o'},
        {"enclave", required_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, index = 0;
    *ret_line = (struct verify_line){0};
    optind = 1;
    while ((option = getopt_long(argc, argv, "", longs, &index)) != -1) {
        if (option == 'h') {
            fputs(g_help, stdout);
            return 0;
        }
        if (option == '?') {
            return 2;
        }
        if (!parse_option(option, ret_line)) {
            fprintf(stderr, "cella image verify: --%s %s: expected %s\n", longs[index].name, optarg,
                    option == 'e' || option == 's' ? "64 hexadecimal digits"
                    : option == 'a'                ? "a path in the image that starts with /"
                                                   : "a number up to 65535");
            return 2;
        }
    }
    if (optind + 1 != argc) {
        fputs(g_help, stderr);
        return 2;
    }
    ret_line->image = argv[optind];
    return -1;
}

/* ------------------------------------------------------------------------- finding it */

static void trouble(struct verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void trouble(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;
    if (verdict->trouble_count < TROUBLES_MAX) {
        va_start(arguments, format);
        vsnprintf(verdict->troubles[verdict->trouble_count++], sizeof(verdict->troubles[0]), format,
                  arguments);
        va_end(arguments);
    }
}

static void choose(struct verdict *verdict)
{
    struct cella_error error = {0};
    verdict->found =
        cella_is_ok(image_find(&verdict->reading, verdict->line->enclave, &verdict->main, &error));
    if (!verdict->found) {
        trouble(verdict, "%.300s", error.text);
    }
}

/* ------------------------------------------------------------------------- judging it */

static void check_said(struct verdict *verdict)
{
    const json_t *labels =
        json_object_get(json_object_get(verdict->reading.config, "config"), "Labels");
    const json_t *annotations = json_object_get(verdict->reading.manifest, "annotations");
    const json_t *const both[] = {annotations, labels};
    json_t *truth = image_annotations(&verdict->inspect, verdict->main.path + 1);
    const char *key;
    json_t *value;
    for (size_t i = 0; i < CELLA_COUNT(both); i++) {
        json_object_foreach((json_t *)(uintptr_t)both[i], key, value)
        {
            const char *real = json_string_value(json_object_get(truth, key));
            const char *text = json_string_value(value);
            if (strncmp(key, "cella.dev/", 10) != 0) {
                continue;
            }
            verdict->annotated = true;
            if (real && (!text || strcmp(real, text) != 0)) {
                trouble(verdict, "the image says %.64s is %.80s; it is %.80s", key,
                        text ? text : "no text", real);
            }
        }
    }
    json_decref(truth);
}

static void check_wanted(struct verdict *verdict)
{
    const struct verify_line *line = verdict->line;
    const struct inspect_identity *identity = &verdict->inspect.identities[0];
    const struct sgx_sigstruct *s = &identity->sigstruct;
    if (line->has_mr_enclave && memcmp(line->mr_enclave, identity->mr_enclave, 32) != 0) {
        trouble(verdict, "its mrenclave is not the one that was asked for");
    }
    if (line->has_mr_signer && memcmp(line->mr_signer, identity->mr_signer, 32) != 0) {
        trouble(verdict, "its mrsigner is not the one that was asked for");
    }
    if (line->has_product && line->product != s->isv_prod_id) {
        trouble(verdict, "its product id is %u, not %u", s->isv_prod_id, line->product);
    }
    if (line->has_svn && s->isv_svn < line->svn) {
        trouble(verdict, "its security version is %u, older than %u", s->isv_svn, line->svn);
    }
    if (line->no_debug && (s->attributes.flags & SGX_FLAGS_DEBUG)) {
        trouble(verdict, "it is signed for debugging: whoever runs it can read its memory");
    }
}

static void judge(struct verdict *verdict)
{
    struct cella_error error = {0};
    cella_result result =
        inspect_read(&verdict->inspect, verdict->main.path, verdict->main.file, &error);
    if (!cella_is_ok(result) || verdict->inspect.identity_count == 0) {
        trouble(verdict, "%.200s: %.100s", verdict->main.path,
                error.text[0] ? error.text : cella_result_text(result));
        return;
    }
    verdict->inspected = true;
    for (uint32_t i = 0; i < verdict->inspect.identity_count; i++) {
        const struct inspect_identity *identity = &verdict->inspect.identities[i];
        if (!identity->matches) {
            trouble(verdict, "%.200s: the measurement is not the one that was signed",
                    verdict->main.path);
        }
        if (!identity->signature_good) {
            trouble(verdict, "%.100s: the signature is not valid: %.180s", verdict->main.path,
                    identity->trouble);
        }
    }
    check_said(verdict);
    check_wanted(verdict);
}

/* Enclaves beside the one that is meant; the platform's quoting enclaves, for example. */
static void list_others(struct verdict *verdict)
{
    struct oci_found found;
    for (size_t i = 0; oci_rootfs_found(verdict->reading.rootfs, i, &found); i++) {
        static struct inspect inspect;
        char hex[2][OCI_HEX_SIZE] = {"", ""};
        struct cella_error error = {0};
        if (verdict->found && strcmp(found.path, verdict->main.path) == 0) {
            continue;
        }
        inspect = (struct inspect){0};
        if (cella_is_ok(inspect_read(&inspect, found.path, found.file, &error)) &&
            inspect.identity_count > 0) {
            oci_hex(inspect.identities[0].mr_enclave, 32, hex[0]);
            oci_hex(inspect.identities[0].mr_signer, 32, hex[1]);
        }
        inspect_done(&inspect);
        json_array_append_new(verdict->others, json_pack("{s:s, s:s, s:s}", "enclave", found.path,
                                                         "mrenclave", hex[0], "mrsigner", hex[1]));
        if (verdict->line->only) {
            trouble(verdict, "%.200s is another enclave in the image", found.path);
        }
    }
}

/* ------------------------------------------------------------------------- saying it */

static void print_text(const struct verdict *verdict)
{
    const struct oci_reading *reading = &verdict->reading;
    printf("image        %s (%s), sha256:%s\nlayers       %u, %llu bytes unpacked, digests good\n",
           verdict->line->image, reading->format, reading->digest, reading->layer_count,
           (unsigned long long)reading->unpacked);
    if (verdict->inspected) {
        json_t *facts = image_annotations(&verdict->inspect, verdict->main.path + 1);
        static const char *const keys[] = {"enclave",    "kind", "mrenclave", "mrsigner",
                                           "product-id", "svn",  "debug",     "threads"};
        for (size_t i = 0; i < CELLA_COUNT(keys); i++) {
            char key[64];
            snprintf(key, sizeof(key), "cella.dev/%s", keys[i]);
            printf("%-12s %s\n", keys[i], json_string_value(json_object_get(facts, key)));
        }
        json_decref(facts);
        printf("annotations  %s\n", verdict->annotated ? "compared" : "none");
    }
    for (size_t i = 0; i < json_array_size(verdict->others); i++) {
        const json_t *other = json_array_get(verdict->others, i);
        printf("also there   %s, mrenclave %s\n",
               json_string_value(json_object_get(other, "enclave")),
               json_string_value(json_object_get(other, "mrenclave")));
    }
    for (unsigned i = 0; i < verdict->trouble_count; i++) {
        printf("REFUSED      %s\n", verdict->troubles[i]);
    }
    if (verdict->trouble_count == 0) {
        printf("good         %s\n", verdict->line->has_mr_enclave || verdict->line->has_mr_signer
                                        ? "it is the enclave that was asked for"
                                        : "consistent in itself; --mrenclave or --mrsigner say "
                                          "whose it must be");
    }
}

static void print_json(const struct verdict *verdict)
{
    const struct oci_reading *reading = &verdict->reading;
    json_t *troubles = json_array();
    for (unsigned i = 0; i < verdict->trouble_count; i++) {
        json_array_append_new(troubles, json_string(verdict->troubles[i]));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:o, s:i, s:I, s:b, s:b, s:o, s:O}", "image", verdict->line->image,
                  "format", reading->format, "digest", json_sprintf("sha256:%s", reading->digest),
                  "layers", (int)reading->layer_count, "unpacked", (json_int_t)reading->unpacked,
                  "good", (int)(verdict->trouble_count == 0), "annotated", (int)verdict->annotated,
                  "refused", troubles, "others", verdict->others);
    if (verdict->inspected) {
        json_object_set_new(root, "enclave",
                            image_annotations(&verdict->inspect, verdict->main.path + 1));
    }
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

int cella_image_verify(int argc, char **argv)
{
    struct verify_line line;
    CELLA_CLEANUP(verdict_done) struct verdict *verdict = calloc(1, sizeof(*verdict));
    struct cella_error error = {0};
    char path[4096];
    int status = parse(argc, argv, &line);
    if (status >= 0 || !verdict) {
        return verdict ? status : 2;
    }
    const char *tag = image_split_tag(line.image, path, sizeof(path));
    cella_result result = oci_read(path, tag, image_is_enclave, &verdict->reading, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella image verify: %s\n",
                error.text[0] ? error.text : cella_result_text(result));
        return 2;
    }
    verdict->line = &line;
    verdict->others = json_array();
    choose(verdict);
    if (verdict->found) {
        judge(verdict);
    }
    list_others(verdict);
    (line.json ? print_json : print_text)(verdict);
    return verdict->trouble_count == 0 ? 0 : 1;
}
