/*
 * A whole program's image in an enclave. program_run.h is the manual.
 * Side: tools. Called by cmd_build.c and ego_enter.c.
 * Never decides what a program may see: its measured description does.
 */
#include "cli/program_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/call.h"
#include "abi/program.h"
#include "cli/file.h"
#include "cli/program_service.h"
#include "common/cleanup.h"
#include "host/host.h"
#include "image/attach.h"
#include "image/buffer.h"
#include "image/image.h"

#define PATH_SIZE 4096
#define IMAGE_MAX ((size_t)4 << 30)

extern char **environ;

static _Atomic(cella_enclave *) g_enclave; /* the one that signals go to */
static _Atomic uint64_t g_calls;           /* out of the enclave */

/* ------------------------------------------------------------------ the ecall's input */

static cella_result add_texts(struct cella_buffer *buffer, char **texts, uint32_t *ret_count)
{
    for (*ret_count = 0; texts[*ret_count]; ++*ret_count) {
        CELLA_TRY(cella_buffer_append(buffer, texts[*ret_count], strlen(texts[*ret_count]) + 1));
    }
    return CELLA_OK;
}

static cella_result input_fill(struct cella_buffer *buffer, char **arguments, uint32_t flags)
{
    struct cella_call_program call = {.cpu_count = 1, .flags = flags};
    char directory[PATH_SIZE];
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        call.cpu_count = (uint32_t)CPU_COUNT(&cpus);
    }
    if (!getcwd(directory, sizeof(directory))) {
        snprintf(directory, sizeof(directory), "/");
    }
    CELLA_TRY(cella_buffer_append(buffer, &call, sizeof(call)));
    CELLA_TRY(add_texts(buffer, arguments, &call.argument_count));
    CELLA_TRY(add_texts(buffer, environ, &call.environment_count));
    CELLA_TRY(cella_buffer_append(buffer, directory, strlen(directory)));
    call.directory_size = (int64_t)strlen(directory);
    memcpy(buffer->data, &call, sizeof(call));
    CELLA_ENSURE(buffer->size <= CELLA_CALL_PROGRAM_MAX, LIMIT_EXCEEDED);
    return CELLA_OK;
}

/* ------------------------------------------------------------------ signals */

static void on_signal(int number)
{
    cella_enclave *enclave = atomic_load(&g_enclave);
    if (enclave) {
        cella_ignore(cella_enclave_signal(enclave, number));
    }
}

/* A program whose reader is gone gets EPIPE, and its SIGPIPE inside. */
static void signals_pass(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction now;
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
    signal(SIGPIPE, SIG_IGN);
}

/* Each open file and socket of the program's is one of this process's: as many as it may have. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

cella_result program_enter(cella_enclave *enclave, char **arguments, uint32_t flags,
                           int *ret_status, struct cella_error *error)
{
    descriptors_raise();
    CELLA_CLEANUP(cella_buffer_done) struct cella_buffer buffer = {0};
    cella_result result = input_fill(&buffer, arguments, flags);
    if (!cella_is_ok(result)) {
        return cella_error_set(error, result, "arguments and environment: %s",
                               cella_result_text(result));
    }
    atomic_store(&g_enclave, enclave);
    signals_pass();
    result = cella_ecall(enclave, CELLA_ECALL_PROGRAM, buffer.data, buffer.size, NULL, 0, NULL);
    atomic_store(&g_enclave, NULL);
    const uint64_t reason = enclave->abort_reason;
    if ((reason & 0xFF) == CELLA_ABORT_EXIT) {
        *ret_status = (int)(reason >> 32 & 0xFF);
        return CELLA_OK;
    }
    if ((reason & 0xFF) == CELLA_ABORT_SIGNAL) {
        *ret_status = 128 + (int)(reason >> 8 & 0xFF);
        return CELLA_OK;
    }
    const char *words = cella_enclave_abort_text(enclave);
    char said[320];
    program_service_said(said, sizeof(said));
    return cella_error_set(error, result, "%s%s", words[0] ? words : cella_result_text(result),
                           said);
}

/* ------------------------------------------------------------------ what is seen of it outside */

/* Generated from the kernel's header; the names of x86-64's system calls. */
static const char *const g_names[] = {
#include "syscall_names.h"
};

/* "t thread number arguments... result", hexadecimal, as linux/syscall.c writes it. */
static void trace_print(const char *line)
{
    unsigned long long words[8] = {0};
    size_t count = 0;
    char *end;
    for (const char *at = line + 1; count < 8; at = end) {
        words[count] = strtoull(at, &end, 16);
        if (end == at) {
            break;
        }
        count++;
    }
    if (count < 3) {
        fprintf(stderr, "%s\n", line);
        return;
    }
    const char *name = words[1] < sizeof(g_names) / sizeof(g_names[0]) ? g_names[words[1]] : NULL;
    char number[32];
    snprintf(number, sizeof(number), "syscall_%llu", words[1]);
    char text[256];
    int used = snprintf(text, sizeof(text), "[%llu] %s(", words[0], name ? name : number);
    for (size_t i = 2; i + 1 < count; i++) {
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%#llx", i > 2 ? ", " : "",
                         words[i]);
    }
    const long long result = (long long)words[count - 1];
    const char *errno_name = result < 0 && result > -4096 ? strerrorname_np((int)-result) : NULL;
    if (errno_name) {
        fprintf(stderr, "%s) = -%s\n", text, errno_name);
    } else {
        fprintf(stderr, "%s) = %#llx\n", text, words[count - 1]);
    }
}

