/*
 * From an image to an initialised enclave: ECREATE, EADD and EEXTEND by runs, EINIT, mappings.
 * Side: host. Called by enclave.c. Uses only the kernel's SGX ABI (struct cella_processor).
 * Never measures anything itself: the processor does, and refuses what was not signed.
 */
#include "host/host.h"
#include "host/image_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ZERO_SIZE (1024u * 1024u)
#define LOWEST_ADDRESS 0x10000u

/* What the ioctls want on pages of its own, and the walker's page: too big for a stack. */
struct loader {
    _Alignas(SGX_PAGE_SIZE) struct sgx_secs secs;
    _Alignas(SGX_PAGE_SIZE) struct sgx_sigstruct sigstruct;
    struct cella_image_iterator iterator;
};

/* vm.mmap_min_addr: nobody may map anything below it, the enclave's pages included. */
static uint64_t lowest_address(void)
{
    unsigned long long value = 0;
    FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "re");
    if (file) {
        if (fscanf(file, "%llu", &value) != 1) {
            value = 0;
        }
        fclose(file);
    }
    value = (value + SGX_PAGE_SIZE - 1) & ~(unsigned long long)(SGX_PAGE_SIZE - 1);
    return value > LOWEST_ADDRESS ? value : LOWEST_ADDRESS;
}

/* The first mapping of this process below `end`, as /proc/self/maps has it. */
static void name_what_is_there(uint64_t end, char *text, size_t size)
{
    char line[512];
    unsigned long long start = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    snprintf(text, size, "something");
    if (!file) {
        return;
    }
    if (fgets(line, sizeof(line), file) && sscanf(line, "%llx", &start) == 1 && start < end) {
        line[strcspn(line, "\n")] = 0;
        const char *path = strpbrk(line, "/[");
        snprintf(text, size, "%s at %#llx", path ? path : "memory that belongs to no file", start);
    }
    fclose(file);
}

/* ELRANGE is [0, size): all of it that can be mapped is taken, so that nothing of the host is ever put there. */
static cella_result range_reserve_low(cella_enclave *enclave, const struct cella_image_info *info,
                                      uint64_t size, struct cella_error *error)
{
    const uint64_t low = lowest_address();
    char there[PATH_MAX];
    if (info->space_size != 0 && info->space_offset < low) {
        return cella_error_set(error, CELLA_RESULT(HOST_REFUSED),
                               "%s wants memory from address %#llx on, and vm.mmap_min_addr is"
                               " %#llx: sysctl vm.mmap_min_addr=%llu",
                               enclave->name, (unsigned long long)info->space_offset,
                               (unsigned long long)low, (unsigned long long)info->space_offset);
    }
    void *space = mmap((void *)low, size - low, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    const int error_number = space == MAP_FAILED ? errno : EEXIST;
    if ((uint64_t)space == low) {
        enclave->base = 0;
        enclave->size = size;
        enclave->range_start = low;
        return CELLA_OK;
    }
    if (space != MAP_FAILED) { /* a kernel that takes the address for a hint */
        munmap(space, size - low);
    }
    if (error_number != EEXIST) {
        return cella_error_errno(error, CELLA_RESULT(OUT_OF_MEMORY), error_number,
                                 "no address space for an enclave from 0 to %#llx",
                                 (unsigned long long)size);
    }
    name_what_is_there(size, there, sizeof(there));
    return cella_error_set(error, CELLA_RESULT(OVERLAP),
                           "%s takes all addresses below %#llx, and this process has %s: the host"
                           " must be a position-independent program (-pie) without sanitizers",
                           enclave->name, (unsigned long long)size, there);
}

/* Reserves address space for ELRANGE: `size` bytes, aligned to `size`, unmapped pages. */
static cella_result range_reserve(cella_enclave *enclave, uint64_t size, struct cella_error *error)
{
    char *space =
        mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        return cella_error_errno(error, CELLA_RESULT(OUT_OF_MEMORY), errno,
                                 "no address space for an enclave of %#llx bytes",
                                 (unsigned long long)size);
    }
    const uint64_t at = (uint64_t)space;
    const uint64_t base = (at + size - 1) & ~(size - 1);
    if (base > at) {
        munmap(space, base - at);
    }
    if (base + size < at + 2 * size) {
        munmap((void *)(base + size), at + 2 * size - (base + size));
    }
    enclave->base = base;
    enclave->size = size;
    enclave->range_start = base;
    return CELLA_OK;
}

