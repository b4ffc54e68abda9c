/*
 * Limits of clients. clients.h is the manual.
 * Side: host, service. Called by server.c, on all its threads.
 * Never reads more of /proc than one small file.
 */
#include "services/quoted/clients.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 4096u
#define PROBES 16u

struct client {
    uid_t uid;
    uint64_t group;
    uint32_t connections;
    bool used;
    double tokens;
    double since; /* seconds */
};

static struct {
    pthread_mutex_t lock;
    struct client_limits limits;
    struct client all[CLIENTS_MAX];
    struct client others; /* of a full table */
} g_clients = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void clients_init(const struct client_limits *limits)
{
    g_clients.limits = *limits;
    if (g_clients.limits.burst == 0) {
        g_clients.limits.burst = g_clients.limits.rate;
    }
}

/* FNV-1a: tells groups apart; nothing is proved by it. */
static uint64_t hash_of(const char *data, size_t size)
{
    uint64_t hash = 0xCBF29CE484222325ull;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (uint8_t)data[i]) * 0x100000001B3ull;
    }
    return hash ? hash : 1;
}

static uint64_t group_of(pid_t pid)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    const int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return 0;
    }
    const ssize_t size = read(fd, text, sizeof(text));
    close(fd);
    return size > 0 ? hash_of(text, (size_t)size) : 0;
}

struct peer peer_of(int fd)
{
    struct ucred credentials = {.pid = 0, .uid = (uid_t)-1};
    socklen_t size = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
        credentials.pid = 0;
    }
    return (struct peer){credentials.pid, credentials.uid, group_of(credentials.pid)};
}

/* With the lock held: its row, a free one, or the common one. */
static struct client *find(const struct peer *peer)
{
    const uint64_t start = (peer->group ^ peer->uid) * 0x9E3779B97F4A7C15ull >> 32;
    struct client *vacant = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct client *client = &g_clients.all[(start + i) % CLIENTS_MAX];
        if (client->used && client->uid == peer->uid && client->group == peer->group) {
            return client;
        }
        /* a client without connections keeps its row until another wants it, so that it cannot reset its rate */
        if (!vacant && (!client->used || client->connections == 0)) {
            vacant = client;
        }
    }
    if (!vacant) {
        return &g_clients.others;
    }
    *vacant = (struct client){.uid = peer->uid,
                              .group = peer->group,
                              .used = true,
                              .tokens = g_clients.limits.burst,
                              .since = seconds()};
    return vacant;
}

struct client *client_get(const struct peer *peer)
{
    pthread_mutex_lock(&g_clients.lock);
    struct client *client = find(peer);
    const uint32_t limit = g_clients.limits.connections;
    const bool full = limit > 0 && client->connections >= limit;
    client->connections += full ? 0 : 1;
    pthread_mutex_unlock(&g_clients.lock);
    return full ? NULL : client;
}

void client_put(struct client *client)
{
    if (client) {
        pthread_mutex_lock(&g_clients.lock);
        client->connections--;
        pthread_mutex_unlock(&g_clients.lock);
    }
}

bool client_may(struct client *client)
{
    const struct client_limits *limits = &g_clients.limits;
    if (limits->rate == 0) {
        return true;
    }
    pthread_mutex_lock(&g_clients.lock);
    const double now = seconds();
    client->tokens += (now - client->since) * limits->rate;
    client->since = now;
    if (client->tokens > limits->burst) {
        client->tokens = limits->burst;
    }
    const bool may = client->tokens >= 1;
    client->tokens -= may ? 1 : 0;
    pthread_mutex_unlock(&g_clients.lock);
    return may;
}
