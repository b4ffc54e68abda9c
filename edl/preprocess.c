/*
 * Directives: conditions in all dialects; macros and #include where Intel's tool would have run a C preprocessor.
 * Side: tools. Called by the parser, token by token. Never runs another program.
 */
#include <stdlib.h>
#include <string.h>

#include "edl/internal.h"

/* What the compiler behind Intel's tool defines; conditions see these, the text does not. */
static const char *const g_predefined[] = {
    "__linux__", "__linux",    "linux",    "__gnu_linux__", "__unix__", "__unix",
    "unix",      "__x86_64__", "__x86_64", "__amd64__",     "__amd64",  "__LP64__",
    "_LP64",     "__ELF__",    "__STDC__", "__CHAR_BIT__",
};

static void define(struct edl_preprocessor *preprocessor, const char *name,
                   const struct edl_token *value, bool is_predefined)
{
    struct cella_edl *edl = preprocessor->edl;
    struct edl_macro *macro = cella_edl_alloc(&edl->arena, sizeof *macro);
    macro->name = name;
    macro->is_predefined = is_predefined;
    if (value) {
        *(struct edl_token *)cella_edl_push(&edl->arena, &macro->tokens, sizeof *value) = *value;
    }
    cella_edl_map_put(&edl->arena, &preprocessor->macros, name, macro);
}

static void define_option(struct edl_preprocessor *preprocessor, const char *option)
{
    struct cella_edl *edl = preprocessor->edl;
    const char *equal = edl_is_openenclave(edl) ? NULL : strchr(option, '=');
    size_t size = equal ? (size_t)(equal - option) : strlen(option);
    struct edl_token value = {.kind = EDL_TOKEN_NUMBER, .text = equal ? equal + 1 : "1"};
    if (equal && (equal[1] < '0' || equal[1] > '9')) {
        value.kind = EDL_TOKEN_NAME;
    }
    /* Open Enclave's symbols are only ever asked for, never replaced. */
    define(preprocessor, cella_edl_copy(&edl->arena, option, size),
           edl_is_openenclave(edl) || (equal && !equal[1]) ? NULL : &value,
           edl_is_openenclave(edl) || !equal);
}

void edl_preprocessor_init(struct edl_preprocessor *preprocessor, struct cella_edl *edl,
                           const struct edl_source *source)
{
    struct edl_token one = {.kind = EDL_TOKEN_NUMBER, .text = "1"};
    *preprocessor = (struct edl_preprocessor){.edl = edl};
    if (edl_is_intel(edl)) {
        for (size_t i = 0; i < sizeof g_predefined / sizeof *g_predefined; i++) {
            define(preprocessor, g_predefined[i], &one, true);
        }
        struct edl_token version = {.kind = EDL_TOKEN_NUMBER, .text = "12"};
        define(preprocessor, "__GNUC__", &version, true);
    }
    for (size_t i = 0; i < edl->options.define_count; i++) {
        define_option(preprocessor, edl->options.defines[i]);
    }
    edl_lexer_init(&preprocessor->lexers[0], edl, source);
    preprocessor->depth = 1;
}

static struct edl_lexer *lexer_of(struct edl_preprocessor *preprocessor)
{
    return &preprocessor->lexers[preprocessor->depth - 1];
}

static struct edl_condition *innermost(struct edl_preprocessor *preprocessor)
{
    struct edl_condition *items = preprocessor->conditions.items;
    size_t count = preprocessor->conditions.count;
    return count ? &items[count - 1] : NULL;
}

/* Inside a branch that is let through, and every one around it. A condition opened in a skipped place takes nothing. */
static bool is_included(struct edl_preprocessor *preprocessor)
{
    struct edl_condition *condition = innermost(preprocessor);
    return !condition || condition->is_taken;
}

static void open_condition(struct edl_preprocessor *preprocessor, bool holds,
                           struct cella_edl_position position)
{
    bool is_outer_included = is_included(preprocessor);
    if (preprocessor->conditions.count >= EDL_CONDITION_DEPTH_MAX) {
        edl_error(preprocessor->edl, position, "conditions nested deeper than %u",
                  EDL_CONDITION_DEPTH_MAX);
        preprocessor->edl->is_full = true; /* #endif could no longer be matched */
        return;
    }
    struct edl_condition *condition =
        cella_edl_push(&preprocessor->edl->arena, &preprocessor->conditions, sizeof *condition);
    condition->is_taken = is_outer_included && holds;
    /* In a skipped place no branch is to be taken: as if one had been. */
    condition->was_taken = holds || !is_outer_included;
    condition->position = position;
}

