/*
 * Threads for handlers that may block: those that ask another service.
 * Side: services. Called by services/common/http_*.c. Never touches a connection.
 */
#include <unistd.h>

#include "services/common/http_internal.h"

static struct http_exchange *pool_take(struct http_server *server)
{
    pthread_mutex_lock(&server->pool_lock);
    while (!server->pool_first && !server->pool_stop) {
        pthread_cond_wait(&server->pool_wake, &server->pool_lock);
    }
    struct http_exchange *exchange = server->pool_first;
    if (exchange) {
        server->pool_first = exchange->next;
        server->pool_last = exchange->next ? server->pool_last : NULL;
        server->pool_length--;
    }
    pthread_mutex_unlock(&server->pool_lock);
    return exchange;
}

static void give_back(struct http_exchange *exchange)
{
    struct worker *worker = exchange->worker;
    const uint64_t one = 1;
    pthread_mutex_lock(&worker->lock);
    exchange->next = worker->done;
    worker->done = exchange;
    pthread_mutex_unlock(&worker->lock);
    ssize_t written = write(worker->wake_fd, &one, sizeof(one));
    (void)written; /* the counter is only full when the worker is awake anyway */
}

static void *pool_run(void *argument)
{
    struct http_server *server = argument;
    for (struct http_exchange *exchange; (exchange = pool_take(server)) != NULL;) {
        exchange_handle(exchange, true);
        give_back(exchange);
    }
    return NULL;
}

bool pool_submit(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    pthread_mutex_lock(&server->pool_lock);
    bool taken = server->pool_length < POOL_QUEUE_MAX;
    if (taken) {
        exchange->next = NULL;
        if (server->pool_last) {
            server->pool_last->next = exchange;
        } else {
            server->pool_first = exchange;
        }
        server->pool_last = exchange;
        server->pool_length++;
        pthread_cond_signal(&server->pool_wake);
    }
    pthread_mutex_unlock(&server->pool_lock);
    return taken;
}

cella_result pool_start(struct http_server *server)
{
    while (server->pool_count < POOL_THREADS) {
        CELLA_ENSURE(pthread_create(&server->pool[server->pool_count], NULL, pool_run, server) == 0,
                     OUT_OF_THREADS);
        server->pool_count++;
    }
    return CELLA_OK;
}

void pool_stop(struct http_server *server)
{
    pthread_mutex_lock(&server->pool_lock);
    server->pool_stop = true;
    pthread_cond_broadcast(&server->pool_wake);
    pthread_mutex_unlock(&server->pool_lock);
    for (unsigned i = 0; i < server->pool_count; i++) {
        pthread_join(server->pool[i], NULL);
    }
    server->pool_count = 0;
}
