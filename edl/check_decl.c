/*
 * What attributes may stand on what, as far as the declaration itself tells.
 * Side: tools. Called by the parser for every parameter and member. One function, one rule.
 */
#include <string.h>

#include "edl/internal.h"

struct decl_check {
    struct cella_edl *edl;
    struct cella_edl_decl *decl;
    const struct edl_attributes *attributes;
};

static bool has(const struct decl_check *check, enum edl_attribute attribute)
{
    return check->attributes->at[attribute].length != 0;
}

static struct cella_edl_position at(const struct decl_check *check, enum edl_attribute attribute)
{
    return check->attributes->at[attribute];
}

const char *edl_type_text(struct cella_edl *edl, const struct cella_edl_type *type)
{
    char stars[EDL_STARS_MAX + 1];
    memset(stars, '*', type->pointers);
    stars[type->pointers] = '\0';
    return cella_edl_format(&edl->arena, "%s%s%s%s", type->is_const ? "const " : "", type->base,
                            type->pointers ? " " : "", stars);
}

/* A bare typedef name: what isptr and isary may stand on. Intel's dialect has no built-in bool. */
static bool is_foreign(const struct cella_edl *edl, const struct cella_edl_type *type)
{
    return type->kind == CELLA_EDL_FOREIGN || (type->kind == CELLA_EDL_BOOL && edl_is_intel(edl));
}

/* Something with an address: what the other attributes may stand on. */
static bool is_pointing(const struct cella_edl_decl *decl)
{
    return decl->type.pointers || decl->dim_count || decl->is_isptr || decl->is_isary;
}

static void check_void(const struct decl_check *check)
{
    const struct cella_edl_decl *decl = check->decl;
    if (decl->type.kind == CELLA_EDL_VOID && decl->type.pointers == 0) {
        edl_error(check->edl, decl->type.position, "'%s' cannot be void", decl->name);
    }
}

static void check_const(const struct decl_check *check, enum edl_place place)
{
    const struct cella_edl_decl *decl = check->decl;
    if (!decl->type.is_const) {
        return;
    }
    if (edl_is_intel(check->edl) && (place != EDL_PARAM || decl->type.pointers == 0)) {
        edl_error(check->edl, decl->type.position,
                  "Intel's dialect has const only for pointer parameters");
    }
}

static void check_plain(const struct decl_check *check)
{
    const struct cella_edl_decl *decl = check->decl;
    if (decl->has_attributes && !is_pointing(decl)) {
        edl_error(check->edl, check->attributes->block,
                  "'%s' is passed by value; attributes are for pointers and arrays", decl->name);
        edl_note(check->edl, decl->type.position, "its type is '%s'%s",
                 edl_type_text(check->edl, &decl->type),
                 is_foreign(check->edl, &decl->type)
                     ? "; if that is a pointer or an array, say isptr or isary"
                     : "");
    }
}

static void check_user_check(const struct decl_check *check)
{
    const struct cella_edl_decl *decl = check->decl;
    if (decl->is_user_check && decl->direction) {
        edl_error(check->edl, at(check, EDL_ATTR_USER_CHECK),
                  "user_check passes the bare address; it does not go with in or out");
    }
}

static void check_foreign(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    if (!decl->is_isptr && !decl->is_isary) {
        return;
    }
    enum edl_attribute attribute = decl->is_isptr ? EDL_ATTR_ISPTR : EDL_ATTR_ISARY;
    const char *word = decl->is_isptr ? "isptr" : "isary";
    if (decl->is_isptr && decl->is_isary) {
        edl_error(edl, at(check, EDL_ATTR_ISARY), "a type is either isptr or isary");
        return;
    }
    if (!is_foreign(edl, &decl->type) || decl->type.pointers || decl->type.is_const) {
        edl_error(edl, at(check, attribute), "'%s' is for a type named by a typedef, not for '%s'",
                  word, edl_type_text(edl, &decl->type));
        return;
    }
    if (!decl->direction && !decl->is_user_check) {
        edl_error(edl, at(check, attribute), "'%s' needs a direction (in, out) or user_check",
                  word);
    }
    if (decl->dim_count && (decl->is_isptr || edl_is_intel(edl))) {
        edl_error(edl, decl->position, "'%s' is an array of %s", decl->name,
                  decl->is_isptr ? "pointers, which cannot be copied" : "arrays");
    }
    if (decl->is_isary && edl_is_intel(edl) &&
        (has(check, EDL_ATTR_SIZE) || has(check, EDL_ATTR_COUNT))) {
        edl_error(edl, at(check, has(check, EDL_ATTR_SIZE) ? EDL_ATTR_SIZE : EDL_ATTR_COUNT),
                  "an isary type has its own size");
    }
}

