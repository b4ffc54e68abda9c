/*
 * NAME_t.c and NAME_u.c: one short function for each call, between the user's types and the bridge's tables.
 * Side: tools. Called by emit.c. The text is C11 and C++: some tests include it in C++ files.
 * Never marshals: what is emitted names arguments and lets the runtime do the rest.
 */
#include <stdio.h>
#include <string.h>

#include "edl/emit.h"

static bool is_dialect(const struct emit *emit, enum cella_edl_dialect dialect)
{
    return emit->options->dialect == dialect;
}

static bool any_errno(const struct emit *emit)
{
    for (uint32_t i = 0; i < emit->unit->untrusted_count; i++) {
        if (emit->unit->untrusted[i]->is_errno && !emit->unit->untrusted[i]->service) {
            return true;
        }
    }
    return false;
}

static bool any_deep_out(const struct emit *emit)
{
    const struct cella_edl_unit *unit = emit->unit;
    for (uint32_t i = 0; i < unit->trusted_count + unit->untrusted_count; i++) {
        const struct cella_edl_function *function =
            i < unit->trusted_count ? unit->trusted[i] : unit->untrusted[i - unit->trusted_count];
        if (!function->service && emit_has_deep(function, true)) {
            return true;
        }
    }
    return false;
}

/* ---- Pieces of functions ---- */

/* "cella_message.head.n = n;" for scalars, "cella_at[0] = (void *)(uintptr_t)p;" for buffers. */
static void put_arguments_in(struct emit *emit, const struct cella_edl_function *function,
                             const char *head)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        if (emit_is_copied(param)) {
            emit_put(emit, "    cella_at[%u] = (void *)(uintptr_t)%s;\n", at++, param->name);
        } else if (emit_is_raw(param)) {
            emit_put(emit, "    %s.%s = (void *)(uintptr_t)%s;\n", head, param->name, param->name);
        } else {
            emit_put(emit, "    %s.%s = %s;\n", head, param->name, param->name);
        }
    }
}

/* The user's function is called with what the message holds. `at`: "cella_at[%u]" or "cella_at[%u].at". */
static void put_call(struct emit *emit, const struct cella_edl_function *function,
                     const char *member)
{
    uint32_t at = 0;
    emit_put(emit, "    %s%s(",
             emit_is_void(&function->result) ? "" : "cella_reply->edl_result = ", function->name);
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        emit_put(emit, "%s", i > 0 ? ", " : "");
        if (emit_is_copied(param)) {
            emit_cast(emit, param);
            emit_put(emit, "cella_at[%u]%s", at++, member);
        } else if (emit_is_raw(param)) {
            emit_cast(emit, param);
            emit_put(emit, "cella_head->%s", param->name);
        } else {
            emit_put(emit, "cella_head->%s", param->name);
        }
    }
    emit_put(emit, ");\n");
}

static const char *result_name(const struct emit *emit)
{
    return is_dialect(emit, CELLA_EDL_OPENENCLAVE) ? "_retval"
           : is_dialect(emit, CELLA_EDL_INTEL)     ? "retval"
                                                   : "ret_value";
}

static void put_proxy_end(struct emit *emit, const struct cella_edl_function *function)
{
    /* After a failed call both originals leave the caller's variable alone; ours clears it. */
    if (!emit_is_void(&function->result)) {
        const bool clears = is_dialect(emit, CELLA_EDL_CELLA);
        emit_put(emit, "    if (%s%s) {\n        *%s = cella_reply.edl_result;\n    }\n",
                 result_name(emit), clears ? "" : " && cella_is_ok(cella_done)", result_name(emit));
    }
    if (function->is_errno && emit->is_trusted) {
        emit_put(emit,
                 "    if (cella_is_ok(cella_done)) {\n        %s = cella_reply.edl_error;\n    }\n",
                 is_dialect(emit, CELLA_EDL_OPENENCLAVE) ? "oe_errno" : "errno");
    }
    emit_put(emit, "    return %s;\n}\n\n",
             is_dialect(emit, CELLA_EDL_OPENENCLAVE) ? "oe_result_of(cella_done)"
             : is_dialect(emit, CELLA_EDL_INTEL)     ? "sgx_status_of(cella_done)"
                                                     : "cella_done");
}