static cella_result enclave_ecreate(cella_enclave *enclave, const struct cella_image *image,
                                    struct loader *loader, struct cella_error *error)
{
    struct sgx_secs *secs = &loader->secs;
    struct cella_image_processor offers;
    uint32_t flags;
    cella_processor_offers(&offers, &flags);
    offers.debug = (enclave->flags & CELLA_ENCLAVE_DEBUG) != 0;
    CELLA_TRY(cella_image_secs(image, &offers, secs, error));
    if (enclave->config_id) {
        secs->attributes.flags |= SGX_FLAGS_KSS & ~image->sigstruct.attribute_mask.flags;
        if (!(secs->attributes.flags & SGX_FLAGS_KSS)) {
            return cella_error_set(error, CELLA_RESULT(ATTRIBUTE_REFUSED),
                                   "%s: CONFIGID needs an image that is signed with kss",
                                   enclave->name);
        }
        memcpy(secs->config_id, enclave->config_id, sizeof(secs->config_id));
        secs->config_svn = enclave->config_svn;
    }
    CELLA_TRY(image->info.flags & CELLA_IMAGE_BASE_ZERO
                  ? range_reserve_low(enclave, &image->info, secs->size, error)
                  : range_reserve(enclave, secs->size, error));
    secs->base = enclave->base;
    struct sgx_linux_create create = {.src = (uint64_t)secs};
    const int done = enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create);
    if (done < 0) {
        const cella_result result =
            done == -ENOMEM ? CELLA_RESULT(OUT_OF_EPC) : CELLA_RESULT(ATTRIBUTE_REFUSED);
        return cella_error_errno(
            error, result, -done, "%s: ECREATE refused (size %#llx, attributes %#llx, xfrm %#llx)",
            enclave->name, (unsigned long long)secs->size,
            (unsigned long long)secs->attributes.flags, (unsigned long long)secs->attributes.xfrm);
    }
    return CELLA_OK;
}

static cella_result add_failed(const cella_enclave *enclave, int error_number, uint64_t offset,
                               struct cella_error *error)
{
    cella_result result = CELLA_RESULT(IO);
    if (error_number == ENOMEM) {
        result = CELLA_RESULT(OUT_OF_EPC);
    } else if (error_number == EACCES) {
        result = CELLA_RESULT(ACCESS_DENIED);
    } else if (error_number == EBUSY) {
        result = CELLA_RESULT(OVERLAP);
    }
    return cella_error_errno(error, result, error_number, "%s: EADD of the page at offset %#llx",
                             enclave->name, (unsigned long long)offset);
}

/* Adds `length` bytes; the kernel may stop early for a signal and says how far it came. */
static cella_result pages_add(const cella_enclave *enclave, const void *source, uint64_t offset,
                              uint64_t length, const struct sgx_secinfo *secinfo, bool measured,
                              struct cella_error *error)
{
    while (length > 0) {
        struct sgx_linux_add_pages add = {.src = (uint64_t)source,
                                          .offset = offset,
                                          .length = length,
                                          .secinfo = (uint64_t)secinfo,
                                          .flags = measured ? SGX_LINUX_PAGE_MEASURE : 0};
        const int done =
            enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &add);
        if (done < 0 && (add.count == 0 || (done != -EINTR && done != -EAGAIN))) {
            if (done == -EINTR || done == -EAGAIN) {
                continue;
            }
            return add_failed(enclave, -done, offset + add.count, error);
        }
        if (add.count == 0 || add.count > length) {
            return add_failed(enclave, EIO, offset, error);
        }
        source = (const char *)source + add.count;
        offset += add.count;
        length -= add.count;
    }
    return CELLA_OK;
}

/* Pages of zeros come from one shared block, piece by piece. */
static cella_result run_add(const cella_enclave *enclave, const struct cella_image_run *run,
                            const void *zeros, struct cella_error *error)
{
    _Alignas(SGX_ALIGN_SECINFO) struct sgx_secinfo secinfo = {.flags = run->secinfo_flags};
    uint64_t length = run->page_count * SGX_PAGE_SIZE;
    if (run->data) {
        return pages_add(enclave, run->data, run->offset, length, &secinfo, run->measured, error);
    }
    for (uint64_t at = 0; at < length;) {
        const uint64_t piece = length - at < ZERO_SIZE ? length - at : ZERO_SIZE;
        CELLA_TRY(
            pages_add(enclave, zeros, run->offset + at, piece, &secinfo, run->measured, error));
        at += piece;
    }
    return CELLA_OK;
}

