/*
 * A machine that dies with any write, and whose disk then holds any part of what was not synced: opening gives exactly
 * the state that was flushed last, or the one that was being flushed.
 * Side: tests (native).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/protected/disk.h"

#define CONTENT_MAX (1u << 20)
#define CHOICES 14u

struct snapshot {
    uint8_t *bytes;
    size_t size;
};

/* The script's own idea of the file: what it wrote, what was flushed, what a running flush would make of it. */
struct script {
    struct disk disk;
    struct cella_protected_options options;
    cella_protected_file *file;
    struct snapshot now, flushed, coming;
    bool created; /* an open has returned */
    uint64_t random;
};

static void snapshot_take(struct snapshot *to, const struct snapshot *from)
{
    to->size = from->size;
    memcpy(to->bytes, from->bytes, from->size);
}

static bool script_write(struct script *script, size_t offset, size_t size)
{
    size_t done;
    uint8_t *bytes = script->now.bytes + offset;
    const uint8_t value = (uint8_t)disk_random(&script->random);
    if (script->now.size < offset) {
        memset(script->now.bytes + script->now.size, 0, offset - script->now.size);
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(value + i / 7);
    }
    script->now.size = script->now.size > offset + size ? script->now.size : offset + size;
    return cella_is_ok(cella_protected_write_at(script->file, offset, bytes, size, &done));
}

static bool script_truncate(struct script *script, size_t size)
{
    if (size > script->now.size) {
        memset(script->now.bytes + script->now.size, 0, size - script->now.size);
    }
    script->now.size = size;
    return cella_is_ok(cella_protected_truncate(script->file, size));
}

static bool script_flush(struct script *script)
{
    snapshot_take(&script->coming, &script->now);
    const bool good = cella_is_ok(cella_protected_flush(script->file));
    if (good) {
        snapshot_take(&script->flushed, &script->now);
    }
    return good;
}

static bool script_open(struct script *script, const char *mode)
{
    return cella_is_ok(cella_protected_open_in(&disk_store, &script->disk, "crash", mode,
                                               &script->options, NULL, &script->file));
}

static bool script_close(struct script *script)
{
    snapshot_take(&script->coming, &script->now);
    const bool good = cella_is_ok(cella_protected_close(script->file));
    script->file = NULL;
    if (good) {
        snapshot_take(&script->flushed, &script->now);
    }
    return good;
}

/* From nothing to small, large, changed, smaller, small again; false: the machine has died. */
static bool script_run(struct script *script)
{
    if (!script_open(script, "w+")) {
        return false;
    }
    script->created = true;
    return script_write(script, 0, 100) && script_flush(script) && script_write(script, 50, 3000) &&
           script_flush(script) && script_write(script, 3000, 20000) && script_flush(script) &&
           script_write(script, 0, 4096) && script_write(script, 9000, 10) &&
           script_flush(script) && script_write(script, 4096, 500000) && script_flush(script) &&
           script_write(script, 4096 * 3, 400000) && script_write(script, 100, 5) &&
           script_flush(script) && script_truncate(script, 70001) && script_flush(script) &&
           script_write(script, 300000, 5000) && script_close(script) &&
           script_open(script, "r+") && script_write(script, 0, 65536) && script_flush(script) &&
           script_truncate(script, 20) && script_flush(script) && script_write(script, 20, 30000) &&
           script_close(script);
}

static struct script *script_new(uint32_t flags)
{
    struct script *script = calloc(1, sizeof(*script));
    script->now.bytes = malloc(CONTENT_MAX);
    script->flushed.bytes = malloc(CONTENT_MAX);
    script->coming.bytes = malloc(CONTENT_MAX);
    script->random = 5;
    script->options = (struct cella_protected_options){
        .key = {.kind = CELLA_PROTECTED_AUTO_MRSIGNER},
        .cache_size = CELLA_PROTECTED_CACHE_MIN,
        .flags = flags,
    };
    script->disk.record = (flags & CELLA_PROTECTED_NO_SYNC) == 0;
    return script;
}

static void script_free(struct script *script)
{
    disk_done(&script->disk);
    free(script->now.bytes);
    free(script->flushed.bytes);
    free(script->coming.bytes);
    free(script);
}

static bool same(const struct snapshot *snapshot, const uint8_t *bytes, size_t size)
{
    return size == snapshot->size && memcmp(bytes, snapshot->bytes, size) == 0;
}

/* The file opens, is one of the two states, and goes on living. */
static void check_after(struct script *script, uint64_t number, uint64_t choice)
{
    static uint8_t bytes[CONTENT_MAX];
    size_t done = 0;
    if (!script_open(script, "r")) {
        if (script->created) {
            fail_msg("write %llu, choice %llu: does not open", (unsigned long long)number,
                     (unsigned long long)choice);
        }
        return; /* not even created: nothing was flushed */
    }
    cella_result result = cella_protected_read_at(script->file, 0, bytes, CONTENT_MAX, &done);
    if (!cella_is_ok(result) ||
        (!same(&script->flushed, bytes, done) && !same(&script->coming, bytes, done))) {
        fail_msg("write %llu, choice %llu: %s, %zu bytes", (unsigned long long)number,
                 (unsigned long long)choice, cella_result_name(result), done);
    }
    script->now.size = done;
    memcpy(script->now.bytes, bytes, done);
    assert_true(script_close(script));
    assert_true(script_open(script, "r+"));
    assert_true(script_write(script, script->now.size / 2, 30000));
    assert_true(script_close(script));
    assert_true(script_open(script, "r"));
    assert_true(cella_is_ok(cella_protected_read_at(script->file, 0, bytes, CONTENT_MAX, &done)));
    assert_true(same(&script->now, bytes, done));
    assert_true(script_close(script));
}

static uint64_t writes_in_all(uint32_t flags)
{
    struct script *script = script_new(flags);
    assert_true(script_run(script));
    const uint64_t writes = script->disk.writes;
    script_free(script);
    return writes;
}

/* Leaves the script as the death left it. */
static struct script *script_die(uint32_t flags, uint64_t number)
{
    struct script *script = script_new(flags);
    script->disk.die_at = number;
    assert_false(script_run(script));
    assert_true(script->disk.dead);
    if (script->file) {
        cella_ignore(cella_protected_close(script->file));
        script->file = NULL;
    }
    return script;
}

static void machine_dies(void **state)
{
    (void)state;
    const uint64_t writes = writes_in_all(0);
    assert_true(writes > 60);
    for (uint64_t number = 1; number <= writes; number++) {
        for (uint64_t choice = 0; choice < CHOICES; choice++) {
            struct script *script = script_die(0, number);
            disk_crash(&script->disk, choice < 2 ? choice : number * CHOICES + choice);
            check_after(script, number, choice);
            script_free(script);
        }
    }
}

/* Without syncs, when only the process dies: writes are there in order, the last one in part. */
static void process_dies(void **state)
{
    (void)state;
    const uint64_t writes = writes_in_all(CELLA_PROTECTED_NO_SYNC);
    for (uint64_t number = 1; number <= writes; number++) {
        struct script *script = script_die(CELLA_PROTECTED_NO_SYNC, number);
        script->disk.dead = false;
        script->disk.die_at = 0;
        check_after(script, number, 0);
        script_free(script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_dies),
        cmocka_unit_test(process_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
