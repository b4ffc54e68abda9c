/*
 * enclave.json, the manifest of EGo's users: checked as EGo checks it, refused in its words. docs/program-manifest.md says
 * what each field becomes, ADR 0164 what is different (unknown fields are refused; heapSize is no limit).
 * Side: tools. Called by cli/program_manifest.c, ego and the fuzz target. Reads no file.
 */
#include "cli/program_manifest.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

struct reader {
    struct program_manifest *manifest;
    struct cella_bytes text;
    FILE *notes;
    struct cella_error *error;
};

struct ego_mount {
    const char *source, *target, *type;
    bool read_only;
};

struct ego_variable {
    const char *name, *value;
    bool from_host;
};

struct ego_file {
    const char *content, *source, *target;
};

struct ego_config {
    const char *exe, *key;
    bool debug, executable_heap;
    int64_t heap_size, product_id, security_version;
    struct ego_mount mounts[PROGRAM_MOUNT_MAX];
    struct ego_variable env[PROGRAM_VARIABLE_MAX];
    struct ego_file files[PROGRAM_VARIABLE_MAX];
    uint32_t mount_count, env_count, file_count;
};

enum field_kind {
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_INT,
    FIELD_MOUNTS,
    FIELD_ENV,
    FIELD_FILES,
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
};

#define AT(type, member) offsetof(struct type, member)
static const struct field g_top[] = {
    {"exe", FIELD_STRING, AT(ego_config, exe)},
    {"key", FIELD_STRING, AT(ego_config, key)},
    {"debug", FIELD_BOOL, AT(ego_config, debug)},
    {"heapSize", FIELD_INT, AT(ego_config, heap_size)},
    {"executableHeap", FIELD_BOOL, AT(ego_config, executable_heap)},
    {"productID", FIELD_INT, AT(ego_config, product_id)},
    {"securityVersion", FIELD_INT, AT(ego_config, security_version)},
    {"mounts", FIELD_MOUNTS, 0},
    {"env", FIELD_ENV, 0},
    {"files", FIELD_FILES, 0},
    {0},
};
static const struct field g_mount[] = {
    {"source", FIELD_STRING, AT(ego_mount, source)},
    {"target", FIELD_STRING, AT(ego_mount, target)},
    {"type", FIELD_STRING, AT(ego_mount, type)},
    {"readOnly", FIELD_BOOL, AT(ego_mount, read_only)},
    {0},
};
static const struct field g_env[] = {
    {"name", FIELD_STRING, AT(ego_variable, name)},
    {"value", FIELD_STRING, AT(ego_variable, value)},
    {"fromHost", FIELD_BOOL, AT(ego_variable, from_host)},
    {0},
};
static const struct field g_file[] = {
    {"content", FIELD_STRING, AT(ego_file, content)},
    {"source", FIELD_STRING, AT(ego_file, source)},
    {"target", FIELD_STRING, AT(ego_file, target)},
    {0},
};
#undef AT

