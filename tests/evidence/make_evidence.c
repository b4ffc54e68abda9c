/*
 * Writes good evidence with its collateral into a folder, for tests of the command line.
 * Side: tests. Called by tests/evidence/cli.sh: make_evidence FOLDER.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/evidence/maker.h"

static void put(const char *folder, const char *name, const struct blob *blob)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(blob->data, 1, blob->size, file) != blob->size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void dcap_write(const char *folder, const char *name, enum cella_tee tee, unsigned version,
                       const char *status)
{
    char path[4096];
    struct spec spec;
    struct made made;
    spec_init(&spec, tee, version);
    spec.levels[0].status = status;
    make(&spec, &made);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (mkdir(path, 0700) != 0) {
        perror(path);
        exit(1);
    }
    put(path, "tcbInfo.json", &made.tcb_info);
    put(path, "qe", &made.qe_identity);
    put(path, "signing-chain.pem", &made.pem[ROLE_TCB]);
    put(path, "rootcacrl", &made.root_crl);
    put(path, "pckcrl.der", &made.pck_crl);
    snprintf(path, sizeof(path), "%s.quote", name);
    put(folder, path, &made.quote);
    snprintf(path, sizeof(path), "%s.root.pem", name);
    put(folder, path, &made.pem[ROLE_ROOT]);
    made_done(&made);
}

static void snp_write(const char *folder)
{
    struct snp_spec spec;
    struct snp_made made;
    snp_spec_init(&spec, CELLA_SNP_GENOA, 3);
    spec.has_table = true;
    snp_make(&spec, &made);
    put(folder, "snp.report", &made.report);
    put(folder, "snp.ark.der", &made.ark);
    snp_made_done(&made);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_evidence FOLDER\n");
        return 2;
    }
    dcap_write(argv[1], "sgx", CELLA_TEE_SGX, 3, "UpToDate");
    dcap_write(argv[1], "tdx", CELLA_TEE_TDX, 5, "SWHardeningNeeded");
    dcap_write(argv[1], "old", CELLA_TEE_SGX, 3, "OutOfDate");
    snp_write(argv[1]);
    return 0;
}
