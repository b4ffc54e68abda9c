/*
 * Allocate calls a second through cella-device-plugin, its memory with 100,000 advertised units, and how long
 * cella-webhook takes at 500 requests a second, over TLS.
 * Side: host (bench). Called by bench/run: PLUGIN WEBHOOK. Prints `name value goal ok|short`; never fails by a time.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/services_k8s/peer.h"

#define ALLOCATE_GOAL 1000
#define MEMORY_GOAL 10240 /* KiB */
#define WEBHOOK_GOAL 5.0  /* ms */
#define RATE 500
#define CONNECTIONS 4
#define REQUESTS 2000
#define SECONDS 3

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ------------------------------------------------------------------- the plugin */

static void bench_plugin(const char *program)
{
    static const uint8_t request[] = "\x0a\x0f\x0a\x0dsgx-enclave-7";
    struct plugin_process plugin;
    struct reply list, reply;
    char path[128];
    if (!plugin_start(&plugin, program,
                      "epc_mib = 100000\ndialect = azure\ndialect = intel\n"
                      "log_level = error\n")) {
        return;
    }
    plugin_socket(&plugin, AZURE, path);
    struct client *client = client_open(path, NULL);
    client_begin(client, "/v1beta1.DevicePlugin/ListAndWatch", &list);
    client_wait(client, &list, 1, 10000);
    const size_t units = reply_devices(&list, 0, "Healthy");
    plugin_socket(&plugin, ENCLAVE, path);
    struct client *other = client_open(path, NULL);
    const double start = now();
    unsigned calls = 0;
    while (now() - start < SECONDS) {
        if (!client_call(other, "/v1beta1.DevicePlugin/Allocate", request, sizeof(request) - 1,
                         NULL, &reply) ||
            reply.grpc != 0) {
            break;
        }
        reply_done(&reply);
        calls++;
    }
    const double rate = calls / (now() - start);
    const long memory = plugin_resident(&plugin, "VmHWM:");
    printf("%-28s %8.0f >=%-7d %s\n", "plugin/allocate-rate", rate, ALLOCATE_GOAL,
           rate >= ALLOCATE_GOAL ? "ok" : "short");
    printf("%-28s %8ld <=%-7d %s\n", "plugin/memory-100k", memory, MEMORY_GOAL,
           units == 100000 && memory <= MEMORY_GOAL ? "ok" : "short");
    client_close(client);
    client_close(other);
    reply_done(&list);
    plugin_stop(&plugin);
}

/* ------------------------------------------------------------------- the webhook */

static char g_folder[] = "/tmp/cella-bench-XXXXXX";
static unsigned g_port;
static double g_took[CONNECTIONS][REQUESTS / CONNECTIONS];

static bool certificate_make(const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_sign(certificate, key, EVP_sha256());
    FILE *out = fopen(certificate_path, "w");
    bool good = out && PEM_write_X509(out, certificate) == 1 && fclose(out) == 0;
    out = fopen(key_path, "w");
    good = good && out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
           fclose(out) == 0;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}

/* A port that was free a moment ago. */
static unsigned port_find(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (struct sockaddr *)&address, size);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

static pid_t webhook_start(const char *program)
{
    char config[64], certificate[64], key[64];
    snprintf(config, sizeof(config), "%s/conf", g_folder);
    snprintf(certificate, sizeof(certificate), "%s/cert.pem", g_folder);
    snprintf(key, sizeof(key), "%s/key.pem", g_folder);
    g_port = port_find();
    FILE *file = fopen(config, "w");
    if (!file || !certificate_make(certificate, key)) {
        return -1;
    }
    fprintf(file,
            "listen = tls://127.0.0.1:%u\ntls_certificate = %s\ntls_key = %s\nlog_level = error\n",
            g_port, certificate, key);
    fclose(file);
    const pid_t pid = fork();
    if (pid == 0) {
        execl(program, program, "--config", config, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int port_connect(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                        .sin_port = htons((uint16_t)g_port)};
    const int on = 1;
    for (int i = 0; i < 500; i++) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            return fd;
        }
        close(fd);
        usleep(10000);
    }
    return -1;
}

