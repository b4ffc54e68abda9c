/*
 * A host's disk in memory, and stand-ins for the processor's keys and randomness.
 * Side: tests (native). Linked with enclave/protected_*.c compiled for the host.
 */
#include "tests/protected/disk.h"

#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "cella/report.h"

uint8_t disk_identity = 1;
uint16_t disk_svn = 3;

/* ------------------------------------------------------------------------- the processor */

cella_result cella_report_self(struct sgx_report *ret_report)
{
    memset(ret_report, 0, sizeof(*ret_report));
    ret_report->body.isv_svn = disk_svn;
    return CELLA_OK;
}

cella_result cella_key_get(const struct sgx_keyrequest *request, uint8_t ret_key[16])
{
    CELLA_ENSURE(request->isv_svn <= disk_svn, SVN_TOO_OLD);
    for (size_t i = 0; i < 16; i++) {
        ret_key[i] = (uint8_t)(request->key_id[i] ^ request->key_id[i + 15] ^ disk_identity);
    }
    ret_key[0] ^= (uint8_t)request->key_policy;
    ret_key[1] ^= request->key_id[31];
    ret_key[2] ^= (uint8_t)request->isv_svn;
    return CELLA_OK;
}

uint64_t disk_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15ull;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

cella_result cella_random(void *out, size_t size)
{
    static _Thread_local uint64_t state = 7;
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)out)[i] = (uint8_t)disk_random(&state);
    }
    return CELLA_OK;
}

int cella_enclave_inside(const void *at, size_t size)
{
    (void)size;
    return at != NULL;
}

/* ------------------------------------------------------------------------- the disk */

static void pending_drop(struct disk *disk)
{
    for (size_t i = 0; i < disk->pending_count; i++) {
        free(disk->pending[i].bytes);
    }
    disk->pending_count = 0;
}

void disk_done(struct disk *disk)
{
    pending_drop(disk);
    free(disk->bytes);
    free(disk->stable);
    memset(disk, 0, sizeof(*disk));
}

static void room(struct disk *disk, size_t size)
{
    if (size > disk->capacity) {
        disk->capacity = size * 2;
        disk->bytes = realloc(disk->bytes, disk->capacity);
        if (!disk->bytes) {
            abort();
        }
    }
    if (size > disk->size) {
        memset(disk->bytes + disk->size, 0, size - disk->size);
        disk->size = size;
    }
}

static void stable_take(struct disk *disk)
{
    pending_drop(disk);
    free(disk->stable);
    disk->stable = malloc(disk->size + 1);
    if (!disk->stable) {
        abort();
    }
    if (disk->size > 0) {
        memcpy(disk->stable, disk->bytes, disk->size);
    }
    disk->stable_size = disk->size;
}

void disk_set(struct disk *disk, const void *bytes, size_t size)
{
    disk->exists = true;
    disk->size = 0;
    room(disk, size);
    if (size > 0) {
        memcpy(disk->bytes, bytes, size);
    }
    if (disk->record) {
        stable_take(disk);
    }
}

void disk_crash(struct disk *disk, uint64_t choice)
{
    uint8_t *stable = disk->stable;
    const size_t size = disk->stable_size;
    const size_t count = disk->pending_count;
    disk->stable = NULL;
    disk->size = 0;
    room(disk, size);
    if (size > 0) {
        memcpy(disk->bytes, stable, size);
    }
    free(stable);
    for (size_t i = 0; i < count; i++) {
        const struct disk_write *write = &disk->pending[i];
        const uint64_t dice = choice < 2 ? 0 : disk_random(&choice);
        size_t from = 0, to = write->size;
        if (choice == 1 || dice % 4 == 1) {
            continue;
        }
        if (choice >= 2 &&
            dice % 4 >= 2) { /* torn: a part in the front, at the end or in between */
            from = dice % 4 == 2 ? 0 : (size_t)((dice >> 8) % (write->size + 1));
            to = from + (size_t)((dice >> 32) % (write->size - from + 1));
        }
        if (write->size <= 64) { /* words are never torn */
            from = from / 8 * 8;
            to = to / 8 * 8;
        }
        if (to > from) {
            room(disk, (size_t)write->offset + to);
            memcpy(disk->bytes + write->offset + from, write->bytes + from, to - from);
        }
    }
    pending_drop(disk);
    disk->dead = false;
    disk->die_at = 0;
    disk->readers = 0;
    disk->writers = 0;
    stable_take(disk);
}

/* What the core promises to its store. */
static void must(bool kept)
{
    if (!kept) {
        abort();
    }
}

static cella_result operation(struct disk *disk)
{
    disk->operations++;
    disk->brought_size = 0;
    disk->put_size = 0;
    CELLA_ENSURE(!disk->dead, IO);
    if (disk->fail_count > 0 && disk->operations >= disk->fail_at &&
        disk->operations - disk->fail_at < disk->fail_count) {
        return disk->failure;
    }
    return CELLA_OK;
}