static void check_readonly(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    if (decl->is_readonly && !decl->is_isptr) {
        edl_error(edl, at(check, EDL_ATTR_READONLY),
                  "'readonly' goes with isptr on a type named by a typedef; for '%s' write const",
                  edl_type_text(edl, &decl->type));
    } else if (decl->is_readonly && (decl->direction & CELLA_EDL_OUT)) {
        edl_error(edl, at(check, EDL_ATTR_OUT),
                  "'%s' is readonly; nothing can be brought out to it", decl->name);
    }
}

static void check_const_out(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    if (!decl->type.is_const || decl->type.pointers == 0 || !(decl->direction & CELLA_EDL_OUT)) {
        return;
    }
    if (edl_is_intel(edl)) {
        edl_error(edl, at(check, EDL_ATTR_OUT),
                  "'%s' points to const; nothing can be brought out to it", decl->name);
    } else {
        edl_warn(edl, CELLA_EDL_W_CONST_OUT, at(check, EDL_ATTR_OUT),
                 "'%s' points to const and is written nevertheless", decl->name);
    }
}

static void check_string(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    if (!decl->is_string && !decl->is_wstring) {
        return;
    }
    enum edl_attribute attribute = decl->is_string ? EDL_ATTR_STRING : EDL_ATTR_WSTRING;
    const char *word = decl->is_string ? "string" : "wstring";
    const struct cella_edl_type *type = &decl->type;
    bool is_char = type->kind == CELLA_EDL_CHAR && (!type->is_unsigned || !edl_is_openenclave(edl));
    bool is_right =
        type->pointers == 1 && (decl->is_string ? is_char : type->kind == CELLA_EDL_WCHAR);
    if (decl->is_string && decl->is_wstring) {
        edl_error(edl, at(check, EDL_ATTR_WSTRING), "a pointer is either a string or a wstring");
    } else if (!(decl->direction & CELLA_EDL_IN)) {
        edl_error(edl, at(check, attribute),
                  decl->direction
                      ? "'%s' with out alone: nobody knows how long it will be; use in, "
                        "out or a size"
                      : "'%s' needs the direction in",
                  word);
    } else if (has(check, EDL_ATTR_SIZE) || has(check, EDL_ATTR_COUNT)) {
        edl_error(edl, at(check, has(check, EDL_ATTR_SIZE) ? EDL_ATTR_SIZE : EDL_ATTR_COUNT),
                  "the length of a %s is its own; it has no size or count", word);
    } else if (!is_right) {
        edl_error(edl, at(check, attribute), "'%s' is for '%s', not for '%s'", word,
                  decl->is_string ? "char *" : "wchar_t *", edl_type_text(edl, type));
    }
}

