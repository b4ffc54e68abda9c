/*
 * Names of sockets: paths in the file tree, abstract names, and where a name leads.
 * Side: enclave. Called by unix*.c.
 * Never gives the host a name but that of a path below one of its mounts, which then is a socket of the host (ADR 0171).
 */
#include "linux/unix.h"

#define AUTOBIND_DIGITS 5u
#define AUTOBIND_TRIES (1u << 20)

void unix_name_put(struct unix_name *name)
{
    if (name && atomic_fetch_sub(&name->references, 1) == 1) {
        fs_free(name, sizeof(*name));
    }
}

struct unix_name *unix_name_get(struct unix_name *name)
{
    if (name) {
        atomic_fetch_add(&name->references, 1);
    }
    return name;
}

static struct unix_name *name_new(const uint8_t *bytes, uint32_t size)
{
    struct unix_name *name = fs_new(sizeof(*name));
    if (name) {
        atomic_store(&name->references, 1);
        name->size = size;
        __builtin_memcpy(name->bytes, bytes, size);
    }
    return name;
}

static bool is_path(const uint8_t *bytes, uint32_t size)
{
    return size > UNIX_PATH_AT && bytes[UNIX_PATH_AT] != 0;
}

/* Of a path what is before its zero counts, and one zero, whether it was there or not. */
long unix_address_read(uint64_t at, uint64_t size, uint8_t ret_bytes[UNIX_ADDRESS_MAX + 2],
                       uint32_t *ret_size)
{
    uint16_t family;
    cella_zero(ret_bytes, UNIX_ADDRESS_MAX + 2);
    if (size > CELLA_CALL_ADDRESS_MAX || size < UNIX_PATH_AT) {
        return -EINVAL;
    }
    const uint64_t part = size < UNIX_ADDRESS_MAX ? size : UNIX_ADDRESS_MAX;
    if (!linux_user_read(ret_bytes, at, part)) {
        return -EFAULT;
    }
    __builtin_memcpy(&family, ret_bytes, sizeof(family));
    if (size > UNIX_ADDRESS_MAX || family != LINUX_AF_UNIX) {
        return -EINVAL;
    }
    *ret_size = (uint32_t)size;
    if (is_path(ret_bytes, *ret_size)) {
        *ret_size = UNIX_PATH_AT + (uint32_t)cella_strlen((const char *)ret_bytes + UNIX_PATH_AT);
        *ret_size += 1;
    }
    return 0;
}

/* Under the lock. Each type has abstract names of its own. */
static struct unix_socket *abstract_find(const uint8_t *bytes, uint32_t size, uint32_t type)
{
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        if (at->name && at->is_found && at->type == type && !at->is_dead &&
            at->name->size == size && !is_path(at->name->bytes, at->name->size) &&
            cella_equal(at->name->bytes, bytes, size)) {
            return at;
        }
    }
    return NULL;
}

static struct unix_socket *node_find(const struct fs_node *node)
{
    for (struct unix_socket *at = unix_all(); at; at = at->next) {
        if (at->node == node && !at->is_dead) {
            return at;
        }
    }
    return NULL;
}

/* The last part of a host's path may be a name that is not there yet. */
static long host_address(struct fs_entry *entry, struct fs_name name,
                         struct unix_host_address *ret_address)
{
    char *text = NULL;
    const uint16_t family = LINUX_AF_UNIX;
    const long result = fs_host_path(entry, &text);
    if (result != 0) {
        return result;
    }
    uint64_t used = cella_strlen(text);
    const uint64_t whole = UNIX_PATH_AT + used + (name.size > 0 ? 1 + name.size : 0) + 1;
    *ret_address = (struct unix_host_address){.size = (uint32_t)whole};
    if (whole <= UNIX_ADDRESS_MAX) {
        __builtin_memcpy(ret_address->bytes, &family, sizeof(family));
        __builtin_memcpy(ret_address->bytes + UNIX_PATH_AT, text, used);
        used += UNIX_PATH_AT;
        if (name.size > 0) {
            ret_address->bytes[used++] = '/';
            __builtin_memcpy(ret_address->bytes + used, name.text, name.size);
        }
    }
    fs_free(text, FS_PATH_SIZE);
    return whole <= UNIX_ADDRESS_MAX ? 0 : -ENAMETOOLONG;
}

