/*
 * The parser's ground: taking tokens, saying what was expected, going on after an error; and the body of `enclave { }`.
 * Side: tools. Called by edl/import.c for each file. Never stops at the first error.
 */
#include <string.h>

#include "edl/internal.h"

struct cella_edl_position edl_span(struct cella_edl_position from, struct cella_edl_position to)
{
    if (from.file == to.file && from.line == to.line && to.column + to.length > from.column) {
        from.length = to.column + to.length - from.column;
    }
    return from;
}

struct edl_token edl_take(struct edl_parser *parser)
{
    parser->last = parser->token;
    parser->taken++;
    parser->token = parser->after;
    if (parser->after.kind != EDL_TOKEN_END) {
        parser->after = edl_preprocessor_next(parser->preprocessor);
    }
    return parser->last;
}

bool edl_at(const struct edl_parser *parser, char sign)
{
    return parser->token.kind == EDL_TOKEN_SIGN && parser->token.sign == sign;
}

bool edl_at_word(const struct edl_parser *parser, const char *word)
{
    return parser->token.kind == EDL_TOKEN_NAME && strcmp(parser->token.text, word) == 0;
}

bool edl_take_if(struct edl_parser *parser, char sign)
{
    if (!edl_at(parser, sign)) {
        return false;
    }
    edl_take(parser);
    return true;
}

static const char *describe(struct cella_edl *edl, const struct edl_token *token)
{
    switch (token->kind) {
    case EDL_TOKEN_END:
        return "the end of the file";
    case EDL_TOKEN_STRING:
        return cella_edl_format(&edl->arena, "\"%.60s\"", token->text);
    default:
        return cella_edl_format(&edl->arena, "'%.60s'", token->text);
    }
}

void edl_unexpected(struct edl_parser *parser, const char *expected)
{
    if (parser->token.kind != EDL_TOKEN_BAD) {
        edl_error(parser->edl, parser->token.position, "expected %s, not %s", expected,
                  describe(parser->edl, &parser->token));
    }
}

bool edl_expect(struct edl_parser *parser, char sign, const char *where)
{
    if (edl_take_if(parser, sign)) {
        return true;
    }
    if (parser->token.kind == EDL_TOKEN_BAD) {
        return false;
    }
    struct cella_edl_position position = parser->token.position;
    bool is_behind = (sign == ';' || sign == ')' || sign == ']') && parser->last.position.line;
    if (is_behind) { /* what is missing belongs behind the token before */
        position = parser->last.position;
        position.column += position.length;
        position.length = 1;
    }
    edl_error(parser->edl, position, "expected '%c' %s, not %s", sign, where,
              describe(parser->edl, &parser->token));
    if (is_behind) {
        edl_fix(parser->edl, sign == ';' ? ";" : sign == ')' ? ")" : "]");
    }
    return false;
}

/*
 * Passes over tokens to one of `stops` outside of all brackets (not taken), or to '}' or the end. Brackets that were
 * opened on the way are closed on the way.
 */
static void skip_to(struct edl_parser *parser, const char *stops)
{
    unsigned depth = 0;
    while (parser->token.kind != EDL_TOKEN_END) {
        char sign = parser->token.kind == EDL_TOKEN_SIGN ? parser->token.sign : '\0';
        if (depth == 0 && sign && (strchr(stops, sign) || sign == '}')) {
            return;
        }
        if (sign && strchr("([{", sign)) {
            depth++;
        } else if (sign && strchr(")]}", sign) && depth) {
            depth--;
        }
        edl_take(parser);
    }
}

void edl_skip_declaration(struct edl_parser *parser)
{
    skip_to(parser, ";");
    edl_take_if(parser, ';');
}

void edl_skip_param(struct edl_parser *parser)
{
    skip_to(parser, ",);");
}

void edl_skip_body(struct edl_parser *parser)
{
    skip_to(parser, "");
}

