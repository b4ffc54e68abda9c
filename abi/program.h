/*
 * The measured description of a whole program: what an image with the Linux personality runs, and on what terms.
 * Side: ground; image/ writes it when a program is signed, linux/ reads it inside the enclave.
 * Never holds a pointer: places are enclave addresses (uint64_t) or offsets from the description's first byte.
 * docs/formats/program.md is the manual.
 *
 * A program image is loaded at address 0. Enclave addresses, in the order in which pages are added:
 *
 *     the program's PT_LOADs      where the file says (ET_EXEC), or moved to CELLA_PROGRAM_BASE (ET_DYN)
 *     its trampolines             one segment R and X behind them: what replaces `syscall`
 *     the interpreter's           likewise, when the program names one: at CELLA_PROGRAM_INTERPRETER
 *     CELLA_PROGRAM_LOW ...       nothing else is added below the kernel: [CELLA_PROGRAM_LOW, CELLA_PROGRAM_KERNEL) is
 *                                 the program's address space (info.space_offset), pages come by EAUG as it maps memory
 *     CELLA_PROGRAM_KERNEL ...    the kernel's PT_LOADs, this description (R), then what every image has
 *
 * A trampoline enters the kernel as the instruction it replaces would: number in RAX, RCX = where to go on, the jump is
 * `jmp *%gs:CELLA_PROGRAM_SYSCALL_GS`. Nothing is pushed on the program's stack.
 */
#ifndef CELLA_ABI_PROGRAM_H
#define CELLA_ABI_PROGRAM_H

#define CELLA_PROGRAM_LOW 0x10000     /* vm.mmap_min_addr */
#define CELLA_PROGRAM_BASE 0x10000000 /* of an ET_DYN program whose addresses start at 0 */
#define CELLA_PROGRAM_INTERPRETER_GAP                                                              \
    0x10000000 /* from the program's end (and brk's room) to its interpreter */
#define CELLA_PROGRAM_KERNEL 0x1000000000 /* 2^36: the link address of the kernel */
#define CELLA_PROGRAM_SYSCALL_GS                                                                   \
    104 /* in the TD (enclave/td.h): address of the system-call entry */
/*
 * The two instructions that enter the kernel: `lea next(%rip),%rcx; jmp *%gs:CELLA_PROGRAM_SYSCALL_GS`. A system call
 * that is to be made again goes on at RCX - CELLA_PROGRAM_ENTER_SIZE, with its number in RAX.
 */
#define CELLA_PROGRAM_ENTER_SIZE 15
#define CELLA_PROGRAM_SYSCALL_SIZE 2 /* of the instruction that was replaced */

#ifndef __ASSEMBLER__

#include "abi/sgx.h"

#define CELLA_PROGRAM_MAGIC 0x4752504C4C4543ull /* "CELLPRG", little endian */
#define CELLA_PROGRAM_VERSION 1u

/* Bytes at `offset` from the description's start; not zero-terminated. Size 0: absent. */
struct cella_program_text {
    uint32_t offset;
    uint32_t size;
};

/* An array: `count` records at `offset`. */
struct cella_program_list {
    uint32_t offset;
    uint32_t count;
};

/* cella_program.flags */
#define CELLA_PROGRAM_ARGS_FROM_HOST 0x1u /* the host may give arguments behind argv[0] */
#define CELLA_PROGRAM_EGO                                                                          \
    0x2u /* signed from enclave.json: EGo's file tree, names and environment */
#define CELLA_PROGRAM_DEBUG 0x4u        /* signed with debug */
#define CELLA_PROGRAM_TRAPS 0x8u        /* some `syscall` could not be replaced */
#define CELLA_PROGRAM_EXEC_MEMORY 0x10u /* the program may make writable memory executable (JIT) */
#define CELLA_PROGRAM_ASYNC 0x20u       /* system calls that leave go over the rings */