#define REFUSE(reader, code, format, ...)                                                          \
    cella_error_set((reader)->error, CELLA_RESULT(code), format, ##__VA_ARGS__)

static void note(const struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(const struct reader *reader, const char *format, ...)
{
    if (reader->notes) {
        va_list arguments;
        va_start(arguments, format);
        vfprintf(reader->notes, format, arguments);
        va_end(arguments);
    }
}

static const char *text_of(const struct reader *reader, const json_t *value)
{
    return program_manifest_copy(reader->manifest, json_string_value(value));
}

/* The words of Go's decoder. */
static cella_result wrong_type(const struct reader *reader, const json_t *value, const char *path,
                               const char *type)
{
    char found[64];
    if (json_is_real(value)) {
        snprintf(found, sizeof(found), "number %.17g", json_real_value(value));
    } else {
        snprintf(found, sizeof(found), "%s",
                 json_is_string(value)    ? "string"
                 : json_is_integer(value) ? "number"
                 : json_is_boolean(value) ? "bool"
                 : json_is_array(value)   ? "array"
                                          : "object");
    }
    if (!strchr(path, '.')) {
        return REFUSE(reader, BAD_FIELD, "json: cannot unmarshal %s into Go value of type %s",
                      found, type);
    }
    return REFUSE(reader, BAD_FIELD, "json: cannot unmarshal %s into Go struct field %s of type %s",
                  found, path, type);
}

/* Line and column of the first key that is spelled like this. */
static void place_of(const struct reader *reader, const char *key, unsigned *ret_line,
                     unsigned *ret_column)
{
    const size_t size = strlen(key);
    unsigned line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i + size + 1 < reader->text.size; i++) {
        const char *at = (const char *)reader->text.data + i;
        if (*at == '\n') {
            line++;
            line_start = i + 1;
        }
        if (*at == '"' && memcmp(at + 1, key, size) == 0 && at[size + 1] == '"') {
            size_t j = i + size + 2;
            while (j < reader->text.size && strchr(" \t\r\n", reader->text.data[j]) &&
                   reader->text.data[j]) {
                j++;
            }
            if (j < reader->text.size && reader->text.data[j] == ':') {
                *ret_line = line;
                *ret_column = (unsigned)(i - line_start) + 1;
                return;
            }
        }
    }
    *ret_line = *ret_column = 1;
}

static cella_result unknown(const struct reader *reader, const struct field *fields,
                            const char *key)
{
    const char *names[16] = {0};
    unsigned line, column;
    for (unsigned i = 0; fields[i].name; i++) {
        names[i] = fields[i].name;
    }
    const char *near = program_word_near(key, names);
    place_of(reader, key, &line, &column);
    return REFUSE(reader, BAD_FIELD, "%s:%u:%u: unknown field '%.64s'%s%s%s",
                  reader->manifest->name, line, column, key, near ? "; did you mean '" : "",
                  near ? near : "", near ? "'?" : "");
}

/* As Go matches keys: without case. */
static const struct field *field_of(const struct field *fields, const char *key)
{
    for (; fields->name; fields++) {
        if (strcasecmp(fields->name, key) == 0) {
            return fields;
        }
    }
    return NULL;
}

static cella_result read_object(const struct reader *reader, const struct field *fields,
                                const json_t *object, const char *path, void *base);

/* An array of objects; `ret_count` items of `size` bytes each from `items` on. */
static cella_result read_items(const struct reader *reader, const struct field *fields,
                               const json_t *array, const char *path, const char *type, void *items,
                               size_t size, uint32_t max, uint32_t *ret_count)
{
    if (!json_is_array(array)) {
        return wrong_type(reader, array, path, type);
    }
    if (json_array_size(array) > max) {
        return REFUSE(reader, LIMIT_EXCEEDED, "%s: more than %u", path, max);
    }
    *ret_count = (uint32_t)json_array_size(array);
    memset(items, 0, size * *ret_count);
    for (uint32_t i = 0; i < *ret_count; i++) {
        CELLA_TRY(read_object(reader, fields, json_array_get(array, i), path,
                              (uint8_t *)items + size * i));
    }
    return CELLA_OK;
}

static cella_result read_field(const struct reader *reader, const struct field *field,
                               const json_t *value, const char *path, void *base)
{
    struct ego_config *config = (struct ego_config *)base;
    uint8_t *at = (uint8_t *)base + field->offset;
    if (json_is_null(value)) {
        return CELLA_OK;
    }
    switch (field->kind) {
    case FIELD_STRING:
        if (!json_is_string(value)) {
            return wrong_type(reader, value, path, "string");
        }
        if (strlen(json_string_value(value)) != json_string_length(value)) {
            return REFUSE(reader, BAD_FIELD, "%s: a zero byte in the text", path);
        }
        *(const char **)at = text_of(reader, value);
        CELLA_ENSURE(*(const char **)at != NULL, OUT_OF_MEMORY);
        return CELLA_OK;
    case FIELD_BOOL:
        if (!json_is_boolean(value)) {
            return wrong_type(reader, value, path, "bool");
        }
        *(bool *)at = json_is_true(value);
        return CELLA_OK;
    case FIELD_INT:
        if (!json_is_integer(value)) {
            return wrong_type(reader, value, path, "int");
        }
        *(int64_t *)at = json_integer_value(value);
        return CELLA_OK;
    case FIELD_MOUNTS:
        return read_items(reader, g_mount, value, path, "[]config.FileSystemMount", config->mounts,
                          sizeof(config->mounts[0]), PROGRAM_MOUNT_MAX, &config->mount_count);
    case FIELD_ENV:
        return read_items(reader, g_env, value, path, "[]config.EnvVar", config->env,
                          sizeof(config->env[0]), PROGRAM_VARIABLE_MAX, &config->env_count);
    case FIELD_FILES:
        return read_items(reader, g_file, value, path, "[]config.File", config->files,
                          sizeof(config->files[0]), PROGRAM_VARIABLE_MAX, &config->file_count);
    }
    return CELLA_RESULT(INTERNAL);
}

static cella_result read_object(const struct reader *reader, const struct field *fields,
                                const json_t *object, const char *path, void *base)
{
    const char *key;
    json_t *value;
    if (json_is_null(object)) {
        return CELLA_OK;
    }
    if (!json_is_object(object)) {
        return wrong_type(reader, object, path,
                          fields == g_top     ? "config.Config"
                          : fields == g_mount ? "config.FileSystemMount"
                          : fields == g_env   ? "config.EnvVar"
                                              : "config.File");
    }
    json_object_foreach((json_t *)object, key, value)
    {
        char below[128];
        const struct field *field = field_of(fields, key);
        if (!field) {
            return unknown(reader, fields, key);
        }
        snprintf(below, sizeof(below), "%s.%s", path, field->name);
        CELLA_TRY(read_field(reader, field, value, below, base));
    }
    return CELLA_OK;
}

static bool is_empty(const char *text)
{
    return !text || text[0] == 0;
}

static cella_result check_mount(const struct reader *reader, const struct ego_config *config,
                                uint32_t index)
{
    const struct ego_mount *mount = &config->mounts[index];
    if (is_empty(mount->target)) {
        return REFUSE(reader, BAD_FIELD, "missing target for mount declaration");
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(config->mounts[i].target, mount->target) == 0) {
            note(reader,
                 "ERROR: '%s': Mount point was defined multiple times. Check your configuration.\n",
                 mount->target);
            return REFUSE(reader, ALREADY_EXISTS, "mount target '%s' was defined multiple times",
                          mount->target);
        }
    }
    if (is_empty(mount->type)) {
        return REFUSE(reader, BAD_FIELD, "missing type for mount target '%s'", mount->target);
    }
    const bool hostfs = strcmp(mount->type, "hostfs") == 0;
    const bool memfs = strcmp(mount->type, "memfs") == 0;
    if (hostfs && is_empty(mount->source)) {
        return REFUSE(reader, BAD_FIELD, "no source given for mount target '%s", mount->target);
    }
    if (!hostfs && !memfs) {
        note(reader, "ERROR: '%s': Only mount types 'hostfs' and 'memfs' are accepted.\n",
             mount->target);
        return REFUSE(reader, BAD_FIELD, "an invalid mount type was specified: %s", mount->type);
    }
    if (memfs && !is_empty(mount->source) && strcmp(mount->source, "/") != 0) {
        note(reader,
             "WARNING: '%s': The mount point of type 'memfs' specified a source directory, will be "
             "ignored.\n",
             mount->target);
    }
    if (memfs && mount->read_only) {
        note(reader,
             "WARNING: '%s': The mount point of type 'memfs' is set as read-only, making it "
             "effectively useless. Check your configuration.\n",
             mount->target);
    }
    if (hostfs && strcmp(mount->target, "/") == 0) {
        note(reader,
             "WARNING: '%s' is defined as 'hostfs'. This might be insecure, please make sure you "
             "explicitly allow the paths you want to expose to the enclave.\n",
             mount->target);
    }
    return CELLA_OK;
}

