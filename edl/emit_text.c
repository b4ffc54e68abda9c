/*
 * Growing text, and how C spells what the EDL says.
 * Side: tools. Called by the other emitters.
 * Never fails by itself: a buffer that could not grow says so at the end.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edl/emit.h"

void emit_put(struct emit *emit, const char *format, ...)
{
    struct emit_text *text = &emit->text;
    for (;;) {
        va_list arguments;
        va_start(arguments, format);
        const size_t room = text->capacity - text->size;
        const int wanted = text->failed ? -1
                                        : vsnprintf(text->data ? text->data + text->size : NULL,
                                                    room, format, arguments);
        va_end(arguments);
        if (wanted < 0) {
            text->failed = true;
            return;
        }
        if ((size_t)wanted < room) {
            text->size += (size_t)wanted;
            return;
        }
        const size_t capacity = 2 * text->capacity + (size_t)wanted + 4096;
        char *data = realloc(text->data, capacity);
        if (!data) {
            text->failed = true;
            return;
        }
        text->data = data;
        text->capacity = capacity;
    }
}

void emit_capitals(struct emit *emit, const char *name)
{
    for (; *name; name++) {
        emit_put(emit, "%c", isalnum((unsigned char)*name) ? toupper((unsigned char)*name) : '_');
    }
}

void emit_type(struct emit *emit, const struct cella_edl_type *type, bool is_plain)
{
    emit_put(emit, "%s%s%s", type->is_const && !is_plain ? "const " : "", type->base,
             type->pointers > 0 ? " " : "");
    for (uint32_t i = 0; i < type->pointers; i++) {
        emit_put(emit, "*");
    }
}

static void put_dims(struct emit *emit, const struct cella_edl_decl *decl)
{
    for (uint32_t i = 0; i < decl->dim_count; i++) {
        emit_put(emit, "[%s]", decl->dims[i].text);
    }
}

void emit_decl(struct emit *emit, const struct cella_edl_decl *decl, const char *name,
               bool is_plain)
{
    emit_type(emit, &decl->type, is_plain);
    emit_put(emit, "%s%s", decl->type.pointers > 0 || name[0] == 0 ? "" : " ", name);
    put_dims(emit, decl);
}

void emit_cast(struct emit *emit, const struct cella_edl_decl *decl)
{
    if (decl->dim_count > 0) {
        emit_put(emit, "*(");
        emit_decl(emit, decl, "(*)", false);
        emit_put(emit, ")");
    } else if (decl->is_isary) {
        emit_put(emit, "*(");
        emit_type(emit, &decl->type, false);
        emit_put(emit, " *)");
    } else {
        emit_put(emit, "(");
        emit_type(emit, &decl->type, false);
        emit_put(emit, ")");
    }
}

void emit_params(struct emit *emit, const struct cella_edl_function *function, const char *first,
                 const char *result)
{
    const char *comma = "";
    if (first) {
        emit_put(emit, "%s", first);
        comma = ", ";
    }
    if (result && !emit_is_void(&function->result)) {
        emit_put(emit, "%s", comma);
        emit_type(emit, &function->result, false);
        emit_put(emit, "%s*%s", function->result.pointers > 0 ? "" : " ", result);
        comma = ", ";
    }
    for (uint32_t i = 0; i < function->param_count; i++) {
        emit_put(emit, "%s", comma);
        emit_decl(emit, &function->params[i], function->params[i].name, false);
        comma = ", ";
    }
    emit_put(emit, "%s", comma[0] ? "" : "void");
}

bool emit_is_void(const struct cella_edl_type *type)
{
    return type->kind == CELLA_EDL_VOID && type->pointers == 0;
}

bool emit_is_copied(const struct cella_edl_decl *decl)
{
    return decl->direction != CELLA_EDL_NO_DIRECTION && !decl->is_user_check;
}

bool emit_is_followed(const struct cella_edl_decl *member)
{
    return !member->is_user_check && !member->is_length && member->dim_count == 0 &&
           (member->type.pointers > 0 || member->is_isptr) &&
           (member->size.kind != CELLA_EDL_ABSENT || member->count.kind != CELLA_EDL_ABSENT ||
            member->is_string || member->is_wstring);
}

bool emit_is_raw(const struct cella_edl_decl *decl)
{
    return !emit_is_copied(decl) &&
           (decl->type.pointers > 0 || decl->dim_count > 0 || decl->is_isary);
}

uint32_t emit_copied_count(const struct cella_edl_function *function)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < function->param_count; i++) {
        count += emit_is_copied(&function->params[i]) ? 1 : 0;
    }
    return count;
}

bool emit_has_head(const struct cella_edl_function *function)
{
    return emit_copied_count(function) < function->param_count;
}

bool emit_has_deep(const struct cella_edl_function *function, bool is_out_only)
{
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        if (emit_is_copied(param) && param->deep &&
            (!is_out_only || param->direction == CELLA_EDL_OUT)) {
            return true;
        }
    }
    return false;
}

bool emit_has_reply(const struct cella_edl_function *function)
{
    return !emit_is_void(&function->result) || function->is_errno || emit_has_deep(function, true);
}

uint32_t emit_call_count(const struct cella_edl_function *const *functions, uint32_t count)
{
    uint32_t calls = 0;
    for (uint32_t i = 0; i < count; i++) {
        calls += functions[i]->service ? 0 : 1;
    }
    return calls;
}