bool edl_is_c_keyword(const char *name)
{
    static const char *const words[] = {
        "auto",    "break",  "case",     "char",   "const",    "continue", "default",
        "do",      "double", "else",     "enum",   "extern",   "float",    "for",
        "goto",    "if",     "inline",   "int",    "long",     "register", "restrict",
        "return",  "short",  "signed",   "sizeof", "static",   "struct",   "switch",
        "typedef", "union",  "unsigned", "void",   "volatile", "while",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(name, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Words that Intel's lexer never takes for an identifier. */
static bool is_intel_word(const char *name)
{
    static const char *const words[] = {
        "int8_t",
        "int16_t",
        "int32_t",
        "int64_t",
        "uint8_t",
        "uint16_t",
        "uint32_t",
        "uint64_t",
        "size_t",
        "wchar_t",
        "enclave",
        "trusted",
        "untrusted",
        "from",
        "import",
        "allow",
        "public",
        "include",
        "transition_using_threads",
        "propagate_errno",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(name, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool edl_parse_name(struct edl_parser *parser, const char *what, struct edl_token *ret_token)
{
    struct cella_edl *edl = parser->edl;
    const char *text = parser->token.text;
    if (parser->token.kind != EDL_TOKEN_NAME) {
        edl_unexpected(parser, what);
        return false;
    }
    if (strcmp(text, "const") == 0) {
        edl_error(edl, parser->token.position,
                  "expected %s, not 'const'; in EDL const stands only before the type", what);
        return false;
    }
    if (edl_is_c_keyword(text)) {
        edl_error(edl, parser->token.position, "expected %s, but '%s' is a keyword of C", what,
                  text);
        return false;
    }
    if (edl_is_intel(edl) && is_intel_word(text)) {
        edl_error(edl, parser->token.position, "expected %s, but '%s' is a word of the language",
                  what, text);
        return false;
    }
    *ret_token = edl_take(parser);
    return true;
}

static void parse_include(struct edl_parser *parser, bool in_trusted, bool in_untrusted)
{
    edl_take(parser);
    if (parser->token.kind != EDL_TOKEN_STRING) {
        edl_unexpected(parser, "a header in quotes behind 'include'");
        return;
    }
    struct edl_token name = edl_take(parser);
    edl_add_include(parser->edl, parser->file,
                    (struct cella_edl_include){
                        .path = name.text, .in_trusted = in_trusted, .in_untrusted = in_untrusted});
    if (edl_at(parser, ';') && !edl_is_cella(parser->edl)) {
        edl_error(parser->edl, parser->token.position, "no ';' stands behind an include");
    }
    edl_take_if(parser, ';');
}

/* The file named by the string token, parsed; NULL when reported. */
static struct edl_file *parse_import_path(struct edl_parser *parser, struct edl_token *ret_name)
{
    if (parser->token.kind != EDL_TOKEN_STRING) {
        edl_unexpected(parser, "an EDL file in quotes");
        return NULL;
    }
    *ret_name = edl_take(parser);
    return edl_open_file(parser->edl, ret_name->text, parser->file->path, &ret_name->position);
}

/* import "file.edl" */
static void parse_import(struct edl_parser *parser)
{
    struct edl_token name = {0};
    struct edl_token word = edl_take(parser);
    if (edl_is_intel(parser->edl)) {
        edl_error(parser->edl, word.position,
                  "Intel's dialect has no plain import; write: from \"file.edl\" import *;");
        edl_skip_declaration(parser);
        return;
    }
    struct edl_file *from = parse_import_path(parser, &name);
    if (from) {
        edl_import_types(parser->edl, parser->file, from, name.position);
        edl_import_all(parser->edl, parser->file, from, name.position);
    }
    if (edl_at(parser, ';') && edl_is_openenclave(parser->edl)) {
        edl_error(parser->edl, parser->token.position, "no ';' stands behind: import \"file.edl\"");
    }
    edl_take_if(parser, ';');
}

/* a, b, c; the list may be empty or end in a comma for Open Enclave. */
static void parse_import_names(struct edl_parser *parser, const struct edl_file *from)
{
    bool is_lenient = !edl_is_intel(parser->edl);
    if (is_lenient && edl_at(parser, ';')) {
        return;
    }
    do {
        if (is_lenient && edl_at(parser, ';')) {
            return;
        }
        struct edl_token name;
        if (!edl_parse_name(parser, "the name of a function to import, or '*'", &name)) {
            skip_to(parser, ";,");
        } else if (from) {
            edl_import_one(parser->edl, parser->file, from, &name);
        }
    } while (edl_take_if(parser, ',') && !parser->edl->is_full);
}

/* from "file.edl" import a, b; */
static void parse_from(struct edl_parser *parser)
{
    struct edl_token path = {0};
    edl_take(parser);
    struct edl_file *from = parse_import_path(parser, &path);
    if (from) {
        edl_import_types(parser->edl, parser->file, from, path.position);
    } else if (path.kind != EDL_TOKEN_STRING) {
        edl_skip_declaration(parser);
        return;
    }
    if (!edl_at_word(parser, "import")) {
        edl_unexpected(parser, "'import' behind the file");
        edl_skip_declaration(parser);
        return;
    }
    edl_take(parser);
    if (edl_take_if(parser, '*')) {
        if (from) {
            edl_import_all(parser->edl, parser->file, from, path.position);
        }
    } else {
        parse_import_names(parser, from);
    }
    if (!edl_expect(parser, ';', "behind the import")) {
        if (edl_at(parser, ',')) {
            edl_skip_declaration(parser);
        }
    }
}

static void parse_one_function(struct edl_parser *parser, bool is_trusted)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_function *function = cella_edl_alloc(&edl->arena, sizeof *function);
    uint64_t taken = parser->taken;
    if (edl_parse_function(parser, function, is_trusted)) {
        edl_add_function(edl, parser->file, function);
        return;
    }
    if (parser->taken == taken) {
        edl_take(parser); /* always on */
    }
    edl_skip_declaration(parser);
}

static void parse_functions(struct edl_parser *parser, bool is_trusted)
{
    struct cella_edl *edl = parser->edl;
    bool has_functions = false;
    struct edl_token word = edl_take(parser);
    if (!edl_expect(parser, '{', is_trusted ? "behind 'trusted'" : "behind 'untrusted'")) {
        edl_skip_declaration(parser);
        return;
    }
    while (!edl_at(parser, '}') && parser->token.kind != EDL_TOKEN_END) {
        if (edl_at_word(parser, "include") && parser->after.kind == EDL_TOKEN_STRING) {
            if (edl_is_openenclave(edl)) {
                edl_error(edl, parser->token.position,
                          "Open Enclave's dialect has includes only outside of trusted and "
                          "untrusted");
            } else if (has_functions && edl_is_intel(edl)) {
                edl_error(edl, parser->token.position, "includes stand before the functions");
            }
            parse_include(parser, is_trusted, !is_trusted);
            continue;
        }
        has_functions = true;
        parse_one_function(parser, is_trusted);
    }
    if (parser->token.kind == EDL_TOKEN_END && !edl->is_full) {
        edl_unexpected(parser, "'}'");
        edl_note(edl, word.position, "to end the functions that begin here");
        return;
    }
    edl_take(parser);
    edl_expect(parser, ';',
               is_trusted ? "behind the trusted functions" : "behind the untrusted functions");
}

static void parse_unknown(struct edl_parser *parser)
{
    static const char *const words[] = {"trusted", "untrusted", "include", "import",
                                        "from",    "enum",      "struct",  "union"};
    struct edl_token token = parser->token;
    const char *guess = token.kind == EDL_TOKEN_NAME
                            ? edl_guess(token.text, words, sizeof words / sizeof *words)
                            : NULL;
    if (guess) {
        edl_error(parser->edl, token.position, "unknown word '%s'; did you mean '%s'?", token.text,
                  guess);
        edl_fix(parser->edl, guess);
    } else if (edl_at(parser, ';')) {
        edl_error(parser->edl, token.position, "a ';' too many");
    } else {
        edl_unexpected(parser, "trusted, untrusted, include, import, from, enum, struct or union");
    }
    edl_take(parser);
    if (token.kind != EDL_TOKEN_SIGN || token.sign != ';') {
        if (guess && edl_at(parser, '{')) {
            skip_to(parser, ";");
        }
        edl_skip_declaration(parser);
    }
}

static void parse_body(struct edl_parser *parser)
{
    while (!edl_at(parser, '}') && parser->token.kind != EDL_TOKEN_END) {
        if (edl_at_word(parser, "trusted")) {
            parse_functions(parser, true);
        } else if (edl_at_word(parser, "untrusted")) {
            parse_functions(parser, false);
        } else if (edl_at_word(parser, "include")) {
            parse_include(parser, true, true);
        } else if (edl_at_word(parser, "import")) {
            parse_import(parser);
        } else if (edl_at_word(parser, "from")) {
            parse_from(parser);
        } else if (edl_at_word(parser, "enum")) {
            edl_parse_composite(parser, CELLA_EDL_ENUM);
        } else if (edl_at_word(parser, "struct")) {
            edl_parse_composite(parser, CELLA_EDL_STRUCT);
        } else if (edl_at_word(parser, "union")) {
            edl_parse_composite(parser, CELLA_EDL_UNION);
        } else {
            parse_unknown(parser);
        }
    }
}

/* What stands behind the enclave's '}'. False: something does, and it is passed over. */
static bool parse_end(struct edl_parser *parser)
{
    struct cella_edl *edl = parser->edl;
    if (edl_is_intel(edl)) {
        edl_expect(parser, ';', "behind the enclave");
    } else {
        edl_take_if(parser, ';');
    }
    if (parser->token.kind == EDL_TOKEN_END || parser->token.kind == EDL_TOKEN_BAD) {
        return parser->token.kind == EDL_TOKEN_END;
    }
    if (edl_is_intel(edl)) {
        edl_unexpected(parser, "the end of the file");
    } else {
        edl_warn(edl, CELLA_EDL_W_TRAILING_TEXT, parser->token.position,
                 "what stands behind the enclave is ignored");
    }
    return false;
}

void edl_parse_file(struct cella_edl *edl, struct edl_file *file, const struct edl_source *source)
{
    struct edl_preprocessor *preprocessor = cella_edl_alloc(&edl->arena, sizeof *preprocessor);
    struct edl_parser parser = {.edl = edl, .file = file, .preprocessor = preprocessor};
    edl_preprocessor_init(preprocessor, edl, source);
    parser.token = edl_preprocessor_next(preprocessor);
    parser.after = edl_preprocessor_next(preprocessor);
    struct edl_token start = parser.token;
    if (!edl_at_word(&parser, "enclave")) {
        edl_unexpected(&parser, "'enclave {' at the beginning");
        return;
    }
    edl_take(&parser);
    if (!edl_expect(&parser, '{', "behind 'enclave'")) {
        return;
    }
    parse_body(&parser);
    if (edl->is_full) {
        return;
    }
    if (!edl_at(&parser, '}')) {
        edl_unexpected(&parser, "'}'");
        edl_note(edl, start.position, "to end the enclave that begins here");
        edl_preprocessor_finish(preprocessor);
        return;
    }
    edl_take(&parser);
    if (parse_end(&parser)) {
        edl_preprocessor_finish(preprocessor);
    }
}
