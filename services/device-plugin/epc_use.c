/*
 * Enclave memory by pod: the misc controller's `sgx_epc`, where the kernel has it, in the control groups of pods.
 * Side: services. Called when figures are asked for, on the HTTP server's thread. Never descends deeper than a kubelet nests.
 */
#include <ctype.h>
#include <dirent.h>
#include <event2/buffer.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "services/device-plugin/plugin.h"

#define UID_SIZE 36u /* of a UUID as text */
#define DEPTH_MAX 3  /* kubepods, class of service, pod */

struct scan {
    struct evbuffer *out;
    bool has_head;
};

/* The uid in "pod<uid>" or "kubepods-burstable-pod<uid with underscores>.slice"; false: no pod's group. */
static bool uid_of(const char *name, char ret_uid[UID_SIZE + 1])
{
    const char *at = strncmp(name, "pod", 3) == 0 ? name : strstr(name, "-pod");
    if (!at) {
        return false;
    }
    at += *at == '-' ? 4 : 3;
    for (size_t i = 0; i < UID_SIZE; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? at[i] != '-' && at[i] != '_' : !isxdigit((unsigned char)at[i])) {
            return false;
        }
        ret_uid[i] = dash ? '-' : at[i];
    }
    ret_uid[UID_SIZE] = 0;
    return at[UID_SIZE] == 0 || strcmp(at + UID_SIZE, ".slice") == 0;
}

static void group_write(struct scan *scan, const char *path, const char *uid)
{
    char file_path[PATH_MAX], line[128];
    unsigned long long bytes = 0;
    snprintf(file_path, sizeof(file_path), "%.*s/misc.current", (int)(sizeof(file_path) - 16),
             path);
    FILE *file = fopen(file_path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "sgx_epc %llu", &bytes) != 1) {
            continue;
        }
        if (!scan->has_head) {
            scan->has_head = true;
            evbuffer_add_printf(scan->out, "# HELP cella_plugin_pod_epc_bytes Enclave memory that "
                                           "a pod uses.\n"
                                           "# TYPE cella_plugin_pod_epc_bytes gauge\n");
        }
        evbuffer_add_printf(scan->out, "cella_plugin_pod_epc_bytes{pod_uid=\"%s\"} %llu\n", uid,
                            bytes);
    }
    if (file) {
        fclose(file);
    }
}

/* Groups in `path`; only those of a kubelet at the top. */
static void groups_scan(struct scan *scan, const char *path, int depth)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char below[PATH_MAX], uid[UID_SIZE + 1];
        const bool is_kubelets = strncmp(entry->d_name, "kubepods", 8) == 0;
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || (depth == 1 && !is_kubelets) ||
            (size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >= sizeof(below)) {
            continue;
        }
        if (uid_of(entry->d_name, uid)) {
            group_write(scan, below, uid);
        } else if (depth < DEPTH_MAX) {
            groups_scan(scan, below, depth + 1);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

void epc_use_write(struct evbuffer *out, const char *sys_folder)
{
    char path[PATH_MAX];
    struct scan scan = {.out = out};
    snprintf(path, sizeof(path), "%s/fs/cgroup", sys_folder);
    groups_scan(&scan, path, 1);
}
