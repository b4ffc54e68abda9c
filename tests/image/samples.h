/*
 * Small enclave images of the three formats, written by the tests themselves.
 * Side: tests. Called by tests/image and by the corpus writer. Never reads a file.
 */
#ifndef TESTS_IMAGE_SAMPLES_H
#define TESTS_IMAGE_SAMPLES_H

#include "image/config.h"
#include "image/sign.h"
#include "tests/image/make_elf.h"

/* Where things stand in the linker's output that sample_elf describes. */
#define SAMPLE_INFO 0x400u
#define SAMPLE_RELA 0x600u
#define SAMPLE_CODE 0x1000u
#define SAMPLE_ENTRY 0x1010u
#define SAMPLE_START 0x1020u
#define SAMPLE_SYSCALL_ENTRY 0x1030u
#define SAMPLE_DATA 0x2FF0u
#define SAMPLE_DYNAMIC 0x3000u
#define SAMPLE_IMAGE_END 0x5000u

/* A linker's output: R, RX, RW segments, one relocation, a syscall site at SAMPLE_CODE + 0x80.
 * Change it, then make_elf. */
void sample_elf(struct make_elf *spec);

/* The code bytes of sample_elf's segment 1, for tests that change them: 0x200 bytes. */
uint8_t *sample_code(void);

/*
 * Adds .eh_frame and language-specific data for the function at SAMPLE_CODE + 0x80, `size` bytes,
 * with one landing pad `pad` bytes into it. 0x20 bytes of the CIE, then the FDE, then the data, at
 * SAMPLE_UNWIND.
 */
#define SAMPLE_UNWIND 0x800u
void sample_unwind(struct make_elf *spec, uint64_t size, uint8_t pad);

/* The configuration of the small images: 64 KiB heap of which 16 are added, 8 KiB stacks, 2 + 1
 * threads. */
void sample_config(struct cella_image_config *ret_config);

/* A fixed key, so that images are the same bytes in every run. */
void sample_key(struct cella_key *ret_key);

/* A signed Cella image. `keep_syscalls`: no rewriting. */
void sample_cella(struct cella_buffer *ret_file, bool keep_syscalls);

/* Signed images of the other SDKs, and the MRENCLAVE that the oracle computes for them. */
void sample_open_enclave(struct cella_buffer *ret_file, uint8_t ret_mr_enclave[32], bool zero_base);
void sample_intel(struct cella_buffer *ret_file, uint8_t ret_mr_enclave[32]);

#endif
