/*
 * Addresses of AF_UNIX: paths of the program's tree, and abstract names, which are this program's own.
 * Side: enclave. Called by local.c and local_messages.c.
 * Never gives the host a path but one that lies in a directory of the host's; then the socket becomes one of the host's.
 */
#include "linux/local.h"

#define HEAD 2u /* sun_family */
#define HOST_PATH_MAX (LOCAL_ADDRESS_MAX - HEAD - 1)
#define AUTOMATIC_SIZE 8u /* family, a zero, five digits */

struct local *local_list;

long local_address_take(uint64_t user, uint64_t size, struct local_address *ret_address)
{
    struct local_address address = {.size = (uint32_t)size};
    uint16_t family;
    if (size < HEAD || size > LOCAL_ADDRESS_MAX) {
        return -EINVAL;
    }
    if (!linux_user_read(address.bytes, user, size)) {
        return -EFAULT;
    }
    __builtin_memcpy(&family, address.bytes, sizeof(family));
    if (family != LINUX_AF_UNIX) {
        return -EINVAL;
    }
    if (size > HEAD &&
        address.bytes[HEAD] != 0) { /* a path: its size is that of its text and a zero */
        const char *end = fs_text_find((const char *)address.bytes + HEAD, address.size - HEAD, 0);
        address.size = end ? (uint32_t)(end - (const char *)address.bytes) + 1 : address.size + 1;
    }
    *ret_address = address;
    return 0;
}

static bool is_path(const struct local_address *address)
{
    return address->size > HEAD && address->bytes[HEAD] != 0;
}

/* Under the lock: who has the abstract name. */
static struct local *abstract_find(const struct local_address *address)
{
    for (struct local *at = local_list; at; at = at->next) {
        if (!at->node && at->address.size == address->size &&
            cella_equal(at->address.bytes, address->bytes, address->size)) {
            return at;
        }
    }
    return NULL;
}

/* Under the lock. */
static void list_add(struct local *local, const struct local_address *address, struct fs_node *node)
{
    local->address = *address;
    local->node = node;
    local->next = local_list;
    local->is_listed = true;
    local_list = local;
}

static long bind_abstract(struct local *local, const struct local_address *address)
{
    static uint32_t next;
    struct local_address own = *address;
    long result = 0;
    local_take();
    if (own.size == HEAD) { /* the kernel chooses */
        do {
            const uint32_t number = next++;
            own.size = AUTOMATIC_SIZE;
            own.bytes[HEAD] = 0;
            for (uint32_t i = 0; i < 5; i++) {
                own.bytes[HEAD + 1 + i] = (uint8_t) "0123456789abcdef"[number >> 4 * (4 - i) & 15];
            }
        } while (abstract_find(&own));
    }
    if (local->address.size > 0) {
        result = -EINVAL;
    } else if (abstract_find(&own)) {
        result = -EADDRINUSE;
    } else {
        list_add(local, &own, NULL);
    }
    local_give();
    return result;
}

/*
 * The socket becomes one of the host's, and the host does what was asked with the host's path. Nobody has sent or
 * received anything by this object yet.
 */