static cella_result service(void *context, uint32_t number, const void *in, size_t in_size,
                            void *out, size_t out_capacity, size_t *ret_size)
{
    const struct program_run_options *options = context;
    if (number == CELLA_OCALL_TRACE && options->trace && in_size > 1) {
        char line[256];
        snprintf(line, sizeof(line), "%.*s", (int)in_size, (const char *)in);
        if (line[0] == 't' && line[1] == ' ') {
            trace_print(line);
            return CELLA_OK;
        }
        fprintf(stderr, "[kernel] %s\n", line); /* why it ends, what is missing */
    }
    atomic_fetch_add_explicit(&g_calls, 1, memory_order_relaxed);
    return program_service(NULL, number, in, in_size, out, out_capacity, ret_size);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ------------------------------------------------------------------ the command */

/* The image that is attached to a program's own file, or all of the file. */
static struct cella_bytes image_in(struct cella_bytes file)
{
    struct cella_attach_parts parts;
    return cella_is_ok(cella_attach_parse(file, &parts, NULL)) && parts.image.size != 0
               ? parts.image
               : file;
}

/* Of a file that is looked at without being read: the pages that count come from the page cache. */
static cella_result look_at(const char *path, bool *ret_program, bool *ret_debug,
                            bool *ret_attached, struct cella_error *error)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
        const int error_number = fd < 0 ? errno : EINVAL;
        if (fd >= 0) {
            close(fd);
        }
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), error_number, "%s", path);
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    struct cella_image *image = calloc(1, sizeof(*image));
    close(fd);
    cella_result result = CELLA_RESULT(OUT_OF_MEMORY);
    if (data != MAP_FAILED && image) {
        const struct cella_bytes bytes = image_in(cella_bytes_of(data, (size_t)status.st_size));
        result = cella_image_parse(bytes, image, error);
        *ret_attached = bytes.size != (size_t)status.st_size;
        *ret_program = image->info.program_offset != 0;
        *ret_debug = (image->sigstruct.attributes.flags & SGX_FLAGS_DEBUG) != 0;
    }
    if (data != MAP_FAILED) {
        munmap(data, (size_t)status.st_size);
    }
    free(image);
    return result;
}

bool program_run_is_image(const char *path)
{
    struct cella_error error = {0};
    bool is_program = false, debug, attached;
    return cella_is_ok(look_at(path, &is_program, &debug, &attached, &error)) && is_program;
}

static cella_result load(const char *path, const struct program_run_options *options,
                         cella_enclave **ret_enclave, struct cella_error *error)
{
    CELLA_CLEANUP(cella_file_done) struct cella_file file = {0};
    bool is_program = false, debug = false, attached = false;
    CELLA_TRY(look_at(path, &is_program, &debug, &attached, error));
    if (options->trace && !debug) {
        return cella_error_set(error, CELLA_RESULT(DEBUG_MISMATCH),
                               "%s: --trace=syscalls shows what a program does, and this image is"
                               " not signed for debugging",
                               path);
    }
    const struct cella_enclave_options wanted = {
        .flags = CELLA_ENCLAVE_NETWORK | (debug ? CELLA_ENCLAVE_DEBUG : 0),
        .file_root = "/",
        .service = options->trace || options->stats ? service : program_service,
        .service_context = (void *)options,
    };
    if (!attached) {
        return cella_enclave_create(path, &wanted, ret_enclave, error);
    }
    CELLA_TRY(cella_file_read(path, IMAGE_MAX, &file, error));
    const struct cella_bytes image = image_in(cella_file_bytes(&file));
    return cella_enclave_create_bytes(image.data, image.size, path, &wanted, ret_enclave, error);
}

cella_result program_run(const char *path, char **arguments,
                         const struct program_run_options *options, int *ret_status,
                         struct cella_error *error)
{
    cella_enclave *enclave = NULL;
    const double start = now();
    CELLA_TRY(load(path, options, &enclave, error));
    const double loaded = now();
    const uint32_t flags = (options->trace ? CELLA_CALL_PROGRAM_TRACE : 0) |
                           (options->stats ? CELLA_CALL_PROGRAM_STATS : 0);
    const cella_result result = program_enter(enclave, arguments, flags, ret_status, error);
    if (options->stats) {
        fprintf(stderr, "cella run: loaded in %.1f ms, ran %.3f s, %llu calls of the host\n",
                (loaded - start) * 1e3, now() - loaded, (unsigned long long)g_calls);
    }
    cella_enclave_destroy(enclave);
    return result;
}

int program_run_line(int argc, char **argv)
{
    struct program_run_options options = {0};
    struct cella_error error = {0};
    int at = 1, status = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--trace=syscalls") == 0) {
            options.trace = true;
        } else if (strcmp(argv[at], "--stats") == 0) {
            options.stats = true;
        } else {
            return -1;
        }
    }
    if (at == argc || !program_run_is_image(argv[at])) {
        if (options.trace || options.stats) {
            fprintf(stderr, "cella run: --trace and --stats go with an image of a program%s%s\n",
                    at < argc ? ", not with " : "", at < argc ? argv[at] : "");
            return 2;
        }
        return -1;
    }
    const cella_result result = program_run(argv[at], argv + at + 1, &options, &status, &error);
    if (!cella_is_ok(result)) {
        fprintf(stderr, "cella run: %s: %s\n", argv[at],
                error.text[0] ? error.text : cella_result_text(result));
        return 1;
    }
    return status;
}
