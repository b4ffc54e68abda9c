/*
 * From the syntax tree to C: which files there are, and each one's text.
 * Side: tools. Called by cli/. Never writes a file.
 */
#include <stdio.h>
#include <stdlib.h>

#include "edl/emit.h"

#define FILES_MAX 6u

static cella_result file_name(const struct emit *emit, const char *suffix, char **ret_name)
{
    const int size = snprintf(NULL, 0, "%s%s", emit->unit->name, suffix);
    *ret_name = malloc((size_t)size + 1);
    CELLA_ENSURE(*ret_name != NULL, OUT_OF_MEMORY);
    snprintf(*ret_name, (size_t)size + 1, "%s%s", emit->unit->name, suffix);
    return CELLA_OK;
}

enum emit_kind { EMIT_ARGS, EMIT_HEADER, EMIT_SOURCE };

static cella_result file_emit(struct emit *emit, enum emit_kind kind,
                              struct cella_edl_outputs *outputs)
{
    static const char *const suffixes[][2] = {
        [EMIT_ARGS] = {"_args.h", "_args.h"},
        [EMIT_HEADER] = {"_u.h", "_t.h"},
        [EMIT_SOURCE] = {"_u.c", "_t.c"},
    };
    struct cella_edl_output *file = &outputs->files[outputs->count++];
    bool *written = calloc(emit->unit->composite_count + 1, sizeof(*written));
    emit->text = (struct emit_text){0};
    emit->text.failed = written == NULL;
    if (kind == EMIT_ARGS) {
        emit_args_header(emit);
    } else if (kind == EMIT_HEADER) {
        emit_header(emit);
    } else if (written) {
        emit_source(emit, written);
    }
    free(written);
    *file = (struct cella_edl_output){
        .is_trusted = emit->is_trusted, .text = emit->text.data, .size = emit->text.size};
    CELLA_ENSURE(!emit->text.failed, OUT_OF_MEMORY);
    return file_name(emit, suffixes[kind][emit->is_trusted], &file->name);
}

static cella_result side_emit(struct emit *emit, bool is_trusted, struct cella_edl_outputs *outputs)
{
    emit->is_trusted = is_trusted;
    if (emit->options->args_header || emit->options->dialect == CELLA_EDL_OPENENCLAVE) {
        CELLA_TRY(file_emit(emit, EMIT_ARGS, outputs));
    }
    CELLA_TRY(file_emit(emit, EMIT_HEADER, outputs));
    return emit->options->header_only ? CELLA_OK : file_emit(emit, EMIT_SOURCE, outputs);
}

cella_result cella_edl_emit(const struct cella_edl_unit *unit,
                            const struct cella_edl_emit_options *options,
                            struct cella_edl_outputs *ret_outputs, struct cella_error *error)
{
    struct emit emit = {.unit = unit, .options = options};
    struct cella_edl_outputs outputs = {.files = calloc(FILES_MAX, sizeof(*outputs.files))};
    cella_result result = outputs.files ? CELLA_OK : CELLA_RESULT(OUT_OF_MEMORY);
    if (cella_is_ok(result) && options->trusted) {
        result = side_emit(&emit, true, &outputs);
    }
    if (cella_is_ok(result) && options->untrusted) {
        result = side_emit(&emit, false, &outputs);
    }
    if (cella_is_ok(result) && emit.too_deep) {
        result = cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                 "%s: struct %s: pointers are followed 16 structs deep at most",
                                 unit->path, emit.too_deep->name);
    } else if (!cella_is_ok(result)) {
        cella_ignore(
            cella_error_set(error, result, "%s: %s", unit->path, cella_result_text(result)));
    }
    if (!cella_is_ok(result)) {
        cella_edl_outputs_done(&outputs);
        return result;
    }
    *ret_outputs = outputs;
    return CELLA_OK;
}

void cella_edl_outputs_done(struct cella_edl_outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        free(outputs->files[i].name);
        free(outputs->files[i].text);
    }
    free(outputs->files);
    *outputs = (struct cella_edl_outputs){0};
}
