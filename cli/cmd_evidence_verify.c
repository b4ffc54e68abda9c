/*
 * `cella evidence verify`: verifies evidence against collateral and explains the verdict.
 * Side: tools. Called by cli/cmd_evidence.c. Never fetches anything: collateral is what the caller gives.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/evidence.h"
#include "cli/file.h"
#include "common/cleanup.h"

#define COMMAND "cella evidence verify"
#define SMALL_FILE_MAX ((size_t)1 << 20)

static const char g_usage[] =
    "usage: cella evidence verify [--at TIME] [--collateral DIR] [--root PEM] [--policy FILE] "
    "[--json] FILE\n"
    "\n"
    "Verifies an SGX or TDX quote, an SNP report or Open Enclave evidence, and says what each step "
    "found.\n"
    "FILE may be raw, hexadecimal, base64, JSON with the evidence (and collateral) in strings, "
    "or a\n"
    "certificate of attested TLS; - is standard input.\n"
    "\n"
    "  --at TIME         the time at which everything must be valid, as in 2026-01-31T12:00:00Z; "
    "default: now\n"
    "  --collateral DIR  a directory of collateral, or one file of it; again for more. Files are "
    "known by their\n"
    "                    content: TCB info and QE identity (JSON), certificates and revocation "
    "lists (PEM, DER or\n"
    "                    hexadecimal), VCEK or VLEK with AMD's chain, bundles of these in JSON\n"
    "  --root PEM        trust the key of this certificate as a root too; again for more. A "
    "software platform's root\n"
    "                    must be named so; those of Intel and AMD are built in\n"
    "  --policy FILE     what to demand beyond that, in JSON\n"
    "  --json            print JSON\n"
    "  --help            this text\n"
    "\n"
    "exit status: 0 accepted, 1 refused, 2 something could not be read\n";

struct verification {
    struct evidence_input input;
    struct cella_collateral_set *set;
    struct cella_roots roots;
    struct cella_evidence_policy policy;
    int64_t time;
    bool as_json;
};

static void verification_done(struct verification *verification)
{
    evidence_input_done(&verification->input);
    cella_collateral_set_free(verification->set);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool root_add(struct verification *verification, const char *path)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_error error = {0};
    if (!cella_is_ok(cella_file_read(path, SMALL_FILE_MAX, &file, &error))) {
        fprintf(stderr, COMMAND ": %s\n", error.text);
        return false;
    }
    struct cella_span span = {.data = file.data, .size = file.size};
    cella_result result = cella_roots_add(&verification->roots, span);
    if (cella_is_ok(result)) {
        result = cella_collateral_set_add(verification->set, base_name(path), span, NULL);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, COMMAND ": %s: no root certificate: %s\n", path, cella_result_text(result));
    }
    return cella_is_ok(result);
}

static bool collateral_add(struct verification *verification, const char *path)
{
    cella_result result = cella_collateral_set_add_directory(verification->set, path);
    if (result.code == CELLA_CODE_NOT_FOUND) {
        result = cella_collateral_set_add_file(verification->set, path, NULL);
    }
    if (!cella_is_ok(result)) {
        fprintf(stderr, COMMAND ": %s: %s\n", path, cella_result_text(result));
    }
    return cella_is_ok(result);
}

static bool policy_read(struct verification *verification, const char *path)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    struct cella_evidence_failure failure;
    struct cella_error error = {0};
    if (!cella_is_ok(cella_file_read(path, SMALL_FILE_MAX, &file, &error))) {
        fprintf(stderr, COMMAND ": %s\n", error.text);
        return false;
    }
    if (!cella_is_ok(cella_evidence_policy_parse(
            &verification->policy, (struct cella_span){.data = file.data, .size = file.size},
            &failure))) {
        fprintf(stderr, COMMAND ": %s: byte %llu: %s\n", path, (unsigned long long)failure.offset,
                failure.text);
        return false;
    }
    return true;
}

static bool option_take(struct verification *verification, int option)
{
    switch (option) {
    case 't':
        if (cella_is_ok(cella_evidence_time(optarg, strlen(optarg), &verification->time))) {
            return true;
        }
        fprintf(stderr, COMMAND ": --at %s: expected a time as in 2026-01-31T12:00:00Z\n", optarg);
        return false;
    case 'c':
        return collateral_add(verification, optarg);
    case 'r':
        return root_add(verification, optarg);
    case 'p':
        return policy_read(verification, optarg);
    case 'j':
        verification->as_json = true;
        return true;
    default:
        return false;
    }
}

static void json_print(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

static void free_pointer(void **pointer)
{
    free(*pointer);
}

static int verify(struct verification *verification)
{
    size_t memory_size = cella_collateral_set_prepared_size(verification->set);
    CELLA_CLEANUP(free_pointer) void *memory = aligned_alloc(16, (memory_size + 15) & ~15ul);
    CELLA_CLEANUP(free_pointer) void *scratch = aligned_alloc(16, CELLA_EVIDENCE_SCRATCH_SIZE);
    CELLA_CLEANUP(free_pointer) void *room = calloc(1, sizeof(struct cella_evidence_result));
    struct cella_evidence_result *result = room;
    struct cella_prepared *prepared = NULL;
    struct cella_span evidence = evidence_input_span(&verification->input);
    size_t count;
    const struct cella_collateral_item *items =
        cella_collateral_set_items(verification->set, &count);
    if (!memory || !scratch || !result) {
        fputs(COMMAND ": out of memory\n", stderr);
        return EVIDENCE_STATUS_UNREADABLE;
    }
    cella_result done = cella_evidence_prepare(items, count, &evidence, &verification->roots,
                                               memory, memory_size, &prepared);
    if (cella_is_ok(done)) {
        done = cella_evidence_verify(evidence, prepared, verification->time, &verification->policy,
                                     scratch, CELLA_EVIDENCE_SCRATCH_SIZE, result);
    }
    if (!cella_is_ok(done) && result->failure_count == 0) {
        fprintf(stderr, COMMAND ": %s\n", cella_result_text(done));
        cella_evidence_prepared_done(prepared);
        return EVIDENCE_STATUS_UNREADABLE;
    }
    if (verification->as_json) {
        json_print(evidence_json_result(result, verification->time));
    } else {
        evidence_print_result(stdout, result, verification->time);
    }
    cella_evidence_prepared_done(prepared);
    return result->accepted ? EVIDENCE_STATUS_ACCEPTED : EVIDENCE_STATUS_REFUSED;
}

int evidence_verify(int argc, char **argv)
{
    static const struct option longs[] = {
        {"at", required_argument, NULL, 't'},
        {"collateral", required_argument, NULL, 'c'},
        {"root", required_argument, NULL, 'r'},
        {"policy", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    CELLA_CLEANUP(verification_done)
    struct verification verification = {.time = (int64_t)time(NULL)};
    int option;
    verification.set = cella_collateral_set_new();
    if (!verification.set) {
        return EVIDENCE_STATUS_UNREADABLE;
    }
    cella_evidence_policy_init(&verification.policy);
    optind = 1;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (option == 'h') {
            fputs(g_usage, stdout);
            return EVIDENCE_STATUS_ACCEPTED;
        }
        if (!option_take(&verification, option)) {
            return EVIDENCE_STATUS_UNREADABLE;
        }
    }
    if (optind + 1 != argc) {
        fputs(g_usage, stderr);
        return EVIDENCE_STATUS_UNREADABLE;
    }
    const char *path = argv[optind];
    if (!evidence_input_read(COMMAND, path, &verification.input)) {
        if (verification.as_json) {
            json_print(evidence_json_unreadable("the file holds no evidence, or cannot be read"));
        }
        return EVIDENCE_STATUS_UNREADABLE;
    }
    /* A JSON file that is more than evidence may bring its collateral along. */
    struct cella_span file = {.data = verification.input.file,
                              .size = verification.input.file_size};
    bool is_bare = file.size == verification.input.size;
    if (!is_bare &&
        !cella_is_ok(cella_collateral_set_add(verification.set, base_name(path), file, NULL))) {
        return EVIDENCE_STATUS_UNREADABLE;
    }
    return verify(&verification);
}
