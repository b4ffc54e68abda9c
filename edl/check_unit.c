/*
 * The whole: types find their definitions, deep copies their ends, allow lists their ecalls; the unit is made.
 * Side: tools. Called once, when every file is parsed.
 */
#include <stdlib.h>
#include <string.h>

#include "edl/internal.h"

/* How deep structs may point at structs that are copied along. */
#define DEEP_MAX 32u

struct unit_check {
    struct cella_edl *edl;
    struct edl_file *root;
    struct cella_edl_unit *unit;
};

static const char *kind_word(enum cella_edl_kind kind)
{
    return kind == CELLA_EDL_STRUCT ? "struct" : kind == CELLA_EDL_UNION ? "union" : "enum";
}

/* ---- Types ---- */

static void resolve_type(const struct unit_check *check, struct cella_edl_type *type)
{
    if (!type->name) {
        return;
    }
    struct cella_edl_composite *composite =
        cella_edl_map_get(&check->root->composite_names, type->name);
    if (!composite) {
        return;
    }
    if (type->kind != CELLA_EDL_FOREIGN && type->kind != composite->kind) {
        edl_error(check->edl, type->position, "'%s' is defined as %s, not as %s", type->name,
                  kind_word(composite->kind), kind_word(type->kind));
        edl_note(check->edl, composite->position, "defined here");
        return;
    }
    type->composite = composite;
}

static bool has_length(const struct cella_edl_decl *decl)
{
    return decl->size.kind != CELLA_EDL_ABSENT || decl->count.kind != CELLA_EDL_ABSENT;
}

static void resolve_composite(const struct unit_check *check, struct cella_edl_composite *composite)
{
    for (uint32_t i = 0; i < composite->member_count; i++) {
        struct cella_edl_decl *member = &composite->members[i];
        resolve_type(check, &member->type);
        bool is_pointer = member->type.pointers != 0;
        /* C wants a type that is held by value to be defined before: one pass in order is enough. */
        composite->has_pointers |=
            is_pointer || (member->type.composite && member->type.composite->has_pointers);
        if (has_length(member) && !member->is_length) {
            composite->is_deep = true;
        } else if (is_pointer && composite->kind == CELLA_EDL_STRUCT) {
            edl_warn(check->edl, CELLA_EDL_W_PTR_IN_STRUCT, member->position,
                     "struct '%s': member '%s' is a pointer that does not travel; give it size or "
                     "count to copy what it points at",
                     composite->name, member->name);
        }
    }
}

/* The struct behind one star, when it is followed. */
static const struct cella_edl_composite *deep_target(const struct cella_edl_decl *decl)
{
    const struct cella_edl_composite *composite = decl->type.composite;
    bool is_followed = decl->type.pointers == 1 && composite && composite->is_deep;
    return is_followed ? composite : NULL;
}

static void resolve_deep_members(const struct unit_check *check,
                                 struct cella_edl_composite *composite)
{
    for (uint32_t i = 0; i < composite->member_count; i++) {
        struct cella_edl_decl *member = &composite->members[i];
        const struct cella_edl_composite *target = deep_target(member);
        if (!target || !has_length(member) || member->is_length) {
            continue;
        }
        if (edl_is_intel(check->edl)) {
            edl_warn(check->edl, CELLA_EDL_W_SHALLOW_STRUCT, member->position,
                     "member '%s' points to struct '%s', whose own pointers do not travel",
                     member->name, target->name);
            continue;
        }
        member->deep = target;
    }
}

/* How many chains of structs each starts; 0 when it is on a circle. Iterative: leaves first. */
struct deep_state {
    const struct cella_edl_composite *composite;
    uint32_t waiting; /* for so many members' structs */
    uint32_t depth;
    struct cella_edl_list users; /* struct deep_state * */
};

static void settle(struct unit_check *check, struct cella_edl_list *ready)
{
    for (size_t next = 0; next < ready->count; next++) {
        struct deep_state *state = ((struct deep_state **)ready->items)[next];
        struct deep_state **users = state->users.items;
        if (state->depth > DEEP_MAX) {
            edl_error(check->edl, state->composite->position,
                      "struct '%s' is copied through more than %u others", state->composite->name,
                      DEEP_MAX);
            return;
        }
        for (size_t i = 0; i < state->users.count; i++) {
            if (users[i]->depth < state->depth + 1) {
                users[i]->depth = state->depth + 1;
            }
            if (--users[i]->waiting == 0) {
                *(struct deep_state **)cella_edl_push(&check->edl->arena, ready, sizeof users[i]) =
                    users[i];
            }
        }
    }
}

