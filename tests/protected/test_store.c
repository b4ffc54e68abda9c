/*
 * The enclave's side and the host's side of protected files in one process: enclave/protected_store.c over host/blocks.c,
 * a file in /tmp, real threads. What is read ahead is never stale, never lost, and never believed.
 * Side: tests (native). The boundary's functions are stood in for here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/blocks.h"
#include "enclave/kernel.h"
#include "host/blocks.h"
#include "tests/protected/disk.h"

#define SIZE (2u << 20)
#define BATCH (PROTECTED_BATCH * PROTECTED_BLOCK)

#define assert_code(result, name) assert_string_equal(cella_result_name(result), #name)

static char g_folder[] = "/tmp/cella-store-XXXXXX";
static struct cella_enclave g_host = {.file_root = -1};
static uint8_t g_bytes[SIZE], g_again[SIZE + 1];

static const struct cella_protected_options g_options = {
    .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER},
    .cache_size = CELLA_PROTECTED_CACHE_MIN,
    .flags = CELLA_PROTECTED_NO_SYNC,
};

/* ------------------------------------------------------------------------- the boundary */

/* Called before and after the host has done what it was asked; may change both. */
typedef void (*meddle_fn)(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer);
static meddle_fn g_before, g_after;
static _Atomic unsigned g_reads, g_aheads; /* READs so far; those that asked for reading ahead */
static uint64_t g_spans[CELLA_BLOCKS_SPANS];

cella_result cella_system_ocall(uint32_t number, const void *in, size_t in_size, void *out,
                                size_t out_capacity, size_t *ret_size)
{
    static _Thread_local uint8_t request[sizeof(struct cella_call_blocks) + 4096];
    struct cella_call_blocks *call = (struct cella_call_blocks *)request;
    struct cella_call_blocks_answer *answer = out;
    CELLA_ENSURE(number == CELLA_OCALL_BLOCKS && in_size <= sizeof(request), INTERNAL);
    memcpy(request, in, in_size);
    if (call->operation == CELLA_BLOCKS_READ) {
        g_reads++;
        g_aheads += call->ahead > 0;
    }
    if (g_before) {
        g_before(call, answer);
    }
    CELLA_TRY(cella_host_blocks(&g_host, request, in_size, out, out_capacity, ret_size));
    if (call->operation == CELLA_BLOCKS_OPEN) {
        memcpy(g_spans, answer->spans, sizeof(g_spans));
    }
    if (g_after) {
        g_after(call, answer);
    }
    return CELLA_OK;
}

size_t cella_strlen(const char *text)
{
    return strlen(text);
}

const void CELLA_HOST *cella_host_pointer(uint64_t address)
{
    return (const void CELLA_HOST *)address;
}

void CELLA_HOST *cella_host_pointer_out(uint64_t address)
{
    return (void CELLA_HOST *)address;
}

cella_result cella_span_check(uint64_t address, uint64_t size)
{
    (void)size;
    CELLA_ENSURE(address != 0, HOST_POINTER);
    return CELLA_OK;
}