static cella_result enclave_eadd(cella_enclave *enclave, const struct cella_image *image,
                                 struct loader *loader, struct cella_error *error)
{
    struct cella_image_run run;
    void *zeros = mmap(NULL, ZERO_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (zeros == MAP_FAILED) {
        return cella_error_errno(error, CELLA_RESULT(OUT_OF_MEMORY), errno, "%s: a block of zeros",
                                 enclave->name);
    }
    cella_result result = CELLA_OK;
    cella_image_iterator_init(&loader->iterator, image);
    while (cella_is_ok(result) && cella_image_next(&loader->iterator, &run)) {
        result = run_add(enclave, &run, zeros, error);
    }
    munmap(zeros, ZERO_SIZE);
    return result;
}

/* EINIT gives one error number for all it can refuse; look for the one that it was. */
static cella_result einit_failed(const cella_enclave *enclave, const struct cella_image *image,
                                 struct cella_host_image_file *file, int error_number,
                                 struct cella_error *error)
{
    uint8_t measured[32];
    if (error_number == EACCES || error_number == EINVAL) {
        return cella_error_errno(error, CELLA_RESULT(ATTRIBUTE_REFUSED), error_number,
                                 "%s: EINIT refused attributes %#llx", enclave->name,
                                 (unsigned long long)image->sigstruct.attributes.flags);
    }
    cella_result signature = cella_sigstruct_einit(&image->sigstruct);
    if (!cella_is_ok(signature)) {
        return cella_error_errno(error, CELLA_RESULT(BAD_SIGNATURE), error_number,
                                 "%s: EINIT refused the SIGSTRUCT: its signature does not verify",
                                 enclave->name);
    }
    CELLA_TRY(cella_host_image_file_settle(file, error));
    if (cella_is_ok(cella_image_measure(image, measured)) &&
        memcmp(measured, image->sigstruct.enclave_hash, sizeof(measured)) != 0) {
        return cella_error_errno(
            error, CELLA_RESULT(MEASUREMENT_MISMATCH), error_number,
            "%s: EINIT refused the image: MRENCLAVE starts with %02x%02x%02x%02x,"
            " signed was %02x%02x%02x%02x",
            enclave->name, measured[0], measured[1], measured[2], measured[3],
            image->sigstruct.enclave_hash[0], image->sigstruct.enclave_hash[1],
            image->sigstruct.enclave_hash[2], image->sigstruct.enclave_hash[3]);
    }
    return cella_error_errno(error, CELLA_RESULT(ATTRIBUTE_REFUSED), error_number,
                             "%s: EINIT refused the enclave", enclave->name);
}

static cella_result enclave_einit(cella_enclave *enclave, const struct cella_image *image,
                                  struct cella_host_image_file *file, struct loader *loader,
                                  struct cella_error *error)
{
    loader->sigstruct = image->sigstruct;
    if (loader->sigstruct.attributes.flags & SGX_FLAGS_PROVISIONKEY) {
        const int node = enclave->processor->open(SGX_LINUX_PROVISION_NODE, 0);
        if (node < 0) {
            return cella_error_errno(error, CELLA_RESULT(ACCESS_DENIED), -node,
                                     "%s wants the provisioning key: %s", enclave->name,
                                     SGX_LINUX_PROVISION_NODE);
        }
        struct sgx_linux_provision provision = {.fd = (uint64_t)node};
        const int done =
            enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, &provision);
        enclave->processor->close(node);
        if (done < 0) {
            return cella_error_errno(error, CELLA_RESULT(ACCESS_DENIED), -done,
                                     "%s: provisioning key refused", enclave->name);
        }
    }
    struct sgx_linux_init init = {.sigstruct = (uint64_t)&loader->sigstruct};
    const int done = enclave->processor->ioctl(enclave->fd, SGX_LINUX_IOC_ENCLAVE_INIT, &init);
    if (done != 0) {
        return einit_failed(enclave, image, file, done < 0 ? -done : EPERM, error);
    }
    memcpy(enclave->mr_enclave, loader->sigstruct.enclave_hash, sizeof(enclave->mr_enclave));
    enclave->attributes = loader->secs.attributes;
    enclave->attributes.flags |= SGX_FLAGS_INIT;
    enclave->misc_select = loader->secs.misc_select;
    return cella_sigstruct_signer(&loader->sigstruct, enclave->mr_signer);
}

