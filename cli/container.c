/*
 * cella run --container: finds a runtime, lays out the image's files, and hands over.
 * Side: tools. Called by cella run. Never runs the project's own code outside the container.
 */
#include "cli/container.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/container_files.h"
#include "cli/image_program.h"
#include "common/cleanup.h"

enum runtime_kind {
    RUNTIME_OCI,    /* takes a bundle: runc, crun and others with their command line */
    RUNTIME_ENGINE, /* takes an image: podman, docker */
};

static const struct {
    const char *name;
    enum runtime_kind kind;
} g_runtimes[] = {
    {"runc", RUNTIME_OCI},
    {"crun", RUNTIME_OCI},
    {"podman", RUNTIME_ENGINE},
    {"docker", RUNTIME_ENGINE},
};

struct runtime {
    char path[PATH_MAX];
    const char *name;
    enum runtime_kind kind;
};

/* Runtimes lie in sbin on some distributions, which is not in everybody's PATH. */
static bool find_program(const char *name, char *ret_path, size_t size)
{
    char places[8192];
    const char *path = getenv("PATH");
    if (strchr(name, '/')) {
        return realpath(name, ret_path) != NULL && access(ret_path, X_OK) == 0;
    }
    snprintf(places, sizeof(places), "%s:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
             path ? path : "");
    for (const char *at = places; *at;) {
        const size_t length = strcspn(at, ":");
        snprintf(ret_path, size, "%.*s/%s", (int)length, at, name);
        if (length > 0 && access(ret_path, X_OK) == 0) {
            return true;
        }
        at += length + (at[length] == ':');
    }
    return false;
}

static cella_result find_runtime(const char *wanted, struct runtime *ret_runtime,
                                 struct cella_error *error)
{
    for (size_t i = 0; i < CELLA_COUNT(g_runtimes); i++) {
        const char *slash = wanted ? strrchr(wanted, '/') : NULL;
        const char *base = slash ? slash + 1 : wanted;
        if (wanted && strcmp(base, g_runtimes[i].name) != 0) {
            continue;
        }
        ret_runtime->name = g_runtimes[i].name;
        ret_runtime->kind = g_runtimes[i].kind;
        if (find_program(wanted ? wanted : g_runtimes[i].name, ret_runtime->path,
                         sizeof(ret_runtime->path))) {
            return CELLA_OK;
        }
        if (wanted) {
            return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                                   "%s: not there: apt-get install %s", wanted,
                                   strcmp(base, "docker") == 0 ? "docker.io" : base);
        }
    }
    if (wanted) {
        return cella_error_set(error, CELLA_RESULT(UNSUPPORTED),
                               "--runtime %s: expected runc, crun, podman or docker, or the path "
                               "of one",
                               wanted);
    }
    return cella_error_set(error, CELLA_RESULT(NOT_FOUND),
                           "no container runtime on this machine (runc, crun, podman, docker): "
                           "apt-get install crun");
}

/* The platform's folder, which the container's user must be able to write. */
static cella_result settle_platform(const struct container_options *options, const char *folder,
                                    uint32_t user, char ret_path[PATH_MAX],
                                    struct cella_error *error)
{
    char path[CONTAINER_PLACE_MAX];
    snprintf(path, sizeof(path), "%s/platform", folder);
    const char *chosen = options->platform ? options->platform : path;
    CELLA_TRY(container_make_folder(chosen, 0700, error));
    if (!realpath(chosen, ret_path)) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", chosen);
    }
    /* `cella platform` may have written some of it. */
    return !options->platform && geteuid() == 0 ? container_give(chosen, user, error) : CELLA_OK;
}

/* ------------------------------------------------------------------------- starting */

/* Words for exec: owned, ended by NULL. */
struct words {
    char *list[1024];
    unsigned count;
    bool full; /* one did not fit */
};

