/*
 * Requests to the host's services and what comes back: numbers, bytes, struct stat.
 * Side: enclave. Called by the modules behind descriptors.
 * Never believes a count above what was asked for, nor a field out of its range.
 */
#include "enclave/descriptors.h"

#define ERRNO_MAX 4095
#define NANOSECONDS_MAX 999999999
#define STATX_BASIC 0x7FFu
#define MAJOR(device) ((uint32_t)((device) >> 8 & 0xFFF) | (uint32_t)((device) >> 32 & ~0xFFFu))
#define MINOR(device) ((uint32_t)((device)&0xFF) | (uint32_t)((device) >> 12 & ~0xFFu))

long cella_answer_filter(int64_t value, int64_t max)
{
    return value >= -ERRNO_MAX && value <= max ? (long)value : -EIO;
}

long cella_ask_answer(uint32_t service, const struct cella_call_request *request,
                      const struct cella_gather *bytes, void *ret_answer, size_t answer_size,
                      const struct cella_gather *scatter, int64_t max)
{
    static const struct cella_gather nothing;
    cella_result result =
        cella_system_ocall_parts(service, request, sizeof(*request), bytes, ret_answer, answer_size,
                                 scatter ? scatter : &nothing);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    return cella_answer_filter(*(const int64_t *)ret_answer, max);
}

long cella_ask(uint32_t service, const struct cella_call_request *request,
               const struct cella_gather *bytes, int64_t max)
{
    int64_t value = 0;
    size_t size = 0;
    (void)size;
    cella_result result = cella_system_ocall_parts(service, request, sizeof(*request), bytes,
                                                   &value, sizeof(value), NULL);
    if (!cella_is_ok(result)) {
        return cella_errno_of(result);
    }
    return cella_answer_filter(value, max);
}

long cella_ask_plain(uint32_t service, uint32_t operation, int32_t handle, int64_t a, int64_t b,
                     int64_t max)
{
    const struct cella_call_request request = {
        .operation = operation, .handle = handle, .a = a, .b = b};
    return cella_ask(service, &request, NULL, max);
}

long cella_vector_take(uint64_t vector, uint64_t count, bool stored,
                       struct cella_gather *ret_gather)
{
    uint64_t size = 0;
    if (count > CELLA_VECTOR_MAX) {
        return -EINVAL;
    }
    if (!cella_user_range(vector, count * sizeof(struct cella_part))) {
        return -EFAULT;
    }
    const struct cella_part *parts = (const struct cella_part *)vector;
    for (uint64_t i = 0; i < count; i++) {
        if (parts[i].size > 0 && !cella_user_may(parts[i].at, parts[i].size, stored)) {
            return -EFAULT;
        }
        size += parts[i].size;
        if (size > INT64_MAX) {
            return -EINVAL;
        }
    }
    *ret_gather =
        (struct cella_gather){.parts = parts, .count = (uint32_t)count, .skip = 0, .size = size};
    return 0;
}

uint64_t cella_gather_bytes(const struct cella_gather *gather, uint64_t at, void *bytes,
                            uint64_t size, bool out)
{
    uint64_t skip = gather->skip + at;
    uint64_t done = 0;
    for (uint32_t i = 0; i < gather->count && done < size; i++) {
        const struct cella_part part = gather->parts[i];
        if (skip >= part.size) {
            skip -= part.size;
            continue;
        }
        const uint64_t left = part.size - skip;
        const uint64_t now = left < size - done ? left : size - done;
        if (!cella_user_range(part.at, part.size)) {
            break;
        }
        void *theirs = (void *)(part.at + skip);
        if ((out ? cella_host_copy_bytes(theirs, (const uint8_t *)bytes + done, now)
                 : cella_host_copy_bytes((uint8_t *)bytes + done, theirs, now)) != 0) {
            break;
        }
        done += now;
        skip = 0;
    }
    return done;
}

/* One piece: a host call. Behind the first, a pipe is not waited for. */
static long transfer_piece(struct cella_open *open, const struct cella_transfer *transfer,
                           uint64_t done, int64_t offset)
{
    struct cella_gather bytes = transfer->bytes;
    const uint64_t left = bytes.size - done;
    bytes.skip += done;
    bytes.size = left < CELLA_PIECE_MAX ? left : CELLA_PIECE_MAX;
    const struct cella_call_request request = {.operation = transfer->writing ? CELLA_FILE_WRITE
                                                                              : CELLA_FILE_READ,
                                               .handle = open->handle,
                                               .a = offset,
                                               .b = (int64_t)bytes.size};
    int64_t value = 0;
    if (transfer->writing) {
        return cella_ask(CELLA_OCALL_FILE, &request, &bytes, (int64_t)bytes.size);
    }
    return cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &value, sizeof(value), &bytes,
                            (int64_t)bytes.size);
}

