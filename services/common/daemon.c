/*
 * What every service's main does: options, configuration, signals.
 * Side: services. Called by each service's main. Never forks.
 */
#include "services/common/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/common/log.h"
#include "services/common/signals.h"

#ifndef CELLA_VERSION
#define CELLA_VERSION "unknown"
#endif

struct arguments {
    const char *config;
    bool check;
    int rest; /* where a command begins; 0: none */
};

static struct http_options *http_of(const struct daemon_service *service, void *values)
{
    return (struct http_options *)(void *)((char *)values + service->http_offset);
}

static cella_result read_values(const struct daemon_service *service, const char *path,
                                void **ret_values, struct cella_error *error)
{
    void *values = calloc(1, service->values_size);
    CELLA_ENSURE(values, OUT_OF_MEMORY);
    cella_result result = settings_read(service->settings, path, values, error);
    if (!cella_is_ok(result)) {
        free(values);
        return result;
    }
    struct setting_list *listen = &http_of(service, values)->listen;
    if (listen->count == 0) {
        listen->items = malloc(sizeof(*listen->items));
        if (listen->items) {
            listen->items[0] = strdup(service->listen);
            listen->count = 1;
        }
    }
    *ret_values = values;
    return CELLA_OK;
}

static void free_values(const struct daemon_service *service, void *values)
{
    settings_done(service->settings, values);
    free(values);
}

static void reload(const struct daemon_service *service, const char *path, void *context,
                   struct http_server *server)
{
    struct cella_error error = {0};
    void *values = NULL;
    cella_result result = read_values(service, path, &values, &error);
    if (cella_is_ok(result)) {
        result = http_server_reload(server, http_of(service, values), &error);
        if (cella_is_ok(result) && service->reload) {
            result = service->reload(context, values, &error);
        }
        free_values(service, values);
    }
    if (cella_is_ok(result)) {
        log_say(LOG_INFO, "reloaded", "%s", path ? path : "defaults");
    } else {
        log_say(LOG_ERROR, "reload_failed", "%s",
                error.text[0] ? error.text : cella_result_text(result));
    }
}

/* Waits for signals; SIGTERM and SIGINT end it. */
static void watch(const struct daemon_service *service, const char *path, void *context,
                  struct http_server *server)
{
    for (;;) {
        int number = signals_next();
        if (number == SIGHUP) {
            reload(service, path, context, server);
        } else if (number == SIGTERM || number == SIGINT) {
            log_say(LOG_INFO, "stopping", "signal %d", number);
            return;
        } else if (service->tick) {
            service->tick(context);
        }
    }
}

static int fail(const struct daemon_service *service, const struct cella_error *error,
                cella_result result)
{
    fprintf(stderr, "%s: %s\n", service->name,
            error->text[0] ? error->text : cella_result_text(result));
    return 1;
}

static int serve(const struct daemon_service *service, const char *path, void *values)
{
    struct cella_error error = {0};
    struct http_service http = {.name = service->name};
    struct http_server *server = NULL;

    signals_hold();
    log_start(service->name);
    cella_result result = service->start(values, &http, &error);
    if (!cella_is_ok(result)) {
        return fail(service, &error, result);
    }
    result = http_server_start(&http, http_of(service, values), &server, &error);
    if (!cella_is_ok(result)) {
        service->stop(http.context);
        return fail(service, &error, result);
    }
    log_say(LOG_INFO, "ready", "version %s", CELLA_VERSION);
    watch(service, path, http.context, server);
    http_server_stop(server);
    service->stop(http.context);
    log_say(LOG_INFO, "stopped", "all requests have ended");
    return 0;
}

/* -1: go on; else the exit status. */
static int read_arguments(const struct daemon_service *service, int argc, char **argv,
                          struct arguments *ret_arguments)
{
    *ret_arguments = (struct arguments){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(service->usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", service->name, CELLA_VERSION);
            return 0;
        }
        if (strcmp(argv[i], "--check") == 0) {
            ret_arguments->check = true;
        } else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            ret_arguments->config = argv[++i];
        } else if (argv[i][0] != '-' && service->command) {
            ret_arguments->rest = i;
            return -1;
        } else {
            fprintf(stderr, "%s: unexpected '%s'; --help tells more\n", service->name, argv[i]);
            return 2;
        }
    }
    return -1;
}

int daemon_main(const struct daemon_service *service, int argc, char **argv)
{
    struct arguments arguments;
    struct cella_error error = {0};
    void *values = NULL;
    int status = read_arguments(service, argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    cella_result result = read_values(service, arguments.config, &values, &error);
    if (!cella_is_ok(result)) {
        return fail(service, &error, result);
    }
    if (arguments.rest) {
        status = service->command(argc - arguments.rest, argv + arguments.rest, values);
    } else if (arguments.check) {
        printf("%s: good\n", arguments.config ? arguments.config : "defaults");
        status = 0;
    } else {
        status = serve(service, arguments.config, values);
    }
    free_values(service, values);
    return status;
}
