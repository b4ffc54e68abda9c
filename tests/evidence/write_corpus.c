/*
 * Writes the seed inputs of the verifier's fuzz targets into tests/fuzz/corpus.
 * Side: tests. Run by hand after a format changed: ninja write-evidence-corpus. Never part of the tests themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/evidence/maker.h"

static void put(const char *root, const char *name, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* Documents, each behind its size. */
struct pack {
    uint8_t data[1 << 16];
    size_t used;
};

static void pack_add(struct pack *pack, struct cella_span span)
{
    uint8_t head[4] = {(uint8_t)span.size, (uint8_t)(span.size >> 8), (uint8_t)(span.size >> 16)};
    if (span.size + 4 > sizeof(pack->data) - pack->used) {
        exit(1);
    }
    memcpy(pack->data + pack->used, head, 4);
    memcpy(pack->data + pack->used + 4, span.data, span.size);
    pack->used += span.size + 4;
}

static void dcap_write(const char *root, const char *name, enum cella_tee tee, unsigned version,
                       bool is_tdx15)
{
    struct cella_collateral_item items[8];
    static struct pack pack;
    struct spec spec;
    struct made made;
    spec_init(&spec, tee, version);
    spec.is_tdx15 = is_tdx15;
    spec.padding_text = "more";
    make(&spec, &made);
    pack.used = 0;
    pack_add(&pack, blob_span(&made.quote));
    size_t count = made_items(&spec, &made, items);
    for (size_t i = 0; i < count; i++) {
        pack_add(&pack, items[i].bytes);
    }
    put(root, name, pack.data, pack.used);
    if (tee == CELLA_TEE_SGX) {
        put(root, "x509/pck", made.der[ROLE_PCK].data, made.der[ROLE_PCK].size);
        put(root, "x509/crl", made.root_crl.data, made.root_crl.size);
        put(root, "evidence_json/tcb-info", made.tcb_info.data, made.tcb_info.size);
        put(root, "evidence_json/qe-identity", made.qe_identity.data, made.qe_identity.size);
        put(root, "collateral/quote", made.quote.data, made.quote.size);
    } else if (is_tdx15) {
        put(root, "evidence_json/tcb-info-tdx", made.tcb_info.data, made.tcb_info.size);
    }
    made_done(&made);
}

static void snp_write(const char *root)
{
    static struct pack pack;
    struct snp_spec spec;
    struct snp_made made;
    snp_spec_init(&spec, CELLA_SNP_TURIN, 5);
    spec.has_table = true;
    snp_make(&spec, &made);
    pack_add(&pack, blob_span(&made.report));
    pack_add(&pack, blob_span(&made.ark));
    pack_add(&pack, blob_span(&made.ask));
    pack_add(&pack, blob_span(&made.crl));
    put(root, "evidence/snp", pack.data, pack.used);
    put(root, "x509/vcek", made.vek.data, made.vek.size);
    snp_made_done(&made);
}

/* Text that holds documents, shortened: what matters here is the wrapping. */
static void text_write(const char *root)
{
    static const char bundle[] =
        "{\"pck_crl\":\"3082012a3081d1\",\"tcb_info\":\"{\\\"fmspc\\\":\\\"00\\\","
        "\\\"tcbLevels\\\":[]}\","
        "\"tcb_info_signature\":\"00ff\",\"vcek\":\"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END "
        "CERTIFICATE-----\\n\",\"bytes\":[48,3,2,1,1,48,3,2,1,1,48,3,2,1,1,0],\"deep\":{\"deep\":{"
        "\"deep\":"
        "\"QUJDREVGRw==\"}},\"chain\":\"-----BEGIN%20CERTIFICATE-----%0AMIIB%0A-----END%"
        "20CERTIFICATE-----\"}";
    static const char policy[] = "{\"accept_status\":[\"UpToDate\",\"OutOfDate\"],\"allow_debug\":"
                                 "true,\"measurement\":[\"00\",\"ff\"],"
                                 "\"min_snp_tcb\":{\"fmc\":1,\"snp\":2},\"max_vmpl\":0,\"tees\":["
                                 "\"sgx\",\"snp\"],\"min_svn\":3}";
    put(root, "collateral/bundle", bundle, sizeof(bundle) - 1);
    put(root, "evidence_json/policy", policy, sizeof(policy) - 1);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: write_evidence_corpus FOLDER\n");
        return 2;
    }
    dcap_write(argv[1], "evidence/sgx", CELLA_TEE_SGX, 3, false);
    dcap_write(argv[1], "evidence/tdx", CELLA_TEE_TDX, 5, true);
    snp_write(argv[1]);
    text_write(argv[1]);
    return 0;
}