/* Word by word, as the real ones: a thread may be writing there. */
__attribute__((no_sanitize("thread"))) cella_result
cella_copy_in(void *to, const void CELLA_HOST *from, size_t size)
{
    for (size_t i = 0; i < size / 8; i++) {
        ((uint64_t *)to)[i] = ((const volatile uint64_t *)from)[i];
    }
    for (size_t i = size / 8 * 8; i < size; i++) {
        ((uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
    }
    return CELLA_OK;
}

cella_result cella_copy_out(void CELLA_HOST *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- the file */

static cella_result open_file(const char *name, const char *mode, cella_protected_file **ret_file)
{
    return cella_protected_open(name, mode, &g_options, ret_file);
}

static void fill(uint64_t seed)
{
    for (size_t i = 0; i < SIZE; i += 8) {
        const uint64_t value = disk_random(&seed);
        memcpy(g_bytes + i, &value, 8);
    }
}

static void make(const char *name)
{
    cella_protected_file *file;
    size_t done;
    assert_code(open_file(name, "w", &file), OK);
    assert_code(cella_protected_write(file, g_bytes, SIZE, &done), OK);
    assert_code(cella_protected_close(file), OK);
}

/* Reads it all in steps; what comes is right, whatever the result. Gives back the first failure. */
static cella_result stream(cella_protected_file *file, size_t step)
{
    size_t done;
    for (size_t at = 0; at < SIZE; at += done) {
        cella_result result = cella_protected_read_at(file, at, g_again, step, &done);
        assert_memory_equal(g_again, g_bytes + at, done);
        CELLA_TRY(result);
        assert_int_equal(done, step < SIZE - at ? step : SIZE - at);
    }
    return CELLA_OK;
}

static cella_result stream_named(const char *name, size_t step)
{
    cella_protected_file *file;
    CELLA_TRY(open_file(name, "r", &file));
    cella_result result = stream(file, step);
    cella_result closed = cella_protected_close(file);
    return cella_is_ok(result) ? closed : result;
}

/* ------------------------------------------------------------------------- an honest host */

static void read_in_order(void **state)
{
    (void)state;
    static const size_t steps[] = {SIZE, 1u << 20, 256u << 10, BATCH, 100001, 20480, 4096, 3000};
    make("/order");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        g_reads = g_aheads = 0;
        assert_code(stream_named("/order", steps[i]), OK);
        assert_true(g_aheads >= SIZE / BATCH - 2 && g_aheads < g_reads);
    }
}

/* Every sort of call between those that read ahead; the file and a buffer stay the same. */
static void changed_in_between(void **state)
{
    (void)state;
    uint64_t random = 11;
    cella_protected_file *file;
    size_t done, at = 0;
    make("/mixed");
    assert_code(open_file("/mixed", "r+", &file), OK);
    for (unsigned i = 0; i < 1500; i++) {
        const size_t size = 1 + (size_t)(disk_random(&random) % (i % 3 == 0 ? 400000 : 9000));
        const size_t where = (size_t)(disk_random(&random) % SIZE) & (i % 2 ? ~0ul : ~4095ul);
        const size_t part = size < SIZE - where ? size : SIZE - where;
        switch (disk_random(&random) % 8) {
        case 0:
            for (size_t j = 0; j < part; j++) {
                g_bytes[where + j] = (uint8_t)disk_random(&random);
            }
            assert_code(cella_protected_write_at(file, where, g_bytes + where, part, &done), OK);
            assert_int_equal(done, part);
            break;
        case 1:
            assert_code(cella_protected_flush(file), OK);
            break;
        case 2:
            if (i % 4 == 0) { /* cut off and written anew */
                assert_code(cella_protected_truncate(file, where), OK);
                assert_code(
                    cella_protected_write_at(file, where, g_bytes + where, SIZE - where, &done),
                    OK);
            }
            break;
        case 3:
            assert_code(cella_protected_close(file), OK);
            assert_code(open_file("/mixed", "r+", &file), OK);
            break;
        default: /* on from where the last one ended */
            at = at < SIZE ? at : 0;
            assert_code(cella_protected_read_at(file, at, g_again, size, &done), OK);
            assert_int_equal(done, size < SIZE - at ? size : SIZE - at);
            assert_memory_equal(g_again, g_bytes + at, done);
            at += done;
            break;
        }
    }
    assert_code(stream(file, 1u << 20), OK);
    assert_code(cella_protected_close(file), OK);
    assert_code(stream_named("/mixed", 77777), OK);
}

struct reader {
    pthread_t thread;
    cella_protected_file *file;
    size_t step;
    bool failed;
};

static void *reader_main(void *argument)
{
    struct reader *reader = argument;
    uint8_t *bytes = malloc(reader->step);
    size_t done = 1;
    for (size_t at = 0; bytes && at < SIZE && !reader->failed; at += done) {
        reader->failed =
            !cella_is_ok(cella_protected_read_at(reader->file, at, bytes, reader->step, &done)) ||
            done == 0 || memcmp(bytes, g_bytes + at, done) != 0;
    }
    free(bytes);
    return NULL;
}

/* Two threads on one handle, two on handles of their own, one of them another file. */
static void several_readers(void **state)
{
    (void)state;
    struct reader readers[4];
    cella_protected_file *files[3];
    make("/one");
    make("/two");
    assert_code(open_file("/one", "r", &files[0]), OK);
    assert_code(open_file("/one", "r", &files[1]), OK);
    assert_code(open_file("/two", "r", &files[2]), OK);
    for (size_t i = 0; i < 4; i++) {
        readers[i] = (struct reader){.file = files[i < 2 ? 0 : i - 1], .step = 150000 + i * 40000};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_false(readers[i].failed);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_code(cella_protected_close(files[i]), OK);
    }
}

/* ------------------------------------------------------------------------- the host's promises */

static int64_t ask(uint32_t operation, int32_t handle, uint64_t offset, uint64_t size,
                   uint32_t span, uint32_t ahead)
{
    struct cella_call_blocks_answer answer;
    size_t got;
    const struct cella_call_blocks call = {.operation = operation,
                                           .handle = handle,
                                           .offset = offset,
                                           .size = size,
                                           .span = span,
                                           .ahead = ahead};
    assert_code(cella_host_blocks(&g_host, &call, sizeof(call), &answer, sizeof(answer), &got), OK);
    return answer.value;
}

static int32_t open_raw(const char *name, uint8_t *spans[CELLA_BLOCKS_SPANS])
{
    struct {
        struct cella_call_blocks head;
        char path[32];
    } call = {
        .head = {.operation = CELLA_BLOCKS_OPEN,
                 .handle = -1,
                 .offset = CELLA_BLOCKS_WRITABLE | CELLA_BLOCKS_CREATE | CELLA_BLOCKS_TRUNCATE}};
    struct cella_call_blocks_answer answer;
    size_t got;
    snprintf(call.path, sizeof(call.path), "%s", name);
    assert_code(cella_host_blocks(&g_host, &call, sizeof(call), &answer, sizeof(answer), &got), OK);
    assert_true(answer.value >= 0);
    for (size_t i = 0; i < CELLA_BLOCKS_SPANS; i++) {
        spans[i] = (uint8_t *)(uintptr_t)answer.spans[i];
    }
    return (int32_t)answer.value;
}

static void promises(void **state)
{
    (void)state;
    enum { UNIT = 128 << 10 };
    uint8_t *spans[CELLA_BLOCKS_SPANS];
    const int32_t file = open_raw("/raw", spans);
    for (uint32_t i = 0; i < 4; i++) {
        memset(spans[i], (int)i + 1, UNIT);
        assert_int_equal(ask(CELLA_BLOCKS_WRITE, file, i * UNIT, UNIT, i, 0), UNIT);
    }
    /* Read ahead is what a write behind it says, small or large. */
    for (uint32_t size = 100; size <= UNIT; size = size == 100 ? UNIT : size + 1) {
        assert_int_equal(ask(CELLA_BLOCKS_READ, file, 0, UNIT, 0, UNIT), UNIT);
        assert_int_equal(spans[0][UNIT - 1], 1);
        memset(spans[3], (int)(size & 127) + 9, size);
        assert_int_equal(ask(CELLA_BLOCKS_WRITE, file, UNIT, size, 3, 0), size);
        assert_int_equal(ask(CELLA_BLOCKS_READ, file, UNIT, UNIT, 1, UNIT), UNIT);
        assert_int_equal(spans[1][0], (size & 127) + 9);
        assert_int_equal(spans[1][UNIT - 1], size == 100 ? 2 : (size & 127) + 9);
        /* A part of what was read ahead, and then more than is left of it. */
        assert_int_equal(ask(CELLA_BLOCKS_READ, file, 2 * UNIT, 4096, 2, 4096), 4096);
        assert_int_equal(spans[2][4095], 3);
        assert_int_equal(ask(CELLA_BLOCKS_READ, file, 2 * UNIT + 4096, UNIT, 3, UNIT), UNIT);
        assert_int_equal(spans[3][0], 3);
        assert_int_equal(spans[3][UNIT - 1], 4);
    }
    /* Behind the end is nothing; nor behind a new end. */
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 2 * UNIT, UNIT, 0, UNIT), UNIT);
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 3 * UNIT, UNIT, 1, UNIT), UNIT);
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 4 * UNIT, UNIT, 2, UNIT), 0);
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 2 * UNIT, UNIT, 0, UNIT), UNIT);
    assert_int_equal(ask(CELLA_BLOCKS_RESIZE, file, 3 * UNIT + 5, 0, 0, 0), 0);
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 3 * UNIT, UNIT, 1, UNIT), 5);
    /* Out of bounds. */
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 0, 1, 0, CELLA_BLOCKS_SPAN_SIZE + 1), -EINVAL);
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 0, 1, CELLA_BLOCKS_SPANS, 0), -EINVAL);
    assert_int_equal(ask(CELLA_BLOCKS_CLOSE, file, 0, 0, 0, 0), 0);
}

