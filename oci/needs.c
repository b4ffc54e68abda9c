/*
 * The libraries that a program needs, found as its loader finds them: DT_NEEDED, DT_RPATH, DT_RUNPATH, LD_LIBRARY_PATH,
 * the loader's cache and its own folders (ld.so(8)).
 * Side: tools. Called by cli/. Never runs the program or its loader.
 */
#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "oci/loader.h"
#include "oci/tree.h"

#define OBJECTS_MAX 512u
#define CACHE_PATH "/etc/ld.so.cache"
#define CACHE_SIZE_MAX (1u << 26)
#define LIBRARY_SIZE_MAX (1ull << 31)

struct object {
    char path[PATH_MAX]; /* as it was found; its real name may be another */
    char name[256];      /* as it was asked for */
    struct cella_file file;
    struct oci_elf elf;
    unsigned loader; /* index of the object that needed it first */
};

struct search {
    struct object *objects;
    unsigned count;
    struct cella_file cache;
    const char *library_path;
    bool musl;
};

static void search_done(struct search *search)
{
    for (unsigned i = 0; i < search->count; i++) {
        cella_file_done(&search->objects[i].file);
    }
    free(search->objects);
    cella_file_done(&search->cache);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool text_put(char *ret_text, size_t size, size_t *used, const char *text, size_t length)
{
    if (length >= size - *used) {
        return false;
    }
    memcpy(ret_text + *used, text, length);
    *used += length;
    ret_text[*used] = '\0';
    return true;
}

/* One folder of a search path with $ORIGIN, $LIB and $PLATFORM (or in braces) filled in. */
static bool expand(const char *origin, const char *part, size_t length, char *ret_folder,
                   size_t size)
{
    const struct {
        const char *name;
        const char *value;
    } names[] = {{"ORIGIN", origin}, {"LIB", "lib/x86_64-linux-gnu"}, {"PLATFORM", "x86_64"}};
    size_t used = 0;
    ret_folder[0] = '\0';
    for (size_t at = 0; at < length;) {
        const size_t brace = at + 1 < length && part[at] == '$' && part[at + 1] == '{';
        size_t skip = 0;
        for (size_t i = 0; part[at] == '$' && i < CELLA_COUNT(names) && !skip; i++) {
            const size_t end = at + 1 + brace + strlen(names[i].name);
            if (end + brace <= length &&
                !strncmp(part + at + 1 + brace, names[i].name, strlen(names[i].name)) &&
                (!brace || part[end] == '}')) {
                skip = end + brace - at;
                if (!text_put(ret_folder, size, &used, names[i].value, strlen(names[i].value))) {
                    return false;
                }
            }
        }
        if (!skip && !text_put(ret_folder, size, &used, part + at, 1)) {
            return false;
        }
        at += skip ? skip : 1;
    }
    return used > 0;
}

/* Reads a candidate; NOT_FOUND for what is not there or not for this processor: the loader goes on, too. */
static cella_result try_path(struct search *search, const char *path, const char *name,
                             unsigned loader)
{
    if (search->count == OBJECTS_MAX || strlen(path) >= PATH_MAX || strlen(name) >= 256) {
        return CELLA_RESULT(LIMIT_EXCEEDED);
    }
    struct object *object = &search->objects[search->count];
    *object = (struct object){.loader = loader};
    struct cella_error ignored = {0};
    if (access(path, R_OK) < 0) {
        return CELLA_RESULT(NOT_FOUND);
    }
    cella_result result = cella_file_read(path, LIBRARY_SIZE_MAX, &object->file, &ignored);
    if (cella_is_ok(result)) {
        result = oci_elf_parse(cella_file_bytes(&object->file), &object->elf);
    }
    if (!cella_is_ok(result)) {
        cella_file_done(&object->file);
        return CELLA_RESULT(NOT_FOUND);
    }
    snprintf(object->path, sizeof(object->path), "%s", path);
    snprintf(object->name, sizeof(object->name), "%s", name);
    search->count++;
    return CELLA_OK;
}

static cella_result try_folder(struct search *search, const char *folder, const char *name,
                               unsigned loader)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
        return CELLA_RESULT(NOT_FOUND);
    }
    return try_path(search, path, name, loader);
}

