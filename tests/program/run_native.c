/*
 * Runs the program of an image outside any enclave: every system call must come by the trampolines.
 * Side: tests. Loads what cella_program_build made at its own addresses, gives GS a block whose system-call slot makes the
 * real call, and has seccomp kill the process when a call is made from anywhere else. Files that the program maps are
 * changed as the description says, as the kernel of whole programs does it.
 */
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/program.h"
#include "image/image.h"

#define STACK_SIZE (8u << 20)

/* GS points here; the slots are known to the code below. */
static uint64_t g_block[64];
#define BLOCK_STACK 1
#define BLOCK_ENTRY (CELLA_PROGRAM_SYSCALL_GS / 8)

/*
 * The kernel's end of a trampoline. Where to go on is kept in a register that a system call does not change and a clone's
 * child gets too; there is no stack that may be used. Only mappings of files (one thread at a time: ld.so's) go to C.
 */
__asm__(".text\n"
        ".globl native_entry, native_entry_after, native_call, native_call_after\n"
        "native_entry:\n"
        "    cmp $9, %rax\n" /* mmap */
        "    jne 1f\n"
        "    test $0x20, %r10d\n" /* MAP_ANONYMOUS */
        "    jz 2f\n"
        "1:  movq %rcx, %mm7\n"
        "    syscall\n"
        "native_entry_after:\n"
        "    movq %mm7, %rcx\n"
        "    emms\n"
        "    jmp *%rcx\n"
        "2:  mov %rsp, %gs:0\n"
        "    mov %gs:8, %rsp\n"
        "    push %rcx\n"
        "    push %rdi\n"
        "    push %rsi\n"
        "    push %rdx\n"
        "    push %r10\n"
        "    push %r8\n"
        "    push %r9\n"
        "    push %r9\n"
        "    mov %r10, %rcx\n"
        "    call native_mmap\n"
        "    pop %r9\n"
        "    pop %r9\n"
        "    pop %r8\n"
        "    pop %r10\n"
        "    pop %rdx\n"
        "    pop %rsi\n"
        "    pop %rdi\n"
        "    pop %rcx\n"
        "    mov %gs:0, %rsp\n"
        "    jmp *%rcx\n"
        "native_call:\n" /* long native_call(number, six arguments) */
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    mov %rdx, %rsi\n"
        "    mov %rcx, %rdx\n"
        "    mov %r8, %r10\n"
        "    mov %r9, %r8\n"
        "    mov 8(%rsp), %r9\n"
        "    syscall\n"
        "native_call_after:\n"
        "    ret\n");
extern const char native_entry[], native_entry_after[], native_call_after[];
long native_call(long number, long a, long b, long c, long d, long e, long f);

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "run_native: %s: %s\n", what, strerror(errno));
    exit(125);
}

static struct cella_bytes file_read(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        fail(path);
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        fail(path);
    }
    close(fd);
    return cella_bytes_of(data, (size_t)status.st_size);
}

static void map(uint64_t address, uint64_t size, const void *data, uint64_t data_size, int rights)
{
    void *at = mmap((void *)address, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != (void *)address) {
        fail("the program's addresses");
    }
    if (data_size) {
        memcpy(at, data, data_size);
    }
    if (mprotect(at, size, rights) != 0) {
        fail("mprotect");
    }
}

static const struct cella_program *load(const struct cella_image *image)
{
    const struct cella_program *program = NULL;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct cella_image_segment *segment = &image->segments[i];
        const uint8_t *data = image->file.data + segment->file_offset;
        int rights = (segment->flags & SGX_SECINFO_R ? PROT_READ : 0) |
                     (segment->flags & SGX_SECINFO_W ? PROT_WRITE : 0) |
                     (segment->flags & SGX_SECINFO_X ? PROT_EXEC : 0);
        if (segment->offset == image->info.program_offset) {
            program = (const void *)data;
        } else if (segment->offset < CELLA_PROGRAM_KERNEL) {
            map(segment->offset, segment->size, data, segment->file_size, rights);
        }
    }
    if (!program || program->magic != CELLA_PROGRAM_MAGIC) {
        fail("no description");
    }
    const struct cella_program_load *loads =
        (const void *)((const char *)program + program->loads.offset);
    for (uint32_t i = 0; i < program->loads.count; i++) {
        if (loads[i].kind == CELLA_PROGRAM_LOAD_ZERO) {
            map(loads[i].address, loads[i].size, NULL, 0, (int)loads[i].rights);
        }
    }
    return program;
}

