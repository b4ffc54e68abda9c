/*
 * Protected files: opening, reading, writing, closing, in any store.
 * Side: enclave, with a libc. Called by applications through protected_store.c, and by tests.
 * Never writes a file that it refused, never moves on from a failure without saying so in the handle.
 */
#include "enclave/protected.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"

#define MODE_SIZE_MAX 5u
#define DIRECT_MIN 4u /* whole nodes from which on the cache is passed by */

/* ------------------------------------------------------------------------- failures */

/* Notes a failure and what it means for the handle; gives it back. `losing`: data that was accepted is not written. */
static cella_result failed(cella_protected_file *file, cella_result result, bool losing)
{
    file->error = result;
    switch (result.code) {
    case CELLA_CODE_AUTH_FAILED:
    case CELLA_CODE_BAD_FIELD:
    case CELLA_CODE_TRUNCATED:
        file->status = CELLA_PROTECTED_STATUS_CORRUPTED;
        break;
    case CELLA_CODE_CRYPTO:
    case CELLA_CODE_ENTROPY:
    case CELLA_CODE_INTERNAL:
        file->status = CELLA_PROTECTED_STATUS_CRYPTO_ERROR;
        break;
    default:
        if (losing && file->status == CELLA_PROTECTED_STATUS_OK) {
            file->status = CELLA_PROTECTED_STATUS_FLUSH_ERROR;
        }
        break;
    }
    return result;
}

/* A refusal that changes nothing. */
static cella_result refused(cella_protected_file *file, cella_result result)
{
    file->error = result;
    return result;
}

/* The host failed while reading or writing on behalf of a call; unwritten data may be what could not be placed. */
static cella_result call_failed(cella_protected_file *file, cella_result result)
{
    return failed(file, result, file->changed && result.code != CELLA_CODE_OUT_OF_MEMORY);
}

int cella_protected_errno(cella_result result)
{
    static const struct {
        enum cella_code code;
        int number;
    } table[] = {
        {CELLA_CODE_OK, 0},
        {CELLA_CODE_INVALID_ARGUMENT, EINVAL},
        {CELLA_CODE_OUT_OF_RANGE, EINVAL},
        {CELLA_CODE_WRONG_STATE, EPERM},
        {CELLA_CODE_NOT_FOUND, ENOENT},
        {CELLA_CODE_ALREADY_EXISTS, EEXIST},
        {CELLA_CODE_UNSUPPORTED, ENOTSUP},
        {CELLA_CODE_UNSUPPORTED_VERSION, ENOTSUP},
        {CELLA_CODE_BAD_MAGIC, EINVAL},
        {CELLA_CODE_LIMIT_EXCEEDED, EMFILE},
        {CELLA_CODE_BUFFER_TOO_SMALL, ENAMETOOLONG},
        {CELLA_CODE_ACCESS_DENIED, EACCES},
        {CELLA_CODE_WRONG_KEY, EACCES},
        {CELLA_CODE_SVN_TOO_OLD, EACCES},
        {CELLA_CODE_NAME_MISMATCH, EACCES},
        {CELLA_CODE_ROLLED_BACK, EACCES},
        {CELLA_CODE_OUT_OF_MEMORY, ENOMEM},
        {CELLA_CODE_BUSY, EAGAIN},
        {CELLA_CODE_NO_SPACE, ENOSPC},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (result.code == table[i].code) {
            return table[i].number;
        }
    }
    return EIO;
}

/* ------------------------------------------------------------------------- opening */

struct mode {
    bool read, write, append, update, binary, exclusive;
};

static bool flag_take(bool *flag)
{
    const bool again = *flag;
    *flag = true;
    return !again;
}

static bool mode_letter(struct mode *mode, char letter)
{
    switch (letter) {
    case 'r':
        return flag_take(&mode->read);
    case 'w':
        return flag_take(&mode->write);
    case 'a':
        return flag_take(&mode->append);
    case '+':
        return flag_take(&mode->update);
    case 'b':
        return flag_take(&mode->binary);
    case 'x':
        return flag_take(&mode->exclusive);
    default:
        return false;
    }
}