/* The folders of `list`, separated by ':' (and ';' in LD_LIBRARY_PATH). */
static cella_result try_list(struct search *search, const struct object *owner, const char *list,
                             const char *name, unsigned loader)
{
    char real[PATH_MAX], folder[PATH_MAX];
    if (!list || !realpath(owner->path, real)) {
        return CELLA_RESULT(NOT_FOUND);
    }
    *strrchr(real, '/') = '\0';
    for (const char *at = list; *at;) {
        const size_t length = strcspn(at, ":;");
        if (length > 0 && expand(real[0] ? real : "/", at, length, folder, sizeof(folder))) {
            cella_result result = try_folder(search, folder, name, loader);
            if (result.code != CELLA_CODE_NOT_FOUND) {
                return result;
            }
        }
        at += length + (at[length] != '\0');
    }
    return CELLA_RESULT(NOT_FOUND);
}

static cella_result try_rpaths(struct search *search, unsigned loader, const char *name)
{
    if (search->objects[loader].elf.runpath) {
        return CELLA_RESULT(NOT_FOUND); /* DT_RUNPATH turns DT_RPATH off */
    }
    for (unsigned at = loader;; at = search->objects[at].loader) {
        const struct object *object = &search->objects[at];
        if (!object->elf.runpath) {
            cella_result result = try_list(search, object, object->elf.rpath, name, loader);
            if (result.code != CELLA_CODE_NOT_FOUND) {
                return result;
            }
        }
        if (at == 0) {
            return CELLA_RESULT(NOT_FOUND);
        }
    }
}

static cella_result try_system(struct search *search, const char *name, unsigned loader)
{
    static const char *const glibc[] = {"/lib/x86_64-linux-gnu",
                                        "/usr/lib/x86_64-linux-gnu",
                                        "/lib64",
                                        "/usr/lib64",
                                        "/lib",
                                        "/usr/lib"};
    static const char *const musl[] = {"/usr/lib/x86_64-linux-musl", "/lib/x86_64-linux-musl",
                                       "/lib", "/usr/local/lib", "/usr/lib"};
    const char *const *folders = search->musl ? musl : glibc;
    const size_t count = search->musl ? CELLA_COUNT(musl) : CELLA_COUNT(glibc);
    const char *path;
    if (!search->musl &&
        cella_is_ok(oci_cache_find(cella_file_bytes(&search->cache), name, &path))) {
        cella_result result = try_path(search, path, name, loader);
        if (result.code != CELLA_CODE_NOT_FOUND) {
            return result;
        }
    }
    for (size_t i = 0; i < count; i++) {
        cella_result result = try_folder(search, folders[i], name, loader);
        if (result.code != CELLA_CODE_NOT_FOUND) {
            return result;
        }
    }
    return CELLA_RESULT(NOT_FOUND);
}

static bool is_there(const struct search *search, const char *name)
{
    for (unsigned i = 1; i < search->count; i++) {
        const struct object *object = &search->objects[i];
        if (strcmp(object->name, name) == 0 ||
            (object->elf.soname && strcmp(object->elf.soname, name) == 0)) {
            return true;
        }
    }
    /* musl's loader is its libc. */
    return search->musl &&
           (strcmp(name, "libc.so") == 0 || strncmp(name, "libc.musl-", strlen("libc.musl-")) == 0);
}

static cella_result find_needed(struct search *search, unsigned loader, const char *name,
                                struct cella_error *error)
{
    const struct object *owner = &search->objects[loader];
    cella_result result;
    if (is_there(search, name)) {
        return CELLA_OK;
    }
    if (strchr(name, '/')) {
        result = try_path(search, name, base_name(name), loader);
    } else {
        result = try_rpaths(search, loader, name);
        if (result.code == CELLA_CODE_NOT_FOUND) {
            result = try_list(search, owner, search->library_path, name, loader);
        }
        if (result.code == CELLA_CODE_NOT_FOUND) {
            result = try_list(search, owner, owner->elf.runpath, name, loader);
        }
        if (result.code == CELLA_CODE_NOT_FOUND) {
            result = try_system(search, name, loader);
        }
    }
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result,
                               "%s needs %s, which is not in its search path, in " CACHE_PATH
                               " or in the system's folders%s",
                               owner->path, name,
                               result.code == CELLA_CODE_LIMIT_EXCEEDED ? " (too many libraries)"
                                                                        : "");
    }
    return CELLA_OK;
}

/*
 * glibc loads this one by itself when a thread is cancelled or ends early, and aborts without it. The software processor
 * cancels one.
 */
