/*
 * The enclaves of this process: which descriptors are enclaves, attaching, releasing, fork.
 * Side: soft (untrusted; it plays the kernel driver). Called by the interposers and by driver_*.c.
 * An enclave lives in its memfd, keyed by (st_dev, st_ino); the table only remembers what is mapped
 * here.
 */
#include "soft/keys.h"
#include "soft/mover.h"
#include "soft/vma.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif
#define MFD_EXEC_FLAG 0x10u /* since Linux 6.3 */
#define OWN_FD_FLOOR 512

struct driver_enclave g_enclaves[SOFT_MAX_ENCLAVES];
_Atomic uint32_t g_process_lock;
static _Atomic uint32_t g_high; /* entries ever used */
static _Atomic uint32_t g_live;
static uint64_t g_fork_mask;
static _Atomic long g_pid; /* of the process that tables and dispositions are of */

void soft_process_note(void)
{
    atomic_store(&g_pid, soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0));
}

bool soft_is_borrowed(void)
{
    return soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) != atomic_load(&g_pid);
}

/* Two enclaves may have been created for one range: the one that is mapped there counts. */
struct soft_enclave *soft_enclave_at(uint64_t address)
{
    struct soft_enclave *unmapped = NULL;
    uint32_t high = atomic_load_explicit(&g_high, memory_order_acquire);
    for (uint32_t i = 0; i < high; i++) {
        struct soft_enclave *enclave = &g_enclaves[i].pub;
        if (atomic_load_explicit(&enclave->used, memory_order_acquire) == 2 &&
            address - enclave->base < enclave->size) {
            uint64_t page = (address - enclave->base) >> SGX_PAGE_SHIFT;
            if (vma_at(&g_enclaves[i], page) & VMA_MAPPED) {
                return enclave;
            }
            unmapped = enclave;
        }
    }
    return unmapped;
}

bool soft_any_enclave(void)
{
    return atomic_load_explicit(&g_live, memory_order_relaxed) != 0;
}

bool soft_is_node(const char *path)
{
    return path &&
           (!strcmp(path, SGX_LINUX_ENCLAVE_NODE) || !strcmp(path, SGX_LINUX_PROVISION_NODE));
}

static bool file_key(int fd, uint64_t *ret_device, uint64_t *ret_inode)
{
    struct stat status;
    if (soft_syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH, 0, 0) ||
        !S_ISREG(status.st_mode)) {
        return false;
    }
    *ret_device = status.st_dev;
    *ret_inode = status.st_ino;
    return true;
}

static struct driver_enclave *table_find(uint64_t device, uint64_t inode)
{
    for (uint32_t i = 0; i < g_high; i++) {
        if (g_enclaves[i].pub.used && g_enclaves[i].inode == inode &&
            g_enclaves[i].device == device) {
            return &g_enclaves[i];
        }
    }
    return NULL;
}

static void *map_shared(int fd, uint64_t offset, uint64_t size)
{
    long at = soft_syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                           fd, offset);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

static struct driver_enclave *table_attach(int fd, uint64_t device, uint64_t inode)
{
    uint32_t index = 0;
    while (index < SOFT_MAX_ENCLAVES && g_enclaves[index].pub.used) {
        index++;
    }
    if (index == SOFT_MAX_ENCLAVES) {
        return NULL;
    }
    int own = (int)soft_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OWN_FD_FLOOR, 0, 0, 0);
    if (own < 0) {
        own = (int)soft_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
    }
    if (own < 0) {
        return NULL;
    }
    struct soft_control *control = map_shared(own, 0, SOFT_CONTROL_SIZE);
    if (!control) {
        soft_syscall(SYS_close, own, 0, 0, 0, 0, 0);
        return NULL;
    }
    struct driver_enclave *e = &g_enclaves[index];
    memset(e, 0, sizeof(*e));
    e->pub.index = index;
    e->pub.fd = own;
    e->pub.shared = &control->shared;
    e->control = control;
    e->device = device;
    e->inode = inode;
    e->seen_generation = control->shared.generation;
    atomic_store_explicit(&e->pub.used, 1, memory_order_release);
    soft_process_note();
    if (index >= g_high) {
        atomic_store_explicit(&g_high, index + 1, memory_order_release);
    }
    g_live++;
    driver_epc_open(e);
    return e;
}