struct cella_program {
    uint64_t magic;
    uint32_t version;
    uint32_t size;             /* of the whole description */
    uint64_t entry;            /* the first instruction: the interpreter's when there is one */
    uint64_t program_entry;    /* AT_ENTRY */
    uint64_t phdr_address;     /* AT_PHDR; 0: the headers are not loaded */
    uint32_t phdr_count;       /* AT_PHNUM */
    uint32_t flags;            /* CELLA_PROGRAM_* */
    uint64_t interpreter_base; /* AT_BASE; 0: no interpreter */
    uint64_t loads_end;   /* behind the last loaded byte of program, trampolines and interpreter */
    uint64_t break_start; /* brk starts here; page-aligned */
    uint64_t stack_size;  /* of the main thread, and what RLIMIT_STACK says */
    uint64_t memory_max;  /* bytes of pages the program may have; 0: what the platform gives */
    uint32_t user, group; /* getuid, getgid and their kin */
    uint32_t
        cpu_max; /* what sched_getaffinity shows at most; 0: as many as the host says, below the TCS count */
    uint32_t descriptor_max;               /* RLIMIT_NOFILE; 0: 1024 */
    struct cella_program_text executable;  /* absolute path: /proc/self/exe, AT_EXECFN */
    struct cella_program_text directory;   /* where it starts; absolute */
    struct cella_program_text host_name;   /* uname */
    struct cella_program_list loads;       /* struct cella_program_load: what is mapped at start */
    struct cella_program_list arguments;   /* struct cella_program_text; the first is argv[0] */
    struct cella_program_list environment; /* struct cella_program_variable */
    struct cella_program_list mounts; /* struct cella_program_mount, in the order of mounting */
    struct cella_program_list files;  /* struct cella_program_file */
    struct cella_program_list
        patches; /* struct cella_program_patches: of mapped files, not of the program itself */
    struct cella_program_list
        hosts; /* struct cella_program_text: names the resolver of the host may be asked for;
                                              one "*": all */
    struct cella_program_list jumps; /* struct cella_program_jump: of program and interpreter */
    uint8_t reserved[64];            /* zero */
};
CELLA_ABI_ASSERT(sizeof(struct cella_program) == 256);

/* A PT_LOAD as it lies in memory at start: page-aligned. */
struct cella_program_load {
    uint64_t address;
    uint64_t size;
    uint32_t rights; /* PROT_* */
    uint32_t kind;   /* enum cella_program_load_kind */
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_load) == 24);

enum cella_program_load_kind {
    CELLA_PROGRAM_LOAD_PROGRAM,
    CELLA_PROGRAM_LOAD_TRAMPOLINES,
    CELLA_PROGRAM_LOAD_INTERPRETER,
    CELLA_PROGRAM_LOAD_ZERO, /* no page of it is in the image: zero, as if mapped anonymously (.bss) */
};

/*
 * A `syscall` of the loaded program that became a jump. What looks at code addresses (unwinders, musl's cancellation, Go's
 * profiler) knows the instruction's own: a signal frame says `address` for `entry`, and `address` +
 * CELLA_PROGRAM_SYSCALL_SIZE for `entry` + CELLA_PROGRAM_ENTER_SIZE; rt_sigreturn turns both back. Ascending in both.
 */
struct cella_program_jump {
    uint64_t address; /* of the `syscall` */
    uint64_t entry;   /* of its trampoline's `lea` */
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_jump) == 16);

/* NAME, and its value: the measured one, or the host's when it has one and `from_host` is set. */
struct cella_program_variable {
    struct cella_program_text name;
    struct cella_program_text value;
    uint32_t from_host;
    uint32_t reserved;
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_variable) == 24);

enum cella_program_mount_kind {
    CELLA_PROGRAM_MOUNT_MEMORY = 1, /* empty, in enclave memory */
    CELLA_PROGRAM_MOUNT_HOST, /* a directory of the host, believed for its content (insecure_host) */
    CELLA_PROGRAM_MOUNT_ENCRYPTED, /* a directory of the host with protected files */
};

