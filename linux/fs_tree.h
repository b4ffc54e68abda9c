/*
 * The inside of the file tree: entries (names), nodes (files), mounted trees, and what is done to them.
 * Side: enclave. Included by linux/fs_*.c.
 * Never touches the program's memory with the tree's lock, never holds that lock over an exit.
 *
 * Locks, outermost first: fs_names_take (whoever changes names; may be held over exits), a file's mutex (its position),
 * a node's `append`, its `alike` (content and mappings, fs_map.c), its guard (content; shared by transfers), the memory
 * manager's, fs_take (the tree: entries, references, lists; a spin lock).
 */
#ifndef CELLA_LINUX_FS_TREE_H
#define CELLA_LINUX_FS_TREE_H

#include "linux/fs.h"
#include "linux/linux.h"

#define FS_NAME_MAX 255u
#define FS_PATH_SIZE 4096u     /* with the zero */
#define FS_WALK_MAX (1u << 18) /* a path with the texts of the links in it */
#define FS_LINKS_MAX 40u
#define FS_SIZE_MAX (INT64_MAX & ~4095ll)

#define MODE_TYPE 0170000u
#define MODE_FIFO 0010000u
#define MODE_CHARACTER 0020000u
#define MODE_DIRECTORY 0040000u
#define MODE_REGULAR 0100000u
#define MODE_LINK 0120000u
#define MODE_SOCKET 0140000u
#define MODE_BITS 07777u

#define FS_READ 4u
#define FS_WRITE 2u
#define FS_EXEC 1u

struct fs_tree;
struct fs_node;
struct fs_entry;
struct fs_file;
struct fs_place;
struct fs_text;

struct fs_name {
    const char *text; /* no zero behind it */
    uint32_t size;
};

/* A change of attributes: what `what` names. */
struct fs_change {
    uint32_t what;
    uint32_t mode, user, group;
    uint64_t size;
    int64_t accessed[2], modified[2];
};
#define FS_CHANGE_MODE 0x1u
#define FS_CHANGE_USER 0x2u
#define FS_CHANGE_GROUP 0x4u
#define FS_CHANGE_SIZE 0x8u
#define FS_CHANGE_ACCESSED 0x10u
#define FS_CHANGE_MODIFIED 0x20u

/* A new file. */
struct fs_make {
    uint32_t mode; /* with type */
    uint64_t special;
    const char *text; /* of a link */
    uint32_t text_size;
};

/* Takes names of a directory; false: no room for this one. */
struct fs_listing;
uint64_t fs_listing_left(const struct fs_listing *listing); /* bytes */
bool fs_listing_put(struct fs_listing *listing, struct fs_name name, uint64_t inode, uint32_t mode,
                    uint64_t next);

/*
 * What a node can do. NULL: what memory does, or EINVAL where the comment says so. Calls come without the tree's lock;
 * those that change names with fs_names_take.
 */
