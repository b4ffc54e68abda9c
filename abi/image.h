/*
 * The parts of a Cella enclave image that both sides read: the measured information object and the
 * trailing note.
 * Side: ground; the signer writes it, host/ reads the note and the object, the enclave kernel reads
 * the object. Never holds a pointer: every place is an offset from the enclave base.
 * docs/formats/image.md is the manual.
 *
 * Enclave address space of an image, in the order in which pages are added (a gap is never added):
 *
 *     0                  PT_LOAD pages, ascending (R/W/X of the program header, measured)
 *     image_size         one guard page
 *     heap_offset        heap_initial bytes of zero pages (RW, added but NOT measured: the kernel
 *                        clears what it hands out), then a gap up to heap_offset + heap_size for
 *                        EAUG on an SGX2 processor
 *     threads_offset     thread_count slots of thread_stride bytes; each slot:
 *         + 0                guard page
 *         + slot_stack       stack_size bytes of zero pages (RW, measured); the stack grows down
 *                            from slot_tcs - 4096
 *         + slot_tcs - 4096  guard page
 *         + slot_tcs         TCS (OENTRY = entry, OSSA = slot_ssa, NSSA = nssa,
 *                            OFSBASE = OGSBASE = slot_td)
 *         + slot_ssa         nssa frames of ssa_frame_pages pages (RW, zero, measured)
 *         + slot_td          td_pages pages of the kernel's per-thread data (RW, zero, measured)
 *     ...                guard up to enclave_size, a power of two
 *
 * Slots 0 .. thread_count - enclave_thread_count - 1 serve ecalls; the last enclave_thread_count
 * ones serve threads that the enclave makes. An enclave thread finds its slot from GS base:
 * (GS base - enclave base - threads_offset - slot_td) / thread_stride. The enclave base is the
 * address of the image's first byte (__ehdr_start).
 */
#ifndef CELLA_ABI_IMAGE_H
#define CELLA_ABI_IMAGE_H

#include "abi/sgx.h"

#define CELLA_IMAGE_MAGIC 0x474D49414C4C4543ull /* "CELLAIMG", little endian */
#define CELLA_IMAGE_VERSION 1u

/* Names that the signer looks for in the ELF file. */
#define CELLA_IMAGE_INFO_SECTION ".cella.info"
#define CELLA_IMAGE_INFO_SYMBOL "cella_image_info"
#define CELLA_IMAGE_ENTRY_SYMBOL "cella_enclave_entry"
#define CELLA_IMAGE_SYSCALL_SYMBOL "cella_syscall_entry"

#define CELLA_IMAGE_THREAD_MAX 1024u
#define CELLA_IMAGE_TD_PAGES 2u
#define CELLA_IMAGE_NSSA 3u

/* cella_image_info.flags */
/* `syscall` sites were replaced by calls of cella_syscall_entry. */
#define CELLA_IMAGE_REWRITTEN 0x1u
/* The enclave range starts at address 0 and nowhere else. */
#define CELLA_IMAGE_BASE_ZERO 0x2u

/*
 * The information object. The enclave library defines it with CELLA_IMAGE_INFO_DEFINE, in a
 * read-only section of its own with magic, version and size set and all else zero; code declares it
 *
 *     extern const volatile struct cella_image_info cella_image_info;
 *
 * (volatile, so that no compiler folds the zeros in). The signer fills it in place; it is then
 * measured with its segment. All sizes in bytes unless the name says otherwise; all offsets from
 * the enclave base and multiples of 4096 where they name pages.
 */
