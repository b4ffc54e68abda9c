/*
 * Diagnostics as a person reads them: place, kind, text, the line, a caret, and what to write instead.
 * Side: tools. Called by edl_job.c. Colours only on a terminal, and not when NO_COLOR is set.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/edl_job.h"

/* Lines longer than this are shown around the place only. */
#define LINE_WIDTH_MAX 160u

struct colours {
    const char *bold;
    const char *error;
    const char *warning;
    const char *note;
    const char *fix;
    const char *off;
};

static const struct colours g_none = {"", "", "", "", "", ""};
static const struct colours g_terminal = {"\033[1m",    "\033[1;31m", "\033[1;35m",
                                          "\033[1;36m", "\033[32m",   "\033[0m"};

static const struct colours *colours(void)
{
    const char *no_color = getenv("NO_COLOR");
    bool is_plain = (no_color && *no_color) || !isatty(STDERR_FILENO);
    return is_plain ? &g_none : &g_terminal;
}

/* Source bytes that a terminal might obey are shown as '?'. */
static void put_source(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        fputc(c == '\t' || (c >= ' ' && c != 127) ? c : '?', stderr);
    }
}

static void put_padding(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        fputc(text[i] == '\t' ? '\t' : ' ', stderr);
    }
}

static void print_source(const struct cella_edl_diagnostic *diagnostic,
                         const struct colours *colours)
{
    const char *text = diagnostic->source;
    size_t size = diagnostic->source_size;
    size_t column = diagnostic->position.column - 1;
    if (!text || column > size) {
        return;
    }
    if (size > LINE_WIDTH_MAX) {
        size_t from = column > LINE_WIDTH_MAX / 2 ? column - LINE_WIDTH_MAX / 2 : 0;
        text += from;
        column -= from;
        size -= from;
        size = size > LINE_WIDTH_MAX ? LINE_WIDTH_MAX : size;
    }
    fprintf(stderr, "%5u | ", diagnostic->position.line);
    put_source(text, size);
    fputs("\n      | ", stderr);
    put_padding(text, column);
    fprintf(stderr, "%s^", colours->fix);
    size_t length = diagnostic->position.length;
    for (size_t i = 1; i < length && column + i < size; i++) {
        fputc('~', stderr);
    }
    fprintf(stderr, "%s\n", colours->off);
    if (diagnostic->fix) {
        fputs("      | ", stderr);
        put_padding(text, column);
        fprintf(stderr, "%s%s%s\n", colours->fix, diagnostic->fix, colours->off);
    }
}

static void print_one(const struct edl_job *job, const struct cella_edl *edl,
                      const struct cella_edl_diagnostic *diagnostic, const struct colours *colours)
{
    static const char *const words[] = {"note", "warning", "error"};
    const char *colour = diagnostic->severity == CELLA_EDL_ERROR     ? colours->error
                         : diagnostic->severity == CELLA_EDL_WARNING ? colours->warning
                                                                     : colours->note;
    fputs(colours->bold, stderr);
    if (diagnostic->has_position) {
        fprintf(stderr, "%s:%u:%u: ", cella_edl_file(edl, diagnostic->position.file),
                diagnostic->position.line, diagnostic->position.column);
    } else {
        fprintf(stderr, "%s: ", job->program);
    }
    fprintf(stderr, "%s%s%s: %s%s%s", colours->off, colour, words[diagnostic->severity],
            colours->off, colours->bold, diagnostic->text);
    if (diagnostic->warning >= 0) {
        fprintf(stderr, " [%s%s]", diagnostic->severity == CELLA_EDL_ERROR ? "-Werror=" : "-W",
                cella_edl_warning_name((enum cella_edl_warning)diagnostic->warning));
    }
    fprintf(stderr, "%s\n", colours->off);
    print_source(diagnostic, colours);
}

void edl_job_print(const struct edl_job *job, const struct cella_edl *edl)
{
    const struct colours *chosen = colours();
    size_t counts[3] = {0};
    for (size_t i = 0; i < cella_edl_diagnostic_count(edl); i++) {
        const struct cella_edl_diagnostic *diagnostic = cella_edl_diagnostic(edl, i);
        print_one(job, edl, diagnostic, chosen);
        counts[diagnostic->severity]++;
    }
    size_t errors = counts[CELLA_EDL_ERROR];
    size_t warnings = counts[CELLA_EDL_WARNING];
    if (errors && warnings) {
        fprintf(stderr, "%zu error%s and %zu warning%s\n", errors, errors == 1 ? "" : "s", warnings,
                warnings == 1 ? "" : "s");
    } else if (errors || warnings) {
        size_t count = errors + warnings;
        fprintf(stderr, "%zu %s%s\n", count, errors ? "error" : "warning", count == 1 ? "" : "s");
    }
}
