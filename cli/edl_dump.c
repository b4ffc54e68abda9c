/*
 * The syntax tree as text, a line a thing: `cella edl --dump-ast`.
 * Side: tools. Called by cmd_edl.c and by tests.
 */
#include <stdio.h>

#include "cli/edl_job.h"

static void put_type(FILE *stream, const struct cella_edl_type *type)
{
    fprintf(stream, "%s%s", type->is_const ? "const " : "", type->base);
    for (uint32_t i = 0; i < type->pointers; i++) {
        fputc('*', stream);
    }
}

static void put_value(FILE *stream, const char *name, const struct cella_edl_value *value)
{
    if (value->kind == CELLA_EDL_ABSENT) {
        return;
    }
    fprintf(stream, " %s=%s", name, value->text);
    if (value->index >= 0) {
        fprintf(stream, "(#%d)", value->index);
    }
}

static void put_flag(FILE *stream, bool is_set, const char *name)
{
    if (is_set) {
        fprintf(stream, " %s", name);
    }
}

static void put_decl(FILE *stream, const struct cella_edl_decl *decl)
{
    fputs("    ", stream);
    put_type(stream, &decl->type);
    fprintf(stream, " %s", decl->name);
    for (uint32_t i = 0; i < decl->dim_count; i++) {
        fprintf(stream, "[%s]", decl->dims[i].text);
    }
    put_flag(stream, decl->direction & CELLA_EDL_IN, "in");
    put_flag(stream, decl->direction & CELLA_EDL_OUT, "out");
    put_flag(stream, decl->is_user_check, "user_check");
    put_flag(stream, decl->is_string, "string");
    put_flag(stream, decl->is_wstring, "wstring");
    put_flag(stream, decl->is_isptr, "isptr");
    put_flag(stream, decl->is_isary, "isary");
    put_flag(stream, decl->is_readonly, "readonly");
    put_value(stream, "size", &decl->size);
    put_value(stream, "count", &decl->count);
    put_flag(stream, decl->is_length, "length");
    if (decl->deep) {
        fprintf(stream, " deep=%s", decl->deep->name);
    }
    if (decl->type.composite) {
        fprintf(stream, " defined");
    }
    fputc('\n', stream);
}

static void put_composite(FILE *stream, const struct cella_edl_composite *composite)
{
    const char *word = composite->kind == CELLA_EDL_STRUCT  ? "struct"
                       : composite->kind == CELLA_EDL_UNION ? "union"
                                                            : "enum";
    fprintf(stream, "%s %s", word, composite->name ? composite->name : "(anonymous)");
    put_flag(stream, composite->is_deep, "deep");
    put_flag(stream, composite->has_pointers, "pointers");
    fputc('\n', stream);
    for (uint32_t i = 0; i < composite->member_count; i++) {
        put_decl(stream, &composite->members[i]);
    }
    for (uint32_t i = 0; i < composite->item_count; i++) {
        fprintf(stream, "    %s", composite->items[i].name);
        put_value(stream, "value", &composite->items[i].value);
        fputc('\n', stream);
    }
}

static void put_function(FILE *stream, const struct cella_edl_function *function)
{
    static const char *const conventions[] = {"", " cdecl", " stdcall", " fastcall"};
    fprintf(stream, "%s %u ", function->is_trusted ? "ecall" : "ocall", function->index);
    put_type(stream, &function->result);
    fprintf(stream, " %s", function->name);
    put_flag(stream, function->is_private, "private");
    put_flag(stream, function->is_switchless, "switchless");
    put_flag(stream, function->is_errno, "errno");
    put_flag(stream, function->is_dllimport, "dllimport");
    fputs(conventions[function->convention], stream);
    if (function->service) {
        fprintf(stream, " service=%s", function->service);
    }
    for (uint32_t i = 0; i < function->allowed_count; i++) {
        fprintf(stream, " allow=%s", function->allowed[i]->name);
    }
    fputc('\n', stream);
    for (uint32_t i = 0; i < function->param_count; i++) {
        put_decl(stream, &function->params[i]);
    }
}

void edl_job_dump(FILE *stream, const struct cella_edl_unit *unit)
{
    fprintf(stream, "enclave %s\n", unit->identifier);
    for (uint32_t i = 0; i < unit->include_count; i++) {
        const struct cella_edl_include *include = &unit->includes[i];
        fprintf(stream, "include %s%s%s\n", include->path, include->in_trusted ? " trusted" : "",
                include->in_untrusted ? " untrusted" : "");
    }
    for (uint32_t i = 0; i < unit->composite_count; i++) {
        put_composite(stream, unit->composites[i]);
    }
    for (uint32_t i = 0; i < unit->trusted_count; i++) {
        put_function(stream, unit->trusted[i]);
    }
    for (uint32_t i = 0; i < unit->untrusted_count; i++) {
        put_function(stream, unit->untrusted[i]);
    }
}
