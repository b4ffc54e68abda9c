/*
 * Probes: one call each, with guards around what it may write, for a host that lies in it.
 * Side: enclave (tests). Called by enclave_main.c.
 * Never fails by the lie itself: the answer is the call's errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/services/services.h"

#define GUARD 0xA5u
#define ROOM 4096u

/* What a call may write lies between two guards. */
static struct {
    unsigned char before[512];
    unsigned char room[ROOM] __attribute__((aligned(16)));
    unsigned char after[4096];
} g_memory;

static void guard_set(void)
{
    memset(&g_memory, GUARD, sizeof(g_memory));
}

static int guard_holds(size_t used)
{
    const unsigned char *bytes = (const unsigned char *)&g_memory;
    const size_t start = sizeof(g_memory.before);
    for (size_t i = 0; i < sizeof(g_memory); i++) {
        if ((i < start || i >= start + used) && bytes[i] != GUARD) {
            return 0;
        }
    }
    return 1;
}

/* The call's errno, or -1 when it wrote outside of the first `used` bytes of the room. */
static int verdict(long result, size_t used)
{
    const int error = errno;
    return !guard_holds(used) ? -1 : result < 0 ? error : 0;
}

static int probe_file(uint32_t which)
{
    long result = -1;
    size_t used = 16;
    int file = open("/probe", O_RDWR | O_CREAT, 0600);
    int second = -1;
    if (file < 0 || write(file, "0123456789abcdef0123", 20) < 0) {
        return errno;
    }
    switch (which) {
    case PROBE_READ:
        result = pread(file, g_memory.room, used, 0);
        break;
    case PROBE_READLINK:
        result = symlink("somewhere", "/probe-link") == 0 || errno == EEXIST
                     ? readlink("/probe-link", (char *)g_memory.room, used)
                     : -1;
        break;
    case PROBE_STAT:
        used = sizeof(struct stat);
        result = syscall(SYS_stat, "/probe", g_memory.room);
        break;
    case PROBE_STATFS:
        used = sizeof(struct statfs);
        result = syscall(SYS_statfs, "/probe", g_memory.room);
        break;
    case PROBE_LOCK:
        used = sizeof(struct flock);
        memset(g_memory.room, 0, used);
        result = fcntl(file, F_GETLK, g_memory.room);
        break;
    case PROBE_OPEN_TWICE:
        second = open("/probe", O_RDONLY);
        result = second;
        break;
    case PROBE_SEEK:
        result = lseek(file, 5, SEEK_SET);
        break;
    default:
        used = 4;
        result = ioctl(file, FIONREAD, g_memory.room);
        break;
    }
    const int answer = verdict(result, used);
    if (second >= 0) {
        close(second);
    }
    close(file);
    return answer;
}

static int probe_entries(void)
{
    const int fd = open("/", O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return errno;
    }
    const int answer = verdict(syscall(SYS_getdents64, fd, g_memory.room, 1024), 1024);
    close(fd);
    return answer;
}

/* Room for an address, then its size, then data. */
static int probe_pair(uint32_t which)
{
    int fds[2];
    long result = -1;
    size_t used = 16;
    struct epoll_event event = {.events = EPOLLIN};
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) != 0) {
        return errno;
    }
    struct pollfd list = {.fd = fds[1], .events = POLLIN};
    if (which != PROBE_SEND && send(fds[0], "01234567", 8, 0) < 0) {
        result = -1;
    } else if (which == PROBE_SEND) {
        result = send(fds[0], "01234567", 8, 0);
    } else if (which == PROBE_RECEIVE) {
        result = recv(fds[1], g_memory.room, used, 0);
    } else if (which == PROBE_OPTION) {
        used = 8;
        *(uint32_t *)g_memory.room = 4;
        result =
            syscall(SYS_getsockopt, fds[1], SOL_SOCKET, SO_ERROR, g_memory.room + 4, g_memory.room);
    } else if (which == PROBE_POLL) {
        result = poll(&list, 1, 1000);
        if (result > 0 && (list.revents & ~(POLLIN | POLLERR | POLLHUP | POLLNVAL)) != 0) {
            return -2;
        }
    } else {
        const int epoll = epoll_create1(0);
        event.data.u64 = 77;
        result = epoll < 0 ? -1 : epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event);
        used = sizeof(event);
        result =
            result < 0 ? result : epoll_wait(epoll, (struct epoll_event *)g_memory.room, 1, 50);
        if (result > 0 && ((struct epoll_event *)g_memory.room)->data.u64 != 77) {
            return -2;
        }
        close(epoll);
    }
    const int answer = verdict(result, used);
    close(fds[0]);
    close(fds[1]);
    return answer;
}

