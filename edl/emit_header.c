/*
 * NAME_t.h, NAME_u.h and NAME_args.h in the three dialects: names, types and prototypes as each SDK's users expect them.
 * Side: tools. Called by emit.c.
 * Never anything that users do not see: the rest is in the .c files.
 */
#include <stdio.h>
#include <string.h>

#include "edl/emit.h"

static const char *guard_of(const struct emit *emit)
{
    return emit->options->dialect == CELLA_EDL_OPENENCLAVE ? "EDGER8R" : "CELLA_EDL";
}

static void put_enum(struct emit *emit, const struct cella_edl_composite *type)
{
    emit_put(emit, "%senum %s%s{\n", type->name ? "typedef " : "", type->name ? type->name : "",
             type->name ? " " : "");
    for (uint32_t i = 0; i < type->item_count; i++) {
        const struct cella_edl_enum_item *item = &type->items[i];
        const bool has_value = item->value.kind != CELLA_EDL_ABSENT;
        emit_put(emit, "    %s%s%s%s\n", item->name, has_value ? " = " : "",
                 has_value ? item->value.text : "", i + 1 < type->item_count ? "," : "");
    }
    emit_put(emit, "}%s%s;\n", type->name ? " " : "", type->name ? type->name : "");
}

static void put_members(struct emit *emit, const struct cella_edl_composite *type)
{
    emit_put(emit, "typedef %s %s {\n", type->kind == CELLA_EDL_STRUCT ? "struct" : "union",
             type->name);
    for (uint32_t i = 0; i < type->member_count; i++) {
        emit_put(emit, "    ");
        emit_decl(emit, &type->members[i], type->members[i].name, false);
        emit_put(emit, ";\n");
    }
    emit_put(emit, "} %s;\n", type->name);
}

/* Two EDL files may import the same type, and one source include both headers. */
static void put_type_guard(struct emit *emit, const struct cella_edl_composite *type,
                           const char *directive)
{
    static const char *const kinds[] = {"STRUCT", "UNION", "ENUM"};
    const char *kind = kinds[type->kind == CELLA_EDL_STRUCT  ? 0
                             : type->kind == CELLA_EDL_UNION ? 1
                                                             : 2];
    if (emit->options->dialect == CELLA_EDL_INTEL) {
        emit_put(emit, "%s _%s\n", directive, type->name);
        return;
    }
    const char *name = type->name ? type->name : type->item_count > 0 ? type->items[0].name : "";
    emit_put(emit, "%s %s_%s_%s", directive, guard_of(emit), kind, type->name ? "" : "OF_");
    emit_capitals(emit, name);
    emit_put(emit, "\n");
}

static void put_types(struct emit *emit)
{
    for (uint32_t i = 0; i < emit->unit->composite_count; i++) {
        const struct cella_edl_composite *type = emit->unit->composites[i];
        const bool is_guarded =
            emit->options->dialect != CELLA_EDL_INTEL || type->kind != CELLA_EDL_ENUM;
        if (is_guarded) {
            put_type_guard(emit, type, "#ifndef");
            put_type_guard(emit, type, "#define");
        }
        if (type->kind == CELLA_EDL_ENUM) {
            put_enum(emit, type);
        } else {
            put_members(emit, type);
        }
        emit_put(emit, is_guarded ? "#endif\n\n" : "\n");
    }
}

/* Includes of both sides, or of one side only. */
static void put_includes(struct emit *emit, bool trusted, bool untrusted)
{
    for (uint32_t i = 0; i < emit->unit->include_count; i++) {
        const struct cella_edl_include *include = &emit->unit->includes[i];
        if (include->in_trusted == trusted && include->in_untrusted == untrusted) {
            const char *open = include->path[0] == '<' ? "" : "\"";
            emit_put(emit, "#include %s%s%s\n", open, include->path, open);
        }
    }
}

const char *emit_prefix(const struct emit *emit, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s_", emit->options->use_prefix ? emit->unit->identifier : "");
    return emit->options->use_prefix ? buffer : "";
}