struct fs_ops {
    bool opens_to_make; /* `open` with O_CREAT makes the file */
    bool opens_paths;   /* `open` is called with O_PATH, too */
    bool lists_dots;    /* "." and ".." are in its lists */
    /* Opens what is known to be a regular file without looking first. NULL: nothing, the way by lookup is the right one. */
    struct cella_open *(*open_known)(struct fs_entry *entry);
    /* Finds a name that no entry has: a new entry with a reference. NULL: -ENOENT. */
    long (*lookup)(struct fs_entry *directory, struct fs_name name, struct fs_entry **ret_entry);
    long (*make)(struct fs_entry *directory, struct fs_name name, const struct fs_make *make,
                 struct fs_entry **ret_entry);
    long (*remove)(struct fs_entry *entry);
    long (*link)(struct fs_entry *from, struct fs_entry *directory, struct fs_name name);
    long (*rename)(struct fs_entry *from, struct fs_entry *directory, struct fs_name name,
                   struct fs_entry *target, uint32_t flags);
    long (*list)(struct fs_file *file, struct fs_listing *listing);
    long (*text)(struct fs_entry *entry, char *to, uint32_t capacity); /* of a link */
    /* A link that is no text: sets place->target, or place->open. */
    long (*follow)(struct fs_entry *entry, struct fs_place *place);
    long (*stat)(struct fs_entry *entry, struct fs_file *file, struct cella_call_stat *ret_stat);
    long (*change)(struct fs_entry *entry, struct fs_file *file, const struct fs_change *change);
    long (*open)(struct fs_file *file, uint32_t flags, uint32_t mode);
    void (*close)(struct fs_file *file);
    long (*read)(struct fs_file *file, const struct cella_transfer *transfer, uint64_t offset);
    long (*write)(struct fs_file *file, const struct cella_transfer *transfer, uint64_t offset);
    /* Kernel memory, for mmap and sendfile. */
    long (*fill)(struct fs_file *file, void *to, uint64_t size, uint64_t offset);
    long (*store)(struct fs_file *file, const void *from, uint64_t size, uint64_t offset);
    long (*sync)(struct fs_file *file, bool data_only);
    long (*reserve)(struct fs_file *file, uint32_t mode, uint64_t offset, uint64_t size);
    long (*seek)(struct fs_file *file, int64_t offset, uint64_t whence); /* DATA, HOLE */
    long (*control)(struct fs_file *file, uint64_t request, uint64_t argument);
    uint32_t (*ready)(struct fs_file *file);
    void (*info)(struct fs_file *file, struct fs_text *text); /* more lines of /proc/self/fdinfo */
    void (*release)(struct fs_node *node); /* the node's own; the last reference is gone */
};

/* Content in memory: pages in a tree of 512 ways; below `base_size` a missing page is the base's. */
struct fs_data {
    void *root;
    uint32_t height; /* levels; 0: `root` is a page, or nothing */
    _Atomic uint64_t pages;
    const uint8_t *base;
    uint64_t base_size;
};

struct fs_shared_map {
    struct fs_shared_map *next;
    struct cella_open *open; /* a reference */
    uint64_t address, size, offset;
    bool writable; /* now, or it was */
};

struct fs_lock {
    struct fs_lock *next;
    const void *owner;
    uint64_t start, end; /* [start, end) */
    bool exclusive;
    bool whole; /* flock's: of another kind than ranges */
};

struct fs_node {
    const struct fs_ops *ops;
    struct fs_tree *tree;
    struct fs_node *next_dead;
    uint32_t references; /* under the tree's lock */
    uint32_t mode, user, group;
    uint32_t links;
    uint64_t inode, special;
    _Atomic uint64_t size;
    int64_t accessed[2], modified[2], changed[2];
    /* Directories in memory: children in the order in which they came. */
    struct fs_entry *first, *last;
    uint64_t next_serial;
    struct fs_data data;
    _Atomic uint32_t guard;
    struct linux_mutex append; /* of writes at the end */
    char *text;                /* of a link */
    uint32_t text_size;
    uint32_t file;           /* measured files: index + 1 in the description */
    uint32_t patches;        /* index + 1 in the description */
    _Atomic uint32_t unread; /* the content is still the host's */
    const void *context;     /* the class's own */
    uint64_t argument;
    struct fs_lock *locks;
    struct fs_shared_map *maps; /* under `alike` */
    struct linux_mutex alike;
    _Atomic uint32_t mapped; /* maps, and threads that are about to make one */
    _Atomic uint32_t plain;  /* transfers that know of no map */
    struct cella_lock lists; /* of locks, and of pages of content */
    void *fifo;
    struct cella_call_stat *host;
    int64_t looked_at;       /* of the host's: when, in nanoseconds */
    uint64_t looked_changes; /* and the tree's `changes` then */
};

struct fs_entry {
    struct fs_entry *parent; /* a reference; NULL: a root */
    struct fs_entry *hash_next;
    struct fs_entry *next, *previous; /* in the parent's list, when is_linked */
    struct fs_node *node;             /* a reference */
    struct fs_tree *mounted;          /* what covers it */
    char *name;
    uint32_t name_size;
    uint32_t references;
    uint64_t serial;
    bool is_hashed;
    bool is_linked; /* in its parent's list, which has a reference */
    bool is_deleted;
};

