/*
 * `ego env` and `ego install`: a command in the environment of builds; packages of the SGX stack from a list.
 * Side: tools. Called by ego.c. Runs what it is told to, and what the list's owner wrote after asking.
 */
#include <cpuid.h>
#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ego.h"
#include "common/cleanup.h"
#include "services/common/fetch.h"

#define INSTALL_URL "https://raw.githubusercontent.com/edgelesssys/ego/master/src/install.json"
#define INSTALL_SIZE_MAX (1u << 20)
#define INSTALL_SECONDS 30u

/* ------------------------------------------------------------------ env */

int ego_env(int argc, char **argv)
{
    struct cella_error error = {0};
    char go[EGO_PATH_MAX];
    char *path = NULL;
    (void)argc;
    if (!go_tool_find(go, sizeof(go), &error) || !go_tool_environment(&error)) {
        fprintf(stderr, "ego env: %s\n", error.text);
        return 1;
    }
    if (strcmp(argv[1], "go") == 0) {
        argv[1] = go;
    }
    /* That Go is the first in PATH. */
    char *slash = strrchr(go, '/');
    const char *old = getenv("PATH");
    if (slash && asprintf(&path, "%.*s:%s", (int)(slash - go), go, old ? old : "") > 0) {
        setenv("PATH", path, 1);
        free(path);
    }
    execvp(argv[1], argv + 1);
    fprintf(stderr, "ego env: %s: %s\n", argv[1], strerror(errno));
    return 1;
}

/* ------------------------------------------------------------------ install */

static const char *sgx_level(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & 1u << 2)) {
        return "nonsgx";
    }
    return ecx & 1u << 30 ? "flc" : "nonflc";
}

/* The value of NAME= in /etc/os-release, without quotes. */
static bool release_value(struct cella_bytes text, const char *name, char *ret_value, size_t size)
{
    const size_t length = strlen(name);
    for (size_t at = 0; at < text.size;) {
        const char *line = (const char *)text.data + at;
        const char *end = (const char *)memchr(line, '\n', text.size - at);
        size_t line_size = end ? (size_t)(end - line) : text.size - at;
        at += line_size + 1;
        if (line_size > length && memcmp(line, name, length) == 0 && line[length] == '=') {
            const char *value = line + length + 1;
            size_t value_size = line_size - length - 1;
            if (value_size >= 2 && value[0] == '"' && value[value_size - 1] == '"') {
                value++;
                value_size -= 2;
            }
            return value_size > 0 &&
                   (size_t)snprintf(ret_value, size, "%.*s", (int)value_size, value) < size;
        }
    }
    return false;
}

static cella_result system_name(char *ret_name, size_t size, struct cella_error *error)
{
    static const char file_name[] = "/etc/os-release";
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    char id[64], version[64];
    CELLA_TRY(cella_file_read(file_name, INSTALL_SIZE_MAX, &file, error));
    if (!release_value(cella_file_bytes(&file), "ID", id, sizeof(id))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "value 'ID' not found in %s",
                               file_name);
    }
    if (!release_value(cella_file_bytes(&file), "VERSION_ID", version, sizeof(version))) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "value 'VersionID' not found in %s",
                               file_name);
    }
    snprintf(ret_name, size, "%s-%s-%s", id, version, sgx_level());
    return CELLA_OK;
}

static cella_result fetch_list(json_t **ret_list, struct cella_error *error)
{
    CELLA_CLEANUP(fetch_done) struct fetch_answer answer = {0};
    const struct fetch_options options = {.seconds = INSTALL_SECONDS, .size_max = INSTALL_SIZE_MAX};
    const char *url = getenv("EGO_INSTALL_URL");
    json_error_t why;
    if (url && *url) {
        printf("Warning: EGO_INSTALL_URL has been set to override installation data url: %s\n",
               url);
    } else {
        url = INSTALL_URL;
    }
    CELLA_TRY(fetch_get(url, &options, &answer, error));
    if (answer.status != 200) {
        return cella_error_set(error, CELLA_RESULT(IO), "http response has status %d",
                               answer.status);
    }
    *ret_list = json_loadb(answer.body, answer.size, 0, &why);
    if (!*ret_list) {
        return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s:%d:%d: %s", url, why.line,
                               why.column, why.text);
    }
    return CELLA_OK;
}

static void list_components(const json_t *commands, const json_t *descriptions)
{
    const char *name;
    json_t *value;
    puts("Available components that can be installed:");
    json_object_foreach((json_t *)commands, name, value)
    {
        const char *text = json_string_value(json_object_get(descriptions, name));
        printf("%-20s %s\n", name, text ? text : "");
    }
}

static bool ask(const json_t *lines)
{
    char answer[16] = "";
    size_t index;
    json_t *line;
    puts("The following commands will be executed:\n");
    json_array_foreach((json_t *)lines, index, line)
    {
        puts(json_string_value(line) ? json_string_value(line) : "");
    }
    printf("\nContinue installation? [y/n]: ");
    fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin)) {
        return false;
    }
    answer[strcspn(answer, " \t\r\n")] = 0;
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

static int run_line(const char *line, const char *folder)
{
    int status;
    printf("Executing: %s\n", line);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (chdir(folder) == 0) {
            execlp("bash", "bash", "-c", line, (char *)NULL);
        }
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    remove(path);
    return 0;
}

static cella_result run_lines(const json_t *lines, struct cella_error *error)
{
    char folder[] = "/tmp/ego-install-XXXXXX";
    cella_result result = CELLA_OK;
    size_t index;
    json_t *line;
    if (!mkdtemp(folder)) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", folder);
    }
    json_array_foreach((json_t *)lines, index, line)
    {
        if (cella_is_ok(result) && json_is_string(line)) {
            const int status = run_line(json_string_value(line), folder);
            if (status != 0) {
                result = cella_error_set(error, CELLA_RESULT(IO), "exit status %d", status);
            }
        }
    }
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return result;
}

static cella_result install(const char *component, struct cella_error *error)
{
    char system[160];
    json_t *list = NULL;
    CELLA_TRY(system_name(system, sizeof(system), error));
    CELLA_TRY(fetch_list(&list, error));
    const json_t *version = json_object_get(list, "1.0");
    const json_t *commands = json_object_get(json_object_get(version, "commands"), system);
    const json_t *lines = component[0] ? json_object_get(commands, component) : NULL;
    cella_result result = CELLA_OK;
    if (!json_is_object(commands)) {
        puts("No available components to install for your system");
    } else if (!json_is_array(lines)) {
        if (component[0]) {
            puts("Component not found.");
            result = cella_error_set(error, CELLA_RESULT(NOT_FOUND), "component not found");
        }
        list_components(commands, json_object_get(version, "desc"));
    } else if (!ask(lines)) {
        result = cella_error_set(error, CELLA_RESULT(HOST_REFUSED), "user denied installation");
    } else {
        result = run_lines(lines, error);
    }
    json_decref(list);
    return result;
}

int ego_install(int argc, char **argv)
{
    struct cella_error error = {0};
    const cella_result result = install(argc > 1 ? argv[1] : "", &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "Error: %s\n", error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    return 0;
}