static void put_word(struct words *words, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_word(struct words *words, const char *format, ...)
{
    va_list arguments;
    char *word = NULL;
    va_start(arguments, format);
    if (vasprintf(&word, format, arguments) >= 0 && words->count + 1 < CELLA_COUNT(words->list)) {
        words->list[words->count++] = word;
    } else {
        words->full = true;
        free(word);
    }
    va_end(arguments);
}

static void put_extra(struct words *words, const struct container_options *options)
{
    for (unsigned i = 0; i < options->extra_count; i++) {
        put_word(words, "%s", options->extra[i]);
    }
}

static cella_result hand_over(const struct runtime *runtime, struct words *words,
                              struct cella_error *error)
{
    if (words->full) {
        return cella_error_set(error, CELLA_RESULT(LIMIT_EXCEEDED), "%s: more than %zu words",
                               runtime->name, CELLA_COUNT(words->list));
    }
    words->list[words->count] = NULL;
    fflush(stdout);
    execv(runtime->path, words->list);
    return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", runtime->path);
}

/* Only what is written is under the lock: a runtime that waits for its container must keep nobody waiting. */
static cella_result write_bundle(const struct image_job *job,
                                 const struct container_options *options, struct bundle *bundle,
                                 const char *folder, char ret_path[CONTAINER_PLACE_MAX],
                                 char ret_id[CONTAINER_ID_MAX], struct cella_error *error)
{
    char name[64];
    snprintf(name, sizeof(name), CONTAINER_ROOTFS_PREFIX "%.16s", job->image.manifest.digest);
    CELLA_TRY(container_lay_out(job, folder, name, error));
    if (options->bundle_only) {
        snprintf(bundle->rootfs, sizeof(bundle->rootfs), "%s", name);
        snprintf(ret_path, CONTAINER_PLACE_MAX, "%s", folder);
    } else {
        snprintf(bundle->rootfs, sizeof(bundle->rootfs), "%s/%s", folder, name);
        CELLA_TRY(container_run_folder(folder, ret_path, ret_id, error));
    }
    return bundle_write(bundle, ret_path, error);
}

static cella_result start_bundle(const struct runtime *runtime, const struct image_job *job,
                                 const struct container_options *options, struct bundle *bundle,
                                 const char *folder, int lock, struct cella_error *error)
{
    char path[CONTAINER_PLACE_MAX], state[CONTAINER_PLACE_MAX], id[CONTAINER_ID_MAX];
    struct words words = {.count = 0};
    CELLA_TRY(write_bundle(job, options, bundle, folder, path, id, error));
    close(lock);
    if (options->bundle_only) {
        puts(folder);
        return CELLA_OK;
    }
    snprintf(state, sizeof(state), "%s/state", folder);
    CELLA_TRY(container_make_folder(state, 0700, error));
    put_word(&words, "%s", runtime->name);
    put_word(&words, "--root");
    put_word(&words, "%s", state);
    if (strcmp(runtime->name, "crun") == 0 && geteuid() != 0) {
        put_word(&words, "--cgroup-manager=disabled");
    }
    put_word(&words, "run");
    put_extra(&words, options);
    put_word(&words, "--bundle");
    put_word(&words, "%s", path);
    put_word(&words, "%s", id);
    return hand_over(runtime, &words, error);
}

/* No more than here: engines would raise it, which not every root may. */
static void put_limit(struct words *words, const char *name, int which, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)which, &limit) == 0) {
        const rlim_t value = limit.rlim_cur < most ? limit.rlim_cur : most;
        put_word(words, "--ulimit=%s=%llu:%llu", name, (unsigned long long)value,
                 (unsigned long long)value);
    }
}

static void engine_options(struct words *words, const struct container_options *options,
                           const struct bundle *bundle)
{
    put_word(words, "run");
    put_word(words, "--rm");
    put_word(words, "-i");
    if (bundle->terminal) {
        put_word(words, "-t");
    }
    put_word(words, "--read-only");
    put_word(words, "--tmpfs=/tmp");
    put_word(words, "--cap-drop=ALL");
    put_word(words, "--security-opt=no-new-privileges");
    if (bundle->seccomp_path[0]) {
        put_word(words, "--security-opt=seccomp=%s", bundle->seccomp_path);
    }
    put_word(words, "--network=%s", options->network ? options->network : "none");
    put_word(words, "--volume=%s:" IMAGE_PLATFORM_PATH, bundle->platform);
    for (unsigned i = 0; i < bundle->volume_count; i++) {
        struct bundle_volume volume;
        if (cella_is_ok(bundle_volume_parse(bundle->volumes[i], &volume, NULL))) {
            put_word(words, "--volume=%s:%s:%s", volume.source, volume.path,
                     volume.writable ? "rw" : "ro");
        }
    }
    for (unsigned i = 0; i < bundle->device_count; i++) {
        put_word(words, "--device=%s", bundle->devices[i]);
    }
    put_limit(words, "nofile", RLIMIT_NOFILE, 65536);
    put_limit(words, "nproc", RLIMIT_NPROC, 4096);
    put_extra(words, options);
}

