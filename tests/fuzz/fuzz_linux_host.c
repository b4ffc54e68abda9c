/*
 * Fuzz target: what the host answers to the file tree of a program. The input is a row of lies over a fixed row of calls;
 * each answer inside must be one that Linux could give.
 * Side: tests. Called by libFuzzer or replay.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/program.h"
#include "abi/service.h"
#include "tests/linux/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[64];
static const uint8_t *input;
static size_t input_size;

static uint8_t input_byte(void)
{
    if (input_size == 0) {
        return 0;
    }
    input_size--;
    return *input++;
}

/* 0: the truth. Else: another value, other bytes, or another size. */
static void input_lie(const struct world_answer *answer)
{
    const uint8_t what = input_byte();
    if (what == 0 || answer->operation == CELLA_FILE_CLOSE) {
        return;
    }
    if ((what & 1) != 0) {
        const int64_t high = (int8_t)input_byte();
        *answer->value = high * 256 + input_byte();
    }
    if ((what & 2) != 0) {
        *answer->size = input_byte() * answer->capacity / 255;
    }
    for (uint8_t i = 0; i < what >> 4 && *answer->size > 0; i++) {
        const uint8_t at = input_byte();
        answer->bytes[at % *answer->size] = input_byte();
    }
}

static void must(long result, long max)
{
    if (result < -4095 || result > max) {
        abort();
    }
}

static void on_exit_remove(void)
{
    world_folder_remove(root);
}

static void start(void)
{
    static const struct world_mount mounts[] = {
        {.target = "/data", .source = "/data", .kind = CELLA_PROGRAM_MOUNT_HOST}};
    const struct world world = {.mounts = mounts, .mount_count = 1};
    char path[128];
    world_folder_make(root);
    atexit(on_exit_remove);
    snprintf(path, sizeof(path), "%s/data", root);
    if (mkdir(path, 0755) != 0 || world_start(&world, root) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _Alignas(8) static uint8_t bytes[2048];
    struct stat status;
    if (root[0] == 0) {
        start();
    }
    input = data;
    input_size = size;
    world_lie = input_lie;
    must(CALL(SYS_mkdir, W("/data/d"), W(0755)), 0);
    const long fd = CALL(SYS_open, W("/data/d/../f"), W(O_CREAT | O_RDWR), W(0600));
    must(fd, 1023);
    must(CALL(SYS_write, W(fd), W("0123456789"), W(10)), 10);
    must(CALL(SYS_pread64, W(fd), W(bytes), W(64), W(2)), 64);
    must(CALL(SYS_fstat, W(fd), W(&status)), 0);
    must(CALL(SYS_symlink, W("d/x"), W("/data/l")), 0);
    must(CALL(SYS_readlink, W("/data/l"), W(bytes), W(100)), 100);
    const long directory = CALL(SYS_open, W("/data"), W(O_RDONLY | O_DIRECTORY));
    must(CALL(SYS_getdents64, W(directory), W(bytes), W(sizeof(bytes))), sizeof(bytes));
    must(CALL(SYS_rename, W("/data/f"), W("/data/d/g")), 0);
    must(CALL(SYS_stat, W("/data/l"), W(&status)), 0);
    must(CALL(SYS_statfs, W("/data"), W(bytes)), 0);
    must(CALL(SYS_unlink, W("/data/d/g")), 0);
    world_lie = NULL;
    if (directory >= 0) {
        CALL(SYS_close, W(directory));
    }
    if (fd >= 0) {
        CALL(SYS_close, W(fd));
    }
    CALL(SYS_unlink, W("/data/d/g"));
    CALL(SYS_unlink, W("/data/f"));
    CALL(SYS_unlink, W("/data/l"));
    return 0;
}
