/*
 * sgx_enclave_common.h: the raw loader over the processor interface, for programs that lay out enclaves themselves.
 * Side: host. Called by applications (libsgx_enclave_common). Never looks into what it loads.
 */
#include "sgx_enclave_common.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "cella/host.h"
#include "host/host.h"

#define EXPORT __attribute__((visibility("default")))
#define PIECE (64u * 1024u)
#define RIGHTS (ENCLAVE_PAGE_READ | ENCLAVE_PAGE_WRITE | ENCLAVE_PAGE_EXECUTE)

extern const uint32_t intel_create_flags; /* enclaves.h, whose other names are the skin's */
EXPORT uint32_t enclave_get_file_handle(void *virt_addr, int *enclave_fd);

struct loaded {
    struct loaded *next;
    const struct cella_processor *processor;
    int fd;
    uint64_t base, size;
    bool initialized;
};

static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loaded *g_loaded;

/* Under the lock. */
static struct loaded *loaded_at(const void *address)
{
    struct loaded *loaded = g_loaded;
    while (loaded && (uint64_t)address - loaded->base >= loaded->size) {
        loaded = loaded->next;
    }
    return loaded;
}

static bool tell(uint32_t *ret, uint32_t error)
{
    if (ret) {
        *ret = error;
    }
    return error == ENCLAVE_ERROR_SUCCESS;
}

static uint32_t error_of(int number)
{
    switch (number) {
    case 0:
        return ENCLAVE_ERROR_SUCCESS;
    case ENOMEM:
        return ENCLAVE_OUT_OF_MEMORY;
    case EINVAL:
        return ENCLAVE_INVALID_PARAMETER;
    case EACCES:
    case EPERM:
        return ENCLAVE_NOT_AUTHORIZED;
    case EBUSY:
    case EEXIST:
        return ENCLAVE_INVALID_ADDRESS;
    case EINTR:
    case EAGAIN:
        return ENCLAVE_RETRY;
    case EIO:
        return ENCLAVE_LOST;
    default:
        return ENCLAVE_UNEXPECTED;
    }
}

/* ------------------------------------------------------------------- creation */

static void loaded_free(struct loaded *loaded)
{
    if (loaded->size) {
        loaded->processor->munmap((void *)loaded->base, loaded->size);
    }
    if (loaded->fd >= 0) {
        loaded->processor->close(loaded->fd);
    }
    free(loaded);
}

/* Address space for `size` bytes, aligned to it: at `wanted`, or anywhere (0). */
static uint32_t range_take(struct loaded *loaded, uint64_t wanted, uint64_t size)
{
    const uint64_t room = wanted ? size : 2 * size;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *space =
        mmap((void *)wanted, room, PROT_NONE, wanted ? flags | MAP_FIXED_NOREPLACE : flags, -1, 0);
    if (space == MAP_FAILED) {
        return errno == EEXIST ? ENCLAVE_INVALID_ADDRESS : ENCLAVE_OUT_OF_MEMORY;
    }
    const uint64_t at = (uint64_t)space;
    const uint64_t base = (at + size - 1) & ~(size - 1);
    if (base > at) {
        munmap(space, base - at);
    }
    if (base + size < at + room) {
        munmap((void *)(base + size), at + room - (base + size));
    }
    loaded->base = base;
    loaded->size = size;
    return ENCLAVE_ERROR_SUCCESS;
}

static uint32_t enclave_make(struct loaded *loaded, uint64_t wanted, uint64_t size,
                             const struct enclave_create_sgx_t *info)
{
    _Alignas(SGX_PAGE_SIZE) struct sgx_secs secs;
    _Static_assert(sizeof(secs) == sizeof(info->secs), "SECS");
    const bool software = (intel_create_flags & CELLA_ENCLAVE_SOFTWARE) != 0;
    if (!cella_is_ok(cella_processor_open(software, &loaded->processor, &loaded->fd, NULL))) {
        return ENCLAVE_NOT_SUPPORTED;
    }
    const uint32_t error = range_take(loaded, wanted, size);
    if (error != ENCLAVE_ERROR_SUCCESS) {
        return error;
    }
    memcpy(&secs, info->secs, sizeof(secs));
    secs.base = loaded->base;
    secs.size = size;
    struct sgx_linux_create create = {.src = (uint64_t)&secs};
    return error_of(-loaded->processor->ioctl(loaded->fd, SGX_LINUX_IOC_ENCLAVE_CREATE, &create));
}

