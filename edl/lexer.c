/*
 * From bytes to raw tokens with their places.
 * Side: tools. Called by edl/preprocess.c. Never looks past the end; a byte that starts no token is reported once.
 */
#include <string.h>

#include "edl/internal.h"

void edl_lexer_init(struct edl_lexer *lexer, struct cella_edl *edl, const struct edl_source *source)
{
    *lexer = (struct edl_lexer){.edl = edl, .source = source, .line = 1, .at_line_start = true};
}

static int peek(const struct edl_lexer *lexer, size_t ahead)
{
    size_t left = lexer->source->size - lexer->offset;
    return ahead < left ? (unsigned char)lexer->source->data[lexer->offset + ahead] : -1;
}

static void new_line(struct edl_lexer *lexer)
{
    lexer->line++;
    lexer->line_start = lexer->offset;
    lexer->at_line_start = true;
}

void edl_lexer_end_line(struct edl_lexer *lexer)
{
    lexer->offset++;
    new_line(lexer);
}

static struct cella_edl_position position_at(const struct edl_lexer *lexer, size_t size)
{
    return (struct cella_edl_position){
        .file = lexer->source->index,
        .line = lexer->line,
        .column = (uint32_t)(lexer->offset - lexer->line_start + 1),
        .length = (uint32_t)size,
    };
}

/* At "slash star". False, reported, when it has no end. */
static bool skip_comment(struct edl_lexer *lexer)
{
    struct cella_edl_position start = position_at(lexer, 2);
    lexer->offset += 2;
    for (;;) {
        int c = peek(lexer, 0);
        if (c < 0) {
            edl_error(lexer->edl, start,
                      "comment without its end; expected '*/' before the end of the file");
            return false;
        }
        lexer->offset++;
        if (c == '\n') {
            bool was_first = lexer->at_line_start;
            new_line(lexer);
            lexer->at_line_start = was_first;
        } else if (c == '*' && peek(lexer, 0) == '/') {
            lexer->offset++;
            return true;
        }
    }
}

static bool is_blank(const struct edl_lexer *lexer, int c)
{
    if (c == ' ' || c == '\t' || c == '\r' || c == '\v') {
        return true;
    }
    return edl_is_openenclave(lexer->edl) ? c == '\b' : c == '\f';
}

