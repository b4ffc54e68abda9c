/*
 * The part of TOML 1.0 that manifests are written in. toml.h is the manual.
 * Side: tools. Called by cli/program_manifest_toml.c. Never reads a file.
 */
#include "cli/toml.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define CHUNK_SIZE 16384u

struct toml_chunk {
    struct toml_chunk *next;
    size_t used, size;
    uint8_t bytes[];
};

struct parser {
    struct cella_bytes text;
    size_t at;
    uint32_t line;
    size_t line_start;
    const char *name;
    struct toml_document *document;
    struct cella_error *error;
};

static void *allocate(struct parser *parser, size_t size)
{
    struct toml_chunk *chunk = parser->document->chunks;
    size = (size + 15) & ~(size_t)15;
    if (!chunk || chunk->size - chunk->used < size) {
        const size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = (struct toml_chunk *)calloc(1, sizeof(*chunk) + room + 16);
        if (!chunk) {
            return NULL;
        }
        chunk->size = room;
        chunk->next = parser->document->chunks;
        parser->document->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

static uint32_t column_of(const struct parser *parser)
{
    return (uint32_t)(parser->at - parser->line_start) + 1;
}

#define REFUSE(parser, code, format, ...)                                                          \
    cella_error_set((parser)->error, CELLA_RESULT(code), "%s:%u:%u: " format, (parser)->name,      \
                    (parser)->line, column_of(parser), ##__VA_ARGS__)

/* The byte at hand; -1 at the end. */
static int peek(const struct parser *parser)
{
    return parser->at < parser->text.size ? parser->text.data[parser->at] : -1;
}

static int peek_after(const struct parser *parser, size_t distance)
{
    return distance < parser->text.size - parser->at ? parser->text.data[parser->at + distance]
                                                     : -1;
}

static void step(struct parser *parser)
{
    if (parser->text.data[parser->at++] == '\n') {
        parser->line++;
        parser->line_start = parser->at;
    }
}

static bool take(struct parser *parser, int wanted)
{
    if (peek(parser) != wanted) {
        return false;
    }
    step(parser);
    return true;
}

static void skip_blanks(struct parser *parser)
{
    while (peek(parser) == ' ' || peek(parser) == '\t') {
        step(parser);
    }
}

/* A comment up to the end of the line, which stays. */
static cella_result skip_comment(struct parser *parser)
{
    if (peek(parser) != '#') {
        return CELLA_OK;
    }
    while (peek(parser) != '\n' && peek(parser) != -1) {
        const int c = peek(parser);
        if ((c < ' ' && c != '\t' && c != '\r') || c == 127) {
            return REFUSE(parser, BAD_SYNTAX, "a control character in a comment");
        }
        step(parser);
    }
    return CELLA_OK;
}

static bool take_newline(struct parser *parser)
{
    if (peek(parser) == '\r' && peek_after(parser, 1) == '\n') {
        step(parser);
    }
    return take(parser, '\n');
}

/* Blanks, comments and ends of lines. */
static cella_result skip_lines(struct parser *parser)
{
    do {
        skip_blanks(parser);
        CELLA_TRY(skip_comment(parser));
    } while (take_newline(parser));
    return CELLA_OK;
}

static cella_result end_of_line(struct parser *parser)
{
    skip_blanks(parser);
    CELLA_TRY(skip_comment(parser));
    if (peek(parser) == -1 || take_newline(parser)) {
        return CELLA_OK;
    }
    return REFUSE(parser, BAD_SYNTAX, "expected the end of the line");
}

static cella_result node_new(struct parser *parser, enum toml_kind kind,
                             struct toml_node **ret_node)
{
    if (parser->document->node_count >= TOML_NODE_MAX) {
        return REFUSE(parser, LIMIT_EXCEEDED, "more than %u values", TOML_NODE_MAX);
    }
    struct toml_node *node = (struct toml_node *)allocate(parser, sizeof(*node));
    CELLA_ENSURE(node != NULL, OUT_OF_MEMORY);
    parser->document->node_count++;
    node->kind = kind;
    node->line = parser->line;
    node->column = column_of(parser);
    *ret_node = node;
    return CELLA_OK;
}

static void append(struct toml_node *parent, struct toml_node *child)
{
    if (parent->last) {
        parent->last->next = child;
    } else {
        parent->first = child;
    }
    parent->last = child;
    parent->count++;
}

static struct toml_node *find(const struct toml_node *table, const char *key)
{
    for (struct toml_node *node = table->first; node; node = node->next) {
        if (strcmp(node->key, key) == 0) {
            return node;
        }
    }
    return NULL;
}

/* The length of the UTF-8 sequence at hand; 0: none that is well-formed. */
static size_t utf8_length(const struct parser *parser)
{
    const int c = peek(parser);
    const int d = peek_after(parser, 1);
    const size_t size = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (c >= 0x80 && c < 0xC2) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((peek_after(parser, i) & 0xC0) != 0x80) {
            return 0;
        }
    }
    if ((c == 0xE0 && d < 0xA0) || (c == 0xED && d >= 0xA0) || (c == 0xF0 && d < 0x90) ||
        (c == 0xF4 && d >= 0x90)) {
        return 0;
    }
    return size;
}

static int hex_of(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 16;
}

static size_t utf8_put(uint32_t rune, char *out)
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xC0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3F));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (char)(0xE0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3F));
        out[2] = (char)(0x80 | (rune & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3F));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3F));
    out[3] = (char)(0x80 | (rune & 0x3F));
    return 4;
}