/* ------------------------------------------------------------------- mapped files */

static const char *g_description; /* mapped from the image */

#define NO_VECTORS                                                                                 \
    __attribute__((target("general-regs-only"), optimize("no-tree-loop-distribute-patterns")))

static NO_VECTORS void bytes_copy(uint8_t *to, const uint8_t *from, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        to[i] = from[i];
    }
}

/* The patches of the file behind a descriptor, found by the end of its name; NULL: none. */
static NO_VECTORS const struct cella_program_patches *patches_of(long fd)
{
    const struct cella_program *program = (const void *)g_description;
    const struct cella_program_file *files = (const void *)(g_description + program->files.offset);
    char link[] = "/proc/self/fd/000";
    char path[512];

    link[14] = (char)('0' + fd / 100 % 10);
    link[15] = (char)('0' + fd / 10 % 10);
    link[16] = (char)('0' + fd % 10);
    char *name = link + (fd < 10 ? 16 : fd < 100 ? 15 : 14);
    for (char *to = link + 14; to <= link + 17; to++) {
        *to = *name ? *name++ : 0;
    }
    long size = native_call(SYS_readlink, (long)link, (long)path, sizeof(path), 0, 0, 0);
    for (uint32_t i = 0; size > 0 && i < program->files.count; i++) {
        const char *own = g_description + files[i].path.offset;
        long at = files[i].path.size;
        long left = size;
        while (at > 0 && left > 0 && own[at - 1] == path[left - 1] && own[at - 1] != '/') {
            at--;
            left--;
        }
        if (files[i].patches && at > 0 && left > 0 && own[at - 1] == '/' && path[left - 1] == '/') {
            return (const struct cella_program_patches *)(g_description + program->patches.offset) +
                   files[i].patches - 1;
        }
    }
    return NULL;
}

