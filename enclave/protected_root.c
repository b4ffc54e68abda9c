/*
 * The first three blocks of a protected file: header with the marker, and two slots for roots.
 * Side: enclave, with a libc. Called by protected_file.c and protected_write.c.
 * Never takes an older root for the newest one unless a crash explains it: see docs/formats/protected-file.md.
 */
#include "enclave/protected.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "cella/enclave.h"
#include "common/bytes.h"

enum slot_state {
    SLOT_EMPTY,   /* all zero */
    SLOT_FOREIGN, /* another key, or the key's fields were altered */
    SLOT_ALTERED,
    SLOT_VALID,
};

struct slot_read {
    enum slot_state state;
    cella_result reason; /* when not VALID */
    struct protected_slot slot;
    struct protected_root root;
    struct protected_keys keys;
    struct protected_secret secret;
    uint8_t digest[32];
};

static bool all_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

static cella_result digest_of(const uint8_t *block, uint8_t digest[32])
{
    unsigned size = 32;
    CELLA_ENSURE(EVP_Digest(block, PROTECTED_BLOCK, digest, &size, EVP_sha256(), NULL) == 1,
                 CRYPTO);
    return CELLA_OK;
}

/* ------------------------------------------------------------------------- reading */

static cella_result header_parse(const uint8_t *block, struct protected_header *ret_header)
{
    struct cella_cursor cursor = cella_cursor_of(cella_bytes_of(block, PROTECTED_BLOCK));
    CELLA_TRY(cella_cursor_copy(&cursor, ret_header, sizeof(*ret_header)));
    CELLA_ENSURE(ret_header->magic == PROTECTED_MAGIC, BAD_MAGIC);
    CELLA_ENSURE(ret_header->version == PROTECTED_VERSION, UNSUPPORTED_VERSION);
    CELLA_ENSURE(ret_header->block_log2 == 12 && ret_header->reserved1 == 0 &&
                     all_zero((const uint8_t *)ret_header->reserved2, 48),
                 AUTH_FAILED);
    CELLA_ENSURE(all_zero(block + sizeof(*ret_header), PROTECTED_MARKER_AT - sizeof(*ret_header)) &&
                     all_zero(block + PROTECTED_MARKER_AT + PROTECTED_MARKER_SIZE,
                              PROTECTED_BLOCK - PROTECTED_MARKER_AT - PROTECTED_MARKER_SIZE),
                 AUTH_FAILED);
    return CELLA_OK;
}

/* Every field of a root that was authenticated; a bug or another version made what fails here. */
static cella_result root_check(const struct protected_root *root)
{
    const uint64_t nodes = (root->size + PROTECTED_BLOCK - 1) / PROTECTED_BLOCK;
    uint64_t reach = 1;
    CELLA_ENSURE(root->size <= PROTECTED_SIZE_MAX && root->height <= PROTECTED_HEIGHT_MAX &&
                     root->inlined <= 1 && root->rekeyed <= 1,
                 BAD_FIELD);
    for (uint32_t level = 0; level < root->height; level++) {
        reach *= PROTECTED_FANOUT;
    }
    CELLA_ENSURE(nodes <= reach, BAD_FIELD);
    CELLA_ENSURE(!root->inlined || (root->size <= PROTECTED_INLINE_MAX && root->height == 0 &&
                                    root->top.block == 0),
                 BAD_FIELD);
    CELLA_ENSURE(root->blocks >= PROTECTED_FIRST &&
                     root->blocks <= PROTECTED_SIZE_MAX / PROTECTED_BLOCK &&
                     root->name_size <= CELLA_PROTECTED_NAME_MAX,
                 BAD_FIELD);
    return CELLA_OK;
}

static cella_result slot_authenticate(cella_protected_file *file, const uint8_t *block,
                                      uint64_t number, struct slot_read *slot)
{
    const struct protected_slot *plain = &slot->slot;
    CELLA_TRY(protected_secret_find(file, plain, &slot->secret));
    CELLA_TRY(protected_keys_derive(&slot->secret, plain, &slot->keys));
    CELLA_ENSURE(CRYPTO_memcmp(slot->keys.check, plain->key_check, sizeof(plain->key_check)) == 0,
                 WRONG_KEY);
    CELLA_TRY(protected_open_root(file, &file->header, &slot->keys, plain, block + sizeof(*plain),
                                  &slot->root));
    CELLA_ENSURE(plain->generation != 0 && number == PROTECTED_SLOT_FIRST + plain->generation % 2,
                 AUTH_FAILED);
    CELLA_TRY(root_check(&slot->root));
    return digest_of(block, slot->digest);
}

