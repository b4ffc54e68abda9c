/*
 * The inside of protected files: what their parts know of each other, and the store that they lie in.
 * Side: enclave, with a libc; also built natively for tests. Included by enclave/protected_*.c and tests.
 * Never seen by applications: they include cella/protected_file.h.
 */
#ifndef CELLA_ENCLAVE_PROTECTED_H
#define CELLA_ENCLAVE_PROTECTED_H

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>

#include "cella/protected_file.h"
#include "enclave/protected_format.h"

#define PROTECTED_BATCH 51u /* nodes of one transfer at most: half an index node's children */
#define PROTECTED_READERS 8u

/* store.open's flags */
#define PROTECTED_OPEN_WRITE 0x1u     /* else only reading */
#define PROTECTED_OPEN_CREATE 0x2u    /* make it when it is not there */
#define PROTECTED_OPEN_EXCLUSIVE 0x4u /* it must not be there */
#define PROTECTED_OPEN_TRUNCATE 0x8u  /* empty it, once the lock is held */

/*
 * The host's file: enclave/protected_store.c asks the host, tests have one in memory. Nothing that a store says is
 * believed: sizes are checked by the caller, bytes are authenticated.
 */
struct protected_store {
    /* Locked: many readers or one writer (BUSY). */
    cella_result (*open)(void *context, const char *path, uint32_t flags, void **ret_handle,
                         uint64_t *ret_size);
    /* All `size` bytes or TRUNCATED. */
    cella_result (*read)(void *handle, uint64_t offset, void *to, size_t size);
    /*
     * The same in parts, so that each is decrypted while it is in the nearest cache: _bring is as _read, up to
     * PROTECTED_BATCH blocks; _take copies what lies at `at` of them, until the next call of another kind.
     */
    cella_result (*bring)(void *handle, uint64_t offset, size_t size);
    cella_result (*take)(void *handle, size_t at, void *to, size_t size);
    /* May be under way when it returns; on failure nothing was taken. */
    cella_result (*write)(void *handle, uint64_t offset, const void *from, size_t size);
    /* The same in parts: _put each, without calls of other kinds in between, then _send all, as _write does. */
    cella_result (*put)(void *handle, size_t at, const void *from, size_t size);
    cella_result (*send)(void *handle, uint64_t offset, size_t size);
    /* All that was taken is in the file; taken writes that failed were tried again. */
    cella_result (*settle)(void *handle);
    /* The same, and on the disk. */
    cella_result (*sync)(void *handle);
    cella_result (*resize)(void *handle, uint64_t size);
    void (*close)(void *handle);
    cella_result (*remove)(void *context, const char *path);
};

/* A node in memory. A node's parent is in memory too; `pins` counts children there and users. */
struct protected_node {
    struct protected_node *parent;
    struct protected_node *chain;           /* of the hash table */
    struct protected_node *previous, *next; /* in a clean or dirty list */
    uint64_t index;
    uint32_t level;
    uint32_t pins;
    bool dirty;
    union {
        uint8_t data[PROTECTED_BLOCK];
        struct protected_index content;
    };
};

struct protected_list {
    struct protected_node *first, *last;
    size_t count;
};

struct protected_cache {
    struct protected_node **table;
    struct protected_node **order; /* room for every node: sorting */
    size_t table_size;             /* a power of two */
    size_t count, capacity;
    struct protected_list clean_data, clean_index;
    struct protected_list dirty[PROTECTED_HEIGHT_MAX + 1];
};

/* Blocks of the host's file: a bit each. A block is free when neither the last flush nor this one needs it. */
struct protected_space {
    bool ready;
    uint64_t *busy;
    uint64_t words;    /* of `busy` */
    uint64_t top;      /* blocks in use end here at the latest */
    uint64_t rover;    /* where the search goes on */
    uint64_t *pending; /* blocks that the last flush needs and this one does not */
    size_t pending_count, pending_capacity;
};

struct protected_cipher {
    EVP_CIPHER_CTX *context;
    uint32_t epoch;
    bool known;
};

/* Everything that one generation's salt and key give. */
struct protected_keys {
    uint8_t cipher[32];
    uint8_t check[16];
    uint8_t clean[PROTECTED_MARKER_SIZE];
    uint8_t committing[PROTECTED_MARKER_SIZE];
};

/* The root key: EGETKEY's, the caller's or an imported one. */
struct protected_secret {
    uint8_t bytes[CELLA_PROTECTED_KEY_MAX];
    size_t size;
};