static cella_result mode_parse(const char *text, struct mode *ret_mode)
{
    struct mode mode = {.read = false};
    CELLA_ENSURE(text != NULL, INVALID_ARGUMENT);
    for (size_t i = 0; text[i] != 0; i++) {
        CELLA_ENSURE(i < MODE_SIZE_MAX && mode_letter(&mode, text[i]), INVALID_ARGUMENT);
    }
    CELLA_ENSURE(mode.read + mode.write + mode.append == 1, INVALID_ARGUMENT);
    CELLA_ENSURE(!mode.exclusive || mode.write, INVALID_ARGUMENT);
    *ret_mode = mode;
    return CELLA_OK;
}

/* The last component of the path. */
static cella_result name_of(const char *path, const char **ret_name, size_t *ret_size)
{
    CELLA_ENSURE(path != NULL, INVALID_ARGUMENT);
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    *ret_size = strlen(*ret_name);
    CELLA_ENSURE(*ret_size > 0, INVALID_ARGUMENT);
    CELLA_ENSURE(*ret_size <= CELLA_PROTECTED_NAME_MAX, BUFFER_TOO_SMALL);
    return CELLA_OK;
}

static cella_result options_use(cella_protected_file *file,
                                const struct cella_protected_options *options)
{
    const struct cella_protected_key *key;
    const size_t cache =
        options && options->cache_size != 0 ? options->cache_size : CELLA_PROTECTED_CACHE_DEFAULT;
    CELLA_ENSURE(options != NULL, INVALID_ARGUMENT);
    CELLA_ENSURE(cache >= CELLA_PROTECTED_CACHE_MIN, OUT_OF_RANGE);
    CELLA_ENSURE((options->flags & ~(CELLA_PROTECTED_NO_SYNC | CELLA_PROTECTED_OR_NEWER)) == 0,
                 INVALID_ARGUMENT);
    key = &options->key;
    file->kind = key->kind;
    file->no_sync = (options->flags & CELLA_PROTECTED_NO_SYNC) != 0;
    protected_cache_init(&file->cache, cache / PROTECTED_BLOCK);
    if (key->kind == CELLA_PROTECTED_USER) {
        CELLA_ENSURE(key->bytes != NULL && key->size >= 16 && key->size <= CELLA_PROTECTED_KEY_MAX,
                     INVALID_ARGUMENT);
        memcpy(file->user.bytes, key->bytes, key->size);
        file->user.size = key->size;
        return CELLA_OK;
    }
    CELLA_ENSURE(key->kind == CELLA_PROTECTED_AUTO_MRSIGNER ||
                     key->kind == CELLA_PROTECTED_AUTO_MRENCLAVE,
                 INVALID_ARGUMENT);
    CELLA_ENSURE(key->bytes == NULL && (key->size == 0 || key->size == 16 || key->size == 32),
                 INVALID_ARGUMENT);
    file->key_size = key->size;
    return CELLA_OK;
}

static cella_result version_check(const cella_protected_file *file,
                                  const struct cella_protected_options *options)
{
    const struct cella_protected_version *wanted = options->version;
    if (!wanted) {
        return CELLA_OK;
    }
    if ((options->flags & CELLA_PROTECTED_OR_NEWER) != 0 &&
        file->slot.generation > wanted->generation) {
        return CELLA_OK;
    }
    CELLA_ENSURE(file->slot.generation == wanted->generation &&
                     CRYPTO_memcmp(file->digest, wanted->digest, sizeof(file->digest)) == 0,
                 ROLLED_BACK);
    return CELLA_OK;
}

static cella_result content_open(cella_protected_file *file, const struct mode *mode,
                                 const char *name, size_t name_size,
                                 const struct cella_protected_options *options)
{
    if (file->file_size == 0 && !mode->read) {
        CELLA_ENSURE(mode->write || !options->version, ROLLED_BACK);
        memcpy(file->root.name, name, name_size);
        file->root.name_size = (uint16_t)name_size;
        return protected_root_new(file);
    }
    CELLA_TRY(protected_root_load(file));
    CELLA_ENSURE(file->root.name_size == name_size && memcmp(file->root.name, name, name_size) == 0,
                 NAME_MISMATCH);
    CELLA_TRY(version_check(file, options));
    file->position = mode->append && !mode->update ? file->root.size : 0;
    return CELLA_OK;
}

