/*
 * The enclave page cache as a bounded resource: who holds how many pages.
 * Side: soft (untrusted). Called by the driver.
 * The table is shared over fork; entries of processes that died without closing are collected when
 * it counts. It never moves pages: overcommit is transparent, as with the kernel's reclaimer,
 * unless switched off.
 */
#include "soft/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define EPC_DEFAULT_BYTES (128ull << 20)
#define EPC_VA_SLOTS 512u /* enclave pages for each version-array page */
#define EPC_HOLDERS 8u
#define EPC_HOLDERS_UNKNOWN 1u

/* Pages of one enclave; it stays while one of the holders is alive. */
struct epc_slot {
    uint64_t device;
    uint64_t inode; /* 0: free */
    _Atomic uint64_t pages;
    _Atomic uint32_t holders[EPC_HOLDERS];
    uint32_t flags; /* EPC_HOLDERS_UNKNOWN: more than fit, never collected */
};

struct epc_table {
    _Atomic uint32_t lock;
    uint32_t overcommit;
    uint64_t total;
    _Atomic uint64_t used;
    struct epc_slot slots[SOFT_MAX_ENCLAVES];
};

static struct epc_table *g_epc;

static uint64_t parse_size(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' || *end == 'k'   ? 10
                     : *end == 'M' || *end == 'm' ? 20
                     : *end == 'G' || *end == 'g' ? 30
                                                  : 0;
    if (end == text || (shift ? end[1] : end[0]) || value > (1ull << 44) >> shift || !value) {
        return 0;
    }
    return value << shift;
}

/* Made at the first open, so that all children share it. g_process_lock held. */
static bool epc_ready(void)
{
    if (g_epc) {
        return true;
    }
    long at = soft_syscall(SYS_mmap, 0, sizeof(struct epc_table), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096) {
        return false;
    }
    struct epc_table *table = (struct epc_table *)at;
    const char *size = getenv("CELLA_SOFT_EPC");
    uint64_t bytes = size ? parse_size(size) : 0;
    table->total = (bytes ? bytes : EPC_DEFAULT_BYTES) >> SGX_PAGE_SHIFT;
    const char *overcommit = getenv("CELLA_SOFT_EPC_OVERCOMMIT");
    table->overcommit = !(overcommit && overcommit[0] == '0' && !overcommit[1]);
    g_epc = table;
    return true;
}

static struct epc_slot *epc_find(uint64_t device, uint64_t inode)
{
    for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
        if (g_epc->slots[i].inode == inode && g_epc->slots[i].device == device) {
            return &g_epc->slots[i];
        }
    }
    return NULL;
}

static void epc_hold(struct epc_slot *slot, uint32_t pid)
{
    for (uint32_t i = 0; i < EPC_HOLDERS; i++) {
        if (slot->holders[i] == pid) {
            return;
        }
    }
    for (uint32_t i = 0; i < EPC_HOLDERS; i++) {
        if (!slot->holders[i]) {
            slot->holders[i] = pid;
            return;
        }
    }
    slot->flags |= EPC_HOLDERS_UNKNOWN;
}

static void epc_drop_if_unheld(struct epc_slot *slot)
{
    if (slot->flags & EPC_HOLDERS_UNKNOWN) {
        return;
    }
    for (uint32_t i = 0; i < EPC_HOLDERS; i++) {
        if (slot->holders[i]) {
            return;
        }
    }
    g_epc->used -= slot->pages;
    slot->pages = 0;
    slot->device = 0;
    slot->inode = 0;
}

/* Takes the dead out of the table. */
static void epc_collect(void)
{
    for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
        struct epc_slot *slot = &g_epc->slots[i];
        if (!slot->inode) {
            continue;
        }
        for (uint32_t k = 0; k < EPC_HOLDERS; k++) {
            if (slot->holders[k] &&
                soft_syscall(SYS_kill, slot->holders[k], 0, 0, 0, 0, 0) == -ESRCH) {
                slot->holders[k] = 0;
            }
        }
        epc_drop_if_unheld(slot);
    }
}

