/*
 * Files and what they give one another: each is parsed once, cycles are refused, names are defined once.
 * Side: tools. Called by the parser and by edl/edl.c.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "edl/internal.h"

static bool is_below(const char *path, const char *folder)
{
    char real[PATH_MAX];
    if (!folder || !realpath(folder, real)) {
        return false;
    }
    size_t size = strlen(real);
    return strncmp(path, real, size) == 0 && path[size] == '/';
}

/* One that is asked for but not there, although it lies beside the importing file. */
static void note_neighbour(struct cella_edl *edl, const char *name, const char *from)
{
    const char *slash = from ? strrchr(from, '/') : NULL;
    if (!slash || edl_is_cella(edl)) {
        return;
    }
    const char *folder = cella_edl_copy(&edl->arena, from, (size_t)(slash - from));
    char real[PATH_MAX];
    if (realpath(cella_edl_format(&edl->arena, "%s/%s", folder, name), real)) {
        edl_note_nowhere(edl, "it lies beside the importing file; add --search-path %s", folder);
    }
}

static void report_not_found(struct cella_edl *edl, const char *name, const char *from,
                             const struct cella_edl_position *position)
{
    if (position) {
        edl_error(edl, *position, "'%s' is not in the search paths", name);
    } else {
        edl_error_nowhere(edl, "%s: no such file, nor in the search paths", name);
    }
    note_neighbour(edl, name, from);
}

static void report_cycle(struct cella_edl *edl, const struct edl_file *file,
                         const struct cella_edl_position *position)
{
    edl_error(edl, *position, "'%s' imports itself", file->path);
    for (uint32_t i = edl->import_depth; i-- > 0;) {
        edl_note_nowhere(edl, "it is imported by %s", edl->import_paths[i]);
        if (strcmp(edl->import_paths[i], file->path) == 0) {
            break;
        }
    }
}

static struct edl_file *new_file(struct cella_edl *edl, const char *path, const char *identity)
{
    struct edl_file *file = cella_edl_alloc(&edl->arena, sizeof *file);
    file->path = path;
    file->identity = identity;
    file->is_system = is_below(identity, edl->options.system_folder);
    cella_edl_map_put(&edl->arena, &edl->files_by_identity, identity, file);
    return file;
}

struct edl_file *edl_open_file(struct cella_edl *edl, const char *name, const char *from,
                               const struct cella_edl_position *position)
{
    char real[PATH_MAX];
    const char *path = edl_find(edl, name, from);
    if (!path || !realpath(path, real)) {
        report_not_found(edl, name, from, position);
        return NULL;
    }
    struct edl_file *file = cella_edl_map_get(&edl->files_by_identity, real);
    if (file) {
        if (!file->is_done) {
            report_cycle(edl, file, position);
        }
        return file->is_done ? file : NULL;
    }
    if (edl->import_depth == EDL_IMPORT_DEPTH_MAX) {
        edl_error(edl, *position, "imports nested deeper than %u", EDL_IMPORT_DEPTH_MAX);
        return NULL;
    }
    const struct edl_source *source = edl_source_read(edl, path);
    if (!source) {
        if (position) {
            edl_note(edl, *position, "imported from here");
        }
        return NULL;
    }
    file = new_file(edl, path, cella_edl_copy(&edl->arena, real, strlen(real)));
    edl->import_paths[edl->import_depth++] = path;
    edl_parse_file(edl, file, source);
    edl->import_depth--;
    file->is_done = true;
    return file;
}

void edl_add_include(struct cella_edl *edl, struct edl_file *file, struct cella_edl_include include)
{
    /* The list may move; the map keeps the index, counted from 1. */
    uintptr_t index = (uintptr_t)cella_edl_map_get(&file->include_names, include.path);
    if (index) {
        struct cella_edl_include *items = file->includes.items;
        items[index - 1].in_trusted |= include.in_trusted;
        items[index - 1].in_untrusted |= include.in_untrusted;
        return;
    }
    *(struct cella_edl_include *)cella_edl_push(&edl->arena, &file->includes, sizeof include) =
        include;
    cella_edl_map_put(&edl->arena, &file->include_names, include.path,
                      (void *)(uintptr_t)file->includes.count);
}

/* Anonymous enums are known by their place. */
static const char *key_of(struct cella_edl *edl, const struct cella_edl_composite *composite)
{
    const struct cella_edl_position *at = &composite->position;
    return composite->name
               ? composite->name
               : cella_edl_format(&edl->arena, "%u:%u:%u", at->file, at->line, at->column);
}

