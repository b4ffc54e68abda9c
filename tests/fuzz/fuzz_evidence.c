/*
 * Fuzz target: evidence with its collateral, from the bytes to the verdict: quotes, SNP reports, Open Enclave evidence,
 * certificates, CRLs, TCB info and QE identity.
 * Side: tests. Called by libFuzzer or replay.c. Input: documents, each behind its size of 4 bytes, little endian; the
 * first is the evidence, the second a root that is trusted.
 */
#include <stdlib.h>

#include "cella/evidence.h"

#define ITEMS_MAX 12
#define NOW 1750000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) uint8_t g_memory[CELLA_EVIDENCE_PREPARED_SIZE];
static _Alignas(16) uint8_t g_scratch[CELLA_EVIDENCE_SCRATCH_SIZE];

/* Copies of the very size, so that a sanitizer sees the first byte read behind one. */
static size_t split(const uint8_t *data, size_t size, struct cella_collateral_item *items)
{
    size_t count = 0;
    while (size >= 4 && count < ITEMS_MAX) {
        size_t length = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
        data += 4;
        size -= 4;
        length = length < size ? length : size;
        uint8_t *copy = malloc(length ? length : 1);
        if (!copy) {
            abort();
        }
        for (size_t i = 0; i < length; i++) {
            copy[i] = data[i];
        }
        items[count++] =
            (struct cella_collateral_item){.name = "item", .bytes = {.data = copy, .size = length}};
        data += length;
        size -= length;
    }
    return count;
}

static void verify(struct cella_span evidence, const struct cella_prepared *prepared)
{
    static struct cella_evidence_result result;
    struct cella_evidence_policy policy;
    struct cella_evidence_claims claims;
    struct cella_platform_claims platform;
    struct cella_span certification;
    uint16_t type;
    cella_evidence_policy_init(&policy);
    policy.refuse_smt = policy.refuse_service_td = policy.refuse_snp_smt = true;
    cella_result verdict = cella_evidence_verify(evidence, prepared, NOW, &policy, g_scratch,
                                                 sizeof(g_scratch), &result);
    if (cella_is_ok(verdict) != result.accepted) {
        abort();
    }
    cella_ignore(cella_evidence_parse(evidence, &claims, NULL));
    cella_ignore(cella_evidence_certification(evidence, &type, &certification));
    cella_ignore(cella_evidence_platform(evidence, g_scratch, sizeof(g_scratch), &platform));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cella_collateral_item items[ITEMS_MAX];
    struct cella_roots roots = {0};
    struct cella_prepared *prepared;
    size_t count = split(data, size, items);
    if (count >= 2) {
        cella_ignore(cella_roots_add(&roots, items[1].bytes));
    }
    if (count >= 1 &&
        cella_is_ok(cella_evidence_prepare(items + 1, count - 1, &items[0].bytes, &roots, g_memory,
                                           sizeof(g_memory), &prepared))) {
        verify(items[0].bytes, prepared);
        cella_evidence_prepared_done(prepared);
    }
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)items[i].bytes.data);
    }
    return 0;
}
