/*
 * One compilation from beginning to end.
 * Side: tools. Called by cli/ and by tests. Never prints, never exits.
 */
#include "edl/edl.h"

#include <stdlib.h>
#include <string.h>

#include "edl/internal.h"

static void compile_text(struct cella_edl *edl, const char *name, const char *text, size_t size)
{
    const char *path = cella_edl_copy(&edl->arena, name, strlen(name));
    struct edl_file *file = cella_edl_alloc(&edl->arena, sizeof *file);
    const struct edl_source *source =
        edl_source_add(edl, path, cella_edl_copy(&edl->arena, text, size), size);
    file->path = path;
    file->identity = path;
    cella_edl_map_put(&edl->arena, &edl->files_by_identity, path, file);
    edl->import_paths[edl->import_depth++] = path;
    edl_parse_file(edl, file, source);
    edl->import_depth--;
    if (!edl->is_full) {
        edl_check_unit(edl, file);
    }
}

static void compile_file(struct cella_edl *edl, const char *name)
{
    const char *path = cella_edl_copy(&edl->arena, name, strlen(name));
    struct edl_file *file = edl_open_file(edl, path, NULL, NULL);
    if (file && !edl->is_full) {
        edl_check_unit(edl, file);
    }
}

static cella_result compile(const char *path, const char *text, size_t size,
                            const struct cella_edl_options *options, struct cella_edl **ret_edl)
{
    struct cella_edl *edl = calloc(1, sizeof *edl);
    CELLA_ENSURE(edl, OUT_OF_MEMORY);
    edl->options = *options;
    if (setjmp(edl->arena.escape)) {
        cella_edl_free(edl);
        return CELLA_RESULT(OUT_OF_MEMORY);
    }
    if (text) {
        compile_text(edl, path, text, size);
    } else {
        compile_file(edl, path);
    }
    *ret_edl = edl;
    if (edl->error_count) {
        edl->unit = NULL;
    }
    return edl->unit ? CELLA_OK : CELLA_RESULT(BAD_SYNTAX);
}

cella_result cella_edl_compile(const char *path, const struct cella_edl_options *options,
                               struct cella_edl **ret_edl)
{
    return compile(path, NULL, 0, options, ret_edl);
}

cella_result cella_edl_compile_text(const char *path, const char *text, size_t size,
                                    const struct cella_edl_options *options,
                                    struct cella_edl **ret_edl)
{
    CELLA_ENSURE(size <= EDL_FILE_SIZE_MAX, LIMIT_EXCEEDED);
    return compile(path, text, size, options, ret_edl);
}

void cella_edl_free(struct cella_edl *edl)
{
    if (edl) {
        cella_edl_arena_done(&edl->arena);
        free(edl);
    }
}

const struct cella_edl_unit *cella_edl_unit(const struct cella_edl *edl)
{
    return edl->unit;
}

size_t cella_edl_diagnostic_count(const struct cella_edl *edl)
{
    return edl->diagnostics.count;
}

const struct cella_edl_diagnostic *cella_edl_diagnostic(const struct cella_edl *edl, size_t index)
{
    const struct cella_edl_diagnostic *items = edl->diagnostics.items;
    return &items[index];
}

const char *cella_edl_file(const struct cella_edl *edl, uint32_t file)
{
    const struct edl_source *sources = edl->sources.items;
    return file < edl->sources.count ? sources[file].path : "?";
}
