/*
 * Writes the seed inputs of the fuzz targets of program images into tests/fuzz/corpus.
 * Side: tests. Run by hand after a format changed: ninja write-program-corpus. Never part of the tests themselves.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/program/sample.h"

static void put(const char *root, const char *name, struct cella_buffer *buffer)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(buffer->data, 1, buffer->size, file) != buffer->size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    cella_buffer_done(buffer);
}

int main(int argc, char **argv)
{
    static const uint32_t versions[] = {2, 16, 18, 20};
    struct make_elf spec;
    struct cella_buffer buffer;

    if (argc != 2) {
        fprintf(stderr, "usage: write_corpus FOLDER\n");
        return 2;
    }
    sample_program(&spec);
    make_elf(&spec, &buffer);
    put(argv[1], "program/fixed", &buffer);
    sample_library(&spec);
    make_elf(&spec, &buffer);
    put(argv[1], "program/library", &buffer);
    spec.headers[spec.header_count++] =
        (Elf64_Phdr){.p_type = PT_INTERP, .p_vaddr = 0x500, .p_filesz = 1, .p_memsz = 1};
    make_elf(&spec, &buffer);
    put(argv[1], "program/interpreted", &buffer);
    sample_go(&spec, true);
    make_elf(&spec, &buffer);
    put(argv[1], "program/go", &buffer);
    sample_program_image(&buffer);
    put(argv[1], "image/program", &buffer);
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        char name[32];
        sample_pclntab(versions[i], &buffer);
        snprintf(name, sizeof(name), "pclntab/go1.%u", versions[i]);
        put(argv[1], name, &buffer);
    }
    return 0;
}