static uint32_t own_pid(void)
{
    return (uint32_t)soft_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

void driver_epc_open(struct driver_enclave *e)
{
    if (!epc_ready()) {
        return;
    }
    soft_lock(&g_epc->lock);
    struct epc_slot *slot = epc_find(e->device, e->inode);
    if (!slot && !(slot = epc_find(0, 0))) {
        epc_collect();
        slot = epc_find(0, 0);
    }
    if (slot) {
        if (!slot->inode) {
            slot->device = e->device;
            slot->inode = e->inode;
            slot->flags = 0;
            slot->pages = e->control->epc_pages;
            g_epc->used += slot->pages;
        }
        epc_hold(slot, own_pid());
    }
    soft_unlock(&g_epc->lock);
}

void driver_epc_close(struct driver_enclave *e)
{
    if (!g_epc) {
        return;
    }
    soft_lock(&g_epc->lock);
    struct epc_slot *slot = epc_find(e->device, e->inode);
    if (slot) {
        uint32_t pid = own_pid();
        for (uint32_t i = 0; i < EPC_HOLDERS; i++) {
            if (slot->holders[i] == pid) {
                slot->holders[i] = 0;
            }
        }
        epc_drop_if_unheld(slot);
    }
    soft_unlock(&g_epc->lock);
}

/* What `pages` more enclave pages cost after `before` of them: the kernel makes a VA page for every
 * 512. */
static uint64_t epc_cost(uint64_t before, uint64_t pages)
{
    uint64_t va_before = (before + EPC_VA_SLOTS - 1) / EPC_VA_SLOTS;
    uint64_t va_after = (before + pages + EPC_VA_SLOTS - 1) / EPC_VA_SLOTS;
    return pages + va_after - va_before;
}

static uint64_t epc_affordable(uint64_t before, uint64_t pages)
{
    uint64_t left = g_epc->total > g_epc->used ? g_epc->total - g_epc->used : 0;
    uint64_t granted = pages < left ? pages : left;
    while (granted && epc_cost(before, granted) > left) {
        granted--; /* at most one in 512 goes to VA pages */
    }
    return granted;
}

uint64_t driver_epc_take(struct driver_enclave *e, uint64_t pages)
{
    uint64_t before = e->control->kernel_pages;
    if (g_epc) {
        const uint32_t self = e->locker;
        soft_lock_as(&g_epc->lock, self ? self : soft_thread_id());
        if (!g_epc->overcommit && epc_affordable(before, pages) < pages) {
            epc_collect();
            pages = epc_affordable(before, pages);
        }
        struct epc_slot *slot = epc_find(e->device, e->inode);
        if (slot) {
            slot->pages += epc_cost(before, pages);
            g_epc->used += epc_cost(before, pages);
        }
        soft_unlock(&g_epc->lock);
    }
    e->control->kernel_pages = before + pages;
    e->control->epc_pages += epc_cost(before, pages);
    return pages;
}

void driver_epc_give(struct driver_enclave *e, uint64_t pages)
{
    e->control->kernel_pages -= pages;
    e->control->epc_pages -= pages;
    if (!g_epc) {
        return;
    }
    soft_lock(&g_epc->lock);
    struct epc_slot *slot = epc_find(e->device, e->inode);
    if (slot) {
        slot->pages -= pages;
        g_epc->used -= pages;
    }
    soft_unlock(&g_epc->lock);
}

/* The parent may have closed its enclaves already: then they are entered anew. */
void driver_epc_fork_child(void)
{
    for (uint32_t i = 0; g_epc && i < SOFT_MAX_ENCLAVES; i++) {
        if (g_enclaves[i].pub.used) {
            driver_epc_open(&g_enclaves[i]);
        }
    }
}

struct soft_epc_stats soft_epc_stats(void)
{
    struct soft_epc_stats stats = {.total = EPC_DEFAULT_BYTES >> SGX_PAGE_SHIFT,
                                   .overcommit = true};
    uint64_t mask = soft_signals_block();
    soft_lock(&g_process_lock);
    if (epc_ready()) {
        soft_lock(&g_epc->lock);
        epc_collect();
        stats.total = g_epc->total;
        stats.used = g_epc->used;
        stats.overcommit = g_epc->overcommit != 0;
        for (uint32_t i = 0; i < SOFT_MAX_ENCLAVES; i++) {
            stats.enclaves += g_epc->slots[i].inode != 0;
        }
        soft_unlock(&g_epc->lock);
    }
    soft_unlock(&g_process_lock);
    soft_signals_restore(mask);
    return stats;
}