/* Behind a backslash. At most as many bytes as were read. */
static cella_result escape(struct parser *parser, char *out, size_t *used)
{
    static const char names[] = "btnfre\"\\";
    static const char bytes[] = "\b\t\n\f\r\033\"\\";
    const int c = peek(parser);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    if (name && c != 'e') {
        out[(*used)++] = bytes[name - names];
        step(parser);
        return CELLA_OK;
    }
    if (c != 'u' && c != 'U') {
        return REFUSE(parser, BAD_SYNTAX, "unknown escape; a backslash is written \\\\");
    }
    uint32_t rune = 0;
    const unsigned digits = c == 'u' ? 4 : 8;
    step(parser);
    for (unsigned i = 0; i < digits; i++) {
        const int digit = hex_of(peek(parser));
        if (digit > 15) {
            return REFUSE(parser, BAD_SYNTAX, "expected %u hexadecimal digits", digits);
        }
        rune = rune << 4 | (uint32_t)digit;
        step(parser);
    }
    if (rune == 0 || rune > 0x10FFFF || (rune >= 0xD800 && rune < 0xE000)) {
        return REFUSE(parser, BAD_SYNTAX, "no character has this number, or it is zero");
    }
    *used += utf8_put(rune, out + *used);
    return CELLA_OK;
}

/* Both kinds of string, on one line. */
static cella_result read_string(struct parser *parser, const char **ret_text)
{
    const int quote = peek(parser);
    const uint8_t *start = parser->text.data + parser->at;
    size_t longest = 0;
    if (peek_after(parser, 1) == quote && peek_after(parser, 2) == quote) {
        return REFUSE(parser, UNSUPPORTED, "strings of several lines are not supported");
    }
    step(parser);
    while (parser->at + longest < parser->text.size && start[longest + 1] != '\n') {
        longest++;
    }
    char *out = (char *)allocate(parser, longest + 1);
    CELLA_ENSURE(out != NULL, OUT_OF_MEMORY);
    size_t used = 0;
    while (!take(parser, quote)) {
        const int c = peek(parser);
        if (c == -1 || c == '\n') {
            return REFUSE(parser, BAD_SYNTAX, "the string does not end on its line");
        }
        if ((c < ' ' && c != '\t') || c == 127) {
            return REFUSE(parser, BAD_SYNTAX, "a control character in a string");
        }
        if (c == '\\' && quote == '"') {
            step(parser);
            CELLA_TRY(escape(parser, out, &used));
            continue;
        }
        const size_t size = utf8_length(parser);
        if (size == 0) {
            return REFUSE(parser, BAD_SYNTAX, "the text is not UTF-8");
        }
        for (size_t i = 0; i < size; i++) {
            out[used++] = (char)peek(parser);
            step(parser);
        }
    }
    out[used] = 0;
    *ret_text = out;
    return CELLA_OK;
}

