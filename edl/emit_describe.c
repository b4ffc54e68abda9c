/*
 * Descriptions of functions and structs: constant tables that enclave/bridge.c and host/bridge.c interpret.
 * Side: tools. Called by emit_bridge.c. The same text on both sides: each trusts its own.
 * Never computes a size: the compiler of the generated code does, by sizeof and offsetof.
 */
#include <stdio.h>

#include "edl/emit.h"

static const char *letter_of(const struct cella_edl_function *function)
{
    return function->is_trusted ? "e" : "o";
}

/* `owner`: the decls among which a NAME is looked up; `record`: the C type that holds them. */
static void put_number(struct emit *emit, const struct cella_edl_value *value,
                       const struct cella_edl_decl *owner, const char *kind, const char *record)
{
    if (value->kind == CELLA_EDL_NAME && value->index >= 0) {
        const struct cella_edl_decl *length = &owner[value->index];
        emit_put(emit, "CELLA_BRIDGE_NUMBER(%s%s, %s, ", kind, record, length->name);
        emit_type(emit, &length->type, true);
        emit_put(emit, ")");
    } else {
        emit_put(emit, "CELLA_BRIDGE_CONSTANT(%s)", value->text);
    }
}

static bool is_text(const struct cella_edl_decl *decl)
{
    return decl->is_string || decl->is_wstring;
}

/* The type behind the pointer, for sizeof; false for void. */
static bool put_pointee(struct emit *emit, const struct cella_edl_decl *decl)
{
    struct cella_edl_type type = decl->type;
    if (decl->dim_count > 0) {
        emit_put(emit, "sizeof(");
        emit_decl(emit, decl, "", true);
        emit_put(emit, ")");
        return true;
    }
    if (decl->is_isary) {
        emit_put(emit, "sizeof(%s)", type.base);
        return true;
    }
    if (type.pointers == 0) {
        emit_put(emit, "sizeof(*(%s)0)", type.base);
        return true;
    }
    type.pointers--;
    if (emit_is_void(&type)) {
        return false;
    }
    emit_put(emit, "sizeof(");
    emit_type(emit, &type, true);
    emit_put(emit, ")");
    return true;
}

/* Intel's rule: size * count is a multiple of the type's size, where the EDL knows the type. */
static void put_unit(struct emit *emit, const struct cella_edl_decl *decl)
{
    const enum cella_edl_kind kind = decl->type.kind;
    const bool is_checked = emit->options->dialect == CELLA_EDL_INTEL && !is_text(decl) &&
                            !(kind == CELLA_EDL_VOID && decl->type.pointers == 1) &&
                            kind != CELLA_EDL_FOREIGN && decl->dim_count == 0 &&
                            kind != CELLA_EDL_STRUCT;
    if (!is_checked || !put_pointee(emit, decl)) {
        emit_put(emit, "0");
    }
}

static void put_size(struct emit *emit, const struct cella_edl_decl *decl,
                     const struct cella_edl_decl *owner, const char *kind, const char *record)
{
    if (is_text(decl)) {
        emit_put(emit, "CELLA_BRIDGE_CONSTANT(0), CELLA_BRIDGE_CONSTANT(0)");
        return;
    }
    const bool is_whole = decl->dim_count > 0 || decl->is_isary;
    if (!is_whole && decl->size.kind != CELLA_EDL_ABSENT) {
        put_number(emit, &decl->size, owner, kind, record);
    } else {
        emit_put(emit, "CELLA_BRIDGE_CONSTANT(");
        if (!put_pointee(emit, decl)) {
            emit_put(emit, "1");
        }
        emit_put(emit, ")");
    }
    emit_put(emit, ", ");
    if (!is_whole && decl->count.kind != CELLA_EDL_ABSENT) {
        put_number(emit, &decl->count, owner, kind, record);
    } else {
        emit_put(emit, "CELLA_BRIDGE_CONSTANT(1)");
    }
}

static void put_flags(struct emit *emit, const struct cella_edl_decl *decl)
{
    emit_put(emit, "0%s%s%s%s", (decl->direction & CELLA_EDL_IN) ? " | CELLA_BRIDGE_IN" : "",
             (decl->direction & CELLA_EDL_OUT) ? " | CELLA_BRIDGE_OUT" : "",
             decl->is_string ? " | CELLA_BRIDGE_STRING" : "",
             decl->is_wstring ? " | CELLA_BRIDGE_WSTRING" : "");
}

/* ---- Structs ---- */

#define DEEP_MAX 16u /* CELLA_BRIDGE_DEPTH_MAX */