struct cella_protected_file {
    pthread_mutex_t lock;
    const struct protected_store *store;
    void *handle;
    bool can_read, can_write, appends, no_sync;
    enum cella_protected_status status;
    cella_result error;
    bool at_end;
    uint64_t position;
    uint64_t last_read; /* the node behind the last one that was read, for reading ahead */

    /* the root as it is now; `root.data` is the file when root.inlined */
    struct protected_root root;
    bool changed; /* since the last flush */
    struct protected_header header;
    struct protected_slot slot; /* of the last flush */
    struct protected_keys keys; /* of the last flush */
    uint8_t digest[32];
    uint64_t file_size; /* of the host's file, as far as known */

    enum cella_protected_kind kind;
    size_t key_size;                  /* 0: not said */
    struct protected_secret user;     /* the caller's key */
    struct protected_secret imported; /* size 0: none */
    struct protected_secret secret;   /* of `slot` */
    bool secret_current;              /* made by this handle, with this processor's SVNs */

    EVP_CIPHER *cipher;
    struct protected_cipher writer;
    struct protected_cipher readers[PROTECTED_READERS];
    uint32_t reader_next;
    uint8_t nonce_prefix[8];
    uint32_t nonce_count;   /* the next one */
    uint32_t nonce_flushed; /* nonces below are of blocks that a flush may have made known */
    bool session;

    struct protected_cache cache;
    struct protected_space space;
    _Alignas(64) uint8_t block[PROTECTED_BLOCK]; /* ciphertext on its way */
};

/* protected_file.c: opens in any store. `imported` may be NULL. */
CELLA_MUST_USE cella_result cella_protected_open_in(const struct protected_store *store,
                                                    void *context, const char *path,
                                                    const char *mode,
                                                    const struct cella_protected_options *options,
                                                    const struct protected_secret *imported,
                                                    cella_protected_file **ret_file);
CELLA_MUST_USE cella_result protected_export_in(const struct protected_store *store, void *context,
                                                const char *path,
                                                const struct cella_protected_options *options,
                                                uint8_t key[32], size_t *ret_size);
CELLA_MUST_USE cella_result protected_import_in(const struct protected_store *store, void *context,
                                                const char *path,
                                                const struct cella_protected_options *options,
                                                const void *key, size_t size);

/* protected_store.c: the host. */
extern const struct protected_store protected_host_store;

/* protected_key.c */
CELLA_MUST_USE cella_result protected_secret_find(cella_protected_file *file,
                                                  const struct protected_slot *slot,
                                                  struct protected_secret *ret_secret);
/* A new EGETKEY key, or the caller's: fills the slot's fields for it. */
CELLA_MUST_USE cella_result protected_secret_make(cella_protected_file *file,
                                                  struct protected_slot *slot,
                                                  struct protected_secret *ret_secret);
CELLA_MUST_USE cella_result protected_keys_derive(const struct protected_secret *secret,
                                                  const struct protected_slot *slot,
                                                  struct protected_keys *ret_keys);
void protected_secret_done(struct protected_secret *secret);
void protected_keys_done(struct protected_keys *keys);

/* protected_crypto.c */
CELLA_MUST_USE cella_result protected_crypto_init(cella_protected_file *file);
void protected_crypto_done(cella_protected_file *file);
/* One node of PROTECTED_BLOCK bytes. Encrypting fills epoch, nonce and tag of `entry`; AUTH_FAILED leaves zeros in `to`. */
CELLA_MUST_USE cella_result protected_encrypt(cella_protected_file *file, const void *from,
                                              void *to, struct protected_entry *entry);
CELLA_MUST_USE cella_result protected_decrypt(cella_protected_file *file, const void *from,
                                              void *to, const struct protected_entry *entry);
/* Whether the entry's block was written after the last flush, so that no flush knows it. */
bool protected_is_fresh(const cella_protected_file *file, const struct protected_entry *entry);
/* A slot's encrypted part. */
CELLA_MUST_USE cella_result protected_seal_root(cella_protected_file *file,
                                                const struct protected_header *header,
                                                const struct protected_keys *keys,
                                                struct protected_slot *slot,
                                                const struct protected_root *root, uint8_t *to);
CELLA_MUST_USE cella_result protected_open_root(cella_protected_file *file,
                                                const struct protected_header *header,
                                                const struct protected_keys *keys,
                                                const struct protected_slot *slot,
                                                const uint8_t *from,
                                                struct protected_root *ret_root);

/* protected_root.c: the three blocks at the start. */
CELLA_MUST_USE cella_result protected_root_new(cella_protected_file *file);
CELLA_MUST_USE cella_result protected_root_load(cella_protected_file *file);
/* Makes the current root the one that is found; every node must have been written. */
CELLA_MUST_USE cella_result protected_root_commit(cella_protected_file *file);

