/*
 * A project: a folder with host/, enclave/ and the file cella.project.
 * Side: tools. Called by cella build, run and new.
 * Never runs anything.
 */
#include "cli/project.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/file.h"
#include "common/cleanup.h"
#include "enclave/recipe.h"

#define PROJECT_SIZE_MAX 65536u

struct line {
    const char *path;
    unsigned number;
    char *key;
    char *value;
};

bool project_name_is_good(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_') {
            return false;
        }
    }
    return length > 0 && length < PROJECT_NAME_MAX && name[0] != '-';
}

bool project_has_module(const struct project *project, const char *name)
{
    for (unsigned i = 0; i < project->modules.count; i++) {
        if (strcmp(project->modules.words[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool project_builds_itself(const struct project *project)
{
    return project->build.count > 0;
}

static cella_result set_words(struct project_words *words, const struct line *line,
                              struct cella_error *error)
{
    if (strlen(line->value) >= sizeof(words->text)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                               "%s:%u: %s: longer than %d bytes", line->path, line->number,
                               line->key, PROJECT_TEXT_MAX - 1);
    }
    strcpy(words->text, line->value);
    words->count = 0;
    for (char *rest = NULL, *word = strtok_r(words->text, " \t", &rest); word;
         word = strtok_r(NULL, " \t", &rest)) {
        if (words->count == PROJECT_WORDS_MAX) {
            return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED),
                                   "%s:%u: %s: more than %d words", line->path, line->number,
                                   line->key, PROJECT_WORDS_MAX);
        }
        words->words[words->count++] = word;
    }
    return CELLA_OK;
}

static cella_result set_name(struct project *project, const struct line *line,
                             struct cella_error *error)
{
    if (!project_name_is_good(line->value)) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s:%u: name: expected letters, digits, '-' and '_', at most %d",
                               line->path, line->number, PROJECT_NAME_MAX - 1);
    }
    strcpy(project->name, line->value);
    return CELLA_OK;
}

static cella_result set_libc(struct project *project, const struct line *line,
                             struct cella_error *error)
{
    static const char *const names[] = {"none", "musl", "glibc"};
    for (unsigned i = 0; i < CELLA_COUNT(names); i++) {
        if (strcmp(line->value, names[i]) == 0) {
            project->libc = (enum project_libc)i;
            return CELLA_OK;
        }
    }
    return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                           "%s:%u: libc: expected none, musl or glibc, not '%s'", line->path,
                           line->number, line->value);
}

static cella_result set_host_crypto(struct project *project, const struct line *line,
                                    struct cella_error *error)
{
    project->host_static_crypto = strcmp(line->value, "static") == 0;
    if (!project->host_static_crypto && strcmp(line->value, "shared") != 0) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s:%u: host_crypto: expected static or shared, not '%s'",
                               line->path, line->number, line->value);
    }
    return CELLA_OK;
}

static cella_result set_modules(struct project *project, const struct line *line,
                                struct cella_error *error)
{
#define X(name) #name,
    static const char *const known[] = {"attest", "evidence", "protected",
                                        "seal",   "tls",      CELLA_RECIPE_MODULES(X)};
#undef X
    CELLA_TRY(set_words(&project->modules, line, error));
    for (unsigned i = 0; i < project->modules.count; i++) {
        bool found = false;
        for (unsigned j = 0; j < CELLA_COUNT(known); j++) {
            found = found || strcmp(project->modules.words[i], known[j]) == 0;
        }
        if (!found) {
            return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                                   "%s:%u: modules: '%s' is none of attest, evidence, protected, "
                                   "seal, tls, clock, dirs, epoll, "
                                   "files, ids, pipes, poll, resolver, sockets, uname",
                                   line->path, line->number, project->modules.words[i]);
        }
    }
    return CELLA_OK;
}

/* Its name is the name of the generated files, and a part of C identifiers. */
static cella_result set_edl(struct project *project, const struct line *line,
                            struct cella_error *error)
{
    const size_t length = strlen(line->value);
    bool good = length > 4 && length < sizeof(project->edl) &&
                strcmp(line->value + length - 4, ".edl") == 0 &&
                !isdigit((unsigned char)line->value[0]);
    for (size_t i = 0; good && i < length - 4; i++) {
        good = isalnum((unsigned char)line->value[i]) || line->value[i] == '_';
    }
    if (!good) {
        return cella_error_set(
            error, CELLA_RESULT(BAD_FIELD),
            "%s:%u: edl: expected NAME.edl, a file of the project's folder whose "
            "name is letters, digits and '_', not '%s'",
            line->path, line->number, line->value);
    }
    strcpy(project->edl, line->value);
    return CELLA_OK;
}

