/*
 * Writes the seed inputs of the image parsers' fuzz targets into tests/fuzz/corpus.
 * Side: tests. Run by hand after a format changed: ninja write-corpus. Never part of the tests
 * themselves.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/image/samples.h"

static void put(const char *root, const char *name, const void *data, size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const char *root = argc == 2 ? argv[1] : NULL;
    struct make_elf spec;
    struct cella_buffer file;
    uint8_t hash[32];

    if (!root) {
        fprintf(stderr, "usage: write_corpus FOLDER\n");
        return 2;
    }
    sample_elf(&spec);
    make_elf(&spec, &file);
    put(root, "build/sample", file.data, file.size);
    cella_buffer_done(&file);
    sample_elf(&spec);
    sample_unwind(&spec, 8, 5);
    make_elf(&spec, &file);
    put(root, "build/unwind", file.data, file.size);
    cella_buffer_done(&file);
    sample_cella(&file, true);
    put(root, "image/plain", file.data, file.size);
    put(root, "sigstruct/sample",
        file.data + file.size - sizeof(struct cella_image_note) +
            offsetof(struct cella_image_note, sigstruct),
        sizeof(struct sgx_sigstruct));
    cella_buffer_done(&file);
    sample_cella(&file, false);
    put(root, "image/rewritten", file.data, file.size);
    cella_buffer_done(&file);
    sample_open_enclave(&file, hash, false);
    put(root, "oeinfo/plain", file.data, file.size);
    cella_buffer_done(&file);
    sample_open_enclave(&file, hash, true);
    put(root, "oeinfo/zero-base", file.data, file.size);
    cella_buffer_done(&file);
    sample_intel(&file, hash);
    put(root, "sgxmeta/plain", file.data, file.size);
    cella_buffer_done(&file);
    return 0;
}
