/*
 * Protected files in the host's file system: the store over ocalls, and the public functions that name files.
 * Side: enclave, with a libc. Called by applications and by the other parts of protected files.
 * Never believes an answer: errors are filtered, sizes bounded, spans checked to be host memory on every copy.
 */
#include "enclave/kernel.h"

#include <asm/errno.h>

#include "abi/blocks.h"
#include "enclave/protected.h"

#define PATH_SIZE_MAX 4096u
#define ERRNO_MAX 4095
_Static_assert(PROTECTED_BATCH *PROTECTED_BLOCK <= CELLA_BLOCKS_SPAN_SIZE, "a batch fits a span");

extern const char cella_module_protected;
const char cella_module_protected = 1;

/* From the libc; the kernel's own headers stand for no libc's. */
void *malloc(size_t size);
void free(void *at);

struct host_file {
    int32_t handle;
    uint32_t turn;        /* the span that is written next */
    uint32_t brought;     /* the span of the last _bring */
    size_t brought_size;  /* what it has; 0: nothing any more */
    size_t brought_last;  /* the size of the last _bring all the same */
    uint64_t brought_end; /* the offset behind it, where reading in order goes on; 0: nowhere */
    bool reading_ahead;   /* the host may be reading into some span */
    uint64_t spans[CELLA_BLOCKS_SPANS];
};

static cella_result result_of(int64_t value)
{
    switch (-value) {
    case ENOENT:
    case ENOTDIR:
        return CELLA_RESULT(NOT_FOUND);
    case EEXIST:
        return CELLA_RESULT(ALREADY_EXISTS);
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
        return CELLA_RESULT(ACCESS_DENIED);
    case EAGAIN:
        return CELLA_RESULT(BUSY);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return CELLA_RESULT(NO_SPACE);
    case ENOMEM:
        return CELLA_RESULT(OUT_OF_MEMORY);
    case EMFILE:
    case ENFILE:
        return CELLA_RESULT(LIMIT_EXCEEDED);
    case ENAMETOOLONG:
        return CELLA_RESULT(BUFFER_TOO_SMALL);
    default:
        return CELLA_RESULT(IO);
    }
}

/* The answer's value is at most `max`; errors of the host have become results. */
static cella_result ask(const void *request, size_t size, int64_t max,
                        struct cella_call_blocks_answer *ret_answer)
{
    size_t got = 0;
    CELLA_TRY(cella_system_ocall(CELLA_OCALL_BLOCKS, request, size, ret_answer, sizeof(*ret_answer),
                                 &got));
    CELLA_ENSURE(got == sizeof(*ret_answer), HOST_VALUE);
    CELLA_ENSURE(ret_answer->value >= -ERRNO_MAX && ret_answer->value <= max, HOST_VALUE);
    return ret_answer->value < 0 ? result_of(ret_answer->value) : CELLA_OK;
}

static cella_result ask_plain(const struct host_file *file, uint32_t operation, uint64_t offset)
{
    struct cella_call_blocks_answer answer;
    const struct cella_call_blocks request = {
        .operation = operation, .handle = file->handle, .offset = offset};
    return ask(&request, sizeof(request), 0, &answer);
}

struct path_request {
    struct cella_call_blocks head;
    char path[PATH_SIZE_MAX];
};

static cella_result ask_path(uint32_t operation, const char *path, uint32_t flags, int64_t max,
                             struct cella_call_blocks_answer *ret_answer)
{
    const size_t size = cella_strlen(path) + 1;
    CELLA_ENSURE(size <= PATH_SIZE_MAX, BUFFER_TOO_SMALL);
    struct path_request *request = malloc(sizeof(*request));
    CELLA_ENSURE(request != NULL, OUT_OF_MEMORY);
    request->head =
        (struct cella_call_blocks){.operation = operation, .handle = -1, .offset = flags};
    __builtin_memcpy(request->path, path, size);
    cella_result result = ask(request, sizeof(request->head) + size, max, ret_answer);
    free(request);
    return result;
}

