/*
 * Starts the libc's own _start on the main TCS, and parks its threads for ecalls.
 * Side: enclave. Called by INIT (start) and by libc_main.c, the enclave's main function (serve, park).
 * Never lets host strings into the environment that the enclave did not name.
 */
#include "enclave/libc.h"

#include <elf.h>

#define VECTOR_MAX 64u
#define ENVIRONMENT_MAX 32u
#define AT_MINSIGSTKSZ_TYPE 51

/* Names, NULL-terminated, whose values the host may set: the application's, else none (libc_environment.c). */
extern const char *const cella_environment_allow[];

int cella_libc_serve(void);
void cella_libc_park_worker(void);
uint32_t cella_libc_worker_stack(uint32_t worker, void **ret_stack, size_t *ret_size);
int cella_libc_arenas(void);

static const char executable[] = "/enclave";

static bool name_allowed(const char *entry)
{
    for (const char *const *name = cella_environment_allow; *name; name++) {
        const size_t size = cella_strlen(*name);
        if (cella_strlen(entry) > size && cella_equal(entry, *name, size) && entry[size] == '=') {
            return true;
        }
    }
    return false;
}

/* The strings that follow each other in cella_environment, those that are allowed. */
static uint32_t environment_fill(uint64_t *vector)
{
    uint32_t count = 0;
    for (const char *at = cella_environment; *at && count < ENVIRONMENT_MAX;
         at += cella_strlen(at) + 1) {
        if (name_allowed(at)) {
            vector[count++] = (uint64_t)at;
        }
    }
    return count;
}

struct start_block {
    uint64_t words[VECTOR_MAX + ENVIRONMENT_MAX];
    uint8_t random[16];
};

static uint64_t *auxiliary(uint64_t *at, uint64_t type, uint64_t value)
{
    at[0] = type;
    at[1] = value;
    return at + 2;
}

/* argc, argv, envp and the auxiliary vector, as the kernel lays them out (System V ABI, 3.4.1). */
static void block_fill(struct start_block *block)
{
    const uint64_t base = cella_kernel.base;
    uint32_t cpuid[4];
    uint64_t *at = block->words;
    cella_cpuid(1, 0, cpuid);
    *at++ = 1;
    *at++ = (uint64_t)executable;
    *at++ = 0;
    at += environment_fill(at);
    *at++ = 0;
    at = auxiliary(at, AT_PHDR, base + cella_image_info.phdr_offset);
    at = auxiliary(at, AT_PHENT, sizeof(Elf64_Phdr));
    at = auxiliary(at, AT_PHNUM, cella_image_info.phdr_count);
    at = auxiliary(at, AT_PAGESZ, SGX_PAGE_SIZE);
    at = auxiliary(at, AT_BASE, 0);
    at = auxiliary(at, AT_FLAGS, 0);
    at = auxiliary(at, AT_ENTRY, base + cella_image_info.libc_entry);
    at = auxiliary(at, AT_UID, 0);
    at = auxiliary(at, AT_EUID, 0);
    at = auxiliary(at, AT_GID, 0);
    at = auxiliary(at, AT_EGID, 0);
    at = auxiliary(at, AT_SECURE, 0);
    at = auxiliary(at, AT_RANDOM, (uint64_t)block->random);
    at = auxiliary(at, AT_EXECFN, (uint64_t)executable);
    at = auxiliary(at, AT_CLKTCK, 100);
    at = auxiliary(at, AT_HWCAP, cpuid[3]);
    at = auxiliary(at, AT_HWCAP2, 2); /* RDFSBASE and its kin */
    at = auxiliary(at, AT_MINSIGSTKSZ_TYPE, 4096);
    auxiliary(at, AT_NULL, 0);
}

/* The block stays where it is, on the main thread's stack: argv and the environment point into it. */
static cella_result libc_start(void)
{
    _Alignas(16) struct start_block block = {0};
    const struct cella_regs regs = {
        .rip = cella_kernel.base + cella_image_info.libc_entry,
        .rsp = (uint64_t)block.words,
        .rflags = 0x202,
    };
    CELLA_TRY(cella_random(block.random, sizeof(block.random)));
    block_fill(&block);
    cella_kernel_jump(&regs);
}

static bool libc_syscall(struct cella_regs *regs, long *ret_result)
{
    return cella_libc_thread(regs, ret_result) || cella_libc_memory(regs, ret_result) ||
           cella_libc_console(regs, ret_result) || cella_libc_process(regs, ret_result);
}

static const struct cella_module libc_module = {
    .name = "libc",
    .last = true,
    .syscall = libc_syscall,
    .start = libc_start,
    .start_thread = cella_libc_start_thread,
};
CELLA_MODULE(libc_module);

/* How many allocators of 64 MiB each fit well into the heap: one for each GiB, at least one. */
int cella_libc_arenas(void)
{
    uint64_t total, used;
    cella_pages_count(&total, &used);
    const uint64_t count = total / ((1u << 30) / SGX_PAGE_SIZE);
    return count < 1 ? 1 : count > 64 ? 64 : (int)count;
}

/* The stack of ecall slot `worker` + 1; returns how many workers there are. */
uint32_t cella_libc_worker_stack(uint32_t worker, void **ret_stack, size_t *ret_size)
{
    *ret_stack = (void *)(cella_slot_address(worker + 1) + cella_image_info.slot_stack);
    *ret_size = cella_image_info.stack_size;
    return cella_ecall_slots() - 1;
}

/* The main thread: the enclave is up. Returns when the host destroys it. */
int cella_libc_serve(void)
{
    atomic_store(&cella_kernel_state, KERNEL_READY);
    cella_kernel_thread_ready(cella_td_self());
    cella_kernel_park(CELLA_CODE_OK);
    return 0;
}

/* A worker: the ecall that started it runs first. Never returns: the enclave ends around it. */
void cella_libc_park_worker(void)
{
    for (;;) {
        cella_kernel_park(CELLA_CODE_WRONG_STATE);
    }
}