/* Locals of a bridge that is entered from the other side. */
static void put_bridge_locals(struct emit *emit, const struct cella_edl_function *function)
{
    const char *letter = function->is_trusted ? "e" : "o";
    if (emit_has_head(function)) {
        emit_put(emit,
                 "    const struct edl_%s_%s_head *cella_head = (const struct edl_%s_%s_head "
                 "*)cella_in;\n",
                 letter, function->name, letter, function->name);
    }
    if (!emit_is_void(&function->result) || function->is_errno) {
        emit_put(emit,
                 "    struct edl_%s_%s_reply *cella_reply = (struct edl_%s_%s_reply "
                 "*)cella_out;\n",
                 letter, function->name, letter, function->name);
    }
}

#define BRIDGE_PARAMS                                                                              \
    "const void *cella_in, size_t cella_in_size, void *cella_out,\n"                               \
    "    size_t cella_out_capacity, size_t *cella_ret_size)\n{\n"

/* ---- Ecalls ---- */

static void put_ecall_bridge(struct emit *emit, const struct cella_edl_function *function)
{
    const uint32_t pointers = emit_copied_count(function);
    const bool is_bare = !emit_has_head(function) && !emit_has_reply(function) && pointers == 0;
    emit_put(emit, "CELLA_BRIDGE_ENTRY\nstatic cella_result edl_enter_%s(" BRIDGE_PARAMS,
             function->name);
    if (is_bare) {
        emit_put(emit,
                 "    (void)cella_in;\n    (void)cella_in_size;\n    (void)cella_out;\n    "
                 "(void)cella_out_capacity;\n    (void)cella_ret_size;\n"
                 "    CELLA_TRY(cella_bridge_allow(&edl_e_%s));\n",
                 function->name);
        put_call(emit, function, "");
        emit_put(emit, "    return CELLA_OK;\n}\n\n");
        return;
    }
    emit_put(emit, "    struct cella_bridge_call cella_call;\n");
    if (pointers > 0) {
        emit_put(emit, "    struct cella_bridge_at cella_at[%u];\n", pointers);
    }
    put_bridge_locals(emit, function);
    const char *deep = emit_has_deep(function, false) ? "_deep" : "";
    emit_put(emit,
             "    CELLA_TRY(cella_bridge_enter%s(&cella_call, &edl_e_%s, cella_in, cella_in_size, "
             "cella_out,\n        cella_out_capacity, %s));\n",
             deep, function->name, pointers > 0 ? "cella_at" : "NULL");
    put_call(emit, function, ".at");
    emit_put(emit, "    return cella_bridge_leave%s(&cella_call, cella_ret_size);\n}\n\n", deep);
}

/* The call of an enclave up to its first argument. */
static const char *ecall_of(const struct emit *emit)
{
    return is_dialect(emit, CELLA_EDL_OPENENCLAVE) ? "cella_bridge_ecall(oe_enclave_core(enclave)"
           : is_dialect(emit, CELLA_EDL_INTEL)     ? "sgx_bridge_ecall(eid"
                                                   : "cella_bridge_ecall(enclave";
}

/*
 * Open Enclave's wrappers are weak under their own name, so that two interfaces of one program may have a function in
 * common: whichever is linked works with both enclaves, for ecalls are found by name.
 */
static void put_weak_alias(struct emit *emit, const struct cella_edl_function *function,
                           const char *prefix)
{
    emit_put(emit, "extern __typeof__(%s_%s%s) %s%s __attribute__((weak, alias(\"%s_%s%s\")));\n\n",
             emit->unit->identifier, prefix, function->name, prefix, function->name,
             emit->unit->identifier, prefix, function->name);
}

