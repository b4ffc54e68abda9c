/*
 * ADD_PAGES: the enclave's build, page by page in the manual's order, in batches for the machine.
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_ioctl.c.
 * Source pages are read into a bounce buffer first, so that what is hashed is what is stored; a batch is
 * written to the memfd with one system call for each run of pages that are not all zero.
 */
#include "soft/encls.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int check_secinfo(const struct sgx_secinfo *secinfo)
{
    uint64_t type = secinfo->flags & SGX_SECINFO_TYPE_MASK;
    uint64_t prot = secinfo->flags & SGX_SECINFO_RWX;
    if (type != SGX_SECINFO_REG && type != SGX_SECINFO_TCS) {
        return -EINVAL;
    }
    if ((prot & SGX_SECINFO_W) && !(prot & SGX_SECINFO_R)) {
        return -EINVAL;
    }
    if (type == SGX_SECINFO_TCS && prot) {
        return -EINVAL;
    }
    if (secinfo->flags & ~(SGX_SECINFO_RWX | SGX_SECINFO_TYPE_MASK) ||
        !soft_all_zero(secinfo->reserved, sizeof(secinfo->reserved))) {
        return -EINVAL;
    }
    return 0;
}

/* A signal that would run a handler (or end the process) waits for this thread. */
static bool signal_waits(uint64_t old_mask)
{
    uint64_t pending = 0;
    const uint64_t ignored = 1ull << (SIGCHLD - 1) | 1ull << (SIGURG - 1) |
                             1ull << (SIGWINCH - 1) | 1ull << (SIGCONT - 1);
    soft_syscall(SYS_rt_sigpending, &pending, sizeof(pending), 0, 0, 0, 0);
    pending &= ~old_mask;
    for (uint32_t i = 0; pending && i < 64; i++) {
        struct {
            void *handler;
            unsigned long flags;
            void *restorer;
            uint64_t mask;
        } action = {0};
        if (!(pending >> i & 1)) {
            continue;
        }
        soft_syscall(SYS_rt_sigaction, i + 1, 0, &action, 8, 0, 0);
        bool by_default = action.handler == (void *)SIG_DFL;
        if (action.handler != (void *)SIG_IGN && !(by_default && (ignored >> i & 1))) {
            return true;
        }
    }
    return false;
}

/* Reads as many of `count` pages as there are; the rest of the range is EFAULT. */
static uint64_t read_source(uint8_t *scratch, uint64_t source, uint64_t count)
{
    if (soft_user_read(scratch, source, count << SGX_PAGE_SHIFT)) {
        return count;
    }
    uint64_t got = 0;
    while (got < count && soft_user_read(scratch + (got << SGX_PAGE_SHIFT),
                                         source + (got << SGX_PAGE_SHIFT), SGX_PAGE_SIZE)) {
        got++;
    }
    return got;
}

static bool page_is_zero(const uint8_t *page)
{
    const uint64_t *words = (const uint64_t *)page;
    for (size_t i = 0; i < SGX_PAGE_SIZE / 8; i += 8) {
        if (words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] | words[i + 5] |
            words[i + 6] | words[i + 7]) {
            return false;
        }
    }
    return true;
}

static bool write_run(struct driver_enclave *e, const uint8_t *data, uint64_t first, uint64_t count)
{
    uint64_t size = count << SGX_PAGE_SHIFT;
    uint64_t offset = e->control->pages_offset + (first << SGX_PAGE_SHIFT);
    return !count || soft_syscall(SYS_pwrite64, e->pub.fd, data, size, offset, 0, 0) == (long)size;
}

/* The file is zero where nothing was written: zero pages cost nothing. */
static bool write_pages(struct driver_enclave *e, const uint8_t *data, uint64_t first,
                        uint64_t count)
{
    uint64_t run = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (page_is_zero(data + (i << SGX_PAGE_SHIFT))) {
            if (!write_run(e, data + (run << SGX_PAGE_SHIFT), first + run, i - run)) {
                return false;
            }
            run = i + 1;
        }
    }
    return write_run(e, data + (run << SGX_PAGE_SHIFT), first + run, count - run);
}

struct add {
    struct driver_enclave *e;
    struct sgx_linux_add_pages request;
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo;
};