static bool is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static cella_result read_key(struct parser *parser, const char **ret_key)
{
    if (peek(parser) == '"' || peek(parser) == '\'') {
        return read_string(parser, ret_key);
    }
    const size_t start = parser->at;
    while (is_bare(peek(parser))) {
        step(parser);
    }
    const size_t size = parser->at - start;
    if (size == 0) {
        return REFUSE(parser, BAD_SYNTAX, "expected a key");
    }
    char *key = (char *)allocate(parser, size + 1);
    CELLA_ENSURE(key != NULL, OUT_OF_MEMORY);
    memcpy(key, parser->text.data + start, size);
    *ret_key = key;
    return CELLA_OK;
}

static cella_result read_integer(struct parser *parser, struct toml_node *node)
{
    const bool negative = peek(parser) == '-';
    unsigned base = 10;
    uint64_t value = 0;
    bool digit_before = false;
    if (negative || peek(parser) == '+') {
        step(parser);
    } else if (peek(parser) == '0' && peek_after(parser, 1) > 0 &&
               strchr("xob", peek_after(parser, 1))) {
        base = peek_after(parser, 1) == 'x' ? 16 : peek_after(parser, 1) == 'o' ? 8 : 2;
        step(parser);
        step(parser);
    }
    if (base == 10 && peek(parser) == '0' && peek_after(parser, 1) >= '0' &&
        peek_after(parser, 1) <= '9') {
        return REFUSE(parser, BAD_SYNTAX, "a number does not start with 0; octal is 0o…");
    }
    while (is_bare(peek(parser)) || peek(parser) == '.' || peek(parser) == ':') {
        const int c = peek(parser);
        const unsigned digit = (unsigned)hex_of(c);
        if (c == '_' && digit_before && (unsigned)hex_of(peek_after(parser, 1)) < base) {
            digit_before = false;
            step(parser);
            continue;
        }
        if (digit >= base) {
            return REFUSE(parser, BAD_SYNTAX, "expected an integer (no fractions, no dates)");
        }
        if (value > ((uint64_t)INT64_MAX - digit) / base) {
            return REFUSE(parser, OUT_OF_RANGE, "the number does not fit 63 bits");
        }
        value = value * base + digit;
        digit_before = true;
        step(parser);
    }
    if (!digit_before) {
        return REFUSE(parser, BAD_SYNTAX, "expected a value");
    }
    node->integer = negative ? -(int64_t)value : (int64_t)value;
    return CELLA_OK;
}

static bool word_follows(const struct parser *parser, const char *word)
{
    const size_t size = strlen(word);
    return size <= parser->text.size - parser->at &&
           memcmp(parser->text.data + parser->at, word, size) == 0 &&
           !is_bare(peek_after(parser, size));
}

static cella_result read_value(struct parser *parser, unsigned depth, struct toml_node **ret_node);
static cella_result read_pair(struct parser *parser, struct toml_node *table, unsigned depth);

static cella_result read_array(struct parser *parser, unsigned depth, struct toml_node *array)
{
    step(parser);
    for (;;) {
        struct toml_node *item;
        CELLA_TRY(skip_lines(parser));
        if (take(parser, ']')) {
            break;
        }
        CELLA_TRY(read_value(parser, depth + 1, &item));
        append(array, item);
        CELLA_TRY(skip_lines(parser));
        if (!take(parser, ',') && peek(parser) != ']') {
            return REFUSE(parser, BAD_SYNTAX, "expected ',' or ']'");
        }
    }
    array->closed = true;
    return CELLA_OK;
}

static cella_result read_inline_table(struct parser *parser, unsigned depth,
                                      struct toml_node *table)
{
    step(parser);
    skip_blanks(parser);
    while (!take(parser, '}')) {
        CELLA_TRY(read_pair(parser, table, depth + 1));
        skip_blanks(parser);
        if (take(parser, ',')) {
            skip_blanks(parser);
            if (peek(parser) == '}') {
                return REFUSE(parser, BAD_SYNTAX, "no ',' before '}'");
            }
        } else if (peek(parser) != '}') {
            return REFUSE(parser, BAD_SYNTAX, "expected ',' or '}' on this line");
        }
    }
    table->closed = true;
    return CELLA_OK;
}

