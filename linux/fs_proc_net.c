/*
 * /proc/net: the interfaces of interfaces.c once more, as text; nothing of the host's.
 * Side: enclave. Called by fs_text.c when a file is read.
 * Never shows a connection: which sockets there are is the program's own knowledge.
 */
#include "linux/fs_proc.h"
#include "linux/interfaces.h"

static uint32_t interfaces_now(struct linux_interface list[LINUX_INTERFACES_MAX])
{
    return linux_interfaces(linux_interfaces_speak(), list);
}

static void say_name(struct fs_text *text, const struct linux_interface *interface, uint32_t width)
{
    const uint64_t size = cella_strlen(interface->name);
    for (uint64_t i = size; i < width; i++) {
        fs_say(text, " ");
    }
    fs_say(text, interface->name);
}

void fs_say_net_devices(struct fs_text *text, const struct fs_node *node)
{
    struct linux_interface list[LINUX_INTERFACES_MAX];
    const uint32_t count = interfaces_now(list);
    (void)node;
    fs_say(text,
           "Inter-|   Receive                                                |  Transmit\n"
           " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets "
           "errs drop fifo colls carrier compressed\n");
    for (uint32_t i = 0; i < count; i++) {
        say_name(text, &list[i], 6);
        fs_say(text, ":       0       0    0    0    0     0          0         0        0       0 "
                     "   0    0    0     0       0          0\n");
    }
}

void fs_say_net_addresses6(struct fs_text *text, const struct fs_node *node)
{
    struct linux_interface list[LINUX_INTERFACES_MAX];
    const uint32_t count = interfaces_now(list);
    (void)node;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t b = 0; b < sizeof(list[i].address6); b++) {
            fs_say_hex(text, list[i].address6[b], 2);
        }
        fs_say(text, " ");
        fs_say_hex(text, list[i].index, 2);
        fs_say(text, " ");
        fs_say_hex(text, list[i].prefix6, 2);
        fs_say(text, i == 0 ? " 10 80 " : " 00 80 "); /* of the host; anywhere; permanent */
        say_name(text, &list[i], 8);
        fs_say(text, "\n");
    }
}
