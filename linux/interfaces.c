/*
 * The network interfaces that a program sees, and the SIOCGIF* calls on them.
 * Side: enclave. Called by unix_options.c and netlink.c. Source: netdevice(7).
 * Never asks the host: a program that may speak with the outside sees an interface of its own, with the dummy addresses
 * of RFC 7600 and RFC 6666, so that it looks for addresses of both families (ADR 0172).
 */
#include "linux/interfaces.h"
#include "linux/fs_tree.h"

#define FLAGS_LOOPBACK 0x10049u /* UP, LOOPBACK, RUNNING, LOWER_UP */
#define FLAGS_OUTSIDE 0x10051u  /* UP, POINTOPOINT, RUNNING, LOWER_UP */
#define KIND_LOOPBACK 772u
#define KIND_NONE 0xFFFEu
#define SCOPE_HOST 254u
#define AF_INET_FAMILY 2u
#define REQUEST_SIZE 40u
#define SIOCGIFNAME_REQUEST 0x8910u
#define SIOCGIFCONF_REQUEST 0x8912u
#define SIOCGIFFLAGS_REQUEST 0x8913u
#define SIOCGIFADDR_REQUEST 0x8915u
#define SIOCGIFDSTADDR_REQUEST 0x8917u
#define SIOCGIFBRDADDR_REQUEST 0x8919u
#define SIOCGIFNETMASK_REQUEST 0x891Bu
#define SIOCGIFMETRIC_REQUEST 0x891Du
#define SIOCGIFMTU_REQUEST 0x8921u
#define SIOCGIFHWADDR_REQUEST 0x8927u
#define SIOCGIFINDEX_REQUEST 0x8933u
#define SIOCGIFTXQLEN_REQUEST 0x8942u

static const struct linux_interface interfaces[LINUX_INTERFACES_MAX] = {
    {.name = "lo",
     .index = 1,
     .flags = FLAGS_LOOPBACK,
     .mtu = 65536,
     .kind = KIND_LOOPBACK,
     .scope = SCOPE_HOST,
     .prefix4 = 8,
     .prefix6 = 128,
     .address4 = {127, 0, 0, 1},
     .address6 = {[15] = 1}},
    {.name = "host0",
     .index = 2,
     .flags = FLAGS_OUTSIDE,
     .mtu = 1500,
     .kind = KIND_NONE,
     .prefix4 = 32,
     .prefix6 = 128,
     .address4 = {192, 0, 0, 8},
     .address6 = {[0] = 1, [15] = 1}},
};

uint32_t linux_interfaces(bool speaks, struct linux_interface ret_list[LINUX_INTERFACES_MAX])
{
    const uint32_t count = speaks ? LINUX_INTERFACES_MAX : 1;
    for (uint32_t i = 0; i < count; i++) {
        ret_list[i] = interfaces[i];
    }
    return count;
}

bool linux_interfaces_speak(void)
{
    return fs_description.head.hosts.count != 0;
}

/* struct ifreq: a name, and a union that begins with a number or with an address. */
struct request {
    char name[LINUX_INTERFACE_NAME];
    union {
        int32_t number;
        int16_t flags;
        struct {
            uint16_t family, port;
            uint8_t bytes[4];
        } address;
        uint8_t all[24];
    };
};
_Static_assert(sizeof(struct request) == REQUEST_SIZE, "struct ifreq");

static void address_set(struct request *request, const uint8_t bytes[4])
{
    cella_zero(request->all, sizeof(request->all));
    request->address.family = AF_INET_FAMILY;
    __builtin_memcpy(request->address.bytes, bytes, 4);
}

