/*
 * cella platform: makes, shows, exports and forgets the software platform whose keys enclaves here have.
 * Side: tools. Called by cli/main.c.
 * Never prints a secret; never forgets a platform without being told twice.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cella/evidence.h"
#include "cli/cli.h"
#include "common/cleanup.h"
#include "host/quote.h"
#include "platform/state.h"
#include "soft/keys.h"

static const char g_help[] =
    "usage: cella platform [--platform DIR] [--json] COMMAND\n"
    "\n"
    "The software platform: the root key of the software SGX processor, and the certificates that\n"
    "make its quotes verifiable by whoever trusts its root.\n"
    "\n"
    "  init                      make it and certify it; what is there already is kept\n"
    "  show                      say what it is\n"
    "  export-root [FILE]        write its root certificate (PEM) to FILE or standard output\n"
    "       [--source]           instead, C source that makes an enclave trust it (cella/roots.h)\n"
    "  export-collateral FOLDER  write what a verifier needs into FOLDER, issued now for 30 days:\n"
    "                            TCB info, QE identity, CRLs, issuer chains, the root\n"
    "  reset --yes               forget its keys: nothing sealed so far can be unsealed again, "
    "and\n"
    "                            the next init makes another platform with another root\n"
    "\n"
    "  --platform DIR            where it is (default ~/.local/state/cella/platform)\n"
    "  --json                    for programs\n"
    "  --help                    this text\n"
    "\n"
    "It protects nothing from the machine's owner: see CAVEATS. Exit status: 0 done, 1 refused,\n"
    "2 wrong use or unreadable.\n";

struct job {
    bool json;
    bool yes;
    bool source;
    const char *argument; /* NULL: none */
};

static int fail(const struct cella_error *error, cella_result result)
{
    fprintf(stderr, "cella platform: %s\n",
            error->text[0] ? error->text : cella_result_text(result));
    return 1;
}

static void hex(const uint8_t *bytes, size_t size, char *ret_text)
{
    for (size_t i = 0; i < size; i++) {
        sprintf(ret_text + 2 * i, "%02x", bytes[i]);
    }
}

static void provision_done(struct cella_provision *provision)
{
    cella_provision_done(provision);
}

static void json_done(json_t **value)
{
    json_decref(*value);
}

static void set_hex(json_t *object, const char *name, const void *bytes, size_t size)
{
    char text[2 * 64 + 1];
    hex(bytes, size, text);
    json_object_set_new(object, name, json_string(text));
}

/* The platform, but only a lasting one: what an ephemeral one certifies, nobody can verify tomorrow. */
static cella_result lasting(struct cella_provision *ret_provision, struct cella_error *error)
{
    const struct soft_platform_info info = soft_platform_info();
    char directory[512] = "neither CELLA_PLATFORM_DIR nor HOME";
    if (info.ephemeral) {
        soft_platform_directory(directory, sizeof(directory));
        return cella_error_errno(error, CELLA_RESULT(IO), info.error,
                                 "%s: not a platform directory (--platform DIR)", directory);
    }
    return cella_provision_load(ret_provision, error);
}

static json_t *describe(const struct cella_provision *provision)
{
    static const uint8_t fmspc[6] = PLATFORM_FMSPC;
    uint8_t root[SHA256_DIGEST_LENGTH], cpu_svn[16];
    const struct platform_blob *der = platform_der(provision->platform, PLATFORM_ROOT);
    struct cella_quote_identity identity;
    json_t *object = json_object();
    json_object_set_new(object, "directory", json_string(provision->directory));
    SHA256(der->data, der->size, root);
    set_hex(object, "root_sha256", root, sizeof(root));
    set_hex(object, "fmspc", fmspc, sizeof(fmspc));
    set_hex(object, "ppid", platform_ppid(provision->platform), 16);
    soft_platform_cpu_svn(cpu_svn);
    set_hex(object, "cpu_svn", cpu_svn, sizeof(cpu_svn));
    if (cella_is_ok(cella_quote_local_identity(&identity, NULL))) {
        json_object_set_new(object, "pce_svn", json_integer(identity.pce_svn));
        json_object_set_new(object, "qe_svn", json_integer(identity.report.body.isv_svn));
        set_hex(object, "qe_mr_enclave", identity.report.body.mr_enclave, 32);
        set_hex(object, "qe_mr_signer", identity.report.body.mr_signer, 32);
        set_hex(object, "attestation_key_id", identity.key_id, 32);
    }
    return object;
}

static int print(const struct cella_provision *provision, const struct job *job)
{
    CELLA_CLEANUP(json_done) json_t *object = describe(provision);
    const char *name;
    json_t *value;
    if (job->json) {
        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
        return 0;
    }
    json_object_foreach(object, name, value)
    {
        if (json_is_integer(value)) {
            printf("%-20s %lld\n", name, (long long)json_integer_value(value));
        } else {
            printf("%-20s %s\n", name, json_string_value(value));
        }
    }
    return 0;
}

static int run_init(const struct job *job)
{
    struct cella_error error = {0};
    CELLA_CLEANUP(provision_done) struct cella_provision provision = {0};
    const cella_result result = lasting(&provision, &error);
    return cella_is_ok(result) ? print(&provision, job) : fail(&error, result);
}

/* As init, but makes no platform where there is none. */
static int run_show(const struct job *job)
{
    char directory[512], path[600];
    if (soft_platform_directory(directory, sizeof(directory))) {
        snprintf(path, sizeof(path), "%s/root.key", directory);
        if (access(path, F_OK) < 0) {
            fprintf(stderr, "cella platform: %s: %s; `cella platform init` makes it\n", path,
                    strerror(errno));
            return 1;
        }
    }
    return run_init(job);
}