/* A pod of an ordinary size that asks for enclave memory and its socket. */
static size_t request_make(char *out, size_t room)
{
    char body[8192];
    int used = snprintf(
        body, sizeof(body),
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":"
        "\"705ab4f5-6393-11e8-b7cc-42010a800002\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
        "\"kind\":\"Pod\"},\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"annotations\":{"
        "\"sgx.intel.com/quote-provider\":\"aesmd\"}},\"spec\":{\"containers\":[");
    for (int i = 0; i < 8; i++) {
        used += snprintf(body + used, sizeof(body) - (size_t)used,
                         "%s{\"name\":\"c%d\",\"image\":\"example.org/image:1\",\"env\":[{\"name\":"
                         "\"A\",\"value\":\"%064d\"}],\"resources\":{\"limits\":{\"cpu\":\"1\","
                         "\"sgx.intel.com/epc\":\"10Mi\"}},\"volumeMounts\":[{\"name\":\"token\","
                         "\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}]}",
                         i ? "," : "", i, i);
    }
    used += snprintf(body + used, sizeof(body) - (size_t)used, "]}}}}");
    return (size_t)snprintf(out, room,
                            "POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                            "application/json\r\nContent-Length: %d\r\n\r\n%s",
                            used, body);
}

/* Whether a whole answer with status 200 comes. */
static bool answer_read(SSL *ssl)
{
    char text[65536];
    int used = 0;
    for (;;) {
        const int got = SSL_read(ssl, text + used, (int)sizeof(text) - 1 - used);
        if (got <= 0) {
            return false;
        }
        used += got;
        text[used] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (end && length && used - (end + 4 - text) >= atoi(length + 15)) {
            return strncmp(text, "HTTP/1.1 200", 12) == 0 && strstr(end, "\"patch\"");
        }
    }
}

static void *client_run(void *argument)
{
    double *took = argument;
    char request[9000];
    const size_t size = request_make(request, sizeof(request));
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    const int fd = port_connect();
    SSL_set_fd(ssl, fd);
    bool good = SSL_connect(ssl) == 1;
    const double begin = now();
    for (size_t i = 0; good && i < REQUESTS / CONNECTIONS; i++) {
        /* counts from when it is due if the one before made it late; not when our own timer did */
        double start = begin + (double)i * CONNECTIONS / RATE;
        if (start > now()) {
            usleep((useconds_t)((start - now()) * 1e6));
            start = now();
        }
        good = SSL_write(ssl, request, (int)size) == (int)size && answer_read(ssl);
        took[i] = good ? (now() - start) * 1e3 : 1e6;
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return good ? took : NULL;
}

static int compare(const void *a, const void *b)
{
    const double one = *(const double *)a, two = *(const double *)b;
    return one < two ? -1 : one > two;
}

static void bench_webhook(const char *program)
{
    pthread_t threads[CONNECTIONS];
    char command[64];
    bool good = mkdtemp(g_folder) != NULL;
    const pid_t pid = webhook_start(program);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        pthread_create(&threads[i], NULL, client_run, g_took[i]);
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        void *took;
        pthread_join(threads[i], &took);
        good = good && took;
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    qsort(g_took, REQUESTS, sizeof(double), compare);
    const double p99 = ((double *)g_took)[REQUESTS * 99 / 100];
    printf("%-28s %8.2f <=%-7.0f %s\n", "webhook/p99", p99, WEBHOOK_GOAL,
           good && p99 <= WEBHOOK_GOAL ? "ok" : "short");
    snprintf(command, sizeof(command), "rm -rf %s", g_folder);
    if (system(command) != 0) {
        perror(g_folder);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    bench_plugin(argv[1]);
    bench_webhook(argv[2]);
    return 0;
}