static cella_result read_value(struct parser *parser, unsigned depth, struct toml_node **ret_node)
{
    struct toml_node *node;
    const int c = peek(parser);
    if (depth > TOML_DEPTH_MAX) {
        return REFUSE(parser, LIMIT_EXCEEDED, "nested deeper than %u", TOML_DEPTH_MAX);
    }
    CELLA_TRY(node_new(parser, TOML_STRING, &node));
    node->header = true;
    *ret_node = node;
    if (c == '"' || c == '\'') {
        return read_string(parser, &node->text);
    }
    if (c == '[') {
        node->kind = TOML_ARRAY;
        return read_array(parser, depth, node);
    }
    if (c == '{') {
        node->kind = TOML_TABLE;
        return read_inline_table(parser, depth, node);
    }
    if (word_follows(parser, "true") || word_follows(parser, "false")) {
        node->kind = TOML_BOOLEAN;
        node->boolean = c == 't';
        parser->at += node->boolean ? 4 : 5;
        return CELLA_OK;
    }
    if (c == '+' || c == '-' || (c >= '0' && c <= '9')) {
        node->kind = TOML_INTEGER;
        return read_integer(parser, node);
    }
    return REFUSE(parser, BAD_SYNTAX, "expected a value%s",
                  is_bare(c) ? "; text stands in quotes" : "");
}

/* Where the key at hand was: for errors that come after it was read. */
struct mark {
    size_t at, line_start;
    uint32_t line;
};

static struct mark mark_of(const struct parser *parser)
{
    return (struct mark){parser->at, parser->line_start, parser->line};
}

static void go_back(struct parser *parser, struct mark mark)
{
    parser->at = mark.at;
    parser->line_start = mark.line_start;
    parser->line = mark.line;
}

static void name_node(struct toml_node *node, const char *key, const struct parser *parser,
                      struct mark mark)
{
    node->key = key;
    node->key_line = mark.line;
    node->key_column = (uint32_t)(mark.at - parser->line_start) + 1;
}

/* One step of a dotted key or of a header: the table `key` of `table`, made when there is none. */
static cella_result descend(struct parser *parser, struct toml_node **table, const char *key,
                            struct mark mark, bool dotted)
{
    struct toml_node *child = find(*table, key);
    if (!child) {
        CELLA_TRY(node_new(parser, TOML_TABLE, &child));
        child->line = mark.line;
        child->column = (uint32_t)(mark.at - parser->line_start) + 1;
        child->dotted = dotted;
        name_node(child, key, parser, mark);
        append(*table, child);
    } else if (child->kind == TOML_ARRAY && !child->closed && !dotted) {
        child = child->last;
    } else if (child->kind != TOML_TABLE || child->closed || (dotted && !child->dotted)) {
        go_back(parser, mark);
        return REFUSE(parser, ALREADY_EXISTS, "'%s' has a value already (line %u)", key,
                      child->line);
    }
    *table = child;
    return CELLA_OK;
}

/* KEY = VALUE, with dots in the key. */
static cella_result read_pair(struct parser *parser, struct toml_node *table, unsigned depth)
{
    const char *key;
    struct mark mark;
    for (;;) {
        mark = mark_of(parser);
        CELLA_TRY(read_key(parser, &key));
        skip_blanks(parser);
        if (!take(parser, '.')) {
            break;
        }
        if (++depth > TOML_DEPTH_MAX) {
            return REFUSE(parser, LIMIT_EXCEEDED, "nested deeper than %u", TOML_DEPTH_MAX);
        }
        CELLA_TRY(descend(parser, &table, key, mark, true));
        skip_blanks(parser);
    }
    struct toml_node *old = find(table, key);
    if (old) {
        go_back(parser, mark);
        return REFUSE(parser, ALREADY_EXISTS, "'%s' is given twice (first in line %u)", key,
                      old->key_line);
    }
    if (!take(parser, '=')) {
        return REFUSE(parser, BAD_SYNTAX, "expected '=' behind the key '%s'", key);
    }
    skip_blanks(parser);
    struct toml_node *value;
    const size_t line_start = parser->line_start;
    CELLA_TRY(read_value(parser, depth, &value));
    value->key = key;
    value->key_line = mark.line;
    value->key_column = (uint32_t)(mark.at - line_start) + 1;
    append(table, value);
    return CELLA_OK;
}

