/*
 * Fuzz target: what a container image's writer reads of programs and of the loader's cache. First byte: which of them.
 * Side: tests. Run by libFuzzer, or replayed by replay.c over corpus/oci_loader.
 */
#include <stdlib.h>
#include <string.h>

#include "oci/loader.h"
#include "oci/trim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every string that is given out ends inside the file. */
static void check_string(struct cella_bytes file, const char *text)
{
    const uint8_t *start = (const uint8_t *)text;
    if (text && (start < file.data || start >= file.data + file.size ||
                 !memchr(start, 0, (size_t)(file.data + file.size - start)))) {
        abort();
    }
}

static void try_program(struct cella_bytes file)
{
    struct oci_elf elf;
    if (!cella_is_ok(oci_elf_parse(file, &elf))) {
        return;
    }
    check_string(file, elf.interpreter);
    check_string(file, elf.soname);
    check_string(file, elf.rpath);
    check_string(file, elf.runpath);
    for (unsigned i = 0; i < elf.needed_count; i++) {
        check_string(file, elf.needed[i]);
    }
    const char wanted[] = "pthread_cancel";
    if (elf.loaded_end > file.size ||
        (oci_elf_mentions(&elf, wanted) && !memmem(file.data, file.size, wanted, sizeof(wanted)))) {
        abort();
    }
}

/* What is loaded stays as it was. */
static void try_trimming(struct cella_bytes file, uint8_t *copy)
{
    struct oci_elf elf;
    size_t size = file.size;
    const bool good = cella_is_ok(oci_elf_parse(file, &elf));
    memcpy(copy, file.data, size);
    const size_t blanked = oci_trim_enclave(copy, size);
    if (blanked > size || (!good && memcmp(copy, file.data, size) != 0)) {
        abort();
    }
    memcpy(copy, file.data, size);
    oci_trim_program(copy, &size);
    if (size > file.size || (good && size > 64 && memcmp(copy + 64, file.data + 64, size - 64))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path;
    if (size == 0) {
        return 0;
    }
    const struct cella_bytes file = cella_bytes_of(data + 1, size - 1);
    if (data[0] & 1) {
        if (cella_is_ok(oci_cache_find(file, "libc.so.6", &path))) {
            check_string(file, path);
        }
        return 0;
    }
    uint8_t *copy = malloc(size);
    if (copy) {
        try_program(file);
        try_trimming(file, copy);
    }
    free(copy);
    return 0;
}
