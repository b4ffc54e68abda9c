/*
 * The Go toolchain of this machine, and the environment of builds for enclaves. ego.h is the manual.
 * Side: tools. Called by ego, ego-go and cella go. Any Go will do: no toolchain of our own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ego.h"
#include "cli/sdk.h"
#include "common/cleanup.h"

#ifndef CELLA_SOURCE_ROOT
#define CELLA_SOURCE_ROOT ""
#endif

/* Go's own resolver and user database instead of the libc's: a program without C of its own is then static. */
#define STATIC_TAGS "netgo,osusergo"

static bool executable_at(char *ret_path, size_t size, const char *folder, size_t folder_size)
{
    const int used = snprintf(ret_path, size, "%.*s/go", (int)folder_size, folder);
    return folder_size > 0 && used > 0 && (size_t)used < size && access(ret_path, X_OK) == 0;
}

bool go_tool_find(char *ret_path, size_t size, struct cella_error *error)
{
    static const char *const usual[] = {"/usr/local/go/bin", "/usr/lib/go/bin", "/snap/bin"};
    const char *named = getenv("CELLA_GO");
    const char *root = getenv("GOROOT");
    const char *path = getenv("PATH");
    char folder[EGO_PATH_MAX];
    if (named && *named) {
        return (size_t)snprintf(ret_path, size, "%s", named) < size;
    }
    if (root && *root &&
        (size_t)snprintf(folder, sizeof(folder), "%s/bin", root) < sizeof(folder) &&
        executable_at(ret_path, size, folder, strlen(folder))) {
        return true;
    }
    for (const char *at = path ? path : ""; *at;) {
        const size_t length = strcspn(at, ":");
        if (executable_at(ret_path, size, at, length)) {
            return true;
        }
        at += length + (at[length] == ':' ? 1 : 0);
    }
    for (size_t i = 0; i < CELLA_COUNT(usual); i++) {
        if (executable_at(ret_path, size, usual[i], strlen(usual[i]))) {
            return true;
        }
    }
    cella_ignore(cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                 "no Go toolchain: no `go` in PATH, GOROOT or /usr/local/go; "
                                 "install golang-go, or set CELLA_GO to the program"));
    return false;
}

/* FLAGS behind what the variable holds, or behind Go's own default. */
static bool add_flags(const char *variable, const char *flags)
{
    const char *old = getenv(variable);
    char *joined = NULL;
    const bool good = asprintf(&joined, "%s %s", old ? old : "-g -O2", flags) > 0 &&
                      setenv(variable, joined, 1) == 0;
    free(joined);
    return good;
}

/*
 * Headers and library for EGo's package eclient, which verifies outside of enclaves through cgo: the Open Enclave skin's,
 * of the prefix or the build tree that this program lies in.
 */
static bool add_verifier(void)
{
    static const struct {
        const char *include, *library;
    } places[] = {
        {"../include", "../lib/openenclave/host"}, /* as upstream lays it, whatever libdir is */
        {CELLA_SOURCE_ROOT "/include", "../compat/openenclave"},
    };
    char folder[SDK_PATH_MAX], header[2 * SDK_PATH_MAX], library[2 * SDK_PATH_MAX];
    if (!cella_is_ok(sdk_program_folder(folder, sizeof(folder), NULL))) {
        return true;
    }
    for (size_t i = 0; i < CELLA_COUNT(places); i++) {
        const bool absolute = places[i].include[0] == '/';
        snprintf(header, sizeof(header), "-I%s%s%s", absolute ? "" : folder, absolute ? "" : "/",
                 places[i].include);
        snprintf(library, sizeof(library), "%s/%s/liboehostverify.a", folder, places[i].library);
        if (access(library, R_OK) == 0 && !strpbrk(folder, " \t'\"")) {
            *strrchr(library, '/') = 0;
            memmove(library + 2, library, strlen(library) + 1);
            memcpy(library, "-L", 2);
            return add_flags("CGO_CFLAGS", header) && add_flags("CGO_LDFLAGS", library);
        }
    }
    return true;
}

/* The tags in GOFLAGS, where it has none of its own; those of a command line take their place. */
bool go_tool_environment(struct cella_error *error)
{
    const char *flags = getenv("GOFLAGS");
    char *joined = NULL;
    bool good = setenv("CGO_ENABLED", "1", 1) == 0;
    if (!flags || !strstr(flags, "-tags")) {
        good = good && asprintf(&joined, "%s%s-tags=" STATIC_TAGS, flags ? flags : "",
                                flags && *flags ? " " : "") > 0;
        good = good && setenv("GOFLAGS", joined, 1) == 0;
        free(joined);
    }
    good = good && add_verifier();
    if (!good) {
        cella_ignore(cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "no memory"));
    }
    return good;
}

/* The tags of the command line with ours behind them; false: no memory. */
static bool join_tags(char **argument, const char *name)
{
    const size_t skip = strlen(name);
    char *joined = NULL;
    if (asprintf(&joined, "%s%s," STATIC_TAGS, name, *argument + skip) < 0) {
        return false;
    }
    *argument = joined;
    return true;
}

/* Everything up to the packages: what stands behind a program to run is not for go. */
bool go_tool_tags(char **argv)
{
    static const char *const names[] = {"-tags=", "--tags="};
    for (int i = 2; argv[1] && argv[i] && argv[i][0] == '-'; i++) {
        for (size_t j = 0; j < 2; j++) {
            if (strncmp(argv[i], names[j], strlen(names[j])) == 0) {
                return join_tags(&argv[i], names[j]);
            }
        }
    }
    for (int i = 2; argv[1] && argv[i] && argv[i + 1]; i++) {
        if (strcmp(argv[i], "-tags") == 0 || strcmp(argv[i], "--tags") == 0) {
            return join_tags(&argv[i + 1], "");
        }
    }
    return true;
}
