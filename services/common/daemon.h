/*
 * What every service's main does: options, configuration, signals.
 * Side: services. Called by each service's main. Never forks.
 */
#ifndef CELLA_SERVICES_DAEMON_H
#define CELLA_SERVICES_DAEMON_H

#include "services/common/http.h"

/* A service's struct of settings starts with the struct http_options that `http` finds. */
struct daemon_service {
    const char *name;  /* of the program */
    const char *usage; /* what --help prints */
    const struct settings *settings;
    size_t values_size;
    size_t http_offset; /* of struct http_options in the values */
    const char *listen; /* where to listen when the configuration says nothing */
    /* Opens what the service needs; `values` stay until stop. Fills in routes, context, … of ret_service. */
    cella_result (*start)(void *values, struct http_service *ret_service,
                          struct cella_error *error);
    /* SIGHUP, with newly read values, which are freed afterwards. */
    cella_result (*reload)(void *context, const void *values, struct cella_error *error);
    /* Each second; may be NULL. */
    void (*tick)(void *context);
    void (*stop)(void *context);
    /* Other commands, as `cella-pccs import FILE`; may be NULL. Gives the exit status. */
    int (*command)(int argc, char **argv, void *values);
};

/* --config FILE, --check, --help, --version, and the service's own commands. */
int daemon_main(const struct daemon_service *service, int argc, char **argv);

#endif