/* #else, #elif. */
static void turn_condition(struct edl_preprocessor *preprocessor, bool holds, bool is_else,
                           const struct edl_token *directive)
{
    struct edl_condition *condition = innermost(preprocessor);
    if (!condition || condition->has_else) {
        edl_error(preprocessor->edl, directive->position,
                  condition ? "second #%s of one condition" : "#%s without #ifdef or #ifndef",
                  directive->text);
        if (condition) {
            edl_note(preprocessor->edl, condition->position, "the condition begins here");
        }
        return;
    }
    condition->is_taken = !condition->was_taken && holds;
    condition->was_taken |= holds;
    condition->has_else = is_else;
}

static void close_condition(struct edl_preprocessor *preprocessor,
                            const struct edl_token *directive)
{
    if (!preprocessor->conditions.count) {
        edl_error(preprocessor->edl, directive->position, "#endif without #ifdef or #ifndef");
        return;
    }
    preprocessor->conditions.count--;
}

static const char *skip_spaces(const char *text)
{
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    return text;
}

/* The length of the identifier at `text`. */
static size_t name_size(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return *text >= '0' && *text <= '9' ? 0 : strspn(text, letters);
}

/* The symbol behind #ifdef: the next token for oeedger8r, which does not look at lines; the rest of the line for C. */
static const char *read_symbol(struct edl_preprocessor *preprocessor,
                               const struct edl_token *directive, const struct edl_token *line)
{
    struct cella_edl *edl = preprocessor->edl;
    const char *symbol = NULL;
    if (edl_is_openenclave(edl)) {
        struct edl_token token = edl_lexer_next(lexer_of(preprocessor));
        symbol = token.kind == EDL_TOKEN_NAME ? token.text : NULL;
    } else {
        const char *text = skip_spaces(line->text);
        size_t size = name_size(text);
        symbol = size ? cella_edl_copy(&edl->arena, text, size) : NULL;
    }
    if (!symbol) {
        edl_error(edl, directive->position, "expected a symbol behind #%s", directive->text);
    }
    return symbol;
}

static bool is_defined(const struct edl_preprocessor *preprocessor, const char *name)
{
    return cella_edl_map_get(&preprocessor->macros, name) != NULL;
}

static void run_ifdef(struct edl_preprocessor *preprocessor, const struct edl_token *directive,
                      const struct edl_token *line, bool is_wanted)
{
    const char *symbol = read_symbol(preprocessor, directive, line);
    bool holds = symbol && is_defined(preprocessor, symbol) == is_wanted;
    open_condition(preprocessor, holds, directive->position);
}

/* Lexes a macro's replacement, all tokens placed at `position`. */
static void read_replacement(struct edl_preprocessor *preprocessor, struct edl_macro *macro,
                             const char *text, struct cella_edl_position position)
{
    struct cella_edl *edl = preprocessor->edl;
    struct edl_source source = {
        .path = "", .data = text, .size = strlen(text), .index = position.file};
    struct edl_lexer lexer;
    edl_lexer_init(&lexer, edl, &source);
    for (;;) {
        lexer.line = position.line;
        struct edl_token token = edl_lexer_next(&lexer);
        if (token.kind == EDL_TOKEN_END) {
            return;
        }
        if (macro->tokens.count >= EDL_MACRO_TOKENS_MAX) {
            edl_error(edl, position, "macro '%s' longer than %u tokens", macro->name,
                      EDL_MACRO_TOKENS_MAX);
            return;
        }
        token.position = position;
        token.is_first = false;
        *(struct edl_token *)cella_edl_push(&edl->arena, &macro->tokens, sizeof token) = token;
    }
}

static void run_define(struct edl_preprocessor *preprocessor, const struct edl_token *line)
{
    struct cella_edl *edl = preprocessor->edl;
    const char *text = skip_spaces(line->text);
    size_t size = name_size(text);
    if (size == 0) {
        edl_error(edl, line->position, "expected a name behind #define");
        return;
    }
    if (text[size] == '(') {
        edl_error(edl, line->position, "macros with parameters are not supported in EDL files");
        return;
    }
    struct edl_macro *macro = cella_edl_alloc(&edl->arena, sizeof *macro);
    macro->name = cella_edl_copy(&edl->arena, text, size);
    read_replacement(preprocessor, macro, text + size, line->position);
    cella_edl_map_put(&edl->arena, &preprocessor->macros, macro->name, macro);
}

static void run_undef(struct edl_preprocessor *preprocessor, const struct edl_token *line)
{
    const char *text = skip_spaces(line->text);
    size_t size = name_size(text);
    if (size == 0) {
        edl_error(preprocessor->edl, line->position, "expected a name behind #undef");
        return;
    }
    const char *name = cella_edl_copy(&preprocessor->edl->arena, text, size);
    if (is_defined(preprocessor, name)) {
        cella_edl_map_put(&preprocessor->edl->arena, &preprocessor->macros, name, NULL);
    }
}