enum fs_kind {
    FS_MEMORY,
    FS_HOST,
    FS_PROC,
    FS_SYS,
    FS_DEVICES,
    FS_ENCRYPTED,
};

struct fs_tree {
    enum fs_kind kind;
    uint32_t device;
    bool is_read_only;
    bool is_of_signer; /* encrypted: the key is the signer's product's */
    struct fs_entry *root;
    struct fs_entry *covers; /* NULL: nothing covers the root of all */
    char *source;            /* on the host, absolute, no slash at its end */
    uint32_t source_size;
    _Atomic uint64_t next_inode;
    _Atomic uint64_t changes; /* of the host's: what the program has changed in it, counted */
    struct fs_tree *next;
    char target[FS_NAME_MAX + 1]; /* for /proc/self/mounts */
};

/* An open file of the tree: cella_open.data. */
struct fs_file {
    struct fs_entry *entry; /* a reference */
    struct cella_open *open;
    struct linux_mutex mutex; /* of the position */
    uint64_t position;
    char *text; /* synthetic files: what they said when they were read from the start */
    uint64_t text_size, text_capacity;
    uint64_t argument;
    bool is_exchanged; /* the host has another file under the entry's name than was looked at */
};

#define FS_PLACE_NAME 0u /* the last part is a name */
#define FS_PLACE_DOT 1u  /* ".", "..", "/": the target is a directory that is there */
#define FS_PLACE_JUMP 2u /* a link that is no text was followed */

/* Where a path leads. */
struct fs_place {
    struct fs_entry *parent; /* with FS_PLACE_NAME */
    struct fs_entry *target; /* NULL: not there */
    struct cella_open *open; /* an object that is no file */
    uint32_t kind;
    bool has_slash; /* behind the last part */
    bool is_mount;  /* the target covers another entry */
    bool is_long;   /* FS_NAMES: the last part is no possible name; it is not here */
    uint32_t name_size;
    char name[FS_NAME_MAX + 1];
};
static inline struct fs_name fs_place_name(const struct fs_place *place)
{
    return (struct fs_name){.text = place->name, .size = place->name_size};
}

struct fs_path {
    char *text; /* of the pool; zero-terminated */
    uint32_t size, capacity;
};

/* fs_pool.c: small objects, zeroed. NULL: no memory. */
void *fs_new(uint64_t size);
void fs_free(void *at, uint64_t size);
char *fs_text_copy(const char *text, uint32_t size);
/* Pages of file content. */
void *fs_page_new(void);
void fs_page_free(void *page);
uint64_t fs_pages_in_use(void);

/* fs_walk.c: without a libc's. */
const char *fs_text_find(const char *text, uint64_t size, char what); /* NULL: it is not in there */

/* fs_tree.c */
extern struct fs_tree *fs_root_tree, *fs_trees;
extern struct fs_tree
    *fs_memory_tree; /* of what is made at start and no mount has: the root's, but under a host's */
