/*
 * An OCI runtime bundle: read-only files, no capabilities, no new privileges, a short list of system calls.
 * Side: tools. Called by cli/container.c. Never starts anything but `docker load`.
 */
#include "cli/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "abi/sgx_linux.h"
#include "cli/file.h"
#include "cli/job.h"
#include "cli/sdk.h"
#include "common/cleanup.h"

#ifndef CELLA_SOURCE_ROOT
#define CELLA_SOURCE_ROOT ""
#endif
#define PROFILE_MAX (1u << 20)

static void json_done(json_t **json)
{
    json_decref(*json);
}
#define JSON_OWNED CELLA_CLEANUP(json_done) json_t *

/* A folder or a link under that name, as older drivers made it, is no device. */
static bool is_device(const char *path, struct stat *ret_status)
{
    return lstat(path, ret_status) == 0 && S_ISCHR(ret_status->st_mode);
}

void bundle_find_devices(struct bundle *bundle)
{
    static const char *const nodes[] = {SGX_LINUX_ENCLAVE_NODE, "/dev/sgx_provision"};
    struct stat status;
    for (size_t i = 0; i < CELLA_COUNT(nodes); i++) {
        if (is_device(nodes[i], &status)) {
            bundle->devices[bundle->device_count++] = nodes[i];
        }
    }
}

cella_result bundle_find_seccomp(struct bundle *bundle, const char *chosen,
                                 struct cella_error *error)
{
    char self[SDK_PATH_MAX], places[2][2 * SDK_PATH_MAX];
    if (chosen && strcmp(chosen, "none") == 0) {
        return CELLA_OK;
    }
    if (chosen) {
        if (!realpath(chosen, bundle->seccomp_path)) {
            return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "%s", chosen);
        }
        return CELLA_OK;
    }
    CELLA_TRY(sdk_program_folder(self, sizeof(self), error));
    snprintf(places[0], sizeof(places[0]), "%s/../share/cella/seccomp.json", self);
    snprintf(places[1], sizeof(places[1]), "%s/oci/seccomp.json", CELLA_SOURCE_ROOT);
    for (size_t i = 0; i < CELLA_COUNT(places); i++) {
        if (realpath(places[i], bundle->seccomp_path)) {
            return CELLA_OK;
        }
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           "%s: not there; is the installation whole? --seccomp names a profile",
                           places[0]);
}

static json_t *namespaces_of(const struct bundle *bundle)
{
    static const char *const names[] = {"pid", "ipc", "uts", "mount", "network", "user"};
    json_t *list = json_array();
    for (size_t i = 0; i < CELLA_COUNT(names); i++) {
        if ((strcmp(names[i], "network") == 0 && bundle->host_network) ||
            (strcmp(names[i], "user") == 0 && geteuid() == 0)) {
            continue;
        }
        json_array_append_new(list, json_pack("{s:s}", "type", names[i]));
    }
    return list;
}

static json_t *mount(const char *where, const char *kind, const char *source, const char *options)
{
    json_t *words = json_array();
    for (const char *at = options; *at;) {
        const size_t length = strcspn(at, ",");
        json_array_append_new(words, json_stringn(at, length));
        at += length + (at[length] == ',');
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "destination", where, "type", kind, "source", source,
                     "options", words);
}

cella_result bundle_volume_parse(const char *text, struct bundle_volume *ret_volume,
                                 struct cella_error *error)
{
    char source[PATH_MAX];
    const char *colon = strchr(text, ':');
    const char *path = colon ? colon + 1 : "";
    const char *end = strchr(path, ':');
    const size_t length = end ? (size_t)(end - path) : strlen(path);
    *ret_volume = (struct bundle_volume){.writable = end && strcmp(end, ":rw") == 0};
    if (!colon || colon - text >= (long)sizeof(source) || path[0] != '/' || length >= PATH_MAX ||
        (end && !ret_volume->writable)) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--volume %s: expected FOLDER:PATH or FOLDER:PATH:rw, PATH absolute",
                               text);
    }
    snprintf(source, sizeof(source), "%.*s", (int)(colon - text), text);
    snprintf(ret_volume->path, sizeof(ret_volume->path), "%.*s", (int)length, path);
    if (!realpath(source, ret_volume->source)) {
        return cella_error_errno(error, CELLA_RESULT(NOT_FOUND), errno, "--volume %s", source);
    }
    return CELLA_OK;
}

static void add_volumes(const struct bundle *bundle, json_t *list)
{
    for (unsigned i = 0; i < bundle->volume_count; i++) {
        struct bundle_volume volume;
        if (cella_is_ok(bundle_volume_parse(bundle->volumes[i], &volume, NULL))) {
            json_array_append_new(
                list, mount(volume.path, "bind", volume.source,
                            volume.writable ? "rbind,rw,nosuid,nodev" : "rbind,ro,nosuid,nodev"));
        }
    }
}