struct cella_image_info {
    uint64_t magic;
    uint32_t version;
    uint32_t size;         /* of this object */
    uint64_t enclave_size; /* SECS.SIZE, a power of two */
    uint64_t image_size;   /* end of the last PT_LOAD page */
    uint64_t heap_offset;
    uint64_t heap_size;    /* whole range, SGX2 growth included */
    uint64_t heap_initial; /* added at load; the whole heap where the processor is SGX1 */
    uint64_t threads_offset;
    uint64_t thread_stride;
    uint32_t thread_count;         /* all TCS */
    uint32_t enclave_thread_count; /* of these, the last ones, for threads that the enclave makes */
    uint64_t slot_stack;           /* the next four: offsets inside a slot */
    uint64_t slot_tcs;
    uint64_t slot_ssa;
    uint64_t slot_td;
    uint64_t stack_size;
    uint32_t nssa;
    uint32_t ssa_frame_pages;
    uint32_t td_pages;
    uint32_t flags;
    uint64_t entry;       /* OENTRY: cella_enclave_entry */
    uint64_t libc_entry;  /* e_entry (the libc's _start), 0 when it is the enclave entry: no libc */
    uint64_t phdr_offset; /* program headers as loaded, for AT_PHDR */
    uint32_t phdr_count;  /* AT_PHNUM; AT_PHENT is 56 */
    uint32_t product_id;  /* ISVPRODID and ISVSVN as signed */
    uint32_t svn;
    uint32_t rela_count; /* entries (24 bytes each) of DT_RELA: RELATIVE, IRELATIVE, static TLS */
    uint64_t rela_offset;
    uint64_t tls_offset; /* PT_TLS: the template; all zero without one */
    uint64_t tls_file_size;
    uint64_t tls_size;
    uint64_t tls_align;
    uint64_t relro_offset; /* PT_GNU_RELRO; RW in the EPCM unless the kernel restricts it */
    uint64_t relro_size;
    uint64_t
        kernel_offset; /* address of the image's own first byte (__ehdr_start); 0 but in program images */
    uint64_t
        program_offset; /* struct cella_program (abi/program.h); 0: the image runs no program */
    uint64_t program_size;
    /*
     * [space_offset, + space_size): the program's memory, pages come by EAUG. Mapped R and W first; segments that lie in
     * it are mapped over it with their own rights.
     */
    uint64_t space_offset;
    uint64_t space_size;
    uint64_t
        kernel_bias; /* added to the addresses that the image's own code was linked for; 0 but in program images */
    /*
     * Slots whose pages are added when the enclave is made; 0: all. The others are mapped R and W: their pages come by EAUG
     * and their TCS by EMODT when a thread needs them.
     */
    uint32_t thread_added;
    uint32_t reserved_1;   /* zero */
    uint8_t reserved[224]; /* zero */
};
CELLA_ABI_ASSERT(sizeof(struct cella_image_info) == 512);
CELLA_ABI_AT(cella_image_info, version, 8);
CELLA_ABI_AT(cella_image_info, enclave_size, 16);
CELLA_ABI_AT(cella_image_info, image_size, 24);
CELLA_ABI_AT(cella_image_info, heap_offset, 32);
CELLA_ABI_AT(cella_image_info, heap_size, 40);
CELLA_ABI_AT(cella_image_info, heap_initial, 48);
CELLA_ABI_AT(cella_image_info, threads_offset, 56);
CELLA_ABI_AT(cella_image_info, thread_stride, 64);
CELLA_ABI_AT(cella_image_info, thread_count, 72);
CELLA_ABI_AT(cella_image_info, enclave_thread_count, 76);
CELLA_ABI_AT(cella_image_info, slot_stack, 80);
CELLA_ABI_AT(cella_image_info, slot_tcs, 88);
CELLA_ABI_AT(cella_image_info, slot_ssa, 96);
CELLA_ABI_AT(cella_image_info, slot_td, 104);
CELLA_ABI_AT(cella_image_info, stack_size, 112);
CELLA_ABI_AT(cella_image_info, nssa, 120);
CELLA_ABI_AT(cella_image_info, ssa_frame_pages, 124);
CELLA_ABI_AT(cella_image_info, td_pages, 128);
CELLA_ABI_AT(cella_image_info, flags, 132);
CELLA_ABI_AT(cella_image_info, entry, 136);
CELLA_ABI_AT(cella_image_info, libc_entry, 144);
CELLA_ABI_AT(cella_image_info, phdr_offset, 152);
CELLA_ABI_AT(cella_image_info, phdr_count, 160);
CELLA_ABI_AT(cella_image_info, product_id, 164);
CELLA_ABI_AT(cella_image_info, svn, 168);
CELLA_ABI_AT(cella_image_info, rela_count, 172);
CELLA_ABI_AT(cella_image_info, rela_offset, 176);
CELLA_ABI_AT(cella_image_info, tls_offset, 184);
CELLA_ABI_AT(cella_image_info, tls_file_size, 192);
CELLA_ABI_AT(cella_image_info, tls_size, 200);
CELLA_ABI_AT(cella_image_info, tls_align, 208);
CELLA_ABI_AT(cella_image_info, relro_offset, 216);
CELLA_ABI_AT(cella_image_info, relro_size, 224);
CELLA_ABI_AT(cella_image_info, kernel_offset, 232);
CELLA_ABI_AT(cella_image_info, space_size, 264);
CELLA_ABI_AT(cella_image_info, kernel_bias, 272);
CELLA_ABI_AT(cella_image_info, thread_added, 280);
CELLA_ABI_AT(cella_image_info, reserved, 288);

