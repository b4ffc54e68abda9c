/*
 * Fuzz target: protected files. The first byte chooses: the rest is a file; or changes to a good file, which must then be
 * refused or read rightly; or the root and an index node of a file whose key the attacker has.
 * Side: tests. Called by libFuzzer or replay.c. The processor's keys and the disk are those of tests/protected.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/protected/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONTENT 30000u
#define READ_MAX 200000u

static const uint8_t g_key[16] = "fuzzed with this";
static const struct cella_protected_options g_options = {
    .key = {.kind = CELLA_PROTECTED_USER, .bytes = g_key, .size = sizeof(g_key)},
    .cache_size = CELLA_PROTECTED_CACHE_MIN,
};
static uint8_t g_content[CONTENT], g_again[READ_MAX];

static cella_result open_mode(struct disk *disk, const char *mode, cella_protected_file **ret_file)
{
    return cella_protected_open_in(&disk_store, disk, "fuzz", mode, &g_options, NULL, ret_file);
}

static void must(cella_result result)
{
    if (!cella_is_ok(result)) {
        abort();
    }
}

static void make(struct disk *disk)
{
    cella_protected_file *file;
    size_t done;
    for (size_t i = 0; i < CONTENT; i++) {
        g_content[i] = (uint8_t)(i / 3);
    }
    must(open_mode(disk, "w", &file));
    must(cella_protected_write(file, g_content, CONTENT / 2, &done));
    must(cella_protected_flush(file));
    must(cella_protected_write(file, g_content + CONTENT / 2, CONTENT - CONTENT / 2, &done));
    must(cella_protected_close(file));
}

/* Whatever it is: reading, changing and closing do no harm. */
static void use(struct disk *disk)
{
    cella_protected_file *file;
    size_t done;
    uint64_t end = 0;
    if (!cella_is_ok(open_mode(disk, "r+", &file))) {
        return;
    }
    cella_ignore(cella_protected_size(file, &end));
    cella_ignore(cella_protected_read(file, g_again, READ_MAX, &done));
    cella_ignore(cella_protected_read_at(file, end / 2, g_again, READ_MAX, &done));
    cella_ignore(cella_protected_write_at(file, end, g_content, 5000, &done));
    cella_ignore(cella_protected_write_at(file, end / 3, g_content, CONTENT, &done));
    cella_ignore(cella_protected_truncate(file, end / 2));
    cella_ignore(cella_protected_flush(file));
    cella_ignore(cella_protected_truncate(file, 10));
    cella_ignore(cella_protected_close(file));
}

/* Three bytes a change: where, where, and with what. */
static void changes(const uint8_t *data, size_t size)
{
    struct disk disk = {0};
    cella_protected_file *file;
    size_t done = 0;
    make(&disk);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        disk.bytes[((size_t)data[i] << 8 | data[i + 1]) * 5 % disk.size] ^= data[i + 2];
    }
    if (cella_is_ok(open_mode(&disk, "r", &file))) {
        const cella_result result = cella_protected_read(file, g_again, READ_MAX, &done);
        if (memcmp(g_again, g_content, done) != 0 || (cella_is_ok(result) && done != CONTENT)) {
            abort();
        }
        cella_ignore(cella_protected_close(file));
    }
    use(&disk);
    disk_done(&disk);
}

/* Fields of the root, then the entries of an index node, all properly encrypted. */
static void insider(const uint8_t *data, size_t size)
{
    struct disk disk = {0};
    cella_protected_file *file;
    struct protected_index index = {0};
    struct protected_entry top = {.block = 4};
    uint8_t cipher[PROTECTED_BLOCK];
    make(&disk);
    must(open_mode(&disk, "r+", &file));
    must(protected_space_prepare(file));
    size_t taken = size < 24 ? size : 24;
    memcpy(&file->root.size, data, taken);
    file->root.size &= (1ull << 53) - 1;
    file->root.height &= 7;
    for (size_t i = 0; i < PROTECTED_FANOUT && taken < size; i++, taken++) {
        index.entries[i].block = data[taken] % 16;
        must(protected_encrypt(file, &index, cipher, &index.entries[i]));
    }
    must(protected_encrypt(file, &index, cipher, &top));
    memcpy(disk.bytes + 4 * PROTECTED_BLOCK, cipher, sizeof(cipher));
    file->root.top = top;
    must(protected_root_commit(file));
    file->changed = false;
    cella_ignore(cella_protected_close(file));
    use(&disk);
    disk_done(&disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (data[0] == 'c') {
        changes(data + 1, size - 1);
    } else if (data[0] == 'i') {
        insider(data + 1, size - 1);
    } else {
        struct disk disk = {0};
        disk_set(&disk, data + 1, size - 1);
        use(&disk);
        disk_done(&disk);
    }
    return 0;
}