static cella_result slot_parse(cella_protected_file *file, const uint8_t *block, uint64_t number,
                               struct slot_read *slot)
{
    struct cella_cursor cursor = cella_cursor_of(cella_bytes_of(block, PROTECTED_BLOCK));
    CELLA_TRY(cella_cursor_copy(&cursor, &slot->slot, sizeof(slot->slot)));
    slot->reason = CELLA_RESULT(AUTH_FAILED);
    slot->state = SLOT_EMPTY;
    if (all_zero(block, PROTECTED_BLOCK)) {
        return CELLA_OK;
    }
    slot->reason = slot_authenticate(file, block, number, slot);
    slot->state = SLOT_VALID;
    if (!cella_is_ok(slot->reason)) {
        const bool altered = slot->reason.code == CELLA_CODE_AUTH_FAILED ||
                             slot->reason.code == CELLA_CODE_BAD_FIELD;
        slot->state = altered ? SLOT_ALTERED : SLOT_FOREIGN;
        const enum cella_category category = cella_result_category(slot->reason);
        if (category == CELLA_CATEGORY_INTERNAL || category == CELLA_CATEGORY_RESOURCE) {
            return slot->reason;
        }
    }
    return CELLA_OK;
}

static bool word_is(const uint8_t *marker, const uint8_t *value, size_t at)
{
    return memcmp(marker + at, value + at, 8) == 0;
}

/*
 * Whether each word of the marker is that of one of three values: what a torn or late write of it can leave. Aligned
 * words are written whole, by processors and by disks; so no single altered byte passes.
 */
static bool marker_is_mix(const uint8_t *marker, const uint8_t *a, const uint8_t *b,
                          const uint8_t *c)
{
    bool good = true;
    for (size_t at = 0; at < PROTECTED_MARKER_SIZE; at += 8) {
        good = good && (word_is(marker, a, at) || word_is(marker, b, at) || word_is(marker, c, at));
    }
    return good;
}

static bool marker_is(const uint8_t *marker, const uint8_t *value)
{
    return CRYPTO_memcmp(marker, value, PROTECTED_MARKER_SIZE) == 0;
}

/*
 * Whether `newest` is the state to go on with. The other slot must be the generation before, or, if it was being written
 * when the machine stopped, the marker must say so. Anything else is no crash.
 */
static bool slots_plausible(const struct slot_read *newest, const struct slot_read *other,
                            const uint8_t *marker)
{
    static const uint8_t none[PROTECTED_MARKER_SIZE];
    const uint64_t generation = newest->slot.generation;
    const bool before = other->state == SLOT_VALID && other->slot.generation + 1 == generation;
    const bool first = other->state == SLOT_EMPTY && generation == 1;
    if (before || first) {
        return marker_is_mix(marker, first ? none : other->keys.committing, newest->keys.clean,
                             newest->keys.committing);
    }
    if (other->state == SLOT_VALID) {
        return false;
    }
    /* An import was cut off between its two flushes: the older slot is still under the other key. */
    if (newest->root.rekeyed && other->slot.generation + 1 == generation &&
        marker_is(marker, newest->keys.clean)) {
        return true;
    }
    return marker_is(marker, newest->keys.committing);
}

static void slot_use(cella_protected_file *file, const struct slot_read *slot)
{
    file->slot = slot->slot;
    file->root = slot->root;
    file->keys = slot->keys;
    file->secret = slot->secret;
    memcpy(file->digest, slot->digest, sizeof(file->digest));
}

/* Why neither slot can be used. */
static cella_result slots_refusal(const struct slot_read *first, const struct slot_read *second)
{
    if (first->state == SLOT_ALTERED || second->state == SLOT_ALTERED) {
        return CELLA_RESULT(AUTH_FAILED);
    }
    return first->state == SLOT_FOREIGN ? first->reason : second->reason;
}

static cella_result slots_choose(cella_protected_file *file, const uint8_t *blocks,
                                 struct slot_read *slots)
{
    const uint8_t *marker = blocks + PROTECTED_MARKER_AT;
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t number = PROTECTED_SLOT_FIRST + i;
        CELLA_TRY(slot_parse(file, blocks + number * PROTECTED_BLOCK, number, &slots[i]));
    }
    if (slots[0].state != SLOT_VALID && slots[1].state != SLOT_VALID) {
        return slots_refusal(&slots[0], &slots[1]);
    }
    const unsigned newest =
        slots[1].state == SLOT_VALID &&
        (slots[0].state != SLOT_VALID || slots[1].slot.generation > slots[0].slot.generation);
    CELLA_ENSURE(slots_plausible(&slots[newest], &slots[1 - newest], marker), AUTH_FAILED);
    slot_use(file, &slots[newest]);
    return CELLA_OK;
}

static cella_result load_with(cella_protected_file *file, uint8_t *blocks, struct slot_read *slots)
{
    const size_t size = PROTECTED_FIRST * PROTECTED_BLOCK;
    struct protected_header header;
    CELLA_ENSURE(file->file_size > 0, TRUNCATED);
    memset(blocks, 0, size);
    const size_t there = file->file_size < size ? (size_t)file->file_size : size;
    CELLA_TRY(file->store->read(file->handle, 0, blocks, there));
    CELLA_TRY(header_parse(blocks, &header));
    CELLA_ENSURE(there == size, TRUNCATED);
    file->header = header;
    CELLA_TRY(slots_choose(file, blocks, slots));
    CELLA_ENSURE(file->file_size / PROTECTED_BLOCK >= file->root.blocks, TRUNCATED);
    return CELLA_OK;
}

