/*
 * ADD_PAGES: the enclave's build, page by page in the manual's order, in batches for the machine.
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_ioctl.c.
 * Source pages are read into a bounce buffer first, so that what is hashed is what is stored; they
 * are written to the file in runs, never through a mapping (a fault for each page is too slow).
 */
#include "soft/mover.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ADD_HERE_PAGES                                                                             \
    32u /* small enough to stay in the second-level cache from reading to writing */

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
    const uint64_t ignored = 1ull << (SIGCHLD - 1) | 1ull << (SIGURG - 1) | 1ull << (SIGWINCH - 1) |
                             1ull << (SIGCONT - 1);
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

struct add {
    struct driver_enclave *e;
    uint64_t old_mask; /* the caller's signal mask */
    uint64_t ahead;    /* source that will be wanted next, 0 when another thread reads it */
    struct sgx_linux_add_pages request;
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo;
};

/*
 * Memory idles while this thread hashes: the next batch's source is fetched meanwhile. Never
 * faults.
 */
static void prefetch_page(uint64_t source)
{
    for (uint64_t at = 0; at < SGX_PAGE_SIZE; at += 64) {
        __builtin_prefetch((const void *)(uintptr_t)(source + at), 0, 2);
    }
}

/* EADD and EEXTEND of `count` pages whose source is at `data`; shared->lock held. */
static int enter_pages(struct add *add, uint8_t *data, uint64_t first, uint64_t count,
                       uint64_t *ret_done)
{
    struct driver_enclave *e = add->e;
    bool measured = add->request.flags & SGX_LINUX_PAGE_MEASURE;
    bool is_tcs = (add->secinfo.flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS;
    uint32_t max_prot = is_tcs ? PROT_READ | PROT_WRITE : add->secinfo.flags & SGX_SECINFO_RWX;
    for (*ret_done = 0; *ret_done < count; ++*ret_done) {
        uint64_t offset = (first + *ret_done) << SGX_PAGE_SHIFT;
        _Alignas(SGX_ALIGN_PAGEINFO) struct sgx_pageinfo info = {
            .linaddr = e->pub.base + offset,
            .srcpge = (uint64_t)(uintptr_t)(data + (*ret_done << SGX_PAGE_SHIFT)),
            .secinfo = (uint64_t)(uintptr_t)&add->secinfo,
            .secs = (uint64_t)(uintptr_t)&e->control->shared.secs,
        };
        uint64_t epc = (uint64_t)(uintptr_t)(e->pub.alias + offset);
        if (soft_eadd_deferred((uint64_t)(uintptr_t)&info, epc, measured).kind != SOFT_DONE) {
            return -EIO;
        }
        e->pub.epcm[first + *ret_done].max_prot = max_prot;
        if (add->ahead) {
            prefetch_page(add->ahead + (*ret_done << SGX_PAGE_SHIFT));
        }
    }
    return 0;
}

static int enter_locked(struct add *add, uint8_t *data, uint64_t first, uint64_t count,
                        uint64_t *ret_done)
{
    soft_lock(&add->e->pub.shared->lock);
    int result = enter_pages(add, data, first, count, ret_done);
    soft_unlock(&add->e->pub.shared->lock);
    return result;
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

/* Reads, enters and writes `count` pages from page `at` of the request on, in this thread. */
static int add_here(struct add *add, uint64_t at, uint64_t count, uint64_t *ret_done)
{
    struct driver_enclave *e = add->e;
    uint64_t first = (add->request.offset >> SGX_PAGE_SHIFT) + at;
    uint8_t *pages = e->scratch->own;
    uint64_t source = add->request.src + (at << SGX_PAGE_SHIFT);
    uint64_t got = mover_read(pages, source, count);
    add->ahead = source + (count << SGX_PAGE_SHIFT);
    int result = enter_locked(add, pages, first, got, ret_done);
    if (!mover_write(e, pages, first, *ret_done)) {
        return -ENOMEM;
    }
    return result ? result : got < count ? -EFAULT : 0;
}

/* Small requests: everything in this thread. */
static int add_alone(struct add *add, uint64_t count, uint64_t *ret_done)
{
    int result = 0;
    *ret_done = 0;
    while (*ret_done < count && !result) {
        if (signal_waits(add->old_mask)) {
            return *ret_done ? 0 : -EINTR;
        }
        uint64_t left = count - *ret_done;
        uint64_t done;
        result =
            add_here(add, *ret_done, left < SCRATCH_OWN_PAGES ? left : SCRATCH_OWN_PAGES, &done);
        *ret_done += done;
    }
    return result;
}

/* One batch that the helper may have moved already. */
static int add_batch(struct add *add, uint32_t batch, uint64_t count, uint64_t *ret_done)
{
    struct mover *mover = &add->e->scratch->mover;
    uint64_t at = (uint64_t)batch * MOVER_BATCH;
    uint64_t got;
    uint8_t *pages = mover_take(mover, batch, &got);
    if (!pages) {
        return add_here(add, at, count, ret_done);
    }
    add->ahead = 0;
    int result = enter_locked(add, pages, mover->first + at, got, ret_done);
    if (mover->failed) {
        return -ENOMEM;
    }
    return result ? result : got < count ? -EFAULT : 0;
}

/* Large ones: a helper moves the pages, this thread hashes them. */
static int add_with_mover(struct add *add, uint64_t count, uint64_t *ret_done)
{
    struct mover *mover = &add->e->scratch->mover;
    int result = 0;
    *ret_done = 0;
    for (uint32_t batch = 0; *ret_done < count && !result; batch++) {
        uint64_t left = count - *ret_done;
        uint64_t done;
        if (signal_waits(add->old_mask)) {
            result = *ret_done ? 0 : -EINTR;
            break;
        }
        result = add_batch(add, batch, left < MOVER_BATCH ? left : MOVER_BATCH, &done);
        *ret_done += done;
        mover_release(mover, batch);
    }
    mover_finish(mover);
    if (mover->written > *ret_done) {
        mover_discard(add->e, mover->first + *ret_done, mover->written - *ret_done);
    }
    return result;
}

/* Pages from `first` on that are not there yet. */
static uint64_t free_pages(struct driver_enclave *e, uint64_t first, uint64_t count)
{
    const uint64_t end = first + count;
    uint64_t page = driver_next_used(e, first, end);
    for (; page < end; page = driver_next_used(e, page + 1, end)) {
        if (e->pub.epcm[page].flags & SOFT_EPCM_VALID) {
            return page - first;
        }
    }
    return count;
}

/* Pages whose source may be read; *ret_error is what the one behind them gets. */
static uint64_t readable_pages(struct add *add, uint64_t count, int *ret_error)
{
    uint64_t done = 0;
    *ret_error = 0;
    while (done < count) {
        uint64_t at = add->request.src + (done << SGX_PAGE_SHIFT);
        *ret_error = driver_source_check(add->e, at);
        if (*ret_error) {
            return done;
        }
        uint64_t end = add->e->source_end;
        uint64_t reach = end > at ? (end - at) >> SGX_PAGE_SHIFT : 1;
        done += reach ? reach : 1;
    }
    return count;
}

/*
 * What stops the request is known before anything is moved: a source that is not to be used, a page
 * that exists, or the end of the EPC.
 */
static int add_pages(struct add *add)
{
    struct driver_enclave *e = add->e;
    uint64_t first = add->request.offset >> SGX_PAGE_SHIFT;
    uint64_t asked = add->request.length >> SGX_PAGE_SHIFT;
    int source_error;
    uint64_t free = free_pages(e, first, asked);
    uint64_t readable = readable_pages(add, free, &source_error);
    uint64_t granted = driver_epc_take(e, readable);
    uint64_t done;
    int result;
    if (mover_is_useful(granted) && mover_start(e, add->request.src, first, granted)) {
        result = add_with_mover(add, granted, &done);
    } else {
        result = add_alone(add, granted, &done);
    }
    driver_epc_give(e, granted - done);
    int mapped = map_pages(e, first, done);
    add->request.count = done << SGX_PAGE_SHIFT;
    if (result || mapped || done < granted) {
        return result ? result : mapped;
    }
    return granted < readable ? -ENOMEM
           : readable < free  ? source_error
           : free < asked     ? -EBUSY
                              : 0;
}

void driver_drop_scratch(struct driver_enclave *e)
{
    if (e->scratch) {
        mover_join(e);
        soft_unmap(e->scratch, sizeof(struct driver_scratch));
        e->scratch = NULL;
    }
}

int driver_ioctl_add(struct driver_enclave *e, void *argument, uint64_t old_mask)
{
    struct add add = {.e = e, .old_mask = old_mask};
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
    if (!e->scratch && !(e->scratch = soft_map_anonymous(sizeof(struct driver_scratch)))) {
        return -ENOMEM;
    }
    result = add_pages(&add);
    if (!soft_user_write(user, &add.request, sizeof(add.request))) {
        return -EFAULT;
    }
    return result;
}
