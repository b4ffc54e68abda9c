/*
 * Synthetic files: text that is made when it is read from the start, and directories of such files.
 * Side: enclave. Called by fs_proc*.c, fs_sys.c, fs_devices.c and fs_attestation.c.
 * Never shows a byte of the host's: what a file says comes from the kernel's own state.
 */
#include "linux/fs_tree.h"

#define TEXT_FIRST 1024u
#define TEXT_MAX (4u << 20)
#define WRITE_MAX 65536u
#define LINUX_O_TRUNC 01000u

/* ------------------------------------------------------------------- saying */

static bool text_grow(struct fs_text *text, uint64_t more)
{
    uint64_t capacity = text->capacity != 0 ? text->capacity : TEXT_FIRST;
    while (capacity - text->size < more && capacity < TEXT_MAX) {
        capacity *= 2;
    }
    char *at = capacity - text->size >= more ? fs_new(capacity) : NULL;
    if (!at) {
        text->failed = true;
        return false;
    }
    if (text->at) {
        __builtin_memcpy(at, text->at, text->size);
        cella_zero(text->at, text->size);
    }
    fs_free(text->at, text->capacity);
    text->at = at;
    text->capacity = capacity;
    return true;
}

void fs_say_bytes(struct fs_text *text, const void *bytes, uint64_t size)
{
    if (!text->failed && (text->capacity - text->size >= size || text_grow(text, size))) {
        __builtin_memcpy(text->at + text->size, bytes, size);
        text->size += size;
    }
}

void fs_say(struct fs_text *text, const char *words)
{
    fs_say_bytes(text, words, cella_strlen(words));
}

void fs_say_padded(struct fs_text *text, uint64_t value, uint32_t width, char pad)
{
    char digits[40];
    uint32_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (sizeof(digits) - at < width && at > 0) {
        digits[--at] = pad;
    }
    fs_say_bytes(text, digits + at, sizeof(digits) - at);
}

void fs_say_number(struct fs_text *text, uint64_t value)
{
    fs_say_padded(text, value, 0, ' ');
}

void fs_say_hex(struct fs_text *text, uint64_t value, uint32_t width)
{
    char digits[16];
    uint32_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value > 0);
    while (sizeof(digits) - at < width && at > 0) {
        digits[--at] = '0';
    }
    fs_say_bytes(text, digits + at, sizeof(digits) - at);
}

static const char *error_words(long error)
{
    switch (-error) {
    case ENOENT:
        return "the host has no such file";
    case EACCES:
        return "access denied";
    case ENOTDIR:
        return "no directory";
    case EEXIST:
        return "there already";
    case ENOMEM:
    case ENOSPC:
        return "no memory left (kernel heap)";
    case EOPNOTSUPP:
        return "not in this kernel: sign again";
    case ENAMETOOLONG:
        return "name too long";
    default:
        return "input or output error, or a host that makes no sense";
    }
}

void fs_complain(const char *what, struct cella_bytes thing, long error)
{
    struct fs_text text = {0};
    long ignored = 0;
    fs_say(&text, "cella: ");
    fs_say(&text, what);
    fs_say(&text, " ");
    fs_say_bytes(&text, thing.data, thing.size);
    if (error != 0) {
        fs_say(&text, ": ");
        fs_say(&text, error_words(error));
    }
    fs_say(&text, "\n");
    struct cella_regs regs = {
        .rax = __NR_write, .rdi = 2, .rsi = (uint64_t)text.at, .rdx = text.size};
    if (text.at && !text.failed) {
        (void)cella_libc_console(&regs, &ignored);
    }
    fs_free(text.at, text.capacity);
}

/* ------------------------------------------------------------------- files */

/* Made anew whenever it is read from the start, as the kernel's are. */
static long text_make(struct fs_file *file)
{
    const struct fs_synthetic *what = file->entry->node->context;
    struct fs_text text = {.at = file->text, .capacity = file->text_capacity};
    if (what->constant) {
        fs_say(&text, what->constant);
    } else if (what->say) {
        what->say(&text, file->entry->node);
    }
    file->text = text.at;
    file->text_size = text.size;
    file->text_capacity = text.capacity;
    return text.error != 0 ? text.error : text.failed ? -ENOMEM : 0;
}

/* The position's lock is held, or the call is by offset: then a short lock of the file's own. */
static long text_read(struct fs_file *file, const struct cella_transfer *transfer, uint64_t offset)
{
    long result = 0;
    linux_mutex_take(&file->entry->node->append);
    if (offset == 0 || !file->text) {
        result = text_make(file);
    }
    if (result == 0 && offset < file->text_size) {
        const uint64_t left = file->text_size - offset;
        result = fs_pieces_put(&transfer->bytes, file->text + offset,
                               left < transfer->bytes.size ? left : transfer->bytes.size);
    }
    linux_mutex_give(&file->entry->node->append);
    return result;
}

