/*
 * Types, arrays and attributes: what parameters and members are made of.
 * Side: tools. Called inside the parser. Never decides what a declaration means; that is check_decl.c.
 */
#include <string.h>

#include "edl/internal.h"

static const struct {
    const char *word;
    enum cella_edl_kind kind;
} g_builtins[] = {
    {"void", CELLA_EDL_VOID},       {"bool", CELLA_EDL_BOOL},       {"float", CELLA_EDL_FLOAT},
    {"double", CELLA_EDL_DOUBLE},   {"int8_t", CELLA_EDL_INT8},     {"int16_t", CELLA_EDL_INT16},
    {"int32_t", CELLA_EDL_INT32},   {"int64_t", CELLA_EDL_INT64},   {"uint8_t", CELLA_EDL_UINT8},
    {"uint16_t", CELLA_EDL_UINT16}, {"uint32_t", CELLA_EDL_UINT32}, {"uint64_t", CELLA_EDL_UINT64},
    {"wchar_t", CELLA_EDL_WCHAR},   {"size_t", CELLA_EDL_SIZE},
};

static void set_base(struct cella_edl *edl, struct cella_edl_type *type)
{
    const char *base = "";
    switch (type->kind) {
    case CELLA_EDL_CHAR:
        base = "char";
        break;
    case CELLA_EDL_SHORT:
        base = "short";
        break;
    case CELLA_EDL_INT:
        base = "int";
        break;
    case CELLA_EDL_LONG:
        base = "long";
        break;
    case CELLA_EDL_LONG_LONG:
        base = "long long";
        break;
    case CELLA_EDL_LONG_DOUBLE:
        base = "long double";
        break;
    case CELLA_EDL_STRUCT:
        base = cella_edl_format(&edl->arena, "struct %s", type->name);
        break;
    case CELLA_EDL_UNION:
        base = cella_edl_format(&edl->arena, "union %s", type->name);
        break;
    case CELLA_EDL_ENUM:
        base = cella_edl_format(&edl->arena, "enum %s", type->name);
        break;
    case CELLA_EDL_FOREIGN:
        base = type->name;
        break;
    default:
        for (size_t i = 0; i < sizeof g_builtins / sizeof *g_builtins; i++) {
            if (g_builtins[i].kind == type->kind) {
                base = g_builtins[i].word;
            }
        }
    }
    type->base = type->is_unsigned ? cella_edl_format(&edl->arena, "unsigned %s", base) : base;
}

/* The words of C's integers: [unsigned] char, short [int], int, long [int], long long, long double. */
static bool parse_integer(struct edl_parser *parser, struct cella_edl_type *type)
{
    struct cella_edl *edl = parser->edl;
    bool is_signed = !edl_is_intel(edl) && edl_at_word(parser, "signed");
    type->kind = CELLA_EDL_INT;
    if (edl_at_word(parser, "unsigned") || is_signed) {
        type->is_unsigned = !is_signed;
        edl_take(parser);
    } else if (!edl_at_word(parser, "char") && !edl_at_word(parser, "short") &&
               !edl_at_word(parser, "int") && !edl_at_word(parser, "long")) {
        return false;
    }
    if (edl_at_word(parser, "int")) {
        edl_take(parser);
    } else if (edl_at_word(parser, "char") || edl_at_word(parser, "short")) {
        type->kind = edl_at_word(parser, "char") ? CELLA_EDL_CHAR : CELLA_EDL_SHORT;
        edl_take(parser);
        /* oeedger8r takes `char int` for char. */
        bool may_be_int = type->kind == CELLA_EDL_SHORT || edl_is_openenclave(edl);
        if (may_be_int && edl_at_word(parser, "int")) {
            edl_take(parser);
        }
    } else if (edl_at_word(parser, "long")) {
        type->kind = CELLA_EDL_LONG;
        edl_take(parser);
        if (edl_at_word(parser, "double") && !type->is_unsigned) {
            type->kind = CELLA_EDL_LONG_DOUBLE;
            edl_take(parser);
        } else if (edl_at_word(parser, "long")) {
            type->kind = CELLA_EDL_LONG_LONG;
            edl_take(parser);
            if (edl_is_cella(edl) && edl_at_word(parser, "int")) {
                edl_take(parser);
            }
        } else if (edl_at_word(parser, "int")) {
            edl_take(parser);
        }
    }
    return true;
}

