/*
 * Modules whose go.mod asks for a newer Go. go_newer.h is the manual.
 * Side: tools. Called by ego-go.
 */
#include "cli/go_newer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/file.h"
#include "common/cleanup.h"

#define MODULE_FILE_MAX (1u << 20)
#define MODULES_MAX 64u

struct version {
    unsigned major, minor;
};

static bool version_of(const char *text, struct version *ret_version)
{
    return sscanf(text, "%u.%u", &ret_version->major, &ret_version->minor) == 2;
}

static bool is_newer(struct version a, struct version b)
{
    return a.major > b.major || (a.major == b.major && a.minor > b.minor);
}

/* The first line that `go ARGUMENTS` writes; false: it failed. `folder`: where it runs. */
static bool ask_go(const char *go, const char *folder, bool local, const char *first,
                   const char *second, char *ret_line, size_t size)
{
    int ends[2], status;
    if (pipe(ends) != 0) {
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        if (local) {
            setenv("GOTOOLCHAIN", "local", 1);
        }
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        if (freopen("/dev/null", "w", stderr) && chdir(folder) == 0) {
            execl(go, go, first, second, (char *)NULL);
        }
        _exit(127);
    }
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    const bool read = stream && fgets(ret_line, (int)size, stream);
    if (stream) {
        fclose(stream);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0 && read;
}

/* The folder of the go.mod that holds for the working directory. */
static bool find_module(char ret_folder[PATH_MAX])
{
    char path[PATH_MAX + 8];
    if (!getcwd(ret_folder, PATH_MAX)) {
        return false;
    }
    for (;;) {
        snprintf(path, sizeof(path), "%s/go.mod", ret_folder);
        if (access(path, R_OK) == 0) {
            return true;
        }
        char *slash = strrchr(ret_folder, '/');
        if (!slash || slash[1] == 0) {
            return false;
        }
        slash[slash == ret_folder ? 1 : 0] = 0;
    }
}

/* Folders in place of modules: what stands behind "=>" and begins with ./, ../ or /. */
struct folders {
    char list[MODULES_MAX][PATH_MAX];
    unsigned count;
};

static void add_folder(struct folders *folders, const char *module, const char *path, size_t size)
{
    char joined[2 * PATH_MAX], real[PATH_MAX];
    snprintf(joined, sizeof(joined), "%s%s%.*s", path[0] == '/' ? "" : module,
             path[0] == '/' ? "" : "/", (int)size, path);
    if (folders->count < MODULES_MAX && realpath(joined, real)) {
        strcpy(folders->list[folders->count++], real);
    }
}

/*
 * One go.mod: writes a copy to `out` that asks for `local`, if it asks for more. `folders`: of the main module, gets those
 * that it names. True: a copy was needed.
 */
static bool lower(struct cella_bytes text, struct version local, const char *module,
                  struct folders *folders, FILE *out, struct version *ret_asked)
{
    bool lowered = false;
    for (size_t at = 0; at < text.size;) {
        const char *line = (const char *)text.data + at;
        const char *end = (const char *)memchr(line, '\n', text.size - at);
        const size_t size = end ? (size_t)(end - line) : text.size - at;
        char word[PATH_MAX];
        struct version asked;
        at += size + 1;
        snprintf(word, sizeof(word), "%.*s", (int)(size < PATH_MAX ? size : PATH_MAX - 1), line);
        if (strncmp(word, "go ", 3) == 0 && version_of(word + 3, &asked) &&
            is_newer(asked, local)) {
            fprintf(out, "go %u.%u\n", local.major, local.minor);
            *ret_asked = asked;
            lowered = true;
            continue;
        }
        if (strncmp(word, "toolchain ", 10) == 0) {
            continue;
        }
        fprintf(out, "%.*s\n", (int)size, line);
        const char *arrow = strstr(word, "=>");
        const char *path = arrow ? arrow + 2 + strspn(arrow + 2, " \t\"") : "";
        if (folders && (path[0] == '.' || path[0] == '/')) {
            add_folder(folders, module, path, strcspn(path, " \t\""));
        }
    }
    return lowered;
}

/* The copy of FOLDER/go.mod as NUMBER.mod; its line of the overlay. */
static cella_result overlay_one(const struct go_newer *newer, const char *module, unsigned number,
                                struct version local, struct folders *folders, FILE *overlay,
                                unsigned *count, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    char from[PATH_MAX + 8], to[128];
    char *text = NULL;
    size_t size = 0;
    struct version asked = {0};
    snprintf(from, sizeof(from), "%s/go.mod", module);
    snprintf(to, sizeof(to), "%s/%u.mod", newer->folder, number);
    if (!cella_is_ok(cella_file_read(from, MODULE_FILE_MAX, &file, NULL))) {
        return CELLA_OK; /* go says it better */
    }
    FILE *stream = open_memstream(&text, &size);
    CELLA_ENSURE(stream != NULL, OUT_OF_MEMORY);
    const bool lowered = lower(cella_file_bytes(&file), local, module, folders, stream, &asked);
    fclose(stream);
    cella_result result = CELLA_OK;
    if (lowered && !strpbrk(from, "\"\\")) {
        result = cella_file_write(to, text, size, 0600, error);
        fprintf(overlay, "%s\"%s\": \"%s\"", (*count)++ ? ", " : "", from, to);
        fprintf(stderr, "ego-go: warning: %s asks for go %u.%u; built with go %u.%u\n", from,
                asked.major, asked.minor, local.major, local.minor);
    }
    free(text);
    return result;
}

static cella_result write_overlay(struct go_newer *newer, const char *module, struct version local,
                                  struct cella_error *error)
{
    struct folders *folders = (struct folders *)calloc(1, sizeof(*folders));
    char path[128];
    char *flags = NULL;
    unsigned count = 0;
    strcpy(newer->folder, "/tmp/ego-go-XXXXXX");
    if (!folders || !mkdtemp(newer->folder)) {
        newer->folder[0] = 0;
        free(folders);
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "/tmp");
    }
    snprintf(path, sizeof(path), "%s/overlay.json", newer->folder);
    FILE *overlay = fopen(path, "w");
    cella_result result = overlay ? CELLA_OK : CELLA_RESULT(IO);
    if (overlay) {
        fputs("{\"Replace\": {", overlay);
        result = overlay_one(newer, module, 0, local, folders, overlay, &count, error);
        for (unsigned i = 0; i < folders->count && cella_is_ok(result); i++) {
            result =
                overlay_one(newer, folders->list[i], i + 1, local, NULL, overlay, &count, error);
        }
        fputs("}}\n", overlay);
        fclose(overlay);
    }
    free(folders);
    CELLA_TRY(result);
    const char *old = getenv("GOFLAGS");
    CELLA_ENSURE(asprintf(&flags, "%s%s-overlay=%s", old ? old : "", old && *old ? " " : "", path) >
                     0,
                 OUT_OF_MEMORY);
    setenv("GOFLAGS", flags, 1);
    setenv("GOTOOLCHAIN", "local", 1);
    free(flags);
    return CELLA_OK;
}