static cella_result check_variable(const struct reader *reader, const struct ego_config *config,
                                   uint32_t index)
{
    const struct ego_variable *variable = &config->env[index];
    if (is_empty(variable->name)) {
        return REFUSE(reader, BAD_FIELD,
                      "missing name for environment variable definition in config");
    }
    if (strchr(variable->name, '=')) {
        return REFUSE(reader, BAD_FIELD,
                      "'%s': = is a disallowed character for the environment variable name",
                      variable->name);
    }
    if (!variable->from_host && is_empty(variable->value)) {
        note(reader,
             "WARNING: '%s': Trying to initialize an environment variable without a value "
             "specified, nor copying it from the host system. Will be ignored. \n",
             variable->name);
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(config->env[i].name, variable->name) == 0) {
            note(reader,
                 "ERROR: '%s': Environment variable was defined multiple times. Check your "
                 "configuration.\n",
                 variable->name);
            /* sic: their text */
            return REFUSE(reader, ALREADY_EXISTS,
                          "envrionment variable '%s' was defined multiple times", variable->name);
        }
    }
    return CELLA_OK;
}

/* What EGo checks when it reads the file, in its order; then what its signer would refuse. */
static cella_result check(const struct reader *reader, const struct ego_config *config)
{
    if (config->heap_size == 0) {
        return REFUSE(reader, BAD_FIELD, "heapSize not set in config file");
    }
    if (is_empty(config->exe)) {
        return REFUSE(reader, BAD_FIELD, "exe not set in config file");
    }
    if (is_empty(config->key)) {
        return REFUSE(reader, BAD_FIELD, "key not set in config file");
    }
    for (uint32_t i = 0; i < config->mount_count; i++) {
        CELLA_TRY(check_mount(reader, config, i));
    }
    for (uint32_t i = 0; i < config->env_count; i++) {
        CELLA_TRY(check_variable(reader, config, i));
    }
    if (config->heap_size < 0 || config->heap_size > 1ll << 24) {
        return REFUSE(reader, OUT_OF_RANGE, "heapSize is %lld; expected 1 to %lld (MB)",
                      (long long)config->heap_size, 1ll << 24);
    }
    if (config->product_id < 0 || config->product_id > UINT16_MAX) {
        return REFUSE(reader, OUT_OF_RANGE, "productID is %lld; expected 0 to 65535",
                      (long long)config->product_id);
    }
    if (config->security_version < 0 || config->security_version > UINT16_MAX) {
        return REFUSE(reader, OUT_OF_RANGE, "securityVersion is %lld; expected 0 to 65535",
                      (long long)config->security_version);
    }
    return CELLA_OK;
}

