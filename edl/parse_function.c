/*
 * Functions and the definitions of structs, unions and enums.
 * Side: tools. Called inside the parser.
 */
#include <string.h>

#include "edl/internal.h"

/* A list that ends at ')': takes up to and with it. False when what follows makes no sense as part of the function. */
static bool parse_params(struct edl_parser *parser, struct cella_edl_function *function)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_list params = {0};
    if (!edl_expect(parser, '(', "behind the function's name")) {
        return false;
    }
    bool is_void = edl_at_word(parser, "void") && parser->after.kind == EDL_TOKEN_SIGN &&
                   parser->after.sign == ')';
    if (is_void) {
        edl_take(parser);
    }
    while (!edl_at(parser, ')')) {
        if (params.count == EDL_PARAMS_MAX) {
            edl_error(edl, parser->token.position, "more than %u parameters", EDL_PARAMS_MAX);
            return false;
        }
        struct cella_edl_decl decl;
        if (edl_parse_decl(parser, EDL_PARAM, &decl)) {
            *(struct cella_edl_decl *)cella_edl_push(&edl->arena, &params, sizeof decl) = decl;
        } else {
            edl_skip_param(parser);
        }
        if (edl_at(parser, ')')) {
            break;
        }
        if (!edl_take_if(parser, ',')) {
            edl_unexpected(parser, "',' or ')' behind the parameter");
            return false;
        }
        if (edl_at(parser, ')') && edl_is_intel(edl)) {
            edl_unexpected(parser, "a parameter behind ','");
        }
    }
    edl_take(parser);
    function->params = params.items;
    function->param_count = (uint32_t)params.count;
    return true;
}

static void add_allow(struct edl_parser *parser, struct cella_edl_function *function,
                      const struct edl_token *name)
{
    struct cella_edl *edl = parser->edl;
    struct edl_allow *allow = cella_edl_push(&edl->arena, &edl->allows, sizeof *allow);
    *allow =
        (struct edl_allow){.function = function, .name = name->text, .position = name->position};
}

/* allow(a, b) */
static bool parse_allow(struct edl_parser *parser, struct cella_edl_function *function)
{
    struct cella_edl *edl = parser->edl;
    struct edl_token word = edl_take(parser);
    bool is_lenient = !edl_is_intel(edl);
    if (function->is_trusted) {
        edl_error(edl, word.position,
                  "allow is for ocalls: it names the ecalls that may be made "
                  "from within one");
        return false;
    }
    if (!edl_expect(parser, '(', "behind 'allow'")) {
        return false;
    }
    while (!edl_at(parser, ')')) {
        struct edl_token name;
        if (!edl_parse_name(parser, "the name of an ecall", &name)) {
            return false;
        }
        add_allow(parser, function, &name);
        if (!edl_take_if(parser, ',')) {
            break;
        }
        if (edl_at(parser, ')') && !is_lenient) {
            edl_unexpected(parser, "the name of an ecall");
            return false;
        }
    }
    if (!edl_expect(parser, ')', "behind the allowed ecalls")) {
        return false;
    }
    if (edl_is_openenclave(edl)) {
        edl_warn(edl, CELLA_EDL_W_UNSUPPORTED_ALLOW, edl_span(word.position, parser->last.position),
                 "function '%s': Open Enclave ignores the allow list", function->name);
    }
    return true;
}

/* Words behind the parameters. */
static bool parse_suffixes(struct edl_parser *parser, struct cella_edl_function *function)
{
    static const char *const words[] = {"transition_using_threads", "propagate_errno", "allow"};
    struct cella_edl *edl = parser->edl;
    if (edl_at_word(parser, "allow") && !parse_allow(parser, function)) {
        return false;
    }
    while (parser->token.kind == EDL_TOKEN_NAME) {
        bool *flag = NULL;
        if (edl_at_word(parser, "transition_using_threads")) {
            flag = &function->is_switchless;
        } else if (edl_at_word(parser, "propagate_errno")) {
            flag = &function->is_errno;
        }
        if (!flag) {
            const char *guess = edl_guess(parser->token.text, words, 3);
            if (guess) {
                edl_error(edl, parser->token.position, "unknown word '%s'; did you mean '%s'?",
                          parser->token.text, guess);
                edl_fix(edl, guess);
                return false;
            }
            return true;
        }
        if (flag == &function->is_errno && function->is_trusted) {
            edl_error(edl, parser->token.position, "propagate_errno is for ocalls");
            return false;
        }
        if (*flag) {
            edl_error(edl, parser->token.position, "'%s' given twice", parser->token.text);
            return false;
        }
        *flag = true;
        edl_take(parser);
    }
    return true;
}