/* For an enclave to link: docs/attestation.md. */
static bool source_write(const struct cella_provision *provision, FILE *file)
{
    const struct platform_blob *der = platform_der(provision->platform, PLATFORM_ROOT);
    const struct cella_span certificate = {.data = der->data, .size = der->size};
    struct cella_roots roots = {.count = 0};
    if (!cella_is_ok(cella_roots_add(&roots, certificate))) {
        return false;
    }
    fputs("/* The root of a software platform. */\n#include \"cella/roots.h\"\n\n", file);
    fputs("CELLA_TRUSTED_ROOTS({.spki_sha256 = {", file);
    for (size_t i = 0; i < sizeof(roots.keys[0].spki_sha256); i++) {
        fprintf(file, "%s0x%02x", i ? ", " : "", roots.keys[0].spki_sha256[i]);
    }
    return fputs("}});\n", file) >= 0;
}

static int run_export_root(const struct job *job)
{
    struct cella_error error = {0};
    CELLA_CLEANUP(provision_done) struct cella_provision provision = {0};
    const cella_result result = lasting(&provision, &error);
    if (!cella_is_ok(result)) {
        return fail(&error, result);
    }
    const struct platform_blob *pem = platform_pem(provision.platform, PLATFORM_ROOT);
    FILE *file = job->argument ? fopen(job->argument, "wbe") : stdout;
    const bool written = file && (job->source ? source_write(&provision, file)
                                              : fwrite(pem->data, 1, pem->size, file) == pem->size);
    if (!written || (job->argument ? fclose(file) : fflush(file)) != 0) {
        fprintf(stderr, "cella platform: %s: %s\n",
                job->argument ? job->argument : "standard output", strerror(errno));
        return 2;
    }
    return 0;
}

static int run_export_collateral(const struct job *job)
{
    struct cella_error error = {0};
    struct platform_collateral collateral;
    CELLA_CLEANUP(provision_done) struct cella_provision provision = {0};
    cella_result result = lasting(&provision, &error);
    if (cella_is_ok(result)) {
        result = cella_provision_collateral(&provision, time(NULL), &collateral, &error);
    }
    if (!cella_is_ok(result)) {
        return fail(&error, result);
    }
    result = platform_state_export(job->argument, provision.platform, &collateral, &error);
    platform_collateral_done(&collateral);
    return cella_is_ok(result) ? 0 : fail(&error, result);
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t size = strlen(name), ending_size = strlen(ending);
    return size > ending_size && strcmp(name + size - ending_size, ending) == 0;
}

/* The files that this project puts into the directory itself, and into the folders below it; no others. */
static bool is_ours(const char *name, bool below)
{
    static const char *const names[] = {"root.key", "cpusvn", "epoch"};
    static const char *const endings[] = {".der", ".pem", ".json"};
    bool ours = false;
    for (size_t i = 0; i < CELLA_COUNT(names) && !ours; i++) {
        ours = below ? ends_in(name, endings[i]) : strcmp(name, names[i]) == 0;
    }
    return ours;
}

static int folder_clear(const char *directory, const char *below)
{
    char path[700];
    snprintf(path, sizeof(path), "%s%s", directory, below);
    DIR *folder = opendir(path);
    if (!folder) {
        return errno == ENOENT ? 0 : -1;
    }
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (is_ours(entry->d_name, below[0] != 0)) {
            failed |= unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    closedir(folder);
    return failed;
}

static int run_reset(const struct job *job)
{
    const struct soft_platform_info info = soft_platform_info();
    if (!job->yes) {
        fprintf(stderr,
                "cella platform: reset forgets the keys in %s: nothing sealed can be unsealed\n"
                "cella platform: again. `reset --yes` does it\n",
                info.directory);
        return 1;
    }
    /* the key goes last: what was certified for it must not be found beside another */
    if (info.ephemeral ||
        folder_clear(info.directory, "/" PLATFORM_FOLDER "/" PLATFORM_COLLATERAL) != 0 ||
        folder_clear(info.directory, "/" PLATFORM_FOLDER) != 0 ||
        folder_clear(info.directory, "") != 0) {
        fprintf(stderr, "cella platform: %s: %s\n", info.directory, strerror(errno));
        return 1;
    }
    return 0;
}

int cella_cmd_platform(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct job *job);
        int least, most; /* arguments */
    } commands[] = {
        {"init", run_init, 0, 0},
        {"show", run_show, 0, 0},
        {"export-root", run_export_root, 0, 1},
        {"export-collateral", run_export_collateral, 1, 1},
        {"reset", run_reset, 0, 0},
    };
    static const struct option options[] = {
        {"platform", required_argument, NULL, 'p'},
        {"json", no_argument, NULL, 'j'},
        {"yes", no_argument, NULL, 'y'},
        {"source", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct job job = {0};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p':
            setenv("CELLA_PLATFORM_DIR", optarg, 1);
            break;
        case 'j':
            job.json = true;
            break;
        case 'y':
            job.yes = true;
            break;
        case 's':
            job.source = true;
            break;
        case 'h':
            fputs(g_help, stdout);
            return 0;
        default:
            return 2;
        }
    }
    const int count = argc - optind - 1;
    for (size_t i = 0; count >= 0 && i < CELLA_COUNT(commands); i++) {
        if (strcmp(argv[optind], commands[i].name) == 0 && count >= commands[i].least &&
            count <= commands[i].most) {
            job.argument = count > 0 ? argv[optind + 1] : NULL;
            return commands[i].run(&job);
        }
    }
    fputs(g_help, stderr);
    return 2;
}