/*
 * Assembly and not C: compilers put a volatile object into a writable section, and the signer
 * refuses that.
 */
#define CELLA_IMAGE_INFO_DEFINE                                                                    \
    __asm__(".pushsection .cella.info, \"a\", @progbits\n"                                         \
            ".globl cella_image_info\n"                                                            \
            ".type cella_image_info, @object\n"                                                    \
            ".size cella_image_info, 512\n"                                                        \
            ".p2align 6\n"                                                                         \
            "cella_image_info:\n"                                                                  \
            ".quad 0x474D49414C4C4543\n"                                                           \
            ".long 1, 512\n"                                                                       \
            ".zero 496\n"                                                                          \
            ".popsection\n")

#define CELLA_IMAGE_INFO_INIT                                                                      \
    {                                                                                              \
        .magic = CELLA_IMAGE_MAGIC, .version = CELLA_IMAGE_VERSION,                                \
        .size = sizeof(struct cella_image_info)                                                    \
    }

/*
 * The note: an ELF note, the last 2048 bytes of the file, in no segment and so not measured.
 * Section .note.cella names it for readelf. Prepared for signing elsewhere: the signature is zero.
 */
#define CELLA_IMAGE_NOTE_SECTION ".note.cella"
#define CELLA_IMAGE_NOTE_TYPE 1u
#define CELLA_IMAGE_NAME_SIZE 64u

struct cella_image_note {
    uint32_t name_size; /* 6 */
    uint32_t desc_size; /* 2028 */
    uint32_t type;      /* CELLA_IMAGE_NOTE_TYPE */
    char name[8];       /* "Cella" */
    uint32_t version;   /* the description starts here */
    uint64_t magic;
    uint64_t info_offset;                   /* of struct cella_image_info */
    char image_name[CELLA_IMAGE_NAME_SIZE]; /* zero-terminated; not part of the identity */
    uint8_t reserved[136];                  /* zero */
    struct sgx_sigstruct sigstruct;
};
CELLA_ABI_ASSERT(sizeof(struct cella_image_note) == 2048);
CELLA_ABI_AT(cella_image_note, name, 12);
CELLA_ABI_AT(cella_image_note, version, 20);
CELLA_ABI_AT(cella_image_note, magic, 24);
CELLA_ABI_AT(cella_image_note, info_offset, 32);
CELLA_ABI_AT(cella_image_note, image_name, 40);
CELLA_ABI_AT(cella_image_note, reserved, 104);
CELLA_ABI_AT(cella_image_note, sigstruct, 240);

#endif