static void check_deep_circles(struct unit_check *check)
{
    struct cella_edl_arena *arena = &check->edl->arena;
    struct cella_edl_composite **composites = check->root->composites.items;
    size_t count = check->root->composites.count;
    struct deep_state *states = cella_edl_alloc_array(arena, count, sizeof *states);
    struct cella_edl_map by_name = {0};
    struct cella_edl_list ready = {0};
    for (size_t i = 0; i < count; i++) {
        states[i].composite = composites[i];
        if (composites[i]->name) {
            cella_edl_map_put(arena, &by_name, composites[i]->name, &states[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < composites[i]->member_count; j++) {
            const struct cella_edl_composite *deep = composites[i]->members[j].deep;
            if (deep) {
                struct deep_state *target = cella_edl_map_get(&by_name, deep->name);
                states[i].waiting++;
                *(struct deep_state **)cella_edl_push(arena, &target->users, sizeof target) =
                    &states[i];
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!states[i].waiting) {
            *(struct deep_state **)cella_edl_push(arena, &ready, sizeof(void *)) = &states[i];
        }
    }
    settle(check, &ready);
    for (size_t i = 0; i < count && ready.count < count; i++) {
        if (states[i].waiting) {
            edl_error(check->edl, composites[i]->position,
                      "struct '%s' leads back to itself through its pointers; it cannot be copied",
                      composites[i]->name);
            return; /* the others are on the same circle, or lead to it */
        }
    }
}

/* ---- Functions ---- */

static void check_shallow(const struct unit_check *check, const struct cella_edl_function *function,
                          const struct cella_edl_decl *decl)
{
    const struct cella_edl_composite *composite = decl->type.composite;
    bool is_copied = decl->type.pointers == 0 || (decl->direction && decl->type.pointers == 1);
    bool is_refused = composite && composite->is_deep && decl->type.pointers == 0;
    if (!composite || !is_copied || is_refused || decl->deep || !composite->has_pointers) {
        return;
    }
    edl_warn(check->edl, CELLA_EDL_W_SHALLOW_STRUCT, decl->position,
             "function '%s': '%s' is copied as it is; the pointers in %s '%s' stay those of the "
             "other side",
             function->name, decl->name, kind_word(composite->kind), composite->name);
}

static void check_by_value(const struct unit_check *check,
                           const struct cella_edl_function *function,
                           const struct cella_edl_decl *decl)
{
    const struct cella_edl_composite *composite = decl->type.composite;
    if (composite && composite->is_deep && decl->type.pointers == 0) {
        edl_error(check->edl, decl->position,
                  "function '%s': '%s' is passed by value, but struct '%s' is copied with what it "
                  "points at; pass a pointer to it",
                  function->name, decl->name, composite->name);
    }
}

static void check_typedef(const struct unit_check *check, const struct cella_edl_function *function,
                          const struct cella_edl_decl *decl)
{
    const struct cella_edl_composite *composite = decl->type.composite;
    if (!composite || composite->kind != CELLA_EDL_STRUCT || decl->type.kind != CELLA_EDL_FOREIGN) {
        return;
    }
    if (composite->is_deep && edl_is_intel(check->edl)) {
        edl_error(check->edl, decl->type.position,
                  "function '%s': struct '%s' is copied with what it points at; write 'struct %s'",
                  function->name, composite->name, composite->name);
        edl_fix(check->edl, cella_edl_format(&check->edl->arena, "struct %s", composite->name));
    } else if (!edl_is_openenclave(check->edl)) {
        edl_warn(check->edl, CELLA_EDL_W_STRUCT_TYPEDEF, decl->type.position,
                 "function '%s': '%s' is a struct of this EDL; write 'struct %s'", function->name,
                 composite->name, composite->name);
    }
}

static void check_deep(const struct unit_check *check, const struct cella_edl_function *function,
                       struct cella_edl_decl *decl)
{
    const struct cella_edl_composite *target = deep_target(decl);
    if (!target || !decl->direction || decl->dim_count) {
        return;
    }
    if (edl_is_intel(check->edl) && decl->direction == CELLA_EDL_OUT) {
        edl_error(check->edl, decl->position,
                  "function '%s': struct '%s' is copied with what it points at, which out alone "
                  "cannot do in Intel's dialect; use in, out",
                  function->name, target->name);
        return;
    }
    if (decl->size.kind != CELLA_EDL_ABSENT && edl_is_openenclave(check->edl)) {
        edl_error(check->edl, decl->size.position,
                  "'%s' points to struct '%s', which is copied with what it points at; give the "
                  "number of structs: count=",
                  decl->name, target->name);
        return;
    }
    decl->deep = target;
}

static void check_foreign_pointer(const struct unit_check *check,
                                  const struct cella_edl_function *function,
                                  const struct cella_edl_decl *decl)
{
    bool is_unknown =
        (decl->type.kind == CELLA_EDL_FOREIGN || decl->type.kind == CELLA_EDL_STRUCT) &&
        !decl->type.composite;
    if (is_unknown && decl->type.pointers && !decl->is_user_check) {
        edl_warn(check->edl, CELLA_EDL_W_FOREIGN_TYPE_PTR, decl->position,
                 "function '%s': '%s' points to '%s', which this EDL does not define; its own "
                 "pointers would not travel",
                 function->name, decl->name, decl->type.base);
    }
}

static void check_portable(const struct unit_check *check,
                           const struct cella_edl_function *function,
                           const struct cella_edl_decl *decl)
{
    enum cella_edl_kind kind = decl->type.kind;
    if (kind == CELLA_EDL_WCHAR || kind == CELLA_EDL_LONG || kind == CELLA_EDL_LONG_DOUBLE) {
        edl_warn(check->edl, CELLA_EDL_W_NON_PORTABLE_TYPE, decl->type.position,
                 "function '%s': '%s' has another size on other systems; host and enclave must be "
                 "built for the same one",
                 function->name, decl->type.base);
    }
}

static void check_function(const struct unit_check *check, struct cella_edl_function *function)
{
    resolve_type(check, &function->result);
    for (uint32_t i = 0; i < function->param_count; i++) {
        struct cella_edl_decl *decl = &function->params[i];
        resolve_type(check, &decl->type);
        check_portable(check, function, decl);
        check_foreign_pointer(check, function, decl);
        check_by_value(check, function, decl);
        check_typedef(check, function, decl);
        check_deep(check, function, decl);
        check_shallow(check, function, decl);
    }
}

/* ---- Lists ---- */

static const struct cella_edl_function **join(struct cella_edl *edl,
                                              const struct cella_edl_list *own,
                                              const struct cella_edl_list *imported,
                                              uint32_t *ret_count)
{
    size_t count = own->count + imported->count;
    struct cella_edl_function **all = cella_edl_alloc_array(&edl->arena, count, sizeof *all);
    if (own->count) {
        memcpy(all, own->items, own->count * sizeof *all);
    }
    if (imported->count) {
        memcpy(all + own->count, imported->items, imported->count * sizeof *all);
    }
    for (size_t i = 0; i < count; i++) {
        all[i]->index = (uint32_t)i;
    }
    *ret_count = (uint32_t)count;
    return (const struct cella_edl_function **)all;
}

static const char *guess_ecall(const struct cella_edl_unit *unit, const char *name)
{
    for (uint32_t i = 0; i < unit->trusted_count; i++) {
        const char *guess = edl_guess(name, &unit->trusted[i]->name, 1);
        if (guess) {
            return guess;
        }
    }
    return NULL;
}

static void add_allowed(struct cella_edl *edl, const struct edl_allow *allow,
                        const struct cella_edl_function *ecall)
{
    struct cella_edl_function *ocall = allow->function;
    for (uint32_t i = 0; i < ocall->allowed_count; i++) {
        if (ocall->allowed[i] == ecall) {
            return;
        }
    }
    /* Grows by powers of two. */
    uint32_t count = ocall->allowed_count;
    if ((count & (count - 1)) == 0) {
        const struct cella_edl_function **grown = cella_edl_alloc_array(
            &edl->arena, count ? (size_t)count * 2 : 1, sizeof(struct cella_edl_function *));
        if (count) {
            memcpy(grown, ocall->allowed, count * sizeof *grown);
        }
        ocall->allowed = grown;
    }
    ocall->allowed[ocall->allowed_count++] = ecall;
}

/* Allow lists of the functions that are in the unit; those of functions left behind in an import do not matter. */
static void resolve_allows(const struct unit_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct edl_allow *allows = edl->allows.items;
    for (size_t i = 0; i < edl->allows.count && !edl_is_openenclave(edl); i++) {
        const struct edl_allow *allow = &allows[i];
        if (cella_edl_map_get(&check->root->function_names, allow->function->name) !=
            allow->function) {
            continue;
        }
        struct cella_edl_function *ecall =
            cella_edl_map_get(&check->root->function_names, allow->name);
        if (ecall && ecall->is_trusted) {
            add_allowed(edl, allow, ecall);
            continue;
        }
        const char *guess = ecall ? NULL : guess_ecall(check->unit, allow->name);
        edl_error(edl, allow->position,
                  ecall ? "ocall '%s' allows '%s', which is an ocall itself%s%s%s"
                        : "ocall '%s' allows '%s', which is no ecall here%s%s%s",
                  allow->function->name, allow->name, guess ? "; did you mean '" : "",
                  guess ? guess : "", guess ? "'?" : "");
        edl_fix(edl, guess);
    }
}

static void check_private(const struct unit_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct cella_edl_unit *unit = check->unit;
    bool has_public = false;
    if (edl_is_openenclave(edl)) {
        return;
    }
    bool *is_allowed = cella_edl_alloc_array(&edl->arena, unit->trusted_count, sizeof *is_allowed);
    for (uint32_t i = 0; i < unit->untrusted_count; i++) {
        for (uint32_t j = 0; j < unit->untrusted[i]->allowed_count; j++) {
            is_allowed[unit->untrusted[i]->allowed[j]->index] = true;
        }
    }
    for (uint32_t i = 0; i < unit->trusted_count; i++) {
        has_public |= !unit->trusted[i]->is_private;
        if (unit->trusted[i]->is_private && !is_allowed[i]) {
            edl_warn(edl, CELLA_EDL_W_UNUSED_PRIVATE, unit->trusted[i]->position,
                     "private ecall '%s' can never be called: no ocall allows it",
                     unit->trusted[i]->name);
        }
    }
    if (!has_public && edl_is_intel(edl) && !edl->options.is_header_only) {
        edl_error_nowhere(edl, "%s: enclave '%s' has no public ecall; nothing could enter it",
                          unit->path, unit->name);
    }
}

/* ---- The unit ---- */

static bool is_identifier_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void name_unit(const struct unit_check *check)
{
    struct cella_edl *edl = check->edl;
    const char *slash = strrchr(check->root->path, '/');
    const char *base = slash ? slash + 1 : check->root->path;
    const char *dot = strrchr(base, '.');
    size_t size = dot ? (size_t)(dot - base) : strlen(base);
    char *identifier = cella_edl_copy(&edl->arena, base, size);
    bool is_changed = false;
    check->unit->name = cella_edl_copy(&edl->arena, base, size);
    for (size_t i = 0; i < size; i++) {
        bool is_good = is_identifier_byte(identifier[i]) &&
                       !(i == 0 && identifier[i] >= '0' && identifier[i] <= '9');
        if (!is_good) {
            identifier[i] = '_';
            is_changed = true;
        }
    }
    check->unit->identifier = identifier;
    if (size == 0) {
        edl_error_nowhere(edl, "%s: the file has no name before its suffix", check->root->path);
    } else if (is_changed) {
        struct cella_edl_position top = {.line = 1, .column = 1, .length = 1};
        edl_warn(edl, CELLA_EDL_W_FILE_NAME, top,
                 "the file's name is not a C identifier; the enclave is called '%s'", identifier);
    }
}

static void list_files(const struct unit_check *check)
{
    struct cella_edl *edl = check->edl;
    const struct edl_source *sources = edl->sources.items;
    const char **files = cella_edl_alloc_array(&edl->arena, edl->sources.count, sizeof *files);
    for (size_t i = 0; i < edl->sources.count; i++) {
        files[i] = sources[i].path;
    }
    check->unit->files = files;
    check->unit->file_count = (uint32_t)edl->sources.count;
}

void edl_check_unit(struct cella_edl *edl, struct edl_file *root)
{
    struct cella_edl_unit *unit = cella_edl_alloc(&edl->arena, sizeof *unit);
    struct unit_check check = {.edl = edl, .root = root, .unit = unit};
    bool is_whole =
        edl->error_count == 0; /* else a name may be missing only because its line was refused */
    struct cella_edl_composite **composites = root->composites.items;
    size_t count = root->composites.count;
    unit->path = root->path;
    unit->dialect = edl->options.dialect;
    name_unit(&check);
    list_files(&check);
    unit->trusted = join(edl, &root->trusted, &root->imported_trusted, &unit->trusted_count);
    unit->untrusted =
        join(edl, &root->untrusted, &root->imported_untrusted, &unit->untrusted_count);
    unit->includes = root->includes.items;
    unit->include_count = (uint32_t)root->includes.count;
    unit->composites = (const struct cella_edl_composite **)composites;
    unit->composite_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        resolve_composite(&check, composites[i]);
    }
    for (size_t i = 0; i < count; i++) {
        resolve_deep_members(&check, composites[i]);
    }
    check_deep_circles(&check);
    for (uint32_t i = 0; i < unit->trusted_count; i++) {
        check_function(&check, (struct cella_edl_function *)unit->trusted[i]);
    }
    for (uint32_t i = 0; i < unit->untrusted_count; i++) {
        check_function(&check, (struct cella_edl_function *)unit->untrusted[i]);
    }
    if (is_whole) {
        resolve_allows(&check);
        check_private(&check);
    }
    edl->unit = unit;
}