cella_result protected_root_load(cella_protected_file *file)
{
    uint8_t *blocks = malloc(PROTECTED_FIRST * PROTECTED_BLOCK);
    struct slot_read *slots = calloc(2, sizeof(*slots));
    cella_result result =
        blocks && slots ? load_with(file, blocks, slots) : CELLA_RESULT(OUT_OF_MEMORY);
    if (slots) {
        OPENSSL_cleanse(slots, 2 * sizeof(*slots));
    }
    free(slots);
    free(blocks);
    return result;
}

/* ------------------------------------------------------------------------- writing */

static cella_result barrier(cella_protected_file *file)
{
    return file->no_sync ? file->store->settle(file->handle) : file->store->sync(file->handle);
}

static cella_result marker_write(cella_protected_file *file, const uint8_t *marker)
{
    return file->store->write(file->handle, PROTECTED_MARKER_AT, marker, PROTECTED_MARKER_SIZE);
}

/* One root key serves a handle; each generation has a salt of its own. */
static cella_result slot_make(cella_protected_file *file, struct protected_slot *slot,
                              struct protected_keys *keys)
{
    if (file->secret_current) {
        *slot = file->slot;
    } else {
        struct protected_secret secret;
        memset(slot, 0, sizeof(*slot));
        cella_result result = protected_secret_make(file, slot, &secret);
        if (cella_is_ok(result)) {
            file->secret = secret;
        }
        protected_secret_done(&secret);
        CELLA_TRY(result);
    }
    slot->generation = file->slot.generation + 1;
    CELLA_TRY(cella_random(slot->salt, sizeof(slot->salt)));
    CELLA_TRY(protected_keys_derive(&file->secret, slot, keys));
    memcpy(slot->key_check, keys->check, sizeof(slot->key_check));
    return CELLA_OK;
}

static cella_result slot_write(cella_protected_file *file, struct protected_slot *slot,
                               const struct protected_keys *keys, uint8_t digest[32])
{
    CELLA_TRY(protected_seal_root(file, &file->header, keys, slot, &file->root,
                                  file->block + sizeof(*slot)));
    memcpy(file->block, slot, sizeof(*slot));
    CELLA_TRY(digest_of(file->block, digest));
    const uint64_t number = PROTECTED_SLOT_FIRST + slot->generation % 2;
    /* From here on the host may have the new root: what it names must not be written over if this fails. */
    file->nonce_flushed = file->nonce_count;
    CELLA_TRY(
        file->store->write(file->handle, number * PROTECTED_BLOCK, file->block, PROTECTED_BLOCK));
    return barrier(file);
}

static cella_result commit_with(cella_protected_file *file, struct protected_slot *slot,
                                struct protected_keys *keys)
{
    uint8_t digest[32];
    file->root.blocks = protected_space_end(&file->space);
    CELLA_TRY(slot_make(file, slot, keys));
    if (file->slot.generation > 0) {
        CELLA_TRY(marker_write(file, file->keys.committing));
    }
    CELLA_TRY(barrier(file));
    CELLA_TRY(slot_write(file, slot, keys, digest));
    CELLA_TRY(marker_write(file, keys->clean));
    CELLA_TRY(file->store->settle(file->handle));
    file->slot = *slot;
    file->keys = *keys;
    file->secret_current = true;
    memcpy(file->digest, digest, sizeof(digest));
    protected_space_flushed(&file->space);
    return CELLA_OK;
}

cella_result protected_root_commit(cella_protected_file *file)
{
    struct protected_slot slot;
    struct protected_keys keys;
    cella_result result = commit_with(file, &slot, &keys);
    protected_keys_done(&keys);
    return result;
}

cella_result protected_root_new(cella_protected_file *file)
{
    struct protected_header header = {
        .magic = PROTECTED_MAGIC, .version = PROTECTED_VERSION, .block_log2 = 12};
    file->header = header;
    file->root.inlined = 1;
    file->root.blocks = PROTECTED_FIRST;
    CELLA_TRY(cella_random(file->root.data_key, sizeof(file->root.data_key)));
    CELLA_TRY(protected_space_prepare(file));
    memset(file->block, 0, sizeof(file->block));
    CELLA_TRY(file->store->write(file->handle, PROTECTED_SLOT_FIRST * PROTECTED_BLOCK, file->block,
                                 PROTECTED_BLOCK));
    memcpy(file->block, &header, sizeof(header));
    CELLA_TRY(file->store->write(file->handle, 0, file->block, PROTECTED_BLOCK));
    CELLA_TRY(protected_root_commit(file));
    file->file_size = PROTECTED_FIRST * PROTECTED_BLOCK;
    return CELLA_OK;
}