/* The user's own function: an ecall inside, an ocall outside. */
static void put_user_prototype(struct emit *emit, const struct cella_edl_function *function)
{
    emit_type(emit, &function->result, false);
    if (emit->options->dialect == CELLA_EDL_INTEL && !function->is_trusted) {
        static const char *const conventions[] = {
            [CELLA_EDL_NO_CONVENTION] = "SGX_NOCONVENTION",
            [CELLA_EDL_CDECL] = "SGX_CDECL",
            [CELLA_EDL_STDCALL] = "SGX_STDCALL",
            [CELLA_EDL_FASTCALL] = "SGX_FASTCALL",
        };
        emit_put(emit, " SGX_UBRIDGE(%s, %s, (", conventions[function->convention], function->name);
        emit_params(emit, function, NULL, NULL);
        emit_put(emit, "))");
        return;
    }
    emit_put(emit, "%s%s(", function->result.pointers > 0 ? "" : " ", function->name);
    emit_params(emit, function, NULL, NULL);
    emit_put(emit, ")");
}

/* What is called from the other side: an ocall inside, an ecall outside. */
static void put_proxy_prototype(struct emit *emit, const struct cella_edl_function *function,
                                const char *prefix)
{
    const bool is_ecall = function->is_trusted;
    switch (emit->options->dialect) {
    case CELLA_EDL_OPENENCLAVE:
        emit_put(emit, "oe_result_t %s%s(", is_ecall ? prefix : "", function->name);
        emit_params(emit, function, is_ecall ? "oe_enclave_t *enclave" : NULL, "_retval");
        break;
    case CELLA_EDL_INTEL:
        emit_put(emit, "sgx_status_t %s%s%s(", is_ecall ? "" : "SGX_CDECL ", is_ecall ? prefix : "",
                 function->name);
        emit_params(emit, function, is_ecall ? "sgx_enclave_id_t eid" : NULL, "retval");
        break;
    default:
        emit_put(emit, "cella_result %s%s(", is_ecall ? prefix : "", function->name);
        emit_params(emit, function, is_ecall ? "cella_enclave *enclave" : NULL, "ret_value");
        break;
    }
    emit_put(emit, ")");
}

void emit_prototype(struct emit *emit, const struct cella_edl_function *function,
                    const char *prefix)
{
    if (function->is_trusted == emit->is_trusted) {
        put_user_prototype(emit, function);
    } else {
        put_proxy_prototype(emit, function, prefix);
    }
}

/* Intel's applications may bring a prototype of their own, under the guard of its name. */
static void put_guarded_prototype(struct emit *emit, const struct cella_edl_function *function)
{
    emit_put(emit, "#ifndef ");
    emit_capitals(emit, function->name);
    emit_put(emit, "_DEFINED__\n#define ");
    emit_capitals(emit, function->name);
    emit_put(emit, "_DEFINED__\n%s", function->is_dllimport ? "SGX_DLLIMPORT " : "");
    emit_prototype(emit, function, "");
    emit_put(emit, ";\n#endif\n");
}

static void put_prototypes(struct emit *emit, const struct cella_edl_function *const *functions,
                           uint32_t count)
{
    char buffer[512];
    const char *prefix = emit_prefix(emit, buffer, sizeof(buffer));
    for (uint32_t i = 0; i < count; i++) {
        if (emit->options->dialect == CELLA_EDL_INTEL && !emit->is_trusted &&
            !functions[i]->is_trusted) {
            put_guarded_prototype(emit, functions[i]);
        } else {
            emit_prototype(emit, functions[i], prefix);
            emit_put(emit, ";\n");
        }
    }
    emit_put(emit, count > 0 ? "\n" : "");
}

static void put_first_line(struct emit *emit)
{
    emit_put(emit, "/* Generated from %s.edl. Do not edit. */\n", emit->unit->name);
}

