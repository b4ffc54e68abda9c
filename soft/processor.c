/*
 * The software processor's life in a process: activation, fork, the exit patch, and the table host/ uses.
 * Side: soft. Called by host/ (library mode) and by the preload constructor.
 * Never activates itself: a process that opens no enclave keeps its signals and its CPUID as they were.
 */
#include "abi/processor.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "soft/driver.h"
#include "soft/processor.h"
#include "soft/transition.h"

/*
 * Where the exit slots are wanted: at an address that every process has free, above any enclave that starts at 0 and
 * above the sanitizers' shadows.
 */
#define SLOT_PAGE_FIRST 0x20006CE11000ul
#define SLOT_PAGE_STEP 0x1000000000ul
#define SLOT_PAGE_TRIES 64u

static pthread_once_t g_once = PTHREAD_ONCE_INIT;
static uint64_t *g_slots;

__attribute__((visibility("hidden"))) uint64_t soft_exit_delta[SOFT_MAX_ENCLAVES];

static void map_slots(void)
{
    for (unsigned long i = 0; i < SLOT_PAGE_TRIES && !g_slots; i++) {
        unsigned long at = SLOT_PAGE_FIRST + i * SLOT_PAGE_STEP;
        long got = soft_syscall(SYS_mmap, at, SGX_PAGE_SIZE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == (long)at) {
            g_slots = (uint64_t *)at;
        } else if (got > 0) { /* a kernel that takes the address for a hint */
            soft_syscall(SYS_munmap, got, SGX_PAGE_SIZE, 0, 0, 0, 0);
        }
    }
    for (uint32_t i = 0; g_slots && i < SOFT_MAX_ENCLAVES; i++) {
        g_slots[i] = (uint64_t)(uintptr_t)soft_exit_stubs + (uint64_t)i * SOFT_EXIT_STUB_SIZE;
        g_slots[SOFT_MAX_ENCLAVES + i] =
            (uint64_t)(uintptr_t)soft_leaf_stubs + (uint64_t)i * SOFT_EXIT_STUB_SIZE;
    }
}

static void fork_child(void)
{
    soft_fork_child();
    soft_thread_rearm();
}

static void activate(void)
{
    soft_process_note();
    soft_cpuid_activate();
    soft_signals_activate();
    map_slots();
    pthread_atfork(soft_fork_prepare, soft_fork_parent, fork_child);
}

static void *be_cancelled(void *unused)
{
    (void)unused;
    for (;;) {
        pause();
    }
    return NULL;
}

/*
 * glibc installs the handlers of its own two signals when the first thread is made and when the first is cancelled. Both
 * have happened after this, so that the handlers are there to be taken over.
 */
static void provoke_libc_signals(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, be_cancelled, NULL) == 0) {
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
}

void soft_before_open(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    soft_activate();
    pthread_once(&once, provoke_libc_signals);
    soft_signals_activate(); /* handlers that came meanwhile by raw system calls, a Go runtime's for one */
}

void soft_activate(void)
{
    pthread_once(&g_once, activate);
}

/*
 * The runtime's marked sites: code, then sixteen bytes of name. The first bytes become the jump, its address filled in at
 * offset 2.
 */
static const struct site {
    uint32_t size; /* of code and name */
    uint32_t jump_size;
    uint32_t slot; /* the first of its slots */
    char bytes[32];
    uint8_t jump[16];
} g_sites[] = {
    /* mov $4,%eax; enclu; ud2 -> movabs slot,%rax; jmp *%rax */
    {26,
     12,
     0,
     "\xB8\x04\x00\x00\x00\x0F\x01\xD7\x0F\x0B"
     "CellaEexitSite01",
     {0x48, 0xA1, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xE0}},
    /* enclu; jmp over 8 bytes of int3 and the name -> mov $slot,%r11; jmp *(%r11) */
    {SOFT_LEAF_SITE_SIZE,
     13,
     SOFT_MAX_ENCLAVES,
     "\x0F\x01\xD7\xEB\x18\xCC\xCC\xCC\xCC\xCC\xCC\xCC\xCC"
     "CellaEncluSite01",
     {0x49, 0xBB, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0xFF, 0x23}},
};

static uint32_t patch_sites(uint8_t *page, const struct site *site, uint32_t index)
{
    const uint64_t slot = (uint64_t)(uintptr_t)&g_slots[site->slot + index];
    uint8_t *at = page;
    uint32_t patched = 0;
    while ((at = memmem(at, (size_t)(page + SGX_PAGE_SIZE - at), site->bytes, site->size))) {
        memcpy(at, site->jump, site->jump_size);
        memcpy(at + 2, &slot, sizeof(slot));
        at += site->size;
        patched++;
    }
    return patched;
}

/*
 * After measuring: the marked sites of executable pages become jumps to this enclave's stubs. A site that lies across
 * pages stays as it is and traps.
 */
void soft_patch_exit_sites(struct soft_enclave *enclave)
{
    uint32_t patched = 0;
    if (!g_slots) {
        return;
    }
    soft_exit_delta[enclave->index] = (uint64_t)(uintptr_t)enclave->alias - enclave->base;
    const struct driver_enclave *e = driver_of(enclave);
    const uint64_t end = driver_page_count(e);
    uint64_t number = driver_next_used(e, 0, end);
    for (; number < end; number = driver_next_used(e, number + 1, end)) {
        const uint32_t want = SOFT_EPCM_VALID | SGX_SECINFO_REG | SGX_SECINFO_X;
        const uint64_t offset = number << SGX_PAGE_SHIFT;
        uint32_t flags = soft_epcm_flags(enclave, enclave->base + offset);
        if ((flags & (want | SGX_SECINFO_TYPE_MASK)) != want) {
            continue;
        }
        for (size_t i = 0; i < sizeof(g_sites) / sizeof(g_sites[0]); i++) {
            patched += patch_sites(enclave->alias + offset, &g_sites[i], enclave->index);
        }
    }
    if (patched) {
        atomic_store(&enclave->shared->exit_slot, enclave->index + 1);
    }
}

void soft_forget_enclave(struct soft_enclave *enclave)
{
    soft_thread_forget(enclave);
}

/* ------------------------------------------------------------------------- the table */

static int table_open(const char *path, int flags)
{
    soft_before_open();
    return soft_is_node(path) ? soft_open_node(path, flags) : -ENOENT;
}

static int table_close(int fd)
{
    soft_close_fd(fd);
    return (int)soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static long table_mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
    return soft_is_enclave_fd(fd)
               ? soft_mmap(address, length, prot, flags, fd, offset)
               : soft_syscall(SYS_mmap, address, length, prot, flags, fd, offset);
}

static int table_munmap(void *address, size_t length)
{
    int result;
    return soft_munmap(address, length, &result)
               ? result
               : (int)soft_syscall(SYS_munmap, address, length, 0, 0, 0, 0);
}

static int table_mprotect(void *address, size_t length, int prot)
{
    int result;
    return soft_mprotect(address, length, prot, &result)
               ? result
               : (int)soft_syscall(SYS_mprotect, address, length, prot, 0, 0, 0);
}

static sgx_linux_enter_fn table_enter(void)
{
    return soft_vdso_enter;
}

const struct cella_processor *cella_soft_processor(void)
{
    static const struct cella_processor table = {
        .name = "software",
        .open = table_open,
        .close = table_close,
        .ioctl = soft_ioctl,
        .mmap = table_mmap,
        .munmap = table_munmap,
        .mprotect = table_mprotect,
        .enter = table_enter,
    };
    return &table;
}
