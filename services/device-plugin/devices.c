/*
 * What a node has: device nodes of SGX drivers at all the paths they have had, enclave memory, a quote service.
 * Side: services. Called by resources.c. Never opens a device; a name counts only when the kernel's number stands behind it.
 */
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "services/device-plugin/plugin.h"

#define MAJOR_MISC 10u

/* The kernel's driver, the DCAP driver (1.x under /dev/sgx/), the driver before that. */
struct candidate {
    const char *path;  /* below /dev */
    const char *sysfs; /* below /sys/class/misc */
};
static const struct candidate g_enclave[] = {
    {"sgx_enclave", "sgx_enclave"}, {"sgx/enclave", "sgx!enclave"}, {"isgx", "isgx"}};
static const struct candidate g_provision[] = {{"sgx_provision", "sgx_provision"},
                                               {"sgx/provision", "sgx!provision"}};

/* The number that the kernel has given the driver; false: it does not say. */
static bool number_read(const char *sys_folder, const char *name, unsigned *ret_major,
                        unsigned *ret_minor)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/class/misc/%s/dev", sys_folder, name);
    FILE *file = fopen(path, "re");
    const bool good = file && fscanf(file, "%u:%u", ret_major, ret_minor) == 2;
    if (file) {
        fclose(file);
    }
    return good;
}

/* A resolved path inside our view of /dev is that path below the node's /dev. */
static void host_path_of(const struct plugin_settings *settings, const char *resolved,
                         struct device_node *node)
{
    char folder[PATH_MAX];
    size_t size = 0;
    if (realpath(settings->dev_folder, folder)) {
        size = strlen(folder);
    }
    if (size && strncmp(resolved, folder, size) == 0 && resolved[size] == '/') {
        snprintf(node->host_path, sizeof(node->host_path), "/dev%.180s", resolved + size);
    } else {
        snprintf(node->host_path, sizeof(node->host_path), "%.190s", resolved);
    }
}

/*
 * Whether a driver has that number: the one that the path is named after, or another of its kind (links between the names are
 * common). Without a table of drivers in sysfs, any miscellaneous device may be it. False with the reason.
 */
static bool number_check(const struct plugin_settings *settings, const char *path,
                         const struct candidate *candidates, size_t count, struct device_node *node)
{
    char folder[PATH_MAX], expected[96] = "";
    struct stat status;
    for (size_t i = 0; i < count; i++) {
        unsigned major = 0, minor = 0;
        if (!number_read(settings->sys_folder, candidates[i].sysfs, &major, &minor)) {
            continue;
        }
        if (node->major == major && node->minor == minor) {
            return true;
        }
        snprintf(expected, sizeof(expected), "the driver's is %u:%u", major, minor);
    }
    snprintf(folder, sizeof(folder), "%s/class/misc", settings->sys_folder);
    if (!expected[0] && stat(folder, &status) == 0) {
        snprintf(expected, sizeof(expected), "no driver is loaded");
    }
    if (!expected[0] && node->major == MAJOR_MISC) {
        return true;
    }
    if (!expected[0]) {
        snprintf(expected, sizeof(expected), "a driver's would be %u:...", MAJOR_MISC);
    }
    snprintf(node->reason, sizeof(node->reason), "%.120s is device %u:%u; %.90s", path, node->major,
             node->minor, expected);
    return false;
}

static bool candidate_probe(const struct plugin_settings *settings,
                            const struct candidate *candidates, size_t count, size_t index,
                            struct device_node *node)
{
    char path[PATH_MAX], resolved[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", settings->dev_folder, candidates[index].path);
    if (!realpath(path, resolved) || stat(resolved, &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            snprintf(node->reason, sizeof(node->reason), "%.200s: %s", path, strerror(errno));
        }
        return false;
    }
    if (!S_ISCHR(status.st_mode)) {
        snprintf(node->reason, sizeof(node->reason), "%.200s is %s, not a character device", path,
                 S_ISDIR(status.st_mode) ? "a directory" : "a file");
        return false;
    }
    node->major = major(status.st_rdev);
    node->minor = minor(status.st_rdev);
    if (!number_check(settings, path, candidates, count, node)) {
        return false;
    }
    host_path_of(settings, resolved, node);
    node->is_there = true;
    return true;
}

static void node_probe(const struct plugin_settings *settings, const struct candidate *candidates,
                       size_t count, struct device_node *ret_node)
{
    *ret_node = (struct device_node){0};
    for (size_t i = 0; i < count; i++) {
        if (candidate_probe(settings, candidates, count, i, ret_node)) {
            ret_node->reason[0] = 0;
            return;
        }
    }
    if (!ret_node->reason[0]) {
        snprintf(ret_node->reason, sizeof(ret_node->reason), "%.180s/%s is not there",
                 settings->dev_folder, candidates[0].path);
    }
}

void devices_probe(const struct plugin_settings *settings, struct node_devices *ret_devices)
{
    node_probe(settings, g_enclave, CELLA_COUNT(g_enclave), &ret_devices->enclave);
    node_probe(settings, g_provision, CELLA_COUNT(g_provision), &ret_devices->provision);
}

/* ------------------------------------------------------------------- enclave memory */

/* Linux says it for each memory node since 5.17. */
static uint64_t epc_by_sysfs(const char *sys_folder)
{
    char path[PATH_MAX];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "%s/devices/system/node", sys_folder);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        unsigned long long bytes = 0;
        if (strncmp(entry->d_name, "node", 4) != 0) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/devices/system/node/%.64s/x86/sgx_total_bytes", sys_folder,
                 entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%llu", &bytes) == 1) {
            sum += bytes;
        }
        if (file) {
            fclose(file);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return sum;
}

/* SDM Vol. 3D, 36.7.3: leaf 12H, subleaves from 2 on, describe sections of the EPC. */
static uint64_t epc_by_cpuid(void)
{
    unsigned a, b, c, d;
    uint64_t sum = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1u << 2)) {
        return 0;
    }
    for (unsigned i = 2; i < 32 && __get_cpuid_count(0x12, i, &a, &b, &c, &d); i++) {
        if ((a & 15) != 1) {
            break;
        }
        sum += (uint64_t)(d & 0xfffff) << 32 | (c & 0xfffff000);
    }
    return sum;
}

uint64_t devices_epc_bytes(const struct plugin_settings *settings)
{
    if (settings->epc_mib) {
        return (uint64_t)settings->epc_mib << 20;
    }
    const uint64_t bytes = epc_by_sysfs(settings->sys_folder);
    return bytes ? bytes : epc_by_cpuid();
}

bool devices_quotes(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof(address.sun_path)) {
        return false;
    }
    strcpy(address.sun_path, socket_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EAGAIN: somebody listens and is busy */
    const bool good = fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
                                  errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return good;
}