/* The last part of a header: the table that the lines below it fill. */
static cella_result open_table(struct parser *parser, struct toml_node **table, const char *key,
                               struct mark mark, bool is_array)
{
    struct toml_node *child = find(*table, key);
    if (is_array) {
        struct toml_node *item;
        if (child && (child->kind != TOML_ARRAY || child->closed)) {
            go_back(parser, mark);
            return REFUSE(parser, ALREADY_EXISTS, "'%s' is no array of tables (line %u)", key,
                          child->line);
        }
        if (!child) {
            CELLA_TRY(node_new(parser, TOML_ARRAY, &child));
            name_node(child, key, parser, mark);
            append(*table, child);
        }
        CELLA_TRY(node_new(parser, TOML_TABLE, &item));
        item->line = mark.line;
        item->header = true;
        append(child, item);
        *table = item;
        return CELLA_OK;
    }
    if (child && (child->header || child->dotted || child->kind != TOML_TABLE)) {
        go_back(parser, mark);
        return REFUSE(parser, ALREADY_EXISTS, "'%s' is there already (line %u)", key, child->line);
    }
    CELLA_TRY(descend(parser, table, key, mark, false));
    (*table)->header = true;
    (*table)->line = mark.line;
    return CELLA_OK;
}

/* [a.b] or [[a.b]] */
static cella_result read_header(struct parser *parser, struct toml_node **ret_table)
{
    struct toml_node *table = parser->document->root;
    step(parser);
    const bool is_array = take(parser, '[');
    for (unsigned depth = 0;; depth++) {
        const char *key;
        skip_blanks(parser);
        const struct mark mark = mark_of(parser);
        CELLA_TRY(read_key(parser, &key));
        skip_blanks(parser);
        if (depth >= TOML_DEPTH_MAX) {
            return REFUSE(parser, LIMIT_EXCEEDED, "nested deeper than %u", TOML_DEPTH_MAX);
        }
        if (peek(parser) != '.') {
            CELLA_TRY(open_table(parser, &table, key, mark, is_array));
            break;
        }
        CELLA_TRY(descend(parser, &table, key, mark, false));
        step(parser);
    }
    if (!take(parser, ']') || (is_array && !take(parser, ']'))) {
        return REFUSE(parser, BAD_SYNTAX, "expected '%s'", is_array ? "]]" : "]");
    }
    *ret_table = table;
    return end_of_line(parser);
}

cella_result toml_parse(struct cella_bytes text, const char *name, struct toml_document *document,
                        struct cella_error *error)
{
    struct parser parser = {
        .text = text, .line = 1, .name = name, .document = document, .error = error};
    if (text.size > TOML_SIZE_MAX) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: larger than %u bytes",
                               name, TOML_SIZE_MAX);
    }
    CELLA_TRY(node_new(&parser, TOML_TABLE, &document->root));
    struct toml_node *table = document->root;
    for (;;) {
        CELLA_TRY(skip_lines(&parser));
        if (peek(&parser) == -1) {
            return CELLA_OK;
        }
        if (peek(&parser) == '[') {
            CELLA_TRY(read_header(&parser, &table));
        } else {
            CELLA_TRY(read_pair(&parser, table, 0));
            CELLA_TRY(end_of_line(&parser));
        }
    }
}

void toml_done(struct toml_document *document)
{
    while (document->chunks) {
        struct toml_chunk *chunk = document->chunks;
        document->chunks = chunk->next;
        free(chunk);
    }
    *document = (struct toml_document){0};
}

const char *toml_kind_name(enum toml_kind kind)
{
    static const char *const names[] = {"a string", "an integer", "a boolean", "an array",
                                        "a table"};
    return kind < CELLA_COUNT(names) ? names[kind] : "?";
}