static json_t *mounts_of(const struct bundle *bundle)
{
    json_t *list = json_array();
    json_array_append_new(list, mount("/proc", "proc", "proc", "nosuid,noexec,nodev"));
    json_array_append_new(list,
                          mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=64k"));
    json_array_append_new(list, mount("/dev/pts", "devpts", "devpts",
                                      "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"));
    json_array_append_new(
        list, mount("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=64m"));
    json_array_append_new(list, mount("/tmp", "tmpfs", "tmpfs", "nosuid,nodev,mode=1777,size=64m"));
    json_array_append_new(
        list, mount(IMAGE_PLATFORM_PATH, "bind", bundle->platform, "bind,rw,nosuid,nodev,noexec"));
    add_volumes(bundle, list);
    return list;
}

static json_t *devices_of(const struct bundle *bundle, json_t *rules)
{
    json_t *list = json_array();
    json_array_append_new(rules, json_pack("{s:b, s:s}", "allow", 0, "access", "rwm"));
    for (unsigned i = 0; i < bundle->device_count; i++) {
        struct stat status;
        if (!is_device(bundle->devices[i], &status)) {
            continue;
        }
        const int high = (int)major(status.st_rdev), low = (int)minor(status.st_rdev);
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:i}", "path",
                                              bundle->devices[i], "type", "c", "major", high,
                                              "minor", low, "fileMode", 0666));
        json_array_append_new(rules, json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type", "c",
                                               "major", high, "minor", low, "access", "rw"));
    }
    return list;
}

static cella_result linux_of(const struct bundle *bundle, json_t **ret_linux,
                             struct cella_error *error)
{
    json_t *rules = json_array();
    JSON_OWNED devices = devices_of(bundle, rules);
    JSON_OWNED root =
        json_pack("{s:o, s:[s,s,s,s,s,s,s,s], s:[s,s,s,s,s], s:O, s:{s:o}}", "namespaces",
                  namespaces_of(bundle), "maskedPaths", "/proc/acpi", "/proc/asound", "/proc/kcore",
                  "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug",
                  "/proc/scsi", "readonlyPaths", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                  "/proc/sysrq-trigger", "devices", devices, "resources", "devices", rules);
    CELLA_ENSURE(root != NULL, OUT_OF_MEMORY);
    if (geteuid() != 0) {
        json_object_set_new(
            root, "uidMappings",
            json_pack("[{s:i, s:i, s:i}]", "containerID", 0, "hostID", (int)geteuid(), "size", 1));
        json_object_set_new(
            root, "gidMappings",
            json_pack("[{s:i, s:i, s:i}]", "containerID", 0, "hostID", (int)getegid(), "size", 1));
    }
    /*
     * Rules for devices are a second fence (nobody in there can make a node); they need a cgroup, which others than root do
     * not have, and on the unified hierarchy the right to load a BPF program.
     */
    if (geteuid() != 0 || bundle->device_count == 0) {
        json_object_del(root, "resources");
    }
    if (bundle->seccomp_path[0]) {
        json_error_t where;
        json_t *profile = json_load_file(bundle->seccomp_path, JSON_REJECT_DUPLICATES, &where);
        if (!profile) {
            return cella_error_set(error, CELLA_RESULT(BAD_SYNTAX), "%s:%d: %s",
                                   bundle->seccomp_path, where.line, where.text);
        }
        json_object_set_new(root, "seccomp", profile);
    }
    *ret_linux = json_incref(root);
    return CELLA_OK;
}

static json_t *process_of(const struct bundle *bundle)
{
    const struct image_job *job = bundle->job;
    const int user = geteuid() == 0 ? (int)job->options.user : 0;
    JSON_OWNED words = json_deep_copy(job->entrypoint);
    JSON_OWNED none = json_array();
    for (int i = 0; i < bundle->argument_count; i++) {
        /* Arguments that are no UTF-8 cannot be said in JSON. */
        json_array_append_new(words, json_string(bundle->arguments[i]));
    }
    return json_pack(
        "{s:b, s:{s:i, s:i}, s:O, s:O, s:s, s:{s:O, s:O, s:O, s:O, s:O}, s:b, s:[{s:s, s:i, s:i}]}",
        "terminal", (int)bundle->terminal, "user", "uid", user, "gid", user, "args", words, "env",
        job->environment, "cwd", "/app", "capabilities", "bounding", none, "effective", none,
        "inheritable", none, "permitted", none, "ambient", none, "noNewPrivileges", 1, "rlimits",
        "type", "RLIMIT_CORE", "hard", 0, "soft", 0);
}

cella_result bundle_write(const struct bundle *bundle, const char *folder,
                          struct cella_error *error)
{
    JSON_OWNED settings = NULL;
    JSON_OWNED process = process_of(bundle);
    char path[PATH_MAX];
    CELLA_TRY(linux_of(bundle, &settings, error));
    JSON_OWNED root =
        json_pack("{s:s, s:O, s:{s:s, s:b}, s:s, s:o, s:O}", "ociVersion", "1.0.2", "process",
                  process, "root", "path", bundle->rootfs, "readonly", 1, "hostname", "cella",
                  "mounts", mounts_of(bundle), "linux", settings);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (!text) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "an argument is no UTF-8, or no memory");
    }
    snprintf(path, sizeof(path), "%s/config.json", folder);
    cella_result result = cella_file_write(path, text, strlen(text), 0644, error);
    free(text);
    return result;
}

cella_result bundle_docker_load(const char *docker, const char *archive, struct cella_error *error)
{
    CELLA_CLEANUP(job_done) struct job job = {0};
    struct job_pool pool = {0};
    job_add(&job, "%s", docker);
    job_add(&job, "load");
    job_add(&job, "--quiet");
    job_add(&job, "-i");
    job_add(&job, "%s", archive);
    CELLA_TRY(job_start(&pool, &job, false, error));
    return job_wait(&pool, error);
}