#define CELLA_PROGRAM_MOUNT_READ_ONLY 0x1u
#define CELLA_PROGRAM_MOUNT_SEAL_SIGNER                                                            \
    0x2u /* encrypted: the key is the signer's and product's, not this enclave's */

struct cella_program_mount {
    struct cella_program_text target; /* absolute */
    struct cella_program_text source; /* on the host; relative: to where the host was started */
    uint32_t kind;
    uint32_t flags;
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_mount) == 24);

/* A file that the image vouches for. Directories above it are made as needed. */
struct cella_program_file {
    struct cella_program_text path; /* absolute, inside */
    struct cella_program_text
        source; /* on the host: content is read there and checked against `hash`; else in the image */
    struct cella_program_text link; /* not empty: a symbolic link with this text */
    uint64_t content;               /* offset from the description's start, without `source` */
    uint64_t size;
    uint32_t mode; /* permission bits */
    uint32_t
        patches; /* index + 1 into `patches`: of an ELF file whose code was rewritten; 0: none */
    uint8_t hash[32]; /* SHA-256 of the whole content */
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_file) == 80);

/*
 * How the code of an ELF file changes when it is mapped with PROT_EXEC (the file itself reads as it is): the loader's
 * first mapping of `span` bytes is followed by the trampolines at load base + trampolines_at. Every byte is independent
 * of where the file is mapped.
 */
struct cella_program_patches {
    uint64_t span;                                 /* page-aligned size of all PT_LOADs */
    uint64_t trampolines_at;                       /* == span */
    uint32_t trampolines_offset, trampolines_size; /* bytes, from the description's start */
    struct cella_program_list sites;               /* struct cella_program_site, ascending */
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_patches) == 32);

struct cella_program_site {
    uint64_t address; /* in the file's own addresses (p_vaddr), load base not added */
    uint64_t file_offset;
    uint8_t bytes[15];
    uint8_t size;
    uint32_t instruction; /* where in them the `syscall` was */
    uint32_t entry;       /* its trampoline's `lea`, from the first trampoline byte */
};
CELLA_ABI_ASSERT(sizeof(struct cella_program_site) == 40);

/* The ecall that runs the program. In: this, then argument texts and NAME=VALUE texts, each zero-terminated. */
#define CELLA_ECALL_PROGRAM 0u
struct cella_call_program {
    uint32_t argument_count;
    uint32_t environment_count;
    uint32_t cpu_count;     /* what the host has */
    uint32_t flags;         /* CELLA_CALL_PROGRAM_* */
    int64_t directory_size; /* the host's working directory follows the texts; informational */
};
#define CELLA_CALL_PROGRAM_TRACE                                                                   \
    0x1u /* debug enclaves: each system call and its answer go to the host's log */
#define CELLA_CALL_PROGRAM_STATS 0x2u
CELLA_ABI_ASSERT(sizeof(struct cella_call_program) == 24);
#define CELLA_CALL_PROGRAM_MAX (1u << 20)

/* The full kernel's verifier asks for collateral. In: a quote; out: docs/formats/collateral-answer.md. */
#define CELLA_OCALL_PROGRAM_COLLATERAL 0x80020000u /* among the services of skins (abi/call.h) */

/*
 * A Marble's way to its coordinator: bytes of one TLS connection, which the host carries. In: a u32 of these, then what the
 * line says; texts without a zero.
 */
#define CELLA_OCALL_PROGRAM_MARBLE 0x80020001u
#define CELLA_MARBLE_UUID                                                                          \
    1u /* path of the file that keeps it; out: the UUID, made where none was */
#define CELLA_MARBLE_CONNECT 2u /* HOST:PORT; closes what was open */
#define CELLA_MARBLE_SEND 3u    /* bytes: all of them */
#define CELLA_MARBLE_RECEIVE 4u /* out: some bytes; none: the peer has ended */
#define CELLA_MARBLE_CLOSE 5u
#define CELLA_MARBLE_UUID_SIZE 36u
#define CELLA_MARBLE_CHUNK_MAX (16u << 10) /* bytes of a SEND or a RECEIVE */

#endif
#endif
