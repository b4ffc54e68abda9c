/*
 * Blocks of attributes, before parameters, members and functions.
 * Side: tools. Called inside the parser. Never decides which go together; that is check_decl.c.
 */
#include <string.h>

#include "edl/internal.h"

static const char *const g_attributes[EDL_ATTR_COUNT_] = {
    [EDL_ATTR_IN] = "in",
    [EDL_ATTR_OUT] = "out",
    [EDL_ATTR_SIZE] = "size",
    [EDL_ATTR_COUNT] = "count",
    [EDL_ATTR_STRING] = "string",
    [EDL_ATTR_WSTRING] = "wstring",
    [EDL_ATTR_ISPTR] = "isptr",
    [EDL_ATTR_ISARY] = "isary",
    [EDL_ATTR_USER_CHECK] = "user_check",
    [EDL_ATTR_READONLY] = "readonly",
};

static void report_unknown(struct cella_edl *edl, const struct edl_token *token)
{
    if (strcmp(token->text, "sizefunc") == 0) {
        edl_error(edl, token->position, "attribute 'sizefunc' is no longer supported; use 'size'");
        return;
    }
    if (strcmp(token->text, "inout") == 0) {
        edl_error(edl, token->position, "unknown attribute 'inout'; write both: in, out");
        edl_fix(edl, "in, out");
        return;
    }
    const char *guess = edl_guess(token->text, g_attributes, EDL_ATTR_COUNT_);
    edl_error(edl, token->position, "unknown attribute '%s'%s%s%s", token->text,
              guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
    edl_fix(edl, guess);
}

static bool find_attribute(struct edl_parser *parser, enum edl_place place,
                           const struct edl_token *token, enum edl_attribute *ret_attribute)
{
    struct cella_edl *edl = parser->edl;
    size_t found = 0;
    while (found < EDL_ATTR_COUNT_ && strcmp(token->text, g_attributes[found]) != 0) {
        found++;
    }
    if (found == EDL_ATTR_COUNT_) {
        report_unknown(edl, token);
        return false;
    }
    if (found == EDL_ATTR_READONLY && edl_is_openenclave(edl)) {
        edl_error(edl, token->position,
                  "unknown attribute 'readonly'; it is of Intel's dialect, write const instead");
        return false;
    }
    if (place == EDL_MEMBER && found != EDL_ATTR_SIZE && found != EDL_ATTR_COUNT) {
        edl_error(edl, token->position,
                  "attribute '%s' is not for members of a struct; only size and count are",
                  token->text);
        return false;
    }
    *ret_attribute = (enum edl_attribute)found;
    return true;
}

static bool parse_length(struct edl_parser *parser, const struct edl_token *token,
                         struct cella_edl_value *ret_value)
{
    if (!edl_take_if(parser, '=')) {
        edl_error(parser->edl, token->position,
                  "attribute '%s' needs a value: %s=number or %s=name", token->text, token->text,
                  token->text);
        return false;
    }
    return edl_parse_value(parser, "a number or a parameter's name", ret_value);
}

static void set_flag(struct cella_edl_decl *decl, enum edl_attribute attribute)
{
    switch (attribute) {
    case EDL_ATTR_IN:
        decl->direction = (enum cella_edl_direction)(decl->direction | CELLA_EDL_IN);
        break;
    case EDL_ATTR_OUT:
        decl->direction = (enum cella_edl_direction)(decl->direction | CELLA_EDL_OUT);
        break;
    case EDL_ATTR_STRING:
        decl->is_string = true;
        break;
    case EDL_ATTR_WSTRING:
        decl->is_wstring = true;
        break;
    case EDL_ATTR_ISPTR:
        decl->is_isptr = true;
        break;
    case EDL_ATTR_ISARY:
        decl->is_isary = true;
        break;
    case EDL_ATTR_USER_CHECK:
        decl->is_user_check = true;
        break;
    case EDL_ATTR_READONLY:
        decl->is_readonly = true;
        break;
    default:
        break;
    }
}

static bool parse_attribute(struct edl_parser *parser, enum edl_place place,
                            struct cella_edl_decl *decl, struct edl_attributes *attributes)
{
    struct cella_edl *edl = parser->edl;
    enum edl_attribute attribute = EDL_ATTR_IN;
    if (parser->token.kind != EDL_TOKEN_NAME) {
        edl_unexpected(parser, "an attribute");
        return false;
    }
    struct edl_token token = edl_take(parser);
    if (!find_attribute(parser, place, &token, &attribute)) {
        if (edl_take_if(parser, '=') && !edl_at(parser, ',') && !edl_at(parser, ']')) {
            edl_take(parser); /* its value, whatever it is */
        }
        return true; /* reported; the rest of the block is still read */
    }
    if (attributes->at[attribute].length) {
        edl_error(edl, token.position, "attribute '%s' given twice", token.text);
        edl_note(edl, attributes->at[attribute], "first here");
    }
    attributes->at[attribute] = token.position;
    set_flag(decl, attribute);
    if (attribute == EDL_ATTR_SIZE || attribute == EDL_ATTR_COUNT) {
        return parse_length(parser, &token,
                            attribute == EDL_ATTR_SIZE ? &decl->size : &decl->count);
    }
    if (edl_at(parser, '=')) {
        edl_error(edl, parser->token.position, "attribute '%s' takes no value", token.text);
        edl_take(parser);
        if (!edl_at(parser, ',') && !edl_at(parser, ']')) {
            edl_take(parser);
        }
    }
    return true;
}

bool edl_parse_attributes(struct edl_parser *parser, enum edl_place place,
                          struct cella_edl_decl *decl, struct edl_attributes *ret_attributes)
{
    struct cella_edl *edl = parser->edl;
    struct edl_token open = edl_take(parser);
    unsigned count = 0;
    if (place == EDL_UNION_MEMBER) {
        edl_error(edl, open.position, "members of a union have no attributes");
        return false;
    }
    if (edl_at(parser, ']')) {
        edl_error(edl, edl_span(open.position, parser->token.position),
                  "a block of attributes without one");
        return false;
    }
    decl->has_attributes = true;
    do {
        if (count++ == EDL_ATTRIBUTES_MAX) {
            edl_error(edl, parser->token.position, "more than %u attributes", EDL_ATTRIBUTES_MAX);
            return false;
        }
        if (count > 1 && !edl_is_intel(edl) && edl_at(parser, ']')) {
            break; /* oeedger8r takes a comma at the end */
        }
        if (!parse_attribute(parser, place, decl, ret_attributes)) {
            return false;
        }
    } while (edl_take_if(parser, ','));
    if (!edl_expect(parser, ']', "behind the attributes")) {
        return false;
    }
    ret_attributes->block = edl_span(open.position, parser->last.position);
    return true;
}

static bool set_convention(struct cella_edl *edl, struct cella_edl_function *function,
                           const struct edl_token *token, enum cella_edl_convention convention)
{
    if (function->convention != CELLA_EDL_NO_CONVENTION) {
        edl_error(edl, token->position, "second calling convention '%s'", token->text);
        return false;
    }
    function->convention = convention;
    return true;
}

static bool parse_service(struct edl_parser *parser, struct cella_edl_function *function,
                          const struct edl_token *token)
{
    struct cella_edl *edl = parser->edl;
    struct edl_token name;
    if (!edl_is_cella(edl) && !parser->file->is_system && !edl->options.is_service_allowed) {
        edl_error(edl, token->position,
                  "attribute 'cella_service' is only for Cella's own EDL files");
        return false;
    }
    if (!edl_expect(parser, '=', "behind cella_service") ||
        !edl_parse_name(parser, "the service's name", &name)) {
        return false;
    }
    function->service = name.text;
    return true;
}

static bool parse_function_attribute(struct edl_parser *parser, struct cella_edl_function *function)
{
    static const char *const names[] = {"cdecl", "stdcall", "fastcall", "dllimport",
                                        "cella_service"};
    struct cella_edl *edl = parser->edl;
    if (parser->token.kind != EDL_TOKEN_NAME) {
        edl_unexpected(parser, "an attribute of the function");
        return false;
    }
    struct edl_token token = edl_take(parser);
    if (strcmp(token.text, "cella_service") == 0) {
        return parse_service(parser, function, &token);
    }
    if (edl_is_openenclave(edl) || function->is_trusted) {
        edl_error(edl, token.position,
                  function->is_trusted
                      ? "'%s': ecalls have no attributes"
                      : "'%s': functions have no attributes in Open Enclave's dialect",
                  token.text);
        return false;
    }
    if (strcmp(token.text, "cdecl") == 0) {
        return set_convention(edl, function, &token, CELLA_EDL_CDECL);
    }
    if (strcmp(token.text, "stdcall") == 0) {
        return set_convention(edl, function, &token, CELLA_EDL_STDCALL);
    }
    if (strcmp(token.text, "fastcall") == 0) {
        return set_convention(edl, function, &token, CELLA_EDL_FASTCALL);
    }
    if (strcmp(token.text, "dllimport") == 0) {
        if (function->is_dllimport) {
            edl_error(edl, token.position, "attribute 'dllimport' given twice");
            return false;
        }
        function->is_dllimport = true;
        return true;
    }
    const char *guess = edl_guess(token.text, names, 4);
    edl_error(edl, token.position, "unknown attribute '%s' of a function%s%s%s", token.text,
              guess ? "; did you mean '" : "", guess ? guess : "", guess ? "'?" : "");
    edl_fix(edl, guess);
    return false;
}

bool edl_parse_function_attributes(struct edl_parser *parser, struct cella_edl_function *function)
{
    unsigned count = 0;
    edl_take(parser);
    do {
        if (count++ == EDL_ATTRIBUTES_MAX) {
            edl_error(parser->edl, parser->token.position, "more than %u attributes",
                      EDL_ATTRIBUTES_MAX);
            return false;
        }
        if (!parse_function_attribute(parser, function)) {
            return false;
        }
    } while (edl_take_if(parser, ','));
    return edl_expect(parser, ']', "behind the attributes");
}
