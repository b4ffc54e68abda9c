/*
 * Fuzz target: the EDL compiler, in the three dialects, and what it generates from what it accepts.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/edl.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edl/edl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

/* Every diagnostic says something, and its place is inside the text. */
static void check_diagnostics(const struct cella_edl *edl, int has_unit)
{
    size_t errors = 0;
    for (size_t i = 0; i < cella_edl_diagnostic_count(edl); i++) {
        const struct cella_edl_diagnostic *diagnostic = cella_edl_diagnostic(edl, i);
        require(diagnostic->text && diagnostic->text[0]);
        require(!diagnostic->source || diagnostic->position.column > 0);
        errors += diagnostic->severity == CELLA_EDL_ERROR;
    }
    require(has_unit ? errors == 0 : errors > 0);
}

/* Lengths name what is there, deep copies end. */
static void check_decls(const struct cella_edl_decl *decls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        require(decls[i].name && decls[i].type.base);
        require(decls[i].size.index < (int32_t)count && decls[i].count.index < (int32_t)count);
        require((decls[i].size.kind == CELLA_EDL_NAME) == (decls[i].size.index >= 0));
        require((decls[i].count.kind == CELLA_EDL_NAME) == (decls[i].count.index >= 0));
        require(!decls[i].deep || (decls[i].deep->is_deep && decls[i].type.pointers == 1));
        unsigned depth = 0;
        for (const struct cella_edl_composite *next = decls[i].deep; next;) {
            const struct cella_edl_composite *following = NULL;
            for (uint32_t j = 0; j < next->member_count; j++) {
                following = next->members[j].deep ? next->members[j].deep : following;
            }
            require(++depth < 100);
            next = following;
        }
    }
}

static void check_functions(const struct cella_edl_function **functions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        require(functions[i]->index == i);
        check_decls(functions[i]->params, functions[i]->param_count);
    }
}

static void check_unit(const struct cella_edl_unit *unit)
{
    for (uint32_t i = 0; i < unit->composite_count; i++) {
        check_decls(unit->composites[i]->members, unit->composites[i]->member_count);
    }
    check_functions(unit->trusted, unit->trusted_count);
    check_functions(unit->untrusted, unit->untrusted_count);
}

static void emit(const struct cella_edl_unit *unit, enum cella_edl_dialect dialect)
{
    struct cella_edl_emit_options options = {
        .dialect = dialect, .trusted = true, .untrusted = true, .args_header = true};
    struct cella_edl_outputs outputs = {0};
    struct cella_error error = {0};
    cella_result result = cella_edl_emit(unit, &options, &outputs, &error);
    require(cella_is_ok(result) ? outputs.count > 0 : error.text[0] != '\0');
    cella_edl_outputs_done(&outputs);
}

/* The first byte chooses the dialect, the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const defines[] = {"A", "B"};
    struct cella_edl_options options;
    struct cella_edl *edl = NULL;
    if (size == 0) {
        return 0;
    }
    enum cella_edl_dialect dialect = (enum cella_edl_dialect)(data[0] % 3);
    cella_edl_options_init(&options, dialect);
    for (int i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        options.warnings[i] = CELLA_EDL_WARNS;
    }
    options.defines = defines;
    options.define_count = 2;
    cella_result result =
        cella_edl_compile_text("fuzz.edl", (const char *)data + 1, size - 1, &options, &edl);
    require(edl != NULL);
    check_diagnostics(edl, cella_is_ok(result));
    require(cella_is_ok(result) == (cella_edl_unit(edl) != NULL));
    if (cella_is_ok(result)) {
        check_unit(cella_edl_unit(edl));
        emit(cella_edl_unit(edl), dialect);
    }
    cella_edl_free(edl);
    return 0;
}
