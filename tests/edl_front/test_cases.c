/*
 * The rules of the EDL language, a line a rule: what each dialect accepts, what it refuses and with which words.
 * Side: tests. Reads the tables named on the command line; see rules.txt for their form.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edl/edl.h"

#define LINE_MAX_SIZE 4096
#define FIELDS 4

static unsigned g_failures;

/* What a case's text is put into. */
static const struct {
    const char *kind;
    const char *before;
    const char *after;
} g_wraps[] = {
    {"param",
     "enclave { struct known { int x; }; struct holder { char *p; };"
     " struct deep { size_t n; [count=n] int *p; };"
     " trusted { public void f(",
     "); }; };"},
    {"member", "enclave { struct known { int x; }; struct s { ",
     " };"
     " trusted { public void f(void); }; };"},
    {"union", "enclave { union u { ", " }; trusted { public void f(void); }; };"},
    {"enum", "enclave { enum e { ", " }; trusted { public void f(void); }; };"},
    {"ecall", "enclave { trusted { public void root(void); ", " }; };"},
    {"ocall", "enclave { trusted { public void root(void); }; untrusted { ", " }; };"},
    {"top", "enclave { trusted { public void root(void); }; ", " };"},
    {"file", "", ""},
};

/* `\n` is a new line, `\t` a tab, `\\` a backslash. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (text[0] == '\\' && text[1]) {
            text++;
            *to++ = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
}

static bool says_one(const struct cella_edl *edl, enum cella_edl_severity severity,
                     const char *text)
{
    for (size_t i = 0; i < cella_edl_diagnostic_count(edl); i++) {
        const struct cella_edl_diagnostic *diagnostic = cella_edl_diagnostic(edl, i);
        if (diagnostic->severity == severity && strstr(diagnostic->text, text)) {
            return true;
        }
    }
    return false;
}

/* `a / b` is either. */
static bool says(const struct cella_edl *edl, enum cella_edl_severity severity, const char *text)
{
    char copy[LINE_MAX_SIZE];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *part = copy; part;) {
        char *next = strstr(part, " / ");
        if (next) {
            *next = '\0';
        }
        if (says_one(edl, severity, part)) {
            return true;
        }
        part = next ? next + 3 : NULL;
    }
    return false;
}

static void show(const struct cella_edl *edl)
{
    for (size_t i = 0; i < cella_edl_diagnostic_count(edl); i++) {
        const struct cella_edl_diagnostic *diagnostic = cella_edl_diagnostic(edl, i);
        fprintf(stderr, "    %u:%u: %s\n", diagnostic->position.line, diagnostic->position.column,
                diagnostic->text);
    }
}

/* `verdict`: y accepted, w accepted with the warning, n refused with the error. */
static void run_dialect(const char *place, enum cella_edl_dialect dialect, char verdict,
                        const char *text, const char *message)
{
    static const char *const names[] = {"cella", "openenclave", "intel"};
    static const char *const defines[] = {"DEFINED"};
    struct cella_edl_options options;
    struct cella_edl *edl = NULL;
    cella_edl_options_init(&options, dialect);
    options.defines = defines;
    options.define_count = 1;
    for (int i = 0; i < CELLA_EDL_WARNING_COUNT; i++) {
        options.warnings[i] = CELLA_EDL_WARNS;
    }
    cella_result result = cella_edl_compile_text("case.edl", text, strlen(text), &options, &edl);
    bool is_right = edl && cella_is_ok(result) == (verdict != 'n');
    if (is_right && verdict == 'n') {
        is_right = *message && says(edl, CELLA_EDL_ERROR, message);
    } else if (is_right && verdict == 'w') {
        is_right = *message && says(edl, CELLA_EDL_WARNING, message);
    } else if (is_right && *message) {
        is_right = !says(edl, CELLA_EDL_WARNING, message);
    }
    if (!is_right) {
        g_failures++;
        fprintf(stderr, "%s: dialect %s: expected '%c' (%s), got %s:\n", place, names[dialect],
                verdict, message, cella_is_ok(result) ? "accepted" : "refused");
        if (edl) {
            show(edl);
        }
    }
    cella_edl_free(edl);
}

static char *trim(char *text)
{
    text += strspn(text, " ");
    size_t size = strlen(text);
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\n')) {
        text[--size] = '\0';
    }
    return text;
}

static const char *wrap(const char *kind, const char *text, char *buffer, size_t size)
{
    for (size_t i = 0; i < sizeof g_wraps / sizeof *g_wraps; i++) {
        if (strcmp(kind, g_wraps[i].kind) == 0) {
            snprintf(buffer, size, "%s%s%s", g_wraps[i].before, text, g_wraps[i].after);
            return buffer;
        }
    }
    return NULL;
}

static bool run_line(const char *place, char *line)
{
    char *fields[FIELDS] = {0};
    char text[2 * LINE_MAX_SIZE];
    char *rest = line;
    for (int i = 0; i < FIELDS; i++) {
        char *bar = i < FIELDS - 1 ? strchr(rest, '|') : NULL;
        if (bar) {
            *bar = '\0';
        } else if (i < FIELDS - 2) {
            return false;
        }
        fields[i] = trim(rest);
        rest = bar ? bar + 1 : rest + strlen(rest);
    }
    unescape(fields[2]);
    if (strlen(fields[0]) != 3 || strspn(fields[0], "ywn") != 3 ||
        !wrap(fields[1], fields[2], text, sizeof text)) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        run_dialect(place, (enum cella_edl_dialect)i, fields[0][i], text, fields[3]);
    }
    return true;
}

static unsigned run_table(const char *path)
{
    char line[LINE_MAX_SIZE];
    char place[LINE_MAX_SIZE];
    unsigned number = 0;
    unsigned count = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof line, file)) {
        number++;
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        snprintf(place, sizeof place, "%s:%u", path, number);
        if (!run_line(place, line)) {
            fprintf(stderr, "%s: not a row\n", place);
            exit(2);
        }
        count++;
    }
    fclose(file);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        count += run_table(argv[i]);
    }
    printf("%u rules in three dialects, %u failures\n", count, g_failures);
    return count == 0 || g_failures ? 1 : 0;
}
