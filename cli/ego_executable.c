/*
 * `ego`: an executable and what it is, errors in EGo's words, and what EGo explains about them.
 * Side: tools. Called by the commands of ego.
 */
#include "cli/ego.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

void ego_executable_done(struct ego_executable *executable)
{
    cella_file_done(&executable->file);
}

/* strerror's words as Go writes them: lower case. */
static const char *go_error(int number)
{
    switch (number) {
    case ENOENT:
        return "no such file or directory";
    case EACCES:
        return "permission denied";
    case EISDIR:
        return "is a directory";
    default:
        return strerror(number);
    }
}

cella_result ego_executable_read(const char *path, const char *doing,
                                 struct ego_executable *executable, struct cella_error *error)
{
    struct cella_error inner = {0};
    if (access(path, R_OK) != 0) {
        return cella_error_set(error, CELLA_RESULT(NOT_FOUND), "%sopen %s: %s", doing, path,
                               go_error(errno));
    }
    cella_result result = cella_file_read(path, EGO_FILE_MAX, &executable->file, &inner);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "%s%s", doing, inner.text);
    }
    return cella_attach_parse(cella_file_bytes(&executable->file), &executable->parts, error);
}

cella_result ego_executable_check(struct ego_executable *executable, struct cella_error *error)
{
    struct cella_error inner = {0};
    const struct cella_bytes program = executable->parts.program;
    const cella_result result = go_binary_parse(program, &executable->go, &inner);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "reading buildinfo: %s", inner.text);
    }
    if (go_binary_mentions(program, "github.com/edgelesssys/ego/eclient")) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED), EGO_ERROR_ECLIENT);
    }
    return CELLA_OK;
}

void ego_explain(const struct cella_error *error)
{
    static const struct {
        const char *error;
        const char *text;
    } known[] = {
        {EGO_ERROR_ECLIENT,
         "ERROR: You cannot import the github.com/edgelesssys/ego/eclient package within the EGo "
         "enclave.\n"
         "It is for programs outside of enclaves; github.com/edgelesssys/ego/enclave has the same "
         "inside."},
        {EGO_ERROR_SMALL_HEAP,
         "ERROR: The binary is built with build tag \"ego_largeheap\", but heapSize is set to less "
         "than 512.\n"
         "Either increase heapSize or rebuild without this build tag."},
        {EGO_ERROR_LARGE_HEAP,
         "ERROR: The binary is built without build tag \"ego_largeheap\", but heapSize is set to "
         "more than 16384.\n"
         "Either decrease heapSize or rebuild with this build tag:\n"
         "\tego-go build -tags ego_largeheap ..."},
        {EGO_ERROR_UNSIGNED, "ERROR: failed to load the binary\n"
                             "Please sign the binary with 'ego sign'"},
        {EGO_ERROR_MEASUREMENT, "ERROR: failed to initialize the enclave\n"
                                "Try to resign the binary with 'ego sign' and rerun afterwards."},
        {EGO_ERROR_NO_SGX, "ERROR: failed to open Intel SGX device\n"
                           "This machine doesn't support SGX.\n"
                           "You can use 'OE_SIMULATION=1 ego run ...' to run in simulation mode."},
    };
    for (size_t i = 0; i < CELLA_COUNT(known); i++) {
        if (strcmp(error->text, known[i].error) == 0) {
            puts(known[i].text);
            return;
        }
    }
    printf("ERROR: %s\n", error->text[0] ? error->text : cella_result_text(error->result));
}