/* Words that begin something else, so that a slip is not taken for a type of that name. */
static bool is_language_word(const struct edl_parser *parser)
{
    static const char *const words[] = {"enclave",
                                        "trusted",
                                        "untrusted",
                                        "public",
                                        "private",
                                        "allow",
                                        "transition_using_threads",
                                        "propagate_errno"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (edl_at_word(parser, words[i])) {
            return true;
        }
    }
    return edl_is_intel(parser->edl) &&
           (edl_at_word(parser, "from") || edl_at_word(parser, "import") ||
            edl_at_word(parser, "include"));
}

static bool parse_tagged(struct edl_parser *parser, struct cella_edl_type *type)
{
    struct edl_token word = edl_take(parser);
    struct edl_token name;
    type->kind = word.text[0] == 's'   ? CELLA_EDL_STRUCT
                 : word.text[0] == 'u' ? CELLA_EDL_UNION
                                       : CELLA_EDL_ENUM;
    if (!edl_parse_name(parser,
                        type->kind == CELLA_EDL_STRUCT  ? "the name of the struct"
                        : type->kind == CELLA_EDL_UNION ? "the name of the union"
                                                        : "the name of the enum",
                        &name)) {
        return false;
    }
    type->name = name.text;
    if (edl_at(parser, '{')) {
        edl_error(parser->edl, parser->token.position,
                  "'%s' cannot be defined here; define it outside and name it here", name.text);
        return false;
    }
    return true;
}

static bool parse_base(struct edl_parser *parser, struct cella_edl_type *type)
{
    if (parser->token.kind != EDL_TOKEN_NAME || is_language_word(parser)) {
        edl_unexpected(parser, "a type");
        return false;
    }
    if (edl_at_word(parser, "struct") || edl_at_word(parser, "union") ||
        edl_at_word(parser, "enum")) {
        return parse_tagged(parser, type);
    }
    if (parse_integer(parser, type)) {
        return true;
    }
    for (size_t i = 0; i < sizeof g_builtins / sizeof *g_builtins; i++) {
        if (edl_at_word(parser, g_builtins[i].word)) {
            edl_take(parser);
            type->kind = g_builtins[i].kind;
            return true;
        }
    }
    if (edl_is_c_keyword(parser->token.text)) {
        edl_error(parser->edl, parser->token.position, "expected a type, but '%s' is not one",
                  parser->token.text);
        return false;
    }
    type->kind = CELLA_EDL_FOREIGN;
    type->name = edl_take(parser).text;
    return true;
}

bool edl_parse_type(struct edl_parser *parser, struct cella_edl_type *ret_type)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_type type = {.position = parser->token.position};
    if (edl_at_word(parser, "const")) {
        edl_take(parser);
        type.is_const = true;
    }
    if (!parse_base(parser, &type)) {
        return false;
    }
    set_base(edl, &type);
    while (edl_at(parser, '*')) {
        if (type.pointers == EDL_STARS_MAX) {
            edl_error(edl, parser->token.position, "more than %u stars", EDL_STARS_MAX);
            return false;
        }
        type.pointers++;
        edl_take(parser);
    }
    type.position = edl_span(type.position, parser->last.position);
    *ret_type = type;
    return true;
}

