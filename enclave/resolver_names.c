/*
 * getaddrinfo, freeaddrinfo and getnameinfo in place of the libc's: those want files, sockets and shared libraries.
 * Side: enclave, compiled as ordinary code of the libc. Numbers are turned into addresses, and back, without the host;
 * names go to the resolver module, when it is linked. One object serves glibc and musl: their records are the same.
 * Never asks the host what it can know itself.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enclave/resolver.h"

#pragma weak cella_resolver

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct entry {
    struct addrinfo info;
    union {
        struct sockaddr any;
        struct sockaddr_in6 biggest;
    } address;
    char name[];
};

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list); /* the first member of its entry */
        list = next;
    }
}

static struct entry *entry_new(const struct cella_resolved *from, const char *name)
{
    const size_t name_size = name ? strlen(name) + 1 : 0;
    struct entry *entry = calloc(1, sizeof(*entry) + name_size);
    if (!entry) {
        return NULL;
    }
    memcpy(&entry->address, from->address, from->size);
    entry->info.ai_family = entry->address.any.sa_family;
    entry->info.ai_socktype = (int)from->type;
    entry->info.ai_protocol = (int)from->protocol;
    entry->info.ai_addrlen = from->size;
    entry->info.ai_addr = &entry->address.any;
    if (name) {
        memcpy(entry->name, name, name_size);
        entry->info.ai_canonname = entry->name;
    }
    return entry;
}

static int list_make(const struct cella_resolved *results, long count, int flags, const char *name,
                     struct addrinfo **ret_list)
{
    struct addrinfo *list = NULL;
    struct addrinfo **last = &list;
    for (long i = 0; i < count; i++) {
        struct entry *entry =
            entry_new(&results[i], i == 0 && (flags & AI_CANONNAME) ? name : NULL);
        if (!entry) {
            freeaddrinfo(list);
            return EAI_MEMORY;
        }
        *last = &entry->info;
        last = &entry->info.ai_next;
    }
    *ret_list = list;
    return 0;
}

/* A port in digits; -1: a name, -2: no port has this number. No service is port 0. */
static int port_of(const char *service)
{
    unsigned port = 0;
    if (!service) {
        return 0;
    }
    for (const char *at = service; *at || at == service; at++) {
        if (*at < '0' || *at > '9') {
            return -1;
        }
        port = port * 10 + (unsigned)(*at - '0');
        port = port > 65535 ? 65536 : port;
    }
    return port > 65535 ? -2 : (int)port;
}

struct literal {
    int family; /* 0: not one */
    unsigned char bytes[16];
};

static struct literal literal_of(const char *node)
{
    struct literal literal = {0};
    if (inet_pton(AF_INET, node, literal.bytes) == 1) {
        literal.family = AF_INET;
    } else if (inet_pton(AF_INET6, node, literal.bytes) == 1) {
        literal.family = AF_INET6;
    }
    return literal;
}

/* Where a node that is not named lies: here, or everywhere for a server. */
static unsigned literals_of_nobody(int flags, struct literal literals[2])
{
    static const unsigned char loopback4[4] = {127, 0, 0, 1};
    memset(literals, 0, 2 * sizeof(literals[0]));
    literals[0].family = AF_INET;
    literals[1].family = AF_INET6;
    if ((flags & AI_PASSIVE) == 0) {
        memcpy(literals[0].bytes, loopback4, sizeof(loopback4));
        literals[1].bytes[15] = 1;
    }
    return 2;
}

static struct cella_resolved result_of(const struct literal *literal, int type, int protocol,
                                       int port)
{
    struct cella_resolved result = {.type = (unsigned)type, .protocol = (unsigned)protocol};
    if (literal->family == AF_INET) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        memcpy(&address.sin_addr, literal->bytes, 4);
        memcpy(result.address, &address, sizeof(address));
        result.size = sizeof(address);
    } else {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        memcpy(&address.sin6_addr, literal->bytes, 16);
        memcpy(result.address, &address, sizeof(address));
        result.size = sizeof(address);
    }
    return result;
}

/* All that is asked for is numbers. */
static long resolve_inside(const struct literal *literals, unsigned count,
                           const struct cella_resolve *resolve, int port)
{
    static const int kinds[][2] = {
        {SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, IPPROTO_UDP}, {SOCK_RAW, 0}};
    long total = 0;
    for (unsigned i = 0; i < count; i++) {
        if (resolve->family != 0 && resolve->family != literals[i].family) {
            continue;
        }
        for (size_t k = 0; k < COUNT(kinds); k++) {
            const int protocol = kinds[k][1] != 0 ? kinds[k][1] : resolve->protocol;
            if ((resolve->type != 0 && resolve->type != kinds[k][0]) ||
                (resolve->protocol != 0 && resolve->protocol != protocol)) {
                continue;
            }
            resolve->results[total++] = result_of(&literals[i], kinds[k][0], protocol, port);
        }
    }
    return total > 0 ? total : count == 1 ? CELLA_EAI_FAMILY : CELLA_EAI_NONAME;
}

