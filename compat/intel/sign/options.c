/*
 * The options of sgx_sign.
 * Side: tools. Called by main.c. Never looks at a file.
 */
#include "compat/intel/sign/options.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

static const char g_usage[] =
    "\n"
    "Usage: sgx_sign <command> [options]\n"
    "Commands:\n"
    "   sign      sign an enclave with a private key\n"
    "   gendata   write the bytes that are to be signed elsewhere\n"
    "   catsig    attach a signature made over them\n"
    "   dump      describe a signed enclave\n"
    "Options:\n"
    "   -enclave FILE   the linker's output, or for dump the signed enclave; every command\n"
    "   -key FILE       PEM, RSA-3072 with exponent 3: private for sign, public for catsig\n"
    "   -config FILE    the enclave's configuration (XML)\n"
    "   -out FILE       the result; sign, gendata, catsig\n"
    "   -sig FILE       the signature (openssl dgst -sha256 -sign); catsig\n"
    "   -unsigned FILE  what gendata wrote; catsig\n"
    "   -dumpfile FILE  the description; dump, and if wanted sign and catsig\n"
    "   -cssfile FILE   the SIGSTRUCT, 1808 bytes; dump, sign, catsig\n"
    "   -resign         sign an enclave that has been signed already\n"
    "   -ignore-rel-error, -ignore-init-sec-error\n"
    "                   taken and not needed: such enclaves are linked right, or refused\n"
    "\n"
    "sgx_sign -help prints this text, sgx_sign -version the version.\n"
    "\n";

enum use { NEEDED, MAY_BE, NOT_HERE };

static const char *const g_commands[] = {"sign", "gendata", "catsig", "dump"};

static const struct {
    const char *name;
    enum use use[4]; /* by command */
} g_paths[SIGN_PATH_COUNT] = {
    [SIGN_ENCLAVE] = {"-enclave", {NEEDED, NEEDED, NEEDED, NEEDED}},
    [SIGN_CONFIG] = {"-config", {MAY_BE, MAY_BE, MAY_BE, NOT_HERE}},
    [SIGN_KEY] = {"-key", {NEEDED, NOT_HERE, NEEDED, NOT_HERE}},
    [SIGN_OUT] = {"-out", {NEEDED, NEEDED, NEEDED, NOT_HERE}},
    [SIGN_SIG] = {"-sig", {NOT_HERE, NOT_HERE, NEEDED, NOT_HERE}},
    [SIGN_UNSIGNED] = {"-unsigned", {NOT_HERE, NOT_HERE, NEEDED, NOT_HERE}},
    [SIGN_DUMPFILE] = {"-dumpfile", {MAY_BE, NOT_HERE, MAY_BE, NEEDED}},
    [SIGN_CSSFILE] = {"-cssfile", {MAY_BE, NOT_HERE, MAY_BE, MAY_BE}},
};

static const char *const g_flags[] = {"-ignore-rel-error", "-ignore-init-sec-error", "-resign"};
#define FLAG_RESIGN 2u

static int wrong(const char *format, const char *a, const char *b)
{
    fputs("sgx_sign: ", stderr);
    fprintf(stderr, format, a, b);
    fputs(g_usage, stderr);
    return 255;
}

/* Which of `count` names; count when none. */
static unsigned find(const char *name, const char *const *names, unsigned count)
{
    unsigned i = 0;
    while (i < count && strcmp(name, names[i]) != 0) {
        i++;
    }
    return i;
}

static int take_path(struct sign_options *options, const char *name, const char *value)
{
    for (unsigned i = 0; i < SIGN_PATH_COUNT; i++) {
        if (strcmp(name, g_paths[i].name) != 0) {
            continue;
        }
        if (!value || value[0] == '-') {
            return wrong("%s: expected a file name%s\n", name, "");
        }
        if (options->path[i]) {
            return wrong("%s is given twice%s\n", name, "");
        }
        options->path[i] = value;
        return -1;
    }
    return wrong("%s: no such option%s\n", name, "");
}

static int check_paths(const struct sign_options *options)
{
    for (unsigned i = 0; i < SIGN_PATH_COUNT; i++) {
        const enum use use = g_paths[i].use[options->mode];
        if (use == NEEDED && !options->path[i]) {
            return wrong("%s is required for \"%s\"\n", g_paths[i].name, options->command);
        }
        if (use == NOT_HERE && options->path[i]) {
            return wrong("%s is invalid for \"%s\"\n", g_paths[i].name, options->command);
        }
        for (unsigned j = 0; j < i && options->path[i]; j++) {
            if (options->path[j] && strcmp(options->path[i], options->path[j]) == 0) {
                return wrong("%s and %s name the same file\n", g_paths[j].name, g_paths[i].name);
            }
        }
    }
    return -1;
}

int sign_options_parse(int argc, char **argv, struct sign_options *ret_options)
{
    bool seen[CELLA_COUNT(g_flags)] = {false};
    if (argc < 2) {
        return wrong("a command is missing%s%s\n", "", "");
    }
    if (argc == 2 && strcmp(argv[1], "-help") == 0) {
        fputs(g_usage, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "-version") == 0) {
        puts("sgx_sign (Cella) " CELLA_VERSION ", for the Intel SGX SDK 2.29");
        return 0;
    }
    const unsigned mode = find(argv[1], g_commands, CELLA_COUNT(g_commands));
    if (mode == CELLA_COUNT(g_commands)) {
        return wrong("%s: no such command; expected sign, gendata, catsig or dump%s\n", argv[1],
                     "");
    }
    ret_options->mode = (enum sign_mode)mode;
    ret_options->command = g_commands[mode];
    for (int i = 2; i < argc; i++) {
        const unsigned flag = find(argv[i], g_flags, CELLA_COUNT(g_flags));
        if (flag < CELLA_COUNT(g_flags)) {
            if (seen[flag]) {
                return wrong("%s is given twice%s\n", argv[i], "");
            }
            seen[flag] = true;
            continue;
        }
        const int status = take_path(ret_options, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (status >= 0) {
            return status;
        }
        i++;
    }
    ret_options->resign = seen[FLAG_RESIGN];
    if (mode == SIGN_MODE_DUMP && ret_options->resign) {
        return wrong("%s is invalid for \"%s\"\n", "-resign", "dump");
    }
    return check_paths(ret_options);
}
