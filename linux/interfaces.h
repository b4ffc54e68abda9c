/*
 * The network interfaces that a program sees: made here, nothing of the host's (ADR 0172).
 * Side: enclave. Included by linux/.
 * Never shows an address that the host has.
 */
#ifndef CELLA_LINUX_INTERFACES_H
#define CELLA_LINUX_INTERFACES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"

#define LINUX_INTERFACES_MAX 2u
#define LINUX_INTERFACE_NAME 16u

struct linux_interface {
    char name[LINUX_INTERFACE_NAME];
    uint32_t index, flags, mtu;
    uint16_t kind; /* ARPHRD_* */
    uint8_t scope; /* RT_SCOPE_* of its addresses */
    uint8_t prefix4, prefix6;
    uint8_t address4[4], address6[16];
};

/* How many; the first is the loopback. `speaks`: the program may speak with the outside. */
uint32_t linux_interfaces(bool speaks, struct linux_interface ret_list[LINUX_INTERFACES_MAX]);
/* Whether this program may: its manifest names hosts. */
bool linux_interfaces_speak(void);

/* The SIOCGIF* of netdevice(7), on any socket; -ENOTTY: not one of these. */
long linux_interface_control(uint64_t request, uint64_t argument);

/* netlink_answer.c: answers to requests of rtnetlink(7), each a message. */
#define NETLINK_ANSWERS_MAX 4096u
struct netlink_answers {
    uint8_t bytes[NETLINK_ANSWERS_MAX];
    uint32_t size;
    bool is_full; /* something did not fit */
};
void linux_netlink_answer(struct cella_bytes requests, uint32_t port,
                          const struct linux_interface *list, uint32_t count,
                          struct netlink_answers *answers);

#endif