/* FOLDER/PATH, made plain: no '.', '..' and '//' where they can be resolved in the text. */
static char *path_join(struct program_manifest *manifest, const char *folder, const char *path)
{
    const bool alone = path[0] == '/' || folder[0] == 0;
    const size_t size = strlen(folder) + strlen(path) + 3;
    char *joined = (char *)program_manifest_allocate(manifest, size);
    char *out = (char *)program_manifest_allocate(manifest, size);
    if (!joined || !out) {
        return NULL;
    }
    sprintf(joined, "%s%s%s", alone ? "" : folder, alone ? "" : "/", path);
    const bool absolute = joined[0] == '/';
    size_t used = 0, fixed = 0; /* bytes of out; those that no '..' takes back */
    char *rest = NULL;
    for (char *part = strtok_r(joined, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (strcmp(part, ".") == 0) {
            continue;
        }
        if (strcmp(part, "..") == 0 && (used > fixed || absolute)) {
            while (used > fixed && out[--used] != '/') {
            }
            out[used] = 0;
            continue;
        }
        used += (size_t)sprintf(out + used, "%s%s", used || absolute ? "/" : "", part);
        fixed = strcmp(part, "..") == 0 ? used : fixed;
    }
    if (used == 0) {
        strcpy(out, absolute ? "/" : ".");
    }
    return out;
}

static cella_result convert_mounts(const struct reader *reader, const struct ego_config *config)
{
    struct program_manifest *manifest = reader->manifest;
    struct cella_program_mount_config *mounts =
        (struct cella_program_mount_config *)program_manifest_allocate(
            manifest, sizeof(*mounts) * (config->mount_count + 1));
    CELLA_ENSURE(mounts != NULL, OUT_OF_MEMORY);
    for (uint32_t i = 0; i < config->mount_count; i++) {
        const struct ego_mount *mount = &config->mounts[i];
        const bool hostfs = strcmp(mount->type, "hostfs") == 0;
        const struct cella_program_mount_config converted = {
            .target = path_join(manifest, "/", mount->target),
            .source = hostfs ? mount->source : NULL,
            .kind = hostfs ? CELLA_PROGRAM_MOUNT_HOST : CELLA_PROGRAM_MOUNT_MEMORY,
            .flags = mount->read_only ? CELLA_PROGRAM_MOUNT_READ_ONLY : 0,
        };
        CELLA_ENSURE(converted.target != NULL, OUT_OF_MEMORY);
        uint32_t at = i; /* in the order of their targets' lengths, as EGo mounts them */
        while (at > 0 && strlen(mounts[at - 1].target) > strlen(converted.target)) {
            mounts[at] = mounts[at - 1];
            at--;
        }
        mounts[at] = converted;
    }
    manifest->config.mounts = mounts;
    manifest->config.mount_count = config->mount_count;
    return CELLA_OK;
}

static cella_result convert_environment(const struct reader *reader,
                                        const struct ego_config *config)
{
    struct program_manifest *manifest = reader->manifest;
    uint32_t count = 0;
    struct cella_program_variable_config *variables =
        (struct cella_program_variable_config *)program_manifest_allocate(
            manifest, sizeof(*variables) * (config->env_count + 1));
    CELLA_ENSURE(variables != NULL, OUT_OF_MEMORY);
    for (uint32_t i = 0; i < config->env_count; i++) {
        const struct ego_variable *variable = &config->env[i];
        const char *value = is_empty(variable->value) ? NULL : variable->value;
        if (!value && !variable->from_host) {
            continue;
        }
        if (strcmp(variable->name, "PWD") == 0 && value) {
            manifest->config.directory = path_join(manifest, "/", value);
            CELLA_ENSURE(manifest->config.directory != NULL, OUT_OF_MEMORY);
        }
        variables[count++] = (struct cella_program_variable_config){
            .name = variable->name, .value = value, .from_host = variable->from_host};
    }
    variables[count++] =
        (struct cella_program_variable_config){.name = "OE_IS_ENCLAVE", .value = "1"};
    manifest->config.environment = variables;
    manifest->config.environment_count = count;
    return CELLA_OK;
}

/* The later of two for the same target wins, as written files do. */
static cella_result convert_files(const struct reader *reader, const struct ego_config *config)
{
    struct program_manifest *manifest = reader->manifest;
    struct program_file *files = (struct program_file *)program_manifest_allocate(
        manifest, sizeof(*files) * (config->file_count + 1));
    CELLA_ENSURE(files != NULL, OUT_OF_MEMORY);
    for (uint32_t i = 0; i < config->file_count; i++) {
        const struct ego_file *file = &config->files[i];
        uint32_t at = 0;
        if (is_empty(file->target)) {
            return REFUSE(reader, BAD_FIELD, "missing target for file declaration");
        }
        if (is_empty(file->source)) {
            return REFUSE(reader, BAD_FIELD,
                          "failed to populate embedded file content: open : no such file or "
                          "directory");
        }
        const char *path = path_join(manifest, "/", file->target);
        CELLA_ENSURE(path != NULL, OUT_OF_MEMORY);
        while (at < manifest->file_count && strcmp(files[at].path, path) != 0) {
            at++;
        }
        files[at] = (struct program_file){
            .path = path, .source = file->source, .mode = 0600, .embed = true};
        manifest->file_count += at == manifest->file_count ? 1 : 0;
    }
    manifest->files = files;
    return CELLA_OK;
}

static cella_result convert(const struct reader *reader, const struct ego_config *config)
{
    struct program_manifest *manifest = reader->manifest;
    struct cella_program_config *program = &manifest->config;
    const char *folder = manifest->folder ? manifest->folder : "";
    manifest->from_ego = true;
    manifest->ego_heap_size = config->heap_size;
    manifest->executable = path_join(manifest, folder, config->exe);
    manifest->key = path_join(manifest, folder, config->key);
    CELLA_ENSURE(manifest->executable && manifest->key, OUT_OF_MEMORY);
    const char *slash = strrchr(manifest->executable, '/');
    const char *base = slash ? slash + 1 : manifest->executable;
    program->executable = path_join(manifest, "/", base);
    const char **arguments = (const char **)program_manifest_allocate(manifest, sizeof(*arguments));
    const char **hosts = (const char **)program_manifest_allocate(manifest, sizeof(*hosts));
    CELLA_ENSURE(program->executable && arguments && hosts, OUT_OF_MEMORY);
    if (program_path_fault(program->executable) || strcmp(program->executable, "/") == 0) {
        return REFUSE(reader, BAD_FIELD, "exe '%s' names no file", config->exe);
    }
    arguments[0] = config->exe;
    hosts[0] = "*"; /* EGo's resolver is the host's */
    program->arguments = arguments;
    program->argument_count = 1;
    program->hosts = hosts;
    program->host_count = 1;
    program->arguments_from_host = true;
    program->ego = true;
    program->executable_memory = config->executable_heap;
    program->image.debug = config->debug;
    program->image.product_id = (uint32_t)config->product_id;
    program->image.svn = (uint32_t)config->security_version;
    strncpy(program->image.name, base, sizeof(program->image.name) - 1);
    CELLA_TRY(convert_mounts(reader, config));
    CELLA_TRY(convert_environment(reader, config));
    return convert_files(reader, config);
}

cella_result program_manifest_parse_ego(struct cella_bytes text, const char *name,
                                        struct program_manifest *manifest, FILE *notes,
                                        struct cella_error *error)
{
    const struct reader reader = {
        .manifest = manifest, .text = text, .notes = notes, .error = error};
    json_error_t why;
    if (!manifest->name) {
        manifest->name = program_manifest_copy(manifest, name);
        CELLA_ENSURE(manifest->name != NULL, OUT_OF_MEMORY);
    }
    if (text.size > PROGRAM_MANIFEST_SIZE_MAX) {
        return REFUSE(&reader, LIMIT_EXCEEDED, "%s: larger than %u bytes", name,
                      PROGRAM_MANIFEST_SIZE_MAX);
    }
    struct ego_config *config =
        (struct ego_config *)program_manifest_allocate(manifest, sizeof(*config));
    CELLA_ENSURE(config != NULL, OUT_OF_MEMORY);
    json_t *json = json_loadb((const char *)text.data, text.size, JSON_ALLOW_NUL, &why);
    if (!json) {
        return REFUSE(&reader, BAD_SYNTAX, "%s:%d:%d: %s", name, why.line, why.column, why.text);
    }
    cella_result result = read_object(&reader, g_top, json, "Config", config);
    json_decref(json);
    CELLA_TRY(result);
    CELLA_TRY(check(&reader, config));
    return convert(&reader, config);
}

char *program_manifest_ego_default(const char *executable)
{
    char *text = NULL;
    json_t *string = json_string(executable);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    if (!quoted || asprintf(&text,
                            "{\n"
                            " \"exe\": %s,\n"
                            " \"key\": \"private.pem\",\n"
                            " \"debug\": true,\n"
                            " \"heapSize\": 512,\n"
                            " \"executableHeap\": false,\n"
                            " \"productID\": 1,\n"
                            " \"securityVersion\": 1,\n"
                            " \"mounts\": null,\n"
                            " \"env\": null,\n"
                            " \"files\": null\n"
                            "}",
                            quoted) < 0) {
        text = NULL;
    }
    free(quoted);
    return text;
}