/* A path of an address, walked. */
static long walk(const uint8_t *bytes, uint32_t flags, struct fs_place *ret_place)
{
    CELLA_CLEANUP(fs_path_done) struct fs_path path = {0};
    CELLA_CLEANUP(fs_entry_done) struct fs_entry *start = NULL;
    const long result = fs_path_of((const char *)bytes + UNIX_PATH_AT, &path);
    if (result != 0) {
        return result;
    }
    start = path.text[0] == '/' ? fs_root_get() : fs_current_get();
    return fs_walk(start, &path, flags, ret_place);
}

static long path_find(const uint8_t *bytes, struct unix_socket **ret_found,
                      struct unix_host_address *ret_host)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    long result = walk(bytes, FS_FOLLOW, &place);
    if (result != 0 || !place.target) {
        return result != 0 ? result : place.open ? -ECONNREFUSED : -ENOENT;
    }
    struct fs_node *node = place.target->node;
    if (node->tree->kind == FS_HOST) {
        return host_address(place.target, (struct fs_name){0}, ret_host);
    }
    result = fs_permits(node, FS_WRITE);
    if (result != 0 || fs_type(node) != MODE_SOCKET) {
        return result != 0 ? result : -ECONNREFUSED;
    }
    unix_take();
    *ret_found = node_find(node);
    if (*ret_found) {
        unix_get(*ret_found);
    }
    unix_give();
    return *ret_found ? 0 : -ECONNREFUSED;
}

long unix_find(const struct unix_socket *socket, uint64_t at, uint64_t size,
               struct unix_socket **ret_found, struct unix_host_address *ret_host)
{
    uint8_t bytes[UNIX_ADDRESS_MAX + 2];
    uint32_t used = 0;
    long result = unix_address_read(at, size, bytes, &used);
    *ret_found = NULL;
    ret_host->size = 0;
    if (result == 0 && used <= UNIX_PATH_AT) {
        result = -EINVAL;
    }
    if (result != 0) {
        return result;
    }
    if (is_path(bytes, used)) {
        result = path_find(bytes, ret_found, ret_host);
    } else {
        unix_take();
        *ret_found = abstract_find(bytes, used, socket->type);
        if (*ret_found) {
            unix_get(*ret_found);
        }
        unix_give();
        result = *ret_found ? 0 : -ECONNREFUSED;
    }
    if (result == 0 && *ret_found && (*ret_found)->type != socket->type) {
        unix_put(*ret_found);
        *ret_found = NULL;
        return -EPROTOTYPE;
    }
    return result;
}

long unix_host_make(struct cella_open *open)
{
    const struct unix_socket *socket = open->data;
    if (unix_is_hosts(open)) {
        return 0;
    }
    const long handle = cella_ask_plain(CELLA_OCALL_SOCKET, CELLA_SOCKET_NEW, 0, LINUX_AF_UNIX,
                                        socket->type, INT32_MAX);
    if (handle < 0) {
        return handle;
    }
    return cella_open_handle_set(open, (int32_t)handle) ? 0 : -EIO;
}

/* Gives a socket its name; the reference of the name is taken over. */
static long name_set(struct unix_socket *socket, struct unix_name *name, struct fs_node *node)
{
    long result = -EINVAL;
    unix_take();
    if (!socket->name && !is_path(name->bytes, name->size) &&
        abstract_find(name->bytes, name->size, socket->type)) {
        result = -EADDRINUSE;
    } else if (!socket->name) {
        socket->is_found = true;
        socket->name = CELLA_TAKE(name);
        socket->node = node;
        result = 0;
    }
    unix_give();
    unix_name_put(name);
    return result;
}

long unix_autobind(struct unix_socket *socket)
{
    static _Atomic uint32_t next;
    for (uint32_t i = 0; i < AUTOBIND_TRIES && !socket->name; i++) {
        uint8_t bytes[UNIX_PATH_AT + 1 + AUTOBIND_DIGITS] = {LINUX_AF_UNIX};
        const uint32_t number = atomic_fetch_add(&next, 1);
        for (uint32_t digit = 0; digit < AUTOBIND_DIGITS; digit++) {
            bytes[sizeof(bytes) - 1 - digit] =
                (uint8_t) "0123456789abcdef"[number >> digit * 4 & 15];
        }
        struct unix_name *name = name_new(bytes, sizeof(bytes));
        if (!name) {
            return -ENOMEM;
        }
        const long result = name_set(socket, name, NULL);
        if (result != -EADDRINUSE) {
            return 0; /* another thread may have named it meanwhile */
        }
    }
    return socket->name ? 0 : -ENOSPC;
}

