/*
 * A small kernel and small programs, written by the tests themselves.
 * Side: tests. Called by tests/program and by the corpus writer. Never reads a file.
 */
#ifndef TESTS_PROGRAM_SAMPLE_H
#define TESTS_PROGRAM_SAMPLE_H

#include "image/program.h"
#include "tests/image/make_elf.h"

/* Where things stand in sample_program. */
#define PROGRAM_START 0x400000u
#define PROGRAM_CODE 0x401000u
#define PROGRAM_SITE 0x401005u  /* of the instruction: mov $39,%eax before it, ret behind */
#define PROGRAM_CHILD 0x401020u /* pop %r12; syscall; push %r12 */
#define PROGRAM_DATA 0x402FF0u
#define PROGRAM_END 0x406000u /* with its .bss, page-rounded */

/* An enclave without a libc at 2^36. Made from tests/image/samples.c. */
void sample_kernel(struct cella_buffer *ret_file);

/*
 * ET_EXEC: R, RX and RW with zeros behind. Two functions with a `syscall` each. Change it, then make_elf; `code` is
 * segment 1's, 0x100 bytes.
 */
void sample_program(struct make_elf *spec);
uint8_t *sample_program_code(void);

/* As ET_DYN with addresses from 0 on, a PT_DYNAMIC with one relative relocation of the word at PROGRAM_DATA. */
#define LIBRARY_SHIFT PROGRAM_START
void sample_library(struct make_elf *spec);

/*
 * Go's table of three functions at TABLE_TEXT + 0, + 0x40 and + 0x60, the last 0x20 long: main.main, runtime.futex, and
 * one without a name. `version`: 2, 16, 18 or 20.
 */
#define TABLE_TEXT 0x401000u
void sample_pclntab(uint32_t version, struct cella_buffer *ret_table);

/* sample_program without symbols, a `syscall` in runtime.futex, the table in its data (in a section of another name: false). */
void sample_go(struct make_elf *spec, bool with_table);

/* What the document's example is made with. */
void sample_program_config(struct cella_program_config *ret_config);

/* Kernel, program and configuration as they are. */
void sample_program_image(struct cella_buffer *ret_file);

#endif
