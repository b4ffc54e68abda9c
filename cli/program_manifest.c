/*
 * Manifests of whole programs: memory, defaults, and the content of the files they name. program_manifest.h is the manual.
 * Side: tools. Called by cella sign and run, cella go, ego.
 */
#include "cli/program_manifest.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/program_libraries.h"
#include "common/cleanup.h"

#define FOLDER_DEPTH_MAX 64u

struct program_memory {
    struct program_memory *next;
    uint64_t content; /* in the first: bytes of files so far */
    uint8_t bytes[] __attribute__((aligned(16)));
};

void *program_manifest_allocate(struct program_manifest *manifest, size_t size)
{
    struct program_memory *memory = (struct program_memory *)calloc(1, sizeof(*memory) + size);
    if (!memory) {
        return NULL;
    }
    memory->content = manifest->memory ? manifest->memory->content : 0;
    memory->next = manifest->memory;
    manifest->memory = memory;
    return memory->bytes;
}

char *program_manifest_copy(struct program_manifest *manifest, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = (char *)program_manifest_allocate(manifest, size);
    return copy ? (char *)memcpy(copy, text, size) : NULL;
}

/* Arrays double when their count is a power of two; the old ones stay until the manifest goes. */
void *program_manifest_grow(struct program_manifest *manifest, void *array, uint32_t count,
                            size_t item_size)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return array;
    }
    void *grown = program_manifest_allocate(manifest, item_size * (count ? 2 * (size_t)count : 1));
    if (grown && count) {
        memcpy(grown, array, item_size * count);
    }
    return grown;
}

void program_manifest_init(struct program_manifest *manifest)
{
    *manifest = (struct program_manifest){.libraries = true};
    struct cella_program_config *config = &manifest->config;
    cella_config_defaults(&config->image);
    config->image.threads = 1;
    config->image.enclave_threads = 63;
    config->image.heap_size = 1u << 30; /* address space: pages come as they are needed */
    config->image.heap_initial = 1u << 20;
    config->stack_size = 8u << 20;
}

void program_manifest_done(struct program_manifest *manifest)
{
    while (manifest->memory) {
        struct program_memory *memory = manifest->memory;
        manifest->memory = memory->next;
        free(memory);
    }
    *manifest = (struct program_manifest){0};
}

const char *program_path_fault(const char *path)
{
    if (path[0] != '/') {
        return "expected an absolute path";
    }
    if (strlen(path) >= 4096) {
        return "longer than 4095 bytes";
    }
    for (const char *part = path + 1; path[1] != 0;) {
        const size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && memcmp(part, "..", 2) == 0)) {
            return "expected a path without '.', '..', '//' and without '/' at its end";
        }
        if (part[size] == 0) {
            break;
        }
        part += size + 1;
    }
    return NULL;
}

/* Insertions, deletions and replacements between the two, without case; at most 32 letters count. */
static size_t distance(const char *a, const char *b)
{
    size_t row[33];
    const size_t width = strlen(b);
    if (strlen(a) > 32 || width > 32) {
        return 99;
    }
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            const bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            const size_t replaced = corner + (same ? 0 : 1);
            corner = row[j];
            row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = replaced < row[j] ? replaced : row[j];
        }
    }
    return row[width];
}

const char *program_word_near(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) > 4 ? 4 : 3; /* exclusive */
    for (; *names; names++) {
        const size_t d = distance(word, *names);
        if (d < best_distance && d < strlen(*names)) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}

char *program_manifest_host_path(const struct program_manifest *manifest, const char *path)
{
    char *joined = NULL;
    const char *folder = manifest->folder ? manifest->folder : "";
    if (path[0] == '/' || folder[0] == 0) {
        return strdup(path);
    }
    return asprintf(&joined, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path) < 0 ? NULL
                                                                                        : joined;
}

/* Sets name and folder from the manifest's path. */
static cella_result set_place(struct program_manifest *manifest, const char *path)
{
    manifest->name = program_manifest_copy(manifest, path);
    manifest->folder = program_manifest_copy(manifest, path);
    CELLA_ENSURE(manifest->name && manifest->folder, OUT_OF_MEMORY);
    char *slash = strrchr(manifest->folder, '/');
    if (slash == manifest->folder) {
        slash[1] = 0;
    } else if (slash) {
        *slash = 0;
    } else {
        manifest->folder[0] = 0;
    }
    return CELLA_OK;
}