static void skip_blanks(struct edl_lexer *lexer)
{
    for (;;) {
        int c = peek(lexer, 0);
        if (c == '\n') {
            lexer->offset++;
            new_line(lexer);
        } else if (is_blank(lexer, c)) {
            lexer->offset++;
        } else if (c == '/' && peek(lexer, 1) == '/') {
            while (c >= 0 && c != '\n') {
                lexer->offset++;
                c = peek(lexer, 0);
            }
        } else if (c == '/' && peek(lexer, 1) == '*') {
            if (!skip_comment(lexer)) {
                return;
            }
        } else if (c == '\\' && peek(lexer, 1) == '\n' && !edl_is_openenclave(lexer->edl)) {
            lexer->offset += 2;
            bool was_first = lexer->at_line_start;
            new_line(lexer);
            lexer->at_line_start = was_first;
        } else {
            return;
        }
    }
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static struct edl_token make(struct edl_lexer *lexer, enum edl_token_kind kind, size_t size)
{
    struct edl_token token = {.kind = kind, .position = position_at(lexer, size)};
    token.text = cella_edl_copy(&lexer->edl->arena, lexer->source->data + lexer->offset, size);
    lexer->offset += size;
    return token;
}

/* Signs are half of all tokens: their text is shared. */
static struct edl_token make_sign(struct edl_lexer *lexer, char sign)
{
    static const char texts[] = "{\0}\0(\0)\0[\0]\0*\0,\0;\0=\0#\0.";
    struct edl_token token = {
        .kind = EDL_TOKEN_SIGN, .sign = sign, .position = position_at(lexer, 1), .text = texts};
    while (token.text[0] != sign) {
        token.text += 2;
    }
    lexer->offset++;
    return token;
}

static struct edl_token lex_word(struct edl_lexer *lexer)
{
    size_t size = 1;
    bool is_name = is_letter(peek(lexer, 0));
    while (is_digit(peek(lexer, size)) || (is_name && is_letter(peek(lexer, size)))) {
        size++;
    }
    if (size > EDL_NAME_SIZE_MAX) {
        edl_error(lexer->edl, position_at(lexer, 1), "%s longer than %u bytes",
                  is_name ? "identifier" : "number", EDL_NAME_SIZE_MAX);
        struct edl_token token = make(lexer, EDL_TOKEN_BAD, 1);
        lexer->offset += size - 1;
        return token;
    }
    return make(lexer, is_name ? EDL_TOKEN_NAME : EDL_TOKEN_NUMBER, size);
}

static struct edl_token lex_string(struct edl_lexer *lexer)
{
    size_t size = 1;
    int c = peek(lexer, size);
    while (c > 0 && c != '"' && c != '\n') {
        c = peek(lexer, ++size);
    }
    if (c != '"' || size > EDL_STRING_SIZE_MAX) {
        edl_error(lexer->edl, position_at(lexer, size > 80 ? 1 : size),
                  c == '"'
                      ? "string longer than %u bytes"
                      : "string without its end; expected '\"' on the same line (limit %u bytes)",
                  EDL_STRING_SIZE_MAX);
        struct edl_token token = make(lexer, EDL_TOKEN_BAD, 1);
        lexer->offset += size - 1 + (c == '"');
        return token;
    }
    struct edl_token token = {.kind = EDL_TOKEN_STRING, .position = position_at(lexer, size + 1)};
    token.text =
        cella_edl_copy(&lexer->edl->arena, lexer->source->data + lexer->offset + 1, size - 1);
    lexer->offset += size + 1;
    return token;
}

static struct edl_token lex_bad(struct edl_lexer *lexer)
{
    int c = peek(lexer, 0);
    struct cella_edl_position position = position_at(lexer, 1);
    if (c > ' ' && c < 127) {
        edl_error(lexer->edl, position, "'%c' has no meaning in EDL%s", c,
                  c == '<'    ? "; an include is written with quotes: include \"name.h\""
                  : c == '-'  ? "; numbers have no sign"
                  : c == '\'' ? "; there are no character constants"
                              : "");
    } else {
        edl_error(lexer->edl, position, "byte 0x%02x has no meaning in EDL", (unsigned)c);
    }
    return make(lexer, EDL_TOKEN_BAD, 1);
}

struct edl_token edl_lexer_next(struct edl_lexer *lexer)
{
    struct edl_token token;
    skip_blanks(lexer);
    bool is_first = lexer->at_line_start;
    lexer->at_line_start = false;
    int c = peek(lexer, 0);
    if (c < 0 || (c == 0 && edl_is_openenclave(lexer->edl))) {
        token = (struct edl_token){
            .kind = EDL_TOKEN_END, .text = "", .position = position_at(lexer, 0)};
    } else if (is_letter(c) || is_digit(c)) {
        token = lex_word(lexer);
    } else if (c == '"') {
        token = lex_string(lexer);
    } else if (c != 0 && strchr("{}()[]*,;=#.", c) &&
               !(c == '.' && edl_is_openenclave(lexer->edl))) {
        token = make_sign(lexer, (char)c);
    } else {
        token = lex_bad(lexer);
    }
    token.is_first = is_first;
    return token;
}

struct edl_token edl_lexer_line(struct edl_lexer *lexer)
{
    struct edl_token line = {.kind = EDL_TOKEN_STRING, .position = position_at(lexer, 1)};
    size_t limit = lexer->source->size - lexer->offset;
    size_t size = 0;
    /* The text only shrinks: comments become a blank, continuations nothing. */
    char *text = NULL;
    size_t end = 0;
    while (end < limit && peek(lexer, end) != '\n') {
        end += peek(lexer, end) == '\\' && peek(lexer, end + 1) == '\n' ? 2 : 1;
    }
    text = cella_edl_alloc(&lexer->edl->arena, end + 1);
    for (;;) {
        int c = peek(lexer, 0);
        if (c < 0 || c == '\n') {
            break;
        }
        if (c == '\\' && peek(lexer, 1) == '\n') {
            lexer->offset += 2;
            new_line(lexer);
        } else if (c == '/' && peek(lexer, 1) == '/') {
            while (peek(lexer, 0) >= 0 && peek(lexer, 0) != '\n') {
                lexer->offset++;
            }
        } else if (c == '/' && peek(lexer, 1) == '*') {
            uint32_t before = lexer->line;
            if (!skip_comment(lexer) || lexer->line != before) {
                break; /* what follows the comment is on another line */
            }
            text[size++] = ' ';
        } else {
            lexer->offset++;
            if (c != '\r') {
                text[size++] = (char)c;
            }
        }
    }
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        size--;
    }
    text[size] = '\0';
    line.text = text;
    return line;
}