static cella_result set_value(struct project *project, const struct line *line,
                              struct cella_error *error)
{
    if (strcmp(line->key, "name") == 0) {
        return set_name(project, line, error);
    }
    if (strcmp(line->key, "libc") == 0) {
        return set_libc(project, line, error);
    }
    if (strcmp(line->key, "host_crypto") == 0) {
        return set_host_crypto(project, line, error);
    }
    if (strcmp(line->key, "modules") == 0) {
        return set_modules(project, line, error);
    }
    if (strcmp(line->key, "libraries") == 0) {
        return set_words(&project->libraries, line, error);
    }
    if (strcmp(line->key, "enclave_flags") == 0) {
        return set_words(&project->enclave_flags, line, error);
    }
    if (strcmp(line->key, "host_libraries") == 0) {
        return set_words(&project->host_libraries, line, error);
    }
    if (strcmp(line->key, "host_flags") == 0) {
        return set_words(&project->host_flags, line, error);
    }
    if (strcmp(line->key, "build") == 0) {
        return set_words(&project->build, line, error);
    }
    if (strcmp(line->key, "edl") == 0) {
        return set_edl(project, line, error);
    }
    const struct {
        const char *key;
        char *path;
    } paths[] = {{"key", project->key}, {"host", project->host}, {"image", project->image}};
    for (size_t i = 0; i < CELLA_COUNT(paths); i++) {
        if (strcmp(line->key, paths[i].key) == 0 && strlen(line->value) < sizeof(project->key)) {
            strcpy(paths[i].path, line->value);
            return CELLA_OK;
        }
    }
    return cella_error_set(
        error, CELLA_RESULT(BAD_FIELD),
        "%s:%u: unknown key '%s'; there are name, libc, edl, modules, "
        "libraries, enclave_flags, host_libraries, host_flags, host_crypto, key; or build, "
        "host, image for a project with a build of its own",
        line->path, line->number, line->key);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        text[--length] = '\0';
    }
    return text;
}

/* One line of the file, without its end; changed in place. */
static cella_result read_line(struct project *project, const char *path, unsigned number,
                              char *text, struct cella_error *error)
{
    text[strcspn(text, "#")] = '\0';
    text = trim(text);
    if (*text == '\0') {
        return CELLA_OK;
    }
    char *equals = strchr(text, '=');
    if (!equals) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s:%u: expected 'key = value'",
                               path, number);
    }
    *equals = '\0';
    struct line line = {path, number, trim(text), trim(equals + 1)};
    return set_value(project, &line, error);
}

cella_result project_parse(struct cella_bytes text, const char *path, struct project *ret_project,
                           struct cella_error *error)
{
    unsigned number = 1;
    memset(ret_project, 0, sizeof(*ret_project));
    ret_project->libc = PROJECT_LIBC_GLIBC;
    for (size_t at = 0; at < text.size; number++) {
        char line[2048];
        const uint8_t *end = memchr(text.data + at, '\n', text.size - at);
        size_t length = end ? (size_t)(end - (text.data + at)) : text.size - at;
        if (length >= sizeof(line) || memchr(text.data + at, 0, length)) {
            return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX),
                                   "%s:%u: a line longer than %zu bytes, or a zero byte", path,
                                   number, sizeof(line) - 1);
        }
        memcpy(line, text.data + at, length);
        line[length] = '\0';
        CELLA_TRY(read_line(ret_project, path, number, line, error));
        at += length + 1;
    }
    if (ret_project->name[0] == '\0') {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD), "%s: no 'name = NAME'", path);
    }
    if (project_builds_itself(ret_project) != (ret_project->host[0] && ret_project->image[0]) ||
        !ret_project->host[0] != !ret_project->image[0]) {
        return cella_error_set(error, CELLA_RESULT(BAD_FIELD),
                               "%s: build, host and image go together: the command, and the two "
                               "files that it makes",
                               path);
    }
    return CELLA_OK;
}

cella_result project_read(const char *folder, struct project *ret_project,
                          struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    char path[sizeof(ret_project->folder) + 32];
    if (strlen(folder) >= sizeof(ret_project->folder)) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: path too long", folder);
    }
    snprintf(path, sizeof(path), "%s/%s", folder, PROJECT_FILE);
    CELLA_TRY(cella_file_read(path, PROJECT_SIZE_MAX, &file, error));
    CELLA_TRY(project_parse(cella_file_bytes(&file), path, ret_project, error));
    strcpy(ret_project->folder, folder);
    return CELLA_OK;
}