int driver_sync(struct driver_enclave *e)
{
    if (e->pub.used == 2 || e->control->shared.state < SOFT_STATE_CREATED) {
        return 0;
    }
    struct soft_control *control = e->control;
    uint64_t size = control->shared.secs.size;
    uint64_t table_size = control->pages_offset - control->chunks_offset;
    void *table = map_shared(e->pub.fd, control->chunks_offset, table_size);
    void *alias = map_shared(e->pub.fd, control->pages_offset, size);
    uint8_t *vma = soft_map_anonymous(size >> SGX_PAGE_SHIFT);
    uint16_t *vma_chunks = soft_map_anonymous(driver_chunk_count(size) * sizeof(uint16_t));
    if (!table || !alias || !vma || !vma_chunks) {
        soft_unmap(table, table_size);
        soft_unmap(alias, size);
        soft_unmap(vma, size >> SGX_PAGE_SHIFT);
        soft_unmap(vma_chunks, driver_chunk_count(size) * sizeof(uint16_t));
        return -ENOMEM;
    }
    e->table = table;
    e->table_size = table_size;
    e->chunks = table;
    e->vma = vma;
    e->vma_chunks = vma_chunks;
    e->pub.epcm =
        (struct soft_epcm *)((uint8_t *)table + (control->epcm_offset - control->chunks_offset));
    e->pub.alias = alias;
    e->pub.base = control->shared.secs.base;
    e->pub.size = size;
    atomic_store_explicit(&e->pub.used, 2, memory_order_release);
    driver_adopt_spans(e);
    return 0;
}

/* Decides where in the file the tables and pages of an enclave of `size` bytes are, and makes it
 * that long. */
int driver_lay_out(struct driver_enclave *e, uint64_t size)
{
    uint64_t pages = size >> SGX_PAGE_SHIFT;
    uint64_t chunks = driver_chunk_count(size);
    uint64_t chunk_bytes = (chunks * sizeof(uint32_t) + 4095) & ~4095ull;
    uint64_t epcm_bytes = (pages * sizeof(struct soft_epcm) + 4095) & ~4095ull;
    e->control->chunks_offset = SOFT_CONTROL_SIZE;
    e->control->epcm_offset = SOFT_CONTROL_SIZE + chunk_bytes;
    e->control->pages_offset = SOFT_CONTROL_SIZE + chunk_bytes + epcm_bytes;
    return (int)soft_syscall(SYS_ftruncate, e->pub.fd, e->control->pages_offset + size, 0, 0, 0, 0);
}

/* Nothing of it is left in this process: no descriptor, no mapping, no call. */
void driver_release_idle(struct driver_enclave *e)
{
    if (!e->pub.used || e->opens || e->pins || e->mapped_pages || e->spans) {
        return;
    }
    if (e->pub.used == 2) {
        soft_forget_enclave(&e->pub);
    }
    atomic_store_explicit(&e->pub.used, 0, memory_order_release);
    driver_epc_close(e);
    driver_drop_scratch(e);
    soft_unmap(e->table, e->table_size);
    soft_unmap(e->pub.alias, e->pub.size);
    soft_unmap(e->vma, e->pub.size >> SGX_PAGE_SHIFT);
    soft_unmap(e->vma_chunks, driver_chunk_count(e->pub.size) * sizeof(uint16_t));
    soft_unmap(e->control, SOFT_CONTROL_SIZE);
    soft_syscall(SYS_close, e->pub.fd, 0, 0, 0, 0, 0);
    g_live--;
}

static int memfd_with(const char *name, int flags, const void *head, size_t size, uint64_t length)
{
    uint32_t cloexec = flags & O_CLOEXEC ? MFD_CLOEXEC : 0;
    int fd = (int)soft_syscall(SYS_memfd_create, name, cloexec | MFD_EXEC_FLAG, 0, 0, 0, 0);
    if (fd == -EINVAL) {
        fd = (int)soft_syscall(SYS_memfd_create, name, cloexec, 0, 0, 0, 0);
    }
    if (fd < 0) {
        return fd;
    }
    long result = soft_syscall(SYS_ftruncate, fd, length, 0, 0, 0, 0);
    if (result || (result = soft_syscall(SYS_pwrite64, fd, head, size, 0, 0, 0)) != (long)size) {
        soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return result < 0 ? (int)result : -EIO;
    }
    return fd;
}

/* The memfd is open for reading and writing; a caller that asked for less gets a descriptor with
 * less. */
static int narrow_access(int fd, int flags)
{
    if ((flags & O_ACCMODE) == O_RDWR) {
        return fd;
    }
    char path[32] = "/proc/self/fd/";
    char digits[12];
    size_t at = strlen(path);
    int count = 0;
    for (int value = fd; value || !count; value /= 10) {
        digits[count++] = (char)('0' + value % 10);
    }
    while (count) {
        path[at++] = digits[--count];
    }
    path[at] = 0;
    int narrow =
        (int)soft_syscall(SYS_openat, AT_FDCWD, path, flags & (O_ACCMODE | O_CLOEXEC), 0, 0, 0);
    if (narrow >= 0) {
        soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return narrow;
    }
    return fd;
}