static void put_guard(struct emit *emit, const char *suffix)
{
    const char *prefix = emit->options->dialect == CELLA_EDL_INTEL ? "" : guard_of(emit);
    for (uint32_t i = 0; i < 2; i++) {
        emit_put(emit, "%s %s%s", i == 0 ? "#ifndef" : "#define", prefix, prefix[0] ? "_" : "");
        emit_capitals(emit, emit->options->dialect == CELLA_EDL_INTEL ? emit->unit->identifier
                                                                      : emit->unit->name);
        emit_put(emit, "%s\n", suffix);
    }
    emit_put(emit, "\n");
}

static void put_system_includes(struct emit *emit)
{
    switch (emit->options->dialect) {
    case CELLA_EDL_OPENENCLAVE:
        emit_put(emit, "#include <openenclave/%s.h>\n\n#include \"%s_args.h\"\n",
                 emit->is_trusted ? "enclave" : "host", emit->unit->name);
        put_includes(emit, emit->is_trusted, !emit->is_trusted);
        break;
    case CELLA_EDL_INTEL:
        emit_put(emit,
                 "#include <stdint.h>\n#include <wchar.h>\n#include <stddef.h>\n%s"
                 "#include \"sgx_edger8r.h\"\n\n",
                 emit->is_trusted ? "" : "#include <string.h>\n");
        put_includes(emit, true, true);
        put_includes(emit, emit->is_trusted, !emit->is_trusted);
        emit_put(emit, "\n#include <stdlib.h>\n\n#define SGX_CAST(type, item) ((type)(item))\n");
        break;
    default:
        emit_put(emit,
                 "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
                 "#include \"cella/%s.h\"\n\n",
                 emit->is_trusted ? "enclave" : "host");
        put_includes(emit, true, true);
        put_includes(emit, emit->is_trusted, !emit->is_trusted);
        break;
    }
    emit_put(emit, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
}

static void put_create_prototype(struct emit *emit)
{
    if (emit->is_trusted) {
        return;
    }
    if (emit->options->dialect == CELLA_EDL_OPENENCLAVE) {
        emit_put(emit,
                 "oe_result_t oe_create_%s_enclave(\n    const char *path, oe_enclave_type_t type, "
                 "uint32_t flags,\n    const oe_enclave_setting_t *settings, uint32_t "
                 "setting_count,\n    oe_enclave_t **enclave);\n\n",
                 emit->unit->identifier);
    } else if (emit->options->dialect == CELLA_EDL_CELLA) {
        emit_put(emit,
                 "/* cella_enclave_create for an enclave of this interface; NOT_FOUND names an "
                 "ecall that it lacks. */\n"
                 "cella_result cella_create_%s(const char *path, const struct "
                 "cella_enclave_options *options,\n    cella_enclave **ret_enclave, struct "
                 "cella_error *error);\n\n",
                 emit->unit->identifier);
    }
}

void emit_header(struct emit *emit)
{
    const bool is_intel = emit->options->dialect == CELLA_EDL_INTEL;
    put_first_line(emit);
    put_guard(emit, is_intel ? (emit->is_trusted ? "_T_H__" : "_U_H__")
                             : (emit->is_trusted ? "_T_H" : "_U_H"));
    put_system_includes(emit);
    if (emit->options->dialect != CELLA_EDL_OPENENCLAVE) {
        put_types(emit);
    } else if (emit->is_trusted) {
        emit_put(emit, "extern bool oe_edger8r_secure_unserialize;\n\n");
    }
    put_create_prototype(emit);
    if (is_intel && !emit->is_trusted) {
        put_prototypes(emit, emit->unit->untrusted, emit->unit->untrusted_count);
        put_prototypes(emit, emit->unit->trusted, emit->unit->trusted_count);
    } else {
        put_prototypes(emit, emit->unit->trusted, emit->unit->trusted_count);
        put_prototypes(emit, emit->unit->untrusted, emit->unit->untrusted_count);
    }
    emit_put(emit, "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}

void emit_args_header(struct emit *emit)
{
    put_first_line(emit);
    put_guard(emit, "_ARGS_H");
    emit_put(emit, "#include <openenclave/bits/result.h>\n");
    put_includes(emit, true, true);
    emit_put(emit, "\n");
    put_types(emit);
    emit_put(emit, "#endif\n");
}
