/*
 * /proc/self/fd, fdinfo, and the links that are no text: cwd, root, exe.
 * Side: enclave. Called by fs_proc_self.c and through the nodes' operations.
 * Never shows a handle of the host's: numbers are those of the program.
 */
#include "linux/fs_proc.h"

/* ------------------------------------------------------------------- links */

static long text_of_path(struct fs_entry *entry, char *to, uint32_t capacity)
{
    char *path = fs_new(FS_PATH_SIZE);
    if (!path) {
        return -ENOMEM;
    }
    long size = fs_entry_path(entry, path, FS_PATH_SIZE, true);
    if (size > (long)capacity) {
        size = (long)capacity;
    }
    if (size > 0) {
        __builtin_memcpy(to, path, (uint64_t)size);
    }
    fs_free(path, FS_PATH_SIZE);
    return size;
}

static struct fs_entry *place_of(const struct fs_node *node)
{
    return node->argument == 0 ? fs_current_get() : fs_root_get();
}

static long place_text(struct fs_entry *entry, char *to, uint32_t capacity)
{
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *place = place_of(entry->node);
    return text_of_path(place, to, capacity);
}

static long place_follow(struct fs_entry *entry, struct fs_place *place)
{
    place->target = place_of(entry->node);
    return 0;
}

const struct fs_ops fs_place_ops = {.text = place_text, .follow = place_follow};

/* The executable: its path is measured, and so is its text. */
static long executable_text(struct fs_entry *entry, char *to, uint32_t capacity)
{
    const struct cella_bytes path =
        cella_program_text(&fs_description, fs_description.head.executable);
    const uint64_t size = path.size < capacity ? path.size : capacity;
    (void)entry;
    __builtin_memcpy(to, path.data, size);
    return (long)size;
}

const struct fs_ops fs_executable_ops = {.text = executable_text};

/* ------------------------------------------------------------------- descriptors */

uint64_t fs_open_path(struct cella_open *open, char *to, uint64_t capacity)
{
    const struct fs_file *file = fs_file_of(open);
    const long size = file ? text_of_path(file->entry, to, (uint32_t)capacity) : 0;
    return size > 0 ? (uint64_t)size : 0;
}

/* What readlink says of a descriptor: a path, or the kind of object and its number. */
uint64_t fs_open_link(struct cella_open *open, char *to, uint64_t capacity)
{
    struct fs_text text = {0};
    uint64_t size = fs_open_path(open, to, capacity);
    if (size > 0) {
        return size;
    }
    const uint32_t type = open->mode & MODE_TYPE;
    if (type == MODE_CHARACTER) {
        fs_say(&text, "/dev/console");
    } else if (type == MODE_FIFO || type == MODE_SOCKET) {
        fs_say(&text, type == MODE_FIFO ? "pipe:[" : "socket:[");
        fs_say_number(&text, open->serial);
        fs_say(&text, "]");
    } else {
        fs_say(&text, "anon_inode:[event]");
    }
    size = text.size < capacity ? text.size : capacity;
    __builtin_memcpy(to, text.at, size);
    fs_free(text.at, text.capacity);
    return size;
}

static long descriptor_text(struct fs_entry *entry, char *to, uint32_t capacity)
{
    CELLA_OPEN_GET(open, entry->node->argument);
    return open ? (long)fs_open_link(open, to, capacity) : -ENOENT;
}

/* A file of the tree is opened anew, by its entry; anything else is the same object once more. */
static long descriptor_follow(struct fs_entry *entry, struct fs_place *place)
{
    struct cella_open *open = cella_descriptor_get(entry->node->argument);
    const struct fs_file *file = fs_file_of(open);
    if (!open) {
        return -ENOENT;
    }
    if (!file) {
        place->open = open;
        return 0;
    }
    place->target = fs_entry_get(file->entry);
    cella_open_put(open);
    return 0;
}

static const struct fs_ops descriptor_ops = {.text = descriptor_text, .follow = descriptor_follow};

