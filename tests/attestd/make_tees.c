/*
 * Writes TDX and SEV-SNP evidence that is valid now, with its collateral, into a folder, for tests of services.
 * Side: tests. Called by tests/attestd/tees.py: make_tees FOLDER.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "tests/evidence/maker.h"

static const char *g_folder;
static const char g_runtime[] = "{\"vm\":\"one\"}";

static void put(const char *name, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", g_folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* PEM of a certificate in DER or PEM. */
static void put_pem(FILE *out, const struct blob *certificate)
{
    const uint8_t *at = certificate->data;
    X509 *x509 = d2i_X509(NULL, &at, (long)certificate->size);
    if (x509) {
        PEM_write_X509(out, x509);
        X509_free(x509);
    } else {
        fwrite(certificate->data, 1, certificate->size, out);
    }
}

static FILE *open_file(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", g_folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void make_folder(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s%s", g_folder, name);
    mkdir(path, 0755);
}

static void shift(struct spec *spec, int64_t by)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        spec->certificates[i].from += by;
        spec->certificates[i].until += by;
    }
    struct crl_spec *crls[] = {&spec->root_crl, &spec->pck_crl};
    struct document_spec *documents[] = {&spec->tcb, &spec->qe};
    for (unsigned i = 0; i < 2; i++) {
        crls[i]->from += by;
        crls[i]->until += by;
        documents[i]->from += by;
        documents[i]->until += by;
    }
}

static void write_tdx(const char *name, unsigned version, bool is_tdx15, int64_t by)
{
    struct spec spec;
    struct made made;
    struct cella_collateral_item items[8];
    uint8_t report_data[64] = {0};
    char path[128];
    unsigned length;
    EVP_Digest(g_runtime, sizeof(g_runtime) - 1, report_data, &length, EVP_sha256(), NULL);
    spec_init(&spec, CELLA_TEE_TDX, version);
    spec.is_tdx15 = is_tdx15;
    spec.report_data = report_data;
    shift(&spec, by);
    make(&spec, &made);
    snprintf(path, sizeof(path), "%s.quote", name);
    put(path, made.quote.data, made.quote.size);
    snprintf(path, sizeof(path), "%s.pem", name);
    put(path, made.pem[ROLE_ROOT].data, made.pem[ROLE_ROOT].size);
    snprintf(path, sizeof(path), "/%s", name);
    make_folder(path);
    size_t count = made_items(&spec, &made, items);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%zu", name, i);
        put(path, items[i].bytes.data, items[i].bytes.size);
    }
    made_done(&made);
}

static void write_snp(int64_t by)
{
    struct snp_spec spec;
    struct snp_made made;
    snp_spec_init(&spec, CELLA_SNP_MILAN, 2);
    spec.vek_from += by;
    spec.vek_until += by;
    snp_make(&spec, &made);
    put("snp.report", made.report.data, made.report.size);
    FILE *chain = open_file("snp.chain");
    put_pem(chain, &made.vek);
    put_pem(chain, &made.ask);
    put_pem(chain, &made.ark);
    fclose(chain);
    FILE *root = open_file("snp.pem");
    put_pem(root, &made.ark);
    fclose(root);
    snp_made_done(&made);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_tees FOLDER\n");
        return 2;
    }
    g_folder = argv[1];
    make_folder("");
    int64_t by = (int64_t)time(NULL) - MAKER_NOW;
    put("runtime.json", g_runtime, sizeof(g_runtime) - 1);
    write_tdx("tdx4", 4, false, by);
    write_tdx("tdx5", 5, true, by);
    write_snp(by);
    return 0;
}
