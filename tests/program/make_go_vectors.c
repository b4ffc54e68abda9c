/*
 * The cases of the evidence verifier's own test (tests/evidence/dcap_cases.def) as files, for the verifier in Go:
 * FOLDER/NAME/{quote,root.der,collateral/…,expected}; `expected`: the step that fails first (accepted: none) and the status.
 * Side: tests. Called by tests/program/go.sh: make_go_vectors FOLDER.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "tests/evidence/maker.h"

#define CELLA_STEP_ACCEPTED CELLA_STEP_COUNT

struct dcap_case {
    const char *name;
    enum cella_tee tee;
    unsigned version;
    enum cella_evidence_step step;
    enum cella_tcb_status status;
    void (*change)(struct spec *s);
};

#define X(name, tee, version, step, status, ...)                                                   \
    static void change_##name(struct spec *s)                                                      \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
#include "tests/evidence/dcap_cases.def"
#undef X

static const struct dcap_case g_cases[] = {
#define X(name, tee, version, step, status, ...)                                                   \
    {#name, CELLA_TEE_##tee, version, CELLA_STEP_##step, CELLA_TCB_##status, change_##name},
#include "tests/evidence/dcap_cases.def"
#undef X
};

static void put(const char *folder, const char *name, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void folder_make(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        perror(path);
        exit(1);
    }
}

static void case_write(const char *top, const struct dcap_case *test)
{
    struct cella_collateral_item items[8];
    char folder[2048], inner[4096], expected[256];
    struct spec spec;
    struct made made;
    spec_init(&spec, test->tee, test->version);
    test->change(&spec);
    make(&spec, &made);
    snprintf(folder, sizeof(folder), "%s/%s", top, test->name);
    folder_make(folder);
    put(folder, "quote", made.quote.data, made.quote.size);
    put(folder, "root.der", made.der[ROLE_ROOT].data, made.der[ROLE_ROOT].size);
    const int used = snprintf(
        expected, sizeof(expected), "%s %s\n",
        test->step == CELLA_STEP_ACCEPTED ? "accepted" : cella_evidence_step_name(test->step),
        test->status == CELLA_TCB_NONE ? "-" : cella_tcb_status_name(test->status));
    put(folder, "expected", expected, (size_t)used);
    snprintf(inner, sizeof(inner), "%s/collateral", folder);
    folder_make(inner);
    const size_t count = made_items(&spec, &made, items);
    for (size_t i = 0; i < count; i++) {
        put(inner, items[i].name, items[i].bytes.data, items[i].bytes.size);
    }
    made_done(&made);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: make_go_vectors FOLDER\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < CELLA_COUNT(g_cases); i++) {
        if (g_cases[i].tee == CELLA_TEE_SGX && g_cases[i].version == 3) {
            case_write(argv[1], &g_cases[i]);
        }
    }
    return 0;
}