EXPORT void *enclave_create_ex(void *base_address, size_t virtual_size, size_t initial_commit,
                               uint32_t type, const void *info, size_t info_size,
                               const uint32_t ex_features, const void *ex_features_p[32],
                               uint32_t *enclave_error)
{
    uint64_t wanted = (uint64_t)base_address, size = virtual_size;
    void *image = base_address;
    (void)initial_commit;
    if (type != ENCLAVE_TYPE_SGX1 && type != ENCLAVE_TYPE_SGX2) {
        tell(enclave_error, ENCLAVE_NOT_SUPPORTED);
        return NULL;
    }
    if (!info || info_size != sizeof(enclave_create_sgx_t) ||
        (ex_features & ~_ENCLAVE_CREATE_EX_FEATURES_MASK_) != 0 ||
        (ex_features != 0 &&
         (!ex_features_p || !ex_features_p[ENCLAVE_CREATE_EX_EL_RANGE_BIT_IDX]))) {
        tell(enclave_error, ENCLAVE_INVALID_PARAMETER);
        return NULL;
    }
    if (ex_features != 0) {
        const enclave_elrange_t *range = ex_features_p[ENCLAVE_CREATE_EX_EL_RANGE_BIT_IDX];
        image = (void *)range->enclave_image_address;
        wanted = range->elrange_start_address;
        size = range->elrange_size;
    }
    if (size < SGX_PAGE_SIZE || (size & (size - 1)) != 0 || size > 1ull << 46 ||
        wanted % size != 0) {
        tell(enclave_error, ENCLAVE_INVALID_PARAMETER);
        return NULL;
    }
    struct loaded *loaded = calloc(1, sizeof(*loaded));
    if (!loaded) {
        tell(enclave_error, ENCLAVE_OUT_OF_MEMORY);
        return NULL;
    }
    loaded->fd = -1;
    if (!tell(enclave_error, enclave_make(loaded, wanted, size, info))) {
        loaded_free(loaded);
        return NULL;
    }
    void *const base = (void *)loaded->base;
    pthread_mutex_lock(&g_lock);
    loaded->next = g_loaded;
    g_loaded = loaded;
    pthread_mutex_unlock(&g_lock);
    return image ? image : base;
}

EXPORT void *enclave_create(void *base_address, size_t virtual_size, size_t initial_commit,
                            uint32_t type, const void *info, size_t info_size,
                            uint32_t *enclave_error)
{
    return enclave_create_ex(base_address, virtual_size, initial_commit, type, info, info_size, 0,
                             NULL, enclave_error);
}

/* ------------------------------------------------------------------- pages */

/* The kernel may stop early for a signal and says how far it came. */
static int piece_add(const struct loaded *loaded, uint64_t offset, const uint8_t *piece,
                     size_t length, const struct sgx_secinfo *secinfo, bool measured)
{
    for (size_t at = 0; at < length;) {
        struct sgx_linux_add_pages add = {.src = (uint64_t)(piece + at),
                                          .offset = offset + at,
                                          .length = length - at,
                                          .secinfo = (uint64_t)secinfo,
                                          .flags = measured ? SGX_LINUX_PAGE_MEASURE : 0};
        const int done =
            loaded->processor->ioctl(loaded->fd, SGX_LINUX_IOC_ENCLAVE_ADD_PAGES, &add);
        if (done < 0 && done != -EINTR && done != -EAGAIN) {
            return -done;
        }
        if (add.count > length - at || (done >= 0 && add.count == 0)) {
            return EIO;
        }
        at += add.count;
    }
    return 0;
}