static void put_ecall_proxy(struct emit *emit, const struct cella_edl_function *function,
                            uint32_t index)
{
    char buffer[512];
    char alias[1200];
    const char *prefix = emit_prefix(emit, buffer, sizeof(buffer));
    const bool is_oe = is_dialect(emit, CELLA_EDL_OPENENCLAVE);
    const uint32_t pointers = emit_copied_count(function);
    const bool has_head = emit_has_head(function);
    const bool has_reply = emit_has_reply(function);
    const char *name = function->name;
    if (is_oe) {
        snprintf(alias, sizeof(alias), "%s_%s", emit->unit->identifier, prefix);
        emit_prototype(emit, function, alias);
        emit_put(emit, ";\n");
        emit_prototype(emit, function, alias);
    } else {
        emit_prototype(emit, function, prefix);
    }
    emit_put(emit, "\n{\n    cella_result cella_done;\n");
    if (has_head || pointers > 0) {
        emit_put(emit, "    struct {\n");
        emit_put(emit, has_head ? "        struct edl_e_%s_head head;\n" : "", name);
        if (pointers > 0) {
            emit_put(emit, "        struct cella_bridge_span spans[%u];\n", pointers);
        }
        emit_put(emit, "    } cella_message;\n");
    }
    if (pointers > 0) {
        emit_put(emit, "    void *cella_at[%u];\n", pointers);
    }
    emit_put(emit, has_reply ? "    struct edl_e_%s_reply cella_reply;\n" : "", name);
    put_arguments_in(emit, function, "cella_message.head");
    emit_put(emit, "    cella_done = %s, &edl_module, %u, &edl_e_%s,\n        %s, %s, %s);\n",
             ecall_of(emit), index, name, has_head || pointers > 0 ? "&cella_message" : "NULL",
             pointers > 0 ? "cella_at" : "NULL", has_reply ? "&cella_reply" : "NULL");
    put_proxy_end(emit, function);
    if (is_oe) {
        put_weak_alias(emit, function, prefix);
    }
}

/* ---- Ocalls ---- */

static void put_ocall_proxy(struct emit *emit, const struct cella_edl_function *function,
                            uint32_t index)
{
    const uint32_t pointers = emit_copied_count(function);
    const bool has_head = emit_has_head(function);
    const bool has_reply = emit_has_reply(function);
    emit_prototype(emit, function, "");
    emit_put(emit, "\n{\n    cella_result cella_done;\n");
    if (has_head) {
        emit_put(emit, "    struct edl_o_%s_head cella_head;\n", function->name);
    }
    if (pointers > 0) {
        emit_put(emit, "    void *cella_at[%u];\n", pointers);
    }
    if (has_reply) {
        emit_put(emit, "    struct edl_o_%s_reply cella_reply;\n", function->name);
    }
    if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        emit_put(emit, "    if (oe_get_enclave_status() != OE_OK) {\n        return "
                       "oe_get_enclave_status();\n    }\n");
    }
    if (has_head) {
        emit_put(emit, "    __builtin_memset(&cella_head, 0, sizeof(cella_head));\n");
    }
    put_arguments_in(emit, function, "cella_head");
    const bool is_full =
        function->is_switchless || emit_has_deep(function, false) || emit_is_staged(function);
    emit_put(emit, "    cella_done = cella_bridge_ocall%s(&edl_o_%s, %u, %s, %s, %s);\n",
             is_full ? "_full" : "", function->name, index, has_head ? "&cella_head" : "NULL",
             pointers > 0 ? "cella_at" : "NULL", has_reply ? "&cella_reply" : "NULL");
    put_proxy_end(emit, function);
}

static void put_ocall_bridge(struct emit *emit, const struct cella_edl_function *function)
{
    const uint32_t pointers = emit_copied_count(function);
    const char *at = pointers > 0 ? "cella_at" : "NULL";
    emit_put(emit, "static cella_result edl_serve_%s(void *cella_context, " BRIDGE_PARAMS,
             function->name);
    if (pointers > 0) {
        emit_put(emit, "    void *cella_at[%u];\n", pointers);
    }
    put_bridge_locals(emit, function);
    emit_put(emit,
             "    (void)cella_context;\n    CELLA_TRY(cella_bridge_serve(&edl_o_%s, cella_in, "
             "cella_in_size, cella_out,\n        cella_out_capacity, %s));\n",
             function->name, at);
    put_call(emit, function, "");
    if (function->is_errno) {
        emit_put(emit, "    cella_reply->edl_error = errno;\n");
    }
    emit_put(emit,
             "    return cella_bridge_served(&edl_o_%s, cella_in, %s, cella_out, "
             "cella_out_capacity,\n        cella_ret_size);\n}\n\n",
             function->name, at);
}