static void check_length(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    struct cella_edl_decl *decl = check->decl;
    bool has_size = has(check, EDL_ATTR_SIZE);
    bool has_count = has(check, EDL_ATTR_COUNT);
    if (!has_size && !has_count) {
        return;
    }
    struct cella_edl_position position = at(check, has_size ? EDL_ATTR_SIZE : EDL_ATTR_COUNT);
    if (!decl->direction) {
        edl_error(edl, position, "'%s' needs a direction: in, out or both",
                  has_size ? "size" : "count");
    }
    if (has_size && has_count && edl_is_openenclave(edl)) {
        edl_error(edl, at(check, EDL_ATTR_COUNT),
                  "size and count together are of Intel's dialect; give the product as size");
    }
    if (!decl->dim_count && !decl->is_isary) {
        return;
    }
    if (edl_is_intel(edl)) {
        edl_error(edl, position, "'%s' is an array with its size in its type; no %s goes with it",
                  decl->name, has_size ? "size" : "count");
        return;
    }
    edl_warn(edl, CELLA_EDL_W_IGNORED_ATTRIBUTE, position,
             "'%s' is an array with its size in its type; %s has no effect", decl->name,
             has_size ? "size" : "count");
    decl->size = (struct cella_edl_value){.index = -1};
    decl->count = (struct cella_edl_value){.index = -1};
}

static void check_pointer_array(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    if (!decl->dim_count || !decl->type.pointers) {
        return;
    }
    bool is_void = decl->type.kind == CELLA_EDL_VOID && decl->type.pointers == 1;
    if (decl->direction || (edl_is_intel(edl) && !is_void)) {
        edl_error(edl, decl->position,
                  "'%s' is an array of pointers; what they point at cannot be copied", decl->name);
    }
}

static void check_direction(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    if (decl->direction || decl->is_user_check || !is_pointing(decl)) {
        return;
    }
    if (edl_is_intel(edl)) {
        edl_error(edl, decl->position,
                  "'%s' is %s without a direction: say in, out, both, or user_check", decl->name,
                  decl->dim_count ? "an array" : "a pointer");
    } else {
        edl_warn(edl, CELLA_EDL_W_PTR_IN_FUNCTION, decl->position,
                 "'%s' is %s without a direction; the bare address is passed, as with user_check",
                 decl->name, decl->dim_count ? "an array" : "a pointer");
    }
}

static void check_void_size(const struct decl_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_decl *decl = check->decl;
    bool is_void = decl->type.kind == CELLA_EDL_VOID && decl->type.pointers == 1;
    if (!is_void || !decl->direction || has(check, EDL_ATTR_SIZE)) {
        return;
    }
    if (edl_is_intel(edl)) {
        edl_error(edl, decl->position,
                  "'%s' points to void; give its size in bytes: size=", decl->name);
    } else {
        edl_warn(edl, CELLA_EDL_W_VOID_SIZE, decl->position,
                 "'%s' points to void and has no size; its elements count one byte", decl->name);
    }
}

static void check_param(const struct decl_check *check)
{
    unsigned errors = check->edl->error_count;
    check_plain(check);
    if (check->edl->error_count != errors) {
        return; /* the others would only say it again */
    }
    check_user_check(check);
    check_foreign(check);
    check_readonly(check);
    check_string(check);
    check_length(check);
    check_pointer_array(check);
    if (check->edl->error_count != errors) {
        return;
    }
    check_direction(check);
    check_void_size(check);
    check_const_out(check);
}

static void check_member(const struct decl_check *check)
{
    const struct cella_edl_decl *decl = check->decl;
    if (!decl->has_attributes) {
        return;
    }
    if (decl->dim_count) {
        edl_error(
            check->edl, check->attributes->block,
            "'%s' is an array inside the struct; it is copied with it and has no size or count",
            decl->name);
    } else if (!decl->type.pointers) {
        edl_error(check->edl, check->attributes->block,
                  "member '%s' is not a pointer; size and count are for pointers", decl->name);
    }
}

void edl_check_decl(struct cella_edl *edl, enum edl_place place, struct cella_edl_decl *decl,
                    const struct edl_attributes *attributes)
{
    struct decl_check check = {.edl = edl, .decl = decl, .attributes = attributes};
    check_void(&check);
    check_const(&check, place);
    if (place == EDL_PARAM) {
        check_param(&check);
    } else {
        check_member(&check);
    }
}

/* The types that size= and count= may name. */
static bool is_length_type(const struct cella_edl_decl *decl)
{
    enum cella_edl_kind kind = decl->type.kind;
    return !decl->type.pointers && !decl->dim_count && !decl->is_isptr && !decl->is_isary &&
           kind != CELLA_EDL_STRUCT && kind != CELLA_EDL_UNION && kind != CELLA_EDL_VOID;
}

