/*
 * `cella evidence show`: prints what evidence says, believed or not.
 * Side: tools. Called by cli/cmd_evidence.c. Never verifies.
 */
#include <getopt.h>
#include <stdlib.h>

#include "cli/evidence.h"
#include "common/cleanup.h"

static const char g_usage[] =
    "usage: cella evidence show [--json] FILE\n"
    "\n"
    "Prints an SGX or TDX quote, an SNP report or Open Enclave evidence readably. Nothing is "
    "verified.\n"
    "FILE may be raw, hexadecimal, base64, JSON with the evidence in a string, or a certificate "
    "of\n"
    "attested TLS; - is standard input.\n"
    "\n"
    "  --json   print JSON\n"
    "  --help   this text\n"
    "\n"
    "exit status: 0 printed, 2 no evidence in the file, or it is malformed\n";

static int show(const struct evidence_input *input, const char *path, bool as_json)
{
    _Alignas(16) static uint8_t scratch[CELLA_EVIDENCE_SCRATCH_SIZE];
    struct cella_evidence_claims claims;
    struct cella_evidence_failure failure;
    struct cella_platform_claims platform = {0};
    struct cella_span span = evidence_input_span(input);
    if (!cella_is_ok(cella_evidence_parse(span, &claims, &failure))) {
        fprintf(stderr, "cella evidence show: %s: byte %llu: %s\n", path,
                (unsigned long long)failure.offset, failure.text);
        return EVIDENCE_STATUS_UNREADABLE;
    }
    if (!cella_is_ok(cella_evidence_platform(span, scratch, sizeof(scratch), &platform))) {
        platform.known = false;
    }
    if (!as_json) {
        evidence_print_claims(stdout, &claims, &platform);
        return EVIDENCE_STATUS_ACCEPTED;
    }
    json_t *json = evidence_json_claims(&claims, &platform);
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
    return EVIDENCE_STATUS_ACCEPTED;
}

int evidence_show(int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    CELLA_CLEANUP(evidence_input_done) struct evidence_input input = {0};
    bool as_json = false;
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'j':
            as_json = true;
            break;
        case 'h':
            fputs(g_usage, stdout);
            return EVIDENCE_STATUS_ACCEPTED;
        default:
            return EVIDENCE_STATUS_UNREADABLE;
        }
    }
    if (optind + 1 != argc) {
        fputs(g_usage, stderr);
        return EVIDENCE_STATUS_UNREADABLE;
    }
    if (!evidence_input_read("cella evidence show", argv[optind], &input)) {
        return EVIDENCE_STATUS_UNREADABLE;
    }
    return show(&input, argv[optind], as_json);
}
