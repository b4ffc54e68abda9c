/*
 * Asks a quote provider library, Intel's or another, for a platform's certificates and a verifier's collateral.
 * Side: tests. Called by tests/pccs/provider.py: provider_client LIBRARY FMSPC OUT. Files are written into OUT.
 *
 * The structures are those of the provider interface (Intel SGX ECDSA QuoteLibReference, "sgx_ql_lib_common.h"); the
 * first two have no gaps.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pck_cert_id {
    uint8_t *qe3_id;
    uint32_t qe3_id_size;
    uint8_t *cpu_svn;
    uint16_t *pce_isv_svn;
    uint8_t *encrypted_ppid;
    uint32_t encrypted_ppid_size;
    uint8_t crypto_suite;
    uint16_t pce_id;
} __attribute__((packed));

struct config {
    uint32_t version;
    uint8_t cert_cpu_svn[16];
    uint16_t cert_pce_isv_svn;
    uint32_t cert_data_size;
    uint8_t *cert_data;
} __attribute__((packed));

struct part {
    char *data;
    uint32_t size;
};

struct collateral {
    uint16_t major, minor;
    uint32_t tee_type;
    struct part parts[7];
};

static const char *const g_parts[] = {
    "pck_crl_issuer_chain",     "root_ca_crl", "pck_crl", "tcb_info_issuer_chain", "tcb_info",
    "qe_identity_issuer_chain", "qe_identity"};

static void write_part(const char *folder, const char *name, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void *need(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    if (!symbol) {
        fprintf(stderr, "provider_client: no %s\n", name);
        exit(1);
    }
    return symbol;
}

static int get_config(void *library, const char *folder)
{
    uint8_t qe_id[16];
    uint8_t cpu_svn[16] = {1, 2};
    uint16_t pce_svn = 13;
    struct config *config = NULL;
    memset(qe_id, 0xAB, sizeof(qe_id));
    const struct pck_cert_id id = {.qe3_id = qe_id,
                                   .qe3_id_size = 16,
                                   .cpu_svn = cpu_svn,
                                   .pce_isv_svn = &pce_svn,
                                   .crypto_suite = 1};
    int (*get)(const struct pck_cert_id *, struct config **);
    void (*put)(struct config *);
    *(void **)&get = need(library, "sgx_ql_get_quote_config");
    *(void **)&put = need(library, "sgx_ql_free_quote_config");
    int status = get(&id, &config);
    printf("quote_config 0x%x\n", (unsigned)status);
    if (status == 0) {
        printf("pce_svn %u\n", config->cert_pce_isv_svn);
        write_part(folder, "quote_config", config->cert_data, strlen((char *)config->cert_data));
        put(config);
    }
    return status;
}

static int get_collateral(void *library, const char *fmspc_text, const char *folder)
{
    uint8_t fmspc[6];
    struct collateral *collateral = NULL;
    for (unsigned i = 0; i < sizeof(fmspc); i++) {
        unsigned byte = 0;
        sscanf(fmspc_text + (size_t)2 * i, "%2x", &byte);
        fmspc[i] = (uint8_t)byte;
    }
    int (*get)(const uint8_t *, uint16_t, const char *, struct collateral **);
    int (*put)(struct collateral *);
    *(void **)&get = need(library, "sgx_ql_get_quote_verification_collateral");
    *(void **)&put = need(library, "sgx_ql_free_quote_verification_collateral");
    int status = get(fmspc, sizeof(fmspc), "platform", &collateral);
    printf("collateral 0x%x\n", (unsigned)status);
    if (status == 0) {
        printf("version %u.%u\n", collateral->major, collateral->minor);
        for (unsigned i = 0; i < 7; i++) {
            write_part(folder, g_parts[i], collateral->parts[i].data, collateral->parts[i].size);
        }
        put(collateral);
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: provider_client LIBRARY FMSPC OUT\n");
        return 2;
    }
    void *library = dlopen(argv[1], RTLD_LAZY);
    if (!library) {
        fprintf(stderr, "provider_client: %s\n", dlerror());
        return 2;
    }
    int status = get_config(library, argv[3]);
    return get_collateral(library, argv[2], argv[3]) || status ? 1 : 0;
}