static void run_include(struct edl_preprocessor *preprocessor, const struct edl_token *line)
{
    struct cella_edl *edl = preprocessor->edl;
    const char *text = skip_spaces(line->text);
    const char *quote = *text == '"' ? strchr(text + 1, '"') : NULL;
    if (!quote) {
        edl_error(edl, line->position,
                  *text == '<'
                      ? "#include of a system header is not supported in EDL files; to give "
                        "the header to the generated code write: include \"name.h\""
                      : "expected \"file\" behind #include");
        return;
    }
    if (preprocessor->depth >= EDL_INCLUDE_DEPTH_MAX) {
        edl_error(edl, line->position, "#include nested deeper than %u", EDL_INCLUDE_DEPTH_MAX);
        return;
    }
    const char *including = lexer_of(preprocessor)->source->path;
    const char *slash = strrchr(including, '/');
    const char *path = cella_edl_copy(&edl->arena, text + 1, (size_t)(quote - text - 1));
    if (slash && *path != '/') {
        path = cella_edl_format(&edl->arena, "%.*s/%s", (int)(slash - including), including, path);
    }
    const struct edl_source *source = edl_source_read(edl, path);
    if (!source) {
        edl_note(edl, line->position, "included from here");
        return;
    }
    edl_lexer_init(&preprocessor->lexers[preprocessor->depth++], edl, source);
}

/* Directives that only the dialects with a C preprocessor have. False: not one of them. */
static bool run_c_directive(struct edl_preprocessor *preprocessor,
                            const struct edl_token *directive, const struct edl_token *line)
{
    const char *name = directive->text;
    bool is_live = is_included(preprocessor);
    if (strcmp(name, "if") == 0) {
        open_condition(preprocessor, is_live && edl_condition_holds(preprocessor, line),
                       directive->position);
    } else if (strcmp(name, "elif") == 0) {
        struct edl_condition *condition = innermost(preprocessor);
        bool is_asked = condition && !condition->was_taken;
        turn_condition(preprocessor, is_asked && edl_condition_holds(preprocessor, line), false,
                       directive);
    } else if (!is_live) {
        return true; /* whatever it is */
    } else if (strcmp(name, "define") == 0) {
        run_define(preprocessor, line);
    } else if (strcmp(name, "undef") == 0) {
        run_undef(preprocessor, line);
    } else if (strcmp(name, "include") == 0) {
        run_include(preprocessor, line);
    } else if (strcmp(name, "error") == 0) {
        edl_error(preprocessor->edl, directive->position, "#error %s", skip_spaces(line->text));
    } else {
        /* These, and a lone '#', say nothing about the interface. */
        return !*name || strcmp(name, "warning") == 0 || strcmp(name, "pragma") == 0 ||
               strcmp(name, "line") == 0;
    }
    return true;
}

/* The directive's name; for C, `*ret_line` is what stands behind it on its line. */
static struct edl_token read_directive(struct edl_preprocessor *preprocessor,
                                       const struct edl_token *hash, struct edl_token *ret_line)
{
    struct cella_edl *edl = preprocessor->edl;
    struct edl_token directive = *hash;
    if (edl_is_openenclave(edl)) {
        directive = edl_lexer_next(lexer_of(preprocessor));
        directive.position = edl_span(hash->position, directive.position);
        return directive;
    }
    *ret_line = edl_lexer_line(lexer_of(preprocessor));
    const char *text = skip_spaces(ret_line->text);
    size_t size = name_size(text);
    directive.kind = EDL_TOKEN_NAME;
    directive.text = cella_edl_copy(&edl->arena, text, size);
    directive.position.length += (uint32_t)(text - ret_line->text + (ptrdiff_t)size);
    ret_line->text = text + size;
    ret_line->position = directive.position;
    return directive;
}

static void run_directive(struct edl_preprocessor *preprocessor, const struct edl_token *hash)
{
    static const char *const names[] = {"ifdef", "ifndef", "else", "endif", "define", "include"};
    struct cella_edl *edl = preprocessor->edl;
    struct edl_token line = {0};
    struct edl_token directive = read_directive(preprocessor, hash, &line);
    if (directive.kind != EDL_TOKEN_NAME) {
        edl_error(edl, hash->position,
                  "expected a directive behind '#': ifdef, ifndef, else or endif");
    } else if (strcmp(directive.text, "ifdef") == 0) {
        run_ifdef(preprocessor, &directive, &line, true);
    } else if (strcmp(directive.text, "ifndef") == 0) {
        run_ifdef(preprocessor, &directive, &line, false);
    } else if (strcmp(directive.text, "else") == 0) {
        struct edl_condition *condition = innermost(preprocessor);
        turn_condition(preprocessor, condition && !condition->was_taken, true, &directive);
    } else if (strcmp(directive.text, "endif") == 0) {
        close_condition(preprocessor, &directive);
    } else if (edl_is_openenclave(edl) || !run_c_directive(preprocessor, &directive, &line)) {
        const char *guess = edl_guess(directive.text, names, edl_is_openenclave(edl) ? 4 : 6);
        edl_error(edl, directive.position, "unknown directive '#%s'%s%s%s", directive.text,
                  guess ? "; did you mean '#" : "", guess ? guess : "", guess ? "'?" : "");
    }
}