static void put_struct_pointers(struct emit *emit, const struct cella_edl_composite *type)
{
    emit_put(emit, "static const struct cella_bridge_pointer edl_s_%s_pointers[] = {\n",
             type->name);
    for (uint32_t i = 0; i < type->member_count; i++) {
        const struct cella_edl_decl *member = &type->members[i];
        if (!emit_is_followed(member)) {
            continue;
        }
        emit_put(emit, "    {offsetof(struct %s, %s), ", type->name, member->name);
        put_flags(emit, member);
        emit_put(emit, ", ");
        put_unit(emit, member);
        emit_put(emit, ", ");
        put_size(emit, member, type->members, "struct ", type->name);
        emit_put(emit, member->deep ? ", &edl_s_%s},\n" : ", NULL},\n",
                 member->deep ? member->deep->name : "");
    }
    emit_put(emit, "};\n");
}

static void put_struct(struct emit *emit, const struct cella_edl_composite *type)
{
    uint32_t lengths = 0;
    put_struct_pointers(emit, type);
    for (uint32_t i = 0; i < type->member_count; i++) {
        if (type->members[i].is_length) {
            emit_put(emit,
                     lengths == 0 ? "static const struct cella_bridge_number edl_s_%s_lengths[] "
                                    "= {\n"
                                  : "",
                     type->name);
            emit_put(emit, "    CELLA_BRIDGE_NUMBER(struct %s, %s, ", type->name,
                     type->members[i].name);
            emit_type(emit, &type->members[i].type, true);
            emit_put(emit, "),\n");
            lengths++;
        }
    }
    emit_put(emit, lengths > 0 ? "};\n" : "");
    emit_put(emit,
             "static const struct cella_bridge_struct edl_s_%s = {sizeof(struct %s), "
             "edl_s_%s_pointers,\n    sizeof(edl_s_%s_pointers) / sizeof(edl_s_%s_pointers[0]), "
             "%u, ",
             type->name, type->name, type->name, type->name, type->name, lengths);
    emit_put(emit, lengths > 0 ? "edl_s_%s_lengths};\n\n" : "NULL};\n\n", type->name);
}

static int32_t struct_index(const struct emit *emit, const struct cella_edl_composite *type)
{
    for (uint32_t i = 0; i < emit->unit->composite_count; i++) {
        if (emit->unit->composites[i] == type) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* Inner structs first. `written` has one flag for each composite of the unit. Chains are finite (ast.h) and bounded. */
static void struct_visit(struct emit *emit, const struct cella_edl_composite *type, bool *written,
                         uint32_t depth)
{
    const int32_t index = struct_index(emit, type);
    if (depth > DEEP_MAX) {
        emit->too_deep = type;
        return;
    }
    if (index < 0 || written[index]) {
        return;
    }
    written[index] = true;
    for (uint32_t i = 0; i < type->member_count; i++) {
        if (type->members[i].deep) {
            struct_visit(emit, type->members[i].deep, written, depth + 1);
        }
    }
    put_struct(emit, type);
}

void emit_structs(struct emit *emit, bool *written)
{
    const struct cella_edl_unit *unit = emit->unit;
    for (uint32_t i = 0; i < unit->trusted_count + unit->untrusted_count; i++) {
        const struct cella_edl_function *function =
            i < unit->trusted_count ? unit->trusted[i] : unit->untrusted[i - unit->trusted_count];
        for (uint32_t k = 0; !function->service && k < function->param_count; k++) {
            const struct cella_edl_decl *param = &function->params[k];
            if (emit_is_copied(param) && param->deep) {
                struct_visit(emit, param->deep, written, 0);
            }
        }
    }
}

/* ---- Functions ---- */

static void put_head(struct emit *emit, const struct cella_edl_function *function)
{
    emit_put(emit, "struct edl_%s_%s_head {\n", letter_of(function), function->name);
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        if (emit_is_copied(param)) {
            continue;
        }
        if (emit_is_raw(param)) {
            emit_put(emit, "    void *%s;\n", param->name);
        } else {
            emit_put(emit, "    ");
            emit_decl(emit, param, param->name, true);
            emit_put(emit, ";\n");
        }
    }
    emit_put(emit, "};\n");
}

static void put_reply(struct emit *emit, const struct cella_edl_function *function)
{
    emit_put(emit, "struct edl_%s_%s_reply {\n", letter_of(function), function->name);
    if (emit_has_deep(function, true)) {
        emit_put(emit, "    struct cella_bridge_deep edl_deep;\n");
    }
    if (!emit_is_void(&function->result)) {
        emit_put(emit, "    ");
        emit_type(emit, &function->result, function->result.pointers == 0);
        emit_put(emit, " edl_result;\n");
    }
    if (function->is_errno) {
        emit_put(emit, "    int edl_error;\n");
    }
    emit_put(emit, "};\n");
}

static void put_pointers(struct emit *emit, const struct cella_edl_function *function)
{
    char record[600];
    snprintf(record, sizeof(record), "edl_%s_%s_head", letter_of(function), function->name);
    emit_put(emit, "static const struct cella_bridge_pointer edl_%s_%s_pointers[] = {\n",
             letter_of(function), function->name);
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        if (!emit_is_copied(param)) {
            continue;
        }
        emit_put(emit, "    {0, ");
        put_flags(emit, param);
        emit_put(emit, ", ");
        put_unit(emit, param);
        emit_put(emit, ", ");
        put_size(emit, param, function->params, "struct ", record);
        emit_put(emit, param->deep ? ", &edl_s_%s},\n" : ", NULL},\n",
                 param->deep ? param->deep->name : "");
    }
    emit_put(emit, "};\n");
}

