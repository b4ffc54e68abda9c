/*
 * /dev: what needs no device.
 * Side: enclave. Called by fs_start.c and through the nodes' operations.
 * Never takes randomness from anybody but the processor.
 */
#include "linux/fs_tree.h"

#define DEVICE(major, minor) ((uint64_t)(major) << 8 | (minor))
#define DEVICE_NULL DEVICE(1, 3)
#define DEVICE_ZERO DEVICE(1, 5)
#define DEVICE_FULL DEVICE(1, 7)
#define DEVICE_RANDOM DEVICE(1, 8)
#define DEVICE_URANDOM DEVICE(1, 9)
#define DEVICE_TTY DEVICE(5, 0)
#define DEVICE_CONSOLE DEVICE(5, 1)
#define CHUNK 256u

static long zeros_read(const struct cella_transfer *transfer)
{
    static const uint8_t zeros[SGX_PAGE_SIZE];
    struct fs_pieces pieces;
    struct cella_part part;
    uint64_t done = 0;
    fs_pieces_start(&pieces, &transfer->bytes);
    while (fs_pieces_next(&pieces, sizeof(zeros), &part)) {
        if (!linux_user_write(part.at, zeros, part.size)) {
            return done > 0 ? (long)done : -EFAULT;
        }
        done += part.size;
    }
    return pieces.failed && done == 0 ? -EFAULT : (long)done;
}

static long random_read(const struct cella_transfer *transfer)
{
    uint8_t bytes[CHUNK];
    struct fs_pieces pieces;
    struct cella_part part;
    uint64_t done = 0;
    fs_pieces_start(&pieces, &transfer->bytes);
    while (fs_pieces_next(&pieces, sizeof(bytes), &part)) {
        if (!cella_is_ok(cella_random(bytes, part.size))) {
            return done > 0 ? (long)done : -EIO;
        }
        if (!linux_user_write(part.at, bytes, part.size)) {
            return done > 0 ? (long)done : -EFAULT;
        }
        done += part.size;
    }
    return pieces.failed && done == 0 ? -EFAULT : (long)done;
}

/* The console of descriptors 0 and 1. */
static long console_transfer(const struct cella_transfer *transfer)
{
    CELLA_CLEANUP(cella_open_put_at)
    struct cella_open *open = cella_console_get(transfer->writing ? 1 : 0);
    return open->class->transfer(open, transfer);
}

static long device_read(struct fs_file *file, const struct cella_transfer *transfer,
                        uint64_t offset)
{
    (void)offset;
    switch (file->entry->node->special) {
    case DEVICE_NULL:
        return 0;
    case DEVICE_ZERO:
    case DEVICE_FULL:
        return zeros_read(transfer);
    case DEVICE_RANDOM:
    case DEVICE_URANDOM:
        return random_read(transfer);
    default:
        return console_transfer(transfer);
    }
}

static long device_write(struct fs_file *file, const struct cella_transfer *transfer,
                         uint64_t offset)
{
    (void)offset;
    switch (file->entry->node->special) {
    case DEVICE_FULL:
        return transfer->bytes.size == 0 ? 0 : -ENOSPC;
    case DEVICE_CONSOLE:
        return console_transfer(transfer);
    default:
        return (long)transfer->bytes.size;
    }
}

static long device_fill(struct fs_file *file, void *to, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(to, size)};
    return device_read(file, &transfer, offset);
}

static long device_store(struct fs_file *file, const void *from, uint64_t size, uint64_t offset)
{
    const struct cella_transfer transfer = {.bytes = CELLA_GATHER_ONE(from, size), .writing = true};
    return device_write(file, &transfer, offset);
}

/* There is no terminal that controls the program. */
static long device_open(struct fs_file *file, uint32_t flags, uint32_t mode)
{
    (void)flags;
    (void)mode;
    return file->entry->node->special == DEVICE_TTY ? -ENXIO : 0;
}

static long device_change(struct fs_entry *entry, struct fs_file *file,
                          const struct fs_change *change)
{
    struct fs_change rest = *change;
    rest.what &= ~FS_CHANGE_SIZE;
    return fs_memory_ops.change(entry, file, &rest);
}

static long device_seek(struct fs_file *file, int64_t offset, uint64_t whence)
{
    (void)offset;
    (void)whence;
    return file->entry->node->special == DEVICE_CONSOLE ? -ESPIPE : 0;
}

static const struct fs_ops device_ops = {
    .change = device_change,
    .open = device_open,
    .read = device_read,
    .write = device_write,
    .fill = device_fill,
    .store = device_store,
    .seek = device_seek,
};

struct device {
    const char *name;
    uint64_t special; /* 0: a link */
    uint32_t mode;
    const char *text;
};

static const struct device devices[] = {
    {"null", DEVICE_NULL, 0666, NULL},       {"zero", DEVICE_ZERO, 0666, NULL},
    {"full", DEVICE_FULL, 0666, NULL},       {"random", DEVICE_RANDOM, 0666, NULL},
    {"urandom", DEVICE_URANDOM, 0666, NULL}, {"tty", DEVICE_TTY, 0666, NULL},
    {"console", DEVICE_CONSOLE, 0620, NULL}, {"fd", 0, 0777, "/proc/self/fd"},
    {"stdin", 0, 0777, "/proc/self/fd/0"},   {"stdout", 0, 0777, "/proc/self/fd/1"},
    {"stderr", 0, 0777, "/proc/self/fd/2"},
};

struct fs_tree *fs_devices_tree(void)
{
    struct fs_tree *tree = fs_tree_new(FS_DEVICES, 0755, &fs_memory_ops);
    long result = tree ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < CELLA_COUNT(devices) && result == 0; i++) {
        const struct device *device = &devices[i];
        const bool is_link = device->text != NULL;
        struct fs_node *node = fs_node_new(tree, is_link ? &fs_memory_ops : &device_ops,
                                           (is_link ? MODE_LINK : MODE_CHARACTER) | device->mode);
        if (node && is_link) {
            node->text_size = (uint32_t)cella_strlen(device->text);
            node->text = fs_text_copy(device->text, node->text_size);
            atomic_store(&node->size, node->text_size);
        } else if (node) {
            node->special = device->special;
        }
        result = fs_attach(
            tree->root,
            (struct fs_name){.text = device->name, .size = (uint32_t)cella_strlen(device->name)},
            node);
    }
    return result == 0 ? tree : NULL;
}