static cella_result disk_open(void *context, const char *path, uint32_t flags, void **ret_handle,
                              uint64_t *ret_size)
{
    struct disk *disk = context;
    (void)path;
    CELLA_TRY(operation(disk));
    CELLA_ENSURE(disk->exists || (flags & PROTECTED_OPEN_CREATE) != 0, NOT_FOUND);
    CELLA_ENSURE(!disk->exists || (flags & PROTECTED_OPEN_EXCLUSIVE) == 0, ALREADY_EXISTS);
    CELLA_ENSURE(disk->writers == 0 && ((flags & PROTECTED_OPEN_WRITE) == 0 || disk->readers == 0),
                 BUSY);
    *((flags & PROTECTED_OPEN_WRITE) != 0 ? &disk->writers : &disk->readers) += 1;
    disk->exists = true;
    if ((flags & PROTECTED_OPEN_TRUNCATE) != 0) {
        disk->size = 0;
    }
    if (disk->record) {
        stable_take(disk);
    }
    *ret_handle = disk;
    *ret_size = disk->size;
    return CELLA_OK;
}

static cella_result disk_read(void *handle, uint64_t offset, void *to, size_t size)
{
    struct disk *disk = handle;
    CELLA_TRY(operation(disk));
    CELLA_ENSURE(offset <= disk->size && size <= disk->size - offset, TRUNCATED);
    memcpy(to, disk->bytes + offset, size);
    if (++disk->reads == disk->lie_at && size > 0) {
        ((uint8_t *)to)[offset / 3 % size] ^= 4;
    }
    return CELLA_OK;
}

static cella_result disk_bring(void *handle, uint64_t offset, size_t size)
{
    struct disk *disk = handle;
    CELLA_TRY(operation(disk));
    must(size <= sizeof(disk->put));
    CELLA_ENSURE(offset <= disk->size && size <= disk->size - offset, TRUNCATED);
    disk->reads++;
    disk->brought_at = offset;
    disk->brought_size = size;
    return CELLA_OK;
}

static cella_result disk_take(void *handle, size_t at, void *to, size_t size)
{
    struct disk *disk = handle;
    must(at <= disk->brought_size && size <= disk->brought_size - at);
    const size_t lie = (size_t)(disk->brought_at / 3 % disk->brought_size);
    memcpy(to, disk->bytes + disk->brought_at + at, size);
    if (disk->reads == disk->lie_at && lie >= at && lie - at < size) {
        ((uint8_t *)to)[lie - at] ^= 4;
    }
    return CELLA_OK;
}

static cella_result disk_write(void *handle, uint64_t offset, const void *from, size_t size)
{
    struct disk *disk = handle;
    CELLA_TRY(operation(disk));
    disk->writes++;
    if (disk->record) {
        if (disk->pending_count == DISK_WRITES_MAX) {
            abort();
        }
        struct disk_write *write = &disk->pending[disk->pending_count++];
        *write = (struct disk_write){.offset = offset, .size = size, .bytes = malloc(size + 1)};
        if (!write->bytes) {
            abort();
        }
        memcpy(write->bytes, from, size);
    }
    if (disk->writes == disk->die_at) {
        disk->dead = true; /* this one may still be on its way */
        return CELLA_RESULT(IO);
    }
    room(disk, (size_t)offset + size);
    memcpy(disk->bytes + offset, from, size);
    return CELLA_OK;
}

static cella_result disk_put(void *handle, size_t at, const void *from, size_t size)
{
    struct disk *disk = handle;
    disk->brought_size = 0;
    disk->put_size = at == 0 ? 0 : disk->put_size; /* anew, after a failure */
    must(at == disk->put_size && size <= sizeof(disk->put) - at);
    memcpy(disk->put + at, from, size);
    disk->put_size = at + size;
    return CELLA_OK;
}

static cella_result disk_send(void *handle, uint64_t offset, size_t size)
{
    struct disk *disk = handle;
    must(size == disk->put_size);
    return disk_write(handle, offset, disk->put, size);
}

static cella_result disk_settle(void *handle)
{
    return operation(handle);
}

static cella_result disk_sync(void *handle)
{
    struct disk *disk = handle;
    CELLA_TRY(operation(disk));
    if (disk->record) {
        stable_take(disk);
    }
    return CELLA_OK;
}

static cella_result disk_resize(void *handle, uint64_t size)
{
    struct disk *disk = handle;
    CELLA_TRY(operation(disk));
    if (size < disk->size) {
        disk->size = (size_t)size;
    }
    return CELLA_OK;
}

static void disk_close(void *handle)
{
    struct disk *disk = handle;
    if (disk->writers > 0) {
        disk->writers--;
    } else if (disk->readers > 0) {
        disk->readers--;
    }
}

static cella_result disk_remove(void *context, const char *path)
{
    struct disk *disk = context;
    (void)path;
    CELLA_ENSURE(disk->exists, NOT_FOUND);
    disk->exists = false;
    disk->size = 0;
    return CELLA_OK;
}

const struct protected_store disk_store = {
    .open = disk_open,
    .read = disk_read,
    .bring = disk_bring,
    .take = disk_take,
    .write = disk_write,
    .put = disk_put,
    .send = disk_send,
    .settle = disk_settle,
    .sync = disk_sync,
    .resize = disk_resize,
    .close = disk_close,
    .remove = disk_remove,
};