static int pages_add(const struct loaded *loaded, uint64_t offset, const uint8_t *source,
                     size_t size, uint32_t properties)
{
    const bool is_thread = (properties & ENCLAVE_PAGE_THREAD_CONTROL) != 0;
    _Alignas(SGX_ALIGN_SECINFO) const struct sgx_secinfo secinfo = {
        .flags = is_thread ? SGX_SECINFO_TCS : SGX_SECINFO_REG | (properties & RIGHTS)};
    uint8_t *piece = aligned_alloc(SGX_PAGE_SIZE, PIECE); /* the ioctl wants whole, aligned pages */
    int error = piece ? 0 : ENOMEM;
    for (size_t at = 0; at < size && error == 0; at += PIECE) {
        const size_t length = size - at < PIECE ? size - at : PIECE;
        memset(piece, 0, PIECE);
        if (source) {
            memcpy(piece, source + at, length);
        }
        error = piece_add(loaded, offset + at, piece, length, &secinfo,
                          (properties & ENCLAVE_PAGE_UNVALIDATED) == 0);
    }
    free(piece);
    if (error != 0) {
        return error;
    }
    const int prot = is_thread ? PROT_READ | PROT_WRITE : (int)(properties & RIGHTS);
    const long at = loaded->processor->mmap((void *)(loaded->base + offset), size, prot,
                                            MAP_SHARED | MAP_FIXED, loaded->fd, 0);
    return at < 0 ? (int)-at : 0;
}

EXPORT size_t enclave_load_data(void *target_address, size_t target_size, const void *source_buffer,
                                uint32_t data_properties, uint32_t *enclave_error)
{
    uint32_t error = ENCLAVE_INVALID_PARAMETER;
    pthread_mutex_lock(&g_lock);
    const struct loaded *loaded = loaded_at(target_address);
    if (!loaded) {
        error = ENCLAVE_INVALID_ENCLAVE;
    } else if (loaded->initialized) {
        error = ENCLAVE_ALREADY_INITIALIZED;
    } else {
        const uint64_t offset = (uint64_t)target_address - loaded->base;
        if (target_size != 0 && target_size % SGX_PAGE_SIZE == 0 && offset % SGX_PAGE_SIZE == 0 &&
            target_size <= loaded->size - offset) {
            error =
                error_of(pages_add(loaded, offset, source_buffer, target_size, data_properties));
        }
    }
    pthread_mutex_unlock(&g_lock);
    return tell(enclave_error, error) ? target_size : 0;
}

/* ------------------------------------------------------------------- EINIT, and the end */

/* EINIT's own numbers (SDM Vol. 3D, table 36-4) come as they are. */
static uint32_t einit_error(int done)
{
    switch (done) {
    case SGX_INVALID_SIG_STRUCT:
        return ENCLAVE_INVALID_SIG_STRUCT;
    case SGX_INVALID_ATTRIBUTE:
        return ENCLAVE_INVALID_ATTRIBUTE;
    case SGX_INVALID_MEASUREMENT:
        return ENCLAVE_INVALID_MEASUREMENT;
    case SGX_INVALID_SIGNATURE:
        return ENCLAVE_INVALID_SIGNATURE;
    default:
        return done <= 0 ? error_of(-done) : ENCLAVE_UNEXPECTED;
    }
}

static uint32_t initialize(struct loaded *loaded, const struct enclave_init_sgx_t *info)
{
    _Alignas(SGX_PAGE_SIZE) struct sgx_sigstruct sigstruct;
    _Static_assert(sizeof(sigstruct) == sizeof(info->sigstruct), "SIGSTRUCT");
    memcpy(&sigstruct, info->sigstruct, sizeof(sigstruct));
    if ((sigstruct.attributes.flags & SGX_FLAGS_PROVISIONKEY) != 0) {
        const int node = loaded->processor->open(SGX_LINUX_PROVISION_NODE, 0);
        if (node < 0) {
            return ENCLAVE_NOT_AUTHORIZED;
        }
        struct sgx_linux_provision provision = {.fd = (uint64_t)node};
        const int done =
            loaded->processor->ioctl(loaded->fd, SGX_LINUX_IOC_ENCLAVE_PROVISION, &provision);
        loaded->processor->close(node);
        if (done < 0) {
            return ENCLAVE_NOT_AUTHORIZED;
        }
    }
    struct sgx_linux_init init = {.sigstruct = (uint64_t)&sigstruct};
    return einit_error(loaded->processor->ioctl(loaded->fd, SGX_LINUX_IOC_ENCLAVE_INIT, &init));
}