/* A write that fails is not lost by reading on: the host says so, and tries again. */
static void failed_write_stays(void **state)
{
    (void)state;
    enum { UNIT = 128 << 10 };
    uint8_t *spans[CELLA_BLOCKS_SPANS];
    const int32_t file = open_raw("/full", spans);
    assert_int_equal(ask(CELLA_BLOCKS_WRITE, file, 0, UNIT, 0, 0), UNIT);
    assert_int_equal(ask(CELLA_BLOCKS_READ, file, 0, UNIT, 0, UNIT), UNIT);
    memset(spans[1], 7, UNIT);
    /* No file system has files of this size. */
    const uint64_t far = INT64_MAX / 2 - UNIT;
    assert_int_equal(ask(CELLA_BLOCKS_WRITE, file, far, UNIT, 1, 0), UNIT);
    assert_true(ask(CELLA_BLOCKS_READ, file, 0, UNIT, 1, UNIT) < 0);
    assert_true(ask(CELLA_BLOCKS_READ, file, 0, UNIT, 2, UNIT) < 0);
    assert_int_equal(spans[1][UNIT - 1], 7);
    assert_true(ask(CELLA_BLOCKS_SETTLE, file, 0, 0, 0, 0) < 0);
    assert_int_equal(ask(CELLA_BLOCKS_CLOSE, file, 0, 0, 0, 0), 0);
}

