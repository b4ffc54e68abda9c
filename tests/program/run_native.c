/*
 * Runs the program of an image outside any enclave: every system call must come by the trampolines.
 * Side: tests. Loads what cella_program_build made at its own addresses, gives GS a block whose system-call slot makes the
 * real call, and has seccomp kill the process when a call is made from anywhere else.
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

/*
 * The kernel's end of a trampoline. Where to go on is kept in a register that a system call does not change and a clone's
 * child gets too; there is no stack that may be used.
 */
__asm__(".text\n"
        ".globl native_entry, native_entry_after\n"
        "native_entry:\n"
        "    movq %rcx, %mm7\n"
        "    syscall\n"
        "native_entry_after:\n"
        "    movq %mm7, %rcx\n"
        "    emms\n"
        "    jmp *%rcx\n");
extern const char native_entry[], native_entry_after[];

static uint64_t g_block[64];

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
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sigreturn_anywhere ? SYS_rt_sigreturn : UINT32_MAX, 4,
                 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)after, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(after >> 32), 0, 1),
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
    g_block[CELLA_PROGRAM_SYSCALL_GS / 8] = (uint64_t)native_entry;
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