/* A service in digits is known here: the host cannot send us to another port. */
static int ports_agree(const struct cella_resolved *results, long count, int port)
{
    for (long i = 0; i < count && port >= 0; i++) {
        uint16_t said;
        memcpy(&said, results[i].address + 2, sizeof(said)); /* the same place in both families */
        if (ntohs(said) != port) {
            return 0;
        }
    }
    return 1;
}

static long resolve(struct cella_resolve *what)
{
    struct literal literals[2] = {{0}};
    unsigned count = 1;
    const int port = port_of(what->service);
    if (what->node) {
        literals[0] = literal_of(what->node);
    } else {
        count = literals_of_nobody(what->flags, literals);
    }
    if (literals[0].family == 0 && (what->flags & AI_NUMERICHOST)) {
        return CELLA_EAI_NONAME;
    }
    if (port == -2) {
        return CELLA_EAI_SERVICE;
    }
    if (port < 0 && (what->flags & AI_NUMERICSERV)) {
        return CELLA_EAI_NONAME;
    }
    if (literals[0].family != 0 && port >= 0) {
        strcpy(what->name, what->node ? what->node : "");
        return resolve_inside(literals, count, what, port);
    }
    if (!&cella_resolver) {
        return CELLA_EAI_FAIL;
    }
    const long found = cella_resolver.addresses(what);
    return ports_agree(what->results, found, port) ? found : CELLA_EAI_FAIL;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
    static const struct addrinfo none = {.ai_family = AF_UNSPEC};
    struct {
        struct cella_resolved results[CELLA_RESOLVED_MAX];
        char name[CELLA_RESOLVED_NAME];
    } * room;
    hints = hints ? hints : &none;
    if (!node && !service) {
        return EAI_NONAME;
    }
    if ((node && strlen(node) >= CELLA_RESOLVED_NAME) ||
        (service && strlen(service) >= CELLA_RESOLVED_SERVICE)) {
        return EAI_NONAME;
    }
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET &&
        hints->ai_family != AF_INET6) {
        return EAI_FAMILY;
    }
    if ((hints->ai_flags & AI_CANONNAME) && !node) {
        return EAI_BADFLAGS;
    }
    room = calloc(1, sizeof(*room));
    if (!room) {
        return EAI_MEMORY;
    }
    struct cella_resolve what = {.flags = hints->ai_flags,
                                 .family = hints->ai_family,
                                 .type = hints->ai_socktype,
                                 .protocol = hints->ai_protocol,
                                 .node = node,
                                 .service = service,
                                 .results = room->results,
                                 .name = room->name};
    const long count = resolve(&what);
    const int result = count < 0
                           ? (int)count
                           : list_make(room->results, count, hints->ai_flags, room->name, ret_list);
    free(room);
    return result;
}

static int text_give(char *to, socklen_t capacity, const char *text)
{
    const size_t size = strlen(text) + 1;
    if (!to || capacity == 0) {
        return 0;
    }
    if (size > capacity) {
        return EAI_OVERFLOW;
    }
    memcpy(to, text, size);
    return 0;
}

static void port_text(char *to, uint16_t port)
{
    snprintf(to, CELLA_RESOLVED_SERVICE, "%u", (unsigned)ntohs(port));
}

/* The address in digits. */
static int name_inside(const struct sockaddr *address, char *name, char *service)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    const int is_4 = address->sa_family == AF_INET;
    port_text(service, is_4 ? in->sin_port : in6->sin6_port);
    return inet_ntop(address->sa_family, is_4 ? (const void *)&in->sin_addr : &in6->sin6_addr, name,
                     CELLA_RESOLVED_NAME)
               ? 0
               : EAI_FAIL;
}

int getnameinfo(const struct sockaddr *restrict address, socklen_t size, char *restrict host,
                socklen_t host_size, char *restrict service, socklen_t service_size, int flags)
{
    struct cella_resolved record = {0};
    char name[CELLA_RESOLVED_NAME] = "";
    char port[CELLA_RESOLVED_SERVICE] = "";
    const socklen_t wanted =
        address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) || size < wanted) {
        return EAI_FAMILY;
    }
    int result = name_inside(address, name, port);
    const int wants_name = host && host_size > 0 && !(flags & NI_NUMERICHOST);
    const int wants_service = service && service_size > 0 && !(flags & NI_NUMERICSERV);
    if (result == 0 && (wants_name || wants_service)) {
        char said_name[CELLA_RESOLVED_NAME] = "", said_port[CELLA_RESOLVED_SERVICE] = "";
        memcpy(record.address, address, wanted);
        record.size = wanted;
        const struct cella_resolve what = {.flags = flags, .results = &record, .name = said_name};
        result = &cella_resolver ? (int)cella_resolver.names(&what, said_port) : EAI_FAIL;
        /* What is wanted in digits is not the host's to say. */
        if (wants_name) {
            memcpy(name, said_name, sizeof(name));
        }
        if (wants_service) {
            memcpy(port, said_port, sizeof(port));
        }
    }
    if (result == 0) {
        result = text_give(host, host_size, name);
    }
    return result == 0 ? text_give(service, service_size, port) : result;
}
