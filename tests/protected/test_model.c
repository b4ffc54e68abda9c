/*
 * Random operations on a protected file and on a buffer in memory must give the same; so must every reopening.
 * Side: tests (native).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/protected/disk.h"

#define MODEL_MAX (3u << 20)
#define SEEDS 60u
#define STEPS 220u

static const uint8_t g_key[32] = "a key that tests may know";

struct model {
    struct disk disk;
    cella_protected_file *file;
    struct cella_protected_options options;
    uint8_t *bytes, *buffer;
    uint64_t size, position;
    uint64_t random;
};

static void good(cella_result result)
{
    assert_string_equal(cella_result_name(result), "OK");
}

static uint64_t below(struct model *model, uint64_t limit)
{
    return disk_random(&model->random) % limit;
}

static void model_open(struct model *model, const char *mode)
{
    good(cella_protected_open_in(&disk_store, &model->disk, "/dir/model", mode, &model->options,
                                 NULL, &model->file));
}

/* Often small, sometimes whole nodes, sometimes large. */
static size_t some_size(struct model *model)
{
    switch (below(model, 5)) {
    case 0:
        return (size_t)below(model, 100);
    case 1:
        return PROTECTED_BLOCK;
    case 2:
        return (size_t)below(model, 40) * PROTECTED_BLOCK;
    case 3:
        return (size_t)below(model, 300000);
    default:
        return (size_t)below(model, 9000);
    }
}

static uint64_t some_offset(struct model *model)
{
    const uint64_t offset = below(model, model->size + 1);
    return below(model, 2) ? offset : offset / PROTECTED_BLOCK * PROTECTED_BLOCK;
}

static void model_write(struct model *model)
{
    uint64_t offset = some_offset(model);
    size_t done = 0;
    if (below(model, 8) == 0) {
        offset = below(model, MODEL_MAX / 2); /* maybe behind the end */
    }
    size_t size = some_size(model);
    size = size < MODEL_MAX - offset ? size : (size_t)(MODEL_MAX - offset);
    for (size_t i = 0; i < size; i++) {
        model->buffer[i] = (uint8_t)disk_random(&model->random);
    }
    if (below(model, 2) == 0 && offset <= model->size) {
        good(cella_protected_seek(model->file, (int64_t)offset, 0));
        good(cella_protected_write(model->file, model->buffer, size, &done));
    } else {
        good(cella_protected_write_at(model->file, offset, model->buffer, size, &done));
    }
    assert_int_equal(done, size);
    if (size > 0) {
        memcpy(model->bytes + offset, model->buffer, size);
        model->size = model->size > offset + size ? model->size : offset + size;
    }
}

static void model_read(struct model *model, uint64_t offset, size_t size)
{
    size_t done = 0;
    size = size < MODEL_MAX ? size : MODEL_MAX;
    const uint64_t there = offset < model->size ? model->size - offset : 0;
    memset(model->buffer, 0xEE, size);
    good(cella_protected_read_at(model->file, offset, model->buffer, size, &done));
    assert_int_equal(done, size < there ? size : there);
    assert_memory_equal(model->buffer, model->bytes + offset, done);
}

static void model_truncate(struct model *model)
{
    const uint64_t size = below(model, 6) == 0 ? below(model, 5000) : below(model, MODEL_MAX);
    good(cella_protected_truncate(model->file, size));
    if (size < model->size) {
        memset(model->bytes + size, 0, model->size - size);
    }
    model->size = size;
}

static void model_check(struct model *model)
{
    uint64_t size = 0;
    good(cella_protected_size(model->file, &size));
    assert_int_equal(size, model->size);
    model_read(model, 0, MODEL_MAX);
}

static void model_reopen(struct model *model)
{
    good(cella_protected_close(model->file));
    if (below(model, 3) == 0) {
        model_open(model, "r");
        model_check(model);
        good(cella_protected_close(model->file));
    }
    model_open(model, below(model, 2) ? "r+" : "rb+");
}

/* Small pieces one after the other: what reading ahead is for. */
static void model_stream(struct model *model)
{
    uint64_t offset = some_offset(model);
    for (int i = 0; i < 60; i++) {
        const size_t size = 1 + (size_t)below(model, 5000);
        model_read(model, offset, size);
        offset += size;
    }
}