static cella_result range_map(const cella_enclave *enclave, uint64_t offset, uint64_t length,
                              int prot, struct cella_error *error)
{
    const long at = enclave->processor->mmap((void *)(enclave->base + offset), length, prot,
                                             MAP_SHARED | MAP_FIXED, enclave->fd, 0);
    if (at < 0) {
        return cella_error_errno(error, CELLA_RESULT(OUT_OF_MEMORY), (int)-at,
                                 "%s: mapping offset %#llx, %#llx bytes", enclave->name,
                                 (unsigned long long)offset, (unsigned long long)length);
    }
    return CELLA_OK;
}

static int prot_of(uint64_t secinfo_flags)
{
    if ((secinfo_flags & SGX_SECINFO_TYPE_MASK) == SGX_SECINFO_TCS) {
        return PROT_READ | PROT_WRITE;
    }
    return ((secinfo_flags & SGX_SECINFO_R) ? PROT_READ : 0) |
           ((secinfo_flags & SGX_SECINFO_W) ? PROT_WRITE : 0) |
           ((secinfo_flags & SGX_SECINFO_X) ? PROT_EXEC : 0);
}

/* The slots of threads that are made when they are needed: pages come as the enclave accepts them. */
static cella_result slots_map(const cella_enclave *enclave, const struct cella_image_info *info,
                              struct cella_error *error)
{
    const uint32_t added = info->thread_added;
    if (added == 0 || added == info->thread_count) {
        return CELLA_OK;
    }
    return range_map(enclave, info->threads_offset + added * info->thread_stride,
                     (info->thread_count - added) * info->thread_stride, PROT_READ | PROT_WRITE,
                     error);
}

/*
 * The part of [start, end) that is in the program's memory can be read and written from the start: pages come by EAUG as
 * the enclave accepts them.
 */
static cella_result space_map(const cella_enclave *enclave, const struct cella_image *image,
                              uint64_t start, uint64_t end, struct cella_error *error)
{
    const uint64_t space = image->info.space_offset;
    const uint64_t space_end = space + image->info.space_size;
    start = start > space ? start : space;
    end = end < space_end ? end : space_end;
    return start < end ? range_map(enclave, start, end - start, PROT_READ | PROT_WRITE, error)
                       : CELLA_OK;
}

/* Guard pages stay the reserved, inaccessible mapping. Neighbours with the same rights become one mapping. */
static cella_result enclave_map(cella_enclave *enclave, const struct cella_image *image,
                                struct loader *loader, struct cella_error *error)
{
    struct cella_image_run run;
    uint64_t start = 0, end = 0;
    int prot = 0;
    cella_image_iterator_init(&loader->iterator, image);
    while (cella_image_next(&loader->iterator, &run)) {
        const uint64_t length = run.kind == CELLA_IMAGE_RUN_HEAP ? image->info.heap_size
                                                                 : run.page_count * SGX_PAGE_SIZE;
        const int wanted = prot_of(run.secinfo_flags);
        if (run.offset != end || wanted != prot) {
            if (end > start) {
                CELLA_TRY(range_map(enclave, start, end - start, prot, error));
            }
            CELLA_TRY(space_map(enclave, image, end, run.offset, error));
            start = run.offset;
            prot = wanted;
        }
        end = run.offset + length;
    }
    if (end > start) {
        CELLA_TRY(range_map(enclave, start, end - start, prot, error));
    }
    CELLA_TRY(slots_map(enclave, &image->info, error));
    return space_map(enclave, image, end, enclave->size, error);
}

static cella_result load(cella_enclave *enclave, const struct cella_image *image,
                         struct cella_host_image_file *file, struct loader *loader,
                         struct cella_error *error)
{
    CELLA_TRY(enclave_ecreate(enclave, image, loader, error));
    CELLA_TRY(enclave_eadd(enclave, image, loader, error));
    CELLA_TRY(enclave_einit(enclave, image, file, loader, error));
    return enclave_map(enclave, image, loader, error);
}

cella_result cella_host_load(cella_enclave *enclave, const struct cella_image *image,
                             struct cella_host_image_file *file, struct cella_error *error)
{
    struct loader *loader = aligned_alloc(SGX_PAGE_SIZE, sizeof(*loader));
    if (!loader) {
        return cella_error_set(error, CELLA_RESULT(OUT_OF_MEMORY), "%s: loader", enclave->name);
    }
    memset(loader, 0, sizeof(*loader));
    cella_result result = load(enclave, image, file, loader, error);
    free(loader);
    return result;
}