void fs_take(void);
void fs_give(void);
void fs_names_take(void);
void fs_names_give(void);
struct fs_tree *fs_tree_new(enum fs_kind kind, uint32_t mode, const struct fs_ops *ops);
/* Puts a tree over a directory; takes over the caller's reference of `covers`. */
void fs_tree_mount(struct fs_tree *tree, struct fs_entry *covers, const char *target);
struct fs_node *fs_node_new(struct fs_tree *tree, const struct fs_ops *ops, uint32_t mode);
void fs_node_put(struct fs_node *node);
/* A new entry, takes over the reference of `node`; with one reference. Not in any list. */
struct fs_entry *fs_entry_new(struct fs_entry *parent, struct fs_name name, struct fs_node *node);
struct fs_entry *fs_entry_get(struct fs_entry *entry);
void fs_entry_put(struct fs_entry *entry);
static inline void fs_entry_done(struct fs_entry **entry)
{
    if (*entry) {
        fs_entry_put(*entry);
    }
}
/* The entry of a name with a reference more; NULL: no entry has it. */
struct fs_entry *fs_entry_find(struct fs_entry *directory, struct fs_name name);
/* Makes an entry findable by its name; is_linked: and part of the directory for good. */
void fs_entry_hash(struct fs_entry *entry, bool is_linked);
void fs_entry_unhash(struct fs_entry *entry);
/* Out of its directory's list; it is still found by its name. */
void fs_entry_hide(struct fs_entry *entry);
/* Under another name, in another directory. */
long fs_entry_move(struct fs_entry *entry, struct fs_entry *directory, struct fs_name name);
void fs_entry_exchange(struct fs_entry *a, struct fs_entry *b);
/* Whether `entry` lies in `directory` or below, in the same tree. */
bool fs_entry_is_below(struct fs_entry *entry, struct fs_entry *directory);
/* The absolute path; its size without the zero, or -ENOENT (deleted), -ENAMETOOLONG. */
long fs_entry_path(struct fs_entry *entry, char *to, uint32_t capacity, bool marks_deleted);
struct fs_entry *fs_current_get(void);
void fs_current_set(struct fs_entry *entry);
struct fs_entry *fs_root_get(void);
void fs_touch(struct fs_node *node, uint32_t what); /* FS_TOUCH_* */
#define FS_TOUCH_ACCESS 1u
#define FS_TOUCH_CONTENT 2u
#define FS_TOUCH_CHANGE 4u
long fs_permits(const struct fs_node *node, uint32_t mask);
bool fs_is_owner(const struct fs_node *node);
static inline uint32_t fs_type(const struct fs_node *node)
{
    return node->mode & MODE_TYPE;
}
static inline bool fs_is_directory(const struct fs_entry *entry)
{
    return fs_type(entry->node) == MODE_DIRECTORY;
}
/* One file under two names: of the host's, as far as it says so. */
static inline bool fs_is_same(const struct fs_node *a, const struct fs_node *b)
{
    return a == b || (a->host && b->host && a->tree == b->tree && a->inode == b->inode);
}

/* fs_walk.c */
#define FS_FOLLOW 1u /* a link at the end, too */
#define FS_NAMES 2u  /* for a change of names: slashes at the end follow nothing */
#define FS_FILE 8u   /* a file is to be made: a slash at the end asks for a directory */
#define FS_EMPTY 4u  /* an empty path is the start itself */
#define FS_OPEN                                                                                    \
    16u /* place->open may be the file at the end, open for reading: with FS_PLACE_NAME */
long fs_path_take(uint64_t user, struct fs_path *ret_path);
long fs_path_of(const char *text, struct fs_path *ret_path);
void fs_path_done(struct fs_path *path);
long fs_walk(struct fs_entry *start, struct fs_path *path, uint32_t flags,
             struct fs_place *ret_place);
/* The directory of an *at call with a reference; NULL and an errno. */
struct fs_entry *fs_start_of(uint64_t fd, long *ret_error);
/* The whole: text of the program, directory, walk. */
long fs_place_take(uint64_t fd, uint64_t user, uint32_t flags, struct fs_place *ret_place);
void fs_place_done(struct fs_place *place);
/* As fs_place_take; nothing there is -ENOENT. AT_EMPTY_PATH by FS_EMPTY. */
long fs_target_take(uint64_t fd, uint64_t user, uint32_t flags, struct fs_place *ret_place);

/* fs_memory.c: content of files in memory. */
extern const struct fs_ops fs_memory_ops;
/* Shared: transfers. Alone: what takes pages away. */
void fs_guard_share(struct fs_node *node);
void fs_guard_unshare(struct fs_node *node);
void fs_guard_take(struct fs_node *node);
void fs_guard_give(struct fs_node *node);
long fs_data_resize(struct fs_node *node, uint64_t size);
void fs_data_free(struct fs_node *node);