/* EADD and EEXTEND of pages whose source is in the scratch buffer; shared->lock held. */
static int enter_pages(struct add *add, uint64_t first, uint64_t count, uint64_t *ret_done)
{
    struct driver_enclave *e = add->e;
    bool measured = add->request.flags & SGX_LINUX_PAGE_MEASURE;
    bool is_tcs = (add->secinfo.flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS;
    uint32_t max_prot = is_tcs ? PROT_READ | PROT_WRITE : add->secinfo.flags & SGX_SECINFO_RWX;
    for (*ret_done = 0; *ret_done < count; ++*ret_done) {
        uint64_t offset = (first + *ret_done) << SGX_PAGE_SHIFT;
        if (e->pub.epcm[first + *ret_done].flags & SOFT_EPCM_VALID) {
            return -EBUSY;
        }
        _Alignas(SGX_ALIGN_PAGEINFO) struct sgx_pageinfo info = {
            .linaddr = e->pub.base + offset,
            .srcpge = (uint64_t)(uintptr_t)(e->scratch + (*ret_done << SGX_PAGE_SHIFT)),
            .secinfo = (uint64_t)(uintptr_t)&add->secinfo,
            .secs = (uint64_t)(uintptr_t)&e->control->shared.secs,
        };
        uint64_t epc = (uint64_t)(uintptr_t)(e->pub.alias + offset);
        if (soft_eadd_deferred((uint64_t)(uintptr_t)&info, epc, measured).kind != SOFT_DONE) {
            return -EIO;
        }
        e->pub.epcm[first + *ret_done].max_prot = max_prot;
    }
    return 0;
}

static int map_pages(struct driver_enclave *e, uint64_t first, uint64_t count)
{
    soft_lock(&g_process_lock);
    soft_lock(&e->pub.shared->lock);
    driver_bump(e);
    int result = driver_apply(e, first, count);
    soft_unlock(&e->pub.shared->lock);
    soft_unlock(&g_process_lock);
    return result;
}

static int add_batch(struct add *add, uint64_t at, uint64_t count, uint64_t *ret_done)
{
    struct driver_enclave *e = add->e;
    uint64_t first = (add->request.offset + at) >> SGX_PAGE_SHIFT;
    uint64_t granted = driver_epc_take(e, count);
    uint64_t got = granted ? read_source(e->scratch, add->request.src + at, granted) : 0;
    *ret_done = 0;
    soft_lock(&e->pub.shared->lock);
    int result = enter_pages(add, first, got, ret_done);
    soft_unlock(&e->pub.shared->lock);
    if (granted > *ret_done) {
        driver_epc_give(e, granted - *ret_done);
    }
    if (!write_pages(e, e->scratch, first, *ret_done)) {
        return -ENOMEM;
    }
    int mapped = map_pages(e, first, *ret_done);
    if (result || mapped) {
        return result ? result : mapped;
    }
    return got < granted ? -EFAULT : granted < count ? -ENOMEM : 0;
}

static int add_pages(struct add *add, uint64_t old_mask)
{
    uint64_t at = 0;
    int result = 0;
    while (at < add->request.length && !result) {
        if (signal_waits(old_mask)) {
            result = at ? 0 : -EINTR;
            break;
        }
        uint64_t left = (add->request.length - at) >> SGX_PAGE_SHIFT;
        uint64_t done;
        result = add_batch(add, at, left < DRIVER_BATCH_PAGES ? left : DRIVER_BATCH_PAGES, &done);
        at += done << SGX_PAGE_SHIFT;
    }
    add->request.count = at;
    return result;
}

int driver_ioctl_add(struct driver_enclave *e, void *argument, uint64_t old_mask)
{
    struct add add = {.e = e};
    uint64_t user = (uint64_t)(uintptr_t)argument;
    if (e->control->shared.state != SOFT_STATE_CREATED) {
        return -EINVAL;
    }
    if (!soft_user_read(&add.request, user, sizeof(add.request))) {
        return -EFAULT;
    }
    if (!soft_aligned(add.request.src, SGX_PAGE_SIZE) ||
        !driver_range_is_good(e, add.request.offset, add.request.length)) {
        return -EINVAL;
    }
    if (!soft_user_read(&add.secinfo, add.request.secinfo, sizeof(add.secinfo))) {
        return -EFAULT;
    }
    int result = check_secinfo(&add.secinfo);
    if (result) {
        return result;
    }
    if (!e->scratch && !(e->scratch = soft_map_anonymous(DRIVER_SCRATCH_SIZE))) {
        return -ENOMEM;
    }
    result = add_pages(&add, old_mask);
    if (!soft_user_write(user, &add.request, sizeof(add.request))) {
        return -EFAULT;
    }
    return result;
}