/* protected_space.c */
void protected_space_done(struct protected_space *space);
/* Learns which blocks are in use, once, before the first change. */
CELLA_MUST_USE cella_result protected_space_prepare(cella_protected_file *file);
/* Up to `wanted` blocks in a row. */
CELLA_MUST_USE cella_result protected_space_take(struct protected_space *space, uint64_t wanted,
                                                 uint64_t *ret_first, uint64_t *ret_count);
void protected_space_untake(struct protected_space *space, uint64_t first, uint64_t count);
/* Room for `count` calls of _free without failing. */
CELLA_MUST_USE cella_result protected_space_reserve(struct protected_space *space, size_t count);
/* The block of `entry`, if it has one, is needed no more. */
void protected_space_free(cella_protected_file *file, const struct protected_entry *entry);
/* The end of what the coming flush needs, without the pending ones. */
uint64_t protected_space_end(struct protected_space *space);
void protected_space_flushed(struct protected_space *space);

/* protected_cache.c */
void protected_cache_init(struct protected_cache *cache, size_t capacity);
/* Wipes and frees all nodes. */
void protected_cache_done(struct protected_cache *cache);
struct protected_node *protected_cache_find(struct protected_cache *cache, uint32_t level,
                                            uint64_t index);
/* A node that is in no list yet: new memory, or that of a clean node that nobody uses; NULL: there is none. */
struct protected_node *protected_cache_new(struct protected_cache *cache);
void protected_cache_insert(struct protected_cache *cache, struct protected_node *node,
                            struct protected_node *parent, uint32_t level, uint64_t index);
void protected_cache_touch(struct protected_cache *cache, struct protected_node *node);
void protected_cache_dirty(struct protected_cache *cache, struct protected_node *node);
void protected_cache_clean(struct protected_cache *cache, struct protected_node *node);
/* Takes a node without children out, wipes and frees it. */
void protected_cache_drop(struct protected_cache *cache, struct protected_node *node);
void protected_cache_free(struct protected_cache *cache, struct protected_node *node);
/* The dirty nodes of a level in order of their index: cache->order, `count` of them. */
size_t protected_cache_sort(struct protected_cache *cache, uint32_t level);

/* protected_tree.c */
/* The node, read if need be, pinned: one pin to give back. `fresh`: what is in it is not wanted. */
CELLA_MUST_USE cella_result protected_node_get(cella_protected_file *file, uint32_t level,
                                               uint64_t index, bool fresh,
                                               struct protected_node **ret_node);
static inline void protected_node_put(struct protected_node *node)
{
    node->pins--;
}
void protected_node_dirty(cella_protected_file *file, struct protected_node *node);
/* Makes the tree high enough for data node `index`. */
CELLA_MUST_USE cella_result protected_tree_grow(cella_protected_file *file, uint64_t index);
/* Frees every data node from `count` on. */
CELLA_MUST_USE cella_result protected_tree_cut(cella_protected_file *file, uint64_t count);
/* Where a node's entry is kept. */
struct protected_entry *protected_entry_of(cella_protected_file *file, struct protected_node *node);

/* protected_write.c */
/* Writes the dirty nodes of a level; none below may be dirty. */
CELLA_MUST_USE cella_result protected_spill(cella_protected_file *file, uint32_t level);
/* Writes all dirty nodes and the root. */
CELLA_MUST_USE cella_result protected_flush(cella_protected_file *file);
/* `count` whole nodes from the caller's buffer, past the cache; fewer may be done. */
CELLA_MUST_USE cella_result protected_write_nodes(cella_protected_file *file, uint64_t index,
                                                  uint64_t count, const uint8_t *from,
                                                  uint64_t *ret_done);

/* protected_read.c */
/* `count` whole nodes into the caller's buffer; fewer may be done. */
CELLA_MUST_USE cella_result protected_read_nodes(cella_protected_file *file, uint64_t index,
                                                 uint64_t count, uint8_t *to, uint64_t *ret_done);
/* One node into the cache, with those that follow when reading goes on from the last one. Unpinned. */
CELLA_MUST_USE cella_result protected_read_ahead(cella_protected_file *file, uint64_t index);

/* How many nodes may travel at once: no more than a part of the cache. */
static inline uint64_t protected_batch(const cella_protected_file *file, uint64_t wanted)
{
    const uint64_t part = file->cache.capacity / 4;
    const uint64_t most = part < PROTECTED_BATCH ? part : PROTECTED_BATCH;
    return wanted < most ? wanted : most;
}

#endif
