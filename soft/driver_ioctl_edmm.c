/*
 * The SGX2 ioctls: RESTRICT_PERMISSIONS, MODIFY_TYPES, REMOVE_PAGES.
 * Side: soft (untrusted; it plays the kernel driver). Called by driver_ioctl.c.
 * Each page is done with the kernel's checks in the kernel's order; mappings follow in runs, before
 * anything returns to the enclave.
 */
#include "soft/encls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Pages between two looks at the locks, so that other threads get in. */
#define STEP_PAGES 512u

struct edmm {
    struct driver_enclave *e;
    uint64_t offset;
    uint64_t length;
    uint64_t value; /* permissions or page type */
    uint64_t result;
    uint64_t count;
};

typedef int (*edmm_page)(struct edmm *edmm, uint64_t page);

static uint64_t epc_of(const struct driver_enclave *e, uint64_t page)
{
    return (uint64_t)(uintptr_t)(e->pub.alias + (page << SGX_PAGE_SHIFT));
}

/* The kernel retries after it has kicked everybody out; nobody needs kicking here. */
static int track(struct driver_enclave *e)
{
    uint64_t secs = (uint64_t)(uintptr_t)&e->control->shared.secs;
    if (e->control->hooks & SOFT_HOOK_NO_ETRACK) {
        return 0;
    }
    if (soft_encls(SGX_ETRACK, 0, secs, 0).code && soft_encls(SGX_ETRACK, 0, secs, 0).code) {
        return -EFAULT;
    }
    return 0;
}

static int outcome_to_errno(struct edmm *edmm, struct soft_outcome outcome)
{
    if (outcome.kind == SOFT_FAULT) {
        return -EFAULT;
    }
    if (outcome.code) {
        edmm->result = outcome.code;
        return -EFAULT;
    }
    return track(edmm->e);
}

static uint64_t type_of(const struct driver_enclave *e, uint64_t page)
{
    return e->pub.epcm[page].flags & SGX_SECINFO_TYPE_MASK;
}

static int restrict_page(struct edmm *edmm, uint64_t page)
{
    if (type_of(edmm->e, page) != SGX_SECINFO_REG) {
        return -EINVAL;
    }
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo = {.flags = edmm->value};
    return outcome_to_errno(
        edmm, soft_encls(SGX_EMODPR, (uint64_t)(uintptr_t)&secinfo, epc_of(edmm->e, page), 0));
}

static int modify_page(struct edmm *edmm, uint64_t page)
{
    struct soft_epcm *entry = &edmm->e->pub.epcm[page];
    uint64_t from = type_of(edmm->e, page);
    uint64_t to = edmm->value << SGX_SECINFO_TYPE_SHIFT;
    uint32_t old_prot = entry->max_prot;
    if (from != SGX_SECINFO_REG && !(from == SGX_SECINFO_TCS && to == SGX_SECINFO_TRIM)) {
        return -EINVAL;
    }
    if (from == SGX_SECINFO_REG && to == SGX_SECINFO_TCS) {
        if (~old_prot & (PROT_READ | PROT_WRITE)) {
            return -EPERM;
        }
        entry->max_prot = (old_prot & ~SOFT_MAX_PROT_MASK) | PROT_READ | PROT_WRITE;
    }
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo = {.flags = to};
    struct soft_outcome outcome =
        soft_encls(SGX_EMODT, (uint64_t)(uintptr_t)&secinfo, epc_of(edmm->e, page), 0);
    if (outcome.kind == SOFT_FAULT || outcome.code) {
        entry->max_prot = old_prot;
    }
    return outcome_to_errno(edmm, outcome);
}

/*
 * EMODPR with all rights changes nothing: #PF from it proves that the enclave has accepted the
 * trimming.
 */
static int remove_page(struct edmm *edmm, uint64_t page)
{
    if (type_of(edmm->e, page) != SGX_SECINFO_TRIM) {
        return -EPERM;
    }
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo = {.flags = SGX_SECINFO_RWX};
    struct soft_outcome outcome =
        soft_encls(SGX_EMODPR, (uint64_t)(uintptr_t)&secinfo, epc_of(edmm->e, page), 0);
    if (outcome.kind != SOFT_FAULT || outcome.vector != SGX_VECTOR_PF) {
        return -EPERM;
    }
    soft_encls(SGX_EREMOVE, 0, epc_of(edmm->e, page), 0);
    return 0;
}