static void say_descriptor(struct fs_text *text, const struct fs_node *node)
{
    CELLA_OPEN_GET(open, node->argument);
    struct fs_file *file = fs_file_of(open);
    uint32_t flags = open ? open->flags | 0100000u : 0;
    char octal[16];
    uint32_t at = sizeof(octal);
    if (!open) {
        return;
    }
    flags |= cella_descriptor_close_on_exec(node->argument, -1) > 0 ? LINUX_O_CLOEXEC : 0;
    do {
        octal[--at] = (char)('0' + (flags & 7));
        flags >>= 3;
    } while (flags > 0);
    fs_say_line(text, "pos:\t", file ? file->position : 0);
    fs_say(text, "flags:\t0");
    fs_say_bytes(text, octal + at, sizeof(octal) - at);
    fs_say(text, "\nmnt_id:\t");
    fs_say_number(text, file ? file->entry->node->tree->device : 15);
    fs_say(text, "\n");
    fs_say_line(text, "ino:\t", file ? file->entry->node->inode : open->serial);
    if (file && file->entry->node->ops->info && (open->flags & LINUX_O_PATH) == 0) {
        file->entry->node->ops->info(file, text);
    }
}

const struct fs_synthetic fs_descriptor_info = {
    .path = "", .mode = MODE_REGULAR | 0444, .say = say_descriptor};

bool fs_number_of(struct fs_name name, uint32_t *ret_number)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < name.size; i++) {
        if (name.text[i] < '0' || name.text[i] > '9' || (i == 1 && name.text[0] == '0')) {
            return false;
        }
        number = number * 10 + (uint64_t)(name.text[i] - '0');
        if (number > INT32_MAX) {
            return false;
        }
    }
    *ret_number = (uint32_t)number;
    return name.size > 0;
}

struct fs_name fs_number_name(uint32_t number, char text[FS_NUMBER_SIZE])
{
    uint32_t at = FS_NUMBER_SIZE;
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct fs_name){.text = text + at, .size = FS_NUMBER_SIZE - at};
}

/* An entry that nobody keeps: it lives as long as who looked for it. */
long fs_dynamic_new(struct fs_entry *directory, struct fs_name name, const struct fs_ops *ops,
                    uint32_t mode, uint64_t argument, struct fs_entry **ret_entry)
{
    struct fs_node *node = fs_node_new(directory->node->tree, ops, mode);
    if (node) {
        node->argument = argument;
        *ret_entry = fs_entry_new(directory, name, node);
    }
    return node && *ret_entry ? 0 : -ENOMEM;
}

static long descriptors_lookup(struct fs_entry *directory, struct fs_name name,
                               struct fs_entry **ret_entry)
{
    uint32_t fd;
    if (!fs_number_of(name, &fd)) {
        return -ENOENT;
    }
    CELLA_OPEN_GET(open, fd);
    if (!open) {
        return -ENOENT;
    }
    if (directory->node->context) {
        *ret_entry = fs_synthetic_new(directory, name, directory->node->context, fd);
        return *ret_entry ? 0 : -ENOMEM;
    }
    const uint32_t access = open->flags & LINUX_O_ACCMODE;
    const uint32_t mode = (access != LINUX_O_WRONLY ? 0500u : 0) | (access != 0 ? 0300u : 0);
    return fs_dynamic_new(directory, name, &descriptor_ops, MODE_LINK | mode, fd, ret_entry);
}

static long descriptors_list(struct fs_file *file, struct fs_listing *listing)
{
    char text[FS_NUMBER_SIZE];
    const uint32_t type = file->entry->node->context ? MODE_REGULAR : MODE_LINK;
    for (uint64_t fd = cella_descriptor_next(file->position - 2); fd < CELLA_DESCRIPTOR_COUNT;
         fd = cella_descriptor_next(fd + 1)) {
        CELLA_OPEN_GET(open, fd);
        if (open &&
            !fs_listing_put(listing, fs_number_name((uint32_t)fd, text), fd + 1, type, fd + 3)) {
            break;
        }
    }
    return 0;
}

const struct fs_ops fs_descriptors_ops = {.lookup = descriptors_lookup, .list = descriptors_list};