long cella_handle_transfer(struct cella_open *open, const struct cella_transfer *transfer)
{
    uint64_t done = 0;
    const bool waits_not = (open->flags & LINUX_O_NONBLOCK) != 0;
    do {
        const int64_t offset = transfer->offset >= 0 ? transfer->offset + (int64_t)done
                               : waits_not || (done > 0 && !transfer->writing)
                                   ? CELLA_FILE_HERE_WAITS_NOT
                                   : CELLA_FILE_HERE;
        const long count = transfer_piece(open, transfer, done, offset);
        if (count < 0) {
            return done > 0 ? (long)done : count;
        }
        done += (uint64_t)count;
        if (count < (long)CELLA_PIECE_MAX) {
            break;
        }
    } while (done < transfer->bytes.size);
    return (long)done;
}

long cella_handle_control(struct cella_open *open, uint64_t request, uint64_t argument)
{
    struct {
        int64_t value;
        uint64_t word;
    } answer = {0};
    const uint64_t size = request == LINUX_FIONREAD ? 4 : 8;
    const struct cella_call_request ask = {
        .operation = CELLA_FILE_CONTROL, .handle = open->handle, .a = (int64_t)request};
    if (request != LINUX_FIONREAD && request != LINUX_TIOCGWINSZ) {
        return -ENOTTY;
    }
    if (!cella_user_writable(argument, size)) {
        return -EFAULT;
    }
    const long result =
        cella_ask_answer(CELLA_OCALL_FILE, &ask, NULL, &answer, sizeof(answer), NULL, 0);
    if (result != 0) {
        return result;
    }
    if (request == LINUX_FIONREAD && answer.word > INT32_MAX) {
        return -EIO;
    }
    __builtin_memcpy((void *)argument, &answer.word, size);
    return 0;
}

bool cella_stat_is_sane(const struct cella_call_stat *stat)
{
    return stat->size <= INT64_MAX && stat->blocks <= INT64_MAX && stat->block_size <= 1u << 30 &&
           (stat->mode & ~0177777u) == 0 && stat->accessed[1] >= 0 && stat->modified[1] >= 0 &&
           stat->changed[1] >= 0 && stat->accessed[1] <= NANOSECONDS_MAX &&
           stat->modified[1] <= NANOSECONDS_MAX && stat->changed[1] <= NANOSECONDS_MAX;
}

long cella_open_stat(struct cella_open *open, struct cella_call_stat *ret_stat)
{
    if (open->class->stat) {
        return open->class->stat(open, ret_stat);
    }
    *ret_stat = (struct cella_call_stat){
        .links = 1, .inode = open->serial, .mode = open->mode | 0600, .block_size = 4096};
    return 0;
}

/* struct stat of x86-64. */
struct linux_stat {
    uint64_t device, inode, links;
    uint32_t mode, user, group, pad;
    uint64_t special, size, block_size, blocks;
    int64_t accessed[2], modified[2], changed[2];
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");

long cella_stat_write(const struct cella_call_stat *stat, uint64_t to)
{
    if (!cella_user_range(to, sizeof(struct linux_stat))) {
        return -EFAULT;
    }
    *(struct linux_stat *)to = (struct linux_stat){
        .device = stat->device,
        .inode = stat->inode,
        .links = stat->links,
        .mode = stat->mode,
        .user = stat->user,
        .group = stat->group,
        .special = stat->special,
        .size = stat->size,
        .block_size = stat->block_size != 0 ? stat->block_size : 4096,
        .blocks = stat->blocks,
        .accessed = {stat->accessed[0], stat->accessed[1]},
        .modified = {stat->modified[0], stat->modified[1]},
        .changed = {stat->changed[0], stat->changed[1]},
    };
    return 0;
}

struct linux_statx {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, user, group;
    uint16_t mode, pad;
    uint64_t inode, size, blocks, attributes_mask;
    struct {
        int64_t seconds;
        uint32_t nanoseconds;
        int32_t reserved;
    } accessed, born, changed, modified;
    uint32_t special_major, special_minor, device_major, device_minor;
    uint64_t reserved[14];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

long cella_statx_write(const struct cella_call_stat *stat, uint64_t to)
{
    if (!cella_user_range(to, sizeof(struct linux_statx))) {
        return -EFAULT;
    }
    *(struct linux_statx *)to = (struct linux_statx){
        .mask = STATX_BASIC,
        .block_size = stat->block_size != 0 ? stat->block_size : 4096,
        .links = (uint32_t)stat->links,
        .user = stat->user,
        .group = stat->group,
        .mode = (uint16_t)stat->mode,
        .inode = stat->inode,
        .size = stat->size,
        .blocks = stat->blocks,
        .accessed = {.seconds = stat->accessed[0], .nanoseconds = (uint32_t)stat->accessed[1]},
        .changed = {.seconds = stat->changed[0], .nanoseconds = (uint32_t)stat->changed[1]},
        .modified = {.seconds = stat->modified[0], .nanoseconds = (uint32_t)stat->modified[1]},
        .special_major = MAJOR(stat->special),
        .special_minor = MINOR(stat->special),
        .device_major = MAJOR(stat->device),
        .device_minor = MINOR(stat->device),
    };
    return 0;
}