/* Both locks held. Stops at the first page that fails; count is what was done before. */
static int do_step(struct edmm *edmm, uint64_t pages, edmm_page function)
{
    struct driver_enclave *e = edmm->e;
    uint64_t first = (edmm->offset + edmm->count) >> SGX_PAGE_SHIFT;
    uint64_t done = 0;
    int result = 0;
    while (done < pages && !result) {
        result = -EFAULT;
        if (e->pub.epcm[first + done].flags & SOFT_EPCM_VALID) {
            result = function(edmm, first + done);
        }
        done += !result;
    }
    edmm->count += done << SGX_PAGE_SHIFT;
    driver_bump(e);
    int applied = driver_apply(e, first, done);
    if (function == remove_page && done) {
        /*
         * Gone from the file as well: memory is given back, and a page augmented here again is
         * zero.
         */
        soft_syscall(SYS_fallocate, e->pub.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     e->control->pages_offset + (first << SGX_PAGE_SHIFT), done << SGX_PAGE_SHIFT,
                     0, 0);
        driver_epc_give(e, done);
    }
    return result ? result : applied;
}

static int do_pages(struct edmm *edmm, edmm_page function)
{
    struct driver_enclave *e = edmm->e;
    int result = 0;
    while (edmm->count < edmm->length && !result) {
        uint64_t left = (edmm->length - edmm->count) >> SGX_PAGE_SHIFT;
        soft_lock(&g_process_lock);
        soft_lock(&e->pub.shared->lock);
        result = do_step(edmm, left < STEP_PAGES ? left : STEP_PAGES, function);
        soft_unlock(&e->pub.shared->lock);
        soft_unlock(&g_process_lock);
    }
    return result;
}

int driver_ioctl_restrict(struct driver_enclave *e, void *argument)
{
    struct sgx_linux_restrict_permissions request;
    uint64_t user = (uint64_t)(uintptr_t)argument;
    if (e->control->shared.state != SOFT_STATE_INITIALIZED) {
        return -EINVAL;
    }
    if (!soft_user_read(&request, user, sizeof(request))) {
        return -EFAULT;
    }
    bool write_only =
        (request.permissions & SGX_SECINFO_W) && !(request.permissions & SGX_SECINFO_R);
    if (!driver_range_is_good(e, request.offset, request.length) ||
        request.permissions & ~SGX_SECINFO_RWX || write_only || request.result || request.count) {
        return -EINVAL;
    }
    struct edmm edmm = {
        .e = e, .offset = request.offset, .length = request.length, .value = request.permissions};
    int result = do_pages(&edmm, restrict_page);
    request.result = edmm.result;
    request.count = edmm.count;
    return soft_user_write(user, &request, sizeof(request)) ? result : -EFAULT;
}

int driver_ioctl_modify(struct driver_enclave *e, void *argument)
{
    struct sgx_linux_modify_types request;
    uint64_t user = (uint64_t)(uintptr_t)argument;
    if (e->control->shared.state != SOFT_STATE_INITIALIZED) {
        return -EINVAL;
    }
    if (!soft_user_read(&request, user, sizeof(request))) {
        return -EFAULT;
    }
    if (!driver_range_is_good(e, request.offset, request.length) || request.page_type & ~0xffull ||
        request.result || request.count) {
        return -EINVAL;
    }
    struct edmm edmm = {
        .e = e, .offset = request.offset, .length = request.length, .value = request.page_type};
    int result = -EINVAL;
    if (request.page_type == SGX_PT_TCS || request.page_type == SGX_PT_TRIM) {
        result = do_pages(&edmm, modify_page);
    }
    request.result = edmm.result;
    request.count = edmm.count;
    return soft_user_write(user, &request, sizeof(request)) ? result : -EFAULT;
}

int driver_ioctl_remove(struct driver_enclave *e, void *argument)
{
    struct sgx_linux_remove_pages request;
    uint64_t user = (uint64_t)(uintptr_t)argument;
    if (e->control->shared.state != SOFT_STATE_INITIALIZED) {
        return -EINVAL;
    }
    if (!soft_user_read(&request, user, sizeof(request))) {
        return -EFAULT;
    }
    if (!driver_range_is_good(e, request.offset, request.length) || request.count) {
        return -EINVAL;
    }
    struct edmm edmm = {.e = e, .offset = request.offset, .length = request.length};
    int result = do_pages(&edmm, remove_page);
    request.count = edmm.count;
    return soft_user_write(user, &request, sizeof(request)) ? result : -EFAULT;
}