static cella_result host_open(void *context, const char *path, uint32_t flags, void **ret_handle,
                              uint64_t *ret_size)
{
    struct cella_call_blocks_answer answer;
    (void)context;
    struct host_file *file = malloc(sizeof(*file));
    CELLA_ENSURE(file != NULL, OUT_OF_MEMORY);
    cella_result result = ask_path(CELLA_BLOCKS_OPEN, path, flags, INT32_MAX, &answer);
    for (uint32_t i = 0; i < CELLA_BLOCKS_SPANS && cella_is_ok(result); i++) {
        result = answer.spans[i] % 8 == 0
                     ? cella_span_check(answer.spans[i], CELLA_BLOCKS_SPAN_SIZE)
                     : CELLA_RESULT(HOST_VALUE);
    }
    if (!cella_is_ok(result)) {
        free(file);
        return result;
    }
    *file = (struct host_file){.handle = (int32_t)answer.value};
    __builtin_memcpy(file->spans, answer.spans, sizeof(file->spans));
    *ret_handle = file;
    *ret_size = answer.size;
    return CELLA_OK;
}

/* Into a span: all `size` bytes, and perhaps `ahead` that follow into the next span. */
static cella_result ask_read(const struct host_file *file, uint64_t offset, size_t size,
                             uint32_t span, uint32_t ahead)
{
    struct cella_call_blocks_answer answer;
    const struct cella_call_blocks request = {
        .operation = CELLA_BLOCKS_READ,
        .handle = file->handle,
        .offset = offset,
        .size = size,
        .span = span,
        .ahead = ahead,
    };
    CELLA_ENSURE(size <= CELLA_BLOCKS_SPAN_SIZE, INTERNAL);
    CELLA_TRY(ask(&request, sizeof(request), (int64_t)size, &answer));
    CELLA_ENSURE((uint64_t)answer.value == size, TRUNCATED);
    return CELLA_OK;
}

/* Into the span of the last _bring: what is read ahead lies in the next one. */
static cella_result host_read(void *handle, uint64_t offset, void *to, size_t size)
{
    struct host_file *file = handle;
    file->brought_size = 0;
    CELLA_TRY(ask_read(file, offset, size, file->brought, 0));
    return cella_copy_in(to, cella_host_pointer(file->spans[file->brought]), size);
}

/*
 * When reading goes on where it ended, the host may read as much again into the next span while what was brought is
 * decrypted. Whether it does, and what lies there then, is believed as little as everything else in its memory. The larger
 * of the last two sizes: rows are cut short where a call or an index node ends.
 */
static cella_result host_bring(void *handle, uint64_t offset, size_t size)
{
    struct host_file *file = handle;
    size_t ahead = 0;
    file->brought_size = 0;
    if (offset == file->brought_end) {
        ahead = size > file->brought_last ? size : file->brought_last;
        file->brought = (file->brought + 1) % CELLA_BLOCKS_SPANS;
        file->reading_ahead = true;
    }
    CELLA_TRY(ask_read(file, offset, size, file->brought, (uint32_t)ahead));
    file->brought_size = size;
    file->brought_last = size;
    file->brought_end = offset + size;
    return CELLA_OK;
}

/*
 * The node behind this one, wanted in this core's cache while this one is encrypted or decrypted: the host's thread may run
 * on a core that shares no cache with it. Numbers and no pointers: nothing is read or written, and no address can fault.
 */
static void prefetch_in(uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i += 64) {
        __asm__ volatile("prefetcht0 (%0)" : : "r"(at + i));
    }
}

static void prefetch_out(uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i += 64) {
        __asm__ volatile("prefetchw (%0)" : : "r"(at + i));
    }
}

static cella_result host_take(void *handle, size_t at, void *to, size_t size)
{
    const struct host_file *file = handle;
    CELLA_ENSURE(at <= file->brought_size && size <= file->brought_size - at, INTERNAL);
    const uint64_t from = file->spans[file->brought] + at;
    CELLA_TRY(cella_copy_in(to, cella_host_pointer(from), size));
    if (size <= file->brought_size - at - size) {
        prefetch_in(from + size, size);
    }
    return CELLA_OK;
}