static bool is_hash(const struct cella_edl *edl, const struct edl_token *token)
{
    return token->kind == EDL_TOKEN_SIGN && token->sign == '#' &&
           (token->is_first || edl_is_openenclave(edl));
}

/* To the next line that begins with '#': C's preprocessor does not read skipped lines as tokens. */
static void skip_lines(struct edl_lexer *lexer)
{
    const char *data = lexer->source->data;
    size_t size = lexer->source->size;
    while (lexer->offset < size) {
        size_t probe = lexer->offset;
        while (probe < size && (data[probe] == ' ' || data[probe] == '\t')) {
            probe++;
        }
        if (lexer->at_line_start && probe < size && data[probe] == '#') {
            return;
        }
        (void)edl_lexer_line(lexer);
        if (lexer->offset < size && data[lexer->offset] == '\n') {
            edl_lexer_end_line(lexer);
        }
    }
}

/* The next raw token that is let through; directives are carried out on the way. */
static struct edl_token next_live(struct edl_preprocessor *preprocessor)
{
    for (;;) {
        struct edl_lexer *lexer = lexer_of(preprocessor);
        if (!is_included(preprocessor) && !edl_is_openenclave(preprocessor->edl)) {
            skip_lines(lexer);
        }
        struct edl_token token = edl_lexer_next(lexer);
        if (preprocessor->edl->is_full) {
            token.kind = EDL_TOKEN_END;
            return token;
        }
        if (token.kind == EDL_TOKEN_END) {
            if (preprocessor->depth == 1) {
                return token;
            }
            preprocessor->depth--;
        } else if (is_hash(preprocessor->edl, &token)) {
            run_directive(preprocessor, &token);
        } else if (is_included(preprocessor)) {
            return token;
        }
    }
}

/* Appends what `token` stands for to the pending tokens. Recursion ends at EDL_MACRO_DEPTH_MAX. */
static void expand(struct edl_preprocessor *preprocessor, const struct edl_token *token,
                   struct edl_macro *macro, unsigned depth)
{
    struct cella_edl *edl = preprocessor->edl;
    if (depth >= EDL_MACRO_DEPTH_MAX) {
        edl_error(edl, token->position, "macro '%s' expands through more than %u others",
                  token->text, EDL_MACRO_DEPTH_MAX);
        return;
    }
    macro->is_active = true;
    const struct edl_token *items = macro->tokens.items;
    for (size_t i = 0; i < macro->tokens.count && !edl->is_full; i++) {
        struct edl_macro *inner = items[i].kind == EDL_TOKEN_NAME
                                      ? cella_edl_map_get(&preprocessor->macros, items[i].text)
                                      : NULL;
        if (preprocessor->pending.count >= EDL_MACRO_TOKENS_MAX) {
            edl_error(edl, token->position, "macro '%s' expands to more than %u tokens",
                      token->text, EDL_MACRO_TOKENS_MAX);
            edl->is_full = true;
        } else if (inner && !inner->is_predefined && !inner->is_active) {
            expand(preprocessor, token, inner, depth + 1);
        } else {
            struct edl_token *copy =
                cella_edl_push(&edl->arena, &preprocessor->pending, sizeof *copy);
            *copy = items[i];
            copy->position = token->position;
        }
    }
    macro->is_active = false;
}

struct edl_token edl_preprocessor_next(struct edl_preprocessor *preprocessor)
{
    for (;;) {
        if (preprocessor->pending_next < preprocessor->pending.count) {
            const struct edl_token *items = preprocessor->pending.items;
            return items[preprocessor->pending_next++];
        }
        preprocessor->pending.count = 0;
        preprocessor->pending_next = 0;
        struct edl_token token = next_live(preprocessor);
        struct edl_macro *macro = token.kind == EDL_TOKEN_NAME
                                      ? cella_edl_map_get(&preprocessor->macros, token.text)
                                      : NULL;
        if (!macro || macro->is_predefined) {
            return token;
        }
        expand(preprocessor, &token, macro, 0);
    }
}

void edl_preprocessor_finish(struct edl_preprocessor *preprocessor)
{
    struct edl_condition *condition = innermost(preprocessor);
    if (condition) {
        edl_error(preprocessor->edl, condition->position, "condition without its #endif");
    }
}