static bool parse_access(struct edl_parser *parser, struct cella_edl_function *function)
{
    struct cella_edl *edl = parser->edl;
    bool is_public = edl_at_word(parser, "public");
    if (edl_at_word(parser, "private")) {
        edl_error(edl, parser->token.position,
                  edl_is_openenclave(edl)
                      ? "there are no private ecalls in Open Enclave's dialect; write 'public'"
                      : "there is no 'private'; an ecall without 'public' is private");
        edl_take(parser);
        return false;
    }
    if (is_public && !function->is_trusted) {
        edl_error(edl, parser->token.position, "'public' is for ecalls");
        edl_take(parser);
        return false;
    }
    if (is_public) {
        edl_take(parser);
    }
    function->is_private = function->is_trusted && !is_public;
    return true;
}

static bool parse_result(struct edl_parser *parser, struct cella_edl_function *function)
{
    struct cella_edl *edl = parser->edl;
    if (!edl_parse_type(parser, &function->result)) {
        return false;
    }
    if (edl_is_intel(edl) && function->result.is_const) {
        edl_error(edl, function->result.position,
                  "Intel's dialect has const only for pointer parameters");
    }
    if (edl_at(parser, '[')) {
        edl_error(edl, parser->token.position,
                  "a function cannot return an array; return a pointer or use an out parameter");
        return false;
    }
    return true;
}

/* `pubilc int f()`: the slip was taken for a type, and now comes another one. */
static bool is_slip(struct edl_parser *parser, const struct cella_edl_function *function)
{
    static const char *const words[] = {"public"};
    const struct cella_edl_type *type = &function->result;
    const char *guess = type->kind == CELLA_EDL_FOREIGN && !type->pointers &&
                                !edl_at(parser, '(') && parser->after.sign != '('
                            ? edl_guess(type->name, words, 1)
                            : NULL;
    if (guess) {
        edl_error(parser->edl, type->position, "unknown word '%s'; did you mean '%s'?", type->name,
                  guess);
        edl_fix(parser->edl, guess);
    }
    return guess != NULL;
}

bool edl_parse_function(struct edl_parser *parser, struct cella_edl_function *function,
                        bool is_trusted)
{
    struct cella_edl *edl = parser->edl;
    struct edl_token name;
    function->is_trusted = is_trusted;
    if (!parse_access(parser, function) ||
        (edl_at(parser, '[') && !edl_parse_function_attributes(parser, function)) ||
        !parse_result(parser, function) || is_slip(parser, function) ||
        !edl_parse_name(parser, "the function's name", &name)) {
        return false;
    }
    function->name = name.text;
    function->position = name.position;
    if (!parse_params(parser, function) || !parse_suffixes(parser, function)) {
        return false;
    }
    if (!edl_expect(parser, ';', "behind the function")) {
        bool is_forgotten = parser->token.is_first;
        if (!is_forgotten) {
            edl_skip_declaration(parser);
        }
    }
    if (function->is_private && edl_is_openenclave(edl)) {
        edl_error(edl, function->position,
                  "ecall '%s' without 'public'; Open Enclave has no private ecalls", name.text);
    }
    if (function->result.pointers) {
        edl_warn(
            edl, CELLA_EDL_W_RETURN_PTR, function->result.position,
            "function '%s' returns a pointer into the other side; an out parameter would bring "
            "what it points at",
            name.text);
    }
    edl_check_lengths(edl, EDL_PARAM, name.text, function->params, function->param_count);
    return true;
}