cella_result go_newer_prepare(const char *go, struct go_newer *newer, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    char module[PATH_MAX], path[PATH_MAX + 8], line[256];
    struct version local, asked = {0};
    *newer = (struct go_newer){0};
    if (!find_module(module)) {
        return CELLA_OK;
    }
    snprintf(path, sizeof(path), "%s/go.mod", module);
    if (!cella_is_ok(cella_file_read(path, MODULE_FILE_MAX, &file, NULL)) ||
        !ask_go(go, "/", true, "env", "GOVERSION", line, sizeof(line)) ||
        strncmp(line, "go", 2) != 0 || !version_of(line + 2, &local)) {
        return CELLA_OK; /* go says what is wrong */
    }
    FILE *nowhere = fopen("/dev/null", "w");
    const bool wanted =
        nowhere && lower(cella_file_bytes(&file), local, module, NULL, nowhere, &asked);
    if (nowhere) {
        fclose(nowhere);
    }
    /* A toolchain that go fetches, or has, is better than one that is too old. */
    if (!wanted || ask_go(go, module, false, "version", NULL, line, sizeof(line))) {
        char found[256] = "";
        struct version switched;
        if (!wanted || (sscanf(line, "go version go%255s", found) == 1 &&
                        version_of(found, &switched) && !is_newer(asked, switched))) {
            return CELLA_OK;
        }
    }
    return write_overlay(newer, module, local, error);
}

void go_newer_done(struct go_newer *newer)
{
    char path[128];
    if (!newer->folder[0]) {
        return;
    }
    for (unsigned i = 0; i <= MODULES_MAX; i++) {
        snprintf(path, sizeof(path), "%s/%u.mod", newer->folder, i);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/overlay.json", newer->folder);
    unlink(path);
    rmdir(newer->folder);
}