static bool is_float(const struct cella_edl_type *type)
{
    return type->kind == CELLA_EDL_FLOAT || type->kind == CELLA_EDL_DOUBLE ||
           type->kind == CELLA_EDL_LONG_DOUBLE;
}

static bool is_signed(const struct cella_edl_type *type)
{
    enum cella_edl_kind kind = type->kind;
    return (kind >= CELLA_EDL_CHAR && kind <= CELLA_EDL_LONG_LONG && !type->is_unsigned) ||
           (kind >= CELLA_EDL_INT8 && kind <= CELLA_EDL_INT64);
}

struct length_check {
    struct cella_edl *edl;
    enum edl_place place;
    const char *owner;
    struct cella_edl_decl *decls;
    uint32_t count;
    const struct cella_edl_map *names; /* to the index, counted from 1 */
};

static const char *guess_name(const struct length_check *check, const char *name)
{
    for (uint32_t i = 0; i < check->count; i++) {
        const char *guess = edl_guess(name, &check->decls[i].name, 1);
        if (guess) {
            return guess;
        }
    }
    return NULL;
}

static void resolve(const struct length_check *check, struct cella_edl_value *value)
{
    struct cella_edl *edl = check->edl;
    const char *what = check->place == EDL_PARAM ? "parameter" : "member";
    if (value->kind != CELLA_EDL_NAME) {
        return;
    }
    uintptr_t index = (uintptr_t)cella_edl_map_get(check->names, value->text);
    if (!index) {
        const char *guess = guess_name(check, value->text);
        edl_error(edl, value->position, "'%s' has no %s '%s'%s%s%s", check->owner, what,
                  value->text, guess ? "; did you mean '" : "", guess ? guess : "",
                  guess ? "'?" : "");
        edl_fix(edl, guess);
        return;
    }
    struct cella_edl_decl *length = &check->decls[index - 1];
    value->index = (int32_t)(index - 1);
    length->is_length = true;
    if (!is_length_type(length)) {
        edl_error(edl, value->position, "a size or count is an integer, but %s '%s' is '%s'%s",
                  what, length->name, edl_type_text(edl, &length->type),
                  length->dim_count ? " as an array" : "");
        edl_note(edl, length->position, "declared here");
    } else if (is_float(&length->type)) {
        edl_warn(edl, CELLA_EDL_W_FLOAT_SIZE, value->position,
                 "'%s': %s '%s' is a size or count but '%s'; what is behind the point is cut off",
                 check->owner, what, length->name, edl_type_text(edl, &length->type));
    } else if (is_signed(&length->type)) {
        edl_warn(edl, CELLA_EDL_W_SIGNED_SIZE_OR_COUNT, value->position,
                 "'%s': %s '%s' is a size or count but signed ('%s'); a negative one becomes huge",
                 check->owner, what, length->name, edl_type_text(edl, &length->type));
    }
}

void edl_check_lengths(struct cella_edl *edl, enum edl_place place, const char *owner,
                       struct cella_edl_decl *decls, uint32_t count)
{
    struct cella_edl_map names = {0};
    struct length_check check = {.edl = edl,
                                 .place = place,
                                 .owner = owner,
                                 .decls = decls,
                                 .count = count,
                                 .names = &names};
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t other = (uintptr_t)cella_edl_map_get(&names, decls[i].name);
        if (other) {
            edl_error(edl, decls[i].position, "second %s '%s'",
                      place == EDL_PARAM ? "parameter" : "member", decls[i].name);
            edl_note(edl, decls[other - 1].position, "first here");
            continue;
        }
        cella_edl_map_put(&edl->arena, &names, decls[i].name, (void *)(uintptr_t)(i + 1));
    }
    for (uint32_t i = 0; i < count; i++) {
        resolve(&check, &decls[i].size);
        resolve(&check, &decls[i].count);
    }
}