/* ---- Tables ---- */

static void put_name_list(struct emit *emit, const struct cella_edl_function *const *functions,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!functions[i]->service) {
            emit_put(emit, "    \"%s\\0\"\n", functions[i]->name);
        }
    }
}

static void put_ecall_table(struct emit *emit)
{
    const struct cella_edl_unit *unit = emit->unit;
    emit_put(emit, "static const char edl_names[] =\n");
    put_name_list(emit, unit->trusted, unit->trusted_count);
    put_name_list(emit, unit->untrusted, unit->untrusted_count);
    emit_put(emit,
             "    \"\";\n\nstatic cella_result edl_enter_names(" BRIDGE_PARAMS
             "    (void)cella_in;\n    (void)cella_in_size;\n    return "
             "cella_bridge_names_answer(%u, %u, edl_names, sizeof(edl_names) - 1, cella_out,\n"
             "        cella_out_capacity, cella_ret_size);\n}\n\n",
             emit_call_count(unit->trusted, unit->trusted_count),
             emit_call_count(unit->untrusted, unit->untrusted_count));
    emit_put(emit, "const struct cella_ecall cella_ecall_table[] = {\n    {edl_enter_names, 0, "
                   "sizeof(struct cella_bridge_names) + sizeof(edl_names)},\n");
    for (uint32_t i = 0; i < unit->trusted_count; i++) {
        const struct cella_edl_function *function = unit->trusted[i];
        if (function->service) {
            continue;
        }
        emit_put(emit, "    {edl_enter_%s, CELLA_BRIDGE_MESSAGE_SIZE(", function->name);
        emit_put(emit, emit_has_head(function) ? "sizeof(struct edl_e_%s_head), " : "0, ",
                 function->name);
        if (emit_has_deep(function, false)) {
            emit_put(emit, "CELLA_BRIDGE_SPAN_MAX)");
        } else {
            emit_put(emit, "%u)", emit_copied_count(function));
        }
        emit_put(emit, emit_has_reply(function) ? ", sizeof(struct edl_e_%s_reply)},\n" : ", 0},\n",
                 function->name);
    }
    emit_put(emit, "};\nconst size_t cella_ecall_count = sizeof(cella_ecall_table) / "
                   "sizeof(cella_ecall_table[0]);\n\n");
}

/* The head of a table, under the name that Open Enclave's users may know. */
static void put_module_table(struct emit *emit, const char *name, const char *oe_name)
{
    emit_put(emit, "static const ");
    if (!is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        emit_put(emit, "%s", name);
    } else if (strcmp(oe_name, "oe_ecall_info_t") == 0) {
        emit_put(emit, "oe_ecall_info_t _%s_ecall_info_table", emit->unit->identifier);
    } else {
        emit_put(emit, "oe_ocall_func_t _%s_ocall_function_table", emit->unit->identifier);
    }
    emit_put(emit, "[] = {\n");
}

/* Places in the table of ecalls. */
static void put_numbers(struct emit *emit)
{
    const struct cella_edl_unit *unit = emit->unit;
    emit_put(emit, "enum {\n");
    for (uint32_t i = 0, number = 0; i < unit->trusted_count; i++) {
        if (!unit->trusted[i]->service) {
            emit_put(emit, "    %s_fcn_id_%s = %u,\n", unit->identifier, unit->trusted[i]->name,
                     number++);
        }
    }
    emit_put(emit, "    %s_fcn_id_trusted_call_id_max = OE_ENUM_MAX\n};\n\n", unit->identifier);
}