static cella_result find_unwinder(struct search *search, unsigned index, struct cella_error *error)
{
    static const char *const causes[] = {"pthread_cancel", "pthread_exit"};
    const struct object *object = &search->objects[index];
    if (search->musl || strncmp(object->name, "libc.so", 7) == 0 ||
        strncmp(object->name, "libpthread.so", 13) == 0) {
        return CELLA_OK;
    }
    for (size_t i = 0; i < CELLA_COUNT(causes); i++) {
        if (oci_elf_mentions(&object->elf, causes[i])) {
            return find_needed(search, index, "libgcc_s.so.1", error);
        }
    }
    return CELLA_OK;
}

/* Everything found, the program first. Breadth first, as the loader does it. */
static cella_result find_all(struct search *search, const char *program, struct cella_error *error)
{
    struct cella_error ignored = {0};
    cella_ignore(cella_file_read(CACHE_PATH, CACHE_SIZE_MAX, &search->cache, &ignored));
    search->library_path = getenv("LD_LIBRARY_PATH");
    search->objects = calloc(OBJECTS_MAX, sizeof(*search->objects));
    CELLA_ENSURE(search->objects != NULL, OUT_OF_MEMORY);
    cella_result result = try_path(search, program, base_name(program), 0);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s: not a program for x86-64", program);
    }
    const char *interpreter = search->objects[0].elf.interpreter;
    if (!interpreter && search->objects[0].elf.needed_count == 0) {
        return CELLA_OK;
    }
    search->musl = interpreter && strncmp(base_name(interpreter), "ld-musl", 7) == 0;
    if (interpreter && !cella_is_ok(try_path(search, interpreter, base_name(interpreter), 0))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: its loader %s is not there",
                               program, interpreter);
    }
    for (unsigned i = 0; i < search->count; i++) {
        for (unsigned j = 0; j < search->objects[i].elf.needed_count; j++) {
            CELLA_TRY(find_needed(search, i, search->objects[i].elf.needed[j], error));
        }
        CELLA_TRY(find_unwinder(search, i, error));
    }
    return CELLA_OK;
}

/*
 * A folder where the image's loader looks without a cache: that of the libc here, which differs between distributions
 * (/usr/lib/x86_64-linux-gnu, /usr/lib64). /lib is /usr/lib.
 */
static void library_folder(const struct search *search, char ret_folder[PATH_MAX])
{
    strcpy(ret_folder, search->musl ? "usr/lib" : "usr/lib/x86_64-linux-gnu");
    for (unsigned i = 1; i < search->count && !search->musl; i++) {
        const char *path = search->objects[i].path;
        const size_t length = strlen(path) - strlen(base_name(path));
        if (strcmp(search->objects[i].name, "libc.so.6") == 0 && length > 1 &&
            (strncmp(path, "/lib", 4) == 0 || strncmp(path, "/usr/lib", 8) == 0)) {
            snprintf(ret_folder, PATH_MAX, "%s%.*s", path[1] == 'l' ? "usr/" : "", (int)length - 2,
                     path + 1);
        }
    }
}

/* The interpreter has the place that the program names. */
static cella_result add_object(struct oci_tree *tree, const struct search *search,
                               const struct object *object, const char *project,
                               struct cella_error *error)
{
    const char *interpreter = search->objects[0].elf.interpreter;
    char path[2 * PATH_MAX], folder[PATH_MAX], real[PATH_MAX];
    if (!realpath(object->path, real)) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: gone", object->path);
    }
    if (interpreter && strcmp(object->path, interpreter) == 0) {
        snprintf(path, sizeof(path), "%s", interpreter + strspn(interpreter, "/"));
    } else {
        library_folder(search, folder);
        snprintf(path, sizeof(path), "%s/%s", folder, object->name);
    }
    const size_t length = strlen(project);
    const bool ours = strncmp(real, project, length) == 0 && real[length] == '/';
    return oci_tree_add_file(tree, ours ? OCI_LAYER_HOST : OCI_LAYER_BASE, path, real, 0755,
                             OCI_TRIM_PROGRAM, error);
}

cella_result oci_tree_add_needs(struct oci_tree *tree, const char *program, const char *project,
                                struct cella_error *error)
{
    CELLA_CLEANUP(search_done) struct search search = {0};
    char real[PATH_MAX];
    if (!realpath(project, real)) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%s: not there", project);
    }
    CELLA_TRY(find_all(&search, program, error));
    for (unsigned i = 1; i < search.count; i++) {
        CELLA_TRY(add_object(tree, &search, &search.objects[i], real, error));
    }
    return CELLA_OK;
}