static void model_step(struct model *model)
{
    switch (below(model, 16)) {
    case 0:
        model_truncate(model);
        break;
    case 1:
        model_reopen(model);
        break;
    case 2:
        good(cella_protected_flush(model->file));
        break;
    case 3:
        good(cella_protected_clear_cache(model->file));
        break;
    case 4:
        model_stream(model);
        break;
    case 5:
        model_check(model);
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        model_read(model, some_offset(model), some_size(model));
        break;
    default:
        model_write(model);
        break;
    }
}

static void model_run(uint64_t seed)
{
    struct model *model = calloc(1, sizeof(*model));
    model->random = seed;
    model->bytes = calloc(1, MODEL_MAX);
    model->buffer = malloc(MODEL_MAX);
    model->options.key = (struct cella_protected_key){
        .kind = seed % 3 == 0 ? CELLA_PROTECTED_USER : CELLA_PROTECTED_AUTO_MRSIGNER,
        .bytes = seed % 3 == 0 ? g_key : NULL,
        .size = seed % 3 == 0 ? sizeof(g_key) : 0};
    model->options.cache_size = seed % 2
                                    ? CELLA_PROTECTED_CACHE_MIN
                                    : CELLA_PROTECTED_CACHE_MIN + (size_t)below(model, 4u << 20);
    model_open(model, "w+");
    for (unsigned step = 0; step < STEPS; step++) {
        model_step(model);
    }
    model_check(model);
    good(cella_protected_close(model->file));
    /* What is not in use any more has gone back to the host. */
    model_open(model, "r+");
    model_check(model);
    good(cella_protected_truncate(model->file, 100));
    good(cella_protected_close(model->file));
    assert_int_equal(model->disk.size, PROTECTED_FIRST * PROTECTED_BLOCK);
    disk_done(&model->disk);
    free(model->bytes);
    free(model->buffer);
    free(model);
}

static void random_operations(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        model_run(seed);
    }
}

/* ------------------------------------------------------------------------- threads */

#define THREADS 4u
#define RECORD 1000u
#define ROUNDS 150u

struct worker {
    cella_protected_file *file;
    unsigned number;
    pthread_t thread;
    bool failed;
};

/* Each thread owns every THREADS-th record; a record is never seen half written. */
static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    uint8_t record[RECORD], again[RECORD];
    size_t done;
    for (unsigned round = 0; round < ROUNDS && !worker->failed; round++) {
        const uint64_t mine = (uint64_t)(round * THREADS + worker->number) * RECORD;
        const uint64_t other =
            (uint64_t)(round * THREADS + (worker->number + 1) % THREADS) * RECORD;
        memset(record, (int)(worker->number * 50 + round % 50 + 1), sizeof(record));
        worker->failed =
            !cella_is_ok(cella_protected_write_at(worker->file, mine, record, RECORD, &done)) ||
            !cella_is_ok(cella_protected_read_at(worker->file, mine, again, RECORD, &done)) ||
            memcmp(record, again, RECORD) != 0 ||
            !cella_is_ok(cella_protected_read_at(worker->file, other, again, RECORD, &done));
        for (size_t i = 1; i < done; i++) {
            worker->failed = worker->failed || again[i] != again[0];
        }
        if (round % 20 == worker->number) {
            worker->failed = worker->failed || !cella_is_ok(cella_protected_flush(worker->file)) ||
                             !cella_is_ok(cella_protected_clear_cache(worker->file));
        }
    }
    return NULL;
}

static void threads_on_one_handle(void **state)
{
    (void)state;
    static struct disk disk;
    const struct cella_protected_options options = {.key = {.kind = CELLA_PROTECTED_AUTO_MRENCLAVE},
                                                    .cache_size = CELLA_PROTECTED_CACHE_MIN};
    struct worker workers[THREADS];
    cella_protected_file *file;
    uint64_t size;
    good(cella_protected_open_in(&disk_store, &disk, "threads", "w+", &options, NULL, &file));
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.file = file, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_false(workers[i].failed);
    }
    good(cella_protected_size(file, &size));
    assert_int_equal(size, THREADS * ROUNDS * RECORD);
    good(cella_protected_close(file));
    disk_done(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(threads_on_one_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