/* ------------------------------------------------------------------------- a host that lies */

static unsigned g_meddle_at; /* the number of the READ */
static char g_path[256];

static bool is_turn(const struct cella_call_blocks *call)
{
    return call->operation == CELLA_BLOCKS_READ && g_reads == g_meddle_at;
}

static void no_ahead(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    call->ahead = 0;
}

static void more_ahead(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    call->ahead = call->operation == CELLA_BLOCKS_READ ? CELLA_BLOCKS_SPAN_SIZE : 0;
}

static void answer_short(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    answer->value -= is_turn(call) ? 1 : 0;
}

static void answer_long(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    answer->value += is_turn(call) ? 1 : 0;
}

/* One bit of what was brought, as late as it can be. */
static void span_flip(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    if (is_turn(call)) {
        ((uint8_t *)(uintptr_t)g_spans[call->span])[call->offset / 7 % call->size] ^= 16;
    }
}

/* Another span is read than the one that was asked for. */
static void wrong_span(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    call->span = is_turn(call) ? (call->span + 2) % CELLA_BLOCKS_SPANS : call->span;
}

/* What was read ahead is from elsewhere in the file, authentic though it is. */
static void wrong_place(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    call->offset += is_turn(call) ? PROTECTED_BLOCK : 0;
}

static void file_cut(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    if (is_turn(call)) {
        assert_int_equal(truncate(g_path, (off_t)(call->offset + call->size)), 0);
    }
}

static void file_change(struct cella_call_blocks *call, struct cella_call_blocks_answer *answer)
{
    (void)answer;
    if (is_turn(call)) {
        static const uint8_t zeros[64];
        const int fd = open(g_path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, zeros, sizeof(zeros), (off_t)(call->offset + call->size + 99)),
                         sizeof(zeros));
        close(fd);
    }
}