/* UDP or TCP on the loopback: addresses come back. */
static int probe_address(uint32_t which)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address), room = 16;
    const int type = which == PROBE_ACCEPT ? SOCK_STREAM : SOCK_DGRAM;
    const int server = socket(AF_INET, type, 0), client = socket(AF_INET, type, 0);
    long result = -1;
    if (server < 0 || client < 0 || bind(server, (struct sockaddr *)&address, size) != 0 ||
        (type == SOCK_STREAM && listen(server, 1) != 0)) {
        result = -1;
    } else if (which == PROBE_NAME) {
        result = getsockname(server, (struct sockaddr *)g_memory.room, &room);
    } else if (getsockname(server, (struct sockaddr *)&address, &size) != 0) {
        result = -1;
    } else if (which == PROBE_ACCEPT) {
        result = connect(client, (struct sockaddr *)&address, size);
        const int fd = result == 0 ? accept(server, (struct sockaddr *)g_memory.room, &room) : -1;
        result = fd;
        if (fd >= 0) {
            close(fd);
        }
    } else if (sendto(client, "01234567", 8, 0, (struct sockaddr *)&address, size) == 8) {
        char bytes[8];
        result = recvfrom(server, bytes, 8, 0, (struct sockaddr *)g_memory.room, &room);
    }
    const int answer = verdict(result, 16);
    close(server);
    close(client);
    return answer;
}

static int probe_resolve(uint32_t which)
{
    const struct addrinfo hints = {
        .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addrinfo *list = NULL;
    if (which == PROBE_NAMES) {
        char *name = (char *)g_memory.room;
        const int found = getnameinfo((struct sockaddr *)&address, sizeof(address), name, 1025,
                                      name + 1025, 32, NI_NUMERICSERV);
        return !guard_holds(1025 + 32) ? -1 : found;
    }
    const int found =
        getaddrinfo("localhost", which == PROBE_RESOLVE_PORT ? "443" : NULL, &hints, &list);
    for (const struct addrinfo *at = list; found == 0 && at; at = at->ai_next) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)at->ai_addr;
        if (at->ai_family != AF_INET || in->sin_family != AF_INET || at->ai_addrlen != 16 ||
            (which == PROBE_RESOLVE_PORT && in->sin_port != htons(443))) {
            return -2;
        }
    }
    if (found == 0) {
        freeaddrinfo(list);
    }
    return found;
}

int services_probe(uint32_t which)
{
    int fds[2];
    guard_set();
    errno = 0;
    switch (which) {
    case PROBE_ENTRIES:
        return probe_entries();
    case PROBE_RECEIVE:
    case PROBE_SEND:
    case PROBE_OPTION:
    case PROBE_POLL:
    case PROBE_EPOLL:
        return probe_pair(which);
    case PROBE_RECEIVE_FROM:
    case PROBE_ACCEPT:
    case PROBE_NAME:
        return probe_address(which);
    case PROBE_PAIR:
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
            return errno;
        }
        close(fds[0]);
        close(fds[1]);
        return 0;
    case PROBE_RESOLVE:
    case PROBE_RESOLVE_PORT:
    case PROBE_NAMES:
        return probe_resolve(which);
    case PROBE_GROUPS:
        return verdict(getgroups(100, (gid_t *)g_memory.room), 400);
    case PROBE_UNAME:
        return verdict(uname((struct utsname *)g_memory.room), sizeof(struct utsname));
    default:
        return probe_file(which);
    }
}