static void put_module(struct emit *emit)
{
    const struct cella_edl_unit *unit = emit->unit;
    const uint32_t ecalls = emit_call_count(unit->trusted, unit->trusted_count);
    const uint32_t ocalls = emit_call_count(unit->untrusted, unit->untrusted_count);
    put_module_table(emit, "struct cella_bridge_name edl_ecalls", "oe_ecall_info_t");
    for (uint32_t i = 0; i < unit->trusted_count; i++) {
        if (!unit->trusted[i]->service) {
            emit_put(emit, "    {\"%s\"},\n", unit->trusted[i]->name);
        }
    }
    emit_put(emit, "    {NULL},\n};\n\n");
    put_module_table(emit, "struct cella_bridge_ocall edl_ocalls", "oe_ocall_func_t");
    for (uint32_t i = 0; i < unit->untrusted_count; i++) {
        if (!unit->untrusted[i]->service) {
            emit_put(emit, "    {edl_serve_%s, \"%s\"},\n", unit->untrusted[i]->name,
                     unit->untrusted[i]->name);
        }
    }
    emit_put(emit,
             "    {NULL, NULL},\n};\n\n__attribute__((unused)) static const struct "
             "cella_bridge_module edl_module = {\n    \"%s\", ",
             unit->name);
    if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        emit_put(emit, "_%s_ecall_info_table, _%s_ocall_function_table", unit->identifier,
                 unit->identifier);
    } else {
        emit_put(emit, "edl_ecalls, edl_ocalls");
    }
    emit_put(emit, ", %u, %u};\n\n", ecalls, ocalls);
    if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        put_numbers(emit);
    }
}

static void put_create(struct emit *emit)
{
    const struct cella_edl_unit *unit = emit->unit;
    if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        emit_put(emit,
                 "oe_result_t oe_create_%s_enclave(\n    const char *path, oe_enclave_type_t type, "
                 "uint32_t flags,\n    const oe_enclave_setting_t *settings, uint32_t "
                 "setting_count,\n    oe_enclave_t **enclave)\n{\n    return "
                 "oe_create_enclave(path, type, flags, settings, setting_count,\n        "
                 "edl_module.ocalls, edl_module.ocall_count, edl_module.ecalls, "
                 "edl_module.ecall_count,\n        enclave);\n}\n\n",
                 unit->identifier);
    } else if (is_dialect(emit, CELLA_EDL_CELLA)) {
        emit_put(emit,
                 "cella_result cella_create_%s(const char *path, const struct "
                 "cella_enclave_options *options,\n    cella_enclave **ret_enclave, struct "
                 "cella_error *error)\n{\n    return cella_bridge_create(path, options, "
                 "&edl_module, ret_enclave, error);\n}\n\n",
                 unit->identifier);
    }
}

/* The runtime's modules that services stand for, once each. */
static void put_services(struct emit *emit)
{
    const struct cella_edl_unit *unit = emit->unit;
    for (uint32_t i = 0; i < unit->trusted_count + unit->untrusted_count; i++) {
        bool is_known = false;
        for (uint32_t k = 0; k <= i; k++) {
            const struct cella_edl_function *function =
                k < unit->trusted_count ? unit->trusted[k]
                                        : unit->untrusted[k - unit->trusted_count];
            if (!function->service || strcmp(function->service, "none") == 0) {
                is_known |= k == i;
            } else if (k == i) {
                emit_put(emit, is_known ? "" : "CELLA_BRIDGE_REQUIRE(%s);\n", function->service);
            } else {
                const struct cella_edl_function *self =
                    i < unit->trusted_count ? unit->trusted[i]
                                            : unit->untrusted[i - unit->trusted_count];
                is_known |= self->service && strcmp(self->service, function->service) == 0;
            }
        }
    }
    emit_put(emit, "\n");
}

/*
 * Open Enclave's own struct of a call's arguments. Nothing here uses it; sources that ask about its members' types do.
 */
