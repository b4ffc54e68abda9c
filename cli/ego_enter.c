/*
 * A program's image in an enclave. ego_enter.h is the manual.
 * Side: tools. Called by ego_run.c.
 */
#include "cli/ego_enter.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/call.h"
#include "abi/program.h"
#include "cli/program_service.h"
#include "common/cleanup.h"
#include "host/host.h"
#include "image/buffer.h"
#include "image/image.h"

#define PATH_SIZE 4096

extern char **environ;

cella_result ego_load(struct cella_bytes image, const char *name, cella_enclave **ret_enclave,
                      struct cella_error *error)
{
    struct cella_image parsed;
    CELLA_TRY(cella_image_parse(image, &parsed, error));
    /* Signed with debug is run with debug, as EGo does it. */
    const bool debug = (parsed.sigstruct.attributes.flags & SGX_FLAGS_DEBUG) != 0;
    const struct cella_enclave_options options = {
        .flags = CELLA_ENCLAVE_NETWORK | (debug ? CELLA_ENCLAVE_DEBUG : 0),
        .file_root = "/",
        .service = program_service,
    };
    return cella_enclave_create_bytes(image.data, image.size, name, &options, ret_enclave, error);
}

static cella_result add_texts(struct cella_buffer *buffer, char **texts, uint32_t *ret_count)
{
    for (*ret_count = 0; texts[*ret_count]; ++*ret_count) {
        CELLA_TRY(cella_buffer_append(buffer, texts[*ret_count], strlen(texts[*ret_count]) + 1));
    }
    return CELLA_OK;
}

static cella_result fill(struct cella_buffer *buffer, char **arguments)
{
    struct cella_call_program call = {.cpu_count = 1};
    char directory[PATH_SIZE];
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        call.cpu_count = (uint32_t)CPU_COUNT(&cpus);
    }
    if (!getcwd(directory, sizeof(directory))) {
        strcpy(directory, "/");
    }
    setenv("EDG_CWD", directory, 1); /* as EGo tells its programs */
    CELLA_TRY(cella_buffer_append(buffer, &call, sizeof(call)));
    CELLA_TRY(add_texts(buffer, arguments, &call.argument_count));
    CELLA_TRY(add_texts(buffer, environ, &call.environment_count));
    CELLA_TRY(cella_buffer_append(buffer, directory, strlen(directory)));
    call.directory_size = (int64_t)strlen(directory);
    memcpy(buffer->data, &call, sizeof(call));
    CELLA_ENSURE(buffer->size <= CELLA_CALL_PROGRAM_MAX, LIMIT_EXCEEDED);
    return CELLA_OK;
}

cella_result ego_enter(cella_enclave *enclave, char **arguments, int *ret_status,
                       struct cella_error *error)
{
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer buffer = {0};
    cella_result result = fill(&buffer, arguments);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "arguments and environment: %s",
                               cella_result_text(result));
    }
    result = cella_ecall(enclave, CELLA_ECALL_PROGRAM, buffer.data, buffer.size, NULL, 0, NULL);
    const uint64_t reason = enclave->abort_reason;
    if ((reason & 0xFF) == CELLA_ABORT_EXIT) {
        *ret_status = (int)(reason >> 32 & 0xFF);
        return CELLA_OK;
    }
    const char *words = cella_enclave_abort_text(enclave);
    return cella_error_set(error, result, "%s", words[0] ? words : cella_result_text(result));
}
