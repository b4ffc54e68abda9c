/*
 * Fuzz target: what the collateral cache reads of certificates, lists and header values. The first byte chooses.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <stdlib.h>
#include <string.h>

#include "services/pccs/pccs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_certificate(const char *text)
{
    struct pck_certificate certificate = {.pem = NULL};
    if (cella_is_ok(pck_read(text, &certificate))) {
        if (!is_hex(certificate.tcbm, 36, 36) || !is_hex(certificate.fmspc, 12, 12)) {
            abort();
        }
        pck_done(&certificate);
    }
}

/* DER to PEM and back. */
static void write_list(const uint8_t *der, size_t size)
{
    uint8_t *again = NULL;
    size_t again_size = 0;
    char *pem = crl_pem(cella_bytes_of(der, size));
    if (!pem || !cella_is_ok(crl_der(cella_bytes_of(pem, strlen(pem)), &again, &again_size)) ||
        again_size != size || memcmp(again, der, size) != 0) {
        abort();
    }
    free(again);
    free(pem);
}

static void read_list(struct cella_bytes bytes)
{
    uint8_t *der = NULL;
    size_t size = 0;
    if (cella_is_ok(crl_der(bytes, &der, &size))) {
        if (size == 0 || der[0] != 0x30) {
            abort(); /* DER of a sequence */
        }
        write_list(der, size);
        free(der);
    }
}

static void read_chain(const char *text)
{
    char *root = chain_root(text);
    if (root && !same_root(root, text)) {
        abort();
    }
    free(root);
}

/* What was encoded decodes to itself. */
static void encode(const char *text)
{
    char *encoded = percent_encode(text, strlen(text));
    if (!encoded || strpbrk(encoded, "\r\n \"")) {
        abort();
    }
    percent_decode(encoded);
    if (strcmp(encoded, text) != 0) {
        abort();
    }
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = malloc(size);
    if (!text) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    switch (data[0] % 4) {
    case 0:
        read_certificate(text);
        break;
    case 1:
        read_list(cella_bytes_of(data + 1, size - 1));
        break;
    case 2:
        read_chain(text);
        break;
    default:
        encode(text);
        break;
    }
    free(text);
    return 0;
}
