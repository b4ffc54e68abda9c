/*
 * cella.toml: the manifest of a program, section by section. docs/program-manifest.md is the manual.
 * Side: tools. Called by cli/program_manifest.c and the fuzz target. Reads no file; every refusal gives line and column.
 */
#include "cli/program_manifest.h"

#include <stddef.h>
#include <string.h>

#include "cli/toml.h"
#include "common/cleanup.h"

#define NAMES_MAX 16u

struct reader {
    struct program_manifest *manifest;
    struct cella_error *error;
    const char *section; /* for the error text: "[program] " */
};

struct field {
    const char *name;
    cella_result (*read)(const struct reader *reader, const struct field *field,
                         const struct toml_node *node, void *at);
    size_t offset; /* in what the section fills */
    int64_t low, high;
};

#define REFUSE(reader, node, code, format, ...)                                                    \
    cella_error_set((reader)->error, CELLA_RESULT(code), "%s:%u:%u: " format,                      \
                    (reader)->manifest->name, (node)->line, (node)->column, ##__VA_ARGS__)

static cella_result expect(const struct reader *reader, const struct toml_node *node,
                           enum toml_kind kind)
{
    if (node->kind != kind) {
        return REFUSE(reader, node, BAD_FIELD, "%s: expected %s, not %s",
                      node->key ? node->key : "item", toml_kind_name(kind),
                      toml_kind_name(node->kind));
    }
    return CELLA_OK;
}

static cella_result copy_text(const struct reader *reader, const char *text, const char **ret_text)
{
    *ret_text = program_manifest_copy(reader->manifest, text);
    CELLA_ENSURE(*ret_text != NULL, OUT_OF_MEMORY);
    return CELLA_OK;
}

static cella_result read_text(const struct reader *reader, const struct field *field,
                              const struct toml_node *node, void *at)
{
    CELLA_TRY(expect(reader, node, TOML_STRING));
    if (node->text[0] == 0) {
        return REFUSE(reader, node, BAD_FIELD, "%s is empty", field->name);
    }
    if (field->high && strlen(node->text) > (size_t)field->high) {
        return REFUSE(reader, node, LIMIT_EXCEEDED, "%s: longer than %lld bytes", field->name,
                      (long long)field->high);
    }
    return copy_text(reader, node->text, (const char **)at);
}

static cella_result read_content(const struct reader *reader, const struct field *field,
                                 const struct toml_node *node, void *at)
{
    (void)field;
    CELLA_TRY(expect(reader, node, TOML_STRING));
    return copy_text(reader, node->text, (const char **)at);
}

static cella_result read_path(const struct reader *reader, const struct field *field,
                              const struct toml_node *node, void *at)
{
    CELLA_TRY(expect(reader, node, TOML_STRING));
    const char *fault = program_path_fault(node->text);
    if (fault) {
        return REFUSE(reader, node, BAD_FIELD, "%s '%s': %s", field->name, node->text, fault);
    }
    return copy_text(reader, node->text, (const char **)at);
}

static cella_result read_boolean(const struct reader *reader, const struct field *field,
                                 const struct toml_node *node, void *at)
{
    (void)field;
    CELLA_TRY(expect(reader, node, TOML_BOOLEAN));
    *(bool *)at = node->boolean;
    return CELLA_OK;
}

static cella_result read_u32(const struct reader *reader, const struct field *field,
                             const struct toml_node *node, void *at)
{
    CELLA_TRY(expect(reader, node, TOML_INTEGER));
    if (node->integer < field->low || node->integer > field->high) {
        return REFUSE(reader, node, OUT_OF_RANGE, "%s is %lld; expected %lld to %lld", field->name,
                      (long long)node->integer, (long long)field->low, (long long)field->high);
    }
    *(uint32_t *)at = (uint32_t)node->integer;
    return CELLA_OK;
}

/* "64M": K, M and G are powers of 1024. */
static bool size_of_text(const char *text, uint64_t *ret_size)
{
    uint64_t value = 0;
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    const char *unit = text + digits;
    const unsigned shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0;
    unit += shift ? 1 : 0;
    *ret_size = value << shift;
    return *unit == 0 && value <= (uint64_t)INT64_MAX >> shift;
}

static cella_result read_size(const struct reader *reader, const struct field *field,
                              const struct toml_node *node, void *at)
{
    uint64_t size = node->kind == TOML_INTEGER ? (uint64_t)node->integer : 0;
    if (node->kind == TOML_STRING ? !size_of_text(node->text, &size)
                                  : node->kind != TOML_INTEGER || node->integer < 0) {
        return REFUSE(reader, node, BAD_FIELD,
                      "%s: expected a number of bytes, or \"64M\" (K, M or G)", field->name);
    }
    if (size < (uint64_t)field->low || size > (uint64_t)field->high || size % 4096 != 0) {
        return REFUSE(reader, node, OUT_OF_RANGE,
                      "%s is %llu; expected %lld to %lld in whole pages of 4096", field->name,
                      (unsigned long long)size, (long long)field->low, (long long)field->high);
    }
    *(uint64_t *)at = size;
    return CELLA_OK;
}

static cella_result read_name(const struct reader *reader, const struct field *field,
                              const struct toml_node *node, void *at)
{
    CELLA_TRY(expect(reader, node, TOML_STRING));
    if (strlen(node->text) >= CELLA_IMAGE_NAME_SIZE) {
        return REFUSE(reader, node, LIMIT_EXCEEDED, "%s: longer than %u bytes", field->name,
                      CELLA_IMAGE_NAME_SIZE - 1u);
    }
    strcpy((char *)at, node->text);
    return CELLA_OK;
}

/* Array of texts into *ret_list; the caller's limit is `high`. */
static cella_result read_texts(const struct reader *reader, const struct field *field,
                               const struct toml_node *node, const char *const **ret_list,
                               uint32_t *ret_count)
{
    uint32_t count = 0;
    CELLA_TRY(expect(reader, node, TOML_ARRAY));
    if (node->count > (uint64_t)field->high) {
        return REFUSE(reader, node, LIMIT_EXCEEDED, "%s: more than %lld", field->name,
                      (long long)field->high);
    }
    const char **list = (const char **)program_manifest_allocate(reader->manifest,
                                                                 sizeof(*list) * (node->count + 1));
    CELLA_ENSURE(list != NULL, OUT_OF_MEMORY);
    for (const struct toml_node *item = node->first; item; item = item->next) {
        if (item->kind != TOML_STRING) {
            return REFUSE(reader, item, BAD_FIELD, "%s: expected strings, not %s", field->name,
                          toml_kind_name(item->kind));
        }
        CELLA_TRY(copy_text(reader, item->text, &list[count++]));
    }
    *ret_list = list;
    *ret_count = count;
    return CELLA_OK;
}

static cella_result read_arguments(const struct reader *reader, const struct field *field,
                                   const struct toml_node *node, void *at)
{
    struct cella_program_config *config = &reader->manifest->config;
    (void)at;
    if (node->kind == TOML_ARRAY && node->count == 0) {
        return REFUSE(reader, node, BAD_FIELD, "arguments: the first is the program's name");
    }
    return read_texts(reader, field, node, &config->arguments, &config->argument_count);
}

static cella_result read_hosts(const struct reader *reader, const struct field *field,
                               const struct toml_node *node, void *at)
{
    struct cella_program_config *config = &reader->manifest->config;
    (void)at;
    CELLA_TRY(read_texts(reader, field, node, &config->hosts, &config->host_count));
    const struct toml_node *item = node->first;
    for (uint32_t i = 0; i < config->host_count; i++, item = item->next) {
        const char *host = config->hosts[i];
        if (host[0] == 0 || strlen(host) > 253 || strpbrk(host, " /:")) {
            return REFUSE(reader, item, BAD_FIELD, "names: '%s' is no host name", host);
        }
        if (strchr(host, '*') && (strcmp(host, "*") != 0 || config->host_count != 1)) {
            return REFUSE(reader, item, BAD_FIELD, "names: \"*\" stands alone, for all names");
        }
    }
    return CELLA_OK;
}

static cella_result read_threads(const struct reader *reader, const struct field *field,
                                 const struct toml_node *node, void *at)
{
    uint32_t threads = 0;
    (void)at;
    CELLA_TRY(read_u32(reader, field, node, &threads));
    reader->manifest->config.image.enclave_threads = threads - 1; /* the first is the main one */
    return CELLA_OK;
}

#define AT(member) offsetof(struct program_manifest, member)
static const struct field g_program[] = {
    {"executable", read_text, AT(executable), 0, 4095},
    {"path", read_path, AT(config.executable), 0, 0},
    {"arguments", read_arguments, 0, 0, PROGRAM_ARGUMENT_MAX},
    {"arguments_from_host", read_boolean, AT(config.arguments_from_host), 0, 0},
    {"directory", read_path, AT(config.directory), 0, 0},
    {"interpreter", read_text, AT(interpreter), 0, 4095},
    {"libraries", read_boolean, AT(libraries), 0, 0},
    {"user", read_u32, AT(config.user), 0, UINT32_MAX - 1ll},
    {"group", read_u32, AT(config.group), 0, UINT32_MAX - 1ll},
    {"host_name", read_text, AT(config.host_name), 0, 64},
    {0},
};
static const struct field g_enclave[] = {
    {"name", read_name, AT(config.image.name), 0, 0},
    {"debug", read_boolean, AT(config.image.debug), 0, 0},
    {"product_id", read_u32, AT(config.image.product_id), 0, UINT16_MAX},
    {"svn", read_u32, AT(config.image.svn), 0, UINT16_MAX},
    {"key", read_text, AT(key), 0, 4095},
    {"async_calls", read_boolean, AT(config.async), 0, 0},
    {0},
};
static const struct field g_memory[] = {
    {"max", read_size, AT(config.memory_max), 1 << 20, 1ll << 36},
    {"stack", read_size, AT(config.stack_size), 65536, 1ll << 30},
    {"executable", read_boolean, AT(config.executable_memory), 0, 0},
    {"kernel", read_size, AT(config.image.heap_size), 1 << 20, 1ll << 34},
    {0},
};
static const struct field g_limits[] = {
    {"threads", read_threads, 0, 1, 4096},
    {"cpus", read_u32, AT(config.cpu_max), 1, 4096},
    {"descriptors", read_u32, AT(config.descriptor_max), 16, 65536},
    {0},
};
static const struct field g_network[] = {
    {"names", read_hosts, 0, 0, PROGRAM_HOST_MAX},
    {0},
};
#undef AT

static cella_result unknown(const struct reader *reader, const struct toml_node *node,
                            const char *const *names)
{
    char list[256] = "";
    const char *near = program_word_near(node->key, names);
    if (near) {
        return cella_error_set(reader->error, CELLA_RESULT(BAD_FIELD),
                               "%s:%u:%u: unknown field '%.64s'%s; did you mean '%s'?",
                               reader->manifest->name, node->key_line, node->key_column, node->key,
                               reader->section, near);
    }
    for (size_t used = 0; *names && used + strlen(*names) + 3 < sizeof(list); names++) {
        used += (size_t)sprintf(list + used, "%s%s", used ? ", " : "", *names);
    }
    return cella_error_set(reader->error, CELLA_RESULT(BAD_FIELD),
                           "%s:%u:%u: unknown field '%.64s'%s; expected one of %s",
                           reader->manifest->name, node->key_line, node->key_column, node->key,
                           reader->section, list);
}

/* Every field of `table`, by its row of `fields`. */
static cella_result read_fields(const struct reader *reader, const struct field *fields,
                                const struct toml_node *table, void *base)
{
    for (const struct toml_node *node = table->first; node; node = node->next) {
        const struct field *field = fields;
        while (field->name && strcmp(field->name, node->key) != 0) {
            field++;
        }
        if (!field->name) {
            const char *names[NAMES_MAX + 1] = {0};
            for (unsigned i = 0; fields[i].name && i < NAMES_MAX; i++) {
                names[i] = fields[i].name;
            }
            return unknown(reader, node, names);
        }
        CELLA_TRY(field->read(reader, field, node, (uint8_t *)base + field->offset));
    }
    return CELLA_OK;
}

static cella_result read_environment(const struct reader *reader, const struct toml_node *table)
{
    static const struct field fields[] = {
        {"value", read_content, offsetof(struct cella_program_variable_config, value), 0, 0},
        {"from_host", read_boolean, offsetof(struct cella_program_variable_config, from_host), 0,
         0},
        {0},
    };
    struct cella_program_config *config = &reader->manifest->config;
    if (table->count > PROGRAM_VARIABLE_MAX) {
        return REFUSE(reader, table, LIMIT_EXCEEDED, "environment: more than %u variables",
                      PROGRAM_VARIABLE_MAX);
    }
    struct cella_program_variable_config *variables =
        (struct cella_program_variable_config *)program_manifest_allocate(
            reader->manifest, sizeof(*variables) * (table->count + 1));
    CELLA_ENSURE(variables != NULL, OUT_OF_MEMORY);
    uint32_t count = 0;
    for (const struct toml_node *node = table->first; node; node = node->next) {
        struct cella_program_variable_config *variable = &variables[count++];
        if (node->key[0] == 0 || strchr(node->key, '=')) {
            return REFUSE(reader, node, BAD_FIELD,
                          "environment: '%s' is no variable's name (empty, or with '=')",
                          node->key);
        }
        CELLA_TRY(copy_text(reader, node->key, &variable->name));
        if (node->kind == TOML_STRING) {
            CELLA_TRY(copy_text(reader, node->text, &variable->value));
        } else if (node->kind == TOML_TABLE) {
            CELLA_TRY(read_fields(reader, fields, node, variable));
        } else {
            return REFUSE(reader, node, BAD_FIELD,
                          "environment: %s: expected a string, or { value = …, from_host = true }",
                          node->key);
        }
        if (!variable->value && !variable->from_host) {
            return REFUSE(reader, node, BAD_FIELD,
                          "environment: %s has no value and is not taken from the host", node->key);
        }
    }
    config->environment = variables;
    config->environment_count = count;
    return CELLA_OK;
}

struct mount_spec {
    struct cella_program_mount_config mount;
    const char *type, *seal;
    bool read_only, read_write; /* as written; neither: the kind's own */
};

static cella_result read_only_of(const struct reader *reader, const struct field *field,
                                 const struct toml_node *node, void *at)
{
    struct mount_spec *spec = (struct mount_spec *)at;
    (void)field;
    CELLA_TRY(expect(reader, node, TOML_BOOLEAN));
    spec->read_only = node->boolean;
    spec->read_write = !node->boolean;
    return CELLA_OK;
}

static cella_result mount_kind(const struct reader *reader, const struct toml_node *table,
                               struct mount_spec *spec)
{
    static const char *const names[] = {"memory", "insecure_host", "encrypted", NULL};
    if (!spec->type) {
        return REFUSE(reader, table, BAD_FIELD,
                      "mount: no type; expected memory, insecure_host or encrypted");
    }
    for (unsigned i = 0; names[i]; i++) {
        if (strcmp(names[i], spec->type) == 0) {
            spec->mount.kind = (enum cella_program_mount_kind)(i + CELLA_PROGRAM_MOUNT_MEMORY);
            return CELLA_OK;
        }
    }
    if (strcmp(spec->type, "host") == 0 || strcmp(spec->type, "hostfs") == 0) {
        return REFUSE(
            reader, table, BAD_FIELD,
            "mount: type '%s': a folder of the host is spelled insecure_host, for nothing "
            "vouches for what it holds; or list what it must hold as files",
            spec->type);
    }
    const char *near = program_word_near(spec->type, names);
    return REFUSE(reader, table, BAD_FIELD,
                  "mount: type '%s'; expected memory, insecure_host or encrypted%s%s%s", spec->type,
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* What the fields mean together. */
static cella_result mount_check(const struct reader *reader, const struct toml_node *table,
                                struct mount_spec *spec)
{
    struct cella_program_mount_config *mount = &spec->mount;
    const struct cella_program_config *config = &reader->manifest->config;
    CELLA_TRY(mount_kind(reader, table, spec));
    if (!mount->target) {
        return REFUSE(reader, table, BAD_FIELD, "mount: no target");
    }
    if (mount->kind == CELLA_PROGRAM_MOUNT_MEMORY && mount->source) {
        return REFUSE(reader, table, BAD_FIELD, "mount '%s': memory has no source", mount->target);
    }
    if (mount->kind != CELLA_PROGRAM_MOUNT_MEMORY && !mount->source) {
        return REFUSE(reader, table, BAD_FIELD, "mount '%s': no source", mount->target);
    }
    if (spec->seal && mount->kind != CELLA_PROGRAM_MOUNT_ENCRYPTED) {
        return REFUSE(reader, table, BAD_FIELD, "mount '%s': seal is for encrypted mounts",
                      mount->target);
    }
    if (spec->seal && strcmp(spec->seal, "signer") == 0) {
        mount->flags |= CELLA_PROGRAM_MOUNT_SEAL_SIGNER;
    } else if (spec->seal && strcmp(spec->seal, "enclave") != 0) {
        return REFUSE(reader, table, BAD_FIELD, "mount '%s': seal '%s'; expected enclave or signer",
                      mount->target, spec->seal);
    }
    if (spec->read_only || (mount->kind == CELLA_PROGRAM_MOUNT_HOST && !spec->read_write)) {
        mount->flags |= CELLA_PROGRAM_MOUNT_READ_ONLY;
    }
    for (uint32_t i = 0; i < config->mount_count; i++) {
        if (strcmp(config->mounts[i].target, mount->target) == 0) {
            return REFUSE(reader, table, ALREADY_EXISTS, "mount '%s' is there twice",
                          mount->target);
        }
    }
    return CELLA_OK;
}

static cella_result read_mount(const struct reader *reader, const struct toml_node *table)
{
    static const struct field fields[] = {
        {"target", read_path, offsetof(struct mount_spec, mount.target), 0, 0},
        {"type", read_text, offsetof(struct mount_spec, type), 0, 32},
        {"source", read_text, offsetof(struct mount_spec, mount.source), 0, 4095},
        {"read_only", read_only_of, 0, 0, 0},
        {"seal", read_text, offsetof(struct mount_spec, seal), 0, 32},
        {0},
    };
    struct cella_program_config *config = &reader->manifest->config;
    struct mount_spec spec = {0};
    CELLA_TRY(read_fields(reader, fields, table, &spec));
    CELLA_TRY(mount_check(reader, table, &spec));
    if (config->mount_count >= PROGRAM_MOUNT_MAX) {
        return REFUSE(reader, table, LIMIT_EXCEEDED, "more than %u mounts", PROGRAM_MOUNT_MAX);
    }
    struct cella_program_mount_config *mounts =
        (struct cella_program_mount_config *)program_manifest_grow(
            reader->manifest, (void *)config->mounts, config->mount_count, sizeof(*mounts));
    CELLA_ENSURE(mounts != NULL, OUT_OF_MEMORY);
    mounts[config->mount_count++] = spec.mount;
    config->mounts = mounts;
    return CELLA_OK;
}

static cella_result file_check(const struct reader *reader, const struct toml_node *table,
                               const struct program_file *file)
{
    if (!file->path) {
        return REFUSE(reader, table, BAD_FIELD, "file: no path");
    }
    if ((file->source != NULL) + (file->link != NULL) + (file->text != NULL) != 1) {
        return REFUSE(reader, table, BAD_FIELD,
                      "file '%s': expected one of source, content and link", file->path);
    }
    if (!file->embed && !file->source) {
        return REFUSE(reader, table, BAD_FIELD, "file '%s': only a source can stay on the host",
                      file->path);
    }
    if (file->mode && file->link) {
        return REFUSE(reader, table, BAD_FIELD, "file '%s': a link has no mode", file->path);
    }
    return CELLA_OK;
}

static cella_result read_file(const struct reader *reader, const struct toml_node *table)
{
    static const struct field fields[] = {
        {"path", read_path, offsetof(struct program_file, path), 0, 0},
        {"source", read_text, offsetof(struct program_file, source), 0, 4095},
        {"content", read_content, offsetof(struct program_file, text), 0, 0},
        {"link", read_text, offsetof(struct program_file, link), 0, 4095},
        {"mode", read_u32, offsetof(struct program_file, mode), 1, 0777},
        {"embed", read_boolean, offsetof(struct program_file, embed), 0, 0},
        {0},
    };
    struct program_manifest *manifest = reader->manifest;
    struct program_file file = {.embed = true, .line = table->line, .column = table->column};
    CELLA_TRY(read_fields(reader, fields, table, &file));
    CELLA_TRY(file_check(reader, table, &file));
    struct program_file *files = (struct program_file *)program_manifest_grow(
        manifest, manifest->files, manifest->file_count, sizeof(*files));
    CELLA_ENSURE(files != NULL, OUT_OF_MEMORY);
    files[manifest->file_count++] = file;
    manifest->files = files;
    return CELLA_OK;
}

/* [[mount]] and [[file]]. */
static cella_result read_list(const struct reader *reader, const struct toml_node *array,
                              cella_result (*read)(const struct reader *reader,
                                                   const struct toml_node *table))
{
    if (array->kind != TOML_ARRAY) {
        return REFUSE(reader, array, BAD_FIELD, "%s: expected [[%s]], not %s", array->key,
                      array->key, toml_kind_name(array->kind));
    }
    for (const struct toml_node *item = array->first; item; item = item->next) {
        CELLA_TRY(expect(reader, item, TOML_TABLE));
        CELLA_TRY(read(reader, item));
    }
    return CELLA_OK;
}

static cella_result read_section(struct reader *reader, const struct toml_node *node)
{
    static const char *const names[] = {"program",     "enclave", "memory", "limits", "network",
                                        "environment", "mount",   "file",   NULL};
    static const struct field *const fields[] = {g_program, g_enclave, g_memory, g_limits,
                                                 g_network};
    static const char *const sections[] = {" in [program]", " in [enclave]", " in [memory]",
                                           " in [limits]",  " in [network]", " in [environment]",
                                           " in [[mount]]", " in [[file]]"};
    unsigned i = 0;
    while (names[i] && strcmp(names[i], node->key) != 0) {
        i++;
    }
    if (!names[i]) {
        reader->section = "";
        return unknown(reader, node, names);
    }
    reader->section = sections[i];
    if (i == 6 || i == 7) {
        return read_list(reader, node, i == 6 ? read_mount : read_file);
    }
    CELLA_TRY(expect(reader, node, TOML_TABLE));
    return i == 5 ? read_environment(reader, node)
                  : read_fields(reader, fields[i], node, reader->manifest);
}

/* What was not written. */
static cella_result complete(const struct reader *reader)
{
    struct program_manifest *manifest = reader->manifest;
    struct cella_program_config *config = &manifest->config;
    if (!manifest->executable) {
        return cella_error_set(reader->error, CELLA_RESULT(BAD_FIELD),
                               "%s: no executable in [program]", manifest->name);
    }
    if (!config->executable) {
        const char *slash = strrchr(manifest->executable, '/');
        const char *base = slash ? slash + 1 : manifest->executable;
        char *path = (char *)program_manifest_allocate(manifest, strlen(base) + 2);
        CELLA_ENSURE(path != NULL, OUT_OF_MEMORY);
        sprintf(path, "/%s", base);
        if (program_path_fault(path)) {
            return cella_error_set(reader->error, CELLA_RESULT(BAD_FIELD),
                                   "%s: executable '%s' names no file", manifest->name,
                                   manifest->executable);
        }
        config->executable = path;
    }
    if (config->argument_count == 0) {
        const char **arguments =
            (const char **)program_manifest_allocate(manifest, sizeof(*arguments));
        CELLA_ENSURE(arguments != NULL, OUT_OF_MEMORY);
        arguments[0] = config->executable;
        config->arguments = arguments;
        config->argument_count = 1;
    }
    if (config->image.name[0] == 0) {
        const char *base = strrchr(config->executable, '/') + 1;
        strncpy(config->image.name, base, sizeof(config->image.name) - 1);
    }
    return CELLA_OK;
}

cella_result program_manifest_parse_toml(struct cella_bytes text, const char *name,
                                         struct program_manifest *manifest,
                                         struct cella_error *error)
{
    CELLA_CLEANUP(toml_done) struct toml_document document = {0};
    struct reader reader = {.manifest = manifest, .error = error, .section = ""};
    if (!manifest->name) {
        manifest->name = program_manifest_copy(manifest, name);
        CELLA_ENSURE(manifest->name != NULL, OUT_OF_MEMORY);
    }
    CELLA_TRY(toml_parse(text, name, &document, error));
    for (const struct toml_node *node = document.root->first; node; node = node->next) {
        CELLA_TRY(read_section(&reader, node));
    }
    return complete(&reader);
}
