/*
 * Writes a forged platform's collateral and quotes of many kinds into a folder, for tests of services.
 * Side: tests. Called by tests/attestd/ and tests/pccs/. The quotes are as those of the quoting enclave; only the root differs.
 *
 *     make_evidence FOLDER
 *
 * gives FOLDER/collateral/, root.pem, runtime.json, init.json and NAME.quote or NAME.oe of each row below.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "platform/platform.h"
#include "platform/state.h"

/* What a program says of itself; the names of the second line are the service's, whoever uses them. */
static const char g_runtime[] =
    "{\"key\":\"value\",\"number\":7,\"flag\":true,"
    "\"x-ms-sgx-mrsigner\":\"00\",\"x-ms-sgx-svn\":9,\"$svn\":9,\"x-cella-tcb-status\":\"Fine\"}";
static const char g_init[] = "{\"image\":\"v1\"}";

#define ATTRIBUTE_DEBUG 0x02u
#define ATTRIBUTE_KSS 0x80u

enum flaw { FLAW_NONE, FLAW_SIGNATURE, FLAW_TRUNCATED };

static const struct row {
    const char *name;
    bool debug;
    bool kss;     /* CONFIGID is the hash of init.json */
    bool wrapped; /* Open Enclave's header of 16 bytes */
    enum flaw flaw;
} g_rows[] = {
    {"good", false, false, false, FLAW_NONE},
    {"debug", true, false, false, FLAW_NONE},
    {"kss", false, true, false, FLAW_NONE},
    {"good", false, false, true, FLAW_NONE},
    {"forged", false, false, false, FLAW_SIGNATURE},
    {"truncated", false, false, false, FLAW_TRUNCATED},
};

static void must(cella_result result, const struct cella_error *error)
{
    if (!cella_is_ok(result)) {
        fprintf(stderr, "make_evidence: %s %s\n", cella_result_name(result), error->text);
        exit(1);
    }
}

static void write_file(const char *folder, const char *name, const void *data, size_t size)
{
    struct cella_error error = {0};
    must(platform_file_write(folder, name, data, size, &error), &error);
}

static void sha256(const void *data, size_t size, uint8_t *out)
{
    unsigned length;
    if (EVP_Digest(data, size, out, &length, EVP_sha256(), NULL) != 1) {
        exit(1);
    }
}

static struct platform *make_platform(struct platform_options *options, int64_t now)
{
    struct platform *platform = NULL;
    struct cella_error error = {0};
    *options = (struct platform_options){.created = now - 86400,
                                         .fmspc = PLATFORM_FMSPC,
                                         .cpu_svn = {1, 2},
                                         .components = {1, 2},
                                         .pce_svn = 13,
                                         .sgx_type = 1};
    memset(options->seed, 0x5A, sizeof(options->seed));
    must(platform_new(options, &platform, &error), &error);
    return platform;
}

static struct platform_qe quoting_enclave(void)
{
    struct platform_qe qe = {.isv_prod_id = 1, .isv_svn = 8, .misc_mask = 0xFFFFFFFF};
    memset(qe.mr_signer, 0x8C, sizeof(qe.mr_signer));
    qe.attributes.flags = 0x11;
    qe.attribute_mask.flags = ~0x04ull;
    return qe;
}

static void make_quote(const struct platform *platform, const char *folder, const struct row *row)
{
    struct sgx_report_body body = {.isv_prod_id = 1, .isv_svn = 3, .config_svn = 2};
    struct platform_blob quote;
    struct cella_error error = {0};
    char name[64];

    memset(body.mr_enclave, 0xE1, sizeof(body.mr_enclave));
    memset(body.mr_signer, 0x51, sizeof(body.mr_signer));
    body.attributes.flags =
        0x05 | (row->debug ? ATTRIBUTE_DEBUG : 0) | (row->kss ? ATTRIBUTE_KSS : 0);
    body.attributes.xfrm = 3;
    sha256(g_runtime, sizeof(g_runtime) - 1, (uint8_t *)&body.report_data);
    if (row->kss) {
        sha256(g_init, sizeof(g_init) - 1, (uint8_t *)&body.config_id);
    }
    const struct platform_forgery forgery = {
        .body = &body, .qe = quoting_enclave(), .qe_svn = 8, .pce_svn = 13};
    must(platform_forge_quote(platform, &forgery, &quote, &error), &error);
    if (row->flaw == FLAW_SIGNATURE) {
        quote.data[440] ^= 1;
    }
    size_t size = row->flaw == FLAW_TRUNCATED ? quote.size / 2 : quote.size;
    uint8_t *out = malloc(size + 16);
    const uint32_t version = 1, type = 2;
    const uint64_t length = size;
    memcpy(out, &version, 4);
    memcpy(out + 4, &type, 4);
    memcpy(out + 8, &length, 8);
    memcpy(out + 16, quote.data, size);
    snprintf(name, sizeof(name), "%s.%s", row->name, row->wrapped ? "oe" : "quote");
    write_file(folder, name, row->wrapped ? out : out + 16, size + (row->wrapped ? 16 : 0));
    free(out);
    platform_blob_done(&quote);
}

int main(int argc, char **argv)
{
    struct platform_options options;
    struct platform_collateral collateral;
    struct cella_error error = {0};
    char folder[4096];
    int64_t now = (int64_t)time(NULL);

    if (argc != 2) {
        fprintf(stderr, "usage: make_evidence FOLDER\n");
        return 2;
    }
    if (mkdir(argv[1], 0755) != 0 && errno != EEXIST) {
        perror(argv[1]);
        return 1;
    }
    struct platform *platform = make_platform(&options, now);
    const struct platform_collateral_options what = {
        .issued = now - 3600, .next_update = now + 30 * 86400, .qe = quoting_enclave()};
    must(platform_collateral_make(platform, &what, &collateral, &error), &error);
    snprintf(folder, sizeof(folder), "%s/collateral", argv[1]);
    must(platform_state_export(folder, platform, &collateral, &error), &error);
    const struct platform_blob *root = platform_pem(platform, PLATFORM_ROOT);
    write_file(argv[1], "root.pem", root->data, root->size);
    write_file(argv[1], "runtime.json", g_runtime, sizeof(g_runtime) - 1);
    write_file(argv[1], "init.json", g_init, sizeof(g_init) - 1);
    for (size_t i = 0; i < sizeof(g_rows) / sizeof(g_rows[0]); i++) {
        make_quote(platform, argv[1], &g_rows[i]);
    }
    platform_collateral_done(&collateral);
    platform_free(platform);
    return 0;
}
