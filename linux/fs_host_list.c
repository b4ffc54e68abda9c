/*
 * What is in a directory of the host.
 * Side: enclave. Called through the nodes' operations.
 * Never passes on a record that is not whole, nor a name that is none.
 */
#include "linux/fs_tree.h"

#define ENTRIES_MAX 32768u
#define RECORD_HEAD 19u

struct record {
    uint64_t inode;
    int64_t next;
    uint16_t size;
    uint8_t type;
};

/* The record at `at`; false: the host's bytes are none. */
static bool record_take(const uint8_t *bytes, uint64_t left, struct record *ret_record,
                        struct fs_name *ret_name)
{
    if (left < RECORD_HEAD + 2) {
        return false;
    }
    __builtin_memcpy(&ret_record->inode, bytes, 8);
    __builtin_memcpy(&ret_record->next, bytes + 8, 8);
    __builtin_memcpy(&ret_record->size, bytes + 16, 2);
    ret_record->type = bytes[18];
    if (ret_record->size < RECORD_HEAD + 2 || ret_record->size > left ||
        ret_record->size % 8 != 0 || ret_record->next < 0 || ret_record->type > 15) {
        return false;
    }
    const char *text = (const char *)bytes + RECORD_HEAD;
    const char *end = fs_text_find(text, ret_record->size - RECORD_HEAD, 0);
    if (!end || end == text || end - text > (long)FS_NAME_MAX ||
        fs_text_find(text, (uint64_t)(end - text), '/')) {
        return false;
    }
    *ret_name = (struct fs_name){.text = text, .size = (uint32_t)(end - text)};
    return true;
}

static long records_pass(const uint8_t *bytes, uint64_t size, struct fs_listing *listing)
{
    struct record record;
    struct fs_name name;
    for (uint64_t at = 0; at < size; at += record.size) {
        if (!record_take(bytes + at, size - at, &record, &name)) {
            return -EIO;
        }
        if (!fs_listing_put(listing, name, record.inode, (uint32_t)record.type << 12,
                            (uint64_t)record.next)) {
            break;
        }
    }
    return 0;
}

/* Positions are the host's own, "." and ".." among them; it is told the position each time. */
long fs_host_list(struct fs_file *file, struct fs_listing *listing)
{
    int64_t value = 0;
    const int32_t handle = file->open->handle;
    const uint64_t size = fs_listing_left(listing);
    uint8_t *bytes = fs_new(ENTRIES_MAX);
    if (!bytes) {
        return -ENOMEM;
    }
    long result = cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_SEEK, handle,
                                  (int64_t)file->position, 0, INT64_MAX);
    if (result >= 0) {
        const struct cella_call_request request = {
            .operation = CELLA_FILE_ENTRIES, .handle = handle, .b = (int64_t)size};
        const struct cella_gather scatter = CELLA_GATHER_ONE(bytes, size);
        result = cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &value, sizeof(value), &scatter,
                                  (int64_t)size);
    }
    if (result > 0) {
        result = records_pass(bytes, (uint64_t)result, listing);
    }
    fs_free(bytes, ENTRIES_MAX);
    return result < 0 ? result : 0;
}