/* A span that the host still reads into would not keep what is put there. */
static cella_result reading_end(struct host_file *file)
{
    if (file->reading_ahead) {
        CELLA_TRY(ask_plain(file, CELLA_BLOCKS_SETTLE, 0));
        file->reading_ahead = false;
        file->brought_end = 0;
    }
    return CELLA_OK;
}

static cella_result host_put(void *handle, size_t at, const void *from, size_t size)
{
    struct host_file *file = handle;
    CELLA_ENSURE(at <= CELLA_BLOCKS_SPAN_SIZE && size <= CELLA_BLOCKS_SPAN_SIZE - at, INTERNAL);
    CELLA_TRY(reading_end(file));
    file->brought_size = 0;
    const uint64_t to = file->spans[file->turn] + at;
    CELLA_TRY(cella_copy_out(cella_host_pointer_out(to), from, size));
    if (size <= CELLA_BLOCKS_SPAN_SIZE - at - size) {
        prefetch_out(to + size, size);
    }
    return CELLA_OK;
}

static cella_result host_send(void *handle, uint64_t offset, size_t size)
{
    struct host_file *file = handle;
    struct cella_call_blocks_answer answer;
    const struct cella_call_blocks request = {
        .operation = CELLA_BLOCKS_WRITE,
        .handle = file->handle,
        .offset = offset,
        .size = size,
        .span = file->turn,
    };
    CELLA_ENSURE(size <= CELLA_BLOCKS_SPAN_SIZE, INTERNAL);
    CELLA_TRY(ask(&request, sizeof(request), (int64_t)size, &answer));
    CELLA_ENSURE((uint64_t)answer.value == size, HOST_VALUE);
    file->turn = (file->turn + 1) % CELLA_BLOCKS_SPANS;
    return CELLA_OK;
}

static cella_result host_write(void *handle, uint64_t offset, const void *from, size_t size)
{
    CELLA_TRY(host_put(handle, 0, from, size));
    return host_send(handle, offset, size);
}

static cella_result host_settle(void *handle)
{
    return ask_plain(handle, CELLA_BLOCKS_SETTLE, 0);
}

static cella_result host_sync(void *handle)
{
    return ask_plain(handle, CELLA_BLOCKS_SYNC, 0);
}

static cella_result host_resize(void *handle, uint64_t size)
{
    return ask_plain(handle, CELLA_BLOCKS_RESIZE, size);
}

static void host_close(void *handle)
{
    cella_ignore(ask_plain(handle, CELLA_BLOCKS_CLOSE, 0));
    free(handle);
}

static cella_result host_remove(void *context, const char *path)
{
    struct cella_call_blocks_answer answer;
    (void)context;
    return ask_path(CELLA_BLOCKS_REMOVE, path, 0, 0, &answer);
}

const struct protected_store protected_host_store = {
    .open = host_open,
    .read = host_read,
    .bring = host_bring,
    .take = host_take,
    .write = host_write,
    .put = host_put,
    .send = host_send,
    .settle = host_settle,
    .sync = host_sync,
    .resize = host_resize,
    .close = host_close,
    .remove = host_remove,
};

cella_result cella_protected_open(const char *path, const char *mode,
                                  const struct cella_protected_options *options,
                                  cella_protected_file **ret_file)
{
    return cella_protected_open_in(&protected_host_store, NULL, path, mode, options, NULL,
                                   ret_file);
}

cella_result cella_protected_remove(const char *path)
{
    CELLA_ENSURE(path != NULL, INVALID_ARGUMENT);
    return protected_host_store.remove(NULL, path);
}

cella_result cella_protected_export_key(const char *path,
                                        const struct cella_protected_options *options,
                                        uint8_t key[32], size_t *ret_size)
{
    return protected_export_in(&protected_host_store, NULL, path, options, key, ret_size);
}

cella_result cella_protected_import_key(const char *path,
                                        const struct cella_protected_options *options,
                                        const void *key, size_t size)
{
    return protected_import_in(&protected_host_store, NULL, path, options, key, size);
}