static long text_write(struct fs_file *file, const struct cella_transfer *transfer, uint64_t offset)
{
    const struct fs_synthetic *what = file->entry->node->context;
    const uint64_t size = transfer->bytes.size < WRITE_MAX ? transfer->bytes.size : WRITE_MAX;
    (void)offset;
    if (!what->write) {
        return -EACCES;
    }
    char *bytes = fs_new(size + 1);
    if (!bytes) {
        return -ENOMEM;
    }
    long result = fs_pieces_take(&transfer->bytes, bytes, size);
    if (result >= 0) {
        const long written = what->write(file->entry->node, bytes, (uint64_t)result);
        result = written < 0 ? written : result;
    }
    cella_zero(bytes, size); /* it may be a key */
    fs_free(bytes, size + 1);
    return result;
}

static long text_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(to, size)};
    return text_read(file, &transfer, offset);
}

static long text_open(struct fs_file *file, uint32_t flags, uint32_t mode)
{
    const struct fs_synthetic *what = file->entry->node->context;
    const uint32_t access = flags & LINUX_O_ACCMODE;
    (void)mode;
    return access != 0 && fs_type(file->entry->node) == MODE_REGULAR && !what->write ? -EACCES : 0;
}

/* Sizes are accepted where writing is: shells and libraries open with O_TRUNC. Owners and modes stay what they are. */
static long text_change(struct fs_entry *entry, struct fs_file *file,
                        const struct fs_change *change)
{
    const struct fs_synthetic *what = entry->node->context;
    (void)file;
    return (change->what & FS_CHANGE_SIZE) != 0 && what && what->write ? 0 : -EPERM;
}

static long text_of_link(struct fs_entry *entry, char *to, uint32_t capacity)
{
    return fs_memory_ops.text(entry, to, capacity);
}

static long text_list(struct fs_file *file, struct fs_listing *listing)
{
    return fs_memory_ops.list(file, listing);
}

const struct fs_ops fs_text_ops = {
    .list = text_list,
    .text = text_of_link,
    .change = text_change,
    .open = text_open,
    .read = text_read,
    .write = text_write,
    .fill = text_fill,
};

/* ------------------------------------------------------------------- trees */

long fs_attach(struct fs_entry *directory, struct fs_name name, struct fs_node *node)
{
    struct fs_entry *entry = node ? fs_entry_new(directory, name, node) : NULL;
    if (!entry) {
        return -ENOMEM;
    }
    fs_entry_hash(entry, true);
    fs_entry_put(entry);
    return 0;
}

struct fs_entry *fs_synthetic_new(struct fs_entry *directory, struct fs_name name,
                                  const struct fs_synthetic *file, uint64_t argument)
{
    struct fs_node *node = fs_node_new(directory->node->tree, &fs_text_ops, file->mode);
    if (!node) {
        return NULL;
    }
    node->context = file;
    node->argument = argument;
    if ((file->mode & MODE_TYPE) == MODE_LINK) {
        node->text_size = (uint32_t)cella_strlen(file->constant);
        node->text = fs_text_copy(file->constant, node->text_size);
        atomic_store(&node->size, node->text_size);
    }
    return fs_entry_new(directory, name, node);
}

/* The directory that `path` names, below `start`; made where it is missing, by the class of `start`. */
long fs_directories_make(struct fs_entry *start, const char *path, uint32_t mode,
                         struct fs_entry **ret_entry)
{
    struct fs_entry *at = fs_entry_get(start);
    while (*path != 0) {
        uint32_t size = 0;
        while (path[size] != 0 && path[size] != '/') {
            size++;
        }
        const struct fs_name name = {.text = path, .size = size};
        path += size;
        path += *path == '/' ? 1 : 0;
        if (size == 0) {
            continue;
        }
        struct fs_entry *next = size <= FS_NAME_MAX ? fs_entry_find(at, name) : NULL;
        if (!next) {
            struct fs_node *node =
                fs_node_new(start->node->tree, start->node->ops, MODE_DIRECTORY | mode);
            next = node ? fs_entry_new(at, name, node) : NULL;
            if (!next) {
                fs_entry_put(at);
                return -ENOMEM;
            }
            fs_entry_hash(next, true);
        }
        fs_entry_put(at);
        at = next;
        if (!fs_is_directory(at)) {
            fs_entry_put(at);
            return -ENOTDIR;
        }
    }
    *ret_entry = at;
    return 0;
}

static long synthetic_add(struct fs_tree *tree, const struct fs_synthetic *file)
{
    char path[FS_NAME_MAX + 1] = "";
    uint32_t name_at = 0;
    const uint32_t size = (uint32_t)cella_strlen(file->path);
    for (uint32_t i = 0; i < size; i++) {
        name_at = file->path[i] == '/' ? i + 1 : name_at;
    }
    __builtin_memcpy(path, file->path, name_at);
    struct fs_entry *directory = NULL;
    long result = fs_directories_make(tree->root, path, 0555, &directory);
    if (result != 0) {
        return result;
    }
    struct fs_entry *entry = fs_synthetic_new(
        directory, (struct fs_name){.text = file->path + name_at, .size = size - name_at}, file, 0);
    if (entry) {
        fs_entry_hash(entry, true);
        fs_entry_put(entry);
    }
    fs_entry_put(directory);
    return entry ? 0 : -ENOMEM;
}

long fs_synthetic_add(struct fs_tree *tree, const struct fs_synthetic *files, uint32_t count)
{
    long result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = synthetic_add(tree, &files[i]);
    }
    return result;
}