cella_result program_manifest_read(const char *path, struct program_manifest *manifest, FILE *notes,
                                   struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    const size_t size = strlen(path);
    CELLA_TRY(cella_file_read(path, PROGRAM_MANIFEST_SIZE_MAX, &file, error));
    CELLA_TRY(set_place(manifest, path));
    if (size > 5 && strcmp(path + size - 5, ".json") == 0) {
        return program_manifest_parse_ego(cella_file_bytes(&file), path, manifest, notes, error);
    }
    return program_manifest_parse_toml(cella_file_bytes(&file), path, manifest, error);
}

cella_result program_manifest_read_file(struct program_manifest *manifest, const char *path,
                                        struct cella_bytes *ret_content, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    const uint64_t before = manifest->memory ? manifest->memory->content : 0;
    CELLA_TRY(cella_file_read(path, PROGRAM_CONTENT_MAX - before, &file, error));
    void *memory = program_manifest_allocate(manifest, file.size ? file.size : 1);
    CELLA_ENSURE(memory != NULL, OUT_OF_MEMORY);
    if (file.size) {
        memcpy(memory, file.data, file.size);
    }
    manifest->memory->content = before + file.size;
    *ret_content = cella_bytes_of(memory, file.size);
    return CELLA_OK;
}

bool program_manifest_has_file(const struct program_manifest *manifest, const char *path)
{
    for (uint32_t i = 0; i < manifest->config.file_count; i++) {
        if (strcmp(manifest->config.files[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

cella_result program_manifest_add_file(struct program_manifest *manifest,
                                       const struct cella_program_file_config *file,
                                       struct cella_error *error)
{
    struct cella_program_config *config = &manifest->config;
    if (config->file_count >= PROGRAM_FILE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: more than %u files",
                               manifest->name, PROGRAM_FILE_MAX);
    }
    struct cella_program_file_config *files =
        (struct cella_program_file_config *)program_manifest_grow(
            manifest, (void *)config->files, config->file_count, sizeof(*files));
    CELLA_ENSURE(files != NULL, OUT_OF_MEMORY);
    files[config->file_count++] = *file;
    config->files = files;
    return CELLA_OK;
}

static cella_result add_link(struct program_manifest *manifest, const char *path, const char *link,
                             struct cella_error *error)
{
    const struct cella_program_file_config file = {.path = path, .link = link, .mode = 0777};
    return program_manifest_add_file(manifest, &file, error);
}

static cella_result add_regular(struct program_manifest *manifest, const struct program_file *spec,
                                const char *path, const char *source, mode_t host_mode,
                                struct cella_error *error)
{
    struct cella_program_file_config file = {
        .path = path,
        .mode = spec->mode         ? spec->mode
                : host_mode & 0111 ? 0755
                                   : 0644,
    };
    CELLA_TRY(program_manifest_read_file(manifest, source, &file.content, error));
    if (!spec->embed) {
        file.source = program_manifest_copy(manifest, source);
        CELLA_ENSURE(file.source != NULL, OUT_OF_MEMORY);
    }
    return program_manifest_add_file(manifest, &file, error);
}

static cella_result add_tree(struct program_manifest *manifest, const struct program_file *spec,
                             const char *path, const char *source, unsigned depth,
                             struct cella_error *error);

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(const struct dirent *const *)a)->d_name,
                  (*(const struct dirent *const *)b)->d_name);
}

/* Every entry of a folder, by name: two machines give the same image. */
static cella_result add_folder(struct program_manifest *manifest, const struct program_file *spec,
                               const char *path, const char *source, unsigned depth,
                               struct cella_error *error)
{
    struct dirent **entries = NULL;
    const int count = scandir(source, &entries, NULL, NULL);
    cella_result result = CELLA_OK;
    if (count < 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", source);
    }
    qsort(entries, (size_t)count, sizeof(entries[0]), compare_entries);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (cella_is_ok(result) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            char *below = NULL;
            char *inside =
                (char *)program_manifest_allocate(manifest, strlen(path) + strlen(name) + 2);
            if (inside && asprintf(&below, "%s/%s", source, name) >= 0) {
                sprintf(inside, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name);
                result = add_tree(manifest, spec, inside, below, depth + 1, error);
            } else {
                result = CELLA_RESULT(OUT_OF_MEMORY);
            }
            free(below);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

static cella_result add_tree(struct program_manifest *manifest, const struct program_file *spec,
                             const char *path, const char *source, unsigned depth,
                             struct cella_error *error)
{
    struct stat status;
    if (depth > FOLDER_DEPTH_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: more than %u folders deep",
                               source, FOLDER_DEPTH_MAX);
    }
    /* What the manifest names itself is followed; links below it stay links. */
    if ((depth ? lstat(source, &status) : stat(source, &status)) != 0) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", source);
    }
    if (S_ISREG(status.st_mode)) {
        return add_regular(manifest, spec, path, source, status.st_mode, error);
    }
    if (S_ISDIR(status.st_mode)) {
        return add_folder(manifest, spec, path, source, depth, error);
    }
    if (S_ISLNK(status.st_mode)) {
        char link[4096];
        const ssize_t size = readlink(source, link, sizeof(link) - 1);
        if (size < 0) {
            return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", source);
        }
        link[size] = 0;
        const char *copy = program_manifest_copy(manifest, link);
        CELLA_ENSURE(copy != NULL, OUT_OF_MEMORY);
        return add_link(manifest, path, copy, error);
    }
    return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                           "%s: neither a file, a folder nor a symbolic link", source);
}

