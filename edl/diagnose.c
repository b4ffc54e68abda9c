/*
 * Diagnostics: collected, never printed here.
 * Side: tools. Called inside edl/. Keeps at most EDL_ERRORS_MAX errors, then the compilation winds down.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "edl/internal.h"

/* The line of source a position is on. */
static void find_line(struct cella_edl *edl, struct cella_edl_diagnostic *diagnostic)
{
    const struct edl_source *sources = edl->sources.items;
    if (diagnostic->position.file >= edl->sources.count || diagnostic->position.line == 0) {
        diagnostic->has_position = false;
        return;
    }
    const struct edl_source *source = &sources[diagnostic->position.file];
    const char *line = source->data;
    const char *end = source->data + source->size;
    uint32_t number = 1;
    if (edl->line_cache.start && edl->line_cache.file == diagnostic->position.file &&
        edl->line_cache.line <= diagnostic->position.line) {
        line = edl->line_cache.start;
        number = edl->line_cache.line;
    }
    for (; number < diagnostic->position.line && line; number++) {
        line = memchr(line, '\n', (size_t)(end - line));
        line = line ? line + 1 : NULL;
    }
    if (!line) {
        return;
    }
    edl->line_cache.file = diagnostic->position.file;
    edl->line_cache.line = number;
    edl->line_cache.start = line;
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    stop = stop ? stop : end;
    if (stop > line && stop[-1] == '\r') {
        stop--;
    }
    diagnostic->source = line;
    diagnostic->source_size = (size_t)(stop - line);
}

static void add(struct cella_edl *edl, enum cella_edl_severity severity, int warning,
                const struct cella_edl_position *position, const char *format, va_list arguments)
{
    char text[1024];
    if (edl->is_full) {
        return;
    }
    vsnprintf(text, sizeof text, format, arguments);
    struct cella_edl_diagnostic *diagnostic =
        cella_edl_push(&edl->arena, &edl->diagnostics, sizeof *diagnostic);
    diagnostic->severity = severity;
    diagnostic->warning = warning;
    diagnostic->text = cella_edl_copy(&edl->arena, text, strlen(text));
    if (position) {
        diagnostic->has_position = true;
        diagnostic->position = *position;
        find_line(edl, diagnostic);
    }
    edl->error_count += severity == CELLA_EDL_ERROR;
    edl->warning_count += severity == CELLA_EDL_WARNING;
}

/* One more error is shown after the last, which says that there may be others. */
static void stop_after_many(struct cella_edl *edl)
{
    if (edl->error_count < EDL_ERRORS_MAX || edl->is_full) {
        return;
    }
    edl_error_nowhere(edl, "too many errors; the rest of the input is not looked at");
    edl->is_full = true;
}

void edl_error(struct cella_edl *edl, struct cella_edl_position position, const char *format, ...)
{
    va_list arguments;
    if (edl->error_count >= EDL_ERRORS_MAX) {
        stop_after_many(edl);
        return;
    }
    va_start(arguments, format);
    add(edl, CELLA_EDL_ERROR, -1, &position, format, arguments);
    va_end(arguments);
}

void edl_error_nowhere(struct cella_edl *edl, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(edl, CELLA_EDL_ERROR, -1, NULL, format, arguments);
    va_end(arguments);
}

void edl_note(struct cella_edl *edl, struct cella_edl_position position, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(edl, CELLA_EDL_NOTE, -1, &position, format, arguments);
    va_end(arguments);
}

void edl_note_nowhere(struct cella_edl *edl, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(edl, CELLA_EDL_NOTE, -1, NULL, format, arguments);
    va_end(arguments);
}

void edl_warn(struct cella_edl *edl, enum cella_edl_warning warning,
              struct cella_edl_position position, const char *format, ...)
{
    va_list arguments;
    enum cella_edl_level level = edl->options.warnings[warning];
    if (level == CELLA_EDL_IGNORED) {
        return;
    }
    if (level == CELLA_EDL_WARNS && edl->warning_count >= EDL_WARNINGS_MAX) {
        if (!edl->is_warned_enough) {
            edl->is_warned_enough = true;
            edl_note_nowhere(edl, "too many warnings; the others are not shown");
        }
        return;
    }
    if (level == CELLA_EDL_FAILS && edl->error_count >= EDL_ERRORS_MAX) {
        stop_after_many(edl);
        return;
    }
    va_start(arguments, format);
    add(edl, level == CELLA_EDL_FAILS ? CELLA_EDL_ERROR : CELLA_EDL_WARNING, (int)warning,
        &position, format, arguments);
    va_end(arguments);
}

void edl_fix(struct cella_edl *edl, const char *fix)
{
    if (fix && edl->diagnostics.count && !edl->is_full) {
        struct cella_edl_diagnostic *items = edl->diagnostics.items;
        items[edl->diagnostics.count - 1].fix = fix;
    }
}

/* The number of single-letter edits from `a` to `b`, swapped neighbours counting one. */
static size_t distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    size_t rows[3][EDL_GUESS_SIZE_MAX + 1];
    if (a_size > EDL_GUESS_SIZE_MAX || b_size > EDL_GUESS_SIZE_MAX) {
        return EDL_GUESS_SIZE_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
        rows[2][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = above2[j - 2] + 1 < best ? above2[j - 2] + 1 : best;
            }
            row[j] = best;
        }
    }
    return rows[a_size % 3][b_size];
}

const char *edl_guess(const char *name, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) > 4 ? 3 : 2; /* exclusive */
    for (size_t i = 0; i < count; i++) {
        size_t edits = distance(name, names[i]);
        if (edits < best_distance && edits > 0) {
            best_distance = edits;
            best = names[i];
        }
    }
    return best;
}