/* fs_pieces.c: the ranges of the program's memory that a transfer consists of. */
struct fs_pieces {
    const struct cella_gather *bytes;
    uint32_t index;
    uint64_t skip;          /* of the parts that are left */
    struct cella_part part; /* what is left of the one being used */
    uint64_t left;          /* of the transfer */
    bool failed;            /* the vector cannot be read */
};
void fs_pieces_start(struct fs_pieces *pieces, const struct cella_gather *bytes);
/* The next range, at most `max` bytes; false: no more. */
bool fs_pieces_next(struct fs_pieces *pieces, uint64_t max, struct cella_part *ret_part);
/* Plain bytes into a transfer, or out of it; how many, or -EFAULT. */
long fs_pieces_put(const struct cella_gather *bytes, const void *from, uint64_t size);
long fs_pieces_take(const struct cella_gather *bytes, void *to, uint64_t size);
/*
 * A transfer by way of kernel memory, at most `buffer_max` bytes at a time: the program's may not be there. `move` gives how
 * many bytes it has moved, or an errno. How many of all were, or the errno of the first.
 */
typedef long fs_move(struct fs_file *file, bool writing, void *bytes, uint64_t size,
                     uint64_t offset);
long fs_pieces_by_buffer(struct fs_file *file, const struct cella_transfer *transfer,
                         uint64_t offset, uint64_t buffer_max, fs_move *move);

/* fs_file.c: the class of open files. */
extern const struct cella_open_class fs_file_class;
/* A descriptor's file; NULL: it is none of the tree's. */
static inline struct fs_file *fs_file_of(struct cella_open *open)
{
    return open && open->class == &fs_file_class ? open->data : NULL;
}
/* Opens an entry (takes a reference of its own); the open object, or NULL and an errno. */
struct cella_open *fs_open_entry(struct fs_entry *entry, uint32_t flags, uint32_t mode,
                                 long *ret_error);
long fs_stat(struct fs_entry *entry, struct fs_file *file, struct cella_call_stat *ret_stat);
long fs_change(struct fs_entry *entry, struct fs_file *file, const struct fs_change *change);

/* Whether names of a directory can be changed: 0, EROFS, EACCES, ENOENT where it is gone. */
long fs_may_change(struct fs_entry *directory);

/* Calls by area; false: not one of mine. */
bool fs_open_calls(struct cella_regs *regs, long *ret_result);
bool fs_name_calls(struct cella_regs *regs, long *ret_result);
bool fs_stat_calls(struct cella_regs *regs, long *ret_result);
bool fs_file_calls(struct cella_regs *regs, long *ret_result);
bool fs_copy_calls(struct cella_regs *regs, long *ret_result);
extern _Atomic uint32_t fs_umask;

/* fs_lock.c */
long fs_lock_call(struct fs_file *file, uint64_t command, uint64_t at); /* fcntl */
long fs_flock(struct fs_file *file, uint64_t operation);
void fs_locks_release(struct fs_file *file);

/*
 * fs_map.c. A transfer of a file that nobody maps: between begin and end nobody will. false: it has to go by
 * fs_content_transfer.
 */
bool fs_plain_begin(struct fs_node *node);
void fs_plain_end(struct fs_node *node);
long fs_content_transfer(struct fs_file *file, const struct cella_transfer *transfer,
                         uint64_t offset);
/* Kernel memory to and from a file, mapped or not. */
long fs_content_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset);
long fs_content_store(struct fs_file *file, const void *from, uint64_t size, uint64_t offset);
/* Around other changes of content, which then are told to mappings: another size; other bytes. */
void fs_content_take(struct fs_node *node);
void fs_content_give(struct fs_node *node);
void fs_content_cut(struct fs_node *node, uint64_t before, uint64_t now);
void fs_content_changed(struct fs_file *file, uint64_t offset, uint64_t size);

/* fs_host.c */
extern const struct fs_ops fs_host_ops;
struct fs_tree *fs_host_tree(struct cella_bytes source, enum fs_kind kind, const struct fs_ops *ops,
                             long *ret_error);