/* Digits to a number. Open Enclave copies them to C, where a leading 0 means octal; Intel reads decimal. */
static bool read_number(struct cella_edl *edl, const struct edl_token *token, uint64_t *ret_number)
{
    const char *digits = token->text;
    uint64_t base = digits[0] == '0' && digits[1] && edl_is_openenclave(edl) ? 8 : 10;
    uint64_t number = 0;
    if (digits[0] == '0' && digits[1] && edl_is_cella(edl)) {
        edl_error(edl, token->position,
                  "'%s': a number does not begin with 0 (decimal for Intel's compiler, octal for "
                  "Open Enclave's)",
                  digits);
        return false;
    }
    for (; *digits; digits++) {
        uint64_t digit = (uint64_t)(*digits - '0');
        if (digit >= base) {
            edl_error(edl, token->position, "'%s' is octal in C, and '%c' is no octal digit",
                      token->text, *digits);
            return false;
        }
        if (number > (UINT64_MAX - digit) / base) {
            edl_error(edl, token->position, "'%.40s' does not fit in 64 bits", token->text);
            return false;
        }
        number = number * base + digit;
    }
    *ret_number = number;
    return true;
}

bool edl_parse_value(struct edl_parser *parser, const char *what, struct cella_edl_value *ret_value)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_value value = {.index = -1, .position = parser->token.position};
    struct edl_token token = parser->token;
    if (token.kind == EDL_TOKEN_NUMBER) {
        edl_take(parser);
        value.kind = CELLA_EDL_NUMBER;
        if (!read_number(edl, &token, &value.number)) {
            return false;
        }
        value.text = cella_edl_format(&edl->arena, "%llu", (unsigned long long)value.number);
        bool is_hex =
            parser->token.kind == EDL_TOKEN_NAME &&
            parser->token.position.line == token.position.line &&
            parser->token.position.column == token.position.column + token.position.length;
        if (is_hex) {
            edl_error(edl, edl_span(token.position, parser->token.position),
                      "numbers in EDL are decimal, without a suffix");
            return false;
        }
    } else if (token.kind == EDL_TOKEN_NAME && !edl_is_c_keyword(token.text)) {
        edl_take(parser);
        value.kind = CELLA_EDL_NAME;
        value.text = token.text;
    } else {
        edl_unexpected(parser, what);
        return false;
    }
    *ret_value = value;
    return true;
}

bool edl_parse_dims(struct edl_parser *parser, struct cella_edl_decl *decl)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_list dims = {0};
    while (edl_at(parser, '[')) {
        struct edl_token open = edl_take(parser);
        struct cella_edl_value value;
        if (edl_at(parser, ']')) {
            edl_error(edl, edl_span(open.position, parser->token.position),
                      "an array needs its size; pass a pointer with count= for one that varies");
            return false;
        }
        if (!edl_parse_value(parser, "the array's size: a number or a constant's name", &value)) {
            return false;
        }
        if (edl_is_intel(edl) && (value.kind == CELLA_EDL_NAME || value.number == 0)) {
            edl_error(edl, value.position,
                      value.kind == CELLA_EDL_NAME
                          ? "'%s': array sizes are plain numbers in Intel's dialect"
                          : "array of %s elements",
                      value.text);
            return false;
        }
        if (dims.count == EDL_DIMS_MAX) {
            edl_error(edl, open.position, "more than %u dimensions", EDL_DIMS_MAX);
            return false;
        }
        if (!edl_expect(parser, ']', "behind the array's size")) {
            return false;
        }
        *(struct cella_edl_value *)cella_edl_push(&edl->arena, &dims, sizeof value) = value;
    }
    decl->dims = dims.items;
    decl->dim_count = (uint32_t)dims.count;
    return true;
}

bool edl_parse_decl(struct edl_parser *parser, enum edl_place place, struct cella_edl_decl *decl)
{
    struct cella_edl *edl = parser->edl;
    struct edl_attributes attributes = {0};
    struct edl_token name;
    unsigned errors = edl->error_count;
    *decl = (struct cella_edl_decl){.size.index = -1, .count.index = -1};
    if (edl_at(parser, '[') && !edl_parse_attributes(parser, place, decl, &attributes)) {
        return false;
    }
    if (!edl_parse_type(parser, &decl->type) ||
        !edl_parse_name(parser, place == EDL_PARAM ? "the parameter's name" : "the member's name",
                        &name)) {
        return false;
    }
    decl->name = name.text;
    decl->position = name.position;
    if (!edl_parse_dims(parser, decl)) {
        return false;
    }
    if (edl->error_count == errors) {
        edl_check_decl(edl, place, decl, &attributes);
    }
    return true;
}