/* The loader's first mapping of a file: room for its trampolines is behind it. */
static NO_VECTORS long map_first(const struct cella_program_patches *patches, long size,
                                 long rights, long flags, long fd)
{
    long room = (patches->trampolines_size + 4095) & ~4095l;
    long at = native_call(SYS_mmap, 0, (long)patches->span + room, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bytes_copy((uint8_t *)at + patches->trampolines_at,
               (const uint8_t *)g_description + patches->trampolines_offset,
               patches->trampolines_size);
    native_call(SYS_mprotect, at + (long)patches->trampolines_at, room, PROT_READ | PROT_EXEC, 0, 0,
                0);
    return native_call(SYS_mmap, at, size, rights, flags | MAP_FIXED, fd, 0);
}

long native_mmap(long address, long size, long rights, long flags, long fd, long offset);
NO_VECTORS long native_mmap(long address, long size, long rights, long flags, long fd, long offset)
{
    const struct cella_program_patches *patches = patches_of(fd);
    if (!patches) {
        return native_call(SYS_mmap, address, size, rights, flags, fd, offset);
    }
    if (!(flags & MAP_FIXED)) {
        return map_first(patches, size, rights, flags, fd);
    }
    long at = native_call(SYS_mmap, address, size, rights, flags, fd, offset);
    if (!(rights & PROT_EXEC)) {
        return at;
    }
    const struct cella_program_site *sites = (const void *)(g_description + patches->sites.offset);
    native_call(SYS_mprotect, at, size, PROT_READ | PROT_WRITE, 0, 0, 0);
    for (uint32_t i = 0; i < patches->sites.count; i++) {
        long into = (long)sites[i].file_offset - offset;
        if (into >= 0 && into + sites[i].size <= size) {
            bytes_copy((uint8_t *)at + into, sites[i].bytes, sites[i].size);
        }
    }
    native_call(SYS_mprotect, at, size, rights, 0, 0, 0);
    return at;
}

/* argc, argv, envp, auxv: what _start finds at RSP. */
static uint64_t *stack_make(const struct cella_program *program, int argc, char **argv)
{
    static uint8_t random[16] = "not so random";
    char *stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) {
        fail("stack");
    }
    int variables = 0;
    while (environ[variables]) {
        variables++;
    }
    const uint64_t auxv[] = {
        AT_PHDR,        program->phdr_address,
        AT_PHENT,       sizeof(Elf64_Phdr),
        AT_PHNUM,       program->phdr_count,
        AT_PAGESZ,      4096,
        AT_BASE,        program->interpreter_base,
        AT_FLAGS,       0,
        AT_ENTRY,       program->program_entry,
        AT_UID,         getuid(),
        AT_EUID,        geteuid(),
        AT_GID,         getgid(),
        AT_EGID,        getegid(),
        AT_SECURE,      0,
        AT_HWCAP,       getauxval(AT_HWCAP),
        AT_HWCAP2,      getauxval(AT_HWCAP2),
        AT_CLKTCK,      100,
        AT_RANDOM,      (uint64_t)random,
        AT_EXECFN,      (uint64_t)argv[0],
        AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ),
        AT_NULL,        0,
    };
    uint64_t words = 1 + (uint64_t)argc + 1 + (uint64_t)variables + 1 + sizeof(auxv) / 8;
    uint64_t *start = (uint64_t *)(stack + STACK_SIZE - 4096) - ((words + 1) & ~1ull);
    uint64_t *at = start;
    *at++ = (uint64_t)argc;
    for (int i = 0; i <= argc; i++) {
        *at++ = (uint64_t)argv[i];
    }
    for (int i = 0; i <= variables; i++) {
        *at++ = (uint64_t)environ[i];
    }
    memcpy(at, auxv, sizeof(auxv));
    return start;
}

/* Only the entry's own instruction may make system calls; signal returns too, where their site was left. */
static void lock_down(int sigreturn_anywhere)
{
    const uint64_t after = (uint64_t)native_entry_after;
    const uint64_t called = (uint64_t)native_call_after;
    const uint32_t address = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sigreturn_anywhere ? SYS_rt_sigreturn : UINT32_MAX, 5,
                 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, address + 4), /* both are in one program */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(after >> 32), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, address),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)after, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)called, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fail("seccomp");
    }
}

int main(int argc, char **argv)
{
    struct cella_image image;
    struct cella_error error = {0};
    int sigreturn_anywhere = argc > 1 && strcmp(argv[1], "--sigreturn-left") == 0;
    argv += 1 + sigreturn_anywhere;
    argc -= 1 + sigreturn_anywhere;
    if (argc < 1) {
        fputs("usage: run_native [--sigreturn-left] IMAGE [ARGUMENT...]\n", stderr);
        return 2;
    }
    if (!cella_is_ok(cella_image_parse(file_read(argv[0]), &image, &error))) {
        fprintf(stderr, "run_native: %s\n", error.text);
        return 125;
    }
    const struct cella_program *program = load(&image);
    uint64_t *stack = stack_make(program, argc, argv);
    uint64_t entry = program->entry;
    static _Alignas(16) char own_stack[65536];
    g_description = (const char *)program;
    g_block[BLOCK_STACK] = (uint64_t)(own_stack + sizeof(own_stack));
    g_block[BLOCK_ENTRY] = (uint64_t)native_entry;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, g_block) != 0) {
        fail("GS");
    }
    lock_down(sigreturn_anywhere);
    __asm__ volatile("mov %0, %%rsp\n"
                     "xor %%edx, %%edx\n"
                     "xor %%ebp, %%ebp\n"
                     "jmp *%1\n"
                     :
                     : "D"(stack), "S"(entry)
                     : "memory", "rdx");
    __builtin_unreachable();
}