static long become_hosts(struct cella_open *open, const char *path, uint32_t operation)
{
    struct local *local = open->data;
    uint8_t address[CELLA_CALL_ADDRESS_MAX] = {LINUX_AF_UNIX, 0};
    const uint64_t size = cella_strlen(path);
    if (size > HOST_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    const long handle = cella_ask_plain(CELLA_OCALL_SOCKET, CELLA_SOCKET_NEW, 0, LINUX_AF_UNIX,
                                        local->type, INT32_MAX);
    if (handle < 0) {
        return handle;
    }
    __builtin_memcpy(address + HEAD, path, size);
    const struct cella_call_request request = {.operation = operation,
                                               .handle = (int32_t)handle,
                                               .a = (open->flags & LINUX_O_NONBLOCK) != 0};
    const struct cella_gather bytes = CELLA_GATHER_ONE(address, HEAD + size + 1);
    const long result = cella_ask(CELLA_OCALL_SOCKET, &request, &bytes, 0);
    if ((result != 0 && result != -EINPROGRESS) || !cella_open_handle_set(open, (int32_t)handle)) {
        cella_ask_plain(CELLA_OCALL_FILE, CELLA_FILE_CLOSE, (int32_t)handle, 0, 0, 0);
        return result != 0 ? result : -EIO;
    }
    open->class = &cella_socket_class;
    open->data = NULL;
    local_take();
    local->open = NULL;
    local_give();
    local_put(local);
    return result;
}

static bool is_hosts(const struct fs_entry *entry)
{
    const enum fs_kind kind = entry->node->tree->kind;
    return kind == FS_HOST || kind == FS_ENCRYPTED;
}

/* The host's path of a name in a directory of its. */
static long host_path(struct fs_entry *directory, struct fs_name name, char **ret_path)
{
    char *path = NULL;
    const long result = fs_host_path(directory, &path);
    if (result != 0) {
        return result;
    }
    const uint64_t used = cella_strlen(path);
    if (used + 1 + name.size >= FS_PATH_SIZE) {
        fs_free(path, FS_PATH_SIZE);
        return -ENAMETOOLONG;
    }
    path[used] = '/';
    __builtin_memcpy(path + used + 1, name.text, name.size);
    path[used + 1 + name.size] = 0;
    *ret_path = path;
    return 0;
}

static long walk(const struct local_address *address, uint32_t flags, struct fs_place *ret_place)
{
    CELLA_CLEANUP(fs_path_done) struct fs_path path = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *start = fs_current_get();
    const long result = fs_path_of((const char *)address->bytes + HEAD, &path);
    return result == 0 ? fs_walk(start, &path, flags, ret_place) : result;
}

/* With the names' lock: the file of the path, made. */
static long bind_at(struct cella_open *open, const struct local_address *address,
                    struct fs_place *place)
{
    struct local *local = open->data;
    const struct fs_make make = {.mode = MODE_SOCKET | (0777 & ~fs_umask)};
    struct fs_entry *entry = NULL;
    if (place->kind != FS_PLACE_NAME || place->target) {
        return -EADDRINUSE;
    }
    long result = local->address.size > 0 ? -EINVAL : fs_may_change(place->parent);
    if (result != 0) {
        return result;
    }
    if (is_hosts(place->parent)) {
        char *path = NULL;
        result = host_path(place->parent, fs_place_name(place), &path);
        result = result == 0 ? become_hosts(open, path, CELLA_SOCKET_BIND) : result;
        fs_free(path, FS_PATH_SIZE);
        return result;
    }
    const struct fs_ops *ops = place->parent->node->ops;
    result = ops->make ? ops->make(place->parent, fs_place_name(place), &make, &entry) : -EPERM;
    if (result != 0) {
        return result;
    }
    fs_take();
    entry->node->references++;
    fs_give();
    local_take();
    list_add(local, address, entry->node);
    local_give();
    fs_entry_put(entry);
    return 0;
}

long local_bind(struct cella_open *open, const struct local_address *address)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    if (!is_path(address)) {
        return bind_abstract(open->data, address);
    }
    fs_names_take();
    long result = walk(address, FS_NAMES, &place);
    result = result == 0 ? bind_at(open, address, &place) : result;
    fs_names_give();
    return result;
}

static struct local *node_find(const struct fs_node *node)
{
    struct local *at = local_list;
    while (at && at->node != node) {
        at = at->next;
    }
    return at;
}

struct local *local_find(struct cella_open *open, const struct local_address *address,
                         long *ret_error)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    *ret_error = address->size == HEAD ? -EINVAL : 0;
    if (is_path(address)) {
        *ret_error = walk(address, FS_FOLLOW, &place);
        if (*ret_error == 0 && !place.target) {
            *ret_error = -ENOENT;
        }
        if (*ret_error == 0) {
            *ret_error = fs_type(place.target->node) != MODE_SOCKET
                             ? -ECONNREFUSED
                             : fs_permits(place.target->node, FS_WRITE);
        }
    }
    if (*ret_error != 0) {
        return NULL;
    }
    if (place.target && is_hosts(place.target)) {
        char *path = NULL;
        *ret_error = fs_host_path(place.target, &path);
        if (*ret_error == 0) {
            *ret_error = become_hosts(open, path, CELLA_SOCKET_CONNECT);
            *ret_error = *ret_error == 0 ? 1 : *ret_error;
        }
        fs_free(path, FS_PATH_SIZE);
        return NULL;
    }
    local_take();
    struct local *found = place.target ? node_find(place.target->node) : abstract_find(address);
    if (found) {
        found->references++;
    }
    local_give();
    *ret_error = found ? 0 : -ECONNREFUSED;
    return found;
}
