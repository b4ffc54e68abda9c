/*
 * oeverify: verifies evidence or an attestation certificate, and prints its claims. Command line and texts that scripts look
 * for are Open Enclave's; the exit status is 0 only when verification succeeded, which upstream's is in every case.
 * Side: tools. Called by people and builds.
 * Never trusts a root that nobody named (ADR 0130).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openenclave/attestation/sgx/evidence.h>
#include <openenclave/attestation/tdx/evidence.h>
#include <openenclave/attestation/verifier.h>
#include <openenclave/host.h>

#include "cli/file.h"
#include "common/error.h"

#define FILE_MAX ((size_t)4 << 20)

static const char g_usage[] =
    "Usage:\n"
    "  oeverify -r <evidence_file> [-e <endorsement_file>] [-f <evidence_format>] [-b "
    "<tcb_baseline_date>]\n"
    "  oeverify -c <certificate_file>\n"
    "  oeverify -r <evidence_file> -g\n"
    "\n"
    "  -r  evidence; without -f it has a header that names its format\n"
    "  -e  endorsements; without them they are looked for (docs/attestation.md)\n"
    "  -f  SGX_ECDSA, LEGACY_REPORT_REMOTE, RAW_SGX_QUOTE_ECDSA or TDX_QUOTE_ECDSA\n"
    "  -b  seconds since 1970: a TD's TCB that is out of date counts as current if its level is "
    "not "
    "older\n"
    "  -c  certificate with evidence, DER\n"
    "  -g  print the FMSPC of the TDX quote, verify nothing\n"
    "\n"
    "exit status: 0 verified, 1 not, 2 wrong use\n";

static const struct {
    const char *name;
    oe_uuid_t format;
} g_formats[] = {
    {"SGX_ECDSA", {OE_FORMAT_UUID_SGX_ECDSA}},
    {"LEGACY_REPORT_REMOTE", {OE_FORMAT_UUID_LEGACY_REPORT_REMOTE}},
    {"RAW_SGX_QUOTE_ECDSA", {OE_FORMAT_UUID_RAW_SGX_QUOTE_ECDSA}},
    {"TDX_QUOTE_ECDSA", {OE_FORMAT_UUID_TDX_QUOTE_ECDSA}},
};

struct job {
    const char *evidence, *endorsements, *certificate, *format;
    int64_t baseline;
    bool has_baseline, fmspc;
};

static bool file_read(const char *path, struct cella_file *ret_file)
{
    struct cella_error error = {.text = ""};
    if (cella_is_ok(cella_file_read(path, FILE_MAX, ret_file, &error))) {
        return true;
    }
    fprintf(stderr, "oeverify: %s\n", error.text);
    return false;
}

static const oe_uuid_t *format_find(const char *name)
{
    for (size_t i = 0; i < sizeof(g_formats) / sizeof(g_formats[0]); i++) {
        if (strcmp(name, g_formats[i].name) == 0) {
            return &g_formats[i].format;
        }
    }
    return NULL;
}

static oe_result_t claims_print(oe_claim_t *claims, size_t count, void *arg)
{
    (void)arg;
    printf("Claims (%zu total):\n", count);
    for (size_t i = 0; i < count; i++) {
        printf("  [%zu] %s (%zu bytes): 0x", i, claims[i].name, claims[i].value_size);
        for (size_t j = 0; j < claims[i].value_size; j++) {
            printf("%02x", claims[i].value[j]);
        }
        putchar('\n');
    }
    return OE_OK;
}

static int told(const char *what, oe_result_t result)
{
    printf("%s verification %s (%u).\n", what, result == OE_OK ? "succeeded" : "failed",
           (unsigned)result);
    if (result != OE_OK) {
        fprintf(stderr, "oeverify: %s\n", oe_result_str(result));
    }
    return result == OE_OK ? 0 : 1;
}

static oe_result_t evidence_verify(const struct job *job, const struct cella_file *evidence,
                                   const struct cella_file *endorsements)
{
    int64_t baseline = job->baseline;
    const oe_policy_t policy = {OE_POLICY_TCB_BASELINE_DATE, &baseline, sizeof(baseline)};
    oe_claim_t *claims = NULL;
    size_t count = 0;
    const oe_result_t result =
        oe_verify_evidence(job->format ? format_find(job->format) : NULL, evidence->data,
                           evidence->size, endorsements->data, endorsements->size,
                           job->has_baseline ? &policy : NULL, job->has_baseline, &claims, &count);
    if (claims) {
        claims_print(claims, count, NULL);
    }
    oe_free_claims(claims, count);
    return result;
}

static int run_evidence(const struct job *job)
{
    struct cella_file evidence = {0}, endorsements = {0};
    int status = 1;
    if (file_read(job->evidence, &evidence) &&
        (!job->endorsements || file_read(job->endorsements, &endorsements))) {
        printf("Verifying evidence %s...\n", job->evidence);
        status = told("Evidence", evidence_verify(job, &evidence, &endorsements));
    }
    cella_file_done(&evidence);
    cella_file_done(&endorsements);
    return status;
}

static int run_certificate(const struct job *job)
{
    struct cella_file file = {0};
    int status = 1;
    if (file_read(job->certificate, &file)) {
        printf("Verifying certificate %s...\n", job->certificate);
        status = told("Certificate", oe_verify_attestation_certificate_with_evidence(
                                         file.data, file.size, claims_print, NULL));
    }
    cella_file_done(&file);
    return status;
}

static int run_fmspc(const struct job *job)
{
    struct cella_file file = {0};
    uint8_t fmspc[OE_TDX_FMSPC_SIZE];
    oe_result_t result = OE_READ_FAILED;
    if (file_read(job->evidence, &file)) {
        result = oe_get_tdx_fmspc_from_quote(file.data, (uint32_t)file.size, fmspc, sizeof(fmspc));
    }
    cella_file_done(&file);
    if (result != OE_OK) {
        fprintf(stderr, "oeverify: no FMSPC: %s\n", oe_result_str(result));
        return 1;
    }
    fputs("FMSPC: ", stdout);
    for (size_t i = 0; i < sizeof(fmspc); i++) {
        printf("%02x", fmspc[i]);
    }
    putchar('\n');
    return 0;
}

static bool baseline_read(const char *text, struct job *job)
{
    char *end;
    errno = 0;
    job->baseline = strtoll(text, &end, 10);
    job->has_baseline = true;
    return errno == 0 && end != text && *end == 0;
}

static bool options_read(int argc, char **argv, struct job *job)
{
    for (int option; (option = getopt(argc, argv, "r:e:c:f:b:gh")) != -1;) {
        switch (option) {
        case 'r':
            job->evidence = optarg;
            break;
        case 'e':
            job->endorsements = optarg;
            break;
        case 'c':
            job->certificate = optarg;
            break;
        case 'f':
            job->format = optarg;
            break;
        case 'g':
            job->fmspc = true;
            break;
        case 'b':
            if (baseline_read(optarg, job)) {
                break;
            }
            fprintf(stderr, "oeverify: -b %s: expected seconds since 1970\n", optarg);
            return false;
        default:
            return false;
        }
    }
    if (job->format && !format_find(job->format)) {
        fprintf(stderr, "Error: Format evidence \"%s\" is unknown\n", job->format);
        return false;
    }
    return optind == argc && (job->evidence != NULL) != (job->certificate != NULL);
}

int main(int argc, char **argv)
{
    struct job job = {.evidence = NULL};
    if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(g_usage, stdout);
        return 0;
    }
    if (!options_read(argc, argv, &job)) {
        fputs(g_usage, stderr);
        return 2;
    }
    if (oe_verifier_initialize() != OE_OK || oe_tdx_verifier_initialize() != OE_OK) {
        return 1;
    }
    return job.fmspc && job.evidence ? run_fmspc(&job)
           : job.evidence            ? run_evidence(&job)
                                     : run_certificate(&job);
}