static void add_composite(struct cella_edl *edl, struct edl_file *file,
                          struct cella_edl_composite *composite, struct cella_edl_position position)
{
    const char *key = key_of(edl, composite);
    struct cella_edl_composite *other = cella_edl_map_get(&file->composite_names, key);
    if (other == composite) {
        return;
    }
    if (other) {
        edl_error(edl, position, "type '%s' is defined twice", composite->name);
        edl_note(edl, other->position, "first here");
        if (position.file != composite->position.file) {
            edl_note(edl, composite->position, "and here");
        }
        return;
    }
    if (file->composites.count == EDL_COMPOSITES_MAX) {
        edl_error(edl, position, "more than %u types", EDL_COMPOSITES_MAX);
        edl->is_full = true;
        return;
    }
    *(struct cella_edl_composite **)cella_edl_push(&edl->arena, &file->composites,
                                                   sizeof composite) = composite;
    cella_edl_map_put(&edl->arena, &file->composite_names, key, composite);
}

void edl_add_composite(struct cella_edl *edl, struct edl_file *file,
                       struct cella_edl_composite *composite)
{
    add_composite(edl, file, composite, composite->position);
}

/* Puts `function` into `list` of `file`, once; another of the same name is refused. */
static void add_to(struct cella_edl *edl, struct edl_file *file, struct cella_edl_list *list,
                   struct cella_edl_function *function, struct cella_edl_position position)
{
    struct cella_edl_function *other = cella_edl_map_get(&file->function_names, function->name);
    if (other == function) {
        return;
    }
    if (other) {
        edl_error(edl, position, "function '%s' is declared twice", function->name);
        edl_note(edl, other->position, "first here");
        if (position.line != function->position.line || position.file != function->position.file) {
            edl_note(edl, function->position, "and here");
        }
        return;
    }
    if (list->count == EDL_FUNCTIONS_MAX) {
        edl_error(edl, position, "more than %u functions", EDL_FUNCTIONS_MAX);
        edl->is_full = true;
        return;
    }
    *(struct cella_edl_function **)cella_edl_push(&edl->arena, list, sizeof function) = function;
    cella_edl_map_put(&edl->arena, &file->function_names, function->name, function);
}

void edl_add_function(struct cella_edl *edl, struct edl_file *file,
                      struct cella_edl_function *function)
{
    add_to(edl, file, function->is_trusted ? &file->trusted : &file->untrusted, function,
           function->position);
}

static void import_function(struct cella_edl *edl, struct edl_file *into,
                            struct cella_edl_function *function, struct cella_edl_position position)
{
    add_to(edl, into, function->is_trusted ? &into->imported_trusted : &into->imported_untrusted,
           function, position);
}

void edl_import_types(struct cella_edl *edl, struct edl_file *into, const struct edl_file *from,
                      struct cella_edl_position position)
{
    struct cella_edl_composite **composites = from->composites.items;
    const struct cella_edl_include *includes = from->includes.items;
    for (size_t i = 0; i < from->composites.count; i++) {
        add_composite(edl, into, composites[i], position);
    }
    for (size_t i = 0; i < from->includes.count; i++) {
        edl_add_include(edl, into, includes[i]);
    }
}

static void import_list(struct cella_edl *edl, struct edl_file *into,
                        const struct cella_edl_list *list, struct cella_edl_position position)
{
    struct cella_edl_function **functions = list->items;
    for (size_t i = 0; i < list->count; i++) {
        import_function(edl, into, functions[i], position);
    }
}

void edl_import_all(struct cella_edl *edl, struct edl_file *into, const struct edl_file *from,
                    struct cella_edl_position position)
{
    import_list(edl, into, &from->trusted, position);
    import_list(edl, into, &from->imported_trusted, position);
    import_list(edl, into, &from->untrusted, position);
    import_list(edl, into, &from->imported_untrusted, position);
}

static const char *guess_function(const struct edl_file *file, const char *name)
{
    const struct cella_edl_list *lists[] = {&file->trusted, &file->untrusted,
                                            &file->imported_trusted, &file->imported_untrusted};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct cella_edl_function **functions = lists[i]->items;
        for (size_t j = 0; j < lists[i]->count; j++) {
            const char *guess = edl_guess(name, &functions[j]->name, 1);
            if (guess) {
                return guess;
            }
        }
    }
    return NULL;
}

void edl_import_one(struct cella_edl *edl, struct edl_file *into, const struct edl_file *from,
                    const struct edl_token *name)
{
    struct cella_edl_function *function = cella_edl_map_get(&from->function_names, name->text);
    if (function) {
        import_function(edl, into, function, name->position);
        return;
    }
    const char *guess = guess_function(from, name->text);
    edl_error(edl, name->position, "'%s' has no function '%s'%s%s%s", from->path, name->text,
              guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
    edl_fix(edl, guess);
}