static void parse_members(struct edl_parser *parser, struct cella_edl_composite *composite)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_list members = {0};
    enum edl_place place = composite->kind == CELLA_EDL_UNION ? EDL_UNION_MEMBER : EDL_MEMBER;
    while (!edl_at(parser, '}') && parser->token.kind != EDL_TOKEN_END) {
        struct cella_edl_decl decl;
        if (members.count == EDL_MEMBERS_MAX) {
            edl_error(edl, parser->token.position, "more than %u members", EDL_MEMBERS_MAX);
            edl_skip_body(parser);
            break;
        }
        if (!edl_parse_decl(parser, place, &decl)) {
            edl_skip_declaration(parser);
            continue;
        }
        *(struct cella_edl_decl *)cella_edl_push(&edl->arena, &members, sizeof decl) = decl;
        if (!edl_is_intel(edl) && edl_at(parser, '}')) {
            break; /* the last ';' may be missing */
        }
        if (!edl_expect(parser, ';', "behind the member") && !parser->token.is_first) {
            edl_skip_declaration(parser);
        }
    }
    composite->members = members.items;
    composite->member_count = (uint32_t)members.count;
}

static bool parse_item(struct edl_parser *parser, struct cella_edl_enum_item *item)
{
    struct edl_token name;
    if (!edl_parse_name(parser, "the name of an enum's value", &name)) {
        return false;
    }
    *item = (struct cella_edl_enum_item){
        .name = name.text, .position = name.position, .value.index = -1};
    return !edl_take_if(parser, '=') ||
           edl_parse_value(parser, "a number or a constant's name", &item->value);
}

static void parse_items(struct edl_parser *parser, struct cella_edl_composite *composite)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_list items = {0};
    while (!edl_at(parser, '}') && parser->token.kind != EDL_TOKEN_END) {
        struct cella_edl_enum_item item;
        if (items.count == EDL_MEMBERS_MAX) {
            edl_error(edl, parser->token.position, "more than %u values", EDL_MEMBERS_MAX);
            edl_skip_body(parser);
            break;
        }
        if (!parse_item(parser, &item)) {
            edl_skip_param(parser);
        } else {
            *(struct cella_edl_enum_item *)cella_edl_push(&edl->arena, &items, sizeof item) = item;
        }
        if (edl_at(parser, '}')) {
            break;
        }
        if (!edl_take_if(parser, ',')) {
            edl_unexpected(parser, "',' or '}' behind the value");
            edl_skip_body(parser);
            break;
        }
        if (edl_at(parser, '}') && edl_is_intel(edl)) {
            edl_unexpected(parser, "a value behind ','");
        }
    }
    composite->items = items.items;
    composite->item_count = (uint32_t)items.count;
}

static const char *kind_word(enum cella_edl_kind kind)
{
    return kind == CELLA_EDL_STRUCT ? "struct" : kind == CELLA_EDL_UNION ? "union" : "enum";
}

static void finish_composite(struct edl_parser *parser, struct cella_edl_composite *composite)
{
    struct cella_edl *edl = parser->edl;
    if (composite->kind != CELLA_EDL_ENUM) {
        if (edl_is_intel(edl) && composite->member_count == 0) {
            edl_error(edl, composite->position, "%s '%s' has no members",
                      kind_word(composite->kind), composite->name);
        }
        edl_check_lengths(edl, EDL_MEMBER, composite->name, composite->members,
                          composite->member_count);
    }
    edl_add_composite(edl, parser->file, composite);
}

void edl_parse_composite(struct edl_parser *parser, enum cella_edl_kind kind)
{
    struct cella_edl *edl = parser->edl;
    struct cella_edl_composite *composite = cella_edl_alloc(&edl->arena, sizeof *composite);
    struct edl_token word = edl_take(parser);
    struct edl_token name = {0};
    composite->kind = kind;
    composite->position = word.position;
    bool is_anonymous = kind == CELLA_EDL_ENUM && edl_at(parser, '{');
    if (!is_anonymous) {
        if (!edl_parse_name(parser, "the type's name", &name)) {
            edl_skip_declaration(parser);
            return;
        }
        composite->name = name.text;
        composite->position = name.position;
    }
    if (!edl_expect(parser, '{', "behind the type's name")) {
        edl_skip_declaration(parser);
        return;
    }
    if (kind == CELLA_EDL_ENUM) {
        parse_items(parser, composite);
    } else {
        parse_members(parser, composite);
    }
    if (!edl_take_if(parser, '}')) {
        if (!edl->is_full) {
            edl_unexpected(parser, "'}'");
            edl_note(edl, composite->position, "to end what begins here");
        }
        return;
    }
    edl_expect(parser, ';', "behind the definition");
    finish_composite(parser, composite);
}