bool emit_is_staged(const struct cella_edl_function *function)
{
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        if (emit_is_copied(param) && (param->direction & CELLA_EDL_OUT) &&
            (is_text(param) || param->deep)) {
            return true;
        }
    }
    return false;
}

static void put_function_flags(struct emit *emit, const struct cella_edl_function *function)
{
    const bool is_intel = emit->options->dialect == CELLA_EDL_INTEL;
    const bool is_oe = emit->options->dialect == CELLA_EDL_OPENENCLAVE;
    const bool is_ecall = function->is_trusted;
    emit_put(emit, "0%s%s%s%s%s%s%s%s%s",
             function->is_switchless ? " | CELLA_BRIDGE_SWITCHLESS" : "",
             emit_has_deep(function, false) ? " | CELLA_BRIDGE_DEEP" : "",
             emit_has_deep(function, true) ? " | CELLA_BRIDGE_DEEP_OUT" : "",
             !is_ecall && emit_is_staged(function) ? " | CELLA_BRIDGE_STAGED" : "",
             is_ecall && !is_oe ? " | CELLA_BRIDGE_GUARDED" : "",
             is_ecall && is_intel ? " | CELLA_BRIDGE_EMPTY_NULL" : "",
             is_intel ? " | CELLA_BRIDGE_TERMINATE" : "", is_intel ? " | CELLA_BRIDGE_FOLLOW" : "",
             !is_ecall && !is_oe ? " | CELLA_BRIDGE_INSIDE" : "");
}

/* The numbers of the ocalls that allow `ecall`; their count. */
static uint32_t put_callers(struct emit *emit, const struct cella_edl_function *ecall)
{
    uint32_t count = 0;
    uint32_t number = 0;
    for (uint32_t i = 0; i < emit->unit->untrusted_count; i++) {
        const struct cella_edl_function *ocall = emit->unit->untrusted[i];
        for (uint32_t k = 0; k < ocall->allowed_count && !ocall->service; k++) {
            if (ocall->allowed[k] == ecall) {
                if (count++ == 0) {
                    emit_put(emit, "static const uint32_t edl_e_%s_callers[] = {", ecall->name);
                }
                emit_put(emit, "%u, ", number);
                break;
            }
        }
        number += ocall->service ? 0 : 1;
    }
    emit_put(emit, count > 0 ? "};\n" : "");
    return count;
}

void emit_description(struct emit *emit, const struct cella_edl_function *function)
{
    const char *letter = letter_of(function);
    const char *name = function->name;
    const uint32_t pointers = emit_copied_count(function);
    const bool has_head = emit_has_head(function);
    const bool has_reply = emit_has_reply(function);
    const bool is_guarded = function->is_trusted && emit->options->dialect != CELLA_EDL_OPENENCLAVE;
    uint32_t callers = 0;
    if (has_head) {
        put_head(emit, function);
    }
    if (has_reply) {
        put_reply(emit, function);
    }
    if (pointers > 0) {
        put_pointers(emit, function);
    }
    if (is_guarded && emit->is_trusted) {
        callers = put_callers(emit, function);
    }
    emit_put(emit, "static const struct cella_bridge_function edl_%s_%s = {\n    \"%s\", ", letter,
             name, name);
    put_function_flags(emit, function);
    emit_put(emit, ", %u, ", pointers);
    emit_put(emit, pointers > 0 ? "edl_%s_%s_pointers,\n    " : "NULL,\n    ", letter, name);
    emit_put(emit, has_head ? "sizeof(struct edl_%s_%s_head), " : "0, ", letter, name);
    emit_put(emit, has_reply ? "sizeof(struct edl_%s_%s_reply), " : "0, ", letter, name);
    emit_put(emit, "%s, ", emit_has_deep(function, true) ? "&edl_memory" : "NULL");
    emit_put(emit, callers > 0 ? "edl_e_%s_callers, " : "NULL, ", name);
    emit_put(emit, "%u, %u};\n", callers, function->is_private && is_guarded ? 1u : 0u);
}