static void file_free(cella_protected_file *file)
{
    if (file->handle) {
        file->store->close(file->handle);
    }
    protected_cache_done(&file->cache);
    protected_space_done(&file->space);
    protected_crypto_done(file);
    pthread_mutex_destroy(&file->lock);
    OPENSSL_cleanse(file, sizeof(*file));
    free(file);
}

static cella_result file_open(cella_protected_file *file, void *context, const char *path,
                              const char *mode_text, const struct cella_protected_options *options)
{
    struct mode mode;
    const char *name;
    size_t name_size;
    CELLA_TRY(mode_parse(mode_text, &mode));
    CELLA_TRY(name_of(path, &name, &name_size));
    CELLA_TRY(options_use(file, options));
    CELLA_TRY(protected_crypto_init(file));
    file->can_read = mode.read || mode.update;
    file->can_write = !mode.read || mode.update;
    file->appends = mode.append;
    const uint32_t flags = (file->can_write ? PROTECTED_OPEN_WRITE : 0) |
                           (!mode.read ? PROTECTED_OPEN_CREATE : 0) |
                           (mode.write ? PROTECTED_OPEN_TRUNCATE : 0) |
                           (mode.exclusive ? PROTECTED_OPEN_EXCLUSIVE : 0);
    CELLA_TRY(file->store->open(context, path, flags, &file->handle, &file->file_size));
    CELLA_ENSURE(file->file_size <= PROTECTED_SIZE_MAX && (!mode.write || file->file_size == 0),
                 HOST_VALUE);
    return content_open(file, &mode, name, name_size, options);
}