/* struct ifconf: bytes that there are room for, then where they go; without a place, how many there would be. */
static long list_get(uint64_t argument)
{
    struct {
        int32_t size, pad;
        uint64_t at;
    } list;
    struct linux_interface all[LINUX_INTERFACES_MAX];
    const uint32_t count = linux_interfaces(linux_interfaces_speak(), all);
    uint32_t done = 0;
    if (!linux_user_read(&list, argument, sizeof(list))) {
        return -EFAULT;
    }
    for (; done < count; done++) {
        struct request request = {0};
        if (list.at == 0) {
            continue;
        }
        if (list.size < (int32_t)((done + 1) * REQUEST_SIZE)) {
            break;
        }
        __builtin_memcpy(request.name, all[done].name, sizeof(request.name));
        address_set(&request, all[done].address4);
        if (!linux_user_write(list.at + (uint64_t)done * REQUEST_SIZE, &request, sizeof(request))) {
            return -EFAULT;
        }
    }
    list.size = (int32_t)(done * REQUEST_SIZE);
    return linux_user_write(argument, &list.size, sizeof(list.size)) ? 0 : -EFAULT;
}

static const struct linux_interface *interface_of(const struct request *request, bool by_index)
{
    const uint32_t count = linux_interfaces_speak() ? LINUX_INTERFACES_MAX : 1;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t size = cella_strlen(interfaces[i].name) + 1;
        if (by_index ? (uint32_t)request->number == interfaces[i].index
                     : cella_equal(request->name, interfaces[i].name, size)) {
            return &interfaces[i];
        }
    }
    return NULL;
}

static void mask_set(struct request *request, uint32_t prefix)
{
    uint8_t bytes[4] = {0};
    for (uint32_t i = 0; i < prefix; i++) {
        bytes[i / 8] |= (uint8_t)(0x80u >> i % 8);
    }
    address_set(request, bytes);
}

static long fill(uint64_t number, struct request *request, const struct linux_interface *found)
{
    switch (number) {
    case SIOCGIFNAME_REQUEST:
        __builtin_memcpy(request->name, found->name, sizeof(request->name));
        return 0;
    case SIOCGIFFLAGS_REQUEST:
        request->flags = (int16_t)found->flags;
        return 0;
    case SIOCGIFADDR_REQUEST:
    case SIOCGIFDSTADDR_REQUEST:
        address_set(request, found->address4);
        return 0;
    case SIOCGIFBRDADDR_REQUEST:
        address_set(request, (const uint8_t[4]){0});
        return 0;
    case SIOCGIFNETMASK_REQUEST:
        mask_set(request, found->prefix4);
        return 0;
    case SIOCGIFMETRIC_REQUEST:
        request->number = 0;
        return 0;
    case SIOCGIFMTU_REQUEST:
        request->number = (int32_t)found->mtu;
        return 0;
    case SIOCGIFHWADDR_REQUEST:
        cella_zero(request->all, sizeof(request->all));
        request->address.family = found->kind;
        return 0;
    case SIOCGIFINDEX_REQUEST:
        request->number = (int32_t)found->index;
        return 0;
    case SIOCGIFTXQLEN_REQUEST:
        request->number = 1000;
        return 0;
    default:
        return -ENOTTY;
    }
}

long linux_interface_control(uint64_t number, uint64_t argument)
{
    struct request request;
    if (number == SIOCGIFCONF_REQUEST) {
        return list_get(argument);
    }
    if (number < SIOCGIFNAME_REQUEST || number > SIOCGIFTXQLEN_REQUEST) {
        return -ENOTTY;
    }
    if (!linux_user_read(&request, argument, sizeof(request))) {
        return -EFAULT;
    }
    request.name[sizeof(request.name) - 1] = 0;
    struct request unused = request;
    if (fill(number, &unused, &interfaces[0]) != 0) {
        return -ENOTTY;
    }
    const struct linux_interface *found = interface_of(&request, number == SIOCGIFNAME_REQUEST);
    if (!found) {
        return -ENODEV;
    }
    fill(number, &request, found);
    return linux_user_write(argument, &request, sizeof(request)) ? 0 : -EFAULT;
}
