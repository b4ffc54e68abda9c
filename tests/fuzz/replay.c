/*
 * Runs a fuzz target over the files of folders, without libFuzzer: what `make check` does with each
 * corpus. Side: tests. Linked with one fuzz target. Never writes.
 *
 * Each file is also tried with every byte flipped in a few ways and truncated, so that a corpus of
 * good inputs covers the refusals too.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_FILE_MAX (1u << 20)
#define REPLAY_CHANGES 512u

/* An exact-size copy, so that a sanitizer sees the first byte read behind it. */
static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_changed(uint8_t *data, size_t size)
{
    size_t step = size / REPLAY_CHANGES + 1;

    for (size_t at = 0; at < size; at += step) {
        static const uint8_t masks[] = {0x01, 0x80, 0xFF};
        for (size_t i = 0; i < sizeof(masks); i++) {
            data[at] ^= masks[i];
            run_one(data, size);
            data[at] ^= masks[i];
        }
        run_one(data, at);
    }
}

static int run_file(const char *path)
{
    uint8_t *data = malloc(REPLAY_FILE_MAX);
    FILE *file = fopen(path, "rb");
    if (!data || !file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, REPLAY_FILE_MAX, file);
    fclose(file);
    run_one(data, size);
    run_changed(data, size);
    free(data);
    return 1;
}

static int run_folder(const char *folder)
{
    int count = 0;
    DIR *directory = opendir(folder);
    if (!directory) {
        perror(folder);
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        count += run_file(path);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += run_folder(argv[i]);
    }
    printf("%d files replayed\n", count);
    return count > 0 ? 0 : 1;
}
