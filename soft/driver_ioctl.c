/*
 * The ioctls of /dev/sgx_enclave: dispatch, CREATE, INIT, PROVISION.
 * Side: soft (untrusted; it plays the kernel driver). Called by the interposers.
 * Order and values of the errors are the kernel's (arch/x86/kernel/cpu/sgx/ioctl.c); user memory is
 * read by system calls, so that a bad pointer gives EFAULT.
 */
#include "soft/encls.h"
#include "soft/keys.h"

#include <errno.h>
#include <string.h>

/* What the driver lets INIT start; PROVISION adds the provisioning key. */
#define ALLOWED_ATTRIBUTES                                                                         \
    (SGX_FLAGS_DEBUG | SGX_FLAGS_MODE64BIT | SGX_FLAGS_KSS | SGX_FLAGS_AEXNOTIFY)

bool driver_range_is_good(const struct driver_enclave *e, uint64_t offset, uint64_t length)
{
    return soft_aligned(offset, SGX_PAGE_SIZE) && length && soft_aligned(length, SGX_PAGE_SIZE) &&
           offset + length >= offset && offset + length - SGX_PAGE_SIZE < e->pub.size;
}

/* Gives the enclave its tables; on failure it is as before CREATE. */
static int create_tables(struct driver_enclave *e)
{
    int result = driver_lay_out(e, e->control->shared.secs.size);
    if (!result) {
        soft_lock(&g_process_lock);
        result = driver_sync(e);
        soft_unlock(&g_process_lock);
    }
    if (result) {
        soft_encls(SGX_EREMOVE, 0, (uint64_t)(uintptr_t)&e->control->shared.secs, 0);
        driver_epc_give(e, 1);
    }
    return result ? -ENOMEM : 0;
}

static int create(struct driver_enclave *e, const struct sgx_secs *secs)
{
    if (__builtin_popcountll(secs->size) != 1) {
        return -EINVAL;
    }
    if (!driver_epc_take(e, 1)) {
        return -ENOMEM;
    }
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo = {0};
    _Alignas(SGX_ALIGN_PAGEINFO) struct sgx_pageinfo info = {
        .srcpge = (uint64_t)(uintptr_t)secs, .secinfo = (uint64_t)(uintptr_t)&secinfo};
    struct soft_outcome outcome = soft_encls(SGX_ECREATE, (uint64_t)(uintptr_t)&info,
                                             (uint64_t)(uintptr_t)&e->control->shared.secs, 0);
    if (outcome.kind != SOFT_DONE) {
        driver_epc_give(e, 1);
        return -EIO;
    }
    e->control->attributes_allowed |= ALLOWED_ATTRIBUTES;
    return create_tables(e);
}

static int ioctl_create(struct driver_enclave *e, const void *argument)
{
    struct sgx_linux_create request;
    if (e->control->shared.state >= SOFT_STATE_CREATED) {
        return -EINVAL;
    }
    if (!soft_user_read(&request, (uint64_t)(uintptr_t)argument, sizeof(request))) {
        return -EFAULT;
    }
    _Alignas(SGX_PAGE_SIZE) struct sgx_secs secs;
    if (!soft_user_read(&secs, request.src, sizeof(secs))) {
        return -EFAULT;
    }
    return create(e, &secs);
}

static int init_with(struct driver_enclave *e, struct sgx_sigstruct *sig,
                     struct sgx_einittoken *token)
{
    struct soft_control *control = e->control;
    if (control->shared.secs.attributes.flags & ~control->attributes_allowed) {
        return -EACCES;
    }
    if (sig->attributes.flags & sig->attribute_mask.flags & ~soft_supported_attributes()) {
        return -EINVAL;
    }
    if (sig->misc_select & sig->misc_mask & ~SOFT_SUPPORTED_MISC) {
        return -EINVAL;
    }
    if (sig->attributes.xfrm & sig->attribute_mask.xfrm & ~soft_supported_xfrm()) {
        return -EINVAL;
    }
    soft_sha256(sig->modulus, SGX_RSA_SIZE, (uint8_t *)control->einit_msr);
    struct soft_outcome outcome =
        soft_encls(SGX_EINIT, (uint64_t)(uintptr_t)sig, (uint64_t)(uintptr_t)&control->shared.secs,
                   (uint64_t)(uintptr_t)token);
    if (outcome.kind == SOFT_FAULT) {
        return -EIO;
    }
    return outcome.code ? -EPERM : 0;
}

static int ioctl_init(struct driver_enclave *e, const void *argument)
{
    struct sgx_linux_init request;
    if (e->control->shared.state != SOFT_STATE_CREATED) {
        return -EINVAL;
    }
    if (!soft_user_read(&request, (uint64_t)(uintptr_t)argument, sizeof(request))) {
        return -EFAULT;
    }
    _Alignas(SGX_PAGE_SIZE) struct sgx_sigstruct sig;
    _Alignas(512) struct sgx_einittoken token = {0};
    if (!soft_user_read(&sig, request.sigstruct, sizeof(sig))) {
        return -EFAULT;
    }
    if (sig.vendor != 0 && sig.vendor != 0x8086) {
        return -EINVAL;
    }
    int result = init_with(e, &sig, &token);
    if (!result) {
        driver_drop_scratch(e);
        soft_patch_exit_sites(&e->pub);
    }
    return result;
}

static int ioctl_provision(struct driver_enclave *e, const void *argument)
{
    struct sgx_linux_provision request;
    if (!soft_user_read(&request, (uint64_t)(uintptr_t)argument, sizeof(request))) {
        return -EFAULT;
    }
    if (!driver_is_provision_fd((int)(uint32_t)request.fd)) {
        return -EINVAL;
    }
    e->control->attributes_allowed |= SGX_FLAGS_PROVISIONKEY;
    return 0;
}

static int dispatch(struct driver_enclave *e, uint32_t request, void *argument, uint64_t mask)
{
    switch (request) {
    case SGX_LINUX_IOC_ENCLAVE_CREATE:
        return ioctl_create(e, argument);
    case SGX_LINUX_IOC_ENCLAVE_ADD_PAGES:
        return driver_ioctl_add(e, argument, mask);
    case SGX_LINUX_IOC_ENCLAVE_INIT:
        return ioctl_init(e, argument);
    case SGX_LINUX_IOC_ENCLAVE_PROVISION:
        return ioctl_provision(e, argument);
    case SGX_LINUX_IOC_ENCLAVE_RESTRICT_PERMISSIONS:
        return driver_ioctl_restrict(e, argument);
    case SGX_LINUX_IOC_ENCLAVE_MODIFY_TYPES:
        return driver_ioctl_modify(e, argument);
    case SGX_LINUX_IOC_ENCLAVE_REMOVE_PAGES:
        return driver_ioctl_remove(e, argument);
    default:
        return -ENOTTY;
    }
}

int soft_ioctl(int fd, unsigned long request, void *argument)
{
    soft_platform_load();
    uint64_t mask = soft_signals_block();
    struct driver_enclave *e = driver_get(fd);
    int result = -ENOTTY;
    if (e) {
        result = -EBUSY; /* one at a time for each enclave, as in the kernel */
        if (soft_try_lock(&e->control->ioctl_owner, soft_thread_id())) {
            result = dispatch(e, (uint32_t)request, argument, mask);
            soft_unlock(&e->control->ioctl_owner);
        }
        driver_put(e);
    }
    soft_signals_restore(mask);
    return result;
}