EXPORT bool enclave_initialize(void *base_address, const void *info, size_t info_size,
                               uint32_t *enclave_error)
{
    uint32_t error = ENCLAVE_INVALID_ENCLAVE;
    if (!base_address || !info || info_size != sizeof(enclave_init_sgx_t)) {
        return tell(enclave_error, ENCLAVE_INVALID_PARAMETER);
    }
    pthread_mutex_lock(&g_lock);
    struct loaded *loaded = loaded_at(base_address);
    if (loaded) {
        error = loaded->initialized ? ENCLAVE_ALREADY_INITIALIZED : initialize(loaded, info);
        loaded->initialized = loaded->initialized || error == ENCLAVE_ERROR_SUCCESS;
    }
    pthread_mutex_unlock(&g_lock);
    return tell(enclave_error, error);
}

EXPORT bool enclave_delete(void *base_address, uint32_t *enclave_error)
{
    pthread_mutex_lock(&g_lock);
    struct loaded *loaded = loaded_at(base_address);
    if (loaded) {
        struct loaded **at = &g_loaded;
        while (*at != loaded) {
            at = &(*at)->next;
        }
        *at = loaded->next;
        loaded_free(loaded);
    }
    pthread_mutex_unlock(&g_lock);
    return tell(enclave_error, loaded ? ENCLAVE_ERROR_SUCCESS : ENCLAVE_INVALID_ENCLAVE);
}

/* ------------------------------------------------------------------- the rest */

/* The one kind of information is the launch token, and nobody makes them any more. */
EXPORT bool enclave_get_information(void *base_address, uint32_t info_type, void *output_info,
                                    size_t *output_info_size, uint32_t *enclave_error)
{
    (void)info_type;
    return tell(enclave_error, base_address && output_info && output_info_size
                                   ? ENCLAVE_NOT_SUPPORTED
                                   : ENCLAVE_INVALID_PARAMETER);
}

EXPORT bool enclave_set_information(void *base_address, uint32_t info_type, void *input_info,
                                    size_t input_info_size, uint32_t *enclave_error)
{
    (void)info_type;
    return tell(enclave_error, base_address && input_info && input_info_size
                                   ? ENCLAVE_NOT_SUPPORTED
                                   : ENCLAVE_INVALID_PARAMETER);
}

EXPORT uint32_t enclave_get_features(void)
{
    struct cella_image_processor offers;
    uint32_t flags = 0;
    cella_processor_offers(&offers, &flags);
    return ENCLAVE_FEATURE_SGX1 | ((flags & CELLA_INIT_SGX2) != 0 ? ENCLAVE_FEATURE_SGX2 : 0u);
}

/* The runtime's own EDMM calls do not come this way; other runtimes' would (docs/compatibility-intel.md). */
EXPORT uint32_t enclave_alloc(void *target_addr, size_t target_size, uint32_t data_properties,
                              uint32_t alloc_flags, uint32_t *enclave_error)
{
    (void)data_properties;
    (void)alloc_flags;
    tell(enclave_error,
         target_addr && target_size ? ENCLAVE_NOT_SUPPORTED : ENCLAVE_INVALID_PARAMETER);
    return target_addr && target_size ? ENCLAVE_NOT_SUPPORTED : ENCLAVE_INVALID_PARAMETER;
}

EXPORT uint32_t enclave_modify(void *target_addr, size_t target_size, uint32_t from_data_properties,
                               uint32_t to_data_properties, uint32_t *enclave_error)
{
    (void)from_data_properties;
    return enclave_alloc(target_addr, target_size, to_data_properties, 0, enclave_error);
}

EXPORT uint32_t enclave_get_file_handle(void *virt_addr, int *enclave_fd)
{
    if (!virt_addr || !enclave_fd) {
        return ENCLAVE_INVALID_PARAMETER;
    }
    pthread_mutex_lock(&g_lock);
    const struct loaded *loaded = loaded_at(virt_addr);
    if (loaded) {
        *enclave_fd = loaded->fd;
    }
    pthread_mutex_unlock(&g_lock);
    return loaded ? ENCLAVE_ERROR_SUCCESS : ENCLAVE_INVALID_ENCLAVE;
}