static cella_result start_engine(const struct runtime *runtime, const struct image_job *job,
                                 const struct container_options *options,
                                 const struct bundle *bundle, const char *folder, int lock,
                                 struct cella_error *error)
{
    char archive[CONTAINER_PLACE_MAX];
    struct words words = {.count = 0};
    snprintf(archive, sizeof(archive), "%s/image.tar", folder);
    CELLA_TRY(oci_image_write_archive(&job->image, job->options.epoch, archive, error));
    close(lock);
    put_word(&words, "%s", runtime->name);
    engine_options(&words, options, bundle);
    if (strcmp(runtime->name, "podman") == 0) {
        put_word(&words, "oci-archive:%s", archive);
    } else {
        CELLA_TRY(bundle_docker_load(runtime->path, archive, error));
        put_word(&words, "%s:%s", job->title, job->tag);
    }
    for (int i = 0; i < options->argument_count; i++) {
        put_word(&words, "%s", options->arguments[i]);
    }
    return hand_over(runtime, &words, error);
}

static cella_result settle_bundle(const struct image_job *job,
                                  const struct container_options *options, const char *folder,
                                  struct bundle *ret_bundle, struct cella_error *error)
{
    *ret_bundle = (struct bundle){.job = job,
                                  .arguments = options->arguments,
                                  .argument_count = options->argument_count,
                                  .host_network = options->network != NULL,
                                  .volumes = options->volumes,
                                  .volume_count = options->volume_count,
                                  .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    for (unsigned i = 0; i < options->volume_count; i++) {
        struct bundle_volume volume;
        CELLA_TRY(bundle_volume_parse(options->volumes[i], &volume, error));
    }
    CELLA_TRY(settle_platform(options, folder, job->options.user, ret_bundle->platform, error));
    bundle_find_devices(ret_bundle);
    return bundle_find_seccomp(ret_bundle, options->seccomp, error);
}

static cella_result check_network(const struct container_options *options,
                                  struct cella_error *error)
{
    if (options->network && strcmp(options->network, "none") != 0 &&
        strcmp(options->network, "host") != 0) {
        return cella_error_set(error, CELLA_RESULT(INVALID_ARGUMENT),
                               "--network %s: expected none or host", options->network);
    }
    return CELLA_OK;
}

/* The image, and the folder for what belongs to its containers: the project's, or one beside the program. */
static cella_result make_image(const struct project *project, const struct compile_result *built,
                               const struct container_options *options, struct image_job *ret_job,
                               char ret_folder[CONTAINER_PLACE_MAX], struct cella_error *error)
{
    char cache[8192];
    const char *program = options->signed_program;
    *ret_job = (struct image_job){.project = project,
                                  .built = built,
                                  .options = {.software = true, .signed_program = program}};
    /* Who makes quotes in process needs the enclaves that sign them. */
    ret_job->options.quoting =
        program || project_has_module(project, "attest") || project_has_module(project, "tls");
    CELLA_TRY(image_options_settle(&ret_job->options, error));
    if (program) {
        const struct cella_bytes name = image_program_name(program);
        snprintf(ret_folder, CONTAINER_PLACE_MAX, "%.*s%.*s.container",
                 (int)((const char *)name.data - program), program, (int)name.size,
                 (const char *)name.data);
        return image_job_make(ret_job, NULL, error);
    }
    snprintf(ret_folder, CONTAINER_PLACE_MAX, "%s/build/container", project->folder);
    CELLA_TRY(image_cache_folder(project, cache, sizeof(cache), error));
    return image_job_make(ret_job, cache, error);
}

cella_result container_run(const struct project *project, const struct compile_result *built,
                           const struct container_options *given, struct cella_error *error)
{
    static struct image_job job;
    static struct bundle bundle;
    struct container_options options = *given;
    struct runtime runtime;
    char folder[PATH_MAX], path[CONTAINER_PLACE_MAX];
    int lock;
    CELLA_TRY(check_network(&options, error));
    if (options.network && strcmp(options.network, "none") == 0) {
        options.network = NULL;
    }
    if (options.bundle_only && !options.runtime) {
        runtime = (struct runtime){.name = "", .kind = RUNTIME_OCI}; /* nothing is started */
    } else {
        CELLA_TRY(find_runtime(options.runtime, &runtime, error));
    }
    CELLA_TRY(make_image(project, built, &options, &job, path, error));
    CELLA_TRY(container_make_folder(path, 0755, error));
    if (!realpath(path, folder)) {
        return cella_error_errno(error, CELLA_RESULT(IO), errno, "%s", path);
    }
    CELLA_TRY(container_lock(folder, &lock, error)); /* until something is started, or we end */
    CELLA_TRY(settle_bundle(&job, &options, folder, &bundle, error));
    return runtime.kind == RUNTIME_OCI || options.bundle_only
               ? start_bundle(&runtime, &job, &options, &bundle, folder, lock, error)
               : start_engine(&runtime, &job, &options, &bundle, folder, lock, error);
}