/* The host's path of an entry: FS_PATH_SIZE bytes of the pool. */
long fs_host_path(struct fs_entry *entry, char **ret_text);
/* What was seen of it at the latest look is not to be used any more. */
void fs_host_forget(struct fs_node *node);
/* fs_host_list.c */
long fs_host_list(struct fs_file *file, struct fs_listing *listing);
/* Looks at an entry again. */
long fs_host_look(struct fs_entry *entry);
/* A source of the description as the host gets it: absolute, of the pool, no slash at the end; NULL: no memory. */
char *fs_host_source(struct cella_bytes source, uint32_t *ret_size);
/* Into the first words of a struct statfs: type, block size, blocks, free, available, files, free files. */
long fs_host_space(const struct fs_tree *tree, uint64_t *ret_words);

/* fs_image.c: measured files. */
long fs_image_add(uint32_t index);
/* Reads a file of the host and checks it, when that was not done yet. */
long fs_image_load(struct fs_node *node);
extern struct cella_program_description fs_description;
extern struct cella_bytes fs_directory;

/* fs_start.c: a directory of the whole tree, made where it is missing. */
long fs_directory_make(const char *path, uint32_t size, struct fs_entry **ret_entry);
/* fs_resolver.c: the host's resolv.conf, where the manifest lets names be asked for. */
const char *fs_resolver_text(uint64_t *ret_size);
/* fs_ego.c: /edg/mnt, and a memory mount below it that `target` leads to. */
long fs_ego_start(void);
long fs_ego_memory(struct cella_bytes target);
struct fs_tree *fs_encrypted_tree(const struct cella_program_mount *mount, long *ret_error);
/* What files of encrypted mounts still hold goes to the host: the program ends without closing them. */
void fs_encrypted_end(void);
/* fs_text.c: the same in a tree that is being made. */
long fs_directories_make(struct fs_entry *start, const char *path, uint32_t mode,
                         struct fs_entry **ret_entry);

/* fs_text.c: synthetic files. */
struct fs_text {
    char *at;
    uint64_t size, capacity;
    bool failed; /* no memory */
    long error;  /* what reading answers instead; 0: none */
};
void fs_say(struct fs_text *text, const char *words);
void fs_say_bytes(struct fs_text *text, const void *bytes, uint64_t size);
void fs_say_number(struct fs_text *text, uint64_t value);
void fs_say_padded(struct fs_text *text, uint64_t value, uint32_t width, char pad);
void fs_say_hex(struct fs_text *text, uint64_t value, uint32_t width);
/* One line on the console: what is wrong with which thing. It goes to the host: only what the image says in plain. */
void fs_complain(const char *what, struct cella_bytes thing, long error);
struct fs_synthetic {
    const char *path; /* relative to the tree's root */
    uint32_t mode;
    const char *constant; /* or */
    void (*say)(struct fs_text *text, const struct fs_node *node);
    long (*write)(const struct fs_node *node, const char *from, uint64_t size);
};
extern const struct fs_ops fs_text_ops;
long fs_synthetic_add(struct fs_tree *tree, const struct fs_synthetic *files, uint32_t count);
struct fs_entry *fs_synthetic_new(struct fs_entry *directory, struct fs_name name,
                                  const struct fs_synthetic *file, uint64_t argument);
/* A name in a directory that is made at start. */
long fs_attach(struct fs_entry *directory, struct fs_name name, struct fs_node *node);

struct fs_tree *fs_proc_tree(void);
struct fs_tree *fs_sys_tree(void);
struct fs_tree *fs_devices_tree(void);
long fs_attestation_add(struct fs_tree *devices);
long fs_defaults_add(bool is_hidden);
uint64_t fs_open_link(struct cella_open *open, char *to, uint64_t capacity);

/* fs_fifo.c */
long fs_fifo_open(struct fs_node *node, uint32_t flags, struct cella_open **ret_open);
void fs_fifo_release(struct fs_node *node);

/* fs_sha256.c */
struct fs_sha256 {
    uint32_t words[8];
    uint64_t size;
    uint8_t block[64];
    void *vectors; /* room for the vector registers, while they are used */
};
bool fs_sha256_init(struct fs_sha256 *hash); /* false: no memory */
void fs_sha256_done(struct fs_sha256 *hash);
void fs_sha256_update(struct fs_sha256 *hash, const void *bytes, uint64_t size);
void fs_sha256_final(struct fs_sha256 *hash, uint8_t ret_digest[32]);

#endif