static long host_bind(struct cella_open *open, const struct fs_place *place)
{
    struct unix_host_address address;
    long result = host_address(place->parent, fs_place_name(place), &address);
    if (result == 0) {
        result = unix_host_make(open);
    }
    if (result != 0) {
        return result;
    }
    const struct cella_call_request request = {.operation = CELLA_SOCKET_BIND,
                                               .handle = open->handle};
    const struct cella_gather bytes = CELLA_GATHER_ONE(address.bytes, address.size);
    return cella_ask(CELLA_OCALL_SOCKET, &request, &bytes, 0);
}

/* With the names' lock. */
static long place_bind(struct cella_open *open, const struct fs_place *place,
                       struct unix_name **name)
{
    struct unix_socket *socket = open->data;
    struct fs_entry *entry = NULL;
    const struct fs_make make = {.mode = MODE_SOCKET | (0777 & ~fs_umask)};
    if (place->is_long) {
        return -ENAMETOOLONG;
    }
    if (place->kind != FS_PLACE_NAME || place->target) {
        return -EADDRINUSE;
    }
    if (place->has_slash) {
        return -ENOENT;
    }
    long result = fs_may_change(place->parent);
    if (result != 0) {
        return result;
    }
    if (socket->name) {
        return -EINVAL;
    }
    if (place->parent->node->tree->kind == FS_HOST) {
        result = host_bind(open, place);
        return result != 0 ? result : name_set(socket, CELLA_TAKE(*name), NULL);
    }
    if (unix_is_hosts(open)) {
        return -EINVAL;
    }
    const struct fs_ops *ops = place->parent->node->ops;
    result = ops->make ? ops->make(place->parent, fs_place_name(place), &make, &entry) : -EPERM;
    if (result != 0) {
        return result;
    }
    struct fs_node *node = entry->node;
    fs_take();
    node->references++;
    fs_give();
    result = name_set(socket, CELLA_TAKE(*name), node);
    if (result != 0) {
        fs_node_put(node);
    }
    fs_entry_put(entry);
    return result;
}

static long path_bind(struct cella_open *open, const uint8_t *bytes, struct unix_name **name)
{
    CELLA_CLEANUP(fs_place_done) struct fs_place place = {0};
    fs_names_take();
    long result = walk(bytes, FS_NAMES, &place);
    if (result == 0) {
        result = place_bind(open, &place, name);
    }
    fs_names_give();
    return result;
}

long unix_bind(struct cella_open *open, uint64_t at, uint64_t size)
{
    CELLA_CLEANUP(unix_name_done) struct unix_name *name = NULL;
    uint8_t bytes[UNIX_ADDRESS_MAX + 2];
    uint32_t used = 0;
    const long result = unix_address_read(at, size, bytes, &used);
    if (result != 0) {
        return result;
    }
    if (unix_is_hosts(open) && !is_path(bytes, used)) {
        return -EINVAL;
    }
    if (used == UNIX_PATH_AT) {
        return unix_autobind(open->data);
    }
    name = name_new(bytes, used);
    if (!name) {
        return -ENOMEM;
    }
    return is_path(bytes, used) ? path_bind(open, bytes, &name)
                                : name_set(open->data, CELLA_TAKE(name), NULL);
}

long unix_name_write(const struct unix_name *name, uint64_t to, uint64_t size_at)
{
    static const struct unix_name nameless = {.size = UNIX_PATH_AT, .bytes = {LINUX_AF_UNIX}};
    const struct unix_name *shown = name ? name : &nameless;
    int32_t capacity;
    if (!linux_user_read(&capacity, size_at, sizeof(capacity))) {
        return -EFAULT;
    }
    if (capacity < 0) {
        return -EINVAL;
    }
    const uint32_t part = (uint32_t)capacity < shown->size ? (uint32_t)capacity : shown->size;
    return linux_user_write(to, shown->bytes, part) &&
                   linux_user_write(size_at, &shown->size, sizeof(shown->size))
               ? 0
               : -EFAULT;
}

long unix_name_call(struct cella_open *open, uint64_t to, uint64_t size_at, bool of_peer)
{
    CELLA_CLEANUP(unix_name_done) struct unix_name *name = NULL;
    const struct unix_socket *socket = open->data;
    unix_take();
    const struct unix_socket *whose = of_peer ? socket->peer : socket;
    name = whose ? unix_name_get(whose->name) : NULL;
    unix_give();
    return whose ? unix_name_write(name, to, size_at) : -ENOTCONN;
}
