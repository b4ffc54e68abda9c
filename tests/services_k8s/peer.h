/*
 * A kubelet's side of the wire for tests, over nghttp2 and by hand; written apart from the code under test.
 * Side: tests. Blocking, with limits on every wait. One thread but the fake kubelet's own.
 */
#ifndef CELLA_TESTS_K8S_PEER_H
#define CELLA_TESTS_K8S_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ENCLAVE "sgx.intel.com/enclave"
#define PROVISION "sgx.intel.com/provision"
#define AZURE "kubernetes.azure.com/sgx_epc_mem_in_MiB"
#define SOFT "cella.dev/soft-enclave"

/* ------------------------------------------------------------- the plugin as a process, in a folder of its own */

struct plugin_process {
    char folder[48];
    pid_t pid;
};

/* Devices are links to /dev/null and /dev/zero; `more` is put behind the configuration. */
bool plugin_start(struct plugin_process *plugin, const char *program, const char *more);
bool plugin_lives(const struct plugin_process *plugin);
int plugin_stop(struct plugin_process
                    *plugin); /* its exit status; -1: it had to be killed. Removes the folder */
void plugin_path(const struct plugin_process *plugin, const char *name, char out[128]);
void plugin_socket(const struct plugin_process *plugin, const char *resource, char out[128]);
bool plugin_said(const struct plugin_process *plugin,
                 const char *text); /* in its log, within 3 s */
long plugin_resident(const struct plugin_process *plugin,
                     const char *which); /* kB, of /proc/…/status */
int plugin_descriptors(const struct plugin_process *plugin);

/* ------------------------------------------------------------- a client */

struct reply {
    int http, grpc; /* -1: none came */
    char text[256];
    uint8_t *data; /* messages with their prefixes; of malloc */
    size_t size;
    bool ended;
};

struct client;
/* Tries for two seconds. NULL: nobody listens. */
struct client *client_open(const char *path, const char *authority);
void client_close(struct client *client);
/* `pairs`: more headers, name and value, ends in NULL; may be NULL. A name that is a standard header replaces it. */
bool client_call(struct client *client, const char *method, const void *message, size_t size,
                 const char *const *pairs, struct reply *ret_reply);
/* The body as it is, without a prefix made for it. */
bool client_raw(struct client *client, const char *method, const void *body, size_t size,
                const char *const *pairs, struct reply *ret_reply);
/* Starts a call and leaves it open. */
void client_begin(struct client *client, const char *method, struct reply *reply);
/* Waits until the reply holds `count` whole messages, or has ended. */
bool client_wait(struct client *client, struct reply *reply, unsigned count, int milliseconds);
void client_ping(struct client *client);
/* Starts a call and resets it. */
void client_reset(struct client *client, const char *method);
void reply_done(struct reply *reply);
/* Devices in the nth message, and whether all of them have that health. */
size_t reply_devices(const struct reply *reply, unsigned nth, const char *health);

int raw_connect(const char *path);
/* Sends, then waits until the peer closes. false: it did not within the time. */
bool raw_send(int fd, const void *data, size_t size);
bool raw_closed(int fd, int milliseconds);

/* ------------------------------------------------------------- a kubelet */

enum kubelet_mood {
    KUBELET_GOOD,    /* calls back before it answers, as a kubelet does */
    KUBELET_SILENT,  /* takes the request, never answers */
    KUBELET_REFUSES, /* UNAVAILABLE */
    KUBELET_DROPS,   /* closes the connection */
    KUBELET_NO_HTTP2,
    KUBELET_NOT_FOUND, /* HTTP 404 */
    KUBELET_EMPTY,     /* OK, without a message */
    KUBELET_LEAVES,    /* GOAWAY, and takes no stream */
};

struct kubelet;
/* Removes all sockets of the folder, then listens. */
struct kubelet *kubelet_start(const struct plugin_process *plugin, enum kubelet_mood mood);
void kubelet_stop(struct kubelet *kubelet);
void kubelet_mood(struct kubelet *kubelet, enum kubelet_mood mood);
/* Registrations of the resource that have been asked for; waits until there are `least`. */
unsigned kubelet_asked(struct kubelet *kubelet, const char *resource, unsigned least,
                       int milliseconds);
/* Those that have been answered well. */
unsigned kubelet_accepted(struct kubelet *kubelet, const char *resource, unsigned least,
                          int milliseconds);

int64_t milliseconds_now(void);

#endif
