/*
 * Whose a signing key is: check_key CERTIFICATE ROOT COLLATERAL; prints the form of its evidence and the measurement, or
 * the reason why it proves nothing. The certificate is in DER, the root in PEM, the collateral a folder.
 * Side: tests. Called by tests/attestd/enclave.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cella/collateral.h"
#include "cella/tls.h"

static struct cella_span file_read(const char *path)
{
    static uint8_t bytes[2][1 << 16];
    static unsigned turn;
    uint8_t *place = bytes[turn++ % 2];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    const size_t size = fread(place, 1, sizeof(bytes[0]), file);
    fclose(file);
    return (struct cella_span){place, size};
}

static int check(X509 *certificate, const struct cella_tls_verifier *verifier)
{
    struct cella_tls_peer peer;
    cella_result result = cella_tls_certificate_verify(certificate, verifier, &peer);
    if (!cella_is_ok(result)) {
        printf("refused: %s\n", peer.reason);
        return 1;
    }
    printf("form %d ", (int)peer.form);
    for (size_t i = 0; i < peer.evidence.claims.measurement.size; i++) {
        printf("%02x", peer.evidence.claims.measurement.data[i]);
    }
    puts("");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    struct cella_span der = file_read(argv[1]);
    const uint8_t *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.size);
    struct cella_roots roots = {.no_built_in = true};
    struct cella_evidence_policy policy;
    struct cella_prepared *prepared = NULL;
    struct cella_collateral_set *set = cella_collateral_set_new();
    size_t count = 0;
    if (!certificate || !set || !cella_is_ok(cella_roots_add(&roots, file_read(argv[2]))) ||
        !cella_is_ok(cella_collateral_set_add_directory(set, argv[3]))) {
        return 2;
    }
    cella_evidence_policy_init(&policy);
    const struct cella_collateral_item *items = cella_collateral_set_items(set, &count);
    const size_t size = cella_collateral_set_prepared_size(set);
    void *memory = aligned_alloc(16, (size + 15) & ~(size_t)15);
    if (!memory ||
        !cella_is_ok(cella_evidence_prepare(items, count, NULL, &roots, memory, size, &prepared))) {
        return 2;
    }
    int status = 0;
    for (uint32_t form = CELLA_TLS_INTEROPERABLE; form <= CELLA_TLS_OPEN_ENCLAVE; form <<= 2) {
        const struct cella_tls_verifier verifier = {
            .policy = &policy, .prepared = prepared, .roots = &roots, .forms = form};
        status |= check(certificate, &verifier);
    }
    cella_evidence_prepared_done(prepared);
    free(memory);
    cella_collateral_set_free(set);
    X509_free(certificate);
    return status;
}