/* With each READ in turn: what was read is right all the same. Gives back how many were refused, with `expected` if given. */
static unsigned lie_each(meddle_fn before, meddle_fn after, const char *expected)
{
    unsigned refused = 0;
    for (g_meddle_at = 1;; g_meddle_at++) {
        make("/lies");
        g_before = before;
        g_after = after;
        g_reads = 0;
        const cella_result result = stream_named("/lies", 1u << 20);
        const bool lied = g_reads >= g_meddle_at;
        g_before = g_after = NULL;
        if (!lied) {
            assert_code(result, OK);
            return refused;
        }
        refused += !cella_is_ok(result);
        assert_int_not_equal(result.code, CELLA_CODE_INTERNAL);
        assert_true(!expected || strcmp(cella_result_name(result), expected) == 0);
    }
}

static void lies(void **state)
{
    (void)state;
    snprintf(g_path, sizeof(g_path), "%s/lies", g_folder);
    make("/lies");
    g_before = no_ahead;
    assert_code(stream_named("/lies", 1u << 20), OK);
    g_before = more_ahead;
    assert_code(stream_named("/lies", 1u << 20), OK);
    g_before = NULL;
    assert_true(lie_each(NULL, answer_long, "HOST_VALUE") > SIZE / BATCH);
    assert_true(lie_each(NULL, answer_short, "TRUNCATED") > SIZE / BATCH);
    assert_true(lie_each(wrong_place, NULL, NULL) > SIZE / BATCH);
    assert_true(lie_each(wrong_span, NULL, NULL) >
                0);                  /* the right bytes may lie in the other span */
    lie_each(NULL, span_flip, NULL); /* of the root's blocks not all bytes matter */
    assert_true(lie_each(NULL, file_cut, NULL) > SIZE / BATCH);
    lie_each(NULL, file_change, NULL); /* read ahead before or after: both happen */
}

static _Atomic bool g_racing;

__attribute__((no_sanitize("thread"))) static void *racer_main(void *unused)
{
    uint64_t random = 5;
    (void)unused;
    while (atomic_load(&g_racing)) {
        volatile uint8_t *span = (volatile uint8_t *)(uintptr_t)g_spans[disk_random(&random) % 4];
        span[disk_random(&random) % BATCH] ^= 1;
        span[disk_random(&random) % BATCH] ^= 128;
        usleep(50);
    }
    return NULL;
}

/* Spans change all the time while they are read: the right bytes, or a refusal. */
static void spans_change_meanwhile(void **state)
{
    (void)state;
    cella_protected_file *file;
    pthread_t racer;
    unsigned refused = 0;
    make("/race");
    for (unsigned i = 0; i < 40 || (refused == 0 && i < 4000);
         i++) { /* a busy machine runs the racer late */
        assert_code(open_file("/race", "r", &file), OK);
        atomic_store(&g_racing, true);
        assert_int_equal(pthread_create(&racer, NULL, racer_main, NULL), 0);
        const cella_result result = stream(file, 1u << 20);
        atomic_store(&g_racing, false);
        pthread_join(racer, NULL);
        refused += !cella_is_ok(result);
        assert_true(cella_is_ok(result) || result.code == CELLA_CODE_AUTH_FAILED);
        cella_ignore(cella_protected_close(file));
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_in_order),          cmocka_unit_test(changed_in_between),
        cmocka_unit_test(several_readers),        cmocka_unit_test(promises),
        cmocka_unit_test(failed_write_stays),     cmocka_unit_test(lies),
        cmocka_unit_test(spans_change_meanwhile),
    };
    if (!mkdtemp(g_folder)) {
        return 2;
    }
    g_host.file_root = open(g_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fill(3);
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const names[] = {"order", "mixed", "one",  "two",
                                        "raw",   "full",  "lies", "race"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlinkat(g_host.file_root, names[i], 0);
    }
    close(g_host.file_root);
    rmdir(g_folder);
    return failures;
}
