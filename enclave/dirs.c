/*
 * The dirs module: what is in a directory. Opt-in: -u cella_module_dirs, with the files module.
 * Side: enclave. Called for the libc's getdents64. The list is the host's word.
 * Never gives the libc a record that is not whole, or a name that is none.
 */
#include "enclave/files.h"

#define BUFFER_MAX 32768u
#define RECORD_HEAD 19u /* inode, offset, size, type */
#define NAME_MAX_SIZE 255u

extern const char cella_module_dirs;
const char cella_module_dirs = 1;

struct record {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[5];
};

static bool name_is_sane(const char *name, uint64_t capacity)
{
    uint64_t size = 0;
    while (size < capacity && name[size] != 0) {
        if (name[size] == '/') {
            return false;
        }
        size++;
    }
    return size > 0 && size < capacity && size <= NAME_MAX_SIZE;
}

/* DT_*: unknown, or one of the seven types. */
static bool type_is_sane(uint8_t type)
{
    return type <= 12 && (0x1557u >> type & 1) != 0;
}

static bool records_are_sane(const uint8_t *bytes, uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        const struct record *record = (const struct record *)(bytes + at);
        if (size - at < sizeof(*record) || record->size < sizeof(*record) ||
            record->size % 8 != 0 || record->size > size - at || !type_is_sane(record->type) ||
            !name_is_sane((const char *)bytes + at + RECORD_HEAD, record->size - RECORD_HEAD)) {
            return false;
        }
        at += record->size;
    }
    return true;
}

static long directory_entries(uint64_t fd, uint64_t to, uint64_t size)
{
    int64_t value = 0;
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -EBADF;
    }
    if (!cella_open_directory(open)) {
        return -ENOTDIR;
    }
    if (!cella_user_range(to, size)) {
        return -EFAULT;
    }
    size = size < BUFFER_MAX ? size : BUFFER_MAX;
    uint8_t *bytes = cella_pages_new(BUFFER_MAX);
    if (!bytes) {
        return -ENOMEM;
    }
    const struct cella_call_request request = {
        .operation = CELLA_FILE_ENTRIES, .handle = open->handle, .b = (int64_t)size};
    const struct cella_gather scatter = CELLA_GATHER_ONE(bytes, size);
    long result = cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &value, sizeof(value),
                                   &scatter, (int64_t)size);
    if (result > 0) {
        if (records_are_sane(bytes, (uint64_t)result)) {
            __builtin_memcpy((void *)to, bytes, (uint64_t)result);
        } else {
            result = -EIO;
        }
    }
    cella_pages_free(bytes, BUFFER_MAX);
    return result;
}

static bool dirs_syscall(struct cella_regs *regs, long *ret_result)
{
    if (regs->rax != __NR_getdents64) {
        return false;
    }
    *ret_result = directory_entries((uint32_t)ARG0(regs), ARG1(regs), (uint32_t)ARG2(regs));
    return true;
}

static const struct cella_module dirs_module = {.name = "dirs", .syscall = dirs_syscall};
CELLA_MODULE(dirs_module);

/* Directories are opened by the files module. */
static const char *const dirs_needs __attribute__((used)) = &cella_module_files;