static int open_enclave(int flags)
{
    uint64_t magic = SOFT_ENCLAVE_MAGIC;
    int fd = memfd_with("sgx_enclave", flags, &magic, sizeof(magic), SOFT_CONTROL_SIZE);
    uint64_t device;
    uint64_t inode;
    if (fd < 0 || !file_key(fd, &device, &inode)) {
        return fd < 0 ? fd : -EIO;
    }
    struct driver_enclave *e = table_attach(fd, device, inode);
    if (!e) {
        soft_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
        return -ENOMEM;
    }
    e->opens = 1;
    return narrow_access(fd, flags);
}

int soft_open_node(const char *path, int flags)
{
    if (!soft_is_node(path)) {
        return -ENOENT;
    }
    if (!strcmp(path, SGX_LINUX_PROVISION_NODE)) {
        uint64_t magic = SOFT_PROVISION_MAGIC;
        return memfd_with("sgx_provision", flags, &magic, sizeof(magic), sizeof(magic));
    }
    soft_platform_load(); /* before any fork, so that children have the same platform */
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    int fd = open_enclave(flags);
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
    return fd;
}

static bool has_magic(int fd, uint64_t magic)
{
    uint64_t found = 0;
    /* Seals exist on memfds only: no other file is read. */
    return soft_syscall(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0) >= 0 &&
           soft_syscall(SYS_pread64, fd, &found, sizeof(found), 0, 0, 0) == sizeof(found) &&
           found == magic;
}

bool driver_is_provision_fd(int fd)
{
    return has_magic(fd, SOFT_PROVISION_MAGIC);
}

/* g_process_lock held. */
static struct driver_enclave *find_or_attach(int fd)
{
    uint64_t device;
    uint64_t inode;
    if (fd < 0 || !file_key(fd, &device, &inode)) {
        return NULL;
    }
    struct driver_enclave *e = table_find(device, inode);
    if (!e && has_magic(fd, SOFT_ENCLAVE_MAGIC) && (e = table_attach(fd, device, inode))) {
        e->opens = 1;
    }
    return e;
}

struct driver_enclave *driver_get(int fd)
{
    soft_lock(&g_process_lock);
    struct driver_enclave *e = find_or_attach(fd);
    if (e && driver_sync(e)) {
        e = NULL;
    }
    if (e) {
        e->pins++;
    }
    soft_unlock(&g_process_lock);
    return e;
}

void driver_put(struct driver_enclave *e)
{
    soft_lock(&g_process_lock);
    e->pins--;
    driver_release_idle(e);
    soft_unlock(&g_process_lock);
}

bool soft_is_enclave_fd(int fd)
{
    return soft_any_enclave() && soft_probe_fd(fd);
}

bool soft_probe_fd(int fd)
{
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    bool found = find_or_attach(fd) != NULL;
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
    return found;
}

static void count_fd(int fd, int change)
{
    uint64_t device;
    uint64_t inode;
    if (!soft_any_enclave() || fd < 0 || !file_key(fd, &device, &inode)) {
        return;
    }
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    struct driver_enclave *e = table_find(device, inode);
    if (e && e->pub.fd != fd && !soft_is_borrowed()) {
        e->opens = change > 0 ? e->opens + 1 : e->opens ? e->opens - 1 : 0;
        driver_release_idle(e);
    }
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
}

void soft_close_fd(int fd)
{
    count_fd(fd, -1);
}

void soft_dup_fd(int fd)
{
    count_fd(fd, 1);
}

bool soft_owns_fd(int fd)
{
    uint32_t high = soft_any_enclave() ? g_high : 0;
    for (uint32_t i = 0; i < high; i++) {
        if (g_enclaves[i].pub.used && g_enclaves[i].pub.fd == fd) {
            return true;
        }
    }
    return false;
}

int soft_next_own_fd(int from)
{
    int found = -1;
    for (uint32_t i = 0; i < g_high; i++) {
        const int fd = g_enclaves[i].pub.fd;
        if (g_enclaves[i].pub.used && fd >= from && (found < 0 || fd < found)) {
            found = fd;
        }
    }
    return found;
}

/* The lock is taken over the fork, so that the child's copy of the tables is whole. */
void soft_fork_prepare(void)
{
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    g_fork_mask = mask;
}

void soft_fork_parent(void)
{
    uint64_t mask = g_fork_mask;
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
}

void soft_fork_child(void)
{
    uint64_t mask = g_fork_mask;
    soft_process_note();
    for (uint32_t i = 0; i < g_high; i++) {
        g_enclaves[i].pins = 0; /* the calls at work were other threads' */
        if (g_enclaves[i].scratch) {
            mover_forget(&g_enclaves[i]);
        }
    }
    driver_epc_fork_child();
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
}