cella_result cella_protected_open_in(const struct protected_store *store, void *context,
                                     const char *path, const char *mode,
                                     const struct cella_protected_options *options,
                                     const struct protected_secret *imported,
                                     cella_protected_file **ret_file)
{
    cella_protected_file *file = aligned_alloc(_Alignof(cella_protected_file), sizeof(*file));
    CELLA_ENSURE(file != NULL, OUT_OF_MEMORY);
    memset(file, 0, sizeof(*file));
    pthread_mutex_init(&file->lock, NULL);
    file->store = store;
    if (imported) {
        file->imported = *imported;
    }
    cella_result result = file_open(file, context, path, mode, options);
    if (!cella_is_ok(result)) {
        file_free(file);
        return result;
    }
    *ret_file = file;
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- reading and writing */

/* `least`: how many whole nodes make a large read. */
static cella_result read_piece(cella_protected_file *file, uint64_t offset, uint8_t *to,
                               size_t size, size_t least, size_t *ret_done)
{
    struct protected_node *node;
    const uint64_t index = offset / PROTECTED_BLOCK;
    const size_t inside = (size_t)(offset % PROTECTED_BLOCK);
    if (inside == 0 && size / PROTECTED_BLOCK >= least) {
        uint64_t done;
        CELLA_TRY(protected_read_nodes(file, index, size / PROTECTED_BLOCK, to, &done));
        *ret_done = (size_t)done * PROTECTED_BLOCK;
        return CELLA_OK;
    }
    const size_t part = size < PROTECTED_BLOCK - inside ? size : PROTECTED_BLOCK - inside;
    CELLA_TRY(protected_read_ahead(file, index));
    CELLA_TRY(protected_node_get(file, 0, index, false, &node));
    memcpy(to, node->data + inside, part);
    protected_node_put(node);
    *ret_done = part;
    return CELLA_OK;
}

static cella_result read_locked(cella_protected_file *file, uint64_t offset, void *to, size_t size,
                                size_t *ret_size)
{
    *ret_size = 0;
    if (file->status != CELLA_PROTECTED_STATUS_OK) {
        return refused(file, CELLA_RESULT(WRONG_STATE));
    }
    if (!file->can_read) {
        return refused(file, CELLA_RESULT(ACCESS_DENIED));
    }
    if (size > 0 && !cella_enclave_inside(to, size)) {
        return refused(file, CELLA_RESULT(INVALID_ARGUMENT));
    }
    const uint64_t there = offset < file->root.size ? file->root.size - offset : 0;
    const size_t wanted = size < there ? size : (size_t)there;
    const size_t least = wanted / PROTECTED_BLOCK > DIRECT_MIN ? 1 : DIRECT_MIN;
    for (size_t done = 0; done < wanted; *ret_size = done) {
        size_t part = 0;
        cella_result result =
            read_piece(file, offset + done, (uint8_t *)to + done, wanted - done, least, &part);
        if (!cella_is_ok(result)) {
            OPENSSL_cleanse((uint8_t *)to + done, wanted - done);
            return call_failed(file, result);
        }
        done += part;
    }
    return CELLA_OK;
}

static cella_result write_piece(cella_protected_file *file, uint64_t offset, const uint8_t *from,
                                size_t size, size_t *ret_done)
{
    struct protected_node *node;
    const uint64_t index = offset / PROTECTED_BLOCK;
    const size_t inside = (size_t)(offset % PROTECTED_BLOCK);
    if (inside == 0 && size / PROTECTED_BLOCK >= DIRECT_MIN) {
        uint64_t done;
        CELLA_TRY(protected_write_nodes(file, index, size / PROTECTED_BLOCK, from, &done));
        *ret_done = (size_t)done * PROTECTED_BLOCK;
        return CELLA_OK;
    }
    const size_t part = size < PROTECTED_BLOCK - inside ? size : PROTECTED_BLOCK - inside;
    CELLA_TRY(protected_tree_grow(file, index));
    CELLA_TRY(protected_node_get(file, 0, index, part == PROTECTED_BLOCK, &node));
    memcpy(node->data + inside, from, part);
    protected_node_dirty(file, node);
    protected_node_put(node);
    *ret_done = part;
    return CELLA_OK;
}

static cella_result change_allowed(cella_protected_file *file, uint64_t end)
{
    CELLA_ENSURE(file->status == CELLA_PROTECTED_STATUS_OK, WRONG_STATE);
    CELLA_ENSURE(file->can_write, ACCESS_DENIED);
    CELLA_ENSURE(end <= PROTECTED_SIZE_MAX, OUT_OF_RANGE);
    return CELLA_OK;
}

static cella_result write_locked(cella_protected_file *file, uint64_t offset, const void *from,
                                 size_t size, size_t *ret_size)
{
    *ret_size = 0;
    cella_result result = size > PROTECTED_SIZE_MAX || offset > PROTECTED_SIZE_MAX
                              ? CELLA_RESULT(OUT_OF_RANGE)
                              : change_allowed(file, offset + size);
    if (cella_is_ok(result) && size > 0 && !cella_enclave_inside(from, size)) {
        result = CELLA_RESULT(INVALID_ARGUMENT);
    }
    if (!cella_is_ok(result)) {
        return refused(file, result);
    }
    result = protected_space_prepare(file);
    for (size_t done = 0; cella_is_ok(result) && done < size; *ret_size = done) {
        size_t part = 0;
        result = write_piece(file, offset + done, (const uint8_t *)from + done, size - done, &part);
        done += part;
        if (part > 0) {
            file->changed = true;
            file->root.size = file->root.size > offset + done ? file->root.size : offset + done;
        }
    }
    return cella_is_ok(result) ? result : call_failed(file, result);
}

cella_result cella_protected_read_at(cella_protected_file *file, uint64_t offset, void *to,
                                     size_t size, size_t *ret_size)
{
    pthread_mutex_lock(&file->lock);
    cella_result result = read_locked(file, offset, to, size, ret_size);
    pthread_mutex_unlock(&file->lock);
    return result;
}

cella_result cella_protected_write_at(cella_protected_file *file, uint64_t offset, const void *from,
                                      size_t size, size_t *ret_size)
{
    pthread_mutex_lock(&file->lock);
    cella_result result = write_locked(file, offset, from, size, ret_size);
    pthread_mutex_unlock(&file->lock);
    return result;
}

cella_result cella_protected_read(cella_protected_file *file, void *to, size_t size,
                                  size_t *ret_size)
{
    pthread_mutex_lock(&file->lock);
    cella_result result = read_locked(file, file->position, to, file->at_end ? 0 : size, ret_size);
    file->position += *ret_size;
    file->at_end = file->at_end || (cella_is_ok(result) && *ret_size < size);
    pthread_mutex_unlock(&file->lock);
    return result;
}

cella_result cella_protected_write(cella_protected_file *file, const void *from, size_t size,
                                   size_t *ret_size)
{
    pthread_mutex_lock(&file->lock);
    const uint64_t offset = file->appends ? file->root.size : file->position;
    cella_result result = write_locked(file, offset, from, size, ret_size);
    file->position = *ret_size > 0 ? offset + *ret_size : file->position;
    pthread_mutex_unlock(&file->lock);
    return result;
}

/* ------------------------------------------------------------------------- position and size */

static cella_result seek_locked(cella_protected_file *file, int64_t offset, int whence)
{
    const int64_t size = (int64_t)file->root.size;
    const int64_t bases[] = {0, (int64_t)file->position, size};
    CELLA_ENSURE(file->status == CELLA_PROTECTED_STATUS_OK, WRONG_STATE);
    CELLA_ENSURE(whence >= 0 && whence <= 2, INVALID_ARGUMENT);
    const int64_t base = bases[whence];
    /* base and size are within 2^52: neither difference can overflow */
    CELLA_ENSURE(offset >= -base && offset <= size - base, OUT_OF_RANGE);
    file->position = (uint64_t)(base + offset);
    file->at_end = false;
    return CELLA_OK;
}

cella_result cella_protected_seek(cella_protected_file *file, int64_t offset, int whence)
{
    pthread_mutex_lock(&file->lock);
    cella_result result = seek_locked(file, offset, whence);
    if (!cella_is_ok(result)) {
        file->error = result;
    }
    pthread_mutex_unlock(&file->lock);
    return result;
}

cella_result cella_protected_tell(cella_protected_file *file, uint64_t *ret_offset)
{
    pthread_mutex_lock(&file->lock);
    const bool good = file->status == CELLA_PROTECTED_STATUS_OK;
    if (good) {
        *ret_offset = file->position;
    } else {
        file->error = CELLA_RESULT(WRONG_STATE);
    }
    pthread_mutex_unlock(&file->lock);
    return good ? CELLA_OK : CELLA_RESULT(WRONG_STATE);
}

cella_result cella_protected_size(cella_protected_file *file, uint64_t *ret_size)
{
    pthread_mutex_lock(&file->lock);
    *ret_size = file->root.size;
    pthread_mutex_unlock(&file->lock);
    return CELLA_OK;
}

/* What lies behind the new end in its last node turns to zeros, then whole nodes go. */
static cella_result shrink(cella_protected_file *file, uint64_t size)
{
    struct protected_node *node;
    const size_t inside = (size_t)(size % PROTECTED_BLOCK);
    if (inside != 0) {
        CELLA_TRY(protected_node_get(file, 0, size / PROTECTED_BLOCK, false, &node));
        memset(node->data + inside, 0, PROTECTED_BLOCK - inside);
        protected_node_dirty(file, node);
        protected_node_put(node);
    }
    return protected_tree_cut(file, size / PROTECTED_BLOCK + (inside != 0 ? 1 : 0));
}

static cella_result truncate_locked(cella_protected_file *file, uint64_t size)
{
    cella_result result = change_allowed(file, size);
    if (!cella_is_ok(result)) {
        return refused(file, result);
    }
    result = protected_space_prepare(file);
    if (cella_is_ok(result)) {
        result = size < file->root.size
                     ? shrink(file, size)
                     : protected_tree_grow(file, size > 0 ? (size - 1) / PROTECTED_BLOCK : 0);
    }
    if (!cella_is_ok(result)) {
        return call_failed(file, result);
    }
    file->changed = file->changed || size != file->root.size;
    file->root.size = size;
    file->position = file->position < size ? file->position : size;
    return CELLA_OK;
}

cella_result cella_protected_truncate(cella_protected_file *file, uint64_t size)
{
    pthread_mutex_lock(&file->lock);
    cella_result result = truncate_locked(file, size);
    pthread_mutex_unlock(&file->lock);
    return result;
}

/* ------------------------------------------------------------------------- flushing and state */

static cella_result flush_locked(cella_protected_file *file)
{
    if (file->status != CELLA_PROTECTED_STATUS_OK) {
        return refused(file, CELLA_RESULT(WRONG_STATE));
    }
    if (!file->can_write) {
        return CELLA_OK;
    }
    cella_result result = protected_flush(file);
    return cella_is_ok(result) ? result : failed(file, result, true);
}

/* What the host would not write is tried again. */
static void recover(cella_protected_file *file)
{
    if (file->status == CELLA_PROTECTED_STATUS_FLUSH_ERROR) {
        file->status = CELLA_PROTECTED_STATUS_OK;
        cella_ignore(flush_locked(file));
    }
}

cella_result cella_protected_flush(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    cella_result result = flush_locked(file);
    pthread_mutex_unlock(&file->lock);
    return result;
}

enum cella_protected_status cella_protected_status(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    const enum cella_protected_status status = file->status;
    pthread_mutex_unlock(&file->lock);
    return status;
}

cella_result cella_protected_error(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    const cella_result error = file->error;
    pthread_mutex_unlock(&file->lock);
    return error;
}

int cella_protected_eof(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    const int at_end = file->at_end;
    pthread_mutex_unlock(&file->lock);
    return at_end;
}

void cella_protected_clear_error(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    recover(file);
    if (file->status == CELLA_PROTECTED_STATUS_OK) {
        file->error = CELLA_OK;
        file->at_end = false;
    }
    pthread_mutex_unlock(&file->lock);
}

cella_result cella_protected_clear_cache(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    recover(file);
    cella_result result = flush_locked(file);
    if (cella_is_ok(result)) {
        protected_cache_done(&file->cache);
    }
    pthread_mutex_unlock(&file->lock);
    return result;
}

cella_result cella_protected_version(cella_protected_file *file,
                                     struct cella_protected_version *ret_version)
{
    pthread_mutex_lock(&file->lock);
    ret_version->generation = file->slot.generation;
    memcpy(ret_version->digest, file->digest, sizeof(ret_version->digest));
    pthread_mutex_unlock(&file->lock);
    return CELLA_OK;
}

/* Blocks behind the last one in use go back to the host; that this fails harms nothing. */
static void give_back(cella_protected_file *file)
{
    const uint64_t size = file->root.blocks * PROTECTED_BLOCK;
    if (file->can_write && file->file_size > size &&
        cella_is_ok(file->store->resize(file->handle, size))) {
        file->file_size = size;
    }
}

cella_result cella_protected_close(cella_protected_file *file)
{
    pthread_mutex_lock(&file->lock);
    recover(file);
    cella_result result = flush_locked(file);
    if (cella_is_ok(result)) {
        give_back(file);
    }
    pthread_mutex_unlock(&file->lock);
    file_free(file);
    return result;
}

/* ------------------------------------------------------------------------- moving keys */

static bool options_auto(const struct cella_protected_options *options)
{
    return options && options->key.kind != CELLA_PROTECTED_USER;
}

cella_result protected_export_in(const struct protected_store *store, void *context,
                                 const char *path, const struct cella_protected_options *options,
                                 uint8_t key[32], size_t *ret_size)
{
    cella_protected_file *file;
    CELLA_ENSURE(options_auto(options), INVALID_ARGUMENT);
    CELLA_TRY(cella_protected_open_in(store, context, path, "r", options, NULL, &file));
    memcpy(key, file->secret.bytes, file->secret.size);
    *ret_size = file->secret.size;
    return cella_protected_close(file);
}

/* Two flushes, so that neither slot is left under the old key. */
cella_result protected_import_in(const struct protected_store *store, void *context,
                                 const char *path, const struct cella_protected_options *options,
                                 const void *key, size_t size)
{
    cella_protected_file *file;
    struct protected_secret imported = {.size = size};
    static const uint8_t none[32];
    CELLA_ENSURE(options_auto(options) && key && (size == 16 || size == 32), INVALID_ARGUMENT);
    CELLA_ENSURE(CRYPTO_memcmp(key, none, size) != 0, INVALID_ARGUMENT);
    memcpy(imported.bytes, key, size);
    cella_result result =
        cella_protected_open_in(store, context, path, "r+", options, &imported, &file);
    protected_secret_done(&imported);
    CELLA_TRY(result);
    for (int i = 0; i < 2 && cella_is_ok(result); i++) {
        file->changed = true;
        file->root.rekeyed = i == 0;
        result = cella_protected_flush(file);
    }
    cella_result closed = cella_protected_close(file);
    return cella_is_ok(result) ? closed : result;
}