static void put_args_struct(struct emit *emit, const struct cella_edl_function *function)
{
    emit_put(emit,
             "typedef struct _%s_args_t {\n    oe_result_t oe_result;\n    uint8_t "
             "*deepcopy_out_buffer;\n    size_t deepcopy_out_buffer_size;\n",
             function->name);
    if (!emit_is_void(&function->result)) {
        emit_put(emit, "    ");
        emit_type(emit, &function->result, false);
        emit_put(emit, " oe_retval;\n");
    }
    for (uint32_t i = 0; i < function->param_count; i++) {
        const struct cella_edl_decl *param = &function->params[i];
        emit_put(emit, "    ");
        if (param->is_isary) {
            emit_put(emit, "void *");
        } else {
            emit_type(emit, &param->type, true);
            emit_put(emit, param->dim_count > 0 ? " *" : " ");
        }
        emit_put(emit, "%s;\n", param->name);
        if (param->is_string || param->is_wstring) {
            emit_put(emit, "    size_t %s_len;\n", param->name);
        }
    }
    emit_put(emit, "%s} %s_args_t;\n\n", function->is_errno ? "    int ocall_errno;\n" : "",
             function->name);
}

static void put_args_structs(struct emit *emit, const struct cella_edl_function *const *functions,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!functions[i]->service) {
            put_args_struct(emit, functions[i]);
        }
    }
}

/* ---- Files ---- */

static void put_includes(struct emit *emit)
{
    emit_put(emit, "/* Generated from %s.edl. Do not edit. */\n#include \"%s_%s.h\"\n\n",
             emit->unit->name, emit->unit->name, emit->is_trusted ? "t" : "u");
    if (any_errno(emit) && !(is_dialect(emit, CELLA_EDL_OPENENCLAVE) && emit->is_trusted)) {
        emit_put(emit, "#include <errno.h>\n");
    }
    if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        emit_put(emit, "#include <openenclave/edger8r/%s.h>\n",
                 emit->is_trusted ? "enclave" : "host");
    } else {
        emit_put(emit, "%s#include \"cella/%s.h\"\n",
                 is_dialect(emit, CELLA_EDL_INTEL) ? "#include \"sgx_edger8r_core.h\"\n" : "",
                 emit->is_trusted ? "bridge" : "bridge_host");
    }
    emit_put(emit, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    if (any_deep_out(emit)) {
        emit_put(emit, "void *malloc(size_t size);\nvoid free(void *at);\n\n"
                       "static const struct cella_bridge_memory edl_memory = {malloc, free};\n\n");
    }
}

void emit_source(struct emit *emit, bool *written)
{
    const struct cella_edl_unit *unit = emit->unit;
    put_includes(emit);
    if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
        put_args_structs(emit, unit->trusted, unit->trusted_count);
        put_args_structs(emit, unit->untrusted, unit->untrusted_count);
    }
    emit_structs(emit, written);
    if (emit->is_trusted) {
        if (is_dialect(emit, CELLA_EDL_OPENENCLAVE)) {
            emit_put(emit, "__attribute__((weak)) bool oe_edger8r_secure_unserialize = true;\n\n");
        }
        put_services(emit);
    }
    for (uint32_t i = 0, number = 0; i < unit->untrusted_count; i++) {
        const struct cella_edl_function *function = unit->untrusted[i];
        if (function->service) {
            continue;
        }
        emit_description(emit, function);
        emit_put(emit, "\n");
        if (emit->is_trusted) {
            put_ocall_proxy(emit, function, number++);
        } else {
            put_ocall_bridge(emit, function);
        }
    }
    if (!emit->is_trusted) {
        put_module(emit);
    }
    for (uint32_t i = 0, number = 0; i < unit->trusted_count; i++) {
        const struct cella_edl_function *function = unit->trusted[i];
        if (function->service) {
            continue;
        }
        emit_description(emit, function);
        emit_put(emit, "\n");
        if (emit->is_trusted) {
            put_ecall_bridge(emit, function);
        } else {
            put_ecall_proxy(emit, function, number++);
        }
    }
    if (emit->is_trusted) {
        put_ecall_table(emit);
    } else {
        put_create(emit);
    }
    emit_put(emit, "#ifdef __cplusplus\n}\n#endif\n");
}