static cella_result load_file(struct program_manifest *manifest, const struct program_file *spec,
                              struct cella_error *error)
{
    struct cella_error inner = {0};
    if (spec->link) {
        return add_link(manifest, spec->path, spec->link, error);
    }
    if (!spec->source) {
        const struct cella_program_file_config file = {
            .path = spec->path,
            .content = cella_bytes_of(spec->text, strlen(spec->text)),
            .mode = spec->mode ? spec->mode : 0644,
        };
        return program_manifest_add_file(manifest, &file, error);
    }
    /* EGo takes files from where it is called. */
    char *source = manifest->from_ego ? strdup(spec->source)
                                      : program_manifest_host_path(manifest, spec->source);
    CELLA_ENSURE(source != NULL, OUT_OF_MEMORY);
    const cella_result result = add_tree(manifest, spec, spec->path, source, 0, &inner);
    free(source);
    if (cella_is_ok(result)) {
        return result;
    }
    if (manifest->from_ego) {
        return cella_error_set(error, result, "failed to populate embedded file content: %s",
                               inner.text);
    }
    return cella_error_set(error, result, "%s:%u:%u: file '%s': %s", manifest->name, spec->line,
                           spec->column, spec->path,
                           inner.text[0] ? inner.text : cella_result_text(result));
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Folders may meet: the same path twice is an error, wherever the two came from. */
static cella_result check_paths(struct program_manifest *manifest, struct cella_error *error)
{
    const uint32_t count = manifest->config.file_count;
    const char **paths = (const char **)calloc(count + 1, sizeof(*paths));
    cella_result result = CELLA_OK;
    CELLA_ENSURE(paths != NULL, OUT_OF_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        paths[i] = manifest->config.files[i].path;
    }
    qsort(paths, count, sizeof(*paths), compare_paths);
    for (uint32_t i = 1; i < count && cella_is_ok(result); i++) {
        if (strcmp(paths[i - 1], paths[i]) == 0) {
            result = cella_error_set(error, CELLA_RESULT(ALREADY_EXISTS),
                                     "%s: two files are to be %s", manifest->name, paths[i]);
        }
    }
    free(paths);
    return result;
}

cella_result program_manifest_load(struct program_manifest *manifest, struct cella_error *error)
{
    for (uint32_t i = 0; i < manifest->file_count; i++) {
        CELLA_TRY(load_file(manifest, &manifest->files[i], error));
    }
    if (manifest->libraries) {
        CELLA_TRY(program_libraries_add(manifest, error));
    }
    return check_paths(manifest, error);
}
