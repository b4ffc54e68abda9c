/*
 * Measured files: content that lies in the image, and content that the image only vouches for.
 * Side: enclave. Called by fs_start.c and when a file is opened.
 * Never shows a byte of a file of the host's before all of it is inside and its SHA-256 is what was measured.
 */
#include "linux/fs_tree.h"

struct cella_program_description fs_description;
struct cella_bytes fs_directory;

/* The directory above a path, made where it is missing, and the last name. */
static long parent_make(const char *path, uint32_t size, struct fs_entry **ret_directory,
                        struct fs_name *ret_name)
{
    uint32_t name_at = 0;
    for (uint32_t i = 0; i < size; i++) {
        name_at = path[i] == '/' ? i + 1 : name_at;
    }
    *ret_name = (struct fs_name){.text = path + name_at, .size = size - name_at};
    return fs_directory_make(path, name_at, ret_directory);
}

static struct fs_node *node_of(uint32_t index, const struct cella_program_file *file)
{
    const bool is_link = file->link.size > 0;
    struct fs_node *node = fs_node_new(fs_memory_tree, &fs_memory_ops,
                                       (is_link ? MODE_LINK | 0777u : MODE_REGULAR | file->mode));
    if (!node) {
        return NULL;
    }
    atomic_store(&node->size, is_link ? file->link.size : file->size);
    if (is_link) {
        const struct cella_bytes text = cella_program_text(&fs_description, file->link);
        node->text = fs_text_copy((const char *)text.data, (uint32_t)text.size);
        node->text_size = (uint32_t)text.size;
        return node;
    }
    node->file = index + 1;
    node->patches = file->patches;
    if (file->source.size > 0) {
        atomic_store(&node->unread, file->size > 0);
        return node;
    }
    const struct cella_bytes content = cella_program_content(&fs_description, file);
    node->data.base = content.data;
    node->data.base_size = content.size;
    return node;
}

long fs_image_add(uint32_t index)
{
    const struct cella_program_file file = cella_program_file_at(&fs_description, index);
    const struct cella_bytes path = cella_program_text(&fs_description, file.path);
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *directory = NULL;
    struct fs_name name;
    long result = parent_make((const char *)path.data, (uint32_t)path.size, &directory, &name);
    if (result != 0) {
        return result;
    }
    if (name.size == 0 || name.size > FS_NAME_MAX ||
        (name.size <= 2 && name.text[0] == '.' && name.text[name.size - 1] == '.')) {
        return -EINVAL;
    }
    struct fs_entry *there = fs_entry_find(directory, name);
    const bool is_taken = there && (there->is_linked || there->mounted);
    if (there) {
        fs_entry_put(there);
    }
    if (is_taken) {
        return -EEXIST;
    }
    return fs_attach(directory, name, node_of(index, &file));
}

/* ------------------------------------------------------------------- from the host */

static long host_open(const char *path, uint32_t size)
{
    uint64_t answer[2] = {0};
    const struct cella_call_request request = {.operation = CELLA_FILE_OPEN, .handle = -1};
    const struct cella_gather bytes = CELLA_GATHER_ONE(path, (uint64_t)size + 1);
    return cella_ask_answer(CELLA_OCALL_FILE, &request, &bytes, answer, sizeof(answer), NULL,
                            INT32_MAX);
}

/* Exactly `size` bytes, and their hash. A shorter file is -EIO. */
static long content_read(int32_t handle, uint8_t *to, uint64_t size, uint8_t ret_digest[32])
{
    struct fs_sha256 hash;
    if (!fs_sha256_init(&hash)) {
        return -ENOMEM;
    }
    for (uint64_t done = 0; done < size;) {
        const uint64_t left = size - done;
        const uint64_t part = left < CELLA_PIECE_MAX ? left : CELLA_PIECE_MAX;
        const struct cella_call_request request = {
            .operation = CELLA_FILE_READ, .handle = handle, .a = (int64_t)done, .b = (int64_t)part};
        const struct cella_gather bytes = CELLA_GATHER_ONE(to + done, part);
        int64_t value = 0;
        const long count = cella_ask_answer(CELLA_OCALL_FILE, &request, NULL, &value, sizeof(value),
                                            &bytes, (int64_t)part);
        if (count <= 0) {
            fs_sha256_done(&hash);
            return count < 0 ? count : -EIO;
        }
        fs_sha256_update(&hash, to + done, (uint64_t)count);
        done += (uint64_t)count;
    }
    fs_sha256_final(&hash, ret_digest);
    return 0;
}

static long content_take(const struct cella_program_file *file, uint8_t **ret_content)
{
    uint8_t digest[32];
    uint32_t size = 0;
    char *path = fs_host_source(cella_program_text(&fs_description, file->source), &size);
    uint8_t *content = path ? cella_pages_new(file->size) : NULL;
    long result = content ? host_open(path, size) : -ENOMEM;
    if (result >= 0) {
        const int32_t handle = (int32_t)result;
        result = content_read(handle, content, file->size, digest);
        (void)cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, handle, 0, 0, 0);
    }
    if (result == 0 && !cella_equal(digest, file->hash, sizeof(digest))) {
        result = -EIO;
    }
    if (result == -EIO) {
        fs_complain("the host's file is not the one that was signed:",
                    cella_program_text(&fs_description, file->source), 0);
    }
    if (result != 0 && content) {
        cella_pages_free(content, file->size);
    } else {
        *ret_content = content;
    }
    fs_free(path, (uint64_t)size + 1);
    return result;
}

/* The first that opens the file reads it; the others wait for that. */
long fs_image_load(struct fs_node *node)
{
    uint8_t *content = NULL;
    long result = 0;
    if (node->file == 0 || atomic_load(&node->unread) == 0) {
        return 0;
    }
    linux_mutex_take(&node->append);
    if (atomic_load(&node->unread) != 0) {
        const struct cella_program_file file =
            cella_program_file_at(&fs_description, node->file - 1);
        result = content_take(&file, &content);
        if (result == 0) {
            node->data.base = content;
            node->data.base_size = file.size;
            atomic_store(&node->unread, 0);
        }
    }
    linux_mutex_give(&node->append);
    return result;
}

struct cella_bytes fs_content(const char *path)
{
    struct cella_bytes bytes = {0};
    CELLA_CLEANUP(fs_path_done) struct fs_path text = {0};
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *root = fs_root_get();
    if (fs_path_of(path, &text) != 0 || fs_walk(root, &text, FS_FOLLOW, &place) != 0 ||
        !place.target || fs_image_load(place.target->node) != 0) {
        return bytes;
    }
    const struct fs_node *node = place.target->node;
    if (node->data.base_size == atomic_load(&node->size) && node->data.pages == 0) {
        bytes = cella_bytes_of(node->data.base, node->data.base_size);
    }
    return bytes;
}

/* Only as long as nobody has written into the file: then its code is no longer what was rewritten. */
const struct cella_program_patches *cella_linux_file_patches(struct cella_open *open)
{
    const struct fs_file *file = fs_file_of(open);
    const struct fs_node *node = file ? file->entry->node : NULL;
    if (!node || node->patches == 0 || atomic_load(&node->data.pages) != 0 ||
        node->data.base_size != atomic_load(&node->size)) {
        return NULL;
    }
    return (const struct cella_program_patches *)(fs_description.bytes.data +
                                                  fs_description.head.patches.offset) +
           (node->patches - 1);
}
